# SPDX-License-Identifier: Apache-2.0
"""commit: exactly what was chosen, or nothing; conflicts; killed anywhere; and ESCAPES.md, group N."""
import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from tests.conftest import DEADLINE, GLOVEBOX, Daemon, Session
from tests.e2e.test_daemon import refused
from tests.e2e.test_layers import tree


def commit(s, call=None, **params):
    return s.c.ask("commit", id=f"{s.id}.{call}" if call else s.id, **params)


def verdicts(result, root):
    return {i["path"][len(str(root)) + 1:]: i["verdict"] for i in result["items"]}


# --- selection ---------------------------------------------------------------------------

def test_by_call_path_and_hunk_and_dry_run(daemon):
    ws = daemon.box.ws
    (ws / "f").write_text("".join(f"{i}\n" for i in range(60)))
    s = Session(daemon)
    s.sh("mkdir -p src/deep doc; echo 1 > src/a.c; echo 2 > src/deep/b.c; echo 3 > doc/r.md")
    s.sh("sed -i 's/^5$/five/; s/^50$/fifty/' f; echo x > late")
    before = tree(ws)
    r = commit(s, dry_run=True)
    assert r["applied"] == 8 and not r["committed"] and tree(ws) == before
    r = commit(s, call=2, paths=["late"])
    assert r["committed"] and (ws / "late").exists() and not (ws / "src").exists()
    r = commit(s, hunks=["f:2"])
    assert r["committed"]
    text = (ws / "f").read_text()
    assert "fifty\n" in text and "five" not in text and text.count("\n") == 60
    assert s.changes()["f"] == "modified"
    r = commit(s, paths=["*.c"])
    assert r["committed"] and (ws / "src/deep/b.c").read_text() == "2\n" and not (ws / "doc").exists()
    assert refused(-32001, commit, s, paths=["nothing/like/this"]) == 'no change matches "nothing/like/this"'
    refused(-32006, commit, s, hunks=["f:9"])
    refused(-32602, commit, s, hunks=["f"])
    r = commit(s)
    assert r["committed"] and (ws / "doc/r.md").exists() and "five\n" in (ws / "f").read_text()
    assert s.changes() == {} and s.c.ask("session.show", id=s.id)["stack"] == []


def test_a_call_whose_changes_rest_on_an_earlier_one_is_a_conflict(daemon):
    s = Session(daemon)
    s.sh("mkdir d; echo 1 > a")
    s.sh("echo 2 >> a; echo x > d/x")
    r = commit(s, call=2)
    assert not r["committed"] and verdicts(r, daemon.box.ws) == {"a": "conflict", "d/x": "conflict"}
    assert commit(s, call=1)["committed"] and commit(s, call=2)["committed"]
    assert (daemon.box.ws / "a").read_text() == "1\n2\n"


def test_who_may_commit_is_the_policys_choice(box):
    for choice in ("operator", "agent", "auto"):
        (box.base / choice).write_text(json.dumps({"files": {"commit": choice}}))
    d = Daemon(box, *sum([["--policy", f"{c}={box.base / c}"] for c in ("operator", "agent", "auto")], []))
    s = Session(d, role="agent", policy="operator")
    s.sh("echo 1 > one")
    refused(-32003, commit, s)
    s = Session(d, role="agent", policy="agent")
    s.sh("echo 2 > two; mkdir -p .git/hooks; echo x > .git/hooks/pre-commit")
    refused(-32003, commit, s, protected=True)
    r = commit(s)
    assert not r["committed"] and verdicts(r, box.ws)[".git/hooks/pre-commit"] == "refused"
    assert commit(s, paths=["two"])["committed"]
    s = Session(d, role="agent", policy="auto")
    s.c.ask("events.subscribe", session=s.id)
    s.sh("echo 3 > three")
    assert s.until("commit")["verdict"] == "applied"
    s.sh("echo 4 > four; exit 1")
    s.events.clear()
    s.run("sh", "-c", "echo 5 > five; kill -9 $$")
    assert s.changes() == {"five": "added"}    # it did not end by itself: a person looks first
    assert sorted(os.listdir(box.ws)) == ["four", "three", "two"]
    assert d.stop() == 0


