"""Chromium, and an installation in which there is something to see in every view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser_support
import pytest
from browser_support import FLAGS, Tab, fill, let_in
from support import Installation, installed


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser; left out, with the reason, where there is none."""
    try:
        program = browser_support.chromium()
        from playwright.sync_api import sync_playwright
    except (LookupError, ImportError) as error:
        pytest.skip(str(error))
    with sync_playwright() as player:
        found = player.chromium.launch(executable_path=program, args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of axe-core; left out, with the reason, where there is none."""
    try:
        return browser_support.axe(tmp_path_factory.mktemp("axe"))
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def fleet(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation in which there is something to see in every view."""
    home: Path = tmp_path_factory.mktemp("f") / "h"
    with installed(home) as khive:
        fill(khive)
        yield khive


@pytest.fixture
def tab(browser: Any, fleet: Installation) -> Iterator[Tab]:
    """A tab that has logged in, in a profile of its own."""
    with let_in(browser, fleet) as found:
        yield found
