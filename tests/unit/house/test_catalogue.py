"""The catalogue holds all that is declared: nothing is missing, nothing undeclared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import catalogue
import pytest
from support import ROOT
from test_layers import SOURCES

from khive_supervisor import exitcodes
from khive_supervisor.audit.actions import ACTIONS, BY_KIND
from khive_supervisor.catalogue.compare import compare
from khive_supervisor.catalogue.document import FILE, PARTS, read, released, written
from khive_supervisor.catalogue.recorded import RECORDED
from khive_supervisor.packs.loading import BUILTIN
from khive_supervisor.verbs.registry import Verb

VERBS = [verb for pack in BUILTIN for verb in pack.verbs]
KEPT = sorted((ROOT / "tests" / "data" / "catalogues").glob("*.json"))


def test_the_catalogue_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == written(catalogue.document()), "run scripts/docs"


def test_every_part_declares_something() -> None:
    document = released()
    assert [name for name in PARTS if not document[name]] == []


def test_every_exit_code_says_what_it_is() -> None:
    codes = {name for name, value in vars(exitcodes).items() if isinstance(value, int)}
    assert codes == exitcodes.MEANINGS.keys()


def test_every_kind_of_entry_is_declared_once_and_said_in_words() -> None:
    assert len(BY_KIND) == len(ACTIONS)
    for action in ACTIONS:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", action.kind)
        assert action.meaning


def test_every_kind_that_is_written_by_name_is_declared() -> None:
    """Others are made of two parts: tests/conftest.py holds those to the declarations."""
    text = "\n".join(f.read_text("utf-8") for source in SOURCES for f in source.rglob("*.py"))
    kinds = re.findall(r"(?:audit|self|records)\.(?:record|note)\(\s*\"([a-z]+\.[a-z_]+)\"", text)
    kinds += re.findall(r"audit\.append\(\s*[^,\"]+,\s*\"([a-z]+\.[a-z_]+)\"", text)
    assert len(kinds) >= 9
    assert [kind for kind in kinds if kind not in BY_KIND] == []


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_that_changes_something_is_recorded_or_says_why_not(verb: Verb) -> None:
    if verb.read_only:
        assert verb.name not in RECORDED
        return
    found = RECORDED.get(verb.name)
    assert found, "say in catalogue/recorded.py what the audit chain has of it, or why nothing"
    if isinstance(found, tuple):
        assert [kind for kind in found if kind not in BY_KIND] == []


def test_nothing_is_recorded_of_verbs_that_are_not_there() -> None:
    assert RECORDED.keys() <= {verb.name for verb in VERBS}


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_a_released_catalogue_can_be_read_and_compared(file: Path) -> None:
    old = read(file.read_text(encoding="utf-8"), file.name)
    assert old["version"] == file.stem
    json.dumps([one.what for one in compare(old, released())])


def test_what_was_released_last_is_kept() -> None:
    assert KEPT, "a release puts its catalogue into tests/data/catalogues"
