"""An endpoint that speaks OpenAI's embeddings interface, on loopback or elsewhere.

POST {url}/embeddings with {"model", "input"} answers {"data": [{"index", "embedding"}]}; what
OpenAI documents and what Ollama, llama.cpp, vLLM and others serve too. Nothing is retried here: a
caller that can wait asks again, a search goes on with full text.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from khive_supervisor.embed.base import TEXT_LIMIT, EmbedderBusy, Vectors, has_words, unit_rows
from khive_supervisor.embed.names import endpoint_model_id
from khive_supervisor.errors import EmbedderUnavailable
from khive_supervisor.text.plain_json import JsonObject

#: Texts of one request; endpoints take from 32 (small local servers) to 2048.
BATCH = 32
#: Bytes of an answer: 32 vectors of 8192 numbers as JSON text take about 6 MB.
MAX_ANSWER = 32 * 1024 * 1024
#: Characters of an endpoint's own error text that are repeated to the user.
_QUOTED = 300
_READ_BYTES = 1 << 16
#: Answers that say "later", not "never".
_LATER = frozenset({429, 503})


class OpenAIEmbedder:
    """An Embedder that asks an endpoint; see `khive_supervisor.embed.base.Embedder`.

    `url` is the base, such as http://127.0.0.1:11434/v1. `api_key_env` names the environment
    variable that holds the key (empty: no key); it is read at each request and never shown.
    `timeout` is in seconds, for one request of BATCH texts. Redirects are not followed: they would
    carry the key elsewhere. Threads may share one instance.
    """

    def __init__(
        self, url: str, model: str, dimensions: int, *, api_key_env: str = "", timeout: float = 10.0
    ) -> None:
        self._url = url.rstrip("/") + "/embeddings"
        self._model = model
        self._key_name = api_key_env
        self._timeout = timeout
        self._opener = _opener(self._url)
        self.model_id = endpoint_model_id(model, dimensions)
        self.dimensions = dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of the texts; see `Embedder.embed`."""
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        shortened = [text[:TEXT_LIMIT] for text in texts]
        asked = [place for place, text in enumerate(shortened) if has_words(text)]
        for start in range(0, len(asked), BATCH):
            places = asked[start : start + BATCH]
            rows[places] = self._ask([shortened[place] for place in places])
        return unit_rows(rows)

    def _ask(self, texts: list[str]) -> Vectors:
        question = {"model": self._model, "input": texts}
        headers = {"Content-Type": "application/json", **self._authorization()}
        request = urllib.request.Request(  # noqa: S310 - the configuration admits only http(s)
            self._url, json.dumps(question).encode(), headers
        )
        return self._vectors(self._fetch(request), len(texts))

    def _authorization(self) -> dict[str, str]:
        if not self._key_name:
            return {}
        key = os.environ.get(self._key_name, "")
        if not key.isascii() or not key.isprintable() or not key:
            raise EmbedderUnavailable(
                f"The environment variable {self._key_name} holds no key for {self._url}.",
                hint="Set it where the supervisor is started, and restart the supervisor.",
            )
        return {"Authorization": f"Bearer {key}"}

    def _fetch(self, request: urllib.request.Request) -> bytes:
        deadline = time.monotonic() + self._timeout
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer = _read(response, deadline)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._unavailable(
                f"{error}.", "Is the endpoint up? Check embedder.url."
            ) from None
        if len(answer) > MAX_ANSWER:
            raise self._unavailable(f"it sent more than {MAX_ANSWER} bytes.", "Is it an endpoint?")
        return answer

    def _refused(self, error: urllib.error.HTTPError) -> EmbedderUnavailable:
        said = error.read(_QUOTED).decode("utf-8", "replace").strip()
        message = f"{self._url} answered with HTTP {error.code}: {said or error.reason}"
        if error.code in _LATER:
            return EmbedderBusy(message, hint="It has too much to do; ask again later.")
        if error.code in (401, 403):
            return EmbedderUnavailable(message, hint="Check embedder.api_key_env and the key.")
        return EmbedderUnavailable(message, hint="Check embedder.url and embedder.model.")

    def _vectors(self, answer: bytes, count: int) -> Vectors:
        try:
            items = json.loads(answer)["data"]
            with np.errstate(over="ignore"):  # what is too large becomes infinite, refused below
                rows = np.array(list(_in_order(items, count)), np.float32)
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise self._unavailable(
                f"its answer is not an embeddings answer ({error!r}).", "Check embedder.url."
            ) from None
        if rows.shape != (count, self.dimensions):
            length = rows.shape[1] if rows.ndim == 2 else 0
            raise self._unavailable(
                f"its vectors have {length} numbers, not {self.dimensions}.",
                f"Set embedder.dimensions to {length}, or choose another model.",
            )
        if not np.isfinite(rows).all():
            raise self._unavailable("its vectors are not finite.", "Choose another model.")
        return rows

    def _unavailable(self, reason: str, hint: str) -> EmbedderUnavailable:
        return EmbedderUnavailable(f"{self._url} gave no vectors: {reason}", hint=hint)


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Opens URLs without redirects; a proxy is used as the environment says, never for loopback."""
    host = urllib.parse.urlsplit(url).hostname or ""
    loopback = host in {"localhost", "::1"} or host.startswith("127.")
    proxies = [urllib.request.ProxyHandler({})] if loopback else []
    return urllib.request.build_opener(_NoRedirects, *proxies)


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The body, or its first MAX_ANSWER bytes and some; one that drips meets the deadline."""
    answer = bytearray()
    while len(answer) <= MAX_ANSWER:
        data = response.read1(_READ_BYTES)
        if not data:
            break
        answer += data
        if time.monotonic() > deadline:
            raise TimeoutError("its answer did not end in time")
    return bytes(answer)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Answer a redirect as the error that it is for a POST with a key."""


def _in_order(items: list[JsonObject], count: int) -> Iterator[list[float]]:
    """The embeddings by their index, which endpoints may leave out when the order is right."""
    if len(items) != count:
        raise ValueError(f"{len(items)} vectors for {count} texts")
    by_index = {item.get("index", place): item["embedding"] for place, item in enumerate(items)}
    for place in range(count):
        yield by_index[place]
