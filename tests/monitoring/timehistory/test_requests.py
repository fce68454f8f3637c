"""Time histories on demand: asked for once, fetched in windows, resumed, cancelled, shown, and let go again."""

import csv
import io
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from instruments.models import Activity, ApiKey, Instrument
from instruments.tenancy import organisation_scope
from monitoring.models import HistoryState, Lane, SyncTarget, TimeHistoryHour, TimeHistoryRequest
from monitoring.sync.claims import due_claim
from monitoring.sync.targets import targets_ensure
from monitoring.timehistory import requests, turns
from monitoring.timehistory.claims import histories_claim
from monitoring.timehistory.grid import samples_of
from monitoring.timehistory.reading import hours_stored
from monitoring.timehistory.requests import histories_expire, history_remove, history_request
from monitoring.timehistory.tasks import run
from tests.conftest import People, make_instrument
from tests.simulated import SimulatedMyCirrus

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HTMX = {"HX-Request": "true"}


@pytest.fixture
def unit(mycirrus: SimulatedMyCirrus, people: People, new_key: Callable[..., ApiKey]) -> Iterator[Instrument]:
    """Harbour's noise monitor, within its scope."""
    serial = mycirrus.serials()[0]
    with organisation_scope(people.organisation.pk):
        yield make_instrument(people.organisation, serial, api_key=new_key(serial))


def ask(unit: Instrument, people: People, **fields: Any) -> TimeHistoryRequest:
    values: dict[str, Any] = {
        "kind": "noise",
        "start": START,
        "end": START + timedelta(hours=2),
        "step_ms": 1000,
        "token": uuid.uuid4(),
        "actor": people.mary,
        "now": datetime.now(UTC),
        **fields,
    }
    return history_request(instrument=unit, **values)


def work(owner: int) -> list[HistoryState | None]:
    """Take every turn that is due, as the workers would."""
    found = []
    while claims := histories_claim(now=datetime.now(UTC), organisation_id=owner):
        found += [turns.history_turn(claim=claim) for claim in claims]
    return found


def truth(
    mycirrus: SimulatedMyCirrus, serial: str, path: str, start: datetime, end: datetime, more: str
) -> Any:
    return mycirrus.get(
        path,
        f"instruments={serial}&start={start:%Y-%m-%dT%H:%M:%SZ}&end={end:%Y-%m-%dT%H:%M:%SZ}&{more}",
    )


