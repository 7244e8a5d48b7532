# SPDX-License-Identifier: Apache-2.0
"""changes, diff, commit, discard: the workspace is untouched until commit."""
import json
import os


def listing(box, session=None):
    done = box.command("changes", "--json", session or box.sessions()[0])
    assert done.returncode == 0, done.stderr
    return {c["path"][2:]: c for c in json.loads(done.stdout)["changes"]}


def fill(box):
    ws = box.ws
    (ws / "keep").write_text("same\n")
    (ws / "edit").write_text("one\ntwo\nthree\n")
    (ws / "gone").write_text("gone\n")
    (ws / "move").write_text("a content nobody else has\n")
    (ws / "mode").write_text("m\n")
    (ws / "kind").write_text("a file\n")
    (ws / "dir").mkdir()
    (ws / "dir" / "a").write_text("a\n")
    (ws / "dir" / "b").write_text("b\n")


CHANGE = """
echo 2 > new; sed -i s/two/TWO/ edit; rm gone; mv move moved; chmod 755 mode; rm kind; mkdir kind
echo x > kind/x; rm -r dir; mkdir dir; echo c > dir/c; ln -s edit link; cat keep > /dev/null
"""


def snapshot(path):
    out = {}
    for root, dirs, files in os.walk(path):
        for name in dirs + files:
            p = os.path.join(root, name)
            st = os.lstat(p)
            body = os.readlink(p) if os.path.islink(p) else open(p, "rb").read() if os.path.isfile(p) else None
            out[os.path.relpath(p, path)] = (st.st_mode, st.st_uid, body)
    return out


def test_every_kind_of_change_is_listed_and_nothing_else(box):
    fill(box)
    before = snapshot(box.ws)
    r = box.sh(CHANGE)
    assert r.code == 0, r.err
    assert snapshot(box.ws) == before
    got = {p: c["change"] for p, c in listing(box).items()}
    assert got == {"new": "added", "edit": "modified", "gone": "deleted", "moved": "renamed",
                   "mode": "mode", "kind": "type", "kind/x": "added", "dir/a": "deleted",
                   "dir/b": "deleted", "dir/c": "added", "link": "added"}
    assert {c["path"].split("/ws/")[1] for c in r.report["changes"]} == set(got)


def test_diff_is_unified_and_names_are_escaped(box):
    fill(box)
    box.sh(CHANGE + "printf bin\\\\000 > binary; echo x > \"$(printf 'a\\033[2Jb')\"")
    out = box.command("diff", box.sessions()[0]).stdout.decode()
    assert "--- a/edit\n+++ b/edit\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n" in out
    assert "--- a/gone\n+++ /dev/null" in out
    assert "binary file binary" in out
    assert "\x1b" not in out and "a\\x1b[2Jb" in out


def test_commit_makes_the_workspace_what_the_tool_saw(box):
    fill(box)
    r = box.sh(CHANGE + "find . -type f | sort | xargs sha256sum > /tmp/x; cat /tmp/x")
    session = box.sessions()[0]
    assert box.command("commit", "--dry-run", session).returncode == 0
    assert (box.ws / "gone").exists()
    done = box.command("commit", session)
    assert done.returncode == 0, done.stderr
    import subprocess
    now = subprocess.run("find . -type f | sort | xargs sha256sum", shell=True, cwd=box.ws,
                         capture_output=True).stdout
    assert now == r.out
    for st in snapshot(box.ws).values():
        assert st[1] == os.stat(box.ws).st_uid
    assert not listing(box, session)
    assert box.command("discard", session).returncode == 0
    assert box.sessions() == []


def test_commit_is_done_as_the_workspaces_owner(box):
    os.chown(box.ws, 4321, 4321)
    r = box.sh("id -un; echo x > f; mkdir d")
    assert r.out == b"agent\n"
    os.chmod(box.base, 0o755)
    done = box.command("commit", box.sessions()[0])
    assert done.returncode == 0, done.stderr
    assert (box.ws / "f").stat().st_uid == 4321 and (box.ws / "d").stat().st_uid == 4321


def test_discard_leaves_the_workspace_as_it_was(box):
    fill(box)
    before = snapshot(box.ws)
    box.sh(CHANGE)
    assert box.command("discard", box.sessions()[0]).returncode == 0
    assert snapshot(box.ws) == before and box.sessions() == []


