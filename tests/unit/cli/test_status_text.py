"""What `status` and `start` say: each part of an answer in words, if there is something to say."""

from __future__ import annotations

from typing import Any, cast

import pytest

from khive_supervisor.cli.render.status_text import duration, ready_text, status_text
from khive_supervisor.text.plain_json import JsonObject

INDEX = {
    "state": "current", "vectors": 900, "model": "minilm", "generation": 4, "items": 890,
    "waiting_to_be_embedded": 0, "problem": "",
}  # fmt: skip
BUILDER = {"running": False, "progress": None, "failures": 0, "last_exit": ""}
FRESHNESS = {
    "path": "inotify", "reason": "", "rebuilds": 0, "last_rebuild_reason": "", "pushes": 3,
}  # fmt: skip
CHILD = {"name": "zygote", "state": "ready", "pid": 12, "restarts": 0, "last_exit": ""}
SESSION = {"id": 3, "pid": 44, "kind": "attach", "seconds": 61.0}


def status(**fields: object) -> JsonObject:
    """What a supervisor answers to a command of nobody confined."""
    whole: dict[str, Any] = {
        "state": "ready", "version": "1.2.3", "pid": 7, "uptime_seconds": 3.0, "config_file": None,
        "socket": "/run/s", "store": "/data/khive.db", "log": "/data/log", "index": INDEX,
        "builder": BUILDER, "freshness": FRESHNESS, "children": [CHILD], "roles": [],
        "unserved": {}, "sessions": [], "http": {"state": "off"},
    }  # fmt: skip
    return cast("JsonObject", {**whole, **fields})


def confined(**fields: object) -> JsonObject:
    """What it answers to a command of a confined session."""
    whole = {**status(), **fields}
    for name in ("children", "index", "builder", "freshness", "roles", "unserved", "log", "http"):
        whole.pop(name, None)
    return cast("JsonObject", whole)


def part(text: str, start: str) -> str:
    """The one paragraph that starts so."""
    (found,) = [one for one in text.split("\n\n") if one.startswith(start)]
    return found


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"), (0.999, "0s"), (59.999, "59s"), (60, "1m"), (119, "1m"), (3599, "59m"),
        (3600, "1h"), (86_399, "23h"), (86_400, "1d"), (10 * 86_400 - 1, "9d"),
    ],
)  # fmt: skip
def test_a_duration_is_told_in_its_largest_whole_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_head_says_what_runs_where() -> None:
    head = status_text(status(config_file="/etc/k.toml", uptime_seconds=7200)).split("\n\n")[0]
    assert head.splitlines() == [
        "khive-supervisor 1.2.3: ready",
        "pid     7, up 2h",
        "store   /data/khive.db",
        "config  /etc/k.toml",
        "log     /data/log",
    ]


def test_a_supervisor_without_a_file_says_that_it_runs_on_defaults() -> None:
    assert "config  defaults (no file)" in status_text(status()).splitlines()


@pytest.mark.parametrize("name", ["store_problem", "store_note"])
def test_what_became_of_the_store_stands_below_its_path(name: str) -> None:
    told = cast("JsonObject", {**status(), name: "It was replaced."})
    for lines in (status_text(told).splitlines(), ready_text(told).splitlines()):
        place = next(i for i, line in enumerate(lines) if "/data/khive.db" in line)
        assert lines[place + 1].strip() == "It was replaced."


@pytest.mark.parametrize(
    ("upgrade", "said"),
    [
        ({"state": "current", "release": "1.2.3", "problem": ""}, None),
        ({}, None),
        ({"state": "waiting", "release": "1.3.0", "problem": ""}, "upgrade 1.3.0 is waiting"),
        (
            {"state": "failed", "release": "1.3.0", "problem": "it ended"},
            "upgrade 1.3.0 is failed: it ended",
        ),
    ],
)
def test_another_release_is_named_with_why_it_does_not_run(
    upgrade: dict[str, str], said: str | None
) -> None:
    lines = status_text(status(upgrade=upgrade)).splitlines()
    assert [line for line in lines if line.startswith("upgrade")] == ([said] if said else [])


@pytest.mark.parametrize(
    ("http", "said"),
    [
        ({"state": "off"}, None),
        ({}, None),
        ({"state": "ready", "url": "http://h:1", "problem": ""}, "http://h:1"),
        (
            {"state": "failed", "url": "", "problem": "port in use"},
            "not served (failed: port in use)",
        ),
        (
            {"state": "restarting", "url": "http://h:1", "problem": "it ended"},
            "http://h:1 (restarting: it ended)",
        ),
    ],
)
def test_http_is_told_with_its_problem(http: dict[str, str], said: str | None) -> None:
    for text in (status_text(status(http=http)), ready_text(status(http=http))):
        found = [line.split(maxsplit=1)[1] for line in text.splitlines() if "http  " in line]
        assert found == ([said] if said else [])


@pytest.mark.parametrize("state", ["off", "unknown"])
def test_an_index_that_is_not_there_is_one_word(state: str) -> None:
    assert part(status_text(status(index={"state": state})), "index") == f"index   {state}"


