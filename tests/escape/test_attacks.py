# SPDX-License-Identifier: Apache-2.0
"""Attacks of ../shared/ESCAPES.md, one test each; the id stands in the test's docstring.

An attacker is a script that runs inside and prints what it got, as JSON.
"""
import hashlib
import json
import os
import pathlib
import socket
import shutil
import subprocess
import tempfile
import threading
import time

from tests.conftest import BUILD, DEADLINE, GLOVEBOX, end, wait_gone

PRELUDE = """
import ctypes, errno, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(nr, *args):
    ctypes.set_errno(0)
    r = libc.syscall(nr, *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return 0 if r >= 0 else ctypes.get_errno()
def opens(path, flags=os.O_RDONLY):
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as e:
        return errno.errorcode[e.errno]
    os.close(fd)
    return 'OPENED'
"""


def attack(box, script, options=(), code=0):
    r = box.py(PRELUDE + script, options=options)
    assert r.code == code, r.err
    return json.loads(r.out), r


def test_host_secrets_do_not_exist_inside(box):
    """A1"""
    got, r = attack(box, """
paths = ['/etc/shadow', '/root/.ssh', '/root/.bashrc', '/var/lib', '/home/user', '/boot', '/lost+found']
print(json.dumps({p: opens(p) for p in paths} | {'home': os.listdir('/home'), 'root': os.listdir('/root')}))
""")
    assert got.pop("home") == ["agent"] and got.pop("root") == []
    assert set(got.values()) == {"ENOENT"}
    assert any(d["subject"] == "/etc/shadow" for d in r.denied("openat"))


def test_an_alias_of_a_path_leads_nowhere_else(box):
    """A4"""
    got, _ = attack(box, """
print(json.dumps([opens(p) for p in ('/proc/self/root/etc/shadow', '/proc/1/root/etc/shadow',
    '/proc/self/cwd/../../../../../../etc/shadow', '/proc/thread-self/root/root/.ssh',
    '../../../../../../../../etc/shadow')]))
""")
    assert "OPENED" not in got


def test_every_mount_of_the_system_is_read_only_nosuid_nodev(box):
    """A6"""
    got, _ = attack(box, """
mounts = [l.split() for l in open('/proc/self/mountinfo')]
out = [(m[4], m[5].split(',')) for m in mounts]
print(json.dumps({'mounts': out, 'write': [opens(p, os.O_WRONLY | os.O_CREAT) for p in
    ('/usr/x', '/usr/local/x', '/usr/lib/x', '/etc/x', '/x', '/opt/x', '/dev/x', '/proc/x')]}))
""")
    assert "OPENED" not in got["write"]
    writable = {"/tmp", "/run", "/home/agent", "/dev/shm", "/dev/pts", str(box.ws)}
    for where, flags in got["mounts"]:
        if where not in writable and not where.startswith("/proc/"):
            assert "ro" in flags, (where, flags)
        assert "nosuid" in flags, (where, flags)
        if not where.startswith(("/dev", "/proc/")):
            assert "nodev" in flags, (where, flags)


def test_a_hook_that_was_not_there_before_needs_an_explicit_word(box):
    """A11"""
    box.sh("mkdir -p .git/hooks .claude; echo evil > .git/hooks/pre-commit; echo {} > .claude/settings.json; "
           "echo evil > .bashrc; echo fine > code.c")
    session = box.sessions()[0]
    done = box.command("commit", session)
    assert done.returncode == 4 and b".git/hooks/pre-commit" in done.stderr
    assert list(box.ws.iterdir()) == []
    assert box.command("commit", "--protected", session).returncode == 0
    assert (box.ws / ".bashrc").exists()


