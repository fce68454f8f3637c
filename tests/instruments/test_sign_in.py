"""The door: sign-in, a forgotten password and the second factor, through the real forms."""

import re
import runpy
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from cirrusweb.supervisor.installation import free_port
from tests.conftest import PASSWORD, People

LOGIN = "account_login"


@pytest.fixture(autouse=True)
def _no_limits_from_other_tests() -> None:
    cache.clear()


def sign_in(browser: Client, email: str = "bob@example.com", password: str = PASSWORD, **more: Any) -> Any:
    return browser.post(reverse(LOGIN), {"login": email, "password": password, **more})


def is_in(browser: Client) -> bool:
    return browser.get("/o/harbour/people/").status_code == 200


def code_for(secret: str, *, steps: int = 0) -> str:
    """What an app shows whose clock is so many steps of 30 s ahead."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def test_right_password_opens_any_case_of_the_address(people: People) -> None:
    browser = Client()
    assert sign_in(browser, "BOB@Example.com")["Location"] == "/"
    assert is_in(browser)


@pytest.mark.parametrize("email", ["bob@example.com", "nobody@example.com"])
def test_wrong_password_says_the_same_for_everybody(people: People, email: str) -> None:
    browser = Client()
    page = sign_in(browser, email, "wrong").content.decode()
    assert "The email address and/or password you specified are not correct." in page
    assert not is_in(browser)


def test_guessing_is_slowed_down(people: People) -> None:
    browser = Client()
    for _ in range(12):
        sign_in(browser, password="wrong")
    sign_in(browser)
    assert not is_in(browser)


def test_behind_a_proxy_one_who_guesses_does_not_lock_out_the_rest(
    people: People, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEHIND_PROXY", "1")
    behind = runpy.run_path(str(settings.BASE_DIR / "cirrusweb" / "settings.py"))
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = behind["ALLAUTH_TRUSTED_PROXY_COUNT"]
    assert behind["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")

    # What the proxy adds stands last; what came before it is only a claim.
    stranger = Client(headers={"X-Forwarded-For": "198.51.100.7, 203.0.113.1"})
    for number in range(12):
        sign_in(stranger, f"person{number}@example.com", "wrong")
    sign_in(stranger)
    assert not is_in(stranger)
    bob = Client(headers={"X-Forwarded-For": "203.0.113.2"})
    sign_in(bob)
    assert is_in(bob)


def test_sign_in_returns_to_the_page_that_was_asked_for(people: People) -> None:
    browser = Client()
    answer = browser.get("/o/harbour/people/")
    assert answer["Location"] == f"{reverse(LOGIN)}?next=/o/harbour/people/"
    assert sign_in(browser, next="/o/harbour/people/")["Location"] == "/o/harbour/people/"


def test_sign_in_never_leads_to_another_host(people: People) -> None:
    assert sign_in(Client(), next="https://evil.example/")["Location"] == "/"


def test_signing_out_ends_it(people: People) -> None:
    browser = Client()
    sign_in(browser)
    browser.post(reverse("account_logout"))
    assert not is_in(browser)


def test_forgotten_password_is_replaced_by_a_mailed_link(people: People) -> None:
    browser = Client()
    browser.post(reverse("account_reset_password"), {"email": "bob@example.com"})
    (message,) = mail.outbox
    assert message.to == ["bob@example.com"]
    assert message.subject == "Cirrusweb: Choose a new password"
    assert "do nothing: your password stays as it is" in message.body
    link = re.search(r"https?://[^/\s]+(/accounts/password/reset/key/\S+)", message.body)
    assert link
    form = browser.get(link[1], follow=True)
    answer = browser.post(
        form.request["PATH_INFO"], {"password1": "an entirely new one", "password2": "an entirely new one"}
    )
    assert answer.status_code == 302
    again = Client().get(link[1], follow=True).content.decode()
    assert "This link no longer works" in again
    sign_in(browser)
    assert not is_in(browser)
    sign_in(browser, password="an entirely new one")
    assert is_in(browser)


def test_reset_for_a_stranger_looks_the_same_and_tells_nothing(people: People) -> None:
    known = Client().post(reverse("account_reset_password"), {"email": "bob@example.com"})
    unknown = Client().post(reverse("account_reset_password"), {"email": "nobody@example.com"})
    assert known.status_code == unknown.status_code == 302
    assert known["Location"] == unknown["Location"]
    assert [message.to for message in mail.outbox] == [["bob@example.com"], ["nobody@example.com"]]
    assert "No account here has this address" in mail.outbox[1].body


@pytest.mark.django_db(transaction=True)
def test_dead_mail_server_is_said_and_breaks_nothing(people: People, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    for email in ("bob@example.com", "nobody@example.com"):
        page = Client().post(reverse("account_reset_password"), {"email": email}, follow=True)
        assert page.status_code == 200
        assert "The mail server does not answer, so no mail was sent" in page.content.decode()
    browser = Client()
    sign_in(browser)
    activate_totp(browser)
    assert Authenticator.objects.filter(user=people.bob, type="totp").exists()


def activate_totp(browser: Client) -> str:
    """Set up an authenticator app through the page; gives its secret."""
    # The password once more: a browser left open must not be enough to change how one signs in.
    asked = browser.get(reverse("mfa_activate_totp"))
    assert browser.get(asked["Location"]).status_code == 200
    assert browser.post(asked["Location"], {"password": PASSWORD})["Location"] == reverse("mfa_activate_totp")
    page = browser.get(reverse("mfa_activate_totp"))
    assert page.status_code == 200
    secret = page.context["form"].secret
    answer = browser.post(reverse("mfa_activate_totp"), {"code": code_for(secret)})
    assert answer.status_code == 302
    return secret


def test_second_factor_is_asked_for_and_opens(people: People) -> None:
    browser = Client()
    sign_in(browser)
    secret = activate_totp(browser)
    browser.post(reverse("account_logout"))
    # A code opens once; another sign-in within the same half minute is another code's.
    cache.clear()
    answer = sign_in(browser)
    assert answer["Location"] == reverse("mfa_authenticate")
    assert not is_in(browser)
    wrong = browser.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert wrong.status_code == 200
    assert not is_in(browser)
    assert browser.post(reverse("mfa_authenticate"), {"code": code_for(secret)})["Location"] == "/"
    assert is_in(browser)


@pytest.mark.parametrize(("steps", "opens"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_second_factor_of_a_phone_whose_clock_is_a_little_off(
    people: People, steps: int, opens: bool
) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    with time_machine.travel(datetime(2026, 11, 26, 9, 30, 15, tzinfo=UTC), tick=False):
        TOTP.activate(people.bob, secret)
        browser = Client()
        sign_in(browser)
        browser.post(reverse("mfa_authenticate"), {"code": code_for(secret, steps=steps)})
        assert is_in(browser) == opens


@pytest.mark.django_db(transaction=True)
def test_change_of_the_second_factor_is_told_by_mail(people: People) -> None:
    browser = Client()
    sign_in(browser)
    activate_totp(browser)
    (message,) = mail.outbox
    assert message.to == ["bob@example.com"]
    assert "If that was not you, reset your password at once" in message.body
    codes = browser.get(reverse("mfa_view_recovery_codes"))
    text = codes.content.decode()
    assert all(code in text for code in codes.context["unused_codes"])
    assert "10 of 10 are left." in text
    assert "From then on your password alone" in browser.get(reverse("mfa_deactivate_totp")).content.decode()
    browser.post(reverse("mfa_generate_recovery_codes"))
    anew = browser.get(reverse("mfa_view_recovery_codes")).context["unused_codes"]
    assert not {*anew} & {*codes.context["unused_codes"]}


def test_who_has_a_second_factor_may_confirm_with_it(people: People) -> None:
    browser = Client()
    sign_in(browser)
    secret = activate_totp(browser)
    session = browser.session
    del session["account_authentication_methods"]
    session.save()
    cache.clear()
    asked = browser.get(reverse("mfa_deactivate_totp"))
    assert "Is it you?" in browser.get(asked["Location"]).content.decode()
    page = browser.get(f"{reverse('mfa_reauthenticate')}?next={reverse('mfa_deactivate_totp')}")
    assert "Is it you?" in page.content.decode()
    answer = browser.post(
        page.request["PATH_INFO"] + f"?next={reverse('mfa_deactivate_totp')}", {"code": code_for(secret)}
    )
    assert answer["Location"] == reverse("mfa_deactivate_totp")


def test_recovery_code_opens_once(people: People) -> None:
    TOTP.activate(people.bob, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(people.bob).get_unused_codes()
    for attempt, opens in ((1, True), (2, False)):
        cache.clear()
        browser = Client()
        sign_in(browser)
        browser.post(reverse("mfa_authenticate"), {"code": codes[0]})
        assert is_in(browser) is opens, attempt


def test_second_factor_holds_for_the_admin_as_well(people: People) -> None:
    people.bob.is_staff = people.bob.is_superuser = True
    people.bob.save()
    TOTP.activate(people.bob, "JBSWY3DPEHPK3PXP")
    browser = Client()
    answer = browser.get(reverse("admin:index"), follow=True)
    assert answer.redirect_chain[-1][0].startswith(reverse(LOGIN))
    sign_in(browser)
    assert browser.get(reverse("admin:index")).status_code == 302
    cache.clear()
    browser.post(reverse("mfa_authenticate"), {"code": code_for("JBSWY3DPEHPK3PXP")})
    assert browser.get(reverse("admin:index")).status_code == 200


def test_second_factor_can_be_switched_off_again(people: People) -> None:
    browser = Client()
    sign_in(browser)
    activate_totp(browser)
    assert browser.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not Authenticator.objects.filter(user=people.bob).exists()


@pytest.mark.parametrize("name", ["account_email", "account_change_password", "mfa_index"])
def test_pages_of_ones_own_account_render(people: People, name: str) -> None:
    browser = Client()
    sign_in(browser)
    assert browser.get(reverse(name)).status_code == 200
