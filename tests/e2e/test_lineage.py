# SPDX-License-Identifier: Apache-2.0
"""Who did it: process names that are never used again, true parents, parallel calls, and what one call took from another."""
import collections
import re

import pytest

from tests.conftest import Session

EXEC_ID = re.compile(r"[0-9a-f]{8}:\d+:\d+")


def test_a_process_keeps_its_name_over_fork_and_exec(box):
    r = box.sh("true; /bin/true & wait; exec /bin/echo done")
    execs, forks = r.kinds("proc.exec"), r.kinds("proc.fork")
    shell, last = execs[0], execs[-1]
    assert shell["exec_id"] == last["exec_id"] and last["argv"] == ["/bin/echo", "done"]
    assert all(EXEC_ID.fullmatch(e["exec_id"]) for e in r.events if "exec_id" in e)
    child = next(e for e in execs if e["argv"] == ["/bin/true"])
    assert child["parent_exec_id"] == shell["exec_id"] and child["exec_id"] in {f["child_exec_id"] for f in forks}
    tree = {p["exec_id"]: p for p in r.report["processes"]}
    assert tree[child["exec_id"]]["parent_exec_id"] == shell["exec_id"]
    assert r.report["usage"]["processes"] == 2    # three programs


def test_the_parent_is_the_one_that_forked_even_when_it_is_gone(box):
    """Reparented to init, a process still knows who made it."""
    r = box.py("""
import os
if os.fork() == 0:
    if os.fork() == 0:
        while os.getppid() != 1: pass
        os.execv('/bin/sh', ['orphan', '-c', ': > done'])
    os._exit(0)
os.wait()
while not os.path.exists('done'): pass
""")
    orphan = next(e for e in r.kinds("proc.exec") if e["argv"][0] == "orphan")
    forks = {f["child_exec_id"]: f for f in r.kinds("proc.fork")}
    made_by = forks[orphan["exec_id"]]
    assert orphan["ppid"] == 1 and orphan["parent_exec_id"] == made_by["exec_id"] and made_by["pid"] not in (1, orphan["pid"])


def test_threads_are_told_and_speak_with_their_own_number(box):
    r = box.py("import os, threading\nt = threading.Thread(target=lambda: os.mkdir('by-thread')); t.start(); t.join(); os.mkdir('by-main')")
    thread = next(e for e in r.kinds("proc.fork") if e["thread"])
    made = {e["path"].rsplit("/", 1)[1]: e for e in r.kinds("file.mkdir")}
    assert made["by-thread"]["tid"] == thread["child_tid"] and "tid" not in made["by-main"]
    assert made["by-thread"]["exec_id"] == made["by-main"]["exec_id"] and "CLONE_THREAD" in thread["flags"]


def test_processes_that_never_execute_are_in_the_report(box):
    r = box.py("import os\nfor i in range(3):\n    if os.fork() == 0: os._exit(7)\nfor i in range(3): os.wait()")
    forked = [p for p in r.report["processes"] if p.get("forked")]
    assert [p["exit_code"] for p in forked] == [7, 7, 7] and {p["exe"] for p in forked} == {r.report["processes"][0]["exe"]}


def test_what_each_process_called_adds_up_to_what_the_call_did(box):
    r = box.sh("for i in 1 2 3 4 5; do cat /etc/hostname /nonexistent; done 2>/dev/null; true")
    of = collections.Counter()
    for p in r.report["processes"]:
        of.update(p["syscalls"]["counts"])
    assert dict(of) == r.report["syscalls"]["counts"] and "calls_of_no_process" not in r.report["events"]
    errors = collections.Counter()
    for p in r.report["processes"]:
        for e in p["syscalls"]["errors"]:
            errors[e["syscall"], e["error"]] += e["count"]
    assert errors["openat", "ENOENT"] == r.report["syscalls"]["errors"]["openat"]["ENOENT"] >= 5


def test_more_processes_than_places_lose_no_count(box):
    """1,024 places for processes: of those without one the calls are counted for the whole call."""
    r = box.py("""
import os
r, w = os.pipe()
for i in range(1200):
    if os.fork() == 0:
        os.close(w); os.read(r, 1); os._exit(0)
os.close(w)
for i in range(1200): os.wait()
""", options=["--limit", "pids=1300"])
    assert r.code == 0, r.err
    assert r.report["syscalls"]["counts"]["wait4"] == 1200 and r.report["events"]["calls_of_no_process"] > 0
    # each child's read, and those of the interpreter's start
    assert r.report["syscalls"]["counts"]["read"] >= 1200


def test_words_without_end_leave_room_for_the_report(daemon):
    """3,000 processes with 8 KiB of words each, and each byte six in JSON: the report is still answered."""
    s = Session(daemon, policy_json={"watch": {"mode": "lossless"}})
    s.run("/usr/bin/python3", "-c", "import os\nfor i in range(3000):\n    if os.fork() == 0: os.execv('/bin/true', ['true', '\\x01' * 8000])\n    os.wait()")
    report = s.c.ask("call.report", id=f"{s.id}.1")
    assert len(report["processes"]) == 3001 and report["processes"][-1]["cut"] and report["processes"][-1]["argv"] is None
    assert report["events"]["lost"] == 0 and report["usage"]["processes"] == 3001


