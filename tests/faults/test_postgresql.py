"""PostgreSQL is killed and restarted in mid-sync and mid-webhook: a cluster of the test's own, never the shared one."""

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from cirrusweb.supervisor.installation import free_port
from tests.faults.stage import Stage, staged

# As Debian installs them, the newest first; elsewhere whatever is on PATH.
BINARIES = [Path(path).parent for path in sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"), reverse=True)]
BINARIES += [Path(path).parent for path in filter(None, [shutil.which("pg_ctl")])]
pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("faults-2"),
    pytest.mark.skipif(
        "postgresql" not in django_settings.DATABASES["default"]["ENGINE"], reason="the tests run on SQLite"
    ),
    pytest.mark.skipif(not BINARIES, reason="PostgreSQL's own commands are not on this machine"),
]


class Cluster:
    """One server with one folder, which it deletes at the end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cirrusweb-postgresql-"))
        self.port = free_port()
        if os.geteuid() == 0:
            # It refuses to be run by root.
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -F"
        self._run("pg_ctl", "start", "--wait", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str) -> None:
        """`immediate` is a crash: nobody is let finish, and the log is replayed at the next start."""
        self._run("pg_ctl", "stop", "--wait", "--mode", mode)

    def close(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(BINARIES[0] / program), "-D", str(self.folder / "data"), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # What it starts would keep a pipe open.
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {(self.folder / 'log').read_text()[-2000:]}"


@contextmanager
def moved_to(cluster: Cluster) -> Iterator[None]:
    """The test's own database as it is now, on another server."""
    usual = dict(connection.settings_dict)
    connection.close()
    here = ["--host", usual["HOST"], "--port", str(usual["PORT"]), "--username", usual["USER"]]
    there = ["--host", "127.0.0.1", "--port", str(cluster.port), "--username", "postgres"]
    with subprocess.Popen(
        # Whoever owns the tables here is nobody there.
        [BINARIES[0] / "pg_dump", "--no-owner", "--no-privileges", *here, usual["NAME"]],
        stdout=subprocess.PIPE,
        env={**os.environ, "PGPASSWORD": usual["PASSWORD"]},
    ) as dump:
        subprocess.run(
            [BINARIES[0] / "psql", "-q", "-v", "ON_ERROR_STOP=1", *there, "postgres"],
            stdin=dump.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    connection.settings_dict.update(HOST="127.0.0.1", PORT=cluster.port, USER="postgres", NAME="postgres")
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(usual)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def stage(tmp_path: Path, cluster: Cluster, settings: object) -> Iterator[Stage]:
    with moved_to(cluster), staged(tmp_path) as made:
        yield made


def test_postgresql_restarts_in_mid_sync_and_mid_webhook(stage: Stage, cluster: Cluster) -> None:
    stage.mycirrus.moods()
    stage.mycirrus.moods(**{"retry-spacing": 1})
    for mode in ("immediate", "fast"):
        stage.messages()
        cluster.stop(mode)
        connection.close()
        # Nothing can be stored: each is answered with "try again", and tried again.
        stage.check_fails()
        put_off = _put_off(stage)
        stage.messages()
        stage.mycirrus.until(lambda before=put_off: _put_off(stage) > before)
        cluster.start()
    stage.time_passes()
    stage.settle("everything to be there after PostgreSQL came back")


def _put_off(stage: Stage) -> int:
    tries = [attempt for record in stage.mycirrus.deliveries() for attempt in record["attempts"]]
    return sum(attempt.get("status") == 503 for attempt in tries)
