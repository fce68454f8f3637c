"""The tables of this app."""

from .activity import Activity
from .instruments import Instrument
from .keys import ApiKey
from .organisations import Organisation
from .people import Invitation, Membership, Role, User
from .sites import Deployment, Site

__all__ = [
    "Activity",
    "ApiKey",
    "Deployment",
    "Instrument",
    "Invitation",
    "Membership",
    "Organisation",
    "Role",
    "Site",
    "User",
]
