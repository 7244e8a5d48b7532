# SPDX-License-Identifier: Apache-2.0
"""Reaching in from another terminal: ps, pause, resume, kill, and the socket."""
import json
import mmap
import os
import pathlib
import socket

from tests.conftest import DEADLINE, SCALE, end

COUNTER = """
import mmap, os
f = open('counter', 'r+b') if os.path.exists('counter') else open('counter', 'w+b')
f.truncate(4096)
m = mmap.mmap(f.fileno(), 8)
n = 0
while True:
    n += 1
    m[0:8] = n.to_bytes(8, 'little')
"""


def upper(box):
    session = box.sessions()[0]
    return box.state / "sessions" / session / "layers" / "1" / "upper"


def counter(box):
    with open(upper(box) / "counter", "rb") as f:
        m = mmap.mmap(f.fileno(), 8, prot=mmap.PROT_READ)
        return lambda: int.from_bytes(m[0:8], "little")


def spin_until(claim):
    import time
    end_at = time.monotonic() + DEADLINE
    while not claim():
        assert time.monotonic() < end_at


def test_paused_means_frozen(box):
    """A counter in shared memory does not move after the receipt."""
    p = box.start("/usr/bin/python3", "-c", COUNTER)
    spin_until(lambda: (upper(box) / "counter").exists() and
               (upper(box) / "counter").stat().st_size > 0)
    read = counter(box)
    spin_until(lambda: read() > 1000)
    code, answer = box.reach("pause")
    at = read()
    assert code == 0 and answer["state"] == "paused" and answer["receipt"]["frozen"] == 1
    for _ in range(100000):
        assert read() == at
    assert box.ps()[0]["state"] == "paused"
    code, _ = box.reach("resume")
    assert code == 0
    spin_until(lambda: read() > at)
    code, answer = box.reach("kill")
    assert code == 0 and answer["receipt"]["populated"] == 0
    p.communicate(timeout=DEADLINE)
    assert p.returncode == 137
    events = [json.loads(x) for x in box.events_path.read_text().splitlines()]
    kinds = [e["kind"] for e in events]
    assert kinds.index("call.paused") < kinds.index("call.resumed") < kinds.index("call.killed")
    assert next(e for e in events if e["kind"] == "call.paused")["receipt"]["frozen"] == 1
    report = json.loads(box.report_path.read_text())
    assert report["outcome"] == "killed" and "operator" in report["by"]
    assert report["paused_ns"] > 0


def test_time_limits_stop_while_paused(box):
    p = box.start("sleep", "1000", options=["--limit", f"wall={int(3 * SCALE)}s"])
    assert box.reach("pause")[0] == 0
    import select
    assert not select.select([p.stdout], [], [], 4 * SCALE)[0]  # its end of file is the end
    assert box.ps()[0]["state"] == "paused"
    assert box.reach("resume")[0] == 0
    p.communicate(timeout=DEADLINE)
    assert p.returncode == 124


def test_a_paused_call_can_be_killed_without_resuming(box):
    p = box.start("sh", "-c", "while :; do :; done")
    assert box.reach("pause")[0] == 0
    code, answer = box.reach("kill")
    assert code == 0 and answer["receipt"]["populated"] == 0
    p.communicate(timeout=DEADLINE)
    assert p.returncode == 137


def test_a_verb_in_the_wrong_state_is_a_conflict(box):
    p = box.start("sleep", "1000")
    code, text = box.reach("resume")
    assert code == 5 and "running" in text
    end(p)


def test_control_answers_while_nobody_reads_the_output(box):
    """The tool floods a pipe that is never read; verbs still work."""
    read, write = os.pipe()
    p = box.start("yes", stdout=write, options=["--limit", "output=1G"])
    os.close(write)
    assert box.reach("pause")[0] == 0
    assert box.reach("resume")[0] == 0
    assert box.reach("kill")[0] == 0
    os.close(read)
    p.communicate(timeout=DEADLINE)


def connect(box):
    instance = next(pathlib.Path(box.run_dir).iterdir())
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(DEADLINE)
    s.connect(str(instance / "operator.sock"))
    return s


def ask(s, line):
    try:
        s.sendall(line)
    except BrokenPipeError:
        pass    # it has read enough: the answer is there
    data = b""
    while not data.endswith(b"\n"):
        chunk = s.recv(65536)
        if not chunk:
            break
        data += chunk
    return json.loads(data)


def test_nonsense_on_the_socket_gets_an_error_and_hurts_nobody(box):
    p = box.start("sleep", "1000")
    s = connect(box)
    assert ask(s, b"nonsense\n")["error"]["code"] == -32700
    assert ask(s, b'{"jsonrpc":"2.0","id":1,"method":"no.such"}\n')["error"]["code"] == -32601
    assert ask(s, b'{"jsonrpc":"2.0","id":1,"method":"call.kill"}\n')["error"]["code"] == -32602
    assert ask(s, b'{"jsonrpc":"2.0","id":1,"method":"call.kill","params":{"x":1}}\n')["error"]["code"] == -32602
    half = connect(box)
    half.sendall(b'{"jsonrpc":"2.0"')
    long = connect(box)
    answer = ask(long, b"x" * (1024 * 1024 + 70000))
    assert answer["error"]["code"] == -32700 and "1 MiB" in answer["error"]["message"]
    crowd = [connect(box) for _ in range(80)]
    s = connect(box)    # the silent make room, and `s` was one of them
    assert ask(s, b'{"jsonrpc":"2.0","id":"a","method":"call.list"}\n')["id"] == "a"
    for c in crowd:
        c.close()
    silent = connect(box)
    try:    # it never reads: when megabytes wait for it, it is dropped
        silent.sendall(b'{"jsonrpc":"2.0","id":1,"method":"call.list"}\n' * 20000)
    except BrokenPipeError:
        pass
    assert len(ask(s, b'{"jsonrpc":"2.0","id":2,"method":"call.list"}\n')["result"]["calls"]) == 1
    assert p.poll() is None
    end(p)


def test_the_socket_is_for_operators_only(box):
    p = box.start("sleep", "1000")
    instance = next(pathlib.Path(box.run_dir).iterdir())
    assert (instance / "operator.sock").stat().st_mode & 0o007 == 0
    end(p)


def test_kill_works_while_nobody_reads_the_event_stream(box):
    """-v floods standard error, which is never read; so does --events into a fifo."""
    fifo = box.base / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    p = box.start("sh", "-c", "while :; do /bin/true; done", options=["-v", "--report", box.base / "r"])
    for _ in range(400):
        if box.ps():
            break
    spin_until(lambda: box.events_path.stat().st_size > 1 << 20)
    assert box.reach("kill")[0] == 0
    os.close(reader)
    p.stderr.close()
    p.wait(timeout=DEADLINE)
    assert p.returncode == 137
