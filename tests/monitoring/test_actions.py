"""Identify, Calibration, SIC and rename against a simulated MyCirrus: asked once, sent once, followed to the end."""

import html
import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from cirrusweb.celery import app as celery_app
from instruments.keys import api_key_verify
from instruments.models import Activity, ApiKey, Instrument, Membership, Organisation
from instruments.mycirrus import errors
from instruments.tenancy import organisation_scope
from monitoring.actions import rules
from monitoring.actions.claims import Claim, actions_claim
from monitoring.actions.doorbell import ring
from monitoring.actions.requests import ActionRefused, action_request
from monitoring.actions.rules import Fate, answer_fate, error_fate
from monitoring.actions.turns import action_turn
from monitoring.models import (
    ActionKind,
    ActionState,
    Calibration,
    InstrumentAction,
    Resource,
    SyncTarget,
    SystemIntegrityCheck,
)
from tests.conftest import People
from tests.monitoring.conftest import NewKey, mirrored, turns
from tests.simulated import SimulatedMyCirrus

CONTROL = "/v1/control"


@pytest.fixture(autouse=True)
def _scope(organisation: Organisation) -> Iterator[None]:
    with organisation_scope(organisation.pk):
        yield


@pytest.fixture
def key(mycirrus: SimulatedMyCirrus, new_key: NewKey) -> ApiKey:
    return new_key(mycirrus.serials()[0])


@pytest.fixture
def unit(key: ApiKey, mycirrus: SimulatedMyCirrus) -> Instrument:
    """A sound noise monitor with its past mirrored."""
    made = mirrored(key)[0]
    # What an earlier test had it do within this very second would be taken for the result of this one.
    for checks in (SystemIntegrityCheck.objects, Calibration.objects):
        last = checks.order_by("at").last()
        mycirrus.until(lambda last=last: last is None or datetime.now(UTC) >= last.at + timedelta(seconds=1))
    return made


def ask(unit: Instrument, kind: ActionKind, actor: Any = None, **more: Any) -> InstrumentAction:
    values = {"token": uuid.uuid4(), "now": datetime.now(UTC), "why": "after the storm", **more}
    return action_request(instrument=Instrument.objects.get(pk=unit.pk), kind=kind, actor=actor, **values)


def steps(owner: Organisation) -> list[Any]:
    """What the workers would do now: every action's next step, due or soon due, then the sync that it rang for."""
    InstrumentAction.objects.open().update(due_at=datetime.now(UTC))
    claims = actions_claim(now=datetime.now(UTC), organisation_id=owner.pk)
    done = [action_turn(claim=claim) for claim in claims]
    turns(owner)
    return done


def ended(action: InstrumentAction, seconds: float = 90) -> InstrumentAction:
    """Follow the action until it ends."""
    deadline = time.monotonic() + seconds
    while action.finished_at is None:
        assert time.monotonic() < deadline, f"it never ended: {action.state}, {action.message}"
        steps(action.organisation)
        action.refresh_from_db()
        time.sleep(0.05)
    return action


def posts(mycirrus: SimulatedMyCirrus) -> int:
    """How often MyCirrus was asked to start something."""
    return mycirrus.requests()["counts"].get("doinstrumentaction", 0)


def log() -> list[tuple[str, str, str]]:
    return [(each.actor_name, each.words, each.detail) for each in Activity.objects.order_by("pk")]


def address(name: str, unit: Instrument) -> str:
    return reverse(f"monitoring:{name}", args=["harbour", unit.serial])


def form_of(page: str) -> dict[str, str]:
    """The hidden fields of the form, as a browser would send them back, and a reason where the page gives none."""
    fields = re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", page)
    found = {}
    for each in fields:
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', each))
        found[attributes["name"]] = html.unescape(attributes.get("value", ""))
    found.pop("csrfmiddlewaretoken", None)
    return {"why": "after the storm", **found}


# --- From the page to the result ------------------------------------------------------------------------------------


