# SPDX-License-Identifier: Apache-2.0
"""Policies, in real sandboxes: what they show, hide, protect and deny, and what is said of it."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from tests.agent_loop import Refused
from tests.conftest import DEADLINE, GLOVEBOX, Daemon, Session

ENGINE = "/usr/share/containers/seccomp.json"    # as a container engine's package ships it


def glovebox(box, *words, code=0):
    done = subprocess.run([GLOVEBOX, *map(str, words)], capture_output=True, text=True, timeout=DEADLINE, cwd=box.ws, env=box.env)
    assert done.returncode == code, done.stderr
    return done


def run(box, policy, script, *options):
    path = box.base / "p.jsonc"
    path.write_text(policy if isinstance(policy, str) else json.dumps(policy))
    report = box.base / "report.json"
    done = subprocess.run([GLOVEBOX, "run", "--report", report, "-p", path, *options, "--", "bash", "-c", script],
                          capture_output=True, text=True, timeout=DEADLINE, cwd=box.ws, env=box.env)
    return done, json.loads(report.read_text()) if report.exists() and report.stat().st_size else None


def denied(report):
    return {(d["rule"].split(" ")[0], d.get("subject", "")) for d in report["denials"]}


def test_what_a_policy_shows_is_read_only_and_what_it_hides_is_gone(box):
    data = box.base / "data"
    (data / "secret").mkdir(parents=True)
    (data / "x").write_text("shown\n")
    (data / "secret" / "key").write_text("k\n")
    policy = {"files": {"read": [str(data)], "hide": [str(data / "secret"), "/usr/share/doc"]}}
    done, report = run(box, policy, f"cat {data}/x; cat {data}/secret/key; echo no > {data}/x; ls /usr/share/doc; chmod 777 {data}/secret")
    assert done.stdout == "shown\n" and (data / "x").read_text() == "shown\n"
    assert ("files.hide", f"{data}/secret/key") in denied(report) and ("files.hide", "/usr/share/doc") in denied(report)
    assert ("files.read", f"{data}/x") in denied(report)
    assert "p.jsonc:1" in next(d for d in report["denials"] if d["rule"] == "files.hide")["suggest"]


def test_a_masked_name_is_not_there_whatever_happens_outside(box):
    (box.ws / "conf").mkdir()
    (box.ws / "conf" / "key.pem").write_text("SECRET")
    (box.ws / ".env").write_text("SECRET")
    os.chmod(box.ws / "conf", 0o750)
    policy = {"files": {"hide": [".env", "conf/key.pem", "later", "no/such/dir"]}}
    script = "ls -A . conf; stat -c %a conf; cat .env; cat conf/key.pem; echo mine > .env; touch conf/new; cat .env"
    done, report = run(box, policy, script)
    assert "SECRET" not in done.stdout + done.stderr and done.stdout.endswith("mine\n") and "750" in done.stdout
    assert ".env" not in done.stdout and "key.pem" not in done.stdout and "no" not in done.stdout.split()
    assert ("files.hide", f"{box.ws}/.env") in denied(report)
    session = report["session"]
    # what is hidden is in no diff, and is not overwritten
    assert "SECRET" not in glovebox(box, "diff", session).stdout
    done = subprocess.run([GLOVEBOX, "commit", session], capture_output=True, text=True, timeout=DEADLINE, env=box.env)
    assert (box.ws / ".env").read_text() == "SECRET" and "files.hide" in done.stdout + done.stderr


def test_a_masked_name_stays_away_when_somebody_makes_it_later(box):
    (box.ws / "see").write_text("")
    session = None
    policy = box.base / "p.jsonc"
    policy.write_text('{"files":{"hide":["later"]}}')
    reader, writer = os.pipe()
    p = subprocess.Popen([GLOVEBOX, "run", "-p", policy, "--", "sh", "-c", "echo ready; read x; ls; cat later"],
                         stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=box.ws, env=box.env)
    assert p.stdout.readline() == "ready\n"
    (box.ws / "later").write_text("SECRET")
    os.write(writer, b"\n")
    os.close(writer)
    out, err = p.communicate(timeout=DEADLINE)
    assert "SECRET" not in out and "later" not in out and session is None


def test_programs_and_calls_that_are_denied_are_named(box):
    policy = {"exec": {"deny": ["/usr/bin/perl"]}, "syscalls": {"deny": ["mkdir", "symlink", "symlinkat"], "allow": ["kcmp"]}}
    done, report = run(box, policy, "perl -e 1; mkdir d; ln -s a b; cp /usr/bin/perl ./own && ./own -e 'print 7'")
    assert ("exec.deny", "/usr/bin/perl") in denied(report) and ("syscalls.deny", "") in denied(report)
    assert {d["syscall"] for d in report["denials"]} >= {"mkdir", "symlinkat"} or {d["syscall"] for d in report["denials"]} >= {"mkdir", "symlink"}
    assert all("take " in d["suggest"] for d in report["denials"] if d["layer"] == "seccomp")
    assert done.stdout == ""    # covered, so it cannot be read and copied either


def test_allowed_calls_work_and_others_do_not(box):
    assert "total" in run(box, {"syscalls": {"allow": ["ptrace", "process_vm_readv"]}}, "strace -c true")[0].stderr
    done, report = run(box, {}, "strace -c true")
    assert done.returncode != 0 and any(d["syscall"] == "ptrace" for d in report["denials"])


@pytest.mark.skipif(not os.path.exists(ENGINE), reason="scripts/packages test installs it")
def test_the_profile_of_a_container_engine_loads_and_works(box):
    done, report = run(box, {"syscalls": {"profile": ENGINE}}, "gcc --version | head -1; python3 -c 'print(6*7)'; unshare -U true; ls")
    assert "42\n" in done.stdout and any(d["syscall"] == "unshare" for d in report["denials"])


def test_only_what_is_listed_may_be_committed(box):
    done, report = run(box, {"files": {"write": ["src/**"]}}, "mkdir src lib; echo a > src/a; echo b > lib/b")
    done = subprocess.run([GLOVEBOX, "commit", report["session"]], capture_output=True, text=True, timeout=DEADLINE, env=box.env)
    assert "files.write" in done.stdout + done.stderr and not (box.ws / "lib" / "b").exists()
    glovebox(box, "commit", report["session"], "--path", "src/**", "--path", "src")
    assert (box.ws / "src" / "a").read_text() == "a\n"


def test_another_directory_tree_may_be_the_root(box):
    tree = box.base / "tree"
    for d in ("bin", "etc", "lib"):
        (tree / d).mkdir(parents=True)
    subprocess.run(["cp", str(GLOVEBOX.parent / "glovebox-probe"), tree / "bin" / "probe"], check=True)
    (tree / "etc" / "marker").write_text("other\n")
    (tree / "lib" / "out").symlink_to("/etc/shadow")
    (tree / "evil").symlink_to(box.base)
    policy = box.base / "p.jsonc"
    policy.write_text(json.dumps({"extends": "none", "files": {"root": str(tree), "read": ["/bin", "/etc/marker", "/lib", "/evil"]}}))
    done = subprocess.run([GLOVEBOX, "run", "-p", policy, "--", "/bin/probe"], capture_output=True, text=True, timeout=DEADLINE, cwd=box.ws, env=box.env)
    assert done.returncode not in (125, 126, 127), done.stderr
    policy.write_text(json.dumps({"extends": "none", "files": {"root": str(tree), "read": ["/bin", "/evil/data"]}}))
    (box.base / "data").mkdir()
    done = subprocess.run([GLOVEBOX, "run", "-p", policy, "--", "/bin/probe"], capture_output=True, text=True, timeout=DEADLINE, cwd=box.ws, env=box.env)
    assert done.returncode not in (125,), done.stderr    # the link stays inside the tree, so there is nothing to show


@pytest.mark.parametrize("text,says", [
    ("{", "p.jsonc:1: this is not JSON"),
    ('{\n  "files": {\n    "raed": []}}', 'p.jsonc:3: "files" has no "raed"; did you mean "read"?'),
    ('{"extends": "strickt"}', 'did you mean "strict"?'),
    ('{"syscalls": {"deny": ["execve"]}}', "no tool can run"),
    ('{"network": {"mode": "host"}}', '"network.mode" is "none"'),
])
def test_a_policy_that_is_not_sound_starts_nothing(box, text, says):
    done, report = run(box, text, "echo ran")
    assert done.returncode == 125 and done.stdout == "" and says in done.stderr and report is None


def test_a_workspace_may_only_tighten(box):
    own = box.ws / ".glovebox.jsonc"
    own.write_text('{"files": {"hide": ["secret"]}, "limits": {"pids": 8}}')
    (box.ws / "secret").write_text("S")
    done, report = run(box, {}, "cat secret; echo hi")
    assert done.stdout == "hi\n" and ("files.hide", f"{box.ws}/secret") in denied(report)
    own.write_text('{\n"files": {"read": ["/root"]}}')
    done, report = run(box, {}, "echo ran")
    assert done.returncode == 125 and ".glovebox.jsonc:2:" in done.stderr and "may only take away" in done.stderr
    own.write_text("{")
    assert run(box, {}, "echo ran")[0].stdout == ""
    # and the tool cannot loosen the next session by itself: it is a protected name
    own.unlink()
    done, report = run(box, {}, "echo '{}' > .glovebox.jsonc")
    done = subprocess.run([GLOVEBOX, "commit", report["session"]], capture_output=True, text=True, timeout=DEADLINE, env=box.env)
    assert not own.exists() and "protected" in done.stdout + done.stderr


def test_a_daemon_shows_only_what_its_owner_named(box):
    """An operator's inline policy cannot show what the daemon was not started with."""
    named = box.base / "named.jsonc"
    data = box.base / "data"
    data.mkdir()
    (data / "x").write_text("x")
    named.write_text(json.dumps({"files": {"read": [str(data)]}}))
    d = Daemon(box, "--policy", f"data={named}")
    try:
        c = d.connect("operator")
        s = c.ask("session.create", workspace=str(box.ws), policy="data")["session"]
        shown = c.ask("session.show", id=s)
        assert str(data) in shown["policy"]["files"]["read"] and shown["workspace_policy"] == "unreadable"    # it is under 0700 here: said, not passed over
        out = glovebox(box, "policy", "show", s).stdout
        assert str(data) in json.loads(out)["files"]["read"]
        assert c.ask("session.create", workspace=str(box.ws), policy_json={"files": {"read": [str(data / "x")]}})["session"]
        with pytest.raises(Refused, match="read"):
            c.ask("session.create", workspace=str(box.ws), policy_json={"files": {"read": ["/root"]}})
    finally:
        assert d.stop() == 0


