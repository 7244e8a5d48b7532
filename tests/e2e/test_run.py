# SPDX-License-Identifier: Apache-2.0
"""`glovebox run`: exit statuses, streams, the report, limits, bad input."""
import json
import os
import pty
import subprocess

import pytest

from tests.conftest import BUILD, DEADLINE, GLOVEBOX, ROOT, end, leftovers, wait_gone


def test_the_commands_own_exit_status_is_returned(box):
    assert box.sh("exit 37").code == 37


def test_a_command_ended_by_a_signal_returns_128_and_the_signal(box):
    r = box.sh("kill -TERM $$")
    assert r.code == 143
    assert r.report["outcome"] == "signaled" and r.report["signal"] == "SIGTERM"


def test_a_command_that_does_not_exist_returns_127(box):
    r = box.run("no-such-command")
    assert r.code == 127
    assert "not found" in r.err
    assert r.report["outcome"] == "failed_to_start" and r.report["stage"] == "exec"


def test_a_command_that_cannot_be_executed_returns_126(box):
    (box.ws / "data").write_text("x")
    assert box.run("./data").code == 126


def test_standard_output_is_the_tools_and_nothing_else(box):
    r = box.run("printf", r"a\000b\n")
    assert r.out == b"a\0b\n"


def test_standard_input_reaches_the_tool_to_its_end(box):
    big = b"0123456789abcdef" * 65536
    path = box.base / "in"
    path.write_bytes(big)
    with open(path, "rb") as f:
        r = box.run("sha256sum", stdin=f)
    import hashlib
    assert r.out.split()[0].decode() == hashlib.sha256(big).hexdigest()


def test_events_are_numbered_without_gaps_and_know_their_call(box):
    r = box.sh("true; echo x > f", options=["--agent-call-id", "toolu_01A"])
    assert [e["seq"] for e in r.events] == list(range(1, len(r.events) + 1))
    for e in r.events:
        if e["kind"].startswith(("proc.", "file.", "call.")):
            assert e["call"] == 1 and e["agent_call_id"] == "toolu_01A"
    assert r.kinds("call.started") and r.kinds("call.done")


def test_the_security_set_is_reported_with_absolute_paths(box):
    r = box.py("""
import os, signal, socket
os.mkdir('d'); os.chdir('d')
open('f', 'w').close(); os.rename('f', 'g'); os.link('g', 'h'); os.symlink('g', 's')
os.chmod('g', 0o600); os.truncate('g', 3); os.unlink('h')
try: os.chown('g', 1000, 1000)
except OSError: pass
os.kill(os.getpid(), 0)
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
c = socket.create_connection(s.getsockname())
""")
    at = f"{box.ws}/d"
    seen = {e["kind"]: e for e in r.events}
    assert seen["file.mkdir"]["path"] == at
    assert seen["file.create"]["path"] == f"{at}/f"
    assert seen["file.create"]["path_src"] == "kernel"
    assert (seen["file.rename"]["path"], seen["file.rename"]["to"]) == (f"{at}/f", f"{at}/g")
    assert (seen["file.link"]["path"], seen["file.link"]["to"]) == (f"{at}/g", f"{at}/h")
    assert (seen["file.symlink"]["path"], seen["file.symlink"]["target"]) == (f"{at}/s", "g")
    assert seen["file.chmod"]["path"] == f"{at}/g" and seen["file.chmod"]["mode"] == "0600"
    assert seen["file.truncate"]["size"] == 3
    assert seen["file.unlink"]["path"] == f"{at}/h"
    assert seen["file.chown"]["uid"] == 1000
    assert seen["proc.signal"]["syscall"] == "kill"
    assert seen["net.bind"]["addr"] == "127.0.0.1"
    assert seen["net.connect"]["addr"] == "127.0.0.1" and seen["net.connect"]["addr_src"] == "kernel"
    assert seen["proc.exec"]["exe"].startswith("/usr/bin/python3")
    assert seen["proc.exit"]["exit_code"] == 0


def test_looking_for_what_is_hidden_is_explained_and_an_ordinary_miss_is_not(box):
    r = box.sh("test -r /etc/shadow; stat /var/lib/dpkg; cat /etc/resolv.conf; ls /nonexistent; cd /root/.ssh; "
               "test -e nothing; test -e /usr/nothing; true")
    seen = {d["subject"]: d for d in r.report["denials"]}
    assert {"/etc/shadow", "/var/lib/dpkg", "/etc/resolv.conf"} <= set(seen)
    assert seen["/etc/resolv.conf"]["layer"] == "network"
    assert not {"/nonexistent", "/usr/nothing", f"{box.ws}/nothing"} & set(seen)


def test_every_system_call_is_counted(box):
    r = box.run("/usr/bin/python3", "-c", "import os\nfor i in range(5000): os.getppid()")
    assert r.report["syscalls"]["counts"]["getppid"] == 5000
    counts = r.report["syscalls"]
    assert sum(counts["counts"].values()) == counts["total"]


