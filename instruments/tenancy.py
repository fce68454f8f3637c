"""The fence between organisations: without an open scope no row can be read or written.

A scope is a context variable, so each thread and task has its own. It holds one organisation's id, or, for a
stated reason, all of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.db import models


class NoOrganisation(RuntimeError):
    """A query ran outside any scope. Open `organisation_scope(id)` around it."""


class ForeignOrganisation(RuntimeError):
    """A write was about to cross from one organisation into another."""


class _Everyone:
    """The scope that holds every organisation."""


_EVERYONE: Final = _Everyone()
_scope: ContextVar[int | _Everyone | None] = ContextVar("organisation_scope", default=None)


@contextmanager
def organisation_scope(organisation_id: int) -> Iterator[None]:
    """Let the block see and write the rows of this organisation, and no other's."""
    if not isinstance(organisation_id, int):
        # A None that slipped through must not mean "everybody".
        raise TypeError(f"A scope needs an organisation's id, not {organisation_id!r}.")
    token = _scope.set(organisation_id)
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def all_organisations(*, reason: str) -> Iterator[None]:
    """Let the block see every organisation. The files that may are listed in tests/guards/test_tenancy.py."""
    if not reason:
        raise ValueError("Say why every organisation has to be seen.")
    token = _scope.set(_EVERYONE)
    try:
        yield
    finally:
        _scope.reset(token)


def active_organisation_id() -> int | None:
    """The organisation whose scope is open; None inside `all_organisations`. Raises NoOrganisation outside."""
    scope = _scope.get()
    if scope is None:
        raise NoOrganisation("No organisation is active here: open organisation_scope(id) around the query.")
    return None if isinstance(scope, _Everyone) else scope


class ScopedQuerySet(models.QuerySet):
    """Rows of the organisation in scope; every write checks that it stays there."""

    def _check(self, rows: list[Any]) -> None:
        for row in rows:
            check_write(row)

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> Any:
        objs = list(objs)
        self._check(objs)
        return super().bulk_create(objs, *args, **kwargs)

    def bulk_update(self, objs: Any, *args: Any, **kwargs: Any) -> int:
        objs = list(objs)
        self._check(objs)
        return super().bulk_update(objs, *args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        if "organisation" in kwargs or "organisation_id" in kwargs:
            raise ForeignOrganisation("A row never moves to another organisation.")
        return super().update(**kwargs)

    def create(self, **kwargs: Any) -> Any:
        if "organisation" not in kwargs and "organisation_id" not in kwargs:
            kwargs["organisation_id"] = active_organisation_id()
        return super().create(**kwargs)


_Manager = models.Manager.from_queryset(ScopedQuerySet)


class ScopedManager(_Manager):
    """The default manager of organisation-owned models: it raises where no scope is open."""

    def get_queryset(self) -> Any:
        organisation_id = active_organisation_id()
        rows = super().get_queryset()
        return rows if organisation_id is None else rows.filter(organisation_id=organisation_id)


def check_write(row: Any) -> None:
    """Raise ForeignOrganisation unless ``row`` belongs to the organisation in scope."""
    active = active_organisation_id()
    if active is not None and row.organisation_id != active:
        raise ForeignOrganisation(f"A {type(row).__name__} of another organisation cannot be written here.")


class OrgOwned(models.Model):
    """A row that belongs to one organisation."""

    # "+": children cannot be joined from the organisation, past the manager.
    organisation = models.ForeignKey("instruments.Organisation", on_delete=models.CASCADE, related_name="+")

    objects = ScopedManager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        check_write(self)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        check_write(self)
        return super().delete(*args, **kwargs)
