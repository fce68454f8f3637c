"""`python -m cirrusweb.supervisor`: starts an installation on embedded defaults and runs it until told to stop."""

import argparse
import http.client
import os
import socket
import sys
import time
from urllib.parse import unquote, urlsplit

from cirrusweb import embedded_redis
from cirrusweb.supervisor import orphans
from cirrusweb.supervisor.installation import Installation
from cirrusweb.supervisor.plan import Plan, environment
from cirrusweb.supervisor.refusal import Refusal
from cirrusweb.supervisor.supervise import StopAsked, Supervisor, say

# What the command `prepare` says between the migrations and the demo.
MIGRATED = "The database is up to date."


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 after a stop that was asked for, 1 after a refusal, whose one sentence goes to stderr."""
    options = _parser().parse_args(arguments)
    for name in ("host", "port", "data_dir"):
        if getattr(options, name):
            os.environ[name.upper()] = getattr(options, name)
    try:
        return serve(demo=not options.no_demo)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    except KeyboardInterrupt:
        # Before the first process was started: there is nothing to end.
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="manage.py serve",
        description="Run everything on this machine: Redis, web server, worker, beat, live and a simulated MyCirrus.",
    )
    parser.add_argument("--host", help="address to listen on (HOST, 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on (PORT, 8000)")
    parser.add_argument("--data-dir", help="folder of the data (DATA_DIR, var/)")
    parser.add_argument("--no-demo", action="store_true", help="no demo organisation and no simulator")
    return parser


def serve(*, demo: bool) -> int:
    started = time.monotonic()
    installation = Installation.from_environment(os.environ)
    installation.check_folder()
    # Bound to a name until the end: closing the file would let a second start in.
    lock = installation.lock()
    swept = orphans.sweep(installation.pidfile)
    if swept:
        say(f"Ended {swept} processes that the last run had left behind.")
    installation.check_port()
    installation.address_path.write_text(installation.address + "\n")
    try:
        with Supervisor(installation.pidfile) as supervisor:
            sign_in = start_all(supervisor, installation, demo=demo)
            say(f"Ready after {time.monotonic() - started:.1f} s; Ctrl-C stops everything.\n")
            say(f"  {installation.address}")
            for line in sign_in:
                say(f"  {line}")
            supervisor.run()
    except StopAsked:
        say("Stopped.")
    finally:
        lock.close()
    return 0


def start_all(supervisor: Supervisor, installation: Installation, *, demo: bool) -> list[str]:
    """Starts the processes in the order in which they need each other, until the web server answers.

    Returns the lines that say how to sign in.
    """
    say(f"Data in {installation.data_dir}, logs in {installation.logs}.")
    simulator_port = installation.simulator_port()
    simulator_url = f"http://127.0.0.1:{simulator_port}/v1"
    redis_url = os.environ.get("REDIS_URL") or embedded_redis.url(installation.data_dir)
    plan = Plan(
        installation,
        environment(
            installation,
            inherited=os.environ,
            secrets=installation.secrets(os.environ),
            redis_url=redis_url,
            simulator_url=simulator_url if demo else "",
        ),
    )
    if os.environ.get("REDIS_URL"):
        say("Using the Redis that REDIS_URL names.")
        check_redis(redis_url)
    else:
        start_redis(supervisor, installation, plan)
    if demo:
        say(f"Starting a simulated MyCirrus at {simulator_url}.")
        supervisor.start(plan.simulator(port=simulator_port))
    say("Bringing the database up to date.")
    preparation = plan.preparation(simulator_url=simulator_url if demo else "")
    supervisor.start(preparation)
    supervisor.wait_for(
        lambda: MIGRATED in preparation.answer() or preparation.exit_code is not None,
        what="The database",
        seconds=600,
        log=preparation.log.path,
    )
    if preparation.exit_code in (None, 0):
        # While the demo is being prepared: whoever is early finds a sign-in page.
        say("Starting the web server.")
        web = plan.web()
        supervisor.start(web)
    if demo:
        say("Preparing the demo organisation.")
    supervisor.complete(preparation, seconds=120)
    supervisor.wait_for(
        lambda: is_healthy(installation), what="The web server", seconds=120, log=web.log.path
    )
    # After the web server, so that it need not share the processors with them while somebody waits for it.
    say("Starting worker, beat and live hub.")
    supervisor.start(plan.worker())
    supervisor.start(plan.beat())
    supervisor.start(plan.live())
    return [line for line in preparation.answer() if line.startswith("Sign in as ")]


def start_redis(supervisor: Supervisor, installation: Installation, plan: Plan) -> None:
    """Starts the embedded Redis; a queue that it cannot read is set aside once, because the database fills it again."""
    try:
        server = embedded_redis.find_server()
        redis = plan.redis(server)
    except embedded_redis.NoRedisServer as error:
        raise Refusal(str(error)) from None
    except OSError as error:
        raise Refusal(f"Cannot make a private folder for Redis: {error}.") from None
    say(f"Starting {server}.")
    path = embedded_redis.socket_path(installation.data_dir)
    supervisor.start(redis)
    supervisor.wait_for(
        lambda: embedded_redis.answers(path) or redis.deaths_in_a_row > 0,
        what="Redis",
        seconds=60,
        log=redis.log.path,
    )
    if redis.deaths_in_a_row:
        aside = embedded_redis.set_aside(server, installation.data_dir)
        say(f"Redis cannot read its queue: moved to {aside}, starting with an empty one.")
        supervisor.wait_for(
            lambda: embedded_redis.answers(path), what="Redis", seconds=60, log=redis.log.path
        )


def check_redis(url: str) -> None:
    """Refusal when nothing listens at ``url``."""
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    try:
        if parts.scheme == "unix":
            shown = url
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(unquote(parts.path))
        else:
            socket.create_connection((parts.hostname or "localhost", parts.port or 6379), timeout=5).close()
    except OSError as error:
        raise Refusal(
            f"The Redis that REDIS_URL names, {shown}, cannot be reached ({error}): start it, or unset REDIS_URL."
        ) from None


def is_healthy(installation: Installation) -> bool:
    """Whether the web server answers."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(installation.host, installation.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, installation.port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
