"""Every word of a mail and of an error's page can be said in another language: none is outside of a translation."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template import engines
from django.template.loader import get_template
from django.utils import translation

TEMPLATES = Path(settings.BASE_DIR, "templates")
TEXTS = [
    *sorted(TEMPLATES.glob("monitoring/email/*")),
    *(TEMPLATES / name for name in ("403.html", "403_csrf.html", "404.html", "405.html", "500.html")),
]
# What is translated, what is no text, and what is the same in every language.
LEFT_OUT = (
    r"{% (blocktranslate|comment).*?{% end\1 %}",
    r"{%.*?%}|{{.*?}}|{#.*?#}",
    r' (?!alt)[a-z-]+="[^"]*"',
    r'</?[a-z!][^>"]*("\s*"[^>"]*)*>',
    r"\bdB\b|&[a-z]+;|Cirrusweb",
)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_no_word_stands_outside_of_a_translation(text: Path) -> None:
    words = text.read_text()
    for pattern in LEFT_OUT:
        words = re.sub(pattern, " ", words, flags=re.S)
    assert re.findall(r"[A-Za-z]{2,}[^<>{}\n]*", words) == []


@pytest.mark.parametrize("page", ["500.html", "403_csrf.html"])
def test_a_page_that_stands_alone_needs_no_request_and_says_its_language(page: str) -> None:
    """It is rendered when the rest may be broken; a database would be refused here."""
    with translation.override("de"):
        assert '<html lang="de"' in get_template(page).render()


@pytest.mark.parametrize("mail", sorted(TEMPLATES.glob("**/email/*.html")), ids=lambda path: path.name)
def test_a_mail_says_the_language_that_it_is_written_in(mail: Path) -> None:
    if not mail.name.startswith("_"):
        beginning = mail.read_text().partition("<head>")[0]
        with translation.override("de"):
            assert '<html lang="de">' in engines["django"].from_string(beginning).render({})
