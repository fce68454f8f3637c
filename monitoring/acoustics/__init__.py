"""The field's arithmetic. Pure: no ORM, no clock."""
