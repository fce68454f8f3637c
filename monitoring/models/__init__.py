"""The tables of this app."""

from .actions import ActionKind, ActionState, InstrumentAction
from .alerts import (
    AlertKind,
    AlertRule,
    AlertRuleVersion,
    AlertWatch,
    Incident,
    IncidentChange,
    IncidentSubject,
    Severity,
)
from .certificates import Calibrator, Certificate
from .channels import AlertChannel, ChannelSecret
from .check_standings import CheckStanding, SicBaseline
from .checks import Calibration, SystemIntegrityCheck
from .digests import Digest, DigestWish
from .doubt import DoubtReview
from .events import AudioRecording, CalibrationLogEntry, Event
from .feeds import CalendarFeed
from .fleets import FleetColumns, FleetVersion, FleetView
from .gaps import Gap
from .impossible import ImpossibleRow
from .noise import NoiseMeasurement, NoiseRollup
from .retention import Retention
from .series import (
    BandRollup,
    Bucket,
    FrequencyMeasurement,
    GasSample,
    MonitorStats,
    OfSeries,
    ParticulateSample,
    PeakParticleVelocity,
    SampleRollup,
    SeriesRow,
    VibrationDose,
    WeatherSample,
)
from .status import InstrumentStatus, StatusChange
from .sync import Lane, Outcome, Resource, SyncTarget
from .tags import EventCause, EventTag
from .telling import (
    AlertDelivery,
    AlertHours,
    AlertPreference,
    EscalationStep,
    Maintenance,
    Owed,
)
from .timehistory import HistoryKind, HistoryState, TimeHistoryHour, TimeHistoryRequest
from .tolerances import Tolerances
from .unread import UnreadRow

__all__ = [
    "ActionKind",
    "ActionState",
    "AlertChannel",
    "AlertDelivery",
    "AlertHours",
    "AlertKind",
    "AlertPreference",
    "AlertRule",
    "AlertRuleVersion",
    "AlertWatch",
    "AudioRecording",
    "BandRollup",
    "Bucket",
    "CalendarFeed",
    "Calibration",
    "CalibrationLogEntry",
    "Calibrator",
    "Certificate",
    "ChannelSecret",
    "CheckStanding",
    "Digest",
    "DigestWish",
    "DoubtReview",
    "EscalationStep",
    "Event",
    "EventCause",
    "EventTag",
    "FleetColumns",
    "FleetVersion",
    "FleetView",
    "FrequencyMeasurement",
    "Gap",
    "GasSample",
    "HistoryKind",
    "HistoryState",
    "ImpossibleRow",
    "Incident",
    "IncidentChange",
    "IncidentSubject",
    "InstrumentAction",
    "InstrumentStatus",
    "Lane",
    "Maintenance",
    "MonitorStats",
    "NoiseMeasurement",
    "NoiseRollup",
    "OfSeries",
    "Outcome",
    "Owed",
    "ParticulateSample",
    "PeakParticleVelocity",
    "Resource",
    "Retention",
    "SampleRollup",
    "SeriesRow",
    "Severity",
    "SicBaseline",
    "StatusChange",
    "SyncTarget",
    "SystemIntegrityCheck",
    "TimeHistoryHour",
    "TimeHistoryRequest",
    "Tolerances",
    "UnreadRow",
    "VibrationDose",
    "WeatherSample",
]
