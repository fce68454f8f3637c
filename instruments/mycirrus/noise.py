"""Noise measurements as columns, by which a year of them is read and stored; pure, and guesses at no odd form.

Nearly every answer is a list of like objects that hold numbers and UTC times. Such a one is read a column at a time,
ten times as fast as a row at a time; any other goes to `levels`, which tolerates all of contract section 11.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, compress, count
from operator import ne, sub
from typing import Annotated, Any, TypeAlias, overload

import msgspec
import orjson

from .times import spacing
from .types import NOISE_VALUES, POSSIBLE_DB, NoiseMeasurement, others_than

_SERIAL, _START, _END, _DURATION = " serial", " start", " end", " duration"
# What a member is, by its name in small letters; None for what may say more than a column of numbers can.
_PLAIN: dict[str, str | None] = {
    **{name.lower(): name for name in (*NOISE_VALUES, "LeqT1Type", "LeqT2Type")},
    **dict.fromkeys(("instrument", "serialnumber", "serial"), _SERIAL),
    **dict.fromkeys(("starttime", "time", "start"), _START),
    **dict.fromkeys(("endtime", "end"), _END),
    "duration": _DURATION,
    **dict.fromkeys(("period", "type", "id", "values", "bands", "blocks", "weighting", "sampleduration")),
}
_INSTANT = "2026-11-22T12:00:00Z"
_NOTHING, _LONGEST = timedelta(0), timedelta(days=1)
_NEVER, _EVER = "0002", "9999"  # .NET's "never" is year 1, its "for ever" year 9999

_POSSIBLE = Annotated[float, msgspec.Meta(ge=POSSIBLE_DB[0], le=POSSIBLE_DB[1])]
_ZONED = msgspec.json.Decoder(list[Annotated[datetime, msgspec.Meta(tz=True)]])
_Decoder: TypeAlias = msgspec.json.Decoder[list[msgspec.Struct]]
Column = Sequence[Any]
Times = tuple[Sequence[datetime], Sequence[datetime | None], Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class NoiseTable(Sequence[NoiseMeasurement]):
    """Noise measurements by column; a row is made when it is asked for.

    `values` holds dB by canonical name, None where nothing was measured, and `labels` texts. All columns are as long
    as `starts`. `document_of` gives what a row was read from, and `skipped` holds the documents that could not be
    understood, so that none is lost. `possible`: every value is known to lie within POSSIBLE_DB.
    """

    serials: Sequence[str | None]
    starts: Sequence[datetime]
    ends: Sequence[datetime | None]
    durations: Sequence[float | None]
    values: Mapping[str, Sequence[float | None]]
    labels: Mapping[str, Sequence[str | None]]
    document_of: Callable[[int], Mapping[str, Any]] = field(repr=False)
    skipped: list[Any] = field(default_factory=list)
    possible: bool = False

    @classmethod
    def of(
        cls, rows: Iterable[NoiseMeasurement], skipped: Iterable[Any] = (), *, named: Iterable[str] = ()
    ) -> NoiseTable:
        """The table of ``rows``; themselves, where they are one. ``named`` are columns though no row has a value."""
        if isinstance(rows, NoiseTable):
            return rows
        rows = list(rows)
        values = dict.fromkeys(chain((name for row in rows for name in row.values), named))
        labels = dict.fromkeys(name for row in rows for name in row.labels)
        return cls(
            [row.serial for row in rows],
            [row.start_at for row in rows],
            [row.end_at for row in rows],
            [row.duration_s for row in rows],
            {name: [row.values.get(name) for row in rows] for name in values},
            {name: [row.labels.get(name) for row in rows] for name in labels},
            lambda place: rows[place].document,
            list(skipped),
        )

    def only(self, serials: Collection[str]) -> NoiseTable:
        """Itself without the rows that name an instrument other than ``serials``, which go to the skipped ones."""
        others = others_than(serials, self.serials)
        if not others:
            return self
        foreign = [self.document_of(place) for place, serial in enumerate(self.serials) if serial in others]
        return NoiseTable.of((row for row in self if row.serial not in others), [*self.skipped, *foreign])

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, place: int) -> NoiseMeasurement: ...
    @overload
    def __getitem__(self, place: slice) -> list[NoiseMeasurement]: ...
    def __getitem__(self, place: int | slice) -> NoiseMeasurement | list[NoiseMeasurement]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        return NoiseMeasurement(
            self.serials[place],
            self.starts[place],
            self.ends[place],
            self.durations[place],
            {name: value for name, column in self.values.items() if (value := column[place]) is not None},
            {name: text for name, column in self.labels.items() if (text := column[place]) is not None},
            self.document_of(place),
        )

    def __iter__(self) -> Iterator[NoiseMeasurement]:
        return (self[place] for place in range(len(self)))

    def covered(self, usual: timedelta) -> tuple[list[tuple[datetime, datetime]], timedelta]:
        """From when to when was measured, rows without a gap between them as one; and the longest single row.

        ``usual`` is the length of a row that says none, or one that is longer than MyCirrus' longest period; where no
        row says any, their distance tells it.
        """
        if not self.starts:
            return [], usual
        if not any(self.durations) and not any(self.ends):
            usual = spacing(self.starts) or usual
        ends = self._ends(usual)
        breaks = [*compress(count(1), map(ne, ends, self.starts[1:])), len(ends)]
        firsts = [0, *breaks[:-1]]
        runs = [(self.starts[first], ends[after - 1]) for first, after in zip(firsts, breaks, strict=True)]
        return runs, max(map(sub, ends, self.starts))

    def _ends(self, usual: timedelta) -> Sequence[datetime]:
        told = [end for end in self.ends if end is not None]
        # Nearly always all are told and true, and to ask each row by itself takes four times as long.
        if len(told) == len(self.starts):
            lengths = list(map(sub, told, self.starts))
            if min(lengths) > _NOTHING and max(lengths) <= _LONGEST:
                return told
        return [
            end
            if end is not None and _NOTHING < end - start <= _LONGEST
            else start + (timedelta(seconds=length) if length and 0 < length <= 86_400 else usual)
            for start, end, length in zip(self.starts, self.ends, self.durations, strict=True)
        ]


def plain_table(content: bytes, serial: str | None) -> NoiseTable | None:
    """The measurements in the JSON ``content`` where all are of the one plain form, else None.

    Plain means: like members; a UTC time in whole seconds, perhaps an end and a duration in seconds; everything else
    finite numbers, nulls or texts. ``serial`` is for rows that name none.
    """
    try:
        # A first row that holds another object is not plain, and is cut off here.
        first = orjson.loads(content[content.index(b"{") : content.index(b"}") + 1])
        plain = _plain(tuple(first), tuple(map(type, first.values())))
        rows, possible = ([], False) if plain is None else plain.read(content)
    except (ValueError, msgspec.MsgspecError):
        return None
    if plain is None or not rows:
        return None
    # A row's tuple is gone before the next is made: thousands at once would have the collector walk them all.
    cells = tuple(chain.from_iterable(map(msgspec.structs.astuple, rows)))
    told = {key: cells[place :: len(first)] for place, key in enumerate(first)}
    columns = dict(zip(plain.names, told.values(), strict=True))
    times = _times(columns.pop(_START), columns.pop(_END, None), columns.pop(_DURATION, None))
    serials = columns.pop(_SERIAL, None)
    if times is None or (serials is not None and not all(serials)):
        return None
    return NoiseTable(
        serials or [serial] * len(rows),
        *times,
        {name: column for name, column in columns.items() if name not in plain.labels},
        {name: columns[name] for name in plain.labels},
        lambda place: {key: column[place] for key, column in told.items()},
        possible=possible,
    )


@dataclass(frozen=True, slots=True)
class _Plain:
    """How rows of one set of members are read: what each member is, which are texts, and the decoders that check it."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    possible: _Decoder
    any: _Decoder

    def read(self, content: bytes) -> tuple[list[msgspec.Struct], bool]:
        """The rows, and whether all their levels can be true: asked while they are read, that costs next to nothing."""
        try:
            return self.possible.decode(content), True
        except msgspec.ValidationError:
            return self.any.decode(content), False


