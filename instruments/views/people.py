"""Who belongs to an organisation, with which role, and who is invited."""

from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for, person_for, require_role
from instruments.forms import InvitationForm, RoleForm
from instruments.models import Invitation, Membership, Role
from instruments.people import (
    InvitationNotMailed,
    invitation_revoke,
    invitation_send,
    may_grant,
    membership_check_removal,
    membership_remove,
    membership_set_role,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One member as the page shows them; second_factor is None for those who may not know."""

    membership: Membership
    second_factor: bool | None
    role_form: RoleForm | None


def _shown(own: Membership) -> QuerySet[Membership]:
    """Everybody; in the demo, which any stranger joins, only oneself unless one manages it."""
    everybody = Membership.objects.all()
    hidden = own.organisation.is_demo and not own.can_manage
    return everybody.filter(pk=own.pk) if hidden else everybody


def _members(own: Membership) -> list[Member]:
    memberships = list(_shown(own).select_related("user").order_by("user__email"))
    protected: set[int] | None = None
    if own.covers(Role.OWNER):
        protected = set(
            Authenticator.objects.filter(
                type=Authenticator.Type.TOTP, user__in=[each.user_id for each in memberships]
            ).values_list("user_id", flat=True)
        )
    role = Role(own.role)
    return [
        Member(
            each,
            None if protected is None else each.user_id in protected,
            RoleForm(actor_role=role, initial={"role": each.role}, auto_id=f"%s-{each.pk}")
            if may_grant(role, Role(each.role))
            else None,
        )
        for each in memberships
    ]


def _people_page(request: HttpRequest, form: InvitationForm | None = None) -> HttpResponse:
    own: Membership = request.membership  # type: ignore[attr-defined]
    counts = dict(Membership.objects.order_by().values_list("role").annotate(Count("pk")))
    context: dict[str, object] = {
        "members": _members(own),
        "counts": [(role.label, counts[role]) for role in Role if role in counts],
        "total": sum(counts.values()),
    }
    if own.can_manage:
        invitations = Invitation.objects.filter(accepted_at=None, revoked_at=None)
        context |= {
            "invitations": [
                (each, each.is_open(timezone.now())) for each in invitations.select_related("invited_by")
            ],
            "form": form or InvitationForm(actor_role=Role(own.role)),
        }
    status = 422 if form is not None and form.errors else None
    return render(request, "instruments/people.html", context, status=status)


@require_safe
@require_role(Role.VIEWER)
def people(request: HttpRequest, slug: str) -> HttpResponse:
    """Members for everybody who is one; invitations and roles for those who manage them."""
    return _people_page(request)


@require_POST
@require_role(Role.ADMIN)
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    """Send an invitation."""
    form = InvitationForm(request.POST, actor_role=Role(request.membership.role))  # type: ignore[attr-defined]
    if not form.is_valid():
        return _people_page(request, form)
    try:
        invitation = invitation_send(
            organisation=organisation_for(request),
            **form.cleaned_data,
            actor=person_for(request),
            now=timezone.now(),
        )
    except ValidationError as refusal:
        form.add_error("email", ValidationError(refusal.messages))
        return _people_page(request, form)
    except InvitationNotMailed:
        messages.error(
            request,
            _(
                "The invitation could not be mailed. Ask the operator to look at the mail settings, "
                "then invite the address again."
            ),
        )
    else:
        messages.success(
            request, _("An invitation is on its way to %(email)s.") % {"email": invitation.email}
        )
    return redirect("instruments:people", slug=slug)


def _membership_for(request: HttpRequest, pk: int) -> Membership:
    organisation_for(request)
    try:
        return Membership.objects.select_related("user", "organisation").get(pk=pk)
    except Membership.DoesNotExist:
        raise Http404 from None


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def invitation_end(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask once more, then revoke an invitation."""
    try:
        invitation = Invitation.objects.get(pk=pk)
    except Invitation.DoesNotExist:
        raise Http404 from None
    if request.method != "POST":
        context = {"invitation": invitation, "organisation": organisation_for(request)}
        return render(request, "instruments/invitation_revoke.html", context)
    invitation_revoke(invitation=invitation, actor=person_for(request), now=timezone.now())
    messages.success(request, _("The invitation of %(email)s no longer works.") % {"email": invitation.email})
    return redirect("instruments:people", slug=slug)


@require_POST
@require_role(Role.ADMIN)
def member_role(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Give a member another role."""
    membership = _membership_for(request, pk)
    form = RoleForm(request.POST, actor_role=Role(request.membership.role))  # type: ignore[attr-defined]
    if not form.is_valid():
        messages.error(request, _("That role cannot be given by you. Only an owner makes owners."))
        return redirect("instruments:people", slug=slug)
    try:
        membership_set_role(membership=membership, role=form.cleaned_data["role"], actor=person_for(request))
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    else:
        messages.success(
            request,
            _("%(person)s is now %(role)s.")
            % {"person": membership.user, "role": membership.get_role_display()},
        )
    return redirect("instruments:people", slug=slug)


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.ADMIN)
def member_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask once more, then end a membership, also one's own."""
    membership = _membership_for(request, pk)
    person, own = membership.user, membership.user_id == request.user.pk
    try:
        if request.method == "POST":
            membership_remove(membership=membership, actor=person_for(request))
        else:
            membership_check_removal(membership=membership, actor=person_for(request))
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
        return redirect("instruments:people", slug=slug)
    if request.method != "POST":
        context = {"person": person, "own": own, "organisation": membership.organisation}
        return render(request, "instruments/member_remove.html", context)
    messages.success(request, _("%(person)s is no longer a member.") % {"person": person})
    return redirect("instruments:organisations") if own else redirect("instruments:people", slug=slug)
