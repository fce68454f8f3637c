"""Day, evening and night, and Lden made of them: R6 to R9, Directive 2002/49/EC Annex I. Pure: no ORM, no clock."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from monitoring.acoustics.levels import coverage, level_of

# R9, UK Air Quality Standards Regulations 2007 and Directive 2008/50/EC (read; no source gives any for noise): from how
# many percent measured a level is shown, and from how many it stands for the whole.
SHOWN_FROM, WHOLE_FROM = 75.0, 90.0
# R7 asks for a word where what is missing is missing from one part of the day: so many points between two parts.
LOPSIDED_FROM = 10.0


class Part(StrEnum):
    """A part of the day by the clock of the place. The night belongs to the day on whose evening it begins."""

    DAY = "day"
    EVENING = "evening"
    NIGHT = "night"


# What Lden adds to the level of each part, in dB.
PENALTY = {Part.DAY: 0.0, Part.EVENING: 5.0, Part.NIGHT: 10.0}


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours by the local clock at which day, evening and night begin: a matter of the country, R6."""

    day: int = 7
    evening: int = 19
    night: int = 23

    def length(self, part: Part) -> int:
        """How many of the 24 hours it has; where the clocks change the weight stays and the hours do not."""
        return {
            Part.DAY: self.evening - self.day,
            Part.EVENING: self.night - self.evening,
            Part.NIGHT: 24 - self.night + self.day,
        }[part]

    def begins(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """When the parts of ``day`` begin, in UTC, and when the last of them ends."""
        hours = [(day, self.day), (day, self.evening), (day, self.night), (day + timedelta(days=1), self.day)]
        return [datetime.combine(on, time(hour), zone).astimezone(UTC) for on, hour in hours]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a stretch: the sum of seconds x 10^(L/10), its seconds, and the seconds there have been."""

    energy: float = 0.0
    valid_s: float = 0.0
    passed_s: float = 0.0

    @property
    def covered(self) -> float:
        """R9: in percent."""
        return coverage(self.valid_s, self.passed_s)

    @property
    def level(self) -> float | None:
        """LAeq in dB; None where too little of it was measured to stand for the whole."""
        return level_of(self.energy, self.valid_s) if self.covered >= SHOWN_FROM else None

    @property
    def is_whole(self) -> bool:
        """Whether what is missing need not be told of."""
        return self.covered >= WHOLE_FROM


def pooled(stretches: Iterable[Measured]) -> Measured:
    """R7: the same part of many days as one, by valid time and never as a mean of their levels."""
    every = list(stretches)
    return Measured(
        math.fsum(each.energy for each in every),
        math.fsum(each.valid_s for each in every),
        math.fsum(each.passed_s for each in every),
    )


def lden(levels: Mapping[Part, float | None], hours: Hours) -> float | None:
    """Lden in dB of the levels of the three parts: R6. None where one of them is missing."""
    energy = 0.0
    for part in Part:
        level = levels[part]
        if level is None:
            return None
        energy += hours.length(part) * 10 ** ((level + PENALTY[part]) / 10)
    return 10 * math.log10(energy / 24)


def is_lopsided(parts: Mapping[Part, Measured]) -> bool:
    """R7: whether much more is missing from one part of the day than from another, so that Lden leans to a side."""
    covered = [parts[part].covered for part in Part]
    return max(covered) - min(covered) > LOPSIDED_FROM