def test_kernel_knobs_cannot_be_written(box):
    """B1 B2 B3 B10 B15"""
    before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    got, _ = attack(box, """
print(json.dumps([opens(p, os.O_WRONLY) for p in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger',
    '/proc/sys/kernel/modprobe', '/sys/kernel/uevent_helper', '/proc/self/oom_score_adj',
    '/proc/self/uid_map', '/proc/sys/fs/binfmt_misc/register', '/proc/sys/net/ipv4/ip_forward')]))
""")
    assert [g for g in got if g == "OPENED"] == ["OPENED"] * (got[1] == "OPENED")
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_sensitive_proc_files_are_empty_or_closed(box):
    """B6 B8"""
    got, _ = attack(box, """
def read(p):
    try: return len(open(p, 'rb').read(100))
    except OSError as e: return errno.errorcode[e.errno]
print(json.dumps({p: read(p) for p in ('/proc/kcore', '/proc/kallsyms', '/proc/keys', '/proc/timer_list',
    '/proc/kmsg', '/proc/1/environ', '/proc/1/maps', '/proc/1/mem', '/proc/sysrq-trigger')}))
""")
    assert all(v == 0 or isinstance(v, str) for v in got.values()), got


def test_the_cgroup_release_agent_cannot_be_reached(box):
    """B5"""
    got, _ = attack(box, """
os.makedirs('/tmp/cg')
out = [libc.mount(b'cgroup', b'/tmp/cg', t, 0, o) for t, o in ((b'cgroup', b'memory'), (b'cgroup2', None))]
out.append(libc.unshare(0x10000000 | 0x02000000))
print(json.dumps({'r': out, 'cg': os.path.exists('/sys/fs/cgroup')}))
""")
    assert got == {"r": [-1, -1, -1], "cg": False}


def test_the_supervisors_binary_cannot_be_overwritten(box):
    """B9"""
    before = hashlib.sha256(GLOVEBOX.read_bytes()).hexdigest()
    got, _ = attack(box, """
print(json.dumps([opens('/proc/1/exe'), opens('/proc/1/exe', os.O_WRONLY), os.path.exists('/proc/1'),
    sorted(int(p) for p in os.listdir('/proc') if p.isdigit())]))
""")
    assert "OPENED" not in got[:2] and got[2] is False and 1 not in got[3]
    assert hashlib.sha256(GLOVEBOX.read_bytes()).hexdigest() == before


def test_device_nodes_cannot_be_made_and_only_harmless_ones_exist(box):
    """C1 C3 C7"""
    got, _ = attack(box, """
import stat
out = []
for d in ('.', '/tmp'):
    for kind, dev in ((stat.S_IFBLK, os.makedev(8, 0)), (stat.S_IFCHR, os.makedev(1, 1)), (stat.S_IFCHR, 0)):
        try: os.mknod(d + '/node', kind | 0o600, dev); out.append('MADE')
        except OSError as e: out.append(errno.errorcode[e.errno])
print(json.dumps([out, sorted(os.listdir('/dev')), os.listdir('/dev/pts')]))
""")
    assert set(got[0]) == {"EPERM"}
    assert got[1] == sorted(["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
                             "stdout", "tty", "urandom", "zero"])
    assert got[2] == ["ptmx"]


def test_init_cannot_be_traced_or_robbed_of_its_fds(box):
    """D1 D3 D10 D12 D14"""
    got, r = attack(box, """
EPERM = errno.EPERM
out = {'ptrace': call(101, 16, os.getppid(), 0, 0), 'seize': call(101, 0x4206, 1, 0, 0),
       'vm_read': call(310, 1, 0, 0, 0, 0, 0), 'pidfd_getfd': call(438, 0, 0, 0),
       'perf': call(298, 0, 0, -1, -1, 0), 'bpf': call(321, 0, 0, 0), 'io_uring': call(425, 1, 0),
       'keyctl': call(250, 0, -3, 0), 'add_key': call(248, 0, 0, 0, 0, 0), 'kill1': call(62, 1, 9)}
print(json.dumps(out))
""")
    kill = got.pop("kill1")
    assert kill in (1, 3, 0)  # whatever it says, init lives: the call ended by itself
    assert set(got.values()) == {1}
    assert r.report["outcome"] == "exited"
    for name in ("ptrace", "pidfd_getfd", "perf_event_open", "bpf", "io_uring_setup", "keyctl"):
        assert r.denied(name) and r.denied(name)[0]["suggest"], name


