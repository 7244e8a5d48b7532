# SPDX-License-Identifier: Apache-2.0
"""--trace: any system call whole, in strace's words; and strace itself as the oracle."""
import collections
import json
import os
import re
import shutil
import subprocess

import pytest

from tests.agent_loop import Refused
from tests.conftest import BUILD, DEADLINE, GLOVEBOX, Session

STIMULI = BUILD / "stimuli"
# in strace's tables, in no kernel
NEVER_MADE = {"getpmsg", "putpmsg", "uselib", "_sysctl", "create_module", "get_kernel_syms", "query_module", "nfsservctl", "afs_syscall", "tuxcall", "security",
              "set_thread_area", "get_thread_area", "lookup_dcookie", "epoll_ctl_old", "epoll_wait_old", "vserver"}
CLASSES = ["%stat", "fstat", "%statfs", "pure", "file", "desc", "network", "process", "signal", "ipc", "memory", "creds", "clock"]


def traced(r):
    return [e for e in r.kinds("sys.call")]


def test_nothing_is_traced_unasked(box):
    r = box.sh("cat /etc/hostname")
    assert not {"read", "close", "newfstatat"} & {e["syscall"] for e in traced(r)}


def test_names_classes_and_without(box):
    r = box.sh("cat /etc/hostname; true < /etc/passwd", options=["--trace", "%file,!newfstatat,getpid"])
    of = collections.Counter(e["syscall"] for e in traced(r))
    assert of["openat"] == r.report["syscalls"]["counts"]["openat"] and of["access"] and of["getpid"]
    assert not of["newfstatat"] and not of["read"]
    # what it read may be answered by the name of the file, or not at all: strace has the same
    one = next(e for e in traced(r) if e.get("path") == "/etc/passwd" and e["syscall"] == "openat")
    assert one["path_src"] == "kernel" and one["ret"] >= 0 and one["args"]["flags"] == 0


def test_all_is_every_call_there_was(box):
    r = box.py("print('x')", options=["--trace", "all"])
    of = collections.Counter(e["syscall"] for e in r.events if "syscall" in e and e["kind"] != "denied")
    counts = r.report["syscalls"]["counts"]
    assert {k: of[k] for k in counts} == counts, {k: (of[k], counts[k]) for k in counts if of[k] != counts[k]}
    read = next(e for e in traced(r) if e["syscall"] == "read" and e["ret"] > 0)
    assert read["path"].startswith("/") and read["args"]["fd"] >= 3


def test_a_call_of_the_set_is_told_once_even_when_traced(box):
    r = box.sh("mkdir d; echo x > f; rm f", options=["--trace", "all"])
    for kind, path in (("file.mkdir", "d"), ("file.create", "f"), ("file.unlink", "f")):
        at = [e["kind"] for e in r.events if e.get("path") == f"{box.ws}/{path}" and e["kind"] not in ("change", "file.write") and
              e.get("syscall") not in ("newfstatat", "dup2", "close", "write", "fcntl", "faccessat", "fstat")]
        assert at.count(kind) == 1, at


@pytest.mark.parametrize("words,said", [("nosuch", '"nosuch" is no system call and no class'), ("%nosuch", '"%nosuch"'), ("open,,read", "a word is missing"), ("opnat", "did you mean openat"), ("%fil", "did you mean %file"), ("", "a word is missing"), ("--", "no system call"),
                                        ("!", "missing"), ("", "missing"), ("a" * 200, "longer than any name"), ("%file,%", '"%"'), ("open\x1b[2J", "no system call")])
def test_what_is_not_understood_is_refused_and_named(box, words, said):
    r = box.run("true", options=["--trace", words])
    assert r.code == 125 and said in r.err and "\x1b[2J" not in r.err


def test_words_that_strace_has_and_this_machine_may_not(box):
    r = box.sh("cat /etc/hostname", options=["--trace", "?nosuchcall,?brk,0"])    # read(2) is 0
    assert {e["syscall"] for e in traced(r)} & {"brk", "read", "close"} == {"brk", "read"}


def test_a_program_is_executed_in_one_line(box):
    r = box.sh("true; /bin/true", options=["-v", "--trace", "execve"])
    assert r.err.count("proc.exec") == 2 and "execve " not in r.err


def test_a_policy_may_ask_for_it(box):
    (box.base / "p.json").write_text('{"watch": {"trace": "nanosleep,clock_nanosleep"}}')
    r = box.run("sleep", "0.01", options=["--policy", box.base / "p.json", "--trace", "brk"])
    assert r.code == 0 and "brk" in {e["syscall"] for e in traced(r)}
    assert "clock_nanosleep" in {e["syscall"] for e in traced(r)} or "nanosleep" in {e["syscall"] for e in traced(r)}
    (box.base / "p.json").write_text('{"watch": {"trace": "%klock"}}')
    r = box.run("true", options=["--policy", box.base / "p.json"])
    assert r.code == 125 and '"%klock"' in r.err