def test_nothing_is_committed_while_a_call_writes_unless_it_is_frozen(daemon):
    s = Session(daemon)
    s.c.ask("events.subscribe", session=s.id)
    call = s.start("sh", "-c", "echo 1 > a; exec sleep 1000")
    while not any(e["kind"].startswith("file.") and e["path"].endswith("/a") for e in s.events):
        s.c.read()
    refused(-32002, commit, s)
    s.c.ask("call.pause", id=call["id"])
    assert commit(s)["committed"] and (daemon.box.ws / "a").read_text() == "1\n"
    s.c.ask("call.resume", id=call["id"])
    s.c.ask("call.cancel", id=call["id"])


# --- conflicts ------------------------------------------------------------------------------

@pytest.mark.parametrize("meanwhile", [
    lambda p: p.write_text("other\n"),
    lambda p: p.unlink(),
    lambda p: (p.unlink(), p.mkdir()),
    lambda p: (p.unlink(), p.symlink_to("x")),
], ids=["content", "removed", "directory", "link"])
def test_what_changed_in_the_workspace_meanwhile_is_never_overwritten(daemon, meanwhile):
    f = daemon.box.ws / "f"
    f.write_text("old\n")
    s = Session(daemon)
    s.sh("echo new > f; echo x > x")
    meanwhile(f)
    before = tree(daemon.box.ws)
    r = commit(s)
    assert not r["committed"] and r["conflicts"] >= 1 and "meanwhile" in str(r["items"])
    assert tree(daemon.box.ws) == before
    if f.is_dir() and not f.is_symlink():
        return
    assert commit(s, force=True)["committed"] and f.read_text() == "new\n"


def test_same_size_and_restored_times_are_found(daemon):
    f = daemon.box.ws / "f"
    f.write_text("old\n")
    st = f.stat()
    s = Session(daemon)
    s.sh("echo new > f")
    with open(f, "r+") as g:
        g.write("OLD\n")
    os.utime(f, ns=(st.st_atime_ns, st.st_mtime_ns))
    assert f.stat().st_size == st.st_size and f.stat().st_mtime_ns == st.st_mtime_ns
    r = commit(s)
    assert verdicts(r, daemon.box.ws) == {"f": "conflict"} and f.read_text() == "OLD\n"


def test_a_file_that_appeared_where_the_session_makes_one_is_a_conflict(daemon):
    s = Session(daemon)
    s.sh("echo mine > f; mkdir d; echo x > d/x")
    (daemon.box.ws / "f").write_text("theirs\n")
    r = commit(s)
    assert verdicts(r, daemon.box.ws)["f"] == "conflict" and (daemon.box.ws / "f").read_text() == "theirs\n"
    assert not (daemon.box.ws / "d").exists()
    (daemon.box.ws / "f").write_text("mine\n")    # the same is no conflict
    assert commit(s)["committed"]


def test_a_touched_file_with_the_same_content_is_no_conflict(daemon):
    f = daemon.box.ws / "f"
    f.write_text("old\n")
    s = Session(daemon)
    s.sh("echo new > f")
    f.write_text("old\n")
    os.utime(f)
    assert commit(s)["committed"] and f.read_text() == "new\n"


def test_a_deleted_file_that_was_edited_meanwhile_is_a_conflict(daemon):
    (daemon.box.ws / "d").mkdir()
    (daemon.box.ws / "d" / "f").write_text("old\n")
    s = Session(daemon)
    s.sh("rm -r d")
    (daemon.box.ws / "d" / "f").write_text("edited\n")
    r = commit(s)
    assert verdicts(r, daemon.box.ws)["d/f"] == "conflict" and (daemon.box.ws / "d/f").read_text() == "edited\n"
    (daemon.box.ws / "d" / "f").write_text("old\n")
    (daemon.box.ws / "d" / "more").write_text("new file in a directory the call removed\n")
    r = commit(s)
    assert not r["committed"] and (daemon.box.ws / "d/f").read_text() == "old\n"
    (daemon.box.ws / "d" / "more").unlink()
    assert commit(s)["committed"] and not (daemon.box.ws / "d").exists()


def test_after_a_commit_the_session_goes_on_and_its_own_commit_is_no_conflict(daemon):
    f = daemon.box.ws / "f"
    s = Session(daemon)
    s.sh("echo 1 > f; echo 1 > g")
    assert commit(s, paths=["f"])["committed"]
    s.sh("echo 2 > f")
    assert commit(s, paths=["f"])["committed"] and f.read_text() == "2\n"
    f.write_text("3\n")
    s.sh("echo 4 > h")
    r = commit(s)
    assert verdicts(r, daemon.box.ws)["f"] == "conflict"


