"""What is kept of each resource that has a history: how it is asked for, how it is stored, how far back at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from instruments.models import Instrument
from instruments.mycirrus import NOISE_VALUES, Client, NoiseTable, Rows, spacing
from instruments.mycirrus import AudioRecording as AudioRow
from monitoring.models import (
    AudioRecording,
    Event,
    FrequencyMeasurement,
    GasSample,
    MonitorStats,
    ParticulateSample,
    PeakParticleVelocity,
    Resource,
    SyncTarget,
    VibrationDose,
    WeatherSample,
)
from monitoring.possible import is_ahead
from monitoring.sync import ingest, kept
from monitoring.sync.gaps import Span
from monitoring.sync.kept import seconds_of, started

# MyCirrus takes a year for checks and notes, 31 days for everything else.
YEAR = timedelta(days=365)
MONTH = timedelta(days=31)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
# Of checks and notes, read again at each live turn: a monitor without a modem goes on checking itself, and uploads it
# all once it is back. There are few of them, so that a month costs no request more.
CHECKS_OVERLAP = MONTH

Fetch = Callable[[Client, Sequence[str], datetime, datetime], Rows[Any] | NoiseTable]


@dataclass(frozen=True, slots=True)
class History:
    """One resource's past.

    `window` is asked for at a time where there are rows, `longest` where there are none; history in as many windows
    at once as hold about `most` rows. `first_look` is how far back the first live turn goes; the rest is history.
    `overlap` is read again at each live turn, and `astride` too, for what begins before another's end but comes after
    it. `usual` is the length of a row that does not say its own; None where rows are single happenings and silence
    is no gap. `near` is how far a watermark may be behind for its instrument to be asked for together with others;
    None where the rows name no instrument.
    """

    fetch: Fetch
    store: kept.Store
    window: timedelta
    longest: timedelta = MONTH
    first_look: timedelta = DAY
    overlap: timedelta = timedelta(0)
    astride: timedelta = timedelta(0)
    most: int = 1_500
    usual: timedelta | None = None
    # Its rows are as long as the monitor's levels.
    levels: bool = False
    near: timedelta | None = timedelta(hours=2)

    def since(self, target: SyncTarget, now: datetime) -> datetime:
        """From when on everything is asked for that may have come since the watermark."""
        if target.watermark_at is None:
            # As it was when the target was made: the back-fill has begun there.
            return target.floor_at or now - self.first_look
        return target.watermark_at - self.overlap - self.astride

    def live_start(self, target: SyncTarget, now: datetime) -> datetime:
        """From when on a live turn asks.

        What keeps silent for long is asked for as far back as its neighbours are, once a day and once after it came
        back from its watermark on: a year of silence is a dozen requests, and at every turn they would use up the key.
        """
        since, watermark, silent = self.since(target, now), target.watermark_at, target.silent_until_at
        if self.near is None or watermark is None or silent is None or silent - watermark <= self.near:
            return since
        recent = now - self.near
        if silent < recent:
            # The long look is under way, or nobody has looked for a while.
            return silent
        present = getattr(target.instrument, "status", None)
        back_at = present.online_since_at if present is not None else None
        if _day(target, silent) != _day(target, now) or (back_at is not None and back_at > silent):
            return since
        return max(since, recent)

    def usual_of(self, instrument: Instrument) -> timedelta:
        """The length of a row of ``instrument`` that says none, and whose neighbours do not tell it."""
        known = ingest.level_seconds(instrument) if self.levels else None
        return timedelta(seconds=known) if known else self.usual or timedelta(0)

    def window_after(self, asked: timedelta, rows: int) -> timedelta:
        """How much history to ask for after ``asked`` held ``rows``, which is nearly always as dense."""
        if not rows:
            return self.longest
        windows = max(self.most * asked // (rows * self.window), 1)
        return min(windows * self.window, self.longest)


def _day(target: SyncTarget, at: datetime) -> int:
    # Each target's begins at an hour of its own, or all would look back in the same minutes.
    return int(at.timestamp() + target.pk * 887) // 86_400


def span_of(row: Any, usual: timedelta) -> tuple[datetime, datetime]:
    """From when to when ``row`` measured."""
    start, end = started(row), getattr(row, "end_at", None)
    if end is not None and timedelta(0) < end - start <= ingest.DAY:
        return start, end
    seconds = seconds_of(row)
    return start, start + (usual if seconds is None else timedelta(seconds=seconds))


def covered(rows: Sequence[Any], usual: timedelta, now: datetime) -> tuple[Sequence[Span], timedelta]:
    """The stretches that ``rows`` measured, and the length of the longest row.

    What begins in the future is none: a watermark would move past what is not sent yet, and all up to it be a gap.
    """
    spans, longest = _covered(rows, usual)
    return [span for span in spans if not is_ahead(span[0], now)], longest


def _covered(rows: Sequence[Any], usual: timedelta) -> tuple[Sequence[Span], timedelta]:
    if isinstance(rows, NoiseTable):
        return rows.covered(usual)
    # Happenings are no longer for being apart.
    if usual and all(getattr(row, "end_at", None) is None and seconds_of(row) is None for row in rows):
        usual = spacing(started(row) for row in rows) or usual
    spans = [span_of(row, usual) for row in rows]
    return spans, max((end - begin for begin, end in spans), default=usual)


def _placed(recordings: Rows[AudioRow]) -> Rows[AudioRow]:
    """One that says no time at all is kept, but not among those of a time."""
    timeless = [row for row in recordings if not (row.start_at or row.trigger_start_at)]
    placed = [row for row in recordings if row.start_at or row.trigger_start_at]
    return Rows(placed, [*recordings.skipped, *(row.document for row in timeless)])


HISTORIES: dict[str, History] = {
    Resource.NOISE: History(
        lambda client, serials, start, end: client.noise_measurements(
            serials, start, end, values=NOISE_VALUES
        ),
        kept.noise,
        window=DAY,
        most=4_500,
        usual=MINUTE,
        levels=True,
    ),
    Resource.OCTAVE: History(
        lambda client, serials, start, end: client.frequency_measurements(
            serials, start, end, bands="Octave"
        ),
        kept.bands(FrequencyMeasurement.Bands.OCTAVE),
        window=DAY,
        usual=MINUTE,
        levels=True,
    ),
    Resource.THIRD_OCTAVE: History(
        lambda client, serials, start, end: client.frequency_measurements(serials, start, end, bands="Third"),
        kept.bands(FrequencyMeasurement.Bands.THIRD),
        window=DAY,
        usual=MINUTE,
        levels=True,
    ),
    Resource.WEATHER: History(
        lambda client, serials, start, end: client.weather(serials, start, end),
        kept.samples(
            WeatherSample,
            pressure_hpa=lambda row: None if row.pressure_bar is None else row.pressure_bar * 1000,
        ),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.PARTICULATES: History(
        lambda client, serials, start, end: client.particulates(serials, start, end),
        kept.samples(ParticulateSample, latest=kept.particulates),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.GASES: History(
        lambda client, serials, start, end: client.gases(serials, start, end),
        kept.samples(GasSample),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.PPV: History(
        lambda client, serials, start, end: client.vibration("PPV", serials, start, end),
        kept.samples(PeakParticleVelocity, latest=kept.largest_axis),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.VDV: History(
        lambda client, serials, start, end: client.vibration("VDV", serials, start, end),
        kept.samples(VibrationDose),
        window=timedelta(days=7),
        usual=MINUTE,
    ),
    Resource.STATS: History(
        lambda client, serials, start, end: client.monitor_stats(serials, start, end),
        kept.samples(MonitorStats),
        window=timedelta(days=7),
        near=DAY,
    ),
    Resource.EVENTS: History(
        lambda client, serials, start, end: client.events(serials, start, end),
        kept.records(Event, ("start_at", "name"), kept.event, at="start_at"),
        window=timedelta(days=7),
        astride=timedelta(hours=2),
        near=timedelta(days=7),
    ),
    Resource.AUDIO: History(
        lambda client, serials, start, end: _placed(client.audio_list(serials, start, end)),
        kept.records(AudioRecording, ("remote_id",), kept.recording, at="start_at"),
        window=timedelta(days=7),
        astride=timedelta(hours=2),
        near=timedelta(days=7),
    ),
    Resource.CALIBRATION_LOG: History(
        lambda client, serials, start, end: client.calibration_log(serials[0], start, end),
        kept.notes,
        window=YEAR,
        longest=YEAR,
        first_look=YEAR,
        overlap=CHECKS_OVERLAP,
        near=None,
    ),
    Resource.CALIBRATIONS: History(
        lambda client, serials, start, end: client.calibrations(serials, start, end),
        kept.calibrations,
        window=YEAR,
        longest=YEAR,
        first_look=YEAR,
        overlap=CHECKS_OVERLAP,
        near=DAY,
    ),
    Resource.SIC: History(
        lambda client, serials, start, end: client.sics(serials, start, end),
        kept.sics,
        window=YEAR,
        longest=YEAR,
        first_look=YEAR,
        overlap=CHECKS_OVERLAP,
        near=DAY,
    ),
}
