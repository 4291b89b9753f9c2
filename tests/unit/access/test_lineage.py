"""Whom a process descends from, and what that says of who asks."""

from __future__ import annotations

import os

import pytest

from khive_supervisor.access import lineage
from khive_supervisor.host import processes
from khive_supervisor.host.processes import ProcessEntry

#: pid: parent, program, command line.
Table = dict[int, tuple[int, str, list[bytes]]]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """The processes that there are."""
    found: Table = {}
    states: dict[int, str] = {}

    def process(pid: int) -> ProcessEntry | None:
        if pid not in found:
            return None
        parent, name, _ = found[pid]
        return ProcessEntry(pid, 1000 + pid, states.get(pid, "S"), parent, pid, name, 0.0)

    monkeypatch.setattr(processes, "process", process)
    monkeypatch.setattr(lineage, "words_of", lambda pid, _what: found[pid][2])
    return found


def pids(pid: int) -> list[int]:
    return [one.pid for one in lineage.ancestors(pid)]


def test_ancestors_are_told_nearest_first_and_init_is_nobody_s(table: Table) -> None:
    table.update({1: (0, "init", []), 5: (1, "a", []), 7: (5, "b", []), 9: (7, "c", [])})
    assert pids(9) == [9, 7, 5]
    assert pids(1) == pids(0) == pids(77) == []


def test_a_chain_ends_where_somebody_is_gone(table: Table) -> None:
    table.update({7: (5, "b", []), 9: (7, "c", [])})
    assert pids(9) == [9, 7]


def test_a_ring_and_a_very_long_chain_end(table: Table) -> None:
    table.update({5: (7, "a", []), 7: (5, "b", [])})
    assert len(pids(5)) == lineage.MAX_DEPTH
    table.update({pid: (pid - 1, "x", []) for pid in range(10, 200)})
    assert len(pids(199)) == lineage.MAX_DEPTH


@pytest.mark.parametrize("state", ["Z", "X"])
def test_the_dead_are_nobody_s_ancestors(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    entry = ProcessEntry(5, 1, state, 1, 5, "a", 0.0)
    monkeypatch.setattr(processes, "process", lambda _pid: entry)
    assert lineage.living(5) is None
    assert lineage.session_name(5) is None


@pytest.mark.parametrize("wrapper", sorted(lineage.WRAPPERS))
def test_who_was_only_told_to_run_attach_is_passed_over(table: Table, wrapper: str) -> None:
    table.update(
        {5: (1, "claude", []), 7: (5, wrapper, [b"-c", b"khive-supervisor attach"]),
         9: (7, "python", [b"attach"])}
    )  # fmt: skip
    client = lineage.client_of(9)
    assert client is not None
    assert client.name == "claude"


def test_a_shell_of_somebody_is_a_client(table: Table) -> None:
    table.update({5: (1, "bash", [b"-bash"]), 9: (5, "python", [b"attach"])})
    client = lineage.client_of(9)
    assert client is not None
    assert client.pid == 5


def test_a_program_with_attach_in_its_words_is_a_client_all_the_same(table: Table) -> None:
    table.update({5: (1, "editor", [b"attach.txt"]), 9: (5, "python", [b"attach"])})
    client = lineage.client_of(9)
    assert client is not None
    assert client.pid == 5


def test_one_that_nobody_has_started_has_no_client(table: Table) -> None:
    table.update({9: (1, "python", [b"attach"])})
    assert lineage.client_of(9) is None
    assert lineage.client_of(77) is None


def test_variables_are_those_that_it_was_started_with(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [b"A=1", b"B=x=y", b"C=", b"AB=2", b"D=\xff", b"nonsense"]
    monkeypatch.setattr(lineage, "words_of", lambda _pid, what: words if what == "environ" else [])
    found = lineage.environment(5, "A", "B", "C", "D", "E", "nonsense")
    assert found == {"A": "1", "B": "x=y", "D": "\udcff"}
    assert lineage.environment(5) == {}


def test_a_directory_is_where_it_is_and_not_where_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lineage.directory(os.getpid()) == os.getcwd()
    monkeypatch.setattr(os, "readlink", lambda path: f"{path} (deleted)")
    assert lineage.directory(5) == "/proc/5/cwd"

    def unknown(_path: str) -> str:
        raise PermissionError

    monkeypatch.setattr(os, "readlink", unknown)
    assert lineage.directory(5) is None


def test_a_process_has_one_name_and_another_one_has_another(table: Table) -> None:
    table.update({5: (1, "a", []), 7: (1, "a", [])})
    assert lineage.session_name(5) == lineage.session_name(5) != lineage.session_name(7)
    assert lineage.session_name(77) is None


def test_the_same_number_after_a_restart_is_another_name(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.update({5: (1, "a", [])})
    before = lineage.session_name(5)
    monkeypatch.setattr(lineage, "boot_id", lambda: "another boot")
    assert lineage.session_name(5) != before
