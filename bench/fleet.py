"""T4: a page of fleets of 100, 1,000 and 10,000: queries, bytes, time, refresh and 204, against a bare template."""

import gzip
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import unescape

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench.measure import Row, compared, interleaved, judged, milliseconds
from bench.population import analysed, fleet_make, key_make, organisation_make, serials_make, viewer_cookie
from bench.servers import Connection, gunicorn, request
from instruments.models import Organisation
from instruments.tenancy import organisation_scope
from monitoring.models import Outcome, SyncTarget
from monitoring.views.fleet import PER_PAGE

SIZES = (100, 1_000, 10_000)
# Where many screens are open polls come one after another; a machine that rests in between takes twice as long.
IN_A_ROW = 20
_VERSION = re.compile(rb'hx-get="[^"]*?\?([^"]*version=[^"]*)"')


@dataclass(frozen=True)
class Fleet:
    """One organisation, and what a viewer of it sends."""

    size: int
    organisation: Organisation
    cookie: str

    @property
    def path(self) -> str:
        return f"/o/{self.organisation.slug}/"

    def page(self) -> bytes:
        return request("GET", self.path, Cookie=self.cookie)

    def refresh(self, query: str) -> bytes:
        return request("GET", f"{self.path}?{query}", Cookie=self.cookie, HX_Request="true")

    def query(self, connection: Connection) -> str:
        """The query of the poll that the page itself makes."""
        _, _, body = connection.exchange(self.page())
        match = _VERSION.search(body)
        if match is None:
            raise RuntimeError("the fleet page polls for nothing")
        return unescape(match[1].decode())


def measure(*, quick: bool) -> list[Row]:
    fleets = [_fleet(size) for size in SIZES]
    analysed()
    engine = connection.vendor
    rows = _queries(fleets)
    connection.close()
    with (
        gunicorn() as ours,
        gunicorn("bench.limits.page") as bare,
        Connection(ours) as us,
        Connection(bare) as them,
    ):
        times: dict[str, dict[int, list[float]]] = {}
        sides = {}
        for fleet in fleets:
            query = fleet.query(us)
            changed = re.sub("version=[^&]*", "version=old", query)
            sides |= {
                f"first page {fleet.size}": _getting(us, fleet.page(), 200),
                f"refresh {fleet.size}": _getting(us, fleet.refresh(changed), 200),
                f"nothing new {fleet.size}": _getting(us, fleet.refresh(query), 204),
                f"nothing new in a row {fleet.size}": _in_a_row(_getting(us, fleet.refresh(query), 204)),
            }
        target = f"/?organisation={fleets[-1].organisation.pk}&rows={PER_PAGE}"
        sides["bare"] = _getting(them, request("GET", target), 200)
        samples = interleaved(sides, 7 if quick else 40, warm_up=2)
        for name, taken in samples.items():
            kind, _, size = name.rpartition(" ")
            times.setdefault(kind, {})[int(size) if size.isdigit() else 0] = taken
    for kind in ("first page", "refresh"):
        small, large = times[kind][SIZES[0]], times[kind][SIZES[-1]]
        rows += [
            compared(
                "T4",
                f"{kind}, 10,000 by 100",
                database=engine,
                unit="ms",
                ours=large,
                limit=small,
                at_most=1.5,
            ),
            compared(
                "T4",
                f"{kind} of 10,000 by a bare template of {PER_PAGE} rows",
                database=engine,
                unit="ms",
                ours=large,
                limit=samples["bare"],
                at_most=1.5,
            ),
        ]
    for size, taken in times["nothing new in a row"].items():
        single = statistics.median(times["nothing new"][size])
        note = f"{IN_A_ROW} in a row; one alone, after another page, {single:.1f} ms"
        rows.append(
            judged(
                "T4",
                f"nothing new (204), {size:,}",
                database=engine,
                unit="ms",
                ours=taken,
                at_most=3,
                note=note,
            )
        )
    return rows


def _fleet(size: int) -> Fleet:
    organisation = organisation_make(f"fleet-{size}")
    fleet_make(organisation, serials_make(size), key=key_make(organisation))
    with organisation_scope(organisation.pk):
        SyncTarget.objects.update(outcome=Outcome.OK)
    return Fleet(size, organisation, viewer_cookie(organisation))


def _getting(connection: Connection, sent: bytes, expected: int) -> Callable[[], float]:
    def get() -> float:
        status = 0

        def exchange() -> None:
            nonlocal status
            status, _, _ = connection.exchange(sent)

        taken = milliseconds(exchange)
        if status != expected:
            raise RuntimeError(f"the fleet page answered {status}, not {expected}")
        return taken

    return get


def _in_a_row(get: Callable[[], float]) -> Callable[[], float]:
    return lambda: statistics.median(get() for _ in range(IN_A_ROW))


def _queries(fleets: list[Fleet]) -> list[Row]:
    """How many queries each kind of request makes: the same number whatever the fleet's size."""
    counts: dict[str, list[float]] = {"first page": [], "refresh": [], "nothing new (204)": []}
    rows = []
    for fleet in fleets:
        client = Client(SERVER_NAME="localhost", headers={"Cookie": fleet.cookie})
        page, content = counted(client, fleet.path)
        rows.append(weighed("T4", f"first page of {fleet.size:,}", content))
        match = _VERSION.search(content)
        query = unescape(match[1].decode()) if match else ""
        changed = re.sub("version=[^&]*", "version=old", query)
        counts["first page"].append(page)
        counts["refresh"].append(counted(client, f"{fleet.path}?{changed}", htmx=True)[0])
        counts["nothing new (204)"].append(counted(client, f"{fleet.path}?{query}", htmx=True)[0])
    for kind, numbers in counts.items():
        told = ", ".join(f"{number:.0f}" for number in numbers)
        row = judged(
            "T4",
            f"queries, {kind}",
            database=connection.vendor,
            unit="",
            ours=numbers,
            note=f"at each size: {told}",
        )
        most = 3 if "204" in kind else None
        met = len(set(numbers)) == 1 and (most is None or max(numbers) <= most)
        asked = "the same" + (f", ≤ {most}" if most else "")
        rows.append(replace(row, asked=asked, met=met))
    return rows


def weighed(target: str, what: str, content: bytes) -> Row:
    """Bytes of a page or of a chart's data as they are and as gzip would send them."""
    small = len(gzip.compress(content, 6)) / 1000
    note = f"gzip; {len(content) / 1000:.0f} kB as it is"
    return judged(target, f"{what}: kB", database=connection.vendor, unit="kB", ours=[small], note=note)


def counted(client: Client, path: str, *, htmx: bool = False) -> tuple[int, bytes]:
    """How many queries a GET of ``path`` makes, and what it is answered."""
    headers = {"HX-Request": "true"} if htmx else {}
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path, headers=headers)
    if answer.status_code not in (200, 204):
        raise RuntimeError(f"{path} answered {answer.status_code}")
    return len(captured), answer.content