def test_show_explain_and_import(box):
    out = glovebox(box, "policy", "explain", "/etc/shadow", ".git/hooks/x", "ptrace", "example.org:443", "/usr/bin/ls").stdout
    for said in ('files.hide "/etc/shadow"', 'files.protect ".git/hooks"', "syscalls.default", "network.mode", 'files.read "/usr"', "default.jsonc:"):
        assert said in out
    for name in ("default", "strict", "open"):
        shown = json.loads(glovebox(box, "policy", "show", name).stdout)
        path = box.base / "again.json"
        path.write_text(json.dumps(shown))
        glovebox(box, "policy", "check", path)
        assert json.loads(glovebox(box, "policy", "show", path).stdout) == shown
    srt = box.base / "srt.json"
    srt.write_text(json.dumps({"network": {"allowedDomains": ["x.org"]}, "filesystem": {"denyRead": ["~/.ssh", ".env"], "allowWrite": [".", "/opt"], "denyWrite": [".git/config"]}}))
    done = glovebox(box, "policy", "import", "--from", "srt", srt)
    assert json.loads(done.stdout)["files"]["hide"][1] == ".env" and "network" in done.stderr and "/opt" in done.stderr
    path.write_text(done.stdout)
    glovebox(box, "policy", "check", path)
    srt.write_text(json.dumps({"permissions": {}, "sandbox": {"enabled": True, "filesystem": {"denyRead": ["**/.env", "/etc/*.conf"]}}}))
    done = glovebox(box, "policy", "import", "--from", "claude", srt)
    assert json.loads(done.stdout)["files"]["hide"] == ["**/.env"] and "/etc/*.conf" in done.stderr and "enabled" in done.stderr
    path.write_text(done.stdout)
    glovebox(box, "policy", "check", path)
    glovebox(box, "policy", "check", box.base / "none.json", code=1)
    glovebox(box, "policy", "frobnicate", code=2)


