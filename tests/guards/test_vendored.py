"""Guards the third-party files kept in the repository: what is served is what was vetted; fetches nothing."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "static" / "vendor"
VENDOR_FOLDERS = [STATIC, ROOT / "tests" / "e2e" / "vendor"]


def lock_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "lock.json").read_text())


@pytest.mark.parametrize("folder", VENDOR_FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_vendored_file_is_locked_and_unchanged(folder: Path) -> None:
    locked = {
        f"{package}/{name}": digest
        for package, entry in lock_of(folder).items()
        for name, digest in entry["sha256"].items()
    }
    present = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock.json"
    }
    assert present == locked


@pytest.mark.parametrize("folder", VENDOR_FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_version_is_in_the_path_and_the_licence_is_beside(folder: Path) -> None:
    for package, entry in lock_of(folder).items():
        assert package.endswith(f"-{entry['version']}")
        assert entry["licence"]
        assert (folder / package / "LICENSE").is_file()
