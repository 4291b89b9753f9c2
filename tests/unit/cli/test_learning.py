"""A run of `learn` over real files and a real store: what lives after it is what files say."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.cli.commands import learning
from khive_supervisor.cli.commands.learning import LearnRun, Options, Tally
from khive_supervisor.config.load import from_dict
from khive_supervisor.documents.model import DocumentProblem, LeftOut
from khive_supervisor.documents.walk import find, folders
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs import loading
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()


class Learner:
    """The verbs of this process, and the folder that is learned."""

    def __init__(self, home: Path) -> None:
        config = from_dict({"store": {"path": str(home / "store" / "khive.db")}})
        info = SessionInfo(id="s")
        self.context = Context(
            config, info, socket_path=None, make_embedder=lambda: None, grant=OPERATOR
        )
        self.folder = home / "docs"
        self.folder.mkdir(exist_ok=True)
        self.calls: list[str] = []

    def request(
        self, operation: str, args: dict[str, Any] | None = None, progress: Any = None
    ) -> dict[str, Any]:
        self.calls.append(operation)
        return REGISTRY.call(self.context, operation, json.loads(json.dumps(args)))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def learn(self, *paths: Path, form: str = "auto", **options: Any) -> Tally:
        self.calls.clear()
        named = [str(path) for path in paths or (self.folder,)]
        tally, sources = Tally(), []
        for found in find(named, form):
            if isinstance(found, DocumentProblem):
                tally.problems.append(found)
            elif isinstance(found, LeftOut):
                tally.leave_out(found)
            else:
                sources.append(found)
        run = LearnRun([self], Options(**options), tally, lambda _: None, lambda _: None)
        run.learn(sources, folders(named))
        return tally

    def lives(self) -> dict[str, str]:
        """The live texts, each with the name of the file that says it; every one is found once."""
        entries = self.context.store.entries.page(where=EntryFilter())
        assert len({entry.content for entry in entries}) == len(entries)
        return {entry.content: os.path.basename(entry.source or "") for entry in entries}

    def ids(self) -> dict[str, int]:
        return {
            entry.content: entry.id
            for entry in self.context.store.entries.page(where=EntryFilter())
        }


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[Learner]:
    found = Learner(tmp_path)
    yield found
    found.context.close()


def counts(tally: Tally) -> Sequence[int]:
    return (tally.stored + tally.restored, tally.already_known, tally.retired)


def test_an_edited_file_has_one_living_text(learner: Learner) -> None:
    learner.write("ops.md", "# Ops\n\nDeploys on Monday.\n\n## Other\n\nstays\n")
    assert counts(learner.learn()) == (2, 0, 0)
    learner.write("ops.md", "# Ops\n\nDeploys on Thursday.\n\n## Other\n\nstays\n")
    assert counts(learner.learn()) == (1, 1, 1)
    assert learner.lives() == {"Deploys on Thursday.": "ops.md", "stays": "ops.md"}


def test_what_is_unchanged_is_not_even_read(learner: Learner) -> None:
    learner.write("a.md", "one")
    learner.write("b.jsonl", '{"content": "two"}')
    learner.learn()
    tally = learner.learn()
    assert (tally.unchanged, counts(tally)) == (2, (0, 2, 0))
    assert "knowledge.sync" not in learner.calls


def test_an_entry_that_was_forgotten_comes_back_with_its_unchanged_file(learner: Learner) -> None:
    learner.write("a.md", "one")
    learner.learn()
    learner.context.store.entries.forget([*learner.ids().values()])
    assert learner.learn().restored == 1


def test_a_deleted_file_goes_with_its_folder(learner: Learner) -> None:
    learner.write("a.md", "one")
    gone = learner.write("sub/b.md", "two")
    learner.learn()
    gone.unlink()
    assert counts(learner.learn(learner.folder / "a.md")) == (0, 1, 0)
    assert set(learner.lives()) == {"one", "two"}
    assert counts(learner.learn()) == (0, 1, 1)
    assert set(learner.lives()) == {"one"}
    shutil.rmtree(learner.folder / "sub")
    assert counts(learner.learn()) == (0, 1, 0)


def test_the_last_file_of_a_folder_goes_as_well(learner: Learner) -> None:
    learner.write("a.md", "one")
    learner.learn()
    (learner.folder / "a.md").unlink()
    assert counts(learner.learn()) == (0, 0, 1)
    assert learner.lives() == {}


def test_a_folder_retires_what_files_said_and_not_what_agents_did(learner: Learner) -> None:
    alone = learner.write("alone.md", "alone")
    learner.learn(alone)
    entry = {"content": "an agent's", "source": str(learner.folder / "agent.md")}
    learner.request("knowledge.learn", {"entries": [entry]})
    alone.unlink()
    tally = learner.learn()
    assert tally.retired == 1
    assert {os.path.basename(one.source) for one in tally.kept} == {"agent.md"}
    assert set(learner.lives()) == {"an agent's"}


@pytest.mark.parametrize("what", ["ignored", "binary", "too large", "no folder", "hidden"])
def test_what_is_there_but_not_learned_now_stays(
    learner: Learner, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = learner.write("sub/a.md", "one")
    learner.learn()
    if what == "ignored":
        learner.write(".gitignore", "a.md")
    elif what == "binary":
        file.write_bytes(b"\0\1\2\3")
    elif what == "too large":
        monkeypatch.setattr("khive_supervisor.documents.reading.SIZE_LIMIT", 2)
        file.write_text("three")
    elif what == "hidden":
        learner.write("sub/pyvenv.cfg", "")
    else:
        scan = os.scandir

        def refused(path: str) -> Any:
            if path.endswith("sub"):
                raise PermissionError(13, "Permission denied")
            return scan(path)

        monkeypatch.setattr(os, "scandir", refused)
    tally = learner.learn()
    assert tally.retired == 0
    assert "stays" in " ".join(one.why for one in [*tally.kept, *tally.problems])
    assert set(learner.lives()) == {"one"}


@pytest.mark.parametrize("text", ["# T\n\none\n\n# U\n\ntwo\n", '{"content": "one"}\n'])
def test_a_moved_file_keeps_its_entries(learner: Learner, text: str) -> None:
    name = "jsonl" if text.startswith("{") else "md"
    file = learner.write(f"old.{name}", text)
    learner.learn()
    before = learner.ids()
    (learner.folder / "sub").mkdir()
    file.rename(learner.folder / "sub" / f"new.{name}")
    tally = learner.learn()
    assert (tally.moved, tally.retired, tally.stored) == (1, 0, 0)
    assert learner.ids() == before
    assert set(learner.lives().values()) == {f"new.{name}"}


def test_a_moved_file_without_headings_is_found_once(learner: Learner) -> None:
    file = learner.write("old.txt", "no heading")
    learner.learn()
    file.rename(learner.folder / "new.txt")
    learner.learn()
    assert learner.lives() == {"no heading": "new.txt"}


def test_a_moved_folder_takes_its_entries_along(learner: Learner, tmp_path: Path) -> None:
    learner.write("sub/a.md", "# A\n\none")
    learner.learn()
    shutil.move(learner.folder, tmp_path / "moved")
    learner.learn(tmp_path / "moved")
    (tmp_path / "moved/sub/a.md").write_text("# A\n\nedited")
    learner.learn(tmp_path / "moved")
    assert set(learner.lives()) == {"edited"}


def test_a_copy_is_no_move(learner: Learner) -> None:
    file = learner.write("a.md", "# A\n\none")
    learner.learn()
    shutil.copy(file, learner.folder / "b.md")
    assert learner.learn().moved == 0
    file.unlink()
    learner.learn()
    assert learner.lives() == {"one": "b.md"}


def test_a_line_inserted_above_changes_nothing_below(learner: Learner) -> None:
    lines = [json.dumps({"content": f"line {n}"}) for n in range(5)]
    learner.write("a.jsonl", "\n".join(lines))
    learner.learn()
    before = learner.ids()
    learner.write("a.jsonl", "\n".join(['{"content": "first"}', *lines[:3], *lines[4:]]))
    assert counts(learner.learn()) == (1, 4, 1)
    before.pop("line 3")
    assert before.items() <= learner.ids().items()
    store = learner.context.store
    assert store.sources.of(before["line 4"]) == [(str(learner.folder / "a.jsonl"), "line 5", None)]


def test_a_source_named_in_a_line_is_shown_and_the_file_owns_it(learner: Learner) -> None:
    learner.write("a.jsonl", '{"content": "one", "source": "https://h/p"}\n{"content": "two"}')
    learner.learn()
    learner.write("a.jsonl", '{"content": "one", "source": "https://h/p"}')
    learner.learn()
    assert learner.lives() == {"one": "p"}
    learner.write("a.jsonl", "")
    learner.learn()
    assert learner.lives() == {}


@pytest.mark.parametrize("changed", [1, 3, 8])
def test_a_file_of_many_parts_is_replaced_whole(
    learner: Learner, monkeypatch: pytest.MonkeyPatch, changed: int
) -> None:
    monkeypatch.setattr(learning, "BATCH", 3)
    lines = [f"line {n}" for n in range(8)]
    write = [json.dumps({"content": line}) for line in lines]
    learner.write("a.jsonl", "\n".join(write))
    learner.learn()
    assert set(learner.lives()) == set(lines)
    new = [f"new {n}" for n in range(changed)] + lines[changed:]
    learner.write("a.jsonl", "\n".join(json.dumps({"content": line}) for line in new))
    request, seen = learner.request, []

    def watched(operation: str, args: Any = None, progress: Any = None) -> dict[str, Any]:
        answer = request(operation, args, progress)
        seen.append(set(learner.lives()))
        return answer

    monkeypatch.setattr(learner, "request", watched)
    learner.learn()
    assert set(learner.lives()) == set(new)
    assert all(one in (set(lines), set(new)) for one in seen)


def test_tags_and_a_kind_are_added_to_what_is_known(learner: Learner) -> None:
    learner.write("a.md", "---\ntags: [own]\n---\n# A\n\none\n")
    learner.learn()
    learner.learn(tags=("asked",), kind="guide")
    (entry,) = learner.context.store.entries.page()
    assert (entry.tags, entry.kind) == (("own", "asked"), "guide")
    assert "knowledge.sync" in learner.calls
    learner.learn(tags=("asked",), kind="guide")
    assert "knowledge.sync" not in learner.calls


def test_a_dry_run_tells_and_changes_nothing(learner: Learner) -> None:
    edited, gone = learner.write("a.md", "# A\n\none"), learner.write("b.md", "# B\n\ntwo")
    moved = learner.write("c.md", "# C\n\nthree")
    learner.learn()
    before = learner.context.store.entries.page()
    edited.write_text("# A\n\nedited")
    gone.unlink()
    moved.rename(learner.folder / "d.md")
    tally = learner.learn(dry_run=True)
    assert (tally.stored, tally.retired, tally.moved) == (1, 2, 1)
    told = {os.path.basename(change["source"]): change for change in tally.changes}
    assert [line.split(": ")[1] for line in told["a.md"]["gone"]] == ["A"]
    assert told["d.md"]["instead_of"] == [str(learner.folder / "c.md")]
    assert learner.context.store.entries.page() == before
    after = learner.learn()
    assert (after.stored, after.retired, after.moved) == (1, 2, 1)


def test_a_bad_line_is_told_each_time_and_the_rest_goes_on(learner: Learner) -> None:
    learner.write("a.jsonl", '{"content": "one"}\n{broken\n{"content": "x", "kind": "No Kind"}\n')
    for _ in range(2):
        tally = learner.learn()
        assert [one.source.rpartition(":")[2] for one in tally.problems] == ["2", "3"]
    assert set(learner.lives()) == {"one"}


def test_a_file_that_breaks_in_the_middle_loses_nothing(learner: Learner) -> None:
    lines = "\n".join(json.dumps({"content": f"line {n}"}) for n in range(3))
    file = learner.write("a.jsonl", lines)
    learner.learn()
    file.write_bytes(b'{"content": "new"}\n' + b"x" * 10_000 + b"\n\xff\xff\n")
    tally = learner.learn()
    assert any("not UTF-8" in one.why and "stays" in one.why for one in tally.problems)
    assert set(learner.lives()) == {"new", "line 0", "line 1", "line 2"}


def test_another_spelling_of_the_folder_is_the_same_folder(learner: Learner) -> None:
    learner.write("a.md", "one")
    learner.learn()
    os.symlink(learner.folder, learner.folder.parent / "link")
    assert learner.learn(learner.folder.parent / "link").unchanged == 1
    (learner.folder / "a.md").unlink()
    assert learner.learn(learner.folder.parent / "link").retired == 1


def test_what_is_left_out_is_counted(learner: Learner) -> None:
    learner.write("a.md", f"![x](data:image/png;base64,{'A' * 99})\n")
    for name in ("b.py", "c.py", "d.ipynb"):
        learner.write(name, "x")
    (one, two) = learner.learn().as_dict()["left_out"]
    assert (one["count"], one["suffixes"]) == (3, {".py": 2, ".ipynb": 1})
    assert (two["why"], two["count"]) == ("an embedded image", 1)


# --- agents --------------------------------------------------------------------------------------


def learn(learner: Learner, *entries: tuple[str, str], **more: Any) -> dict[str, Any]:
    sent = [{"title": title, "content": content, "source": "wiki"} for title, content in entries]
    return learner.request("knowledge.learn", {"entries": sent, **more})


def test_what_an_agent_says_again_replaces_the_same_title(learner: Learner) -> None:
    learn(learner, ("Deploys", "Monday"), ("Backups", "nightly"))
    answer = learn(learner, ("Deploys", "Thursday"))
    assert len(answer["retired"]) == 1
    assert "replaces" in answer["notes"][0]
    assert set(learner.lives()) == {"Thursday", "nightly"}
    assert "retired" not in learn(learner, ("Deploys", "at nine"), replaces="nothing")
    assert set(learner.lives()) == {"Thursday", "nightly", "at nine"}
    assert len(learn(learner, ("All", "new"), replaces="all")["retired"]) == 3
    assert set(learner.lives()) == {"new"}


def test_many_entries_of_one_call_do_not_replace_each_other(learner: Learner) -> None:
    entries = [("", f"part {n}") for n in range(150)]
    answer = learn(learner, *entries)
    assert answer["stored"] == 150
    assert len(set(answer["ids"])) == 150
    again = learn(learner, *entries[:100], *[("", f"other {n}") for n in range(50)])
    assert (again["already_known"], again["stored"], len(again["retired"])) == (100, 50, 50)
    assert len(learner.lives()) == 150


def test_a_reading_that_never_began_is_refused(learner: Learner) -> None:
    begun = learner.request("knowledge.sync", {"sources": []})["run"]
    said = {"sources": [{"source": "s", "entries": [{"content": "x"}]}]}
    with pytest.raises(InvalidInput, match="no reading"):
        learner.request("knowledge.sync", {**said, "run": begun + 1})
    assert learner.request("knowledge.sync", {**said, "run": begun})["stored"] == 1


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({}, "content"),
        ({"content": " "}, "empty"),
        ({"content": 5}, "content"),
        ({"content": "x", "kind": "No Kind"}, "kind"),
        ({"content": "x", "more": 1}, "more"),
        ({"content": "x", "tags": ["t" * 65]}, "longer"),
        ({"content": "x" * 300_000}, "bytes"),
    ],
)
def test_what_cannot_be_an_entry_is_refused_and_the_rest_is_taken(
    learner: Learner, entry: dict[str, Any], why: str
) -> None:
    said = {"source": "s", "entries": [{"content": "good"}, entry], "digest": "0" * 32}
    answer = learner.request("knowledge.sync", {"sources": [said]})
    (refused,) = answer["refused"]
    assert why in refused["why"]
    assert set(learner.lives()) == {"good"}
    (known,) = learner.request("knowledge.sources", {"names": ["s"]})["sources"]
    assert known["digest"] is None


def test_other_namespaces_are_not_touched(learner: Learner) -> None:
    learn(learner, ("A", "here"))
    learn(learner, ("A", "there"), namespace="other")
    assert set(learner.lives()) == {"here", "there"}


# --- any history of files ------------------------------------------------------------------------

FILES = st.dictionaries(
    st.sampled_from(["a.md", "b.md", "sub/c.md", "sub/d.txt", "e.jsonl"]),
    st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=3, unique=True),
    max_size=4,
)


def written(name: str, texts: Sequence[str]) -> str:
    if name.endswith(".jsonl"):
        return "".join(json.dumps({"content": text}) + "\n" for text in texts)
    return "\n\n".join(f"# {text}\n\n{text}" if name.endswith(".md") else text for text in texts)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FILES, min_size=1, max_size=4))
def test_what_lives_is_what_the_files_say(
    tmp_path_factory: pytest.TempPathFactory, history: list[dict[str, list[str]]]
) -> None:
    learner = Learner(tmp_path_factory.mktemp("h"))
    try:
        for state in history:
            shutil.rmtree(learner.folder)
            learner.folder.mkdir()
            for name, texts in state.items():
                learner.write(name, written(name, texts))
            learner.learn()
            said = {(entry.title, entry.content) for entry in learner.context.store.entries.page(
                where=EntryFilter())}  # fmt: skip
            expected = set()
            for name, texts in state.items():
                if name.endswith(".md"):
                    expected |= {(text, text) for text in texts}
                elif name.endswith(".jsonl"):
                    expected |= {("", text) for text in texts}
                elif texts:
                    expected.add((os.path.basename(name), "\n\n".join(texts)))
            assert said == expected
            assert learner.learn().unchanged == sum(map(bool, state.values()))
    finally:
        learner.context.close()
