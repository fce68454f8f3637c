"""Many deliveries processed once more, old ones deleted, and what the operator sees of both."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from tests.conftest import People, make_user
from tests.webhooks.conftest import HOOK_ID, SECRET, make_delivery, make_subscription
from webhooks import retention, tasks
from webhooks.models import Delivery, Refusal, Subscription
from webhooks.retention import deliveries_expire

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
FAILED, DONE, WAITS = Delivery.State.FAILED, Delivery.State.PROCESSED, Delivery.State.RECEIVED


def post(people: People, person: Any, **form: Any) -> Any:
    return people.client(person).post(
        reverse("webhooks:deliveries-replay", args=["harbour"]), form, follow=True
    )


def states(owner: Organisation) -> dict[str, str]:
    with organisation_scope(owner.pk):
        return dict(Delivery.objects.values_list("serial", "state"))


def test_ticked_deliveries_are_processed_once_more(people: People) -> None:
    one = make_delivery(people.organisation, serial="A", state=DONE, effect="Done.", attempts=1)
    two = make_delivery(people.organisation, serial="B", state=FAILED, attempts=5)
    make_delivery(people.organisation, serial="C", state=FAILED)
    theirs = make_delivery(people.other, serial="D", state=FAILED)
    page = post(people, people.adam, delivery=[one.pk, two.pk, theirs.pk, "nonsense", "9" * 30])
    assert "2 deliveries are processed once more" in page.content.decode()
    assert states(people.organisation) == {"A": WAITS, "B": WAITS, "C": FAILED}
    assert states(people.other) == {"D": FAILED}
    with organisation_scope(people.organisation.pk):
        one.refresh_from_db()
    assert (one.attempts, one.effect, one.processed_at) == (0, "", None)


def test_all_failed_that_the_filters_let_through(people: People) -> None:
    for serial, kind, state in (
        ("A", "NewEvent", FAILED),
        ("B", "SicFinished", FAILED),
        ("C", "NewEvent", DONE),
    ):
        make_delivery(people.organisation, serial=serial, type=kind, state=state)
    post(people, people.adam, what="failed", type="NewEvent")
    assert states(people.organisation) == {"A": WAITS, "B": FAILED, "C": DONE}
    post(people, people.adam, what="failed")
    assert states(people.organisation) == {"A": WAITS, "B": WAITS, "C": DONE}
    assert "No delivery was chosen" in post(people, people.adam).content.decode()


def test_only_admins_choose_and_the_list_stands_still_meanwhile(people: People) -> None:
    make_delivery(people.organisation, state=FAILED, serial="A")
    address = reverse("webhooks:inbox", args=["harbour"]) + "?state=failed&choose=1"
    page = people.client(people.adam).get(address).content.decode()
    assert 'type="checkbox" name="delivery"' in page
    assert "every 5s" not in page
    page = people.client(people.bob).get(address).content.decode()
    assert 'name="delivery"' not in page
    assert "every 5s" in page
    assert post(people, people.bob, what="failed").status_code == 403
    assert post(people, people.charlie, what="failed").status_code == 404
    assert states(people.organisation) == {"A": FAILED}


def test_old_deliveries_go_in_pieces_and_what_waits_stays(
    people: People, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DELIVERY_DAYS = 90
    monkeypatch.setattr(retention, "TOGETHER", 2)
    old, young = NOW - timedelta(days=91), NOW - timedelta(days=89)
    for number in range(5):
        make_delivery(people.organisation, serial=f"old{number}", now=old, state=DONE)
    make_delivery(people.organisation, serial="waits", now=old)
    make_delivery(people.organisation, serial="young", now=young, state=DONE)
    make_delivery(people.other, serial="theirs", now=old, state=DONE)
    with organisation_scope(people.organisation.pk):
        assert deliveries_expire(now=NOW, most=3) == 4
        assert deliveries_expire(now=NOW, most=3) == 1
        assert deliveries_expire(now=NOW, most=3) == 0
    assert set(states(people.organisation)) == {"waits", "young"}
    assert set(states(people.other)) == {"theirs"}
    tasks.expire()
    assert states(people.other) == {}
    settings.DELIVERY_DAYS = 0
    make_delivery(people.other, serial="for ever", now=old, state=DONE)
    tasks.expire()
    assert set(states(people.other)) == {"for ever"}


def test_the_operator_looks_and_replays_and_sees_no_secret(people: People) -> None:
    operator = people.client(make_user("op@example.com", is_staff=True, is_superuser=True))
    delivery = make_delivery(people.organisation, serial="QT000001", state=FAILED)
    subscription = make_subscription(people.organisation)
    with organisation_scope(people.organisation.pk):
        Refusal.objects.note(reason="no_secret", webhook_id="w", now=NOW)
        refusal = Refusal.objects.get()
        ciphertext = Subscription.objects.get().ciphertext
    for thing, shown in ((delivery, "NewMeasurement"), (subscription, HOOK_ID), (refusal, "No secret")):
        name = f"admin:webhooks_{thing._meta.model_name}"
        for address in (reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[thing.pk])):
            answer = operator.get(address)
            assert answer.status_code == 200
            page = answer.content.decode()
            assert SECRET not in page
            assert ciphertext not in page
        assert shown in page
        assert operator.get(reverse(f"{name}_add")).status_code == 403
        assert operator.post(reverse(f"{name}_delete", args=[thing.pk]), {"post": "yes"}).status_code == 403
    assert operator.get(reverse("admin:webhooks_registration_changelist")).status_code == 200
    form = {"action": "process_again", "_selected_action": [delivery.pk]}
    operator.post(reverse("admin:webhooks_delivery_changelist"), form)
    assert states(people.organisation) == {"QT000001": WAITS}
    assert people.client(people.alice).get(reverse("admin:webhooks_delivery_changelist")).status_code in (
        302,
        403,
    )
