"""The form by which a stretch of time history is asked for; its own number makes two of the same form one request."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from instruments.time_fields import InstantField
from monitoring.models import HistoryKind
from monitoring.templatetags.levels import period
from monitoring.timehistory.requests import STEPS_MS

HOUR = timedelta(hours=1)


def _comes_once(local: datetime) -> bool:
    """Whether the clocks neither skip nor repeat it: a form takes nothing else."""
    return local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset()


class TimeHistoryForm(forms.Form):
    """What, from when to when, and how finely."""

    token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    kind = forms.ChoiceField(label=_("What"), choices=HistoryKind.choices)
    start = InstantField(label=_("From"))
    end = InstantField(label=_("To"))
    step_ms = forms.TypedChoiceField(
        label=_("Step"),
        coerce=int,
        initial=1000,
        choices=lambda: [(step, period(step / 1000)) for step in STEPS_MS],
        help_text=_("Not finer than the time history setting of the instrument."),
    )

    @staticmethod
    def beginning(now: datetime, asked: Any = None) -> dict[str, Any]:
        """What the fields hold at first: the last whole hour whose ends are told by a clock, or an address's range."""
        end = timezone.localtime(now).replace(minute=0, second=0, microsecond=0)
        while not (_comes_once(end - HOUR) and _comes_once(end)):
            end -= HOUR
        found = {"start": end - HOUR, "end": end}
        for name in ("start", "end"):
            text = (asked or {}).get(name, "")
            try:
                at = datetime.fromisoformat(text)
                found[name] = timezone.localtime(at) if at.tzinfo else timezone.make_aware(at)
            except (ValueError, OverflowError):
                continue
        return found
