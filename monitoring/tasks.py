"""Beat's doorbell for all of monitoring, in one message: on an idle server messages are most of what is paid for."""

from collections.abc import Callable, Iterable

from celery import shared_task

from monitoring.actions.tasks import dispatch as actions_dispatch
from monitoring.alerts.tasks import tick as alerts_tick
from monitoring.sync.tasks import tick as sync_tick
from monitoring.timehistory.tasks import dispatch as histories_dispatch

# What somebody waits for goes before the fleet, whose turns are the most.
PARTS: tuple[Callable[[], object], ...] = (alerts_tick, actions_dispatch, histories_dispatch, sync_tick)


@shared_task
def tick() -> None:
    """Ring for what is due in each part."""
    parts_ring(PARTS)


def parts_ring(parts: Iterable[Callable[[], object]]) -> None:
    """Call each part. One that fails keeps none of the others from theirs; raises ExceptionGroup of the failures."""
    failed = []
    for part in parts:
        try:
            part()
        except Exception as error:
            failed.append(error)
    if failed:
        raise ExceptionGroup("parts of monitoring failed at the tick", failed)