def test_delivered_and_lost_equal_the_kernels_counter_under_a_flood(box):
    r = box.run("/usr/bin/python3", "-c", """
import os
for i in range(100000):
    os.close(os.open('f', os.O_WRONLY | os.O_CREAT))
""")
    e = r.report["events"]
    assert e["emitted"] >= 100000
    assert e["emitted"] == e["delivered"] + e["lost"]
    assert sum(x["count"] for x in r.kinds("lost")) == e["lost"]


def test_the_report_has_everything_it_promises(box):
    r = box.sh("cat /etc/hosts > out; exit 3")
    want = {"schema", "session", "call", "tool", "argv", "outcome", "exit_code", "signal", "reason",
            "started", "duration_ns", "paused_ns", "usage", "changes", "syscalls", "processes",
            "connections", "denials", "killed_leftovers", "events", "protection"}
    assert want <= set(r.report)
    assert r.report["exit_code"] == 3 and r.report["protection"]["tier"] == "full"
    assert [c["change"] for c in r.report["changes"]] == ["added"]
    cat = [p for p in r.report["processes"] if p["argv"] == ["cat", "/etc/hosts"]]
    assert cat and cat[0]["exit_code"] == 0


def test_status_fd_tells_which_it_was(box):
    read, write = os.pipe()
    box.command("run", "--status-fd", write, "--workspace", box.ws, "--", "false", pass_fds=[write])
    os.close(write)
    assert json.loads(os.read(read, 4096))["outcome"] == "exited"
    os.close(read)


@pytest.mark.parametrize("option,script,outcome,limit", [
    ("wall=200ms", "sleep 30", "timed_out", "wall"),
    ("cpu=200ms", "while :; do :; done", "over_limit", "cpu"),
    ("output=1000", "yes", "over_limit", "output"),
    ("memory=32M", "exec /usr/bin/python3 -c 'x = bytearray(1 << 29)'", "over_limit", "memory"),
])
def test_a_limit_that_ends_a_call_says_so(box, option, script, outcome, limit):
    r = box.sh(script, options=["--limit", option])
    assert r.report["outcome"] == outcome
    assert r.code == (124 if outcome == "timed_out" else 137)
    assert [e["limit"] for e in r.kinds("limit")] == [limit]
    assert limit in r.report["reason"] or "--limit" in r.report["reason"]


def test_output_is_cut_at_its_limit_exactly(box):
    assert len(box.sh("yes", options=["--limit", "output=1000"]).out) == 1000


def test_open_files_and_pids_are_limited_without_ending_the_call(box):
    r = box.sh("ulimit -n", options=["--limit", "open_files=64"])
    assert r.out == b"64\n"


def test_root_inside_is_nobody_outside(box):
    r = box.sh("id -u; cat /proc/self/uid_map; grep CapEff /proc/self/status; echo x > f; ls -ln f", options=["--root"])
    lines = r.out.decode().splitlines()
    assert lines[0] == "0" and int(lines[1].split()[1]) >= 0x70010000
    assert lines[2].endswith("0000000000000000") and lines[3].split()[2] == "0"
    assert box.command("commit", box.sessions()[0]).returncode == 0


def test_the_workspace_can_be_shown_elsewhere(box):
    r = box.sh("pwd; echo x > f", options=["--at", "/workspace"])
    assert r.out == b"/workspace\n" and r.report["changes"][0]["path"] == "/workspace/f"


def test_the_environment_is_from_a_list(box):
    env = dict(box.env, SECRET="x", ANTHROPIC_API_KEY="k", LANG="C.UTF-8", LD_PRELOAD="")
    done = subprocess.run([GLOVEBOX, "run", "-q", "--env", "A=1", "--workspace", box.ws, "--", "env"],
                          env=env, capture_output=True, timeout=DEADLINE)
    names = {line.split("=")[0] for line in done.stdout.decode().splitlines()}
    assert {"PATH", "HOME", "LANG", "A"} <= names
    assert not names & {"SECRET", "ANTHROPIC_API_KEY", "LD_PRELOAD"}


