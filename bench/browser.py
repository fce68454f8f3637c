"""T6: instrument and fleet page in a real browser with nothing cached: first paint, shift, script, chart and bytes."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection
from playwright.sync_api import Browser, CDPSession, sync_playwright

from bench.chart import SERIAL, seed
from bench.measure import Row, compared, judged
from bench.population import analysed, fleet_make, organisation_make, viewer_cookie
from bench.servers import Connection, gunicorn, python, request, until
from bench.stage import ROOT
from cirrusweb.supervisor.installation import free_port

PLOTLY = "plotly-cartesian.min.js"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
_WATCH = """
window.__shift = 0; window.__drawn = null;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
new MutationObserver(() => {
  if (window.__drawn === null && document.querySelector('[data-state="drawn"]')) window.__drawn = performance.now();
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-state"] });
"""


@dataclass(frozen=True)
class Visit:
    """One visit with an empty cache: seconds, the layout shift, and the bytes on the wire by address."""

    first_paint: float
    drawn: float | None
    shift: float
    # Compiling and running scripts until half a second after load or the drawn chart.
    script: float
    sizes: dict[str, int]

    def kilobytes(self, *, plotly: bool) -> float:
        return sum(size for url, size in self.sizes.items() if ("plotly" in url) == plotly) / 1000


def measure(*, quick: bool) -> list[Row]:
    organisation = organisation_make("harbour")
    instrument, *_ = fleet_make(organisation, [SERIAL, *(f"QT1{number:05d}" for number in range(59))])
    cookie = viewer_cookie(organisation)
    end = int(time.time()) // 60 * 60
    seed(instrument, first=end - 7 * 86400, last=end - 60)
    analysed()
    connection.close()
    rounds = 4 if quick else 15
    with gunicorn() as port, _bare(port, cookie) as bare_port, _chromium() as browser:
        page = f"http://localhost:{port}/o/harbour/i/{SERIAL}/"
        bare_page = f"http://localhost:{bare_port}/plot.html"
        fleet_page = f"http://localhost:{port}/o/harbour/"
        ours, bare, fleet = [], [], []
        for number in range(rounds + 1):
            pair = (_visit(browser, page, cookie), _visit(browser, bare_page, ""))
            listed = _visit(browser, fleet_page, cookie, chart=False)
            # The first visit pays for what the server does once in its life.
            if number:
                ours.append(pair[0])
                bare.append(pair[1])
                fleet.append(listed)
    return [
        *_figures("instrument page", ours),
        *_figures("fleet page of 60", fleet),
        _seconds("chart drawn", [visit.drawn or 60.0 for visit in ours], 1.5),
        compared(
            "T6",
            "chart drawn, by a bare Plotly page",
            unit="s",
            ours=[visit.drawn or 60.0 for visit in ours],
            limit=[visit.drawn or 60.0 for visit in bare],
        ),
        judged(
            "T6",
            "Plotly on the fleet page",
            unit="kB",
            ours=[visit.kilobytes(plotly=True) for visit in fleet],
            at_most=0,
        ),
    ]


def _figures(page: str, visits: list[Visit]) -> list[Row]:
    """What Lighthouse would say of it."""
    sizes = visits[0].sizes
    note = f"{len(sizes)} requests; Plotly {visits[0].kilobytes(plotly=True):,.0f} kB"
    weights = [visit.kilobytes(plotly=False) for visit in visits]
    return [
        _seconds(f"{page}: first contentful paint", [visit.first_paint for visit in visits], 1.0),
        judged("T6", f"{page}: layout shift", unit="", ours=[visit.shift for visit in visits], at_most=0),
        judged("T6", f"{page}: script time", unit="s", ours=[visit.script for visit in visits]),
        judged("T6", f"{page}: without Plotly", unit="kB", ours=weights, at_most=120, note=note),
    ]


def _seconds(what: str, taken: list[float], at_most: float) -> Row:
    return judged("T6", what, unit="s", ours=taken, at_most=at_most)


@contextmanager
def _bare(port: int, cookie: str) -> Iterator[int]:
    """The bare page beside the same values and the same Plotly, as plain files."""
    folder = Path(os.environ["DATA_DIR"]) / "bare"
    folder.mkdir()
    for name in ("plot.html", "plot.js"):
        shutil.copy(ROOT / "bench" / "limits" / name, folder)
    shutil.copy(next((ROOT / "static" / "vendor").glob(f"*/{PLOTLY}")), folder / "plotly.js")
    with Connection(port) as ours:
        path = f"/o/harbour/i/{SERIAL}/levels.json?range=24h"
        status, _, body = ours.exchange(request("GET", path, Cookie=cookie))
    if status != 200:
        raise RuntimeError(f"the levels were answered with {status}")
    (folder / "levels.json").write_bytes(body)
    bare_port = free_port()
    arguments = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(bare_port)]

    def answers() -> bool:
        try:
            with Connection(bare_port) as bare:
                return bare.exchange(request("GET", "/plot.html", Connection="close"))[0] == 200
        except OSError:
            return False

    with python(*arguments, log="bare"):
        until(answers, seconds=20, what="the bare page")
        yield bare_port


@contextmanager
def _chromium() -> Iterator[Browser]:
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, (shutil.which(name) for name in names if name)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def _visit(browser: Browser, url: str, cookie: str, *, chart: bool = True) -> Visit:
    # A context of its own has a cache of its own: empty.
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        for pair in filter(None, cookie.split("; ")):
            name, _, value = pair.partition("=")
            context.add_cookies([{"name": name, "value": value, "domain": "localhost", "path": "/"}])
        context.add_init_script(_WATCH)
        page = context.new_page()
        session = context.new_cdp_session(page)
        sizes = _watched(session)
        session.send("Performance.enable")
        answer = page.goto(url, wait_until="load")
        if answer is None or not answer.ok:
            raise RuntimeError(f"the page was answered with {answer and answer.status}")
        if chart:
            # Playwright's own waiting evaluates strings, which the page's policy refuses.
            deadline = time.monotonic() + 60
            while page.evaluate("window.__drawn") is None and time.monotonic() < deadline:
                page.wait_for_timeout(50)
        # Whatever shifts the page shortly after it was drawn counts.
        page.wait_for_timeout(500)
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
        drawn = page.evaluate("window.__drawn")
        shift = page.evaluate("window.__shift")
        told = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        return Visit(
            paint / 1000, drawn / 1000 if drawn else None, shift, told["ScriptDuration"], dict(sizes)
        )
    finally:
        context.close()


def _watched(session: CDPSession) -> dict[str, int]:
    """Bytes on the wire by address, filled as they come."""
    sizes: dict[str, int] = {}
    addresses: dict[str, str] = {}
    session.on(
        "Network.requestWillBeSent",
        lambda event: addresses.update({event["requestId"]: event["request"]["url"]}),
    )

    def finished(event: dict) -> None:  # type: ignore[type-arg]
        url = addresses.get(event["requestId"], "")
        sizes[url] = sizes.get(url, 0) + int(event["encodedDataLength"])

    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    return sizes
