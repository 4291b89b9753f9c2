"""What people read: commands for verbs, numbers refused in words, how a reload ended."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from khive_supervisor.cli.main import cli
from khive_supervisor.cli.render import command_names, status_text
from khive_supervisor.cli.service.reload import result_text
from khive_supervisor.packs import loading


def test_every_command_that_is_named_exists_and_does_a_verb() -> None:
    verbs = {verb.name for verb in loading.load()}
    assert set(command_names.COMMANDS) | command_names.CALLED == verbs
    for words in command_names.COMMANDS.values():
        group: click.Command = cli
        for word in words.split():
            if word.startswith("--"):
                assert any(word in parameter.opts for parameter in group.params), words
                continue
            assert isinstance(group, click.Group), words
            group = group.commands[word]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("brain.profiles lists them.", "`khive-supervisor profiles` lists them."),
        ("memory_get has all", "`khive-supervisor get` has all"),
        ("`brain.reset` does it", "`khive-supervisor reset-profile` does it"),
        ("memory.restore brings it back.", "`khive-supervisor forget --undo` brings it back."),
        ("agents.wait tells", "`khive-supervisor call agents.wait` tells"),
        ("index.html and agents.md are files", "index.html and agents.md are files"),
        ("memory.limit is a setting", "memory.limit is a setting"),
        ("projects.list names all.", "`khive-supervisor projects list` names all."),
        ('others would: scope = "all" asks them.', "others would: --scope all asks them."),
        (
            "the best scores 0.1); floor = 0 shows them.",
            "the best scores 0.1); --floor 0 shows them.",
        ),
        ("floor = 0.25.", "--floor 0.25."),
    ],
)
def test_a_verb_is_named_by_its_command(said: str, read: str) -> None:
    assert command_names.in_commands(said) == read


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recall", "x", "--limit", "many"), "'many' is not a whole number from 1 to 100."),
        (("recall", "x", "--limit", "0"), "0' is not a whole number from 1 to 100."),
        (("recall", "x", "--limit", "3.5"), "'3.5' is not a whole number from 1 to 100."),
        (("audit", "show", "--before", "x"), "'x' is not a whole number of at least 1."),
        (("assign", "--priority", "high"), "'high' is not a whole number."),
        (("remember", "x", "--salience", "much"), "'much' is not a number."),
        (("remember", "x", "--salience", "nan"), "'nan' is not a number."),
        (("logs", "-n", "-1"), "'-1' is not a whole number of at least 0."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_number_that_is_none_is_refused_in_words(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 2
    assert said in done.output


def reloaded(**more: object) -> dict[str, object]:
    found = {
        "state": "done", "generation": 3, "changed": True, "applied": ["log.level"], "roles": {},
        "waits_for_restart": [], "errors": [],
    }  # fmt: skip
    return {**found, **more}


@pytest.mark.parametrize(
    ("result", "first"),
    [
        (reloaded(), "Reloaded: generation 3."),
        (reloaded(changed=False), "Nothing has changed."),
        (reloaded(roles={"a": "rolled", "b": "unchanged"}), "Reloaded: generation 3."),
        (
            reloaded(state="rolled_back", roles={"a": "rolled_back", "b": "rolled"}),
            "Rolled back: The new a could not be made ready, and the old goes on.",
        ),
        (
            reloaded(roles={"a": "failed"}, errors=["a: no"]),
            "Rolled back: The new a could not be made ready, and the old goes on.",
        ),
        (reloaded(state="failed", errors=["k: wrong"]), "Nothing was changed:"),
    ],
)
def test_how_a_reload_ended_is_said_first(result: dict[str, object], first: str) -> None:
    assert result_text(result).splitlines()[0] == first


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        ({"event": "embedding", "done": 64, "total": 900}, ": embedding, 64 of 900"),
        ({"event": "building", "items": 900}, ": building, 900 items"),
        ({"event": "waiting", "why": "no embedder"}, ": waiting, no embedder"),
        ({}, ""),
        (None, ""),
    ],
)
def test_how_far_the_index_is_is_said_in_words(
    progress: dict[str, object] | None, words: str
) -> None:
    assert status_text._progress_words(progress) == words
