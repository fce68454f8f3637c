"""What an installation on this machine keeps in its data folder: secrets, choices, lock; it starts nothing."""

import base64
import errno
import fcntl
import os
import secrets
import socket
import tempfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cirrusweb import embedded_redis
from cirrusweb.supervisor.refusal import Refusal

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")


@dataclass(frozen=True)
class Installation:
    """A data folder and the address at which it is served."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Installation":
        port = environment.get("PORT") or "8000"
        if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise Refusal(f"PORT is {port!r}: it must be a number between 1 and 65535.")
        # As settings.py reads it: relative to where the command is given, `var/` of the checkout by default.
        data_dir = Path(environment.get("DATA_DIR") or ROOT / "var").expanduser().resolve()
        return cls(data_dir, environment.get("HOST") or "127.0.0.1", int(port))

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def pidfile(self) -> Path:
        return self.data_dir / "processes.json"

    @property
    def secrets_path(self) -> Path:
        return self.data_dir / "secrets.env"

    @property
    def address_path(self) -> Path:
        return self.data_dir / "address"

    @property
    def address(self) -> str:
        """What a person on this machine types into a browser."""
        shown = "localhost" if self.host in ("127.0.0.1", "0.0.0.0", "::1", "::", "localhost") else self.host  # noqa: S104
        return f"http://{shown}:{self.port}"

    def check_folder(self) -> None:
        """Refusal unless files can be written where the data are to live."""
        try:
            self.data_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o750, exist_ok=True)
            # Permission bits say little to root or on a read-only disk: only writing tells.
            with tempfile.NamedTemporaryFile(dir=self.data_dir) as file:
                file.write(b"x")
                file.flush()
        except OSError as error:
            raise Refusal(
                f"Cannot write in the data folder {self.data_dir} ({error.strerror or error}): "
                "make it writable, or name another with DATA_DIR."
            ) from None

    def lock(self) -> IO[str]:
        """Holds the data folder until this process ends; Refusal when another one does."""
        # Opened for appending: a second start must read what the first wrote, not wipe it.
        file = (self.data_dir / "serve.lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise Refusal(
                f"Cirrusweb is already running on the data in {self.data_dir} ({holder}): "
                "stop it first, or name another folder with DATA_DIR and another port with PORT."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, port {self.port}")
        file.flush()
        return file

    def check_port(self) -> None:
        """Refusal when something else listens where the web server is to."""
        try:
            family, *_, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # As gunicorn does: connections that linger from the last run do not count as taken.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except PermissionError:
            raise Refusal(f"Port {self.port} needs root: choose one above 1023 with PORT.") from None
        except OSError as error:
            reason = (
                "is taken by another program"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used ({error.strerror})"
            )
            raise Refusal(
                f"Port {self.port} on {self.host} {reason}: choose another, for example PORT={self.port + 1}."
            ) from None

    def secrets(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The installation's secrets: from the environment, else as stored, else made now and stored."""
        given = {name: environment[name] for name in SECRETS if environment.get(name)}
        if len(given) == len(SECRETS):
            return given
        stored = read_secrets(self.secrets_path)
        if not stored:
            if (self.data_dir / "cirrusweb.sqlite3").exists() and not environment.get("DATABASE_URL"):
                raise Refusal(
                    f"{self.secrets_path} is missing though there is a database beside it, whose API keys only it "
                    "can decrypt: restore it from a backup, or move the database away to begin anew."
                )
            stored = {
                "SECRET_KEY": secrets.token_urlsafe(50),
                "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            }
            write_secrets(self.secrets_path, stored)
        return {**stored, **given}

    def simulator_port(self) -> int:
        """The port of the demo's simulator: the one of the last start while it is free, for keys point there."""
        path = self.data_dir / "simulator.port"
        try:
            last = int(path.read_text())
        except (OSError, ValueError):
            last = 0
        port = free_port(last)
        path.write_text(str(port))
        return port


def read_secrets(path: Path) -> dict[str, str]:
    """The stored secrets, or nothing when there are none yet; Refusal when the file is not what was written."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Refusal(f"Cannot read {path} ({error.strerror}): run as the user who owns it.") from None
    found = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    if not all(found.get(name) for name in SECRETS):
        # Never made anew: stored API keys could not be decrypted again.
        raise Refusal(f"{path} is damaged: restore it from a backup, or move it and the database away.")
    return {name: found[name] for name in SECRETS}


def write_secrets(path: Path, values: Mapping[str, str]) -> None:
    """Stores the secrets for this user alone, whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(
            "# Made at the first start. Keep it with your backups: without it stored API keys are lost.\n"
        )
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def free_port(preferred: int = 0) -> int:
    """``preferred`` when nothing listens there on this machine, else a port that is free now."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Refusal("This machine has no free port left.")


def adopt(environment: MutableMapping[str, str]) -> None:
    """Gives a command typed in another terminal the secrets, Redis and address of the data folder it names.

    Does nothing where the environment says it all, as in production.
    """
    if all(environment.get(name) for name in SECRETS):
        return
    installation = Installation.from_environment({**environment, "PORT": ""})
    for name, value in read_secrets(installation.secrets_path).items():
        environment.setdefault(name, value)
    if embedded_redis.socket_path(installation.data_dir).exists():
        environment.setdefault("REDIS_URL", embedded_redis.url(installation.data_dir))
    if installation.address_path.exists():
        # Links in mails and on the terminal lead to where this folder's pages were last served.
        environment.setdefault("PUBLIC_URL", installation.address_path.read_text().strip())
