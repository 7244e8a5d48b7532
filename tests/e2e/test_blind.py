# SPDX-License-Identifier: Apache-2.0
"""The monitor fails: its calls are killed or paused, by policy, and it is said. Each way for real, by root from outside."""
import ctypes
import json
import os
import pathlib
import subprocess

import pytest

from tests.conftest import DEADLINE, Session

BPFTOOL = "/usr/sbin/bpftool"
libc = ctypes.CDLL(None, use_errno=True)


def fdinfo(pid, fd):
    return dict(line.split(":\t") for line in pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines() if ":\t" in line)


def bpf_fds(pid, kind):
    found = {}
    for p in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(p) in (f"anon_inode:{kind}", f"anon_inode:[{kind}]"):
                found[int(p.name)] = fdinfo(pid, p.name)
        except FileNotFoundError:
            pass    # one of a connection, or of a call, which is over
    return found


def close_links(pid):
    """The programs are detached: their links are closed inside the supervisor."""
    fds = [fd for fd, info in bpf_fds(pid, "bpf_link").items() if info["link_type"].strip() != "cgroup"]
    assert len(fds) >= 4
    done = subprocess.run(["gdb", "-p", str(pid), "-batch", "-nx", *[w for fd in fds for w in ("-ex", f"call (int)close({fd})")]],
                          capture_output=True, timeout=DEADLINE)
    assert done.stdout.count(b" = 0") >= len(fds), done.stdout + done.stderr


def detach_group_link(pid):
    link = next(i for i in bpf_fds(pid, "bpf_link").values() if i["link_type"].strip() == "cgroup")
    subprocess.run([BPFTOOL, "link", "detach", "id", link["link_id"].strip()], check=True, capture_output=True)


def delete_call(pid):
    """The map forgets the call: by id, of those that this supervisor holds."""
    for info in bpf_fds(pid, "bpf-map").values():
        shown = json.loads(subprocess.run([BPFTOOL, "-j", "map", "show", "id", info["map_id"].strip()], check=True, capture_output=True).stdout)
        if shown.get("name") == "watch_calls":
            for entry in json.loads(subprocess.run([BPFTOOL, "-j", "map", "dump", "id", info["map_id"].strip()], check=True, capture_output=True).stdout):
                subprocess.run([BPFTOOL, "map", "delete", "id", info["map_id"].strip(), "key", *entry["key"]], check=True, capture_output=True)
            return
    raise AssertionError("no watch_calls")


def stop_reader(pid):
    """Nobody reads the ring: its thread stands still, under a tracer's hand."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "glovebox-watch":
            tid = int(task.name)
            assert libc.ptrace(0x4206, tid, None, None) == 0    # PTRACE_SEIZE
            assert libc.ptrace(0x4207, tid, None, None) == 0    # PTRACE_INTERRUPT
            assert os.waitpid(tid, 0x40000000)[0] == tid
            return tid
    raise AssertionError("no reader")


FAILURES = [(close_links, "detached"), (detach_group_link, "detached"), (delete_call, "entry in a map is gone"), (stop_reader, "stuck")]


@pytest.mark.parametrize("fail,said", FAILURES, ids=[f.__name__ for f, _ in FAILURES])
def test_a_call_that_is_not_seen_any_more_is_killed_and_it_is_said(box, fail, said):
    p = box.start("sh", "-c", "while :; do :; done")
    undo = fail(p.pid)
    try:
        event = box.wait_event("monitor.lost", p)
        assert said in event["why"] and event["did"] == "kill"
    finally:
        if undo:
            libc.ptrace(17, undo, None, None)    # PTRACE_DETACH
    _, err = p.communicate(timeout=DEADLINE)
    assert p.returncode == 137 and b"glovebox: not watched" in err
    report = json.loads(box.report_path.read_text())
    assert report["outcome"] == "killed" and report["by"] == "supervisor" and said in report["reason"]
    assert box.groups() == []


def test_by_policy_it_is_paused_until_a_person_lets_it_go_on(box):
    (box.base / "p.json").write_text('{"on_monitor_loss": "pause"}')
    p = box.start("sh", "-c", "while [ ! -e /tmp/never ]; do :; done", options=["-p", box.base / "p.json"])
    delete_call(p.pid)
    assert box.wait_event("monitor.lost", p)["did"] == "pause"
    assert box.wait_event("call.paused", p)["by"] == "supervisor"
    assert box.reach("resume")[0] == 0 and box.ps()[0]["state"] == "running"
    assert box.reach("kill")[0] == 0
    p.communicate(timeout=DEADLINE)


def test_no_call_starts_that_could_not_be_watched(daemon):
    s = Session(daemon)
    running = s.start("sh", "-c", "while :; do :; done")
    close_links(daemon.process.pid)
    assert s.wait(running)["outcome"] == "killed"
    r = s.run("true")
    assert r["outcome"] == "failed_to_start" and "do not run any more" in r["reason"], r


def test_nothing_is_said_while_all_is_well(box):
    r = box.sh("end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do :; done", options=["--limit", "pids=50"])
    assert r.code == 0 and not r.kinds("monitor.lost") and r.report["events"]["exact"]


def test_each_thread_says_what_it_was_killed_in(box):
    """One waits for a file, one for another, and one does something all the time."""
    r = box.py("""
import os, threading, time
os.mkfifo('never')
threading.Thread(target=lambda: open('never')).start()
r, w = os.pipe()
threading.Thread(target=lambda: os.read(r, 1)).start()
def ticks():
    while True: os.getppid(); time.sleep(0.001)
threading.Thread(target=ticks).start()
while True: time.sleep(100)
""", options=["--limit", "wall=2s"])
    unfinished = {(e["syscall"], e.get("path")): e for e in r.report["unfinished"]}
    assert unfinished["openat", f"{box.ws}/never"]["unfinished"] and unfinished["read", "pipe"]["args"]["count"] == 1
    # the one that is busy may have been between two calls
    assert len({e.get("tid", e["pid"]) for e in r.report["unfinished"]}) == len(r.report["unfinished"]) >= 3
    assert [e["seq"] for e in r.kinds("sys.call") if e.get("unfinished")] == [e["seq"] for e in r.report["unfinished"]]
    # which of them did what
    did = r.report["recent"][0]["calls"]
    assert {c["tid"] for c in did if c["syscall"] == "getppid"} == {max(c.get("tid", 0) for c in did)}


def test_an_end_of_its_own_is_not_cut_short(box):
    r = box.py("import threading, time, os\nthreading.Thread(target=time.sleep, args=(100,), daemon=True).start()\nos._exit(3)")
    assert r.code == 3 and r.report["unfinished"] == []


def test_what_it_was_doing_is_in_the_report_of_what_was_killed(box):
    r = box.py("import os, time\nfor i in range(300): os.getppid()\ntime.sleep(100)",
               options=["--limit", "wall=2s"])
    assert r.report["outcome"] == "timed_out"
    last = r.report["recent"][-1]["calls"]
    assert len(last) == 256 and [c["syscall"] for c in last].count("getppid") > 200 and last[-1]["ms_before"] == 0
    assert r.report["processes"][0]["inside"] in ("clock_nanosleep", "nanosleep", "select", "pselect6")
    assert box.sh("true").report.get("recent") is None
    failed = box.sh("cat /etc/hostname > /dev/null; cat /nonexistent")
    calls = [c for p in failed.report["recent"] for c in p["calls"]]
    assert {"syscall": "openat", "error": "ENOENT"}.items() <= next(c for c in reversed(calls) if c["syscall"] == "openat" and "error" in c).items()
