"""The page of a real supervisor, asked by hand: the link, the doors that stay shut, the change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from desk_support import ByHand, opened
from support import Installation, installed

FACT = "The flamingo ledger closes at noon."


@pytest.fixture(scope="module")
def khive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("desk") / "h") as made:
        made.start()
        made.call("memory.remember", content=FACT)
        yield made


def test_a_link_opens_the_page_once(khive: Installation) -> None:
    browser, link = opened(khive)
    assert browser.ask("GET", "/memory")[0] == 401
    assert browser.ask("GET", link)[0] == 200
    status, text = browser.ask("GET", "/memory")
    assert (status, FACT in text) == (200, True)
    assert FACT in browser.ask("GET", "/memory?q=when+does+the+ledger+close")[1].replace(
        "<mark>", ""
    ).replace("</mark>", "")
    late = ByHand(f"http://{browser.host}")
    assert late.ask("GET", link)[0] == 401
    assert late.ask("GET", "/memory")[0] == 401


def test_other_pages_and_other_names_are_kept_out(khive: Installation) -> None:
    browser, link = opened(khive)
    browser.ask("GET", link)
    assert browser.ask("GET", "/", Host="evil.example")[0] == 421  # a name that leads here
    assert browser.ask("GET", "/", Origin="http://evil.example")[0] == 403
    assert browser.ask("GET", "/", Origin=f"http://{browser.host}")[0] == 200
    form = urlencode({"csrf": "guessed"})
    kind = "application/x-www-form-urlencoded"
    assert browser.ask("POST", "/logout", form, Content_Type=kind)[0] == 403
    token = khive.run("http", "token").stdout.strip()
    stranger = ByHand(f"http://{browser.host}")
    assert stranger.ask("GET", "/memory", Authorization=f"Bearer {token}")[0] == 401
    assert browser.ask("GET", "/tasks")[0] == 401  # the cookie is for the page alone


def test_a_browser_is_led_by_a_file_that_is_ours_alone(khive: Installation, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nprintf "%s" "$1" > {seen}\n')
    program.chmod(0o700)
    khive.run("open", BROWSER=str(program))
    (file,) = khive.home.rglob("*.open.html")
    assert seen.read_text() == file.resolve().as_uri()
    assert file.stat().st_mode & 0o777 == 0o600
    link = re.search(r"http://[^\"]+", file.read_text())
    assert link is not None
    browser = ByHand(link[0])
    assert browser.ask("GET", link[0].partition(browser.host)[2])[0] == 200


def test_a_login_is_recorded_and_the_link_is_nowhere(khive: Installation) -> None:
    browser, link = opened(khive)
    browser.ask("GET", link)
    ticket = link.partition("=")[2]
    assert "desk.login" in khive.run("audit", "show", "--kind", "desk.login").stdout
    for file in khive.home.rglob("*"):
        if file.is_file() and not file.name.endswith(".open.html"):
            assert ticket.encode() not in file.read_bytes(), file


def test_an_agent_gets_no_link(khive: Installation) -> None:
    answer = khive.run("open", "--print", code=None, CLAUDECODE="1")
    assert answer.returncode != 0
    assert "login" not in answer.stdout
