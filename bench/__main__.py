"""The command line: `python -m bench [name …] [--quick]`; each benchmark runs in a process and database of its own."""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import table
from bench.facts import facts
from bench.measure import Row
from bench.stage import NONE, POSTGRESQL, ROOT, SQLITE, Unavailable, installation

# Name: what it holds against the targets, and on which databases.
BENCHMARKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "webhook": ("T1 webhook ingest", (SQLITE, POSTGRESQL)),
    "sync": ("T2 vendor JSON to committed rows", (SQLITE, POSTGRESQL)),
    "memory": ("T2 a worker's memory over a long back-fill", (SQLITE, POSTGRESQL)),
    "polling": ("T3 polling a fleet", (SQLITE, POSTGRESQL)),
    "fleet": ("T4 the fleet page", (SQLITE, POSTGRESQL)),
    "chart": ("T5 chart data", (SQLITE, POSTGRESQL)),
    "browser": ("T6 the instrument page in a browser", (SQLITE,)),
    "alert": ("T7 from a webhook to a mail", (SQLITE,)),
    "live": ("T8 a live level on its way to a browser", (SQLITE,)),
    "growth": ("T10 two years of many instruments", (POSTGRESQL,)),
    "run": ("T9 what `make run` costs", (NONE,)),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure against docs/performance.md. Names: "
        + "; ".join(f"{name} ({title})" for name, (title, _) in BENCHMARKS.items()),
    )
    parser.add_argument("names", nargs="*", metavar="name", help="which (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: all of it in minutes")
    parser.add_argument("--rows", type=int, help="how many rows `growth` fills (default: 10 million)")
    parser.add_argument("--no-keep", action="store_true", help="print only; leave bench/results as it is")
    parser.add_argument("--document", action="store_true", help="write kept results into docs/performance.md")
    parser.add_argument("--into", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.into:
        return measure(options.names[0], Path(options.into), quick=options.quick)
    if options.document:
        table.document_write(BENCHMARKS)
        return 0
    failures, shown = 0, []
    for name in options.names or BENCHMARKS:
        title, engines = BENCHMARKS[name]
        rows: list[Row] = []
        began = time.monotonic()
        for engine in engines:
            print(f"{title}{f' on {engine}' if engine else ''} …", file=sys.stderr, flush=True)
            try:
                rows += in_process(name, engine, quick=options.quick, count=options.rows)
            except Unavailable as reason:
                print(f"  left out: {reason}", file=sys.stderr)
            except subprocess.CalledProcessError:
                failures += 1
        print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        print(table.printed(rows), end="\n\n", flush=True)
        shown += rows
        if rows and not options.no_keep:
            table.keep(name, rows, facts(quick=options.quick))
    told = [row.met for row in shown if row.met is not None]
    print(f"{sum(told)} of {len(told)} targets met.")
    return 1 if failures else 0


def in_process(name: str, engine: str, *, quick: bool, count: int | None = None) -> list[Row]:
    """Run one benchmark on one database in a process of its own, so that each pays for its own imports."""
    with tempfile.TemporaryDirectory(prefix="cirrusweb-bench-") as folder:
        answer, said = Path(folder) / "rows.json", Path(folder) / "said.log"
        command = [
            sys.executable,
            "-m",
            "bench",
            name,
            "--into",
            str(answer),
            *(["--quick"] if quick else []),
        ]
        with said.open("w") as output:
            # What is measured logs each of its steps: that is kept for a failure alone.
            streams = {"stdout": output, "stderr": output}
            try:
                if engine == NONE:
                    subprocess.run(command, cwd=ROOT, check=True, **streams)
                else:
                    with installation(engine) as environment:
                        theirs = {**environment, "BENCH_ENGINE": engine, "BENCH_ROWS": str(count or "")}
                        subprocess.run(command, cwd=ROOT, env=theirs, check=True, **streams)
            except subprocess.CalledProcessError:
                print(said.read_text()[-4000:], file=sys.stderr)
                raise
        return [Row.of(document) for document in json.loads(answer.read_text())]


def measure(name: str, into: Path, *, quick: bool) -> int:
    """Inside that process: set Django up over the throw-away installation, measure, and hand back the rows."""
    if os.environ.get("BENCH_ENGINE"):
        import django

        django.setup()
    rows: list[Row] = importlib.import_module(f"bench.{name}").measure(quick=quick)
    into.write_text(json.dumps([row.document() for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
