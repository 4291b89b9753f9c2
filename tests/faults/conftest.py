"""Fixtures of the tests with bad input."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import Installation, RawSession, installed, wait_until


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running supervisor whose sessions may use three namespaces only."""
    with installed(tmp_path_factory.mktemp("b") / "h") as khive:
        khive.configure('[session]\nallowed_namespaces = ["default", "team-*"]\n')
        khive.start()
        yield khive


@pytest.fixture
def nobody_else_pays(guarded: Installation) -> Iterator[None]:
    """After each test, the same supervisor serves as before, and no session is left over."""
    before = guarded.status()
    yield
    after = guarded.status()
    assert (after["pid"], after["state"]) == (before["pid"], "ready")
    assert [c["pid"] for c in after["children"]] == [c["pid"] for c in before["children"]]
    wait_until(lambda: not guarded.status()["sessions"], "every session is gone")


@pytest.fixture
def session(guarded: Installation) -> Iterator[RawSession]:
    """A session with it that still works at the end."""
    with RawSession(guarded) as session:
        session.initialize()
        yield session
        assert session.tool("system_status")["structuredContent"]["version"]
        assert session.close() == 0
