"""What every request to the page is held to."""

from __future__ import annotations

import pytest
from khive_workers.desk import guard, paths

SAME, CROSS, SITE = "same-origin", "cross-site", "same-site"


@pytest.mark.parametrize(
    ("method", "headers", "foreign"),
    [
        ("GET", {}, False),
        ("POST", {}, False),
        ("GET", {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, False),
        ("GET", {"sec-fetch-site": SAME, "sec-fetch-mode": "cors"}, False),
        ("POST", {"sec-fetch-site": SAME, "sec-fetch-mode": "navigate"}, False),
        ("GET", {"sec-fetch-site": CROSS, "sec-fetch-mode": "navigate"}, False),  # a link
        ("GET", {"sec-fetch-site": CROSS, "sec-fetch-mode": "no-cors"}, True),  # a script, an image
        ("GET", {"sec-fetch-site": SITE, "sec-fetch-mode": "cors"}, True),  # another port's page
        ("POST", {"sec-fetch-site": SITE, "sec-fetch-mode": "navigate"}, True),  # its form
        ("POST", {"sec-fetch-site": CROSS, "sec-fetch-mode": "navigate"}, True),
        ("GET", {"sec-fetch-site": SAME, "sec-fetch-dest": "iframe"}, True),
        ("GET", {"sec-fetch-site": CROSS, "sec-fetch-mode": "navigate", "sec-fetch-dest": "embed"},
         True),
    ],
)  # fmt: skip
def test_what_other_pages_send_is_told_apart(
    method: str, headers: dict[str, str], foreign: bool
) -> None:
    assert guard.foreign(method, headers) is foreign


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("", ""),
        ("k=v", "v"),
        ("a=b; k=v;c=d", "v"),
        ("kk=v; xk=w", ""),
        ("k=v; k=w", ""),  # another port's page has set one, too: neither is believed
        ("k", ""),
    ],
)
def test_a_cookie_is_read_only_if_there_is_one(header: str, value: str) -> None:
    assert guard.cookie_in(header, "k") == value


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ([], True),
        (["http://127.0.0.1:1"], True),
        (["https://127.0.0.1:1"], True),
        (["http://127.0.0.1:2"], False),
        (["null"], False),
        (["http://127.0.0.1:1.evil.example"], False),
        (["http://127.0.0.1:1", "http://evil.example"], False),
    ],
)
def test_an_origin_is_the_host_that_is_asked(origin: list[str], own: bool) -> None:
    assert guard.own_origin(origin, "127.0.0.1:1") is own


@pytest.mark.parametrize("path", ["/", "/memory", "/memory/m1", "/desk/live", "/login"])
def test_a_page_is_a_page(path: str) -> None:
    assert paths.is_page(path)
    assert path.startswith(paths.label(path))


@pytest.mark.parametrize(
    "path", ["/tasks", "/status", "/mcp", "/metrics", "//", "/desk", "/login/"]
)
def test_all_else_is_not(path: str) -> None:
    assert not paths.is_page(path)


def test_the_policy_has_no_way_out() -> None:
    for word in ("unsafe", "http", "*", "data:"):
        assert word not in guard.POLICY
    assert "frame-ancestors 'none'" in guard.POLICY
    assert guard.POLICY.startswith("default-src 'none'")
