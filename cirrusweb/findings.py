"""What an examination of an installation ends in: how it is, what was seen, what to do; it examines nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: how it is, what was looked at, what was seen, what to do."""

    level: str
    what: str
    message: str
    advice: str = ""


Findings = Iterator[Finding]