NATURAL = r"""
import errno, os, signal, socket, collections, resource
seen = collections.Counter()
def fails(f, *a):
    try:
        f(*a)
    except OSError as e:
        seen[errno.errorcode[e.errno]] += 1
        return
    raise SystemExit(f"{f} {a} did not fail")
os.mkdir("closed"); open("plain", "w").close(); open("closed/x", "w").close(); os.chmod("plain", 0); os.chmod("closed", 0)
open("noexec", "w").close(); open("/tmp/ro", "w").close(); os.chmod("/tmp/ro", 0o444); os.mkdir("d")
s = socket.socket(socket.AF_UNIX); s.bind("sock")
port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]
for i in range(60):
    fails(open, f"missing-{i}"); fails(open, f"/tmp/missing-{i}"); fails(os.stat, f"/usr/share/no-such-{i}"); fails(os.unlink, f"no/such/{i}"); fails(os.listdir, f"/nowhere-{i}/x")
    fails(open, "plain"); fails(open, "closed/x"); fails(os.execv, "./noexec", ["x"]); fails(open, "/tmp/ro", "w"); fails(os.chdir, "closed")
    fails(os.chown, "noexec", 0, 0); fails(os.setuid, 0); fails(os.setgid, 0); fails(os.link, "d", f"hard-{i}"); fails(os.kill, 1, signal.SIGTERM)
    fails(socket.socket(socket.AF_UNIX).connect, "sock"); fails(socket.create_connection, ("127.0.0.1", port)); fails(socket.create_connection, ("::1", 1))
    fails(os.rmdir, "plain"); fails(os.mkdir, "d")
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fill():
    while True: kept.append(os.dup(0))
kept = []
big = os.open("big", os.O_CREAT | os.O_WRONLY)
for i in range(20):
    fails(fill); fails(open, "d/x", "w"); fails(os.pwrite, big, b"x", 5000); fails(os.ftruncate, big, 5000)    # limits, but its own
    while kept: os.close(kept.pop())
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
for i in range(20): fails(os.fork)
assert seen["ENOENT"] >= 250 and seen["EACCES"] >= 250 and seen["EPERM"] >= 200 and seen["ECONNREFUSED"] >= 150, seen
print(sum(seen.values()))
"""


