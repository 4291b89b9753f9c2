"""The pack of docs/packs.md: installed as the document says, and used."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT, write_distribution

from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.registry import Registry

MODULE = "khive_standup"
TEXT = (ROOT / "docs" / "packs.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    write_distribution(tmp_path / "site", MODULE, block("python"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield loading.load()
    sys.modules.pop(MODULE, None)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    made = Context(config, SessionInfo(), socket_path=None, make_embedder=lambda: None)
    yield made
    made.close()


def test_the_example_stores_and_lists(registry: Registry, context: Context) -> None:
    stored = registry.call(context, "standup.done", {"what": "Moved the nightly job"})
    assert stored == {"id": "m1"}
    (note,) = registry.call(context, "standup_lately", {})["notes"]
    assert note["content"] == "Moved the nightly job"
    assert registry.call(context, "memory.recall", {"query": "nightly"})["results"]


def test_the_example_keeps_to_its_namespace(registry: Registry, context: Context) -> None:
    registry.call(context, "standup.done", {"what": "Elsewhere", "namespace": "other"})
    assert registry.call(context, "standup.lately", {})["notes"] == []


def test_the_example_refuses_what_it_does_not_take(registry: Registry, context: Context) -> None:
    with pytest.raises(InvalidInput):
        registry.call(context, "standup.done", {"what": 5, "who": "me"})


def test_the_example_declares_the_entry_point_that_is_read() -> None:
    project = tomllib.loads(block("toml"))["project"]
    assert project["entry-points"]["khive.packs"] == {"standup": f"{MODULE}:pack"}
    assert re.fullmatch(r"[a-z-]+", project["name"])
