"""What capture masks of texts that hold no secret: code, prose and logs, through transcripts.

They come as prompts, answers and ends of failed commands, as clients' transcripts have them, and
what the journal holds of them is compared with what was said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.secrets.lines import own_texts, sampled
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.transcripts import claude
from khive_supervisor.transcripts.reading import SessionBelonging, TranscriptFile, take_in

#: Lines that are said, how many of them may be masked, and lines and characters of one text.
LINES, MOST, TOGETHER, LONGEST = 20_000, 20, 40, 3500
SESSION = "alarms"


def false_alarms(context: Context, place: Path) -> Row:
    """The row of lines that are masked though they hold no secret."""
    lines = context.times(LINES)
    texts = [
        one for _, found in sampled(context.texts or own_texts(), lines) for one in _cut(found)
    ]
    path = place / "alarms.jsonl"
    path.write_text("".join(map(_told, range(len(texts)), texts)), encoding="utf-8")
    with SqliteStore(str(place / "alarms.db")) as store:
        file = TranscriptFile(claude.CLIENT, str(path), claude.read)
        while take_in(store, file, lambda _: SessionBelonging()).more:
            pass
        events = store.journal.of_session(claude.CLIENT, SESSION)
    kept = {line for one in events for line in one.text.split("\n")}
    said = [line for text in texts for line in text.split("\n")]
    missing = [line for line in dict.fromkeys(said) if line not in kept]
    return Row(
        what=f"{len(said):,} lines of real code, prose and logs, said in a transcript: masked",
        target=f"at most {MOST}",
        khive=f"{len(missing)}, in {len(events):,} events",
        met=len(missing) <= MOST,
        notes=tuple(line.strip()[:120] for line in missing[: MOST + 5]),
        data={"masked": len(missing), "lines": len(said), "events": len(events)},
    )


def _cut(lines: Sequence[str]) -> Iterator[str]:
    """Return texts of some lines each, without the blanks that the journal leaves out."""
    text = ""
    for number, line in enumerate(lines):
        line = " ".join(line.split())[:LONGEST]  # noqa: PLW2901 - the line as it is said
        if number % TOGETHER == 0 or len(text) + len(line) > LONGEST:
            if text:
                yield text
            text = line
        else:
            text += f"\n{line}"
    if text:
        yield text


def _told(number: int, text: str) -> str:
    """Return the lines of a transcript that tell of a text: a prompt, an answer or an error."""
    call = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": "make"}}
    ended = {"type": "tool_result", "tool_use_id": f"t{number}", "is_error": True, "content": text}
    said: dict[int, list[tuple[str, object]]] = {
        0: [("user", [{"type": "text", "text": text}])],
        1: [("assistant", [{"type": "text", "text": text}])],
        2: [("assistant", [call]), ("user", [ended])],
    }
    return "".join(
        json.dumps({"type": who, "sessionId": SESSION, "message": {"role": who, "content": blocks}})
        + "\n"
        for who, blocks in said[number % 3]
    )
