"""Every operation of the REST API: method, path and scopes as in the OpenAPI file; no request is handled here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator import control, environment, recordings, telemetry, timehistory
from simulator.asked import Asked
from simulator.frequency import frequency_measurements
from simulator.measurements import noise_measurements
from simulator.moods import Moods
from simulator.systemhealth import calibration_log, calibrations, sics
from simulator.webhooks import WebhookOperations, Webhooks

Operation = Callable[[Asked], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the contract."""

    method: str
    path: str
    operation_id: str
    scopes: tuple[str, ...]
    run: Operation

    @property
    def threaded(self) -> bool:
        """Whether it may compute for long, so that the loop must not wait for it."""
        return self.path.startswith("/data/")


def routes_of(webhooks: Webhooks, moods: Moods) -> list[Route]:
    hooks = WebhookOperations(webhooks, moods)
    instrument, webhook = "/control/instruments/{serial}", "/webhooks/{webhookId}"
    read, action = ("instruments:read",), ("instruments:action",)
    noise, enviro, system = ("data.noise:read",), ("data.enviro:read",), ("data.system:read",)
    audio, event = ("data.audio:read",), ("data.events:read",)
    hooks_read, hooks_write = ("webhooks:read",), ("webhooks:write",)
    return [
        Route("GET", "/control/instruments", "getinstruments", read, control.instruments),
        Route("GET", instrument, "getinstrument", read, control.instrument),
        Route("PUT", instrument, "setinstrument", ("instruments:write",), control.rename),
        Route("GET", instrument + "/status", "getinstrumentstatus", read, control.status),
        Route("POST", instrument + "/action", "doinstrumentaction", action, control.action),
        Route("GET", instrument + "/calibration", "getcalibrationstatus", read, control.calibration),
        Route("GET", instrument + "/sic", "getsicstatus", read, control.sic),
        Route("GET", "/data/noise/measurements", "getmeasurements", noise, noise_measurements),
        Route("GET", "/data/noise/timehistory", "gettimehistory", noise, timehistory.noise),
        Route(
            "GET", "/data/frequency/measurements", "getfrequencymeasurements", noise, frequency_measurements
        ),
        Route("GET", "/data/frequency/timehistory", "getfrequencytimehist", noise, timehistory.frequency),
        Route("GET", "/data/audio", "getaudiolist", audio, recordings.audio_list),
        Route("GET", "/data/audio/{recordingId}", "getaudio", audio, recordings.recording_audio),
        Route("GET", "/data/weather", "getweather", enviro, environment.weather_samples),
        Route("GET", "/data/particulates", "getparticulates", enviro, environment.particulates),
        Route("GET", "/data/gases", "getgases", enviro, environment.gases),
        Route("GET", "/data/vibration/{type:PPV|VDV}", "getvibration", enviro, environment.vibration),
        Route("GET", "/data/events", "getevents", event, recordings.event_list),
        Route(
            "GET",
            "/data/events/timehistory/{id}",
            "geteventtimehistory",
            event,
            recordings.event_time_history,
        ),
        Route("GET", "/data/events/audio/{id}", "geteventaudio", event + audio, recordings.event_audio),
        Route("GET", "/data/calibrations", "getcalibrations", system, calibrations),
        Route("GET", "/data/calibrations/log", "getcalibrationslog", system, calibration_log),
        Route("GET", "/data/sic", "getsic", system, sics),
        Route("GET", "/data/monitor/stats", "getmonitorstats", system, telemetry.monitor_stats),
        Route("GET", "/data/monitor/current", "getmonitorcurrentstatus", system, telemetry.monitor_current),
        Route("GET", "/webhooks", "getwebhooks", hooks_read, hooks.index),
        Route("POST", "/webhooks", "addwebhook", hooks_write, hooks.create),
        Route("GET", webhook, "getwebhook", hooks_read, hooks.read),
        Route("PUT", webhook, "updatewebhook", hooks_write, hooks.change),
        Route("DELETE", webhook, "deletewebhook", hooks_write, hooks.delete),
    ]
