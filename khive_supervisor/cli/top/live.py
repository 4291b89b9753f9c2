"""The screen as it lives: keys and answers come in, and each changes what is shown."""

from __future__ import annotations

import os
import queue
import select
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from khive_supervisor.cli.render.log_text import log_text
from khive_supervisor.cli.top.details import is_about, more_of
from khive_supervisor.cli.top.frame import TopScreen, frame, rows_of
from khive_supervisor.cli.top.screen import TerminalScreen, size
from khive_supervisor.cli.top.source import (
    OverviewAnswer,
    OverviewSource,
    OverviewWatcher,
    in_background,
)
from khive_supervisor.cli.top.state import AskedChange, chosen_row, pressed
from khive_supervisor.cli.top.tail import LogTail

#: Seconds after which the log is looked at again, and the clock moves.
LOOK_AGAIN = 0.5

#: What another thread has to say: it makes the next screen of the last one.
_Told = Callable[[TopScreen], TopScreen]


class LiveTop:
    """One run of `top` on a terminal; ends at q, Ctrl-C, and with the terminal."""

    def __init__(self, config_file: str | None, log_file: str, every: float) -> None:
        self._config_file = config_file
        self._screen = TopScreen()
        self._terminal = TerminalScreen()
        self._told: queue.SimpleQueue[_Told] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        self._watcher = OverviewWatcher(OverviewSource(config_file), every, self._answered)
        self._log = LogTail(log_file)

    def run(self) -> None:
        """Show what runs until somebody has seen enough."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number, handler in self._handlers().items():
            signal.signal(number, handler)
        with self._terminal:
            self._watcher.start()
            while not self._screen.state.ended:
                self._draw()
                self._wait()

    def _handlers(self) -> dict[signal.Signals, Callable[[int, FrameType | None], None]]:
        def end(_number: int, _frame: FrameType | None) -> None:
            self._screen = replace(self._screen, state=replace(self._screen.state, ended=True))

        def draw_anew(_number: int, _frame: FrameType | None) -> None:
            self._terminal.forget()

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stop()

        return {
            signal.SIGINT: end, signal.SIGTERM: end, signal.SIGHUP: end,
            signal.SIGWINCH: draw_anew, signal.SIGTSTP: stop,
        }  # fmt: skip

    def _stop(self) -> None:
        """Give the terminal to the shell, as Ctrl-Z is meant, and take it again afterwards."""
        self._terminal.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._terminal.take()

    # --- what comes in --------------------------------------------------------------------------

    def _wait(self) -> None:
        """Wait for keys, answers or signals, and take in what has come."""
        ready, _, _ = select.select([0, self._wake_read], [], [], LOOK_AGAIN)
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        while not self._told.empty():
            self._screen = self._told.get()(self._screen)
        if 0 in ready:
            self._keys()

    def _keys(self) -> None:
        keys = self._terminal.read()
        if keys is None:  # the terminal is gone
            keys = ["interrupt"]
        for key in keys:
            if key == "redraw":
                self._terminal.forget()
                continue
            state, agreed = pressed(self._screen.state, key, rows_of(self._screen))
            self._screen = replace(self._screen, state=state)
            if agreed is not None:
                self._do(agreed)
        self._ask_more()

    def _ask_more(self) -> None:
        """Ask for what is looked into, and forget what was."""
        state = self._screen.state
        row = chosen_row(state, rows_of(self._screen)) if state.view == "row" else None
        wish = more_of(row) if row is not None else None
        self._watcher.ask_also(wish)
        if wish is None:
            self._screen = replace(self._screen, more=None)

    def _do(self, change: AskedChange) -> None:
        def done(problem: str) -> None:
            self._tell(lambda screen: _noticed(screen, problem or change.done))
            self._watcher.look_now()

        in_background(self._config_file, change.wish, done)

    def _answered(self, answer: OverviewAnswer) -> None:
        def take(screen: TopScreen) -> TopScreen:
            if answer.page is None:
                return replace(screen, away=answer.away)
            return replace(screen, page=answer.page, more=answer.more, away="")

        self._tell(take)

    def _tell(self, told: _Told) -> None:
        self._told.put(told)
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # so many wait that it wakes anyway

    # --- what goes out --------------------------------------------------------------------------

    def _draw(self) -> None:
        shown = replace(self._screen, clock=time.strftime("%H:%M:%S"), log=self._log_lines())
        columns, lines = size()
        self._terminal.show(frame(shown, columns, lines))

    def _log_lines(self) -> tuple[str, ...]:
        """Return the lines of the log that are shown, if it is."""
        state = self._screen.state
        if state.view != "log":
            return ()
        row = None if state.whole_log else chosen_row(state, rows_of(self._screen))
        found = (line for line in self._log.lines() if row is None or is_about(line, row))
        return tuple(map(log_text, found))


def _noticed(screen: TopScreen, text: str) -> TopScreen:
    return replace(screen, state=replace(screen.state, notice=text))
