"""What an organisation has can be taken out, or it is said here why not; no secret has a column to leave by."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models

from instruments.models import ApiKey, Invitation, Organisation, User
from instruments.tenancy import OrgOwned
from monitoring.export import RESOURCES, TIME_HISTORY
from monitoring.models import CalendarFeed
from monitoring.own_columns import TABLES
from monitoring.vendor_columns import SERIES
from webhooks.models import Subscription

# Those whose rows are written among another's.
WITHIN = {
    "monitoring.AlertRule": "alert-rules",
    "monitoring.EventTag": "events",
    "monitoring.TimeHistoryHour": TIME_HISTORY,
}
# Those that are never written, each with the reason.
NOT_EXPORTED = {
    "instruments.ApiKey": "a secret: it opens the account at MyCirrus",
    "instruments.Invitation": "a secret: whoever has it may come in; who did stands among the people and in the log",
    "monitoring.CalendarFeed": "a secret: the address opens the calendar",
    "webhooks.Subscription": "a secret: messages are signed with it",
    "monitoring.AlertWatch": "what judges remember from one verdict to the next",
    "monitoring.CheckStanding": "made of the calibrations and SICs",
    "monitoring.FleetVersion": "a count that tells pages to renew themselves",
    "monitoring.ImpossibleRow": "made of the rows, each of which names its own",
    "monitoring.InstrumentStatus": "the present, made of what was fetched last",
    "monitoring.SyncTarget": "what is fetched next",
    "webhooks.Delivery": "messages that something is there to be fetched",
    "webhooks.Refusal": "counts of what was turned away today",
    "webhooks.Registration": "which webhooks are compared next",
}
SECRET_MODELS = (ApiKey, Invitation, CalendarFeed, Subscription, Organisation)
SECRET = re.compile(r"secret|token|password|ciphertext|fingerprint|digest|last_four|lease|session")
# What the pages show of a person.
OF_A_PERSON = {"email", "first_name", "last_name"}


COLUMNS = [
    (resource, place.model, path)
    for resource, place in {**SERIES, **TABLES}.items()
    for path in place.columns.values()
]


def test_every_model_is_exported_or_says_why_not() -> None:
    told = {place.model._meta.label for place in (*SERIES.values(), *TABLES.values())}
    owned = {model._meta.label for model in apps.get_models() if issubclass(model, OrgOwned)}
    assert owned | {Organisation._meta.label} == told | set(WITHIN) | set(NOT_EXPORTED)
    assert not told & set(NOT_EXPORTED)
    assert set(WITHIN.values()) <= set(RESOURCES)


def test_an_organisation_leaves_with_all_of_its_settings_but_secrets() -> None:
    names = {field.name for field in Organisation._meta.concrete_fields}
    assert names - set(TABLES["organisation"].columns) == {"id", "webhook_token"}


def test_operations_name_each_resource() -> None:
    text = (settings.BASE_DIR / "docs" / "operations.md").read_text()
    section = text.partition("## Take the record out\n")[2].partition("\n## ")[0]
    assert set(RESOURCES) <= set(re.findall(r"`([a-z-]+)`", section))


@pytest.mark.parametrize(
    ("model", "path"), [each[1:] for each in COLUMNS], ids=[f"{each[0]}.{each[2]}" for each in COLUMNS]
)
def test_no_column_leads_to_a_secret(model: Any, path: str) -> None:
    for name in path.split("__"):
        field: models.Field[Any, Any] = model._meta.pk if name == "pk" else model._meta.get_field(name)
        assert not SECRET.search(field.name)
        assert model is not User or field.name in OF_A_PERSON
        model = field.related_model
        assert model not in SECRET_MODELS
