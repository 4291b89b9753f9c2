"""The commands on tasks: what they take, what they print, and when a wait for one ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import Result

from khive_supervisor import exitcodes
from khive_supervisor.cli.commands import tasks
from khive_supervisor.cli.connection.session import Invocation
from khive_supervisor.cli.render.role_text import NO_ROLES
from khive_supervisor.errors import InvalidInput, KhiveError, NotFound, NotRunning, RoleFailed

Khive = Callable[..., Result]

TASK = {
    "task": "t1", "state": "queued", "role": "critic", "attempts": 0,
    "created_at": "2026-11-29T10:00:00Z",
}  # fmt: skip


class Verbs:
    """Answers each verb with the next of its answers, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.cwd: str | None = None

    def request(
        self, operation: str, args: Any = None, progress: Callable[[Any], None] | None = None
    ) -> Any:
        self.asked.append((operation, dict(args or {})))
        answer = self.answers[operation].pop(0)
        if isinstance(answer, BaseException):
            raise answer
        for text in answer.pop("_progress", ()):
            assert progress is not None
            progress({"text": text})
        return answer


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Verbs:
    """Stands for a supervisor that answers as it is told."""
    made = Verbs()

    @contextlib.contextmanager
    def conversation(_file: str | None, cwd: str | None = None) -> Iterator[list[Verbs]]:
        made.cwd = cwd
        yield [made]

    def ask(_file: str | None, verb: str, **given: Any) -> Any:
        return made.request(verb, {name: value for name, value in given.items() if value})

    monkeypatch.setattr(tasks, "verbs", conversation)
    monkeypatch.setattr(Invocation, "ask", ask)
    return made


def answer(verbs: Verbs, verb: str, *answers: Any) -> None:
    verbs.answers[f"agents.{verb}"] = list(answers)


