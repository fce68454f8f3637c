"""Migrations say what the models say, can be taken back, and do not branch."""

import re

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

OUR_APPS = ("instruments", "monitoring", "webhooks")


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)


def test_each_app_has_one_end() -> None:
    loader = MigrationLoader(None)
    for app in OUR_APPS:
        assert len(loader.graph.leaf_nodes(app)) == 1


def test_every_operation_can_be_taken_back() -> None:
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if app in OUR_APPS:
            for operation in migration.operations:
                assert operation.reversible, f"{app}.{name}: {operation.describe()}"


def test_names_say_what_they_do() -> None:
    for app, name in MigrationLoader(None).disk_migrations:
        if app in OUR_APPS:
            assert re.fullmatch(r"\d{4}_[a-z][a-z0-9_]+", name)
            assert "auto_" not in name, f"{app}.{name} is named by a machine"


@pytest.mark.django_db
def test_tables_are_as_the_migrations_left_them() -> None:
    loader = MigrationLoader(connection)
    assert set(loader.disk_migrations) <= set(loader.applied_migrations)


def test_only_migrations_are_among_migrations() -> None:
    for app in OUR_APPS:
        files = {path.name for path in (settings.BASE_DIR / app / "migrations").glob("*.py")}
        assert {name for name in files if not re.match(r"\d{4}_", name)} == {"__init__.py"}
