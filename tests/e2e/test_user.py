# SPDX-License-Identifier: Apache-2.0
"""Without root: the same sandbox in a user namespace, with what is left, and what is said of it."""
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from tests.agent_loop import Refused
from tests.conftest import BUILD, DEADLINE, Box, Daemon, Session
from tests.mcp.test_mcp import modern

USER = 61234    # nobody else here has it
DROP = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
UNIFIED = pathlib.Path("/sys/fs/cgroup/unified" if os.path.ismount("/sys/fs/cgroup/unified") else "/sys/fs/cgroup")


# What a user needs of the build: it may lie where he cannot go.
PROGRAMS = ("glovebox", "glovebox-probe", "glovebox-diff", "glovebox-shim", "glovebox-mcp", "tools")


def install(base):
    (base / "bin").mkdir()
    for name in PROGRAMS:
        (shutil.copytree if (BUILD / name).is_dir() else shutil.copy)(BUILD / name, base / "bin" / name)
    return base / "bin" / "glovebox"


def own(path, uid=USER):
    for p in (path, *path.rglob("*")):
        os.chown(p, uid, uid, follow_symlinks=False)


@pytest.fixture
def place():
    """A user's home: not below pytest's own, which is root's alone."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="gb-user-", dir="/srv"))
    os.chmod(base, 0o755)
    yield base
    shutil.rmtree(base)


@pytest.fixture
def box(place):
    b = Box(place, DROP)
    b.program = [*DROP, str(install(place))]
    b.run_dir = place / "run"
    b.env = {**os.environ, "HOME": str(place), "XDG_RUNTIME_DIR": str(place / "x"), "XDG_STATE_HOME": str(place / "s")}
    (place / "x").mkdir()
    b.state = place / "s" / "glovebox"
    own(place)
    return b


@pytest.fixture
def daemon(box):
    box.run_dir = box.base / "x" / "glovebox"
    d = Daemon(box)
    yield d
    d.stop()


@pytest.fixture
def delegated(box):
    """A box in a control group that is the user's, as `systemd-run --user --scope -p Delegate=yes` gives one."""
    group = UNIFIED / f"gb-test-{os.getpid()}"
    group.mkdir()
    for p in (group, group / "cgroup.procs", group / "cgroup.subtree_control"):
        os.chown(p, USER, USER)
    box.program = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *box.program]
    yield box
    for p in sorted(group.rglob("*"), reverse=True):
        p.is_dir() and p.rmdir()
    group.rmdir()


def test_it_runs_and_says_what_is_less(box):
    r = box.sh("id -u; echo x > f; ls -ln f | cut -d' ' -f3; grep CapBnd /proc/self/status; cat /proc/self/uid_map")
    assert r.code == 0, r.err
    assert r.out.decode().split() == ["1000", "1000", "CapBnd:", "0" * 16, "1000", "0", "1"]
    p = r.report["protection"]
    assert p["tier"] == "user" and p["watched_by"] == "notify" and p["control"] == "pid namespace" and p["ids"] == "the user's own" and not p["watched"]
    assert p["limits"]["memory"] == "watched" and p["limits"]["pids"] == "rlimit" and p["limits"]["cpu"] is False
    assert "not all is watched" in r.err and "best effort" in r.err
    assert r.report["syscalls"] is None    # nobody counted them: no number is claimed
    assert [c["path"] for c in r.report["changes"]] == [f"{box.ws}/f"] and not any(box.ws.iterdir())


def test_the_changes_are_the_users_to_look_at_and_to_commit(box):
    assert box.sh("echo x > f; mkdir d; echo y > d/g").code == 0
    session, = box.sessions()
    listed = box.command("session", "list").stdout.decode()
    assert session in listed and "kept" in listed
    assert b"+x" in box.command("diff", session).stdout
    assert box.command("report", f"{session}.1").returncode == 0
    assert box.command("commit", session).returncode == 0
    assert (box.ws / "d" / "g").read_text() == "y\n" and (box.ws / "f").stat().st_uid == USER
    assert box.command("discard", session).returncode == 0 and box.sessions() == []


def test_it_is_the_same_command_after_the_namespace_was_made(box):
    """Every word is there again: an option that was lost would be a hole."""
    policy = box.base / "p.json"
    policy.write_text('{"extends": "default", "syscalls": {"deny": ["mkdir", "mkdirat"]}}')
    r = box.sh("mkdir d; echo -n 'a  b' ; df -k /tmp | tail -1 | awk '{print $2}'", options=["-q", "-p", str(policy), "--limit", "tmp=32M", "--discard", "--env=A=b c"])
    assert b"a  b" in r.out and b"32768" in r.out and b"" == b"".join(r.out.split(b"32768")[1:]).strip()
    assert r.denied("mkdir") and box.sessions() == []
    assert "glovebox:" not in r.err