# --- killed anywhere ---------------------------------------------------------------------------

CHANGE = """
echo new > f; rm gone; mkdir -p dir/sub; echo x > dir/sub/x; ln -s f link; rm -r old; mkdir old; echo y > old/y
chmod 700 mode; mv move moved; rm kind; mkdir kind; echo z > kind/z; ln f hard; touch empty
"""
# of the writer: all that changes anything, or makes it last
CALLS = ["renameat2", "syncfs", "fdatasync", "unlinkat", "ftruncate", "fchmod", "pwrite64", "mkdirat", "openat", "linkat",
         "symlinkat", "write", "sendfile", "sendmsg"]


def prepare(box):
    ws = box.ws
    (ws / "f").write_text("old f\n")
    (ws / "gone").write_text("gone\n")
    (ws / "old").mkdir()
    (ws / "old" / "a").write_text("a\n")
    (ws / "mode").write_text("m\n")
    (ws / "move").write_text("moves\n")
    (ws / "kind").write_text("a file\n")
    assert box.sh(CHANGE).code == 0
    return tree(ws), box.sessions()[0]


def restore(ws, copy):
    for p in ws.iterdir():
        shutil.rmtree(p) if p.is_dir() and not p.is_symlink() else p.unlink()
    shutil.copytree(copy, ws, symlinks=True, dirs_exist_ok=True)


def count_calls(box, session, call):
    log = box.base / "strace"
    done = subprocess.run(["strace", "-f", "-qq", "-o", log, "-e", f"trace={call}", GLOVEBOX, "commit", session],
                          env=box.env, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    counts = {}
    for line in log.read_text().splitlines():
        if f" {call}(" in line:
            counts[line.split()[0]] = counts.get(line.split()[0], 0) + 1
    return max(counts.values(), default=0)


@pytest.mark.parametrize("call", CALLS)
def test_kill_9_at_every_step_leaves_the_old_tree_or_the_new_one(box, call):
    """Every process of a commit that reaches its n-th call of this kind is killed there, for every n."""
    before, session = prepare(box)
    shutil.copytree(box.ws, box.base / "copy", symlinks=True)
    kept, kept_copy = box.state / "sessions" / session, box.base / "kept"
    subprocess.run(["cp", "-a", kept, kept_copy], check=True)

    def again():
        restore(box.ws, box.base / "copy")
        shutil.rmtree(kept)    # a commit of everything empties the session's layers
        subprocess.run(["cp", "-a", kept_copy, kept], check=True)

    total = count_calls(box, session, call)
    after = tree(box.ws)
    assert before != after
    seen = set()
    steps = range(1, total + 1) if total < 40 else [*range(1, 30), *range(30, total + 1, 7)]
    for n in steps:
        again()
        subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                        f"inject={call}:signal=SIGKILL:when={n}", GLOVEBOX, "commit", session], env=box.env,
                       capture_output=True, timeout=DEADLINE)
        done = box.command("changes", session)    # whoever comes next recovers
        assert done.returncode == 0, (n, done.stderr)
        now = tree(box.ws)
        assert now in (before, after), f"{call} {n}: a mixture: {sorted(now[0])}"
        seen.add(now == after)
        assert not any(p.name.startswith(".glovebox") for p in box.ws.iterdir()), n
        assert (box.state / "sessions" / session / "journal").stat().st_size == 0
    again()
    assert box.command("commit", session).returncode == 0 and tree(box.ws) == after


def test_a_daemon_finishes_what_a_killed_one_has_decided(box):
    before, session = prepare(box)
    subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e",
                    "inject=renameat2:signal=SIGKILL:when=3", GLOVEBOX, "commit", session], env=box.env,
                   capture_output=True, timeout=DEADLINE)
    assert tree(box.ws) != before
    d = Daemon(box)
    assert (box.ws / "kind" / "z").exists() and not (box.ws / "gone").exists()
    assert not any(p.name.startswith(".glovebox") for p in box.ws.iterdir())
    d.stop()


