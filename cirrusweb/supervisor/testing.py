"""`python -m cirrusweb.supervisor.testing`: runs pytest with the Redis and the browser that the tests need.

It never leaves tests out by itself: without a browser it fails, unless BROWSER=0 says that none is wanted.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from cirrusweb import embedded_redis
from cirrusweb.supervisor.refusal import Refusal
from cirrusweb.supervisor.supervise import say

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main(arguments: list[str]) -> int:
    """pytest's exit code, or 1 when the tests cannot be run as asked."""
    environment = dict(os.environ)
    options = ["-n", str(min(4, max(2, os.cpu_count() or 2))), "--dist", "loadgroup"]
    signal.signal(signal.SIGTERM, _stop)
    try:
        if environment.get("BROWSER") == "0":
            say("Browser tests are left out (BROWSER=0).")
            options += ["-m", "not browser"]
        else:
            environment["CHROMIUM"] = find_or_install_chromium(environment)
        with ExitStack() as stack:
            if not environment.get("REDIS_URL"):
                environment["REDIS_URL"] = stack.enter_context(embedded_redis.running())
            database = "SQLite" if not environment.get("DATABASE_URL") else "the database of DATABASE_URL"
            say(f"Testing on {database}.")
            return run([sys.executable, "-m", "pytest", *options, *arguments], environment)
    except (Refusal, embedded_redis.NoRedisServer) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1


def run(command: list[str], environment: Mapping[str, str]) -> int:
    """The exit code of ``command``, which is waited for also when this process is told to stop."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The terminal sent it to pytest as well, which is now tidying up.
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def find_or_install_chromium(environment: Mapping[str, str]) -> str:
    """The path of a Chromium; as root on Debian one is installed where there is none."""
    named = environment.get("CHROMIUM")
    if named:
        found = shutil.which(named)
        if not found:
            raise Refusal(f"CHROMIUM is {named!r}, which cannot be run: correct it or unset it.")
        return found
    if found := _on_path():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get") and Path("/etc/debian_version").exists():
        say("No Chromium was found: installing Debian's.")
        quietly = {**environment, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            subprocess.run(  # noqa: S603
                ["apt-get", *step],  # noqa: S607
                env=quietly,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )
        if found := _on_path():
            return found
    raise Refusal(
        "No Chromium was found for the browser tests: install one, or name it in CHROMIUM, "
        "or leave those tests out with `make test BROWSER=0`."
    )


def _on_path() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
