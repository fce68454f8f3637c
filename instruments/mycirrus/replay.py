"""Reading once more what MyCirrus sent before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from .client import Client
from .transport import Transport


class _Told:
    """In the place of a transport: every answer is the same documents."""

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self._documents = list(documents)

    def json(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return self._documents

    def close(self) -> None:
        """Nothing is open."""


class Replay(Client):
    """A client to which every list is ``documents``: they are read as an answer is, and nobody is asked."""

    def __init__(self, documents: Sequence[dict[str, Any]]) -> None:
        self._transport = cast(Transport, _Told(documents))
        self._array_encoding = "repeat"

    def __repr__(self) -> str:
        return "<Replay>"
