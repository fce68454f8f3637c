"""How far back each resource is fetched: as far as history is wanted, and no further than it is kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Value
from django.db.models.functions import Coalesce

from instruments.models import Organisation
from monitoring.models import Lane, Retention, SyncTarget
from monitoring.models.sync import SyncTargetQuerySet

# A demo of a week is full within minutes.
DEMO_HISTORY_DAYS = 7


@dataclass(frozen=True, slots=True)
class Floors:
    """From when on history is wanted, and from when on each resource is kept of which not all is."""

    history: datetime
    kept: dict[str, datetime]

    def of(self, resource: str) -> datetime:
        """The instant below which nothing of ``resource`` is asked for."""
        return max(self.history, self.kept.get(resource, self.history))

    def moved(self, resource: str, floor_at: datetime) -> bool:
        """Whether a target that ends at ``floor_at`` is to end elsewhere. What only grew older is kept all the same."""
        return floor_at > self.of(resource) or floor_at < self.kept.get(resource, floor_at)


def floors_of(organisation_id: int, now: datetime) -> Floors:
    """Those of the organisation in scope; what is kept for so many days is told from a midnight on, and rises daily."""
    history = now - timedelta(days=_history_days(organisation_id))
    kept = {
        resource: (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
        for resource, days in Retention.objects.values_list("resource", "days")
    }
    return Floors(history, kept)


def _history_days(organisation_id: int) -> int:
    days: int = settings.HISTORY_DAYS
    if days > DEMO_HISTORY_DAYS and Organisation.objects.filter(pk=organisation_id, is_demo=True).exists():
        return DEMO_HISTORY_DAYS
    return days


@transaction.atomic
def floors_follow(*, targets: SyncTargetQuerySet, floors: Floors, now: datetime) -> None:
    """Have ``targets`` end at ``floors``: where more is wanted, what had reached its own goes on from there.

    Where less is kept, what has come past the new one is done, and would go on from that: what lies below is let go.
    What another task holds in this moment is left to that or to the next: two who came to each other's rows would wait
    for ever.
    """
    # Not under a turn that is under way: it may end at the old floor, and be done with that. The next list finds it.
    free = targets.filter(Q(lease_until=None) | Q(lease_until__lte=now)).exclude(lane=Lane.LIVE)
    lower = free.exclude(resource__in=floors.kept).filter(floor_at__gt=floors.history)
    _unheld(lower).update(floor_at=floors.history, done_at=None)
    for resource, kept in floors.kept.items():
        theirs, floor = free.filter(resource=resource), floors.of(resource)
        _unheld(theirs.filter(floor_at__gt=floor)).update(floor_at=floor, done_at=None)
        past = theirs.filter(floor_at__lt=kept, lane=Lane.BACKFILL, watermark_at__lte=kept)
        _unheld(past).update(floor_at=kept, watermark_at=kept, done_at=Coalesce("done_at", Value(now)))
        _unheld(theirs.filter(floor_at__lt=kept)).update(floor_at=kept)


def _unheld(targets: SyncTargetQuerySet) -> SyncTargetQuerySet:
    free = targets.select_for_update(skip_locked=True)
    return SyncTarget.objects.filter(pk__in=free.values("pk"))
