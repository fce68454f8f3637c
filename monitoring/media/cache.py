"""A folder of fetched bytes within a size limit, least recently used out first; it knows no database and no network.

A file is whole or not there: it is written beside its place and moved into it. Whatever is here can be fetched
again, so the folder may be emptied at any time and needs no backup.
"""

import errno
import fcntl
import hashlib
import hmac
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Writers of one thing wait for each other; of this many locks two different things rarely share one.
_LOCKS = 256
_LOCK_EVERY_S = 0.05
# What a killed process left half written.
_PART, _PART_KEPT_S = ".part", 3600.0
# To note every use would write to the disk for each second of a sound that is played.
_USED_EVERY_S = 60.0


class TooLarge(Exception):
    """More bytes than may be kept of one thing."""


class LockTimeout(Exception):
    """Somebody else has been fetching the same for too long."""


@dataclass(frozen=True, slots=True)
class MediaCache:
    """Files below ``root``, at most ``limit`` bytes in all; ``secret`` makes their names unguessable."""

    root: Path
    limit: int
    secret: bytes

    def place(self, organisation_id: int, *what: str) -> Path:
        """Where ``what`` of this organisation is kept: two organisations never share a file, whatever they ask for."""
        owner = self._digest("owner", str(organisation_id))
        return self.root / owner[:24] / self._digest(owner, *what)

    def clear(self, organisation_id: int) -> None:
        """Let go of everything of one organisation."""
        shutil.rmtree(self.place(organisation_id).parent, ignore_errors=True)

    def open(self, place: Path) -> IO[bytes] | None:
        """What is kept at ``place``, noted as used; None where there is nothing."""
        try:
            handle = place.open("rb")
        except FileNotFoundError:
            return None
        # The handle outlives a removal by another process, so that nobody's sound breaks off.
        with suppress(OSError):
            if time.time() - os.fstat(handle.fileno()).st_mtime > _USED_EVERY_S:
                os.utime(place)
        return handle

    @contextmanager
    def alone(self, place: Path, *, until: float) -> Iterator[None]:
        """Hold ``place`` against every other thread and process; ``until`` is in seconds of time.monotonic().

        Raises LockTimeout. The system lets the lock of a killed process go.
        """
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = int(hashlib.sha256(place.name.encode()).hexdigest(), 16) % _LOCKS
        with (folder / f"{number:03}").open("ab") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as refused:
                    if refused.errno not in (errno.EAGAIN, errno.EACCES):
                        raise
                if time.monotonic() >= until:
                    raise LockTimeout
                time.sleep(_LOCK_EVERY_S)
            yield

    def write(self, place: Path, pieces: Iterable[bytes], *, most: int) -> int:
        """Put ``pieces`` at ``place``, and let go of what was used least recently to make room; return the size.

        Raises TooLarge past ``most`` bytes or the whole limit, and whatever ``pieces`` raises: then nothing is kept.
        """
        most = min(most, self.limit)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part, size = place.parent / f"{_PART}-{secrets.token_hex(8)}", 0
        try:
            with part.open("xb") as file:
                for piece in pieces:
                    size += len(piece)
                    if size > most:
                        raise TooLarge
                    file.write(piece)
            self._make_room()
            part.replace(place)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return size

    def size(self) -> int:
        """Bytes of everything that lies here."""
        return sum(size for _, _, size in self._files())

    def _make_room(self) -> None:
        files = sorted(self._files())
        total = sum(size for _, _, size in files)
        old = time.time() - _PART_KEPT_S
        for used, path, size in files:
            part = path.name.startswith(_PART)
            if (part and used < old) or (not part and total > self.limit):
                with suppress(OSError):
                    path.unlink()
                    total -= size

    def _files(self) -> Iterator[tuple[float, Path, int]]:
        for path in self.root.glob("*/*"):
            # Another process may let go of it meanwhile.
            with suppress(OSError):
                known = path.stat()
                if path.parent.name != "locks":
                    yield known.st_mtime, path, known.st_size

    def _digest(self, *parts: str) -> str:
        # The length of each part belongs to it: ("a", "bc") and ("ab", "c") are two things.
        message = "".join(f"{len(part)}:{part}" for part in parts).encode()
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()