def test_sic_from_the_page_to_its_numbers(
    people: People, mycirrus: SimulatedMyCirrus, unit: Instrument, django_capture_on_commit_callbacks: Any
) -> None:
    client = people.client(people.mary)
    page = client.get(address("act-sic", unit)).content.decode()
    assert "does not replace a calibration" in page
    with django_capture_on_commit_callbacks() as rung:
        answer = client.post(address("act-sic", unit), form_of(page))
    assert answer["Location"] == f"{address('instrument', unit)}#instrument-actions"
    assert rung == [ring]
    action = InstrumentAction.objects.get()
    assert (action.state, action.requested_by, action.why) == (
        ActionState.REQUESTED,
        people.mary,
        "after the storm",
    )
    # The request itself never spoke with MyCirrus.
    assert posts(mycirrus) == 0
    InstrumentAction.objects.update(due_at=datetime.now(UTC))
    (claim,) = actions_claim(now=datetime.now(UTC))
    turn = action_turn(claim=claim)
    assert turn is not None
    assert (turn.state, turn.sync) == (ActionState.IN_PROGRESS, True)
    due = SyncTarget.objects.due(datetime.now(UTC)).values_list("resource", flat=True)
    assert {Resource.SIC, Resource.STATUS} <= set(due)
    shown = client.get(address("instrument", unit)).content.decode()
    assert "Asked for by Mary" in shown
    assert 'hx-trigger="every 3s, wake"' in shown

    action = ended(action)
    row = SystemIntegrityCheck.objects.get(instrument=unit, at=action.result_at)
    assert action.state == ActionState.SUCCEEDED
    assert action.started_at is not None
    assert row.at >= action.started_at.replace(microsecond=0)
    for level in (row.level_500hz_db, row.level_1khz_db, row.level_8khz_db):
        assert f"{level:.2f} dB" in action.message
    assert posts(mycirrus) == 1
    assert log() == [
        ("Mary", "SIC asked for", "after the storm"),
        ("Mary", "SIC passed", action.message),
    ]
    shown = client.get(address("instrument", unit)).content.decode()
    assert action.message in shown


def test_failed_sic_says_so_with_numbers(
    mycirrus: SimulatedMyCirrus, new_key: NewKey, people: People
) -> None:
    (unit,) = mirrored(new_key(mycirrus.character("failing-sic")))
    action = ended(ask(unit, ActionKind.SIC, people.mary))
    row = SystemIntegrityCheck.objects.get(instrument=unit, at=action.result_at)
    assert (action.state, row.passed) == (ActionState.FAILED, False)
    assert f"8 kHz {row.level_8khz_db:.2f} dB (−" in action.message
    assert "against the last that passed" in action.message
    page = people.client(people.mary).get(address("instrument", unit)).content.decode()
    assert action.message in page


def test_calibration_is_asked_for_twice(
    people: People, mycirrus: SimulatedMyCirrus, unit: Instrument
) -> None:
    client, here = people.client(people.mary), address("act-calibration", unit)
    last = Calibration.objects.filter(instrument=unit, status="Success").first()
    page = client.get(here).content.decode()
    assert "acoustic calibrator on the microphone" in page
    assert last is not None
    assert f"{last.level_db:.2f} dB" in page
    asked = {**form_of(page), "why": "monthly"}
    assert client.post(here, asked).status_code == 422
    unexplained = client.post(here, {**asked, "why": " ", "calibrator": "on", "confirmed": "yes"})
    assert (unexplained.status_code, "in a few words why" in unexplained.content.decode()) == (422, True)
    # Straight to the end, past the question whether the calibrator is there.
    assert client.post(here, {**asked, "confirmed": "yes"}).status_code == 422
    again = client.post(here, {**asked, "calibrator": "on"})
    assert again.status_code == 200
    assert "Start the calibration now?" in again.content.decode()
    assert not InstrumentAction.objects.exists()
    assert client.post(here, form_of(again.content.decode())).status_code == 302
    action = ended(InstrumentAction.objects.get())
    row = Calibration.objects.get(instrument=unit, at=action.result_at)
    assert (action.state, action.why) == (ActionState.SUCCEEDED, "monthly")
    assert f"{row.level_db:.2f} dB, offset" in action.message
    assert posts(mycirrus) == 1


def test_without_a_good_calibration_no_level_is_made_up(people: People, unit: Instrument) -> None:
    Calibration.objects.filter(instrument=unit).delete()
    page = people.client(people.mary).get(address("act-calibration", unit)).content.decode()
    assert "No good calibration is on record" in page


def test_identify_is_one_click(people: People, mycirrus: SimulatedMyCirrus, unit: Instrument) -> None:
    client = people.client(people.mary)
    page = client.get(address("instrument", unit)).content.decode()
    assert client.post(address("act-identify", unit), form_of(page)).status_code == 302
    action = ended(InstrumentAction.objects.get())
    assert (action.state, action.remote_status) == (ActionState.SUCCEEDED, "Success")
    assert action.why == "To tell it from others beside it"
    assert posts(mycirrus) == 1


