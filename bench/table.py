"""Prints rows, keeps the newest results as JSON and writes them into docs/performance.md."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bench.measure import Row, Spread
from bench.stage import ROOT

RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- results: written by `python -m bench --document` -->", "<!-- end of results -->"
HEAD = ("", "what", "on", "ours", "limit", "ratio", "asked", "met")


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, in the order of HEAD."""
    met = {True: "yes", False: "NO", None: "–"}[row.met] if row.asked else ""
    what = f"{row.what} ({row.note})" if row.note else row.what
    ratio = "" if row.ratio is None else f"{number(row.ratio)} ×"
    limit = _spread(row.limit, row.unit) if row.limit else ""
    return row.target, what, row.database, _spread(row.ours, row.unit), limit, ratio, row.asked, met


def number(value: float) -> str:
    """Three digits that mean something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _spread(samples: Spread, unit: str) -> str:
    text = f"{number(samples.median)} {unit}".rstrip()
    if samples.samples == 1:
        return text
    return f"{text} ({number(samples.least)}–{number(samples.most)})"


def printed(rows: Iterable[Row]) -> str:
    """The table for a terminal: median (least–most)."""
    lines = [HEAD, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def keep(name: str, rows: Sequence[Row], facts: dict[str, Any]) -> None:
    """Make ``rows`` the newest results of the benchmark ``name``."""
    RESULTS.mkdir(exist_ok=True)
    document = {"benchmark": name, "facts": facts, "rows": [row.document() for row in rows]}
    text = json.dumps(document, indent=1, ensure_ascii=False, default=str)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def document_write(names: Iterable[str]) -> None:
    """Put the newest results between the two marks of docs/performance.md."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    parts = [BEGIN, ""]
    for name in names:
        path = RESULTS / f"{name}.json"
        if not path.exists():
            continue
        result = json.loads(path.read_text())
        rows = [cells(Row.of(row)) for row in result["rows"]]
        told = ", ".join(
            f"{key.replace('_', ' ')} {value}" for key, value in result["facts"].items() if value
        )
        parts += [f"### `python -m bench {name}`", "", f"{told}.", ""]
        parts += ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
        parts += ["| " + " | ".join(row) + " |" for row in rows]
        parts.append("")
    DOCUMENT.write_text(before + "\n".join([*parts, END]) + after)