def test_every_sample_is_stored_where_it_was_measured(
    unit: Instrument, people: People, mycirrus: SimulatedMyCirrus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Windows of an hour: the seams are what is looked at here.
    monkeypatch.setattr("monitoring.timehistory.grid.MOST_AT_ONCE", 3600 * 3)
    made = ask(unit, people)
    assert work(unit.organisation_id) == [HistoryState.DONE]
    made.refresh_from_db()
    assert (made.state, made.fetched_until, made.done_pct) == ("done", made.end_at, 100)
    assert mycirrus.requests()["counts"] == {"gettimehistory": 3}
    stored: dict[str, dict[datetime, float]] = {}
    for at, values in samples_of(hours_stored(made), step_ms=1000):
        for name, value in values.items():
            stored.setdefault(name, {})[at] = value
    wanted: dict[str, dict[datetime, float]] = {}
    rows = truth(
        mycirrus,
        unit.serial,
        "/data/noise/timehistory",
        made.start_at,
        made.end_at,
        "values=LAeq,LAFMax,LCPeak",
    )
    for row in rows:
        for block in row["blocks"]:
            begin = datetime.fromisoformat(block["start"].replace("Z", "+00:00"))
            for index, value in enumerate(block["values"]):
                wanted.setdefault(row["type"], {})[begin + timedelta(seconds=index)] = value
    assert stored == wanted
    assert made.samples == sum(map(len, wanted.values())) > 3 * 6000
    assert made.bytes == sum(len(row.data) for row in TimeHistoryHour.objects.all())
    # Far less than the numbers as text.
    assert made.bytes < 2 * made.samples


@pytest.mark.parametrize(
    ("kind", "bands", "columns"), [("octave", "Octave", 10), ("third_octave", "Third", 36)]
)
def test_bands_are_fetched_under_their_own_names(
    unit: Instrument, people: People, mycirrus: SimulatedMyCirrus, kind: str, bands: str, columns: int
) -> None:
    made = ask(unit, people, kind=kind, end=START + timedelta(minutes=10), step_ms=60_000)
    assert work(unit.organisation_id) == [HistoryState.DONE]
    (hour,) = list(hours_stored(made))
    assert len(hour.names) == columns
    (row,) = truth(
        mycirrus,
        unit.serial,
        "/data/frequency/timehistory",
        made.start_at,
        made.end_at,
        f"bands={bands}&period=PT1M",
    )
    told = {band["name"]: band["values"][0] for band in row["blocks"][0]["bands"]}
    at, values = next(iter(samples_of([hour], step_ms=60_000)))
    assert at == START
    assert values == told


def has_step(mycirrus: SimulatedMyCirrus, serial: str, step_ms: int) -> bool:
    """Whether the instrument's setting allows steps of this length."""
    end, period = START + timedelta(minutes=1), f"period=PT{step_ms / 1000}S"
    try:
        truth(mycirrus, serial, "/data/noise/timehistory", START, end, period)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("step_ms", [100, 125, 250, 500])
def test_steps_finer_than_a_second_are_stored_where_they_were_measured(
    people: People, mycirrus: SimulatedMyCirrus, new_key: Callable[..., ApiKey], step_ms: int
) -> None:
    step = timedelta(milliseconds=step_ms)
    serial = next(serial for serial in mycirrus.serials() if has_step(mycirrus, serial, step_ms))
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation, serial, api_key=new_key(serial))
        made = ask(unit, people, end=START + timedelta(minutes=5), step_ms=step_ms)
        assert work(unit.organisation_id) == [HistoryState.DONE]
        stored = {at: values["LAeq"] for at, values in samples_of(hours_stored(made), step_ms=made.step_ms)}
    told = f"values=LAeq&period=PT{step_ms / 1000}S"
    (row,) = truth(mycirrus, serial, "/data/noise/timehistory", made.start_at, made.end_at, told)
    wanted = {
        datetime.fromisoformat(block["start"]) + place * step: value
        for block in row["blocks"]
        for place, value in enumerate(block["values"])
    }
    assert stored == wanted
    assert len(wanted) == timedelta(minutes=5) / step
    page = people.client(people.bob).get(f"/o/harbour/history/{made.pk}/").content.decode()
    assert f"in steps of {step_ms / 1000} s" in page


def test_nothing_there_is_said(unit: Instrument, people: People, mycirrus: SimulatedMyCirrus) -> None:
    old = datetime(2019, 1, 1, tzinfo=UTC)
    made = ask(unit, people, start=old, end=old + timedelta(hours=1))
    assert work(unit.organisation_id) == [HistoryState.DONE]
    page = people.client(people.bob).get(f"/o/harbour/history/{made.pk}/").content.decode()
    assert "MyCirrus has nothing in this stretch" in page
    answer = people.client(people.bob).get(f"/o/harbour/history/{made.pk}/samples.csv")
    assert b"".join(answer.streaming_content) == b"time (UTC)\n"  # type: ignore[attr-defined]