def test_a_step_that_fails_takes_all_the_others_back(daemon):
    ws = daemon.box.ws
    (ws / "a").write_text("a\n")
    (ws / "z").mkdir()
    (ws / "z" / "f").write_text("f\n")
    s = Session(daemon)
    s.sh("echo b > a; echo new > n; echo x > z/f")
    os.chmod(ws / "z", 0o555)    # the writer has no capability, whoever owns the workspace
    before = tree(ws)
    r = commit(s)
    assert not r["committed"] and tree(ws) == before and r["failed"] + r["conflicts"] >= 1


# --- ESCAPES.md, group N: one test each -------------------------------------------------------------

def test_N1_a_planted_parent_link_is_not_followed(daemon):
    outside = daemon.box.base / "outside"
    outside.mkdir()
    s = Session(daemon)
    s.sh(f"mkdir out; echo evil > out/x; mv out real; ln -s {outside} out")
    s.sh("rm out; mkdir out; echo evil > out/cron")
    (daemon.box.ws / "out").symlink_to(outside)
    r = commit(s, force=True)
    assert list(outside.iterdir()) == [] and not (r["committed"] and (daemon.box.ws / "out").is_symlink())


def test_N2_links_that_leave_are_listed_and_refused_and_never_followed(daemon):
    s = Session(daemon)
    s.sh("ln -s /etc/passwd abs; ln -s ../../x up; ln -s f in; echo f > f; ln -s / root")
    assert s.changes() == {"abs": "added", "up": "added", "in": "added", "f": "added", "root": "added"}
    r = commit(s)
    assert verdicts(r, daemon.box.ws) == {"abs": "refused", "up": "refused", "root": "refused", "in": "applied", "f": "applied"}
    assert os.listdir(daemon.box.ws) == []
    assert commit(s, escaping_links=True)["committed"] and os.readlink(daemon.box.ws / "abs") == "/etc/passwd"


def test_N3_a_directory_swapped_for_a_link_between_scan_and_commit(daemon):
    outside = daemon.box.base / "outside"
    outside.mkdir()
    (daemon.box.ws / "d").mkdir()
    (daemon.box.ws / "d" / "f").write_text("f\n")
    s = Session(daemon)
    s.sh("echo new > d/f; echo new > d/g")
    (daemon.box.ws / "d").rename(daemon.box.ws / "moved")
    (daemon.box.ws / "d").symlink_to(outside)
    for force in (False, True):
        commit(s, force=force)
        assert list(outside.iterdir()) == [] and (daemon.box.ws / "moved" / "f").read_text() == "f\n"


def test_N4_setuid_setgid_and_sticky_do_not_leave(daemon):
    s = Session(daemon, root=True)
    s.sh("cp /bin/true t; chmod 6755 t; mkdir d; chmod 3777 d; chown 0:0 t")
    assert commit(s)["committed"]
    assert stat.S_IMODE((daemon.box.ws / "t").stat().st_mode) == 0o755
    assert stat.S_IMODE((daemon.box.ws / "d").stat().st_mode) == 0o777
    assert (daemon.box.ws / "t").stat().st_uid == daemon.box.ws.stat().st_uid


def test_N6_fifos_sockets_and_devices_are_reported_and_never_made(daemon):
    s = Session(daemon, root=True)
    s.run("/usr/bin/python3", "-c", "import os, socket\nos.mkfifo('fifo')\nsocket.socket(socket.AF_UNIX).bind('sock')\n"
          "try: os.mknod('dev', 0o600 | 0o20000, os.makedev(1, 3))\nexcept OSError: pass")
    r = commit(s)
    assert {"fifo": "refused", "sock": "refused"}.items() <= verdicts(r, daemon.box.ws).items()
    assert os.listdir(daemon.box.ws) == []


def test_N7_a_whiteout_cannot_be_made_by_hand(daemon):
    (daemon.box.ws / "f").write_text("f\n")
    s = Session(daemon, root=True)
    r = s.run("/usr/bin/python3", "-c", """
import os
for name in ('w', 'x/w'):
    os.makedirs('x', exist_ok=True)
    try: os.mknod(name, 0o20000, os.makedev(0, 0)); print('made', name)
    except OSError as e: print(e.errno)
""")
    assert "made" not in r["stdout"]["text"] and s.changes() == {"x": "added"}


