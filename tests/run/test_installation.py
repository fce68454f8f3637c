"""What an installation keeps in its data folder, and what it refuses to go on with."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet
from kombu import Connection

from cirrusweb import embedded_redis
from cirrusweb.env import broker_url
from cirrusweb.supervisor.installation import Installation, adopt, free_port, read_secrets
from cirrusweb.supervisor.logfile import LogFile
from cirrusweb.supervisor.plan import environment
from cirrusweb.supervisor.refusal import Refusal
from tests.run.served import ROOT, until


def test_secrets_are_made_once_and_usable(tmp_path: Path) -> None:
    installation = Installation(tmp_path)

    first = installation.secrets({})

    assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600
    assert installation.secrets({}) == first
    Fernet(first["FIELD_ENCRYPTION_KEYS"])
    assert len(first["SECRET_KEY"]) >= 50


def test_secrets_of_the_environment_are_used_and_not_stored(tmp_path: Path) -> None:
    given = {"SECRET_KEY": "s", "FIELD_ENCRYPTION_KEYS": "k"}

    assert Installation(tmp_path).secrets(given) == given
    assert list(tmp_path.iterdir()) == []


def test_damaged_secrets_are_refused_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_text("SECRET_KEY=only\n")

    with pytest.raises(Refusal, match="damaged"):
        Installation(tmp_path).secrets({})
    assert path.read_text() == "SECRET_KEY=only\n"


def test_a_database_without_its_secrets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cirrusweb.sqlite3").touch()

    with pytest.raises(Refusal, match="missing"):
        Installation(tmp_path).secrets({})
    assert read_secrets(tmp_path / "secrets.env") == {}


def test_a_command_adopts_what_is_stored_and_nothing_over_what_is_given(tmp_path: Path) -> None:
    stored = Installation(tmp_path).secrets({})
    alone = {"DATA_DIR": str(tmp_path)}
    given = {"DATA_DIR": str(tmp_path), "SECRET_KEY": "mine"}

    adopt(alone)
    adopt(given)

    assert alone == {"DATA_DIR": str(tmp_path), **stored}
    assert given["SECRET_KEY"] == "mine"


def test_what_the_user_set_stands_and_the_simulator_is_allowed(tmp_path: Path) -> None:
    made = environment(
        Installation(tmp_path, port=8123),
        inherited={"PUBLIC_URL": "http://lab:1", "MYCIRRUS_EXTRA_BASE_URLS": "http://own/v1"},
        secrets={"SECRET_KEY": "s", "FIELD_ENCRYPTION_KEYS": "k"},
        redis_url="redis://r",
        simulator_url="http://127.0.0.1:9/v1",
    )

    assert made["PUBLIC_URL"] == "http://lab:1"
    assert made["MYCIRRUS_EXTRA_BASE_URLS"] == "http://own/v1,http://127.0.0.1:9/v1"
    assert made["DATA_DIR"] == str(tmp_path)
    assert "DEBUG" not in made


def test_the_simulator_keeps_its_port_while_it_is_free(tmp_path: Path) -> None:
    installation = Installation(tmp_path)

    first = installation.simulator_port()

    assert installation.simulator_port() == first
    assert free_port(first) == first


def test_a_log_file_stays_within_twice_its_bound(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", bound=1000)

    for number in range(500):
        log.write(f"line {number}\n".encode())

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"x.log", "x.log.1"}
    assert max(sizes.values()) <= 1000
    assert log.tail(2) == ["line 498", "line 499"]


def test_a_full_disk_costs_a_log_line_not_the_process(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "missing" / "x.log")

    log.write(b"said\n")

    assert log.tail() == ["said"]


def test_the_bundled_server_is_where_it_is_looked_up() -> None:
    binary = embedded_redis.bundled_binary()

    assert binary is not None
    server = embedded_redis.probe(binary)
    assert server is not None
    assert server.name == "Valkey"
    assert server.version >= embedded_redis.MINIMUM_VERSION


@pytest.mark.parametrize("version", [None, "5.0.14"])
def test_the_bundled_server_takes_the_place_of_a_missing_or_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    if version:
        script = tmp_path / "redis-server"
        script.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0'\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert embedded_redis.find_server().binary == embedded_redis.bundled_binary()


def test_without_any_server_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "bundled_binary", lambda: None)

    with pytest.raises(embedded_redis.NoRedisServer, match="install redis-server"):
        embedded_redis.find_server()


@pytest.mark.parametrize("folder", ["short", "with a space and 100% more", "long" * 30])
def test_every_server_answers_on_a_private_socket_alone(tmp_path: Path, folder: str) -> None:
    data_dir = tmp_path / folder
    bundled = embedded_redis.bundled_binary()
    assert bundled is not None
    for server in {embedded_redis.find_server(), embedded_redis.probe(bundled)}:
        assert server is not None
        process = subprocess.Popen(embedded_redis.command(server, data_dir), stdout=subprocess.DEVNULL)
        path = embedded_redis.socket_path(data_dir)
        try:
            until(lambda path=path: embedded_redis.answers(path), what=f"{server} to answer")
            assert len(str(path)) < 104
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            with redis.Redis.from_url(embedded_redis.url(data_dir, 1)) as client:
                client.set("queued", 1)
                assert client.config_get("port") == {"port": "0"}
                assert client.config_get("appendonly") == {"appendonly": "yes"}
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            with Connection(broker_url(embedded_redis.url(data_dir, 1))) as broker:
                assert broker.default_channel.client.get("queued") == b"1"
        finally:
            process.kill()
            process.wait()
            # Elsewhere than in `tmp_path` when that is too long for a socket.
            shutil.rmtree(path.parent)


def test_somebody_elses_folder_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermissionError):
        embedded_redis.make_private(tmp_path / "link")


def test_the_supervisor_stays_small() -> None:
    """Django or Celery in the supervisor would cost more memory than the rest of it."""
    script = "import sys, cirrusweb.supervisor.__main__ as m; print({'django', 'celery', 'redis'} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == "set()"
