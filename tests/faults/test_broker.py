"""Redis answers but writes nothing down: the worker stands through it and goes on as soon as it can."""

import pytest

from tests.faults.stage import Stage

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults-1"),
]


def test_redis_refuses_to_write_in_mid_sync_and_mid_webhook(stage: Stage) -> None:
    """As on a full disk: whatever is read is answered, whatever is written is refused."""
    stage.mycirrus.moods()
    with stage.processes.broker() as broker:
        # Not so many replicas as it is to have: Redis' own refusal, for which no disk has to be filled.
        broker.config_set("min-replicas-to-write", 1)
        stage.check_fails()
        stage.messages()
        stage.until(lambda: "NOREPLICAS" in stage.processes.log("worker"), "the worker to be refused")
        stage.until(lambda: stage.processes.log("worker").count("NOREPLICAS") > 3, "it to try again")
        broker.config_set("min-replicas-to-write", 0)
    stage.time_passes()
    stage.settle("everything to be there once Redis writes again")
    assert not stage.processes.ended()