def test_N8_and_N9_attributes_of_the_overlay_are_only_names(daemon):
    (daemon.box.ws / "d").mkdir()
    (daemon.box.ws / "d" / "keep").write_text("k\n")
    s = Session(daemon, root=True)
    s.run("/usr/bin/python3", "-c", """
import os
os.mkdir('e'); open('e/redirect', 'w').close()
for path in ('d', 'e', 'e/redirect'):
    for name in ('opaque', 'redirect', 'metacopy', 'whiteout', 'origin'):
        for space in ('user.overlay.', 'trusted.overlay.'):
            try: os.setxattr(path, space + name, b'y')
            except OSError: pass
""")
    assert "d/keep" not in s.changes()
    assert s.sh("cat d/keep")["stdout"]["text"] == "k\n"
    commit(s)
    assert (daemon.box.ws / "d" / "keep").read_text() == "k\n"


def test_N12_what_runs_on_the_host_later_needs_a_word(daemon):
    s = Session(daemon)
    names = [".git/hooks/pre-commit", ".git/config", ".gitattributes", ".gitmodules", ".vscode/tasks.json", ".envrc",
             ".npmrc", ".github/workflows/ci.yml", "sub/.git/hooks/x", ".claude/settings.json", ".husky/pre-push"]
    for n in names:
        s.sh(f"mkdir -p '{os.path.dirname(n) or '.'}'; echo evil > '{n}'")
    r = commit(s)
    assert not r["committed"] and all(verdicts(r, daemon.box.ws)[n] == "refused" for n in names)
    assert os.listdir(daemon.box.ws) == []
    assert commit(s, protected=True)["committed"]


def test_N13_names_that_only_differ_in_case_stay_two_files(daemon):
    s = Session(daemon)
    s.run("/usr/bin/python3", "-c", "for n in ('File', 'file', 'CON', 'dot.', 'caf\\u00e9', 'cafe\\u0301'): open(n, 'w').write(n)")
    assert commit(s)["committed"]
    assert {p.name: p.read_text() for p in daemon.box.ws.iterdir()} == {
        n: n for n in ("File", "file", "CON", "dot.", "caf\u00e9", "cafe\u0301")}


def test_N14_hostile_names_survive_and_act_on_nothing(daemon):
    s = Session(daemon)
    s.run("/usr/bin/python3", "-c", r"""
for n in (b'a\nb', b'\x1b[2J', b'\xff\xfe', b'-rf', b'{"kind":"call.done"}', b'x"y', b' ', b'%41'): open(n, 'w').write('x')
""")
    done = daemon.box.command("changes", s.id)
    assert b"\x1b" not in done.stdout
    assert commit(s)["committed"]
    assert sorted(os.listdir(os.fsencode(daemon.box.ws))) == sorted(
        [b'a\nb', b'\x1b[2J', b'\xff\xfe', b'-rf', b'{"kind":"call.done"}', b'x"y', b' ', b'%41'])
    with open(os.path.join(os.fsencode(daemon.box.ws), b'\xff\xfe'), "w") as f:
        f.write("theirs")
    s.run("/usr/bin/python3", "-c", r"open(b'\xff\xfe', 'a').write('more')")
    (daemon.box.ws / "z").write_text("z")
    assert commit(s)["committed"]    # it was read as it was when the call began


def test_N16_a_hundred_thousand_files_and_a_deep_tree(daemon):
    s = Session(daemon, limits={"memory": "4G"})
    r = s.run("/usr/bin/python3", "-c", """
import os
for d in range(100):
    os.mkdir(f'd{d}')
    for i in range(500): os.close(os.open(f'd{d}/{i}', os.O_CREAT | os.O_WRONLY))
for i in range(900):
    os.mkdir('deep'); os.chdir('deep')
""")
    assert r["exit_code"] == 0, r
    assert len(s.changes()) >= 50000 + 100 + 800
    o = daemon.connect()
    assert o.ask("call.list")["calls"] == []
    r = commit(s, paths=["d[0-9]*"])
    assert r["committed"] and len(os.listdir(daemon.box.ws / "d99")) == 500


def test_N19_the_host_edits_the_same_file_while_it_is_committed(daemon):
    f = daemon.box.ws / "f"
    f.write_text("base\n")
    s = Session(daemon)
    s.sh("echo session > f")
    f.write_text("host\n")
    r = commit(s)
    assert verdicts(r, daemon.box.ws) == {"f": "conflict"} and f.read_text() == "host\n"


def test_N20_is_every_step_above():
    """The crash in the middle of a commit: test_kill_9_at_every_step, for each system call of the writer."""
    assert {"renameat2", "syncfs", "fdatasync"} <= set(CALLS)
