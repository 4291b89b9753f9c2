"""The same tasks by huey with its SQLite storage: installed apart, run as its manual says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from benchmarks.core.installation import clean_environment
from benchmarks.core.processes import DEADLINE
from benchmarks.core.venvs import venv

#: The module that its consumer and the one that queues import. A result is a row of its store.
TASKS = """import logging, os
from huey import SqliteHuey

logging.getLogger("huey").setLevel(logging.WARNING)
huey = SqliteHuey("bench", filename=os.environ["STORE"], fsync=os.environ["FSYNC"] == "1")


@huey.task()
def echo(payload):
    return payload
"""
#: Queues, waits until all results are stored, and says how many seconds that took.
SOURCE = """import json, sys, time
import bench_tasks

count = int(sys.argv[1])
huey = bench_tasks.huey
bench_tasks.echo(-1)
while huey.result_count() < 1:
    time.sleep(0.01)
began = time.monotonic()
for number in range(count):
    bench_tasks.echo(number)
queued = time.monotonic() - began
while huey.result_count() < count + 1:
    time.sleep(0.01)
print(json.dumps([queued, time.monotonic() - began]))
"""


def measure(work: Path, count: int, workers: int, *, fsync: bool) -> tuple[float, str]:
    """Tasks a second from the first queued to the last result stored; why not, if 0."""
    python, why = venv(work / "huey", "huey")
    if python is None:
        return 0.0, why
    home = work / "huey-run"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / "bench_tasks.py").write_text(TASKS, encoding="utf-8")
    (home / "source.py").write_text(SOURCE, encoding="utf-8")
    environment = {
        **clean_environment(home),
        "STORE": str(home / "huey.db"),
        "FSYNC": str(int(fsync)),
        "PYTHONPATH": str(home),
    }
    consumer = subprocess.Popen(
        [
            *(str(python.with_name("huey_consumer")), "bench_tasks.huey"),
            *("-w", str(workers), "-k", "process", "-n", "-q"),
        ],
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        done = subprocess.run(
            [str(python), "source.py", str(count)],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )
    except subprocess.TimeoutExpired:
        return 0.0, f"not through after {DEADLINE:g} s"
    finally:
        consumer.terminate()
        try:
            consumer.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(consumer.pid, signal.SIGKILL)  # a session of its own
            consumer.wait()
    if done.returncode:
        return 0.0, f"failed: {done.stderr.strip()[-200:]}"
    _, seconds = json.loads(done.stdout)
    return count / seconds, ""