@pytest.mark.parametrize("require,code", [("full", 125), ("partial", 125), ("user", 0)])
def test_require_is_the_floor(box, require, code):
    done = box.command("run", "--require", require, "--", "touch", "ran")
    assert done.returncode == code
    assert code == 0 or b"gives less" in done.stderr and b"eBPF needs root" in done.stderr
    assert bool(box.sessions()) == (code == 0)


def test_a_daemon_keeps_to_its_floor(box):
    done = box.command("daemon", "--root", str(box.ws), "--require", "partial")
    assert done.returncode == 1 and b"--require partial" in done.stderr


def test_what_is_seen_is_before_it_happens_and_says_so(box):
    r = box.py("""
import os, socket, subprocess
open('f', 'w').close(); os.mkdir('d'); os.rename('f', 'd/g'); os.symlink('x', 'l'); os.unlink('l'); os.chmod('d/g', 0o600)
subprocess.run(['true']); subprocess.run(['/usr/bin/env', 'true'])
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); socket.create_connection(s.getsockname())
""")
    seen = {e["kind"]: e for e in r.events}
    assert {"file.create", "file.mkdir", "file.rename", "file.symlink", "file.unlink", "file.chmod", "net.connect", "net.bind", "proc.exec"} <= set(seen)
    for kind in ("file.create", "file.mkdir", "file.rename", "net.connect"):
        assert seen[kind]["source"] == "notify" and seen[kind]["phase"] == "pre", seen[kind]
    assert seen["file.mkdir"]["path"] == f"{box.ws}/d" and seen["file.rename"]["to"] == f"{box.ws}/d/g"
    assert seen["net.connect"]["verdict"] == "requested"
    # a program that a search along $PATH does not find is not one that ran
    assert [e["argv"] for e in r.kinds("proc.exec")][1:] == [["true"], ["/usr/bin/env", "true"], ["true"]]
    assert [e["exe"] for e in r.kinds("proc.exec")][1] == "/usr/bin/true"
    assert r.report["events"]["emitted"] == r.report["events"]["delivered"] > 0


def test_a_denial_is_explained_before_it_happens(box):
    r = box.sh("unshare -U true; cat /etc/shadow; touch /usr/x; python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 80))'; true")
    told = {(d["layer"], d["syscall"]) for d in r.report["denials"]}
    assert told == {("seccomp", "unshare"), ("files", "openat"), ("network", "connect")}, r.report["denials"]
    assert {d["subject"] for d in r.denied("openat")} == {"/etc/shadow", "/usr/x"}
    assert all(d["suggest"] for d in r.report["denials"])


def test_what_is_not_ours_is_not_claimed(box):
    (box.ws / "closed").mkdir(0o700)
    r = box.py("""
import os, socket
def fails(f, *a):
    try: f(*a)
    except OSError: return
    raise SystemExit(f"{f} {a} did not fail")
for i in range(100):
    fails(open, f'nosuch{i}'); fails(open, '/usr/bin/env', 'a'); fails(os.mkdir, '.'); fails(os.unlink, f'no{i}'); fails(os.rename, f'no{i}', 'x')
    fails(socket.create_connection, ('127.0.0.1', 9)); fails(open, 'closed/x', 'w'); fails(os.execv, f'/nosuch{i}', ['x']); fails(os.chown, '.', 0, 0)
    fails(open, f'/tmp/none/{i}', 'w')
""")
    assert r.code == 0, r.err
    assert r.report["denials"] == []


def test_kill_means_dead(box):
    """A fork bomb, with daemons that left the process group; the receipt is the pid namespace's end."""
    p = box.start("/usr/bin/python3", "-c", "import os\nprint('up', flush=True)\nwhile True:\n try:\n  if os.fork() == 0: os.setsid()\n except OSError: pass",
                  options=["--limit", "pids=60"])
    assert p.stdout.readline() == b"up\n"
    code, said = box.reach("kill")
    assert code == 0 and said["receipt"]["populated"] == 0 and said["receipt"]["processes"] > 1
    p.wait(timeout=DEADLINE)
    assert p.returncode == 137
    assert mine() == []