def test_it_is_changed_on_a_call_that_runs(box):
    p = box.start("sh", "-c", "while [ ! -e stop ]; do /usr/bin/test -e /etc/passwd; done")
    try:
        box.wait_event("proc.exec", p)
        call = box.ps()[0]["id"]
        assert '"syscall":"rt_sigprocmask"' not in box.events_path.read_text()
        done = box.command("trace", call, "newfstatat,rt_sigprocmask")
        assert done.returncode == 0 and b"of 2 kinds of system call each is told now" in done.stdout
        box.wait_event("call.traced", p)
        seen = box.wait_event("sys.call", p)
        while '"syscall":"rt_sigprocmask"' not in box.events_path.read_text():
            assert p.poll() is None, seen
        assert b"of 0 kinds" in box.command("trace", call.split(".")[0], "none").stdout, "a session that runs one call"
        assert box.command("trace", call, "%bad").returncode == 2
        assert box.command("trace", call, "none").returncode == 0
    finally:
        box.command("kill", "s-")
        p.communicate(timeout=DEADLINE)


def test_an_agent_asks_for_its_own_call_and_cannot_change_it(daemon):
    s = Session(daemon, role="agent")
    s.c.ask("events.subscribe", session=s.id)
    s.run("true", trace="brk")
    s.until("call.report", 1)
    assert "brk" in {e.get("syscall") for e in s.events}
    with pytest.raises(Refused, match="no system call"):
        s.start("true", trace="brk,zzz")
    call = s.start("sleep", 100)
    with pytest.raises(Refused):
        s.c.ask("call.trace", id=call["id"], trace="none")
    s.c.ask("call.cancel", id=call["id"])


@pytest.mark.parametrize("name", CLASSES)
def test_the_classes_are_those_of_strace(box, name):
    out = box.base / "strace"
    subprocess.run(["strace", "-qq", "-e", f"trace=%{name}", "-o", out, STIMULI / "calls_each"], timeout=DEADLINE)
    theirs = {n for n in re.findall(r"^(\w+)\(.*EADDRNOTAVAIL", out.read_text(), re.M) if not n.startswith("syscall_0x")} - NEVER_MADE
    assert len(theirs) >= 3
    ws = box.ws / "calls_each"
    shutil.copy(STIMULI / "calls_each", ws)
    r = box.run("./calls_each", options=["--trace", f"%{name}"])
    ours = {e["syscall"] for e in r.events if e.get("error") == "EADDRNOTAVAIL"}
    assert theirs - ours == set()


# --- real programs, against strace --------------------------------------------------------------

FATES = "mkdir mkdirat rename renameat renameat2 unlink unlinkat rmdir link linkat symlink symlinkat chmod fchmod fchmodat openat open creat execve"
PROGRAMS = {
    "git": "git init -q . && git add src.c && git -c user.name=a -c user.email=a@b commit -q -m one && git gc -q && rm -rf .git",
    "gcc": "gcc -c src.c -o src.o && gcc src.o -o prog && ./prog",
    "tar": "mkdir t && cp src.c t/a && ln -s a t/b && ln t/a t/c && tar cf t.tar t && rm -r t && tar xf t.tar --no-same-owner --no-same-permissions",
    "python": "/usr/bin/python3 -c \"import os, shutil, tempfile; os.makedirs('p/q'); shutil.copytree('p', 'r'); os.replace('p/q', 'p/z'); shutil.rmtree('r')\"",
    "npm": "npm init -y >/dev/null 2>&1",
}
RANDOM = [(r"/tmp_obj_\w{6}", "/tmp_obj_X"), (r"/cc\w{6}(?=\.|$)", "/ccX"), (r"/tmp_pack_\w{6}", "/tmp_pack_X"), (r"/tmp_idx_\w{6}", "/tmp_idx_X"), (r"/(refs|packs)_\w{6}", r"/\1_X"),
          (r"pack/tmp_\w+", "pack/tmp_X"), (r"\.tmp-\d+", ".tmp-X"), (r"/t\w{6}$", "/tX"), (r"_logs/[^/]*", "_logs/X"), (r"[0-9a-f]{40}", "H"), (r"[0-9a-f]{38}", "H"), (r"objects/[0-9a-f]{2}\b", "objects/NN"),
          (r"(pack|idx|rev|multi-pack-index)-[0-9a-f]{40}", r"\1-H"), (r"\.\d{6,}$|\.json\.\d+$", ".N")]


