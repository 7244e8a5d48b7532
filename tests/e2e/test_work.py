# SPDX-License-Identifier: Apache-2.0
"""Real work under the default policy: a sandbox that breaks tools is switched off."""
import json
import shutil
import subprocess

from tests.conftest import DEADLINE, GLOVEBOX


def work(box, script, *options):
    report = box.base / "report.json"
    done = subprocess.run([GLOVEBOX, "run", "--quiet", "--discard", "--report", report, *options, "--", "bash", "-euc", script],
                          cwd=box.ws, env=box.env, capture_output=True, text=True, timeout=DEADLINE)
    return done, json.loads(report.read_text())


def works(box, script, *options):
    done, report = work(box, script, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    # whatever was refused on the way, the work did not need it, and no system call of it was the profile's
    assert not [d for d in report["denials"] if d["layer"] == "seccomp" and d["syscall"] not in ("socket", "ptrace", "personality", "mbind", "set_mempolicy", "get_mempolicy")], report["denials"]
    return done.stdout


def needs(*programs):
    for program in programs:
        assert shutil.which(program), f"{program} is missing: scripts/packages test installs it"


def test_git_clones_commits_and_rebases(box):
    needs("git")
    out = works(box, """
git init -q -b main repo; cd repo; git config user.email a@b; git config user.name n
echo 1 > a; git add a; git commit -qm one; git checkout -qb side; echo 2 > b; git add b; git commit -qm two
git checkout -q main; echo 3 > c; git add c; git commit -qm three; git rebase -q main side
cd ..; git clone -q repo copy; git -C copy log --oneline | wc -l; git -C repo gc -q; git -C copy fsck --strict --no-dangling && echo sound""")
    assert out.split() == ["3", "sound"]


def test_gcc_and_make_build_in_parallel(box):
    out = works(box, r"""
for i in 1 2 3 4 5 6; do printf 'int f%s(void){return %s;}\n' $i $i > f$i.c; done
printf 'int f3(void);int main(){return f3()-3;}\n' > main.c
printf 'x: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O2 -g -c $< -o $@\n' > Makefile
make -s -j4; ./x && echo built""")
    assert out.split() == ["built"]


def test_python_has_virtual_environments_and_processes(box):
    out = works(box, """
/usr/bin/python3 -m venv v; v/bin/python -c 'import sys; print(sys.prefix)'; v/bin/pip --version | cut -d' ' -f1
/usr/bin/python3 - <<'P'
import concurrent.futures, multiprocessing, socket, tempfile, threading
with multiprocessing.Pool(2) as p: print(sum(p.map(abs, [-1, -2])))
with concurrent.futures.ThreadPoolExecutor() as p: print(sum(p.map(abs, [-3, -4])))
s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname()); print('loopback')
P""")
    assert out.split() == [f"{box.ws}/v", "pip", "3", "7", "loopback"]


def test_node_and_npm_work_offline(box):
    needs("node", "npm")
    out = works(box, """
node -e 'console.log(require("os").cpus().length > 0, 6*7)'
mkdir dep; (cd dep; npm init -y >/dev/null; echo 'module.exports = 7' > index.js); npm init -y >/dev/null
npm install --offline --no-audit --no-fund ./dep >/dev/null; node -e 'console.log(require("dep"))'""")
    assert out.split() == ["true", "42", "7"]


def test_small_tools_work(box):
    needs("sqlite3", "ssh-keygen", "perl")
    out = works(box, """
mkdir d; echo x > d/f; chmod 750 d; touch -d 2001-01-01 d/f; tar czf t.tgz d; mkdir u; tar xzf t.tgz -C u; diff -r d u/d; stat -c %a u/d
ssh-keygen -q -t ed25519 -N '' -f k; ssh-keygen -lf k.pub | cut -c1-3
sqlite3 d.db 'pragma journal_mode=wal; create table t(a); insert into t values(7); select * from t'
perl -e 'print "perl\n"'; sort -R t.tgz | wc -c >/dev/null; xargs --version | head -c5; echo; mkfifo p; (echo fifo > p &); cat p; flock l echo locked; timeout 5 true; nice -n 5 echo nice""")
    assert out.split() == ["750", "256", "wal", "7", "perl", "xargs", "fifo", "locked", "nice"]


def test_debuggers_work_where_the_policy_allows_them(box):
    needs("strace", "gdb")
    policy = box.base / "p.jsonc"
    policy.write_text('{ "syscalls": { "allow": ["ptrace", "process_vm_readv"] } }')
    out = works(box, r"""
printf 'int f(int a){return a*7;}\nint main(){return f(6)!=42;}\n' > x.c; gcc -g -O0 -o x x.c
gdb -batch -nx -ex 'break f' -ex run -ex 'print a' -ex continue ./x 2>/dev/null | grep -E '^\$1|exited'
strace -f -o t -e trace=execve sh -c 'true; /bin/true'; grep -c execve t""", "--policy", policy)
    assert out.startswith("$1 = 6\n") and "exited normally" in out and out.split()[-1] == "2"


def test_a_debugger_is_told_why_it_does_not_work_elsewhere(box):
    needs("strace")
    done, report = work(box, "strace -c true")
    assert done.returncode != 0
    d = next(d for d in report["denials"] if d["syscall"] == "ptrace")
    assert d["rule"] == "syscalls.default" and d["suggest"] == 'syscalls.allow: ["ptrace"]'


def test_sudo_fails_with_a_clear_message(box):
    needs("sudo")
    done, _ = work(box, "sudo -n true")
    assert done.returncode == 1 and "no new privileges" in done.stderr
