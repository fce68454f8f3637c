"""Which levels of an instrument are in doubt, from its checks, the tolerances in force and what reviewers found.

The rules are those of `acoustics/validity.py`; a row of evidence changes no level and no check.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from instruments.activity import activity_note
from instruments.joined import Listed
from instruments.models import Instrument, User
from instruments.mycirrus.types import DECIDED, passed
from monitoring.acoustics.validity import Suspect, Verdict, calibration_step, released, suspects, verdict_of
from monitoring.charts.series import organisation_of
from monitoring.models import Calibration, DoubtReview, SystemIntegrityCheck
from monitoring.models.tolerances import Tolerances

# Of each kind around a stretch: two years of nightly checks, and as many again.
MOST = 1500


class Check(NamedTuple):
    """A calibration or SIC, as far as it decides about levels."""

    kind: str
    at: datetime
    status: str
    offset_db: float | None
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Checked:
    """The checks that decide about a stretch by time, some of them outside of it."""

    calibrations: Sequence[Calibration | Check]
    sics: Sequence[SystemIntegrityCheck | Check]


def _around(kind: str, model: type[Model], offset: str, passed: str, decided: str) -> str:
    """``decided``: which checks say either; those that do not must not hide one that does."""
    table = model._meta.db_table
    of = '"organisation_id" = %(organisation)s AND "instrument_id" = %(instrument)s'
    said = f'SELECT "at" FROM "{table}" WHERE {of} AND {decided}'  # noqa: S608
    before = f'({said} AND "at" < %(start)s ORDER BY "at" DESC LIMIT 1'
    after = f'({said} AND "at" >= %(end)s ORDER BY "at" LIMIT 1)'
    return f"""
        SELECT * FROM (
            SELECT '{kind}', "at", "status", {offset}, {passed} FROM "{table}"
            WHERE {of} AND "at" >= COALESCE({before} OFFSET 1), {before}), %(start)s)
                AND "at" <= COALESCE({after}, %(end)s)
            ORDER BY "at" DESC LIMIT {MOST}
        ) AS {kind}
    """  # noqa: S608 - every name is ours, every value is a parameter


_WORDS = f"""LOWER(TRIM("status")) IN ({", ".join(f"'{word}'" for word in sorted(DECIDED))})"""
# By hand: putting these subqueries together took the ORM longer than the rest of a chart's answer.
_AROUND = Listed(
    Check,
    _around("calibrations", Calibration, '"offset_db"', "CAST(NULL AS BOOLEAN)", _WORDS)
    + " UNION ALL "
    + _around(
        "sics", SystemIntegrityCheck, "CAST(NULL AS DOUBLE PRECISION)", '"passed"', '"passed" IS NOT NULL'
    )
    + ' ORDER BY "at"',
    at=Calibration._meta.get_field("at"),
    passed=SystemIntegrityCheck._meta.get_field("passed"),
)


def checks_around(*, instrument: Instrument, start: datetime, end: datetime) -> Checked:
    """The checks of a stretch with two before it and one after, by time: they decide about its ends. One query."""
    rows = _AROUND.rows(
        organisation=organisation_of(instrument), instrument=instrument.pk, start=start, end=end
    )
    return Checked(
        [check for check in rows if check.kind == "calibrations"],
        [check for check in rows if check.kind == "sics"],
    )


def doubts(*, checked: Checked, held: Tolerances, reviews: Iterable[DoubtReview] = ()) -> list[Suspect]:
    """What calibrations and SICs leave in doubt (R10, R12, R14), shortened to what no reviewer took out of it."""
    return [
        *calibration_doubts(calibrations=checked.calibrations, held=held, reviews=reviews),
        *sic_doubts(checked=checked, reviews=reviews),
    ]


def calibration_doubts(
    *, calibrations: Sequence[Calibration | Check], held: Tolerances, reviews: Iterable[DoubtReview] = ()
) -> list[Suspect]:
    """R10 and R12, of calibrations by time."""
    judged, before = [], None
    for check in calibrations:
        step = calibration_step(check.offset_db, before)
        said = passed(check.status)
        # As `checks.step_from`: a failed one left the meter as it was.
        if check.offset_db is not None and said is not False:
            before = check.offset_db
        verdict = verdict_of(said, step, check.offset_db, most_step=held.step_db, most_offset=held.offset_db)
        judged.append((check.at, verdict))
    return _shortened(suspects(judged), reviews)


def sic_doubts(*, checked: Checked, reviews: Iterable[DoubtReview] = ()) -> list[Suspect]:
    """R14: a good SIC or calibration ends what a failed SIC began; no SIC answers for a calibration."""
    words: dict[bool | None, Verdict] = {True: Verdict.GOOD, False: Verdict.FAILED}
    judged = [(check.at, words.get(check.passed, Verdict.NOT_SAID)) for check in checked.sics]
    judged += [(check.at, Verdict.GOOD) for check in checked.calibrations if passed(check.status)]
    return _shortened(suspects(sorted(judged, key=lambda each: each[0])), reviews)


def doubt_of(*, instrument: Instrument) -> Suspect | None:
    """R14: what the SICs leave in doubt until now; None where a check since was good. Three queries."""
    good = SystemIntegrityCheck.objects.filter(instrument=instrument, passed=True).first()
    start = good.at if good else datetime(1970, 1, 1, tzinfo=UTC)
    checked = checks_around(instrument=instrument, start=start, end=timezone.now())
    found = sic_doubts(checked=checked, reviews=DoubtReview.objects.filter(instrument=instrument))
    return found[-1] if found and found[-1].until_at is None else None


def _shortened(found: list[Suspect], reviews: Iterable[DoubtReview]) -> list[Suspect]:
    evidence = {review.found_at: review.good_until_at for review in newest(reviews)}
    return [released(each, evidence.get(each.found_at)) for each in found]


def newest(reviews: Iterable[DoubtReview]) -> list[DoubtReview]:
    """Of each check's reviews the last, which is the one that holds."""
    last: dict[datetime, DoubtReview] = {}
    for review in sorted(reviews, key=lambda each: each.pk):
        last[review.found_at] = review
    return list(last.values())


def doubt_review(
    *,
    instrument: Instrument,
    suspect: Suspect,
    good_until_at: datetime | None,
    evidence: str,
    actor: User,
) -> DoubtReview:
    """R12's exception: say by what evidence levels were still good until ``good_until_at`` (None: take that back).

    Rows are only added: what was thought before, and why, stays.
    """
    with transaction.atomic():
        review = DoubtReview.objects.create(
            organisation_id=instrument.organisation_id,
            instrument=instrument,
            found_at=suspect.found_at,
            good_until_at=good_until_at,
            evidence=evidence,
            reviewed_at=timezone.now(),
            reviewed_by=actor,
            reviewed_by_name=str(actor),
        )
        until = "–" if good_until_at is None else f"{good_until_at:%Y-%m-%d %H:%M} UTC"
        told = _("good until %(until)s. %(evidence)s") % {"until": until, "evidence": evidence}
        activity_note(
            organisation=instrument.organisation,
            actor=actor,
            verb="doubt_reviewed",
            subject=str(instrument),
            detail=told,
        )
    return review
