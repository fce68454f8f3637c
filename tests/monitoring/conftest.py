"""A simulated MyCirrus, keys to it, and the sync's turns taken one after another in the foreground."""

import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments import keys
from instruments.models import ApiKey, Instrument, Organisation
from instruments.mycirrus import RateLimiter
from instruments.tenancy import organisation_scope
from monitoring.models import Lane, Resource, SyncTarget
from monitoring.sync.claims import due_claim
from monitoring.sync.run import Turn, target_run
from monitoring.sync.targets import key_targets_refresh, targets_ensure
from tests.conftest import People, make_instrument, make_key
from tests.instruments.mycirrus.served import Served
from tests.monitoring.failing import SEEN, asks
from tests.monitoring.mailserver import Mailbox, MailServer
from tests.simulated import SimulatedMyCirrus


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    """A real SMTP server that the installation sends its mail to."""
    handler = Mailbox()
    server = MailServer(handler, hostname="127.0.0.1", port=0)
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_TIMEOUT = 5
    settings.DEFAULT_FROM_EMAIL = "Cirrusweb <alerts@noise.example>"
    settings.PUBLIC_URL = "https://noise.example"
    yield handler
    server.stop()


@pytest.fixture(scope="module")
def process() -> Iterator[SimulatedMyCirrus]:
    with SimulatedMyCirrus() as mycirrus:
        yield mycirrus


@pytest.fixture
def mycirrus(
    process: SimulatedMyCirrus, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatedMyCirrus]:
    """A MyCirrus without moods that the installation may speak to, at a pace that no test has to wait for."""
    settings.MYCIRRUS_EXTRA_BASE_URLS = [process.base_url]
    settings.HISTORY_DAYS = 1
    monkeypatch.setattr(
        keys,
        "_limiter",
        lambda url, fingerprint: RateLimiter(keys._redis(url), fingerprint, start=900, ceiling=900, burst=50),
    )
    process.moods()
    process.forget_requests()
    yield process
    process.moods()


NewKey = Callable[..., ApiKey]


@pytest.fixture
def new_key(mycirrus: SimulatedMyCirrus, organisation: Organisation) -> NewKey:
    """Makes a key at MyCirrus and here: new_key("QT000001", ...) reaches these serials only.

    ``scopes`` are those that it has, ``found`` what a verification is to have found of them.
    """

    def make(
        *serials: str,
        scopes: list[str] | None = None,
        found: dict[str, bool] | None = None,
        owner: Organisation | None = None,
    ) -> ApiKey:
        # Never the same twice, not even in the next run: Redis remembers how long a key has to wait.
        secret = f"mycirrus-{secrets.randbelow(10**6):06}-{secrets.token_hex(8).upper()}"
        mycirrus.add_key(secret, scopes, list(serials) or None)
        return make_key(owner or organisation, secret, mycirrus.base_url, scopes=found or {})

    return make


def start(api_key: ApiKey) -> None:
    """What is heard when a key is added: its list is due."""
    with organisation_scope(api_key.organisation_id):
        key_targets_refresh(api_key=api_key, now=datetime.now(UTC))


# What most tests follow. The rest is left for later, or each would wait for a dozen more resources.
FOLLOWED = {Resource.INSTRUMENTS, Resource.STATUS, Resource.CALIBRATIONS, Resource.SIC, Resource.NOISE}


def followed(**only: Any) -> Any:
    """The live targets of the resources that most tests follow."""
    return SyncTarget.objects.filter(resource__in=FOLLOWED, lane=Lane.LIVE).filter(**only)


def turns(owner: Organisation, rounds: int = 1_000) -> list[Turn]:
    """Run what is due of the followed resources for ``owner`` until nothing is, as the workers would.

    Less than everything where ``rounds`` are few: the first reads the list of instruments, the next asks each.
    """
    done: list[Turn] = []
    with organisation_scope(owner.pk):
        for _ in range(rounds):
            others = SyncTarget.objects.exclude(pk__in=followed().values("pk"))
            others.update(due_at=datetime.now(UTC) + timedelta(days=1))
            claims = due_claim(now=datetime.now(UTC), organisation_id=owner.pk)
            if not claims:
                break
            done += [turn for claim in claims if (turn := target_run(claim=claim)) is not None]
    return done


def again(owner: Organisation, *resources: Resource, **only: Any) -> list[Turn]:
    """The next regular turns of ``resources`` (of all that are followed without any), now."""
    with organisation_scope(owner.pk):
        targets = followed(**only)
        if resources:
            targets = targets.filter(resource__in=resources)
        targets.update(due_at=datetime.now(UTC))
    return turns(owner)


def mirrored(api_key: ApiKey) -> list[Instrument]:
    """Start the key, run what it makes due, and give the instruments in the order of their serials."""
    start(api_key)
    owner = Organisation.objects.get(pk=api_key.organisation_id)
    turns(owner)
    with organisation_scope(owner.pk):
        return list(Instrument.objects.order_by("serial"))


@pytest.fixture
def instrument(people: People) -> Iterator[Instrument]:
    """Harbour's monitor; Alice and Bob asked to hear of failed checks, and Charlie did in his own organisation."""
    made = make_instrument(people.organisation, "QT000001", first_seen_at=SEEN)
    make_instrument(people.other, "QT000001", first_seen_at=SEEN)
    asks(people.organisation, people.alice)
    asks(people.organisation, people.bob)
    asks(people.other, people.charlie)
    with organisation_scope(people.organisation.pk):
        yield made


@pytest.fixture
def served(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A MyCirrus of a few rows that a test writes by hand."""
    monkeypatch.setattr(keys, "_limiter", lambda url, fingerprint: None)
    server = Served()
    settings.MYCIRRUS_EXTRA_BASE_URLS = [server.url]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def unit(organisation: Organisation, served: Served) -> Iterator[Instrument]:
    """A monitor whose MyCirrus is ``served``."""
    key = make_key(organisation, base_url=served.url)
    made = make_instrument(organisation, api_key=key)
    with organisation_scope(organisation.pk):
        targets_ensure(instruments=[made], now=datetime.now(UTC))
        yield made
