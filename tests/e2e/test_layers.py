# SPDX-License-Identifier: Apache-2.0
"""One layer for each call: exact changes, shared layers, squash, undo, rollback, and a property."""
import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

from tests.agent_loop import Refused
from tests.conftest import ROOT, Daemon, Session
from tests.e2e.test_daemon import refused

SEQUENCES = int(os.environ.get("GLOVEBOX_SEQUENCES", "150"))
PER_SESSION = 25    # sequences that share a session: its layers are squashed and committed on the way


def test_changes_of_a_call_are_exactly_its_own(daemon):
    (daemon.box.ws / "base").write_text("base\n")
    s = Session(daemon)
    s.sh("echo 1 > a; mkdir d; echo 1 > d/x")
    s.sh("echo 2 >> a; cat d/x base > /dev/null")
    s.sh("echo 2 > a.tmp; mv a.tmp d/y; rm d/x; echo more >> base")
    s.sh("rm -r d; mkdir d; echo z > d/z")
    assert s.changes(1) == {"a": "added", "d": "added", "d/x": "added"}
    assert s.changes(2) == {"a": "modified"}
    assert s.changes(3) == {"d/y": "added", "d/x": "deleted", "base": "modified"}
    assert s.changes(4) == {"d/y": "deleted", "d/z": "added"}
    assert s.changes() == {"a": "added", "d": "added", "d/z": "added", "base": "modified"}
    r = s.run("true")
    assert r["changes"] == []
    refused(-32001, s.changes, 5)


def test_overlapping_calls_share_a_layer_and_the_events_tell_who_wrote(daemon):
    s = Session(daemon)
    s.c.ask("events.subscribe", session=s.id, from_seq=1)
    first = s.start("sh", "-c", "echo 1 > one; mkfifo go; read x < go; echo late > three")
    while not any(e["kind"].startswith("file.") and e.get("path", "").endswith("/one") for e in s.events):
        s.c.read()
    r = s.sh("cat one; echo 2 > two; while [ ! -p go ]; do :; done; echo go > go")
    assert r["stdout"]["text"] == "1\n"    # it sees what the other has written
    s.wait(first)
    stack = s.c.ask("session.show", id=s.id)["stack"]
    assert stack == [{"layer": 1, "calls": [1, 2]}]
    listed = s.c.ask("changes.list", id=f"{s.id}.2")
    assert listed["calls"] == [1, 2]
    s.until("call.report", 1)
    wrote = {os.path.basename(e["path"]): e["call"] for e in s.events if e["kind"] in ("file.create", "file.write")}
    assert (wrote["one"], wrote["two"], wrote["three"]) == (1, 2, 1)
    assert "share one layer" in refused(-32006, s.c.ask, "undo", id=f"{s.id}.2")
    assert "share one layer" in refused(-32006, s.c.ask, "rollback", id=f"{s.id}.1")
    s.sh("echo 4 > four")
    assert s.c.ask("session.show", id=s.id)["stack"][1]["calls"] == [3]


def test_a_third_call_joins_when_the_first_of_the_layer_has_gone(daemon):
    s = Session(daemon)
    s.c.ask("events.subscribe", session=s.id, from_seq=1)
    a = s.start("sh", "-c", "mkfifo f1; echo a > a; read x < f1")
    s.until("call.started", 1)
    b = s.start("sh", "-c", "mkfifo f2; echo b > b; read x < f2")
    s.until("call.started", 2)
    s.sh("while [ ! -p f1 ] || [ ! -p f2 ]; do :; done; echo go > f1")
    s.wait(a)
    r = s.sh("cat a b; ps ax | wc -l; ls /proc | grep -c '^[0-9]'; echo go > f2")
    assert r["stdout"]["text"].startswith("a\nb\n"), r
    s.wait(b)
    assert len(s.c.ask("session.show", id=s.id)["stack"]) == 1


def test_long_stacks_are_squashed_and_nothing_a_call_sees_changes(daemon):
    s = Session(daemon)
    (daemon.box.ws / "old").mkdir()
    (daemon.box.ws / "old" / "x").write_text("x")
    for i in range(45):
        r = s.sh(f"""set -e; [ "$(ls n 2>/dev/null | wc -l)" = {i} ]; mkdir -p n; echo {i} > n/{i}; echo {i} >> log
            if [ {i} = 3 ]; then rm -r old; fi; if [ {i} = 5 ]; then mkdir old; echo y > old/y; fi
            if [ {i} = 20 ]; then rm log; fi; if [ {i} -gt 5 ]; then [ ! -e old/x ]; fi""")
        assert r["exit_code"] == 0, (i, r)
    stack = s.c.ask("session.show", id=s.id)["stack"]
    assert len(stack) <= 20 and sorted(c for x in stack for c in x["calls"]) == list(range(1, 46))
    assert {f"n/{i}" for i in range(45)} | {"n", "log", "old/x", "old/y"} == set(s.changes())
    assert s.c.ask("commit", id=s.id)["committed"]
    assert (daemon.box.ws / "log").read_text().split() == [str(i) for i in range(21, 45)]
    assert os.listdir(daemon.box.ws / "old") == ["y"] and len(os.listdir(daemon.box.ws / "n")) == 45


