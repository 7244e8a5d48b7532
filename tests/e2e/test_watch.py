# SPDX-License-Identifier: Apache-2.0
"""What is told of system calls: each call of the set once, with its numbers, succeeded, failed or denied."""
import collections
import json
import shutil

import pytest

from tests.conftest import BUILD

# name, number on x86-64, arguments (Python, inside the tool), named numbers that must be told, and what must come of it under the policy
# `open`: "ok", the name of an errno, or "denied" (by the profile)
CALLS = [
    ("socket", 41, "2, 1, 0", {"family": 2, "type": 1, "protocol": 0}, "ok"),
    ("socket", 41, "40, 1, 0", {}, "denied"),
    ("socketpair", 53, "1, 1, 0, buf", {"family": 1, "type": 1}, "ok"),
    ("listen", 50, "s, 7", {}, "ok"),
    ("listen", 50, "-1, 7", {"fd": -1, "backlog": 7}, "EBADF"),
    ("memfd_create", 319, "b'x', 1", {"flags": 1}, "ok"),
    ("prctl", 157, "4, 1, 0, 0, 0", {"option": 4, "arg2": 1}, "ok"),
    ("prctl", 157, "36, 1, 0, 0, 0", {"option": 36}, "ok"),
    ("seccomp", 317, "99, 0, 0", {"operation": 99}, "EINVAL"),
    ("setns", 308, "-1, 0", {"fd": -1, "nstype": 0}, "denied"),
    ("unshare", 272, "0x10000000", {}, "denied"),
    ("setuid", 105, "0", {"uid": 0}, "EPERM"),
    ("setgid", 106, "0", {"gid": 0}, "EPERM"),
    ("setreuid", 113, "1000, 1000", {"ruid": 1000, "euid": 1000}, "ok"),
    ("setregid", 114, "1000, -1", {"rgid": 1000, "egid": -1}, "ok"),
    ("setresuid", 117, "-1, -1, 0", {"ruid": -1, "suid": 0}, "EPERM"),
    ("setresgid", 119, "1000, 1000, 1000", {"sgid": 1000}, "ok"),
    ("setfsuid", 122, "1000", {"fsuid": 1000}, "ok"),
    ("setfsgid", 123, "1000", {"fsgid": 1000}, "ok"),
    ("setgroups", 116, "0, 0", {"size": 0}, "EPERM"),
    ("capset", 126, "0, 0", {}, "EFAULT"),
    ("setxattr", 188, "b'file', b'user.a', b'1', 1, 0", {"size": 1, "flags": 0}, "ok"),
    ("lsetxattr", 189, "b'file', b'user.b', b'1', 1, 2", {"flags": 2}, "ENODATA"),
    ("fsetxattr", 190, "f, b'user.c', b'1', 1, 0", {"size": 1}, "ok"),
    ("removexattr", 197, "b'file', b'user.a'", {}, "ok"),
    ("lremovexattr", 198, "b'missing', b'user.a'", {}, "ENOENT"),
    ("fremovexattr", 199, "f, b'user.none'", {}, "ENODATA"),
    ("utimensat", 280, "-100, b'file', 0, 0", {"flags": 0}, "ok"),
    ("mount", 165, "b'none', b'mnt', b'tmpfs', 0, 0", {}, "denied"),
    ("umount2", 166, "b'mnt', 2", {}, "denied"),
    ("pivot_root", 155, "b'mnt', b'mnt'", {}, "denied"),
    ("chroot", 161, "b'mnt'", {}, "denied"),
    ("open_tree", 428, "-100, b'mnt', 1", {}, "denied"),
    ("move_mount", 429, "-1, b'', -100, b'mnt', 4", {}, "denied"),
    ("fsopen", 430, "b'tmpfs', 0", {}, "denied"),
    ("name_to_handle_at", 303, "-100, b'file', buf, buf, 0", {}, "denied"),
    ("open_by_handle_at", 304, "-100, buf, 0", {}, "denied"),
    ("pidfd_open", 434, "os.getpid(), 0", {"flags": 0}, "ok"),
    ("pidfd_open", 434, "-1, 0", {"target": -1}, "EINVAL"),
    ("personality", 135, "0xffffffff", {"persona": -1}, "ok"),
    ("bpf", 321, "5, 0, 0", {}, "denied"),
    ("perf_event_open", 298, "0, 0, -1, -1, 0", {}, "denied"),
    ("finit_module", 313, "-1, 0, 0", {}, "denied"),
    ("delete_module", 176, "b'x', 0", {}, "denied"),
    ("kexec_load", 246, "0, 0, 0, 0", {}, "denied"),
    ("io_uring_setup", 425, "8, buf", {}, "denied"),
    ("userfaultfd", 323, "1", {}, "denied"),
    ("keyctl", 250, "0, -3, 0, 0, 0", {}, "denied"),
    ("add_key", 248, "b'user', b'x', b'y', 1, -3", {}, "denied"),
    ("iopl", 172, "3", {}, "denied"),
    ("swapon", 167, "b'file', 0", {}, "denied"),
    ("reboot", 169, "0, 0, 0", {}, "denied"),
    ("acct", 163, "b'file'", {}, "denied"),
    ("syslog", 103, "3, buf, 1", {}, "denied"),
    ("fanotify_init", 300, "0, 0", {}, "denied"),
    ("landlock_create_ruleset", 444, "0, 0, 1", {"flags": 1}, "ok"),
    ("mmap", 9, "0, 4096, 5, 2, f, 0", {"len": 4096, "prot": 5, "flags": 2}, "ok"),
    ("mmap", 9, "0, 4096, 3, 1, f, 0", {}, "ok"),
    ("fallocate", 285, "f, 0, 0, 8192", {"mode": 0, "len": 8192}, "ok"),
    ("chdir", 80, "b'mnt/..'", {}, "ok"),
    ("chdir", 80, "b'missing'", {}, "ENOENT"),
    ("fchdir", 81, "-1", {"fd": -1}, "EBADF"),
    ("setsockopt", 54, "s, 1, 36, buf, 4", {"level": 1, "optname": 36}, "EPERM"),
    ("mmap", 9, "0, 4096, 4, 0x22, -1, 0", {"prot": 4, "fd": -1}, "ok"),
    ("mprotect", 10, "page, 4096, 5", {"prot": 5}, "ok"),
    ("kcmp", 312, "1, 1, 99, 0, 0", {}, "either"),
    ("process_vm_readv", 310, "-1, 0, 0, 0, 0, 0", {"target": -1}, "either"),
]
# of a kind of their own
KINDS = {("listen", "s, 7"): "net.listen", ("mmap", "0, 4096, 3, 1, f, 0"): "file.write"}
# with a path in them, as the tool sees it
PATHS = {"setxattr": "file", "removexattr": "file", "lremovexattr": "missing", "utimensat": "file"}

