"""Fetching a sound or an event's time history through the organisation's key, once, and into the cache.

Called by web requests: everything here has an end in time and size. Never call it inside a transaction.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import orjson
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from instruments.credentials import SecretUnreadable
from instruments.keys import api_key_scope_found, client_for
from instruments.models import ApiKey, Instrument, Organisation
from instruments.mycirrus import Client, MissingScope, MyCirrusError, TimeHistory
from instruments.mycirrus.client import AudioFormat
from monitoring.media import refusal
from monitoring.media.cache import LockTimeout, MediaCache, TooLarge
from monitoring.media.formats import BEGINNING, FORMATS, Format, sound_format
from monitoring.models import AudioRecording, Event
from monitoring.threads import FETCHES, Full

log = structlog.get_logger(__name__)

MEGABYTE = 1024 * 1024
# A recording of an hour; more of one thing would throw out everybody else's.
MOST_MB = 256

EVENTS, AUDIO = "data.events:read", "data.audio:read"


@dataclass(frozen=True, slots=True)
class Sound:
    """A whole sound file, open to be read and then closed."""

    handle: IO[bytes]
    format: Format


def cache() -> MediaCache:
    """The cache of this installation."""
    return MediaCache(
        root=settings.DATA_DIR / "media",
        limit=settings.MEDIA_CACHE_MB * MEGABYTE,
        secret=b"media:" + settings.SECRET_KEY.encode(),
    )


def organisation_gone(instance: Organisation, **_: object) -> None:
    """Let the sounds of an organisation go once it is deleted for good."""
    organisation_id = instance.pk
    transaction.on_commit(lambda: cache().clear(organisation_id))


def files_of(row: Event | AudioRecording) -> list[Path]:
    """Where what can be fetched of ``row`` is kept."""
    whats: list[tuple[str, ...]]
    if isinstance(row, Event):
        whats = [("event", row.audio_id, form) for form in FORMATS if row.audio_id]
        whats += [("history", row.time_history_id)] if row.time_history_id else []
    else:
        whats = [("recording", row.remote_id, form) for form in FORMATS]
    instrument = row.instrument
    return [cache().place(instrument.organisation_id, instrument.serial, *what) for what in whats]


def files_drop(places: Iterable[Path]) -> None:
    """Let go of what is kept there; what is not there is no error."""
    for place in places:
        place.unlink(missing_ok=True)


def event_sound(*, event: Event, form: str = FORMATS[0]) -> Sound:
    """The sound of ``event`` in one of FORMATS. Raises NotFetched."""
    if not event.audio_id:
        raise refusal.nothing_there()
    return _sound(
        event.instrument,
        ("event", event.audio_id, form),
        [EVENTS, AUDIO],
        lambda client, seconds: client.event_audio(event.audio_id, cast(AudioFormat, form), seconds=seconds),
    )


def recording_sound(*, recording: AudioRecording, form: str = FORMATS[0]) -> Sound:
    """A recording in one of FORMATS. Raises NotFetched."""
    return _sound(
        recording.instrument,
        ("recording", recording.remote_id, form),
        [AUDIO],
        lambda client, seconds: client.audio(recording.remote_id, cast(AudioFormat, form), seconds=seconds),
    )


def event_history(*, event: Event) -> list[dict[str, Any]]:
    """The time history of ``event``: [{"name", "blocks": [{"start", "step", "values"}]}]. Raises NotFetched.

    Times are in epoch milliseconds UTC, levels in dB, None where a sample is missing.
    """
    if not event.time_history_id:
        raise refusal.nothing_there()

    def pieces(client: Client) -> Iterable[bytes]:
        return [orjson.dumps([_document(row) for row in client.event_time_history(event.time_history_id)])]

    with _kept(event.instrument, ("history", event.time_history_id), [EVENTS], pieces) as handle:
        found: list[dict[str, Any]] = orjson.loads(handle.read())
        return found


def _document(row: TimeHistory) -> dict[str, Any]:
    return {
        "name": row.name,
        "blocks": [
            {
                "start": round(block.start_at.timestamp() * 1000),
                # MyCirrus' default is a second.
                "step": round((block.sample_s or 1.0) * 1000),
                "values": block.values,
            }
            for block in row.blocks
        ],
    }


def _sound(
    instrument: Instrument,
    what: tuple[str, ...],
    scopes: list[str],
    call: Callable[[Client, float], Any],
) -> Sound:
    def pieces(client: Client) -> Iterator[bytes]:
        with call(client, float(settings.MEDIA_FETCH_SECONDS)) as stream:
            beginning, known = b"", False
            for piece in stream:
                if not known:
                    beginning += piece
                    if len(beginning) < BEGINNING:
                        continue
                    # Before anything is kept: an error page under a status of success is no recording.
                    if sound_format(beginning) is None:
                        raise refusal.no_sound()
                    known, piece = True, beginning
                yield piece
            if not known:
                raise refusal.no_sound()

    handle = _opened(instrument, what, scopes, pieces)
    form = sound_format(handle.read(BEGINNING))
    handle.seek(0)
    if form is None:
        handle.close()
        raise refusal.no_sound()
    return Sound(handle, form)


@contextmanager
def _kept(
    instrument: Instrument,
    what: tuple[str, ...],
    scopes: list[str],
    pieces: Callable[[Client], Iterable[bytes]],
) -> Iterator[IO[bytes]]:
    handle = _opened(instrument, what, scopes, pieces)
    try:
        yield handle
    finally:
        handle.close()


def _opened(
    instrument: Instrument,
    what: tuple[str, ...],
    scopes: list[str],
    pieces: Callable[[Client], Iterable[bytes]],
) -> IO[bytes]:
    """What is kept, or else what is fetched now: of several who ask at once one fetches and the others wait."""
    kept = cache()
    place = kept.place(instrument.organisation_id, instrument.serial, *what)
    try:
        return kept.open(place) or _opened_alone(kept, place, _usable(instrument, scopes), scopes, pieces)
    except (Full, LockTimeout):
        raise refusal.busy() from None
    except TooLarge:
        raise refusal.too_large(min(MOST_MB, settings.MEDIA_CACHE_MB)) from None
    except OSError as fault:
        log.warning("media_not_stored", error=type(fault).__name__, errno=fault.errno)
        raise refusal.disk_full() from None


def _opened_alone(
    kept: MediaCache,
    place: Path,
    api_key: ApiKey,
    scopes: list[str],
    pieces: Callable[[Client], Iterable[bytes]],
) -> IO[bytes]:
    until = time.monotonic() + settings.MEDIA_FETCH_SECONDS
    with FETCHES.held(api_key.organisation_id), kept.alone(place, until=until):
        # Whoever held it before us may have brought it.
        handle = kept.open(place)
        if handle is None:
            _fetch(kept, place, api_key, scopes, pieces)
            handle = kept.open(place)
    if handle is None:
        # So little room that others' sounds took its place at once.
        raise refusal.disk_full()
    return handle


def _usable(instrument: Instrument, scopes: list[str]) -> ApiKey:
    key = instrument.api_key
    if key is None or key.revoked_at is not None or key.state == ApiKey.State.REFUSED:
        raise refusal.no_key()
    if missing := [scope for scope in scopes if not key.allows(scope)]:
        raise refusal.missing_scopes(missing)
    if key.paused_until is not None and key.pausing(now := timezone.now()):
        raise refusal.NotFetched("slow", refusal.slow_words(), 503, (key.paused_until - now).total_seconds())
    return key


def _fetch(
    kept: MediaCache,
    place: Path,
    api_key: ApiKey,
    scopes: list[str],
    pieces: Callable[[Client], Iterable[bytes]],
) -> None:
    try:
        # Not hurried: to turn a recording into another format may take MyCirrus a while before the first byte.
        with client_for(api_key) as client:
            size = kept.write(place, pieces(client), most=MOST_MB * MEGABYTE)
    except SecretUnreadable:
        raise refusal.unreadable_key() from None
    except MyCirrusError as error:
        log.warning("media_not_fetched", error=type(error).__name__, status=error.status)
        if isinstance(error, MissingScope) and len(scopes) == 1:
            api_key_scope_found(api_key=api_key, scope=scopes[0], held=False)
        raise refusal.of_error(error, scopes) from None
    log.info("media_fetched", bytes=size)
