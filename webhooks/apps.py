"""Django's registration of the app, and its ear for keys that were added or changed."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Webhook endpoints and deliveries."""

    name = "webhooks"
    verbose_name = "Webhooks"

    def ready(self) -> None:
        """Listen to the keys."""
        from django.utils.translation import gettext_lazy as _

        from instruments.activity import activity_words
        from instruments.signals import api_key_changed
        from monitoring.sync.clock import clock_turned_back
        from webhooks.schedule import api_key_heard, clock_heard

        api_key_changed.connect(api_key_heard, dispatch_uid="webhooks.schedule")
        clock_turned_back.connect(clock_heard, dispatch_uid="webhooks.schedule")
        activity_words(
            {
                "webhook_address_rotated": _("Webhook address changed"),
                "webhook_secret_added": _("Webhook secret stored"),
                "webhook_secret_removed": _("Webhook secret removed"),
                "webhooks_registration_asked": _("Webhooks registered"),
                "webhook_deliveries_replayed": _("Deliveries processed again"),
            }
        )
