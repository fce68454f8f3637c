"""System checks: what contradicts itself is said before anything starts, and never with a secret in it."""

import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core import checks as django_checks
from django.core.management import call_command

from cirrusweb import checks
from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_key


def ids(messages: list[Any]) -> list[str]:
    return [message.id for message in messages]


def test_defaults_hold() -> None:
    assert checks.leases_hold(None) == []
    assert checks.encryption_keys_parse(None) == []


@pytest.mark.parametrize(
    ("task", "lease", "visible"), [(180, 180, 300), (120, 300, 300), (120, 180, 150), (0, 180, 300)]
)
def test_leases_that_do_not_nest(settings: Any, task: int, lease: int, visible: int) -> None:
    settings.SYNC_TASK_SECONDS, settings.SYNC_LEASE_SECONDS = task, lease
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": visible}
    assert ids(checks.leases_hold(None)) == ["cirrusweb.E001"]


@pytest.mark.parametrize("ring", [["not-a-key"], [Fernet.generate_key().decode(), "half"], []])
def test_malformed_ring(settings: Any, ring: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ring
    (message,) = checks.encryption_keys_parse(None)
    assert message.id == "cirrusweb.E002"
    assert not any(key in f"{message.msg}{message.hint}" for key in ring)


def test_ring_that_does_not_fit_what_is_stored(people: People, settings: Any) -> None:
    assert checks.secrets_readable(None, databases=["default"]) == []
    make_key(people.organisation)
    assert checks.secrets_readable(None, databases=["default"]) == []
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    (message,) = checks.secrets_readable(None, databases=["default"])
    assert message.id == "cirrusweb.W004"
    # No error: `migrate` would stop at it, and without `migrate` nothing starts in which a key could be entered anew.
    assert message.level == django_checks.WARNING
    call_command("check", databases=["default"])
    # Without leave to touch the database, as when a server starts: nothing is asked.
    assert checks.secrets_readable(None) == []


def test_forgotten_secret_is_no_complaint(people: People) -> None:
    key = make_key(people.organisation)
    with organisation_scope(people.organisation.pk):
        ApiKey.objects.filter(pk=key.pk).update(ciphertext="")
    assert checks.secrets_readable(None, databases=["default"]) == []


@pytest.mark.parametrize(
    ("url", "hosts", "said"),
    [
        ("https://noise.example.com", ["noise.example.com"], []),
        ("https://noise.example.com", [".example.com"], []),
        ("https://example.com:8443", [".example.com"], []),
        ("http://noise.example.com", ["noise.example.com"], ["cirrusweb.W001"]),
        ("https://noise.example.com", ["localhost"], ["cirrusweb.W002"]),
        ("https://noisexample.com", [".example.com"], ["cirrusweb.W002"]),
        ("https://noise.example.com", ["*"], ["cirrusweb.W003"]),
    ],
)
def test_address_from_outside(settings: Any, url: str, hosts: list[str], said: list[str]) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = url, hosts
    assert ids(checks.reachable_from_outside(None)) == said


@pytest.mark.parametrize("name", checks.MINIMA)
def test_numbers_below_what_they_can_mean(settings: Any, name: str) -> None:
    assert checks.numbers_hold(None) == []
    setattr(settings, name, -1)
    (message,) = checks.numbers_hold(None)
    assert (message.id, message.msg) == (
        "cirrusweb.E004",
        f"{name} is -1: it must be at least {checks.MINIMA[name]}.",
    )
    setattr(settings, name, float("nan"))
    assert ids(checks.numbers_hold(None)) == ["cirrusweb.E004"]


def test_every_number_has_a_minimum() -> None:
    text = (Path(django_settings.BASE_DIR) / "cirrusweb" / "settings.py").read_text()
    numbers = set(re.findall(r'env\.(?:int|float)\("([A-Z_]+)"', text))
    assert numbers == {*checks.MINIMA, "SYNC_TASK_SECONDS", "SYNC_LEASE_SECONDS"}


def test_they_are_registered() -> None:
    everyday = {check.__name__ for check in django_checks.registry.registry.get_checks()}
    deploy = {check.__name__ for check in django_checks.registry.registry.get_checks(True)}
    assert {"leases_hold", "numbers_hold", "encryption_keys_parse", "secrets_readable"} <= everyday
    assert "reachable_from_outside" in deploy - everyday
