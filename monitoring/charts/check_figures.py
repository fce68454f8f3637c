"""Histories of calibrations and SICs as charts, in the form that static/js/chart.js draws. Pure: no ORM, no clock."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

_MARGIN = timedelta(days=1)


@cache
def _layout() -> dict[str, Any]:
    from plotly import graph_objects as go

    document: dict[str, Any] = go.Layout(
        yaxis={"zeroline": True}, xaxis={"showspikes": True}
    ).to_plotly_json()
    return document


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def check_figure(
    lines: Sequence[tuple[str, str, Sequence[tuple[datetime, float | None]]]],
    *,
    limits: Sequence[tuple[float, str]],
    marks: Sequence[tuple[datetime, str]],
    zone: str,
    summary: str,
    empty: str,
) -> dict[str, Any]:
    """The JSON document of checks over time: each of ``lines`` is (name, kind, [(time, dB or None)]), oldest first.

    ``limits`` are (dB, words) across the whole width, ``marks`` (time, words) down the whole height for what failed or
    moved; ``zone`` is the IANA name that the axis is drawn in.
    """
    times = [at for _name, _kind, points in lines for at, _value in points]
    return {
        "zone": zone,
        # A day on either side: a single check would have an axis of no width.
        "start": _milliseconds(min(times) - _MARGIN) if times else None,
        "end": _milliseconds(max(times) + _MARGIN) if times else None,
        "unit": "dB",
        "traces": [
            {
                "name": name,
                "unit": "dB",
                "series": number,
                "kind": kind,
                "places": 2,
                "x": [_milliseconds(at) for at, _value in points],
                "y": [value for _at, value in points],
            }
            for number, (name, kind, points) in enumerate(lines, start=1)
        ],
        "limits": [{"level": level, "label": words} for level, words in limits] if times else [],
        "marks": [
            {"layer": "checks", "at": _milliseconds(at), "label": words, "failed": True}
            for at, words in marks
        ],
        "summary": summary,
        "empty": empty,
        "layout": _layout(),
    }
