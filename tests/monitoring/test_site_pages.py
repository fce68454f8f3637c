"""The pages of sites: adding one with its photo, deploying to it, moving on, correcting; nothing shown to outsiders."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image

from instruments.activity import activities
from instruments.models import Deployment, Instrument, Site
from instruments.photos import MOST_BYTES, photo_of, photo_path
from instruments.sites import deployment_start
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_instrument

SITES = "/o/harbour/sites/"
GPS = 0x8825


def picture(width: int = 400, height: int = 300, kind: str = "JPEG", **exif: Any) -> bytes:
    """A picture that says where it was taken, and which way up it is."""
    image = Image.new("RGB", (width, height), "teal")
    told = Image.Exif()
    told[0x0112] = exif.get("orientation", 1)
    told.get_ifd(GPS)[2] = (52.0, 57.0, 33.8)
    kept = io.BytesIO()
    image.save(kept, kind, exif=told)
    return kept.getvalue()


@pytest.fixture(autouse=True)
def _photos_elsewhere(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def site_of(people: People) -> Site:
    with organisation_scope(people.organisation.pk):
        return Site.objects.get()


def test_a_site_is_added_with_its_photo_and_shown(people: People) -> None:
    mary = people.client(people.mary)
    form = {
        "name": "Crane 4",
        "address": "Harbour Road 1",
        "latitude": "52.95939",
        "longitude": "-1.19885",
        "timezone": "Asia/Kathmandu",
        "placement": "facade",
        "notes": "Ask at the gate.",
    }
    upload = SimpleUploadedFile("crane.jpg", picture(2000, 1000, orientation=6), "image/jpeg")
    answer = mary.post(f"{SITES}add/", form | {"photo": upload})
    site = site_of(people)
    assert answer["Location"] == f"{SITES}{site.pk}/"
    # Upright, no larger than a page needs, and nothing of where it was taken.
    assert (site.photo_width, site.photo_height) == (800, 1600)
    shown = people.client(people.bob).get(f"{SITES}{site.pk}/photo/")
    content = b"".join(shown.streaming_content)  # type: ignore[attr-defined]
    with Image.open(io.BytesIO(content)) as kept:
        assert (kept.format, kept.size, dict(kept.getexif())) == ("JPEG", (800, 1600), {})
    assert shown["Content-Type"] == "image/jpeg"
    assert "private" in shown["Cache-Control"]
    text = people.client(people.bob).get(f"{SITES}{site.pk}/").content.decode()
    for told in (
        "Crane 4",
        "Harbour Road 1",
        "Asia/Kathmandu",
        "At a façade",
        "as it was measured",
        "Ask at the gate",
    ):
        assert told in text
    assert people.client(people.charlie).get(f"{SITES}{site.pk}/photo/").status_code == 404
    assert people.client(None).get(f"{SITES}{site.pk}/photo/").status_code == 302
    with organisation_scope(people.organisation.pk):
        assert [entry.verb for entry in activities(before=None, most=9)] == ["site_photo_set", "site_added"]


def test_a_new_photo_takes_the_place_of_the_old_and_its_file(
    people: People, django_capture_on_commit_callbacks: Any
) -> None:
    mary = people.client(people.mary)
    with django_capture_on_commit_callbacks(execute=True):
        mary.post(
            f"{SITES}add/", {"name": "Crane 4", "photo": SimpleUploadedFile("a.png", picture(kind="PNG"))}
        )
    first = photo_path(site_of(people))
    assert first is not None
    assert first.is_file()
    edit = f"{SITES}{site_of(people).pk}/edit/"
    with django_capture_on_commit_callbacks(execute=True):
        mary.post(edit, {"name": "Crane 4", "photo": SimpleUploadedFile("b.jpg", picture())})
    second = photo_path(site_of(people))
    assert second is not None
    assert second.is_file()
    assert not first.exists()
    with django_capture_on_commit_callbacks(execute=True):
        mary.post(edit, {"name": "Crane 4", "remove_photo": "on"})
    assert site_of(people).photo == ""
    assert not second.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("page.jpg", b"<html><script>alert(1)</script></html>", "no JPEG, PNG or WebP"),
        ("cut.jpg", picture()[:900], "no JPEG, PNG or WebP"),
        ("vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG, PNG or WebP"),
        ("empty.jpg", b"", "empty"),
        ("large.jpg", b"x" * (MOST_BYTES + 1), "more than 15 MB"),
    ],
    ids=["html", "cut", "svg", "empty", "large"],
)
def test_what_is_no_picture_is_refused_and_the_form_keeps_its_words(
    people: People, name: str, content: bytes, words: str
) -> None:
    form = {
        "name": "Crane 4",
        "notes": "Ask at the gate.",
        "photo": SimpleUploadedFile(name, content, "image/jpeg"),
    }
    answer = people.client(people.mary).post(f"{SITES}add/", form)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert "Ask at the gate." in answer.content.decode()
    with organisation_scope(people.organisation.pk):
        assert not Site.objects.exists()


def test_a_picture_that_would_fill_the_memory_is_not_decoded() -> None:
    from django.core.exceptions import ValidationError

    # A few hundred bytes that claim 20,000 by 20,000 pixels.
    kept = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(kept, "PNG")
    with pytest.raises(ValidationError):
        photo_of(io.BytesIO(kept.getvalue()), len(kept.getvalue()))


def test_bad_fields_are_refused_in_words(people: People) -> None:
    mary = people.client(people.mary)
    assert mary.post(f"{SITES}add/", {"name": "Crane 4"}).status_code == 302
    for form, words in (
        ({"name": "CRANE 4"}, "There is a site of this name already."),
        ({"name": "B", "latitude": "52"}, "A position needs both"),
        ({"name": "B", "latitude": "91", "longitude": "0"}, "less than or equal to 90"),
        ({"name": "B", "latitude": "nan", "longitude": "0"}, "Enter a number"),
        ({"name": "B", "timezone": "Mars/Base"}, "not one of the available choices"),
        ({"name": ""}, "required"),
    ):
        answer = mary.post(f"{SITES}add/", form)
        assert answer.status_code == 422
        assert words in answer.content.decode()


def test_deploying_moving_and_correcting_in_the_sites_own_time(people: People) -> None:
    instrument = make_instrument(people.organisation)
    mary = people.client(people.mary)
    mary.post(f"{SITES}add/", {"name": "Crane 4", "timezone": "Asia/Kathmandu"})
    site = site_of(people)
    deploy = f"{SITES}{site.pk}/deploy/"
    assert "Asia/Kathmandu" in mary.get(deploy).content.decode()
    answer = mary.post(deploy, {"serial": "QT000001", "start_at": "2026-05-01T09:00", "note": "roof"})
    assert answer.status_code == 302
    with organisation_scope(people.organisation.pk):
        stay = Deployment.objects.get()
        assert stay.start_at == datetime(2026, 5, 1, 3, 15, tzinfo=UTC)
        gate = Site.objects.create(organisation=people.organisation, name="Gate")
    # The organisation's zone at the other site.
    mary.post(f"{SITES}{gate.pk}/deploy/", {"serial": "QT000001", "start_at": "2026-06-01T09:00"})
    with organisation_scope(people.organisation.pk):
        stay.refresh_from_db()
        assert stay.end_at == datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
    clash = mary.post(f"{SITES}{gate.pk}/deploy/", {"serial": "QT000001", "start_at": "2026-05-10T09:00"})
    assert clash.status_code == 422
    assert "It stands at Crane 4 then" in clash.content.decode()
    visit = {"serial": "QT000001", "start_at": "2026-07-01T09:00", "end_at": "2026-07-02T09:00"}
    told = mary.post(deploy, visit, follow=True).content.decode()
    assert f"{instrument} stood at Crane 4, and after that at Gate." in told
    with organisation_scope(people.organisation.pk):
        Deployment.objects.get(start_at=datetime(2026, 7, 1, 3, 15, tzinfo=UTC)).delete()
    edit = f"/o/harbour/deployments/{stay.pk}/"
    assert 'value="2026-05-01T09:00"' in mary.get(edit).content.decode()
    wrong = mary.post(edit, {"start_at": "2026-05-01T09:00", "end_at": "2026-04-01T09:00"})
    assert wrong.status_code == 422
    assert mary.post(edit, {"start_at": "2026-05-02T09:00", "end_at": "2026-05-20T09:00"}).status_code == 302
    with organisation_scope(people.organisation.pk):
        stay.refresh_from_db()
        assert stay.start_at == datetime(2026, 5, 2, 3, 15, tzinfo=UTC)
    assert mary.post(f"{SITES}{site.pk}/remove/").status_code == 302
    assert mary.post(edit, {"remove": "1"}).status_code == 302
    assert mary.post(f"{SITES}{site.pk}/remove/").status_code == 302
    with organisation_scope(people.organisation.pk):
        assert [each.name for each in Site.objects.all()] == ["Gate"]
        assert Instrument.objects.get().pk == instrument.pk


def test_an_empty_organisation_is_taught(people: People) -> None:
    text = people.client(people.mary).get(SITES).content.decode()
    assert "No site yet" in text
    assert "Add a site" in text
    assert (
        "A member of this organisation can add one" in people.client(people.bob).get(SITES).content.decode()
    )


def test_the_list_costs_the_same_queries_for_any_number_of_sites(people: People) -> None:
    client, counts = people.client(people.bob), []
    for size in (3, 30):
        with organisation_scope(people.organisation.pk):
            for number in range(size):
                site = Site.objects.create(organisation=people.organisation, name=f"Site {size} {number}")
                instrument = make_instrument(people.organisation, f"QT{size:03}{number:03}")
                deployment_start(
                    instrument=instrument,
                    site=site,
                    start_at=datetime.now(UTC) - timedelta(days=1),
                    end_at=None,
                    note="",
                    actor=people.mary,
                )
        client.get(SITES)
        with CaptureQueriesContext(connection) as queries:
            assert "Monitor QT" in client.get(SITES).content.decode()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_site_has_a_map_of_what_stands_there(people: People) -> None:
    with organisation_scope(people.organisation.pk):
        site = Site.objects.create(
            organisation=people.organisation, name="Crane 4", latitude=52.95, longitude=-1.2
        )
        instrument = make_instrument(people.organisation, "QT000001", name="North")
        page = f"{SITES}{site.pk}/"
        assert 'class="map"' not in people.client(people.bob).get(page).content.decode()
        deployment_start(
            instrument=instrument,
            site=site,
            start_at=datetime.now(UTC) - timedelta(days=1),
            end_at=None,
            note="",
            actor=people.mary,
        )
    text = people.client(people.bob).get(page).content.decode()
    # The monitor had no fix: it stands where the site is.
    assert 'class="map"' in text
    assert "52.95" in text
    assert 'aria-label="North, ' in text


@pytest.mark.parametrize(
    ("start", "end", "query"),
    [
        # Days before now; None: it stands there still.
        (30, 20, "?from={start}&amp;to={end}"),
        (30, None, "?from={start}&amp;to="),
        # No chart shows more than two years: the end of the stay is what is opened.
        (1500, 20, "?from={longest}&amp;to={end}"),
        (-2, None, ""),
    ],
    ids=["over", "still", "years", "planned"],
)
def test_what_stood_here_leads_to_what_it_measured_here(
    people: People, start: int, end: int | None, query: str
) -> None:
    now = datetime.now(UTC)
    with organisation_scope(people.organisation.pk):
        site = Site.objects.create(organisation=people.organisation, name="Crane 4")
        Deployment.objects.create(
            organisation=people.organisation,
            instrument=make_instrument(people.organisation),
            site=site,
            start_at=now - timedelta(days=start),
            end_at=now - timedelta(days=end) if end else None,
        )
    text = people.client(people.bob).get(f"{SITES}{site.pk}/").content.decode()
    told = {
        "start": f"{now - timedelta(days=start):%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{now - timedelta(days=end or 0):%Y-%m-%dT%H:%M:%SZ}",
        "longest": f"{now - timedelta(days=(end or 0) + 732):%Y-%m-%dT%H:%M:%SZ}",
    }
    assert f'href="/o/harbour/i/QT000001/{query.format(**told)}' + ("" if "to=" in query else '"') in text
