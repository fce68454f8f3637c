"""Django's registration of the app, and its ear for new organisations and changed keys."""

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save, pre_migrate


class MonitoringConfig(AppConfig):
    """Readings, sync, status, alerts."""

    name = "monitoring"
    verbose_name = "Monitoring"

    def ready(self) -> None:
        """Listen to the keys; say what this app's entries of the activity log mean."""
        from django.utils.translation import gettext_lazy as _

        from instruments.activity import activity_words
        from instruments.models import Organisation
        from instruments.signals import api_key_changed
        from monitoring.actions.words import ACTIVITY_WORDS
        from monitoring.alerts.clock import clock_heard
        from monitoring.alerts.rules import organisation_heard
        from monitoring.events.tags import ACTIVITY_WORDS as TAG_WORDS
        from monitoring.media.fetch import organisation_gone
        from monitoring.standing import standing_triggers_create, standing_triggers_drop
        from monitoring.storage.partitions import after_migrations
        from monitoring.sync.clock import clock_turned_back
        from monitoring.sync.keys import api_key_heard
        from monitoring.timehistory.requests import ACTIVITY_WORDS as TIME_HISTORY_WORDS

        clock_turned_back.connect(clock_heard, dispatch_uid="monitoring.alerts")
        api_key_changed.connect(api_key_heard, dispatch_uid="monitoring.sync")
        post_save.connect(organisation_heard, sender=Organisation, dispatch_uid="monitoring.rules")
        post_delete.connect(organisation_gone, sender=Organisation, dispatch_uid="monitoring.media")
        post_migrate.connect(after_migrations, sender=self, dispatch_uid="monitoring.partitions")
        pre_migrate.connect(standing_triggers_drop, sender=self, dispatch_uid="monitoring.standing.drop")
        post_migrate.connect(standing_triggers_create, sender=self, dispatch_uid="monitoring.standing.create")
        activity_words(ACTIVITY_WORDS)
        activity_words(TAG_WORDS)
        activity_words(TIME_HISTORY_WORDS)
        activity_words(
            {
                "calibrator_added": _("Calibrator added"),
                "certificate_added": _("Certificate recorded"),
                "certificate_removed": _("Certificate removed"),
                "doubt_reviewed": _("Levels in doubt reviewed"),
                "sic_baseline_cleared": _("SIC baseline: back to the median"),
                "sic_baseline_set": _("SIC baseline set"),
                "tolerances_changed": _("Tolerances changed"),
            }
        )
