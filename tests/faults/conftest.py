"""The installation that the tests of this folder do harm to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.stage import Stage, staged


@pytest.fixture
def stage(tmp_path: Path, settings: object) -> Iterator[Stage]:
    """Real processes in the middle of their first sync; ``settings`` puts back what was set for it."""
    with staged(tmp_path) as made:
        yield made
