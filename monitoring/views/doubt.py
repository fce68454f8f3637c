"""R12's exception: a reviewer says by what evidence levels in doubt were still good, and until when."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from cirrusweb.htmx import render
from instruments.access import instrument_for, organisation_for, person_for, require_role
from instruments.models import Instrument, Role
from monitoring.acoustics.validity import Suspect
from monitoring.doubt import checks_around, doubt_review, doubts
from monitoring.forms import DoubtReviewForm
from monitoring.models import Calibration, DoubtReview
from monitoring.models.tolerances import tolerances_in_force


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.MEMBER)
def doubt_page(request: HttpRequest, slug: str, serial: str, found: int) -> HttpResponse:
    """What one check (``found``: its instant in seconds since 1970) threw in doubt, and what was found of it since."""
    instrument = instrument_for(request, serial)
    suspect = _suspect(instrument, found)
    reviews = list(DoubtReview.objects.filter(instrument=instrument, found_at=suspect.found_at))[::-1]
    holds = reviews[0] if reviews and reviews[0].good_until_at is not None else None
    taken_back = request.method == "POST" and "clear" in request.POST
    form = DoubtReviewForm(
        request.POST if request.method == "POST" else None, suspect=suspect, taken_back=taken_back
    )
    if request.method == "POST" and form.is_valid():
        doubt_review(
            instrument=instrument,
            suspect=suspect,
            good_until_at=None if taken_back else form.cleaned_data["good_until"],
            evidence=form.cleaned_data["evidence"],
            actor=person_for(request),
        )
        messages.success(
            request,
            _("Taken back. The levels are in doubt again.")
            if taken_back
            else _("Saved, with your name. Charts, tables and files show it from now on."),
        )
        return redirect("monitoring:doubt-review", slug=slug, serial=serial, found=found)
    by_calibration = Calibration.objects.filter(instrument=instrument, at=suspect.found_at).exists()
    context: dict[str, Any] = {
        "organisation": organisation_for(request),
        "instrument": instrument,
        "suspect": suspect,
        "kind": "calibrations" if by_calibration else "sics",
        "reviews": reviews,
        "holds": holds,
        "form": form,
    }
    return render(request, "monitoring/doubt.html", context, status=422 if form.errors else None)


def _suspect(instrument: Instrument, found: int) -> Suspect:
    """What that check leaves in doubt, whatever reviewers said. Raises Http404 where it leaves nothing."""
    try:
        at = datetime.fromtimestamp(found, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise Http404 from None
    checked = checks_around(instrument=instrument, start=datetime(1970, 1, 1, tzinfo=UTC), end=timezone.now())
    told = doubts(checked=checked, held=tolerances_in_force())
    suspect = next((each for each in told if each.found_at.replace(microsecond=0) == at), None)
    if suspect is None:
        raise Http404
    return suspect
