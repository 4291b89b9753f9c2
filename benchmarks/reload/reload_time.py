"""How long a reload takes, from the command to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.roles.rolework import RoleWork, working

ROLES = {"one": 2, "two": 2}
TIMES = 30
#: Milliseconds of a reload that changes nothing, and of one that changes a role.
NOTHING, ONE_ROLE = 20.0, 500.0


def measure(context: Context) -> list[Row]:
    """The rows of both."""
    times = context.times(TIMES)
    with working(context.work) as bench:
        bench.configure(ROLES)
        bench.khive.start()
        bench.until_ready(ROLES)
        return [
            _row("nothing", NOTHING, bench, times, lambda _: None),
            _row("one role of two workers", ONE_ROLE, bench, times, _Changes(bench)),
        ]


class _Changes:
    """Another definition of the first role each time; the second stays."""

    def __init__(self, bench: RoleWork) -> None:
        self._bench = bench
        self._turn = 0

    def __call__(self, _: int) -> None:
        self._turn += 1
        self._bench.configure(ROLES)
        file = self._bench.khive.home / ".config/khive/khive.toml"
        text = file.read_text(encoding="utf-8")
        changed = text.replace('timeout = "100s"', f'timeout = "{200 + self._turn}s"', 1)
        file.write_text(changed, encoding="utf-8")


def _row(
    what: str, limit: float, bench: RoleWork, times: int, change: Callable[[int], None]
) -> Row:
    ends: set[str] = set()

    def request() -> None:
        ends.add(bench.reload()["state"])

    asked = _sample(request, times, change)
    commanded = _sample(lambda: bench.khive.run("reload"), times, change)
    return Row(
        what=f"a reload that changes {what}: from the request to its end",
        target=f"p50 <= {limit:g} ms, asked at the control socket",
        khive=f"{asked.show('ms', 50, 90)}; the whole command: {commanded.show('ms', 50, 90)}",
        met=asked.p50 <= limit and ends == {"done"},
        notes=(
            (
                "The roles call a function and have nothing to do; the request is answered when "
                "the old workers are gone. The target is that of the request; a command starts "
                "an interpreter first."
            ),
        ),
        data={"request": asked.as_dict(), "command": commanded.as_dict()},
    )


def _sample(reload: Callable[[], object], times: int, change: Callable[[int], None]) -> Sample:
    found = []
    for number in range(times):
        change(number)
        began = time.perf_counter()
        reload()
        found.append((time.perf_counter() - began) * 1000)
    return Sample(tuple(found))
