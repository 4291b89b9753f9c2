"""Whatever a task starts ends with it, however it has left the task's group, session and parent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from role_support import RoleBench, bench, command
from support import Installation, alive, kill, wait_until

from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED

#: Ways to leave a process behind, which writes its number into the file `$1` and stays; with the
#: program that does so in `$LEFT`.
WAYS = {
    "background": '"$LEFT" "$1" &',
    "session": 'setsid "$LEFT" "$1" >/dev/null 2>&1 </dev/null &',
    "nohup": '(nohup setsid "$LEFT" "$1" >/dev/null 2>&1 &)',
    "double fork": '(setsid sh -c \'"$LEFT" "$1" & exit\' sh "$1" &)',
    "no environment": '(env -i setsid "$LEFT" "$1" >/dev/null 2>&1 &)',
    "stopped": 'setsid sh -c \'echo $$ > "$1"; kill -STOP $$\' sh "$1" &',
    "deaf": 'setsid sh -c \'trap "" TERM HUP INT; exec "$LEFT" "$1"\' sh "$1" &',
}
STAY = '#!/bin/sh\necho $$ > "$1.part"; mv "$1.part" "$1"; exec sleep 600\n'

#: The same for functions.
FUNCTIONS = """
import os
import signal
import subprocess
import sys
from pathlib import Path


def note(file):
    Path(file + ".part").write_text(str(os.getpid()))
    os.rename(file + ".part", file)


def stay(file, told):
    note(file)
    os.write(told, b".")
    while True:
        signal.pause()


def wait(told):
    assert os.read(told, 1) == b"."  # or nothing, if whoever was to say it has ended


def detached(context, payload):
    here, told = os.pipe()
    code = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import handlers; " \\
        f"handlers.stay({payload!r}, {told})"
    subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, env={}, pass_fds=[told]
    )
    os.close(told)
    wait(here)
    return "left"


def forked(context, payload):
    here, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            stay(payload, told)
        os._exit(0)
    os.close(told)
    wait(here)
    return "left"


def comes_back(context, payload):
    pid = os.fork()
    if pid == 0:
        note(payload)
        return "from the child"
    os.waitpid(pid, 0)
    return "from the parent"


def killed(context, payload):
    here, told = os.pipe()
    if os.fork() == 0:
        stay(payload, told)
    os.close(told)
    wait(here)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        yield made


def _number(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().strip(), f"{file.name} is written")
    return int(file.read_text())


def _gone(pid: int) -> bool:
    return bool(wait_until(lambda: not alive(pid), f"process {pid} has ended"))


def _program(roles: RoleBench) -> str:
    program = roles.directory / "left"
    program.write_text(STAY)
    program.chmod(0o755)
    return str(program)


def test_nothing_that_a_command_leaves_outlives_its_task(roles: RoleBench) -> None:
    program = _program(roles)
    roles.configure(
        *(
            command(
                name.replace(" ", "-"), "sh", "-c",
                f"export LEFT={program}; set -- {roles.directory}/{name.replace(' ', '-')}; "
                f'{way}\nuntil [ -s "$1" ]; do sleep 0.01; done; echo done',
            )
            for name, way in WAYS.items()
        )
    )  # fmt: skip
    roles.khive.start()
    for name in WAYS:
        role = name.replace(" ", "-")
        task = roles.ended(roles.assign(role))
        assert (task.state, task.result) == (DONE, "done"), task
        assert not alive(_number(roles.directory / role)), name
    # The next task of the same worker finds nothing of it, and leaves nothing either.
    assert roles.ended(roles.assign("session")).state == DONE
    assert not alive(_number(roles.directory / "session"))


def _leaving(roles: RoleBench, program: str, name: str, **keys: object) -> str:
    """A role whose command leaves something behind and goes on."""
    script = f"setsid {program} {roles.directory}/{name} >/dev/null 2>&1 & exec sleep 600"
    return command(name, "sh", "-c", script, attempts=1, **keys)


@pytest.mark.long
def test_however_the_task_ends(roles: RoleBench) -> None:
    program = _program(roles)
    names = ("cancelled", "killed", "stopped")
    roles.configure(
        *(_leaving(roles, program, name) for name in names),
        _leaving(roles, program, "late", timeout="1s"),
    )
    roles.khive.start()
    tasks = {name: roles.assign(name, attempts=1) for name in (*names, "late")}
    left = {name: _number(roles.directory / name) for name in tasks}
    roles.khive.call("agents.cancel", task=f"t{tasks['cancelled']}")
    assert roles.ended(tasks["cancelled"]).state == CANCELLED
    assert roles.ended(tasks["late"]).state == FAILED
    assert not alive(left["cancelled"])
    assert not alive(left["late"])
    kill(roles.workers("killed")[0]["pid"])
    assert _gone(left["killed"])
    assert alive(left["stopped"])
    roles.khive.run("stop")
    assert not alive(left["stopped"])


def test_when_everything_was_killed_the_next_supervisor_sees_to_it(roles: RoleBench) -> None:
    roles.configure(_leaving(roles, _program(roles), "cmd"))
    roles.khive.start()
    roles.assign("cmd", attempts=1)
    left = _number(roles.directory / "cmd")
    supervisor, worker = roles.khive.status()["pid"], roles.workers("cmd")[0]["pid"]
    kill(supervisor)
    kill(worker)
    wait_until(lambda: not alive(supervisor) and not alive(worker), "both have ended")
    assert alive(left)
    roles.khive.start()
    assert _gone(left)


def test_nor_what_a_function_leaves(roles: RoleBench) -> None:
    roles.write(FUNCTIONS)
    names = ("detached", "forked", "comes_back", "killed")
    roles.configure(*(roles.python(name, name, attempts=1) for name in names))
    roles.khive.start()
    files = {name: roles.directory / f"{name}-left" for name in names}
    tasks = {name: roles.assign(name, str(files[name]), attempts=1) for name in names}
    results = {name: roles.ended(task).result for name, task in tasks.items()}
    assert results == {
        "detached": "left", "forked": "left", "comes_back": "from the parent", "killed": None,
    }  # fmt: skip
    for file in files.values():
        assert _gone(_number(file))


def test_a_supervisor_that_a_task_started_stays(roles: RoleBench) -> None:
    """An agent's session starts one if there is none: it serves everybody."""
    khive = roles.khive
    start = f"{sys.executable} -P -m khive_supervisor start --background --quiet"
    path = khive.env["PYTHONPATH"]
    gate = roles.gate("gate")
    script = f"echo $$ > {gate['began']}; flock -s {gate['until']} true; PYTHONPATH={path} {start}"
    roles.configure(command("cmd", "sh", "-c", script))
    khive.start()
    task = roles.assign("cmd")
    roles.began(gate)
    kill(khive.status()["pid"])
    wait_until(lambda: khive.status_or_none() is None, "the supervisor is gone")
    roles.open(gate)
    assert roles.ended(task).state == DONE
    wait_until(lambda: khive.status_or_none() is not None, "there is a supervisor")
    assert not [e for e in khive.events("role.leftovers") if not e["ended"]]
    khive.stop()
