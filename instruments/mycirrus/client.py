"""The MyCirrus API as Python calls, one per operation; must not store, schedule or judge what it fetches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from . import errors, levels, parsing, scopes, types
from .calls import AUDIO_SECONDS, AudioStream, Calls, noted, period_parameter, segment, values_parameter
from .folded import Folded
from .noise import NoiseTable, plain_table
from .transport import MEGABYTE, Key, Limiter, Transport

ActionName = Literal["Identify", "Calibration", "SIC"]
AudioFormat = Literal["FLAC", "WAV", "AAC", "OGG"]

PRODUCTION = "https://api.mycirrus.cloud/v1"


class Client(Calls):
    """MyCirrus for one API key. Every call may raise any MyCirrusError.

    * `timeout` is (connect, silence between bytes) in seconds; `deadline` bounds a whole call, retries included.
    * `start` and `end` are aware; ranges and periods have limits per operation (contract 1.5), which the caller keeps.
    * Lists are `Rows`: what could not be understood is in `.skipped`. Rows that name no instrument get the asked
      serial when exactly one was asked, else None.
    * Serials of several instruments go as repeated keys, or with array_encoding="comma" as one comma-joined key.
    """

    def __init__(
        self,
        secret: str,
        base_url: str = PRODUCTION,
        limiter: Limiter | None = None,
        timeout: tuple[float, float] = (5.0, 30.0),
        user_agent: str = "cirrusweb",
        *,
        deadline: float = 60.0,
        size_cap: int = 64 * MEGABYTE,
        array_encoding: Literal["repeat", "comma"] = "repeat",
    ) -> None:
        # The plain text is let go at once, so that no traceback can show it as a local.
        key, secret = Key(secret), ""
        self._transport = Transport(
            key,
            base_url,
            limiter=limiter,
            timeout=timeout,
            total=deadline,
            size_cap=size_cap,
            user_agent=user_agent,
        )
        self._array_encoding = array_encoding

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._transport.key.last_four or '…'} at {self._transport.base_url}>"

    def close(self) -> None:
        self._transport.close()

    # Instruments: scopes instruments:read, :write (rename) and :action (action)

    def instruments(self) -> types.Rows[types.Instrument]:
        return self._list("list instruments", "/control/instruments", parsing.instrument)

    def instrument(self, serial: str) -> types.Instrument:
        return self._one("get instrument", _instrument_path(serial), parsing.instrument, serial)

    def instrument_rename(self, serial: str, name: str) -> None:
        self._transport.json(
            "rename instrument", "PUT", _instrument_path(serial), body={"name": name}, read=False
        )

    def status(self, serial: str) -> types.Status:
        return self._one("get status", _instrument_path(serial) + "/status", parsing.status, serial)

    def calibration(self, serial: str) -> types.Calibration | None:
        """The last calibration, None where there never was one."""
        path = _instrument_path(serial) + "/calibration"
        return self._one_or_none("get calibration", path, parsing.calibration, serial)

    def sic(self, serial: str) -> types.Sic | None:
        """The last SIC, None where there never was one."""
        return self._one_or_none("get SIC", _instrument_path(serial) + "/sic", parsing.sic, serial)

    def action(self, serial: str, action: ActionName) -> types.ActionResult:
        """Start an action. Never tried twice, and a status of Failed is an answer, not an error."""
        operation = f"start {action}"
        document = self._transport.json(
            operation, "POST", _instrument_path(serial) + "/action", params=[("action", action)]
        )
        row = self._object(operation, {} if document is None else document)
        return types.ActionResult(row.text("action") or action, row.text("status"), row.document)

    # System health: scope data.system:read

    def calibrations(
        self, serials: Sequence[str], start: datetime, end: datetime
    ) -> types.Rows[types.Calibration]:
        """At most 1 year."""
        return self._data("list calibrations", "/data/calibrations", parsing.calibration, serials, start, end)

    def calibration_log(
        self, serial: str, start: datetime, end: datetime
    ) -> types.Rows[types.CalibrationLogEntry]:
        """At most 1 year. One serial: the rows name none."""
        path = "/data/calibrations/log"
        return self._data("list calibration log", path, parsing.calibration_log_entry, [serial], start, end)

    def sics(self, serials: Sequence[str], start: datetime, end: datetime) -> types.Rows[types.Sic]:
        """At most 1 year, going by its siblings."""
        return self._data("list SICs", "/data/sic", parsing.sic, serials, start, end)

    def monitor_stats(
        self, serials: Sequence[str], start: datetime, end: datetime
    ) -> types.Rows[types.MonitorStats]:
        """At most 31 days. Quantum noise monitors only."""
        return self._data(
            "list monitor stats", "/data/monitor/stats", parsing.monitor_stats, serials, start, end
        )

    def monitor_current(self, serials: Sequence[str]) -> types.Rows[types.MonitorCurrent]:
        """Quantum noise monitors only. Rows may name no instrument: ask for one serial to be sure."""
        path = "/data/monitor/current"
        return self._data("get monitor state", path, parsing.monitor_current, serials, None, None)

    def monitor_events(
        self, serials: Sequence[str], start: datetime, end: datetime
    ) -> types.Rows[types.MonitorEvent]:
        """Path, parameters and rows are inferred (contract 5.6): NotFound may mean no such operation."""
        path = "/data/monitor/events"
        return self._data("list monitor events", path, parsing.monitor_event, serials, start, end)

    # Noise: scope data.noise:read

    def noise_measurements(
        self,
        serials: Sequence[str],
        start: datetime,
        end: datetime,
        period: timedelta | str | None = None,
        values: Sequence[str] = (),
    ) -> NoiseTable:
        """At most 31 days; `period` up to 1 day. Names of NOISE_VALUES; without any, LAeq, LCPeak and LAFMax.

        MyCirrus drops names that it does not know or have without a word, and statistical levels (LAF1 .. LAF99)
        whenever a period is given: compare what came with what was asked.
        """
        path, reader = "/data/noise/measurements", levels.noise_measurements
        more = [*period_parameter(period), *values_parameter(values)]
        return self._read(
            "list noise measurements", path, reader, serials, start, end, more, quick=plain_table
        )

    def noise_time_history(
        self,
        serials: Sequence[str],
        start: datetime,
        end: datetime,
        period: timedelta | str | None = None,
        values: Sequence[str] = (),
    ) -> types.Rows[types.TimeHistory]:
        """At most 7 days; `period` up to 1 minute, 1 s when not given."""
        path, reader = "/data/noise/timehistory", levels.time_histories
        more = [*period_parameter(period), *values_parameter(values)]
        return self._read("list noise time history", path, reader, serials, start, end, more)

    def frequency_measurements(
        self,
        serials: Sequence[str],
        start: datetime,
        end: datetime,
        period: timedelta | str | None = None,
        bands: Literal["Octave", "Third"] = "Octave",
        weighting: Literal["A", "C", "Z"] = "Z",
    ) -> types.Rows[types.FrequencyMeasurement]:
        """At most 31 days; `period` up to 1 day. A band or weighting that is not there is an error."""
        path, reader = "/data/frequency/measurements", levels.frequency_measurements
        more = [*period_parameter(period), ("bands", bands), ("weighting", weighting)]
        return self._read("list frequency measurements", path, reader, serials, start, end, more)

    def frequency_time_history(
        self,
        serials: Sequence[str],
        start: datetime,
        end: datetime,
        period: timedelta | str | None = None,
        bands: Literal["Octave", "Third"] = "Octave",
        weighting: Literal["A", "C", "Z"] = "Z",
    ) -> types.Rows[types.FrequencyHistory]:
        """At most 1 day; `period` up to 1 minute."""
        path, reader = "/data/frequency/timehistory", levels.frequency_histories
        more = [*period_parameter(period), ("bands", bands), ("weighting", weighting)]
        return self._read("list frequency time history", path, reader, serials, start, end, more)

    # Environment: scope data.enviro:read; at most 31 days, `period` 1 minute to 1 day

    def weather(
        self, serials: Sequence[str], start: datetime, end: datetime, period: timedelta | str | None = None
    ) -> types.Rows[types.Weather]:
        return self._data(
            "list weather", "/data/weather", parsing.weather, serials, start, end, period_parameter(period)
        )

    def particulates(
        self, serials: Sequence[str], start: datetime, end: datetime, period: timedelta | str | None = None
    ) -> types.Rows[types.Particulates]:
        path, parser = "/data/particulates", parsing.particulates
        return self._data("list particulates", path, parser, serials, start, end, period_parameter(period))

    def gases(
        self, serials: Sequence[str], start: datetime, end: datetime, period: timedelta | str | None = None
    ) -> types.Rows[types.Gases]:
        return self._data(
            "list gases", "/data/gases", parsing.gases, serials, start, end, period_parameter(period)
        )

    def vibration(
        self,
        kind: Literal["PPV", "VDV"],
        serials: Sequence[str],
        start: datetime,
        end: datetime,
        period: timedelta | str | None = None,
    ) -> types.Rows[types.Ppv] | types.Rows[types.Vdv]:
        """`kind` decides the rows: nothing in them names it."""
        path, more = f"/data/vibration/{segment(kind)}", period_parameter(period)
        if kind == "PPV":
            return self._data("list vibration", path, parsing.ppv, serials, start, end, more)
        return self._data("list vibration", path, parsing.vdv, serials, start, end, more)

    # Events: scope data.events:read, and data.audio:read for their audio

    def events(self, serials: Sequence[str], start: datetime, end: datetime) -> types.Rows[types.Event]:
        """At most 31 days."""
        return self._data("list events", "/data/events", parsing.event, serials, start, end)

    def event_time_history(self, time_history_id: str) -> types.Rows[types.TimeHistory]:
        operation, path = "get event time history", f"/data/events/timehistory/{segment(time_history_id)}"
        documents = self._documents(operation, self._transport.json(operation, "GET", path))
        return noted(operation, levels.time_histories(documents, None))

    def event_audio(
        self, audio_id: str, format: AudioFormat = "FLAC", *, seconds: float = AUDIO_SECONDS
    ) -> AudioStream:
        """The whole of it has to come within `seconds`."""
        return self._audio("get event audio", f"/data/events/audio/{segment(audio_id)}", format, seconds)

    # Audio: scope data.audio:read

    def audio_list(
        self, serials: Sequence[str], start: datetime, end: datetime
    ) -> types.Rows[types.AudioRecording]:
        return self._data("list audio", "/data/audio", parsing.audio_recording, serials, start, end)

    def audio(self, id: str, format: AudioFormat = "FLAC", *, seconds: float = AUDIO_SECONDS) -> AudioStream:
        """The whole of it has to come within `seconds`."""
        return self._audio("get audio", f"/data/audio/{segment(id)}", format, seconds)

    # Webhooks: scopes webhooks:read and webhooks:write; the answers hold secrets in clear

    def webhooks(self) -> types.Rows[types.Webhook]:
        return self._list("list webhooks", "/webhooks", parsing.webhook, secrets=True)

    def webhook(self, id: str) -> types.Webhook:
        return self._one("get webhook", f"/webhooks/{segment(id)}", parsing.webhook, None, secrets=True)

    def webhook_create(self, *, type: str, serial: str, url: str, secret: str | None = None) -> types.Webhook:
        """One message type of one instrument. Without a secret MyCirrus makes one; `url` must be HTTPS."""
        operation, body = "create webhook", _webhook_body(type, serial, url, secret)
        document = self._transport.json(operation, "POST", "/webhooks", body=body, secrets=True)
        webhook = parsing.webhook(self._object(operation, document, secrets=True))
        if webhook is None:
            raise errors.UnexpectedResponse("The new webhook has no id.", operation=operation)
        return webhook

    def webhook_update(
        self, id: str, *, type: str, serial: str, url: str, secret: str | None = None
    ) -> types.Webhook:
        """Inferred (contract 7): UnexpectedResponse where MyCirrus does not offer it."""
        body = _webhook_body(type, serial, url, secret)
        document = self._inferred("change webhook", "PUT", f"/webhooks/{segment(id)}", body)
        answered = document if isinstance(document, dict) else {}
        answered = {key.lower(): value for key, value in answered.items() if value is not None}
        webhook = parsing.webhook(Folded({**body, **answered, "id": id}))
        assert webhook is not None  # noqa: S101 (it has an id: ours)
        return webhook

    def webhook_delete(self, id: str) -> None:
        """Inferred (contract 7): UnexpectedResponse where MyCirrus does not offer it, NotFound where it is gone."""
        self._inferred("delete webhook", "DELETE", f"/webhooks/{segment(id)}", None, read=False)

    def probe_scopes(self) -> dict[str, bool | None]:
        """Which scopes the key has: see scopes.probe."""
        return scopes.probe(self)


def _instrument_path(serial: str) -> str:
    return f"/control/instruments/{segment(serial)}"


def _webhook_body(type: str, serial: str, url: str, secret: str | None) -> dict[str, Any]:
    body = {"type": type, "instrument": serial, "url": url}
    return {**body, "secret": secret} if secret else body
