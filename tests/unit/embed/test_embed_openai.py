"""The client of an OpenAI-compatible endpoint, against one on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from khive_supervisor.config.settings.search import EmbedderSettings
from khive_supervisor.embed.base import EmbedderBusy
from khive_supervisor.embed.factory import for_worker, in_process
from khive_supervisor.embed.names import model_id_of
from khive_supervisor.embed.openai import BATCH, OpenAIEmbedder
from khive_supervisor.errors import EmbedderUnavailable

Answer = tuple[int, Any]


class Endpoint(ThreadingHTTPServer):
    """Answers as the test says and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answer: Callable[[dict[str, Any]], Answer] = normal
        self.extra: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, *_: object) -> None:
        """A client that went away is part of the test."""


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question)
        self.server.headers.append(dict(self.headers))
        self.server.paths.append(self.path)
        status, said = self.server.answer(question)
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        for name, value in self.server.extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def normal(question: dict[str, Any]) -> Answer:
    """Vectors of length 2 x the text's length, last one first: the index counts."""
    items = [
        {"index": place, "embedding": [0.0, 2.0 * len(text), 0.0]}
        for place, text in enumerate(question["input"])
    ]
    return 200, {"data": items[::-1]}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def embedder(endpoint: Endpoint, **options: Any) -> OpenAIEmbedder:
    return OpenAIEmbedder(endpoint.url, "small", 3, **options)


def test_vectors_are_asked_for_as_documented_and_normalised(endpoint: Endpoint) -> None:
    vectors = embedder(endpoint).embed(["a", "bb"])
    assert vectors.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert vectors.dtype == np.float32
    assert endpoint.asked == [{"model": "small", "input": ["a", "bb"]}]
    assert endpoint.paths == ["/v1/embeddings"]
    assert "Authorization" not in endpoint.headers[0]


def test_the_order_is_the_indexs(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: (
        200,
        {"data": [{"index": 1, "embedding": [0, 1, 0]}, {"index": 0, "embedding": [1, 0, 0]}]},
    )
    assert embedder(endpoint).embed(["a", "b"]).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_many_texts_go_in_batches_and_those_without_words_not_at_all(endpoint: Endpoint) -> None:
    texts = [f"text {number}" for number in range(BATCH + 1)]
    found = embedder(endpoint).embed(["", *texts, "?!"])
    assert found.shape == (BATCH + 3, 3)
    assert not found[0].any()
    assert not found[-1].any()
    assert [len(question["input"]) for question in endpoint.asked] == [BATCH, 1]


def test_the_key_comes_from_the_named_variable(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    embedder(endpoint, api_key_env="MY_KEY").embed(["a"])
    assert endpoint.headers[0]["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("value", ["", "two\nlines", "ключ"])
def test_a_key_that_is_none_is_said_without_showing_it(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(EmbedderUnavailable, match="MY_KEY") as caught:
        embedder(endpoint, api_key_env="MY_KEY").embed(["a"])
    assert not value or value not in str(caught.value)
    assert not endpoint.asked


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (401, EmbedderUnavailable, "api_key_env"),
        (404, EmbedderUnavailable, "embedder.model"),
        (429, EmbedderBusy, "later"),
        (500, EmbedderUnavailable, "embedder.url"),
        (503, EmbedderBusy, "later"),
    ],
)
def test_refusals_say_what_to_do(
    endpoint: Endpoint, status: int, kind: type[EmbedderUnavailable], hint: str
) -> None:
    endpoint.answer = lambda _: (status, {"error": "because"})
    with pytest.raises(EmbedderUnavailable, match=f"{status}.*because") as caught:
        embedder(endpoint).embed(["a"])
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert len(endpoint.asked) == 1


def test_a_redirect_is_not_followed(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    endpoint.extra = {"Location": endpoint.url + "/elsewhere"}
    endpoint.answer = lambda _: (307, b"")
    with pytest.raises(EmbedderUnavailable, match="307"):
        embedder(endpoint, api_key_env="MY_KEY").embed(["a"])
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": 3}',
        b'{"data": []}',
        b'{"data": [{}]}',
        b'{"data": [{"embedding": "AAAA"}]}',
        b'{"data": [{"embedding": [1, 2]}]}',
        b'{"data": [{"embedding": [1, 2, null]}]}',
        b'{"data": [{"embedding": [1, 2, NaN]}]}',
        b'{"data": [{"embedding": [1, 2, 1e999]}]}',
        b'{"data": [{"embedding": [1, 2, 1e300]}]}',
        b'{"data": [{"embedding": [1, 2, %s]}]}' % (b"9" * 400),
        b'{"data": [{"embedding": [[1], [2], [3]]}]}',
        b'{"data": [{"index": 5, "embedding": [1, 2, 3]}]}',
        b'{"data": [{"index": [], "embedding": [1, 2, 3]}]}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=lambda said: repr(said[:40]),
)
def test_an_answer_that_is_none_is_unavailable(endpoint: Endpoint, said: bytes) -> None:
    endpoint.answer = lambda _: (200, said)
    with pytest.raises(EmbedderUnavailable, match="gave no vectors"):
        embedder(endpoint).embed(["a"])


def test_wrong_dimensions_name_the_right_ones(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: (200, {"data": [{"embedding": [1.0] * 5}]})
    with pytest.raises(EmbedderUnavailable) as caught:
        embedder(endpoint).embed(["a"])
    assert "embedder.dimensions to 5" in caught.value.hint


def test_very_long_and_empty_vectors_are_normalised(endpoint: Endpoint) -> None:
    items = [{"embedding": [3e38, 0, 3e38]}, {"embedding": [0, 0, 0]}]
    endpoint.answer = lambda _: (200, {"data": items})
    vectors = embedder(endpoint).embed(["a", "b"])
    np.testing.assert_allclose(vectors, [[0.5**0.5, 0, 0.5**0.5], [0, 0, 0]], rtol=1e-6)


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(EmbedderUnavailable, match="refused"):
        OpenAIEmbedder("http://127.0.0.1:1/v1", "small", 3).embed(["a"])


def test_one_that_answers_too_late_is_unavailable(endpoint: Endpoint) -> None:
    end = threading.Event()
    endpoint.answer = lambda question: (end.wait(30), normal(question))[1]
    try:
        with pytest.raises(EmbedderUnavailable, match="timed out"):
            embedder(endpoint, timeout=0.1).embed(["a"])
    finally:
        end.set()


def test_loopback_never_goes_through_a_proxy(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert embedder(endpoint).embed(["a"]).shape == (1, 3)


def test_the_configuration_chooses_it_everywhere(endpoint: Endpoint) -> None:
    settings = EmbedderSettings(kind="openai", url=endpoint.url, model="small", dimensions=3)
    for made in (in_process(settings), for_worker(settings, "/nowhere.sock")):
        assert made is not None
        assert made.model_id == model_id_of(settings) == "openai/small/3"
        assert made.embed(["a"]).shape == (1, 3)


def test_none_means_none() -> None:
    settings = EmbedderSettings(kind="none")
    assert in_process(settings) is for_worker(settings, "/nowhere.sock") is model_id_of(settings)
    assert model_id_of(settings) is None
