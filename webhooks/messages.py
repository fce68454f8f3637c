"""Reads a delivery's bytes: pure, tolerant of every spelling in the contract, and never trusting what they claim."""

from dataclasses import dataclass
from typing import Any

import orjson

from instruments.mycirrus.folded import Folded

KINDS = ("NewMeasurement", "NewEvent", "InstrumentStatus", "CalibrationFinished", "SicFinished")
_BY_FOLDED_NAME = {kind.lower(): kind for kind in KINDS}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class NotUnderstood(ValueError):
    """The bytes are not a message; the text says why, in words for the inbox."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a message claims. ``type`` is the vendor's own word, empty in a legacy notification."""

    type: str
    serial: str
    status: str
    document: dict[str, Any]

    @property
    def is_legacy(self) -> bool:
        """Whether it has the shape of the website's older notifications, which carry no type."""
        return not self.type


def message_of(body: bytes) -> Message:
    """The message in ``body``. Raises NotUnderstood."""
    try:
        document = orjson.loads(body.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        raise NotUnderstood("the body is not JSON" if body.strip() else "the body is empty") from None
    if not isinstance(document, dict):
        raise NotUnderstood("the body is JSON, but not an object")
    members = Folded(document)
    kind = _clean(members.text("type"))
    return Message(
        type=_BY_FOLDED_NAME.get(kind.lower(), kind)[:32],
        serial=_clean(members.text("instrument", "serialNumber"))[:64],
        status=_clean(members.text("status"))[:32],
        document=document,
    )


def readable(body: bytes) -> str:
    """``body`` for a person's eyes: JSON laid out, other text as it is, bytes that are no text marked."""
    try:
        document = orjson.loads(body.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        return body.decode("utf-8", errors="backslashreplace")
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _clean(text: str) -> str:
    # PostgreSQL refuses a NUL in text, and JSON can spell one.
    return text.replace("\x00", "").strip()