def test_a_turn_ends_in_time_and_the_next_goes_on(
    unit: Instrument, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ask(unit, people)
    with monkeypatch.context() as hurried:
        hurried.setattr(turns, "TURN_S", 0.0)
        (claim,) = histories_claim(now=datetime.now(UTC))
        assert turns.history_turn(claim=claim) == HistoryState.OPEN
    made.refresh_from_db()
    assert (made.lease_token, made.fetched_until) == (None, made.start_at)
    assert work(unit.organisation_id) == [HistoryState.DONE]


def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    unit: Instrument, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.timehistory.grid.MOST_AT_ONCE", 3600 * 3)
    made = ask(unit, people)
    store, stored = turns._store, []

    def killed(*args: Any) -> bool:
        if stored:
            raise SystemExit
        stored.append(True)
        return store(*args)

    monkeypatch.setattr(turns, "_store", killed)
    (claim,) = histories_claim(now=datetime.now(UTC))
    with pytest.raises(SystemExit):
        turns.history_turn(claim=claim)
    monkeypatch.setattr(turns, "_store", store)
    made.refresh_from_db()
    assert made.fetched_until == START + timedelta(minutes=30)
    # Nobody else takes it while the lease holds; then it goes on.
    assert histories_claim(now=datetime.now(UTC)) == []
    TimeHistoryRequest.objects.update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    assert work(unit.organisation_id) == [HistoryState.DONE]
    assert TimeHistoryHour.objects.count() == 3


def test_who_was_taken_over_stores_nothing(unit: Instrument, people: People) -> None:
    made = ask(unit, people)
    (first,) = histories_claim(now=datetime.now(UTC))
    history_remove(request=made, actor=people.mary, now=datetime.now(UTC))
    assert turns.history_turn(claim=first) is None
    made.refresh_from_db()
    assert (made.state, made.samples) == ("cancelled", 0)


def test_cancelled_while_a_window_is_on_its_way(
    unit: Instrument, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ask(unit, people)
    fetch = turns._runs

    def cancelled(*args: Any) -> Any:
        history_remove(request=made, actor=people.mary, now=datetime.now(UTC))
        return fetch(*args)

    monkeypatch.setattr(turns, "_runs", cancelled)
    (claim,) = histories_claim(now=datetime.now(UTC))
    assert turns.history_turn(claim=claim) is None
    assert not TimeHistoryHour.objects.exists()


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ({"expired-key": True}, "refused the key"),
        ({"missing-scope": "data.noise:read"}, "no scope data.noise:read"),
    ],
)
def test_what_a_person_has_to_mend_ends_it(
    unit: Instrument, people: People, mycirrus: SimulatedMyCirrus, mood: dict[str, Any], words: str
) -> None:
    mycirrus.moods(**mood)
    made = ask(unit, people)
    assert work(unit.organisation_id) == [HistoryState.FAILED]
    made.refresh_from_db()
    assert words in made.message
    assert words in people.client(people.bob).get(f"/o/harbour/history/{made.pk}/").content.decode()


def test_what_passes_is_tried_again_and_not_for_ever(
    unit: Instrument, people: People, mycirrus: SimulatedMyCirrus
) -> None:
    mycirrus.moods(**{"500": True})
    made = ask(unit, people)
    assert work(unit.organisation_id) == [HistoryState.OPEN]
    made.refresh_from_db()
    assert made.failures == 1
    assert made.due_at > datetime.now(UTC)
    assert "error of its own" in made.message
    waited = timedelta(0)
    for failures in range(2, turns.MOST_FAILURES):
        TimeHistoryRequest.objects.update(due_at=datetime.now(UTC))
        assert work(unit.organisation_id) == [HistoryState.OPEN]
        made.refresh_from_db()
        assert made.failures == failures
        pause = made.due_at - datetime.now(UTC)
        assert pause <= timedelta(hours=1)
        waited += pause
    assert timedelta(hours=20) < waited < timedelta(hours=28)
    TimeHistoryRequest.objects.update(due_at=datetime.now(UTC))
    assert work(unit.organisation_id) == [HistoryState.FAILED]


def test_a_step_that_is_not_kept_is_said(
    people: People, mycirrus: SimulatedMyCirrus, new_key: Callable[..., ApiKey]
) -> None:
    serial = next(serial for serial in mycirrus.serials() if not has_step(mycirrus, serial, 100))
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation, serial, api_key=new_key(serial))
        made = ask(unit, people, step_ms=100, end=START + timedelta(minutes=1))
        assert work(unit.organisation_id) == [HistoryState.FAILED]
        made.refresh_from_db()
        assert "did not accept this stretch or step" in made.message


def test_no_key_asks_nothing(unit: Instrument, people: People, mycirrus: SimulatedMyCirrus) -> None:
    made = ask(unit, people)
    Instrument.objects.filter(pk=unit.pk).update(api_key=None)
    assert work(unit.organisation_id) == [HistoryState.FAILED]
    made.refresh_from_db()
    assert "No working key" in made.message
    assert mycirrus.requests()["counts"] == {}


def test_one_of_an_organisation_at_a_time_and_few_in_all(people: People, settings: Any) -> None:
    settings.SYNC_BACKFILLS_AT_ONCE = 2
    now = datetime.now(UTC)
    for owner in (people.organisation, people.other):
        with organisation_scope(owner.pk):
            unit = make_instrument(owner)
            for _ in range(2):
                ask(unit, people)
    claims = histories_claim(now=now + timedelta(seconds=1))
    assert sorted(claim.organisation_id for claim in claims) == [people.organisation.pk, people.other.pk]
    assert histories_claim(now=now + timedelta(seconds=2)) == []