SCRIPT = """
import ctypes, errno, json, mmap, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = ctypes.c_void_p
open('file', 'w').write('x' * 4096); os.mkdir('mnt'); os.chmod('file', 0o755)
f = os.open('file', os.O_RDWR); s = socket.socket().detach(); buf = ctypes.create_string_buffer(4096)
page = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
def call(nr, *args):
    r = libc.syscall(ctypes.c_long(nr), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return 'ok' if r != -1 or nr in (122, 123, 135) and ctypes.get_errno() == 0 else errno.errorcode[ctypes.get_errno()]
got = []
"""


def test_each_call_of_the_set_is_one_event(box):
    """Between two marks, so that what libc and Python do for themselves is told apart."""
    script = SCRIPT
    for i, (name, nr, args, _, _) in enumerate(CALLS):
        script += f"os.mkdir('mark-{i}'); ctypes.set_errno(0); got.append(call({nr}, {args}))\n"
    script += "os.mkdir('mark-end'); print(json.dumps(got))\n"
    r = box.py(script, options=["-p", "open"])
    assert r.code == 0, r.err
    results = json.loads(r.out)
    between, at = collections.defaultdict(list), None
    for e in r.events:
        if e["kind"] == "file.mkdir" and "/mark-" in e["path"]:
            at = e["path"].rsplit("-", 1)[1]
        elif at is not None and e["kind"] not in ("call.output",):
            between[at].append(e)
    wrong = []
    for i, (name, nr, args, numbers, want) in enumerate(CALLS):
        kind = KINDS.get((name, args), "sys.call")
        told = [e for e in between[str(i)] if e.get("syscall") == name or e["kind"] == kind != "sys.call"]
        others = [e for e in between[str(i)] if e not in told]
        if want == "denied":
            # the first, tenth, hundredth of a kind: one here
            ok = [e["kind"] for e in told] == ["denied"]
        elif want == "either":
            ok = len(told) == 1
        else:
            ok = len(told) == 1 and told[0]["kind"] == kind and numbers.items() <= told[0].get("args", {}).items() and told[0].get("error", "ok") == want == results[i]
            if ok and name in PATHS:
                ok = told[0]["path"] == f"{box.ws}/{PATHS[name]}"
        if not ok or others:
            wrong.append((name, args, want, results[i], told, others))
    assert not wrong, "\n".join(map(str, wrong))


