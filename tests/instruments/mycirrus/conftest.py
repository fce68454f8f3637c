"""A server on an ephemeral port, and a client of it."""

import socket
import threading
from collections.abc import Iterator

import pytest

from instruments.mycirrus import Client

from .served import KEY, Served


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.stopping.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(KEY, served.url, timeout=(1.0, 2.0), deadline=5.0) as client:
        yield client


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
