"""Storing what MyCirrus answered: upserts by natural key inside the caller's transaction; it fetches nothing."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import compress, count, pairwise
from operator import sub
from typing import Any

from django.db.models import Max, Q
from django.utils import timezone

from instruments.mirror import fitting
from instruments.models import Instrument
from instruments.mycirrus import Calibration as CalibrationRow
from instruments.mycirrus import MonitorCurrent, NoiseTable, spacing
from instruments.mycirrus import NoiseMeasurement as NoiseRow
from instruments.mycirrus import Sic as SicRow
from instruments.mycirrus import Status as StatusRow
from monitoring.alerts.facts import instrument_judge
from monitoring.alerts.kinds import HEALTH, PRESENCE
from monitoring.alerts.limits import levels_judge
from monitoring.check_standings import standing_refresh
from monitoring.flags import impossible_note
from monitoring.models import (
    Calibration,
    CheckStanding,
    InstrumentStatus,
    NoiseMeasurement,
    SeriesRow,
    StatusChange,
    SystemIntegrityCheck,
)
from monitoring.possible import AHEAD, is_ahead, newest_of
from monitoring.status import STALE_AFTER_POLLS
from monitoring.sync.days import day_told, tells_day
from monitoring.sync.held import held_observe
from monitoring.sync.rollups import noise_rollups_refresh
from monitoring.sync.upsert import series_write, value_columns
from monitoring.tiles import poll_every

DAY = timedelta(days=1)
_FLAGS = ("online", "measuring", "calibration_in_progress", "sic_in_progress")
_VALUES = frozenset(value_columns(NoiseMeasurement)) - {"duration_s", "extra"}


def whole_second(at: datetime) -> datetime:
    """``at`` without its fraction: one calibration comes with 0, 3 or 7 digits and must stay one row."""
    return at.replace(microsecond=0)


def believable(seconds: float | None) -> float | None:
    """The length that a row says, None where no measurement is as long: MyCirrus knows no period above a day."""
    return seconds if seconds is not None and 0 < seconds <= DAY.total_seconds() else None


def present_of(instrument: Instrument, now: datetime) -> InstrumentStatus:
    """The instrument's present row, made where it is missing."""
    present, _ = InstrumentStatus.objects.get_or_create(
        instrument=instrument,
        defaults={"organisation_id": instrument.organisation_id, "changed_at": timezone.now()},
    )
    return present


def _is_newer(at: datetime, known: datetime | None, now: datetime) -> bool:
    """Whether ``at`` may take the place of ``known``, which a row of the future had taken before there was a bound."""
    return known is None or at >= known or is_ahead(known, now)


def _present_update(present: InstrumentStatus, values: dict[str, Any]) -> bool:
    """Write what differs; changed_at moves only then, so that an unchanged page costs a 204."""
    changed = {name: value for name, value in values.items() if getattr(present, name) != value}
    if not changed:
        return False
    for name, value in changed.items():
        setattr(present, name, value)
    # The clock, not the turn's beginning: a page looks for what is newer than what it shows, and would not see
    # what was slow to come.
    present.changed_at = timezone.now()
    present.save(update_fields=[*changed, "changed_at"])
    return True


def status_store(
    *, instrument: Instrument, row: StatusRow, now: datetime, present: InstrumentStatus | None = None
) -> bool:
    """Take over the state of ``instrument`` and note a change of online or measuring. True where it changed.

    ``present`` is its row, where the caller has read it: nobody else writes what a status says.
    """
    present = present or present_of(instrument, now)
    told: dict[str, Any] = {name: getattr(row, name) for name in _FLAGS}
    if told["online"] != present.online:
        told["online_since_at"] = now
    if told["measuring"] != present.measuring:
        told["measuring_since_at"] = now
    changed = {name: value for name, value in told.items() if getattr(present, name) != value}
    # It was not heard and is heard again: its page says otherwise from now on, whatever it is told.
    back = present.observed_at is None or present.observed_at < now - poll_every() * STALE_AFTER_POLLS
    if (row.online, row.measuring) != (present.online, present.measuring):
        StatusChange.objects.get_or_create(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            at=now,
            defaults={"online": row.online, "measuring": row.measuring},
        )
    written: dict[str, Any] = {**changed, "observed_at": now}
    if changed or back:
        written["changed_at"] = timezone.now()
    # Neither this nor the time of the poll is shown as a change.
    if present.document != row.document:
        written["document"] = dict(row.document)
    if len(written) == 1:
        held_observe(present=present, now=now)
    else:
        InstrumentStatus.objects.filter(pk=present.pk).update(**written)
    for name, value in written.items():
        setattr(present, name, value)
    instrument_judge(instrument=instrument, kinds=PRESENCE, now=now, present=present)
    return bool(changed) or back


