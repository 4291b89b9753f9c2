"""What a hook costs its client: a whole process, and a call on the session's own pipe.

    scripts/bench --only hooks

Beside it what else a hook could be: a plain Python script that imports the MCP SDK, and `true`,
which is what no hook could be quicker than.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.core.context import Context
from benchmarks.core.installation import COMMAND, Installation, installed
from benchmarks.core.processes import Memory, kill, memory_of, wait_until
from benchmarks.core.report import Row
from benchmarks.core.session import opened
from khive_supervisor.briefing import tokens

#: Milliseconds that a process may take: half of them, and 99 of 100; and a call on the pipe.
PROCESS, PIPE = (40.0, 100.0), (15.0, 40.0)
#: How many times quicker than a plain script a hook's process is at least.
TIMES = 10.0
#: Memories of the store, and of each how it reads.
MEMORIES = 1000
_SUBJECTS = (
    "importer",
    "gateway",
    "scheduler",
    "ledger",
    "renderer",
    "indexer",
    "mailer",
    "router",
)
_RULES = (
    "The {0} of area {1} retries {2} times before it gives up.",
    "In area {1} the {0} listens on port {3}.",
    "We never restart the {0} of area {1} during the backup at {2}:30.",
    "The cache of the {0} in area {1} holds {3} entries.",
)
SESSION = "bench-session"


def measure(context: Context) -> list[Row]:
    """The rows of hooks."""
    runs = 40 if context.quick else 200
    with installed(context.work) as khive:
        khive.start()
        _fill(khive)
        khive.settle()
        at_start = _timed(lambda _: _hook(khive, "session-start", source="startup"), runs)
        at_prompt = _timed(lambda n: _hook(khive, "user-prompt-submit", prompt=_prompt(n)), runs)
        first = [_first_prompt(khive, number) for number in range(runs // 10)]
        _hook(khive, "session-start", source="startup")
        kept = memory_of(_hook_worker(khive))
        plain = _timed(lambda _: _run([sys.executable, "-c", "import mcp"], khive, ""), runs // 10)
        nothing = _timed(lambda _: _run(["true"], khive, ""), runs)
        piped, told = _on_the_pipe(khive, runs * 2)
        brief = _hook(khive, "session-start", source="startup")
    return [
        _of_process("SessionStart", at_start, plain, nothing),
        _of_process("UserPromptSubmit by a command", at_prompt, plain, nothing),
        _of_kept(sorted(first), at_prompt, kept),
        _of_pipe(piped, told),
        _of_tokens(brief, told),
    ]


def _fill(khive: Installation) -> None:
    with khive.verbs() as verbs:
        for number in range(MEMORIES):
            verbs.request("memory.remember", {"content": _memory(number)})


def _memory(number: int) -> str:
    rule, subject = _RULES[number % len(_RULES)], _SUBJECTS[number // 4 % len(_SUBJECTS)]
    return rule.format(subject, number // 32, number % 9 + 2, 4000 + number)


def _prompt(number: int) -> str:
    """Every second prompt is about something that is stored."""
    if number % 2:
        return f"please continue with step {number} of what we talked about"
    place = number * 7 % MEMORIES
    return (
        f"What must I know of the {_SUBJECTS[place // 4 % len(_SUBJECTS)]} of area {place // 32}?"
    )


def _hook(khive: Installation, name: str, **said: str) -> str:
    event = json.dumps({"session_id": SESSION, "cwd": str(khive.home), **said})
    return _run([COMMAND, "hook", name], khive, event)


def _first_prompt(khive: Installation, number: int) -> float:
    """Return the milliseconds of a prompt when no worker has been kept."""
    kill(_hook_worker(khive))
    began = time.perf_counter()
    _hook(khive, "user-prompt-submit", prompt=_prompt(2 * number))
    return (time.perf_counter() - began) * 1000


def _hook_worker(khive: Installation) -> int:
    """Return the process that is kept from hook to hook, once it is idle."""

    def found() -> int | None:
        return next((s["pid"] for s in khive.status()["sessions"] if s["kind"] == "hooks"), None)

    return wait_until(found, "a worker of hooks")


def _run(command: Sequence[str], khive: Installation, said: str) -> str:
    done = subprocess.run(
        command, env=khive.environment, cwd=khive.home, input=said, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


def _timed(work: Callable[[int], object], times: int) -> list[float]:
    """Return the milliseconds of each time but the first, ascending."""
    found = []
    for number in range(times + 1):
        began = time.perf_counter()
        work(number)
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found[1:])


def _on_the_pipe(khive: Installation, times: int) -> tuple[list[float], list[str]]:
    """Return the milliseconds of calls as Claude Code makes them, and what each was told."""
    own = {**khive.environment, "CLAUDE_CODE_SESSION_ID": SESSION}
    server = replace(khive.attach(), environment=own)
    told: list[str] = []
    with opened(server, 1) as (session,):

        def ask(number: int) -> None:
            answer = session.call("hooks_event", event="UserPromptSubmit", session_id=SESSION,
                                  cwd=str(khive.home), prompt=_prompt(number))  # fmt: skip
            said = answer.get("hookSpecificOutput", {})
            told.append(str(said.get("additionalContext", "")))

        return _timed(ask, times), told


def _of_process(event: str, found: list[float], plain: list[float], nothing: list[float]) -> Row:
    middle, late = _at(found, 0.5), _at(found, 0.99)
    times = _at(plain, 0.5) / middle
    return Row(
        what=f"{event}: a hook's process from its start to its end, {MEMORIES} memories",
        target=f"p50 {PROCESS[0]:.0f} ms, p99 {PROCESS[1]:.0f} ms; {TIMES:.0f} x a plain script",
        khive=f"p50 {middle:.1f} ms, p99 {late:.1f} ms; {times:.1f} times",
        peers=(
            f"a Python script that imports the SDK: p50 {_at(plain, 0.5):.0f} ms",
            f"true: p50 {_at(nothing, 0.5):.1f} ms, p99 {_at(nothing, 0.99):.1f} ms",
        ),
        met=middle <= PROCESS[0] and late <= PROCESS[1] and times >= TIMES,
        data={"p50": middle, "p99": late, "plain": _at(plain, 0.5), "true": _at(nothing, 0.5)},
    )


def _of_kept(first: list[float], next_ones: list[float], kept: Memory) -> Row:
    middle, own = _at(first, 0.5), kept.dirty / 1e6
    return Row(
        what="the first prompt by a command, when no worker is kept; memory of the kept one alone",
        target="measured",
        khive=f"p50 {middle:.1f} ms ({_at(next_ones, 0.5):.1f} ms the next); {own:.1f} MB",
        met=None,
        data={"p50": middle, "megabytes": own},
    )


def _of_pipe(found: list[float], told: list[str]) -> Row:
    middle, late = _at(found, 0.5), _at(found, 0.99)
    spoken = sum(map(bool, told))
    return Row(
        what="UserPromptSubmit as a call of a tool, on the session's own pipe",
        target=f"p50 {PIPE[0]:.0f} ms, p99 {PIPE[1]:.0f} ms",
        khive=f"p50 {middle:.1f} ms, p99 {late:.1f} ms ({spoken} of {len(told)} told something)",
        met=middle <= PIPE[0] and late <= PIPE[1],
        data={"p50": middle, "p99": late, "told": spoken, "prompts": len(told)},
    )


def _of_tokens(brief: str, told: Sequence[str]) -> Row:
    start, prompt = tokens.bound(brief), max(map(tokens.bound, told), default=0)
    return Row(
        what="tokens at the start of a session, and at a prompt, at most (an upper bound)",
        target="400, 300",
        khive=f"{start}, {prompt}",
        met=start <= 400 and prompt <= 300,
        data={"start": start, "prompt": prompt},
    )


def _at(ascending: Sequence[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]
