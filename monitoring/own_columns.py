"""What an organisation has here beside its readings: the columns of an export of tables. No secret has a column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from instruments.models import Activity, Deployment, Instrument, Membership, Organisation, Site
from monitoring.models import (
    AlertChannel,
    AlertDelivery,
    AlertHours,
    AlertPreference,
    AlertRuleVersion,
    Calibrator,
    Certificate,
    Digest,
    DigestWish,
    DoubtReview,
    EscalationStep,
    EventCause,
    FleetColumns,
    FleetView,
    Gap,
    Incident,
    IncidentChange,
    IncidentSubject,
    InstrumentAction,
    Maintenance,
    Retention,
    SicBaseline,
    TimeHistoryRequest,
    Tolerances,
    UnreadRow,
)


@dataclass(frozen=True)
class Table:
    """Where a table lies: its model, where each column lies, and what it is narrowed by, "" for nothing.

    With `until` a row is told if it has a part of the range, else if its `time` lies in it. `serial` leads to the
    serial number of its instrument. `key` is its order, and unique within an organisation.
    """

    model: Any
    columns: Mapping[str, str]
    time: str = ""
    until: str = ""
    serial: str = ""
    key: str = "pk"


def _table(model: Any, *names: str, time: str = "", until: str = "", **elsewhere: str) -> Table:
    """A table of the columns ``names``, behind those that are called otherwise here or lie ``elsewhere``."""
    columns = {**elsewhere, **{name: name for name in names}}
    return Table(model, columns, time, until, serial=elsewhere.get("instrument", ""))


_INSTRUMENT = "instrument__serial"
_MEMBER = "membership__user__email"

TABLES: dict[str, Table] = {
    # Itself: one row.
    "organisation": _table(
        Organisation,
        *("name", "slug", "created_at", "timezone", "day_hour", "evening_hour", "night_hour"),
        *("registers_webhooks", "accepts_legacy_notifications", "is_demo"),
    ),
    # In the vendor's names where it has one; the last three are ours.
    "instruments": Table(
        Instrument,
        {
            "serialNumber": "serial",
            "type": "type",
            "model": "model",
            "name": "name",
            "subscription.status": "subscription_status",
            "subscription.tier": "subscription_tier",
            "subscription.addons": "subscription_addons",
            "feature": "features",
            "position.latitude": "latitude",
            "position.longitude": "longitude",
            "firstSeen": "first_seen_at",
            "lastSeen": "seen_at",
            "gone": "gone_at",
        },
        time="first_seen_at",
        until="gone_at",
        serial="serial",
        key="serial",
    ),
    "sites": _table(
        Site,
        *(
            "name",
            "address",
            "latitude",
            "longitude",
            "timezone",
            "placement",
            "notes",
            "photo",
            "created_at",
        ),
        id="pk",
    ),
    "deployments": _table(
        Deployment,
        *("start_at", "end_at", "note"),
        time="start_at",
        until="end_at",
        instrument=_INSTRUMENT,
        site="site__name",
    ),
    "gaps": _table(
        Gap,
        *("resource", "start_at", "end_at", "kind", "found_at"),
        time="start_at",
        until="end_at",
        instrument=_INSTRUMENT,
    ),
    "unread-rows": _table(
        UnreadRow, *("resource", "document", "found_at"), time="found_at", instrument=_INSTRUMENT
    ),
    "time-history-requests": _table(
        TimeHistoryRequest,
        *("kind", "start_at", "end_at", "step_ms", "requested_at", "state", "message"),
        *("fetched_until", "samples", "finished_at", "expires_at"),
        time="start_at",
        until="end_at",
        instrument=_INSTRUMENT,
        requested_by="requested_by__email",
    ),
    "actions": _table(
        InstrumentAction,
        *("kind", "requested_at", "why", "name", "state", "started_at", "remote_status"),
        *("message", "finished_at", "result_at"),
        time="requested_at",
        instrument=_INSTRUMENT,
        requested_by="requested_by__email",
    ),
    "calibrators": _table(Calibrator, "serial", "model", "created_at"),
    "certificates": _table(
        Certificate,
        *("number", "laboratory", "issued_on", "due_on", "created_at"),
        instrument=_INSTRUMENT,
        calibrator="calibrator__serial",
    ),
    "tolerances": _table(
        Tolerances,
        *("step_db", "offset_db", "sic_db", "calibration_days", "meter_months", "calibrator_months"),
    ),
    "sic-baselines": _table(
        SicBaseline,
        *("level_500hz_db", "level_1khz_db", "level_8khz_db", "set_at", "note"),
        instrument=_INSTRUMENT,
        set_by="set_by__email",
    ),
    "doubt-reviews": _table(
        DoubtReview,
        *("found_at", "good_until_at", "evidence", "reviewed_at"),
        time="found_at",
        instrument=_INSTRUMENT,
        reviewed_by="reviewed_by_name",
    ),
    "event-causes": _table(EventCause, "name", "position"),
    "alert-rules": _table(
        AlertRuleVersion,
        *("number", "settings", "serials", "sites", "source", "current", "made_at", "ended_at"),
        time="made_at",
        until="ended_at",
        rule="rule_id",
        kind="rule__kind",
        name="rule__name",
        paused_at="rule__paused_at",
        removed_at="rule__removed_at",
        made_by="made_by__email",
    ),
    "incidents": _table(
        Incident,
        *("kind", "title", "severity", "worst", "opened_at", "closed_at", "dark_since", "flapping"),
        *("maintenance", "acknowledged_at", "cause_code", "escalated"),
        time="opened_at",
        until="closed_at",
        id="pk",
        instrument=_INSTRUMENT,
        rule="version__rule_id",
        version="version__number",
        acknowledged_by="acknowledged_by__email",
        assigned_to="assigned_to__email",
    ),
    "incident-instruments": _table(
        IncidentSubject,
        *("since_at", "until_at"),
        time="since_at",
        until="until_at",
        incident="incident_id",
        instrument=_INSTRUMENT,
    ),
    "incident-steps": _table(
        IncidentChange,
        *("step", "severity", "cause", "at", "facts", "maintenance", "created_at"),
        time="at",
        incident="incident_id",
        instrument="incident__instrument__serial",
        actor="actor__email",
    ),
    "alert-deliveries": _table(
        AlertDelivery,
        *("due_at", "attempts", "message", "sent_at", "failed_at"),
        time="due_at",
        incident="change__incident_id",
        step="change__step",
        step_at="change__at",
        kind="channel",
        recipient="recipient__email",
        channel="target__name",
    ),
    "alert-preferences": _table(
        AlertPreference,
        *("kind", "minimum"),
        member=_MEMBER,
        channel="channel__name",
        instrument=_INSTRUMENT,
        site="site__name",
    ),
    # The two times of day are by the clock of `timezone`.
    "alert-hours": _table(AlertHours, "timezone", "quiet_from", "quiet_until", "red_breaks", member=_MEMBER),
    "escalation": _table(EscalationStep, "after_minutes", "minimum", member=_MEMBER),
    "maintenance": _table(
        Maintenance,
        *("start_at", "end_at", "reason"),
        time="start_at",
        until="end_at",
        instrument=_INSTRUMENT,
        site="site__name",
        made_by="made_by__email",
    ),
    # Where each sends to is a secret but for the host.
    "channels": _table(
        AlertChannel,
        *("name", "kind", "host", "off_at", "off_reason", "tested_at", "test_passed", "test_answer"),
        *("made_at", "removed_at"),
        made_by="made_by__email",
    ),
    "digest-wishes": _table(DigestWish, "rhythm", "hour", "timezone", member=_MEMBER),
    "digests": _table(
        Digest,
        *("rhythm", "on", "asked_at", "attempts", "message", "sent_at", "failed_at"),
        time="asked_at",
        recipient="recipient__email",
    ),
    "fleet-views": _table(FleetView, "name", "query", "created_at", member=_MEMBER),
    "fleet-columns": _table(FleetColumns, "columns", member=_MEMBER),
    "retention": _table(Retention, "resource", "days"),
    "people": _table(
        Membership,
        *("role", "created_at"),
        email="user__email",
        first_name="user__first_name",
        last_name="user__last_name",
    ),
    "activity": _table(Activity, "at", "verb", "subject", "detail", time="at", actor="actor_name"),
}
