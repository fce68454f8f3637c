"""Inviting people, letting them in, giving them roles and seeing them out; it draws no page."""

from collections.abc import Collection
from datetime import datetime
from smtplib import SMTPException

import structlog
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from instruments.activity import activity_note
from instruments.models import Invitation, Membership, Organisation, Role, User
from instruments.models.people import invitation_digest, invitation_token
from instruments.tenancy import all_organisations

logger = structlog.get_logger(__name__)


class InvitationNotMailed(RuntimeError):
    """The invitation stands, but its mail could not be handed over. Mend the mail settings, then invite again."""


class InvitationClosed(Exception):
    """The invitation was used, revoked or has run out."""


class WrongPerson(Exception):
    """The invitation was sent to another address than this person's."""


def role_of(user: User, organisation: Organisation) -> Role:
    """What ``user`` may do here: the operator everything, an outsider no more than a viewer."""
    if user.is_superuser:
        return Role.OWNER
    membership = Membership.objects.filter(organisation=organisation, user=user).first()
    return Role(membership.role) if membership else Role.VIEWER


def may_grant(actor: Role, role: Role) -> bool:
    """Whether somebody with the role ``actor`` may give or take ``role``: owners are made by owners only."""
    return actor.covers(Role.ADMIN) and actor.covers(role)


def _check_grant(actor: User, organisation: Organisation, *roles: str) -> None:
    own = role_of(actor, organisation)
    if not all(may_grant(own, Role(role)) for role in roles):
        raise ValidationError(_("Only an owner can make or unmake an owner."), code="owner")


def invitation_send(
    *, organisation: Organisation, email: str, role: str, actor: User, now: datetime
) -> Invitation:
    """Invite ``email``; the mail leaves after the commit and alone holds the token.

    An open invitation of the same address is replaced. Raises ValidationError for somebody who is a member
    already and for a role that the actor may not give, and InvitationNotMailed when only the mail failed.
    """
    email = email.strip().lower()
    token = invitation_token()
    with transaction.atomic():
        _check_grant(actor, organisation, role)
        if Membership.objects.filter(organisation=organisation, user__email__iexact=email).exists():
            raise ValidationError(
                {"email": _("%(email)s is a member already.") % {"email": email}}, code="member"
            )
        earlier = Invitation.objects.open(now).filter(organisation=organisation, email=email)
        earlier.update(revoked_at=now)
        invitation = Invitation.objects.create(
            organisation=organisation,
            email=email,
            role=role,
            digest=invitation_digest(token),
            invited_by=actor,
            expires_at=Invitation.deadline(now),
        )
        activity_note(
            organisation=organisation,
            actor=actor,
            verb="invitation_sent",
            subject=email,
            detail=str(Role(role).label),
        )
        transaction.on_commit(lambda: _invitation_mail(invitation, token))
    logger.info("invitation_sent", organisation=organisation.slug, role=role, actor=actor.pk)
    return invitation


def _invitation_mail(invitation: Invitation, token: str) -> None:
    context = {
        "invitation": invitation,
        "organisation": invitation.organisation,
        "invited_by": invitation.invited_by,
        "link": settings.PUBLIC_URL + reverse("instruments:invitation", args=[token]),
    }
    with timezone.override(invitation.organisation.zone):
        message = EmailMultiAlternatives(
            subject=_("You are invited to %(organisation)s") % {"organisation": invitation.organisation.name},
            body=render_to_string("email/invitation.txt", context),
            to=[invitation.email],
        )
        message.attach_alternative(render_to_string("email/invitation.html", context), "text/html")
    try:
        message.send()
    except (OSError, SMTPException) as failure:
        logger.warning("invitation_not_mailed", invitation=invitation.pk, error=type(failure).__name__)
        # Without the cause: what a mail server says of itself is for the log, not for an inviter's page.
        raise InvitationNotMailed(str(invitation)) from None


def invitation_revoke(*, invitation: Invitation, actor: User, now: datetime) -> Invitation:
    """End an invitation; its link says so from now on. One that was used already stays used."""
    with transaction.atomic():
        ended = Invitation.objects.open(now).filter(pk=invitation.pk).update(revoked_at=now)
        if ended:
            activity_note(
                organisation=invitation.organisation,
                actor=actor,
                verb="invitation_revoked",
                subject=invitation.email,
            )
    if ended:
        logger.info("invitation_revoked", invitation=invitation.pk, actor=actor.pk)
    invitation.refresh_from_db()
    return invitation


def invitation_with(digest: str) -> Invitation | None:
    """The invitation that a link names, whatever became of it."""
    with all_organisations(reason="an invitation's link names its organisation only through the row"):
        return (
            Invitation.objects.filter(digest=digest).select_related("organisation", "invited_by").first()
            if digest
            else None
        )