def test_a_terminal_of_its_own(box):
    """An interactive program sees a terminal, with job control."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(box.env)
        os.execv(GLOVEBOX, ["glovebox", "run", "-q", "--tty", "--workspace", str(box.ws), "--", "sh",
                            "-c", "test -t 0 && tty && stty size && ps -o tty= -p $$ || echo no"])
    out = b""
    try:
        while chunk := os.read(master, 4096):
            out += chunk
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    assert b"/dev/pts/0" in out, out
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("words,code,text", [
    (["run", "--worksapce", "x", "--", "true"], 125, 'did you mean "--workspace"'),
    (["run", "--workspace", "/nonexistent", "--", "true"], 125, "/nonexistent"),
    (["run", "--workspace", "/", "--", "true"], 125, 'cannot be "/"'),
    (["run", "--workspace", "/etc/passwd", "--", "true"], 125, "not a directory"),
    (["run", "--workspace", "/usr", "--", "true"], 125, "--at"),
    (["run", "--limit", "memory=lots", "--", "true"], 125, "memory=lots"),
    (["run", "--limit", "memroy=1G", "--", "true"], 125, 'did you mean "memory"'),
    (["run", "--at", "relative", "--", "true"], 125, "--at"),
    (["run", "--at", "/x/..", "--", "true"], 125, "--at"),
    (["run", "--require", "everything", "--", "true"], 125, "--require"),
    (["run", "--status-fd", "99", "--", "true"], 125, "--status-fd"),
    (["run", "--events", "/nonexistent/x", "--", "true"], 125, "/nonexistent/x"),
    (["run"], 125, "COMMAND"),
    (["run", "--limit", "memory", "--", "true"], 125, "memory=2G"),
    (["run", "--events", "-", "--", "true"], 125, "standard output"),
    (["run", "--events", "x", "--report", "x", "--", "true"], 125, "same file"),
    (["session"], 2, "session list"),
    (["rum"], 2, 'did you mean "run"'),
    (["kill"], 2, "usage"),
    (["kill", "s-nothing"], 3, "s-nothing"),
    (["changes", "s-nothing"], 3, "s-nothing"),
])
def test_bad_input_gets_one_clear_sentence_and_leaves_nothing(box, words, code, text):
    done = box.command(*words)
    err = done.stderr.decode()
    assert done.returncode == code, err
    assert text in err
    assert err.count("\n") == 1
    assert box.sessions() == [] and not (box.run_dir.exists() and list(box.run_dir.iterdir()))


def test_without_bpf_it_runs_says_so_and_require_full_refuses(box):
    """bpf(2) refused, as container runtimes do."""
    nobpf = ["strace", "-f", "-o", "/dev/null", "-e", "inject=bpf:error=EPERM", str(GLOVEBOX)]
    done = subprocess.run([*nobpf, "run", "--workspace", box.ws, "--", "true"], env=box.env,
                          capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0 and b"nothing is watched" in done.stderr
    done = subprocess.run([*nobpf, "run", "--require", "full", "--workspace", box.ws, "--", "true"],
                          env=box.env, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 125 and b"--require full" in done.stderr
    assert box.sessions() == []


# One system call that this stage makes first, so that it is the one that fails.
STAGES = {
    "session directory": "mkdirat", "workspace": "mount_setattr", "devices": "mknodat",
    "pivot": "pivot_root", "landlock rules": "landlock_add_rule", "join": "unshare",
    "limits": "prlimit64", "keyring": "keyctl", "file descriptors": "setsid",
    "landlock": "landlock_restrict_self",
}


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_that_fails_ends_the_call_and_is_named(box, stage):
    inject = f"inject={STAGES[stage]}:error=EXDEV"
    words = box.words(["true"], [])
    done = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", inject, str(GLOVEBOX), *words],
                          env=box.env, capture_output=True, timeout=DEADLINE)
    err = done.stderr.decode()
    assert done.returncode == 125, err
    assert f'stage "{stage}"' in err and "Invalid cross-device link" in err, err
    assert box.sessions() == []
    assert not list(box.run_dir.iterdir())


def test_the_supervisor_has_no_capability_and_killing_it_kills_the_call(box):
    p = box.start("sleep", "1000")
    status = open(f"/proc/{p.pid}/status").read()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
    assert 0 not in [int(x) for x in fields["Uid"].split()]
    init = box.wait_event("call.started")["host_pid"]
    warden = [int(x) for x in open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()][0]
    end(p)
    wait_gone(init)
    wait_gone(warden)
    assert not list(box.run_dir.iterdir())


@pytest.mark.alone
def test_two_hundred_runs_leave_nothing(box):
    def count():
        fds = len(os.listdir("/proc/self/fd"))
        ns = len(subprocess.run(["lsns", "-n"], capture_output=True).stdout.splitlines())
        return fds, ns, leftovers()["mounts"], len(os.listdir("/tmp"))
    box.command("run", "-q", "--workspace", box.ws, "--", "true")
    before = count()
    for _ in range(200):
        done = box.command("run", "-q", "--workspace", box.ws, "--", "true")
        assert done.returncode == 0, done.stderr
    after = count()
    assert after == before
    assert box.sessions() == [] and not list(box.run_dir.iterdir())
    box.run("true")
    assert box.groups() == []


def test_ctrl_c_once_stops_and_twice_kills(box):
    import signal
    p = box.start("sh", "-c", "trap 'exit 9' INT; echo > ready; while :; do sleep 0.01; done")
    box.wait_event("file.create", p)
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=DEADLINE)
    assert p.returncode == 9
    p = box.start("sh", "-c", "trap 'echo > got' INT; echo > ready; while :; do sleep 0.01; done")
    box.wait_event("file.create", p)
    p.send_signal(signal.SIGINT)
    box.wait_file_created("got", p)
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=DEADLINE)
    assert p.returncode == 137


def test_doctor_performs_what_it_claims(box):
    done = box.command("doctor", "--json")
    doc = json.loads(done.stdout)
    assert done.returncode == 0 and doc["tier"] == "full", doc
    states = {c["check"]: c["state"] for c in doc["checks"]}
    for name in ("files.hidden", "calls.userns", "calls.foreign", "limits.memory", "limits.pids",
                 "watch.events", "watch.denials", "control.pause", "control.kill", "kill.leftovers"):
        assert states[name] == "ok"
