# SPDX-License-Identifier: Apache-2.0
"""make bench: figures in ratios, measured side by side in one run.

Interleaved, medians: the machine is noisy and only ratios of neighbours mean
something. SHORT=1 runs fewer rounds. What cannot be measured says so.
"""
import json
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
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


def inside(env, ws):
    """From the request to the end of the tool, as the supervisor measured it in a session that is
    open: the part of `run` that a second call repeats."""
    report = ws / ".." / "report"
    times, bare = [], []
    for _ in range(ROUNDS):
        quiet([GLOVEBOX, "run", "-q", "--workspace", ws, "--report", report, "--", "/bin/true"], env=env)
        times.append(json.loads(report.read_text())["duration_ns"] / 1e6)
        out = subprocess.run([SPAWN, "20"], capture_output=True, check=True).stdout
        bare.append(float(out.split()[0]))
    ratio = statistics.median(times) / statistics.median(bare)
    table("A call in an open session (request to the tool's end, by its report)",
          [("way", "median ms", "ratio to bare"), ("bare vfork+exec", f"{statistics.median(bare):.3f}", "1.0"),
           ("call", f"{statistics.median(times):.3f}", f"{ratio:.1f}")])


def syscall_cost(env, ws):
    shutil.copy(LOOP, ws / "loops_calls")
    costs = {k: [] for k in ("getppid outside", "getppid inside")}
    for _ in range(5 if SHORT else 15):
        for call in ("getppid",):
            out = subprocess.run([LOOP, call], capture_output=True, check=True, cwd=ws).stdout
            costs[f"{call} outside"].append(float(out))
            out = subprocess.run([GLOVEBOX, "run", "-q", "--discard", "--workspace", ws, "--",
                                  "./loops_calls", call], capture_output=True, check=True, env=env,
                                 stdin=subprocess.DEVNULL).stdout
            costs[f"{call} inside"].append(float(out))
    med = {k: statistics.median(v) for k, v in costs.items()}
    table("A call that is counted (getppid; ns of processor time, the filter's cost included)",
          [("outside", "inside", "added"),
           (f"{med['getppid outside']:.0f}", f"{med['getppid inside']:.0f}",
            f"{med['getppid inside'] - med['getppid outside']:.0f}")])
    out = {}
    for where in ("outside", "inside"):
        argv = [LOOP, "fchmod"] if where == "outside" else [
            GLOVEBOX, "run", "-q", "--discard", "--workspace", ws, "--report", ws / ".." / "report",
            "--", "./loops_calls", "fchmod"]
        out[where] = statistics.median(
            float(subprocess.run(argv, capture_output=True, check=True, env=env, cwd=ws,
                                 stdin=subprocess.DEVNULL).stdout) for _ in range(3 if SHORT else 7))
    events = json.loads((ws / ".." / "report").read_text())["events"]
    table("A call that is reported as an event (fchmod)",
          [("outside ns", "inside ns", "added ns", "lost of"),
           (f"{out['outside']:.0f}", f"{out['inside']:.0f}", f"{out['inside'] - out['outside']:.0f}",
            f"{events['lost']} of {events['emitted']}")])


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
    try:
        print(f"kernel {os.uname().release}, {os.cpu_count()} cpus, {ROUNDS} rounds, interleaved")
        latency(ws)
        inside(env, ws)
        syscall_cost(env, ws)
        receipts(env, ws)
    finally:
        shutil.rmtree(base, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)


main()
