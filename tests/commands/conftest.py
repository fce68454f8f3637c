"""Running management commands as the operator does, and reading back what they say."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.simulated import SimulatedMyCirrus


@dataclass
class Said:
    """What a command wrote, and the sentence it failed with."""

    out: str
    err: str
    failure: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """run("export", "harbour", "noise"): output, never an exception; `stdin` is what is piped in."""

    def run(*words: str, stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        out, err, failure = io.StringIO(), io.StringIO(), ""
        try:
            call_command(*words, stdout=out, stderr=err)
        except CommandError as error:
            failure = str(error)
        return Said(out.getvalue(), err.getvalue(), failure)

    return run


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedMyCirrus]:
    """One simulated MyCirrus for a file."""
    with SimulatedMyCirrus(fleet=2) as running:
        yield running
