"""Following a transcript: what it costs, what 100 kills do to it, and what of secrets stays.

scripts/bench --only capture
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.capture.alarms import false_alarms
from benchmarks.core.context import Context
from benchmarks.core.report import Row
from khive_supervisor.capture.learning import learn
from khive_supervisor.config.load import from_dict
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.journal.model import JournalFilter
from khive_supervisor.supervision.maintenance.following import TranscriptFollower
from khive_supervisor.transcripts import claude, reading
from khive_supervisor.transcripts.reading import SessionBelonging, TranscriptFile, take_in

#: Bytes of the transcript that is followed, looks at it, and seconds between two.
SIZE, LOOKS, EVERY = 50 << 20, 200, 5.0
KILLS, LINES = 100, 20_000
SECRETS = 200


def measure(context: Context) -> list[Row]:
    """The rows of following, of kills, of secrets and of what is taken for one."""
    place = context.work / "followed"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.rglob("*"):
        if old.is_file():
            old.unlink()
    return [_followed(place), _killed(place), _secrets(place), false_alarms(context, place)]


def _line(session: str, number: int, text: str) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(2_000_000_000 + number))
    message = {"role": "user", "content": text}
    line = {"type": "user", "sessionId": session, "cwd": "/", "timestamp": at, "message": message}
    return json.dumps(line) + "\n"


# --- what it costs --------------------------------------------------------------------------------


def _followed(place: Path) -> Row:
    folder = place / "projects" / "app"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "long.jsonl"
    with path.open("w", encoding="utf-8") as file:
        number = 0
        while file.tell() < SIZE:
            file.write(_line("long", number, f"prompt {number} " + "word " * 400))
            number += 1
    now = [2_000_000_000.0]
    with SqliteStore(str(place / "followed.db"), clock=lambda: 1.0) as store:
        store.capture.switch(None, True)
        follower = TranscriptFollower(
            store, from_dict({}), clock=lambda: now[0], wall_clock=time.time,
            roots={claude.CLIENT: str(place / "projects")},
        )  # fmt: skip
        begun = time.process_time()
        while follower.look():
            pass
        first = time.process_time() - begun
        spent = _looked(follower, path, now)
    share = 100 * spent / (LOOKS * EVERY)
    return Row(
        "following a transcript of 50 MB", "under 1 % of a core",
        f"{share:.2f} % with a prompt a look ({1000 * spent / LOOKS:.1f} ms each, every 5 s); "
        f"{first:.1f} s of CPU to take it in at first",
        met=share < 1,
    )  # fmt: skip


def _looked(follower: TranscriptFollower, path: Path, now: list[float]) -> float:
    """Return the seconds of CPU of all looks, the file growing before each."""
    spent = 0.0
    for number in range(LOOKS):
        with path.open("a", encoding="utf-8") as file:
            file.write(_line("long", number, f"later {number}"))
        now[0] += EVERY
        begun = time.process_time()
        follower.look()
        spent += time.process_time() - begun
    return spent


# --- kills ----------------------------------------------------------------------------------------


def _killed(place: Path) -> Row:
    path = place / "killed.jsonl"
    path.write_text("".join(_line("k", n, f"line {n}") for n in range(LINES)), encoding="utf-8")
    store_path = str(place / "killed.db")
    SqliteStore(store_path).close()
    chosen = random.Random(39)
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            _take_in_slowly(store_path, path)
        time.sleep(chosen.uniform(0.02, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with SqliteStore(store_path) as store:
        while take_in(store, _file(path), lambda _: SessionBelonging()).more:
            pass
        found = [one.text for one in store.journal.of_session(claude.CLIENT, "k")]
    wanted = [f"line {n}" for n in range(LINES)]
    lost, twice = len(set(wanted) - set(found)), len(found) - len(set(found))
    return Row(
        f"{KILLS} kills while {LINES:,} lines are taken in", "0 twice or lost",
        f"{lost} lost, {twice} twice, in order: {'yes' if found == wanted else 'no'}",
        met=found == wanted,
    )  # fmt: skip


def _file(path: Path) -> TranscriptFile:
    return TranscriptFile(claude.CLIENT, str(path), claude.read)


def _take_in_slowly(store_path: str, path: Path) -> None:
    """Take lines in, a few a transaction, until killed; never returns."""
    try:
        reading.AT_ONCE = 4096
        with SqliteStore(store_path) as store:
            while take_in(store, _file(path), lambda _: SessionBelonging()).more:
                pass
        time.sleep(60)
    finally:
        os._exit(1)


# --- secrets --------------------------------------------------------------------------------------


def _planted() -> Iterator[str]:
    """Yield secrets of several forms, none of which is anybody's."""
    chosen = random.Random(15)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

    def some(count: int) -> str:
        return "".join(chosen.choice(letters) for _ in range(count))

    for number in range(SECRETS):
        yield (
            f"ghp_{some(36)}", f"sk-ant-api03-{some(80)}", f"AKIA{some(16).upper()}",
            f"xoxb-{chosen.randrange(10**11)}-{chosen.randrange(10**11)}-{some(24)}",
        )[number % 4]  # fmt: skip


def _secrets(place: Path) -> Row:
    """Plant secrets in prompts, answers, commands and outputs; look for them in the files."""
    planted = list(_planted())
    path = place / "secrets.jsonl"
    path.write_text("".join(map(_telling, range(SECRETS), planted)), encoding="utf-8")
    store_path = place / "secrets.db"
    with SqliteStore(str(store_path)) as store:
        while take_in(store, _file(path), lambda _: SessionBelonging()).more:
            pass
        learn(store, claude.CLIENT, "s", ended=True)
        events = store.journal.count(JournalFilter())
        store.checkpoint(truncate=True)
    data = b"".join(one.read_bytes() for one in place.glob("secrets.db*") if one.is_file())
    stored = sum(secret.encode() in data for secret in planted)
    return Row(
        f"{SECRETS} secrets planted in prompts, answers, commands and outputs", "0 stored",
        f"{stored} stored, of {events} events", met=stored == 0,
    )  # fmt: skip


def _telling(number: int, secret: str) -> str:
    """Return the lines of a transcript that tell of a secret, each time in another place."""
    says = f"We always use {secret} as the token of service {number}."
    call = {"type": "tool_use", "id": f"t{number}", "name": "Bash"}
    ended = {"type": "tool_result", "tool_use_id": f"t{number}", "is_error": True}
    blocks: dict[str, list[object]] = {"user": [], "assistant": []}
    if number % 4 == 0:
        blocks["user"].append({"type": "text", "text": says})
    elif number % 4 == 1:
        blocks["assistant"].append({"type": "text", "text": f"Understood. {says}"})
    else:
        shown = secret if number % 4 == 2 else "x"
        blocks["assistant"].append({**call, "input": {"command": f"deploy --token {shown}"}})
        blocks["user"].append({**ended, "content": f"Exit code 1\ndenied: token={secret}"})
    return "".join(
        json.dumps({"type": who, "sessionId": "s", "message": {"role": who, "content": said}})
        + "\n"
        for who, said in (("assistant", blocks["assistant"]), ("user", blocks["user"]))
    )
