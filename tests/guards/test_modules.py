"""Every module says what it is for, stays readable in one sitting, and has a name that means something."""

import ast
import re
from pathlib import Path

from django.conf import settings

ROOT: Path = settings.BASE_DIR
SOURCES = ("cirrusweb", "instruments", "monitoring", "webhooks", "simulator", "bench")
# About 400: past it a file is split by noun, never by layer.
LONGEST = 420
MEANINGLESS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "services",
    "service",
    "misc",
    "managers",
    "common",
    "tools",
}


def modules() -> list[str]:
    found = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    found += ROOT.glob("*.py")
    return sorted(str(path.relative_to(ROOT)) for path in found if "migrations" not in path.parts)


def test_the_modules_are_found() -> None:
    assert {"bootstrap.py", "manage.py", "cirrusweb/settings.py", "instruments/tenancy.py"} <= set(modules())


def _opening(path: Path) -> str:
    """The first paragraph of a module's docstring; an empty __init__.py only marks a folder."""
    text = path.read_text()
    if path.name == "__init__.py" and not text:
        return "Empty."
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")[0].strip()


def test_every_module_opens_with_what_it_is_for() -> None:
    openings = {module: _opening(ROOT / module) for module in modules()}
    assert {module: said for module, said in openings.items() if said[-1:] not in set(".:!?")} == {}


def test_no_file_is_too_long() -> None:
    lengths = {module: len((ROOT / module).read_text().splitlines()) for module in modules()}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}


def test_no_name_without_a_meaning() -> None:
    parts = {module: set(Path(module).with_suffix("").parts) for module in modules()}
    assert [module for module, names in parts.items() if names & MEANINGLESS] == []


def test_numbers_are_rounded_before_they_are_written() -> None:
    """``number_format`` cuts a float off: 68.19 dB would be 68.1 in words and 68.2 in the chart."""
    cutting = [
        f"{module}:{node.lineno}"
        for module in modules()
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "number_format"
        and len(node.args) + len(node.keywords) > 1
    ]
    assert [place for place in cutting if not place.startswith("monitoring/templatetags/levels.py")] == []


def test_every_test_file_says_what_it_holds() -> None:
    assert [str(path) for path in (ROOT / "tests").rglob("*.py") if not _opening(path)] == []


def test_nothing_is_left_to_do() -> None:
    # In two parts, so that this line is not what it looks for.
    marks = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XXX)\b")
    left = [module for module in modules() if marks.search((ROOT / module).read_text())]
    assert left == []
