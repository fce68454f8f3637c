"""What goes over the wire in small: instants, durations and refusals; it must not know instruments."""

import re
from datetime import UTC, datetime
from functools import lru_cache

DAY = 86_400
_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()

_INSTANT = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]00:?00)$")
_DURATION = re.compile(
    r"^P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$"
)


class Refused(Exception):
    """A request that is answered with an error body."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.status = status
        self.error = error
        self.description = description

    def body(self) -> dict[str, str]:
        return {"error": self.error, "description": self.description}


def token_expired() -> Refused:
    return Refused(
        401, "TokenExpired", "Your access token is invalid or has expired. Try refreshing the token."
    )


def access_denied() -> Refused:
    return Refused(403, "AccessDenied", "You do not have permission to access this data.")


def missing_param(name: str) -> Refused:
    return Refused(400, "MissingParam", f"The required parameter {name} was missing from the request.")


def invalid_param(description: str) -> Refused:
    return Refused(400, "InvalidParam", description)


def not_found(what: str) -> Refused:
    return Refused(404, "NotFound", f"The {what} could not be found.")


@lru_cache(maxsize=1024)
def _date(day: int) -> str:
    return datetime.fromordinal(_EPOCH_ORDINAL + day).date().isoformat()


def instant(seconds: float) -> str:
    """Seconds since 1970 as the API writes them, whole seconds unless there is a fraction."""
    whole = int(seconds // 1)
    day, rest = divmod(whole, DAY)
    text = f"{_date(day)}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    fraction = seconds - whole
    return f"{text}.{int(fraction * 1000):03}Z" if fraction >= 0.001 else text + "Z"


def instant_read(text: str, name: str) -> float:
    """Seconds since 1970 of a UTC instant; anything else is refused as the named parameter."""
    # A "+" that was not escaped arrives as a space: the zone is then not UTC to us, as it would not be to them.
    if not _INSTANT.match(text):
        raise invalid_param(f"The parameter {name} is not a UTC date and time in ISO 8601.")
    try:
        # Python reads at most six digits of a fraction.
        short = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
        return datetime.fromisoformat(short).timestamp()
    except ValueError:
        raise invalid_param(f"The parameter {name} is not a date that exists.") from None


def duration_read(text: str) -> float:
    """Seconds of an ISO 8601 duration of weeks, days and times; months and years have no fixed length."""
    match = _DURATION.match(text.strip())
    parts = {name: float(value) for name, value in match.groupdict().items() if value} if match else {}
    if not parts:
        raise invalid_param("The parameter Period is not an ISO 8601 duration.")
    lengths = {"weeks": 604_800, "days": DAY, "hours": 3600, "minutes": 60, "seconds": 1}
    return sum(lengths[name] * value for name, value in parts.items())
