"""Charts as data, in the form that static/js/chart.js draws. Pure: no ORM, no clock, no colour."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

# Value, what the legend calls it, which colour of the page's series, its dashes or that it is thin (colour is never the
# only sign), whether it is shown at first.
LINES = (
    ("LAeq", "LAeq", 1, "solid", True),
    ("LAFMax", "LAF,max", 2, "thin", True),
    ("LCPeak", "LC,peak", 3, "dot", False),
)
# The same for percentiles.
PERCENTILE_LINES = (
    ("LAF10", "LAF10", 4, "dashdot", False),
    ("LAF50", "LAF50", 5, "longdash", False),
    ("LAF90", "LAF90", 3, "longdashdot", False),
)


class Buckets(Protocol):
    """Equal buckets of `bucket_s` seconds from `start_at`, and the seconds of each that were measured."""

    @property
    def start_at(self) -> datetime: ...
    @property
    def bucket_s(self) -> int: ...
    @property
    def valid(self) -> list[float]: ...


class Series(Buckets, Protocol):
    """What a level chart needs: equal buckets of `bucket_s` seconds from `start_at`, levels in dB or None."""

    @property
    def LAeq(self) -> list[float | None]: ...
    @property
    def LAeq_min(self) -> list[float | None]: ...
    @property
    def LAeq_max(self) -> list[float | None]: ...
    @property
    def LAFMax(self) -> list[float | None]: ...
    @property
    def LCPeak(self) -> list[float | None]: ...
    @property
    def coverage_pct(self) -> float: ...


class Mark(Protocol):
    """Something that happened at an instant or until another, in one of the layers that can be taken away."""

    @property
    def layer(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def until(self) -> datetime | None: ...
    @property
    def label(self) -> str: ...
    @property
    def failed(self) -> bool: ...


class Limit(Protocol):
    """A level in dB that is drawn across the chart under its name; `severity` is "amber" or "red"."""

    @property
    def level(self) -> float: ...
    @property
    def label(self) -> str: ...
    @property
    def severity(self) -> str: ...


class SampleQuantity(Protocol):
    """What a chart needs to know of a quantity: its name, its colour, whether it is drawn and has a band."""

    @property
    def label(self) -> Any: ...
    @property
    def colour(self) -> int: ...
    @property
    def shown(self) -> bool: ...
    @property
    def spread(self) -> bool: ...
    @property
    def how(self) -> str: ...


class SampleLine(Protocol):
    """A quantity's values per bucket and the extremes there."""

    @property
    def quantity(self) -> SampleQuantity: ...
    @property
    def values(self) -> list[float | None]: ...
    @property
    def lower(self) -> list[float | None]: ...
    @property
    def upper(self) -> list[float | None]: ...
    @property
    def valid(self) -> list[float]: ...


class SamplePanel(Protocol):
    """The one axis that the lines share."""

    @property
    def unit(self) -> Any: ...
    @property
    def places(self) -> int: ...
    @property
    def from_zero(self) -> bool: ...


class Samples(Buckets, Protocol):
    """What a chart of samples needs: equal buckets of `bucket_s` seconds from `start_at`."""

    @property
    def panel(self) -> SamplePanel: ...
    @property
    def lines(self) -> Sequence[SampleLine]: ...
    @property
    def coverage_pct(self) -> float: ...


@cache
def level_layout() -> dict[str, Any]:
    """What is special about a level chart's layout, checked against Plotly's own schema once for the process."""
    # The import costs most of a second and 30 MB: web processes pay it in the background when they start.
    from plotly import graph_objects as go

    layout = go.Layout(yaxis={"rangemode": "normal"}, xaxis={"showspikes": True})
    document: dict[str, Any] = layout.to_plotly_json()
    return document