@pytest.mark.parametrize("policy", ["default", "strict", "masks"])
def test_a_thousand_errors_that_are_not_ours_are_not_claimed(box, policy):
    masks = {"files": {"hide": ["never/looked/at"]}, "syscalls": {"deny": ["mq_open"]}}
    (box.base / "p.jsonc").write_text(json.dumps({"extends": policy} if policy != "masks" else masks))
    report = box.base / "report.json"
    done = subprocess.run([GLOVEBOX, "run", "--quiet", "--discard", "-p", box.base / "p.jsonc", "--report", report, "--", "/usr/bin/python3", "-c", NATURAL],
                          capture_output=True, text=True, timeout=DEADLINE, cwd=box.ws, env=box.env)
    assert done.returncode == 0 and int(done.stdout) >= 1000, done.stderr
    ours = [d for d in json.loads(report.read_text())["denials"] if "/pyvenv.cfg" not in d.get("subject", "")]
    assert ours == []


PATTERNS = {"files": {"hide": ["**/.env", "*.pem", "conf/secret*", "deep/**/key"]}}


def plant(ws):
    for path in ("a/.env", "a/b/x.pem", "conf/secret1", "conf/open", "k.pem/in", "plain", "deep/one/two/key", "sub/conf/secret-2", "new\nline/.env", ".env"):
        (ws / path).parent.mkdir(parents=True, exist_ok=True)
        (ws / path).write_text("s3cret\n")


def test_a_pattern_of_hide_takes_away_what_matches(box):
    plant(box.ws)
    done, report = run(box, PATTERNS, "find . -type f | sort; cat a/.env k.pem/in deep/one/two/key; mv a/.env x; ln a/b/x.pem y; cat < conf/secret1; echo mine > a/b/.env; cat a/b/.env")
    assert done.stdout.split() == ["./conf/open", "./plain", "mine"], done.stdout
    assert "s3cret" not in done.stdout + done.stderr
    assert {s for rule, s in denied(report) if rule == "files.hide"} >= {f"{box.ws}/a/.env", f"{box.ws}/k.pem/in", f"{box.ws}/deep/one/two/key"}


