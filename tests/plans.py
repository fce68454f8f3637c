"""Whether an admin's list is read by an index, as SQLite tells its plan."""

from typing import Any

from django.db import connection

from instruments.admin_base import NearPaginator
from instruments.tenancy import all_organisations


def assert_found_by(index: str, rows: Any) -> None:
    """The page of a changelist's ``rows`` and its bounded count both go by ``index``, and nothing is sorted."""
    assert set(rows.query.order_by) == {"-pk"}
    if connection.vendor == "sqlite":
        with all_organisations(reason="a test looks at the plan"):
            plan = rows.explain()
            counted = rows.order_by()[: NearPaginator.furthest].explain()
        assert f"INDEX {index}" in plan
        assert f"INDEX {index}" in counted
        assert "TEMP B-TREE" not in plan
