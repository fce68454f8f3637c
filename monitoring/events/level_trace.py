"""An event's time history as a chart and its bands as bars: pure figures, no ORM, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Value, what the legend calls it, which colour of the page's series; others follow under their own names.
_KNOWN = {"LAeq": ("LAeq", 1), "LAFMax": ("LAF,max", 2), "LCPeak": ("LC,peak", 3)}
# The bands that MyCirrus documents for its frequency endpoints; for events it publishes no names.
_NOMINAL = (
    *("6.3", "8", "10", "12.5", "16", "20", "25", "31.5", "40", "50", "63", "80"),
    *("100", "125", "160", "200", "250", "315", "400", "500", "630", "800", "1k", "1.25k"),
    *("1.6k", "2k", "2.5k", "3.15k", "4k", "5k", "6.3k", "8k", "10k", "12.5k", "16k", "20k"),
)
_OCTAVES = ("31.5", "63", "125", "250", "500", "1k", "2k", "4k", "8k", "16k")


@dataclass(frozen=True, slots=True)
class Bar:
    """One band; `height` is 0 to 100 of the drawing, None where there is no level."""

    name: str
    level_db: float | None
    height: float | None

    @property
    def y(self) -> str:
        """Where it begins from above, in a drawing that is 100 high."""
        return f"{100 - (self.height or 0):.1f}"


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars, whether the names of their bands are known, and the levels in dB at the drawing's foot and top."""

    bars: Sequence[Bar]
    named: bool
    lowest_db: float
    highest_db: float


def band_bars(levels: Sequence[Any] | None) -> Bars | None:
    """Bars for an event's octave or third-octave levels; None where there is no level.

    Names are given only where the number of bands is exactly that of the documented sets, 10 or 36.
    """
    values = [
        float(level) if isinstance(level, int | float) and not isinstance(level, bool) else None
        for level in levels or ()
    ]
    names = {len(_OCTAVES): _OCTAVES, len(_NOMINAL): _NOMINAL}.get(len(values))
    given = [value for value in values if value is not None]
    if not given:
        return None
    # Between round levels below the quietest and above the loudest: nothing in decibels begins at zero.
    floor = (min(given) - 5) // 10 * 10
    span = (max(given) // 10 + 1) * 10 - floor
    bars = [
        Bar(
            names[place] if names else str(place + 1),
            value,
            None if value is None else round(100 * (value - floor) / span, 1),
        )
        for place, value in enumerate(values)
    ]
    return Bars(bars, names is not None, floor, floor + span)


def trace_figure(
    series: Sequence[dict[str, Any]],
    *,
    start: datetime,
    end: datetime | None,
    zone: str,
    label: str,
    empty: str,
    summary: str = "",
) -> dict[str, Any]:
    """The JSON document of an event's level trace, in the form that static/js/chart.js draws.

    The event itself, from ``start`` to ``end``, is a stretch behind the lines that says ``label``.
    ``series`` are [{"name", "blocks": [{"start", "step", "values"}]}], times in epoch milliseconds. Between two
    blocks that do not follow on there is a null, so that a gap stays a gap.
    """
    traces = []
    begins, ends = [_milliseconds(start)], [_milliseconds(end)] if end else []
    for place, row in enumerate(series):
        x: list[int] = []
        y: list[float | None] = []
        for block in sorted(row["blocks"], key=lambda each: each["start"]):
            if x and block["start"] - (x[-1] + block["step"]) >= block["step"]:
                x.append(x[-1] + block["step"])
                y.append(None)
            for index, value in enumerate(block["values"]):
                x.append(block["start"] + index * block["step"])
                y.append(None if value is None else round(value, 1))
        if x:
            begins.append(x[0])
            ends.append(x[-1])
        shown, colour = _KNOWN.get(row["name"], (row["name"], place % 5 + 1))
        traces.append({"name": shown, "unit": "dB", "series": colour, "x": x, "y": y})
    return {
        "zone": zone,
        "start": min(begins),
        "end": max(ends, default=min(begins) + 60_000),
        "unit": "dB",
        "traces": traces,
        "marks": [
            {"layer": "event", "at": _milliseconds(start), "until": _milliseconds(end), "label": label}
            for end in ([end] if end else [])
        ],
        "summary": summary,
        "empty": empty,
    }


@dataclass(frozen=True, slots=True)
class TraceTable:
    """An event's time history by time: the names of its lines, and for each instant their levels in dB or None."""

    names: Sequence[str]
    rows: Sequence[tuple[datetime, Sequence[float | None]]]

    def highest(self) -> list[tuple[str, float, datetime]]:
        """Each line that has a level, its highest, and when that was first reached."""
        found = []
        for place, name in enumerate(self.names):
            given = [(level, at) for at, levels in self.rows if (level := levels[place]) is not None]
            if given:
                level, at = max(given, key=lambda each: each[0])
                found.append((name, level, at))
        return found


def trace_table(series: Sequence[dict[str, Any]]) -> TraceTable:
    """The values of ``series``, as `trace_figure` takes them, with no row where nothing was sent."""
    levels: dict[int, list[float | None]] = {}
    for place, row in enumerate(series):
        for block in row["blocks"]:
            for index, value in enumerate(block["values"]):
                at = block["start"] + index * block["step"]
                levels.setdefault(at, [None] * len(series))[place] = value
    names = [_KNOWN.get(row["name"], (row["name"], 0))[0] for row in series]
    return TraceTable(
        names, [(datetime.fromtimestamp(at / 1000, tz=UTC), levels[at]) for at in sorted(levels)]
    )


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
