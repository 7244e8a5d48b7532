# SPDX-License-Identifier: Apache-2.0
"""Without root: attacks on the monitor that seccomp asks (group H), and on what has the tool's own user id."""
import json
import os
import signal
import subprocess
import time

import pytest

from tests.conftest import DEADLINE, Daemon, Session
from tests.e2e.test_user import DROP, USER, box, daemon, mine, place    # noqa: F401 (fixtures)


def test_h4_a_path_that_changes_after_the_answer_gains_nothing(box):  # noqa: F811
    """H4: the decision was made by registers; where the path leads, the mounts decide."""
    (box.base / "secret").write_text("the secret")
    r = box.py(f"""
import ctypes, os, threading
libc = ctypes.CDLL(None, use_errno=True)
open('mine', 'w').write('mine')
good, bad = b'{box.ws}/mine'.ljust(200, b'\\0'), b'{box.base}/secret'.ljust(200, b'\\0')
path = ctypes.create_string_buffer(good, 200)
stop = False
def swap():
    while not stop:
        ctypes.memmove(path, bad, 200); ctypes.memmove(path, good, 200)
t = threading.Thread(target=swap); t.start()
got = set()
for i in range(3000):
    fd = libc.open(path, 0)
    if fd >= 0:
        got.add(os.read(fd, 100)); os.close(fd)
stop = True; t.join()
print(got)
""", options=["--at", str(box.ws)])
    assert r.code == 0, r.err
    assert b"the secret" not in r.out and b"mine" in r.out


def test_h4_a_denied_call_stays_denied_whatever_the_memory_says(box):  # noqa: F811
    r = box.py("""
import ctypes, threading
libc = ctypes.CDLL(None, use_errno=True)
flags = ctypes.c_ulong(0)
stop = False
def swap():
    while not stop: flags.value ^= 0x10000000
t = threading.Thread(target=swap); t.start()
allowed = sum(libc.unshare(0x10000000) == 0 or libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0 for i in range(100))
stop = True; t.join(); print(allowed)
""")
    assert r.out.split() == [b"0"] and r.denied("unshare")[0]["count"] == 100


def test_h8_a_flood_of_questions_starves_nobody(daemon):  # noqa: F811
    """H8: two hundred threads that wait for an answer at once; another session goes on, and the supervisor stays small."""
    flood, other = Session(daemon), Session(daemon)
    flood.start("/usr/bin/python3", "-c", """
import os, threading
def work(i):
    while True:
        try: os.close(os.open(f'/tmp/{i}', os.O_RDWR | os.O_CREAT))
        except OSError: pass
        try: os.open('/nosuch' * 300, os.O_RDWR | os.O_CREAT)
        except OSError: pass
for i in range(200): threading.Thread(target=work, args=(i,)).start()
""")
    flood.c.ask("events.subscribe", session=flood.id, from_seq=1)
    flood.until("file.create")
    for i in range(10):
        assert other.sh(f"echo {i} > f{i}")["exit_code"] == 0
    status = open(f"/proc/{daemon.process.pid}/status").read()
    assert int(status.split("VmRSS:")[1].split()[0]) < 100 * 1024
    assert daemon.box.reach("kill", flood.id)[1]["receipt"]["populated"] == 0


def test_h10_a_signal_does_not_ask_twice(box):  # noqa: F811
    """H10: each directory that was made is one event, under a thousand signals a second. A question that was not
    heard yet may be broken off (EINTR, where the handler has no SA_RESTART); it is then no event."""
    r = box.py("""
import os, signal
signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
os.mkdir('d')
for i in range(3000):
    while True:
        try: os.mkdir(f'd/{i}')
        except InterruptedError: continue
        break
signal.setitimer(signal.ITIMER_REAL, 0)
""")
    assert r.code == 0, r.err
    made = [e["path"] for e in r.kinds("file.mkdir")]
    assert len(made) == len(set(made)) == 3001


def test_h11_when_the_supervisor_dies_nothing_is_answered(box):  # noqa: F811
    p = box.start("/usr/bin/python3", "-c", "import os\nprint('up', flush=True)\nwhile True: os.close(os.open('/tmp/x', os.O_RDWR | os.O_CREAT))")
    assert p.stdout.readline() == b"up\n"
    os.kill(p.pid, signal.SIGKILL)
    p.wait(timeout=DEADLINE)
    end = time.monotonic() + DEADLINE
    while mine():
        assert time.monotonic() < end, mine()


def test_who_asks_may_die_before_the_answer(box):  # noqa: F811
    """A pid that is another's by then is believed nothing, and hurts nobody."""
    r = box.py("""
import os, signal, threading
for i in range(400):
    pid = os.fork()
    if pid == 0:
        threading.Thread(target=lambda: os._exit(0)).start()
        while True: os.open('/tmp/y', os.O_RDWR | os.O_CREAT)
    os.kill(pid, signal.SIGKILL) if i % 2 else None
    os.waitpid(pid, 0)
print('done')
""", options=["--limit", "open_files=4096"])
    assert r.out == b"done\n", r.err