# Bounded, because the names are somebody else's.
@lru_cache(maxsize=64)
def _plain(keys: tuple[str, ...], kinds: tuple[type, ...]) -> _Plain | None:
    """None where a row of such members is not plain; ``kinds`` are those of the first."""
    names = tuple(name for key in keys if (name := _PLAIN.get(key.lower(), key)) is not None)
    if len(set(names)) < len(keys) or _START not in names or not set(kinds) <= {str, int, float, type(None)}:
        return None
    texts = {
        name for name, kind in zip(names, kinds, strict=True) if kind is str and name not in NOISE_VALUES
    }
    labels = tuple(texts - {_SERIAL, _START, _END, _DURATION})
    types = {**dict.fromkeys(labels, str), **dict.fromkeys((_SERIAL, _START, _END), str), _DURATION: float}
    levels = dict.fromkeys(NOISE_VALUES, _POSSIBLE | None)
    return _Plain(names, labels, _decoder(keys, names, levels | types), _decoder(keys, names, types))


def _decoder(keys: tuple[str, ...], names: tuple[str, ...], types: Mapping[str, Any]) -> _Decoder:
    members = [(f"m{number}", types.get(name, float | None)) for number, name in enumerate(names)]
    spelt = {f"m{number}": key for number, key in enumerate(keys)}
    # What holds nothing but texts and numbers is in no circle, and a collector need not walk it.
    row = msgspec.defstruct("Row", members, rename=spelt, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]  # made at run time


def _times(starts: Column, ends: Column | None, lengths: Column | None) -> Times | None:
    # One row's end is nearly always the next one's start.
    joined = ends is not None and ends[:-1] == starts[1:]
    begun, told = _instants(starts), _instants(ends[-1:] if joined else ends) if ends is not None else []
    if begun is None or told is None:
        return None
    over: Sequence[datetime | None] = [*begun[1:], *told] if joined else told
    try:
        if ends is not None:
            apart = map(sub, over, begun)
            lengths = lengths or [each.total_seconds() if each > _NOTHING else None for each in apart]
        elif lengths is not None:
            over = [at + timedelta(seconds=each or 0) for at, each in zip(begun, lengths, strict=True)]
        else:
            over, lengths = [None] * len(begun), [None] * len(begun)
    except OverflowError:
        return None
    return begun, over, lengths


def _instants(texts: Column) -> list[datetime] | None:
    """The instants that ``texts`` name, None unless each is UTC in whole seconds."""
    # With a fraction or another zone it is longer, and without a zone shorter.
    if set(map(len, texts)) != {len(_INSTANT)} or min(texts) < _NEVER or max(texts) >= _EVER:
        return None
    try:
        return _ZONED.decode('["' + '","'.join(texts) + '"]')
    except msgspec.MsgspecError:
        return None
