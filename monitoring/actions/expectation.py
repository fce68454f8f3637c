"""What a calibration of an instrument can be expected to read, going by those before; it judges nothing."""

from datetime import datetime

from instruments.models import Instrument
from instruments.mycirrus.types import passed
from monitoring.models import Calibration

# Good ones are the rule: further back than this there is none to go by.
_LOOKED_AT = 20


def last_good_calibration(*, instrument: Instrument, before: datetime | None = None) -> Calibration | None:
    """The newest calibration that passed and has a level, before an instant if one is given. One query."""
    rows = Calibration.objects.filter(instrument=instrument, level_db__isnull=False)
    if before is not None:
        rows = rows.filter(at__lt=before)
    return next((row for row in rows.order_by("-at")[:_LOOKED_AT] if passed(row.status)), None)