def mine():
    """Processes of the user, but for those that are dead."""
    out = []
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if p.stat().st_uid == USER and (p / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                out.append((p.name, (p / "cmdline").read_bytes()))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


def test_a_pause_stops_all_and_a_timer_does_not_wake_one(box):
    """SIGCONT from a timer that was set before is the way out of a stop: it is closed again."""
    p = box.start("/usr/bin/python3", "-c", """
import ctypes, os, signal, threading, time
libc = ctypes.CDLL(None)
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signo", ctypes.c_int), ("notify", ctypes.c_int), ("pad", ctypes.c_char * 64)]
timer = ctypes.c_void_p()
e = Event(None, signal.SIGCONT, 0)
assert libc.timer_create(1, ctypes.byref(e), ctypes.byref(timer)) == 0
assert libc.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 5000000, 0, 5000000), None) == 0
def count():
    n = 0
    while True:
        n += 1
        os.write(1, b".")
        time.sleep(0.001)
threading.Thread(target=count).start()
if os.fork() == 0:
    while True: pass
count()
""")
    assert p.stdout.read(10)
    code, said = box.reach("pause")
    assert code == 0 and said["receipt"]["frozen"] == 1 and said["receipt"]["by"] == "stop" and said["receipt"]["best_effort"] is True
    shown = box.command("resume", "--json", "s-")
    assert shown.returncode == 0 and p.stdout.read(10)
    assert box.reach("pause")[0] == 0
    assert box.reach("kill")[1]["receipt"]["populated"] == 0    # also while it is stopped
    p.wait(timeout=DEADLINE)
    assert p.returncode == 137 and mine() == []


def test_memory_and_cpu_and_time_are_limited_by_looking(box):
    r = box.py("x = bytearray(300 << 20)\nimport time; time.sleep(60)", options=["--limit", "memory=64M"])
    assert r.code == 137 and r.report["outcome"] == "over_limit" and "64 MiB" in r.report["reason"]
    r = box.py("while True: pass", options=["--limit", "cpu=200ms"])
    assert r.report["outcome"] == "over_limit" and "processor" in r.report["reason"]
    r = box.sh("sleep 60", options=["--limit", "wall=200ms"])
    assert r.code == 124
    r = box.py("import os\nn = 0\ntry:\n while os.fork(): n += 1\nexcept OSError as e: print(n, e.errno)\nelse: os._exit(0)", options=["--limit", "pids=20"])
    assert r.out.split()[-1] == b"11" and int(r.out.split()[-2]) <= 40


@pytest.mark.parametrize("victim", ["supervisor", "keeper", "warden"])
def test_whoever_dies_takes_the_call_along(box, victim):
    p = box.start("sh", "-c", "setsid sleep 1000 & echo up; exec sleep 1000")
    assert p.stdout.readline() == b"up\n"
    wardens = [int(n) for n, line in mine() if b"glovebox" in line and int(n) != p.pid]
    children = lambda pid: [int(x) for t in pathlib.Path(f"/proc/{pid}/task").iterdir() for x in (t / "children").read_text().split()]
    warden, = children(p.pid)
    keeper = [k for k in children(warden)]
    os.kill({"supervisor": p.pid, "warden": warden, "keeper": keeper[0]}[victim], signal.SIGKILL)
    p.wait(timeout=DEADLINE)
    end = time.monotonic() + DEADLINE
    while mine():
        assert time.monotonic() < end, mine()
    assert wardens


def test_a_daemon_of_ones_own(daemon):
    s = Session(daemon)
    assert s.protection["tier"] == "user"
    assert s.sh("echo a > f")["exit_code"] == 0 and s.changes() == {"f": "added"}
    calls = [s.start("sh", "-c", f"echo {i} > f{i}; sleep 0.1") for i in range(8)]
    assert all(s.wait(c)["exit_code"] == 0 for c in calls)
    assert len(s.changes()) == 9
    done = daemon.box.command("commit", s.id)
    assert done.returncode == 0, done.stderr
    assert (daemon.box.ws / "f7").read_text() == "7\n"


def test_the_agent_of_a_daemon_is_no_operator(daemon):
    s = Session(daemon)
    call = s.start("sleep", "100")
    with pytest.raises(Refused) as e:
        daemon.connect("agent").ask("pause", id=call["id"])
    assert e.value.code in (-32001, -32601, -32003), e.value
    assert daemon.box.reach("kill", s.id)[0] == 0


def test_the_mcp_server_and_the_shim_start_a_daemon_of_the_users(box):
    mcp = pathlib.Path(box.program[-1]).with_name("glovebox-mcp")
    p = subprocess.Popen([*DROP, str(mcp), "--workspace", str(box.ws)], env=box.env, cwd=box.ws, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "bash", "arguments": {"command": "id -u; echo x > f"}, "_meta": modern()}}
    p.stdin.write(json.dumps(call).encode() + b"\n")
    p.stdin.flush()
    answer = json.loads(p.stdout.readline())
    assert "1000" in answer["result"]["content"][0]["text"], answer
    p.communicate(timeout=DEADLINE)
    shim = pathlib.Path(box.program[-1]).with_name("glovebox-shim")
    done = subprocess.run([*DROP, str(shim), "id -u"], env={**box.env, "CLAUDE_CODE_SESSION_ID": "x"}, cwd=box.ws, capture_output=True, text=True, timeout=DEADLINE)
    assert done.stdout == "1000\n", done.stderr
    assert not any(box.ws.iterdir()) and mine() == []


