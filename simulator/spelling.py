"""The spelling anomalies of section 11 of the contract, applied to finished answers; it must not change a level."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from simulator.wire import instant, instant_read

_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$")
_LOWER_SIC = {"_500Hz": "_500hz", "_1KHz": "_1khz", "_8KHz": "_8khz"}
_NEVER_NULL = frozenset(("duration", "sampleDuration", "latitude", "longitude"))
_INSTRUMENT_PARTS = ("subscription", "position", "feature", "image", "lastCalibration", "lastSic")
_NOT_LEVELS = frozenset(("instrument", "startTime", "endTime", "duration"))

Spellings = dict[str, Any]


def respelled(document: Any, operation: str, spellings: Spellings) -> Any:
    """A whole answer in the spelling that the moods ask for."""
    if isinstance(document, list):
        return list(respelled_rows(document, operation, spellings))
    return _respell(document, operation, spellings)


def respelled_rows(rows: Iterable[Any], operation: str, spellings: Spellings) -> Iterator[Any]:
    """The rows of an array answer, one by one."""
    if operation == "getmeasurements" and spellings.get("measurements") == "blocks":
        rows = _in_blocks(rows)
    for row in rows:
        yield _respell(row, operation, spellings)


def dotnet_camel(name: str) -> str:
    """The camel case of .NET's System.Text.Json: a run of capitals is lowered but for the one before a small letter."""
    letters = list(name)
    for place, letter in enumerate(letters):
        if not letter.isupper():
            break
        if place > 0 and place + 1 < len(letters) and not letters[place + 1].isupper():
            break
        letters[place] = letter.lower()
    return "".join(letters)


def _respell(row: Any, operation: str, spellings: Spellings) -> Any:
    if not isinstance(row, dict):
        return row
    row = dict(row)
    if "bare-instruments" in spellings and operation in (
        "getinstruments",
        "getinstrument",
        "getinstrumentstatus",
    ):
        for part in _INSTRUMENT_PARTS:
            row.pop(part, None)
    if "unknown-words" in spellings and operation in ("getinstruments", "getinstrument"):
        row = _with_unknown_words(row)
    if "no-instrument" in spellings and operation not in ("getwebhooks", "getwebhook", "addwebhook"):
        row.pop("instrument", None)
    row = _tree(row, spellings, _Counter())
    if operation == "getmeasurements":
        row = _measurement(row, spellings)
    if operation == "getcalibrations" and "calibrations" in spellings:
        row = {name[:1].upper() + name[1:]: value for name, value in row.items()}
    return row


class _Counter:
    """Numbers seen in one row, so that `nulls` blanks every third of them and no others."""

    def __init__(self) -> None:
        self.seen = 0

    def third(self) -> bool:
        self.seen += 1
        return self.seen % 3 == 0


def _tree(value: Any, spellings: Spellings, counter: _Counter, name: str = "") -> Any:
    if isinstance(value, dict):
        return _members(value, spellings, counter)
    if isinstance(value, list):
        out = [_tree(item, spellings, counter, name) for item in value]
        if "dots" in spellings and name in ("values", "blocks"):
            out.append("...")
        return out
    if isinstance(value, str):
        return _text(name, value, spellings)
    if "nulls" in spellings and isinstance(value, float) and name not in _NEVER_NULL and counter.third():
        return None
    return value


def _members(value: dict[str, Any], spellings: Spellings, counter: _Counter) -> dict[str, Any]:
    out = {}
    for name, member in value.items():
        if name in _LOWER_SIC and "sic-names" in spellings:
            if spellings["sic-names"] == "absent":
                continue
            name = _LOWER_SIC[name]
        if name == "position" and "position" in spellings:
            member = _position(member, spellings["position"])
        out[name] = _tree(member, spellings, counter, name)
    return out


def _text(name: str, text: str, spellings: Spellings) -> str:
    if name == "status" and text == "Failed" and "status-word" in spellings:
        word = spellings["status-word"]
        return word if isinstance(word, str) else "Error"
    match = _TIME.match(text) if "fraction" in spellings or "no-zone" in spellings else None
    if match is None:
        return text
    digits = match[2] or ""
    if "fraction" in spellings:
        wanted = int(spellings["fraction"])
        digits = digits.ljust(wanted, "0")[:wanted]
    return match[1] + (f".{digits}" if digits else "") + ("" if "no-zone" in spellings else "Z")


def _position(position: dict[str, float], form: str) -> dict[str, float]:
    if form == "empty" or not position:
        return {}
    latitude, longitude = position["latitude"], position["longitude"]
    if form == "lat-long":
        return {"lat": latitude, "long": longitude}
    return {"latitude": latitude, "longitude": longitude}


def _with_unknown_words(row: dict[str, Any]) -> dict[str, Any]:
    subscription = row.get("subscription") or {}
    if row.get("type") == "AirQuality":
        row["type"] = "Radiation"
    row["subscription"] = {**subscription, "status": "Paused", "tier": "Galactic", "addons": ["Video"]}
    row["feature"] = [*row.get("feature", ()), "Sonar"]
    return row


def _measurement(row: dict[str, Any], spellings: Spellings) -> dict[str, Any]:
    form = spellings.get("measurements")
    if form == "time" and "startTime" in row:
        row = {
            "time": row["startTime"],
            **{n: v for n, v in row.items() if n not in ("startTime", "endTime", "duration")},
        }
    elif form == "start" and "startTime" in row:
        names = {"startTime": "start", "endTime": "end"}
        row = {names.get(name, name): value for name, value in row.items()}
    if "camel-values" in spellings:
        row = {dotnet_camel(name): value for name, value in row.items()}
    return row


def _in_blocks(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Measurements in the block form of the time history: one series for each value, a gap begins a new block."""
    for serial, group in groupby(rows, key=lambda row: row["instrument"]):
        together = list(group)
        names = [n for n, value in together[0].items() if n not in _NOT_LEVELS and not isinstance(value, str)]
        runs = _runs(together, lambda row: row["startTime"], lambda row: row["endTime"])
        for name in names:
            yield {"instrument": serial, "type": name, "blocks": [_block(run, name) for run in runs]}


def _runs(
    rows: list[dict[str, Any]], start: Callable[[dict[str, Any]], str], end: Callable[[dict[str, Any]], str]
) -> list[list[dict[str, Any]]]:
    runs: list[list[dict[str, Any]]] = []
    for row in rows:
        if runs and end(runs[-1][-1]) == start(row):
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _block(run: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return {
        "start": instant(instant_read(run[0]["startTime"], "start")),
        "end": instant(instant_read(run[-1]["endTime"], "end")),
        "sampleDuration": run[0]["duration"] * 1000,
        "values": [row[name] for row in run],
    }
