"""What every template may know of the installation; nothing of an organisation's data."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from cirrusweb.outbox import outbox_is_readable


@cache
def _version() -> str:
    try:
        return version("cirrusweb")
    except PackageNotFoundError:
        return "0.1.0"


def installation(request: HttpRequest) -> dict[str, Any]:
    """Name, version and what this installation offers."""
    return {
        "installation": {
            "name": "Cirrusweb",
            "version": _version(),
            "public_url": settings.PUBLIC_URL,
            "sign_up_open": settings.SIGN_UP_OPEN,
            "outbox": outbox_is_readable(getattr(request, "user", None)),
        }
    }