def normal(path):
    path = os.path.normpath(path)
    for pattern, to in RANDOM:
        path = re.sub(pattern, to, path)
    return path


def by_strace(text, start):
    """(what, path, outcome) of each call, with a working directory for each process."""
    cwd, got, pending = collections.defaultdict(lambda: start), collections.Counter(), {}
    for line in text.splitlines():
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            pending[pid] = rest[:-len("<unfinished ...>")]
            continue
        m = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if m:
            rest = pending.pop(pid, "") + m[1]
        m = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)(?:<([^>]*)>)?(?: (E\w+))?", rest)
        if not m:
            continue
        name, args, ret, fdpath, error = m.groups()
        if name in ("clone", "vfork", "fork", "clone3") and int(ret) > 0:
            cwd[ret] = cwd[pid]
        paths = re.findall(r'"((?:[^"\\]|\\.)*)"', args)
        if name == "chdir" and ret == "0":
            cwd[pid] = os.path.normpath(os.path.join(cwd[pid], paths[0]))
        if name not in FATES.split():
            continue
        if name in ("open", "openat", "creat"):
            if name != "creat" and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", args):
                continue
            what = "open"
        else:
            what = {"rmdir": "unlink"}.get(name, name.removeprefix("f") if name.startswith("fchmod") else name)
            what = re.sub(r"at2?$", "", what)
        base = cwd[pid]
        dirs = re.findall(r"(?:AT_FDCWD|\d+)<([^>]*)>", args)
        if what == "symlink":
            path = os.path.join(dirs[0] if dirs else base, paths[1])
        elif name == "fchmod":
            path = dirs[0] if dirs else "?"
        else:
            path = os.path.join(dirs[0] if dirs else base, paths[0]) if paths else "?"
        if what == "open" and fdpath:
            path = fdpath
        got[what, normal(path), error or "ok"] += 1
    return got


def by_us(events):
    got = collections.Counter()
    for e in events:
        kind = e["kind"].split(".")
        if e["kind"] == "proc.exec":
            got["execve", "", "ok"] += 1
        elif e["kind"] == "sys.call" and e["syscall"] == "execve":
            got["execve", normal(e["path"]), e["error"]] += 1
        elif kind[0] == "file" and kind[1] in ("mkdir", "rename", "unlink", "link", "symlink", "chmod", "open", "create"):
            got["open" if kind[1] == "create" else kind[1], normal(e["path"]), e.get("error", "ok")] += 1
    return got


@pytest.mark.parametrize("name", PROGRAMS)
def test_real_programs_do_what_strace_says(box, name):
    """The same calls, the same results, the same paths. Explained differences:
    - paths with random parts are made equal; execve is counted, its path is the file here and the word there
    - /dev/null, /dev/tty: what is opened outside of the workspace may be another thing inside"""
    if name == "npm" and not shutil.which("npm"):
        pytest.fail("npm is not installed: scripts/packages mcp")
    source = '#include <stdio.h>\nint main(void) { return puts("x") < 0; }\n'
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/agent", "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"}
    (box.ws / "src.c").write_text(source)
    r = box.sh(PROGRAMS[name], options=["--trace", "none", "--discard", *[f"--env={k}={v}" for k, v in env.items() if k not in ("HOME",)]])
    assert r.code == 0, r.err
    home = box.base / "home"
    home.mkdir()
    out = box.base / "strace"
    subprocess.run(["strace", "-f", "-y", "-s", "4096", "-qq", "-e", f"trace={','.join(FATES.split())},chdir,clone,clone3,vfork,fork", "-o", out, "sh", "-c", PROGRAMS[name]],
                   cwd=box.ws, env=dict(env, HOME=str(home)), check=True, timeout=DEADLINE, stdout=subprocess.DEVNULL)
    theirs, ours = by_strace(out.read_text(), str(box.ws)), by_us(r.events)

    def inside(got, home_is):
        kept = collections.Counter()
        for (what, path, outcome), n in got.items():
            path = path.replace(home_is, "/HOME")
            if what == "execve" and outcome == "ok":
                kept["execve", "", "ok"] += n
            elif path.startswith((str(box.ws), "/HOME", "/tmp")) or what == "execve":
                kept[what, path, outcome] += n
        return kept
    theirs, ours = inside(theirs, str(home)), inside(ours, "/home/agent")
    # one execve more of ours or of theirs: sh itself is traced from its own on in both
    assert {k: (theirs[k], ours[k]) for k in {*theirs, *ours} if theirs[k] != ours[k]} == {}
    assert len(theirs) >= 3
