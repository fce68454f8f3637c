"""Spectra and spectrograms: the stored row that is nearest, energy means that equal pure Python's, gaps as gaps."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from plotly import graph_objects as go

from instruments.models import Deployment, Instrument, Site
from instruments.tenancy import organisation_scope
from monitoring.acoustics.bands import band_hz, band_label, band_levels
from monitoring.acoustics.levels import energy_mean
from monitoring.charts.spectra import MOST_COLUMNS, spectrogram, spectrum_at
from monitoring.charts.spectrum_figures import spectrogram_figure, spectrum_figure
from monitoring.models import FrequencyMeasurement, NoiseMeasurement
from monitoring.sync.band_rollups import band_rollups_refresh
from tests.conftest import People, make_instrument
from tests.monitoring.test_levels_view import read

NOON = datetime(2026, 6, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PAGE = "/o/harbour/i/QT000001/"
OCTAVE = FrequencyMeasurement.Bands.OCTAVE


@pytest.fixture
def unit(people: People) -> Iterator[Instrument]:
    """Harbour's monitor with two hours of octaves before noon, ten minutes missing in the middle."""
    made = make_instrument(people.organisation, "QT000001")
    make_instrument(people.other, "QT000001")
    with organisation_scope(people.organisation.pk):
        FrequencyMeasurement.objects.bulk_create(
            FrequencyMeasurement(
                organisation=people.organisation,
                instrument=made,
                bands=OCTAVE,
                start_at=NOON - number * MINUTE,
                duration_s=60,
                levels=levels(number),
            )
            for number in range(1, 121)
            if not 60 <= number < 70
        )
        first, last = NOON - 120 * MINUTE, NOON - MINUTE
        band_rollups_refresh(instrument=made, bands=OCTAVE, first=first, last=last, usual_s=60.0)
        yield made


def levels(number: int) -> dict[str, float]:
    return {"1KHz": 40.0 + number % 7, "31.5Hz": 55.0 + number % 5, "8KHz": 20.0}


def test_bands_are_ordered_by_frequency_and_written_with_their_unit() -> None:
    names = {"1KHz": 1.0, "500Hz": 2.0, "6.3Hz3": 3.0, "16KHz": None, "LAeq": 9.0}
    assert band_levels(names) == {6.3: 3.0, 500.0: 2.0, 1000.0: 1.0, 16000.0: None}
    assert [band_label(hz) for hz in (31.5, 63, 1000, 12500)] == ["31.5 Hz", "63 Hz", "1 kHz", "12.5 kHz"]
    assert band_hz("loud") is None


def test_the_row_that_covers_the_instant_is_taken_else_the_nearest(unit: Instrument) -> None:
    def at(instant: datetime | None) -> tuple[datetime, bool]:
        found = spectrum_at(instrument=unit, bands=OCTAVE, at=instant, now=NOON)
        assert found is not None
        return found.at, found.covers

    assert at(None) == (NOON - MINUTE, True)
    assert at(NOON - 5 * MINUTE + timedelta(seconds=59)) == (NOON - 5 * MINUTE, True)
    # In the gap from 69 to 59 minutes before noon, and past either end.
    assert at(NOON - 68 * MINUTE) == (NOON - 70 * MINUTE, False)
    assert at(NOON - 60 * MINUTE) == (NOON - 59 * MINUTE, False)
    assert at(NOON + timedelta(days=3)) == (NOON - MINUTE, False)
    assert at(NOON - timedelta(days=3)) == (NOON - 120 * MINUTE, False)
    assert spectrum_at(instrument=unit, bands="Third", at=NOON, now=NOON) is None


