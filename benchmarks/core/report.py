"""What a measurement says, and the table that all of them make."""

from __future__ import annotations

import json
import os
import platform
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw

#: Columns of the table, and characters of a line before it is wrapped.
HEADINGS = ("what", "target", "khive", "peers", "met")
WIDTHS = (34, 24, 38, 46, 4)


@dataclass(frozen=True, slots=True)
class Sample:
    """Measured values of one thing, in the order in which they were measured."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.values)

    def quantile(self, share: float) -> float:
        """The smallest value that at least this share of all do not exceed."""
        ordered = sorted(self.values)
        return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]

    @property
    def p50(self) -> float:
        """The median."""
        return self.quantile(0.5)

    def show(self, unit: str = "ms", *shares: int) -> str:
        """The quantiles in words: `p50 3.1, p99 8.0 ms (n 40)`."""
        parts = ", ".join(f"p{s} {_short(self.quantile(s / 100))}" for s in shares or (50,))
        return f"{parts} {unit} (n {self.n})"

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        named = {f"p{s}": self.quantile(s / 100) for s in (50, 90, 99)}
        return {"n": self.n, **named, "max": max(self.values), "values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `met` is None where nothing was measured or no target is set."""

    what: str
    target: str
    khive: str
    peers: tuple[str, ...] = ()
    met: bool | None = None
    notes: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "mcp": version("mcp"),
        "onnxruntime": version("onnxruntime"),
        "khive_supervisor": version("khive-supervisor"),
        "load_at_start": os.getloadavg()[0],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def print_machine(about: dict[str, Any]) -> None:
    """One line for the head of the report."""
    print(
        "{cores} cores of {cpu}, {memory_mb} MB, {kernel}, Python {python}, SQLite {sqlite}, "
        "mcp {mcp}, onnxruntime {onnxruntime}; load {load_at_start:.2f} at the start".format(
            **about
        )
    )


def print_table(rows: Sequence[Row]) -> None:
    """All rows under one head, wrapped, and the notes below."""
    rule = "-+-".join("-" * width for width in WIDTHS)
    _print_cells([[heading] for heading in HEADINGS])
    notes: list[str] = []
    for row in rows:
        print(rule)
        marks = "".join(f" [{len(notes) + i}]" for i in range(1, len(row.notes) + 1))
        notes += row.notes
        cells = (row.what + marks, row.target, row.khive, "\n".join(row.peers), _met(row.met))
        _print_cells([_wrapped(cell, w) for cell, w in zip(cells, WIDTHS, strict=True)])
    print(rule)
    for number, note in enumerate(notes, 1):
        print(textwrap.fill(f"[{number}] {note}", 120, subsequent_indent="    "))


def save(path: Path, about: dict[str, Any], rows: Iterable[Row]) -> None:
    """The same as JSON, with every measured value."""
    whole = {"machine": about, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def say(text: str) -> None:
    """Progress, on stderr: the table alone is the output."""
    print(text, file=sys.stderr, flush=True)


def ratio(theirs: float, ours: float) -> str:
    """How many times less ours is."""
    return f"{theirs / ours:.1f}x"


def _met(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "NO"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _wrapped(cell: str, width: int) -> list[str]:
    lines = [part for line in cell.splitlines() for part in textwrap.wrap(line, width)]
    return lines or [""]


def _print_cells(cells: Sequence[Sequence[str]]) -> None:
    for line in range(max(map(len, cells))):
        texts = [cell[line] if line < len(cell) else "" for cell in cells]
        print(" | ".join(t.ljust(w) for t, w in zip(texts, WIDTHS, strict=True)).rstrip())
