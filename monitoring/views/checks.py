"""All calibrations or SICs of one instrument: table, history as a chart, what they leave in doubt, and its baseline."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from cirrusweb.htmx import render
from instruments.access import instrument_for, organisation_for, person_for, require_role
from instruments.models import Instrument, Role
from instruments.sites import zone_of
from monitoring.acoustics.validity import Verdict, verdict_of
from monitoring.charts.check_figures import check_figure
from monitoring.check_standings import sic_baseline_clear, sic_baseline_set, sic_frequencies
from monitoring.checks import FREQUENCIES, CalibrationRow, calibration_rows, sic_rows
from monitoring.doubt import Checked, calibration_doubts, sic_doubts
from monitoring.forms import SicBaselineForm
from monitoring.models import (
    Calibration,
    CalibrationLogEntry,
    Certificate,
    CheckStanding,
    DoubtReview,
    SicBaseline,
    SystemIntegrityCheck,
)
from monitoring.models.tolerances import Tolerances, tolerances_in_force
from monitoring.templatetags.levels import signed

PER_PAGE, NOTES, SUSPECTS = 50, 50, 10
# Of a history as a chart: two years of nightly SICs, and every calibration that anybody makes.
CHARTED = 750


def _before(request: HttpRequest) -> datetime | None:
    before = request.GET.get("before")
    try:
        at = datetime.fromisoformat(before) if before else None
        if at is not None and at.tzinfo is None:
            raise Http404
        # At the ends of the calendar another zone's instant may be none in ours.
        return at and at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Http404 from None


@require_safe
def checks_page(request: HttpRequest, slug: str, serial: str, kind: str) -> HttpResponse:
    """The checks of one kind, newest first; `before` continues below a row without counting."""
    organisation = organisation_for(request)
    instrument = instrument_for(request, serial)
    at, held = _before(request), tolerances_in_force()
    rows: list[Any] = (
        calibration_rows(instrument=instrument, before=at, most=PER_PAGE + 1, tolerance=held.step_db)
        if kind == "calibrations"
        else sic_rows(instrument=instrument, before=at, most=PER_PAGE + 1)
    )
    context: dict[str, Any] = {
        "organisation": organisation,
        "instrument": instrument,
        "kind": kind,
        "rows": rows[:PER_PAGE],
        "frequencies": FREQUENCIES,
        "older": rows[PER_PAGE - 1].check.at.isoformat() if len(rows) > PER_PAGE else "",
        "continued": at is not None,
        "tolerances": held,
        "step_tolerance": held.step_db,
        "can_act": request.membership.can_act,  # type: ignore[attr-defined]
    }
    if at is None and kind == "calibrations":
        calibrations = [
            row.check for row in calibration_rows(instrument=instrument, before=None, most=CHARTED)
        ]
        reviews = list(DoubtReview.objects.filter(instrument=instrument))
        found = calibration_doubts(calibrations=calibrations[::-1], held=held, reviews=reviews)
        context |= {
            "suspects": found[::-1],
            "notes": list(CalibrationLogEntry.objects.filter(instrument=instrument)[:NOTES]),
            "certificates": list(Certificate.objects.filter(instrument=instrument)),
        }
    elif at is None:
        standing = CheckStanding.objects.filter(instrument=instrument).first()
        checked = Checked(
            list(Calibration.objects.filter(instrument=instrument)[:CHARTED])[::-1],
            list(SystemIntegrityCheck.objects.filter(instrument=instrument)[:CHARTED])[::-1],
        )
        found = sic_doubts(checked=checked, reviews=DoubtReview.objects.filter(instrument=instrument))
        context |= {
            "suspects": found[::-1][:SUSPECTS],
            "standing": standing,
            "baseline": SicBaseline.objects.filter(instrument=instrument).select_related("set_by").first(),
            "told": sic_frequencies(standing.sic if standing else {}, held.sic_db),
        }
    return render(request, "monitoring/checks.html", context)


def _verdict(row: CalibrationRow, held: Tolerances) -> Verdict:
    return verdict_of(
        row.passed, row.step, row.check.offset_db, most_step=held.step_db, most_offset=held.offset_db
    )


@require_safe
def checks_json(request: HttpRequest, slug: str, serial: str, kind: str) -> HttpResponse:
    """The history as a chart: offsets with the steps beyond tolerance marked, or SICs from their baseline."""
    instrument = instrument_for(request, serial)
    figure = _offsets(instrument) if kind == "calibrations" else _differences(instrument)
    return HttpResponse(
        orjson.dumps(figure), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _offsets(instrument: Instrument) -> dict[str, Any]:
    held = tolerances_in_force()
    rows = calibration_rows(instrument=instrument, before=None, most=CHARTED)[::-1]
    moved = [row for row in rows if _verdict(row, held) in (Verdict.MOVED, Verdict.FAILED)]
    limit = float(held.offset_db)
    return check_figure(
        [
            (_("Offset"), "line", [(row.check.at, row.check.offset_db) for row in rows]),
            (
                _("Failed or beyond tolerance"),
                "points",
                [(row.check.at, row.check.offset_db) for row in moved],
            ),
        ],
        limits=[(limit, f"+{limit:.2f} dB"), (-limit, f"−{limit:.2f} dB")],
        marks=[
            (row.check.at, _("Failed") if row.passed is False else f"{signed(row.step)} dB")
            for row in moved
            if row.passed is False or row.step is not None
        ],
        zone=zone_of(instrument, timezone.now()).key,
        summary=_("%(count)s calibrations, %(moved)s failed or beyond tolerance.")
        % {"count": len(rows), "moved": len(moved)}
        if rows
        else "",
        empty=_("No calibration is recorded."),
    )


def _differences(instrument: Instrument) -> dict[str, Any]:
    held = tolerances_in_force()
    standing = CheckStanding.objects.filter(instrument=instrument).first()
    levels = standing.sic.get("levels", {}) if standing else {}
    rows = list(SystemIntegrityCheck.objects.filter(instrument=instrument)[:CHARTED])[::-1]
    failed = [row for row in rows if row.passed is False]
    limit = float(held.sic_db)
    lines = []
    for words, name in FREQUENCIES:
        base = levels.get(name, {}).get("baseline")
        points = [
            (
                row.at,
                None
                if base is None or getattr(row, name) is None
                else round(getattr(row, name) - float(base), 3),
            )
            for row in rows
        ]
        lines.append((words, "line", points))
    return check_figure(
        lines,
        limits=[(limit, f"+{limit:.2f} dB"), (-limit, f"−{limit:.2f} dB")],
        marks=[(row.at, _("Failed")) for row in failed[-20:]],
        zone=zone_of(instrument, timezone.now()).key,
        summary=_("%(count)s SICs, %(failed)s failed; differences from the present baseline.")
        % {"count": len(rows), "failed": len(failed)}
        if rows
        else "",
        empty=_("There is no baseline to tell SICs from yet."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def sic_baseline(request: HttpRequest, slug: str, serial: str) -> HttpResponse:
    """Set the levels that SICs are told from, or go back to the median of the first good ones."""
    instrument = instrument_for(request, serial)
    chosen = SicBaseline.objects.filter(instrument=instrument).first()
    if request.method == "POST" and "clear" in request.POST:
        sic_baseline_clear(instrument=instrument, actor=person_for(request))
        messages.success(request, _("SICs are told from the median of the first good ones again."))
        return redirect("monitoring:sics", slug=slug, serial=serial)
    form = SicBaselineForm(
        request.POST if request.method == "POST" else None, initial=_initial(instrument, chosen)
    )
    if request.method == "POST" and form.is_valid():
        sic_baseline_set(
            instrument=instrument,
            levels={name: form.cleaned_data[name] for _words, name in FREQUENCIES},
            note=form.cleaned_data["note"],
            actor=person_for(request),
            now=timezone.now(),
        )
        messages.success(request, _("Saved. SICs are told from it from now on."))
        return redirect("monitoring:sics", slug=slug, serial=serial)
    context = {
        "organisation": organisation_for(request),
        "instrument": instrument,
        "form": form,
        "chosen": chosen,
    }
    status = 422 if form.errors else None
    return render(request, "monitoring/sic_baseline.html", context, status=status)


def _initial(instrument: Instrument, chosen: SicBaseline | None) -> dict[str, Any]:
    """What is set, else the levels of the last SIC that passed: what somebody looks at when they set one."""
    if chosen is not None:
        return {name: getattr(chosen, name) for _words, name in FREQUENCIES} | {"note": chosen.note}
    good = SystemIntegrityCheck.objects.filter(instrument=instrument, passed=True).first()
    return {
        name: Decimal(str(level))
        for _words, name in FREQUENCIES
        if good is not None and (level := getattr(good, name)) is not None
    }
