"""What all operations do alike: parameters, answers and their errors; must name no operation of MyCirrus."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, Self, TypeVar
from urllib.parse import quote

import orjson

from . import errors, parsing, types
from .answer import Answer
from .folded import Folded
from .times import format_duration, format_time
from .transport import MEGABYTE, Transport

logger = logging.getLogger(__name__)

Row = TypeVar("Row")


class Read(Protocol):
    """What was read of an answer; ``skipped`` are the documents that could not be understood or are of others."""

    @property
    def skipped(self) -> list[Any]: ...
    def only(self, serials: Collection[str]) -> Self: ...


Found = TypeVar("Found", bound=Read)
Reader = Callable[[Sequence[Any], str | None], Found]

_AUDIO_CAP = 1024 * MEGABYTE
AUDIO_SECONDS = 600.0


class AudioStream:
    """The bytes of a recording as they come; iterate once, and close (or use as a context manager).

    The media type is always octet-stream: the codec is the one that was asked for.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        length = answer.headers.get("Content-Length", "")
        self.length: int | None = int(length) if length.isascii() and length.isdigit() else None

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.chunks(_AUDIO_CAP)

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._answer.close()


class Calls:
    """The kinds of call that a client is made of."""

    _transport: Transport
    _array_encoding: Literal["repeat", "comma"]

    def _data(
        self,
        operation: str,
        path: str,
        parser: parsing.Parser[Row],
        serials: Sequence[str],
        start: datetime | None,
        end: datetime | None,
        more: Sequence[tuple[str, str]] = (),
    ) -> types.Rows[Row]:
        def reader(documents: Sequence[Any], asked: str | None) -> types.Rows[Row]:
            return parsing.rows(documents, parser, asked)

        return self._read(operation, path, reader, serials, start, end, more)

    def _read(
        self,
        operation: str,
        path: str,
        reader: Reader[Found],
        serials: Sequence[str],
        start: datetime | None,
        end: datetime | None,
        more: Sequence[tuple[str, str]] = (),
        quick: Callable[[bytes, str | None], Found | None] | None = None,
    ) -> Found:
        """What `reader` makes of the documents, unless `quick` can read the body as it stands."""
        if isinstance(serials, str) or not serials:
            raise ValueError("serials must be a sequence with at least one serial")
        joined = [",".join(serials)] if self._array_encoding == "comma" else serials
        params = [("instruments", serial) for serial in joined]
        params += [(name, format_time(at)) for name, at in (("start", start), ("end", end)) if at is not None]
        asked = serials[0] if len(set(serials)) == 1 else None
        found: list[Found] = []

        def decode(content: bytes) -> Any:
            table = None if quick is None else quick(content, asked)
            if table is None:
                return orjson.loads(content)
            found.append(table)
            return []

        answer = self._transport.json(operation, "GET", path, params=[*params, *more], decode=decode)
        rows = found[-1] if found else reader(self._documents(operation, answer), asked)
        return noted(operation, rows.only(serials))

    def _list(
        self, operation: str, path: str, parser: parsing.Parser[Row], secrets: bool = False
    ) -> types.Rows[Row]:
        answer = self._transport.json(operation, "GET", path, secrets=secrets)
        rows = parsing.rows(self._documents(operation, answer, secrets=secrets), parser)
        if secrets:
            rows.skipped = [Folded(each).without("secret") for each in rows.skipped if isinstance(each, dict)]
        # What stands at MyCirrus and is not seen would be made once more.
        return noted(operation, rows, whole=secrets)

    def _one(
        self,
        operation: str,
        path: str,
        parser: parsing.Parser[Row],
        serial: str | None,
        secrets: bool = False,
    ) -> Row:
        answer = self._transport.json(operation, "GET", path, secrets=secrets)
        row = parser(self._object(operation, answer, secrets=secrets), serial)
        if row is None:
            raise self._transport.refused(operation, {} if secrets else answer)
        return row

    def _one_or_none(self, operation: str, path: str, parser: parsing.Parser[Row], serial: str) -> Row | None:
        answer = self._transport.json(operation, "GET", path)
        if answer is None or answer == {}:
            return None
        folded = self._object(operation, answer)
        row = parser(folded, serial)
        # Without a time it is the shape of "never" (nulls, or year 1), unless it says that something happened.
        if row is None and folded.text("status"):
            raise self._transport.refused(operation, answer)
        return row

    def _documents(self, operation: str, answer: Any, secrets: bool = False) -> list[Any]:
        if isinstance(answer, list):
            return answer
        raise self._transport.refused(operation, answer if isinstance(answer, dict) and not secrets else {})

    def _object(self, operation: str, answer: Any, secrets: bool = False) -> Folded:
        if isinstance(answer, dict) and not (isinstance(answer.get("error"), str) and len(answer) <= 2):
            return Folded(answer)
        raise self._transport.refused(operation, answer if isinstance(answer, dict) and not secrets else {})

    def _audio(self, operation: str, path: str, format: str, seconds: float = AUDIO_SECONDS) -> AudioStream:
        until = time.monotonic() + seconds
        params = [("format", format)]
        return AudioStream(
            self._transport.open(operation, "GET", path, params=params, until=until, accept="*/*")
        )

    def _inferred(
        self, operation: str, method: str, path: str, body: dict[str, Any] | None, *, read: bool = True
    ) -> Any:
        try:
            return self._transport.json(operation, method, path, body=body, secrets=True, read=read)
        except errors.NotFound as missing:
            # A 404 without MyCirrus's own code is the route that is missing, not the webhook.
            if missing.code:
                raise
            status = missing.status
        raise errors.UnexpectedResponse(
            "MyCirrus does not seem to offer this operation.", operation=operation, status=status
        )


def noted(operation: str, rows: Found, *, whole: bool = False) -> Found:
    """``rows``, unless they would be taken for less than MyCirrus said.

    Raises UnexpectedResponse where none of its rows could be understood, and of a list that is to be ``whole`` where
    one could not.
    """
    if rows.skipped:
        logger.warning("%s: %d rows could not be understood", operation, len(rows.skipped))
    odd = types.odd(rows.skipped)
    if odd and (whole or not rows):
        raise errors.UnexpectedResponse(
            f"{odd} of the rows that MyCirrus sent have a form that is not known here or name another instrument.",
            operation=operation,
            status=200,
        )
    return rows


def segment(text: str) -> str:
    """`text` as one segment of a path; an opaque id may hold anything."""
    # Dot segments would be folded away below us, escaped or not, and so name another resource.
    if text in ("", ".", ".."):
        raise errors.BadRequest("This is not a serial or an id.")
    return quote(text, safe="")


def period_parameter(period: timedelta | str | None) -> list[tuple[str, str]]:
    if period is None:
        return []
    return [("period", format_duration(period) if isinstance(period, timedelta) else period)]


def values_parameter(values: Sequence[str]) -> list[tuple[str, str]]:
    return [("values", ",".join(values))] if values else []
