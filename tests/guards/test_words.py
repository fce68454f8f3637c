"""Every word of a mail can be said in another language: none stands in its template outside of a translation."""

import re
from pathlib import Path

import pytest
from django.conf import settings

MAILS = sorted(Path(settings.BASE_DIR, "templates/monitoring/email").iterdir())
# What is translated, what is no text, and what is the same in every language.
LEFT_OUT = (
    r"{% blocktranslate.*?{% endblocktranslate %}",
    r"{%.*?%}|{{.*?}}|{#.*?#}",
    r' (?!alt)[a-z-]+="[^"]*"',
    r'</?[a-z!][^>"]*("\s*"[^>"]*)*>',
    r"\bdB\b|&[a-z]+;",
)


@pytest.mark.parametrize("mail", MAILS, ids=lambda path: path.name)
def test_no_word_of_a_mail_stands_outside_of_a_translation(mail: Path) -> None:
    text = mail.read_text()
    for pattern in LEFT_OUT:
        text = re.sub(pattern, " ", text, flags=re.S)
    assert re.findall(r"[A-Za-z]{2,}[^<>{}\n]*", text) == []