def open_invitation(digest: str) -> Invitation | None:
    """The invitation with this digest, if it can still be accepted."""
    invitation = invitation_with(digest)
    return invitation if invitation is not None and invitation.is_open(timezone.now()) else None


def is_addressed_to(invitation: Invitation, user: User) -> bool:
    """Whether the invitation was sent to an address that this person has proven to be theirs."""
    return EmailAddress.objects.filter(user=user, email__iexact=invitation.email, verified=True).exists()


def invitation_accept(*, digest: str, user: User, now: datetime) -> Membership:
    """Make ``user`` a member as invited. Raises InvitationClosed, and WrongPerson for another address.

    A member who accepts a second invitation keeps the wider of the two roles.
    """
    with (
        all_organisations(reason="who accepts is not a member of the organisation yet"),
        transaction.atomic(),
    ):
        invitation = Invitation.objects.filter(digest=digest).select_related("organisation").first()
        if invitation is None:
            raise InvitationClosed
        if not is_addressed_to(invitation, user):
            raise WrongPerson
        # Claimed, not locked: of two clicks at once one finds it used.
        if not Invitation.objects.open(now).filter(pk=invitation.pk).update(accepted_at=now):
            raise InvitationClosed
        membership, made = Membership.objects.get_or_create(
            organisation=invitation.organisation, user=user, defaults={"role": invitation.role}
        )
        if not made and not membership.covers(Role(invitation.role)):
            membership.role = invitation.role
            membership.save(update_fields=["role"])
        activity_note(
            organisation=invitation.organisation,
            actor=user,
            verb="member_joined",
            subject=str(user),
            detail=membership.get_role_display(),
        )
    logger.info("invitation_accepted", organisation=invitation.organisation.slug, member=user.pk)
    return membership


def owners_check(*, organisation_id: int, leaving: Collection[int]) -> None:
    """Raise ValidationError if with ``leaving`` the organisation's last owner would go. In a transaction."""
    # The organisation's row is the lock: two owners who remove each other at once must not both succeed.
    Organisation.objects.select_for_update().get(pk=organisation_id)
    owners = set(
        Membership.objects.filter(organisation=organisation_id, role=Role.OWNER).values_list("pk", flat=True)
    )
    if owners and owners.issubset(leaving):
        raise ValidationError(
            _("An organisation keeps at least one owner: make somebody else an owner first."), code="last"
        )


def membership_add(*, organisation: Organisation, user: User, role: str, actor: User) -> Membership:
    """Make somebody a member without an invitation. Raises ValidationError for a role that the actor may not give."""
    with transaction.atomic():
        _check_grant(actor, organisation, role)
        membership = Membership.objects.create(organisation=organisation, user=user, role=role)
        activity_note(
            organisation=organisation,
            actor=actor,
            verb="member_added",
            subject=str(user),
            detail=membership.get_role_display(),
        )
    logger.info("membership_added", organisation=organisation.slug, member=user.pk, actor=actor.pk)
    return membership


def membership_set_role(*, membership: Membership, role: str, actor: User) -> Membership:
    """Give a member another role. Raises ValidationError for the last owner and for owners not made by one."""
    with transaction.atomic():
        membership.refresh_from_db(fields=["role"])
        _check_grant(actor, membership.organisation, role, membership.role)
        if role != Role.OWNER:
            owners_check(organisation_id=membership.organisation_id, leaving={membership.pk})
        before = membership.get_role_display()
        membership.role = role
        membership.save(update_fields=["role"])
        if membership.get_role_display() != before:
            activity_note(
                organisation=membership.organisation,
                actor=actor,
                verb="member_role_set",
                subject=str(membership.user),
                detail=f"{before} → {membership.get_role_display()}",
            )
    logger.info("membership_role_set", member=membership.user_id, role=role, actor=actor.pk)
    return membership


def membership_check_removal(*, membership: Membership, actor: User) -> None:
    """Raise ValidationError where ``membership_remove`` would: for the last owner, and an owner removed by an admin."""
    with transaction.atomic():
        membership.refresh_from_db(fields=["role"])
        _check_grant(actor, membership.organisation, membership.role)
        owners_check(organisation_id=membership.organisation_id, leaving={membership.pk})


def membership_remove(*, membership: Membership, actor: User) -> None:
    """End a membership. Raises ValidationError for the last owner, and when an admin removes an owner."""
    with transaction.atomic():
        membership_check_removal(membership=membership, actor=actor)
        membership.delete()
        activity_note(
            organisation=membership.organisation,
            actor=actor,
            verb="member_removed",
            subject=str(membership.user),
            detail=membership.get_role_display(),
        )
    logger.info("membership_removed", member=membership.user_id, actor=actor.pk)