# name, number, arguments, kind, error ("" when it works), members that must be told; {ws} is the workspace
FILES = [
    ("mkdir", 83, "b'd1', 0o750", "file.mkdir", "", {"path": "{ws}/d1", "mode": "0750", "path_src": "lexical"}),
    ("mkdir", 83, "b'd1', 0o750", "file.mkdir", "EEXIST", {"path": "{ws}/d1"}),
    ("mkdirat", 258, "d, b'sub/../d2', 0o700", "file.mkdir", "ENOENT", {"path": "{ws}/mnt/sub/../d2"}),
    ("mkdirat", 258, "d, b'd2', 0o700", "file.mkdir", "", {"path": "{ws}/mnt/d2"}),
    ("rmdir", 84, "b'd1'", "file.unlink", "", {"path": "{ws}/d1"}),
    ("rmdir", 84, "b'file'", "file.unlink", "ENOTDIR", {"path": "{ws}/file"}),
    ("symlink", 88, "b'file', b's1'", "file.symlink", "", {"path": "{ws}/s1", "target": "file"}),
    ("symlinkat", 266, "b'../file', d, b's2'", "file.symlink", "", {"path": "{ws}/mnt/s2", "target": "../file"}),
    ("symlink", 88, "b'file', b's1'", "file.symlink", "EEXIST", {"path": "{ws}/s1"}),
    ("link", 86, "b'file', b'l1'", "file.link", "", {"path": "{ws}/file", "to": "{ws}/l1"}),
    ("linkat", 265, "-100, b'file', d, b'l2', 0", "file.link", "", {"path": "{ws}/file", "to": "{ws}/mnt/l2"}),
    ("link", 86, "b'gone', b'l3'", "file.link", "ENOENT", {"path": "{ws}/gone", "to": "{ws}/l3"}),
    ("rename", 82, "b'l1', b'r1'", "file.rename", "", {"path": "{ws}/l1", "to": "{ws}/r1"}),
    ("renameat", 264, "d, b'l2', -100, b'r2'", "file.rename", "", {"path": "{ws}/mnt/l2", "to": "{ws}/r2"}),
    ("renameat2", 316, "-100, b'r1', -100, b'r2', 1", "file.rename", "EEXIST", {"path": "{ws}/r1", "to": "{ws}/r2"}),
    ("renameat2", 316, "-100, b'r1', d, b'r1', 1", "file.rename", "", {"path": "{ws}/r1", "to": "{ws}/mnt/r1"}),
    ("unlink", 87, "b'r2'", "file.unlink", "", {"path": "{ws}/r2"}),
    ("unlink", 87, "b'r2'", "file.unlink", "ENOENT", {"path": "{ws}/r2"}),
    ("unlinkat", 263, "d, b'r1', 0", "file.unlink", "", {"path": "{ws}/mnt/r1"}),
    ("unlinkat", 263, "-1, b'r1', 0", "file.unlink", "EBADF", {}),
    ("chmod", 90, "b'file', 0o4755", "file.chmod", "", {"path": "{ws}/file", "mode": "4755"}),
    ("chmod", 90, "b'/etc/passwd', 0o777", "denied", "", {"path": "/etc/passwd", "error": "EROFS"}),
    ("fchmod", 91, "f, 0o600", "file.chmod", "", {"path": "{ws}/file", "mode": "0600", "path_src": "kernel"}),
    ("fchmod", 91, "-1, 0o600", "file.chmod", "EBADF", {"mode": "0600"}),
    ("fchmodat", 268, "d, b'd2', 0o711", "file.chmod", "", {"path": "{ws}/mnt/d2", "mode": "0711"}),
    ("fchmodat2", 452, "d, b'd2', 0o700, 0", "file.chmod", "", {"path": "{ws}/mnt/d2", "mode": "0700"}),
    ("chown", 92, "b'file', -1, -1", "file.chown", "", {"path": "{ws}/file", "uid": -1, "gid": -1}),
    ("chown", 92, "b'file', 5, 6", "file.chown", "EPERM", {"uid": 5, "gid": 6}),
    ("lchown", 94, "b's1', -1, -1", "file.chown", "", {"path": "{ws}/s1"}),
    ("fchown", 93, "f, -1, -1", "file.chown", "", {"path": "{ws}/file", "path_src": "kernel"}),
    ("fchownat", 260, "d, b'd2', -1, -1, 0", "file.chown", "", {"path": "{ws}/mnt/d2"}),
    ("truncate", 76, "b'file', 100", "file.truncate", "", {"path": "{ws}/file", "size": 100}),
    ("truncate", 76, "b'mnt', 100", "file.truncate", "EISDIR", {"path": "{ws}/mnt"}),
    ("ftruncate", 77, "f, 7", "file.truncate", "", {"path": "{ws}/file", "size": 7, "path_src": "kernel"}),
    ("ftruncate", 77, "s, 7", "file.truncate", "EINVAL", {"size": 7}),
    ("mknod", 133, "b'p1', 0o10600, 0", "file.create", "", {"path": "{ws}/p1"}),
    ("mknodat", 259, "d, b'p2', 0o10600, 0", "file.create", "", {"path": "{ws}/mnt/p2"}),
    ("open", 2, "b's1', 1", "file.open", "", {"path": "{ws}/file", "flags": ["O_WRONLY"], "path_src": "kernel"}),
    ("open", 2, "b'gone', 1", "file.open", "ENOENT", {"path": "{ws}/gone", "flags": ["O_WRONLY"], "path_src": "lexical"}),
    ("openat", 257, "d, b'../file', 2", "file.open", "", {"path": "{ws}/file", "flags": ["O_RDWR"]}),
    ("openat", 257, "d, b'n1', 0o101, 0o600", "file.create", "", {"path": "{ws}/mnt/n1"}),
    ("openat", 257, "d, b'n1', 0o301, 0o600", "file.open", "EEXIST", {"path": "{ws}/mnt/n1"}),
    ("openat", 257, "-100, b'mnt', 1", "file.open", "EISDIR", {"path": "{ws}/mnt"}),
    ("openat2", 437, "d, b'n1', how, 24", "file.open", "", {"path": "{ws}/mnt/n1", "flags": ["O_WRONLY"]}),
    ("creat", 85, "b'mnt/c1', 0o600", "file.create", "", {"path": "{ws}/mnt/c1"}),
    ("utime", 132, "b'file', 0", "sys.call", "", {"path": "{ws}/file"}),
    ("utimes", 235, "b'gone', 0", "sys.call", "ENOENT", {"path": "{ws}/gone"}),
    ("futimesat", 261, "d, b'n1', 0", "sys.call", "", {"path": "{ws}/mnt/n1"}),
    ("setxattrat", 463, "d, b'n1', 0, b'user.a', how, 24", "denied", "", {}),
    ("execve", 59, "b'gone', 0, 0", "sys.call", "ENOENT", {"path": "{ws}/gone"}),
    ("execve", 59, "b'mnt', 0, 0", "sys.call", "EACCES", {"path": "{ws}/mnt"}),
    ("execveat", 322, "d, b'n1', 0, 0, 0", "sys.call", "EACCES", {"path": "{ws}/mnt/n1"}),
    ("kill", 62, "os.getpid(), 0", "proc.signal", "", {"signal": "SIG0"}),
    ("kill", 62, "99999, 9", "proc.signal", "ESRCH", {"target": 99999, "signal": "SIGKILL"}),
    ("tgkill", 234, "os.getpid(), os.getpid(), 0", "proc.signal", "", {}),
    ("tgkill", 234, "os.getpid(), os.getpid(), 99", "proc.signal", "EINVAL", {}),
    ("tkill", 200, "99999, 15", "proc.signal", "ESRCH", {"target": 99999, "signal": "SIGTERM"}),
    ("bind", 49, "s, addr, 16", "net.bind", "", {"addr": "127.0.0.1", "port": 4713, "addr_src": "kernel"}),
    ("bind", 49, "s, addr, 16", "net.bind", "EINVAL", {"addr": "127.0.0.1", "port": 4713}),
    ("listen", 50, "s, 1", "net.listen", "", {"addr": "127.0.0.1", "port": 4713}),
    ("connect", 42, "s2, addr, 16", "net.connect", "", {"addr": "127.0.0.1", "port": 4713, "addr_src": "kernel", "verdict": "allowed"}),
    ("connect", 42, "-1, addr, 16", "net.connect", "EBADF", {"addr": "127.0.0.1", "port": 4713, "verdict": "failed"}),
    ("accept4", 288, "s, 0, 0, 0", "net.accept", "", {"addr": "127.0.0.1"}),
    ("accept", 43, "f, 0, 0", "sys.call", "ENOTSOCK", {"args": {"fd": 3}}),
    ("sendto", 44, "u, b'x', 1, 0, addr, 16", "net.send", "", {"addr": "127.0.0.1", "port": 4713}),
    ("sendto", 44, "-1, b'x', 1, 0, addr, 16", "net.send", "EBADF", {"addr": "127.0.0.1", "port": 4713}),
]
MORE = """
d = os.open('mnt', os.O_RDONLY); s2 = socket.socket().detach(); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
import struct
addr = ctypes.create_string_buffer(struct.pack('=H', 2) + struct.pack('>H', 4713) + socket.inet_aton('127.0.0.1') + bytes(8))
how = ctypes.create_string_buffer(struct.pack('=QQQ', 1, 0, 0))
"""


