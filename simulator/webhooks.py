"""Webhook registrations and their signed deliveries (sections 7 and 8 of the contract)."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from simulator.asked import Answer, Asked
from simulator.fleet import Instrument
from simulator.moods import Moods
from simulator.state import State
from simulator.wire import invalid_param, missing_param, not_found

TYPES = ("NewMeasurement", "NewEvent", "InstrumentStatus", "CalibrationFinished", "SicFinished")
RETRIES = 5
TIMEOUT = 5.0
_SPACING = 1.0  # seconds before the first retry; doubled each time
_REMOVED_AFTER = 20  # messages in a row that failed every try
_AT_ONCE = 50

Webhook = dict[str, str]


def signature(secret: str, body: bytes, encoding: str = "hex") -> str:
    """HMAC-SHA256 of the raw body, in one of the encodings that the contract leaves open."""
    mac = hmac.new(secret.encode(), body, hashlib.sha256)
    match encoding:
        case "HEX":
            return mac.hexdigest().upper()
        case "base64":
            return base64.b64encode(mac.digest()).decode()
        case "base64url":
            return base64.urlsafe_b64encode(mac.digest()).decode().rstrip("=")
        case "sha256-prefix":
            return "sha256=" + mac.hexdigest()
        case _:
            return mac.hexdigest()


class Webhooks:
    """Registrations, and the sender that tries each message up to six times."""

    def __init__(self, state: State, moods: Moods, *, allow_http: bool) -> None:
        self._state, self._moods, self._allow_http = state, moods, allow_http
        self._hooks: dict[str, Webhook] = state.section("webhooks", {})
        self._failures: dict[str, int] = {}
        self._session: aiohttp.ClientSession | None = None
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[dict[str, Any]]] = set()
        # Told the serial of each webhook that is made, so that what happens from then on is noticed.
        self.on_new: Callable[[str], None] = lambda _: None
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=1000)

    # Registrations

    def all(self) -> list[Webhook]:
        return list(self._hooks.values())

    def get(self, hook_id: str) -> Webhook:
        if hook_id not in self._hooks:
            raise not_found(f"webhook {hook_id}")
        return self._hooks[hook_id]

    def put(self, body: dict[str, Any], hook_id: str | None = None) -> Webhook:
        """Make a webhook, or replace the named one; the server chooses the id, and the secret when none is given."""
        for name in ("type", "instrument", "url"):
            if not body.get(name):
                raise missing_param(name.capitalize())
        if body["type"] not in TYPES:
            raise invalid_param(f"There is no webhook type {body['type']}.")
        self._check_url(str(body["url"]))
        hook = {
            "id": hook_id or uuid.uuid4().hex[:12],
            "type": str(body["type"]),
            "instrument": str(body["instrument"]),
            "url": str(body["url"]),
            "secret": str(
                body.get("secret") or (self._hooks[hook_id]["secret"] if hook_id else uuid.uuid4())
            ),
        }
        self._hooks[hook["id"]] = hook
        self._state.save()
        self.on_new(hook["instrument"])
        return hook

    def remove(self, hook_id: str) -> None:
        self._hooks.pop(hook_id, None)
        self._failures.pop(hook_id, None)
        self._state.save()

    def watched(self) -> set[str]:
        """Serials that have a webhook."""
        return {hook["instrument"] for hook in self._hooks.values()}

    def _check_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return
        if not (parts.scheme == "http" and self._allow_http and _loopback(parts.hostname)):
            raise invalid_param("The url must be https.")

    # Deliveries

    def send(self, instrument: Instrument, message: dict[str, Any]) -> list["asyncio.Task[dict[str, Any]]"]:
        """Start delivering a message to every webhook that wants it; other messages are not ours."""
        wanted = [
            hook
            for hook in self._hooks.values()
            if hook["instrument"] == instrument.serial and hook["type"] == message["type"]
        ]
        body = orjson.dumps(message)
        tasks = []
        for hook in wanted:
            if self._moods.take("webhook-lost", hook["url"]) is not None:
                continue
            copies = 2 if self._moods.take("webhook-twice", hook["url"]) is not None else 1
            tasks += [self.start(hook, body) for _ in range(copies)]
        return tasks

    def start(self, hook: Webhook, body: bytes, signed: str | None = None) -> "asyncio.Task[dict[str, Any]]":
        """Deliver these bytes to one webhook in the background."""
        task = asyncio.get_running_loop().create_task(self._deliver(hook, body, signed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _deliver(self, hook: Webhook, body: bytes, signed: str | None) -> dict[str, Any]:
        encoding = self._moods.take("signature") or "hex"
        headers = {
            "Content-Type": "application/json",
            "X-Webhook-Id": hook["id"],
            "X-Webhook-Signature": signed
            if signed is not None
            else signature(hook["secret"], body, encoding),
        }
        attempts: list[dict[str, Any]] = []
        record = {
            "webhook": hook["id"],
            "url": hook["url"],
            "body": body.decode(),
            "attempts": attempts,
            "delivered": False,
        }
        self.deliveries.append(record)
        for attempt in range(1 + RETRIES):
            if attempt:
                # JSON gives an int for 0, which is a wish for no pause at all, so ask for None and not for falsehood.
                spacing = self._moods.take("retry-spacing")
                await asyncio.sleep((_SPACING if spacing is None else spacing) * 2 ** (attempt - 1))
            outcome = await self._try(hook["url"], headers, body)
            attempts.append(outcome)
            if outcome.get("status") == 200:
                record["delivered"] = True
                self._failures.pop(hook["id"], None)
                return record
        self._failures[hook["id"]] = self._failures.get(hook["id"], 0) + 1
        if self._failures[hook["id"]] >= _REMOVED_AFTER:
            self.remove(hook["id"])
        return record

    async def _try(self, url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        async with self._gate:
            if self._session is None:
                timeout = aiohttp.ClientTimeout(total=TIMEOUT)
                # Through no proxy and with no cookies: each delivery stands alone.
                self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
            try:
                async with self._session.post(
                    url, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    await answer.read()
                    return {"status": answer.status}
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                return {"error": type(error).__name__}

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._session is not None:
            await self._session.close()


def _loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


# Operations


class WebhookOperations:
    """The management operations; a key sees the webhooks of the instruments it reaches."""

    def __init__(self, webhooks: Webhooks, moods: Moods) -> None:
        self._webhooks, self._moods = webhooks, moods

    def index(self, asked: Asked) -> list[Webhook]:
        return [hook for hook in self._webhooks.all() if asked.key.reaches(hook["instrument"])]

    def read(self, asked: Asked) -> Webhook:
        hook = self._webhooks.get(asked.path["webhookId"])
        if not asked.key.reaches(hook["instrument"]):
            raise not_found(f"webhook {hook['id']}")
        return hook

    def create(self, asked: Asked) -> Answer:
        body = asked.object()
        if body.get("instrument"):
            asked.instrument(str(body["instrument"]))
        return Answer(201, self._webhooks.put(body))

    def change(self, asked: Asked) -> Answer:
        if self._frozen(asked):
            return Answer(405)
        hook = self.read(asked)
        body = {**hook, **asked.object()}
        asked.instrument(str(body["instrument"]))
        return Answer(200, self._webhooks.put(body, hook["id"]))

    def delete(self, asked: Asked) -> Answer:
        if self._frozen(asked):
            return Answer(405)
        self._webhooks.remove(self.read(asked)["id"])
        return Answer(204)

    def _frozen(self, asked: Asked) -> bool:
        return self._moods.take("no-webhook-changes", "/v1/webhooks") is not None
