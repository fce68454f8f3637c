"""Processes and servers die in mid-sync and mid-webhook; at the end every row is there once, and told."""

import signal
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from instruments.models import User
from monitoring.alerts.channels.keeping import Hears, channel_add
from monitoring.alerts.channels.webhook import signing_key
from monitoring.models import AlertDelivery, ChannelSecret, SyncTarget
from tests.faults.stage import Stage, staged
from tests.monitoring.alerts.chatserver import chat_server

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults-1"),
]


def test_a_power_cut_in_mid_sync(stage: Stage) -> None:
    """Everything is killed at one instant, and started again."""
    stage.check_fails()
    stage.messages()
    stage.processes.kill()
    stage.mycirrus.moods()
    stage.processes.start()
    stage.time_passes()
    stage.settle("everything to be there after the power cut")


def test_each_process_is_killed_in_mid_webhook(stage: Stage) -> None:
    """One after the other, with messages on their way to it, and MyCirrus trying again as it promises."""
    stage.mycirrus.moods()
    # Five tries within seconds.
    stage.mycirrus.moods(**{"retry-spacing": 0.5})
    for name in ("worker", "beat", "web", "redis"):
        stage.check_fails()
        stage.messages()
        stage.processes.kill(name)
        stage.messages("NewMeasurement")
        stage.processes.start(name)
    stage.time_passes()
    stage.settle("everything to be there after each process died once")


def test_two_beats_two_workers_one_of_them_frozen_and_redis_emptied(stage: Stage) -> None:
    """A worker that slept past its leases wakes with its answers, and finds another at its targets."""
    stage.processes.start("beat-2")
    stage.mycirrus.moods(latency=2.5, path="/v1/data")
    stage.until(lambda: len(_tokens()) >= 2, "both of its threads to be at work")
    stage.until(lambda: _frozen(stage), "a moment in which it keeps nobody from writing")
    tokens = _tokens()
    stage.mycirrus.moods()
    with stage.processes.broker() as broker:
        broker.flushall()
    stage.processes.start("worker-2")
    stage.check_fails()
    stage.messages()
    stage.time_passes()
    stage.until(
        lambda: not SyncTarget.objects.filter(lease_token__in=tokens).exists(),
        "another to take over its targets",
    )
    stage.processes.signal(signal.SIGCONT, "worker")
    stage.time_passes()
    stage.settle("everything to be there with two of everything")


def _tokens() -> list[Any]:
    """The tokens of what is held now."""
    held = SyncTarget.objects.filter(lease_until__gt=datetime.now(UTC))
    return list(held.values_list("lease_token", flat=True))


def _frozen(stage: Stage) -> bool:
    """The worker is frozen, and not amid a transaction, in which everybody else would have to wait for it."""
    stage.processes.signal(signal.SIGSTOP, "worker")
    if connection.vendor == "sqlite":
        try:
            with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0.5)) as other:
                other.execute("BEGIN IMMEDIATE")
            return True
        except sqlite3.OperationalError:
            pass
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'")
            if cursor.fetchone() is None:
                return True
    stage.processes.signal(signal.SIGCONT, "worker")
    return False


def test_mycirrus_and_the_mail_server_are_away(stage: Stage) -> None:
    """MyCirrus dies in mid-sync; when it is back the mails are refused, and the worker that tried is killed."""
    stage.mailbox.refuses["*"] = "451 try later"
    stage.mycirrus.stop()
    stage.until(SyncTarget.objects.filter(failures__gt=0).exists, "its absence to be noticed")
    stage.mycirrus.start()
    stage.time_passes()
    stage.until(AlertDelivery.objects.filter(attempts__gt=0).exists, "the mail server to refuse")
    stage.processes.kill("worker")
    stage.mailbox.refuses.clear()
    stage.processes.start("worker")
    stage.time_passes()
    stage.settle("everything to be there after MyCirrus and the mail server are back")


def test_the_worker_dies_between_sending_to_a_channel_and_marking(tmp_path: Path, settings: Any) -> None:
    settings.CHANNEL_PRIVATE_ADDRESSES = True
    with chat_server() as chats, staged(tmp_path, CHANNEL_PRIVATE_ADDRESSES="1") as stage:
        stage.mycirrus.moods()
        room = chats.room("webhook")
        room.key = signing_key()
        # It takes what is sent, and says so so slowly that nobody waits for the end: what it has, we do not know.
        room.drips = 1.0
        channel_add(
            organisation=stage.owner,
            kind="webhook",
            name="Site diary",
            secret=ChannelSecret(chats.address("webhook"), room.key),
            hears=Hears(),
            actor=User.objects.get(),
        )
        stage.check_fails()
        stage.messages()
        stage.until(lambda: room.got, "a message to reach the channel")
        stage.processes.kill("worker")
        owed = AlertDelivery.objects.exclude(target=None)
        assert owed.exists()
        assert not owed.exclude(sent_at=None).exists()
        twice = set(_ids(room.headers))
        room.drips = 0.0
        stage.processes.start("worker")
        stage.time_passes()
        stage.until(lambda: not owed.filter(sent_at=None).exists(), "all of them to be sent and marked")
        # Each at least once, and what came twice under one id: its receiver can tell.
        told = Counter(_ids(room.headers))
        assert len(told) == owed.count()
        assert twice
        assert all(told[each] > 1 for each in twice)


def _ids(headers: list[dict[str, str]]) -> list[str]:
    return [each["webhook-id"] for each in headers]
