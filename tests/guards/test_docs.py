"""What the documents name exists: files, settings and commands; a page that outlived the code fails here."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

ROOT = Path(settings.BASE_DIR)
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
]
# Made by running it, or an example.
NOT_IN_THE_REPOSITORY = {"var", "key.txt", "secrets.env"}


def quoted(page: Path) -> Iterator[str]:
    yield from re.findall(r"`([^`\n]+)`", page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_exist(page: Path) -> None:
    for text in quoted(page):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", text) and text.split("/")[0] not in NOT_IN_THE_REPOSITORY:
            first = text.split("/")[0]
            if (ROOT / first).is_dir():
                assert (ROOT / text).exists(), f"{page.name} names {text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    # Pictures aside: `make screenshots` draws them.
    for target in re.findall(r"(?<!!)\[[^\]]*\]\((?!https?:)([^)#\s]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    known = get_commands()
    for name in re.findall(r"manage\.py ([a-z_]+)", page.read_text()):
        assert name in known, f"{page.name} names the command {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_exist(page: Path) -> None:
    example = (
        (ROOT / ".env.example").read_text()
        + (ROOT / "Makefile").read_text()
        + (ROOT / "cirrusweb/settings.py").read_text()
        + (ROOT / "bench/stage.py").read_text()
    )
    for text in quoted(page):
        if re.fullmatch(r"[A-Z]+(_[A-Z]+)+(=.*)?", text):
            name = text.partition("=")[0]
            assert re.search(rf"\b{name}\b", example), f"{page.name} names the setting {name}"
