"""How the monitors of a fleet fare by themselves, worst first, and one notice for each cause. It changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from monitoring.models import InstrumentStatus, MonitorStats
from monitoring.notices import Notice
from monitoring.possible import AHEAD
from monitoring.templatetags.levels import written
from monitoring.vitals import BOUNDS, Concern, Reading, Vital, readings_of

# What a monitor told longer ago is not how it is now.
CURRENT = timedelta(hours=24)
NAMED = 3
VITAL_WORDS = {
    Vital.VOLTAGE: gettext_lazy("Input voltage"),
    Vital.SIGNAL: gettext_lazy("Signal (RSRP)"),
    Vital.SIM: gettext_lazy("SIM quota used"),
    Vital.DISK: gettext_lazy("Disk used"),
    Vital.TEMPERATURE: gettext_lazy("Temperature"),
}


@dataclass(frozen=True, slots=True)
class MonitorHealth:
    """One monitor: its vitals, and when it told them."""

    serial: str
    name: str
    told_at: datetime | None
    readings: list[Reading]
    current: bool

    @property
    def concern(self) -> Concern:
        """That of its worst vital; an old one is no news."""
        worst = max(reading.concern for reading in self.readings)
        return worst if self.current else Concern.NONE

    def concerned(self, vital: str) -> bool:
        """Whether this vital is one to look at now."""
        return self.current and any(reading.vital == vital and reading.concern for reading in self.readings)

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """Worst first: of those that told lately, by the worst vital and by how many; then by name."""
        many = sum(reading.concern for reading in self.readings)
        return (not self.current, -self.concern, -many, self.name or self.serial)


def fleet_health(*, now: datetime) -> list[MonitorHealth]:
    """Every monitor that tells of itself, worst first. One query, whatever the fleet's size."""
    newest = MonitorStats.objects.filter(
        organisation_id=OuterRef("organisation_id"),
        instrument_id=OuterRef("instrument_id"),
        # Bounded, so that the database looks into the newest partitions alone.
        start_at__range=(now - CURRENT, now + AHEAD),
        lte_rsrp__isnull=False,
    ).order_by("-start_at")
    rows = (
        InstrumentStatus.objects.filter(instrument__gone_at=None)
        .exclude(health={})
        .annotate(rsrp_dbm=Subquery(newest.values("lte_rsrp")[:1]))
        # No instances, and not what MyCirrus said of each: of a fleet that would be megabytes at each look.
        .values_list("instrument__serial", "instrument__name", "health_at", "health", "rsrp_dbm")
    )
    found = [
        MonitorHealth(
            serial,
            name,
            told_at,
            readings_of(health, rsrp_dbm),
            told_at is not None and now - told_at <= CURRENT,
        )
        for serial, name, told_at, health, rsrp_dbm in rows
    ]
    return sorted(found, key=lambda each: each.order)


def health_notices(monitors: Iterable[MonitorHealth]) -> list[Notice]:
    """One banner for each vital that somebody has to do something about, however many monitors it is."""
    notices = []
    held = list(monitors)
    for vital in Vital:
        wrong = [
            each
            for each in held
            if each.current
            and any(reading.vital == vital and reading.concern == Concern.ACT for reading in each.readings)
        ]
        if wrong:
            title = ngettext("%(count)s monitor:", "%(count)s monitors:", len(wrong)) % {"count": len(wrong)}
            text = f"{_cause(vital)} {_names(wrong)}"
            notices.append(Notice("bad", title, text, f"?vital={vital}", str(_("Show them"))))
    return notices


def _cause(vital: Vital) -> str:
    bound = {"bound": bound_words(vital, BOUNDS[vital].act)}
    return {
        Vital.VOLTAGE: _("the input voltage is %(bound)s or lower."),
        Vital.SIGNAL: _("the signal is %(bound)s or weaker."),
        Vital.SIM: _("%(bound)s or more of the SIM's quota is used."),
        Vital.DISK: _("the disk is %(bound)s full or fuller."),
        Vital.TEMPERATURE: _("it is %(bound)s or hotter inside."),
    }[vital] % bound


def bound_words(vital: Vital, bound: float) -> str:
    """A bound with its unit, a real minus before a negative one."""
    limits = BOUNDS[vital]
    return f"{written(bound, limits.places)}\N{NO-BREAK SPACE}{limits.unit}"


def _names(monitors: Sequence[MonitorHealth]) -> str:
    named = ", ".join(each.name or each.serial for each in monitors[:NAMED])
    more = len(monitors) - NAMED
    return f"{named}." if more <= 0 else _("%(names)s and %(more)s more.") % {"names": named, "more": more}