@pytest.mark.parametrize("name", ["/" + "a/" * 2040, "x" * 255, "a\nb\x1b[31m", "", "d/" * 50 + "../" * 50 + "f"])
def test_names_of_all_kinds_are_one_event_each(box, name):  # noqa: F811
    r = box.py(f"""
import os
for f in (lambda: os.open({name!r}, os.O_RDWR | os.O_CREAT), lambda: os.mkdir({name!r}), lambda: os.execv({name!r}, ['x'] * 600), lambda: os.rename({name!r}, {name!r})):
    try: f()
    except (OSError, ValueError): pass
os.open('last', os.O_RDWR | os.O_CREAT)
""")
    assert r.code == 0 and r.events[-1]["kind"] == "session.closed"
    assert any(e.get("path", "").endswith("/last") for e in r.kinds("file.create"))


def test_bad_memory_is_said_and_hurts_nobody(box):  # noqa: F811
    r = box.py("""
import ctypes
libc = ctypes.CDLL(None)
for p in (0, 1, 0x7fffffffe000, 0xffff800000000000, -1):
    libc.syscall(2, ctypes.c_void_p(p), 0o102, 0o600)
    libc.syscall(59, ctypes.c_void_p(p), ctypes.c_void_p(p), ctypes.c_void_p(p))
    libc.syscall(82, ctypes.c_void_p(p), ctypes.c_void_p(p))
    libc.syscall(42, 0, ctypes.c_void_p(p), 1 << 30)
    libc.syscall(322, -100, ctypes.c_void_p(p), ctypes.c_void_p(p), 0, 0x1000)
print('still here')
""")
    assert r.out == b"still here\n" and r.report["denials"] == []


@pytest.mark.parametrize("more", [[], ["--root"]])
def test_d5_init_has_the_tools_id_and_is_not_its_to_touch(box, more):  # noqa: F811
    """D5: even where the policy allows to trace."""
    policy = box.base / "p.json"
    policy.write_text(json.dumps({"extends": "default", "syscalls": {"allow": ["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"]}}))
    r = box.py("""
import ctypes, os, signal, resource
libc = ctypes.CDLL(None, use_errno=True)
got = []
buf = ctypes.create_string_buffer(64)
class Iov(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
iov = Iov(ctypes.addressof(buf), 64)
for request in (16, 0x4206):
    if libc.ptrace(request, 1, None, None) == 0: got.append(f'ptrace {request}')
for at in (0x400000, 0x555555554000):
    if libc.process_vm_readv(1, ctypes.byref(iov), 1, ctypes.byref(Iov(at, 64)), 1, 0) > 0: got.append('read')
fd = os.pidfd_open(1)
for n in range(8):
    if libc.syscall(438, fd, n, 0) >= 0: got.append(f'getfd {n}')
for s in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV):
    try: os.kill(1, s)
    except OSError: pass
for name in ('mem', 'maps', 'environ', 'fd', 'root', 'exe', 'ns/user'):
    try: os.stat(f'/proc/1/{name}'); got.append(name)
    except OSError: pass
print(got)
""", options=["-p", str(policy), *more])
    assert r.code == 0 and r.out == b"[]\n", (r.out, r.err)


def test_b9_the_program_is_not_writable_through_its_own_process(box):  # noqa: F811
    """B9, CVE-2019-5736: to the machine the call owns the supervisor's program; the mount that it runs from is read-only."""
    p = box.start("/usr/bin/sleep", "1000")
    init = json.loads([line for line in box.events_path.read_text().splitlines() if "call.started" in line][0])["host_pid"]
    for pid in (p.pid, init):
        assert os.readlink(f"/proc/{pid}/exe") == box.program[-1]
        assert os.statvfs(f"/proc/{pid}/exe").f_flag & os.ST_RDONLY
    box.reach("kill")
    p.wait(timeout=DEADLINE)
    assert os.stat(box.program[-1]).st_uid == USER and not os.statvfs(box.program[-1]).f_flag & os.ST_RDONLY


def test_b12_a_null_device_that_is_none_is_not_bound(box):  # noqa: F811
    """B12: without root the machine's devices are bound, so each is looked at first."""
    (box.base / "fake").write_text("not a device")
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", f'mount --bind {box.base}/fake /dev/zero && exec "$@"', "sh", *box.program,
                           "run", "--workspace", str(box.ws), "--", "touch", "ran"], env=box.env, cwd=box.ws, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 125 and 'stage "devices"' in done.stderr, done.stderr
    assert not any(box.ws.iterdir())


def test_the_users_own_processes_and_files_are_out_of_reach(box):  # noqa: F811
    """To the machine the call is the user himself: what holds are the namespaces."""
    victim = subprocess.Popen([*DROP, "sleep", "1000"])
    (box.base / "private").write_text("mine")
    os.chown(box.base / "private", USER, USER)
    try:
        r = box.py(f"""
import os, signal
out = []
for pid in [{victim.pid}, *range(2, 400)]:
    if pid == os.getpid(): continue
    try: os.kill(pid, signal.SIGKILL); out.append(pid)
    except OSError: pass
try: os.kill(-1, signal.SIGUSR1)
except OSError: pass
try: out.append(open('{box.base}/private').read())
except OSError: pass
print(out)
""")
        assert victim.poll() is None and b"mine" not in r.out
    finally:
        victim.kill()
        victim.wait()
