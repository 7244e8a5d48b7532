# SPDX-License-Identifier: Apache-2.0
"""What a session may take of the disk, and what the machine keeps."""
import json
import subprocess

import pytest

from tests.conftest import DEADLINE, GLOVEBOX, Session

MIB = 1 << 20


def run(box, script, *options, env=None):
    report = box.base / "report.json"
    done = subprocess.run([GLOVEBOX, "run", "--quiet", "--report", report, *options, "--", "sh", "-c", script],
                          cwd=box.ws, env=env or box.env, capture_output=True, text=True, timeout=DEADLINE)
    return done, json.loads(report.read_text())


@pytest.mark.parametrize("limit,script,says", [
    ("disk=8M", "i=0; while :; do head -c 1048576 /dev/zero > f$i; i=$((i+1)); done", "more than 8"),
    ("files=500", "i=0; while :; do : > f$i; i=$((i+1)); done", "more than 500 files"),
    ("files=500", "i=0; while :; do mkdir d$i; cd d$i; i=$((i+1)); done", "more than 500 files"),
])
def test_layers_that_grow_beyond_their_limit_end_the_call(box, limit, script, says):
    done, report = run(box, script, "--discard", "--limit", limit)
    assert done.returncode == 137 and report["outcome"] == "over_limit" and says in report["reason"], report["reason"]


def test_one_file_is_held_by_the_kernel_at_once(box):
    done, report = run(box, "fallocate -l 64M x; echo $?; truncate -s 1M y && echo small", "--discard", "--limit", "disk=8M")
    assert "small" in done.stdout and report["outcome"] == "exited" and "0\nsmall" not in done.stdout


def test_what_earlier_calls_left_counts_and_goes_when_it_is_committed(daemon):
    s = Session(daemon, limits={"disk": "8M"})
    script = ["sh", "-c", "head -c 6291456 /dev/zero > f1; read x"]
    first = s.c.ask("call.start", session=s.id, argv=script)["id"]
    assert s.c.ask("call.wait", id=first)["outcome"] == "exited"
    second = s.c.ask("call.start", session=s.id, argv=["sh", "-c", "head -c 6291456 /dev/zero > f2; sleep 1000"])["id"]
    ended = s.c.ask("call.wait", id=second)
    assert ended["outcome"] == "over_limit" and "commit or discard" in ended["reason"]
    s.c.ask("commit", id=s.id)
    third = s.c.ask("call.start", session=s.id, argv=["sh", "-c", "head -c 6291456 /dev/zero > f3; echo done"])["id"]
    assert s.c.ask("call.wait", id=third)["outcome"] == "exited"


@pytest.fixture
def small_disk(box):
    """The state on a disk of 64 MiB."""
    at = box.base / "small"
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "none", at], check=True)
    (at / "state").mkdir(mode=0o700)
    yield {**box.env, "GLOVEBOX_STATE": str(at / "state")}
    subprocess.run(["umount", "-l", at], check=True)


def test_a_full_machine_ends_the_call_and_what_was_written_can_still_be_committed(box, small_disk):
    script = "echo kept > kept; i=0; while :; do head -c 1048576 /dev/zero > f$i 2>/dev/null || sleep 0.01; i=$((i+1)); done"
    done, report = run(box, script, "--limit", "disk=1G", env=small_disk)
    assert report["outcome"] == "over_limit" and "nearly full" in report["reason"]
    commit = subprocess.run([GLOVEBOX, "commit", report["session"], "--path", "kept"], env=small_disk, capture_output=True, text=True, timeout=DEADLINE)
    assert commit.returncode == 0 and (box.ws / "kept").read_text() == "kept\n", commit.stderr
    assert subprocess.run([GLOVEBOX, "discard", report["session"]], env=small_disk, timeout=DEADLINE).returncode == 0
    assert run(box, "echo again", "--discard", env=small_disk)[0].stdout == "again\n"


def test_what_is_not_enforced_is_said(box):
    """J12: a storm of fsync is nobody's limit here, and disk is no quota of the kernel."""
    done, report = run(box, "true", "--discard")
    assert report["protection"]["limits"]["io"] == "none" and report["protection"]["limits"]["disk"] == "watched"
