"""The inbox for MyCirrus' webhooks: stored first, understood later; it reads monitoring, never the other way."""
