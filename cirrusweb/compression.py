"""Sends text compressed, most of a page's wait on a phone; it leaves alone what is streamed as it comes about."""

import gzip
from functools import lru_cache
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers
from django.utils.regex_helper import _lazy_re_compile

_TEXT = ("text/", "application/json", "application/javascript", "image/svg+xml")
_ACCEPTED = _lazy_re_compile(r"\bgzip\b")


class Compression(GZipMiddleware):
    """Pages, fragments and JSON as Django compresses them, with padding that keeps a length from telling a secret.

    Static files too, where no compressed copy lies beside them: `make run` serves the checkout as it stands. Stands
    above WhiteNoise.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not response.get("Content-Type", "").startswith(_TEXT) or response.has_header("Content-Encoding"):
            return response
        if isinstance(response, FileResponse):
            return _static(request, response)
        # A stream of levels would wait for the compressor's block to fill.
        return response if response.streaming else super().process_response(request, response)


def _static(request: HttpRequest, response: FileResponse) -> HttpResponseBase:
    file = response.file_to_stream
    if request.method != "GET" or response.status_code != 200 or file is None:
        return response
    patch_vary_headers(response, ["Accept-Encoding"])
    if not _ACCEPTED.search(request.headers.get("Accept-Encoding", "")):
        return response
    path = Path(file.name)
    small = HttpResponse(_compressed(path, path.stat().st_mtime_ns))
    for name, value in response.items():
        small[name] = value
    small["Content-Encoding"], small["Content-Length"] = "gzip", str(len(small.content))
    response.close()
    return small


# As many as there are static files, two times over; a changed file has another time and so another place.
@lru_cache(maxsize=64)
def _compressed(path: Path, _changed: int) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)