# --- assigning ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "payload"),
    [
        ("look at it", "look at it"),
        ('{"a": [1]}', {"a": [1]}),
        ("12", 12),
        ("null", None),
        ("[" * 100_000, "[" * 100_000),
        ('{"a": }', '{"a": }'),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_payload_that_is_json_is_taken_as_such_and_else_as_text(
    khive: Khive, verbs: Verbs, word: str, payload: object
) -> None:
    answer(verbs, "assign", {**TASK})
    assert khive("assign", word, "--role", "critic").output == "t1 queued for critic\n"
    assert verbs.asked == [("agents.assign", {"role": "critic", "payload": payload})]


def test_a_payload_can_come_from_standard_input(khive: Khive, verbs: Verbs) -> None:
    answer(verbs, "assign", {**TASK})
    khive("assign", "-", "--role", "critic", given='{"a": 1}')
    assert verbs.asked[0][1]["payload"] == {"a": 1}


def test_without_a_payload_there_is_none(khive: Khive, verbs: Verbs) -> None:
    answer(verbs, "assign", {**TASK, "note": "It waits."})
    lines = khive("assign", "--type", "review", "--priority", "0", "--deadline", "2h").output
    assert lines.splitlines() == ["t1 queued for critic", "note: It waits."]
    assert verbs.asked[0][1] == {"task_type": "review", "priority": 0, "deadline": "2h"}


def test_a_directory_that_is_named_is_where_the_task_is_about(
    khive: Khive, verbs: Verbs, home: Path
) -> None:
    answer(verbs, "assign", {**TASK}, {**TASK})
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    khive("assign", "x", "--role", "critic", "--cwd", "link")
    assert verbs.cwd == str(home / "real")
    khive("assign", "x", "--role", "critic", "--cwd", "~/real")
    assert verbs.cwd == str(home / "real")


def test_a_directory_that_is_not_there_is_refused_before_anything_is_asked(
    khive: Khive, verbs: Verbs
) -> None:
    done = khive("assign", "x", "--cwd", "nowhere", code=exitcodes.USAGE)
    assert isinstance(done.exception, InvalidInput)
    assert "'nowhere'" in done.exception.message
    assert verbs.asked == []


# --- waiting --------------------------------------------------------------------------------------


def waited(state: str, *, ended: bool, **more: object) -> dict[str, Any]:
    return {"ended": ended, "tasks": [{**TASK, "state": state, **more}]}


def test_who_waits_reads_progress_once_and_then_the_result(khive: Khive, verbs: Verbs) -> None:
    answer(verbs, "assign", {**TASK})
    answer(
        verbs,
        "wait",
        {**waited("leased", ended=False), "_progress": ["reading", "waiting", "reading"]},
        {**waited("done", ended=True, result={"text": "All is well."}), "_progress": ["writing"]},
    )
    done = khive("assign", "x", "--role", "critic", "--wait")
    assert done.stderr.splitlines() == ["t1 queued for critic", "reading", "writing"]
    assert done.stdout == "All is well.\n"
    assert [args for verb, args in verbs.asked if verb == "agents.wait"] == [
        {"task": "t1", "timeout": tasks.LOOK}
    ] * 2


def test_who_waits_for_json_reads_nothing_else(khive: Khive, verbs: Verbs) -> None:
    answer(verbs, "assign", {**TASK})
    answer(verbs, "wait", {**waited("done", ended=True, result=[1]), "_progress": ["reading"]})
    done = khive("assign", "x", "--role", "critic", "--wait", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["result"] == [1]


@pytest.mark.parametrize("state", ["failed", "cancelled", "dead"])
def test_a_task_that_does_not_succeed_has_its_exit_code(
    khive: Khive, verbs: Verbs, state: str
) -> None:
    answer(verbs, "assign", {**TASK})
    answer(verbs, "wait", waited(state, ended=True, error="no such file"))
    done = khive("assign", "x", "--role", "critic", "--wait", code=exitcodes.FAILURE)
    assert done.exit_code == exitcodes.FAILURE
    assert done.stdout == f"t1 {state}: no such file\n"


@pytest.mark.parametrize(
    ("fields", "printed"),
    [
        ({"result": "text"}, "text"),
        ({"result": {"text": "an agent's", "cost": 1}}, "an agent's"),
        ({"result": {"text": 5}}, '{\n  "text": 5\n}'),
        ({"result": None}, "null"),
        ({}, "null"),
        (
            {"result": "text", "worktree": {"path": "/w/t1/tree", "branch": "khive/t1"}},
            "text\nleft in: /w/t1/tree (branch khive/t1)",
        ),
        ({"result": "text", "worktree": {"path": "/w/t1/tree"}}, "text\nleft in: /w/t1/tree"),
    ],
)
def test_a_result_is_printed_as_it_is_with_where_more_of_it_lies(
    khive: Khive, verbs: Verbs, fields: dict[str, object], printed: str
) -> None:
    answer(verbs, "assign", {**TASK})
    answer(verbs, "wait", waited("done", ended=True, **fields))
    assert khive("assign", "x", "--role", "critic", "--wait").stdout == f"{printed}\n"


class Supervisor:
    """What the supervisor says of roles."""

    def __init__(self, *roles: dict[str, str]) -> None:
        self.roles = roles

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def request(self, operation: str) -> Any:
        assert operation == "roles.status"
        return {"roles": {"roles": list(self.roles)}}


def test_a_wait_for_a_role_that_is_failed_ends_with_what_to_do(
    khive: Khive, verbs: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KHIVE_NO_DAEMON")
    failed = {"role": "critic", "state": "failed", "last_error": "no such program"}
    monkeypatch.setattr(tasks, "control", lambda _file: Supervisor(failed))
    answer(verbs, "assign", {**TASK})
    answer(verbs, "wait", waited("queued", ended=False))
    done = khive("assign", "x", "--role", "critic", "--wait", code=exitcodes.BOOT_FAILURE)
    assert isinstance(done.exception, RoleFailed)
    assert "no such program" in done.exception.message
    assert "khive-supervisor resume-role critic" in done.exception.hint


@pytest.mark.parametrize(
    "supervisor",
    [
        Supervisor({"role": "critic", "state": "ready", "last_error": ""}),
        Supervisor({"role": "other", "state": "failed", "last_error": "x"}),
        Supervisor(),
        NotRunning("No supervisor is running."),
        ConnectionRefusedError(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_wait_goes_on_while_somebody_may_do_the_task(
    khive: Khive, verbs: Verbs, monkeypatch: pytest.MonkeyPatch, supervisor: object
) -> None:
    def control(_file: str | None) -> object:
        if isinstance(supervisor, Exception):
            raise supervisor
        return supervisor

    monkeypatch.delenv("KHIVE_NO_DAEMON")
    monkeypatch.setattr(tasks, "control", control)
    answer(verbs, "assign", {**TASK})
    answer(verbs, "wait", waited("queued", ended=False), waited("done", ended=True, result="ok"))
    assert khive("assign", "x", "--role", "critic", "--wait").stdout == "ok\n"


# --- listing --------------------------------------------------------------------------------------


def test_tasks_are_a_line_each_with_what_there_is_to_say(khive: Khive, verbs: Verbs) -> None:
    listed = [
        {**TASK, "task_type": "review", "progress": "reading"},
        {**TASK, "task": "t2", "error": "no\nsuch file", "progress": "reading"},
        {**TASK, "task": "t3"},
    ]
    answer(verbs, "tasks", {"tasks": listed, "note": "critic is out of service."})
    lines = khive("tasks", "--role", "critic", "--state", "queued", "-n", "3").output.splitlines()
    assert lines[0].split() == ["TASK", "STATE", "ROLE", "TYPE", "ATTEMPTS", "CREATED", "WHAT"]
    assert lines[1].split()[:5] == ["t1", "queued", "critic", "review", "0"]
    assert lines[1].endswith("reading")
    assert lines[2].endswith("no\\nsuch file")
    assert lines[-1] == "note: critic is out of service."
    assert verbs.asked == [("agents.tasks", {"role": "critic", "state": "queued", "limit": 3})]


def test_no_tasks_are_said_to_be_none(khive: Khive, verbs: Verbs) -> None:
    answer(verbs, "tasks", {"tasks": []})
    assert khive("tasks").output == "There are no tasks.\n"


@pytest.mark.parametrize(
    ("words", "seen"),
    [((), ["t1", "t2"]), (("--state", "done"), ["t2"])],
)
def test_what_happens_is_followed_from_where_it_was_left(
    khive: Khive, verbs: Verbs, words: tuple[str, ...], seen: list[str]
) -> None:
    event = {"task": "t1", "role": "critic", "what": "leased", "at": "soon", "worker": "w"}
    other = {"task": "t2", "role": "critic", "what": "done", "at": "soon"}
    answer(
        verbs, "follow",
        {"events": [event], "last": 4}, {"events": [other], "last": 9}, KhiveError("enough"),
    )  # fmt: skip
    lines = khive("tasks", "--follow", *words, code=exitcodes.FAILURE).output.splitlines()
    assert [line.split()[1] for line in lines] == seen
    assert [args.get("after") for _, args in verbs.asked] == [None, 4, 9]


def test_events_are_lines_of_json_for_programs(khive: Khive, verbs: Verbs) -> None:
    event = {"task": "t1", "role": "critic", "what": "done", "at": "2026-11-29T10:00:00Z"}
    answer(verbs, "follow", {"events": [event], "last": 4}, KhiveError("enough"))
    done = khive("tasks", "--follow", "--json", code=exitcodes.FAILURE)
    assert json.loads(done.stdout) == event


def test_a_task_is_shown_with_what_happened_to_it(khive: Khive, verbs: Verbs) -> None:
    whole = {
        **TASK, "payload": {"a": [1]}, "log_tail": "one\ntwo\x1b[2J",
        "events": [{"at": "soon", "what": "enqueued"}, {"at": "now", "what": "leased",
                                                        "detail": "by w"}],
    }  # fmt: skip
    answer(verbs, "task", whole)
    values, events, log = khive("task", "t1").output.rstrip().split("\n\n")
    assert ["payload", '{"a":', "[1]}"] in [line.split() for line in values.splitlines()]
    assert events.splitlines()[2].split() == ["now", "leased", "by", "w"]
    assert log.splitlines() == ["LOG", "one", "two\\x1b[2J"]


def test_a_task_without_a_log_has_no_empty_part(khive: Khive, verbs: Verbs) -> None:
    answer(verbs, "task", {**TASK, "events": [], "log_tail": ""})
    assert "LOG" not in khive("task", "t1").output


def test_cancel_and_retry_say_what_became_of_it(khive: Khive, verbs: Verbs) -> None:
    answer(verbs, "cancel", {**TASK, "state": "cancelled", "note": "It is cancelled."})
    assert khive("cancel", "t1").output == "t1 cancelled: It is cancelled.\n"
    answer(verbs, "retry", {**TASK, "note": "It waits."})
    assert khive("retry", "t1").output == "t1 queued for critic\nnote: It waits.\n"


def test_roles_have_a_line_for_each_type_of_task(khive: Khive, verbs: Verbs) -> None:
    known = {"success": 0.75, "interval": [0.5, 0.9], "executions": 4}
    critic = {
        "role": "critic", "in_service": True, "workers": 2, "queued": 1, "leased": 0,
        "budget": "near",
        "records": [{**known, "task_type": "review"}, {**known, "task_type": "proof"}],
    }  # fmt: skip
    answer(verbs, "roles", {"roles": [critic, {**critic, "in_service": False, "records": []}]})
    lines = [line.split() for line in khive("roles").output.splitlines()[1:]]
    assert lines == [
        ["critic", "in", "2", "1", "0", "review", "0.75", "(0.50-0.90)", "4", "near"],
        ["critic", "in", "2", "1", "0", "proof", "0.75", "(0.50-0.90)", "4", "near"],
        ["critic", "out", "2", "1", "0", "0", "near"],
    ]
    answer(verbs, "roles", {"roles": []})
    assert khive("roles").output == f"{NO_ROLES}\n"


# --- with the verbs themselves, and nobody to do a task -------------------------------------------


def test_a_role_that_is_not_there_is_refused_with_what_there_is(khive: Khive) -> None:
    done = khive("assign", "x", "--role", "critic", code=exitcodes.FAILURE)
    assert isinstance(done.exception, NotFound)
    assert "No roles are configured" in done.exception.hint
    assert khive("tasks").output == "There are no tasks.\n"
    assert khive("roles").output == f"{NO_ROLES}\n"
    assert khive("budget").output == f"{NO_ROLES}\n"
