"""Tokens of texts, counted by a real tokenizer (o200k) in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.core.venvs import venv

#: The package that has the tokenizer with its table, and what counts with it.
_PACKAGE = "bpe-openai"
_COUNT = (
    "import bpe_openai, json, sys; encode = bpe_openai.get_encoding('o200k_base').encode;"
    "print(json.dumps([len(encode(text)) for text in json.load(sys.stdin)]))"
)
#: Characters of a token, about, where there is no tokenizer.
_TOKEN = 4


def count(work: Path, texts: Sequence[str]) -> tuple[list[float], str]:
    """Return the tokens of each text, and how they were counted."""
    python, problem = venv(work / "tokenizer", _PACKAGE)
    if python is None:
        return [len(text) / _TOKEN for text in texts], f"characters / {_TOKEN} ({problem})"
    done = subprocess.run(
        [str(python), "-c", _COUNT], input=json.dumps(texts), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return json.loads(done.stdout), "o200k"
