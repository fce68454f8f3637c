"""Rules and their versions, incidents and their immutable steps: what is watched, and what happened."""

import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from instruments.models import Instrument, User
from instruments.sites import zone_of
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

if TYPE_CHECKING:
    from typing import Self


class Immutable(RuntimeError):
    """What was judged by it is written down elsewhere: it is never changed, a new row is made."""


class AlertKind(models.TextChoices):
    """What can be watched."""

    SIC_FAILED = "sic_failed", _("A System Integrity Check failed")
    SIC_DRIFT = "sic_drift", _("A SIC level drifts towards its tolerance")
    CALIBRATION_FAILED = "calibration_failed", _("A calibration failed")
    CALIBRATION_STEP = "calibration_step", _("A calibration's offset stepped too far")
    CALIBRATION_OVERDUE = "calibration_overdue", _("A calibration is overdue")
    OFFLINE = "offline", _("An instrument is offline")
    NOT_MEASURING = "not_measuring", _("An instrument is online but does not measure")
    NO_DATA = "no_data", _("An instrument measures but sends no data")
    VOLTAGE = "voltage", _("The supply voltage is low")
    SIGNAL = "signal", _("The mobile signal is weak")
    SIM = "sim", _("The SIM's data are nearly used")
    DISK = "disk", _("The disk is nearly full")
    TEMPERATURE = "temperature", _("The instrument is too hot")
    SUBSCRIPTION = "subscription", _("A subscription is cancelled or has expired")
    LEVEL = "level", _("A level is over its limit")
    KEY = "key", _("A key is refused or may not do everything")
    UNREACHABLE = "unreachable", _("MyCirrus cannot be reached")
    WEBHOOK_SILENT = "webhook_silent", _("A webhook keeps silent")
    LATE = "late", _("Cirrusweb itself runs late")
    CHANNEL = "channel", _("A channel was switched off")


class Severity(models.IntegerChoices):
    """How bad it is; amber that grows to red is one incident."""

    CLEAR = 0, _("Clear")
    AMBER = 1, _("Amber")
    RED = 2, _("Red")


class AlertRule(OrgOwned):
    """What one organisation watches, under one name for as long as it does; its newest version says what exactly."""

    kind = models.CharField(_("what"), max_length=32, choices=AlertKind.choices)
    name = models.CharField(_("name"), max_length=120)
    paused_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["kind", "name", "pk"]

    def __str__(self) -> str:
        return self.name


class AlertRuleVersion(OrgOwned):
    """The words of a rule from one instant on. Immutable: an incident keeps the version that judged it."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    # By the kind's own names, see monitoring/alerts/kinds.py.
    settings = models.JSONField(default=dict)
    # Serials and ids of sites; both empty: all of the organisation's.
    serials = models.JSONField(default=list)
    sites = models.JSONField(default=list)
    # Where a preset's numbers come from.
    source = models.CharField(max_length=300, blank=True)
    # The one that judges: an older one is kept because incidents refer to it.
    current = models.BooleanField(default=True)
    made_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    made_at = models.DateTimeField()
    # Since when it judges no more: the next one took over, or the rule was paused or removed. With `made_at` it says
    # by which version a value is to be judged that arrives late.
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["rule", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "rule", "number"], name="alert_version_once"),
            models.UniqueConstraint(
                fields=["organisation", "rule"], condition=Q(current=True), name="alert_version_current"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id}, version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise Immutable("A version is not changed: make the next one.")
        super().save(*args, **kwargs)


class IncidentQuerySet(ScopedQuerySet):
    """Incidents of the organisation in scope."""

    def open(self) -> "Self":
        """Those that have not ended."""
        return self.filter(closed_at=None)

    def nagging(self, now: datetime) -> "Self":
        """Those whose reminder or escalation is due."""
        return self.open().filter(acknowledged_at=None, nag_at__lte=now)


IncidentManager = ScopedManager.from_queryset(IncidentQuerySet)


class Incident(OrgOwned):
    """One cause, from its first sign to its end, however many instruments it touches."""

    class CauseCode(models.TextChoices):
        NOT_SAID = "", _("Not stated")
        REAL = "real", _("The works themselves")
        OTHER_NOISE = "other_source", _("Another source")
        WEATHER = "weather", _("Weather")
        POWER = "power", _("Power")
        NETWORK = "network", _("Mobile network")
        INSTRUMENT = "instrument", _("Fault of the instrument")
        TAMPERING = "tampering", _("Tampering or knocks")
        CALIBRATION = "calibration", _("Calibration or maintenance")
        FALSE = "false", _("False alarm")

    # None where the cause is not one instrument's; those it touches are IncidentSubject rows.
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=32, choices=AlertKind.choices)
    # What makes it one: two signs with the same key while it is open are the same incident.
    key = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=200, blank=True)
    version = models.ForeignKey(AlertRuleVersion, on_delete=models.CASCADE, null=True, related_name="+")
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.RED)
    # The worst it ever was: nobody is woken again below that.
    worst = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.RED)
    opened_at = models.DateTimeField()
    # Since when nothing is known; it stays open meanwhile.
    dark_since = models.DateTimeField(null=True, blank=True)
    flapping = models.BooleanField(default=False)
    maintenance = models.BooleanField(default=False)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    assigned_to = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    cause_code = models.CharField(
        _("cause"), max_length=16, choices=CauseCode.choices, default=CauseCode.NOT_SAID, blank=True
    )
    # When somebody is next reminded or the next person is told, while nobody acknowledges.
    nag_at = models.DateTimeField(null=True, blank=True)
    escalated = models.PositiveSmallIntegerField(default=0)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[IncidentManager] = IncidentManager()

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "key"],
                condition=Q(closed_at=None) & ~Q(key=""),
                name="incident_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["nag_at"], condition=Q(closed_at=None), name="incident_nag"),
            # As the admin lists them.
            models.Index(fields=["-id"], condition=Q(closed_at=None), name="incident_open"),
            models.Index(fields=["kind", "-id"], name="incident_kind"),
            models.Index(fields=["organisation", "closed_at", "-opened_at"], name="incident_history"),
        ]

    def __str__(self) -> str:
        return self.title or f"{self.get_kind_display()}, {self.instrument}"

    def zone_at(self, at: datetime) -> zoneinfo.ZoneInfo:
        """Of the place where its instrument, or the first that it touches, stood at ``at``; else the organisation's."""
        unit = self.instrument
        if unit is None:
            first = IncidentSubject.objects.filter(incident=self).select_related("instrument").first()
            unit = first.instrument if first is not None else None
        if unit is None:
            return self.organisation.zone
        unit.organisation = self.organisation
        return zone_of(unit, at)


