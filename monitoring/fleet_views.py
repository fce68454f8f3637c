"""Keeping views of the fleet: everybody's and one's own, and the columns that somebody chose; it renders nothing."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from instruments.activity import activity_note
from instruments.models import Membership
from monitoring.cells import COLUMNS
from monitoring.models import FleetColumns, FleetView

# A list of more would no longer be looked at.
MOST = 50


def fleet_view_save(*, membership: Membership, name: str, query: str, shared: bool) -> FleetView:
    """Keep ``query`` under ``name``, in place of a view of the same name. Raises ValidationError."""
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > 80:
        raise ValidationError(_("Give the view a name of at most 80 characters."))
    if len(query) > 1000:
        raise ValidationError(_("These filters are too long to be kept."))
    if shared and not membership.can_act:
        raise ValidationError(_("Members can save views for everybody; keep it for yourself instead."))
    owner: dict[str, Any] = {"membership": None if shared else membership}
    rows = FleetView.objects.filter(**owner)
    if not rows.filter(name=name).exists() and rows.count() >= MOST:
        raise ValidationError(_("There are %(most)s views already. Remove one first.") % {"most": MOST})
    try:
        with transaction.atomic():
            view, _made = FleetView.objects.update_or_create(
                name=name,
                **owner,
                defaults={"query": query},
                create_defaults={
                    "query": query,
                    "organisation_id": membership.organisation_id,
                },
            )
            if shared:
                _note(membership, "fleet_view_saved", view)
    except IntegrityError:
        raise ValidationError(_("There is a view of this name already.")) from None
    return view


def fleet_view_remove(*, membership: Membership, view: FleetView) -> None:
    """Take a view away: one's own, or everybody's by whoever may save such. Raises ValidationError."""
    if view.membership_id is None and not membership.can_act:
        raise ValidationError(_("Members can remove views that are everybody's."))
    with transaction.atomic():
        if view.membership_id is None:
            _note(membership, "fleet_view_removed", view)
        view.delete()


def _note(membership: Membership, verb: str, view: FleetView) -> None:
    activity_note(
        organisation=membership.organisation,
        actor=membership.user,
        verb=verb,
        subject=view.name,
        detail=view.query[:300],
    )


def fleet_columns_choose(*, membership: Membership, columns: list[str]) -> None:
    """Show this person these columns from now on; none of what is not known, and the usual ones for none at all."""
    known = [column.key for column in COLUMNS if column.key in columns]
    if not known:
        FleetColumns.objects.filter(membership=membership).delete()
        return
    FleetColumns.objects.update_or_create(
        membership=membership,
        defaults={"columns": known},
        create_defaults={"columns": known, "organisation_id": membership.organisation_id},
    )
