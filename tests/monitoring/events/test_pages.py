"""The pages of events: filters, pages by key, neighbours, timeline, tags, who may what, and what they cost."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from instruments.models import Activity, Organisation
from instruments.mycirrus import Event as Row
from instruments.tenancy import organisation_scope
from monitoring.charts.marks import marks_of
from monitoring.events.level_trace import band_bars, trace_figure, trace_table
from monitoring.events.tags import USUAL_CAUSES, cause_names, causes_set, event_tag
from monitoring.events.timeline import event_days
from monitoring.export import columns, export_rows
from monitoring.models import AudioRecording, Event, EventTag
from monitoring.sync.histories import HISTORIES
from tests.conftest import People, make_instrument
from tests.monitoring.events.conftest import make_event, make_events

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
EVENTS = "/o/harbour/events/"
HTMX = {"HX-Request": "true"}


def shown(people: People, query: str = "", **who: Any) -> list[str]:
    """The names of the events on the list, from the top."""
    answer = people.client(who.get("user", people.bob)).get(f"{EVENTS}{query}")
    assert answer.status_code == 200
    return re.findall(r'<span class="sub">(E\d+)</span>', answer.content.decode())


def test_the_list_is_newest_first_and_goes_on_by_key(people: People) -> None:
    made = make_events(people.organisation, 120, now=NOW)
    # Two of one instant are told apart by their key.
    twin = make_event(made[49].instrument, made[49].start_at, name="E999")
    wanted = [event.name for event in made]
    wanted.insert(49, twin.name)
    first = shown(people)
    assert first == wanted[:50]
    assert shown(people, f"?before={made[48].pk}")[:2] == ["E999", "E49"]
    assert shown(people, f"?before={twin.pk}") == wanted[50:100]
    assert shown(people, f"?before={made[119].pk}") == []


def _loudest(event: Event) -> tuple[Any, ...]:
    return (event.level_db is None, -(event.level_db or 0.0), -event.start_at.timestamp(), -event.pk)


def _longest(event: Event) -> tuple[Any, ...]:
    length = None if event.duration is None else event.duration.total_seconds()
    return (length is None, -(length or 0.0), -event.start_at.timestamp(), -event.pk)


@pytest.mark.parametrize(
    ("sort", "rank", "words"),
    [
        ("loudest", _loudest, ("Loudest", "Louder", "Quieter")),
        ("longest", _longest, ("Longest", "Longer", "Shorter")),
    ],
)
def test_the_loudest_or_longest_come_first_what_is_missing_last_and_ties_stay_in_order(
    people: People, sort: str, rank: Any, words: tuple[str, str, str]
) -> None:
    units = [make_instrument(people.organisation, f"EV{number:06}") for number in range(2)]
    make_event(make_instrument(people.other, "QX000001"), NOW, name="E999", level_db=120.0)
    made = []
    for number in range(110):
        # Two of each instant, and many as loud or as long.
        at = NOW - timedelta(minutes=number // 2)
        length = (None, 0.4, 10, 10.001, 7200)[number % 5]
        end_at = None if length is None else at + timedelta(seconds=length)
        level = (71.0, 90.5, None, -3.2)[number // 3 % 4]
        made.append(make_event(units[number % 2], at, name=f"E{number}", level_db=level, end_at=end_at))
    client = people.client(people.bob)
    for narrowed, wanted in (("", made), ("instrument=EV000001&", made[1::2])):
        wanted = sorted(wanted, key=rank)
        found: list[int] = []
        address = f"{EVENTS}?{narrowed}sort={sort}"
        while address:
            page = client.get(address).content.decode()
            found += [int(key) for key in re.findall(r'data-row href="[^"]*/events/(\d+)/', page)]
            assert f'<option value="{sort}" selected' in page
            assert page.count("aria-sort") == 1
            following = re.findall(r'rel="next" href="(\?[^"]*)"', page)
            assert all(words[2] in page for _ in following)
            address = EVENTS + following[0].replace("&amp;", "&") if following else ""
        assert found == [event.pk for event in wanted]
        assert words[0] in page
        # One opened from the list has its neighbours there.
        for place in (0, 30, len(wanted) - 1):
            page = client.get(f"{EVENTS}{wanted[place].pk}/?{narrowed}sort={sort}").content.decode()
            links = re.findall(r'rel="(prev|next)" data-press="[jk]" href="([^"]+)"', page)
            told = {way: link.replace("&amp;", "&") for way, link in links}
            beside = {"prev": place - 1, "next": place + 1}
            assert told == {
                way: f"{EVENTS}{wanted[at].pk}/?{narrowed}sort={sort}"
                for way, at in beside.items()
                if 0 <= at < len(wanted)
            }
            assert (words[1] in page, words[2] in page) == (place > 0, place < len(wanted) - 1)


@pytest.mark.parametrize("sort", ["", "loudest", "longest"])
def test_a_day_and_a_filter_keep_the_order_and_an_order_alone_narrows_nothing(
    people: People, sort: str
) -> None:
    make_events(people.organisation, 2, now=NOW)
    # Days of the last week are named.
    with time_machine.travel(NOW, tick=False):
        page = people.client(people.bob).get(f"{EVENTS}?sort={sort}").content.decode()
    assert "Clear filters" not in page
    (day,) = set(re.findall(r'<a href="\?([^"]*)">Sat 21 Nov', page))
    assert ("sort" in day) == bool(sort)
    assert (
        "not one of the available choices"
        in people.client(people.bob).get(f"{EVENTS}?sort=best").content.decode()
    )


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30, "4000000000"])
def test_a_page_below_nothing_is_404(people: People, before: str) -> None:
    assert people.client(people.bob).get(f"{EVENTS}?before={before}").status_code == 404


def test_filters(people: People) -> None:
    made = make_events(people.organisation, 6, now=NOW)
    with organisation_scope(people.organisation.pk):
        Event.objects.filter(pk=made[1].pk).update(audio_id="a")
        event_tag(event=made[2], actor=people.mary, now=NOW, cause=cause_names()[0])
        event_tag(event=made[3], actor=people.mary, now=NOW, excluded=True)
        Event.objects.filter(pk=made[5].pk).update(start_at=NOW - timedelta(days=3))
    assert shown(people, "?instrument=EV000001") == ["E1", "E3", "E5"]
    assert shown(people, "?instrument=monitor+ev000000") == ["E0", "E2", "E4"]
    assert shown(people, "?name=e3") == ["E3"]
    assert shown(people, "?sound=yes") == ["E1"]
    assert shown(people, f"?cause={cause_names_of(people.organisation)[0]}") == ["E2"]
    assert shown(people, "?cause=-") == ["E0", "E1", "E3", "E4", "E5"]
    assert shown(people, "?excluded=yes") == ["E3"]
    assert shown(people, "?excluded=no") == ["E0", "E1", "E2", "E4", "E5"]
    assert shown(people, "?start=2026-11-20") == ["E0", "E1", "E2", "E3", "E4"]
    assert shown(people, "?end=2026-11-18") == ["E5"]
    assert shown(people, "?start=2026-11-18&end=2026-11-18") == ["E5"]
    assert shown(people, "?instrument=nothing") == []


def cause_names_of(organisation: Organisation) -> list[str]:
    with organisation_scope(organisation.pk):
        return cause_names()


def test_what_is_not_understood_narrows_nothing_and_says_so(people: People) -> None:
    make_events(people.organisation, 2, now=NOW)
    for query, words in (
        ("start=yesterday", "Give a day such as"),
        ("start=2026-11-21&end=2026-11-20", "before the first one"),
        ("excluded=perhaps", "not one of the available choices"),
        ("name=%00", "Null characters"),
        ("cause=%00", "not one of the available choices"),
    ):
        answer = people.client(people.bob).get(f"{EVENTS}?{query}")
        assert answer.status_code == 200
        assert words in answer.content.decode()
        assert len(shown(people, f"?{query}")) == 2


def test_a_list_that_renews_itself_says_what_was_not_understood_and_leads_back_to_all(people: People) -> None:
    make_events(people.organisation, 2, now=NOW)
    client = people.client(people.bob)
    for address in (EVENTS, "/o/harbour/recordings/"):
        wrong = client.get(f"{address}?start=2026-11-21&end=2026-11-20", headers=HTMX).content.decode()
        assert re.search(r'role="alert">.*This day is before the first one', wrong, re.DOTALL)
        assert "Clear filters" in wrong
        assert "Clear filters" not in client.get(address, headers=HTMX).content.decode()


def test_days_are_the_organisations_own(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        Organisation.objects.filter(pk=people.organisation.pk).update(timezone="Asia/Kolkata")
    unit = make_instrument(people.organisation)
    # 19:00 UTC is half past midnight of the next day in Kolkata.
    make_event(unit, datetime(2026, 11, 20, 19, 0, tzinfo=UTC), name="E1")
    assert shown(people, "?start=2026-11-21&end=2026-11-21") == ["E1"]
    assert shown(people, "?end=2026-11-20") == []


def test_the_timeline_counts_hours_of_local_days(people: People) -> None:
    unit = make_instrument(people.organisation)
    for minute, level in ((0, 70.0), (20, 83.5), (40, None)):
        make_event(unit, datetime(2026, 11, 20, 19, minute, tzinfo=UTC), level_db=level, name=str(minute))
    make_event(unit, datetime(2026, 11, 1, tzinfo=UTC), name="old")
    with organisation_scope(people.organisation.pk), timezone.override("Asia/Kolkata"):
        days, cut = event_days(Event.objects.all(), start=None, end=None, now=NOW)
        assert not cut
        assert [day.count for day in days] == [3, 0, 0, 0, 0, 0, 0]
        assert [
            (hour, found.count, found.loudest_db) for hour, found in enumerate(days[0].hours) if found.count
        ] == [
            (0, 2, 83.5),
            (1, 1, None),
        ]
        assert [days[0].hours[hour].height for hour in (0, 1, 2)] == [5, 2, 0]
        days, cut = event_days(Event.objects.all(), start=NOW - timedelta(days=60), end=NOW, now=NOW)
        assert cut
        assert len(days) == 14


def test_clock_changes_lose_no_event(people: People) -> None:
    unit = make_instrument(people.organisation)
    # 25 October 2026 in London: 01:30 local happens twice.
    for hour in (0, 1):
        make_event(unit, datetime(2026, 10, 25, hour, 30, tzinfo=UTC), name=str(hour))
    with organisation_scope(people.organisation.pk), timezone.override("Europe/London"):
        days, _cut = event_days(
            Event.objects.all(), start=None, end=datetime(2026, 10, 26, tzinfo=UTC), now=NOW
        )
        assert days[0].hours[1].count == 2


def test_neighbours_are_those_of_the_filtered_list(people: People) -> None:
    made = make_events(people.organisation, 5, now=NOW)
    page = people.client(people.bob).get(f"{EVENTS}{made[2].pk}/?instrument=EV000000").content.decode()
    links = dict(re.findall(r'rel="(prev|next)" data-press="[jk]" href="([^"]+)"', page))
    assert links == {
        "prev": f"{EVENTS}{made[0].pk}/?instrument=EV000000",
        "next": f"{EVENTS}{made[4].pk}/?instrument=EV000000",
    }


@pytest.fixture
def event(people: People) -> Event:
    return make_event(make_instrument(people.organisation), NOW)


def tag_of(event: Event) -> EventTag:
    with organisation_scope(event.organisation_id):
        return EventTag.objects.get(event=event)


def test_members_tag_and_it_is_noted(people: People, event: Event) -> None:
    mary, path = people.client(people.mary), f"{EVENTS}{event.pk}/"
    answer = mary.post(f"{path}tag/?excluded=no", {"cause": str(USUAL_CAUSES[0])})
    assert answer.status_code == 302
    assert answer["Location"] == f"{path}?excluded=no#event-tag"
    mary.post(f"{path}tag/", {"excluded": "yes"})
    mary.post(f"{path}tag/", {"comment": " A lorry. "})
    # Twice is once.
    mary.post(f"{path}tag/", {"comment": "A lorry."})
    tag = tag_of(event)
    assert (tag.cause, tag.comment, tag.excluded) == ("Construction", "A lorry.", True)
    assert (tag.excluded_by, tag.excluded_by_name) == (people.mary, str(people.mary))
    page = people.client(people.bob).get(path).content.decode()
    assert "A lorry." in page
    assert "by Mary" in page
    mary.post(f"{path}tag/", {"excluded": "no"})
    mary.post(f"{path}tag/", {"cause": ""})
    tag = tag_of(event)
    assert (tag.cause, tag.excluded) == ("", False)
    with organisation_scope(people.organisation.pk):
        told = list(Activity.objects.order_by("pk").values_list("verb", "detail"))
    assert told == [
        ("event_cause_set", "Construction"),
        ("event_excluded", "Construction"),
        ("event_comment_set", "A lorry."),
        ("event_included", "Construction"),
        ("event_cause_set", "none"),
    ]


def test_a_fragment_answers_htmx(people: People, event: Event) -> None:
    path = f"{EVENTS}{event.pk}/tag/"
    answer = people.client(people.mary).post(path, {"excluded": "yes"}, headers=HTMX)
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith('<section id="event-tag"')
    wrong = people.client(people.mary).post(path, {"cause": "Dragons"}, headers=HTMX)
    assert wrong.status_code == 422
    assert "is not on the list of causes" in wrong.content.decode()
    long = people.client(people.mary).post(path, {"comment": "x" * 1001}, follow=True)
    assert "A comment may have 1000 characters" in long.content.decode()
    assert tag_of(event).cause == ""


def test_charts_and_exports_tell_the_tag(people: People, event: Event) -> None:
    with organisation_scope(people.organisation.pk):
        event_tag(event=event, actor=people.mary, now=NOW, cause="Aircraft", comment="Low.", excluded=True)
        hour = timedelta(hours=1)
        found = marks_of(instrument=event.instrument, start=NOW - hour, end=NOW + hour, layers=["events"])
        told = dict(zip(columns("events"), next(iter(export_rows(resource="events"))), strict=True))
    assert [mark.label for mark in found.marks] == ["Event LAeq, 80.0 dB, Aircraft, excluded"]
    assert (told["cause"], told["comment"], told["excluded"]) == ("Aircraft", "Low.", True)


def test_viewers_read_and_do_not_tag(people: People, event: Event) -> None:
    bob, path = people.client(people.bob), f"{EVENTS}{event.pk}/"
    assert bob.post(f"{path}tag/", {"excluded": "yes"}).status_code == 403
    page = bob.get(path).content.decode()
    assert 'data-press="x"' not in page
    assert bob.get(f"{EVENTS}causes/").status_code == 403


def test_reading_mycirrus_again_keeps_the_tag(people: People, event: Event) -> None:
    row = Row(
        serial="QT000001", start_at=event.start_at, end_at=None, name=event.name, type="Noise", level_db=91.0,
        audio_at=None, overall=None, octave=None, third_octave=None, time_history_id="", audio_id="", document={},
    )  # fmt: skip
    with organisation_scope(people.organisation.pk):
        event_tag(event=event, actor=people.mary, now=NOW, excluded=True)
        HISTORIES["events"].store(event.instrument, [row], NOW)
        (again,) = Event.objects.excluded()
        assert (again.pk, again.level_db) == (event.pk, 91.0)


def test_the_list_of_causes_is_the_organisations_own(people: People, event: Event) -> None:
    mary = people.client(people.mary)
    mary.post(f"{EVENTS}{event.pk}/tag/", {"cause": "Aircraft"})
    answer = mary.post(f"{EVENTS}causes/", {"names": "Crane\n\n  Ship   horn \nCrane\n"})
    assert answer.status_code == 302
    assert cause_names_of(people.organisation) == ["Crane", "Ship horn"]
    assert cause_names_of(people.other) == [str(name) for name in USUAL_CAUSES]
    # What was said before stands, can be seen, and is found.
    page = mary.get(f"{EVENTS}{event.pk}/").content.decode()
    assert ">Aircraft</button>" in page
    assert mary.get(f"{EVENTS}?cause=Aircraft").content.decode().count("Aircraft") >= 2
    for names, words in (
        (" \n ", "required"),
        ("\n".join(f"Cause {number}" for number in range(21)), "At most 20 causes"),
        ("x" * 61, "longer than 60 characters"),
    ):
        refused = mary.post(f"{EVENTS}causes/", {"names": names})
        assert refused.status_code == 422
        assert words in refused.content.decode()
    assert cause_names_of(people.organisation) == ["Crane", "Ship horn"]


def test_a_cause_has_to_be_listed(people: People, event: Event) -> None:
    with organisation_scope(people.organisation.pk):
        causes_set(organisation=people.organisation, names=["Crane"], actor=people.mary)
        with pytest.raises(ValidationError):
            event_tag(event=event, actor=people.mary, now=NOW, cause="Aircraft")
        assert not EventTag.objects.exists()


def test_each_sees_only_its_own(people: People, event: Event) -> None:
    theirs = make_event(make_instrument(people.other, "QX000001"), NOW, name="E77")
    assert shown(people) == []
    assert "QX000001" not in people.client(people.bob).get(EVENTS).content.decode()
    for path in ("", "tag/", "trace.json", "trace.csv", "trace/", "audio/"):
        address = f"{EVENTS}{theirs.pk}/{path}"
        assert people.client(people.alice).post(address).status_code in (404, 405)
        assert people.client(people.alice).get(address).status_code in (404, 405)
    assert people.client(people.bob).get(f"{EVENTS}?before={theirs.pk}").status_code == 404


def test_empty_pages_teach(people: People) -> None:
    bob = people.client(people.bob)
    assert "data.events:read" in bob.get(EVENTS).content.decode()
    assert "data.audio:read" in bob.get("/o/harbour/recordings/").content.decode()
    assert "No event fits these filters" in bob.get(f"{EVENTS}?name=x").content.decode()


def test_an_event_of_bare_bones_is_shown(people: People) -> None:
    unit = make_instrument(people.organisation)
    bare = make_event(unit, NOW, name="", type="", end_at=None, level_db=None)
    full = make_event(
        unit,
        NOW - timedelta(hours=1),
        document={"overall": [57.67, None, 1], "Octave": list(range(50, 60)), "thirdOctave": [1, 2, "..."]},
    )
    bob = people.client(people.bob)
    assert "holds no time history" in bob.get(f"{EVENTS}{bare.pk}/").content.decode()
    page = bob.get(f"{EVENTS}{full.pk}/").content.decode()
    assert "57.67 · – · 1" in page
    assert "31.5 Hz" in page
    assert "they are numbered" in page
    assert bob.get(EVENTS).status_code == 200


def test_bands_are_named_only_where_their_number_is_documented() -> None:
    octaves, thirds = band_bars([50.0] * 9 + [None]), band_bars([50.0] * 36)
    assert octaves is not None
    assert thirds is not None
    assert octaves.named
    bars = octaves.bars
    assert (bars[0].name, bars[9].name, bars[9].height) == ("31.5", "16k", None)
    assert thirds.bars[0].name == "6.3"
    odd = band_bars([50, 61.5, True, "..."])
    assert odd is not None
    assert not odd.named
    assert [(bar.name, bar.level_db) for bar in odd.bars] == [
        *(("1", 50.0), ("2", 61.5), ("3", None), ("4", None))
    ]
    assert band_bars(None) is None
    assert band_bars([None, "..."]) is None


def test_bars_stand_between_two_levels() -> None:
    drawn = band_bars([48.2, 61.5])
    assert drawn is not None
    assert (drawn.lowest_db, drawn.highest_db) == (40.0, 70.0)
    assert [bar.height for bar in drawn.bars] == [27.3, 71.7]


def test_a_gap_in_a_trace_stays_a_gap() -> None:
    blocks = [
        {"start": 10_000, "step": 1000, "values": [60.04, None]},
        {"start": 3000, "step": 1000, "values": [50.0]},
        {"start": 4000, "step": 1000, "values": [51.0]},
    ]
    figure = trace_figure(
        [{"name": "LAeq", "blocks": blocks}],
        start=datetime.fromtimestamp(5, UTC),
        end=datetime.fromtimestamp(7, UTC),
        zone="UTC",
        label="Event",
        empty="",
    )
    assert figure["marks"] == [{"layer": "event", "at": 5000, "until": 7000, "label": "Event"}]
    (trace,) = figure["traces"]
    assert trace["x"] == [3000, 4000, 5000, 10_000, 11_000]
    assert trace["y"] == [50.0, 51.0, None, 60.0, None]
    assert (figure["start"], figure["end"]) == (3000, 11_000)


def test_a_trace_is_a_table_by_time() -> None:
    table = trace_table(
        [
            {"name": "LAeq", "blocks": [{"start": 2000, "step": 1000, "values": [60.0, None, 60.0]}]},
            {"name": "LAFMax", "blocks": [{"start": 0, "step": 1000, "values": [71.0]}]},
            {"name": "LCPeak", "blocks": [{"start": 2000, "step": 1000, "values": [None]}]},
        ]
    )
    assert table.names == ["LAeq", "LAF,max", "LC,peak"]
    # Nothing was sent of the second 1, and a value that is missing stays missing.
    assert [(at.timestamp(), [*levels]) for at, levels in table.rows] == [
        (0, [None, 71.0, None]),
        (2, [60.0, None, None]),
        (3, [None, None, None]),
        (4, [60.0, None, None]),
    ]
    assert [(name, level, at.timestamp()) for name, level, at in table.highest()] == [
        ("LAeq", 60.0, 2),
        ("LAF,max", 71.0, 0),
    ]


def test_the_instrument_page_names_the_newest(people: People) -> None:
    made = make_events(people.organisation, 20, now=NOW)
    page = people.client(people.bob).get("/o/harbour/i/EV000000/").content.decode()
    assert re.findall(r'<span class="sub">(E\d+)</span>', page) == ["E0", "E2", "E4", "E6", "E8"]
    assert f"{EVENTS}?instrument=EV000000" in page
    assert f"{EVENTS}{made[0].pk}/?instrument=EV000000" in page


def test_more_rows_cost_no_more_queries(people: People) -> None:
    def cost(path: str) -> int:
        client = people.client(people.bob)
        client.get(path)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    made = make_events(people.organisation, 3, now=NOW)
    unit = made[0].instrument
    paths = [
        EVENTS,
        f"{EVENTS}?instrument=EV000000&cause=-",
        f"{EVENTS}{made[1].pk}/",
        "/o/harbour/recordings/",
    ]
    with organisation_scope(people.organisation.pk):
        # Of an empty list it is asked why there is nothing.
        AudioRecording.objects.create(
            organisation=people.organisation, instrument=unit, start_at=NOW, remote_id="first"
        )
    before = [cost(path) for path in paths]
    with organisation_scope(people.organisation.pk):
        for number in range(40):
            more = make_event(unit, NOW - timedelta(hours=1, minutes=number), name=f"E{number}")
            event_tag(event=more, actor=people.mary, now=NOW, comment="x")
            AudioRecording.objects.create(
                organisation=people.organisation,
                instrument=unit,
                start_at=more.start_at,
                remote_id=f"r{number}",
            )
    after = [cost(path) for path in paths]
    assert after == before
    assert max(after) <= 9


def test_an_event_is_headed_by_its_name_its_instrument_and_its_time(people: People, event: Event) -> None:
    at = timezone.localtime(event.start_at)
    with organisation_scope(people.organisation.pk):
        Event.objects.filter(pk=event.pk).update(name="LAeq")
    page = people.client(people.bob).get(f"{EVENTS}{event.pk}/").content.decode()
    text = re.sub(r"\s+", " ", page).replace(" </h1>", "</h1>")
    heading = f"Event LAeq, {event.instrument.name}, {at:%H:%M}"
    assert f"<h1>{heading}</h1>" in text
    assert f"<title>{heading} · {at:%-d %b %Y}" in text