def test_a_workspace_that_was_replaced_is_refused(box):
    box.sh("echo x > f")
    os.rename(box.ws, box.base / "old")
    os.mkdir(box.ws)
    done = box.command("commit", box.sessions()[0])
    assert done.returncode == 5 and b"replaced" in done.stderr
    assert not list(box.ws.iterdir())


def test_odd_names_survive_the_whole_way(box):
    name = b"new\nline \xff\xfe -rf"
    r = box.py("open(b'new\\nline \\xff\\xfe -rf', 'w').write('x')")
    assert r.code == 0
    assert box.command("commit", box.sessions()[0]).returncode == 0
    assert name in os.listdir(os.fsencode(box.ws))


def test_a_session_without_changes_leaves_nothing(box):
    box.sh("cat /etc/hosts > /dev/null")
    assert box.sessions() == []


def test_a_tree_removed_and_made_again_loses_what_it_lost(box):
    (box.ws / "d" / "sub").mkdir(parents=True)
    (box.ws / "d" / "sub" / "x").write_text("old\n")
    (box.ws / "d" / "top").write_text("top\n")
    box.sh("rm -rf d; mkdir -p d/sub")
    got = {p: c["change"] for p, c in listing(box).items()}
    assert got == {"d/top": "deleted", "d/sub/x": "deleted"}
    assert box.command("commit", box.sessions()[0]).returncode == 0
    assert sorted(os.listdir(box.ws / "d")) == ["sub"] and not list((box.ws / "d" / "sub").iterdir())


def test_a_deep_tree_is_listed_and_one_too_deep_is_told(box):
    r = box.py("import os\nfor i in range(2000): os.mkdir('a'); os.chdir('a')\nopen('f', 'w').write('x')")
    assert r.code == 0 and len(r.report["changes"]) == 2001
    box.command("discard", box.sessions()[0])
    r = box.py("import os\nfor i in range(2100): os.mkdir('a'); os.chdir('a')")
    unread = [c for c in r.report["changes"] if c["change"] == "unreadable"]
    assert len(unread) == 1 and unread[0]["error"] == "ENAMETOOLONG"
    assert box.command("commit", box.sessions()[0]).returncode == 4


def test_a_chain_of_links_does_not_lead_out(box):
    box.sh("mkdir -p p/q/r; ln -s ../../.. p/q/r/up; ln -s p/q/r/up/../../../../etc/shadow x")
    done = box.command("commit", box.sessions()[0])
    assert done.returncode == 4 and b"refused x" in done.stderr
    assert not os.path.lexists(box.ws / "x")


def test_a_running_session_is_neither_committed_nor_discarded(box):
    p = box.start("sh", "-c", "echo 1 > one; while ! test -e /tmp/stop; do sleep 0.05; done")
    box.wait_event("file.create")
    session = box.sessions()[0]
    for verb in ("commit", "discard"):
        done = box.command(verb, session)
        assert done.returncode == 5 and b"running" in done.stderr
    assert box.command("changes", session).returncode == 0
    assert box.reach("kill")[0] == 0
    p.communicate()
    assert box.command("commit", session).returncode == 0


def test_a_directory_without_write_permission_is_committed_whole(box):
    os.chown(box.ws, 4321, 4321)
    os.chmod(box.base, 0o755)
    box.sh("mkdir m; echo x > m/f; chmod 555 m; echo y > z")
    done = box.command("commit", box.sessions()[0])
    assert done.returncode == 0, done.stderr
    assert (box.ws / "m").stat().st_mode & 0o777 == 0o555 and (box.ws / "m" / "f").exists()


def test_holes_stay_holes_and_a_huge_file_is_listed_at_once(box):
    r = box.sh("truncate -s 64M big; truncate -s 10T huge; echo x | dd of=mixed seek=100000 bs=4096 status=none",
               options=("--limit", "file=16T"))
    assert r.code == 0
    sizes = {c["path"].rsplit("/", 1)[1]: c["size"] for c in r.report["changes"]}
    assert sizes["huge"] == 10 << 40
    assert box.command("commit", box.sessions()[0]).returncode == 0
    for name in ("big", "huge", "mixed"):
        st = (box.ws / name).stat()
        assert st.st_size == sizes[name] and st.st_blocks * 512 < 1 << 20
    assert (box.ws / "mixed").read_bytes()[-2:] == b"x\n"


def test_kept_sessions_are_listed(box):
    box.sh("echo x > f")
    done = box.command("session", "list", "--json")
    kept = json.loads(done.stdout)["sessions"]
    assert [(s["session"], s["state"], s["workspace"]) for s in kept] == [
        (box.sessions()[0], "kept", str(box.ws))]
