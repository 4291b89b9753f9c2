"""Show a workflow with an approval, a candidate that fails over, and a notification, on their own.

The supervisor lies in a temporary directory, socket and store included, and goes with it. The
receiver of the notification is a server on the loopback.
"""

from __future__ import annotations

import http.server
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import demo_role

CONFIGURATION = """\
embedder.kind = "none"
store.path = "khive.db"
log.file = "khive.log"

[[roles]]
role = "writer"
task_types = ["text"]
handler = {{ python = "desk:write" }}
cwd = "."

[[roles.candidates]]
name = "cloud"
handler = {{ command = ["sh", "-c", "echo 'status 503: overloaded' >&2; exit 75"] }}

[[roles.candidates]]
name = "local"

[[roles]]
role = "publisher"
task_types = ["publish"]
handler = {{ python = "desk:publish" }}
cwd = "."

[[workflows]]
name = "notes"

[[workflows.steps]]
name = "write"
role = "writer"
payload = "{{{{input.version}}}}"

[[workflows.steps]]
name = "publish"
role = "publisher"
payload = "{{{{steps.write.result}}}}"
approve = "operator"

[[channels]]
name = "desk"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
events = ["approval.asked"]
"""
HANDLERS = """\
def write(context, payload):
    return f"What is new in {payload}"


def publish(context, payload):
    return f"published: {payload}"
"""
#: Tasks until one is given to the candidate that cannot work; seconds for all else.
TASKS, PATIENCE = 20, 30.0


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes messages, and hands them on."""

    received: queue.Queue[dict[str, Any]] = queue.Queue()

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        self.received.put(json.loads(body))

    def log_message(self, *args: object) -> None:
        """Say nothing of it."""


class Example(demo_role.Example):
    """A supervisor with a workflow, and answers as JSON."""

    def ask(self, *words: str) -> Any:
        """Return what a command that must succeed prints as JSON."""
        done = subprocess.run(
            [*demo_role.COMMAND, *words, "--json"],
            env=self.environment, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return json.loads(done.stdout)


def show() -> None:
    """Fail over, run the workflow to its approval, be told of it, approve."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="khive-") as directory:
        place = Path(directory)
        (place / "desk.py").write_text(HANDLERS, encoding="utf-8")
        text = CONFIGURATION.format(port=server.server_port)
        (place / "khive.toml").write_text(text, encoding="utf-8")
        example = Example(place)
        example.run("start", "--background", "--quiet")
        try:
            _fail_over(example)
            _approve(example)
        finally:
            example.run_quietly("stop", "--sessions")
            server.shutdown()


def _fail_over(example: Example) -> None:
    """Give tasks until the candidate that is overloaded gets one: what others do is rated badly."""
    for _ in range(TASKS):
        task = example.ask("assign", "1.3", "--role", "writer", "--wait")
        events = example.ask("task", task["task"])["events"]
        over = [one["detail"] for one in events if one["what"] == "failed_over"]
        if over:
            print(f"  a candidate fails:   {over[0]}")
            print(f"  the task is done:    {task['result']}")
            return
        example.run_quietly("call", "agents.feedback", f"task={task['task']}", "quality=0")
    raise AssertionError("no task was given to the candidate that cannot work")


def _approve(example: Example) -> None:
    run = example.ask("workflow", "run", "notes", "--input", '{"version": "1.4"}')["run"]
    told = Receiver.received.get(timeout=PATIENCE)
    (asked,) = example.ask("approvals")["approvals"]
    print(
        f"  a workflow asks:     {asked['approval']} for {asked['role']} ({run}, {asked['step']})"
    )
    print(f"  a receiver is told:  {told['data']['title']}")
    example.ask("approve", asked["approval"])
    end = time.monotonic() + PATIENCE
    while (state := example.ask("workflow", "show", run)["state"]) == "running":
        assert time.monotonic() < end, "the workflow goes on"
        time.sleep(0.05)
    assert state == "done", state
    result = example.ask("task", asked["task"])["result"]
    print(f"  it is approved:      {result}\n")


if __name__ == "__main__":
    sys.exit(show())
