"""Turns the JSON of MyCirrus into rows, tolerating all of contract section 11; pure, and must not raise on junk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from . import types
from .folded import END, START, Asked, Folded, span

Row = TypeVar("Row")
# A parser gives a row, or None for a document that it cannot understand.
Parser = Callable[[Folded, str | None], Row | None]

_SERIAL = ("instrument", "serialNumber", "serial")


def rows(documents: Sequence[Any], parser: Parser[Row], serial: str | None = None) -> types.Rows[Row]:
    """Every document that `parser` understands, the others in `.skipped`; `serial` is for rows that name none."""
    result: types.Rows[Row] = types.Rows()
    for document in documents:
        row = parser(Folded(document), serial) if isinstance(document, dict) else None
        if row is None:
            result.skipped.append(document)
        else:
            result.append(row)
    return result


def serial_of(document: Any) -> str | None:
    """The instrument that a document of any form names."""
    return Folded(document).text(*_SERIAL) if isinstance(document, dict) else None


def _serial(row: Folded, asked: str | None) -> str | None:
    return row.text(*_SERIAL) or asked


def instrument(row: Folded, asked: str | None = None) -> types.Instrument | None:
    serial = row.text("serialNumber", "serial", "instrument") or asked
    if not serial:
        return None
    subscription = row.inner("subscription")
    latitude, longitude = _position(row.inner("position"))
    return types.Instrument(
        serial=serial,
        type=row.text("type"),
        model=row.text("model"),
        name=row.text("name"),
        image=row.text("image"),
        subscription_status=subscription.text("status"),
        subscription_tier=subscription.text("tier"),
        subscription_addons=subscription.texts("addons", "addon"),
        latitude=latitude,
        longitude=longitude,
        features=row.texts("feature", "features"),
        document=row.document,
    )


def _position(position: Folded) -> tuple[float | None, float | None]:
    latitude = position.number("latitude", "lat")
    longitude = position.number("longitude", "long", "lng", "lon")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None, None
    # The vendor's example shows 0/0 for an instrument that was never placed; nobody monitors noise out there.
    return (None, None) if latitude == longitude == 0 else (latitude, longitude)


def calibration(row: Folded, asked: str | None = None) -> types.Calibration | None:
    at = row.time(*START)
    if at is None:
        return None
    return types.Calibration(
        serial=_serial(row, asked),
        at=at,
        status=row.text("status"),
        level_db=row.number("level"),
        offset_db=row.number("offset"),
        document=row.document,
    )


def sic(row: Folded, asked: str | None = None) -> types.Sic | None:
    at = row.time(*START)
    if at is None:
        return None
    return types.Sic(
        serial=_serial(row, asked),
        at=at,
        status=row.text("status"),
        level_500hz_db=row.number("_500Hz", "500Hz"),
        level_1khz_db=row.number("_1KHz", "1KHz"),
        level_8khz_db=row.number("_8KHz", "8KHz"),
        document=row.document,
    )


def status(row: Folded, asked: str | None = None) -> types.Status:
    return types.Status(
        online=row.flag("online"),
        measuring=row.flag("measuring"),
        calibration_in_progress=row.flag("calibrationInProgress"),
        sic_in_progress=row.flag("sicInProgress"),
        last_calibration=calibration(row.inner("lastCalibration"), asked),
        last_sic=sic(row.inner("lastSic"), asked),
        document=row.document,
    )


def calibration_log_entry(row: Folded, asked: str | None) -> types.CalibrationLogEntry | None:
    at = row.time(*START)
    if at is None:
        return None
    return types.CalibrationLogEntry(
        serial=_serial(row, asked),
        at=at,
        user=row.text("user"),
        message=row.text("message"),
        document=row.document,
    )


def weather(row: Folded, asked: str | None) -> types.Weather | None:
    at = row.time(*START)
    if at is None:
        return None
    return types.Weather(
        serial=_serial(row, asked),
        at=at,
        wind_speed_ms=row.number("windSpeed"),
        wind_direction_deg=row.number("windDirection"),
        temperature_c=row.number("temperature"),
        pressure_bar=row.number("pressure"),
        humidity_pct=row.number("humidity"),
        precipitation_mmh=row.number("precipitation"),
        document=row.document,
    )


def particulates(row: Folded, asked: str | None) -> types.Particulates | None:
    start, _, duration = span(row)
    if start is None:
        return None
    return types.Particulates(
        serial=_serial(row, asked),
        start_at=start,
        duration_s=duration,
        pm1_ugm3=row.number("pM1"),
        pm2p5_ugm3=row.number("pM2p5"),
        pm4p25_ugm3=row.number("pM4p25"),
        pm10_ugm3=row.number("pM10"),
        document=row.document,
    )


def gases(row: Folded, asked: str | None) -> types.Gases | None:
    start, _, duration = span(row)
    if start is None:
        return None
    return types.Gases(
        serial=_serial(row, asked),
        start_at=start,
        duration_s=duration,
        co_ppb=row.number("co"),
        co2_ppm=row.number("cO2"),
        h2s_ppb=row.number("h2S"),
        no_ppb=row.number("no"),
        no2_ppb=row.number("nO2"),
        o3_ppb=row.number("o3"),
        so2_ppb=row.number("sO2"),
        voc=row.number("voc"),
        document=row.document,
    )


def ppv(row: Folded, asked: str | None) -> types.Ppv | None:
    start, _, duration = span(row)
    if start is None:
        return None
    return types.Ppv(
        serial=_serial(row, asked),
        start_at=start,
        duration_s=duration,
        v_max_x_mms=row.number("vMaxX"),
        v_max_y_mms=row.number("vMaxY"),
        v_max_z_mms=row.number("vMaxZ"),
        f_dom_x_hz=row.number("fDomX"),
        f_dom_y_hz=row.number("fDomY"),
        f_dom_z_hz=row.number("fDomZ"),
        document=row.document,
    )


def vdv(row: Folded, asked: str | None) -> types.Vdv | None:
    start, _, duration = span(row)
    if start is None:
        return None
    return types.Vdv(
        serial=_serial(row, asked),
        start_at=start,
        duration_s=duration,
        vdv_x=row.number("vdvX"),
        vdv_y=row.number("vdvY"),
        vdv_z=row.number("vdvZ"),
        document=row.document,
    )


def event(row: Folded, asked: str | None) -> types.Event | None:
    start, end, _ = span(row)
    if start is None:
        return None
    return types.Event(
        serial=_serial(row, asked),
        start_at=start,
        end_at=end,
        name=row.text("name"),
        type=row.text("type"),
        level_db=row.number("level"),
        audio_at=row.time("audioTime"),
        overall=row.numbers("overall"),
        octave=row.numbers("octave"),
        third_octave=row.numbers("thirdOctave"),
        time_history_id=row.text("timeHistoryId"),
        audio_id=row.text("audioId"),
        document=row.document,
    )


def audio_recording(row: Folded, asked: str | None) -> types.AudioRecording | None:
    if not (recording_id := row.text("id")):
        return None
    return types.AudioRecording(
        id=recording_id,
        serial=_serial(row, asked),
        start_at=row.time(*START),
        end_at=row.time(*END),
        trigger_name=row.text("triggerName"),
        trigger_start_at=row.time("triggerStartTime"),
        trigger_end_at=row.time("triggerEndTime"),
        document=row.document,
    )


def monitor_stats(row: Folded, asked: str | None) -> types.MonitorStats | None:
    at = row.time(*START)
    if at is None:
        return None
    return types.MonitorStats(
        serial=_serial(row, asked),
        at=at,
        period_s=row.seconds("period", "duration", "samplePeriod"),
        cpu_pct=row.number("cpu"),
        mem_mb=row.number("mem"),
        mem_total_mb=row.number("mTot"),
        cache_mb=row.number("cache"),
        disk_mb=row.number("disk"),
        disk_total_mb=row.number("dTot"),
        temperature_c=row.number("temp"),
        voltage_v=row.number("voltage"),
        net_rx_kbit=row.number("netRx"),
        net_tx_kbit=row.number("netTx"),
        lte_rsrp=row.number("lteRsrp"),
        lte_rsrq=row.number("lteRsrq"),
        lte_sinr=row.number("lteSinr"),
        lte_signal=row.number("lteSignal"),
        ping_ms=row.number("ping"),
        document=row.document,
    )


def monitor_current(row: Folded, asked: str | None) -> types.MonitorCurrent | None:
    return types.MonitorCurrent(
        serial=_serial(row, asked),
        cpu_pct=row.number("cpu"),
        mem_pct=row.number("mem"),
        disk_pct=row.number("disk"),
        temperature_c=row.number("temp"),
        voltage_v=row.number("voltage"),
        network_kbits=row.number("network"),
        sim_quota_mb=row.number("simQuota"),
        sim_usage_mb=row.number("simUsage"),
        uptime_s=row.number("uptime"),
        document=row.document,
    )


def monitor_event(row: Folded, asked: str | None) -> types.MonitorEvent | None:
    at = row.time(*START, "eventTime", "timestamp")
    if at is None:
        return None
    return types.MonitorEvent(
        serial=_serial(row, asked),
        at=at,
        type=row.text("type", "event", "name"),
        message=row.text("message", "description", "text"),
        document=row.document,
    )


def webhook(row: Folded, asked: str | None = None) -> types.Webhook | None:
    if not (webhook_id := row.text("id", "webhookId")):
        return None
    return types.Webhook(
        id=webhook_id,
        type=row.text("type"),
        serial=row.text(*_SERIAL),
        url=row.text("url"),
        secret=row.text("secret"),
        document=row.without("secret"),
    )


_OF_SERIES: dict[type, Parser[Any]] = {
    types.Weather: weather,
    types.Particulates: particulates,
    types.Gases: gases,
    types.Ppv: ppv,
    types.Vdv: vdv,
    types.MonitorStats: monitor_stats,
}


class Told(NamedTuple):
    """What members tell: a row that has a number wherever they do, and the names that say nothing to the parser."""

    row: Any
    unknown: tuple[str, ...]


# Bounded, because the names are somebody else's.
@lru_cache(maxsize=256)
def told_by(kind: type, names: frozenset[str]) -> Told:
    """What members of these ``names`` tell of a series' ``kind``."""
    begun = {START[0]: "2000-01-01T00:00:00Z"}
    probe = Asked(begun | dict.fromkeys(names - begun.keys(), 1.0))
    row = _OF_SERIES[kind](probe, None)
    return Told(row, tuple(sorted(name for name in names if name.lower() not in probe.asked)))