def test_undo_takes_one_call_out_of_the_middle_unless_somebody_depends_on_it(daemon):
    s = Session(daemon)
    s.sh("echo 1 > a; mkdir d")
    s.sh("echo 2 > b")
    s.sh("echo 3 > d/c; echo 4 > a")
    why = refused(-32006, s.c.ask, "undo", id=f"{s.id}.1")
    assert "call 3" in why
    s.c.ask("undo", id=f"{s.id}.2")
    assert s.changes() == {"a": "added", "d": "added", "d/c": "added"}
    assert s.sh("ls")["stdout"]["text"] == "a\nd\n"
    refused(-32001, s.c.ask, "undo", id=f"{s.id}.2")
    s.c.ask("undo", id=f"{s.id}.3")
    s.c.ask("undo", id=f"{s.id}.1")
    assert s.changes() == {}


def test_rollback_returns_to_the_state_after_a_call(daemon):
    s = Session(daemon)
    for i in range(1, 6):
        s.sh(f"echo {i} > f")
    running = s.start("sleep", "1000")
    refused(-32002, s.c.ask, "rollback", id=f"{s.id}.2")
    s.c.ask("call.kill", id=running["id"])
    s.wait(running)
    done = daemon.box.command("rollback", f"{s.id}.2")
    assert done.returncode == 0, done.stderr
    assert s.sh("cat f")["stdout"]["text"] == "2\n"
    s.c.ask("commit", id=s.id)
    s.sh("echo 9 > g")
    assert "committed" in refused(-32006, s.c.ask, "rollback", id=f"{s.id}.1")
    s.c.ask("discard", id=s.id)
    assert s.changes() == {} and (daemon.box.ws / "f").read_text() == "2\n"
    assert not (daemon.box.ws / "g").exists()


# --- the property: calls and a commit against the same on a plain directory -----------------

NAMES = ["a", "b", "c", "d", "e"]


def random_path(r, depth=3):
    return "/".join(r.choice(NAMES) for _ in range(r.randint(1, depth)))


def random_operations(r, n):
    """A script of operations; each may fail, and then fails the same on both sides."""
    out = []
    for _ in range(n):
        op = r.choice(["create", "create", "write", "write", "append", "truncate", "rename", "rename", "unlink", "mkdir",
                       "mkdir", "rmdir", "rmtree", "link", "symlink", "chmod", "xattr", "unxattr", "mmap", "remake",
                       "utime"])
        out.append((op, random_path(r), random_path(r), r.randint(0, 1 << 16)))
    return out


