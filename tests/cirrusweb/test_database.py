"""The connection to the database: a server that vanishes is noticed."""

import pytest
from django.db import connection


@pytest.mark.django_db
def test_a_server_that_vanishes_is_given_up_within_a_minute() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite is a file")
    connection.ensure_connection()
    told = connection.connection.info.get_parameters()
    idle, interval, count = (int(told[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + interval * count <= 60
    assert int(told["tcp_user_timeout"]) <= 60_000
    assert int(told["connect_timeout"]) <= 10