def test_time_histories_and_back_fills_share_their_places(
    people: People, new_key: Callable[..., ApiKey], mycirrus: SimulatedMyCirrus, settings: Any
) -> None:
    """Of an embedded worker's two threads one is always free for what is new."""
    settings.SYNC_BACKFILLS_AT_ONCE = 1
    settings.HISTORY_DAYS = 30
    now = datetime.now(UTC)
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation, api_key=new_key(mycirrus.serials()[0]))
        targets_ensure(instruments=[unit], now=now)
        (held,) = due_claim(now=now, only=Lane.BACKFILL)
        made = ask(unit, people)
        later = now + timedelta(seconds=1)
        assert histories_claim(now=later) == []
        SyncTarget.objects.filter(pk=held.target_id).update(lease_until=None, lease_token=None)
        # Somebody waits for this one, so that it goes first, whether it is held or only due.
        assert due_claim(now=later, only=Lane.BACKFILL) == []
        assert [claim.request_id for claim in histories_claim(now=later)] == [made.pk]
        assert due_claim(now=later, only=Lane.BACKFILL) == []
        made.refresh_from_db()
        assert work(unit.organisation_id) == []
        TimeHistoryRequest.objects.update(state=HistoryState.CANCELLED, lease_until=None)
        assert len(due_claim(now=later, only=Lane.BACKFILL)) == 1


def test_a_task_runs_within_its_organisation(unit: Instrument, people: People) -> None:
    made = ask(unit, people, end=START + timedelta(minutes=1))
    (claim,) = histories_claim(now=datetime.now(UTC))
    run(claim.organisation_id, claim.request_id, claim.token)
    made.refresh_from_db()
    assert made.state == HistoryState.DONE


