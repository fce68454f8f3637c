"""The web application, and more than any connection takes in on its way; for gunicorn."""

from collections.abc import Iterable
from typing import Any

from cirrusweb.wsgi import application as whole

MEGABYTES = 64


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/large":
        return whole(environ, start_response)
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(MEGABYTES << 20))])
    return (bytes(1 << 20) for _ in range(MEGABYTES))
