"""What Plotly says by itself, in the reader's language: its own words, and Django's names, dates and numbers."""

import json
import re

from django import template
from django.utils.dates import MONTHS, MONTHS_3, WEEKDAYS, WEEKDAYS_ABBR
from django.utils.formats import get_format
from django.utils.translation import gettext, gettext_noop

register = template.Library()

# In Plotly's own English, by which it asks for them.
WORDS = (
    gettext_noop("Download plot as a PNG"),
    gettext_noop("Zoom"),
    gettext_noop("Pan"),
    gettext_noop("Zoom in"),
    gettext_noop("Zoom out"),
    gettext_noop("Reset axes"),
    gettext_noop("Double-click to zoom back out"),
    gettext_noop("Double-click on legend to isolate one trace"),
    gettext_noop("Preparing image - this may take a few seconds"),
    gettext_noop("Image download succeeded"),
    gettext_noop("Sorry, there was a problem downloading your image!"),
)
# Django's letters of a date in d3's; names of months are short, because an axis has little room.
_D3 = {
    "d": "%d",
    "j": "%-d",
    "D": "%a",
    "l": "%a",
    "m": "%m",
    "n": "%-m",
    "y": "%y",
    "Y": "%Y",
} | dict.fromkeys("FNMbE", "%b")


def d3_date(name: str) -> str:
    """Django's format of that name for the active language, as d3 writes it."""
    return re.sub(r"\\(.)|([A-Za-z])", lambda part: part[1] or _D3.get(part[2], part[2]), get_format(name))


@register.simple_tag
def plotly_locale() -> str:
    """A locale of Plotly as JSON: {dictionary, format}."""
    days, months = (6, 0, 1, 2, 3, 4, 5), range(1, 13)
    told = {
        "dictionary": {word: gettext(word) for word in WORDS},
        "format": {
            "days": [str(WEEKDAYS[day]) for day in days],
            "shortDays": [str(WEEKDAYS_ABBR[day]) for day in days],
            "months": [str(MONTHS[month]) for month in months],
            "shortMonths": [str(MONTHS_3[month]).title() for month in months],
            "decimal": get_format("DECIMAL_SEPARATOR"),
            "thousands": get_format("THOUSAND_SEPARATOR"),
            "year": "%Y",
            "month": d3_date("YEAR_MONTH_FORMAT"),
            "dayMonth": d3_date("MONTH_DAY_FORMAT"),
            "dayMonthYear": d3_date("DATE_FORMAT"),
        },
    }
    return json.dumps(told)