def calibrations_store(
    *, instrument: Instrument, rows: Iterable[CalibrationRow], now: datetime
) -> list[Calibration]:
    """Upsert calibrations by instrument and second; return those that are new or corrected, oldest first."""
    news = _checks_store(Calibration, instrument, rows, ("status", "level_db", "offset_db"))
    checks = Calibration.objects.filter(instrument=instrument, at__lte=now + AHEAD)
    newest = checks.order_by("-at").first()
    if newest is not None:
        told = {
            "calibrated_at": newest.at,
            "calibration_status": newest.status,
            "calibration_offset": newest.offset_db,
        }
        _present_update(present_of(instrument, now), told)
        _standing_keep(instrument, news)
    return news


def sics_store(
    *, instrument: Instrument, rows: Iterable[SicRow], now: datetime
) -> list[SystemIntegrityCheck]:
    """Upsert SICs by instrument and second; return those that are new or corrected, oldest first."""
    levels = ("status", "passed", "level_500hz_db", "level_1khz_db", "level_8khz_db")
    news = _checks_store(SystemIntegrityCheck, instrument, rows, levels)
    checks = SystemIntegrityCheck.objects.filter(instrument=instrument, at__lte=now + AHEAD).order_by("-at")
    newest = checks.first()
    if newest is not None:
        # A word that says neither must not hide a failure before it.
        decided = checks.filter(passed__isnull=False).first()
        told = {
            "sic_at": newest.at,
            "sic_status": newest.status,
            "sic_passed": None if decided is None else decided.passed,
        }
        _present_update(present_of(instrument, now), told)
        _standing_keep(instrument, news)
    return news


def _standing_keep(instrument: Instrument, news: Sequence[Any]) -> None:
    # Checks of before there were standings get theirs with the next answer, whatever it holds.
    if news or not CheckStanding.objects.filter(instrument=instrument).exists():
        standing_refresh(instrument=instrument)


def _checks_store(
    model: Any, instrument: Instrument, rows: Iterable[Any], fields: Sequence[str]
) -> list[Any]:
    by_time = {whole_second(row.at): row for row in rows}
    stored = {check.at: check for check in model.objects.filter(instrument=instrument, at__in=by_time)}
    created, corrected = [], []
    for at, row in by_time.items():
        told = {name: fitting(model, name, getattr(row, name)) for name in fields}
        check = stored.get(at)
        if check is None:
            created.append(
                model(
                    organisation_id=instrument.organisation_id,
                    instrument=instrument,
                    at=at,
                    document=dict(row.document),
                    **told,
                )
            )
            continue
        # An answer that leaves a level out must not wipe one that another endpoint gave.
        news = {
            name: value
            for name, value in told.items()
            if value not in (None, "") and getattr(check, name) != value
        }
        if news:
            for name, value in news.items():
                setattr(check, name, value)
            check.document = {**check.document, **dict(row.document)}
            check.save(update_fields=[*news, "document"])
            corrected.append(check)
    model.objects.bulk_create(created, batch_size=500)
    return sorted([*created, *corrected], key=lambda check: check.at)


def noise_store(*, instrument: Instrument, rows: Iterable[NoiseRow], now: datetime) -> bool:
    """Upsert measurements, sum anew the rollups of what is new, and keep the newest as the present level.

    True where something was new or corrected.
    """
    table = NoiseTable.of(rows)
    seconds = _seconds(table, level_seconds(instrument))
    columns = {name: column for name, column in table.values.items() if name in _VALUES}
    written = series_write(
        NoiseMeasurement, framed(instrument, table.starts, seconds, _extras(table)) | columns
    )
    if not written:
        return False
    impossible_note(
        instrument=instrument,
        table="noise",
        starts=table.starts,
        columns=table.values,
        possible=table.possible,
    )
    last = newest_of(table.starts, now)
    newest = None if last is None else table.starts.index(last)
    length = None if newest is None else seconds[newest]
    # As it was read with the target: its level only ever becomes newer, and history does not touch it.
    present = getattr(instrument, "status", None)
    if (
        present is None
        or present.level_at is None
        or (last is not None and _is_newer(last + DAY, present.level_at, now))
    ):
        present = present_of(instrument, now)
    usual = length or present.level_seconds or 60.0
    for first, until in stretches(written):
        noise_rollups_refresh(instrument=instrument, first=first, last=until, usual_s=usual)
    told: dict[str, Any] = {}
    if last is not None and newest is not None and _is_newer(last, present.level_at, now):
        told = {
            "level_at": last,
            "level_seconds": None if length is None else round(length),
            # Of the row that is shown already only what is named anew.
            **{
                name: table[newest].values.get(name)
                for name in ("LAeq", "LAFMax", "LCPeak")
                if last != present.level_at or name in columns
            },
        }
        if instrument.measures_noise:
            told["empty_since_at"] = _empty_since(
                instrument, NoiseMeasurement, table.starts, columns, present, last
            )
    told |= day_told(instrument=instrument, present=present, model=NoiseMeasurement, changed=written, now=now)
    _present_update(present, told)
    levels_judge(instrument=instrument, table="noise", starts=table.starts, changed=len(written), now=now)
    return True


