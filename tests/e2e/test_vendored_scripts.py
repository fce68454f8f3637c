"""The vendored scripts under the strictest policy, by themselves in a real Chromium."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

STATIC = Path(__file__).resolve().parents[2] / "static" / "vendor"
STRICT_CSP = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:"

PAGE = """<!doctype html><html lang="en"><head><title>Vendored files</title>
<meta name="htmx-config" content='{"includeIndicatorStyles":false,"allowEval":false}'>
<link id="plotly.js-style-global" class="no-inline-styles" rel="stylesheet"
 href="/plotly-cartesian-4.1.1/plotly.css">
<script src="/htmx-2.0.11/htmx.min.js" defer></script>
<script src="/plotly-cartesian-4.1.1/plotly-cartesian.min.js" defer></script></head>
<body><div id="chart"></div></body></html>"""


class _StrictHandler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        body = PAGE.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", STRICT_CSP)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def strict_site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_StrictHandler, directory=str(STATIC)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_vendored_scripts_keep_the_strict_content_security_policy(
    strict_site: str, chromium: Browser
) -> None:
    """Plotly would inject styles, and offer to upload the data to its maker, unless it is told not to."""
    said: list[str] = []
    page = chromium.new_page()
    page.on("console", lambda message: said.append(message.text) if "favicon" not in message.text else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(strict_site)
    page.evaluate(
        """() => Plotly.newPlot('chart', [{y: [1, null, 3]}], {},
             {showSendToCloud: false, displaylogo: false, plotlyServerURL: '', displayModeBar: true})"""
    )
    buttons = page.eval_on_selector_all(".modebar-btn", "all => all.map(b => b.dataset.title)")
    styled = page.eval_on_selector(".modebar", "bar => getComputedStyle(bar).position")
    page.close()
    assert [line for line in said if "404" not in line] == []
    assert styled == "absolute"
    assert buttons
    assert not [title for title in buttons if "loud" in title or "hare" in title]
