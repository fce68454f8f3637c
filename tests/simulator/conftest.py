"""A simulator per worker, and callers with a key; tests that change a mood or a state start their own."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.simulated import SimulatedMyCirrus


class Caller:
    """Raw requests, so that a test sees status and body; parameters may repeat."""

    def __init__(self, mycirrus: SimulatedMyCirrus, key: str | None = SimulatedMyCirrus.key) -> None:
        self.mycirrus = mycirrus
        self.session = requests.Session()
        self.session.trust_env = False
        if key:
            self.session.headers["X-Api-Key"] = key

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.mycirrus.base_url + path, timeout=20, **options)

    def get(self, path: str, params: Any = None) -> requests.Response:
        return self("GET", path, params=params)

    def rows(self, path: str, serial: str, start: str, end: str, **more: str) -> list[dict[str, Any]]:
        answer = self.get(path, {"instruments": serial, "start": start, "end": end, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def mycirrus() -> Iterator[SimulatedMyCirrus]:
    """Shared by the tests of one worker: leave it as it was."""
    with SimulatedMyCirrus(epoch=SimulatedMyCirrus.past) as simulated:
        yield simulated


@pytest.fixture(scope="session")
def api(mycirrus: SimulatedMyCirrus) -> Caller:
    return Caller(mycirrus)


@pytest.fixture(scope="session")
def serial(mycirrus: SimulatedMyCirrus) -> str:
    """A healthy noise instrument with weather, audio and a period of a minute."""
    return mycirrus.serials()[0]


@pytest.fixture
def own() -> Iterator[SimulatedMyCirrus]:
    """A simulator to spoil."""
    with SimulatedMyCirrus(epoch=SimulatedMyCirrus.past) as simulated:
        yield simulated


@pytest.fixture
def silent() -> Iterator[SimulatedMyCirrus]:
    """A simulator to spoil whose webhooks tell only what a test sends, so that they can be counted."""
    with SimulatedMyCirrus("--no-happenings", epoch=SimulatedMyCirrus.past) as simulated:
        yield simulated
