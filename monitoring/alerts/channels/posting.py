"""One POST to an address that a customer chose: into no private network, past no deadline, and never naming it."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import responses as PHRASES
from urllib.parse import SplitResult, urlsplit

import requests
from django.conf import settings
from django.utils.translation import gettext as _
from requests_hardened.ip_filter import InvalidIPAddress, filter_host
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.exceptions import HTTPError

from cirrusweb.log import redact
from instruments.mycirrus.answer import failure_of, retry_after_of
from instruments.mycirrus.wire import DeadlineAdapter, UnfollowingSession, deadline, environment
from monitoring.alerts.channels.sending import NotSent, Refused

CONNECT_SECONDS = 4.0
READ_SECONDS = 8.0
# Of the whole call, however slowly the answer drips: a worker's thread is not a stranger's to hold.
TOTAL_SECONDS = 12.0
_ANSWER_BYTES = 2_000
_ANSWER_LENGTH = 200
# What another try may change. Every other 4xx says that it will not.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class _GuardedAdapter(IPFilterAdapter, DeadlineAdapter):
    """Looks a name up once, refuses what is not public, and connects to the very address that it looked at."""


def private_words() -> str:
    """Why an address inside a private network is not used."""
    return _(
        "It leads into a private network, which this installation does not allow. "
        "Its operator can, with CHANNEL_PRIVATE_ADDRESSES."
    )


def address_check(address: str) -> None:
    """Raise Refused, in words for a form, for what could never be posted to.

    For people's sake only: a name may lead elsewhere by the time of sending, where it is looked at again.
    """
    parts = _parts(address)
    if settings.CHANNEL_PRIVATE_ADDRESSES:
        return
    try:
        filter_host(parts.hostname or "", parts.port or 443, allow_loopback=False)
    except InvalidIPAddress:
        raise Refused(private_words()) from None
    except (requests.RequestException, OSError, ValueError):
        # A name server that is away is no fault of the address; the test says more.
        return


def _parts(address: str) -> SplitResult:
    allowed = ("https", "http") if settings.CHANNEL_PRIVATE_ADDRESSES else ("https",)
    with suppress(ValueError):
        parts = urlsplit(address)
        # Letters, digits, hyphens and dots, as DNS has them, the _ of names at home and the : of IPv6.
        host = re.fullmatch(r"[a-z0-9_.:-]+", parts.hostname or "")
        good = parts.scheme in allowed and host and parts.port != 0 and not parts.username
        if good and re.fullmatch(r"[!-~]{1,2000}", address):
            return parts
    raise Refused(_("This is no address that a message can be sent to. It begins with https://."))


def post(address: str, *, body: bytes, headers: Mapping[str, str]) -> str:
    """Send ``body``; what was answered, in a line. Raises NotSent or Refused, neither of which names the address."""
    parts = _parts(address)
    base = f"{parts.scheme}://{parts.hostname}"
    until = time.monotonic() + TOTAL_SECONDS
    failure: Exception | None = None
    with UnfollowingSession() as session:
        # Without .netrc, whose passwords are the operator's; proxies and certificates as the environment says.
        session.trust_env, session.proxies, session.verify = False, *environment(base)
        session.headers["User-Agent"] = "Cirrusweb"
        for scheme in ("https://", "http://"):
            session.mount(
                scheme,
                DeadlineAdapter()
                if settings.CHANNEL_PRIVATE_ADDRESSES
                else _GuardedAdapter(is_https_proto=scheme == "https://"),  # type: ignore[call-arg]
            )
        try:
            with (
                deadline(until),
                session.post(
                    address,
                    data=body,
                    headers=dict(headers),
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    stream=True,
                    # One that led into a private network would be followed there; and a 307 repeats the message.
                    allow_redirects=False,
                ) as response,
            ):
                told = _told(response, address)
        except InvalidIPAddress:
            failure = Refused(private_words())
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader):
            failure = Refused(_("This is no address that a message can be sent to."))
        except (requests.RequestException, HTTPError, OSError, ValueError) as cause:
            failure = NotSent(str(failure_of(cause)))
    # Raised outside of the except block: the cause holds the request, and so the address.
    if failure is not None:
        raise failure
    status = response.status_code
    if 200 <= status < 300:
        return told
    if status in _PASSING or status >= 500:
        raise NotSent(told, retry_after=retry_after_of(response.headers))
    raise Refused(told)


def _told(response: requests.Response, address: str) -> str:
    """Status and the beginning of a plain answer; a page of HTML says nothing to anybody."""
    status = response.status_code
    said = f"{status} {PHRASES.get(status, '')}".strip()
    if 300 <= status < 400:
        return _("%(said)s: it redirects elsewhere, and redirects are not followed.") % {"said": said}
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in ("text/plain", "application/json", "application/problem+json"):
        return said
    try:
        beginning = next(response.iter_content(_ANSWER_BYTES), b"")
    except (requests.RequestException, HTTPError, OSError, ValueError):
        # The status counts; that the rest is missing or slow changes nothing of it.
        return said
    text = " ".join(beginning.decode("utf-8", "replace").replace("\0", "").split())
    # Some repeat what they were sent.
    for part in (address, *re.split(r"[/?&=]", address.partition("://")[2])[1:]):
        if len(part) >= 8:
            text = text.replace(part, "…")
    text = redact(text)[:_ANSWER_LENGTH]
    return f"{said}: {text}" if text else said
