"""Django's registration of the glue: system checks and what has to happen around migrations."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class CirruswebConfig(AppConfig):
    """The installation as a whole."""

    name = "cirrusweb"
    verbose_name = "Cirrusweb"

    def ready(self) -> None:
        # celery: without it here, a web process would send its tasks to a default broker.
        from cirrusweb import celery, checks  # noqa: F401
        from instruments import constraints, exclusion

        pre_migrate.connect(constraints.sqlite_triggers_drop, dispatch_uid="tenant-triggers-drop")
        post_migrate.connect(constraints.sqlite_triggers_create, dispatch_uid="tenant-triggers-create")
        pre_migrate.connect(exclusion.sqlite_triggers_drop, dispatch_uid="exclusion-triggers-drop")
        post_migrate.connect(exclusion.sqlite_triggers_create, dispatch_uid="exclusion-triggers-create")
