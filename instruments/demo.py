"""Looking around in the demo: anybody of this installation joins it as a viewer, and leaves it again."""

from django.db import transaction

from instruments.activity import activity_note
from instruments.models import Membership, Organisation, Role, User
from instruments.models.people import people_addressed
from instruments.tenancy import organisation_scope


def demo() -> Organisation | None:
    """The installation's demo, where it has one."""
    return Organisation.objects.filter(is_demo=True).order_by("pk").first()


@transaction.atomic
def demo_join(*, organisation: Organisation, user: User) -> Membership:
    """Make ``user`` a viewer of the demo; whoever is in already keeps their role."""
    with organisation_scope(organisation.pk), people_addressed(False):
        membership, made = Membership.objects.get_or_create(
            organisation=organisation, user=user, defaults={"role": Role.VIEWER}
        )
        if made:
            activity_note(organisation=organisation, actor=user, verb="member_joined", subject=str(user))
        return membership


@transaction.atomic
def demo_leave(*, organisation: Organisation, user: User) -> bool:
    """End a viewer's visit, and tell whether there was one. Whoever runs the demo stays: somebody must."""
    with organisation_scope(organisation.pk), people_addressed(False):
        left, _rows = Membership.objects.filter(
            organisation=organisation, user=user, role=Role.VIEWER
        ).delete()
        if left:
            activity_note(organisation=organisation, actor=user, verb="member_left", subject=str(user))
        return bool(left)
