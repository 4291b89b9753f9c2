"""Requests that schemathesis makes of the description: none makes the worker fail or lie."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from http_support import HttpBench
from support import Installation

#: The same requests at each run, and few enough for a test.
SEED, EXAMPLES = "1", "15"
#: Seconds for all of them.
PATIENCE = 240
#: Without negative_data_rejection: arguments are taken as they are meant (`"3"` for 3).
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,"
    "unsupported_method,ignored_auth"
)


def test_the_description_holds(khive: Installation, tmp_path: Path) -> None:
    khive.configure("[http]\nenabled = true\nport = 0\nwrong_tokens = 10000\n")
    khive.start()
    bench = HttpBench(khive)
    program = str(Path(sys.executable).with_name("schemathesis"))
    done = subprocess.run(
        [
            program, "run", f"{bench.url}/openapi.json",
            "--header", f"Authorization: Bearer {bench.token}",
            "--checks", CHECKS, "--seed", SEED, "--max-examples", EXAMPLES,
            "--generation-deterministic", "--phases", "examples,coverage,fuzzing", "--no-color",
        ],
        cwd=tmp_path, env=khive.env, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert bench.ask("GET", "/readyz").status == 200
    assert khive.child("http")["restarts"] == 0
    assert not khive.events("http.crashed")
