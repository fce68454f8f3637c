"""The page of the webhook address and its secrets, for admins; a secret is written here and never read."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from cirrusweb.htmx import render
from instruments.access import organisation_for, person_for, require_role
from instruments.models import Organisation, Role
from webhooks.addresses import (
    address_is_deliverable,
    address_rotate,
    hook_address,
    subscription_add,
    subscription_remove,
)
from webhooks.forms import SubscriptionForm
from webhooks.models import Subscription
from webhooks.views.registration import ring_due

PER_PAGE = 100


def _subscription_for(organisation: Organisation, posted: QueryDict) -> Subscription:
    """What the form is to fill: a new row, or the one of a webhook that is known from MyCirrus without a secret."""
    remote_id = posted.get("remote_id", "").replace("\x00", "").strip()
    known = Subscription.objects.filter(remote_id=remote_id, ciphertext="").first() if remote_id else None
    if known is None:
        return Subscription(organisation=organisation)
    known.state, known.host, known.message = Subscription.State.REGISTERED, "", ""
    return known


@sensitive_post_parameters("secret")
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def subscriptions(request: HttpRequest, slug: str) -> HttpResponse:
    """The address, every secret that is stored (by its webhook id), and a form to add one."""
    organisation = organisation_for(request)
    form = SubscriptionForm(request.POST or None, instance=_subscription_for(organisation, request.POST))
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                subscription_add(
                    subscription=form.save(commit=False),
                    secret=form.cleaned_data["secret"].strip(),
                    actor=person_for(request),
                )
        except IntegrityError:
            # Two people added the same one at once.
            form.add_error("remote_id", _("This webhook id has a secret already."))
        else:
            messages.success(request, _("The secret is stored. Signed deliveries are accepted from now on."))
            return redirect("webhooks:subscriptions", slug=slug)
    return render(
        request,
        "webhooks/subscriptions.html",
        {
            "form": form,
            "page": Paginator(
                Subscription.objects.stored_by_hand().order_by("serial", "type", "pk"), PER_PAGE
            ).get_page(request.GET.get("page")),
            "registered": Subscription.objects.in_place().filter(created_by_us=True).count(),
            "address": hook_address(organisation),
            "deliverable": address_is_deliverable(),
        },
        status=422 if form.is_bound else None,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def subscription_delete(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask, then forget a secret."""
    try:
        subscription = Subscription.objects.get(pk=pk)
    except Subscription.DoesNotExist:
        raise Http404 from None
    if request.method == "POST":
        subscription_remove(subscription=subscription, actor=person_for(request))
        messages.success(request, _("The secret is removed."))
        return redirect("webhooks:subscriptions", slug=slug)
    return render(request, "webhooks/subscription_remove.html", {"subscription": subscription})


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def address_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask, then change the address."""
    if request.method == "POST":
        address_rotate(organisation=organisation_for(request), actor=person_for(request), now=timezone.now())
        ring_due(organisation_for(request))
        messages.success(
            request,
            _(
                "The address is changed. What was registered from here is registered anew; "
                "enter the new address at MyCirrus where you made webhooks yourself."
            ),
        )
        return redirect("webhooks:subscriptions", slug=slug)
    return render(request, "webhooks/address_rotate.html", {})