def test_each_call_that_changes_something_is_one_event_whatever_comes_of_it(box):
    script = SCRIPT + MORE
    for i, (name, nr, args, *_) in enumerate(FILES):
        script += f"os.mkdir('mark-{i}'); ctypes.set_errno(0); got.append(call({nr}, {args}))\n"
    script += "os.mkdir('mark-end'); print(json.dumps(got))\n"
    r = box.py(script)
    assert r.code == 0, r.err
    between, at = collections.defaultdict(list), None
    for e in r.events:
        if e["kind"] == "file.mkdir" and "/mark-" in e["path"]:
            at = e["path"].rsplit("-", 1)[1]
        elif at is not None:
            between[at].append(e)
    wrong = []
    for i, ((name, _, args, kind, error, members), came) in enumerate(zip(FILES, json.loads(r.out))):
        told = [e for e in between[str(i)] if e["kind"] != "file.write"]
        want = {k: v.format(ws=box.ws) if isinstance(v, str) else v for k, v in members.items()}
        ok = len(told) == 1 and told[0]["kind"] == kind and told[0]["syscall"] == name and want.items() <= told[0].items()
        if kind != "denied":
            ok = ok and told[0].get("error", "") == error and came == (error or "ok")
        if not ok:
            wrong.append((name, args, came, told))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("how,is_thread", [("os.fork() or os._exit(0)", False), ("subprocess.run(['true'])", False),
                                           ("[t.start() or t.join() for t in [threading.Thread(target=print)]]", True)])
