"""What the database itself keeps of a fleet: each instrument's standing, and a count of what changed on its pages.

Triggers do it, whoever writes: a worker, a page, the admin or a script. `Instrument.standing` is `state_of` without
silence, which comes by time alone and is laid over it when a fleet is read (monitoring/fleet.py). They live outside
the migrations, like the triggers of instruments/constraints.py and for the same reason.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connections

from instruments.models import ApiKey, Deployment, Instrument, Site
from monitoring.models import (
    Certificate,
    CheckStanding,
    DoubtReview,
    FleetVersion,
    InstrumentStatus,
    Lane,
    Outcome,
    Resource,
    SyncTarget,
    Tolerances,
)
from monitoring.status import State

_PREFIX = "fleet_"
_SHARDS = 64
_FLEET, _CHECKS = FleetVersion.Topic.FLEET, FleetVersion.Topic.CHECKS
# Which organisation's news this transaction has counted; PostgreSQL forgets it with the transaction. Whoever reads
# the count inside of the same transaction clears it, or would miss what comes after.
COUNTED = {_FLEET: "cirrusweb.counted", _CHECKS: "cirrusweb.counted_checks"}
# What a trigger does but for a standing: the topic that it counts, and whether it may make the row of a count.
_COUNTS = {
    "news": (_FLEET, True),
    "removed": (_FLEET, False),
    "checks": (_CHECKS, True),
    "checks_removed": (_CHECKS, False),
}
_INSTRUMENT, _STATUS = Instrument._meta.db_table, InstrumentStatus._meta.db_table
_KEY, _TARGET = ApiKey._meta.db_table, SyncTarget._meta.db_table
_VERSION = FleetVersion._meta.db_table

# `state_of`, but for silence; a test holds the two together.
_STANDING = f"""
    SELECT CASE
        WHEN i.gone_at IS NOT NULL THEN {State.GONE.severity}
        WHEN s.sic_passed IS FALSE THEN {State.SIC_FAILED.severity}
        WHEN s.observed_at IS NULL OR s.online IS NULL THEN {State.UNKNOWN.severity}
        WHEN s.online IS FALSE THEN {State.OFFLINE.severity}
        WHEN s.calibration_in_progress IS TRUE OR s.sic_in_progress IS TRUE THEN {State.CHECKING.severity}
        WHEN s.measuring IS NULL THEN {State.UNKNOWN.severity}
        WHEN s.measuring IS TRUE AND s.empty_since_at IS NOT NULL THEN {State.EMPTY.severity}
        WHEN s.measuring IS TRUE THEN {State.MEASURING.severity}
        ELSE {State.NOT_MEASURING.severity} END
    FROM {_INSTRUMENT} i LEFT JOIN {_STATUS} s ON s.instrument_id = i.id
    WHERE i.id = """  # noqa: S608 - every name is ours

_FACTS = ("sic_passed", "online", "measuring", "calibration_in_progress", "sic_in_progress", "empty_since_at")
_SHOWN = (
    "serial",
    "name",
    "type",
    "model",
    "features",
    "subscription_status",
    "latitude",
    "longitude",
    "api_key_id",
    "gone_at",
    "standing",
)
_ON_BOARDS = ("serial", "name", "type", "model", "gone_at")
_KEY_SHOWN = ("label", "state", "scopes", "paused_until", "revoked_at")


def _first(row: str) -> str:
    return f"{row}.resource = '{Resource.STATUS}' AND {row}.lane = {Lane.LIVE.value}"


def _differs(*columns: str) -> str:
    return " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)


def _triggers() -> Iterator[tuple[str, str, str, str, str, str]]:
    """Name, table, event, the row that says whose it is, condition, and "standing" or one of `_COUNTS`."""
    heard = "(OLD.observed_at IS NULL) <> (NEW.observed_at IS NULL)"
    facts = f"{heard} OR {_differs(*_FACTS)}"
    yield "status_added", _STATUS, "INSERT", "NEW", "", "standing"
    yield "status_changed", _STATUS, f"UPDATE OF observed_at, {', '.join(_FACTS)}", "NEW", facts, "standing"
    gone = "(OLD.gone_at IS NULL) <> (NEW.gone_at IS NULL)"
    yield "instrument_gone", _INSTRUMENT, "UPDATE OF gone_at", "NEW", gone, "standing"
    yield "instrument_added_gone", _INSTRUMENT, "INSERT", "NEW", "NEW.gone_at IS NOT NULL", "standing"

    changed = _differs("changed_at")
    yield "status_news", _STATUS, "UPDATE OF changed_at", "NEW", changed, "news"
    yield "status_new", _STATUS, "INSERT", "NEW", "", "news"
    yield "instrument_news", _INSTRUMENT, f"UPDATE OF {', '.join(_SHOWN)}", "NEW", _differs(*_SHOWN), "news"
    yield "instrument_new", _INSTRUMENT, "INSERT", "NEW", "", "news"
    yield "key_news", _KEY, f"UPDATE OF {', '.join(_KEY_SHOWN)}", "NEW", _differs(*_KEY_SHOWN), "news"
    yield "key_new", _KEY, "INSERT", "NEW", "", "news"
    # How far the first reading of the fleet has come.
    tried = f"(OLD.outcome = '{Outcome.NEVER}') <> (NEW.outcome = '{Outcome.NEVER}')"
    parked = "(OLD.parked_at IS NULL) <> (NEW.parked_at IS NULL)"
    progress = f"{_first('NEW')} AND ({parked} OR {tried})"
    yield "target_news", _TARGET, "UPDATE OF outcome, parked_at", "NEW", progress, "news"
    yield "target_new", _TARGET, "INSERT", "NEW", _first("NEW"), "news"
    yield "instrument_removed", _INSTRUMENT, "DELETE", "OLD", "", "removed"
    yield "key_removed", _KEY, "DELETE", "OLD", "", "removed"
    yield "target_removed", _TARGET, "DELETE", "OLD", _first("OLD"), "removed"

    named = f"UPDATE OF {', '.join(_ON_BOARDS)}"
    yield "instrument_board", _INSTRUMENT, named, "NEW", _differs(*_ON_BOARDS), "checks"
    yield "instrument_board_new", _INSTRUMENT, "INSERT", "NEW", "", "checks"
    yield "instrument_board_removed", _INSTRUMENT, "DELETE", "OLD", "", "checks_removed"
    for model in (CheckStanding, Certificate, DoubtReview, Tolerances, Deployment):
        table = model._meta.db_table
        yield f"{table}_new", table, "INSERT", "NEW", "", "checks"
        yield f"{table}_changed", table, "UPDATE", "NEW", "", "checks"
    yield "site_named", Site._meta.db_table, "UPDATE OF name", "NEW", _differs("name"), "checks"
    for model in (Certificate, Deployment):
        yield f"{model._meta.db_table}_removed", model._meta.db_table, "DELETE", "OLD", "", "checks_removed"


def standing_triggers_drop(using: str, **_: Any) -> None:
    """Take the triggers away before migrations run: one that is being undone takes tables away that they name."""
    tables = _tables(using)
    with connections[using].cursor() as cursor:
        for name, table, *_rest in _triggers():
            if table in tables:
                cursor.execute(_dropped(name, table, using))


def _dropped(name: str, table: str, using: str) -> str:
    on = "" if connections[using].vendor == "sqlite" else f" ON {table}"
    return f"DROP TRIGGER IF EXISTS {_PREFIX}{name}{on}"


def standing_triggers_create(using: str, **_: Any) -> None:
    """Put the triggers on the tables as they stand, and mend what was written while there were none."""
    if _VERSION not in _tables(using):
        return
    connection = connections[using]
    sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        if not sqlite:
            for statement in _postgresql_functions():
                cursor.execute(statement)
        for trigger in _triggers():
            cursor.execute(_dropped(*trigger[:2], using))
            cursor.execute(_sqlite_trigger(*trigger) if sqlite else _postgresql_trigger(*trigger))
        cursor.execute(_restood(f"{_INSTRUMENT}.id", f"({_STANDING}{_INSTRUMENT}.id)"))


def _tables(using: str) -> set[str]:
    connection = connections[using]
    with connection.cursor() as cursor:
        return set(connection.introspection.table_names(cursor))


def _key_of(table: str) -> str:
    return "instrument_id" if table == _STATUS else "id"


def _restood(key: str, standing: str) -> str:
    return f"UPDATE {_INSTRUMENT} SET standing = {standing} WHERE id = {key} AND standing <> {standing}"  # noqa: S608


def _sqlite_trigger(name: str, table: str, event: str, row: str, condition: str, does: str) -> str:
    if does == "standing":
        key = f"NEW.{_key_of(table)}"
        deed = _restood(key, f"({_STANDING}{key})")
    else:
        topic, made = _COUNTS[does]
        deed = _counted(f"{row}.organisation_id", topic, "0", made=made)
    # IS is SQLite's own word for what both databases say in the conditions.
    when = f"WHEN {condition} ".replace("IS DISTINCT FROM", "IS NOT") if condition else ""
    return f"CREATE TRIGGER {_PREFIX}{name} AFTER {event} ON {table} {when}BEGIN {deed}; END"


def _counted(organisation: str, topic: int, shard: str, *, made: bool) -> str:
    """Count one more. What is being removed makes no row: its organisation may be on its way out, too."""
    if made:
        return (
            f"INSERT INTO {_VERSION} (organisation_id, topic, shard, number) "  # noqa: S608
            f"VALUES ({organisation}, {topic:d}, {shard}, 1) "
            f"ON CONFLICT (organisation_id, topic, shard) DO UPDATE SET number = {_VERSION}.number + 1"
        )
    return (
        f"UPDATE {_VERSION} SET number = number + 1 "  # noqa: S608
        f"WHERE id = (SELECT min(id) FROM {_VERSION} WHERE organisation_id = {organisation} AND topic = {topic:d})"
    )


def _postgresql_functions() -> Iterator[str]:
    # Volatile on purpose: a statement that waited for another writer must see what that one wrote.
    yield (
        f"CREATE OR REPLACE FUNCTION {_PREFIX}standing_of(bigint) RETURNS smallint VOLATILE LANGUAGE plpgsql AS $$ "
        f"BEGIN RETURN ({_STANDING}$1); END $$"
    )
    for table in (_STATUS, _INSTRUMENT):
        # The instrument is locked first: of two writers the later one judges by what both have written.
        key = f"NEW.{_key_of(table)}"
        locked = f"PERFORM 1 FROM {_INSTRUMENT} WHERE id = {key} FOR NO KEY UPDATE"
        yield (
            f"CREATE OR REPLACE FUNCTION {_function(table)}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"{locked}; {_restood(key, f'{_PREFIX}standing_of(id)')}; RETURN NULL; END $$"
        )
    # A connection counts on a shard of its own, which few others share.
    shard = f"pg_backend_pid() % {_SHARDS}"
    for does, (topic, made) in _COUNTS.items():
        row, counted = "NEW" if made else "OLD", COUNTED[topic]
        deed = _counted(f"{row}.organisation_id", topic, shard, made=made)
        # Once for a transaction is enough: nobody else sees what is between. Ten thousand times, as when the list of
        # a large account is first stored, would walk past every earlier version of the row at each.
        yield (
            f"CREATE OR REPLACE FUNCTION {_PREFIX}{does}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF current_setting('{counted}', true) IS DISTINCT FROM {row}.organisation_id::text THEN {deed}; "
            f"PERFORM set_config('{counted}', {row}.organisation_id::text, true); END IF; RETURN NULL; END $$"
        )


def _function(table: str) -> str:
    return f"{_PREFIX}{'status' if table == _STATUS else 'instrument'}_standing"


def _postgresql_trigger(name: str, table: str, event: str, row: str, condition: str, does: str) -> str:
    function = _function(table) if does == "standing" else f"{_PREFIX}{does}"
    when = f"WHEN ({condition}) " if condition else ""
    return (
        f"CREATE TRIGGER {_PREFIX}{name} AFTER {event} ON {table} "
        f"FOR EACH ROW {when}EXECUTE FUNCTION {function}()"
    )
