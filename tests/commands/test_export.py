"""Export writes what is stored, under the vendor's names, in UTC, in the same order each time, and nobody else's."""

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from instruments.models import Deployment, Instrument, Organisation, Site
from instruments.mycirrus import NOISE_VALUES
from instruments.tenancy import organisation_scope
from monitoring import export
from monitoring.models import Calibration, NoiseMeasurement, StatusChange, SystemIntegrityCheck
from tests.conftest import People, make_instrument

from .conftest import Run

START = datetime(2026, 3, 29, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def store_noise(instrument: Instrument, count: int, start: datetime = START, **values: Any) -> None:
    with organisation_scope(instrument.organisation_id):
        NoiseMeasurement.objects.bulk_create(
            [
                NoiseMeasurement(
                    organisation_id=instrument.organisation_id,
                    instrument=instrument,
                    start_at=start + n * QUARTER,
                    duration_s=900.0,
                    **{"LAeq": 50.0 + n % 7, **values},
                )
                for n in range(count)
            ]
        )


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_noise_as_csv(people: People, run: Run) -> None:
    store_noise(make_instrument(people.organisation), 2, LAFMax=None, LCPeak=0.0)
    said = run("export", "harbour", "noise")
    assert said.failure == ""
    first, second = table(said.out)
    assert list(first) == [
        "instrument",
        "startTime",
        "duration",
        *NOISE_VALUES,
        "extra",
        "impossible",
        "site",
    ]
    assert (first["instrument"], first["startTime"]) == ("QT000001", "2026-03-29T00:00:00Z")
    assert (first["LAeq"], second["LAeq"]) == ("50.0", "51.0")
    # A missing level is empty; a level of zero is a level.
    assert (first["LAFMax"], first["LCPeak"]) == ("", "0.0")


def test_noise_as_json_lines(people: People, run: Run) -> None:
    store_noise(make_instrument(people.organisation), 1, LAFMax=None, extra={"LeqT1Type": "LAeq,5m"})
    (line,) = run("export", "harbour", "noise", "--format", "jsonl").out.splitlines()
    row = json.loads(line)
    assert (row["startTime"], row["LAeq"], row["LAFMax"]) == ("2026-03-29T00:00:00Z", 50.0, None)
    assert row["extra"] == {"LeqT1Type": "LAeq,5m"}


def test_range_holds_its_start_and_not_its_end(people: People, run: Run) -> None:
    store_noise(make_instrument(people.organisation), 96)
    words = (
        "export",
        "harbour",
        "noise",
        "--start",
        "2026-03-29T01:00:00+01:00",
        "--end",
        "2026-03-29T01:00",
    )
    starts = [row["startTime"] for row in table(run(*words).out)]
    assert starts == [f"2026-03-29T00:{minute}:00Z" for minute in ("00", "15", "30", "45")]
    day = run("export", "harbour", "noise", "--start", "2026-03-28", "--end", "2026-03-29")
    assert table(day.out) == []


def test_rows_come_by_serial_and_time_across_pages(
    people: People, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_noise(make_instrument(people.organisation, "QT000002"), 7)
    store_noise(make_instrument(people.organisation, "QT000001"), 10)
    whole = run("export", "harbour", "noise").out
    monkeypatch.setattr(export, "PAGE", 5)
    assert run("export", "harbour", "noise").out == whole
    keys = [(row["instrument"], row["startTime"]) for row in table(whole)]
    assert len(keys) == 17
    assert keys == sorted(keys)


def test_only_these_instruments(people: People, run: Run) -> None:
    for serial in ("QT000001", "QT000002", "QT000003"):
        store_noise(make_instrument(people.organisation, serial), 1)
    said = run("export", "harbour", "noise", "--serial", "QT000003", "--serial", "QT000001")
    assert [row["instrument"] for row in table(said.out)] == ["QT000001", "QT000003"]


def test_nobody_elses_rows(people: People, run: Run) -> None:
    store_noise(make_instrument(people.organisation, "QT000001"), 1, LAeq=41.0)
    store_noise(make_instrument(people.other, "QT000001"), 1, LAeq=99.0)
    assert [row["LAeq"] for row in table(run("export", "harbour", "noise").out)] == ["41.0"]
    theirs = make_instrument(people.other, "QT999999")
    said = run("export", "harbour", "noise", "--serial", theirs.serial)
    assert said.failure == "Harbour has no instrument QT999999."
    assert said.out == ""


def test_calibrations_sics_and_status_changes(people: People, run: Run) -> None:
    instrument = make_instrument(people.organisation)
    own = {"organisation": people.organisation, "instrument": instrument, "at": START}
    with organisation_scope(people.organisation.pk):
        Calibration.objects.create(**own, status="Success", level_db=93.7, offset_db=-0.04)
        SystemIntegrityCheck.objects.create(**own, status="Error", passed=False, level_500hz_db=55.3829)
        StatusChange.objects.create(**own, online=False, measuring=None)
    assert table(run("export", "harbour", "calibrations").out) == [
        {
            "instrument": "QT000001",
            "time": "2026-03-29T00:00:00Z",
            "status": "Success",
            "level": "93.7",
            "offset": "-0.04",
            "site": "",
        }
    ]
    (sic,) = table(run("export", "harbour", "sic").out)
    assert (sic["status"], sic["_500Hz"], sic["_1KHz"], sic["_8KHz"]) == ("Error", "55.3829", "", "")
    (change,) = table(run("export", "harbour", "status-changes").out)
    assert (change["online"], change["measuring"]) == ("false", "")


def test_each_row_names_the_site_it_was_measured_at(people: People, run: Run) -> None:
    instrument = make_instrument(people.organisation)
    store_noise(instrument, 4)
    with organisation_scope(people.organisation.pk):
        for name, start, end in (
            ("Quay", START + QUARTER, START + 2 * QUARTER),
            ("Mill", START + 3 * QUARTER, None),
        ):
            site = Site.objects.create(organisation=people.organisation, name=name)
            Deployment.objects.create(
                organisation=people.organisation, instrument=instrument, site=site, start_at=start, end_at=end
            )
    rows = table(run("export", "harbour", "noise").out)
    assert [row["site"] for row in rows] == ["", "Quay", "", "Mill"]
    told = run("export", "harbour", "noise", "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["site"] for line in told] == [None, "Quay", None, "Mill"]


def test_instruments_known_in_the_range(people: People, run: Run) -> None:
    def make(serial: str, first: datetime, gone: datetime | None) -> None:
        make_instrument(
            people.organisation,
            serial,
            first_seen_at=first,
            seen_at=first,
            gone_at=gone,
            features=["SIC", "Modem"],
        )

    make("GONE", START - timedelta(days=9), START - timedelta(days=1))
    make("HERE", START, None)
    make("LATER", START + timedelta(days=9), None)
    rows = table(run("export", "harbour", "instruments", "--start", "2026-03-29", "--end", "2026-03-30").out)
    assert [row["serialNumber"] for row in rows] == ["HERE"]
    assert json.loads(rows[0]["feature"]) == ["SIC", "Modem"]
    assert len(table(run("export", "harbour", "instruments").out)) == 3


def test_file_appears_only_when_it_is_whole(
    people: People, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_noise(make_instrument(people.organisation), 3)
    output = tmp_path / "noise.csv"
    said = run("export", "harbour", "noise", "--output", str(output), "--json")
    assert said.json == {"resource": "noise", "rows": 3, "output": str(output)}
    before = output.read_text()
    assert len(table(before)) == 3

    def breaks(*_: Any, **__: Any) -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(export, "utc_text", breaks)
    assert run("export", "harbour", "noise", "--output", str(output)).failure == "disk full"
    assert output.read_text() == before
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("quay", "noise"), "There is no organisation “quay”. There are: harbour, quarry."),
        (("harbour", "noise", "--start", "yesterday"), "“yesterday” is not a time."),
        (("harbour", "noise", "--start", "2026-02-02", "--end", "2026-02-02"), "The range is empty"),
        (("harbour", "noise", "--serial", "QT404"), "Harbour has no instrument QT404."),
        (("harbour", "rain"), "invalid choice: 'rain'"),
    ],
)
def test_mistakes_get_one_sentence(people: People, run: Run, words: tuple[str, ...], sentence: str) -> None:
    said = run("export", *words)
    assert sentence in said.failure
    assert said.out == ""


def test_folder_that_is_not_there(people: People, run: Run, tmp_path: Path) -> None:
    assert "No such file" in run("export", "harbour", "noise", "--output", str(tmp_path / "no" / "f")).failure


def test_memory_does_not_grow_with_rows(people: People) -> None:
    instrument = make_instrument(people.organisation)
    store_noise(instrument, 3 * export.PAGE)

    def peak(organisation: Organisation, end: datetime) -> int:
        with organisation_scope(organisation.pk):
            tracemalloc.start()
            for _ in export.export_rows(resource="noise", end=end):
                pass
            highest = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return highest

    one = peak(people.organisation, START + export.PAGE * QUARTER)
    three = peak(people.organisation, START + 3 * export.PAGE * QUARTER)
    assert three < 1.5 * one
