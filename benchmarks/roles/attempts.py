"""Agents' sessions as attempts at tasks, in a store of its own: real verbs, the bundled model."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs import loading
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, Outcome, RoleRow
from khive_supervisor.verbs.context import Context, SessionInfo

#: The type of all tasks, and seconds that a role holds one.
TYPE, LEASE = "fix", 3600.0
#: Attempts whose vectors are made at once.
_BATCH = 500


@dataclass(frozen=True, slots=True)
class SessionTask:
    """What a session was asked, the files that it touched, how it ended, and its last words."""

    repository: str
    prompt: str
    files: tuple[str, ...]
    resolved: bool
    said: str

    @property
    def sources(self) -> frozenset[str]:
        """The files without those of tests."""
        return frozenset(file for file in self.files if "test" not in file)


def read_sessions(directory: Path) -> list[SessionTask]:
    """The sessions of a directory, in the order of their ids."""
    last = {}
    with gzip.open(directory / "sessions.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            session = json.loads(line)
            acts = [event["thought"] for event in session["events"] if event["t"] == "act"]
            last[session["id"]] = acts[-1] if acts else ""
    tasks = map(json.loads, (directory / "tasks.jsonl").read_text("utf-8").splitlines())
    return [
        SessionTask(
            task["repo"], task["problem"], tuple(task["files"]), task["resolved"],
            last.get(task["id"], ""),
        )
        for task in sorted(tasks, key=lambda task: str(task["id"]))
    ]  # fmt: skip


class AttemptStore:
    """Attempts as a role's worker stores them; their vectors are made at once."""

    def __init__(self, directory: str, roles: Sequence[str]) -> None:
        self._model = MiniLM(threads=2)
        self._registry = loading.load()
        config = from_dict({"store": {"path": f"{directory}/khive.db"}, "secrets": {"mode": "off"}})
        self.context = Context(
            config,
            SessionInfo(),
            socket_path=None,
            make_embedder=lambda: self._model,
            grant=OPERATOR,
        )
        self.context.store.roles.set([RoleRow(role, (TYPE,)) for role in roles])

    def within(self, project: str) -> None:
        """Ask and store in a project from now on."""
        identity = ProjectIdentity(project, f"folder:/{project}", f"folder:/{project}")
        self.context.session = SessionInfo(id="bench", project=identity)

    def call(self, verb: str, **args: Any) -> Mapping[str, Any]:
        """Run a verb."""
        return self._registry.call(self.context, verb, args)

    def tried(self, task: SessionTask, role: str) -> str:
        """Give a role a task, do it as its session did, and return the execution's id."""
        self.call("agents.assign", role=role, payload={"prompt": task.prompt})
        store = self.context.store
        claim = store.tasks.claim(Claimant(role, "bench"), lease.now().after(LEASE))
        assert claim is not None
        outcome = Outcome(
            DONE if task.resolved else FAILED,
            result=task.said if task.resolved else None,
            error=None if task.resolved else task.said,
            final=True,
            place={"touched": list(task.files)},
        )
        store.tasks.finish(claim.id, claim.token, outcome, lease.now())
        (attempt,) = store.executions.of_tasks([claim.id])
        self._embed()
        return f"e{attempt.entry}"

    def _embed(self) -> None:
        """Make the vectors that the index builder makes later."""
        vectors, model = self.context.store.vectors, self._model
        missing = vectors.missing(model.model_id, _BATCH)
        made = model.embed([one.text for one in missing]).astype(np.float16)
        rows = [(one.entry_id, row.tobytes()) for one, row in zip(missing, made, strict=True)]
        vectors.put(model.model_id, rows)


@contextmanager
def attempt_store(*roles: str) -> Iterator[AttemptStore]:
    """A store with these roles, gone at the end."""
    with TemporaryDirectory() as directory:
        made = AttemptStore(directory, roles)
        try:
            yield made
        finally:
            made.context.close()
