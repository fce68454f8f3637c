"""What the form of a time history offers at first can be asked for as it stands, also while the clocks change."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from monitoring.timehistory.forms import TimeHistoryForm

HOUR = timedelta(hours=1)
SPRING, AUTUMN = datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)


@pytest.mark.parametrize("hours", range(-2, 4))
@pytest.mark.parametrize(
    ("changed_at", "zone"),
    [(SPRING, "Europe/London"), (AUTUMN, "Europe/London"), (AUTUMN, "Asia/Kathmandu")],
)
def test_a_whole_hour_is_offered(changed_at: datetime, zone: str, hours: int) -> None:
    now = changed_at + hours * HOUR + timedelta(minutes=50)
    with timezone.override(zone):
        offered = TimeHistoryForm(initial=TimeHistoryForm.beginning(now))
        written = {
            name: offered.fields[name].widget.format_value(offered[name].value()) for name in ("start", "end")
        }
        form = TimeHistoryForm({**written, "token": uuid4(), "kind": "noise", "step_ms": 1000})
        assert form.is_valid(), form.errors
    start, end = form.cleaned_data["start"], form.cleaned_data["end"]
    assert end.astimezone(UTC) - start.astimezone(UTC) == HOUR
    # The last one, but for those whose ends the clocks skip or repeat.
    assert now - 4 * HOUR <= end <= now
