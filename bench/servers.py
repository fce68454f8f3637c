"""Starts the servers that a benchmark measures, as `make run` starts them, and ends them; and speaks HTTP to them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from bench.stage import ROOT
from cirrusweb.supervisor.child import Child
from cirrusweb.supervisor.installation import Installation, free_port
from cirrusweb.supervisor.plan import Plan

OURS = "cirrusweb.wsgi"


def until(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


def plan(port: int = 8000, **changes: str) -> Plan:
    """The installation of this process' environment, as `make run` would run it on ``port``."""
    return Plan(Installation(Path(os.environ["DATA_DIR"]), port=port), {**os.environ, **changes})


@contextmanager
def process(command: Sequence[str], environment: Mapping[str, str], *, log: str) -> Iterator[int]:
    """A process with its output in a file of the data folder; yields its id."""
    path = Path(environment["DATA_DIR"]) / f"{log}.log"
    with path.open("ab") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield child.pid
        finally:
            if child.poll() is not None:
                print(f"{log} ended by itself: {path.read_text()[-2000:]}", file=sys.stderr)
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def gunicorn(application: str = OURS, **changes: str) -> Iterator[int]:
    """The web server with the settings of `make run`, serving ``application``; yields its port."""
    port = free_port()
    web = plan(port, **changes).web()
    command = [application if part == OURS else part for part in web.command]
    if application != OURS:
        command += ["--config", str(ROOT / "bench" / "limits" / "bare_server.py")]
    with process(command, web.environment, log=application):
        until(lambda: _answers(port), seconds=60, what=application)
        yield port


@contextmanager
def celery(child: Child, *, log: str) -> Iterator[int]:
    """A worker or a beat of a plan; yields its process id."""
    with process(child.command, child.environment, log=log) as pid:
        yield pid


@contextmanager
def python(*arguments: str, log: str, **changes: str) -> Iterator[int]:
    """Another Python process over the same installation; yields its process id."""
    with process([sys.executable, *arguments], {**os.environ, **changes}, log=log) as pid:
        yield pid


def _answers(port: int) -> bool:
    try:
        with Connection(port) as connection:
            connection.exchange(request("GET", "/healthz", Connection="close"))
    except OSError:
        return False
    return True


class Connection:
    """A persistent connection that costs the measuring side next to nothing: http.client alone takes 0.2 ms."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = self._open()

    def _open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body of the answer to ``request``, which must have a Content-Length or no body."""
        try:
            return self._exchange(request)
        except ConnectionError:
            # The server let go of a connection that was idle for longer than its keep-alive.
            self._socket.close()
            self._socket = self._open()
            return self._exchange(request)

    def _exchange(self, request: bytes) -> tuple[int, bytes, bytes]:
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        status, length = int(head[9:12]), 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"transfer-encoding":
                return status, head, self._chunks(body)
        pieces, missing = [body], length - len(body)
        while missing > 0:
            pieces.append(self._more())
            missing -= len(pieces[-1])
        return status, head, b"".join(pieces)

    def _chunks(self, received: bytes) -> bytes:
        whole = b""
        while True:
            while b"\r\n" not in received:
                received += self._more()
            size, _, received = received.partition(b"\r\n")
            length = int(size, 16)
            while len(received) < length + 2:
                received += self._more()
            whole, received = whole + received[:length], received[length + 2 :]
            if not length:
                return whole

    def _more(self) -> bytes:
        piece = self._socket.recv(1 << 20)
        if not piece:
            raise ConnectionResetError("the server closed the connection")
        return piece


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request; ``_`` in a header's name stands for ``-``."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
