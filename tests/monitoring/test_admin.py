"""The operator's tables of sync, alerts and checks: superusers only, every organisation, as quick with many rows."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instruments.admin_base import MirrorAdmin, NearPaginator
from instruments.models import Instrument
from instruments.tenancy import all_organisations, organisation_scope
from monitoring.models import (
    ActionState,
    AlertChannel,
    AlertDelivery,
    Calibration,
    ChannelSecret,
    Digest,
    Gap,
    HistoryState,
    Incident,
    IncidentChange,
    InstrumentAction,
    InstrumentStatus,
    Lane,
    Resource,
    Retention,
    SyncTarget,
    SystemIntegrityCheck,
    TimeHistoryRequest,
)
from tests.conftest import People, make_instrument, make_key, make_organisation, make_user
from tests.plans import assert_found_by

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=9)
ADDRESS = "https://hooks.slack.example/services/T0/B0/secretsecret"
OURS = [
    model
    for model, site in admin.site._registry.items()
    if model._meta.app_label == "monitoring" and isinstance(site, MirrorAdmin)
]


@pytest.fixture
def operator(people: People) -> Client:
    return people.client(make_user("op@example.com", is_staff=True, is_superuser=True))


def address(model: Any, view: str, *args: Any) -> str:
    return reverse(f"admin:monitoring_{model._meta.model_name}_{view}", args=args)


def fill(instrument: Instrument, user: Any) -> None:
    """One row of everything, of this instrument."""
    owner = instrument.organisation
    key = make_key(owner, f"mycirrus-000001-{instrument.pk:016X}")
    with organisation_scope(owner.pk):
        for lane in Lane:
            SyncTarget.objects.create(
                api_key=key, instrument=instrument, resource=Resource.NOISE, lane=lane, due_at=NOW
            )
        incident = Incident.objects.create(instrument=instrument, kind="sic_failed", opened_at=NOW)
        change = IncidentChange.objects.create(
            incident=incident, step="opened", cause=f"sic:{instrument.pk}", at=NOW
        )
        AlertDelivery.objects.create(change=change, recipient=user, due_at=NOW)
        Digest.objects.create(recipient=user, rhythm="daily", on=NOW.date(), asked_at=NOW, due_at=NOW)
        InstrumentAction.objects.create(
            instrument=instrument, kind="SIC", token=uuid.uuid4(), requested_at=NOW, due_at=NOW
        )
        TimeHistoryRequest.objects.create(
            instrument=instrument,
            kind="noise",
            start_at=LONG_AGO,
            end_at=NOW,
            step_ms=1000,
            token=uuid.uuid4(),
            requested_at=NOW,
            fetched_until=LONG_AGO,
            due_at=NOW,
        )
        channel = AlertChannel(organisation=owner, kind="slack", name="Room")
        channel.secret_set(ChannelSecret(ADDRESS))
        channel.save()
        Gap.objects.create(
            instrument=instrument, resource="noise", start_at=LONG_AGO, end_at=NOW, kind="off", found_at=NOW
        )
        InstrumentStatus.objects.create(instrument=instrument, organisation=owner, changed_at=NOW)
        Calibration.objects.create(instrument=instrument, at=NOW, status="Success")
        SystemIntegrityCheck.objects.create(instrument=instrument, at=NOW, status="Failed", passed=False)


@pytest.fixture
def filled(people: People) -> People:
    fill(make_instrument(people.organisation), people.alice)
    fill(make_instrument(people.other, "QT000002"), people.charlie)
    return people


def test_all_that_can_be_shown_is() -> None:
    assert {model.__name__ for model in OURS} >= {
        *("AlertChannel", "AlertDelivery", "Calibration", "Digest", "Gap", "Incident", "InstrumentAction"),
        *("InstrumentStatus", "SyncTarget", "SystemIntegrityCheck", "TimeHistoryRequest"),
    }


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_superusers_only(filled: People, model: Any) -> None:
    staff = make_user("staff@example.com", is_staff=True)
    for user in (None, filled.alice, filled.bob, filled.charlie, staff):
        answer = filled.client(user).get(address(model, "changelist"), follow=True)
        assert "Cirrusweb administration" not in answer.content.decode()
        assert answer.redirect_chain


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_pages_show_every_organisation_and_change_nothing(
    filled: People, operator: Client, model: Any
) -> None:
    page = operator.get(address(model, "changelist"))
    assert page.status_code == 200
    with all_organisations(reason="a test looks at everything"):
        rows = model.objects.count()
        pk = model.objects.order_by("pk").values_list("pk", flat=True)[0]
    assert page.context["cl"].result_count == rows
    shown = page.content.decode()
    assert "Harbour" in shown
    assert "Quarry" in shown
    detail = operator.get(address(model, "change", pk))
    assert detail.status_code == 200
    assert "lease token" not in detail.content.decode().lower()
    assert "secretsecret" not in shown + detail.content.decode()
    assert operator.post(address(model, "change", pk), {}).status_code == 403
    assert operator.get(address(model, "add")).status_code == 403
    assert operator.get(address(model, "delete", pk)).status_code == 403


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_filter_answers(filled: People, operator: Client, model: Any) -> None:
    page = operator.get(address(model, "changelist"))
    for spec in page.context["cl"].filter_specs:
        for choice in spec.choices(page.context["cl"]):
            answer = operator.get(address(model, "changelist") + choice["query_string"])
            assert answer.status_code == 200, choice
    searchable = bool(admin.site._registry[model].search_fields)
    for term, expected in (("qt000002", {"QT000002"}), ("harbour", {"QT000001"}), ("nothing", set())):
        if searchable:
            found = operator.get(address(model, "changelist"), {"q": term}).context["cl"].queryset
            with all_organisations(reason="a test looks at everything"):
                assert {row.instrument.serial for row in found.select_related("instrument")} == expected


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_more_rows_cost_no_more_queries(filled: People, operator: Client, model: Any) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(address(model, "changelist")).status_code == 200
        counts = [each["sql"] for each in queries if "COUNT(" in each["sql"]]
        # None of them runs through the whole table.
        assert counts
        assert all(f"LIMIT {NearPaginator.furthest}" in sql for sql in counts)
        assert not [each["sql"] for each in queries if "DISTINCT" in each["sql"]]
        return len(queries)

    before = cost()
    for number in range(9):
        owner = make_organisation(f"more-{number}")
        fill(make_instrument(owner), make_user(f"more{number}@example.com"))
    assert cost() == before


@pytest.mark.parametrize(
    ("model", "query", "index"),
    [
        *((SyncTarget, {"state": state}, "sync_target_trouble") for state in ("parked", "failing")),
        *(
            (SyncTarget, {"outcome__exact": outcome}, "sync_target_trouble")
            for outcome in ("transient", "rate_limited", "needs_attention", "bug")
        ),
        *(
            (InstrumentAction, {"state__exact": state}, "action_not_succeeded")
            for state in ActionState
            if state != ActionState.SUCCEEDED
        ),
        *(
            (TimeHistoryRequest, {"state__exact": state}, "time_history_request_not_done")
            for state in HistoryState
            if state != HistoryState.DONE
        ),
        (AlertDelivery, {"sent_at__isempty": "1"}, "alert_delivery_unsent"),
        (AlertDelivery, {"failed_at__isempty": "0"}, "alert_delivery_unsent"),
        (Digest, {"sent_at__isempty": "1"}, "digest_unsent"),
        (Digest, {"failed_at__isempty": "0"}, "digest_unsent"),
        (Incident, {"closed_at__isempty": "1"}, "incident_open"),
        (Incident, {"kind__exact": "disk"}, "incident_kind"),
        (SystemIntegrityCheck, {"passed__exact": "0"}, "sic_not_passed"),
        (SystemIntegrityCheck, {"passed__isnull": "True"}, "sic_not_passed"),
    ],
)
def test_rare_rows_are_found_by_an_index(
    filled: People, operator: Client, model: Any, query: dict[str, str], index: str
) -> None:
    found = operator.get(address(model, "changelist"), query).context["cl"].queryset
    assert_found_by(index, found)


def test_a_list_ends_where_nobody_leafs_any_more(
    filled: People, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NearPaginator, "furthest", 5)
    monkeypatch.setattr(admin.site._registry[SyncTarget], "list_per_page", 2)
    monkeypatch.setattr(admin.site._registry[SyncTarget], "list_max_show_all", 2)
    shown = operator.get(address(SyncTarget, "changelist"), {"p": 3}).context["cl"]
    assert (shown.result_count, shown.paginator.num_pages) == (5, 3)
    with all_organisations(reason="a test looks at everything"):
        fifth = SyncTarget.objects.order_by("-pk").values_list("pk", flat=True)[4]
    assert [row.pk for row in shown.result_list] == [fifth]


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("parked", {"parked_at": LONG_AGO}),
        ("failing", {"failures": 3}),
        ("due", {"due_at": LONG_AGO}),
        ("held", {"lease_until": datetime(2099, 1, 1, tzinfo=UTC)}),
        ("done", {"done_at": LONG_AGO}),
    ],
)
def test_targets_by_state(filled: People, operator: Client, state: str, fields: dict[str, Any]) -> None:
    with all_organisations(reason="a test arranges everything"):
        SyncTarget.objects.all().update(due_at=datetime(2099, 1, 1, tzinfo=UTC))
        chosen = SyncTarget.objects.order_by("pk")[2]
        SyncTarget.objects.filter(pk=chosen.pk).update(**fields)
    shown = operator.get(address(SyncTarget, "changelist"), {"state": state}).context["cl"]
    assert [row.pk for row in shown.result_list] == [chosen.pk]


def test_do_it_now_makes_the_chosen_due_and_no_other(filled: People, operator: Client) -> None:
    later = datetime(2099, 1, 1, tzinfo=UTC)
    with all_organisations(reason="a test arranges everything"):
        SyncTarget.objects.all().update(due_at=later, parked_at=LONG_AGO, failures=7)
        one, other, done = SyncTarget.objects.order_by("pk")[:3]
        SyncTarget.objects.filter(pk=done.pk).update(done_at=LONG_AGO)
    answer = operator.post(
        address(SyncTarget, "changelist"),
        {"action": "do_it_now", "_selected_action": [one.pk, done.pk], "index": "0"},
    )
    assert [str(message) for message in get_messages(answer.wsgi_request)] == ["1 resource is due now."]
    with all_organisations(reason="a test looks at everything"):
        due = SyncTarget.objects.due(datetime.now(UTC))
        assert [row.pk for row in due] == [one.pk]
        assert due[0].failures == 0
        other.refresh_from_db()
    assert (other.due_at, other.parked_at) == (later, LONG_AGO)


def test_retention_is_set_by_the_operator_from_a_month_to_a_century(filled: People, operator: Client) -> None:
    values = {"organisation": filled.organisation.pk, "resource": "octave", "days": 30}
    for days in (30, 999_999):
        answer = operator.post(address(Retention, "add"), {**values, "days": days})
        assert "Ensure this value is" in answer.content.decode()
    assert (
        operator.post(address(Retention, "add"), {**values, "resource": "sic", "days": 90}).status_code == 200
    )
    assert operator.post(address(Retention, "add"), {**values, "days": 90}).status_code == 302
    with organisation_scope(filled.organisation.pk):
        assert list(Retention.objects.values_list("resource", "days")) == [("octave", 90)]
    assert filled.client(filled.alice).get(address(Retention, "changelist")).status_code == 302


def test_work_says_what_is_due_and_what_is_held(filled: People, operator: Client) -> None:
    with all_organisations(reason="a test arranges everything"):
        SyncTarget.objects.all().update(due_at=datetime(2099, 1, 1, tzinfo=UTC))
        late, held = SyncTarget.objects.order_by("pk")[:2]
        SyncTarget.objects.filter(pk=late.pk).update(due_at=LONG_AGO)
        token = uuid.uuid4()
        until = datetime(2099, 1, 1, tzinfo=UTC)
        SyncTarget.objects.filter(pk=held.pk).update(lease_until=until, lease_token=token)
    page = operator.get("/admin/tasks/")
    by_kind = {each.kind.model: each for each in page.context["work"]}
    assert (by_kind[SyncTarget].due, by_kind[SyncTarget].since) == (1, LONG_AGO)
    assert [row.pk for row in by_kind[SyncTarget].held] == [held.pk]
    assert by_kind[AlertDelivery].due == by_kind[InstrumentAction].due == 2
    text = page.content.decode()
    assert "Harbour" in text
    # It would be enough to write an outcome in a worker's name.
    assert str(token) not in text
    assert "/admin/tasks/" in operator.get("/admin/").content.decode()
    for user in (None, filled.alice, make_user("staff@example.com", is_staff=True)):
        assert filled.client(user).get("/admin/tasks/").status_code in (302, 403)


def test_work_costs_the_same_whatever_is_due(filled: People, operator: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert operator.get("/admin/tasks/").status_code == 200
        return len(queries)

    with all_organisations(reason="a test arranges everything"):
        SyncTarget.objects.all().update(lease_until=datetime(2099, 1, 1, tzinfo=UTC))
    before = cost()
    for number in range(9):
        fill(make_instrument(make_organisation(f"more-{number}")), make_user(f"more{number}@example.com"))
    with all_organisations(reason="a test arranges everything"):
        SyncTarget.objects.all().update(lease_until=datetime(2099, 1, 1, tzinfo=UTC))
    assert cost() == before