def test_rename_shows_at_once(people: People, mycirrus: SimulatedMyCirrus, unit: Instrument) -> None:
    client, here = people.client(people.mary), address("act-rename", unit)
    page = client.get(here).content.decode()
    assert client.post(here, {**form_of(page), "name": unit.name}).status_code == 422
    assert client.post(here, {**form_of(page), "name": " "}).status_code == 422
    assert client.post(here, {**form_of(page), "name": "Crane 7"}).status_code == 302
    InstrumentAction.objects.update(due_at=datetime.now(UTC))
    (claim,) = actions_claim(now=datetime.now(UTC))
    action_turn(claim=claim)
    # Before any sync: here, at MyCirrus, and in what fleet pages compare.
    assert Instrument.objects.get(pk=unit.pk).name == "Crane 7"
    assert mycirrus.get(f"/control/instruments/{unit.serial}")["name"] == "Crane 7"
    due = SyncTarget.objects.due(datetime.now(UTC)).values_list("resource", flat=True)
    assert Resource.INSTRUMENTS in due
    turns(people.organisation)
    assert Instrument.objects.get(pk=unit.pk).name == "Crane 7"
    action = InstrumentAction.objects.get()
    assert action.state == ActionState.SUCCEEDED
    assert log()[0][1:] == ("New name asked for", f"{unit.name} → Crane 7. after the storm")
    assert "Rename to “Crane 7”" in client.get(address("actions", unit)).content.decode()


# --- Once and only once ---------------------------------------------------------------------------------------------


def test_sent_twice_it_is_one_action(people: People, mycirrus: SimulatedMyCirrus, unit: Instrument) -> None:
    client, here = people.client(people.mary), address("act-sic", unit)
    sent = form_of(client.get(here).content.decode())
    assert [client.post(here, sent).status_code for _ in range(2)] == [302, 302]
    ended(InstrumentAction.objects.get())
    # Also long after it ended: the back button does not start another.
    assert client.post(here, sent).status_code == 302
    assert InstrumentAction.objects.count() == 1
    steps(people.organisation)
    assert posts(mycirrus) == 1
    assert [words for _who, words, _detail in log()] == ["SIC asked for", "SIC passed"]


def test_a_form_carried_to_another_page_is_refused(people: People, unit: Instrument) -> None:
    client = people.client(people.mary)
    sent = form_of(client.get(address("act-sic", unit)).content.decode())
    client.post(address("act-sic", unit), sent)
    answer = client.post(address("act-identify", unit), sent)
    assert answer.status_code == 422
    assert "used for something else" in answer.content.decode()


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_without_a_token_nothing_is_asked_for(people: People, unit: Instrument, token: str) -> None:
    answer = people.client(people.mary).post(address("act-sic", unit), {"token": token})
    assert answer.status_code == 422
    assert not InstrumentAction.objects.exists()


def test_two_checks_of_one_instrument_do_not_run_at_once(people: People, unit: Instrument) -> None:
    first = ask(unit, ActionKind.SIC, people.mary)
    with pytest.raises(ActionRefused) as refused:
        ask(unit, ActionKind.CALIBRATION, people.adam)
    assert refused.value.code == "busy"
    ask(unit, ActionKind.IDENTIFY, people.adam)
    page = people.client(people.adam).get(address("instrument", unit)).content.decode()
    assert address("act-calibration", unit) not in page
    ended(first)
    page = people.client(people.adam).get(address("instrument", unit)).content.decode()
    assert address("act-calibration", unit) in page


def test_two_actions_one_after_another_have_a_result_each(
    unit: Instrument, mycirrus: SimulatedMyCirrus
) -> None:
    first = ended(ask(unit, ActionKind.SIC))
    assert first.result_at is not None, first.message
    # A real check takes seconds. Two that end within one would be one row, and the second never find its own.
    until_at = first.result_at + timedelta(seconds=1)
    mycirrus.until(lambda: datetime.now(UTC) > until_at)
    second = ended(ask(unit, ActionKind.SIC))
    assert second.result_at is not None, second.message
    assert first.result_at < second.result_at


