# SPDX-License-Identifier: Apache-2.0
"""Nothing fails open: each system call that builds the sandbox is made to fail, and the tool must not run.

strace puts the error in, so this is the program as users have it. Not only every call of a kind fails, but
also one of them alone: the first, the second, ... (all of them with GLOVEBOX_FAULTS=all)."""
import os
import subprocess

import pytest

from tests.conftest import DEADLINE, GLOVEBOX
from tests.e2e.test_user import box as user_box, place    # noqa: F401 (fixtures)

# what builds and what takes away; not what only tells, cleans up or is optional
BUILDING = ["clone3", "setns", "fsopen", "fsconfig", "fsmount", "open_tree", "move_mount", "mount_setattr", "mount", "pivot_root", "umount2", "mknodat", "sethostname",
            "setresuid", "setresgid", "setgroups", "capset", "seccomp", "keyctl", "close_range", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "setsid"]
SOME = (1, 2, 3, 5, 8, 13, 21, 34, 55)
# one failure of these is answered in another way, and the sandbox is whole all the same: setsid of a process that leads its group already, and the
# warden's own
MAY_GO_ON = {"setsid", "close_range", "umount2"}


def tool_ran(box):
    return subprocess.run(["find", str(box.state), "-name", "ran"], capture_output=True, text=True).stdout != "" or (box.ws / "ran").exists()


def run_with(box, inject, program=(GLOVEBOX,)):
    return subprocess.run([*program[:-1], "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={inject.split(':')[0]}", "-e", f"inject={inject}", program[-1], "run", "--quiet", "--", "touch", "ran"],
                          cwd=box.ws, env=box.env, capture_output=True, text=True, timeout=DEADLINE)


@pytest.mark.parametrize("call", BUILDING)
def test_a_call_that_always_fails_refuses_the_tool(box, call):
    done = run_with(box, f"{call}:error=EIO")
    assert not tool_ran(box), (call, done.stderr)
    assert done.returncode == 125 and "glovebox:" in done.stderr, (call, done.returncode, done.stderr)


@pytest.mark.parametrize("call", [c for c in BUILDING if c not in MAY_GO_ON])
def test_one_that_fails_once_refuses_the_tool(box, call):
    all_of_them = os.environ.get("GLOVEBOX_FAULTS") == "all"
    for n in range(1, 200) if all_of_them else SOME:
        done = run_with(box, f"{call}:error=EIO:when={n}")
        if done.returncode == 0:
            assert tool_ran(box)    # there were fewer of them in each process than n
            return
        assert not tool_ran(box), (call, n, done.stderr)
        assert done.returncode == 125, (call, n, done.returncode, done.stderr)


# without root: the same calls, but for what root alone does; and the namespace itself
AS_USER = [c for c in BUILDING if c not in ("mknodat", "setgroups")] + ["unshare"]


@pytest.mark.parametrize("call", AS_USER)
def test_without_root_a_call_that_always_fails_refuses_the_tool(user_box, call):  # noqa: F811
    done = run_with(user_box, f"{call}:error=EIO", user_box.program)
    assert not tool_ran(user_box), (call, done.stderr)
    assert done.returncode == 125 and "glovebox:" in done.stderr, (call, done.returncode, done.stderr)


@pytest.mark.parametrize("call", [c for c in AS_USER if c not in MAY_GO_ON])
def test_without_root_one_that_fails_once_refuses_the_tool(user_box, call):  # noqa: F811
    for n in range(1, 200) if os.environ.get("GLOVEBOX_FAULTS") == "all" else SOME:
        done = run_with(user_box, f"{call}:error=EIO:when={n}", user_box.program)
        # a monitor that is missing is said, and no part of the sandbox
        if done.returncode == 0:
            assert tool_ran(user_box)
            return
        assert not tool_ran(user_box), (call, n, done.stderr)
        assert done.returncode == 125, (call, n, done.returncode, done.stderr)
