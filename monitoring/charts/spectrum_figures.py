"""Spectra and spectrograms in the form that static/js/chart.js draws. Pure: no ORM, no clock, no colour."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from monitoring.acoustics.bands import band_label
from monitoring.charts.figures import rounded


class Columns(Protocol):
    """What a spectrogram needs: for each band, low to high in Hz, a level in dB or None in each column."""

    @property
    def start_at(self) -> datetime: ...
    @property
    def bucket_s(self) -> int: ...
    @property
    def bands(self) -> Sequence[float]: ...
    @property
    def levels(self) -> Sequence[Sequence[float | None]]: ...
    @property
    def coverage_pct(self) -> float: ...


def spectrum_figure(
    levels: Mapping[float, float | None],
    *,
    at: datetime | None,
    name: str,
    zone: str,
    summary: str,
    empty: str,
) -> dict[str, Any]:
    """The JSON document of a bar chart over bands, low to high; ``levels`` are in dB by centre frequency in Hz.

    ``at`` is when they begin, None where there are none.
    """
    bars = {
        "kind": "bars",
        "name": name,
        "unit": "dB",
        "series": 1,
        "bands": [band_label(hz) for hz in levels],
        "y": rounded(list(levels.values())),
    }
    begins = None if at is None else round(at.timestamp() * 1000)
    return {"zone": zone, "at": begins, "unit": "dB", "traces": [bars], "summary": summary, "empty": empty}


def spectrogram_figure(
    columns: Columns, *, name: str, start: datetime, end: datetime, zone: str, summary: str, empty: str
) -> dict[str, Any]:
    """The JSON document of a heat map over [start, end], drawn in the time of ``zone``; None stays a gap."""
    heat = {
        "kind": "heat",
        "name": name,
        "unit": "dB",
        # A cell is drawn around its middle, and begins where its column does.
        "x0": round(columns.start_at.timestamp() * 1000) + columns.bucket_s * 500,
        "dx": columns.bucket_s * 1000,
        "bands": [band_label(hz) for hz in columns.bands],
        "z": [rounded(levels) for levels in columns.levels],
    }
    return {
        "zone": zone,
        "start": round(start.timestamp() * 1000),
        "end": round(end.timestamp() * 1000),
        "unit": "",
        "traces": [heat],
        "coverage": round(columns.coverage_pct / 100, 8),
        "summary": summary,
        "empty": empty,
        "layout": {"yaxis": {"type": "category", "fixedrange": True, "automargin": True}},
    }
