"""Writing and reading the organisation's log of who did what; no secret may be handed to it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cirrusweb.log import redact
from instruments.models import Activity, Organisation, User

_WORDS: dict[str, Any] = {
    "deployment_corrected": _("Deployment corrected"),
    "deployment_ended": _("Deployment ended"),
    "deployment_removed": _("Deployment removed"),
    "deployment_started": _("Deployed"),
    "invitation_sent": _("Invitation sent"),
    "invitation_revoked": _("Invitation revoked"),
    "key_added": _("Key added"),
    "key_revoked": _("Key revoked"),
    "key_rotated": _("Key rotated"),
    "member_added": _("Member added"),
    "member_joined": _("Member joined"),
    "member_left": _("Member left"),
    "member_removed": _("Member removed"),
    "member_role_set": _("Role changed"),
    "organisation_changed": _("Settings of the organisation changed"),
    "site_added": _("Site added"),
    "site_changed": _("Site changed"),
    "site_photo_removed": _("Site's photo removed"),
    "site_photo_set": _("Site's photo changed"),
    "site_removed": _("Site removed"),
}


def activity_words(words: Mapping[str, Any]) -> None:
    """Say in words what further verbs mean; each app does so once, as it starts."""
    _WORDS.update(words)


def verb_words(verb: str) -> str:
    """What a verb says on a page; one that nobody has put into words is shown as it is."""
    return str(_WORDS.get(verb) or verb.replace("_", " ").capitalize())


def activity_note(
    *, organisation: Organisation, actor: User | None, verb: str, subject: str, detail: str = ""
) -> Activity:
    """Note that ``actor`` (None: the installation itself) did ``verb`` to ``subject``; ``detail`` says why or what.

    To be called in the transaction of the deed, so that neither stands without the other.
    """
    # Redacted once more here: people paste keys into the strangest fields, and a log is read by many.
    return Activity.objects.create(
        organisation=organisation,
        at=timezone.now(),
        actor=actor,
        actor_name=_fitting("actor_name", str(actor) if actor else ""),
        verb=verb,
        subject=_fitting("subject", redact(subject)),
        detail=_fitting("detail", redact(detail)),
    )


def activities(*, before: int | None, most: int) -> Sequence[Activity]:
    """At most ``most`` entries of the organisation in scope, newest first, below the entry ``before``. One query."""
    rows = Activity.objects.select_related("actor")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[:most])


def _fitting(name: str, text: str) -> str:
    longest = Activity._meta.get_field(name).max_length or 0  # type: ignore[union-attr]
    return text if len(text) <= longest else text[: longest - 1] + "…"
