"""The page of one instrument: its present, its charts, its calibrations and SICs."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from cirrusweb.htmx import render, unchanged, version_of, wants_fragment
from instruments.access import instrument_for, instrument_joined, organisation_for
from instruments.models import ApiKey, Instrument
from monitoring.checks import FREQUENCIES, calibration_rows, sic_rows
from monitoring.doubt import doubt_of
from monitoring.events.search import event_told, newest_events
from monitoring.fetching import fetchings
from monitoring.models import Incident, InstrumentStatus, Resource, SyncTarget
from monitoring.models.tolerances import tolerances_in_force
from monitoring.notices import key_notices
from monitoring.status import State
from monitoring.sync.wanted import resources_of
from monitoring.tiles import Tile, tile_of
from monitoring.views.levels import legend
from monitoring.views.samples import sample_cards
from monitoring.views.spectrum import spectrum_card
from monitoring.views.windows import window_asked

SHOWN = 8
STATUS_PART, CHECKS_PART, EVENTS_PART = "instrument-status", "instrument-checks", "instrument-events"
_PARTS = {"checks": CHECKS_PART, "events": EVENTS_PART}


_INSTRUMENT = instrument_joined(
    f"""
        LEFT JOIN "{ApiKey._meta.db_table}" AS api_key ON api_key.id = instrument.api_key_id
        LEFT JOIN "{InstrumentStatus._meta.db_table}" AS status ON status.instrument_id = instrument.id
    """,
    api_key=ApiKey,
    status=InstrumentStatus,
)


def instrument_page(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """Everything about one instrument; its polled parts cost a 204 each while nothing changed."""
    organisation = organisation_for(request)
    instrument = instrument_for(request, serial, _INSTRUMENT)
    part = _part(request)
    if part == EVENTS_PART:
        return _events(request, instrument)
    now = timezone.now()
    tile = tile_of(instrument, now)
    incidents = [] if part == CHECKS_PART else list(Incident.objects.open().filter(instrument=instrument))
    version = _version(part or STATUS_PART, tile, incidents, now)
    if part and request.GET.get("version") == version:
        return unchanged()
    context: dict[str, Any] = {
        "organisation": organisation,
        "instrument": instrument,
        "tile": tile,
        "present": tile.present,
    }
    if part in (None, STATUS_PART):
        fetched = fetchings(SyncTarget.objects.filter(instrument=instrument))
        context |= {
            "status_version": version,
            "doubt": doubt_of(instrument=instrument) if tile.state == State.SIC_FAILED else None,
            "incidents": incidents,
            "notices": key_notices(
                [instrument.api_key] if instrument.api_key else [],
                now=now,
                slug=slug,
                can_manage=request.membership.can_manage,  # type: ignore[attr-defined]
            ),
            "fetchings": fetched,
            "failing": sum(row.is_failing for row in fetched),
        }
    if part in (None, CHECKS_PART):
        tolerance = tolerances_in_force().step_db
        context |= {
            "checks_version": _version(CHECKS_PART, tile, incidents, now),
            "calibrations": calibration_rows(
                instrument=instrument, before=None, most=SHOWN, tolerance=tolerance
            ),
            "step_tolerance": tolerance,
            "sics": sic_rows(instrument=instrument, before=None, most=SHOWN),
            "frequencies": FREQUENCIES,
        }
    if part is None:
        asked = window_asked(request, instrument, keep=("lines", "bands", "at"))
        context |= {
            "asked": asked,
            "window": asked.window,
            **legend(request),
            **spectrum_card(request, instrument),
            "has_spectra": not {Resource.OCTAVE, Resource.THIRD_OCTAVE}.isdisjoint(resources_of(instrument)),
            "sample_cards": sample_cards(organisation=organisation, instrument=instrument),
        }
    return render(request, "monitoring/instrument.html", context, fragment=part or STATUS_PART)


def _part(request: HttpRequest) -> str | None:
    """Which part is asked for, None for the page."""
    if not wants_fragment(request):
        return None
    return _PARTS.get(request.GET.get("part", ""), STATUS_PART)


def _events(request: HttpRequest, instrument: Instrument) -> HttpResponse:
    if request.GET.get("version") == version_of(*map(event_told, newest_events(instrument))):
        return unchanged()
    return render(request, "monitoring/instrument.html", {"instrument": instrument}, fragment=EVENTS_PART)


def _version(part: str, tile: Tile, incidents: list[Incident], now: datetime) -> str:
    present, key = tile.present, tile.instrument.api_key
    if part == CHECKS_PART:
        return (
            f"{present.calibrated_at}.{present.sic_at}.{present.sic_passed}" if present else str(tile.state)
        )
    # State and currency are part of it: silence changes the page without any row being written, and so does the end
    # of a key's pause. A status without news moves only when it was heard: the page may lag a minute behind that.
    shown: list[object] = [
        tile.state,
        tile.hidden,
        tile.level_is_current,
        present and present.changed_at.timestamp(),
    ]
    shown += [present.observed_at.timestamp() // 60] if present and present.observed_at else []
    shown += [key.state, key.pausing(now) and key.paused_until] if key else []
    return ".".join(map(str, [*shown, *(incident.pk for incident in incidents)]))