OPERATIONS = r'''
import mmap, os, shutil, stat, sys
def regular(p): return stat.S_ISREG(os.lstat(p).st_mode)
def single(p): return regular(p) and os.lstat(p).st_nlink == 1
def run(ops):
    for op, p, q, n in ops:
        try:
            if op == "create":
                os.close(os.open(p, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o640))
                MADE.add(p)
            elif op == "write" and single(p):
                with open(p, "r+b") as f:
                    f.seek(n % 50); f.write(b"%d" % n)
            elif op == "append" and single(p):
                with open(p, "ab") as f: f.write(b"x" * (n % 5000))
            elif op == "truncate" and single(p): os.truncate(p, n % 9000)
            elif op == "rename":
                # a directory of the workspace cannot be renamed on an overlay: tools copy it, as mv does
                if stat.S_ISDIR(os.lstat(p).st_mode):
                    if not os.path.lexists(q) and not (q + "/").startswith(p + "/") and os.path.isdir(os.path.dirname(q) or "."):
                        shutil.copytree(p, q, symlinks=True); shutil.rmtree(p)
                elif single(p) or NEW(p): os.rename(p, q)
            elif op == "unlink": os.unlink(p)
            elif op == "mkdir": os.mkdir(p, 0o750)
            elif op == "rmdir": os.rmdir(p)
            elif op == "rmtree" and stat.S_ISDIR(os.lstat(p).st_mode): shutil.rmtree(p)
            elif op == "link" and regular(p) and (single(p) or True):
                if NEW(p): os.link(p, q)
            elif op == "symlink": os.symlink("d" if n % 2 else "nowhere", p)
            elif op == "chmod" and not os.path.islink(p) and (single(p) or os.path.isdir(p)): os.chmod(p, 0o700 | n % 64)
            elif op == "xattr" and not os.path.islink(p) and (single(p) or os.path.isdir(p)): os.setxattr(p, "user.k%d" % (n % 3), b"%d" % n)
            elif op == "unxattr" and not os.path.islink(p) and (single(p) or os.path.isdir(p)): os.removexattr(p, "user.k%d" % (n % 3))
            elif op == "mmap" and single(p) and os.path.getsize(p):
                with open(p, "r+b") as f:
                    with mmap.mmap(f.fileno(), 0) as m: m[n % len(m)] = 65 + n % 26
            elif op == "remake" and stat.S_ISDIR(os.lstat(p).st_mode):
                shutil.rmtree(p); os.mkdir(p, 0o755)
                with open(p + "/new", "w") as f: f.write(str(n))
            elif op == "utime" and single(p): os.utime(p, (n, n + 0.25))
        except OSError:
            pass
'''
# A file with several names is separated by an overlay when a later call writes to one of them, so names are added
# only to files that this call has made, and such files are not written to again (README: what an overlay cannot do).
IN_CALL = OPERATIONS + "import json\nstarted = os.stat('/proc/self').st_ctime\n"


def tree(path):
    """Everything of a tree but times of directories: bytes, modes, attributes, and which names are one file."""
    out, inodes = {}, {}
    for root, dirs, files in os.walk(path):
        for name in dirs + files:
            p = os.path.join(root, name)
            st = os.lstat(p)
            key = os.path.relpath(p, path)
            body = os.readlink(p) if os.path.islink(p) else open(p, "rb").read() if os.path.isfile(p) else None
            attrs = {} if os.path.islink(p) else {k: os.getxattr(p, k) for k in os.listxattr(p)}
            out[key] = [st.st_mode, st.st_uid, st.st_gid, body, attrs]
            if os.path.isfile(p) and not os.path.islink(p) and st.st_nlink > 1:
                inodes.setdefault(st.st_ino, set()).add(key)
            if os.path.isfile(p) and not os.path.islink(p) and st.st_mtime < 1 << 17:
                out[key].append(st.st_mtime_ns)    # set by utime: it must have come along
    return out, sorted(sorted(x) for x in inodes.values())


def fill(path, r):
    for op, p, q, n in [("mkdir", d, "", 0) for d in NAMES[:3]] + random_operations(r, 25):
        try:
            full = path / p
            if op == "mkdir":
                full.mkdir(mode=0o755)
            elif op in ("create", "write", "append"):
                full.write_bytes(b"%d" % n * (n % 50))
            elif op == "symlink":
                full.symlink_to("d")
        except OSError:
            pass


@pytest.mark.parametrize("start", range(0, SEQUENCES, PER_SESSION))
def test_random_operations_in_calls_equal_the_same_on_a_plain_directory(box, start):
    d = Daemon(box)
    os.chmod(box.ws, 0o755)
    for seed in range(start, min(start + PER_SESSION, SEQUENCES)):
        r = random.Random(seed)
        ws, plain = box.base / f"w{seed}", box.base / f"p{seed}"
        for path in (ws, plain):
            path.mkdir()
            fill(path, random.Random(seed))
        before = tree(ws)
        assert before == tree(plain)
        s = Session(d, workspace=str(ws))
        for call in range(r.randint(1, 4)):
            ops = random_operations(r, r.randint(3, 25))
            code = OPERATIONS.replace("NEW(p)", "p in MADE") + f"\nMADE = set()\nrun({ops!r})\n"
            got = s.run("/usr/bin/python3", "-c", code)
            assert got["exit_code"] == 0, got
            subprocess.run(["/usr/bin/python3", "-c", code], cwd=plain, check=True, umask=0o022)
        assert tree(ws) == before, f"seed {seed}: touched before the commit"
        if seed % 5 == 4:
            s.c.ask("discard", id=s.id)
            assert tree(ws) == before, f"seed {seed}: after discard"
        else:
            done = s.c.ask("commit", id=s.id)
            assert done["committed"], (seed, done)
            assert tree(ws) == tree(plain), f"seed {seed}"
            assert s.changes() == {}
        assert not any(n.startswith(".glovebox") for n in os.listdir(ws))
        s.c.ask("session.close", id=s.id, remove=True)
        s.c.close()
    d.stop()
