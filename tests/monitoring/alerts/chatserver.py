"""Real HTTP servers that stand for Slack, Teams, Discord and a program of one's own; each refuses what they refuse."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

Answer = tuple[int, dict[str, str], bytes]
PLAIN = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Room:
    """What one address was sent, and how it answers: as its service does, or as ``answers`` says, one after another."""

    service: Callable[["Room", Any, bytes], Answer]
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    # For every request, where there are no `answers`.
    always: Answer | None = None
    # Seconds between two bytes of the answer.
    drips: float = 0.0
    key: str = ""

    def answer(self, headers: Any, body: bytes) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        if self.always is not None:
            return self.always
        answer = self.service(self, headers, body)
        if answer[0] < 300:
            self.got.append(json.loads(body))
            self.headers.append({name.lower(): value for name, value in headers.items()})
        return answer


def slack(room: Room, headers: Any, body: bytes) -> Answer:
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and the blocks' reference."""
    document = json.loads(body)
    if not document.get("text"):
        return 400, PLAIN, b"no_text"
    for block in document.get("blocks", []):
        text = block["text"]
        most = 150 if block["type"] == "header" else 3000
        if not 0 < len(text["text"]) <= most or (block["type"] == "header" and text["type"] != "plain_text"):
            return 400, PLAIN, b"invalid_blocks"
    return 200, PLAIN, b"ok"


def teams(room: Room, headers: Any, body: bytes) -> Answer:
    """A workflow "when a Teams webhook request is received" takes a message with one adaptive card."""
    document = json.loads(body)
    (attachment,) = document["attachments"]
    card = attachment["content"]
    if (
        document["type"] != "message"
        or attachment["contentType"] != "application/vnd.microsoft.card.adaptive"
        or (card["type"], card["version"]) != ("AdaptiveCard", "1.4")
        or not all(part["type"] in ("TextBlock", "FactSet") for part in card["body"])
    ):
        return 400, JSON, b'{"error":{"code":"TriggerInputSchemaMismatch"}}'
    return 202, {}, b""


def discord(room: Room, headers: Any, body: bytes) -> Answer:
    """https://docs.discord.com/developers/resources/webhook#execute-webhook, with the limits of an embed."""
    document = json.loads(body)
    (embed,) = document["embeds"]
    if len(embed["title"]) > 256 or len(embed["description"]) > 4096 or not 0 <= embed["color"] <= 0xFFFFFF:
        return 400, JSON, b'{"message":"Invalid Form Body","code":50035}'
    return 204, {}, b""


def program(room: Room, headers: Any, body: bytes) -> Answer:
    """A program that takes nothing unsigned."""
    try:
        Webhook(room.key).verify(body, dict(headers.items()))
    except WebhookVerificationError as error:
        return 401, JSON, json.dumps({"error": str(error)}).encode()
    return 200, JSON, b'{"stored":true}'


SERVICES: dict[str, tuple[str, Callable[..., Answer]]] = {
    "slack": ("/services/T0AAAAAAA/B0BBBBBBB/secretsecretsecretsecret", slack),
    "teams": (
        "/workflows/0123456789abcdef/triggers/manual/paths/invoke?sp=%2Ftriggers&sig=secretsecretsecret",
        teams,
    ),
    "discord": ("/api/webhooks/112233445566778899/secretsecret-secretsecret_secret", discord),
    "webhook": ("/cirrusweb/secretsecretsecret", program),
}


class _Handler(BaseHTTPRequestHandler):
    server: "ChatServer"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        room = self.server.rooms.get(self.path)
        self.server.asked.append(self.path)
        status, headers, text = room.answer(self.headers, body) if room else (404, PLAIN, b"no_service")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        if room is not None and room.drips:
            self.flush_headers()
            for letter in b"X-Slow: " + b"z" * 1000:
                self.wfile.write(bytes([letter]))
                time.sleep(room.drips)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class ChatServer(ThreadingHTTPServer):
    """All four at one port."""

    daemon_threads = True

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self.rooms = {path: Room(service) for path, service in SERVICES.values()}
        self.asked: list[str] = []
        self.connections = 0

    def verify_request(self, request: Any, client_address: Any) -> bool:
        self.connections += 1
        return True

    def room(self, kind: str) -> Room:
        return self.rooms[SERVICES[kind][0]]

    def address(self, kind: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{SERVICES[kind][0]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is part of the tests."""


@contextmanager
def chat_server(tls: ssl.SSLContext | None = None) -> Iterator[ChatServer]:
    """A server until the end."""
    server = ChatServer()
    if tls is not None:
        # The handshake is each connection's own: one that fails must not end the server.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
