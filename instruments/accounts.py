"""How people get in: allauth's sign-up is open to holders of an invitation, and to all where the operator says so."""

from smtplib import SMTPException
from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from instruments.models import Invitation, User
from instruments.people import InvitationClosed, WrongPerson, invitation_accept, open_invitation

logger = structlog.get_logger(__name__)

INVITATION_SESSION_KEY = "invitation_digest"


def invitation_of(request: HttpRequest) -> Invitation | None:
    """The invitation that this visitor followed, while it is open."""
    return open_invitation(request.session.get(INVITATION_SESSION_KEY, ""))


class AccountAdapter(DefaultAccountAdapter):
    """allauth's rules with sign-up closed to strangers, unless SIGN_UP_OPEN."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Whether anybody may sign up here, or this visitor followed an invitation that is still open."""
        return settings.SIGN_UP_OPEN or invitation_of(request) is not None

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        """An address is proven by the invitation that was sent to it: only its mail holds the link."""
        invitation = invitation_of(request)
        if invitation is not None and invitation.email.lower() == email.lower():
            return True
        return super().is_email_verified(request, email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send it, or say that it was not sent; what the mail is about has happened already and stands."""
        try:
            super().send_mail(template_prefix, email, context)
        except (OSError, SMTPException) as failure:
            logger.warning("account_mail_not_sent", mail=template_prefix, error=type(failure).__name__)
            # The same for known and unknown addresses: both are written to.
            messages.error(
                self.request, _("The mail server does not answer, so no mail was sent. Try again later.")
            )


def invited_person_signed_up(sender: type[User], request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Accept the invitation that opened the sign-up: its page said what the person joins."""
    digest = request.session.pop(INVITATION_SESSION_KEY, "")
    if not digest and settings.SIGN_UP_OPEN:
        # Nobody invited them: the start page offers an organisation of their own.
        return
    try:
        invitation_accept(digest=digest, user=user, now=timezone.now())
    except (InvitationClosed, WrongPerson):
        # Revoked between the page and the click. The account stands; the start page says that it belongs nowhere.
        logger.info("invitation_not_accepted", member=user.pk)
