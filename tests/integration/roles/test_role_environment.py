"""What roles find does not depend on which client started the supervisor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from role_support import RoleBench, bench, command
from support import Installation

from khive_supervisor import exitcodes
from khive_supervisor.tasks.model import DONE


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        yield made


def test_the_login_shells_path_counts_and_a_failed_role_is_no_endless_wait(
    roles: RoleBench,
) -> None:
    khive = roles.khive
    tools = khive.home / "tools"
    tools.mkdir()
    for name in ("agent-of-mine", "only-in-this-shell"):
        program = tools / name
        program.write_text('#!/bin/sh\necho "$PATH"; echo "$KEY"\n')
        program.chmod(0o755)
    shell = khive.home / "shell"
    shell.write_text(
        "#!/bin/sh\necho welcome\n"
        f'export PATH="{khive.home}/nvm:$PATH" KEY=secret\nexec sh -c "$3"\n'
    )
    shell.chmod(0o755)
    (khive.home / "nvm").mkdir()
    (tools / "agent-of-mine").rename(khive.home / "nvm" / "agent-of-mine")
    roles.configure(
        command("mine", "agent-of-mine", env_allow=["KEY"]),
        command("lacks", "only-in-this-shell"),
        settings=f'[agents]\nlogin_shell = "{shell}"',
    )
    khive.run("start", "--background", "--quiet", PATH="/usr/bin:/bin")
    good = {"PATH": f"{tools}:{khive.env['PATH']}"}
    task = roles.ended(roles.assign("mine"))
    assert task.state == DONE
    path, key = task.result.splitlines()
    assert path.split(":")[0] == f"{khive.home}/nvm"
    assert key == "secret"
    refused = khive.run(
        "assign", "x", "--role", "lacks", "--wait", code=exitcodes.BOOT_FAILURE, **good
    )
    assert "The role lacks is failed" in refused.stderr
    assert "only-in-this-shell" in refused.stderr
    told = khive.run("doctor", code=exitcodes.UNHEALTHY, **good)
    assert "lacks in the supervisor what this shell has" in told.stdout
    assert khive.status()["environment"]["shell"] == str(shell)