def test_new_user_namespaces_are_refused_by_every_door(box):
    """E1 E2"""
    got, _ = attack(box, """
args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
print(json.dumps([call(272, 0x10000000), call(56, 0x10000011, 0, 0, 0, 0), call(435, args, 88),
    [l for l in open('/proc/self/status') if l.startswith('CapEff')][0].split()[1]]))
""")
    assert got == [1, 1, 38, "0000000000000000"]


def test_no_capability_is_left_in_any_set(box):
    """E6"""
    r = box.sh("grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups|Uid)' /proc/self/status; cat /proc/self/uid_map")
    lines = dict(x.split(":\t", 1) for x in r.out.decode().splitlines() if ":\t" in x)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(lines[name], 16) == 0
    assert lines["NoNewPrivs"] == "1" and lines["Seccomp"] == "2" and lines["Groups"].strip() == ""
    inside, outside, count = r.out.decode().splitlines()[-1].split()
    assert inside == "0" and int(outside) >= 0x70010000 and count == "65536"


def test_the_mount_calls_old_and_new_are_refused(box):
    """E7 A3"""
    got, _ = attack(box, """
print(json.dumps([call(n, 0, 0, 0, 0, 0) for n in (165, 166, 155, 161, 428, 429, 430, 431, 432, 433, 442)]))
""")
    assert set(got) == {1}


def test_mounts_do_not_pass_in_either_direction(box):
    """E10"""
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    p = box.start("sh", "-c", "while ! test -e /tmp/stop; do sleep 0.05; done")
    assert pathlib.Path("/proc/self/mountinfo").read_text() == before
    shared = box.base / "shared"
    shared.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", shared], check=True)
    try:
        init = box.wait_event("call.started")["host_pid"]
        inside = pathlib.Path(f"/proc/{init}/mountinfo").read_text()
        assert str(shared) not in inside and "/sys/fs/cgroup" not in inside
        assert all("shared:" not in line for line in inside.splitlines())
    finally:
        subprocess.run(["umount", shared], check=True)
        end(p)


def test_the_terminal_cannot_be_typed_into(box):
    """G1"""
    got, r = attack(box, """
import fcntl, pty, termios
m, s = pty.openpty()
def tiocsti(cmd):
    b = ctypes.c_char(b'x')
    return call(16, s, cmd, ctypes.byref(b))
print(json.dumps([tiocsti(0x5412), tiocsti(0x541c), tiocsti(0x100005412), os.isatty(0)]))
""")
    assert got == [1, 1, 1, False]
    assert r.denied("ioctl")


def test_escape_sequences_do_not_reach_the_operators_terminal(box):
    """G5"""
    r = box.py("""
import os
name = '\\x1b]52;c;eA==\\x07\\x1b[2Jx'
open(name, 'w').close()
try: open('/etc/shadow')
except OSError: pass
os.execv('/bin/true', ['true', '\\x1b[31mred', name])
""", options=["-v"])
    assert "\x1b" not in r.err and "\\x1b]52" in r.err
    session = box.sessions()[0]
    assert b"\x1b" not in box.command("changes", session).stdout


def test_a_daemon_does_not_outlive_its_call(box):
    """G8 G10"""
    r = box.py("""
import os, signal, time
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if os.fork() == 0:
            while True: time.sleep(100)
        os._exit(0)
for _ in range(5): os.wait()
""")
    assert r.code == 0
    assert r.report["killed_leftovers"] == 5
    assert box.groups() == []


def test_the_32_bit_and_x32_doors_are_closed(box):
    """H1"""
    r = box.run(BUILD_IN(box, "foreign_calls"), "i386")
    assert r.report["signal"] == "SIGSYS" and r.denied("foreign")
    r = box.run(BUILD_IN(box, "foreign_calls"), "x32")
    assert r.report["signal"] == "SIGSYS"


def BUILD_IN(box, name):
    target = box.ws / name
    target.write_bytes((BUILD / "stimuli" / name).read_bytes())
    target.chmod(0o755)
    return "./" + name


