"""MyCirrus in every mood of the simulator, one after another, over one installation that goes on running."""

from datetime import UTC, datetime
from typing import Any

import pytest

from instruments.models import ApiKey
from monitoring.models import Lane, SyncTarget
from simulator.moods import NAMES
from tests.faults.stage import Stage

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults-2"),
]

# Each for so many requests, or so many messages where it is one of the webhooks'.
REQUESTS, MESSAGES = 6, 4
FAULTS: list[dict[str, Any]] = [
    {"latency": 0.6},
    {"429": 1, "count": 2},
    {"500": 503, "no-error-body": True},
    {"500": 200},
    {"hang": True, "count": 3},
    {"cut-body": True},
    {"bad-json": True},
    {"expired-key": True},
    {"missing-scope": "data.noise:read"},
    {"lists": "repeat"},
    {"lists": "comma"},
]
HOOKS: list[dict[str, Any]] = [
    {"signature": "base64url", "retry-spacing": 0.2},
    {"webhook-twice": True},
    {"webhook-lost": True, "no-webhook-changes": True},
]
# What each changes alone is held by tests/monitoring/test_moods.py.
SPELLINGS: list[dict[str, Any]] = [
    {"sic-names": True, "calibrations": True, "position": "lat-long", "fraction": 7, "no-zone": True},
    {
        "bare-instruments": True,
        "status-word": "Error",
        "dots": True,
        "camel-values": True,
        "not-found-400": True,
    },
    {"measurements": "blocks", "no-instrument": True, "nulls": True, "unknown-words": True, "fraction": 3},
]


def test_the_table_holds_every_mood() -> None:
    named = {name for mood in (*FAULTS, *HOOKS, *SPELLINGS) for name in mood} - {"count"}
    assert named == NAMES


def test_every_mood_comes_and_goes(stage: Stage) -> None:
    stage.mycirrus.moods()
    stage.settle("the first sync to end")
    for mood in FAULTS + SPELLINGS:
        stage.mycirrus.forget_requests()
        stage.mycirrus.moods(**mood)
        stage.messages()
        stage.until(lambda: _met(stage), f"requests in the mood {mood}")
        stage.mycirrus.moods()
        stage.time_passes()
    for mood in HOOKS:
        before = len(stage.mycirrus.deliveries())
        stage.mycirrus.moods(**mood)
        stage.messages()
        stage.check_fails()
        if "webhook-lost" not in mood:
            stage.until(
                lambda before=before: len(stage.mycirrus.deliveries()) >= before + MESSAGES,
                f"messages in the mood {mood}",
            )
        stage.mycirrus.moods()
    # What was told wrongly is told rightly again: the sweep corrects it.
    stage.time_passes()
    now = datetime.now(UTC)
    SyncTarget.objects.filter(lane=Lane.SWEEP, done_at=None).update(due_at=now)
    stage.until(
        lambda: not SyncTarget.objects.filter(lane=Lane.SWEEP, done_at=None).exclude(ok_at__gt=now).exists(),
        "the sweep of the recent past",
    )
    stage.settle("everything to be there after every mood")


def _met(stage: Stage) -> bool:
    # A refused key is asked nothing more until somebody mends it, so its mood may be met by a single request.
    refused = ApiKey.objects.filter(state=ApiKey.State.REFUSED).exists()
    return refused or stage.mycirrus.requests()["total"] >= REQUESTS
