"""An instrument's spectrum at an instant and its spectrogram over a stretch of time: a page and the charts' data."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cirrusweb.htmx import render
from instruments.access import instrument_for, organisation_for
from instruments.sites import zone_of
from monitoring.acoustics.bands import band_label
from monitoring.charts.ranges import BadWindow, instant
from monitoring.charts.spectra import LONGEST, Bands, Spectrogram, Spectrum, spectrogram, spectrum_at
from monitoring.charts.spectrum_figures import spectrogram_figure, spectrum_figure
from monitoring.templatetags.levels import period
from monitoring.views.levels import answer_json
from monitoring.views.windows import fault_words, window_asked

BAND_WORDS = (
    (Bands.OCTAVE.value, gettext_lazy("Octaves")),
    (Bands.THIRD.value, gettext_lazy("Third octaves")),
)


@dataclass(frozen=True, slots=True)
class Instant:
    """The instant of ?at= (None: the newest) and what was wrong with it; the bands of ?bands=."""

    at: datetime | None
    bands: str
    error: str = ""


def instant_asked(request: HttpRequest, zone: ZoneInfo) -> Instant:
    """What of a spectrum is asked for; a form's time is the wall clock of ``zone``."""
    asked, bands = request.GET.get("at", ""), request.GET.get("bands", "")
    if bands not in Bands.values:
        bands = Bands.OCTAVE.value
    try:
        return Instant(instant(asked, zone) if asked else None, bands)
    except BadWindow as problem:
        return Instant(None, bands, fault_words(problem.fault))


def _interval(spectrum: Spectrum) -> str:
    at = timezone.localtime(spectrum.at)
    return f"{date_format(at, 'j M Y, H:i:s')} ({at:%Z}), {period(spectrum.duration_s)}"


def _spectrum_words(spectrum: Spectrum | None) -> str:
    """The time of the row that is shown, before anything else, and the loudest band."""
    if spectrum is None:
        return ""
    held = [(level, hz) for hz, level in spectrum.levels.items() if level is not None]
    told = {"interval": _interval(spectrum)}
    words = _("%(interval)s. Leq per band, Z-weighted.") % told
    if not spectrum.covers:
        words = f"{_('Nothing was recorded at that time; this is the nearest:')} {words}"
    if held:
        level, hz = max(held)
        loudest = {"band": band_label(hz), "level": number_format(level, 1)}
        words += " " + _("Loudest band %(band)s, %(level)s dB.") % loudest
    return words


def spectrum_json(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The bars of the row stored nearest to ?at=, in ?bands=."""
    instrument = instrument_for(request, serial)
    zone = zone_of(instrument, timezone.now())
    asked = instant_asked(request, zone)
    if asked.error:
        return answer_json({"error": asked.error}, status=400)
    spectrum = spectrum_at(instrument=instrument, bands=asked.bands, at=asked.at)
    figure = spectrum_figure(
        spectrum.levels if spectrum else {},
        name=_("Leq per band"),
        zone=zone.key,
        summary=_spectrum_words(spectrum),
        empty=_("No spectrum is stored."),
    )
    return answer_json(figure)


def spectrogram_json(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The heat map of the stretch asked for, in ?bands=."""
    instrument = instrument_for(request, serial)
    asked = window_asked(request, instrument)
    if asked.error:
        return answer_json({"error": asked.error}, status=400)
    bands = instant_asked(request, asked.zone).bands
    window = asked.window.last(LONGEST)
    columns = spectrogram(
        instrument=instrument, bands=bands, start=window.start, end=window.end, now=asked.now
    )
    figure = spectrogram_figure(
        columns,
        name=_("Leq per band"),
        start=window.start,
        end=window.end,
        zone=str(asked.zone),
        summary=_spectrogram_words(columns, shortened=window != asked.window),
        empty=_("No spectra were recorded in this range."),
    )
    return answer_json(figure)


def _spectrogram_words(columns: Spectrogram, *, shortened: bool) -> str:
    if not columns.count:
        return ""
    told = {"length": period(columns.bucket_s), "count": columns.count}
    words = _(
        "Leq per band, Z-weighted; each column is a mean by energy over %(length)s, from %(count)s spectra."
    )
    before = f"{_('The last 31 days of the range.')} " if shortened else ""
    return before + words % told


def spectrum_card(request: HttpRequest, zone: ZoneInfo) -> dict[str, Any]:
    """What the card of spectra needs on a page."""
    asked = instant_asked(request, zone)
    at = asked.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if asked.at else ""
    return {
        "spectrum": asked,
        "spectrum_query": f"bands={asked.bands}&at={at}" if at else f"bands={asked.bands}",
        "spectrum_at": asked.at.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if asked.at else "",
        "band_choices": BAND_WORDS,
    }


def spectrum_page(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """The spectrum of an instant as a table, beside both charts: it needs no JavaScript."""
    organisation = organisation_for(request)
    instrument = instrument_for(request, serial)
    window = window_asked(request, instrument, keep=("bands", "at"))
    asked = instant_asked(request, window.zone)
    spectrum = spectrum_at(instrument=instrument, bands=asked.bands, at=asked.at)
    context = {
        "organisation": organisation,
        "instrument": instrument,
        "asked": window,
        "window": window.window,
        "rows": [(band_label(hz), level) for hz, level in spectrum.levels.items()] if spectrum else [],
        "told": _spectrum_words(spectrum),
        **spectrum_card(request, window.zone),
    }
    return render(request, "monitoring/spectrum.html", context)
