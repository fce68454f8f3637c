"""The operator's tables of people, organisations, keys and instruments; no secret is ever in a page of it."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from instruments.access import person_for
from instruments.admin_base import (
    KnownWords,
    MirrorAdmin,
    NearPaginator,
    OrgOwnedAdmin,
    RemovedByCommand,
    asked_first,
)
from instruments.admin_members import MemberFormSet, MemberInline
from instruments.forms import SecretField
from instruments.keys import api_key_add, api_key_revoke, api_key_rotate, api_key_verify
from instruments.models import ApiKey, Instrument, Invitation, Membership, Organisation, User
from instruments.models.keys import allowed_base_urls
from instruments.people import invitation_revoke

# Nobody is in a group here, and allauth's page of a second factor shows its secret.
admin.site.unregister([Group, Authenticator])


class _ByAddress(forms.ModelForm):
    """A person is known by an address, in small letters, and one address is one person's."""

    def clean_email(self) -> str:
        """The address as it is looked for at sign-in."""
        email = str(self.cleaned_data["email"]).lower()
        if (
            EmailAddress.objects.filter(email__iexact=email, verified=True)
            .exclude(user=self.instance.pk)
            .exists()
        ):
            raise ValidationError(_("Somebody else signs in with this address."))
        return email


class PersonChangeForm(_ByAddress, UserChangeForm):
    """Django's, for such a person."""

    class Meta:
        model = User
        fields = ("email", "password", "first_name", "last_name", "is_active", "is_staff", "is_superuser")


class PersonCreationForm(_ByAddress, AdminUserCreationForm):
    """Django's, for such a person."""

    class Meta:
        model = User
        fields = ("email",)


