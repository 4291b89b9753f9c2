"""What handlers print: it is no failure of a task that nobody reads it, or that it is no text."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from khive_workers.role.output import Bounded
from support import DEADLINE, ROOT

PROGRAM = """
import os, sys
from khive_workers.role.output import PrintedText
PrintedText().print_to_log()
print("a half \\ud83d", "x" * 100_000)
print("and to stderr", file=sys.stderr)
os.write(int(sys.argv[1]), b"done")
"""


def printed(stderr: int, result: int) -> int:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workers'}"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(result)],
        stderr=stderr, env=env, pass_fds=[result], timeout=DEADLINE, check=False,
    ).returncode  # fmt: skip


def test_a_print_that_nobody_reads_is_no_error() -> None:
    nobody, broken = os.pipe()
    os.close(nobody)
    read, result = os.pipe()
    try:
        assert printed(broken, result) == 0
        assert os.read(read, 10) == b"done"
    finally:
        for fd in (broken, read, result):
            os.close(fd)


def test_what_is_printed_arrives_where_errors_go() -> None:
    with (
        open(os.devnull, "wb") as null,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat,
    ):
        assert cat.stdin is not None
        assert cat.stdout is not None
        assert printed(cat.stdin.fileno(), null.fileno()) == 0
        cat.stdin.close()
        text = cat.stdout.read().decode()
    assert text.startswith("a half \\ud83d xxx")
    assert text.endswith("and to stderr\n")


LOGGING = """
import logging, sys
from khive_workers.role.output import PrintedText
printed = PrintedText()
printed.print_to_log()
logging.getLogger("mine").warning("a lone %s", "\\ud83d")
logging.getLogger("khive.role").warning("not of the task")
logging.getLogger("mine").warning("%d", "no number")
print("and a print", end="")
sys.exit(0 if printed.text().startswith("WARNING mine: a lone \\\\ud83d\\n") else 3)
"""


def test_what_is_logged_is_in_the_task_s_log() -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'workers'}"}
    done = subprocess.run(
        [sys.executable, "-c", LOGGING],
        env=env, timeout=DEADLINE, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@given(st.lists(st.binary(max_size=40)), st.integers(0, 20), st.integers(1, 30), st.integers(1, 60))
def test_the_end_of_what_was_printed_has_whole_lines_alone(
    parts: list[bytes], head: int, tail: int, most: int
) -> None:
    bounded = Bounded(head, tail)
    for part in parts:
        bounded.add(part)
    end, whole = bounded.end(most), b"".join(parts)
    lines = whole[: whole.rfind(b"\n") + 1].splitlines(keepends=True)
    if not bounded.cut and len(whole) <= most:
        assert end == b"".join(lines).decode("utf-8", "replace")
    assert end == "" or end.endswith("\n")
    assert b"".join(lines).decode("utf-8", "replace").endswith(end)