def test_what_the_owner_closed_is_not_opened_to_get_around_a_pattern(box):
    plant(box.ws)
    for p in (box.ws, *box.ws.rglob("*")):
        os.chown(p, 4321, 4321)
    os.chmod(box.ws / "a", 0)
    done, report = run(box, PATTERNS, "chmod 755 a; cat a/b/x.pem a/.env; ls")
    assert "s3cret" not in done.stdout and done.stdout.split() == ["conf", "deep", "new", "line", "plain", "sub"], done.stdout


def test_a_name_too_deep_to_be_told_is_not_shown(box):
    at = os.open(box.ws, os.O_RDONLY)
    for i in range(40):    # 40 names of 200 bytes: twice as long as a path may be
        os.mkdir("n" * 200, dir_fd=at)
        below = os.open("n" * 200, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open(".env", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    script = "import os\ndepth = 0\nwhile os.path.isdir('n' * 200):\n os.chdir('n' * 200); depth += 1\nprint(depth, os.listdir('.'))"
    (box.base / "p.json").write_text(json.dumps(PATTERNS))
    assert box.py(script).out == b"40 ['.env']\n"
    r = box.py(script, options=["-p", str(box.base / "p.json"), "--discard"])
    assert r.code == 0 and r.out.split()[1:] == [b"[]"] and int(r.out.split()[0]) < 20, r.out


def test_a_plain_name_in_a_pattern_holds_for_what_does_not_exist_yet(box):
    """Made outside, while the session is open: in every directory that there was."""
    (box.ws / "a" / "b").mkdir(parents=True)
    (box.base / "p.json").write_text(json.dumps(PATTERNS))
    d = Daemon(box, "--policy", f"hiding={box.base}/p.json")
    try:
        s = Session(d, policy="hiding")
        assert s.sh("true")["exit_code"] == 0
        plant(box.ws)
        assert s.sh("cat a/.env a/b/.env .env")["stdout"]["text"] == ""
        # what came later and has no plain name is seen until the session is opened again
        assert "s3cret" in s.sh("cat a/b/x.pem")["stdout"]["text"]
        d.stop()
        d.start()
        s.c = d.connect()
        assert s.sh("cat a/.env a/b/x.pem conf/secret1; cat conf/open")["stdout"]["text"] == "s3cret\n"
    finally:
        d.stop()


def test_more_names_than_can_be_taken_away_are_an_error(box):
    for i in range(140):
        (box.ws / f"d{i}").mkdir()
        for k in range(120):
            (box.ws / f"d{i}" / f"{k}.pem").touch()
    (box.base / "p.json").write_text(json.dumps(PATTERNS))
    r = box.run("touch", "ran", options=["-p", str(box.base / "p.json")])
    assert r.code == 125 and "match more than 16384 names" in r.err and "hide the directories" in r.err and box.sessions() == []
    (box.base / "p.json").write_text(json.dumps({"files": {"hide": ["d*"]}}))    # one for each directory
    assert box.sh("ls; echo x > d5", options=["-p", str(box.base / "p.json"), "--discard"]).out == b""


LIMITS = """
import ctypes, os, signal
def fails(f, *a):
    try: f(*a)
    except OSError: return
    raise SystemExit(f"{f} {a} did not fail")
kept = []
def fill():
    while True: kept.append(os.dup(0))
fails(fill); fails(open, "/etc/hosts")
for fd in kept: os.close(fd)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
big = os.open("big", os.O_CREAT | os.O_WRONLY)
fails(os.pwrite, big, b"x", 200 << 20); fails(os.ftruncate, big, 200 << 20)
def full():
    with open("/tmp/full", "wb", buffering=0) as g:
        while True: g.write(bytes(1 << 20))
fails(full); os.unlink("/tmp/full")
b = ctypes.create_string_buffer(4096)
assert ctypes.CDLL(None).mlock(b, 4096) == -1
def forks():
    for i in range(100):
        if os.fork() == 0: signal.pause()
fails(forks)
"""


def test_a_limit_that_was_met_is_explained_with_its_key(box):
    r = box.py(LIMITS, options=["--limit", "pids=30", "--limit", "file=100M", "--limit", "tmp=8M", "--limit", "open_files=64"])
    assert r.code == 0, r.err
    told = {(d["rule"], d["syscall"]): d for d in r.report["denials"]}
    assert {rule for rule, _ in told} == {"limits.open_files", "limits.file", "limits.tmp", "limits.memory", "limits.pids"}
    assert told["limits.file", "pwrite64"]["subject"] == f"{box.ws}/big" and told["limits.tmp", "write"]["subject"] == "/tmp/full"
    assert ("limits.open_files", "openat") in told and ("limits.pids", "clone") in told
    assert all(d["layer"] == "limits" and d["suggest"] for d in told.values())


def test_output_that_comes_too_fast_ends_the_call(box):
    fast = box.sh("while :; do head -c 100000 /dev/zero; done", options=["--limit", "output_rate=1M", "--limit", "output=1G"])
    assert fast.code == 137 and fast.report["outcome"] == "over_limit" and "output_rate" in fast.report["reason"]
    slow = box.sh("for i in 1 2 3 4 5 6; do head -c 100000 /dev/zero; sleep 0.2; done", options=["--limit", "output_rate=2M"])
    assert slow.code == 0 and slow.report["usage"]["output_bytes"] == 600000


def test_a_package_is_installed_in_a_layer_of_its_own(box):
    """files.overlay: dpkg works, the machine is untouched, and what not everybody may read is not there."""
    pkg = box.ws / "pkg"
    (pkg / "DEBIAN").mkdir(parents=True)
    (pkg / "usr" / "bin").mkdir(parents=True)
    (pkg / "DEBIAN" / "control").write_text("Package: hello-gb\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n")
    (pkg / "DEBIAN" / "postinst").write_text("#!/bin/sh\necho configured > /etc/hello-gb\n")
    (pkg / "usr" / "bin" / "hello-gb").write_text("#!/bin/sh\necho hello from a package\n")
    for p in (pkg / "DEBIAN" / "postinst", pkg / "usr" / "bin" / "hello-gb"):
        p.chmod(0o755)
    policy = {"root": True, "files": {"overlay": ["/usr", "/etc", "/var", "/no/such"]}}
    script = """dpkg-deb --root-owner-group -b pkg hello.deb >/dev/null; dpkg -i hello.deb >/dev/null; hello-gb; cat /etc/hello-gb
cat /etc/shadow; rm /usr/bin/perl; ls /usr/bin/perl; ls /var/tmp; dpkg -r hello-gb >/dev/null; ls /usr/bin/hello-gb
find /etc /var ! -perm /0004 ! -type l -readable 2>/dev/null | grep -v "^/var/lib/dpkg\\|^/var/tmp" """
    done, report = run(box, policy, script)
    assert done.stdout == "hello from a package\nconfigured\n", done.stdout + done.stderr
    assert ("files.overlay", "/etc/shadow") in denied(report) and not any(s == "/usr/bin/perl" for _, s in denied(report))
    assert os.path.exists("/usr/bin/perl") and not os.path.exists("/usr/bin/hello-gb") and not os.path.exists("/etc/hello-gb")
    assert all("/usr/" not in c["path"] for c in report["changes"])
    assert len(done.stderr.splitlines()) and box.ws.joinpath("pkg").exists()


def test_a_layer_above_the_system_is_not_for_a_plain_user(box):
    done, report = run(box, {"files": {"overlay": ["/usr", "/etc"]}}, "touch /usr/x /etc/x; cat /etc/gshadow; id -u")
    assert done.stdout == "1000\n" and "Permission denied" in done.stderr


def test_root_inside_is_told_that_it_has_no_capabilities(box):
    script = "touch f; chown 12:34 f; chown root f && echo own; python3 -c 'import os; os.setuid(5)'; su nobody -c true; python3 -c 'import os; os.setgroups([1])'"
    done, report = run(box, {"root": True}, script)
    told = {d["syscall"] for d in report["denials"] if d["layer"] == "capabilities"}
    assert "own\n" in done.stdout and "fchownat" in told and told & {"setresuid", "setreuid", "setuid"} and "setgroups" in told
    done, report = run(box, {}, script)
    assert not [d for d in report["denials"] if d["layer"] == "capabilities"]    # an ordinary user's ordinary errors


def test_an_agent_does_not_choose_a_looser_policy(box):
    """The owner made the default strict; what is built in is not an agent's to name."""
    own = box.base / "own.jsonc"
    own.write_text('{"extends": "strict"}')
    d = Daemon(box, "--policy", own, "--policy", f"ci={own}")
    try:
        agent = d.connect("agent")
        for name in ("open", "strict", "nobody"):
            with pytest.raises(Refused, match="started with"):
                agent.ask("session.create", workspace=str(box.ws), policy=name)
        with pytest.raises(Refused, match="operator|bring"):
            agent.ask("session.create", workspace=str(box.ws), policy_json={"syscalls": {"allow": ["ptrace"]}})
        for policy in ({}, {"policy": "default"}, {"policy": "ci"}):
            s = agent.ask("session.create", workspace=str(box.ws), **policy)["session"]
            shown = agent.ask("session.show", id=s)["policy"]
            assert shown["limits"]["pids"] == 64 and "mq_open" in shown["syscalls"]["deny"]
        assert d.connect("operator").ask("session.create", workspace=str(box.ws), policy="open")["session"]
    finally:
        assert d.stop() == 0


def test_hiding_a_link_hides_what_it_leads_to(box):
    data = box.base / "data"
    data.mkdir()
    (data / "real").write_text("SECRET")
    (data / "name").symlink_to("real")
    (data / "loop").symlink_to("loop")
    policy = {"files": {"read": [str(data)], "hide": [str(data / "name"), str(data / "loop")]}}
    done, report = run(box, policy, f"cat {data}/name; cat {data}/real; echo end")
    assert done.stdout == "end\n"


def test_a_denial_that_repeats_is_told_with_its_number(box):
    events, report = box.base / "events", box.base / "report"
    script = "import os\nfor i in range(2500):\n try: os.stat('/etc/shadow')\n except OSError: pass\nopen('/etc/gshadow') if 0 else None"
    done = subprocess.run([GLOVEBOX, "run", "--events", events, "--report", report, "--", "/usr/bin/python3", "-c", script],
                          cwd=box.ws, env=box.env, capture_output=True, text=True, timeout=DEADLINE)
    told = [e for e in map(json.loads, events.read_text().splitlines()) if e["kind"] == "denied" and e.get("path") == "/etc/shadow"]
    assert [e["count"] for e in told] == [1, 10, 100, 1000]
    assert [d["count"] for d in json.loads(report.read_text())["denials"] if d["subject"] == "/etc/shadow"] == [2500]
    assert done.stderr.count("/etc/shadow [files]") == 1


def learn(box, script, **policy):
    """The policy that is learned of one call, and the file it is in."""
    given = box.base / "given.json"
    given.write_text(json.dumps(policy))
    r = box.sh(script, options=["-p", str(given)])
    path = box.base / "learned.jsonc"
    path.write_text(glovebox(box, "policy", "learn", box.report_path).stdout)
    glovebox(box, "policy", "check", path)
    text = path.read_text()
    return r, json.loads("".join(line for line in text.splitlines() if not line.strip().startswith("//"))), text, path


@pytest.fixture
def outside():
    """A directory of the machine's that no session has of its own, as it has /tmp."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="glovebox-test-", dir="/srv"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_what_was_only_tried_is_not_learned(box, outside):
    secret = outside / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    r, learned, text, path = learn(box, f"cat {secret}; cat /var/log/../../{secret}/key; cat /boot; cat \"$(printf '/var/lib/a\\nb')\"; true")
    assert r.code == 0 and "read" not in learned["files"] and f'// denied, and left out: "{secret}"' in text
    assert box.sh(f"cat {secret}/key", options=["-p", str(path)]).code == 1


def test_what_the_default_does_not_show_is_learned_where_it_was_shown(box, outside):
    data = outside
    (data / "in" / "deep" / "er").mkdir(parents=True)
    (data / "in" / "deep" / "er" / "f").write_text("there\n")
    (data / "out").mkdir()
    (data / "out" / "g").write_text("more\n")
    (data / "one").write_text("one\n")
    r, learned, text, path = learn(box, f"cat {data}/in/deep/er/f {data}/one", files={"read": [f"{data}/in", f"{data}/out", f"{data}/one"]})
    assert r.code == 0 and learned["files"]["read"] == [f"{data}/in", f"{data}/one"] and not [x for x in learned["files"]["only"] if str(data) in x]
    again = box.sh(f"cat {data}/in/deep/er/f {data}/one; cat {data}/out/g", options=["-p", str(path)])
    assert again.out == b"there\none\n" and again.denied("openat")


def test_who_changes_nothing_learns_to_change_nothing(box):
    _, learned, text, path = learn(box, "echo x > 'a*'")
    assert learned["files"]["write"] == [] and 'no pattern has, and left out: "/a*"' in text
    assert "never committed" in glovebox(box, "policy", "explain", "-p", path, "src/evil.c").stdout


def test_more_names_than_a_policy_lists_are_learned_as_all(box):
    _, learned, text, path = learn(box, "i=0; while [ $i -lt 300 ]; do : > f$i; i=$((i+1)); done")
    assert learned["files"]["write"] == ["**"]


def test_to_narrow_what_is_not_shown_is_an_error(box):
    path = box.base / "p.json"
    path.write_text('{"files": {"only": ["/nonexist/x"]}}')
    said = glovebox(box, "policy", "check", path, code=1).stderr
    assert "/nonexist/x" in said and "files.read" in said


def test_a_policy_is_learned_from_what_was_seen(box):
    work = "import os, subprocess; open('o', 'w').close(); os.rename('o', 'p'); subprocess.run(['ls', '-l'])"
    first = box.py(work)
    second = box.sh("unshare -r true; cat /etc/hostname; true")
    reports = [box.base / "report1", box.base / "report2"]
    learned = glovebox(box, "policy", "learn", *reports).stdout
    assert learned == glovebox(box, "policy", "learn", *reports).stdout and "left out: unshare (1)" in learned and '// denied, and left out: "/etc/hostname"' in learned
    path = box.base / "learned.jsonc"
    path.write_text(learned)
    glovebox(box, "policy", "check", path)
    # what was seen is allowed; what was not seen is denied, and so is what was refused
    again = box.py(work, options=["-p", str(path)])
    assert again.code == 0 and again.report["denials"] == [] and [c["path"] for c in again.report["changes"]] == [c["path"] for c in first.report["changes"]]
    assert box.sh("cat /etc/hostname", options=["-p", str(path)]).code == 1
    other = box.py("import os; os.mkdir('d')", options=["-p", str(path)])
    assert other.code == 1 and other.denied("mkdir") and other.denied("mkdir")[0]["rule"] == "syscalls.profile"
    # of what is shown only where it read, of the workspace only what it wrote
    shown = json.loads("".join(line for line in learned.splitlines() if not line.startswith("//")))["files"]
    assert "/usr/lib/python3.11" in shown["only"] and "/usr" not in shown["only"] and shown["write"] == ["/p"]
    missing = box.py("import os; print(os.access('/usr/include', os.F_OK), os.access('/usr/lib/python3.11', os.F_OK))", options=["-p", str(path)])
    assert missing.out == b"False True\n", missing.err
    # of a session on disk, and what is none
    kept = glovebox(box, "policy", "learn", first.report["session"]).stdout
    assert '"rename"' in kept and first.report["session"] in kept.splitlines()[0]
    glovebox(box, "policy", "learn", "s-none", code=3)
    assert "is no report" in glovebox(box, "policy", "learn", path, code=1).stderr
    assert second.code == 0


def test_nothing_is_learned_where_nobody_counted(box):
    report = box.base / "r.json"
    report.write_text(json.dumps({"outcome": "exited", "session": "s-x", "call": 1, "syscalls": None, "denials": []}))
    assert "nobody counted" in glovebox(box, "policy", "learn", report, code=1).stderr


@pytest.mark.parametrize("only,left", [(["/usr/lib"], ["/usr/lib"]), (["/usr", "/etc/ssl/certs"], ["/etc/ssl/certs", "/usr"]), (["/usr/bin/env", "/lib"], ["/lib", "/usr/bin/env"]), ([], [])])
def test_only_is_what_two_lists_have_in_common(box, only, left):
    path = box.base / "p.jsonc"
    path.write_text(json.dumps({"files": {"only": only, "read": ["/srv/x"]}}))
    assert sorted(json.loads(glovebox(box, "policy", "show", path).stdout)["files"]["read"]) == sorted(["/srv/x", *left])


def test_only_says_what_is_wrong_with_it(box):
    path = box.base / "p.jsonc"
    for text, said in (('{"files": {"only": "x"}}', '"files.only" is a list'), ('{"files": {"only": [1]}}', "holds strings"), ('{"files": {"only": ["usr"]}}', "absolute")):
        path.write_text(text)
        assert said in glovebox(box, "policy", "check", path, code=1).stderr
