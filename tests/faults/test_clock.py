"""The machine's clock jumps an hour ahead and back again: nobody waits for an hour that never was."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitoring.models import AlertDelivery, SyncTarget
from tests.faults.stage import staged

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults-2"),
]
CLOCK = Path(__file__).parent / "clock"


def test_the_clock_jumps_an_hour_ahead_and_back(tmp_path: Path, settings: object) -> None:
    clock = tmp_path / "ahead"
    with staged(tmp_path, python_path=CLOCK, CLOCK_AHEAD=str(clock)) as stage:
        stage.mycirrus.moods()
        clock.write_text("3600")
        half = timedelta(minutes=30)
        stage.until(
            lambda: SyncTarget.objects.filter(outcome_at__gt=datetime.now(UTC) + half).count() > 5,
            "turns an hour ahead",
        )
        # Owed in the hour that is taken back, and then an hour away.
        stage.mailbox.refuses["*"] = "451 try later"
        stage.check_fails()
        stage.messages()
        stage.until(
            lambda: AlertDelivery.objects.filter(
                attempts__gt=0, due_at__gt=datetime.now(UTC) + half
            ).exists(),
            "a mail that waits an hour ahead",
        )
        stage.mailbox.refuses.clear()
        clock.write_text("0")
        stage.messages()
        stage.settle("everything to be there, and told, once the clock is right again")
