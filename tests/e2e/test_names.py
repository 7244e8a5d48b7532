# SPDX-License-Identifier: Apache-2.0
"""Untrusted names: paths, words, output and events with any byte stay what they are, and forge nothing."""
import json
import subprocess

from tests.conftest import DEADLINE, GLOVEBOX

# every one is a file, a word of argv and a piece of output
NAMES = [b"new\nline", b'{"kind":"call.done","exit_code":0}', b'a\n{"seq":1,"kind":"call.done"}\n', b"\x1b]0;title\x07", b"\x1b[2J\x1b[31m", b"\xff\xfe\x80", b"\xc3", b"\xed\xa0\x80",
         b"\xe2\x80\xae\xe2\x81\xa6gpj.exe", b"-rf", b"--", b"$(id)`id`;id", b"'\"\\", b" lead and trail ", b"x" * 255, b"\r\x08\x7f", b"\xc2\x9b31m", b"glovebox: denied", b"*?[a]"]

SCRIPT = r"""
import os, sys
names = [n for n in sys.argv[1:]]
for n in map(os.fsencode, names):
    with open(n, "wb") as f: f.write(n)
    os.mkdir(n[:200] + b".d"); os.symlink(n, n[:200] + b".l"); os.rename(n[:200] + b".l", n[:200] + b".m")
    os.chmod(n, 0o640); os.link(n, n[:200] + b".h"); os.unlink(n[:200] + b".h")
    try: open(b"/root/" + n)
    except OSError: pass
    os.write(1, n + b"\n"); os.write(2, n + b"\n")
    pid = os.fork()
    if pid == 0:
        os.chdir(n[:200] + b".d"); os.execv(b"/bin/true", [n, n])
    os.waitpid(pid, 0)
deep = b"d" * 200
for _ in range(19):
    os.mkdir(deep); os.chdir(deep)
open(b"f" * 100, "wb").close()
"""


def test_any_byte_in_a_name_is_one_event_valid_json_and_harmless_on_a_terminal(box):
    events, report = box.base / "events", box.base / "report"
    done = subprocess.run([str(GLOVEBOX).encode(), b"run", b"-v", b"-v", b"--events", bytes(events), b"--report", bytes(report), b"--", b"/usr/bin/python3", b"-c", SCRIPT.encode(), *NAMES],
                          cwd=box.ws, env=box.env, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(n + b"\n" for n in NAMES)    # the tool's own, as it is
    seen = [json.loads(line) for line in events.read_bytes().splitlines()]
    assert [e["seq"] for e in seen] == list(range(1, len(seen) + 1))
    assert sum(e["kind"] == "call.done" for e in seen) == 1

    def name(n):    # bytes that are not UTF-8 stay distinguishable
        return n.decode("utf-8", "surrogateescape")
    paths = {e.get("path") for e in seen}
    for n in NAMES:
        assert f"{box.ws}/{name(n)}" in paths, n
    argvs = [e["argv"] for e in seen if e["kind"] == "proc.exec"]
    assert all(any(a == [name(n), name(n)] for a in argvs) for n in NAMES)
    # what glovebox itself says: the tool's own bytes on standard error are the tool's
    ours = done.stderr
    for n in NAMES:
        ours = ours.replace(n + b"\n", b"", 1)
    for bad in (b"\x1b", b"\x07", b"\r", b"\x9b", b"\xe2\x80\xae", b"\x08"):
        assert bad not in ours
    r = json.loads(report.read_bytes())
    changed = {c["path"] for c in r["changes"]}
    assert all(f"{box.ws}/{name(n)}" in changed for n in NAMES)
    assert max(len(p) for p in changed) > 3900
    text = subprocess.run([GLOVEBOX, "changes", r["session"]], capture_output=True, timeout=DEADLINE, env=box.env).stdout
    assert b"\x1b" not in text and b"\x9b" not in text.replace(b"\\x9b", b"") and len(text.splitlines()) == len(r["changes"])
    again = subprocess.run([GLOVEBOX, "commit", r["session"]], capture_output=True, timeout=DEADLINE, env=box.env)
    assert again.returncode == 0, again.stderr
    for n in NAMES:
        with open(bytes(box.ws) + b"/" + n, "rb") as f:
            assert f.read() == n


def test_words_of_a_policy_and_a_command_are_told_escaped(box):
    policy = box.base / "p.json"
    policy.write_text(json.dumps({"files": {"hide": ["a\u001b[31m\nb"]}, "bad\u001b]0;x\u0007key": 1}))
    done = subprocess.run([GLOVEBOX, "run", "-p", policy, "--", "true"], cwd=box.ws, env=box.env, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 125 and b"\x1b" not in done.stderr and b"\\x1b" in done.stderr
    done = subprocess.run([GLOVEBOX, "run", "--", "no-such-\x1b[31m"], cwd=box.ws, env=box.env, capture_output=True, timeout=DEADLINE)
    assert done.returncode == 127 and b"\x1b" not in done.stderr
    done = subprocess.run([GLOVEBOX, "policy", "explain", "\x1b[31m", "/x\x1b[31m"], env=box.env, capture_output=True, timeout=DEADLINE)
    assert b"\x1b" not in done.stdout + done.stderr
