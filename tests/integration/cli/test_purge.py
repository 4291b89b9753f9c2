"""A pasted key is not kept, and what is purged is gone from every file while sessions go on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from secret_texts import PASSWORD, SECRET
from support import Installation, RawSession, installed, wait_until

from khive_supervisor import exitcodes

#: What is purged has these words, and nothing else does.
MARKS = ("zyzzyvaxq", "99120771")


@pytest.fixture
def khive(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path / "h") as made:
        yield made


def by_the_user(khive: Installation, *words: str) -> tuple[int, str]:
    """Run a command that no client of a session has started; its exit code, and all it says."""
    out = khive.home / "out"
    script = '("$@" >"$OUT" 2>&1; echo $? >"$OUT.exit") &'
    subprocess.run(
        ["sh", "-c", script, "sh", *khive.argv, *words],
        env={**khive.env, "OUT": str(out)}, cwd=khive.home, stdin=subprocess.DEVNULL,
        check=True,
    )  # fmt: skip
    code = wait_until(
        lambda: (khive.home / "out.exit").exists() and (khive.home / "out.exit").read_text(),
        "the command has ended",
    )
    (khive.home / "out.exit").unlink()
    return int(code), out.read_text()


def held(khive: Installation, *words: str) -> list[str]:
    files = [file for file in khive.home.rglob("*") if file.is_file() and file.name != "out"]
    whole = b"".join(file.read_bytes() for file in files)
    return [word for word in words if word.encode() in whole]


def remember(session: RawSession, content: str) -> dict[str, Any]:
    return session.tool("memory_remember", content=content)


def test_a_pasted_key_is_refused_and_reaches_no_file(khive: Installation) -> None:
    with RawSession(khive) as session:
        session.initialize()
        for text in (f"the key is {SECRET}", f"the password is {PASSWORD}"):
            refused = remember(session, text)
            assert refused["isError"]
            said = json.dumps(refused)
            assert "looks like a secret" in said
            assert SECRET not in said
            assert PASSWORD not in said
        assert not remember(session, "a <private>merger7731</private> is on")["isError"]
    khive.stop()
    assert held(khive, SECRET, PASSWORD, "merger7731") == []


def test_a_purge_leaves_no_byte_while_sessions_are_attached(khive: Installation) -> None:
    with RawSession(khive) as one, RawSession(khive) as other:
        one.initialize()
        other.initialize()
        number = remember(one, f"the {MARKS[0]} protocol number is {MARKS[1]}")
        mid = number["structuredContent"]["id"]
        remember(one, "something else")
        found = other.tool("memory_recall", query=MARKS[0])["structuredContent"]["results"]
        assert [hit["id"] for hit in found][:1] == [mid]
        code, said = by_the_user(khive, "purge", mid)
        assert (code, "--yes" in said) == (exitcodes.USAGE, True)
        code, said = by_the_user(khive, "purge", mid, "--yes")
        assert (code, said) == (
            0, f"Purged: {mid}.\nNothing of it is left in the store's directory.\n"
        )  # fmt: skip
        found = other.tool("memory_recall", query=MARKS[0])["structuredContent"]["results"]
        assert mid not in [hit["id"] for hit in found]
        gone = one.tool("memory_get", ids=[mid])
        assert gone["isError"]
        assert f"{mid} was purged" in json.dumps(gone)
        denied = one.tool("khive_call", verb="memory.purge", args={"ids": [mid]})
        assert "an operator's verb" in json.dumps(denied)
        assert held(khive, *MARKS) == []
        again = remember(one, f"the {MARKS[0]} protocol number is {MARKS[1]}")
        assert again["structuredContent"]["id"] not in (mid, "m2")


def test_secrets_that_are_in_are_masked_by_a_command(khive: Installation) -> None:
    khive.configure('[secrets]\nmode = "off"\n')
    khive.run("remember", f"the token is {SECRET}")
    khive.stop()
    khive.configure("")
    scanned = khive.run("secrets", "scan").stdout
    assert "github-token" in scanned
    assert SECRET not in scanned
    fixed = khive.run("secrets", "scan", "--fix", "--yes").stdout
    assert "m1 is m2 now" in fixed
    assert khive.run("get", "m2").stdout.endswith("the token is [masked github-token]\n")
    assert khive.run("secrets", "scan").stdout == "No secrets were found.\n"
    assert held(khive, SECRET) == []
