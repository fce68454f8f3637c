"""A MyCirrus that answers from memory: the client's whole path from bytes to rows runs, only the network does not."""

import io
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter

from instruments.mycirrus import Client

DAY = timedelta(days=1)


class Recorded(BaseAdapter):
    """Gives the recorded days of the request's range, whatever is asked for at a time."""

    def __init__(self, bodies: dict[datetime, bytes]) -> None:
        super().__init__()
        self._bodies = bodies
        self._joined: dict[tuple[datetime, datetime], bytes] = {}

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        asked = parse_qs(urlsplit(request.url or "").query)
        start, end = (datetime.fromisoformat(asked[name][0]) for name in ("start", "end"))
        answer = requests.Response()
        answer.status_code = 200
        answer.url, answer.request = request.url or "", request
        answer.headers["Content-Type"] = "application/json"
        if (start, end) not in self._joined:
            days = (self._bodies[start + number * DAY] for number in range((end - start) // DAY))
            # Two lists after each other are one list.
            self._joined[start, end] = b",".join(days).replace(b"],[", b",")
        answer.raw = io.BytesIO(self._joined[start, end])
        return answer

    def close(self) -> None:
        pass


def recorded_client(key: str, recorded: Recorded) -> Client:
    """A client that ``recorded`` answers, without a limiter."""
    client = Client(key, "http://recorded.invalid/v1", None)
    client._transport._session.mount("http://", recorded)
    return client
