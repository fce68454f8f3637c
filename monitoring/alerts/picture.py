"""A small chart for a mail, as a PNG: the points that were judged, the limits, gaps left open. It reads no database."""

from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any

from django.utils import timezone
from PIL import Image, ImageDraw, ImageFont

# Twice the size it is shown at, for sharp phones.
WIDTH, HEIGHT = 1120, 400
LEFT, RIGHT, TOP, BOTTOM = 100, 24, 30, 56
_INK, _GRID, _LINE = "#334155", "#d9dee6", "#0b5fa5"
_LIMITS = (("amber", "#b45309"), ("red", "#b91c1c"))


def level_png(facts: Mapping[str, Any]) -> bytes | None:
    """The chart of a level's facts; None where there are not two points to draw."""
    points = [(datetime.fromisoformat(at).timestamp(), value) for at, value in facts.get("points", ())]
    values = [value for _, value in points if value is not None]
    if len(points) < 2 or len(values) < 2:
        return None
    limits = [(facts[name], colour) for name, colour in _LIMITS if facts.get(name) is not None]
    low = min([*values, *(limit for limit, _ in limits)])
    high = max([*values, *(limit for limit, _ in limits)])
    pad = max((high - low) * 0.1, 0.5)
    low, high = low - pad, high + pad
    first, last = points[0][0], points[-1][0]

    def place(at: float, value: float) -> tuple[float, float]:
        x = LEFT + (at - first) / max(last - first, 1.0) * (WIDTH - LEFT - RIGHT)
        y = TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return x, y

    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=24)
    for step in range(5):
        value = low + (high - low) * step / 4
        y = place(first, value)[1]
        draw.line([(LEFT, y), (WIDTH - RIGHT, y)], fill=_GRID, width=2)
        draw.text((LEFT - 12, y), f"{value:.0f}" if high - low > 8 else f"{value:.1f}", _INK, font, "rm")
    draw.text((LEFT - 12, 2), facts.get("unit", ""), _INK, font, "ra")
    for limit, colour in limits:
        y = place(first, limit)[1]
        for dash in range(LEFT, WIDTH - RIGHT, 24):
            draw.line([(dash, y), (min(dash + 14, WIDTH - RIGHT), y)], fill=colour, width=4)
    run: list[tuple[float, float]] = []
    for at, value in [*points, (last, None)]:
        if value is not None:
            run.append(place(at, value))
            continue
        # A missing value is a gap, never a line across it.
        if len(run) > 1:
            draw.line(run, fill=_LINE, width=5, joint="curve")
        elif run:
            x, y = run[0]
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=_LINE)
        run = []
    zone = timezone.get_current_timezone()
    for at, anchor in ((first, "la"), ((first + last) / 2, "ma"), (last, "ra")):
        clock = datetime.fromtimestamp(at, zone).strftime("%H:%M")
        draw.text((place(at, low)[0], HEIGHT - BOTTOM + 14), clock, _INK, font, anchor)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
