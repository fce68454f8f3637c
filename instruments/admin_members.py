"""The members on an organisation's page in the admin: Django draws the form, and our verbs do what it says."""

from typing import Any

from django import forms
from django.contrib import admin
from django.forms import BaseInlineFormSet

from instruments.models import Membership, Role, User
from instruments.people import membership_add, membership_remove, membership_set_role, owners_check


class MemberForm(forms.ModelForm):
    """One member's role. Whose place it is never changes."""

    class Meta:
        model = Membership
        fields = ("user", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"].disabled = self.instance.pk is not None


class MemberFormSet(BaseInlineFormSet):
    """All of them together: two may change places."""

    def clean(self) -> None:
        """Refuse what would leave an organisation without an owner that has one."""
        super().clean()
        if any(self.errors) or self.instance.pk is None:
            return
        leaving: set[int] = set()
        for form in self.forms:
            if form not in self.deleted_forms and form.cleaned_data.get("role") == Role.OWNER:
                # One is enough.
                return
            if form.instance.pk:
                leaving.add(form.instance.pk)
        owners_check(organisation_id=self.instance.pk, leaving=leaving)

    def apply(self, actor: User) -> None:
        """Do what the form says, each with its line in the organisation's log. Owners first: one must be there."""
        self.save(commit=False)
        changed = [membership for membership, _fields in self.changed_objects]
        for membership in sorted([*self.new_objects, *changed], key=lambda each: each.role != Role.OWNER):
            role = membership.role
            if membership.pk:
                membership_set_role(membership=membership, role=role, actor=actor)
            else:
                membership_add(
                    organisation=membership.organisation, user=membership.user, role=role, actor=actor
                )
        for membership in self.deleted_objects:
            membership_remove(membership=membership, actor=actor)


class MemberInline(admin.StackedInline):
    """Who belongs to the organisation. Not a table: Django gives the fields in one no labels."""

    model = Membership
    form = MemberForm
    formset = MemberFormSet
    extra = 0
    autocomplete_fields = ("user",)
