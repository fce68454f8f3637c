"""What is asked again and again is planned once for a connection, and answers as before."""

import pytest
from django.db import connection

from instruments.statements import planned_cursor

STATEMENT = "SELECT %s + 1, 'planned once'"


def asked(number: int) -> int:
    with planned_cursor() as cursor:
        cursor.execute(STATEMENT, [number])
        return int(cursor.fetchone()[0])


def plans() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_prepared_statements WHERE statement LIKE '%planned once%'")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
def test_it_answers_whatever_the_database() -> None:
    assert [asked(number) for number in range(5)] == [1, 2, 3, 4, 5]


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps statements by itself")
def test_postgresql_keeps_one_plan_for_all() -> None:
    before = plans()
    for number in range(5):
        asked(number)
    assert plans() == before + 1