def test_two_workers_send_once(unit: Instrument, mycirrus: SimulatedMyCirrus) -> None:
    action = ask(unit, ActionKind.IDENTIFY)
    now = datetime.now(UTC)
    (claim,) = actions_claim(now=now)
    assert actions_claim(now=now) == []
    # The broker rings twice, and somebody rings with a claim that is no longer held.
    assert action_turn(claim=claim) is not None
    assert action_turn(claim=claim) is None
    assert action_turn(claim=Claim(action.organisation_id, action.pk, str(uuid.uuid4()))) is None
    assert posts(mycirrus) == 1


# --- What is never sent ---------------------------------------------------------------------------------------------


def test_too_late_is_not_sent(people: People, mycirrus: SimulatedMyCirrus, unit: Instrument) -> None:
    action = ask(unit, ActionKind.CALIBRATION, people.mary)
    InstrumentAction.objects.update(requested_at=datetime.now(UTC) - timedelta(minutes=11))
    action = ended(action)
    assert (action.state, action.started_at) == (ActionState.FAILED, None)
    assert action.message.startswith("Not sent")
    assert posts(mycirrus) == 0
    assert log()[-1][1] == "Calibration failed"


def test_whoever_left_meanwhile_starts_nothing(
    people: People, mycirrus: SimulatedMyCirrus, unit: Instrument
) -> None:
    action = ask(unit, ActionKind.SIC, people.mary)
    Membership.objects.filter(user=people.mary).update(role="viewer")
    assert ended(action).state == ActionState.FAILED
    Membership.objects.filter(user=people.mary).delete()
    assert ended(ask(unit, ActionKind.SIC, people.mary)).state == ActionState.FAILED
    assert posts(mycirrus) == 0


def test_a_key_that_was_asked_to_wait_waits_and_then_goes(
    key: ApiKey, mycirrus: SimulatedMyCirrus, unit: Instrument
) -> None:
    ApiKey.objects.filter(pk=key.pk).update(paused_until=datetime.now(UTC) + timedelta(hours=1))
    action = ask(unit, ActionKind.IDENTIFY)
    steps(action.organisation)
    action.refresh_from_db()
    assert (action.state, posts(mycirrus)) == (ActionState.REQUESTED, 0)
    # An hour would be too late: that is found out in time, not in an hour.
    InstrumentAction.objects.update(due_at=action.requested_at)
    (claim,) = actions_claim(now=datetime.now(UTC))
    action_turn(claim=claim)
    action.refresh_from_db()
    assert action.due_at == action.requested_at + rules.SEND_WITHIN
    ApiKey.objects.filter(pk=key.pk).update(paused_until=None)
    assert ended(action).state == ActionState.SUCCEEDED


