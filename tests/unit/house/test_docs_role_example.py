"""The examples of docs/roles.md are valid and do what the page says."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

from support import ROOT

from khive_supervisor.config.load import load

TEXT = (ROOT / "docs/roles.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


class Context:
    """What the example uses of a context."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.said: list[str] = []

    def recall(self, query: str) -> list[dict[str, Any]]:
        return [{"content": f"known: {query}"}]

    def remember(self, content: str) -> None:
        self.said.append(content)

    def progress(self, text: str) -> None:
        self.said.append(text)


def test_the_function_runs() -> None:
    (source,) = blocks("python")
    names: dict[str, Any] = {}
    exec(source, names)  # the page's own text
    context = Context()
    payload = {"repo": "shop", "change": 7, "files": ["a.py"]}
    assert names["review"](context, payload) == {
        "files": 1,
        "known": ["known: conventions of shop"],
    }
    assert context.said == ["file 1 of 1: a.py", "shop: reviewed change 7."]


def test_the_roles_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "khive.toml"
    file.write_text("\n".join(blocks("toml")))
    roles = load(str(file), str(tmp_path), {}).config.roles
    assert [role.role for role in roles] == ["reviewer", "summarizer"]
    assert roles[1].memory == 2 << 30
