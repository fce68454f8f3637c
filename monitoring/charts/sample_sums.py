"""The sums of samples as SQL: of recorded rows, and of the sums of shorter buckets, which hold exactly what those do.

Of a quantity they are four: value × seconds, seconds, lowest, highest. Of a direction: the wind's way east and north in
metres, seconds, nothing. Of a panel two: the seconds and the rows that had any of its quantities.
"""

from collections.abc import Iterable

from django.db import connection

from monitoring.charts.sample_kinds import How, Panel, Quantity

USUAL_S = 60.0
_MOST = "1e30"
# How each of the four, and each of the two, becomes one of several buckets.
_TOGETHER = ("SUM", "SUM", "MIN", "MAX")
_TOGETHER_OF_DIRECTION = ("SUM", "SUM", "SUM", "MAX")


def lasted(usual_s: float) -> str:
    """The length of a row in seconds; one whose length MyCirrus did not give weighs as one of ``usual_s``."""
    return f'COALESCE("duration_s", {float(usual_s)})'


def of_rows(quantity: Quantity, seconds: str) -> list[str]:
    """Of recorded rows that each last ``seconds``."""
    name = quantity.column
    # What no instrument can have measured is stored as it came, and a sum of it may be more than a number holds.
    value = (
        f'CASE WHEN "{name}" > {_MOST} THEN {_MOST} WHEN "{name}" < -{_MOST} THEN -{_MOST} ELSE "{name}" END'
    )
    parts = [f"{seconds} * ({value})", seconds]
    ends = [f'MIN("{name}")', f'MAX("{name}")']
    known = f'"{name}" IS NOT NULL'
    if quantity.how == How.DIRECTION:
        parts = [f'{seconds} * "{quantity.speed}" * {turn}(RADIANS("{name}"))' for turn in ("SIN", "COS")]
        known += f' AND "{quantity.speed}" IS NOT NULL'
        ends = [f"SUM(CASE WHEN {known} THEN {seconds} ELSE 0 END)", "NULL"]
    return [f"SUM(CASE WHEN {known} THEN {part} ELSE 0 END)" for part in parts] + ends


def panel_of_rows(panel: Panel, seconds: str) -> list[str]:
    """Of recorded rows that each last ``seconds``."""
    known = " OR ".join(f'"{quantity.column}" IS NOT NULL' for quantity in panel.quantities)
    return [f"SUM(CASE WHEN {known} THEN {part} ELSE 0 END)" for part in (seconds, "1")]


def of_bucket(quantity: Quantity) -> list[str]:
    """As they stand in one rollup."""
    return [_cell("sums", quantity.column, place) for place in range(4)]


def panel_of_bucket(name: str) -> list[str]:
    """As they stand in one rollup."""
    return [_cell("valid", name, place) for place in range(2)]


def of_buckets(quantity: Quantity) -> list[str]:
    """Of several rollups."""
    together = _TOGETHER_OF_DIRECTION if quantity.how == How.DIRECTION else _TOGETHER
    return [f"{total}({cell})" for total, cell in zip(together, of_bucket(quantity), strict=True)]


def panel_of_buckets(name: str) -> list[str]:
    """Of several rollups."""
    return [f"SUM({cell})" for cell in panel_of_bucket(name)]


def document(members: Iterable[tuple[str, list[str]]]) -> str:
    """One JSON object of arrays of numbers, to be stored."""
    kind = "jsonb_build_" if connection.vendor == "postgresql" else "json_"
    told = ", ".join(f"'{name}', {kind}array({', '.join(cells)})" for name, cells in members)
    return f"{kind}object({told})"


def _cell(column: str, name: str, place: int) -> str:
    if connection.vendor == "postgresql":
        return f"(\"{column}\" -> '{name}' ->> {place})::double precision"
    return f"json_extract(\"{column}\", '$.{name}[{place}]')"
