"""`.env.example` against the settings that exist."""

import ast
import re
from collections import Counter

from tests.run.served import ROOT

# Read by docker-compose.yml and the supervisor, not by settings.py.
BEYOND_SETTINGS = {"POSTGRES_PASSWORD", "PORT"}


def names_read() -> set[str]:
    """Every variable that settings.py asks its `env` for."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / "cirrusweb" / "settings.py").read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
        ):
            name = node.args[0]
            assert isinstance(name, ast.Constant), ast.unparse(node)
            found.add(str(name.value))
    return found


def blocks() -> list[tuple[str, bool]]:
    """Each variable of the example, and whether a comment stands above it or above its neighbours."""
    explained = False
    found = []
    for line in (ROOT / ".env.example").read_text().splitlines():
        variable = re.fullmatch(r"#?([A-Z][A-Z0-9_]*)=(.*)", line)
        if variable:
            found.append((variable[1], explained))
        else:
            explained = line.startswith("# ") and not line.startswith("# ---")
    return found


def test_every_setting_stands_in_the_example_once() -> None:
    counted = Counter(name for name, _ in blocks())

    assert set(counted) == names_read() | BEYOND_SETTINGS
    assert [name for name, count in counted.items() if count > 1] == []


def test_every_setting_is_explained() -> None:
    unexplained = [name for name, explained in blocks() if not explained]

    assert unexplained == []


def test_no_secret_has_a_value() -> None:
    text = (ROOT / ".env.example").read_text()

    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "POSTGRES_PASSWORD"):
        assert f"\n{name}=\n" in text