def test_a_dead_broker_costs_a_tick_not_an_action(
    people: People, unit: Instrument, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    # The other two follow the first: changed after it, they would be put back to the dead one.
    for name in ("broker_write_url", "broker_read_url", "broker_url"):
        monkeypatch.setattr(celery_app.conf, name, "redis://127.0.0.1:9/0")
    monkeypatch.setattr(celery_app.amqp, "_producer_pool", None)
    monkeypatch.setattr(celery_app, "_pool", None)
    client, here = people.client(people.mary), address("act-identify", unit)
    page = client.get(here).content.decode()
    with django_capture_on_commit_callbacks(execute=True) as rung:
        assert client.post(here, form_of(page)).status_code == 302
    assert rung == [ring]
    assert len(actions_claim(now=datetime.now(UTC))) == 1


# --- What goes wrong ------------------------------------------------------------------------------------------------


def test_failed_under_200_is_a_failure(people: People, mycirrus: SimulatedMyCirrus, unit: Instrument) -> None:
    mycirrus.offline(unit.serial)
    try:
        action = ended(ask(unit, ActionKind.SIC, people.mary))
    finally:
        mycirrus.offline(unit.serial, None)
    assert (action.state, action.remote_status) == (ActionState.FAILED, "Failed")
    assert "offline" in action.message
    assert posts(mycirrus) == 1


def test_what_may_have_begun_is_never_sent_again_and_its_result_is_found(
    people: People, mycirrus: SimulatedMyCirrus, unit: Instrument
) -> None:
    mycirrus.moods(cut_body=True, path=CONTROL, count=1)
    action = ask(unit, ActionKind.SIC, people.mary)
    (claim,) = actions_claim(now=datetime.now(UTC))
    action_turn(claim=claim)
    action.refresh_from_db()
    assert (action.state, action.finished_at) == (ActionState.UNKNOWN, None)
    assert action.message == "MyCirrus did not say whether it started."
    page = people.client(people.mary).get(address("instrument", unit)).content.decode()
    assert action.message in page
    action = ended(action)
    assert action.state == ActionState.SUCCEEDED
    assert action.result_at is not None
    assert posts(mycirrus) == 1


def test_no_answer_and_no_result_is_said_after_five_minutes(
    mycirrus: SimulatedMyCirrus, unit: Instrument, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYCIRRUS_READ_TIMEOUT = 0.3
    mycirrus.moods(hang=True, path=CONTROL, count=1)
    action = ask(unit, ActionKind.CALIBRATION)
    steps(action.organisation)
    action.refresh_from_db()
    assert (action.state, action.finished_at) == (ActionState.UNKNOWN, None)
    steps(action.organisation)
    action.refresh_from_db()
    assert action.finished_at is None
    # Five minutes go by.
    monkeypatch.setattr(rules, "RESULT_WITHIN", timedelta(0))
    action = ended(action)
    assert (action.state, action.result_at) == (ActionState.UNKNOWN, None)
    assert "No result within 5 minutes." in action.message
    assert posts(mycirrus) <= 1
    assert log()[-1][1] == "Calibration: outcome not known"


def test_a_worker_that_died_while_sending_leaves_perhaps(
    mycirrus: SimulatedMyCirrus, unit: Instrument
) -> None:
    action = ask(unit, ActionKind.CALIBRATION)
    past = datetime.now(UTC) - timedelta(seconds=1)
    InstrumentAction.objects.update(
        state=ActionState.STARTED, started_at=past, lease_until=past, lease_token=uuid.uuid4()
    )
    steps(action.organisation)
    action.refresh_from_db()
    assert (action.state, action.finished_at) == (ActionState.UNKNOWN, None)
    assert posts(mycirrus) == 0


def test_identify_without_an_answer_ends_as_not_known(mycirrus: SimulatedMyCirrus, unit: Instrument) -> None:
    mycirrus.moods(bad_json=True, path=CONTROL, count=1)
    action = ended(ask(unit, ActionKind.IDENTIFY))
    assert (action.state, posts(mycirrus)) == (ActionState.UNKNOWN, 1)


def test_without_a_connection_it_is_known_not_to_have_begun(
    mycirrus: SimulatedMyCirrus, unit: Instrument, settings: Any
) -> None:
    settings.MYCIRRUS_EXTRA_BASE_URLS = ["http://127.0.0.1:9/v1"]
    ApiKey.objects.update(base_url="http://127.0.0.1:9/v1")
    action = ended(ask(unit, ActionKind.CALIBRATION))
    assert (action.state, action.message.split(":")[0]) == (ActionState.FAILED, "Not started")


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ({"429": True}, "slow down"),
        ({"expired_key": True}, "refused the key"),
        ({"missing_scope": "instruments:action"}, "no scope instruments:action"),
    ],
)
def test_a_refusal_is_a_failure_in_words(
    mycirrus: SimulatedMyCirrus, unit: Instrument, mood: dict[str, Any], words: str
) -> None:
    mycirrus.moods(**mood, path=CONTROL, count=1)
    action = ask(unit, ActionKind.SIC)
    (claim,) = actions_claim(now=datetime.now(UTC))
    action_turn(claim=claim)
    action.refresh_from_db()
    assert action.state == ActionState.FAILED
    assert words in action.message
    assert posts(mycirrus) == 1


def test_a_scope_that_was_refused_is_remembered(
    people: People, mycirrus: SimulatedMyCirrus, new_key: NewKey
) -> None:
    scopes = ["instruments:read", "data.system:read"]
    key = new_key(mycirrus.serials()[0], scopes=scopes, found=dict.fromkeys(scopes, True))
    (unit,) = mirrored(key)
    client = people.client(people.mary)
    # It could not be told whether the key may: so it is tried, and the refusal shown.
    assert address("act-sic", unit) in client.get(address("instrument", unit)).content.decode()
    action = ended(ask(unit, ActionKind.SIC, people.mary))
    assert action.state == ActionState.FAILED
    assert "no scope instruments:action" in action.message
    page = client.get(address("instrument", unit)).content.decode()
    for name in ("act-sic", "act-identify", "act-calibration"):
        assert address(name, unit) not in page
    assert "no scope instruments:action" in page
    # The other scope is another matter.
    assert address("act-rename", unit) in page
    with pytest.raises(ActionRefused):
        ask(unit, ActionKind.IDENTIFY, people.mary)
    assert client.post(address("act-identify", unit), {"token": uuid.uuid4()}).status_code == 422
    assert posts(mycirrus) == 1
    assert ended(ask(unit, ActionKind.RENAME, people.mary, name="New")).state == ActionState.FAILED
    page = client.get(address("instrument", unit)).content.decode()
    assert "no scope instruments:write" in page
    # Verified again it is asked anew: the key may have been given the scope.
    api_key_verify(api_key=ApiKey.objects.get(pk=key.pk), now=datetime.now(UTC))
    assert address("act-sic", unit) in client.get(address("instrument", unit)).content.decode()


