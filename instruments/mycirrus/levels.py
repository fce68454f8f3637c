"""Turns noise and frequency JSON, in every form it may come, into rows; pure, and must not raise on junk.

The bodies of the two measurement operations are not published (contract 3.1, 3.3), so a row is read in each form
that its siblings use: values as members, values nested as an object or as name/value pairs, and series of blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from . import types
from .folded import Folded, number, samples, span
from .noise import NoiseTable

_CANONICAL = {name.lower(): name for name in types.NOISE_VALUES}
_LABELS = {"leqt1type": "LeqT1Type", "leqt2type": "LeqT2Type"}
_SERIAL = ("instrument", "serialNumber", "serial")
# Members that frame a row; every other numeric member of a measurement is taken for a value.
_FRAME = frozenset(
    {
        "instrument",
        "serialnumber",
        "serial",
        "time",
        "starttime",
        "start",
        "endtime",
        "end",
        "duration",
        "period",
    }
    | {"type", "id", "values", "bands", "blocks", "weighting", "sampleduration"}
)
# 31.5Hz, 1KHz; _500Hz as .NET spells a property; 1KHz3 as the live socket spells a third octave.
_BAND = re.compile(r"_?(\d+(?:\.\d+)?)\s*(k?)hz3?", re.ASCII | re.IGNORECASE)

Namer = Callable[[str], str | None]
# Owner, kind, name, start, seconds a sample, samples.
Line = tuple[str | None, str, str, datetime, float | None, Sequence[float | None]]


class Merged(NamedTuple):
    serial: str | None
    start_at: datetime
    end_at: datetime | None
    duration_s: float | None
    kind: str
    levels: dict[str, float]
    document: dict[str, Any]


def noise_measurements(documents: Sequence[Any], serial: str | None) -> NoiseTable:
    """The measurements of ``documents`` in whatever form each of them is; `noise.plain_table` reads the usual one."""
    result: types.Rows[types.NoiseMeasurement] = types.Rows()
    series: list[Folded] = []
    nulls: set[str] = set()
    for document in documents:
        row = Folded(document) if isinstance(document, dict) else None
        start, end, duration = span(row) if row is not None else (None, None, None)
        if row is not None and isinstance(row.raw("blocks"), list):
            series.append(row)
        elif row is None or start is None:
            result.skipped.append(document)
        else:
            labels = {
                _LABELS.get(key.lower(), key): value
                for key, value in row.members()
                if isinstance(value, str) and key.lower() not in _FRAME and key.lower() not in _CANONICAL
            }
            values = _levels(row, "values", _noise_name, nulls)
            result.append(
                types.NoiseMeasurement(
                    row.text(*_SERIAL) or serial, start, end, duration, values, labels, row.document
                )
            )
    lines = (
        (row.text(*_SERIAL) or serial, "", _canonical(row), block.start_at, block.sample_s, block.values)
        for row in series
        for block in _time_blocks(row, result.skipped)
    )
    for owner, start, end, duration, _, values, document in _merged(lines):
        result.append(types.NoiseMeasurement(owner, start, end, duration, values, {}, document))
    return NoiseTable.of(
        result, result.skipped, named=filter(None, map(_CANONICAL.get, map(str.lower, nulls)))
    )


def frequency_measurements(
    documents: Sequence[Any], serial: str | None
) -> types.Rows[types.FrequencyMeasurement]:
    result: types.Rows[types.FrequencyMeasurement] = types.Rows()
    series: list[Folded] = []
    for document in documents:
        row = Folded(document) if isinstance(document, dict) else None
        start, end, duration = span(row) if row is not None else (None, None, None)
        if row is not None and isinstance(row.raw("blocks"), list):
            series.append(row)
        elif row is None or start is None:
            result.skipped.append(document)
        else:
            bands = _levels(row, "bands", _band_name) or _levels(row, "values", _band_name)
            result.append(
                types.FrequencyMeasurement(
                    row.text(*_SERIAL) or serial, start, end, duration, row.text("type"), bands, row.document
                )
            )
    lines = (
        (row.text(*_SERIAL) or serial, row.text("type", "name"), name, block.start_at, block.sample_s, values)
        for row in series
        for block in _frequency_blocks(row, result.skipped)
        for name, values in block.bands.items()
    )
    result.extend(types.FrequencyMeasurement(*merged) for merged in _merged(lines))
    return result


def time_histories(documents: Sequence[Any], serial: str | None) -> types.Rows[types.TimeHistory]:
    result: types.Rows[types.TimeHistory] = types.Rows()
    for row in _series(documents, result.skipped):
        blocks = tuple(_time_blocks(row, result.skipped))
        result.append(
            types.TimeHistory(
                row.text(*_SERIAL) or serial,
                _canonical(row),
                blocks,
                row.without("blocks"),
            )
        )
    return result


def frequency_histories(documents: Sequence[Any], serial: str | None) -> types.Rows[types.FrequencyHistory]:
    result: types.Rows[types.FrequencyHistory] = types.Rows()
    for row in _series(documents, result.skipped):
        blocks = tuple(_frequency_blocks(row, result.skipped))
        result.append(
            types.FrequencyHistory(
                row.text(*_SERIAL) or serial, row.text("type", "name"), blocks, row.without("blocks")
            )
        )
    return result


def _canonical(series: Folded) -> str:
    name = series.text("type", "name")
    return _CANONICAL.get(name.lower(), name)


# The same three dozen names come with each row; bounded, because they are somebody else's.
@lru_cache(maxsize=1024)
def _noise_name(key: str) -> str | None:
    return None if key.lower() in _FRAME else _CANONICAL.get(key.lower(), key)


def _band_name(key: str) -> str | None:
    match = _BAND.fullmatch(key.strip())
    return f"{match[1]}{match[2].upper()}Hz" if match else None


# Bounded, because the names are somebody else's.
@lru_cache(maxsize=256)
def beside_bands(names: frozenset[str]) -> tuple[str, ...]:
    """Those among the ``names`` of a spectrum's members that are neither bands nor what frames them."""
    known = _FRAME - {"id", "weighting"}
    return tuple(sorted(name for name in names if name.lower() not in known and not _band_name(name)))


