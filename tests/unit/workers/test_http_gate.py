"""Who may ask over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from khive_workers.http.gate import Gate, GateRules, hosts_of
from khive_workers.http.limits import FailureLimit

from khive_supervisor.access import tokens

TOKEN = "the-right-token"
HOST = (b"host", b"127.0.0.1:8766")
RIGHT = (b"authorization", b"Bearer " + TOKEN.encode())
Headers = list[tuple[bytes, bytes]]


def rules(failures: int = 100) -> GateRules:
    hosts = hosts_of("127.0.0.1", 8766, ("khive.example",))
    limit = FailureLimit(failures, 60.0, lambda: 0.0)
    return GateRules(TOKEN, hosts, ("https://good.example",), 1000, limit)


def status(headers: Headers, path: str = "/status") -> int:
    refusal = rules().check(path, headers)
    return refusal.status if refusal else 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"127.0.0.1:8766", 200),
        (b"localhost:8766", 200),
        (b"LocalHost:8766", 200),
        (b"khive.example", 200),
        (b"127.0.0.1", 421),
        (b"127.0.0.1:8767", 421),
        (b"127.0.0.1:8766.evil.example", 421),
        (b"evil.example:8766", 421),
        (b"[::1]:8766", 421),
        (b"", 421),
    ],
)
def test_only_our_own_names_are_answered(host: bytes, expected: int) -> None:
    assert status([(b"host", host), RIGHT]) == expected


def test_two_hosts_or_none_are_nobody_s() -> None:
    assert status([HOST, HOST, RIGHT]) == 421
    assert status([RIGHT]) == 421


def test_the_address_of_ipv6_is_in_brackets() -> None:
    assert hosts_of("::1", 80, ()) == {b"[::1]:80", b"localhost:80"}


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (b"https://good.example", 200),
        (b"https://good.example.evil.example", 403),
        (b"http://good.example", 403),
        (b"http://127.0.0.1:8766", 403),
        (b"null", 403),
        (b"", 403),
    ],
)
def test_an_origin_must_be_an_allowed_one(origin: bytes, expected: int) -> None:
    assert status([HOST, (b"origin", origin), RIGHT]) == expected


def test_one_bad_origin_among_good_ones_is_bad() -> None:
    good = (b"origin", b"https://good.example")
    assert status([HOST, good, (b"origin", b"http://evil.example"), RIGHT]) == 403


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"Bearer the-right-token", 200),
        (b"bearer  the-right-token ", 200),
        (b"Bearer the-right-toke", 401),
        (b"Bearer the-right-token2", 401),
        (b"Basic the-right-token", 401),
        (b"the-right-token", 401),
        (b"Bearer", 401),
        (b"Bearer \xff\x00", 401),
        (b"", 401),
    ],
)
def test_the_token_must_be_the_right_one(given: bytes, expected: int) -> None:
    assert status([HOST, (b"authorization", given)]) == expected


def test_two_tokens_are_none() -> None:
    assert status([HOST, RIGHT, RIGHT]) == 401


def test_without_a_token_there_is_a_challenge_and_only_health_is_told() -> None:
    refusal = rules().check("/status", [HOST])
    assert refusal is not None
    assert refusal.status == 401
    assert refusal.response().headers["www-authenticate"].startswith("Bearer")
    assert status([HOST], "/healthz") == 200
    for path in ("/healthz/", "//healthz", "/Healthz", "/readyz", "/metrics", "/mcp"):
        assert status([HOST], path) == 401


def test_health_is_for_nobody_else_s_pages_either() -> None:
    assert status([(b"host", b"evil.example")], "/healthz") == 421
    assert status([HOST, (b"origin", b"http://evil.example")], "/healthz") == 403


def test_after_many_wrong_tokens_the_right_one_is_let_in_all_the_same() -> None:
    ours = rules(failures=3)
    wrong = [HOST, (b"authorization", b"Bearer no")]
    found = [ours.check("/status", wrong) for _ in range(5)]
    assert [one.status if one else 0 for one in found] == [401, 401, 401, 429, 429]
    assert found[4] is not None
    assert found[4].response().headers["retry-after"] == "60"
    assert ours.check("/status", [HOST, RIGHT]) is None
    missing = ours.check("/status", [HOST])
    assert missing is not None
    assert missing.status == 401, "who has no token at all does not guess"


@pytest.mark.parametrize(("length", "expected"), [(b"0", 200), (b"1000", 200), (b"1001", 413)])
def test_a_body_that_says_that_it_is_too_long_is_not_read(length: bytes, expected: int) -> None:
    assert status([HOST, RIGHT, (b"content-length", length)]) == expected


def test_a_refusal_says_nothing_of_what_was_sent_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []
    sent: list[dict[str, Any]] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        asked.append(scope["path"])

    async def send(message: Any) -> None:
        sent.append(message)

    async def main(headers: Headers) -> None:
        scope = {"type": "http", "path": "/status", "headers": headers, "state": {}}
        await gate(scope, None, send)  # type: ignore[arg-type]  # nothing is received

    gate = Gate(inner, rules())
    for _ in range(5):
        asyncio.run(main([HOST, (b"authorization", b"Bearer a-secret-of-another")]))
    asyncio.run(main([HOST, RIGHT]))
    assert asked == ["/status"]
    assert gate.refused == {"unauthorized": 5}
    assert len(caplog.records) == 3, "the first, the second and the fourth"
    said = caplog.text + repr(sent)
    assert "a-secret-of-another" not in said
    assert TOKEN not in said


# --- tokens of one namespace ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/mcp", 200), ("/tasks", 200), ("/tasks/t1", 200), ("/tasks/t1/cancel", 200),
        ("/status", 403), ("/reload", 403), ("/roles", 403), ("/roles/r/drain", 403),
        ("/metrics", 403), ("/readyz", 403), ("/openapi.json", 403), ("/tasksx", 403),
        ("/anything", 403),
    ],
)  # fmt: skip
def test_a_token_of_one_namespace_is_for_what_is_of_it(path: str, expected: int) -> None:
    token = tokens.confined(TOKEN, "acme").encode()
    assert status([HOST, (b"authorization", b"Bearer " + token)], path) == expected


def test_the_namespace_of_a_request_is_its_tokens() -> None:
    token = tokens.confined(TOKEN, "acme").encode()
    assert rules().namespace([HOST, (b"authorization", b"Bearer " + token)]) == "acme"
    assert rules().namespace([HOST, RIGHT]) is None
    forged = tokens.confined("another-token", "acme").encode()
    assert status([HOST, (b"authorization", b"Bearer " + forged)], "/mcp") == 401
