"""A stream that lasts ends for who would not be let in any more, and for nobody else."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import ApiKey, Instrument, Membership, User
from instruments.tenancy import organisation_scope
from monitoring.live import view
from monitoring.live.audience import Audience
from tests.conftest import People, make_instrument, make_key

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def watching(
    people: People, audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> Callable[[User], Iterator[bytes]]:
    """Begins a stream that asks at each step."""
    monkeypatch.setattr(view, "audience", lambda: audience)
    monkeypatch.setattr("monitoring.live.stream.ADMISSION_SECONDS", 0.0)
    monkeypatch.setattr("monitoring.live.stream.HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr("monitoring.live.stream._LOOK_SECONDS", 0.01)
    make_instrument(people.organisation, "QT000001", api_key=make_key(people.organisation))

    def begin(user: User) -> Iterator[bytes]:
        answer: Any = people.client(user).get("/o/harbour/i/QT000001/live/")
        stream: Iterator[bytes] = iter(answer.streaming_content)
        assert next(stream).startswith(b"retry:")
        next(stream)
        return stream

    return begin


@pytest.mark.parametrize(
    "change",
    [
        lambda bob: Membership.objects.filter(user=bob).delete(),
        lambda bob: Session.objects.all().delete(),
        lambda bob: Session.objects.update(expire_date=LONG_AGO),
        lambda bob: User.objects.filter(pk=bob.pk).update(is_active=False),
        lambda bob: User.objects.filter(pk=bob.pk).update(password="another"),
        lambda bob: ApiKey.objects.update(revoked_at=LONG_AGO),
        lambda bob: Instrument.objects.update(gone_at=LONG_AGO),
        lambda bob: Instrument.objects.all().delete(),
    ],
    ids=["removed", "signed out", "session over", "inactive", "password", "key", "gone", "deleted"],
)
def test_a_stream_ends_with_the_right_to_it(
    people: People, watching: Callable[[User], Iterator[bytes]], change: Callable[[User], Any]
) -> None:
    stream = watching(people.bob)
    assert next(stream)
    with organisation_scope(people.organisation.pk):
        change(people.bob)
    assert next(stream, None) is None


def test_another_s_removal_ends_nothing_and_to_ask_costs_three_statements(
    people: People, watching: Callable[[User], Iterator[bytes]]
) -> None:
    stream = watching(people.bob)
    with organisation_scope(people.organisation.pk):
        Membership.objects.filter(user=people.mary).delete()
    with CaptureQueriesContext(connection) as said:
        # A heartbeat, or that no hub is there where the listener finds that out only now.
        assert next(stream)
    assert len(said) == 3
