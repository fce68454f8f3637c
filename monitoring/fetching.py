"""How the reading of one instrument stands, resource by resource, for its page; it claims and fetches nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from instruments.models import Instrument
from monitoring.models import Lane, Outcome, SyncTarget

_FAILING = {Outcome.TRANSIENT, Outcome.NEEDS_ATTENTION, Outcome.BUG}


@dataclass(frozen=True, slots=True)
class Fetching:
    """One resource: what is new, and its history where it has one that is read backwards."""

    live: SyncTarget
    history: SyncTarget | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the last try brought nothing and somebody may want to know why."""
        return self.live.outcome in _FAILING

    @property
    def history_is_whole(self) -> bool:
        """Whether everything back to the installation's limit is stored."""
        return self.history is not None and self.history.done_at is not None

    @property
    def history_back_to(self) -> datetime | None:
        """The instant from which on everything is stored."""
        return self.history.watermark_at if self.history is not None else None


def not_let(resource: str, instrument: Instrument | None = None) -> str:
    """Why MyCirrus does not let ``resource`` be read, of ``instrument`` or of any, in a sentence; "" where it does.

    What is not allowed must not read as if there were nothing.
    """
    refused = SyncTarget.objects.filter(
        resource=resource, lane=Lane.LIVE, outcome=Outcome.NEEDS_ATTENTION, instrument__gone_at=None
    )
    if instrument is not None:
        refused = refused.filter(instrument=instrument)
    message = refused.values_list("message", flat=True).first()
    return "" if message is None else _("MyCirrus does not let this be read. {}").format(message)


def fetchings(targets: Iterable[SyncTarget]) -> list[Fetching]:
    """The targets of one instrument, by resource, in the order in which they were made."""
    rows = sorted(targets, key=lambda target: target.pk)
    history = {target.resource: target for target in rows if target.lane == Lane.BACKFILL}
    return [Fetching(target, history.get(target.resource)) for target in rows if target.lane == Lane.LIVE]
