"""Who stops reading, or never sends the whole of what it announced, holds a thread of the web server for no longer."""

import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from gunicorn.config import Config

from tests.run.served import ROOT, free_port, until

THREADS = 2
ASKED = {
    "reading": b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "asking": b"GET /large HTTP/1.1\r\nHost: loc",
    "sending": b"POST /large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    command = ["-m", "gunicorn", "tests.run.large", "--worker-class", "gthread", "--threads", str(THREADS)]
    command += [
        "--bind",
        f"127.0.0.1:{port}",
        "--timeout",
        "3",
        "--graceful-timeout",
        "1",
        "--no-control-socket",
    ]
    with (tmp_path / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=os.environ, stdout=log, stderr=log
        )
        try:
            until(lambda: answers(port), seconds=120)
            yield port
        finally:
            process.terminate()
            process.wait(15)


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=1).ok
    except requests.RequestException:
        return False


@pytest.mark.parametrize("stops", ASKED)
def test_whoever_stops_is_left(port: int, stops: str) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS):
            reader = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            reader.sendall(ASKED[stops])
        until(lambda: not answers(port), seconds=10)
        until(lambda: answers(port), seconds=30)


@pytest.mark.parametrize(("timeout", "expected"), [(60, 60.0), (0, None)])
def test_no_timeout_is_no_limit(timeout: int, expected: float | None) -> None:
    """To the server 0 means none; to a socket, that it waits for nothing at all."""
    settings = Config()
    settings.set("timeout", timeout)
    mine, theirs = socket.socketpair()
    with mine, theirs:
        connection = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["Connection"](settings, mine, "", "")
        connection.init()
        assert mine.gettimeout() == expected


def test_a_byte_now_and_then_is_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each comes before the timeout, and the whole has to come as well."""
    settings, passed = Config(), [0.0]
    settings.set("timeout", 60)
    monkeypatch.setattr("time.monotonic", lambda: passed[0])
    mine, theirs = socket.socketpair()
    with mine, theirs:
        connection = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["Connection"](settings, mine, "", "")
        connection.init()
        for second in range(0, 300, 59):
            passed[0] = float(second)
            theirs.sendall(b"G")
            assert connection.parser.unreader.chunk() == b"G"
            assert mine.gettimeout() == 60.0
        passed[0] = 300.0
        theirs.sendall(b"G")
        with pytest.raises(TimeoutError):
            connection.parser.unreader.chunk()
        # The next request has as long again.
        connection.init()
        assert connection.parser.unreader.chunk() == b"G"