def test_a_new_process_is_told_once_by_its_parent(box, how, is_thread):
    r = box.py(f"import os, subprocess, threading\nos.mkdir('mark')\n{how}\nos.mkdir('end')")
    kinds = [e for e in r.events if e["kind"] in ("file.mkdir", "sys.call", "proc.fork")]
    marks = [i for i, e in enumerate(kinds) if e["kind"] == "file.mkdir"]
    told = [e for e in kinds[marks[0]:marks[1]] if e["kind"] == "proc.fork" or e.get("syscall") in ("clone", "fork", "vfork", "clone3") and "error" not in e]
    assert [e["kind"] for e in told] == ["proc.fork"] and told[0]["thread"] == is_thread, told
    assert (told[0]["child_exec_id"] == told[0]["exec_id"]) == is_thread


def test_libraries_that_are_mapped_to_be_run_are_named(box):
    """The loader as the program: what it runs is told by the mapping (ESCAPES A5)."""
    r = box.run("/lib64/ld-linux-x86-64.so.2", "/usr/bin/true")
    mapped = [e["path"] for e in r.kinds("sys.call") if e["syscall"] == "mmap" and e["path_src"] == "kernel"]
    assert "/usr/bin/true" in mapped, mapped


def test_what_a_call_uses_is_told_each_second(box):
    r = box.py("import time\nx = bytearray(64 << 20)\nend = time.monotonic() + 2.5\nwhile time.monotonic() < end: pass\nprint('y' * 1000, flush=True)")
    told = r.kinds("call.usage")
    assert len(told) >= 2, told
    assert 0 < told[0]["cpu_ns"] < told[1]["cpu_ns"]
    assert 64 << 20 <= told[1]["memory_bytes"] < 512 << 20 and told[1]["processes"] == 1


