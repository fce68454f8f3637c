"""Every model, file and table keeps to the fence between organisations; a new one that does not fails here."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction

from instruments import constraints
from instruments.models import ApiKey, Instrument, Organisation
from instruments.tenancy import OrgOwned, ScopedManager, ScopedQuerySet, all_organisations, organisation_scope
from monitoring import standing
from tests.conftest import People, make_instrument, make_key

OUR_APPS = ("cirrusweb", "instruments", "monitoring", "webhooks")
# Models that no organisation owns, each with the reason.
FREE_MODELS = {
    "instruments.Organisation": "the tenant itself",
    "instruments.User": "a person may belong to several organisations; memberships say to which",
    "instruments.User_groups": "Django's own, of a person",
    "instruments.User_user_permissions": "Django's own, of a person",
}
# The files that may see every organisation. Each call states its reason; a new file needs a better one.
MAY_SEE_EVERYONE = {
    "cirrusweb/checks.py",
    "cirrusweb/doctor.py",
    "cirrusweb/doctor_mail.py",
    "cirrusweb/removal.py",
    "cirrusweb/management/commands/encryption_rotate.py",
    "instruments/access.py",
    "instruments/admin_base.py",
    "instruments/people.py",
    "monitoring/actions/claims.py",
    "monitoring/alerts/claims.py",
    "monitoring/alerts/connections.py",
    "monitoring/alerts/digests/turns.py",
    "monitoring/alerts/leaving.py",
    "monitoring/alerts/nagging.py",
    "monitoring/alerts/tasks.py",
    "monitoring/alerts/withdrawing.py",
    "monitoring/storage/retention.py",
    "monitoring/sync/claims.py",
    "monitoring/sync/targets.py",
    "monitoring/sync/clock.py",
    "monitoring/timehistory/claims.py",
    "webhooks/tasks.py",
}


def our_models() -> Iterator[type[models.Model]]:
    for model in apps.get_models(include_auto_created=True):
        if model._meta.app_label in OUR_APPS:
            yield model


def test_every_model_is_owned_or_says_why_not() -> None:
    free = {model._meta.label for model in our_models() if not issubclass(model, OrgOwned)}
    assert free == set(FREE_MODELS)


@pytest.mark.parametrize("model", list(our_models()), ids=lambda model: model._meta.label)
def test_foreign_key_to_the_organisation_is_ours(model: type[models.Model]) -> None:
    to_organisation = [f for f in model._meta.local_fields if f.related_model is Organisation]
    if not to_organisation:
        assert not issubclass(model, OrgOwned)
        return
    assert issubclass(model, OrgOwned), "a row with an organisation has to be OrgOwned"
    assert [field.name for field in to_organisation] == ["organisation"]
    assert to_organisation[0].remote_field.related_name == "+"
    assert not to_organisation[0].null


@pytest.mark.parametrize(
    "model", [m for m in our_models() if issubclass(m, OrgOwned)], ids=lambda model: model._meta.label
)
def test_every_manager_is_scoped(model: Any) -> None:
    # The base manager too would show everything, but Django needs it to follow a row's own foreign keys.
    assert model._meta.managers
    for manager in model._meta.managers:
        assert isinstance(manager, ScopedManager), f"{manager} is not scoped"
        assert issubclass(manager._queryset_class, ScopedQuerySet)
    assert not model._meta.local_many_to_many, "a many-to-many table has no organisation: write it as a model"


def _sources() -> Iterator[tuple[str, ast.AST]]:
    for app in OUR_APPS:
        for path in sorted((settings.BASE_DIR / app).rglob("*.py")):
            yield str(path.relative_to(settings.BASE_DIR)), ast.parse(path.read_text())


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_only_listed_files_see_every_organisation() -> None:
    seen = {}
    for file, tree in _sources():
        calls = [
            n for n in ast.walk(tree) if isinstance(n, ast.Call) and _name(n.func) == "all_organisations"
        ]
        if calls:
            seen[file] = calls
    assert set(seen) - MAY_SEE_EVERYONE == set(), "a file that is not listed sees every organisation"
    assert MAY_SEE_EVERYONE - set(seen) == set(), "a listed file no longer needs to be"
    for file, calls in seen.items():
        for call in calls:
            (reason,) = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
            assert isinstance(reason, ast.Constant), f"{file}:{call.lineno} does not state its reason"
            assert len(str(reason.value)) > 15, f"{file}:{call.lineno} does not state its reason"


def test_nobody_goes_round_the_manager() -> None:
    ways_round = {"_base_manager", "_scope", "_EVERYONE"}
    for file, tree in _sources():
        if file != "instruments/tenancy.py":
            used = {_name(node) for node in ast.walk(tree) if isinstance(node, ast.expr)} & ways_round
            assert not used, f"{file} goes round the scoped manager with {used}"


# --- What the database holds ---------------------------------------------------------------------------------------

KEYS = list(constraints.tenant_foreign_keys())


def test_there_are_children_to_hold() -> None:
    assert {model._meta.label for model, _ in KEYS} >= {
        "monitoring.NoiseMeasurement",
        "monitoring.SyncTarget",
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "field"), KEYS, ids=[f"{m._meta.label}.{f.name}" for m, f in KEYS])
def test_database_knows_the_tenant_key(model: type[OrgOwned], field: models.ForeignKey) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute('SELECT "from", "to" FROM pragma_foreign_key_list(%s)', [model._meta.db_table])
            if {("organisation_id", "organisation_id"), (field.column, "id")} <= set(cursor.fetchall()):
                return
            cursor.execute(
                "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s "
                "AND sql LIKE %s AND name LIKE 'tenant_%%'",
                [model._meta.db_table, f'%NEW."{field.column}"%'],
            )
            assert cursor.fetchone() == (2,), "no triggers: see instruments/constraints.py"
        return
    with connection.cursor() as cursor:
        held = connection.introspection.get_constraints(cursor, model._meta.db_table)
    name = constraints.foreign_key(model, field.column)
    assert name in held, f"add TenantForeignKey({model.__name__!r}, {field.name!r}) to a migration"
    assert held[name]["columns"] == ["organisation_id", field.column]


def _reading(organisation: Organisation, instrument: Instrument) -> tuple[str, list[Any]]:
    return (
        "INSERT INTO monitoring_noisemeasurement (organisation_id, instrument_id, start_at) VALUES (%s, %s, %s)",
        [organisation.pk, instrument.pk, datetime(2026, 1, 1, tzinfo=UTC)],
    )


def _execute(statement: str, parameters: list[Any]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        # Deferred constraints speak at commit, which a test's outer transaction never reaches.
        connection.check_constraints()
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_raw_sql_cannot_cross(people: People) -> None:
    theirs = make_instrument(people.other)
    with pytest.raises(IntegrityError):
        _execute(*_reading(people.organisation, theirs))
    _execute(*_reading(people.other, theirs))


def test_raw_sql_needs_a_parent(people: People) -> None:
    mine = make_instrument(people.organisation)
    statement, parameters = _reading(people.organisation, mine)
    for wrong in ([0, mine.pk], [people.organisation.pk, 0], [0, 0]):
        with pytest.raises(IntegrityError):
            _execute(statement, [*wrong, *parameters[2:]])


def test_raw_sql_cannot_move_a_child(people: People) -> None:
    mine, theirs = make_instrument(people.organisation), make_instrument(people.other)
    _execute(*_reading(people.organisation, mine))
    for statement, parameters in (
        ("UPDATE monitoring_noisemeasurement SET instrument_id = %s", [theirs.pk]),
        ("UPDATE monitoring_noisemeasurement SET organisation_id = %s", [people.other.pk]),
    ):
        with pytest.raises(IntegrityError):
            _execute(statement, parameters)


def test_raw_sql_cannot_move_a_parent(people: People) -> None:
    mine = make_instrument(people.organisation)
    _execute(*_reading(people.organisation, mine))
    with pytest.raises(IntegrityError):
        _execute("UPDATE instruments_instrument SET organisation_id = %s", [people.other.pk])


def test_a_key_of_another_organisation_cannot_be_used(people: People) -> None:
    theirs = make_key(people.other)
    mine = make_instrument(people.organisation)
    with pytest.raises(IntegrityError):
        _execute("UPDATE instruments_instrument SET api_key_id = %s WHERE id = %s", [theirs.pk, mine.pk])


def test_parents_can_still_be_deleted(people: People) -> None:
    key = make_key(people.organisation)
    mine = make_instrument(people.organisation, api_key=key)
    _execute(*_reading(people.organisation, mine))
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.get(pk=key.pk).delete()
        mine.refresh_from_db()
        assert mine.api_key is None
        mine.delete()
    with all_organisations(reason="a test looks at everything"):
        people.organisation.delete()
        assert not Instrument.objects.exists()
    connection.check_constraints()


@pytest.mark.django_db(transaction=True)
def test_migrations_take_it_back_and_put_it_on_again() -> None:
    def held() -> list[str]:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'tenant_%'"
                )
            else:
                # With Django's own: going back has to bring back those that a key had replaced. Not those of months,
                # of which another test may have made some more.
                cursor.execute("SELECT conname FROM pg_constraint WHERE contype = 'f' AND conparentid = 0")
            return sorted(row[0] for row in cursor.fetchall())

    before = held()
    assert len(before) >= len(KEYS)
    call_command("migrate", "monitoring", "0001", verbosity=0)
    try:
        # SQLite's triggers do not come from migrations; there the round trip must only not fail.
        if connection.vendor == "postgresql":
            noise = {name for name in held() if "monitoring_noisemeas" in name}
            assert len(noise) == 2
            assert not any(name.startswith("tenant_") for name in noise)
        call_command("migrate", "instruments", "0001", verbosity=0)
    finally:
        call_command("migrate", verbosity=0)
    assert held() == before


@pytest.mark.django_db(transaction=True)
def test_sqlite_tables_can_be_built_anew_under_migrations() -> None:
    """The trap that the triggers' signals avoid: Django rebuilds a table that other tables' triggers name."""
    if connection.vendor != "sqlite":
        pytest.skip("a matter of SQLite only")
    constraints.sqlite_triggers_drop(using="default")
    standing.standing_triggers_drop(using="default")
    try:
        with connection.schema_editor() as editor:
            editor._remake_table(Instrument)
    finally:
        for app in ("instruments", "monitoring", "webhooks"):
            constraints.sqlite_triggers_create(sender=apps.get_app_config(app), using="default")
        standing.standing_triggers_create(using="default")


def test_this_file_reads_the_whole_project() -> None:
    files = [file for file, _ in _sources()]
    assert "instruments/tenancy.py" in files
    assert Path(settings.BASE_DIR / "manage.py").exists()