def test_only_the_three_standard_fds_are_open(box):
    """I1 I2 I4 I6"""
    read, write = os.pipe()
    os.set_inheritable(write, True)
    script = "ls /proc/self/fd | tr '\\n' ' '; readlink /proc/self/cwd; readlink /proc/self/fd/1"
    done = subprocess.run([GLOVEBOX, "run", "-q", "--workspace", box.ws, "--", "sh", "-c", script],
                          env=box.env, capture_output=True, timeout=DEADLINE, pass_fds=[write])
    fds, out = done.stdout.decode().splitlines()
    assert fds == f"0 1 2 3 {box.ws}"  # 3 is ls's own
    assert out.startswith("pipe:")
    os.close(read)
    os.close(write)


def test_a_call_is_in_its_group_from_its_first_instruction(box):
    """J3"""
    got, r = attack(box, """
print(json.dumps(open('/proc/self/cgroup').read().splitlines()))
""")
    assert "0::/" in got
    assert r.events[[e["kind"] for e in r.events].index("proc.exec")]["ppid"] == 1


def test_a_fork_bomb_is_held_by_its_limit(box):
    """J6"""
    r = box.py("""
import os, time
n = 0
while True:
    try:
        if os.fork() == 0:
            while True: time.sleep(100)
        n += 1
    except OSError as e:
        print(n, e.errno); break
""", options=["--limit", "pids=50"])
    n, e = map(int, r.out.split())
    assert n < 50 and e == 11
    assert r.report["killed_leftovers"] == n
    assert [x["limit"] for x in r.kinds("limit")] == ["pids"]


def test_memory_in_a_tmpfs_counts_too(box):
    """J7"""
    r = box.sh("head -c 200M /dev/zero > /tmp/big; sleep 5", options=["--limit", "memory=48M"])
    assert r.report["outcome"] == "over_limit" and "memory" in r.report["reason"]


def test_a_fork_bomb_dies_by_one_kill(box):
    """K1 K2"""
    p = box.start("/usr/bin/python3", "-c", """
import os, signal
while True:
    try: os.fork()
    except OSError: os.kill(os.getpid(), signal.SIGSTOP)
""", options=["--limit", "pids=300", "--limit", "memory=3G"])
    box.wait_event("proc.exec")
    code, answer = box.reach("kill")
    assert code == 0 and answer["receipt"]["populated"] == 0
    p.communicate(timeout=DEADLINE)
    assert p.returncode == 137 and box.groups() == []


