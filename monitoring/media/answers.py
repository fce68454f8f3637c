"""Bytes of an open file as an answer to a browser, whole or the range that it asks for; it decides about no access."""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import IO

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import content_disposition_header

_CHUNK = 64 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class _Stretch:
    """`length` bytes of a file from `start` on; closes the file in the end."""

    def __init__(self, handle: IO[bytes], start: int, length: int) -> None:
        self._handle, self._left = handle, length
        handle.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0 and (piece := self._handle.read(min(_CHUNK, self._left))):
            self._left -= len(piece)
            yield piece

    def close(self) -> None:
        self._handle.close()


def file_answer(
    request: HttpRequest, handle: IO[bytes], *, media_type: str, name: str, as_attachment: bool = False
) -> HttpResponseBase:
    """``handle`` from its beginning, with what players need to seek: ranges (RFC 9110, 14) and a strong ETag.

    One range of bytes is understood; several, or one that is no range, get the whole file, as the standard allows.
    """
    size = os.fstat(handle.fileno()).st_size
    # By its name, which says what it is: the times of a cached file move with its use.
    etag = f'"{hashlib.sha256(f"{os.path.basename(handle.name)}.{size}".encode()).hexdigest()[:32]}"'
    if etag in (tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")):
        handle.close()
        return _finished(HttpResponse(status=304), etag)
    wanted = _range(request, size, etag)
    if wanted is None:
        response = StreamingHttpResponse(_Stretch(handle, 0, size), content_type=media_type)
        response["Content-Length"] = str(size)
    elif wanted[0] >= size:
        handle.close()
        response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})  # type: ignore[assignment]
    else:
        start, end = wanted
        response = StreamingHttpResponse(
            _Stretch(handle, start, end - start + 1), status=206, content_type=media_type
        )
        response["Content-Length"] = str(end - start + 1)
        response["Content-Range"] = f"bytes {start}-{end}/{size}"
    response["Content-Disposition"] = content_disposition_header(as_attachment, name) or "inline"
    return _finished(response, etag)


def _finished(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    # May be kept by this browser, but asked for again each time: who was shown the door hears nothing more.
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ["Accept"])
    return response


def _range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """First and last byte asked for, None for the whole; a first one past the end means that it cannot be served."""
    asked = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if asked is None or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = asked.groups()
    if not first:
        if not last:
            return None
        # The last so many bytes.
        return (size, size) if int(last) == 0 else (max(size - int(last), 0), size - 1)
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) if last else size - 1, size - 1)
