"""Due dates of calibrations and certificates as an iCalendar (RFC 5545, 7986) of the organisation in scope."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from icalendar import Calendar, Event

from instruments.models import Organisation
from monitoring.boards import BoardTime, board, board_row
from monitoring.models import Certificate
from monitoring.models.tolerances import tolerances_in_force

DAY = timedelta(days=1)
# How often a program should look: due dates move when somebody calibrates.
EVERY = timedelta(hours=6)


def calendar_of(organisation: Organisation, *, now: datetime) -> bytes:
    """The whole calendar. The same due dates give the same bytes, so that an unchanged one need not be sent again."""
    calendar = Calendar()
    calendar.add("prodid", "-//Cirrusweb//Calibrations//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    name = _("Calibrations, %(organisation)s") % {"organisation": organisation.name}
    # The second is what most programs read, the first what RFC 7986 says.
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", EVERY, parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", EVERY)
    for event in (*_calibrations(organisation, now), *_certificates(organisation)):
        calendar.add_component(event)
    return calendar.to_ical()


def _calibrations(organisation: Organisation, now: datetime) -> Iterator[Event]:
    tolerances = tolerances_in_force()
    time = BoardTime(now, now.astimezone(organisation.zone).date())
    for each in board("calibrations", tolerances=tolerances, time=time):
        row = board_row(each, "calibrations", tolerances=tolerances, time=time)
        good_at, due_at = row.standing.good_calibration_at, row.due_at
        if good_at is None or due_at is None:
            continue
        deployed = getattr(each, "deployed", None)
        yield _event(
            # Of the instrument, not of the date: the next calibration moves the event and adds none.
            uid=f"calibration-{organisation.pk}-{each.pk}",
            on=due_at.astimezone(organisation.zone).date(),
            summary=_("Calibration due: %(instrument)s") % {"instrument": each},
            description=_("The last good calibration was on %(day)s. A SIC does not replace one.")
            % {"day": good_at.astimezone(organisation.zone).date().isoformat()},
            location=deployed.site.name if deployed is not None else "",
            page=reverse("monitoring:calibrations", args=[organisation.slug, each.serial]),
            made_at=good_at,
        )


def _certificates(organisation: Organisation) -> Iterator[Event]:
    """The newest of each instrument and calibrator: an older one has been replaced."""
    seen: set[tuple[int | None, int | None]] = set()
    page = reverse("monitoring:checks-certificates", args=[organisation.slug])
    for row in Certificate.objects.select_related("instrument", "calibrator"):
        about = (row.instrument_id, row.calibrator_id)
        if about in seen or (row.instrument is not None and row.instrument.gone_at is not None):
            continue
        seen.add(about)
        yield _event(
            uid=f"certificate-{organisation.pk}-{row.pk}",
            on=row.due_on,
            summary=_("Certificate expires: %(what)s") % {"what": row.instrument or row.calibrator},
            description=_("Number %(number)s of %(laboratory)s, calibrated on %(day)s.")
            % {"number": row.number, "laboratory": row.laboratory, "day": row.issued_on.isoformat()},
            location="",
            page=page,
            made_at=row.created_at,
        )


def _event(
    *, uid: str, on: date, summary: str, description: str, location: str, page: str, made_at: datetime
) -> Event:
    event = Event()
    event.add("uid", f"{uid}@{_domain()}")
    # Of the fact, not of this moment: see `calendar_of`.
    event.add("dtstamp", made_at.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", on)
    event.add("dtend", on + DAY)
    # A whole day, and nobody is busy with it.
    event.add("transp", "TRANSPARENT")
    told: dict[str, Any] = {"summary": summary, "description": description, "location": location}
    for name, text in told.items():
        if text:
            event.add(name, text)
    event.add("url", settings.PUBLIC_URL + page)
    return event


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
