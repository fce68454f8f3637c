"""Sound and time histories on demand: fetched once, kept whole, told clearly why not, and played with seeking."""

import csv
import io
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from instruments.models import ApiKey
from instruments.tenancy import organisation_scope
from monitoring.media.fetch import cache, event_history, event_sound, recording_sound
from monitoring.media.formats import sound_format
from monitoring.media.refusal import NotFetched
from monitoring.models import AudioRecording, Event
from monitoring.templatetags.levels import written
from tests.conftest import People
from tests.monitoring.events.conftest import Heard
from tests.simulated import SimulatedMyCirrus

JSON = {"Accept": "application/json"}


def address(thing: Event | AudioRecording, of: str = "harbour") -> str:
    name = "event" if isinstance(thing, Event) else "recording"
    return reverse(f"monitoring:{name}-audio", kwargs={"slug": of, "pk": thing.pk})


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def counts(mycirrus: SimulatedMyCirrus) -> dict[str, int]:
    return mycirrus.requests()["counts"]


@pytest.mark.parametrize(
    ("beginning", "media_type"),
    [
        (b"fLaC\0\0\0\x22" + bytes(8), "audio/flac"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"OggS" + bytes(12), "audio/ogg"),
        (b"\xff\xf1\x60\x40" + bytes(12), "audio/aac"),
        (b"\xff\xf9\x60\x40" + bytes(12), "audio/aac"),
        (b"\0\0\0\x20ftypM4A " + bytes(4), "audio/mp4"),
        (b"<!doctype html><", None),
        (b'{"error":"NotFou', None),
        # MPEG layer 3 has the same sync but another layer.
        (b"\xff\xfb\x90\x00" + bytes(12), None),
        (b"", None),
    ],
)
def test_formats_are_told_by_their_first_bytes(beginning: bytes, media_type: str | None) -> None:
    found = sound_format(beginning)
    assert (found.media_type if found else None) == media_type


@pytest.mark.parametrize("form", ["FLAC", "WAV", "AAC", "OGG"])
def test_a_sound_is_fetched_once_in_the_chosen_format(
    heard: Heard, mycirrus: SimulatedMyCirrus, people: People, form: str
) -> None:
    bob = people.client(people.bob)
    first = bob.get(f"{address(heard.event)}?format={form}")
    assert first.status_code == 200
    assert first["Content-Type"] == f"audio/{form.lower()}"
    assert first["Content-Disposition"].startswith(f'inline; filename="{heard.instrument.serial} ')
    content = body(first)
    assert len(content) == int(first["Content-Length"]) == cache().size()
    again = bob.get(f"{address(heard.event)}?format={form}&download=1")
    assert body(again) == content
    assert again["Content-Disposition"].startswith("attachment")
    assert counts(mycirrus) == {"geteventaudio": 1}


def test_a_recording_is_fetched_by_its_own_id(
    heard: Heard, mycirrus: SimulatedMyCirrus, people: People
) -> None:
    answer = people.client(people.bob).get(address(heard.recording))
    assert answer.status_code == 200
    assert body(answer)[:4] == b"fLaC"
    assert counts(mycirrus) == {"getaudio": 1}


def test_a_browser_can_seek(heard: Heard, people: People) -> None:
    bob = people.client(people.bob)
    whole = bob.get(address(heard.event))
    content, etag = body(whole), whole["ETag"]
    size = len(content)
    assert whole["Accept-Ranges"] == "bytes"

    def part(asked: str, **more: str) -> Any:
        return bob.get(address(heard.event), headers={"Range": asked, **more})

    for asked, start, end in (
        ("bytes=0-9", 0, 9),
        ("bytes=100-", 100, size - 1),
        ("bytes=-7", size - 7, size - 1),
        (f"bytes=5-{size + 50}", 5, size - 1),
    ):
        answer = part(asked)
        assert answer.status_code == 206
        assert answer["Content-Range"] == f"bytes {start}-{end}/{size}"
        assert body(answer) == content[start : end + 1]
    for asked in (f"bytes={size}-", "bytes=-0"):
        answer = part(asked)
        assert answer.status_code == 416
        assert answer["Content-Range"] == f"bytes */{size}"
    for asked in ("bytes=9-3", "lines=1-2", "bytes=0-1,5-6", "bytes=-", "bytes=a-b"):
        answer = part(asked)
        assert answer.status_code == 200
        assert body(answer) == content
    assert body(part("bytes=0-9", **{"If-Range": '"another"'})) == content
    assert len(body(part("bytes=0-9", **{"If-Range": etag}))) == 10
    assert bob.get(address(heard.event), headers={"If-None-Match": etag}).status_code == 304
    assert "no-cache" in whole["Cache-Control"]
    assert "private" in whole["Cache-Control"]


