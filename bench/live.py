"""T8: from the simulated MyCirrus' socket into a browser, 100 viewers of 10 instruments, beside bare sockets to it."""

import re
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db import connection

from bench.measure import Row, compared, judged, percentile
from bench.population import fleet_make, key_make, organisation_make, viewer_cookie
from bench.servers import gunicorn, python
from tests.simulated import SimulatedMyCirrus

INSTRUMENTS, VIEWERS = 10, 100
_WARM_UP = 5.0
_START = b'{"action": "StartLiveData", "types": ["LAeq", "LAF", "LCPeak"]}'
# A browser's handshake, with the key of the protocol's own example.
_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
)
_BARE = re.compile(rb'"LiveData", "time": "([^"]+)"')
_OURS = re.compile(rb'"type":"levels","at":(\d+)')


@dataclass
class Listener:
    """One open connection and the delays, in milliseconds, of what came over it."""

    socket: socket.socket
    ours: bool
    delays: list[float]


def measure(*, quick: bool) -> list[Row]:
    with SimulatedMyCirrus(fleet=40, epoch=None) as mycirrus, ExitStack() as stack:
        serials = _measuring(mycirrus)
        organisation = organisation_make("harbour")
        fleet_make(organisation, serials, key=key_make(organisation, mycirrus.base_url))
        cookie = viewer_cookie(organisation)
        connection.close()
        stack.enter_context(python("manage.py", "live", log="live"))
        port = stack.enter_context(gunicorn())
        listeners = [Listener(_bare(mycirrus, serial), False, []) for serial in serials]
        for number in range(VIEWERS):
            path = f"/o/{organisation.slug}/i/{serials[number % INSTRUMENTS]}/live/"
            listeners.append(Listener(_opened(port, path, f"Cookie: {cookie}"), True, []))
        _listen(listeners, _WARM_UP)
        sockets = mycirrus.live_sockets() - INSTRUMENTS
        for listener in listeners:
            listener.delays.clear()
        _listen(listeners, 15.0 if quick else 60.0)
        for listener in listeners:
            listener.socket.close()
    ours = [delay for listener in listeners if listener.ours for delay in listener.delays]
    bare = [delay for listener in listeners if not listener.ours for delay in listener.delays]
    deaf = sum(listener.ours and not listener.delays for listener in listeners)
    if deaf or sockets != INSTRUMENTS:
        raise RuntimeError(f"{deaf} viewers heard nothing, over {sockets} sockets to MyCirrus")
    note = f"{len(ours)} levels over {sockets} sockets; median {percentile(ours, 50):.0f} ms"
    return [
        judged(
            "T8", "live level to browser, p95", unit="ms", ours=[percentile(ours, 95)], at_most=300, note=note
        ),
        compared("T8", "live level, against a bare socket", unit="ms", ours=ours, limit=bare),
    ]


def _measuring(mycirrus: SimulatedMyCirrus) -> list[str]:
    """Serials whose socket opens: those that are online."""
    found = []
    for serial in mycirrus.serials():
        try:
            _bare(mycirrus, serial).close()
        except ConnectionError:
            continue
        found.append(serial)
        if len(found) == INSTRUMENTS:
            return found
    raise RuntimeError("the simulated fleet has too few instruments online")


def _bare(mycirrus: SimulatedMyCirrus, serial: str) -> socket.socket:
    parts = urlsplit(mycirrus.base_url)
    headers = f"X-Api-Key: {mycirrus.key}\r\n{_UPGRADE}"
    opened = _opened(parts.port or 80, f"{parts.path}/live/{serial}", headers, status=b"101")
    # Masked with zeros, which leaves the text as it is.
    opened.sendall(bytes([0x81, 0x80 | len(_START), 0, 0, 0, 0]) + _START)
    return opened


def _opened(port: int, path: str, headers: str, *, status: bytes = b"200") -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), timeout=30)
    opened.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := opened.recv(1)):
            break
        head += piece
    if head[9:12] != status:
        opened.close()
        raise ConnectionError(f"{path} answered {head[9:12]!r}")
    opened.setblocking(False)
    return opened


def _listen(listeners: list[Listener], seconds: float) -> None:
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener.socket, selectors.EVENT_READ, listener)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                listener = key.data
                data, now = listener.socket.recv(65536), time.time() * 1000
                listener.delays += [now - sent for sent in _sent(listener, data)]


def _sent(listener: Listener, data: bytes) -> Iterator[float]:
    """When each message left, in epoch milliseconds: it is sent at the turn of the second that it names."""
    if listener.ours:
        yield from (float(at) for at in _OURS.findall(data))
    else:
        for at in _BARE.findall(data):
            yield datetime.fromisoformat(at.decode().replace("Z", "+00:00")).timestamp() * 1000