def test_64_calls_at_once_are_told_apart(daemon):
    s = Session(daemon, limits={"pids": 1000})
    s.c.ask("events.subscribe", session=s.id)
    script = "n=$1; for k in 1 2 3 4 5; do mkdir c$n-$k; /bin/true of-$n-$k; done; (setsid sh -c \"mkdir late$n\" &) ; while ! [ -d late$n ]; do :; done"
    calls = {s.start("sh", "-c", script, "sh", i)["id"]: i for i in range(64)}
    for call in calls:
        assert s.wait(call)["exit_code"] == 0
    for call in calls:
        s.until("call.report", int(call.split(".")[1]))
    number = {int(c.split(".")[1]): i for c, i in calls.items()}
    seen, names = collections.Counter(), collections.defaultdict(set)
    for e in s.events:
        if e["kind"] == "file.mkdir" and "error" not in e:
            m = re.search(r"/(?:c(\d+)-\d|late(\d+))$", e["path"])
            assert int(m[1] or m[2]) == number[e["call"]], e
            seen[e["call"]] += 1
        if e["kind"] == "proc.exec" and len(e["argv"]) > 1 and e["argv"][1].startswith("of-"):
            assert e["argv"][1].split("-")[1] == str(number[e["call"]]), e
        if "exec_id" in e:
            names[e["exec_id"]].add(e["call"])
    assert set(seen.values()) == {6} and len(seen) == 64
    assert all(len(of) == 1 for of in names.values())


def influences(s, call):
    s.until("call.report", call)
    return [(e["how"], e["from_call"], (e.get("path") or e.get("addr")).removeprefix(s.root + "/")) for e in s.events
            if e["kind"] == "influence" and e["call"] == call]


def test_who_reads_or_runs_what_another_call_wrote_is_told(daemon):
    s = Session(daemon)
    s.c.ask("events.subscribe", session=s.id)
    s.sh("echo one > a; cp /bin/true prog; echo '#!/bin/sh' > tool; chmod +x tool; mkdir d; echo x > d/deep; echo t > /tmp/shared; cat a a")
    assert influences(s, 1) == []
    s.sh("cat a a; ./tool; ./prog; mv a b; cat /etc/hostname; cp /tmp/shared copy")
    assert sorted(influences(s, 2)) == [("exec", 1, "prog"), ("read", 1, "/tmp/shared"), ("read", 1, "a"), ("read", 1, "tool")]
    s.sh("cat d/deep copy b; echo two > a")
    assert sorted(influences(s, 3)) == [("read", 1, "b"), ("read", 1, "d/deep"), ("read", 2, "copy")]
    s.sh("cat a; echo new > b; cat b")
    assert influences(s, 4) == [("read", 3, "a")]


def test_long_names_cost_what_they_are(daemon):
    """3,000 names of 2,000 bytes share the directories in them: none is cut."""
    s = Session(daemon, policy_json={"watch": {"mode": "lossless"}})
    s.c.ask("events.subscribe", session=s.id, kinds=["influence", "call.report"])
    s.run("/usr/bin/python3", "-c", "import os\nfor k in range(8): os.mkdir('d' * 240); os.chdir('d' * 240)\nfor i in range(3000): os.close(os.open(f'f{i}', os.O_CREAT | os.O_WRONLY))")
    assert "influences_cut" not in s.c.ask("call.report", id=f"{s.id}.1")["events"]
    s.run("/usr/bin/python3", "-c", "import os\nfor k in range(8): os.chdir('d' * 240)\nfor i in range(3000): os.close(os.open(f'f{i}', os.O_RDONLY))")
    told = influences(s, 2)
    assert len(told) == 3000 and {t[:2] for t in told} == {("read", 1)}


def test_what_was_taken_back_influences_nobody(daemon):
    (daemon.box.ws / "a").write_text("real\n")
    s = Session(daemon)
    s.c.ask("events.subscribe", session=s.id)
    s.sh("echo one > a")
    s.c.ask("discard", id=s.id)
    assert s.sh("cat a")["stdout"]["text"] == "real\n" and influences(s, 2) == []


@pytest.mark.parametrize("listen,connect,what", [
    ("s = socket.socket(); s.bind(('127.0.0.1', 4711))", "s = socket.socket(); s.connect(('127.0.0.1', 4711))", "127.0.0.1 port 4711"),
    ("s = socket.socket(); s.bind(('', 4712))", "s = socket.socket(); s.connect(('127.0.0.1', 4712))", "127.0.0.1 port 4712"),
    ("s = socket.socket(socket.AF_UNIX); s.bind('/tmp/sock')", "s = socket.socket(socket.AF_UNIX); s.connect('/tmp/sock')", "/tmp/sock"),
])
def test_who_talks_to_a_socket_of_another_call_is_told(daemon, listen, connect, what):
    s = Session(daemon)
    s.c.ask("events.subscribe", session=s.id)
    server = s.start("/usr/bin/python3", "-c", f"import os, socket\n{listen}; s.listen(); os.mkdir('ready'); c, _ = s.accept(); c.recv(1)")
    while not any(e["kind"] == "file.mkdir" for e in s.events):
        s.c.read()
    s.run("/usr/bin/python3", "-c", f"import socket\n{connect}")
    assert influences(s, 2) == [("connect", 1, what)]
    s.wait(server)
    accepted = [e for e in s.events if e["kind"] == "net.accept"]
    assert len(accepted) == 1 and accepted[0]["call"] == 1


def test_a_port_that_the_kernel_chose_is_known(box):
    r = box.py("import socket\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print(s.getsockname()[1])\n"
               "c = socket.create_connection(s.getsockname()); a, peer = s.accept(); print(peer[1])")
    port, peer = map(int, r.out.split())
    assert [(e["addr"], e["port"]) for e in r.kinds("net.bind") + r.kinds("net.listen")] == [("127.0.0.1", port)] * 2
    assert [(e["addr"], e["port"]) for e in r.kinds("net.accept")] == [("127.0.0.1", peer)]