def test_a_frozen_call_is_killed_without_a_thaw(box):
    """K7"""
    p = box.start("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    assert box.reach("pause")[0] == 0
    code, answer = box.reach("kill")
    assert code == 0 and answer["receipt"]["populated"] == 0
    end(p)


def test_the_call_dies_with_its_supervisor(box):
    """K13"""
    p = box.start("sh", "-c", "setsid sleep 1000 & sleep 1000")
    init = box.wait_event("call.started")["host_pid"]
    warden = [int(x) for x in open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()][0]
    end(p)
    wait_gone(init)
    wait_gone(warden)
    assert box.groups() == [] and not list(box.run_dir.iterdir())


def test_the_call_dies_with_its_warden(box):
    """K13, the other half"""
    p = box.start("sleep", "1000")
    init = box.wait_event("call.started")["host_pid"]
    warden = [int(x) for x in open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()][0]
    os.kill(warden, 9)
    p.communicate(timeout=DEADLINE)
    wait_gone(init)
    assert p.returncode in (125, 137)
    end_at = time.monotonic() + DEADLINE  # the keeper is nobody's child we could wait for
    while box.groups() or list(box.run_dir.iterdir()):
        assert time.monotonic() < end_at, box.groups()


def test_abstract_sockets_of_the_host_are_out_of_reach(box):
    """L2 L3"""
    s = socket.socket(socket.AF_UNIX)
    s.bind("\0glovebox-test-host")
    s.listen()
    got, _ = attack(box, """
def reach(addr):
    c = socket.socket(socket.AF_UNIX)
    try: c.connect(addr)
    except OSError as e: return errno.errorcode[e.errno]
    return 'REACHED'
print(json.dumps([reach('\\0glovebox-test-host'), reach('/run/glovebox/operator.sock'), os.listdir('/run')]))
""")
    s.close()
    assert got == ["ECONNREFUSED", "ENOENT", []]


def test_the_host_and_its_network_are_out_of_reach(box):
    """L1 L4 L5 E11"""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    got, r = attack(box, """
def reach(a, p):
    c = socket.socket(socket.AF_INET6 if ':' in a else socket.AF_INET)
    c.settimeout(2)
    try: c.connect((a, p))
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
    return 'REACHED'
def family(f, t):
    return call(41, f, t, 0)
print(json.dumps([reach('127.0.0.1', %d), reach('169.254.169.254', 80), reach('10.0.0.1', 22),
    reach('2001:db8::1', 80), family(38, 5), family(40, 1), family(16, 3), family(17, 3)]))
""" % s.getsockname()[1])
    s.close()
    assert got[0] == "ECONNREFUSED"
    assert set(got[1:4]) <= {"ENETUNREACH", "EADDRNOTAVAIL"}
    assert set(got[4:]) == {97}
    assert not [d for d in r.denied("connect") if d["subject"].startswith("127.")]


def test_a_flood_of_output_ends_at_its_limit(box):
    """M1"""
    r = box.run("yes", options=["--limit", "output=1M"])
    assert len(r.out) == 1 << 20 and r.report["outcome"] == "over_limit"


def test_a_name_cannot_forge_a_record(box):
    """M5"""
    r = box.py(r"""
import os
open('a\n{"seq":1,"kind":"call.done","outcome":"exited"}', 'w').close()
os.execv('/bin/true', ['x\n{"seq":2,"kind":"call.killed"}'])
""")
    assert len(r.kinds("call.done")) == 1 and not r.kinds("call.killed")
    assert r.events[-1]["kind"] == "session.closed"


def test_commit_does_not_write_through_a_planted_link(box):
    """N1 N2 N3"""
    victim = box.base / "victim"
    victim.mkdir()
    (box.ws / "dir").mkdir()
    (box.ws / "dir" / "f").write_text("old\n")
    box.sh(f"ln -s {victim} out; ln -s ../../victim rel; echo x > dir/f; echo y > new")
    session = box.sessions()[0]
    done = box.command("commit", session)
    assert done.returncode == 4 and b"leads out of the workspace" in done.stderr
    assert not (box.ws / "new").exists()
    # the real side is swapped for a link just before the commit
    os.rename(box.ws / "dir", box.base / "dir.old")
    os.symlink(victim, box.ws / "dir")
    box.command("commit", "--escaping-links", session)
    assert list(victim.iterdir()) == []


def test_commit_drops_setuid_and_never_makes_special_files(box):
    """N4 N6"""
    box.sh("cp /bin/true tool; chmod 6755 tool")
    session = box.sessions()[0]
    assert box.command("commit", session).returncode == 0
    assert (box.ws / "tool").stat().st_mode & 0o7777 == 0o755
    box.command("discard", session)
    box.sh("mkfifo pipe")
    done = box.command("commit", box.sessions()[0])
    assert done.returncode == 4 and b"pipe" in done.stderr
    assert not (box.ws / "pipe").exists()


def test_xattrs_that_look_like_the_overlays_own_are_only_names(box):
    """N8"""
    (box.ws / "d").mkdir()
    (box.ws / "d" / "keep").write_text("x")
    box.py("""
import os
os.makedirs('e')
for name in ('user.overlay.opaque', 'user.overlay.whiteout', 'user.overlay.redirect', 'trusted.overlay.opaque'):
    for path in ('d', 'e'):
        try: os.setxattr(path, name, b'y')
        except OSError: pass
open('d/new', 'w').write('n')
""")
    done = box.command("changes", "--json", box.sessions()[0])
    got = {c["path"]: c["change"] for c in json.loads(done.stdout)["changes"]}
    assert "./d/keep" not in got and got["./d/new"] == "added"


def test_an_address_of_an_earlier_call_is_not_given_to_a_later_one(box):
    """M11: fast open passes the address hook without a connect."""
    r = box.py("""
import socket
s = socket.socket()
try: s.sendto(b'x', 0x20000000, ('203.0.113.9', 80))
except OSError: pass
u = socket.socket(socket.AF_UNIX)
try: u.connect('/run/nosuch')
except OSError: pass
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: d.sendto(b'x', ('198.51.100.7', 53))
except OSError: pass
""")
    connects = [e for e in r.kinds("net.connect") if e.get("path") == "/run/nosuch"]
    assert len(connects) == 1 and connects[0]["family"] == "unix"
    assert not [e for e in r.kinds("net.connect") if e.get("addr") == "203.0.113.9"]
    assert {d["subject"] for d in r.denied("sendto")} == {"203.0.113.9:80", "198.51.100.7:53"}


def test_a_filter_of_the_tools_own_marks_its_events(box):
    """M11: a call that its filter answered never ran."""
    r = box.run(BUILD_IN(box, "forges_calls"))
    assert r.code == 0
    forged = [e for e in r.events if e["kind"] in ("net.connect", "file.unlink", "proc.signal")]
    assert forged and all(e["own_filter"] for e in forged)
    assert not [e for e in forged if e.get("verdict") == "allowed"]


def test_a_sigsys_of_the_tools_own_is_not_claimed(box):
    r = box.sh("kill -SYS $$")
    assert r.report["signal"] == "SIGSYS" and r.report["denials"] == []


def test_an_init_killed_from_outside_is_told_as_a_kill(box):
    p = box.start("sh", "-c", "echo > ready; exec sleep 1000")
    init = box.wait_event("call.started")["host_pid"]
    box.wait_file_created("ready", p)
    os.kill(init, 9)
    p.communicate(timeout=DEADLINE)
    assert p.returncode == 137
    assert json.loads(box.report_path.read_text())["outcome"] == "killed"


def test_output_that_cannot_be_written_is_told(box):
    words = box.words(["echo", "full"], [])
    with open("/dev/full", "wb") as full:
        done = subprocess.run([GLOVEBOX, *words], env=box.env, stdout=full, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=DEADLINE)
    assert b"could not be written: No space left" in done.stderr
    assert json.loads(box.report_path.read_text())["usage"]["output_lost_bytes"] == 5


def test_idle_operators_do_not_lock_anybody_out(box):
    p = box.start("sleep", "1000")
    path = str(next(pathlib.Path(box.run_dir).iterdir()) / "operator.sock")
    crowd = []
    for _ in range(70):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        crowd.append(s)
    assert box.reach("kill")[0] == 0
    p.communicate(timeout=DEADLINE)


def test_a_workspace_below_a_link_of_the_root_makes_nothing_outside(box):
    """F3 F5: /var/tmp is a link to /tmp inside; on the machine it is not."""
    base = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        (base / "f").write_text("real")
        before = set(os.listdir("/tmp"))
        done = subprocess.run([GLOVEBOX, "run", "-w", base, "--", "sh", "-c", "pwd; cat f; echo x > made; ls /var/tmp /tmp"], env=box.env, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0 and "real" in done.stdout, done.stderr
        assert not (base / "made").exists() and base.name not in set(os.listdir("/tmp")) - before
    finally:
        shutil.rmtree(base)


def test_links_in_the_workspace_are_not_followed_by_the_privileged_side(box):
    """F2 F3 F5: no directory, file or node appears where a planted link leads."""
    outside = box.base / "outside"
    outside.mkdir()
    for name in ("dev", "proc", "etc", ".env", "sub"):
        (box.ws / name).symlink_to(outside)
    policy = box.base / "p.json"
    policy.write_text(json.dumps({"files": {"hide": [".env", "sub/key", "dev/null"]}}))
    done = subprocess.run([GLOVEBOX, "run", "-p", policy, "--", "sh", "-c", "ls -A; touch sub/x dev/y"], cwd=box.ws, env=box.env, capture_output=True, text=True, timeout=DEADLINE)
    assert done.stdout.split() == ["dev", "etc", "proc", "sub"] and list(outside.iterdir()) == []


def test_directories_that_change_places_during_the_start_lead_nowhere(box):
    """F1: a directory of the workspace is a link every other moment while sessions mask a name in it."""
    outside = box.base / "outside"
    outside.mkdir()
    (outside / "key").write_text("outside")
    (box.ws / "a").mkdir()
    (box.ws / "a" / "key").write_text("SECRET")
    (box.ws / "b").symlink_to(outside)
    policy = box.base / "p.json"
    policy.write_text(json.dumps({"files": {"hide": ["a/key"]}}))
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            os.rename(box.ws / "a", box.ws / "c")
            os.rename(box.ws / "b", box.ws / "a")
            os.rename(box.ws / "a", box.ws / "b")
            os.rename(box.ws / "c", box.ws / "a")
    t = threading.Thread(target=flip)
    t.start()
    try:
        for _ in range(int(os.environ.get("GLOVEBOX_RACES", "20"))):
            done = subprocess.run([GLOVEBOX, "run", "--discard", "-p", policy, "--", "true"], cwd=box.ws, env=box.env, capture_output=True, text=True, timeout=DEADLINE)
            assert done.returncode == 0, done.stderr
    finally:
        stop.set()
        t.join()
    assert sorted(p.name for p in outside.iterdir()) == ["key"] and (outside / "key").read_text() == "outside"
    assert (box.ws / "a" / "key").read_text() == "SECRET"


def test_glovebox_itself_is_covered_wherever_it_would_show(box):
    """M13 L3: a policy that shows a parent of our own directories shows them empty."""
    policy = box.base / "p.json"
    policy.write_text(json.dumps({"files": {"read": [str(box.base)]}}))
    ws = box.base.parent / (box.base.name + "-ws")
    ws.mkdir()
    done = subprocess.run([GLOVEBOX, "run", "-p", policy, "--discard", "--", "sh", "-c", f"ls {box.env['GLOVEBOX_STATE']}; find {box.base} -type s"], cwd=ws, env=box.env,
                          capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode != 125, done.stderr
    assert done.stdout == "" and "Permission denied" in done.stderr


def test_a_denied_program_is_denied_by_whatever_name(box):
    """A5: through the loader, a copy, a link, an fd. Another copy of the program is another program: exec.deny claims the path's file, not its content."""
    (box.base / "p.json").write_text('{"extends": "default", "exec": {"deny": ["/usr/bin/cut"]}}')
    got, r = attack(box, """
import subprocess
def runs(*argv):
    try: return subprocess.run(argv, capture_output=True, text=True).stdout
    except OSError as e: return errno.errorcode[e.errno]
os.symlink('/usr/bin/cut', 'link')
out = {'itself': runs('/usr/bin/cut', '--version'), 'loader': runs('/lib64/ld-linux-x86-64.so.2', '/usr/bin/cut', '--version'), 'link': runs('./link', '--version'),
       'dots': runs('/usr/bin/../bin/cut', '--version'), 'proc': runs('/proc/self/root/usr/bin/cut', '--version'), 'read': opens('/usr/bin/cut')}
fd = os.open('/usr/bin/cut', os.O_PATH)
out['fd'] = runs(f'/proc/self/fd/{fd}', '--version')
try: os.link('/usr/bin/cut', 'hard'); out['hard'] = 'LINKED'
except OSError as e: out['hard'] = errno.errorcode[e.errno]
print(json.dumps(out))
""", options=["-p", str(box.base / "p.json")])
    assert all("cut" not in v and v not in ("OPENED", "LINKED") for v in got.values()), got
    assert any(d["rule"] == "exec.deny" for d in r.report["denials"])


def test_nothing_inside_makes_a_file_system_that_answers_late(box):
    """C4, K5, K6: no FUSE, no userfaultfd; so no walk and no pause waits for the tool."""
    got, r = attack(box, """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(323, 0); faults = errno.errorcode[ctypes.get_errno()]
print(json.dumps([opens('/dev/fuse'), opens('/dev/cuse'), opens('/dev/userfaultfd'), faults]))
""")
    assert got == ["ENOENT", "ENOENT", "ENOENT", "EPERM"] and r.denied("userfaultfd")
