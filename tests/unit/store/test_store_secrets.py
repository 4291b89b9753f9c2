"""No facet keeps a secret: each is given some, and all that the file holds afterwards is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from engines import Engine
from secret_texts import SECRET

from khive_supervisor.errors import SecretFound
from khive_supervisor.profiles.model import DEFAULT, FEEDBACK, NewEvent
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import NewEntry, Piece, SourceText
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, NewTask, Outcome, RoleRow

TEXT = f"the token is {SECRET} now"
NOW = Moment("boot", 10.0)


def memory(**changes: object) -> NewEntry:
    values: dict[str, object] = {
        "collection": "memory", "namespace": "n", "kind": "fact", "title": "t", "content": "c",
    }  # fmt: skip
    return NewEntry(**(values | changes))  # type: ignore[arg-type]  # a test's shorthand


def bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    "changes",
    [
        {"content": TEXT}, {"title": TEXT}, {"tags": (SECRET,)}, {"source": TEXT},
        {"namespace": SECRET}, {"kind": SECRET},
    ],
)  # fmt: skip
def test_a_memory_with_a_secret_is_refused_whole(
    engine: Engine, tmp_path: Path, changes: dict[str, object]
) -> None:
    with engine(str(tmp_path / "khive.db")) as store:
        with pytest.raises(SecretFound):
            store.entries.add([memory(content="fine"), memory(**changes)])
        [kept] = store.entries.add([memory()])
        with pytest.raises(SecretFound):
            store.entries.supersede(kept.id, memory(**({"content": "new"} | changes)))
        if "tags" in changes:
            with pytest.raises(SecretFound):
                store.entries.annotate(kept.id, [SECRET])
        assert store.entries.live_count() == 1
    assert SECRET.encode() not in bytes_of(tmp_path)


def everything(store: Store) -> None:
    """Give each facet a secret in whatever it takes from programs."""
    # A path is a mark that is compared as a whole; what is beside it is not.
    other = ProjectIdentity(TEXT, "git:/a", "git:/a", (f"remote:h/{SECRET}",), SECRET)
    number = store.projects.ensure(other)
    store.projects.note_roots(number, ["r"])
    clone = replace(other, own="git:/b", base="git:/b")
    assert [one for one, _ in store.projects.joinable(clone)] == [number]
    with store.changes.recorded_projects("rename", [number]):
        store.projects.rename(number, f"new {TEXT}")
    store.changes.undo(store.changes.recent(1)[0].id)
    piece = Piece(memory(collection="knowledge", content=TEXT, title=TEXT), TEXT)
    run = store.sources.begin_run()
    name = f"https://ada:{SECRET}@example.org/x"
    store.sources.say(SourceText("n", name, (piece,), run, options=TEXT), [b"\0\1" * 4], "m")
    assert [one.name for one in store.sources.named("n", [name])] != [name]
    assert len(store.sources.end("n", [name])) == 1
    store.roles.set([RoleRow("r", ("",), "d", 1, 1, 3, True, 0)])
    for state in (DONE, FAILED):
        store.tasks.assign(NewTask("r", payload={"n": state}, cwd=f"/home/{SECRET}"))
        claim = store.tasks.claim(Claimant("r", "w", 1, "d"), NOW)
        assert claim is not None
        store.tasks.progress(claim.id, claim.token, TEXT)
        store.tasks.note_session(claim.id, claim.token, TEXT, 1)
        outcome = Outcome(
            state, {"said": TEXT, "password": "Copper" + "Falcon77"}, TEXT, final=True,
            log_tail=f"line\n{TEXT}", place={"directory": TEXT},
        )  # fmt: skip
        assert store.tasks.finish(claim.id, claim.token, outcome, NOW).accepted
    store.feedback.record(
        NewEvent(DEFAULT, FEEDBACK, None, actor=TEXT, namespace="n", detail={"query": TEXT})
    )
    store.audit.record("test.done", "store", {"detail": TEXT}, actor=TEXT)


def test_what_programs_write_is_masked_wherever_it_goes(engine: Engine, tmp_path: Path) -> None:
    with engine(str(tmp_path / "khive.db")) as store:
        everything(store)
        task = store.tasks.find(1)
        assert task is not None
        assert task.result["password"] == "[masked assigned-secret]"
        assert store.quick_check() == []
    whole = bytes_of(tmp_path)
    assert SECRET.encode() not in whole
    assert b"CopperFalcon" not in whole
    assert b"[masked github-token]" in whole


def test_what_is_said_to_tasks_and_profiles_is_refused(engine: Engine, tmp_path: Path) -> None:
    with engine(str(tmp_path / "khive.db")) as store:
        for task in (
            NewTask("r", payload={"env": {"TOKEN": SECRET}}),
            NewTask("r", idempotency=TEXT),
        ):
            with pytest.raises(SecretFound):
                store.tasks.assign(task)
        with pytest.raises(SecretFound):
            store.profiles.create("careful", TEXT)
        with pytest.raises(SecretFound):
            store.feedback.record(NewEvent(DEFAULT, FEEDBACK, None, scorer_run=SECRET, serve="s"))
        assert store.tasks.page() == []
    assert SECRET.encode() not in bytes_of(tmp_path)
