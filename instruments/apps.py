"""Django's registration of the app and of the operator's admin."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class InstrumentsConfig(AppConfig):
    """Organisations, people, keys, instruments."""

    name = "instruments"
    verbose_name = "Organisations and instruments"
    default = True

    def ready(self) -> None:
        """Let people who sign up by invitation in; let a deleted organisation's photos go."""
        from allauth.account.signals import user_signed_up
        from django.db.models.signals import post_delete

        from instruments.accounts import invited_person_signed_up
        from instruments.models import Organisation
        from instruments.photos import organisation_gone

        post_delete.connect(organisation_gone, sender=Organisation, dispatch_uid="instruments.photos")
        user_signed_up.connect(invited_person_signed_up, dispatch_uid="instruments.invited_person_signed_up")


class OperatorAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site in the place of its own."""

    default = False

    default_site = "instruments.admin_base.OperatorSite"