@pytest.mark.parametrize("hours", [2, 24, 24 * 31, 24 * 365, 24 * 730])
def test_each_column_is_an_energy_mean_and_a_gap_is_none(unit: Instrument, hours: int) -> None:
    start = NOON - timedelta(hours=hours)
    found = spectrogram(instrument=unit, bands=OCTAVE, start=start, end=NOON, now=NOON)
    assert found.bands == [31.5, 1000.0, 8000.0]
    assert len(found.levels[0]) <= MOST_COLUMNS
    held: dict[int, list[int]] = {}
    for number in range(1, 121):
        if not 60 <= number < 70:
            place = int((NOON - number * MINUTE - found.start_at).total_seconds() // found.bucket_s)
            held.setdefault(place, []).append(number)
    for name, row in zip(("31.5Hz", "1KHz", "8KHz"), found.levels, strict=True):
        for place, level in enumerate(row):
            mean = energy_mean((levels(number)[name], 60.0) for number in held.get(place, []))
            assert level == (None if mean is None else pytest.approx(mean, abs=1e-6))
    assert found.count == 110
    if hours == 2:
        assert found.levels[0].count(None) == 10
        assert found.coverage_pct == pytest.approx(100 * 110 / 120)


def test_another_organisation_s_instrument_is_refused(people: People) -> None:
    theirs = make_instrument(people.other, "QT000009")
    with organisation_scope(people.organisation.pk), pytest.raises(NoiseMeasurement.DoesNotExist):
        spectrogram(instrument=theirs, bands=OCTAVE, start=NOON - MINUTE, end=NOON, now=NOON)


def test_the_figures_are_ones_that_plotly_takes(unit: Instrument) -> None:
    found = spectrogram(instrument=unit, bands=OCTAVE, start=NOON - timedelta(hours=2), end=NOON, now=NOON)
    figure = spectrogram_figure(
        found, name="Leq", start=NOON, end=NOON, zone="UTC", summary="", empty="Nothing."
    )
    heat = figure["traces"][0]
    go.Heatmap(x0=heat["x0"], dx=heat["dx"], y=heat["bands"], z=heat["z"], colorscale="Viridis")
    go.Figure(layout=figure["layout"])
    # A cell is centred on x: its left edge is where the column begins.
    assert heat["x0"] - heat["dx"] / 2 == found.start_at.timestamp() * 1000
    bars = spectrum_figure(
        {31.5: 50.04, 1000.0: None}, at=None, name="Leq", zone="UTC", summary="", empty=""
    )["traces"][0]
    drawn = go.Bar(x=bars["bands"], y=bars["y"])
    assert list(drawn.y) == [50.0, None]


# Pages.


def test_the_time_of_the_row_is_named_and_the_page_tells_every_band(people: People, unit: Instrument) -> None:
    bob = people.client(people.bob)
    told = bob.get(f"{PAGE}spectrum.json", {"at": "2026-06-22T12:55:30", "bands": "Octave"}).json()
    assert told["traces"][0]["bands"] == ["31.5 Hz", "1 kHz", "8 kHz"]
    # The form's time is London's, an hour ahead of UTC in June.
    assert told["summary"].startswith("22 Jun 2026, 12:55:00 (BST), 1 min")
    assert "Z-weighted" in told["summary"]
    far = bob.get(f"{PAGE}spectrum.json", {"at": "2026-07-22T12:00:00Z"}).json()
    assert far["summary"].startswith("Nothing was recorded at that time; this is the nearest: 22 Jun 2026")
    page = bob.get(f"{PAGE}spectrum/", {"at": "2026-06-22T11:55:30Z"}).content.decode()
    assert "31.5 Hz" in page
    assert "55.0<" in page


def test_a_spectrum_is_told_by_the_clock_of_where_it_was_measured(people: People, unit: Instrument) -> None:
    moved_at = NOON + timedelta(days=10)
    with organisation_scope(people.organisation.pk):
        for name, zone, since, until in (
            ("Quay", "Asia/Kathmandu", NOON - timedelta(days=1), moved_at),
            ("Bridge", "America/New_York", moved_at, None),
        ):
            site = Site.objects.create(organisation=people.organisation, name=name, timezone=zone)
            Deployment.objects.create(
                organisation=people.organisation, instrument=unit, site=site, start_at=since, end_at=until
            )
    bob, local = people.client(people.bob), "2026-06-22T17:40:30"
    # 17:40 in Kathmandu is five minutes before noon in UTC; in New York it would be the evening.
    for at in (local, "2026-06-22T11:55:30Z", ""):
        told = bob.get(f"{PAGE}spectrum.json", {"at": at}).json()
        assert told["zone"] == "Asia/Kathmandu"
        assert "(+0545)" in told["summary"]
        assert at == "" or told["summary"].startswith("22 Jun 2026, 17:40:00")
    assert read(bob.get(f"{PAGE}spectrum.csv", {"at": local}))[0]["startTime"] == "2026-06-22T11:55:00Z"
    # The form shows what it was given, on the instrument's page and on its own, whatever range is shown.
    for page in (PAGE, f"{PAGE}spectrum/"):
        for window in ("", "&from=2026-06-22T08:00Z&to=2026-06-22T12:00Z"):
            shown = bob.get(f"{page}?at={local}{window}").content.decode()
            assert f'name="at" value="{local}"' in shown
            assert "at=2026-06-22T11:55:30Z" in shown


def test_a_spectrogram_shows_a_long_range_in_days(people: People, unit: Instrument) -> None:
    asked = {"from": "2026-01-01T00:00Z", "to": "2026-06-22T12:00Z"}
    told = people.client(people.bob).get(f"{PAGE}spectrogram.json", asked).json()
    assert told["traces"][0]["dx"] == 86_400_000
    assert len(told["traces"][0]["z"][0]) == 173
    assert "over 24 h, from 110 spectra" in told["summary"]


@pytest.mark.parametrize("path", ["spectrum.json?at=soon", "spectrogram.json?from=soon"])
def test_what_is_no_time_is_refused_in_words(people: People, unit: Instrument, path: str) -> None:
    answer = people.client(people.bob).get(PAGE + path)
    assert answer.status_code == 400
    assert "Write both like" in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    ["spectrum/", "spectrum.json", "spectrogram.json", "spectrum.csv", "spectrogram.csv", "spectrogram/"],
)
def test_outsiders_get_404(people: People, unit: Instrument, path: str) -> None:
    assert people.client(people.charlie).get(PAGE + path).status_code == 404
    theirs = people.client(people.charlie).get(f"/o/quarry/i/QT000001/{path}")
    assert theirs.status_code == 200
    assert b"31.5" not in theirs.getvalue()


