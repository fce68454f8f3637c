"""Second factors at rest: used through the real forms, never legible in the database, rotated with the key ring."""

from io import StringIO
from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from cirrusweb import checks, doctor
from instruments.credentials import SecretUnreadable
from tests.conftest import People
from tests.instruments.test_sign_in import activate_totp, code_for, is_in, sign_in

NEW = Fernet.generate_key().decode()
SECRET = "JBSWY3DPEHPK3PXP"


def everything_stored() -> str:
    """Each cell of each table, and what the sessions hold once they are unpacked."""
    cells: list[Any] = [session.get_decoded() for session in Session.objects.all()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            cells += cursor.fetchall()
    return repr(cells)


def enters(code: str) -> bool:
    """Whether Bob's password and then ``code`` open the door."""
    # A code opens once in its half minute; here it is asked whether it is right, not how often.
    cache.clear()
    browser = Client()
    assert sign_in(browser)["Location"] == reverse("mfa_authenticate")
    browser.post(reverse("mfa_authenticate"), {"code": code})
    return is_in(browser)


def set_up() -> tuple[str, list[str]]:
    """Bob's authenticator secret and recovery codes, by the pages."""
    cache.clear()
    browser = Client()
    sign_in(browser)
    secret = activate_totp(browser)
    page = browser.get(reverse("mfa_view_recovery_codes"))
    return secret, page.context["unused_codes"]


def test_database_holds_no_clear_secret(people: People) -> None:
    secret, codes = set_up()
    seed = Authenticator.objects.get(type="recovery_codes").data["seed"]
    stored = everything_stored()
    assert "bob@example.com" in stored
    assert seed in stored
    for clear in (secret, get_adapter().decrypt(seed), *codes):
        assert clear not in stored
    assert enters(code_for(secret))
    assert enters(codes[0])
    assert not enters(codes[0])


def test_both_factors_open_after_the_ring_was_changed(people: People, settings: Any) -> None:
    secret, codes = set_up()
    assert enters(codes[0])
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    before = dict(Authenticator.objects.values_list("type", "data"))
    call_command("encryption_rotate", "--check", stdout=(said := StringIO()))
    assert "2 are still to be done" in said.getvalue()
    assert dict(Authenticator.objects.values_list("type", "data")) == before
    call_command("encryption_rotate", stdout=StringIO())
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert enters(code_for(secret))
    assert enters(codes[1])
    assert not enters(codes[0])
    # All else in the document is as it was.
    after = Authenticator.objects.get(type="recovery_codes").data
    assert after.keys() == before["recovery_codes"].keys()


def test_wrong_ring_raises_and_is_told(people: People, settings: Any) -> None:
    totp = TOTP.activate(people.bob, SECRET)
    codes = RecoveryCodes.activate(people.bob)
    assert checks.secrets_readable(None, databases=["default"]) == []
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(SecretUnreadable):
        totp.validate_code(code_for(SECRET))
    with pytest.raises(SecretUnreadable):
        codes.generate_codes()
    (problem,) = checks.secrets_readable(None, databases=["default"])
    assert (problem.id, "mfa.Authenticator" in problem.msg) == ("cirrusweb.W004", True)
    finding = next(each for each in doctor.other_secrets() if "authenticators" in each.what)
    assert (finding.level, finding.message) == ("fail", "2 of 2 cannot be decrypted.")


def test_a_factor_of_a_lost_ring_is_said_plainly_at_sign_in(people: People, settings: Any) -> None:
    TOTP.activate(people.bob, SECRET)
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    browser = Client()
    sign_in(browser)
    answer = browser.post(reverse("mfa_authenticate"), {"code": code_for(SECRET)})
    assert "Ask the operator of this installation to remove it" in answer.content.decode()
    assert not is_in(browser)
    # Removed, the password is enough to set up another.
    Authenticator.objects.filter(user=people.bob).delete()
    browser = Client()
    sign_in(browser)
    assert is_in(browser)


def test_codes_taken_over_from_elsewhere_are_rotated_each(people: People, settings: Any) -> None:
    adapter = get_adapter()
    TOTP.activate(people.bob, SECRET)
    data = {"migrated_codes": [adapter.encrypt("11112222"), adapter.encrypt("33334444")]}
    Authenticator.objects.create(user=people.bob, type="recovery_codes", data=data)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, *settings.FIELD_ENCRYPTION_KEYS]
    call_command("encryption_rotate", stdout=StringIO())
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert enters("33334444")
    assert not enters("33334444")
    assert enters("11112222")
