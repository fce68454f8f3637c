"""The pages of alerts, rules and people, and the signed links of mails: who sees what, and what a GET never does."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from instruments.models import Activity, Deployment, Instrument, Membership, Role, Site
from instruments.tenancy import organisation_scope
from monitoring.alerts.kinds import KINDS
from monitoring.alerts.links import LASTS, incident_link, unsubscribe_link
from monitoring.alerts.watching import step_note
from monitoring.models import (
    AlertHours,
    AlertKind,
    AlertPreference,
    AlertRule,
    AlertRuleVersion,
    EscalationStep,
    Incident,
    IncidentChange,
    IncidentSubject,
    Maintenance,
    NoiseMeasurement,
    Severity,
)
from monitoring.models.alerts import Immutable
from tests.conftest import People, make_instrument

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
LEVEL = {
    "name": "Site limit",
    "metric": "LAeq",
    "over": "recorded",
    "amber": "60",
    "red": "70",
    "coverage_pct": "75",
    "days": [str(day) for day in range(7)],
    "start": "00:00",
    "end": "00:00",
    "on_holidays": "same",
}


@pytest.fixture
def unit(people: People) -> Instrument:
    return make_instrument(people.organisation, first_seen_at=NOW - timedelta(days=30))


def incident(unit: Instrument, **fields: Any) -> Incident:
    with organisation_scope(unit.organisation_id):
        made = Incident.objects.create(
            **{
                "organisation_id": unit.organisation_id,
                "instrument": unit,
                "kind": AlertKind.OFFLINE,
                "title": unit.name,
                "opened_at": NOW - HOUR,
                **fields,
            }
        )
        IncidentSubject.objects.create(
            organisation_id=unit.organisation_id, incident=made, instrument=unit, since_at=NOW - HOUR
        )
        step_note(
            made,
            "opened",
            at=NOW - HOUR,
            cause=f"test:{made.pk}",
            facts={"since": (NOW - HOUR).isoformat(), "lasted_s": 900},
            severity=made.severity,
        )
        return made


def page(client: Client, path: str, **rest: Any) -> str:
    answer = client.get(f"/o/harbour/{path}", **rest)
    assert answer.status_code == 200
    return answer.content.decode()


def test_open_incidents_stand_worst_first_and_what_is_over_in_the_history(
    people: People, unit: Instrument
) -> None:
    incident(unit, kind=AlertKind.DISK, severity=1, worst=1, title="Half full")
    incident(unit, kind=AlertKind.KEY, severity=2, title="The key")
    incident(unit, kind=AlertKind.SIM, severity=0, closed_at=NOW, title="Long over")
    text = page(people.client(people.bob), "alerts/")
    assert text.index("The key") < text.index("Half full")
    assert "Long over" not in text
    text = page(people.client(people.bob), "alerts/?view=history")
    assert "Long over" in text
    assert "Half full" not in text
    text = page(people.client(people.bob), "alerts/?severity=1&kind=disk&text=QT000001")
    assert "Half full" in text
    assert "The key" not in text
    assert "Nothing matches" in page(people.client(people.bob), "alerts/?text=nowhere")


def test_the_list_is_swapped_as_a_whole_and_says_how_many(people: People, unit: Instrument) -> None:
    incident(unit)
    incident(unit, closed_at=NOW)
    for view in ("", "?view=history"):
        (opening,) = re.findall(
            r'<section id="alerts-list"[^>]*>', page(people.client(people.bob), f"alerts/{view}")
        )
        assert 'hx-swap="outerHTML"' in opening
        assert 'data-announce="1 incident"' in opening
        assert ("hx-get" in opening) == (not view)


def test_nothing_wrong_says_what_watches(people: People) -> None:
    assert "rules watch" in page(people.client(people.bob), "alerts/")


def test_the_list_costs_the_same_for_many(
    people: People, unit: Instrument, django_assert_max_num_queries: Any
) -> None:
    client = people.client(people.bob)
    incident(unit, key="0")
    page(client, "alerts/")
    with django_assert_max_num_queries(40) as few:
        page(client, "alerts/")
    for number in range(30):
        incident(unit, key=str(number + 1))
    with django_assert_max_num_queries(len(few)):
        page(client, "alerts/")


def test_an_incident_shows_its_numbers_its_rule_and_what_people_did(people: People, unit: Instrument) -> None:
    with organisation_scope(people.organisation.pk):
        version = AlertRuleVersion.objects.get(rule__kind=AlertKind.OFFLINE)
    made = incident(unit, version=version)
    client = people.client(people.mary)
    text = page(client, f"alerts/{made.pk}/")
    for told in ("Offline", "15 min", "version 1", unit.serial, "<dt>Lasts</dt><dd>"):
        assert told in text
    path = f"/o/harbour/alerts/{made.pk}/handle/"
    with organisation_scope(people.organisation.pk):
        bob = Membership.objects.get(user=people.bob)
    for wish in (
        {"do": "acknowledge"},
        {"do": "assign", "member": bob.pk},
        {"do": "cause", "code": "power"},
        {"do": "comment", "text": "Breaker <b>tripped</b>"},
        {"do": "close", "text": "Back on"},
    ):
        assert client.post(path, wish).status_code == 302
    text = page(client, f"alerts/{made.pk}/")
    assert "Breaker &lt;b&gt;tripped" in text
    # Closed by hand an hour after it began; what was so when it was opened is told by that step alone.
    stands = text.split("How it stands")[1].split("</section>")[0]
    assert (stands.count("Began"), stands.count("Lasted"), "Since" in stands, "15 min" in stands) == (
        1,
        1,
        False,
        False,
    )
    # Of all the steps one states a cause.
    steps_told = text.split("Timeline")[1]
    assert steps_told.count("Power") == 1
    assert "Not stated" not in steps_told
    with organisation_scope(people.organisation.pk):
        made.refresh_from_db()
        assert (made.acknowledged_by, made.assigned_to, made.cause_code) == (
            people.mary,
            people.bob,
            "power",
        )
        assert made.closed_at is not None
        steps = IncidentChange.objects.filter(incident=made).order_by("pk").values_list("step", flat=True)
        assert list(steps) == [
            "opened",
            "acknowledged",
            "assigned",
            "cause",
            "commented",
            "closed_by_hand",
        ]
    # Bob only looks.
    assert people.client(people.bob).post(path, {"do": "close"}).status_code == 403


def test_a_zero_byte_in_what_somebody_writes_is_left_out(
    people: People, unit: Instrument, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://noise.example"
    made, mary = incident(unit), people.client(people.mary)
    mary.post(f"/o/harbour/alerts/{made.pk}/handle/", {"do": "comment", "text": "On\0 my way"})
    mary.post(f"/o/harbour/alerts/{made.pk}/handle/", {"do": "comment", "text": "\0"})
    link = incident_link(organisation_id=people.organisation.pk, user_id=people.mary.pk, incident_id=made.pk)
    assert Client().post(link_path(link), {"text": "I am \0there"}).status_code == 200
    with organisation_scope(people.organisation.pk):
        steps = IncidentChange.objects.filter(incident=made, step="commented").order_by("pk")
        assert [step.facts["text"] for step in steps] == ["On my way", "I am there"]


@pytest.mark.parametrize("row", ["9" * 5000, "9" * 30, "²", "x", ""])
def test_a_row_that_can_be_none_is_none(people: People, unit: Instrument, row: str) -> None:
    made, adam = incident(unit), people.client(people.adam)
    for do in ("maintenance-end", "escalation-remove"):
        assert adam.post("/o/harbour/alerts/settings/", {"do": do, "row": row}).status_code in (302, 422)
    preferences = "/o/harbour/notifications/"
    assert adam.post(preferences, {"form": "place-remove", "row": row}).status_code in (302, 422)
    handle = f"/o/harbour/alerts/{made.pk}/handle/"
    assert adam.post(handle, {"do": "assign", "member": row}).status_code == 302
    with organisation_scope(people.organisation.pk):
        made.refresh_from_db()
        assert made.assigned_to is None


def link_path(url: str) -> str:
    return "/" + url.split("://")[1].split("/", 1)[1]


def test_opening_the_link_of_a_mail_does_nothing_and_its_form_acknowledges(
    people: People, unit: Instrument, settings: Any
) -> None:
    settings.PUBLIC_URL = "https://noise.example"
    made = incident(unit)
    path = link_path(
        incident_link(organisation_id=people.organisation.pk, user_id=people.mary.pk, incident_id=made.pk)
    )
    stranger = Client()
    for _ in range(3):
        assert "Acknowledge as Mary" in stranger.get(path).content.decode()
    assert re.search(r"</time>\s+\((GMT|BST)\)", stranger.get(path).content.decode())
    with organisation_scope(people.organisation.pk):
        made.refresh_from_db()
        assert made.acknowledged_at is None
    assert "In hand: Mary" in stranger.post(path, {"text": "On my way"}).content.decode()
    with organisation_scope(people.organisation.pk):
        made.refresh_from_db()
        assert made.acknowledged_by == people.mary
        assert IncidentChange.objects.filter(incident=made, step="commented").exists()
        Membership.objects.get(user=people.mary).delete()
    assert stranger.get(path).status_code == stranger.post(path).status_code == 404


@pytest.mark.parametrize("role", Role)
def test_the_link_may_what_the_page_may_and_the_role_counts_when_it_is_used(
    people: People, unit: Instrument, settings: Any, role: Role
) -> None:
    settings.PUBLIC_URL = "https://noise.example"
    made = incident(unit)
    path = link_path(
        incident_link(organisation_id=people.organisation.pk, user_id=people.mary.pk, incident_id=made.pk)
    )
    stranger = Client()
    assert "Acknowledge as Mary" in stranger.get(path).content.decode()
    with organisation_scope(people.organisation.pk):
        Membership.objects.filter(user=people.mary).update(role=role)
    signed_in = people.client(people.mary).post(f"/o/harbour/alerts/{made.pk}/handle/", {"do": "nothing"})
    shown = stranger.get(path).content.decode()
    sent = stranger.post(path, {"text": "On my way"})
    may = signed_in.status_code != 403
    assert may == (role != Role.VIEWER)
    assert ("Acknowledge as Mary" in shown) == may
    assert sent.status_code == (200 if may else 403)
    assert "Offline" in sent.content.decode()
    with organisation_scope(people.organisation.pk):
        made.refresh_from_db()
        assert (made.acknowledged_at is not None) == may
        assert IncidentChange.objects.filter(incident=made, step="commented").exists() == may


def test_a_link_runs_out_and_cannot_be_forged(people: People, unit: Instrument, settings: Any) -> None:
    import time_machine

    settings.PUBLIC_URL = "https://noise.example"
    made = incident(unit)
    path = link_path(
        incident_link(organisation_id=people.organisation.pk, user_id=people.bob.pk, incident_id=made.pk)
    )
    assert Client().get(path[:-3] + "xx/").status_code == 410
    # A link to end a subscription opens no incident.
    other = unsubscribe_link(organisation_id=people.organisation.pk, user_id=people.bob.pk, kind=str(made.pk))
    assert Client().get("/alerts/" + link_path(other).split("/")[-2] + "/").status_code == 410
    with time_machine.travel(datetime.now(UTC) + LASTS + HOUR):
        assert Client().get(path).status_code == 410


@pytest.mark.parametrize("asked", ["", AlertKind.OFFLINE])
def test_one_click_ends_one_kind_and_only_by_post(people: People, settings: Any, asked: str) -> None:
    settings.PUBLIC_URL = "https://noise.example"
    with organisation_scope(people.organisation.pk):
        AlertPreference.objects.create(
            organisation=people.organisation,
            membership=Membership.objects.get(user=people.bob),
            kind=asked,
        )
    path = link_path(
        unsubscribe_link(
            organisation_id=people.organisation.pk, user_id=people.bob.pk, kind=AlertKind.OFFLINE
        )
    )
    robot = Client(enforce_csrf_checks=True)
    assert robot.get(path).status_code == 200
    with organisation_scope(people.organisation.pk):
        assert AlertPreference.objects.count() == 1
    assert robot.post(path, {"List-Unsubscribe": "One-Click"}).status_code == 200
    with organisation_scope(people.organisation.pk):
        kinds = set(AlertPreference.objects.values_list("kind", flat=True))
    assert AlertKind.OFFLINE not in kinds
    assert "" not in kinds
    assert (AlertKind.DISK in kinds) == (asked == "")


def test_a_rule_is_rehearsed_before_it_can_be_saved(people: People, unit: Instrument) -> None:
    rows = [
        NoiseMeasurement(
            organisation=people.organisation,
            instrument=unit,
            start_at=NOW - timedelta(days=1) + timedelta(minutes=minute),
            duration_s=60.0,
            LAeq=75.0 if 100 <= minute < 110 else 65.0 if minute == 30 else 50.0,
        )
        for minute in range(200)
    ]
    with organisation_scope(people.organisation.pk):
        NoiseMeasurement.objects.bulk_create(rows)
        rules = AlertRule.objects.count()
    client, path = people.client(people.adam), "/o/harbour/alerts/rules/new/?kind=level"
    # Saving at once only rehearses.
    answer = client.post(path, {**LEVEL, "do": "save"})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "2 incidents" in text
    assert "1 of them red" in text
    assert "4 messages" in text
    sealed = text.split('name="rehearsed" value="')[1].split('"')[0]
    # What was changed after the rehearsal is not what was shown.
    answer = client.post(path, {**LEVEL, "red": "71", "rehearsed": sealed, "do": "save"})
    assert answer.status_code == 200
    with organisation_scope(people.organisation.pk):
        assert AlertRule.objects.count() == rules
        assert not Incident.objects.exists()
    assert client.post(path, {**LEVEL, "rehearsed": sealed, "do": "save"}).status_code == 302
    with organisation_scope(people.organisation.pk):
        version = AlertRuleVersion.objects.get(rule__name="Site limit")
        assert (version.number, version.settings["red"], version.made_by) == (1, 70.0, people.adam)


def test_a_changed_rule_is_a_new_version_and_the_old_one_stays(people: People) -> None:
    client = people.client(people.adam)
    with organisation_scope(people.organisation.pk):
        rule = AlertRule.objects.get(kind=AlertKind.OFFLINE)
        old = AlertRuleVersion.objects.get(rule=rule)
        with pytest.raises(Immutable):
            old.save()
    path = f"/o/harbour/alerts/rules/{rule.pk}/"
    form = {"name": "Offline", "amber": "20", "red": "90"}
    text = client.post(path, form).content.decode()
    sealed = text.split('name="rehearsed" value="')[1].split('"')[0]
    assert client.post(path, {**form, "rehearsed": sealed, "do": "save"}).status_code == 302
    with organisation_scope(people.organisation.pk):
        versions = AlertRuleVersion.objects.filter(rule=rule).order_by("number")
        told = [(each.number, each.settings["amber"], each.current) for each in versions]
        assert told == [(1, 15, False), (2, 20.0, True)]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"amber": "", "red": ""}, "Give an amber limit"),
        ({"red": "200"}, "never be exceeded"),
        ({"amber": "5"}, "always be exceeded"),
        ({"amber": "70", "red": "60"}, "Red has to lie beyond amber"),
        ({"metric": "LAF90", "over": "rolling"}, "have no mean over a longer time"),
        ({"days": []}, "hold on no day"),
        ({"holidays": "Christmas"}, "is no date"),
    ],
)
def test_a_rule_that_makes_no_sense_says_so(people: People, changed: dict[str, Any], words: str) -> None:
    form = {**LEVEL, **changed}
    if changed.get("red") == "200":
        form["amber"] = ""
    answer = people.client(people.adam).post("/o/harbour/alerts/rules/new/?kind=level", form)
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_an_editor_lists_instruments_by_the_site_where_they_stand(people: People, unit: Instrument) -> None:
    with organisation_scope(people.organisation.pk):
        sites = {name: Site.objects.create(name=name) for name in ("Quay", "Mill", "Empty")}

    def stand(number: int, site: str, **until: Any) -> None:
        made = make_instrument(people.organisation, f"QT9{number:05}", name=f"M{number}")
        with organisation_scope(people.organisation.pk):
            Deployment.objects.create(instrument=made, site=sites[site], start_at=NOW - 2 * HOUR, **until)

    def editor() -> tuple[list[Any], int]:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get("/o/harbour/alerts/rules/new/?kind=offline")
        return answer.context["form"].fields["serials"].choices, len(queries)

    client = people.client(people.adam)
    assert editor()[0] == [(unit.serial, str(unit))]
    stand(1, "Quay")
    stand(2, "Mill")
    stand(3, "Quay")
    stand(4, "Quay", end_at=NOW - HOUR)
    choices, queries = editor()
    assert choices == [
        ("QT900002", "M2 (QT900002) · Mill"),
        ("QT900001", "M1 (QT900001) · Quay"),
        ("QT900003", "M3 (QT900003) · Quay"),
        ("QT900004", "M4 (QT900004)"),
        (unit.serial, str(unit)),
    ]
    for number in range(10, 30):
        stand(number, "Mill")
    assert editor()[1] == queries
    # What was ticked stays when something else is refused.
    wrong = {"name": "", "amber": "5", "serials": ["QT900010", "QT900001"]}
    refused = client.post("/o/harbour/alerts/rules/new/?kind=offline", wrong)
    assert refused.status_code == 422
    ticked = re.findall(r'name="serials" value="(\w+)"[^>]* checked', refused.content.decode())
    assert sorted(ticked) == ["QT900001", "QT900010"]


def test_of_more_than_a_thousand_instruments_serial_numbers_are_written(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        owned: Any = {
            "organisation": people.organisation,
            "type": Instrument.Kind.NOISE,
            "first_seen_at": NOW,
            "seen_at": NOW,
        }
        Instrument.objects.bulk_create(
            Instrument(**owned, serial=f"QT9{number:05}", name=f"M{number}") for number in range(1_001)
        )
    client, here = people.client(people.adam), "/o/harbour/alerts/rules/new/?kind=offline"
    text = client.get(here).content.decode()
    assert "Their serial numbers, one a line" in text
    assert 'type="checkbox" name="serials"' not in text
    asked = {"name": "Away", "amber": "5", "do": "rehearse"}
    wrong = client.post(here, {**asked, "serials": "QT900001, QT1"})
    assert (wrong.status_code, "No instrument has the serial number “QT1”." in wrong.content.decode()) == (
        422,
        True,
    )
    rehearsed = client.post(here, {**asked, "serials": "QT900001, QT900003\nQT900001"})
    hidden = re.search(r'name="rehearsed" value="([^"]+)"', rehearsed.content.decode())
    assert hidden
    client.post(here, {**asked, "serials": "QT900001\nQT900003", "do": "save", "rehearsed": hidden[1]})
    with organisation_scope(people.organisation.pk):
        rule = AlertRule.objects.get(name="Away")
        assert AlertRuleVersion.objects.get(rule=rule).serials == ["QT900001", "QT900003"]
    again = client.get(f"/o/harbour/alerts/rules/{rule.pk}/").content.decode()
    assert re.search(r'name="serials"[^>]*>\s*QT900001\nQT900003</textarea>', again)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_an_editor_that_begins_with_what_is_usual(people: People, kind: str) -> None:
    text = page(people.client(people.adam), f"alerts/rules/new/?kind={kind}")
    for name, value in (KINDS[kind].standard or {}).items():
        assert f'name="{name}" value="{value:g}"' in text


def test_every_preset_fills_the_editor_and_names_its_source(people: People) -> None:
    from monitoring.alerts.presets import PRESETS

    client = people.client(people.adam)
    for preset in PRESETS.values():
        text = page(client, f"alerts/rules/new/?kind=level&preset={preset.slug}")
        assert preset.source.split(":")[0] in text
        assert "GK" not in preset.source


def test_pause_go_on_and_remove(people: People) -> None:
    client = people.client(people.adam)
    with organisation_scope(people.organisation.pk):
        rule = AlertRule.objects.get(kind=AlertKind.OFFLINE)
    path = f"/o/harbour/alerts/rules/{rule.pk}/switch/"
    for do, paused in (("pause", True), ("resume", False), ("pause", True)):
        # A second click changes nothing, and is not noted.
        for _ in "12":
            client.post(path, {"do": do})
        with organisation_scope(people.organisation.pk):
            rule.refresh_from_db()
            assert (rule.paused_at is not None) == paused
    client.post(path, {"do": "remove"})
    assert client.get(f"/o/harbour/alerts/rules/{rule.pk}/").status_code == 404
    with organisation_scope(people.organisation.pk):
        assert AlertRuleVersion.objects.filter(rule=rule).count() == 2
        told = [(each.actor, each.words, each.subject) for each in Activity.objects.order_by("pk")]
    words = (
        "Alert rule paused",
        "Alert rule judges again",
        "Alert rule paused",
        "Alert rule taken out of use",
    )
    assert told == [(people.adam, each, rule.name) for each in words]


def test_maintenance_and_escalation_are_kept(people: People, unit: Instrument) -> None:
    client = people.client(people.adam)
    path = "/o/harbour/alerts/settings/"
    with organisation_scope(people.organisation.pk):
        mary = Membership.objects.get(user=people.mary)
    tomorrow = (NOW + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    later = (NOW + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    window = {
        "do": "maintenance",
        "maintenance-place": f"i{unit.pk}",
        "maintenance-start_at": tomorrow,
        "maintenance-end_at": later,
        "maintenance-reason": "Windshield",
    }
    assert client.post(path, window).status_code == 302
    wrong = {**window, "maintenance-end_at": "2020-01-01T00:00"}
    assert client.post(path, wrong).status_code == 422
    step = {
        "do": "escalation",
        "escalation-membership": mary.pk,
        "escalation-after_minutes": 30,
        "escalation-minimum": 2,
    }
    assert client.post(path, step).status_code == 302
    assert client.post(path, step).status_code == 422
    assert people.client(people.mary).post(path, step).status_code == 403
    with organisation_scope(people.organisation.pk):
        assert Maintenance.objects.get().instrument == unit
        assert EscalationStep.objects.get().membership == mary
        rows = {
            "maintenance-end": Maintenance.objects.get().pk,
            "escalation-remove": EscalationStep.objects.get().pk,
        }
    text = page(client, "alerts/settings/")
    assert "Windshield" in text
    for do, row in rows.items():
        client.post(path, {"do": do, "row": row})
    with organisation_scope(people.organisation.pk):
        assert not Maintenance.objects.exists()
        assert not EscalationStep.objects.exists()
    begun = {**window, "maintenance-start_at": "2020-01-01T00:00", "maintenance-place": ""}
    client.post(path, begun)
    with organisation_scope(people.organisation.pk):
        client.post(path, {"do": "maintenance-end", "row": Maintenance.objects.get().pk})
        told = [(each.words, each.subject, each.detail) for each in Activity.objects.order_by("pk")]
        assert {each.actor for each in Activity.objects.all()} == {people.adam}
    ahead, person = f"{tomorrow} – {later} Europe/London. Windshield".replace("T", " "), str(people.mary)
    assert told[:5] == [
        ("Maintenance entered", str(unit), ahead),
        ("Escalation: person added", person, "after 30 min, from Red on"),
        ("Maintenance removed", str(unit), ahead),
        ("Escalation: person removed", person, "after 30 min, from Red on"),
        (
            "Maintenance entered",
            "Harbour",
            f"2020-01-01 00:00 – {later.replace('T', ' ')} Europe/London. Windshield",
        ),
    ]
    assert told[5][:2] == ("Maintenance ended", "Harbour")


def test_quiet_hours_and_severity_are_ones_own(people: People) -> None:
    client, path = people.client(people.bob), "/o/harbour/notifications/"
    client.post(path, {"kind": [AlertKind.OFFLINE], "minimum": "2"})
    hours = {
        "form": "hours",
        "quiet_from": "22:00",
        "quiet_until": "07:00",
        "timezone": "Australia/Sydney",
    }
    assert client.post(path, hours).status_code == 302
    with organisation_scope(people.organisation.pk):
        wish = AlertPreference.objects.get()
        assert (wish.kind, wish.minimum) == (AlertKind.OFFLINE, Severity.RED)
        mine = AlertHours.objects.get()
        assert (mine.membership.user, mine.timezone, mine.red_breaks) == (
            people.bob,
            "Australia/Sydney",
            False,
        )
    client.post(path, {**hours, "none": "1"})
    with organisation_scope(people.organisation.pk):
        assert not AlertHours.objects.exists()
        assert AlertPreference.objects.exists()
