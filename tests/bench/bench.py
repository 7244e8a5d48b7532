# SPDX-License-Identifier: Apache-2.0
"""make bench: figures in ratios, measured side by side in one run.

Interleaved, medians: the machine is noisy and only ratios of neighbours mean
something. SHORT=1 runs fewer rounds. What cannot be measured says so.
"""
import json
import os
import pathlib
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
from tests.agent_loop import Glovebox  # noqa: E402: the path comes first
GLOVEBOX = ROOT / "build" / "glovebox"
SPAWN = ROOT / "build" / "stimuli" / "spawns_true"
LOOP = ROOT / "build" / "stimuli" / "loops_calls"
SHORT = bool(os.environ.get("SHORT"))
ROUNDS = 7 if SHORT else 40
REACH = {1: 5 if SHORT else 20, 100: 3 if SHORT else 10, 1000: 1 if SHORT else 5}


def quiet(argv, **kw):
    start = time.perf_counter()
    subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True, **kw)
    return time.perf_counter() - start


def table(title, rows):
    print(f"\n{title}")
    for row in rows:
        print("  " + "".join(f"{c:<38}" if i == 0 else f"{c:>14}" for i, c in enumerate(row)))


def latency(ws):
    ways = {
        "bare vfork+exec": [SPAWN, "1"],
        "bubblewrap --unshare-all": ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc",
                                     "--dev", "/dev", "/bin/true"],
        "glovebox run": [GLOVEBOX, "run", "-q", "--workspace", ws, "--", "/bin/true"],
    }
    if not shutil.which("bwrap"):
        print("bubblewrap is not installed: no comparison with it")
        del ways["bubblewrap --unshare-all"]
    times = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, argv in ways.items():
            times[name].append(quiet(argv))
    base = statistics.median(times["bare vfork+exec"])
    rows = [("way", "median ms", "ratio to bare", "p90 ms")]
    for name, t in times.items():
        rows.append((name, f"{statistics.median(t) * 1e3:.2f}", f"{statistics.median(t) / base:.1f}",
                     f"{sorted(t)[int(len(t) * 0.9) - 1] * 1e3:.2f}"))
    table("One command, start to exit (run includes loading the BPF programs)", rows)


class Daemon:
    """A daemon of the bench's own, and connections to it."""

    def __init__(self, env, root):
        self.path = pathlib.Path(env["GLOVEBOX_RUN"]) / "daemon" / "operator.sock"
        self.process = subprocess.Popen([GLOVEBOX, "daemon", "--root", root], env=env, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        assert b"listening" in self.process.stderr.readline()

    def connect(self, on_event=None):
        return Glovebox(str(self.path), on_event, timeout=600)

    def stop(self):
        self.process.terminate()
        self.process.communicate()


def in_a_session(env, base, ws):
    """From the request on the socket to the call.done event on the socket, in a session that is open."""
    d = Daemon(env, base)
    events = []
    c = d.connect(events.append)
    start = time.perf_counter()
    session = c.ask("session.create", workspace=str(ws))["session"]
    c.ask("events.subscribe", session=session, kinds=["call.done"])
    first, calls, bare, bwrap = None, [], [], []
    for _ in range(ROUNDS + 1):
        events.clear()
        begin = time.perf_counter()
        call = c.ask("call.start", session=session, argv=["/bin/true"])
        while not events:
            c.read()
        calls.append(time.perf_counter() - begin)
        first = first or time.perf_counter() - start
        c.ask("call.wait", id=call["id"])
        out = subprocess.run([SPAWN, "20"], capture_output=True, check=True).stdout
        bare.append(float(out.split()[0]) / 1e3)
        if shutil.which("bwrap"):
            bwrap.append(quiet(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev",
                                "/bin/true"]))
    d.stop()
    calls = calls[1:]
    m = statistics.median
    rows = [("way", "median ms", "ratio to bare", "to reach")]
    rows.append(("bare vfork+exec", f"{m(bare) * 1e3:.3f}", "1.0", ""))
    rows.append(("call in an open session", f"{m(calls) * 1e3:.3f}", f"{m(calls) / m(bare):.1f}", "2.5"))
    if bwrap:
        rows.append(("bubblewrap --unshare-all", f"{m(bwrap) * 1e3:.3f}", f"{m(bwrap) / m(bare):.1f}", ""))
        rows.append(("   call / bubblewrap", "", f"{m(calls) / m(bwrap):.2f}", "0.35"))
        rows.append(("   first call and its session / bwrap", f"{first * 1e3:.1f}", f"{first / m(bwrap):.1f}", "1.0"))
    table("A call by the daemon: request to call.done, both on the socket", rows)