def test_a_spectrum_comes_as_csv(people: People, unit: Instrument) -> None:
    bob = people.client(people.bob)
    answer = bob.get(f"{PAGE}spectrum.csv", {"at": "2026-06-22T11:55:30Z", "bands": "Octave"})
    assert (
        'filename="QT000001-spectrum-Octave-20260622T1155Z-20260622T1156Z.csv"'
        in (answer.headers["Content-Disposition"])
    )
    assert read(answer) == [
        {
            "instrument": "QT000001",
            "startTime": "2026-06-22T11:55:00Z",
            "duration": "60.0",
            "31.5 Hz (dB)": "55.0",
            "1 kHz (dB)": "45.0",
            "8 kHz (dB)": "20.0",
            "site": "",
        }
    ]
    assert read(bob.get(f"{PAGE}spectrum.csv", {"bands": "Third"})) == []
    assert bob.get(f"{PAGE}spectrum.csv?at=soon").status_code == 400


def test_a_spectrogram_comes_as_csv_and_as_a_table_with_its_gaps(people: People, unit: Instrument) -> None:
    bob = people.client(people.bob)
    site = Site.objects.create(organisation=people.organisation, name="Quay")
    Deployment.objects.create(
        organisation=people.organisation, instrument=unit, site=site, start_at=NOON - 30 * MINUTE
    )
    asked = {"from": "2026-06-22T10:00:00Z", "to": "2026-06-22T12:00:00Z"}
    answer = bob.get(f"{PAGE}spectrogram.csv", asked)
    assert (
        "QT000001-spectrogram-Octave-20260622T1000Z-20260622T1200Z.csv"
        in (answer.headers["Content-Disposition"])
    )
    rows = read(answer)
    assert len(rows) == 120
    assert (rows[0]["1 kHz (dB)"], rows[0]["site"]) == ("41.0", "")
    # A gap is empty and no zero.
    assert (rows[55]["startTime"], rows[55]["1 kHz (dB)"]) == ("2026-06-22T10:55:00Z", "")
    assert rows[119]["site"] == "Quay"
    assert bob.get(f"{PAGE}spectrogram.csv?from=soon").status_code == 400
    page = bob.get(f"{PAGE}spectrogram/", {**asked, "all": "1"}).content.decode()
    assert page.count("<tr><th") == 1 + 110
    for words in ("31.5 Hz", "8 kHz", "dB", "Measured at Quay."):
        assert words in page
    empty = bob.get(f"{PAGE}spectrogram/", {**asked, "bands": "Third"}).content.decode()
    assert "No spectra were recorded in this range" in empty
