"""HTTP connections whose every read ends by a deadline; must know nothing of MyCirrus or of keys."""

from __future__ import annotations

import http.client
import io
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# As many calls as one process makes at once.
_MOST_KEPT = 64


class _Deadline(threading.local):
    """When the present call of this thread must have ended, on the monotonic clock."""

    at: float = math.inf


_deadline = _Deadline()


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Within it, no read of this thread from a connection of ours lasts past `at` on the monotonic clock."""
    _deadline.at = at
    try:
        yield
    finally:
        _deadline.at = math.inf


class _DeadlineReader(io.RawIOBase):
    """Bounds each read of a socket by the deadline: a read timeout alone lets a slow drip hold a worker forever."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb").detach()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _deadline.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if left != math.inf and ((timeout := self._sock.gettimeout()) is None or left < timeout):
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineHTTPResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp: io.BufferedReader = io.BufferedReader(_DeadlineReader(sock))


class _Connection(HTTPConnection):
    response_class = _DeadlineHTTPResponse


class _TLSConnection(HTTPSConnection):
    response_class = _DeadlineHTTPResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class DeadlineAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager


@lru_cache(maxsize=64)
def environment(base_url: str) -> tuple[dict[str, str], bool | str]:
    """Proxies and certificates for this address as the environment names them."""
    with requests.Session() as session:
        told = session.merge_environment_settings(base_url, {}, None, None, None)
    verify = told["verify"]
    return dict(told["proxies"]), True if verify is None else verify


@cache
def _kept(process: int) -> DeadlineAdapter:
    """This process's connections, left open between clients."""
    return DeadlineAdapter(pool_maxsize=_MOST_KEPT)


class UnfollowingSession(requests.Session):
    """Sees no redirect as one: `allow_redirects=False` still has requests read all of its body, however long it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class KeptConnections(BaseAdapter):
    """Reads go over connections that outlive their client: a connection is the host's and no key's.

    What changes something gets a connection of its own. One that lay idle may be closed by the other side in the
    moment in which it is used again: a read is then simply tried anew, and an action must not be.
    """

    def __init__(self) -> None:
        super().__init__()
        self._own: DeadlineAdapter | None = None

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if request.method == "GET":
            return _kept(os.getpid()).send(request, *args, **kwargs)
        self._own = self._own or DeadlineAdapter()
        return self._own.send(request, *args, **kwargs)

    def close(self) -> None:
        if self._own is not None:
            self._own.close()
