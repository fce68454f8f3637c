"""Charts in another language: the names in their data, Plotly's own words, and Django's dates and numbers."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as installed
from django.utils.translation import override

from instruments.tenancy import organisation_scope
from monitoring.models import NoiseMeasurement, ParticulateSample
from monitoring.sync.rollups import noise_rollups_refresh, sample_rollups_refresh
from monitoring.templatetags.charts import WORDS, d3_date, plotly_locale
from tests.catalogue import speak
from tests.conftest import People, make_instrument

NOON = datetime(2026, 6, 22, 12, tzinfo=UTC)
WEEK = {"from": "2026-06-15T12:00Z", "to": "2026-06-22T12:00Z"}
VENDOR = installed.BASE_DIR / "static" / "vendor"


@pytest.mark.parametrize("asked", ["de", "de-DE,de;q=0.9", "en-US", "xx"])
def test_a_page_is_not_half_in_a_language_that_we_do_not_speak(people: People, asked: str) -> None:
    make_instrument(people.organisation, "QT000001")
    answer = people.client(people.bob).get("/o/harbour/i/QT000001/", headers={"accept-language": asked})
    assert answer["Content-Language"] == "en-gb"
    assert '<html lang="en-gb"' in answer.content.decode()


def test_the_data_and_the_page_of_a_chart_speak_the_reader_s_language(
    people: People, settings: Any, tmp_path: Path
) -> None:
    words = {
        "LAeq, lowest to highest": "LAeq, tiefster bis höchster",
        "{} range": "Spanne von {}",
        # As a template's percent signs stand in a catalogue.
        "{} %% covered": "{} %% belegt",
        "Zoom in": "Näher",
    }
    speak(settings, tmp_path, words)
    noise = make_instrument(people.organisation, "QT000001")
    air = make_instrument(people.organisation, "AQ000001", type="AirQuality")
    starts = [NOON - timedelta(minutes=minute) for minute in range(60)]
    with organisation_scope(people.organisation.pk):
        for place, start in enumerate(starts):
            owned: Any = {"organisation": people.organisation, "start_at": start, "duration_s": 60}
            NoiseMeasurement.objects.create(**owned, instrument=noise, LAeq=50 + place / 10)
            ParticulateSample.objects.create(**owned, instrument=air, pm10_ugm3=10 + place)
        noise_rollups_refresh(instrument=noise, first=starts[-1], last=NOON)
        sample_rollups_refresh(instrument=air, model=ParticulateSample, first=starts[-1], last=NOON)
    bob = people.client(people.bob)

    def told(path: str, language: str) -> Any:
        answer = bob.get(f"/o/harbour/i/{path}", WEEK, headers={"accept-language": language})
        assert answer.status_code == 200
        return answer

    for path, english, german in (
        ("QT000001/levels.json", "LAeq, lowest to highest", "LAeq, tiefster bis höchster"),
        ("AQ000001/samples/particulates.json", "PM10 range", "Spanne von PM10"),
    ):
        assert english in {trace["name"] for trace in told(path, "en-gb").json()["traces"]}
        assert german in {trace["name"] for trace in told(path, "de").json()["traces"]}
    page = told("QT000001/", "de").content.decode()
    assert 'data-covered="{} % belegt"' in page
    found = re.search(r'data-locale="([^"]+)"', page)
    assert found is not None
    locale = json.loads(html.unescape(found[1]))
    assert locale["dictionary"]["Zoom in"] == "Näher"
    assert locale["format"]["months"][2] == "März"


@pytest.mark.parametrize(
    ("language", "dates", "march", "sunday", "decimal"),
    [
        ("en-gb", ("%-d %b", "%-d %b %Y", "%b %Y"), "Mar", "Sun", "."),
        ("en-us", ("%b %-d", "%b %-d, %Y", "%b %Y"), "Mar", "Sun", "."),
        ("de", ("%-d. %b", "%-d. %b %Y", "%b %Y"), "Mär", "So", ","),
        ("es", ("%-d de %b", "%-d de %b de %Y", "%b de %Y"), "Mar", "dom", ","),
        ("ja", ("%-m月%-d日", "%Y年%-m月%-d日", "%Y年%-m月"), "3月", "日", "."),
    ],
)
def test_dates_and_numbers_are_django_s(
    language: str, dates: tuple[str, ...], march: str, sunday: str, decimal: str
) -> None:
    with override(language):
        assert tuple(map(d3_date, ("MONTH_DAY_FORMAT", "DATE_FORMAT", "YEAR_MONTH_FORMAT"))) == dates
        told = json.loads(plotly_locale())["format"]
    assert (told["dayMonth"], told["dayMonthYear"], told["month"]) == dates
    assert (told["shortMonths"][2], told["shortDays"][0], told["decimal"]) == (march, sunday, decimal)


def test_plotly_asks_for_these_very_words() -> None:
    """A word that it no longer has would be translated for nobody."""
    (script,) = VENDOR.glob("plotly-*/plotly-*.min.js")
    text = script.read_text()
    assert [word for word in WORDS if f'"{word}"' not in text] == []
