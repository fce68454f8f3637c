"""The command line: `python -m simulator`; it starts one server and stops it at once on SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from simulator.actions import action_start
from simulator.app import Simulator
from simulator.fleet import demo_unit
from simulator.keys import Keys
from simulator.moods import Moods, mood_read
from simulator.state import State
from simulator.wire import DAY, Refused
from simulator.world import World


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="A MyCirrus to run against.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one and prints it")
    parser.add_argument("--fleet", type=int, default=12, help="how many instruments, 1 to 10000")
    parser.add_argument("--seed", type=int, default=None, help="default 1, or that of the state file")
    parser.add_argument(
        "--epoch",
        type=_date,
        default=None,
        help="the day of the story; default today, or that of the state file",
    )
    parser.add_argument(
        "--state", type=Path, default=None, help="remember webhooks, names, actions and keys in this file"
    )
    parser.add_argument("--mood", action="append", default=[], metavar="NAME[=VALUE]")
    parser.add_argument(
        "--key", action="append", default=[], metavar="SECRET", help="one more key with every scope"
    )
    parser.add_argument(
        "--allow-http-webhooks", action="store_true", help="http to this machine, beside https"
    )
    parser.add_argument(
        "--no-happenings", action="store_true", help="send no webhook of itself: only what is asked for"
    )
    parser.add_argument("--demo-sic-after", type=float, default=None, metavar="SECONDS")
    parser.add_argument(
        "--action-seconds", type=float, default=4.0, help="how long a calibration or SIC takes"
    )
    options = parser.parse_args(argv)
    if not 1 <= options.fleet <= 10_000:
        parser.error("--fleet is 1 to 10000")
    return options


def simulator_of(options: argparse.Namespace) -> Simulator:
    """The simulator that these options ask for."""
    state = State(options.state)
    story = state.section("story", {})
    # Kept, so that a restart on another day tells the same history.
    seed = options.seed if options.seed is not None else story.get("seed", 1)
    epoch = options.epoch if options.epoch is not None else story.get("epoch", int(time.time() // DAY) * DAY)
    story.update(seed=seed, epoch=epoch)
    moods = Moods()
    for text in options.mood:
        moods.change(mood_read(text))
    keys = Keys(state, options.key)
    world = World(
        seed=seed, epoch=epoch, fleet=options.fleet, state=state, action_seconds=options.action_seconds
    )
    state.save()
    return Simulator(
        world,
        keys,
        moods,
        allow_http_webhooks=options.allow_http_webhooks,
        tells_happenings=not options.no_happenings,
    )


async def serve(options: argparse.Namespace) -> None:
    simulator = simulator_of(options)
    runner = web.AppRunner(
        simulator.application(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True
    )
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port)
    await site.start()
    port = runner.addresses[0][1]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    if options.demo_sic_after is not None:
        loop.call_later(options.demo_sic_after, _demo_sic, simulator.world)
    print(f"listening on http://{options.host}:{port}/v1", flush=True)
    await stop.wait()
    await runner.cleanup()


def _demo_sic(world: World) -> None:
    instrument = demo_unit(world.fleet)
    if instrument is not None:
        action_start(world, instrument, "SIC", failing=True)


def _date(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise argparse.ArgumentTypeError("a date such as 2026-11-22") from None


def main() -> int:
    options = arguments(sys.argv[1:])
    try:
        asyncio.run(serve(options))
    except Refused as refusal:
        print(refusal.description, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
