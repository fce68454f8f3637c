"""The benchmarks' arithmetic: a wrong ratio would make every result a lie. Nothing is timed here."""

import json

import pytest

from bench import table
from bench.measure import Row, compared, interleaved, judged, percentile, spread


def test_spread_is_median_least_and_most() -> None:
    told = spread([9.0, 1.0, 3.0, 2.0])
    assert (told.median, told.least, told.most, told.samples) == (2.5, 1.0, 9.0, 4)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0.5, 1)])
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == expected


def test_percentile_of_few_samples_is_one_of_them() -> None:
    assert percentile([1.0, 2.0, 10.0], 95) == 10.0
    with pytest.raises(ValueError, match="percentile"):
        percentile([1.0], 0)


@pytest.mark.parametrize(
    ("bound", "met"), [({"at_most": 2.0}, True), ({"at_most": 1.9}, False), ({"at_least": 2.1}, False)]
)
def test_ratio_is_of_the_medians_and_judged_by_its_bound(bound: dict[str, float], met: bool) -> None:
    row = compared("T1", "webhook", unit="ms", ours=[4.0, 100.0, 3.0], limit=[2.0, 2.0, 50.0], **bound)
    assert row.ratio == 2.0
    assert row.met is met


def test_without_a_bound_nothing_is_judged() -> None:
    assert compared("T1", "webhook", unit="ms", ours=[1.0], limit=[0.0]).ratio is None
    assert judged("T9", "start", unit="s", ours=[1.0]).met is None
    assert judged("T9", "start", unit="s", ours=[9.0, 11.0, 30.0], at_most=10).met is False


def test_sides_take_turns_in_going_first_and_warming_up_does_not_count() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    samples = interleaved({"a": lambda: side("a"), "b": lambda: side("b")}, 2, warm_up=1)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert samples == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_a_row_survives_its_file_and_says_what_it_missed(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"# Performance\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n")
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(table, "DOCUMENT", document)
    row = compared(
        "T1", "webhook", unit="ms", ours=[3.0, 4.0, 5.0], limit=[1.0], at_most=2, note="16 clients"
    )
    table.keep("webhook", [row], {"cpus": 2})
    kept = json.loads((tmp_path / "results" / "webhook.json").read_text())
    assert Row.of(kept["rows"][0]) == row
    table.document_write(["webhook", "never-run"])
    written = document.read_text()
    assert "| T1 | webhook (16 clients) |  | 4.00 ms (3.00–5.00) | 1.00 ms | 4.00 × | ≤ 2 × | NO |" in written
    assert "old" not in written
    assert written.endswith("after\n")