def test_a_rename_that_may_have_happened_is_known_by_the_name(
    mycirrus: SimulatedMyCirrus, unit: Instrument, key: ApiKey
) -> None:
    mycirrus.moods(**{"500": 500}, path=CONTROL, count=1)
    action = ask(unit, ActionKind.RENAME, name="Crane 9")
    (claim,) = actions_claim(now=datetime.now(UTC))
    action_turn(claim=claim)
    action.refresh_from_db()
    assert action.state == ActionState.UNKNOWN
    assert Instrument.objects.get(pk=unit.pk).name == unit.name
    Instrument.objects.filter(pk=unit.pk).update(name="Crane 9")
    assert ended(action).state == ActionState.SUCCEEDED


# --- Which result belongs to it -------------------------------------------------------------------------------------


def test_only_a_decided_row_since_the_start_ends_it(unit: Instrument) -> None:
    # Another test's check may have been a second ago.
    SystemIntegrityCheck.objects.all().delete()
    action = ask(unit, ActionKind.SIC)
    started = datetime.now(UTC).replace(microsecond=500_000)
    InstrumentAction.objects.update(state=ActionState.IN_PROGRESS, started_at=started)

    def row(at: datetime, status: str, passed: bool | None) -> None:
        SystemIntegrityCheck.objects.create(
            organisation_id=unit.organisation_id,
            instrument=unit,
            at=at.replace(microsecond=0),
            status=status,
            passed=passed,
        )

    def look() -> str:
        InstrumentAction.objects.open().update(due_at=datetime.now(UTC))
        for claim in actions_claim(now=datetime.now(UTC)):
            action_turn(claim=claim)
        action.refresh_from_db()
        return action.state

    row(started - timedelta(seconds=2), "Failed", False)
    assert look() == ActionState.IN_PROGRESS
    row(started + timedelta(seconds=1), "InProgress", None)
    assert look() == ActionState.IN_PROGRESS
    row(started + timedelta(seconds=2), "Success", True)
    assert look() == ActionState.SUCCEEDED
    assert action.result_at == started.replace(microsecond=0) + timedelta(seconds=2)
    assert "no numbers" in action.message


# --- Who sees what --------------------------------------------------------------------------------------------------


def test_viewers_see_no_buttons_and_get_403(people: People, unit: Instrument) -> None:
    client = people.client(people.bob)
    page = client.get(address("instrument", unit)).content.decode()
    assert "instrument-actions" not in page
    for kind in ActionKind:
        here = address(f"act-{kind.lower()}", unit)
        assert here not in page
        assert client.get(here).status_code == 403
        assert client.post(here, {"token": uuid.uuid4(), "name": "x"}).status_code == 403
    assert client.get(address("actions", unit)).status_code == 403
    assert not InstrumentAction.objects.exists()
    assert people.client(people.charlie).get(address("act-sic", unit)).status_code == 404


def test_a_post_needs_the_csrf_token(people: People, unit: Instrument) -> None:
    client = people.client(people.mary)
    client.handler.enforce_csrf_checks = True
    assert client.post(address("act-identify", unit), {"token": uuid.uuid4()}).status_code == 403
    assert not InstrumentAction.objects.exists()


