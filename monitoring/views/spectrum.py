"""An instrument's spectrum at an instant and its spectrogram over a stretch of time: a page and the charts' data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cirrusweb.htmx import render
from instruments.access import instrument_for, organisation_for
from instruments.models import Instrument
from instruments.sites import Stays, stays_of, zone_of
from monitoring.acoustics.bands import band_label
from monitoring.charts.ranges import BadWindow, Window, instant
from monitoring.charts.spectra import Bands, Spectrogram, Spectrum, spectrogram, spectrum_at
from monitoring.charts.spectrum_figures import spectrogram_figure, spectrum_figure
from monitoring.export import utc_text
from monitoring.fetching import not_let
from monitoring.models import Resource
from monitoring.templatetags.levels import period, written
from monitoring.views.files import csv_file, line_writer, refusal
from monitoring.views.levels import answer_json, places_words
from monitoring.views.windows import Asked, fault_words, rows_page, window_asked

BAND_WORDS = (
    (Bands.OCTAVE.value, gettext_lazy("Octaves")),
    (Bands.THIRD.value, gettext_lazy("Third octaves")),
)
RESOURCES = {Bands.OCTAVE.value: Resource.OCTAVE, Bands.THIRD.value: Resource.THIRD_OCTAVE}


@dataclass(frozen=True, slots=True)
class Instant:
    """The instant of ?at= (None: the newest) and what was wrong with it; the bands of ?bands=."""

    at: datetime | None
    bands: str
    # The field of a form: the wall clock of where the instrument stood then.
    local: str = ""
    error: str = ""


def bands_asked(request: HttpRequest) -> str:
    """Those of ?bands=, octaves where they are none."""
    bands = request.GET.get("bands", "")
    return bands if bands in Bands.values else Bands.OCTAVE.value


def instant_asked(request: HttpRequest, instrument: Instrument) -> Instant:
    """What of a spectrum is asked for; a form's time is the wall clock of where ``instrument`` stood then."""
    asked, bands = request.GET.get("at", ""), bands_asked(request)
    if not asked:
        return Instant(None, bands)
    try:
        zone = zone_of(instrument, instant(asked, timezone.get_current_timezone()))
        at = instant(asked, zone)
    except BadWindow as problem:
        return Instant(None, bands, error=fault_words(problem.fault))
    return Instant(at, bands, at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S"))


def _interval(spectrum: Spectrum, zone: ZoneInfo) -> str:
    at = timezone.localtime(spectrum.at, zone)
    return f"{date_format(at, 'j M Y, H:i:s')} ({at:%Z}), {period(spectrum.duration_s)}"


def _spectrum_words(spectrum: Spectrum | None, instrument: Instrument) -> str:
    """The time of the row that is shown, where it was measured, before anything else, and the loudest band."""
    if spectrum is None:
        return ""
    held = [(level, hz) for hz, level in spectrum.levels.items() if level is not None]
    told = {"interval": _interval(spectrum, zone_of(instrument, spectrum.at))}
    words = _("%(interval)s. Leq per band, Z-weighted.") % told
    if not spectrum.covers:
        words = f"{_('Nothing was recorded at that time; this is the nearest:')} {words}"
    if held:
        level, hz = max(held)
        loudest = {"band": band_label(hz), "level": written(level, 1)}
        words += " " + _("Loudest band %(band)s, %(level)s dB.") % loudest
    return words


def spectrum_json(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The bars of the row stored nearest to ?at=, in ?bands=."""
    instrument = instrument_for(request, serial)
    asked = instant_asked(request, instrument)
    if asked.error:
        return answer_json({"error": asked.error}, status=400)
    spectrum = spectrum_at(instrument=instrument, bands=asked.bands, at=asked.at, now=timezone.now())
    figure = spectrum_figure(
        spectrum.levels if spectrum else {},
        at=spectrum.at if spectrum else None,
        name=_("Leq per band"),
        zone=zone_of(instrument, spectrum.at if spectrum else timezone.now()).key,
        summary=_spectrum_words(spectrum, instrument),
        empty="" if spectrum else not_let(RESOURCES[asked.bands], instrument) or _("No spectrum is stored."),
    )
    return answer_json(figure)


@dataclass(frozen=True, slots=True)
class Shown:
    """The columns that are drawn, tabled or written: the same numbers in each."""

    instrument: Instrument
    asked: Asked
    bands: str
    columns: Spectrogram

    @property
    def window(self) -> Window:
        """What is asked for."""
        return self.asked.window

    @property
    def resource(self) -> Resource:
        """What is asked for at MyCirrus for them."""
        return RESOURCES[self.bands]

    @property
    def summary(self) -> str:
        """What the columns are."""
        return _spectrogram_words(self.columns)

    def stays(self) -> Stays:
        """Where the instrument stood."""
        return stays_of(instrument=self.instrument, start=self.window.start, end=self.window.end)

    def rows(self) -> Iterator[tuple[datetime, list[float | None]]]:
        """The time and the levels of each column, gaps among them."""
        columns = self.columns
        for place, levels in enumerate(zip(*columns.levels, strict=True)):
            yield columns.start_at + timedelta(seconds=columns.bucket_s * place), list(levels)


def shown_spectrogram(request: HttpRequest, serial: str) -> Shown:
    """The band levels of the stretch asked for, in ?bands=."""
    instrument = instrument_for(request, serial)
    asked = window_asked(request, instrument, keep=("bands",))
    bands = bands_asked(request)
    start, end = asked.window.start, asked.window.end
    columns = spectrogram(instrument=instrument, bands=bands, start=start, end=end, now=asked.now)
    return Shown(instrument, asked, bands, columns)


def spectrogram_json(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The heat map of the stretch asked for, in ?bands=."""
    shown = shown_spectrogram(request, serial)
    if shown.asked.error:
        return answer_json({"error": shown.asked.error}, status=400)
    figure = spectrogram_figure(
        shown.columns,
        name=_("Leq per band"),
        start=shown.window.start,
        end=shown.window.end,
        zone=str(shown.asked.zone),
        summary=shown.summary,
        empty=""
        if shown.columns.count
        else not_let(shown.resource, shown.instrument) or _("No spectra were recorded in this range."),
    )
    return answer_json(figure)


def spectrogram_table(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The heat map's values as a table, newest first: for the ear, for print, and without JavaScript."""
    shown = shown_spectrogram(request, serial)
    timezone.activate(shown.asked.zone)
    rows = [row for row in shown.rows() if any(level is not None for level in row[1])][::-1]
    context = {
        "organisation": organisation_for(request),
        "instrument": shown.instrument,
        "asked": shown.asked,
        "window": shown.asked.window,
        "shown": shown,
        "bands": [band_label(hz) for hz in shown.columns.bands],
        **rows_page(request, rows, shown.asked, carry=f"bands={shown.bands}&"),
        "places": places_words(shown.stays(), shown.window),
    }
    return render(request, "monitoring/spectrogram.html", context)


def spectrogram_csv(request: HttpRequest, slug: str, serial: str) -> HttpResponseBase:
    """The heat map's values as CSV: a row for each column, gaps among them, in UTC."""
    shown = shown_spectrogram(request, serial)
    if shown.asked.error:
        return refusal(shown.asked)
    seconds, stays = shown.columns.bucket_s, shown.stays()
    rows = (
        [serial, utc_text(at), seconds, *levels, "; ".join(stays.during(at, at + timedelta(seconds=seconds)))]
        for at, levels in shown.rows()
    )
    names = [serial, "spectrogram", shown.bands]
    return csv_file(_lines(shown.columns.bands, rows), names=names, window=shown.window)


def spectrum_csv(request: HttpRequest, slug: str, serial: str) -> HttpResponseBase:
    """The spectrum of ?at= as CSV: one row, in UTC."""
    instrument = instrument_for(request, serial)
    asked = instant_asked(request, instrument)
    if asked.error:
        return HttpResponse(asked.error, status=400, content_type="text/plain; charset=utf-8")
    found = spectrum_at(instrument=instrument, bands=asked.bands, at=asked.at, now=timezone.now())
    at = found.at if found else asked.at or timezone.now()
    window = Window(at, at + timedelta(seconds=found.duration_s if found else 0))
    rows = []
    if found:
        site = "; ".join(stays_of(instrument=instrument, start=at, end=window.end).during(at, window.end))
        rows = [[serial, utc_text(at), found.duration_s, *found.levels.values(), site]]
    lines = _lines(found.levels if found else (), rows)
    return csv_file(lines, names=[serial, "spectrum", asked.bands], window=window)


def _lines(bands: Iterable[float], rows: Iterable[list[Any]]) -> list[str]:
    """Levels by band, in dB to the hundredth; what was not recorded is empty, never zero."""
    write = line_writer()
    head = ["instrument", "startTime", "duration", *(f"{band_label(hz)} (dB)" for hz in bands), "site"]
    cells = ([round(cell, 2) if isinstance(cell, float) else cell for cell in row] for row in rows)
    return [write(head), *map(write, cells)]


def _spectrogram_words(columns: Spectrogram) -> str:
    if not columns.count:
        return ""
    told = {"length": period(columns.bucket_s), "count": columns.count}
    words = _(
        "Leq per band, Z-weighted; each column is a mean by energy over %(length)s, from %(count)s spectra."
    )
    return words % told


def spectrum_card(request: HttpRequest, instrument: Instrument) -> dict[str, Any]:
    """What the card of spectra needs on a page."""
    asked = instant_asked(request, instrument)
    at = asked.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if asked.at else ""
    return {
        "spectrum": asked,
        "spectrum_query": f"bands={asked.bands}&at={at}" if at else f"bands={asked.bands}",
        "spectrum_at": asked.local,
        "band_choices": BAND_WORDS,
    }


def spectrum_page(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The spectrum of an instant as a table, beside both charts: it needs no JavaScript."""
    organisation = organisation_for(request)
    instrument = instrument_for(request, serial)
    window = window_asked(request, instrument, keep=("bands", "at"))
    asked = instant_asked(request, instrument)
    timezone.activate(window.zone)
    spectrum = spectrum_at(instrument=instrument, bands=asked.bands, at=asked.at, now=timezone.now())
    context = {
        "organisation": organisation,
        "instrument": instrument,
        "asked": window,
        "window": window.window,
        "rows": [(band_label(hz), level) for hz, level in spectrum.levels.items()] if spectrum else [],
        "told": _spectrum_words(spectrum, instrument),
        "resource": RESOURCES[bands_asked(request)],
        **spectrum_card(request, instrument),
    }
    return render(request, "monitoring/spectrum.html", context)