@admin.register(User)
class UserAdmin(RemovedByCommand, DjangoUserAdmin):
    """People. What they may do in an organisation is their membership; a superuser runs the installation."""

    removal = ("person_delete", "email")
    form = PersonChangeForm
    add_form = PersonCreationForm
    list_display = ("email", "first_name", "last_name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_superuser", "is_active")
    search_fields = ("email", "first_name", "last_name")
    ordering = ("email",)
    sortable_by = ("email",)
    paginator = NearPaginator
    show_full_result_count = False
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (gettext_lazy("Name"), {"fields": ("first_name", "last_name")}),
        (gettext_lazy("Installation"), {"fields": ("is_active", "is_staff", "is_superuser")}),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Have the person sign in with this address and no earlier one. The operator vouches for it."""
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            EmailAddress.objects.filter(user=obj).delete()
            EmailAddress.objects.create(user=obj, email=obj.email, verified=True, primary=True)


@admin.register(Organisation)
class OrganisationAdmin(RemovedByCommand):
    """Organisations with their members."""

    removal = ("organisation_delete", "slug")
    list_display = ("name", "slug", "timezone", "accepts_legacy_notifications", "created_at")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    show_full_result_count = False
    inlines = (MemberInline,)

    def save_formset(self, request: HttpRequest, form: Any, formset: MemberFormSet, change: bool) -> None:
        """Leave the members to the verbs."""
        formset.apply(person_for(request))


@admin.register(Membership)
class MembershipAdmin(MirrorAdmin[Membership]):
    """Every place of every person. They are changed on the organisation's page."""

    list_display = ("user", "organisation", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("organisation", "user")
    search_fields = ("user__email", "organisation__name")
    fields = ("user", "organisation", "role", "created_at")


@admin.register(Invitation)
class InvitationAdmin(MirrorAdmin[Invitation]):
    """Invitations. They are sent from the People page: only their mail holds the link."""

    list_display = ("email", "organisation", "role", "created_at", "expires_at", "accepted_at", "revoked_at")
    list_filter = ("role",)
    search_fields = ("email", "organisation__name")
    actions = ("revoke",)
    fields = ("email", "organisation", "role", "invited_by", "expires_at", "accepted_at", "revoked_at")

    @admin.action(description=gettext_lazy("Revoke the chosen invitations"))
    def revoke(self, request: HttpRequest, chosen: QuerySet[Invitation]) -> None:
        """End them."""
        for invitation in chosen:
            invitation_revoke(invitation=invitation, actor=person_for(request), now=timezone.now())


class ApiKeyForm(forms.ModelForm):
    """A key's label, and a secret that only goes in. A new key needs one; later one rotates it."""

    secret = SecretField(label=gettext_lazy("API key"))

    class Meta:
        model = ApiKey
        fields = ("organisation", "label", "base_url")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["secret"].required = False
            self.fields["secret"].label = _("New API key")
            self.fields["secret"].help_text = _(
                "Leave empty to keep the present key. A new one is tried first and replaces it only if accepted."
            )
        if "base_url" in self.fields:
            self.fields["base_url"] = forms.ChoiceField(
                label=self.fields["base_url"].label,
                choices=[(address, address) for address in allowed_base_urls()],
            )

    def clean_secret(self) -> str:
        """Refuse what has not the shape of a key while the form is still on the screen."""
        secret = self.cleaned_data["secret"]
        if secret:
            probe = ApiKey(organisation=self.cleaned_data.get("organisation") or self.instance.organisation)
            probe.base_url = self.cleaned_data.get("base_url") or self.instance.base_url
            probe.secret_set(secret)
            if probe.fingerprint == self.instance.fingerprint:
                # Its own: the rotation says whether there is a need for that.
                return secret
            try:
                probe.validate_constraints()
            except ValidationError as refusal:
                raise ValidationError(refusal.messages) from None
        return secret


@admin.register(ApiKey)
class ApiKeyAdmin(OrgOwnedAdmin[ApiKey]):
    """Keys: add, verify, rotate, revoke. Never deleted, so that what was read keeps its source."""

    form = ApiKeyForm
    list_display = ("label", "organisation", "masked", "standing", "verified_at", "revoked_at")
    list_filter = ("state", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("label", "fingerprint", "last_four", "organisation__name")
    actions = ("verify", "revoke")
    readonly_fields = (
        "masked",
        "fingerprint",
        "standing",
        "message",
        "held",
        "missing",
        "verified_at",
        "created_at",
        "rotated_at",
        "revoked_at",
        "paused_until",
    )

    @admin.display(description=gettext_lazy("key"), ordering="last_four")
    def masked(self, api_key: ApiKey) -> str:
        """The last four characters."""
        return f"…{api_key.last_four}"

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def standing(self, api_key: ApiKey) -> str:
        """What the last verification found, unless the key is out of use."""
        return str(_("Revoked here") if api_key.revoked_at else api_key.get_state_display())

    @admin.display(description=gettext_lazy("scopes held"))
    def held(self, api_key: ApiKey) -> str:
        """What it may do."""
        return ", ".join(scope for scope, held in api_key.scopes.items() if held) or "–"

    @admin.display(description=gettext_lazy("scopes missing"))
    def missing(self, api_key: ApiKey) -> str:
        """What it was found not to be allowed."""
        return ", ".join(api_key.missing_scopes()) or "–"

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """Only what can be said before there is a key; afterwards how it stands as well."""
        if obj is None:
            return [(None, {"fields": ("organisation", "label", "base_url", "secret")})]
        given = ["organisation", "label", "base_url", "masked", "fingerprint"]
        if obj.revoked_at is None:
            given.append("secret")
        return [
            (None, {"fields": given}),
            (
                gettext_lazy("How it stands"),
                {"fields": ("standing", "message", "held", "missing", "verified_at", "paused_until")},
            ),
            (gettext_lazy("Dates"), {"fields": ("created_at", "rotated_at", "revoked_at")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """A key never moves: neither to another organisation nor to another address."""
        return self.readonly_fields if obj is None else (*self.readonly_fields, "organisation", "base_url")

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    @method_decorator(sensitive_post_parameters("secret"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Django's page; what needs the network happens after it, outside its transaction."""
        request.after_save = []  # type: ignore[attr-defined]
        response = super().changeform_view(request, *args, **kwargs)
        for step in request.after_save:  # type: ignore[attr-defined]
            step()
        return response

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ApiKeyForm, change: bool) -> None:
        """Store the label; leave the secret to the verbs."""
        secret = form.cleaned_data.get("secret", "")
        if not change:
            added = api_key_add(
                organisation=obj.organisation,
                label=obj.label,
                secret=secret,
                base_url=obj.base_url,
                actor=person_for(request),
            )
            # Django goes on with `obj`, for its log entry and its redirect.
            obj.__dict__.update(added.__dict__)
            request.after_save.append(lambda: self._verify(request, added))  # type: ignore[attr-defined]
            return
        obj.save(update_fields=["label"])
        if secret:
            request.after_save.append(lambda: self._rotate(request, obj, secret))  # type: ignore[attr-defined]

    def _verify(self, request: HttpRequest, api_key: ApiKey) -> None:
        api_key_verify(api_key=api_key, now=timezone.now())
        level = messages.SUCCESS if api_key.state == ApiKey.State.GOOD else messages.WARNING
        messages.add_message(request, level, f"{api_key}: {api_key.get_state_display()}. {api_key.message}")

    def _rotate(self, request: HttpRequest, api_key: ApiKey, secret: str) -> None:
        try:
            api_key_rotate(api_key=api_key, secret=secret, actor=person_for(request), now=timezone.now())
        except ValidationError as refusal:
            messages.error(request, f"{api_key}: {' '.join(refusal.messages)}")
        else:
            messages.success(request, _("%(key)s: the new key is in use.") % {"key": api_key})

    @admin.action(description=gettext_lazy("Verify the chosen keys at MyCirrus now"))
    def verify(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        """Ask MyCirrus about each."""
        for api_key in chosen.filter(revoked_at=None):
            self._verify(request, api_key)

    @admin.action(description=gettext_lazy("Revoke the chosen keys here and forget their secrets"))
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> HttpResponse | None:
        """Ask once more, then stop using each."""
        chosen = chosen.filter(revoked_at=None)
        asked = asked_first(
            request,
            chosen,
            title=_("Revoke these keys?"),
            told=_(
                "Nothing is read with them any more, and their secrets are forgotten at once and cannot be brought "
                "back. Everything that was read stays."
            ),
            button=_("Revoke the keys"),
        )
        if asked is not None:
            return asked
        for api_key in chosen:
            api_key_revoke(api_key=api_key, actor=person_for(request), now=timezone.now())
            messages.success(request, _("%(key)s is revoked here.") % {"key": api_key})
        return None


@admin.register(Authenticator)
class AuthenticatorAdmin(admin.ModelAdmin):
    """Second factors: to be removed for somebody who lost theirs, never to be read."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    show_full_result_count = False
    # Without `data`: it holds what the codes are made from.
    fields = ("user", "type", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class InstrumentType(KnownWords):
    """The types that MyCirrus is known to have."""

    title = gettext_lazy("type")
    parameter_name = "type"
    known = Instrument.Kind.choices


@admin.register(Instrument)
class InstrumentAdmin(MirrorAdmin[Instrument]):
    """The mirror of MyCirrus' instruments: MyCirrus is where they are changed."""

    list_display = ("serial", "name", "organisation", "type", "model", "api_key", "seen_at", "gone_at")
    list_filter = (InstrumentType, ("gone_at", admin.EmptyFieldListFilter))
    list_select_related = ("organisation", "api_key")
    search_fields = ("serial", "name", "organisation__name")