@pytest.mark.parametrize(
    ("index", "builder", "lines"),
    [
        ({}, {}, ["index   current: 900 vectors of minilm, generation 4 holds 890"]),
        ({"generation": None}, {}, ["index   current: 900 vectors of minilm"]),
        (
            {"generation": 0, "waiting_to_be_embedded": 7},
            {},
            ["index   current: 900 vectors of minilm, 7 entries wait to be embedded"],
        ),
        (
            {"generation": 0, "problem": "damaged"},
            {},
            ["index   current: 900 vectors of minilm", "        damaged"],
        ),
        (
            {"generation": 0},
            {"running": True, "progress": {"event": "embedding", "done": 1, "total": 9}},
            ["index   current: 900 vectors of minilm", "        being built: embedding, 1 of 9"],
        ),
        (
            {"generation": 0},
            {"running": True, "progress": {"event": "embedding", "total": 9}},
            ["index   current: 900 vectors of minilm", "        being built: embedding, 0 of 9"],
        ),
        (
            {"generation": 0},
            {"running": True, "progress": {"event": "copy_of_rows"}},
            ["index   current: 900 vectors of minilm", "        being built: copy of rows"],
        ),
        (
            {"generation": 0},
            {"failures": 1, "last_exit": "exit code 3"},
            [
                "index   current: 900 vectors of minilm",
                "        the builder failed 1 time (exit code 3)",
            ],
        ),
        (  # it is at it again: that it failed before is no news
            {"generation": 0},
            {"running": True, "progress": {}, "failures": 2, "last_exit": "x"},
            ["index   current: 900 vectors of minilm", "        being built"],
        ),
    ],
)
def test_the_index_says_what_it_holds_and_what_it_waits_for(
    index: dict[str, object], builder: dict[str, object], lines: list[str]
) -> None:
    text = status_text(status(index={**INDEX, **index}, builder={**BUILDER, **builder}))
    assert part(text, "index").splitlines() == lines


@pytest.mark.parametrize(
    ("freshness", "lines"),
    [
        (
            {"pushes": 1},
            ["changes of the store are noticed at once (inotify); sessions were told 1 time"],
        ),
        (
            {"path": "polling", "reason": "No instances are left."},
            [
                "changes of the store are looked for (no inotify); sessions were told 3 times",
                "        No instances are left.",
            ],
        ),
        (
            {"rebuilds": 2, "last_rebuild_reason": "the file was replaced"},
            [
                "changes of the store are noticed at once (inotify); sessions were told 3 times",
                "        watched anew 2 times, last because the file was replaced",
            ],
        ),
    ],
)
def test_how_changes_are_noticed_is_said(freshness: dict[str, object], lines: list[str]) -> None:
    text = status_text(status(freshness={**FRESHNESS, **freshness}))
    assert part(text, "changes").splitlines() == lines


def test_processes_are_a_table_and_one_that_does_not_run_has_no_pid() -> None:
    ended = {"name": "embedder", "state": "down", "pid": None, "restarts": 2, "last_exit": "code 1"}
    rows = part(status_text(status(children=[CHILD, ended])), "PROCESS").splitlines()
    assert [row.split() for row in rows[1:]] == [
        ["zygote", "ready", "12", "0", "-"],
        ["embedder", "down", "-", "2", "code", "1"],
    ]


def test_sessions_are_a_table_and_what_is_not_told_of_one_is_a_dash() -> None:
    whole = {**SESSION, "client": "codex", "namespace": "house", "cwd": "/src"}
    rows = part(status_text(status(sessions=[SESSION, whole])), "SESSION").splitlines()
    assert [row.split() for row in rows[1:]] == [
        ["3", "44", "attach", "-", "-", "1m", "-"],
        ["3", "44", "attach", "codex", "house", "1m", "/src"],
    ]
    assert "No sessions are open." in status_text(status())


def test_what_was_not_taken_is_listed_with_its_place() -> None:
    ignored = [{"place": "/src/.khive.toml", "key": "memory.limit", "why": "only yours"}]
    assert part(status_text(status(ignored=ignored)), "Not taken").splitlines()[1:] == [
        "  /src/.khive.toml: memory.limit: only yours"
    ]
    assert "Not taken" not in status_text(status(ignored=[]))


def test_tasks_for_roles_that_are_not_there_are_told_without_any_role() -> None:
    assert "1 task waits for the role critic" in status_text(status(unserved={"critic": 1}))


def test_a_confined_command_reads_of_its_sessions_and_of_nothing_else() -> None:
    told = status_text(confined(sessions=[SESSION])).split("\n\n")
    assert [one.split()[0] for one in told] == ["khive-supervisor", "SESSION"]
    assert "log" not in told[0]


def test_no_paragraph_is_empty() -> None:
    for told in (status(), confined(), status(sessions=[SESSION], unserved={"a": 2})):
        assert all(one.strip() for one in status_text(told).split("\n\n"))


def test_a_supervisor_that_is_ready_says_where_everything_is_and_what_to_do_next() -> None:
    lines = ready_text(status()).splitlines()
    assert lines[0] == "khive-supervisor 1.2.3 is ready (pid 7)."
    assert [line.split() for line in lines[1:4]] == [
        ["store", "/data/khive.db"], ["socket", "/run/s"], ["log", "/data/log"],
    ]  # fmt: skip
    assert "khive-supervisor connect" in lines[-1]
