"""The law of who may know whom: the contracts in pyproject.toml hold, cover every app, and tasks are only rung."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

ROOT: Path = settings.BASE_DIR
APPS = ("cirrusweb", "instruments", "monitoring", "webhooks")
# Verbs never import tasks: they return what is to be queued. These ring, each after the commit.
MAY_RING = {
    "monitoring/actions/doorbell.py": "what the page hands an action to that was asked for",
    "monitoring/sync/keys.py": "the receiver of instruments' signal that a key has changed",
    "monitoring/timehistory/doorbell.py": "what the page hands a time history to that was asked for",
    "webhooks/doorbell.py": "what the endpoint hands its stored delivery to",
}


def test_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_contracts_cover_every_app() -> None:
    law = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    ours = {app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir()}
    assert set(law["root_packages"]) == {*ours, "simulator"}
    assert ours == set(APPS)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_verbs_never_import_tasks() -> None:
    ringing = set()
    for app in APPS[1:]:
        for path in (ROOT / app).rglob("*.py"):
            names = _imported(ast.parse(path.read_text()))
            if path.name != "tasks.py" and any(name.endswith(".tasks") for name in names):
                ringing.add(str(path.relative_to(ROOT)))
    assert ringing == set(MAY_RING)
