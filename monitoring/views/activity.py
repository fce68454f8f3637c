"""The page of who did what in an organisation, newest first; it writes nothing."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for, require_role
from instruments.activity import activities
from instruments.models import Role

PER_PAGE = 50
_LARGEST_KEY = 2**63 - 1


@require_safe
@require_role(Role.MEMBER)
def activity_page(request: HttpRequest, slug: str) -> HttpResponse:
    """A page of the log; `before` continues below an entry without counting, however long the log has become."""
    before = entry_before(request.GET.get("before", ""))
    found = activities(before=before, most=PER_PAGE + 1)
    entries, organisation = found[:PER_PAGE], organisation_for(request)
    shown = entries
    if organisation.is_demo and not request.membership.can_manage:  # type: ignore[attr-defined]
        # Invitations name whom they went to, and strangers read what is noted in the demo.
        shown = [each for each in entries if "@" not in each.actor_name + each.subject + each.detail]
    context = {
        "organisation": organisation,
        "entries": shown,
        "older": entries[-1].pk if len(found) > PER_PAGE else "",
        "continued": before is not None,
    }
    return render(request, "monitoring/activity.html", context)


def entry_before(text: str) -> int | None:
    """The key that `before` names, None where it is not given. Raises Http404 for what can be no key."""
    if not text:
        return None
    # Beyond what the column holds a database would answer with an error.
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _LARGEST_KEY:
        raise Http404
    return int(text)
