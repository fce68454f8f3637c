"""The history of a rule: what each version says in the editor's words, and what it changed of the one before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instruments.models import Site
from instruments.tenancy import organisation_scope
from monitoring.alerts.kinds import KINDS
from monitoring.alerts.presets import PRESETS
from monitoring.alerts.rules import Draft, rule_pause, rule_resume, rule_save
from monitoring.alerts.versions import Told, versions_told
from monitoring.models import AlertKind, AlertRule, AlertRuleVersion
from tests.conftest import People

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SETTINGS: dict[str, Any] = {
    "metric": "LAeq",
    "over": "fixed",
    "period_min": 15.0,
    "amber": 65.0,
    "red": 72.5,
    "hours": {"days": [0, 1, 2, 3, 4], "start": "07:00", "end": "18:30"},
}


def told(rule: AlertRule, sites: dict[int, str] | None = None) -> list[Told]:
    versions = list(AlertRuleVersion.objects.filter(rule=rule))
    return versions_told(rule.kind, versions, sites=sites or {})


def changed(version: Told) -> list[tuple[str, str, str]]:
    assert version.changes is not None
    return [(each.name, each.before, each.after) for each in version.changes]


def test_each_version_says_what_it_changed_and_all_that_it_says(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        site = Site.objects.create(organisation=people.organisation, name="Pier 4")
        drafts = (
            Draft(AlertKind.LEVEL, "Day", SETTINGS),
            Draft(AlertKind.LEVEL, "Day", {**SETTINGS, "red": 70.0}, ["QT1"], [site.pk]),
            Draft(
                AlertKind.LEVEL,
                "Day",
                {
                    **{name: value for name, value in SETTINGS.items() if name != "amber"},
                    "hours": {"days": list(range(7)), "start": "00:00", "end": "00:00"},
                },
                [],
                [site.pk + 1],
            ),
        )
        rule = None
        for number, draft in enumerate(drafts):
            rule = rule_save(draft=draft, rule=rule, actor=None, now=NOW + timedelta(days=number))
        assert rule is not None
        newest, middle, first = told(rule, {site.pk: "Pier 4"})
        assert [(line.name, line.value) for line in first.lines] == [
            ("What", "LAeq (dB)"),
            ("Formed over", "Fixed periods"),
            ("Period (min)", "15"),
            ("Amber above", "65 dB"),
            ("Red above", "72.5 dB"),
            ("When", "Mon, Tue, Wed, Thu, Fri, 07:00–18:30"),
            ("About", "all instruments"),
        ]
        assert first.changes is None
        assert changed(middle) == [
            ("Red above", "72.5 dB", "70 dB"),
            ("About", "all instruments", "QT1, Pier 4"),
        ]
        assert changed(newest) == [
            ("Amber above", "65 dB", "none"),
            ("Red above", "70 dB", "72.5 dB"),
            ("When", "Mon, Tue, Wed, Thu, Fri, 07:00–18:30", "every day"),
            ("About", "QT1, Pier 4", "a site that is gone"),
        ]
        rule_pause(rule=rule, now=NOW + timedelta(days=4))
        rule_resume(rule=rule, actor=None, now=NOW + timedelta(days=5))
        assert changed(told(rule)[0]) == []
    page = people.client(people.adam).get(f"/o/harbour/alerts/rules/{rule.pk}/").content.decode()
    for words in ("65 dB → <strong>none", "The first version", "went on after a pause", "07:00–18:30"):
        assert words in page


def test_a_limit_of_zero_is_a_limit(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        rule = None
        for number, amber in enumerate((5.0, 0.0)):
            draft = Draft(AlertKind.LEVEL, "Day", {**SETTINGS, "amber": amber})
            rule = rule_save(draft=draft, rule=rule, actor=None, now=NOW + timedelta(days=number))
        assert rule is not None
        assert changed(told(rule)[0]) == [("Amber above", "5 dB", "0 dB")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_every_kind_has_its_words(people: People, kind: str) -> None:
    """Whatever an editor offers is told: a setting that is left out could be changed without a trace."""
    settings = {each.name: 7.0 for each in KINDS[kind].settings} | {"repeat_min": 30}
    if "confirm" in KINDS[kind].extra:
        settings["confirm"] = True
    with organisation_scope(people.organisation.pk):
        rule = rule_save(draft=Draft(kind, "Any", settings), rule=None, actor=None, now=NOW)
        (only,) = told(rule)
    lines = {line.name: line.value for line in only.lines}
    about = lines.pop("About", None)
    assert (about is not None) == KINDS[kind].of_instruments
    assert sorted(lines.values()) == sorted(
        "yes" if value is True else f"{value:g}" for value in settings.values()
    )


@pytest.mark.parametrize("slug", PRESETS)
def test_every_preset_is_told_in_words(people: People, slug: str) -> None:
    settings = {**PRESETS[slug].settings, "minimum_min": 5, "coverage_pct": 75}
    settings["hours"] = {**settings["hours"], "holidays": ["2026-12-25"], "on_holidays": "never"}
    with organisation_scope(people.organisation.pk):
        rule = rule_save(draft=Draft(AlertKind.LEVEL, slug, settings), rule=None, actor=None, now=NOW)
        (only,) = told(rule)
    lines = {line.name: line.value for line in only.lines}
    assert lines["Formed over"] == "One value for the whole of its hours"
    assert lines["On holidays"] == "it does not hold (2026-12-25)"
    assert lines["Lasting at least (min)"] == "5"
    assert lines["Coverage needed (%)"] == "75"
