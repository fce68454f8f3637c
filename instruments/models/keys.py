"""An organisation's keys to MyCirrus."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from instruments import credentials
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet


def production_base_url() -> str:
    """MyCirrus itself."""
    return settings.MYCIRRUS_BASE_URL


def allowed_base_urls() -> list[str]:
    """Where a key may be sent: production, and what the operator has added."""
    return [settings.MYCIRRUS_BASE_URL, *settings.MYCIRRUS_EXTRA_BASE_URLS]


def validate_base_url(address: str) -> None:
    """Refuse an address that the operator has not allowed: a key sent there would be given away."""
    if address not in allowed_base_urls():
        raise ValidationError(
            _(
                "Keys may not be sent to %(address)s. "
                "The operator of this installation can allow it in MYCIRRUS_EXTRA_BASE_URLS."
            ),
            params={"address": address},
        )


class ApiKeyQuerySet(ScopedQuerySet):
    """Keys of the organisation in scope."""

    def usable(self) -> "ApiKeyQuerySet":
        """Those that have not been revoked here."""
        return self.filter(revoked_at=None)


ApiKeyManager = ScopedManager.from_queryset(ApiKeyQuerySet)


class ApiKey(OrgOwned):
    """A key to MyCirrus. Its secret is encrypted at rest and never shown again beyond its last four characters."""

    class State(models.TextChoices):
        UNVERIFIED = "unverified", _("Not verified yet")
        GOOD = "good", _("Good")
        MISSING_SCOPE = "missing_scope", _("Missing a scope")
        REFUSED = "refused", _("Refused by MyCirrus")
        UNREACHABLE = "unreachable", _("MyCirrus cannot be reached")

    label = models.CharField(_("label"), max_length=80, help_text=_("For people, e.g. “Main account”."))
    base_url = models.CharField(
        _("MyCirrus address"), max_length=200, default=production_base_url, validators=[validate_base_url]
    )
    ciphertext = models.TextField(editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    fingerprint = models.CharField(max_length=16, editable=False)
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.UNVERIFIED, editable=False
    )
    # {"instruments:read": true | false | null}; null: cannot be told without doing something.
    scopes = models.JSONField(default=dict, editable=False)
    message = models.CharField(max_length=300, blank=True, editable=False)
    verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    # A 429 moves the whole key's schedule, whichever instrument was asked for.
    paused_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    class Meta:
        verbose_name = _("API key")
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "fingerprint", "base_url"],
                condition=models.Q(revoked_at=None),
                name="api_key_once",
                violation_error_message=_("This key has been added already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} (…{self.last_four})"

    def secret_set(self, secret: str) -> None:
        """Take a new secret: encrypted, with the last four characters and a fingerprint to know it by."""
        secret = secret.strip()
        if len(secret) < 12 or any(not 33 <= ord(character) <= 126 for character in secret):
            raise ValidationError(
                _("That does not look like a MyCirrus API key. Copy the whole key, e.g. mycirrus-123456-….")
            )
        self.ciphertext = credentials.encrypt(secret)
        self.last_four = secret[-4:]
        self.fingerprint = credentials.fingerprint(secret)

    def secret_reveal(self) -> str:
        """The secret, for the client's header only. Raises SecretUnreadable."""
        return credentials.decrypt(self.ciphertext)

    def missing_scopes(self) -> list[str]:
        """The scopes that it was found not to have."""
        return sorted(scope for scope, held in self.scopes.items() if held is False)

    def allows(self, scope: str) -> bool:
        """Whether asking with ``scope`` makes sense: it was not found missing."""
        return self.scopes.get(scope) is not False

    def gives_more(self, other: "ApiKey", scopes: Collection[str]) -> bool:
        """Whether it was found to have one of ``scopes`` that ``other`` lacks, and lacks fewer of them.

        Of two keys it is never true both ways, so that nothing goes to and fro between them.
        """
        gains = any(self.scopes.get(scope) is True and not other.allows(scope) for scope in scopes)
        return gains and sum(map(self.allows, scopes)) > sum(map(other.allows, scopes))

    def pausing(self, now: datetime) -> bool:
        """Whether MyCirrus asked this key to wait."""
        return self.paused_until is not None and self.paused_until > now

    def __getstate__(self) -> dict[str, Any]:
        # Keys travel by id, never pickled into a broker or a cache.
        raise TypeError("An ApiKey is not to be pickled: pass its id.")