def framed(
    instrument: Instrument,
    starts: Sequence[datetime],
    seconds: Sequence[float | None],
    extras: Sequence[dict[str, Any] | None],
) -> dict[str, Sequence[Any]]:
    """The columns that every series has; what no row says is left out, and so stays as it is stored."""
    told: dict[str, Sequence[Any]] = {
        "organisation_id": [instrument.organisation_id] * len(starts),
        "instrument_id": [instrument.pk] * len(starts),
        "start_at": starts,
    }
    return told | {
        name: column
        for name, column in (("duration_s", seconds), ("extra", extras))
        if any(each is not None for each in column)
    }


def stretches(instants: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """The first and the last of those that are less than a day apart: a clock that is set wrong is decades away."""
    ordered = sorted(instants)
    breaks = compress(count(1), map(DAY.__lt__, map(sub, ordered[1:], ordered)))
    for start, end in pairwise([0, *breaks, len(ordered)]):
        yield ordered[start], ordered[end - 1]


def level_seconds(instrument: Instrument) -> int | None:
    """How long the newest level of ``instrument`` lasted, as it was read with the target."""
    present: InstrumentStatus | None = getattr(instrument, "status", None)
    return None if present is None else present.level_seconds


def _seconds(table: NoiseTable, known: float | None) -> list[float | None]:
    """The rows' lengths; where none says its own, their distance or else what is ``known`` tells it."""
    lengths = table.durations
    if None in lengths:
        lengths = [
            (end - start).total_seconds() if length is None and end is not None else length
            for start, end, length in zip(table.starts, table.ends, lengths, strict=True)
        ]
    # They are few, and the rows are many.
    told = list(map({length: believable(length) for length in set(lengths)}.__getitem__, lengths))
    if any(told):
        return told
    apart = spacing(table.starts)
    return [known if apart is None else apart.total_seconds()] * len(told)


def _extras(table: NoiseTable) -> list[dict[str, object] | None]:
    """What came beside the known values; nearly always nothing, or one and the same for every row."""
    columns = {name: column for name, column in table.values.items() if name not in _VALUES} | dict(
        table.labels
    )
    if all(column.count(column[0]) == len(column) for column in columns.values()):
        told: dict[str, object] = {
            name: column[0] for name, column in columns.items() if column[0] is not None
        }
        return [told or None] * len(table)
    return [
        {name: value for name, value in zip(columns, row, strict=True) if value is not None} or None
        for row in zip(*columns.values(), strict=True)
    ]


def sample_present_store(
    *,
    instrument: Instrument,
    model: type[SeriesRow],
    at: datetime | None,
    seconds: float | None,
    values: dict[str, float | None] | None,
    starts: Sequence[datetime],
    columns: Mapping[str, Sequence[Any]],
    changed: Sequence[datetime],
    now: datetime,
) -> None:
    """Keep the newest sample of an answer as the present reading, unless a later one is known, and the last day's line.

    ``values`` is None where no page shows such a reading, ``at`` where none can be of the present; ``changed`` are the
    rows that are new or corrected.
    """
    tells = bool(changed) and tells_day(instrument, model)
    if values is None and not tells:
        return
    present = present_of(instrument, now)
    told: dict[str, Any] = {}
    if values is not None and at is not None and _is_newer(at, present.latest_at, now):
        told = {
            "latest": values,
            "latest_at": at,
            "latest_seconds": None if seconds is None else round(seconds),
        }
        if not instrument.measures_noise:
            told["empty_since_at"] = _empty_since(instrument, model, starts, columns, present, at)
    if tells:
        told |= day_told(instrument=instrument, present=present, model=model, changed=changed, now=now)
    _present_update(present, told)


def _empty_since(
    instrument: Instrument,
    model: type[SeriesRow],
    starts: Sequence[datetime],
    columns: Mapping[str, Sequence[Any]],
    present: InstrumentStatus,
    last: datetime,
) -> datetime | None:
    """Since when its rows hold no value, by an answer with ``last``, the newest of them; None where that has one."""
    newest = starts.index(last)
    if any(column[newest] is not None for column in columns.values()):
        return None
    # As it is stored: what an answer does not name is not missing. Only a sensor that fails costs this query.
    names = set(value_columns(model)) - {"duration_s", "extra"}
    valued = Q(*((f"{name}__isnull", False) for name in names), _connector=Q.OR)
    found = model.objects.filter(valued, instrument=instrument, start_at__range=(min(starts), last))
    valued_at = found.aggregate(at=Max("start_at"))["at"]
    if valued_at is None:
        return present.empty_since_at or min(starts)
    return min((at for at in starts if valued_at < at <= last), default=None)


def health_store(*, instrument: Instrument, row: MonitorCurrent, now: datetime) -> bool:
    """Keep the monitor's own health as it is now, with units in the names. True where it changed."""
    health = {
        field.name: getattr(row, field.name)
        for field in dataclasses.fields(row)
        if field.name not in ("serial", "document") and getattr(row, field.name) is not None
    }
    present = present_of(instrument, now)
    changed = present.health != health
    # Not shown as a change of the fleet: processor load moves at every turn.
    InstrumentStatus.objects.filter(pk=present.pk).update(health=health, health_at=now)
    present.health, present.health_at = health, now
    instrument_judge(instrument=instrument, kinds=HEALTH, now=now, present=present)
    return changed