def test_a_time_history_is_fetched_once(heard: Heard, mycirrus: SimulatedMyCirrus) -> None:
    first = event_history(event=heard.event)
    assert event_history(event=heard.event) == first
    assert counts(mycirrus) == {"geteventtimehistory": 1}
    by_name = {row["name"]: row["blocks"] for row in first}
    (row,) = [
        row
        for row in mycirrus.get(f"/data/events/timehistory/{heard.event.time_history_id}")
        if row["type"] == "LAeq"
    ]
    assert [block["values"] for block in by_name["LAeq"]] == [block["values"] for block in row["blocks"]]
    assert by_name["LAeq"][0]["step"] == 1000


def test_a_trace_is_told_in_words_as_a_table_and_as_a_file(heard: Heard, people: People) -> None:
    bob, path = people.client(people.bob), f"/o/harbour/events/{heard.event.pk}/"
    series = event_history(event=heard.event)
    laeq = next(row for row in series if row["name"] == "LAeq")
    samples = [
        (block["start"] + index * block["step"], value)
        for block in laeq["blocks"]
        for index, value in enumerate(block["values"])
    ]
    loudest = max(value for _, value in samples if value is not None)
    at = datetime.fromtimestamp(next(at for at, value in samples if value == loudest) / 1000, UTC)
    told = bob.get(f"{path}trace.json").json()["summary"]
    local = at.astimezone(people.organisation.zone)
    assert f"LAeq at most {written(loudest)} dB, at {local:%H:%M:%S (%Z)}" in told
    page = bob.get(f"{path}trace/").content.decode()
    assert told in page
    assert f"{path}trace/" in bob.get(path).content.decode()
    lines = list(csv.DictReader(io.StringIO(body(bob.get(f"{path}trace.csv")).decode())))
    assert len(lines) == len({at for row in series for at in _instants(row)})
    assert [float(line["LAeq (dB)"]) for line in lines if line["LAeq (dB)"]] == [
        value for _, value in sorted(samples) if value is not None
    ]
    assert {line["instrument"] for line in lines} == {heard.instrument.serial}


def _instants(row: dict[str, Any]) -> list[int]:
    return [
        block["start"] + index * block["step"]
        for block in row["blocks"]
        for index in range(len(block["values"]))
    ]


def test_an_event_without_a_trace_says_why_on_its_table(heard: Heard, people: People) -> None:
    with organisation_scope(people.organisation.pk):
        Event.objects.filter(pk=heard.event.pk).update(time_history_id="")
    bob, path = people.client(people.bob), f"/o/harbour/events/{heard.event.pk}/"
    assert "MyCirrus holds no time history for this event." in bob.get(f"{path}trace/").content.decode()
    assert body(bob.get(f"{path}trace.csv")) == b"instrument,startTime\n"


@pytest.mark.parametrize(
    ("mood", "code", "words"),
    [
        ({"cut-body": True}, "connection", "broke off"),
        ({"500": True}, "server", "error of its own"),
        ({"429": 30}, "slow", "slow down"),
        ({"expired-key": True}, "refused", "refused the key"),
        ({"missing-scope": "data.audio:read"}, "scope", "data.events:read + data.audio:read"),
        ({"hang": 5}, "timeout", "in time"),
    ],
)
def test_why_not_is_said_and_nothing_half_is_kept(
    heard: Heard,
    mycirrus: SimulatedMyCirrus,
    people: People,
    settings: Any,
    mood: dict[str, Any],
    code: str,
    words: str,
) -> None:
    if "hang" in mood:
        settings.MYCIRRUS_READ_TIMEOUT = 1
    mycirrus.moods(**mood)
    bob = people.client(people.bob)
    answer = bob.get(address(heard.event), headers=JSON)
    assert answer.status_code in (409, 503)
    assert answer.json()["code"] == code
    assert words in answer.json()["message"]
    assert ("Retry-After" in answer.headers) == (answer.status_code == 503)
    page = bob.get(address(heard.event))
    assert page.status_code == answer.status_code
    assert words.encode() in page.content
    assert cache().size() == 0
    mycirrus.moods()
    settings.MYCIRRUS_READ_TIMEOUT = 60
    ApiKey.objects.update(paused_until=None)
    heard.event.refresh_from_db()
    if code != "slow":
        # A key that was told to wait goes on waiting.
        assert bob.get(address(heard.event)).status_code == 200


def test_what_is_gone_is_said(heard: Heard, people: People) -> None:
    Event.objects.filter(pk=heard.event.pk).update(audio_id="soqufchwnw8-qkxiwtgqa5-akdicuysja")
    answer = people.client(people.bob).get(address(heard.event), headers=JSON)
    assert answer.status_code == 404
    assert "no longer holds it" in answer.json()["message"]


