"""One small judge for each kind of alert: facts in, a verdict out. Pure: no ORM, no clock."""