def _levels(row: Folded, nest: str, name_of: Namer, nulls: set[str] | None = None) -> dict[str, float]:
    """The numbers of a row by canonical name, wherever it keeps them; a missing number is left out.

    ``nulls`` takes the names of those that are said to be missing.
    """
    pairs: list[tuple[str, Any]] = list(row.members())
    nested = row.raw(nest)
    if isinstance(nested, dict):
        pairs += nested.items()
    for item in nested if isinstance(nested, list) else ():
        if isinstance(item, dict):
            pair = Folded(item)
            value = pair.raw("value", "level", "values")
            pairs.append(
                (pair.text("name", "type"), value[0] if isinstance(value, list) and value else value)
            )
    levels: dict[str, float] = {}
    for key, value in pairs:
        if (level := number(value)) is not None and (name := name_of(key)):
            levels.setdefault(name, level)
        elif value is None and nulls is not None:
            nulls.add(key)
    return levels


def _series(documents: Sequence[Any], skipped: list[Any]) -> Iterator[Folded]:
    for document in documents:
        if isinstance(document, dict) and isinstance((row := Folded(document)).raw("blocks"), list):
            yield row
        else:
            skipped.append(document)


def _time_blocks(row: Folded, skipped: list[Any]) -> Iterator[types.TimeHistoryBlock]:
    for document in row.raw("blocks"):
        block = Folded(document) if isinstance(document, dict) else None
        values = block.raw("values") if block else None
        if block is None or not isinstance(values, list) or (start := span(block)[0]) is None:
            skipped.append(document)  # the vendor's mock puts the text "..." among the blocks
        else:
            end = span(block)[1]
            yield types.TimeHistoryBlock(
                start, end, _sample_s(block, start, end, len(values)), samples(values)
            )


def _frequency_blocks(row: Folded, skipped: list[Any]) -> Iterator[types.FrequencyBlock]:
    for document in row.raw("blocks"):
        block = Folded(document) if isinstance(document, dict) else None
        listed = block.raw("bands") if block else None
        if block is None or not isinstance(listed, list) or (start := span(block)[0]) is None:
            skipped.append(document)
            continue
        bands: dict[str, tuple[float | None, ...]] = {}
        for item in listed:
            band = Folded(item if isinstance(item, dict) else {})
            name, values = band.text("name"), band.raw("values")
            if name and isinstance(values, list):
                bands[_band_name(name) or name] = samples(values)
            else:
                skipped.append(item)
        end = span(block)[1]
        longest = max(map(len, bands.values()), default=0)
        yield types.FrequencyBlock(start, end, _sample_s(block, start, end, longest), bands)


def _sample_s(block: Folded, start: datetime, end: datetime | None, count: int) -> float | None:
    """Seconds per sample. `sampleDuration` has no published unit: milliseconds, unless only seconds fit the block."""
    length = (end - start).total_seconds() if end and end > start else None
    told = block.number("sampleDuration")
    if told is None or told <= 0:
        return length / count if length and count else None
    if length and count > 1 and abs(count * told - length) <= told:
        return told
    return told / 1000


def _merged(lines: Iterable[Line]) -> Iterator[Merged]:
    """Measurements out of series: the samples of one instrument at one instant, with their names, as one row."""
    found: dict[tuple[str | None, datetime, float | None, str], dict[str, float]] = {}
    for owner, kind, name, start, sample_s, values in lines:
        for at, value in _instants(start, sample_s, values):
            levels = found.setdefault((owner, at, sample_s, kind), {})
            if value is not None:
                levels[name] = value
    for (owner, at, sample_s, kind), levels in found.items():
        end = at + timedelta(seconds=sample_s) if sample_s else None
        document = {"instrument": owner, "type": kind, "values": levels}
        yield Merged(owner, at, end, sample_s, kind, levels, document)


def _instants(
    start: datetime, sample_s: float | None, values: Sequence[float | None]
) -> Iterator[tuple[datetime, float | None]]:
    for i, value in enumerate(values):
        if i and not sample_s:
            return  # without a length only the first sample has a time
        try:
            yield start + timedelta(seconds=i * (sample_s or 0)), value
        except OverflowError:
            return
