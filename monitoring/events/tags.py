"""Tagging events and keeping the list of causes: each change is noted in the organisation's log with who did it."""

from collections.abc import Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from instruments.activity import activity_note
from instruments.models import Organisation, User
from monitoring.models import Event, EventCause, EventTag

MOST_CAUSES = 20
LONGEST_CAUSE = 60
# Offered until an organisation has a list of its own.
USUAL_CAUSES = (
    gettext_lazy("Construction"),
    gettext_lazy("Road traffic"),
    gettext_lazy("Aircraft"),
    gettext_lazy("Railway"),
    gettext_lazy("People"),
    gettext_lazy("Animals"),
    gettext_lazy("Wind or rain"),
    gettext_lazy("Alarm or siren"),
    gettext_lazy("Work at the instrument"),
)
ACTIVITY_WORDS = {
    "event_cause_set": gettext_lazy("Cause of an event set"),
    "event_comment_set": gettext_lazy("Comment on an event"),
    "event_excluded": gettext_lazy("Event excluded"),
    "event_included": gettext_lazy("Event included again"),
    "event_causes_set": gettext_lazy("List of causes changed"),
}


def cause_names() -> list[str]:
    """The causes of the organisation in scope, in the order of their keys. One query."""
    own = list(EventCause.objects.values_list("name", flat=True))
    return own or [str(name) for name in USUAL_CAUSES]


def causes_set(*, organisation: Organisation, names: Sequence[str], actor: User) -> list[str]:
    """Make ``names`` the organisation's list, in this order; events keep the cause that they have.

    Blank and repeated names are left out. Raises ValidationError for too many or too long ones, or none.
    """
    wanted = list(dict.fromkeys(stripped for name in names if (stripped := " ".join(name.split()))))
    if not wanted:
        raise ValidationError(_("Give at least one cause."))
    if len(wanted) > MOST_CAUSES:
        raise ValidationError(
            _("At most %(most)s causes: a longer list is not chosen from quickly."),
            params={"most": MOST_CAUSES},
        )
    for name in wanted:
        if len(name) > LONGEST_CAUSE:
            raise ValidationError(
                _("“%(name)s…” is longer than %(most)s characters."),
                params={"name": name[:20], "most": LONGEST_CAUSE},
            )
    with transaction.atomic():
        # Two who save at once would otherwise both delete, and then both add.
        Organisation.objects.select_for_update().get(pk=organisation.pk)
        before = cause_names()
        EventCause.objects.all().delete()
        EventCause.objects.bulk_create(
            EventCause(organisation=organisation, name=name, position=place)
            for place, name in enumerate(wanted)
        )
        if before != wanted:
            activity_note(
                organisation=organisation,
                actor=actor,
                verb="event_causes_set",
                subject=_("Causes of events"),
                detail=", ".join(wanted),
            )
    return wanted


def event_tag(
    *,
    event: Event,
    actor: User,
    now: datetime,
    cause: str | None = None,
    comment: str | None = None,
    excluded: bool | None = None,
) -> EventTag:
    """Say something of ``event``; what is None stays as it is. Raises ValidationError for an unlisted cause."""
    if cause is not None and cause and cause not in cause_names():
        raise ValidationError(_("“%(cause)s” is not on the list of causes."), params={"cause": cause[:60]})
    if comment is not None:
        comment = comment.replace("\0", "").strip()
        longest = EventTag._meta.get_field("comment").max_length or 0
        if len(comment) > longest:
            raise ValidationError(
                _("A comment may have %(most)s characters; this one has %(count)s."),
                params={"most": longest, "count": len(comment)},
            )
    with transaction.atomic():
        EventTag.objects.get_or_create(
            event=event, defaults={"organisation_id": event.organisation_id, "changed_at": now}
        )
        tag = EventTag.objects.select_for_update().get(event=event)
        changed: list[str] = []
        if cause is not None and cause != tag.cause:
            tag.cause = cause
            changed.append("cause")
            _note(event, actor, "event_cause_set", cause or _("none"))
        if comment is not None and comment != tag.comment:
            tag.comment = comment
            changed.append("comment")
            _note(event, actor, "event_comment_set", comment)
        if excluded is not None and excluded != tag.excluded:
            tag.excluded, tag.excluded_at, tag.excluded_by = excluded, now, actor
            tag.excluded_by_name = str(actor)[:254]
            changed += ["excluded", "excluded_at", "excluded_by", "excluded_by_name"]
            _note(event, actor, "event_excluded" if excluded else "event_included", tag.cause)
        if changed:
            tag.changed_at = now
            tag.save(update_fields=[*changed, "changed_at"])
    return tag


def _note(event: Event, actor: User, verb: str, detail: str) -> None:
    at = localtime(event.start_at)
    activity_note(
        organisation=event.organisation,
        actor=actor,
        verb=verb,
        subject=f"{event.instrument}: {event.name} {at:%Y-%m-%d %H:%M:%S %Z}",
        detail=detail,
    )