def test_what_is_old_or_too_much_is_let_go(unit: Instrument, people: People, settings: Any) -> None:
    now = datetime.now(UTC)
    made = [ask(unit, people, end=START + timedelta(minutes=1)) for _ in range(3)]
    work(unit.organisation_id)
    TimeHistoryRequest.objects.filter(pk=made[0].pk).update(expires_at=now)
    assert histories_expire(now=now + timedelta(seconds=1)) == 1
    settings.TIME_HISTORY_MB = 0
    # No more than is asked for at one go.
    assert histories_expire(now=now, most=1) == 1
    assert histories_expire(now=now) == 1
    assert not TimeHistoryHour.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_make_room_at_once_let_go_of_no_more_than_one_would(
    people: People, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    settings.TIME_HISTORY_MB = 1
    with organisation_scope(people.organisation.pk):
        unit = make_instrument(people.organisation)
        made = [ask(unit, people) for _ in range(3)]
        TimeHistoryRequest.objects.update(state=HistoryState.DONE, finished_at=now, bytes=400_000)

    def expire() -> None:
        try:
            with organisation_scope(people.organisation.pk):
                histories_expire(now=now)
        finally:
            connection.close()

    others: list[threading.Thread] = []
    stored_bytes = requests.stored_bytes

    def overtaken() -> int:
        """What was stored before another came in between."""
        stored = stored_bytes()
        if not others:
            others.append(threading.Thread(target=expire))
            others[0].start()
            # Until it has ended, or waits for us.
            others[0].join(1.0)
        return stored

    monkeypatch.setattr(requests, "stored_bytes", overtaken)
    expire()
    others[0].join(60)
    with organisation_scope(people.organisation.pk):
        assert TimeHistoryRequest.objects.count() == len(made) - 1


def test_more_than_the_organisation_may_keep_is_refused(
    unit: Instrument, people: People, settings: Any
) -> None:
    settings.TIME_HISTORY_MB = 0
    made = ask(unit, people)
    assert work(unit.organisation_id) == [HistoryState.FAILED]
    made.refresh_from_db()
    assert made.state == HistoryState.FAILED
    assert not TimeHistoryHour.objects.exists()


# --- Pages ---------------------------------------------------------------------------------------------------------


def form(**fields: Any) -> dict[str, Any]:
    return {
        "token": str(uuid.uuid4()),
        "kind": "noise",
        "start": "2026-11-20T09:30",
        "end": "2026-11-20T09:40",
        "step_ms": "1000",
        **fields,
    }


def test_members_ask_and_everybody_looks(unit: Instrument, people: People) -> None:
    mary, bob, path = (
        people.client(people.mary),
        people.client(people.bob),
        f"/o/harbour/i/{unit.serial}/history/",
    )
    sent = form()
    answer = mary.post(path, sent)
    assert answer.status_code == 302
    assert mary.post(path, sent)["Location"] == answer["Location"]
    made = TimeHistoryRequest.objects.get()
    assert answer["Location"] == f"/o/harbour/history/{made.pk}/"
    page = bob.get(answer["Location"])
    assert "Fetching from MyCirrus" in page.content.decode()
    polled = bob.get(
        f"{answer['Location']}?version={made.state}.{made.fetched_until.timestamp()}.", headers=HTMX
    )
    assert polled.status_code == 204
    work(unit.organisation_id)
    ended = bob.get(f"{answer['Location']}?version=old", headers=HTMX)
    assert ended.status_code == 286
    assert 'hx-get="' not in ended.content.decode()
    figure = bob.get(f"{answer['Location']}levels.json").json()
    assert [trace["name"] for trace in figure["traces"]] == ["LAeq", "LAF,max", "LC,peak"]
    assert figure["traces"][0]["dx"] == 1000
    made.refresh_from_db()
    file = bob.get(f"{answer['Location']}samples.csv")
    lines = list(csv.reader(io.StringIO(b"".join(file.streaming_content).decode())))  # type: ignore[attr-defined]
    assert lines[0] == ["time (UTC)", "LAeq (dB)", "LAFMax (dB)", "LCPeak (dB)"]
    assert lines[1][0] == "2026-11-20T09:30:00.000Z"
    assert sum(len([value for value in line[1:] if value]) for line in lines[1:]) == made.samples
    assert bob.post(f"{answer['Location']}remove/").status_code == 403
    assert bob.post(path, form()).status_code == 422
    assert mary.post(f"{answer['Location']}remove/")["Location"] == path
    assert bob.get(answer["Location"]).status_code == 404
    assert list(Activity.objects.order_by("pk").values_list("verb", flat=True)) == [
        "time_history_requested",
        "time_history_removed",
    ]


def test_every_step_that_is_offered_can_be_asked_for(unit: Instrument, people: People) -> None:
    mary, path = people.client(people.mary), f"/o/harbour/i/{unit.serial}/history/"
    offered = re.findall(r'<option value="(\d+)"[^>]*>([^<]*)</option>', mary.get(path).content.decode())
    words = {
        "100": "0.1 s",
        "125": "0.125 s",
        "250": "0.25 s",
        "500": "0.5 s",
        "1000": "1 s",
        "2000": "2 s",
        "10000": "10 s",
        "60000": "1 min",
    }
    assert {value: told for value, told in offered if value in words} == words
    for step_ms in words:
        assert mary.post(path, form(step_ms=step_ms)).status_code == 302
    assert set(TimeHistoryRequest.objects.values_list("step_ms", flat=True)) == set(map(int, words))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start": "soon"}, "Give a day and a time"),
        ({"end": "2026-11-20T09:00"}, "has to be after the beginning"),
        ({"start": "2019-01-01T00:00"}, "At most"),
        ({"kind": "third_octave", "start": "2026-11-18T00:00"}, "At most 46 hours"),
        ({"step_ms": "7"}, "Select a valid choice"),
        ({"token": ""}, "required"),
    ],
)
def test_what_cannot_be_asked_for_is_said(
    unit: Instrument, people: People, fields: dict[str, str], words: str
) -> None:
    answer = people.client(people.mary).post(f"/o/harbour/i/{unit.serial}/history/", form(**fields))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not TimeHistoryRequest.objects.exists()


def test_each_sees_only_its_own(unit: Instrument, people: People) -> None:
    made = ask(unit, people)
    work(unit.organisation_id)
    for path in ("", "levels.json", "samples.csv", "remove/"):
        for slug in ("harbour", "quarry"):
            answer = people.client(people.charlie).get(f"/o/{slug}/history/{made.pk}/{path}")
            assert answer.status_code in (404, 405)
    assert people.client(people.charlie).post(f"/o/quarry/history/{made.pk}/remove/").status_code == 404
    assert TimeHistoryHour.objects.exists()


def test_pages_cost_the_same_however_much_there_is(unit: Instrument, people: People) -> None:
    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert people.client(people.bob).get(path).status_code == 200
        return len(queries)

    made = ask(unit, people)
    paths = [f"/o/harbour/i/{unit.serial}/history/", f"/o/harbour/history/{made.pk}/"]
    before = [cost(path) for path in paths]
    for _ in range(8):
        ask(unit, people)
    assert [cost(path) for path in paths] == before
