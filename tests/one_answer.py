"""A supervisor's control socket, as far as one answer goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any


def client_that_hears(
    answer: Any, asked_at: str | None = None
) -> Callable[[str], AbstractContextManager[Any]]:
    """Return what stands for `ControlClient`: each request gets one answer; an error is raised.

    `asked_at`: the only socket that may be asked.
    """

    def connect(path: str) -> AbstractContextManager[Any]:
        assert asked_at in (None, path)
        if isinstance(answer, Exception):
            raise answer
        return nullcontext(SimpleNamespace(request=lambda _operation: answer))

    return connect
