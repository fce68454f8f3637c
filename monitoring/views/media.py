"""The sound of events and recordings, as a browser plays it; the first to ask waits while it is fetched."""

from datetime import UTC

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_safe

from cirrusweb.htmx import render
from instruments.access import organisation_for, place_activate
from monitoring.media.answers import file_answer
from monitoring.media.fetch import Sound, event_sound, recording_sound
from monitoring.media.formats import FORMATS
from monitoring.media.refusal import NotFetched
from monitoring.models import AudioRecording, Event


def event_for(request: HttpRequest, pk: int) -> Event:
    """An event of the organisation in the path, with its instrument and tag. Raises Http404.

    Times are told in the zone of where it was measured from here on.
    """
    organisation_for(request)
    event = Event.objects.select_related("instrument__api_key", "tag").filter(pk=_key(pk)).first()
    if event is None:
        raise Http404
    place_activate(request, event.instrument, event.start_at)
    return event


def recording_for(request: HttpRequest, pk: int) -> AudioRecording:
    """A recording of the organisation in the path, with its instrument. Raises Http404.

    Times are told in the zone of where it was made from here on.
    """
    organisation_for(request)
    found = AudioRecording.objects.select_related("instrument__api_key").filter(pk=_key(pk)).first()
    if found is None:
        raise Http404
    place_activate(request, found.instrument, found.start_at)
    return found


def _key(pk: int) -> int:
    # Beyond what the column holds a database would answer with an error.
    if pk >= 2**63:
        raise Http404
    return pk


@require_safe
def event_audio(request: HttpRequest, slug: str, pk: int) -> HttpResponseBase:
    """The sound of an event, in FLAC or ?format=; ?download names it as a file to keep."""
    event, form = event_for(request, pk), _format(request)
    try:
        sound = event_sound(event=event, form=form)
    except NotFetched as refused:
        return _refused(request, refused, event)
    at = event.audio_at or event.start_at
    return _played(request, sound, f"{event.instrument.serial} {at.astimezone(UTC):%Y-%m-%d %H-%M-%S}Z")


@require_safe
def recording_audio(request: HttpRequest, slug: str, pk: int) -> HttpResponseBase:
    """A recording, in FLAC or ?format=; ?download names it as a file to keep."""
    recording, form = recording_for(request, pk), _format(request)
    try:
        sound = recording_sound(recording=recording, form=form)
    except NotFetched as refused:
        return _refused(request, refused, recording)
    at = recording.start_at.astimezone(UTC)
    return _played(request, sound, f"{recording.instrument.serial} {at:%Y-%m-%d %H-%M-%S}Z")


def _format(request: HttpRequest) -> str:
    asked = request.GET.get("format", FORMATS[0]).upper()
    if asked not in FORMATS:
        raise Http404
    return asked


def _played(request: HttpRequest, sound: Sound, name: str) -> HttpResponseBase:
    return file_answer(
        request,
        sound.handle,
        media_type=sound.format.media_type,
        name=f"{name}.{sound.format.ending}",
        as_attachment="download" in request.GET,
    )


def _refused(request: HttpRequest, refused: NotFetched, thing: Event | AudioRecording) -> HttpResponse:
    if "application/json" in request.headers.get("Accept", ""):
        answer: HttpResponse = JsonResponse(
            {"code": refused.code, "message": refused.message}, status=refused.status
        )
    else:
        context = {
            "organisation": organisation_for(request),
            "refused": refused,
            "instrument": thing.instrument,
            "event": thing if isinstance(thing, Event) else None,
        }
        answer = render(request, "monitoring/events/not_fetched.html", context, status=refused.status)
    if refused.retry_after is not None:
        answer["Retry-After"] = str(max(1, round(refused.retry_after)))
    answer["Cache-Control"] = "no-store"
    return answer