@cache
def sample_layout(from_zero: bool, turns: bool) -> dict[str, Any]:
    """The same for a chart of samples; what cannot be negative is drawn from zero, so that little looks little.

    An axis of what ``turns`` is the whole compass, from north to north.
    """
    from plotly import graph_objects as go

    # Dose values have more digits than levels, and would be cut off on a phone.
    yaxis: dict[str, Any] = {"rangemode": "tozero" if from_zero else "normal", "automargin": True}
    if turns:
        yaxis |= {"range": [-10, 370], "dtick": 90, "tick0": 0}
    layout = go.Layout(yaxis=yaxis, xaxis={"showspikes": True})
    document: dict[str, Any] = layout.to_plotly_json()
    return document


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def rounded(values: Sequence[float | None], places: int = 1) -> list[float | None]:
    """Halves upwards, as tables are rounded; round() goes by a float's last bit, and takes three times as long."""
    # Floats throughout: to divide by the whole 1 takes half as long again as by 1.0.
    scale = 10.0**places
    return [
        None
        if value is None
        else (value * scale + 0.5) // 1.0 / scale
        if value >= 0.0
        else (0.0 - (0.5 - value * scale) // 1.0) / scale
        for value in values
    ]


def _band(series: Series, name: str, x0: int, dx: int) -> list[dict[str, Any]]:
    """From the lowest to the highest LAeq of a single measurement, where a bucket holds several."""
    if series.LAeq_min == series.LAeq_max:
        return []
    return [
        {
            "id": "LAeq",
            "name": name,
            "kind": "band",
            "series": 1,
            "x0": x0,
            "dx": dx,
            "lower": rounded(series.LAeq_min),
            "upper": rounded(series.LAeq_max),
        }
    ]


def covered(series: Buckets, until: datetime, valid: Sequence[float] | None = None) -> list[float]:
    """R9: the part of each bucket that was measured, 0 to 1, of the time that had passed at ``until``.

    ``valid`` are the seconds of one quantity, of a series that holds several.
    """
    elapsed, bucket_s = (until - series.start_at).total_seconds(), series.bucket_s
    told = series.valid if valid is None else valid
    whole = max(int(elapsed // bucket_s), 0)
    # Most are over, and measured whole: not one of them has to be divided, which takes longer than to read it.
    over = [1.0 if valid_s >= bucket_s else _part(valid_s, bucket_s) for valid_s in told[:whole]]
    begun = ((valid_s, elapsed - place * bucket_s) for place, valid_s in enumerate(told[whole:], whole))
    return over + [_part(valid_s, passed) if passed > 0 else 0.0 for valid_s, passed in begun]


def _part(valid_s: float, passed: float) -> float:
    # Cut and not rounded: what lacks a second is not whole.
    return 1.0 if valid_s >= passed else int(1000 * valid_s / passed + 1e-6) / 1000


def _mark(mark: Mark) -> dict[str, Any]:
    told: dict[str, Any] = {"layer": mark.layer, "at": _milliseconds(mark.at), "label": mark.label}
    if mark.until is not None:
        told["until"] = _milliseconds(mark.until)
    if mark.failed:
        told["failed"] = True
    return told


def level_figure(
    series: Series,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    zone: str,
    summary: str,
    empty: str,
    band: str,
    percentiles: Mapping[str, Sequence[float | None]] = MappingProxyType({}),
    period: str = "",
    marks: Sequence[Mark] = (),
    limits: Sequence[Limit] = (),
) -> dict[str, Any]:
    """The JSON document of a level chart over [start, end]; ``zone`` is the IANA name that its axis is drawn in.

    Levels are rounded to 0.1 dB, which is what the instruments resolve. A bucket without a level is null and
    stays a gap. ``band`` names what lies between the lowest and the highest LAeq. ``percentiles`` are by name, as
    recorded over ``period`` (R5); they are no aggregates and carry no coverage, while every point of the other lines
    does (R9).
    """
    grid = {"x0": _milliseconds(series.start_at), "dx": series.bucket_s * 1000}
    lines = [
        {
            "id": name,
            "name": label,
            "unit": "dB",
            "series": colour,
            "dash": dash,
            "hidden": not shown,
            **grid,
            "y": rounded(getattr(series, name)),
        }
        for name, label, colour, dash, shown in LINES
    ]
    recorded = [
        {
            "id": name,
            "name": f"{label},{period}",
            "unit": "dB",
            "series": colour,
            "dash": dash,
            "hidden": not shown,
            **grid,
            "y": rounded(percentiles[name]),
            "covered": None,
        }
        for name, label, colour, dash, shown in PERCENTILE_LINES
        if name in percentiles
    ]
    return {
        "zone": zone,
        "start": _milliseconds(start),
        "end": _milliseconds(end),
        "bucket": series.bucket_s,
        "unit": "dB",
        "traces": lines + recorded + _band(series, band, **grid),
        "covered": covered(series, now),
        "marks": [_mark(mark) for mark in marks],
        "limits": [
            {"level": limit.level, "label": limit.label, "severity": limit.severity} for limit in limits
        ],
        "coverage": round(series.coverage_pct / 100, 8),
        "summary": summary,
        "empty": empty,
        "layout": level_layout(),
    }


def comparison_figure(
    lines: Sequence[tuple[str, Sequence[int], Sequence[float | None], Sequence[float]]],
    *,
    start: datetime,
    end: datetime,
    bucket_s: int | None,
    zone: str,
    summary: str,
    empty: str,
) -> dict[str, Any]:
    """The JSON document of several lines on one axis: (name, ms since 1970, levels in dB, coverage 0 to 1).

    Each point stands for ``bucket_s`` seconds; None without a line.
    """
    return {
        "zone": zone,
        "start": _milliseconds(start),
        "end": _milliseconds(end),
        "bucket": bucket_s,
        "unit": "dB",
        "traces": [
            {
                "name": name,
                "unit": "dB",
                "series": place + 1,
                "x": list(x),
                "y": rounded(levels),
                "covered": list(parts),
            }
            for place, (name, x, levels, parts) in enumerate(lines)
        ],
        "summary": summary,
        "empty": empty,
        "layout": level_layout(),
    }


def sample_figure(
    series: Samples,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    zone: str,
    summary: str,
    empty: str,
    band: str,
    marks: Sequence[Mark] = (),
) -> dict[str, Any]:
    """The JSON document of a chart of samples over [start, end]: one axis, one line a quantity, bands behind means.

    ``zone`` is the IANA name that its axis is drawn in. A bucket without a value is null and stays a gap. ``band``
    names the band of a line; {} in it is the line's name.
    """
    panel, unit = series.panel, str(series.panel.unit)
    grid = {"x0": _milliseconds(series.start_at), "dx": series.bucket_s * 1000}
    lines: list[dict[str, Any]] = []
    bands: list[dict[str, Any]] = []
    turns = any(line.quantity.how == "direction" for line in series.lines)
    for line in series.lines:
        about = {"name": str(line.quantity.label), "series": line.quantity.colour, **grid}
        lines.append(
            {
                **about,
                "unit": unit,
                "places": panel.places,
                # Between two directions there is no line: it would pass through those that never were.
                "kind": "points" if turns else "line",
                "hidden": not line.quantity.shown,
                "y": rounded(line.values, panel.places),
                # Sensors fail one by one.
                "covered": covered(series, now, line.valid),
            }
        )
        # Where no bucket holds two different values, there is nothing between them.
        if line.quantity.spread and line.lower != line.upper:
            bands.append(
                {
                    **about,
                    "name": band.replace("{}", str(line.quantity.label)),
                    "kind": "band",
                    "lower": rounded(line.lower, panel.places),
                    "upper": rounded(line.upper, panel.places),
                }
            )
    return {
        "zone": zone,
        "start": _milliseconds(start),
        "end": _milliseconds(end),
        "bucket": series.bucket_s,
        "unit": unit,
        "traces": lines + bands,
        "marks": [_mark(mark) for mark in marks],
        "coverage": round(series.coverage_pct / 100, 8),
        "summary": summary,
        "empty": empty,
        "layout": sample_layout(panel.from_zero, turns),
    }
