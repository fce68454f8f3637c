"""Removing an organisation or a person for good, with all that is theirs and nothing of anybody else's."""

import re
import secrets
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from instruments.activity import activity_note
from instruments.models import Activity, ApiKey, Invitation, Membership, Organisation, Role, User
from instruments.tenancy import OrgOwned, all_organisations, organisation_scope
from monitoring.models import AlertDelivery, Digest, DoubtReview, EventTag, SyncTarget

# Deleted in one transaction: seconds at most, and whoever waits for a row waits no longer.
CHUNK = 5_000
SOMEBODY = "Somebody who was removed"


def owned_models() -> list[type[OrgOwned]]:
    """Every model of an organisation's rows, those that point to others before the others."""
    waiting = [model for model in apps.get_models(include_auto_created=True) if issubclass(model, OrgOwned)]
    ordered: list[type[OrgOwned]] = []
    while waiting:
        pointed_to = {
            field.related_model
            for model in waiting
            for field in model._meta.local_fields
            if isinstance(field, models.ForeignKey) and field.related_model is not model
        }
        free = [model for model in waiting if model not in pointed_to]
        ordered += free
        waiting = [model for model in waiting if model in pointed_to]
    return ordered


def organisation_remove(*, organisation: Organisation) -> Iterator[tuple[str, int]]:
    """Delete the organisation, a chunk in each transaction: (name of a table, rows deleted so far) after each.

    Ended anywhere, it is begun again and goes on with what is left. Files go with the last step.
    """
    with organisation_scope(organisation.pk):
        _closed(organisation)
        for model in owned_models():
            count = 0
            for deleted in _deleted(model.objects.all()):
                count += deleted
                yield str(model._meta.verbose_name_plural), count
    with all_organisations(reason="what goes with the organisation's own row is looked for everywhere"):
        organisation.delete()


@transaction.atomic
def _closed(organisation: Organisation) -> None:
    """Nothing comes in any more: no turn, no webhook, and nobody who looks at what is half gone."""
    Organisation.objects.filter(pk=organisation.pk).update(
        webhook_token=secrets.token_urlsafe(24), is_demo=False
    )
    ApiKey.objects.usable().update(revoked_at=timezone.now(), ciphertext="")
    SyncTarget.objects.all().delete()
    Membership.objects.all().delete()


def _deleted(rows: Any) -> Iterator[int]:
    """Delete ``rows`` from the lowest key up; how many after each chunk."""
    key = [field.attname for field in rows.model._meta.pk_fields]
    while True:
        edge = rows.order_by(*key).values_list("pk", flat=True)[CHUNK - 1 : CHUNK].first()
        count = (rows if edge is None else rows.filter(pk__lte=edge))._raw_delete(rows.db)
        if count:
            yield count
        if edge is None:
            return


# Where people are called by name or address in words that outlive their account.
_WRITTEN: dict[Any, tuple[str, ...]] = {
    Activity: ("actor_name", "subject", "detail"),
    DoubtReview: ("reviewed_by_name",),
    EventTag: ("excluded_by_name",),
    LogEntry: ("object_repr", "change_message"),
}


@transaction.atomic
def person_remove(*, user: User) -> None:
    """Delete the person. What others have to read on, who did what and why, stays without the address.

    Raises ValidationError for the only owner of an organisation.
    """
    called = user.get_full_name() or SOMEBODY
    with all_organisations(reason="a person may be a member of several organisations"):
        memberships = list(Membership.objects.filter(user=user).select_related("organisation"))
        if alone := [each.organisation.slug for each in memberships if _only_owner(each)]:
            raise ValidationError(
                f"{user.email} is the only owner of {', '.join(alone)}: make somebody else an owner first, "
                "or delete the organisation."
            )
        for each in memberships:
            activity_note(
                organisation=each.organisation,
                actor=None,
                verb="member_removed",
                subject=called,
                detail=each.get_role_display(),
            )
        for model, names in _WRITTEN.items():
            for name in names:
                _without(user.email, model, name, called)
        Invitation.objects.filter(email__iexact=user.email).delete()
        for owed in (AlertDelivery, Digest):
            for _ in _deleted(owed.objects.filter(recipient=user)):
                pass
        user.delete()


def _only_owner(membership: Membership) -> bool:
    owners = Membership.objects.filter(organisation=membership.organisation_id, role=Role.OWNER)
    return membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists()


def _without(address: str, model: Any, name: str, called: str) -> None:
    """Write ``called`` wherever ``address`` stands in a column, and not where it is a part of another's."""
    alone = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w-]|\.\w)", re.IGNORECASE)
    longest = model._meta.get_field(name).max_length
    rows = model.objects.filter(**{f"{name}__icontains": address}).order_by()
    # The same few texts stand in thousands of rows.
    for text in set(rows.values_list(name, flat=True).distinct()):
        if (told := alone.sub(lambda _: called, text)[:longest]) != text:
            model.objects.filter(**{name: text}).update(**{name: told})
