"""The places to be filled: one webhook for each instrument and message type. It asks nobody and registers nothing."""

from collections.abc import Collection

from instruments.models import ApiKey
from webhooks.messages import KINDS
from webhooks.models import Subscription

State = Subscription.State
_TOGETHER = 500


def slots_of() -> dict[tuple[str, str], Subscription]:
    """The places without a webhook of their own, by serial and type: a listed one that nobody knows belongs there."""
    rows = Subscription.objects.filter(
        created_by_us=True, remote_id=None, state__in=(State.WANTED, State.FAILED)
    )
    return {(row.serial, row.type): row for row in rows}


def slots_ensure(*, api_key: ApiKey, serials: Collection[str]) -> None:
    """Have a place wait for each message type of each of ``serials`` that no webhook fills; inside a transaction.

    What was refused or removed waits again; what nobody wants any more waits no longer.
    """
    filled = set(Subscription.objects.in_place().values_list("serial", "type"))
    ours = Subscription.objects.filter(created_by_us=True).exclude(state__in=(State.RETIRED, State.FOREIGN))
    places = {
        (serial, type_): (pk, state, remote_id, key_id)
        for serial, type_, pk, state, remote_id, key_id in ours.values_list(
            "serial", "type", "pk", "state", "remote_id", "api_key_id"
        )
    }
    drop, again = [], []
    for (serial, type_), (pk, state, remote_id, key_id) in places.items():
        wanted = serial in serials and type_ in KINDS
        if state == State.REGISTERED:
            continue
        if (serial, type_) in filled or (not wanted and state == State.WANTED and key_id == api_key.pk):
            drop.append(pk)
        elif wanted and (state == State.REMOVED or remote_id is None):
            again.append(pk)
    for start in range(0, len(drop), _TOGETHER):
        Subscription.objects.filter(pk__in=drop[start : start + _TOGETHER]).delete()
    for start in range(0, len(again), _TOGETHER):
        # `removed_at` stays: that it had to be made again is worth knowing. So does the `message`: what was refused
        # waits behind what was not.
        Subscription.objects.filter(pk__in=again[start : start + _TOGETHER]).update(
            state=State.WANTED, remote_id=None, ciphertext="", api_key=api_key, host=""
        )
    Subscription.objects.bulk_create(
        [
            Subscription(
                organisation_id=api_key.organisation_id,
                api_key=api_key,
                remote_id=None,
                serial=serial,
                type=type_,
                state=State.WANTED,
                created_by_us=True,
            )
            for serial in sorted(serials)
            for type_ in KINDS
            if (serial, type_) not in filled and (serial, type_) not in places
        ],
        batch_size=_TOGETHER,
    )


def waiting_drop(*, api_key: ApiKey) -> None:
    """Let nothing wait for this key: nobody wants its webhooks registered."""
    Subscription.objects.filter(api_key=api_key, state=State.WANTED).delete()
