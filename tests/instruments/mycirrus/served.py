"""A real HTTP server that says what a test tells it to; must not know what MyCirrus means by it."""

import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "mycirrus-123456-AABBCCDD11223344"


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query)


@dataclass
class Reply:
    """What to answer: JSON unless `raw` bytes are given, or anything at all through `write`."""

    document: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    write: Callable[[socket.socket], None] | None = None


def endless(connection: socket.socket, head: bytes, hung_up: threading.Event) -> None:
    """An answer far longer than anybody should read, sent until the client hangs up, which ``hung_up`` tells."""
    try:
        connection.sendall(head)
        for _ in range(1000):
            connection.sendall(b"x" * 100_000)
    except OSError:
        hung_up.set()


class Served(ThreadingHTTPServer):
    """Answers with the replies in turn, the last of them for ever, and remembers what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.replies: list[Reply] = [Reply([])]
        # Rows by the time in their `startTime`, for a server that answers by what is asked: `keep`.
        self.kept: list[dict[str, Any]] | None = None
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def say(self, *replies: Any) -> None:
        self.replies = [reply if isinstance(reply, Reply) else Reply(reply) for reply in replies]

    def keep(self, rows: Iterable[dict[str, Any]]) -> None:
        """Answer each range with those of ``rows`` that begin in it, as MyCirrus does."""
        self.kept = sorted(rows, key=lambda row: str(row["startTime"]))

    def answer(self, asked: Asked) -> Reply:
        """What to say to ``asked``."""
        if self.kept is None:
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        query = dict(asked.query)
        return Reply([row for row in self.kept if query["start"] <= row["startTime"] < query["end"]])

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Served
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        served = self.server
        served.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
        reply = served.answer(served.asked[-1])
        if reply.write is not None:
            self.close_connection = True
            reply.write(self.connection)
            return
        content = json.dumps(reply.document).encode() if reply.raw is None else reply.raw
        self.send_response(reply.status)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for failures."""
