"""Deleting an organisation and a person from the command line: all that is theirs, and nothing of anybody else's."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cirrusweb import removal
from instruments.activity import activity_note
from instruments.models import Activity, Instrument, Invitation, Membership, Organisation, User
from instruments.people import invitation_send
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.media.fetch import cache
from monitoring.models import AlertDelivery, Bucket, Incident, NoiseMeasurement, NoiseRollup
from monitoring.sync.targets import keys_catch_up, targets_ensure
from tests.conftest import People, join, make_instrument, make_key, make_user
from tests.monitoring.failing import NIGHT, arrive, asks, check

from .conftest import Run

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def filled(organisation: Organisation, listener: User) -> Instrument:
    """An organisation with something in most of its tables; its monitor."""
    asks(organisation, listener)
    instrument = make_instrument(
        organisation, api_key=make_key(organisation), first_seen_at=NOW - timedelta(days=30)
    )
    with organisation_scope(organisation.pk):
        targets_ensure(instruments=[instrument], now=NOW)
        arrive(instrument, check(NIGHT))
        start = datetime(2026, 11, 20, tzinfo=UTC)
        NoiseMeasurement.objects.bulk_create(
            NoiseMeasurement(
                organisation_id=organisation.pk,
                instrument=instrument,
                start_at=start + n * timedelta(minutes=1),
            )
            for n in range(25)
        )
        for bucket in Bucket:
            NoiseRollup.objects.create(
                instrument=instrument, bucket_s=bucket, start_at=start, energy=1.0, valid_s=60.0, count=1
            )
    return instrument


def rows_of(organisation: Organisation) -> dict[str, int]:
    with organisation_scope(organisation.pk):
        return {model._meta.label: model.objects.count() for model in removal.owned_models()}


@pytest.fixture
def quarry(people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Both organisations filled; what Quarry has, which must be there afterwards as well."""
    monkeypatch.setattr(removal, "CHUNK", 10)
    filled(people.organisation, people.bob)
    filled(people.other, people.charlie)
    keys_catch_up(now=NOW)
    before = rows_of(people.other)
    assert before["monitoring.NoiseMeasurement"] == 25
    yield before
    assert rows_of(people.other) == before
    connection.check_constraints()


def test_an_organisation_goes_with_all_that_it_has(
    people: People,
    quarry: dict[str, int],
    run: Run,
    settings: Any,
    tmp_path: Path,
    django_capture_on_commit_callbacks: Any,
) -> None:
    settings.DATA_DIR = tmp_path
    folders = []
    for organisation in (people.organisation, people.other):
        folders += [tmp_path / "photos" / str(organisation.pk), cache().place(organisation.pk, "x").parent]
    for folder in folders:
        folder.mkdir(parents=True)

    with django_capture_on_commit_callbacks(execute=True):
        said = run("organisation_delete", "harbour", "--yes", "--json")

    assert said.json["deleted"]["noise measurements"] == 25
    assert set(rows_of(people.organisation).values()) == {0}
    assert not Organisation.objects.filter(slug="harbour").exists()
    assert [folder.exists() for folder in folders] == [False, False, True, True]
    # People keep their accounts.
    assert User.objects.filter(pk=people.bob.pk).exists()