def test_a_layer_above_the_system_needs_root_and_says_so(box):
    policy = box.base / "p.json"
    policy.write_text('{"extends": "default", "files": {"overlay": ["/usr"]}}')
    r = box.run("true", options=["-p", str(policy)])
    assert r.code == 125 and f"{policy}:1" in r.err and "files.overlay needs root" in r.err and box.sessions() == []


def test_doctor_tells_the_tier(box):
    done = box.command("doctor", "--json", cwd="/")
    said = json.loads(done.stdout)
    state = {c["check"]: c["state"] for c in said["checks"]}
    assert done.returncode == 0 and said["tier"] == "user", said
    assert {k for k, v in state.items() if v == "missing"} == {"watch.ebpf", "control.groups", "limits.cpu"}
    assert state["watch.denials"] == state["control.kill"] == state["limits.disk"] == state["files.hidden"] == "ok"
    assert list((box.base / "x").iterdir()) == [box.base / "x" / "glovebox"] and not any((box.base / "x" / "glovebox").iterdir())


def test_in_a_group_of_the_users_a_pause_is_a_freeze(delegated):
    box = delegated
    p = box.start("sh", "-c", "while :; do :; done")
    receipt = box.reach("pause")[1]["receipt"]
    assert receipt["frozen"] == 1 and "by" not in receipt
    assert box.reach("kill")[1]["receipt"]["populated"] == 0
    p.wait(timeout=DEADLINE)
    report = json.loads(box.report_path.read_text())
    assert report["protection"]["control"] == "cgroup" and report["protection"]["tier"] == "user"
    r = box.py("x = bytearray(300 << 20)\nimport time; time.sleep(60)", options=["--limit", "memory=64M"])
    assert r.report["outcome"] == "over_limit"    # by its controller, or by looking where there is none


def test_systemd_gives_a_group(place):
    """A real user manager, in a group and with a bus of its own; Glovebox starts in a group beside it that is not the user's."""
    for program in ("/usr/lib/systemd/systemd", "/usr/bin/busctl"):
        assert os.path.exists(program), f"{program} is missing: scripts/packages test installs it"
    nobody = pwd.getpwnam("nobody").pw_uid    # a manager wants to know its user's name
    drop = ["setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups"]
    box = Box(place, drop)
    program = install(place)
    (place / "x").mkdir(0o700)
    own(place, nobody)
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", str(pathlib.Path(__file__).parent / "user_manager.sh"), str(place), str(nobody), *drop,
                           str(program), "run", "--workspace", str(box.ws), "--report", str(place / "report"), "--", "sh", "-c", "sleep 100 & cat /proc/self/cgroup"],
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    report = json.loads((place / "report").read_text())
    assert report["protection"]["control"] == "cgroup", done.stderr
    assert report["killed_leftovers"] == 1 and "best effort" not in done.stderr


@pytest.mark.parametrize("missing,says", [("unshare", "a user namespace cannot be made"), ("write", "gives no rights"), ("clone3", "cannot start"), ("mount", "gives no rights")])
def test_where_even_that_is_refused_it_does_not_start(box, missing, says):
    fault = {"write": "inject=write:error=EPERM:when=1", "mount": "inject=mount:error=EACCES"}.get(missing, f"inject={missing}:error=EPERM")
    done = subprocess.run([*DROP, "strace", "-f", "-o", "/dev/null", "-e", fault, box.program[-1], "run", "--", "touch", "ran"], env=box.env, cwd=box.ws,
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 125 and says in done.stderr, done.stderr
    assert not any(box.ws.iterdir()) and box.sessions() == []


def test_nothing_is_left(box):
    for _ in range(20):
        assert box.run("true", options=["--discard"]).code == 0
    assert box.sessions() == [] and mine() == []
    assert not any((box.base / "x" / "glovebox").iterdir())
    assert box.groups() == []
