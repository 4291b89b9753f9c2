"""The verbs on the command line, as a user has them; learn, interrupted and resumed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import Installation, alive, kill, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.documents.walk import HIDDEN, NO_DOCUMENT


def contents(khive: Installation, query: str, where: str = "all", limit: int = 100) -> list[str]:
    found = khive.json("search", query, "--in", where, "--limit", str(limit))
    return [result["content"] for result in found["results"]]


def known(khive: Installation) -> int:
    entries: dict[str, int] = khive.call("system.status")["store"]["entries"]
    return entries.get("knowledge", 0)


# --- memories ------------------------------------------------------------------------------------


def test_a_memory_s_life(shared: Installation) -> None:
    said = shared.run("remember", "The printer hates Mondays", "--tag", "office", "--title", "P")
    identifier = re.match(r"(m\d+) stored \(namespace default\)\n$", said.stdout)
    assert identifier
    name = identifier[1]
    again = shared.run("remember", "The printer hates Mondays", "--title", "P")
    assert again.stdout.startswith(f"{name} already known")

    found = shared.json("recall", "trouble with printing on a weekday", "--tag", "office")
    assert [result["id"] for result in found["results"]] == [name]
    assert name in shared.run("recall", "printer").stdout
    assert "nothing" in shared.run("recall", "printer", "--kind", "other").stdout.lower()
    assert name in shared.run("suggest", "fix the printer").stdout

    assert shared.run("forget", name).stdout == f"Forgotten: {name}.\n"
    assert shared.json("recall", "printer")["results"] == []
    assert "forgotten_at" in shared.run("get", name).stdout
    assert json.loads(shared.run("call", "memory.restore", f'ids=["{name}"]').stdout) == {
        "restored": [name],
        "unchanged": [],
    }

    replaced = shared.json("supersede", name, "The printer hates Tuesdays")
    assert replaced["supersedes"] == name
    (result,) = shared.json("recall", "printer")["results"]
    assert (result["id"], result["content"]) == (replaced["id"], "The printer hates Tuesdays")
    assert shared.json("get", name)["entries"][0]["superseded_by"] == replaced["id"]
    refused = shared.run("supersede", name, "again", code=exitcodes.USAGE)
    assert "no longer live" in refused.stderr
    shared.run("forget", replaced["id"])


def test_standard_input_is_a_content_too(shared: Installation) -> None:
    for words in (("remember",), ("remember", "-")):
        said = shared.run(*words, "--json", stdin="piped in, with ünïcödé\n")
        assert json.loads(said.stdout)["id"]
    shared.run("forget", json.loads(said.stdout)["id"])


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("remember", ""), exitcodes.USAGE, "empty"),
        (("remember", "x", "--kind", "Not A Kind"), exitcodes.USAGE, "kind"),
        (("get", "m999999"), exitcodes.FAILURE, "no entry m999999"),
        (("get", "nonsense"), exitcodes.USAGE, "not an id"),
        (("recall", "x", "--since", "some day"), exitcodes.USAGE, "neither a time"),
        (("recall", "x" * 20_001), exitcodes.USAGE, "20000"),
        (("call", "no.such"), exitcodes.FAILURE, "no verb"),
        (("call", "memory.recall", "query"), exitcodes.USAGE, "key=value"),
        (("index", "verify"), exitcodes.FAILURE, "no generation"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_errors_have_a_message_and_an_exit_code(
    shared: Installation, words: tuple[str, ...], code: int, why: str
) -> None:
    done = shared.run(*words, code=code)
    assert why in done.stderr
    assert done.stdout == ""


def test_bytes_that_are_no_text_are_replaced_in_words_and_refused_in_a_file(
    shared: Installation,
) -> None:
    for words, data, code in (
        (["remember", b"bytes \xff\xfe", "--json"], b"", exitcodes.OK),
        (["remember", "-"], b"\xff\xfe", exitcodes.USAGE),
    ):
        done = subprocess.run(
            [*shared.argv, *words], env=shared.env, input=data, capture_output=True
        )
        assert done.returncode == code
        assert b"Traceback" not in done.stderr


def test_status_logs_index_and_configuration(shared: Installation) -> None:
    status = shared.run("status").stdout
    assert "ready" in status
    assert "zygote" in status
    assert shared.json("status")["state"] == "ready"
    assert shared.json("index", "status")["state"] == "none yet"
    lines = shared.run("logs", "--json", "-n", "5").stdout.splitlines()
    assert len(lines) == 5
    assert all(json.loads(line)["event"] for line in lines)
    assert "supervisor.started" in shared.run("logs", "-n", str(10**30)).stdout
    assert shared.run("logs", "-n", "0").stdout == ""
    assert "[supervisor]" in shared.run("config", "show").stdout


def test_logs_follows_what_comes(shared: Installation) -> None:
    process = subprocess.Popen(
        [*shared.argv, "logs", "--follow", "-n", "1", "--json"],
        env=shared.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        kill(shared.status()["pid"], signal.SIGHUP)
        while json.loads(process.stdout.readline())["event"] != "supervisor.hangup":
            pass
    finally:
        kill(process.pid, signal.SIGTERM)
        process.communicate()


def test_verbs_start_a_supervisor_if_none_runs_and_stop_ends_it(khive: Installation) -> None:
    assert khive.json("remember", "nobody was here yet")["status"] == "stored"
    pid = khive.status()["pid"]
    assert khive.run("stop").stdout == f"Stopped (pid {pid}).\n"
    assert not alive(pid)
    assert khive.json("stop") == {"stopped": False}


def test_without_a_daemon_the_same_verbs_work_alone(khive: Installation) -> None:
    alone = {"KHIVE_NO_DAEMON": "1"}
    assert khive.json("remember", "quite alone", **alone)["status"] == "stored"
    assert len(khive.json("recall", "by myself", **alone)["results"]) == 1
    (khive.home / "a.md").write_text("# A\n\nlearned alone\n")
    assert khive.json("learn", "a.md", **alone)["stored"] == 1
    assert khive.status_or_none() is None


# --- learn ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(khive: Installation) -> Path:
    folder = khive.home / "docs"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    (folder / "guide.md").write_text("# Guide\n\nThe kettle is upstairs.\n\n## Tea\n\nEarl Grey.\n")
    (folder / "deep" / "note.txt").write_text("A note about the basement.")
    (folder / "deep" / "lines.jsonl").write_text('{"content": "one line of JSON"}\n')
    (folder / "deep" / ".hidden" / "no.md").write_text("never read")
    (folder / "picture.png").write_bytes(b"\x89PNG\0")
    return folder


def test_learn_a_folder_a_file_and_standard_input(khive: Installation, folder: Path) -> None:
    learned = khive.json("learn", str(folder), "--tag", "house")
    assert (learned["stored"], learned["already_known"], learned["problems"]) == (4, 0, [])
    left_out = {one["why"]: one["suffixes"] for one in learned["left_out"]}
    assert left_out == {NO_DOCUMENT: {".png": 1}, HIDDEN: {".hidden/": 1}}
    again = khive.json("learn", str(folder / "guide.md"), str(folder), "--tag", "house")
    assert (again["stored"], again["already_known"]) == (0, 4)
    said = khive.run("learn", "-", "--format", "markdown", stdin="# Piped\n\nfrom a pipe\n")
    assert said.stdout == "Learned 1 entries; 0 were known.\n"
    (result,) = khive.json("search", "where is the kettle", "--limit", "1")["results"]
    assert (result["title"], result["tags"]) == ("Guide", ["house"])
    assert result["source"] == str(folder / "guide.md")
    assert known(khive) == 5


def test_bad_lines_are_named_and_the_rest_is_learned(khive: Installation) -> None:
    lines: list[Any] = [{"content": f"good line {number}"} for number in range(6)]
    file = khive.home / "mixed.jsonl"
    text = [json.dumps(line) for line in lines]
    text[1:1] = ["{broken", "", "[]", '{"content": ""}', '{"content": "x", "kind": "Not A Kind"}']
    text.append(json.dumps({"content": "half a character, \udcff, is replaced"}))
    text.append(json.dumps({"content": "too many tags", "tags": ["t"] * 5000}))
    text.append(json.dumps({"content": "a huge tag", "tags": ["t" * 9_000_000]}))
    file.write_text("\n".join(text))
    done = khive.run("learn", str(file), "--json", code=exitcodes.FAILURE)
    learned = json.loads(done.stdout)
    assert learned["stored"] == 7
    named = {problem["source"].rpartition(":")[2] for problem in learned["problems"]}
    assert named == {"2", "4", "5", "6", "13", "14"}
    assert all(problem["why"] for problem in learned["problems"])


def test_files_that_are_no_text_are_problems(khive: Installation) -> None:
    (khive.home / "binary.txt").write_bytes(b"\0\1\2")
    (khive.home / "latin.txt").write_bytes("café".encode("latin-1"))
    (khive.home / "good.txt").write_text("good")
    done = khive.run(
        "learn", "binary.txt", "latin.txt", "missing.txt", "good.txt", "--json",
        code=exitcodes.FAILURE,
    )  # fmt: skip
    learned = json.loads(done.stdout)
    assert learned["stored"] == 1
    assert {problem["why"].split()[0] for problem in learned["problems"]} == {"no", "a", "not"}


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)]
)
def test_learn_interrupted_is_resumed_and_nothing_is_doubled(
    khive: Installation, number: signal.Signals
) -> None:
    khive.start()
    count = 250
    file = khive.home / "many.jsonl"
    words = " ".join(["the service is restarted after the deployment"] * 6)
    lines = [json.dumps({"content": f"entry {n}: {words}"}) for n in range(count)]
    file.write_text("\n".join(lines))
    process = subprocess.Popen(
        [*khive.argv, "learn", str(file)],
        env=khive.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: known(khive) >= 64, "something is learned")
    kill(process.pid, number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in complaint
    if number is signal.SIGINT:
        assert "Repeat the command" in complaint
    before = known(khive)
    learned = khive.json("learn", str(file))
    assert learned["stored"] + learned["already_known"] == count
    assert learned["already_known"] >= before
    assert known(khive) == count
    wait_until(lambda: not khive.status()["sessions"], "every worker is gone")
