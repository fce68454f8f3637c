"""People, their memberships and invitations."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet

INVITATION_DAYS = 14
_addressed: ContextVar[bool] = ContextVar("people_addressed", default=True)


@contextmanager
def people_addressed(addressed: bool) -> Iterator[None]:
    """Whether the block may call a person without a name by their address: not where strangers read it."""
    token = _addressed.set(addressed)
    try:
        yield
    finally:
        _addressed.reset(token)


class UserManager(BaseUserManager["User"]):
    """Makes people, who are known by their email address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        from allauth.account.models import EmailAddress

        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        # Whoever can run commands here need not prove an address to the installation's own sign-in.
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractUser):
    """A person. A superuser runs the installation; what anybody may do elsewhere is said by memberships."""

    username = None  # type: ignore[assignment]
    email = models.EmailField(_("email address"), unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()  # type: ignore[assignment,misc]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.get_full_name() or (self.email if _addressed.get() else str(_("Somebody")))


class Role(models.TextChoices):
    """What a member may do; each role may all that the ones below it may."""

    VIEWER = "viewer", _("Viewer")
    MEMBER = "member", _("Member")
    ADMIN = "admin", _("Admin")
    OWNER = "owner", _("Owner")

    @property
    def rank(self) -> int:
        """0 for a viewer, 3 for an owner."""
        return _RANKS[self]

    def covers(self, needed: "Role") -> bool:
        """Whether this role is at least ``needed``."""
        return self.rank >= needed.rank


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Membership(OrgOwned):
    """A person's place in one organisation."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["organisation", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()}"

    def covers(self, needed: Role) -> bool:
        """Whether this membership's role is at least ``needed``."""
        return Role(self.role).covers(needed)

    @property
    def can_act(self) -> bool:
        """Whether this person may act on instruments, and read in the log who did."""
        return self.covers(Role.MEMBER)

    @property
    def can_manage(self) -> bool:
        """Whether this person manages keys, people and settings."""
        return self.covers(Role.ADMIN)


def invitation_digest(token: str) -> str:
    """What is stored of an invitation's token: the database alone lets nobody in."""
    return hashlib.sha256(token.encode()).hexdigest()


def invitation_token() -> str:
    """The secret part of an invitation's link: 256 bits."""
    return secrets.token_urlsafe(32)


class InvitationQuerySet(ScopedQuerySet):
    """Invitations of the organisation in scope."""

    def open(self, now: datetime) -> "InvitationQuerySet":
        """Those that can still be accepted."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=now)


InvitationManager = ScopedManager.from_queryset(InvitationQuerySet)


class Invitation(OrgOwned):
    """A way into an organisation, sent to one address."""

    email = models.EmailField(_("email address"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.VIEWER)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = InvitationManager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.email} as {self.get_role_display()}"

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be accepted."""
        return self.accepted_at is None and self.revoked_at is None and self.expires_at > now

    @staticmethod
    def deadline(now: datetime) -> datetime:
        """When an invitation made now ends."""
        return now + timedelta(days=INVITATION_DAYS)