def test_a_program_in_memory_has_the_name_of_its_memory(box):
    r = box.py("import os\nfd = os.memfd_create('payload', 0); os.write(fd, open('/usr/bin/true', 'rb').read()); os.execve(fd, ['true'], {})")
    assert [e["exe"] for e in r.kinds("proc.exec")][-1] == "/memfd:payload"


def test_a_deep_path_is_whole_and_a_deeper_one_says_so(box):
    r = box.py("""
import os
for i in range(300):
    if i in (60, 200, 299): os.close(os.open(f'f{i}', os.O_CREAT | os.O_WRONLY))
    os.mkdir('d'); os.chdir('d')
""")
    made = {e["path"].rsplit("/f", 1)[1]: e for e in r.kinds("file.create")}
    for depth in (60, 200):
        assert made[str(depth)]["path"] == str(box.ws) + "/d" * depth + f"/f{depth}" and made[str(depth)]["path_src"] == "kernel"
    assert made["299"]["path_src"] == "partial"


URING = '{"syscalls": {"allow": ["io_uring_setup", "io_uring_enter", "io_uring_register"]}}'


@pytest.mark.parametrize("words", [[], ["poll"]])
def test_what_is_asked_of_io_uring_is_told_once_each_with_what_came_of_it(box, words):
    """By a thread of the kernel's, too: then no system call is made for it at all."""
    shutil.copy(BUILD / "stimuli" / "asks_uring", box.ws / "asks_uring")
    (box.base / "p.json").write_text(URING)
    r = box.run("./asks_uring", *words, options=["-p", box.base / "p.json"])
    assert r.code == 0, r.err
    came = dict(line.split() for line in r.out.decode().splitlines())
    failed = {k: int(v) for k, v in came.items() if int(v) < 0}
    assert failed == {"connect": -111, "mkdir-again": -17, "unlink-again": -2, "write-too-far": -9}, came

    def short(path):
        return path.removeprefix(str(box.ws) + "/")
    asked = [e for e in r.events if e.get("source") == "io_uring" and e["kind"] != "file.write"]
    told = [(e["kind"], short(e["path"]), short(e.get("to") or e.get("target") or ""), e["path_src"], e.get("error", "")) for e in asked if e["kind"].startswith("file.")]
    assert told == [("file.mkdir", "ring-dir", "", "lexical", ""), ("file.create", "ring-file", "", "kernel", ""), ("file.link", "ring-file", "ring-link", "lexical", ""),
                    ("file.symlink", "ring-sym", "target", "lexical", ""), ("file.rename", "ring-link", "ring-new", "lexical", ""), ("file.unlink", "ring-new", "", "lexical", ""),
                    ("file.mkdir", "ring-dir", "", "lexical", "EEXIST"), ("file.unlink", "ring-new", "", "lexical", "ENOENT")]
    assert not [e for e in asked if "phase" in e], "all of them were answered at once"
    assert [(e["addr"], e["port"], e["verdict"], e["error"]) for e in r.kinds("net.connect")] == [("127.0.0.1", 9, "failed", "ECONNREFUSED")]
    assert [(e["addr"], e["port"]) for e in r.kinds("net.send")] == [("127.0.0.1", 9)]
    assert [(e["syscall"], short(e["path"])) for e in asked if e["kind"] == "sys.call" and "path" in e] == [("fallocate", "ring-evil"), ("fsetxattr", "ring-file")]
    written = collections.defaultdict(int)
    for e in r.kinds("file.write"):
        written[short(e["path"])] += e["bytes"]
    assert written == {"ring-file": 13, "ring-evil": 10}
    assert r.report["events"]["changes_without_event"] == 0 and not r.kinds("monitor.lost")


