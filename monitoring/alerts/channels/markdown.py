"""Text that a reader of Markdown shows as it stands: the name of an instrument formats nothing and links nowhere."""

import re

_SIGNS = re.compile(r"([\\`*_~|\[\]()<>#])")


def escaped(text: str) -> str:
    """``text`` with a backslash before whatever would mean something."""
    return _SIGNS.sub(r"\\\1", text)
