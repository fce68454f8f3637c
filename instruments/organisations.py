"""Making organisations; who belongs to them is people's business."""

import structlog
from django.db import transaction

from instruments.models import Membership, Organisation, Role, User
from instruments.tenancy import organisation_scope

logger = structlog.get_logger(__name__)


def organisation_create(*, name: str, slug: str, timezone: str, owner: User) -> Organisation:
    """A new organisation with ``owner`` as its first. Raises ValidationError on a taken slug or an unknown zone."""
    organisation = Organisation(name=name, slug=slug, timezone=timezone)
    organisation.full_clean()
    with transaction.atomic():
        organisation.save()
        with organisation_scope(organisation.pk):
            Membership.objects.create(organisation=organisation, user=owner, role=Role.OWNER)
    logger.info("organisation_created", organisation=organisation.slug, owner=owner.pk)
    return organisation
