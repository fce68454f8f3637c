"""The tables of this app."""

from .deliveries import Delivery
from .refusals import Refusal
from .registrations import Registration
from .subscriptions import Subscription

__all__ = ["Delivery", "Refusal", "Registration", "Subscription"]