def big_workspace(env, base):
    """Ten changes in a workspace of very many files: the list must not walk them."""
    d = Daemon(env, base)
    c = d.connect()
    rows = [("files in the workspace", "median ms", "lowest", "to reach")]
    for count in (1000, 20000 if SHORT else 1000000):
        ws = base / f"big{count}"
        for i in range(count // 1000):
            (ws / f"d{i}").mkdir(parents=True)
            for k in range(1000):
                os.close(os.open(ws / f"d{i}" / str(k), os.O_CREAT | os.O_WRONLY))
        session = c.ask("session.create", workspace=str(ws))["session"]
        call = c.ask("call.start", session=session, argv=["sh", "-c", "for i in 1 2 3 4 5; do echo x > d0/$i; echo y > new$i; done"])
        c.ask("call.wait", id=call["id"])
        times = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            assert len(c.ask("changes.list", id=session)["changes"]) == 10
            times.append((time.perf_counter() - begin) * 1e3)
        rows.append((str(count), f"{statistics.median(times):.2f}", f"{min(times):.2f}", "10"))
        c.ask("session.close", id=session, remove=True)
    d.stop()
    table("The change list of 10 changes, by the daemon", rows)


def memory_of(pid, field):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def memory(env, base, ws):
    sessions, calls = (100, 32) if SHORT else (1000, 256)
    d = Daemon(env, base)
    c = d.connect()
    before = memory_of(d.process.pid, "Rss")
    ids = [c.ask("session.create", workspace=str(ws), limits={"pids": 1000})["session"] for _ in range(sessions)]
    opened = memory_of(d.process.pid, "Rss")
    warden = open(f"/proc/{d.process.pid}/task/{d.process.pid}/children").read().split()
    keepers = [k for w in warden for k in open(f"/proc/{w}/task/{w}/children").read().split()]
    keeper = statistics.median(memory_of(k, "Pss") for k in keepers[:50])
    started = [c.ask("call.start", session=ids[i % 8], argv=["sleep", "10000"]) for i in range(calls)]
    while {x["state"] for x in c.ask("call.list")["calls"]} != {"running"}:
        select.select([], [], [], 0.02)
    running = memory_of(d.process.pid, "Rss")
    begin = time.perf_counter()
    receipt = c.ask("host.kill")["receipt"]
    killed = time.perf_counter() - begin
    for call in started:
        c.ask("call.wait", id=call["id"])
    d.stop()
    table("Memory (KiB)", [("what", "each", "to reach"),
                           (f"supervisor, each of {sessions} open sessions", f"{(opened - before) / sessions:.0f}", "256"),
                           (f"supervisor, each of {calls} running calls", f"{(running - opened) / calls:.0f}", "64"),
                           ("keeper of a session (Pss)", f"{keeper:.0f}", "")])
    print(f"  and one verb ended all {calls} of them ({receipt['processes']} processes) after {killed * 1e3:.0f} ms")


def loop(call, inside=None, env=None, cwd=None):
    argv = [*inside, "./loops_calls", call] if inside else [LOOP, call]
    return float(subprocess.run([str(a) for a in argv], capture_output=True, check=True, env=env, cwd=cwd, stdin=subprocess.DEVNULL).stdout)


def syscall_cost(env, base, ws):
    """In one run, in turns: processor time of a call, whose only work is to be made; the figures of DESIGN.md are of a machine where
    getppid(2) takes 94 ns, so they are compared as multiples of it."""
    shutil.copy(LOOP, ws / "loops_calls")
    inside = [GLOVEBOX, "run", "-q", "--discard", "--workspace", ws, "--report", base / "report", "--"]
    got = {k: [] for k in ("alone", "outside, a session open", "counted", "kill alone", "kill, an event", "kill, an event of a call that may lose none")}
    lost = []
    for _ in range(5 if SHORT else 15):
        got["alone"].append(loop("getppid"))
        got["kill alone"].append(loop("kill"))
        d = Daemon(env, base)
        session = d.connect().ask("session.create", workspace=str(ws))["session"]
        got["outside, a session open"].append(loop("getppid"))
        d.connect().ask("session.close", id=session, remove=True)
        d.stop()
        got["counted"].append(loop("getppid", inside, env, ws))
        got["kill, an event"].append(loop("kill", inside, env, ws))
        lost.append(json.loads((base / "report").read_text())["events"])
        got["kill, an event of a call that may lose none"].append(loop("kill", [*inside[:2], "--lossless", *inside[2:]], env, ws))
    med = {k: statistics.median(v) for k, v in got.items()}
    unit = med["alone"]
    rows = [("what", "ns", "added", "x getppid", "to reach")]
    for name, of, reach in (("outside, a session open", "alone", 60), ("counted", "alone", 100), ("kill, an event", "kill alone", 250),
                            ("kill, an event of a call that may lose none", "kill alone", 250)):
        added = med[name] - med[of]
        rows.append((name, f"{med[name]:.0f}", f"{added:.0f}", f"{added / unit:.2f}", f"{reach / 94:.2f}"))
    table(f"A system call (getppid alone: {unit:.0f} ns), the seccomp filter's cost included", rows)
    print(f"  of {sum(e['emitted'] for e in lost)} events {sum(e['lost'] for e in lost)} were lost, at {1e9 / med['kill, an event']:.0f} a second")


def tracers(env, ws):
    """The same loop of getppid() under each of them, on the wall clock: a tracer's own time is the program's wait."""
    shutil.copy(LOOP, ws / "loops_calls")
    few, many = ("3000", "100000") if SHORT else ("20000", "300000")
    with_tracefs = ["unshare", "-m", "sh", "-c", 'mount -t tracefs none /sys/kernel/tracing 2>/dev/null; exec "$@"', "sh"]
    inside = [GLOVEBOX, "run", "-q", "--discard", "--workspace", ws]
    loop = [ws / "loops_calls", "getppid"]
    bpftrace = [*with_tracefs, "bpftrace", "-c", f"{ws}/loops_calls getppid {many} wall", "-e"]
    ways = {
        "nothing": [*loop, many, "wall"],
        "glovebox, counted": [*inside, "--", "./loops_calls", "getppid", many, "wall"],
        "bpftrace, counted": [*bpftrace, "tracepoint:raw_syscalls:sys_exit /pid == cpid/ { @[args->id] = count(); }"],
        "perf trace -s, counted": [*with_tracefs, "perf", "trace", "-s", "-o", "/dev/null", *loop, many, "wall"],
        "strace -c, counted": ["strace", "-c", "-f", "-o", "/dev/null", *loop, few, "wall"],
        "glovebox --trace, whole events": [*inside, "--trace", "getppid", "--events", ws / ".." / "events", "--", "./loops_calls", "getppid", many, "wall"],
        "bpftrace, printed": [*bpftrace, 'tracepoint:raw_syscalls:sys_exit /pid == cpid/ { printf("%d %d\\n", args->id, args->ret); }'],
        "perf trace, printed": [*with_tracefs, "perf", "trace", "-o", "/dev/null", *loop, many, "wall"],
        "strace -f, printed": ["strace", "-f", "-o", "/dev/null", *loop, few, "wall"],
    }
    for name, argv in list(ways.items()):
        tool = next((t for t in ("bpftrace", "perf", "strace") if name.startswith(t)), None)
        if tool and not shutil.which(tool):
            print(f"{tool} is not installed: no comparison with it")
            del ways[name]
    took = {name: [] for name in ways}
    for _ in range(1 if SHORT else 5):
        for name, argv in ways.items():
            done = subprocess.run([str(a) for a in argv], capture_output=True, env=env, cwd=ws, stdin=subprocess.DEVNULL, timeout=300)
            took[name] += [float(x) for x in done.stdout.split(b"\n") if re.fullmatch(rb"\d+\.\d", x)][:1]
    base = statistics.median(took["nothing"])
    ours = {k: statistics.median(took[k]) - base for k in took if k.startswith("glovebox") and took[k]}
    rows = [("way", "ns a call", "added", "times ours")]
    for name, t in took.items():
        if not t:
            rows.append((name, "did not run", "", ""))
            continue
        added = statistics.median(t) - base
        mine = ours["glovebox, counted" if "counted" in name else "glovebox --trace, whole events"]
        rows.append((name, f"{statistics.median(t):.0f}", f"{added:.0f}", "" if name == "nothing" else f"{added / mine:.1f}"))
    table("Watching one system call, beside others (wall clock)", rows)


def real_build(env, base):
    """Glovebox's own library, built outside and inside, in turns."""
    ws = base / "project"
    subprocess.run(["git", "clone", "-q", ROOT, ws], check=True)
    what = "build/sandbox/jail.o build/sandbox/keeper.o build/supervisor/tally.o build/supervisor/text.o".split() if SHORT else ["build/libglovebox.a"]
    make = ["make", "-s", "-j2", *what]
    quiet([*make], cwd=ws, env=env)
    times = {"outside": [], "inside": []}
    lost = 0
    for _ in range(2 if SHORT else 5):
        for where, argv in (("outside", make), ("inside", [GLOVEBOX, "run", "-q", "--discard", "--limit", "wall=20m", "--limit", "cpu=20m", "--workspace", ws,
                                                           "--report", base / "report", "--", *make])):
            shutil.rmtree(ws / "build", ignore_errors=True)
            times[where].append(quiet(argv, cwd=ws, env=env))
        e = json.loads((base / "report").read_text())["events"]
        lost += e["lost"]
    m = {k: statistics.median(v) for k, v in times.items()}
    table("Building a real C project (this one), default watching", [
        ("where", "median s", "ratio", "to reach"), ("outside", f"{m['outside']:.2f}", "1.00", ""),
        ("inside", f"{m['inside']:.2f}", f"{m['inside'] / m['outside']:.3f}", "1.05")])
    print(f"  {e['emitted']} records in the last one, {lost} lost in all")


def brake(env, ws):
    """A flood with and without the brake."""
    shutil.copy(ROOT / "build" / "stimuli" / "floods", ws / "floods")
    rows = [("mode", "median s", "ratio", "lost of")]
    times = {"fast": [], "lossless": []}
    events = {}
    for _ in range(2 if SHORT else 7):
        for mode, options in (("fast", []), ("lossless", ["--lossless"])):
            times[mode].append(quiet([GLOVEBOX, "run", "-q", "--discard", "--workspace", ws, "--report", ws / ".." / "report", *options, "--",
                                      "./floods", "4", "15000", "deep"], cwd=ws, env=env))
            events[mode] = json.loads((ws / ".." / "report").read_text())["events"]
    for mode, t in times.items():
        rows.append((mode, f"{statistics.median(t):.2f}", f"{statistics.median(t) / statistics.median(times['fast']):.2f}",
                     f"{events[mode]['lost']} of {events[mode]['emitted']}"))
    table("A flood of records of four kilobytes, four processes", rows)


def receipts(env, ws):
    def spread(values):
        return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
    rows = [("processes", "pause ms", "", "kill ms", "", "rounds", "killed")]
    events = ws / ".." / "events"
    for n, rounds in REACH.items():
        pauses, kills, count = [], [], 0
        for _ in range(rounds):
            events.unlink(missing_ok=True)
            p = subprocess.Popen([GLOVEBOX, "run", "-q", "--workspace", ws, "--limit", "pids=1100",
                                  "--events", events, "--", "/usr/bin/python3", "-c", f"""
import os, time
for _ in range({n} - 1):
    if os.fork() == 0:
        while True: time.sleep(1000)
open('ready', 'w').close()
while True: time.sleep(1000)
"""], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while not (events.exists() and "/ready" in events.read_text()):
                assert p.poll() is None, p.stderr.read()
                select.select([], [], [], 0.01)
            for verb, into in (("pause", pauses), ("kill", kills)):
                out = subprocess.run([GLOVEBOX, verb, "--json", "s-"], env=env, capture_output=True,
                                     check=True).stdout
                receipt = json.loads(out)["receipt"]
                into.append(receipt["ns"] / 1e6)
            count = receipt["processes"]
            p.communicate()
            session = next((pathlib.Path(env["GLOVEBOX_STATE"]) / "sessions").iterdir()).name
            quiet([GLOVEBOX, "discard", session], env=env)
        rows.append((str(n), spread(pauses), "", spread(kills), "", str(rounds), str(count)))
    table("Receipts: request to frozen 1, and then to populated 0: median (lowest-highest)", rows)


def main():
    if os.geteuid() != 0:
        sys.exit("bench: this needs root")
    base = pathlib.Path(tempfile.mkdtemp(prefix="glovebox-bench.", dir="/tmp"))
    run = pathlib.Path(f"/run/gbb-{os.getpid()}")
    env = dict(os.environ, GLOVEBOX_RUN=str(run), GLOVEBOX_STATE=str(base / "state"))
    os.environ.update(env)
    ws = base / "ws"
    ws.mkdir()
    os.chmod(base, 0o755)
    try:
        print(f"kernel {os.uname().release}, {os.cpu_count()} cpus, {ROUNDS} rounds, interleaved")
        latency(ws)
        in_a_session(env, base, ws)
        big_workspace(env, base)
        memory(env, base, ws)
        syscall_cost(env, base, ws)
        tracers(env, ws)
        real_build(env, base)
        brake(env, ws)
        receipts(env, ws)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)


main()