def test_without_a_sound_there_is_none(heard: Heard, mycirrus: SimulatedMyCirrus, people: People) -> None:
    Event.objects.filter(pk=heard.event.pk).update(audio_id="")
    assert people.client(people.bob).get(address(heard.event), headers=JSON).status_code == 404
    assert counts(mycirrus) == {}


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ({"data.audio:read": False}, "no scope data.audio:read."),
        ({"data.events:read": False}, "no scope data.events:read."),
    ],
)
def test_a_scope_known_to_be_missing_is_not_asked_with(
    heard: Heard, mycirrus: SimulatedMyCirrus, found: dict[str, bool], missing: str
) -> None:
    heard.event.instrument.api_key.scopes = found  # type: ignore[union-attr]
    with pytest.raises(NotFetched) as refused:
        event_sound(event=heard.event)
    assert missing in str(refused.value)
    assert counts(mycirrus) == {}


def test_a_refused_scope_is_remembered_where_it_can_only_be_one(
    heard: Heard, new_key: Callable[..., ApiKey]
) -> None:
    narrow = new_key(heard.instrument.serial, scopes=["instruments:read", "data.events:read"])
    heard.recording.instrument.api_key = narrow
    with pytest.raises(NotFetched) as refused:
        recording_sound(recording=heard.recording)
    assert refused.value.code == "scope"
    narrow.refresh_from_db()
    assert narrow.scopes == {"data.audio:read": False}


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": timezone.now()},
        {"state": ApiKey.State.REFUSED},
        # Longer than a run, which comes to this test long after it was read.
        {"paused_until": timezone.now() + timedelta(days=1)},
        {"ciphertext": "not ours"},
    ],
)
def test_a_key_that_cannot_be_used_asks_nothing(
    heard: Heard, mycirrus: SimulatedMyCirrus, people: People, change: dict[str, Any]
) -> None:
    ApiKey.objects.filter(pk=heard.api_key.pk).update(**change)
    answer = people.client(people.bob).get(address(heard.event), headers=JSON)
    assert answer.status_code in (409, 503)
    assert counts(mycirrus) == {}


def test_what_is_kept_outlives_the_key(heard: Heard, people: People) -> None:
    bob = people.client(people.bob)
    content = body(bob.get(address(heard.event)))
    ApiKey.objects.filter(pk=heard.api_key.pk).update(revoked_at=timezone.now())
    assert body(bob.get(address(heard.event))) == content


def test_more_than_may_be_kept_is_refused(heard: Heard, settings: Any) -> None:
    settings.MEDIA_CACHE_MB = 0
    with pytest.raises(NotFetched) as refused:
        event_sound(event=heard.event)
    assert refused.value.code == "large"
    assert cache().size() == 0


def test_a_full_disk_is_said(heard: Heard, settings: Any, tmp_path: Any) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(NotFetched) as refused:
        event_sound(event=heard.event)
    assert refused.value.code == "disk"


def test_what_is_no_sound_is_not_kept(
    heard: Heard, mycirrus: SimulatedMyCirrus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time history's id at the address of sounds is refused; a JSON document under 200 is no recording."""
    monkeypatch.setattr(
        "instruments.mycirrus.client.Client.event_audio",
        lambda self, id, format, *, seconds: self._audio(
            "list", f"/data/events/timehistory/{heard.event.time_history_id}", format, seconds
        ),
    )
    with pytest.raises(NotFetched) as refused:
        event_sound(event=heard.event)
    assert refused.value.code == "format"
    assert cache().size() == 0


def test_outsiders_hear_nothing(heard: Heard, mycirrus: SimulatedMyCirrus, people: People) -> None:
    body(people.client(people.bob).get(address(heard.event)))
    charlie: Client = people.client(people.charlie)
    for thing in (heard.event, heard.recording):
        assert charlie.get(address(thing)).status_code == 404
        assert charlie.get(address(thing, of="quarry")).status_code == 404
    assert counts(mycirrus) == {"geteventaudio": 1}


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_fetch_once(heard: Heard, mycirrus: SimulatedMyCirrus) -> None:
    mycirrus.moods(latency=0.4, path="/v1/data/events/audio")
    found: list[bytes] = []
    event = heard.event

    def listen() -> None:
        try:
            with event_sound(event=event).handle as handle:
                found.append(handle.read())
        finally:
            connection.close()

    threads = [threading.Thread(target=listen) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 3
    assert len(set(found)) == 1
    assert counts(mycirrus) == {"geteventaudio": 1}
