"""`serve` as a person meets it: one life of an installation, from the first start to the last process gone."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.run.served import ROOT, Served, clean_environment, free_port, processes_of, until

pytestmark = [
    pytest.mark.faults,
    # Each start is a dozen seconds of both cores: one after another, not against each other.
    pytest.mark.xdist_group("serve"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes through /proc"),
]

CHILDREN = {
    "redis": r"unixsocket",
    "simulator": r"-m simulator",
    "web": r"-m gunicorn",
    "worker": r"-A cirrusweb worker",
    "beat": r"-A cirrusweb\.beat beat",
    "live": r"manage.py live",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a folder with spaces") / "my data"


@pytest.fixture(scope="module")
def served(data_dir: Path) -> Iterator[Served]:
    """One installation for the tests of this module, which leave it running."""
    served = Served(data_dir)
    try:
        served.wait_until_ready()
        yield served
    finally:
        served.destroy()


def credentials(served: Served) -> tuple[str, str]:
    line = served.wait_for("Sign in as")
    found = re.search(r"Sign in as (\S+) with the password (\S+)", line)
    assert found, line
    return found[1], found[2]


def sign_in(served: Served) -> requests.Response:
    """The page that somebody lands on who signs in with what was printed."""
    email, password = credentials(served)
    browser = requests.Session()
    form = browser.get(f"http://localhost:{served.port}/accounts/login/", timeout=10)
    assert form.status_code == 200
    return browser.post(
        form.url,
        data={"login": email, "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]},
        headers={"Referer": form.url},
        timeout=10,
    )


def test_the_printed_login_opens_the_printed_address(served: Served) -> None:
    page = sign_in(served)

    assert page.status_code == 200
    assert "/accounts/login" not in page.url
    assert served.wait_until_ready() == f"http://localhost:{served.port}"


def test_the_sign_in_is_in_no_log(served: Served) -> None:
    _, password = credentials(served)

    for log in (served.data_dir / "logs").iterdir():
        assert password not in log.read_text()


def test_secrets_belong_to_their_owner_alone(served: Served) -> None:
    secrets = served.data_dir / "secrets.env"

    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["web", "worker", "beat", "live", "simulator", "redis"])
def test_a_child_that_dies_is_restarted_and_said_so(served: Served, name: str) -> None:
    before = len(served.lines)
    until(
        lambda: any(re.search(CHILDREN[name], command) for command in processes_of(served.data_dir).values())
    )
    pid = served.pid_of(CHILDREN[name])

    os.kill(pid, signal.SIGKILL)

    assert "starting it again" in served.wait_for(
        f"The {name} was killed by SIGKILL", after=before, seconds=10
    )
    until(
        lambda: any(
            re.search(CHILDREN[name], c) for p, c in processes_of(served.data_dir).items() if p != pid
        )
    )
    until(served.answers, what="the web server to answer")


def test_a_second_start_on_the_same_data_is_refused(served: Served) -> None:
    second = Served(served.data_dir)

    assert second.stop(0) == 1
    assert len(second.lines) == 1
    assert f"already running on the data in {served.data_dir}" in second.output
    assert f"port {served.port}" in second.output
    assert served.answers()


def test_another_command_finds_secrets_and_redis(served: Served) -> None:
    """An operator's command in another terminal knows the data folder and nothing else."""
    script = "from django.conf import settings; import redis; print(redis.Redis.from_url(settings.REDIS_URL).ping())"
    answer = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "shell", "--verbosity", "0", "--command", script],
        env=clean_environment(DATA_DIR=str(served.data_dir)),
        cwd=served.data_dir.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert answer.stdout.strip().endswith("True"), answer.stderr


def test_stopped_it_leaves_nothing_and_started_again_it_finds_its_data(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    first = Served(data_dir)
    try:
        first.wait_until_ready()
        sign_in_of_first = credentials(first)
        assert first.stop(signal.SIGTERM, seconds=10) == 0
        assert first.lines[-1] == "Stopped."
        assert processes_of(data_dir) == {}

        second = Served(data_dir)
        try:
            second.wait_until_ready()
            assert credentials(second) == sign_in_of_first
            assert sign_in(second).status_code == 200
            # As Ctrl-C does it.
            assert second.stop(signal.SIGINT, seconds=10) == 0
            assert processes_of(data_dir) == {}
        finally:
            second.destroy()
    finally:
        first.destroy()


def test_killed_it_leaves_nothing_and_starts_again(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    first = Served(data_dir, "--no-demo")
    try:
        first.wait_until_ready()
        first.process.kill()
        first.process.wait()
        until(lambda: not processes_of(data_dir), seconds=10, what="the children to follow")

        second = Served(data_dir, "--no-demo", port=first.port)
        try:
            second.wait_until_ready()
            assert second.answers()
        finally:
            second.destroy()
    finally:
        first.destroy()


def test_a_stop_during_the_start_is_a_stop(tmp_path: Path) -> None:
    served = Served(tmp_path / "var")
    try:
        served.wait_for("Bringing the database")
        assert served.stop(seconds=10) == 0
        assert processes_of(tmp_path / "var") == {}
    finally:
        served.destroy()


def refusal(data_dir: Path, **options: str) -> str:
    """The one sentence with which a start is refused."""
    port = options.pop("PORT", str(free_port()))
    answer = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "serve"],
        env=clean_environment(DATA_DIR=str(data_dir), PORT=port, **options),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 1
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, answer.stderr
    assert processes_of(data_dir) == {}
    return lines[0]


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert refusal(tmp_path / "var", PORT=str(port)) == (
            f"Port {port} on 127.0.0.1 is taken by another program: choose another, for example PORT={port + 1}."
        )


@pytest.mark.parametrize("port", ["0", "99999", "http", "-1"])
def test_an_impossible_port_is_refused(tmp_path: Path, port: str) -> None:
    assert "between 1 and 65535" in refusal(tmp_path / "var", PORT=port)


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    # Below a file nobody can write, not even root.
    (tmp_path / "file").write_text("")

    sentence = refusal(tmp_path / "file" / "var")

    assert sentence.startswith(f"Cannot write in the data folder {tmp_path / 'file' / 'var'}")
    assert "DATA_DIR" in sentence


def test_an_unreachable_redis_is_refused_without_its_password(tmp_path: Path) -> None:
    sentence = refusal(tmp_path / "var", REDIS_URL=f"redis://:hush-hush@127.0.0.1:{free_port()}/0")

    assert "REDIS_URL" in sentence
    assert "hush-hush" not in sentence
