"""What is remembered across a restart, in one JSON file written whole or not at all; history does not belong here."""

import os
from pathlib import Path
from typing import Any

import orjson


class State:
    """Sections of plain data; without a file they live as long as the process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.sections: dict[str, Any] = {}
        if path and path.exists():
            self.sections = orjson.loads(path.read_bytes())

    def section(self, name: str, default: Any) -> Any:
        """The named section itself, made from `default` when it is new; call `save` after changing it."""
        return self.sections.setdefault(name, default)

    def save(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(self._path.name + ".draft")
        # Holds keys and webhook secrets: for its owner only, from the first byte on.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(orjson.dumps(self.sections, option=orjson.OPT_INDENT_2))
        draft.replace(self._path)