def test_polling_ends_with_the_action(people: People, unit: Instrument) -> None:
    client, here = people.client(people.mary), address("actions", unit)
    htmx = {"HX-Request": "true"}
    action = ask(unit, ActionKind.SIC, people.mary)
    answer = client.get(here, headers=htmx)
    shown = answer.content.decode()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert "<html" not in shown
    (polled,) = re.findall(r'hx-get="([^"]+)"', shown)
    assert client.get(polled, headers=htmx).status_code == 204
    steps(people.organisation)
    assert client.get(polled, headers=htmx).status_code == 200
    ended(action)
    last = client.get(polled, headers=htmx)
    assert last.status_code == 286
    assert "hx-trigger" not in last.content.decode()
    assert "Succeeded" in last.content.decode()


def test_other_organisations_share_nothing(
    people: People, mycirrus: SimulatedMyCirrus, unit: Instrument, new_key: NewKey
) -> None:
    """The same serial, and even the same token, in two organisations: two things that know nothing of each other."""
    theirs = new_key(unit.serial, owner=people.other)
    with organisation_scope(people.other.pk):
        (other,) = mirrored(theirs)
    token = uuid.uuid4()
    mine = ask(unit, ActionKind.SIC, people.mary, token=token)
    with organisation_scope(people.other.pk):
        assert not InstrumentAction.objects.exists()
        ask(other, ActionKind.IDENTIFY, people.charlie, token=token)
        assert InstrumentAction.objects.get().kind == ActionKind.IDENTIFY
    ended(mine)
    assert len(actions_claim(now=datetime.now(UTC))) == 1
    with organisation_scope(people.other.pk):
        assert InstrumentAction.objects.get().state == ActionState.REQUESTED
    page = people.client(people.charlie).get(reverse("monitoring:activity", args=["quarry"])).content.decode()
    assert "Identify asked for" in page
    assert "SIC" not in page


def test_list_costs_the_same_however_long_it_is(
    people: People, unit: Instrument, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    now, client = datetime.now(UTC), people.client(people.mary)
    InstrumentAction.objects.bulk_create(
        InstrumentAction(
            organisation_id=unit.organisation_id,
            instrument=unit,
            kind=ActionKind.IDENTIFY,
            token=uuid.uuid4(),
            requested_by=(people.mary, people.adam)[number % 2],
            requested_at=now,
            due_at=now,
            state=ActionState.SUCCEEDED,
            finished_at=now,
            why=f"reason {number:03}",
        )
        for number in range(120)
    )
    found: list[str] = []
    asked = here = address("actions", unit)
    while asked:
        with django_assert_max_num_queries(8):
            answer = client.get(asked)
        found += re.findall(r"reason (\d{3})", answer.content.decode())
        older = answer.context["older"]
        asked = f"{here}?before={older}" if older else ""
    assert found == [f"{number:03}" for number in reversed(range(120))]


# --- The rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "has_result", "fate"),
    [
        ("Success", False, Fate.SUCCEEDED),
        ("InProgress", False, Fate.SUCCEEDED),
        ("Success", True, Fate.UNDER_WAY),
        ("InProgress", True, Fate.UNDER_WAY),
        ("Accepted", True, Fate.UNDER_WAY),
        ("Accepted", False, Fate.NOT_KNOWN),
        ("Failed", True, Fate.FAILED),
        ("Error", False, Fate.FAILED),
        ("", True, Fate.NOT_KNOWN),
    ],
)
def test_what_an_answer_means(status: str, has_result: bool, fate: Fate) -> None:
    assert answer_fate(status=status, has_result=has_result) is fate


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (errors.NotConnected("x"), Fate.FAILED),
        (errors.ConnectionFailed("x"), Fate.NOT_KNOWN),
        (errors.TimedOut("x"), Fate.NOT_KNOWN),
        (errors.ServerError("x", status=503), Fate.NOT_KNOWN),
        (errors.RateLimited("x"), Fate.LATER),
        (errors.RateLimited("x", status=429), Fate.FAILED),
        (errors.RateLimited("x", status=200), Fate.FAILED),
        (errors.MissingScope("x", status=403), Fate.FAILED),
        (errors.AuthenticationFailed("x", status=401), Fate.FAILED),
        (errors.NotFound("x", status=404), Fate.FAILED),
        (errors.BadRequest("x", status=400), Fate.FAILED),
        (errors.UnexpectedResponse("x", status=405), Fate.FAILED),
        (errors.UnexpectedResponse("x", status=200), Fate.NOT_KNOWN),
        (errors.UnexpectedResponse("x"), Fate.NOT_KNOWN),
    ],
)
def test_what_an_error_means(error: errors.MyCirrusError, fate: Fate) -> None:
    assert error_fate(error) is fate