def test_it_asks_for_the_address_once_more(
    people: People, quarry: dict[str, int], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for typed in ("", "quarry\n"):
        said = run("organisation_delete", "harbour", stdin=typed)
        assert said.failure == "Nothing was deleted."
        assert "Harbour: 1 instruments, 0 sites, 1 API keys, 4 memberships" in said.out
    assert run("organisation_delete", "harbour", "--json").failure.endswith("say --yes.")
    assert Organisation.objects.filter(slug="harbour").exists()
    assert run("organisation_delete", "harbour", stdin="harbour\n").out.endswith("Harbour is deleted.\n")


def test_what_was_interrupted_goes_on(people: People, quarry: dict[str, int], run: Run) -> None:
    steps = removal.organisation_remove(organisation=people.organisation)
    for what, count in steps:
        if (what, count) == ("noise measurements", 20):
            break
    steps.close()
    # Nobody is in what is half gone, and nothing is fetched into it.
    keys_catch_up(now=NOW)
    left = rows_of(people.organisation)
    assert (left["monitoring.NoiseMeasurement"], left["instruments.Membership"]) == (5, 0)
    assert (left["monitoring.SyncTarget"], left["instruments.Instrument"]) == (0, 1)
    assert people.client(people.alice).get(reverse("monitoring:fleet", args=["harbour"])).status_code == 404
    assert run("organisation_delete", "harbour", "--yes", "--json").json["deleted"]["noise measurements"] == 5
    assert not Organisation.objects.filter(slug="harbour").exists()


def test_a_person_goes_and_the_log_keeps_no_address(people: People, quarry: dict[str, int], run: Run) -> None:
    bob, email = people.bob, "bob@example.com"
    bob.first_name = ""
    bob.save()
    longer = make_user("not.bob@example.com")
    with organisation_scope(people.organisation.pk):
        for person in (bob, longer):
            activity_note(
                organisation=people.organisation, actor=person, verb="member_joined", subject=str(person)
            )
        Incident.objects.update(acknowledged_by=bob)
        sent = AlertDelivery.objects.filter(recipient=bob)
        assert sent.exists()
    LogEntry.objects.create(
        user=people.alice,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(bob.pk),
        object_repr=email,
        action_flag=CHANGE,
    )
    with organisation_scope(people.other.pk):
        invitation_send(organisation=people.other, email=email, role="viewer", actor=people.charlie, now=NOW)
    quarry["instruments.Activity"] += 1

    said = run("person_delete", "Bob@Example.com", "--yes")

    assert (said.out, said.failure) == ("bob@example.com is deleted.\n", "")
    assert not User.objects.filter(pk=bob.pk).exists()
    assert not EmailAddress.objects.filter(email=email).exists()
    with all_organisations(reason="test"):
        assert not Invitation.objects.filter(email=email).exists()
        assert not Membership.objects.filter(user_id=bob.pk).exists()
        assert Incident.objects.filter(organisation=people.organisation).exists()
        written = {
            (entry.actor_name, entry.subject) for entry in Activity.objects.filter(verb="member_joined")
        }
        assert written == {(removal.SOMEBODY, removal.SOMEBODY), (longer.email, longer.email)}
        assert Activity.objects.filter(verb="member_removed", subject=removal.SOMEBODY).count() == 1
        assert not Activity.objects.filter(subject=email).exists()
    assert LogEntry.objects.get().object_repr == removal.SOMEBODY


def test_it_asks_for_a_persons_address_once_more(people: People, run: Run) -> None:
    for typed in ("", "y\n"):
        said = run("person_delete", "Bob@Example.com", stdin=typed)
        assert said.failure == "Nothing was deleted."
        assert "bob@example.com: the account will be deleted for good" in said.out
    assert run("person_delete", "bob@example.com", "--json").failure.endswith("say --yes.")
    assert User.objects.filter(pk=people.bob.pk).exists()
    said = run("person_delete", "bob@example.com", stdin="bob@example.com\n")
    assert said.out.endswith("bob@example.com is deleted.\n")
    assert run("person_delete", "mary@example.com", "--yes", "--json").json == {"deleted": "mary@example.com"}


def test_the_only_owner_stays(people: People, run: Run) -> None:
    said = run("person_delete", "alice@example.com", "--yes")
    assert said.failure.startswith("alice@example.com is the only owner of harbour")
    assert User.objects.filter(pk=people.alice.pk).exists()
    assert run("person_delete", "nobody@example.com").failure == "Nobody signs in with nobody@example.com."
    second = make_user("ann@example.com")
    join(people.organisation, second, "owner")  # type: ignore[arg-type]
    assert run("person_delete", "alice@example.com", "--yes").failure == ""


def test_the_admin_says_how_and_collects_nothing(people: People, quarry: dict[str, int]) -> None:
    operator = people.client(make_user("op@example.com", is_staff=True, is_superuser=True))
    for row, told in (
        (people.organisation, "organisation_delete harbour"),
        (people.bob, "person_delete bob@"),
    ):
        name = f"admin:instruments_{row._meta.model_name}"
        with CaptureQueriesContext(connection) as queries:
            answer = operator.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}, follow=True)
        assert told in answer.content.decode()
        assert not any("noisemeasurement" in query["sql"].lower() for query in queries)
        assert "delete_selected" not in operator.get(reverse(f"{name}_changelist")).content.decode()
        assert type(row).objects.filter(pk=row.pk).exists()


def test_whoever_points_to_others_goes_before_them() -> None:
    order = [model._meta.label for model in removal.owned_models()]
    assert order.index("monitoring.NoiseMeasurement") < order.index("instruments.Instrument")
    assert order.index("monitoring.AlertDelivery") < order.index("monitoring.IncidentChange")
    assert order.index("instruments.Deployment") < order.index("instruments.Site")
    assert len(order) == len(set(order))
