"""docker-compose.yml without Docker: each service's own command line, against the local PostgreSQL and Redis.

The settings are those of production: no DEBUG, https, collected static files. Only addresses are replaced.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
import requests
import yaml
from cryptography.fernet import Fernet

from tests.run.served import OWN, ROOT, clean_environment, free_port, until

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# A database of its own on the server of the tests, and the last of Redis's.
REDIS_DATABASE = 15

real = pytest.mark.skipif(
    not os.environ.get("DATABASE_URL", "").startswith("postgres"),
    reason="needs DATABASE_URL of a PostgreSQL and REDIS_URL, as production has",
)


def built() -> dict[str, Any]:
    """The services that run our image."""
    return {name: service for name, service in SERVICES.items() if "build" in service}


def image_list(pattern: str) -> list[str]:
    """The JSON list behind the Dockerfile's last instruction that ``pattern`` finds."""
    found = re.findall(rf"{pattern} (\[.*?\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    items: list[str] = json.loads(found[-1].replace("\\\n", ""))
    return items


def command_of(name: str) -> list[str]:
    return list(SERVICES[name].get("command") or image_list("^CMD"))


def health_check_of(name: str) -> list[str]:
    if "healthcheck" not in SERVICES[name]:
        return image_list("^HEALTHCHECK[^\\[]*CMD")
    kind, *command = SERVICES[name]["healthcheck"]["test"]
    assert kind == "CMD"
    return command


def test_each_part_is_a_service() -> None:
    assert set(SERVICES) == {"postgres", "redis", "migrate", "web", "worker", "beat", "live", "mailpit"}
    assert SERVICES["mailpit"]["profiles"] == ["dev"]
    assert set(built()) == {"migrate", "web", "worker", "beat", "live"}


def test_migrations_run_once_and_before_the_rest() -> None:
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("web", "worker", "beat", "live"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[name]["restart"] == "unless-stopped"


def test_what_must_last_is_in_a_named_volume() -> None:
    mounted = {volume for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert mounted == {"postgres:/var/lib/postgresql", "redis:/data", "data:/data"}
    assert set(COMPOSE["volumes"]) == {"postgres", "redis", "data"}


def test_only_this_machine_is_offered_a_port() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_whatever_stays_up_has_a_health_check() -> None:
    for name in set(SERVICES) - {"migrate"}:
        assert "healthcheck" in SERVICES[name] or (name == "web" and "HEALTHCHECK" in DOCKERFILE)


def test_no_log_grows_without_bound() -> None:
    for name, service in SERVICES.items():
        assert service.get("logging", {}).get("options") == {"max-size": "20m", "max-file": "5"}, name


def test_the_image_runs_as_nobody_in_particular_and_holds_the_code() -> None:
    assert "\nUSER cirrusweb\n" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    kept = set(re.findall(r"^!([a-z.]+?)/?$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for package in (
        "cirrusweb",
        "instruments",
        "monitoring",
        "webhooks",
        "templates",
        "static",
        "manage.py",
        "gunicorn.conf.py",
    ):
        assert package in kept


class Production:
    """The services of the compose file as processes of this machine."""

    def __init__(self, folder: Path, database_url: str, redis_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.running: list[subprocess.Popen[bytes]] = []
        example = (ROOT / ".env.example").read_text()
        filled = dict(re.findall(r"^([A-Z_]+)=(.*)$", example, re.MULTILINE))
        assert set(filled) <= {*OWN, "POSTGRES_PASSWORD", "BEHIND_PROXY", "DEFAULT_FROM_EMAIL"}
        filled.update(
            SECRET_KEY=secrets.token_urlsafe(40), FIELD_ENCRYPTION_KEYS=Fernet.generate_key().decode()
        )
        self.environment = clean_environment(
            **filled,
            **{name: value for name, value in COMPOSE["x-app"]["environment"].items() if name not in OWN},
        )
        (folder / "data").mkdir()
        self.environment.update(
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            DATA_DIR=str(folder / "data"),
            STATIC_ROOT=str(folder / "static"),
        )

    def localised(self, command: list[str]) -> list[str]:
        """The command with this machine's Python and port in place of the container's."""
        executable = [sys.executable] if command[0] == "python" else command[:1]
        return executable + [
            re.sub(r"\b(0\.0\.0\.0|localhost):8000\b", f"localhost:{self.port}", part) for part in command[1:]
        ]

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.localised(command),
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.localised(command_of(name)), env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )
        self.running.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def is_healthy(self, name: str) -> bool:
        return self.run(health_check_of(name)).returncode == 0

    def stop(self) -> None:
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """An installation with its tables and static files, nothing running yet."""
    server = os.environ["DATABASE_URL"]
    name = f"cirrusweb_production_{os.getpid()}"
    redis_url = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{REDIS_DATABASE}").geturl()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    production = Production(
        tmp_path_factory.mktemp("production"), urlsplit(server)._replace(path=f"/{name}").geturl(), redis_url
    )
    try:
        collected = production.run(["python", "manage.py", "collectstatic", "--no-input"])
        assert collected.returncode == 0, collected.stderr
        assert "python manage.py collectstatic --no-input" in DOCKERFILE
        migrated = production.run(command_of("migrate"))
        assert migrated.returncode == 0, migrated.stderr
        yield production
    finally:
        production.stop()
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@real
@pytest.mark.faults
@pytest.mark.xdist_group("serve")
class TestServices:
    """Each service's command line starts, its health check passes, and SIGTERM ends it."""

    def test_migrations_can_run_again(self, production: Production) -> None:
        assert "No migrations to apply" in production.run(command_of("migrate")).stdout

    def test_django_has_nothing_to_object_to(self, production: Production) -> None:
        answer = production.run(["python", "manage.py", "check", "--deploy"])

        assert answer.returncode == 0, answer.stderr
        # Subdomains and browsers' preload lists are for the owner of the domain to decide, not for us.
        assert set(re.findall(r"\(([a-z_]+\.[EW]\d+)\)", answer.stderr)) <= {"security.W005", "security.W021"}

    def test_web(self, production: Production) -> None:
        web = production.start("web")
        base = f"http://localhost:{production.port}"
        until(
            lambda: web.poll() is not None or production.is_healthy("web"),
            seconds=60,
            what="web to be healthy",
        )
        assert web.poll() is None, production.log("web")

        plain = requests.get(f"{base}/accounts/login/", allow_redirects=False, timeout=10)
        assert plain.status_code == 301
        assert plain.headers["Location"].startswith("https://")
        behind_proxy = requests.get(
            f"{base}/accounts/login/",
            headers={"X-Forwarded-Proto": "https"},
            allow_redirects=False,
            timeout=10,
        )
        assert behind_proxy.status_code == 200, production.log("web")
        assert "max-age=31536000" in behind_proxy.headers["Strict-Transport-Security"]
        assert "Secure" in behind_proxy.headers["Set-Cookie"]
        ready = requests.get(f"{base}/readyz", timeout=10)
        assert ready.status_code == 200
        assert set(ready.json().values()) == {True}
        # Static files have hashed names that may be cached for ever.
        sheet = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', behind_proxy.text)
        assert sheet, behind_proxy.text[:2000]
        served = requests.get(f"{base}{sheet[1]}", headers={"X-Forwarded-Proto": "https"}, timeout=10)
        assert served.status_code == 200
        assert "immutable" in served.headers["Cache-Control"]
        assert requests.get(base, headers={"Host": "evil.example"}, timeout=10).status_code == 400

        web.terminate()
        assert web.wait(10) == 0

    def test_live(self, production: Production) -> None:
        live = production.start("live")
        until(lambda: production.is_healthy("live"), seconds=60, what="live to be healthy")

        live.terminate()
        assert live.wait(10) == 0, production.log("live")
        assert not production.is_healthy("live")

    def test_worker_and_beat(self, production: Production) -> None:
        beat = production.start("beat")
        with redis.Redis.from_url(production.environment["REDIS_URL"]) as client:
            until(lambda: client.llen("celery"), seconds=60, what="beat to ring")
            worker = production.start("worker")
            until(lambda: client.llen("celery") == 0, seconds=60, what="the worker to hear")
        until(lambda: production.is_healthy("worker"), seconds=60, what="worker to be healthy")
        until(lambda: production.is_healthy("beat"), seconds=60, what="beat to be healthy")

        assert worker.poll() is None, production.log("worker")
        assert beat.poll() is None, production.log("beat")
        for process in (beat, worker):
            process.terminate()
            assert process.wait(20) == 0
