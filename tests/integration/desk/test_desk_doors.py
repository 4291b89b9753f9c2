"""What every answer of a real page carries, and which requests no view ever hears of."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from desk_support import ByHand, opened
from khive_workers.desk.paths import VIEWS
from support import Installation, installed

#: Names that another page can have lead to this machine's loopback.
REBOUND = ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1", "localhost",
           "[::1]", "0.0.0.0", "")  # fmt: skip


@pytest.fixture(scope="module")
def khive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("doors") / "h") as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def browser(khive: Installation) -> ByHand:
    found, link = opened(khive)
    assert found.ask("GET", link)[0] == 200
    return found


@pytest.mark.parametrize("path", [path for path, _, _ in VIEWS] + ["/nothing", "/login?ticket=x"])
def test_no_answer_is_kept_framed_or_given_to_others(browser: ByHand, path: str) -> None:
    browser.ask("GET", path)
    headers = browser.headers
    if path == "/nothing":  # not the page's: the HTTP routes answer, and want their token
        assert "www-authenticate" in headers
        return
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", REBOUND)
def test_a_name_that_was_led_here_learns_nothing(browser: ByHand, host: str) -> None:
    status, text = browser.ask("GET", "/memory", Host=host)
    assert status in (400, 421)
    assert "<html" not in text


def test_our_own_files_may_be_kept_by_the_browser_alone(browser: ByHand) -> None:
    _, text = browser.ask("GET", "/")
    for name in ("desk.css", "desk.js", "icon.svg"):
        stem, _, suffix = name.partition(".")
        address = next(part for part in text.split('"') if f"/{stem}." in part and suffix in part)
        assert browser.ask("GET", address)[0] == 200
        assert browser.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_a_memory_is_told_with_what_has_become_of_its_code(
    khive: Installation, browser: ByHand
) -> None:
    project = khive.home / "ledger"
    project.mkdir()
    subprocess.run(["git", "init", "-q", project], check=True, env=khive.env)
    (project / "terms.py").write_text("CLOSES = 12\n")
    made = khive.call_from(
        str(project), "memory.remember", content="The ledger closes at twelve.",
        about=["terms.py::CLOSES=12"],
    )  # fmt: skip
    assert "terms.py::CLOSES=12: fresh" in browser.ask("GET", f"/memory/{made['id']}")[1]
    (project / "terms.py").write_text("CLOSES = 13\n")
    for address in (f"/memory/{made['id']}", "/memory?q=when+does+the+ledger+close"):
        assert "terms.py::CLOSES=12: changed" in browser.ask("GET", address)[1]


def test_a_document_is_shown_with_its_pieces(khive: Installation, browser: ByHand) -> None:
    pieces = [{"title": f"Part {n}", "content": f"Piece {n} of it.", "source": "docs/book.md"}
              for n in range(3)]  # fmt: skip
    others = [{"title": "Other", "content": "Not of it.", "source": "docs/book.md.old"}]
    learned = khive.call("knowledge.learn", entries=pieces + others, replaces="nothing")
    assert learned
    entries = khive.call("memory.list", **{"in": "knowledge"}, source="docs/book.md")["entries"]
    (first,) = (one for one in entries if one["content"] == "Piece 0 of it.")
    text = browser.ask("GET", f"/memory/{first['id']}")[1]
    assert "in 3 pieces" in text
    assert "Piece 2 of it." in text
    assert "Not of it." not in text