class IncidentSubject(OrgOwned):
    """One instrument that an incident touches, from when to when."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="+")
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, related_name="+")
    since_at = models.DateTimeField()
    until_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["since_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "incident", "instrument"], name="incident_subject_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} in {self.incident_id}"


class IncidentChange(OrgOwned):
    """An immutable step of an incident, keyed by what caused it: the same cause twice is one step."""

    class Step(models.TextChoices):
        OPENED = "opened", _("Opened")
        RAISED = "raised", _("Grew worse")
        EASED = "eased", _("Eased, not over")
        REPEATED = "repeated", _("Failed again")
        JOINED = "joined", _("Another instrument joined")
        LEFT = "left", _("One instrument recovered")
        DARK = "dark", _("No data: it stays open")
        LIGHT = "light", _("Data are back")
        FLAPPING = "flapping", _("Comes and goes: held open")
        CLOSED = "closed", _("Recovered")
        WITHDRAWN = "withdrawn", _("Closed: its rule no longer judges")
        REMINDED = "reminded", _("Nobody acknowledged: told again")
        ESCALATED = "escalated", _("Nobody acknowledged: next person told")
        AWAKE = "awake", _("Still open after maintenance")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        ASSIGNED = "assigned", _("Assigned")
        COMMENTED = "commented", _("Comment")
        CAUSE = "cause", _("Cause stated")
        CLOSED_BY_HAND = "closed_by_hand", _("Closed by hand")

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="+")
    step = models.CharField(max_length=16, choices=Step.choices)
    severity = models.PositiveSmallIntegerField(choices=Severity.choices, default=Severity.RED)
    # Names the cause in nature, e.g. "sic:QT123456:2026-11-22T02:00:00Z".
    cause = models.CharField(max_length=200)
    at = models.DateTimeField()
    # The numbers as they were when it was judged.
    facts = models.JSONField(default=dict)
    # In a maintenance window: recorded, and nobody was told.
    maintenance = models.BooleanField(default=False)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "cause"], name="incident_change_once"),
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.cause}"

    @property
    def is_end(self) -> bool:
        """Whether nothing is left to be done after it."""
        return self.step in (self.Step.CLOSED, self.Step.WITHDRAWN)


class AlertWatch(OrgOwned):
    """What is remembered between two judgements of one rule on one subject; what is quiet needs none."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="+")
    # "i:<instrument>", "k:<key>", "u:<address>" or "o".
    subject = models.CharField(max_length=200)
    instrument = models.ForeignKey(Instrument, on_delete=models.CASCADE, null=True, related_name="+")
    # monitoring.alerts.machine.Standing as JSON.
    standing = models.JSONField(default=dict)
    # Of levels: everything up to here has been judged.
    judged_until = models.DateTimeField(null=True, blank=True)
    incident = models.ForeignKey(Incident, on_delete=models.SET_NULL, null=True, related_name="+")
    # When time alone changes the verdict.
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "alert watches"
        constraints = [
            models.UniqueConstraint(fields=["organisation", "rule", "subject"], name="alert_watch_once")
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="alert_watch_due")]

    def __str__(self) -> str:
        return f"{self.rule_id} on {self.subject}"
