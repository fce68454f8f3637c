"""Text goes out compressed to those who take it so, as it is to all others, and a live stream never waits for it."""

import gzip
from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from cirrusweb.compression import Compression

CSS = Path(__file__).parents[2] / "static" / "css" / "layout.css"


def read(client: Client, path: str, accepted: str) -> HttpResponse:
    return client.get(path, headers={"Accept-Encoding": accepted})  # type: ignore[return-value]


@pytest.mark.parametrize("path", ["/static/css/layout.css", "/accounts/login/"])
def test_text_is_compressed_for_those_who_take_it(db: None, client: Client, path: str) -> None:
    plain, small = read(client, path, "identity"), read(client, path, "br, gzip")
    assert not plain.has_header("Content-Encoding")
    assert small["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small["Vary"]
    assert "Accept-Encoding" in plain["Vary"]
    assert small["Content-Type"] == plain["Content-Type"]
    assert int(small["Content-Length"]) == len(small.content) < len(b"".join(plain)) / 2  # type: ignore[arg-type]


def test_a_static_file_is_whole_and_says_how_long_it_keeps(db: None, client: Client) -> None:
    small = read(client, "/static/css/layout.css", "gzip")
    assert gzip.decompress(small.content) == CSS.read_bytes()
    assert small["Cache-Control"] == read(client, "/static/css/layout.css", "identity")["Cache-Control"]
    part = client.get("/static/css/layout.css", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (part.status_code, part.has_header("Content-Encoding")) == (206, False)


@pytest.mark.parametrize(
    "answer",
    [
        StreamingHttpResponse([b"data: 1\n\n"] * 100, content_type="text/event-stream"),
        HttpResponse(b"\0" * 10_000, content_type="application/octet-stream"),
        HttpResponse(b"x" * 10_000, content_type="text/css", headers={"Content-Encoding": "br"}),
        HttpResponse(b'{"status":"stored"}', content_type="application/json"),
    ],
)
def test_streams_recordings_and_short_answers_are_left_alone(
    rf: RequestFactory, answer: HttpResponse | StreamingHttpResponse
) -> None:
    request: HttpRequest = rf.get("/", headers={"Accept-Encoding": "gzip"})
    before = answer.get("Content-Encoding")
    assert Compression(lambda _: answer)(request) is answer
    assert answer.get("Content-Encoding") == before
