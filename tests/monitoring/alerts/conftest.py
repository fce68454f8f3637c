"""The stories' stage: an organisation on a Monday morning, and one monitor of it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from instruments.models import Instrument
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_instrument
from tests.monitoring.alerts.story import START, Story
from tests.monitoring.mailserver import Mailbox


@pytest.fixture
def story(people: People, mailbox: Mailbox) -> Iterator[Story]:
    with time_machine.travel(START, tick=False) as clock, organisation_scope(people.organisation.pk):
        yield Story(people, mailbox, clock)


@pytest.fixture
def instrument(story: Story) -> Instrument:
    return make_instrument(story.owner, "QT000001", first_seen_at=START - timedelta(days=30))
