# SPDX-License-Identifier: Apache-2.0
"""Runs the real binary in places of its own, and looks at what is left."""
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import time

import pytest

from tests.agent_loop import Glovebox

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
GLOVEBOX = BUILD / "glovebox"
# Deadlines are only there so that a hang fails; a slow machine stretches them.
# The path of a socket holds 107 bytes: short.
RUN_BASE = pathlib.Path("/run" if os.geteuid() == 0 else os.environ["XDG_RUNTIME_DIR"])
SCALE = float(os.environ.get("GLOVEBOX_TEST_SCALE", "1"))
DEADLINE = 60 * SCALE


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: counts what is on the machine, so nothing else may run beside it")


class Result:
    def __init__(self, done, report, events):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode(errors="replace")
        self.report = report
        self.events = events

    def kinds(self, kind):
        return [e for e in self.events if e["kind"] == kind]

    def denied(self, syscall):
        return [d for d in (self.report or {}).get("denials", []) if d["syscall"] == syscall]


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def read_lines(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


class Box:
    """One workspace, and instances that no other test sees."""

    def __init__(self, base, prefix=()):
        self.base = base
        self.program = [*prefix, str(GLOVEBOX)]
        self.ws = base / "ws"
        self.ws.mkdir()
        self.run_dir = RUN_BASE / f"gbt-{os.getpid()}-{base.name[-12:]}"
        self.state = base / "state"
        self.env = dict(os.environ, GLOVEBOX_RUN=str(self.run_dir), GLOVEBOX_STATE=str(self.state))
        self.count = 0

    def command(self, *words, **kw):
        return subprocess.run([*self.program, *map(str, words)], env=self.env, capture_output=True,
                              timeout=DEADLINE, stdin=kw.pop("stdin", subprocess.DEVNULL),
                              cwd=kw.pop("cwd", self.ws), **kw)

    def words(self, argv, options):
        self.count += 1
        self.events_path = self.base / f"events{self.count}"
        self.report_path = self.base / f"report{self.count}"
        return ["run", "--workspace", str(self.ws), "--events", str(self.events_path), "--report",
                str(self.report_path), *options, "--", *map(str, argv)]

    def run(self, *argv, options=(), **kw):
        done = self.command(*self.words(argv, options), **kw)
        return Result(done, read_json(self.report_path), read_lines(self.events_path))

    def sh(self, script, options=(), **kw):
        return self.run("sh", "-c", script, options=options, **kw)

    def py(self, script, options=(), **kw):
        """A Python attacker; what it prints is JSON."""
        return self.run("/usr/bin/python3", "-c", script, options=options, **kw)

    def start(self, *argv, options=(), **kw):
        """In the background; returns when the call runs."""
        p = subprocess.Popen([*self.program, *self.words(argv, options)], env=self.env,
                             stdin=subprocess.DEVNULL, stdout=kw.pop("stdout", subprocess.PIPE),
                             stderr=subprocess.PIPE, cwd=self.ws, **kw)
        self.wait_event("call.started", p)
        return p

    def wait_event(self, kind, process=None):
        """Until the stream has an event of this kind."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            if self.events_path.exists():
                for line in self.events_path.read_text().splitlines():
                    try:
                        event = json.loads(line)
                    except json.JSONDecodeError:
                        break
                    if event["kind"] == kind:
                        return event
            if process and process.poll() is not None:
                raise AssertionError(f"ended with {process.returncode}: {process.stderr.read()}")
            select.select([], [], [], 0.005)
        raise AssertionError(f"no {kind} in the stream")

    def wait_file_created(self, name, process):
        """Until the tool has made a file of this name."""
        end = time.monotonic() + DEADLINE
        while f'/{name}"' not in self.events_path.read_text():
            assert time.monotonic() < end and process.poll() is None
            select.select([], [], [], 0.005)

    def ps(self):
        return json.loads(self.command("ps", "--json").stdout)["calls"]

    def sessions(self):
        path = self.state / "sessions"
        return sorted(p.name for p in path.iterdir()) if path.exists() else []

    def groups(self):
        """Control groups that sessions of this box have left."""
        ids = set()
        for path in self.base.glob("events*"):
            ids |= {json.loads(x)["session"] for x in path.read_text().splitlines()[:1]}
        assert ids
        return leftovers(ids)["groups"]

    def reach(self, verb, name="s-"):
        done = self.command(verb, "--json", name)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr.decode()


class Daemon:
    """A daemon in a box, and connections to it."""

    def __init__(self, box, *options):
        self.box = box
        self.options = options
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.box.program, "daemon", "--root", str(self.box.base), *map(str, self.options)],
            env=self.box.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.said = self.process.stderr.readline().decode()
        assert "listening" in self.said, self.said + self.process.stderr.read().decode()

    def connect(self, role="operator", **kw):
        path = self.box.run_dir / "daemon" / f"{role}.sock"
        return Glovebox(str(path), timeout=DEADLINE, **kw)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=DEADLINE)
        self.process.stderr.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=DEADLINE)
        self.process.stderr.close()
        return self.process.returncode


class Session:
    """A session of a daemon, on the box's workspace."""

    def __init__(self, daemon, role="operator", **params):
        self.events = []
        self.c = daemon.connect(role, on_event=self.events.append)
        params.setdefault("workspace", str(daemon.box.ws))
        made = self.c.ask("session.create", **params)
        self.id = made["session"]
        self.protection = made["protection"]
        self.root = made["at"]

    def start(self, *argv, **params):
        return self.c.ask("call.start", session=self.id, argv=list(map(str, argv)), **params)

    def wait(self, call, **params):
        return self.c.ask("call.wait", id=call["id"] if isinstance(call, dict) else call, **params)

    def run(self, *argv, **params):
        return self.wait(self.start(*argv, **params))

    def sh(self, script, **params):
        return self.run("sh", "-c", script, **params)

    def changes(self, call=None):
        listed = self.c.ask("changes.list", id=f"{self.id}.{call}" if call else self.id)["changes"]
        return {c["path"][len(self.root) + 1:]: c["change"] for c in listed}

    def until(self, kind, call=None):
        """Reads until an event of this kind has come (events.subscribe comes first)."""
        at = 0
        while True:
            for event in self.events[at:]:
                if event["kind"] == kind and call in (None, event.get("call")):
                    return event
            at = len(self.events)
            self.c.read()


@pytest.fixture
def daemon(box):
    d = Daemon(box)
    yield d
    d.stop()


@pytest.fixture
def box(tmp_path):
    b = Box(tmp_path)
    yield b
    for session in b.sessions():    # pytest's own cleaning is recursive, and trees here are deep
        b.command("discard", session, cwd="/")
    shutil.rmtree(b.run_dir, ignore_errors=True)


def leftovers(sessions=None):
    """What of ours the machine holds: groups (of these sessions, or all) and mounts."""
    groups = []
    for base in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory",
                 "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu"):
        top = pathlib.Path(base) / "glovebox"
        try:    # the last session of anybody here removes it
            groups += [str(p) for p in top.iterdir() if p.is_dir() and (sessions is None or p.name in sessions)]
        except FileNotFoundError:
            pass
    mounts = [line for line in open("/proc/self/mountinfo") if "/gbt-" in line]
    return {"groups": sorted(groups), "mounts": mounts}


def wait_gone(pid):
    """Until a process that is not our child has ended."""
    try:
        fd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        return
    if fd is not None:
        assert select.select([fd], [], [], DEADLINE)[0], f"{pid} still lives"
        os.close(fd)
        return
    end = time.monotonic() + DEADLINE
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
        select.select([], [], [], 0.005)
    assert not os.path.exists(f"/proc/{pid}"), f"{pid} still lives"


def end(process, sig=signal.SIGKILL):
    process.send_signal(sig)
    process.communicate(timeout=DEADLINE)
