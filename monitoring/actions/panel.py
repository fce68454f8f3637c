"""What the page of an instrument shows of actions: what can be asked for, what is under way, how the last one ended."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from instruments.models import Instrument
from monitoring.actions.forms import TO_TELL_APART
from monitoring.actions.refusal import action_refusal, scope_of
from monitoring.actions.words import refusal_words
from monitoring.models import ActionKind, ActionState, InstrumentAction, InstrumentStatus

_LOOKED_AT = 6
_TONES = {
    ActionState.REQUESTED: "muted",
    ActionState.STARTED: "live",
    ActionState.IN_PROGRESS: "live",
    ActionState.SUCCEEDED: "good",
    ActionState.FAILED: "bad",
    ActionState.UNKNOWN: "warn",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One action as pages tell of it."""

    action: InstrumentAction

    @property
    def tone(self) -> str:
        """The colour of its badge."""
        return _TONES[ActionState(self.action.state)]

    @property
    def title(self) -> str:
        """What it is; of a rename, to which name."""
        if self.action.kind == ActionKind.RENAME:
            return _("Rename to “%(name)s”") % {"name": self.action.name}
        return str(self.action.get_kind_display())

    @property
    def word(self) -> str:
        """How it stands; an end that cannot be known is told from one that is still being looked for."""
        if self.action.state == ActionState.UNKNOWN and self.action.is_open:
            return _("Looking for its result")
        return str(self.action.get_state_display())


@dataclass(frozen=True, slots=True)
class Panel:
    """The panel; `refusals` has a word for each kind that cannot be asked for."""

    instrument: Instrument
    open: Sequence[Told]
    last: Told | None
    refusals: dict[str, str]
    # When MyCirrus told that the instrument is offline, as an answer may be older than its return.
    offline_at: datetime | None = None
    token: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def identify_why(self) -> str:
        """The reason that the one click of Identify carries."""
        return str(TO_TELL_APART)

    @property
    def version(self) -> str:
        """Differs whenever something that is shown does."""
        shown = [*self.open, *([self.last] if self.last else [])]
        steps = (f"{told.action.pk}.{told.action.state}.{told.action.message}" for told in shown)
        refused = (f"{kind}.{word}" for kind, word in self.refusals.items())
        return uuid.uuid5(uuid.NAMESPACE_OID, "|".join([*steps, *refused])).hex

    @property
    def can(self) -> dict[str, bool]:
        """Which buttons there are, by the lower-case kind, as templates look it up."""
        return {kind.lower(): kind not in self.refusals for kind in ActionKind.values}

    @property
    def why_not(self) -> list[str]:
        """One sentence for each cause; a kind that the instrument simply does not have is no cause."""
        causes = {
            (word, scope_of(kind) if word == "scope" else "")
            for kind, word in self.refusals.items()
            if word not in ("type", "busy")
        }
        return [refusal_words(word, scope) for word, scope in sorted(causes)]

    @property
    def announcement(self) -> str:
        """What is read out when it changes."""
        told = self.open[0] if self.open else self.last
        return f"{told.title}: {told.word}. {told.action.message}".strip() if told else ""


def panel_of(*, instrument: Instrument, now: datetime) -> Panel:
    """The panel of ``instrument``. One query where its status is at hand, two where not."""
    newest = InstrumentAction.objects.filter(instrument=instrument).select_related("requested_by")
    found = [Told(action) for action in newest.order_by("-pk")[:_LOOKED_AT]]
    refusals = {
        kind: word
        for kind in ActionKind.values
        if (word := action_refusal(instrument=instrument, kind=kind, now=now))
    }
    if any(told.action.is_open and told.action.is_check for told in found):
        for kind in (ActionKind.CALIBRATION, ActionKind.SIC):
            refusals.setdefault(kind.value, "busy")
    present: InstrumentStatus | None = getattr(instrument, "status", None)
    return Panel(
        instrument=instrument,
        offline_at=present.offline_told_at if present else None,
        open=[told for told in found if told.action.is_open],
        last=next((told for told in found if not told.action.is_open), None),
        refusals=refusals,
    )
