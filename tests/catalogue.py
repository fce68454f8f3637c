"""A language that nobody speaks: a catalogue of real bytes for Django to find, in which chosen words are others."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def speak(settings: Any, folder: Path, words: Mapping[str, str], language: str = "de") -> None:
    """Have ``words`` mean something else in ``language``, beside what Django itself translates into it."""
    told = {"": "Content-Type: text/plain; charset=UTF-8\n", **words}
    pairs = [(word.encode(), told[word].encode()) for word in sorted(told)]
    # Of a .mo file: the head, a table of lengths and places for each side, and the texts, each with a zero at its end.
    place, tables, texts = 28 + 16 * len(pairs), b"", b""
    for side in (0, 1):
        for pair in pairs:
            tables += struct.pack("<II", len(pair[side]), place + len(texts))
            texts += pair[side] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    messages = folder / language / "LC_MESSAGES"
    messages.mkdir(parents=True)
    (messages / "django.mo").write_bytes(head + tables + texts)
    settings.LOCALE_PATHS = [folder]
    settings.LANGUAGES = [*settings.LANGUAGES, (language, language)]