def asked_of_uring(box, *words):
    shutil.copy(BUILD / "stimuli" / "lies_uring", box.ws / "lies_uring")
    (box.base / "p.json").write_text(URING)
    r = box.run("./lies_uring", *words, options=["-p", box.base / "p.json"])
    assert r.code == 0, r.err
    return r, [e for e in r.events if e.get("source") == "io_uring"]


def test_what_io_uring_answers_nothing_to_is_told_as_it_was_asked(box):
    """The tool lets others fail with a number of its own, in the same memory: that is not the answer."""
    (box.ws / "victim").write_text("x")
    r, told = asked_of_uring(box, "skip")
    assert [(e["kind"], e["phase"], "error" in e) for e in told] == [(k, "pre", False) for k in ("file.unlink", "file.mkdir", "file.open", "file.rename")]
    assert r.report["events"]["changes_without_event"] == 0


def test_what_io_uring_cuts_is_not_created(box):
    r, told = asked_of_uring(box, "cut")
    assert [(e["kind"], e["path"], e["size"]) for e in told] == [("file.truncate", f"{box.ws}/cut", 5)]


def test_what_is_hidden_is_denied_to_io_uring_too(box):
    shutil.copy(BUILD / "stimuli" / "lies_uring", box.ws / "lies_uring")
    (box.base / "p.json").write_text(URING)
    r = box.run("./lies_uring", "read", "/etc/shadow", options=["-p", box.base / "p.json"])
    assert r.code == 1 and [d["subject"] for d in r.report["denials"]] == ["/etc/shadow"]


def test_what_io_uring_answers_late_is_told_twice(box):
    """A connection that nobody accepts yet: the request is told, and what came of it when it comes."""
    shutil.copy(BUILD / "stimuli" / "waits_uring", box.ws / "waits_uring")
    (box.base / "p.json").write_text(URING)
    r = box.run("./waits_uring", options=["-p", box.base / "p.json"])
    assert r.code == 0, r.err
    told = [e for e in r.events if e.get("source") == "io_uring"]
    assert [(e["syscall"], e["phase"]) for e in told] == [("accept", "pre"), ("accept", "post")] and told[1]["ret"] > 0, told


def test_by_default_there_is_no_ring(box):
    shutil.copy(BUILD / "stimuli" / "asks_uring", box.ws / "asks_uring")
    r = box.run("./asks_uring")
    assert r.code == 1 and r.denied("io_uring_setup")
