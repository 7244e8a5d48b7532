# SPDX-License-Identifier: Apache-2.0
"""What an attacker tries from inside a sandbox. It stands alone: tests/escape/run gives it to any.

Each attack is a function whose docstring says what must happen, with the row of the threat list
in front. It returns None when the sandbox held, or what was got. Nothing here knows which
sandbox it is in; what lies outside (a secret, a listener, a process) comes as JSON in argv[1].
An attack that succeeds does no harm, also as root outside any sandbox (the controls run it there, in a
mount namespace of its own): arguments are such that an allowed call fails otherwise (a target that does not exist, a
null address), what is opened for writing is not written, what was made is removed, what was mounted unmounted.
"""
import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
OUTSIDE = {}
CASES = []
# as they were before the first attack opens its own
FDS = [f"{fd} -> {os.readlink(f'/proc/self/fd/{fd}')}" for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and os.path.exists(f"/proc/self/fd/{fd}")] \
    if os.path.isdir("/proc/self/fd") else []

NR = {"mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "clone": 56, "clone3": 435,
      "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_open": 434, "pidfd_getfd": 438, "bpf": 321,
      "perf_event_open": 298, "io_uring_setup": 425, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249,
      "open_by_handle_at": 304, "name_to_handle_at": 303, "init_module": 175, "finit_module": 313, "delete_module": 176,
      "kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "swapon": 167, "swapoff": 168, "iopl": 172, "ioperm": 173, "modify_ldt": 154,
      "settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159, "sethostname": 170, "setdomainname": 171,
      "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
      "acct": 163, "syslog": 103, "quotactl": 179, "fanotify_init": 300, "memfd_secret": 447, "move_pages": 279, "migrate_pages": 256,
      "mbind": 237, "kcmp": 312, "personality": 135, "vhangup": 153, "seccomp": 317, "process_madvise": 440, "lookup_dcookie": 212}


def case(rows):
    def add(f):
        CASES.append((f.__name__, rows, f))
        return f
    return add


def call(name, *args):
    """0, or the errno."""
    ctypes.set_errno(0)
    r = libc.syscall(NR[name], *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return 0 if r >= 0 else ctypes.get_errno()


def refused(name, *args, by=(errno.EPERM, errno.ENOSYS, errno.EACCES)):
    e = call(name, *args)
    return None if e in by else f"{name}: {errno.errorcode.get(e, 'allowed')}"


def first(*answers):
    return next((a for a in answers if a), None)


def opens(path, flags=os.O_RDONLY):
    """The text of a file that could be opened, or None."""
    try:
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 100).decode(errors="replace") if flags == os.O_RDONLY else "opened for writing"
    except OSError:
        return None
    finally:
        os.close(fd)


def reads(paths, secret=None):
    for p in paths:
        text = opens(p)
        if text and (secret is None or secret in text):
            return f"{p}: {text[:40]!r}"
    return None


def writes(paths):
    return next((p for p in paths if opens(p, os.O_WRONLY)), None)


def in_child(f):
    """What f returned in a child of its own."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            got = f()
        except OSError as e:
            got = None if e.errno in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOSPC) else None
        except BaseException as e:
            got = f"the attack itself failed: {e!r}"
        os.write(w, json.dumps(got).encode())
        os._exit(0)
    os.close(w)
    text = b"".join(iter(lambda: os.read(r, 65536), b""))
    os.close(r)
    os.waitpid(pid, 0)
    return json.loads(text) if text else None


# --- A: files ------------------------------------------------------------------------------

@case("A1")
def the_secrets_of_the_machine_are_not_read():
    return first(reads(["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/sudoers", "/root/.bash_history", "/root/.ssh/id_rsa", "/root/.ssh/authorized_keys"]),
                 reads([OUTSIDE["secret_path"]], OUTSIDE["secret"]))


@case("A1")
def other_users_homes_are_not_listed():
    names = set(os.listdir("/home") if os.path.isdir("/home") else []) - {"agent", os.environ.get("USER", "")}
    return ", ".join(names) or None


@case("A2")
def climbing_with_dots_stays_inside():
    return reads(["../" * n + OUTSIDE["secret_path"][1:] for n in (1, 3, 8, 40)], OUTSIDE["secret"])


@case("A3")
def chroot_is_refused():
    def tries():
        os.makedirs("/tmp/jail", exist_ok=True)
        os.chroot("/tmp/jail")
        for _ in range(64):
            os.chdir("..")
        os.chroot(".")
        return "left the root by chroot: " + ",".join(os.listdir("/")[:3])
    return in_child(tries)


@case("A4")
def an_alias_of_a_path_leads_nowhere_else():
    tail = OUTSIDE["secret_path"]
    return reads([p + tail for p in ("/proc/self/root", "/proc/1/root", "/proc/thread-self/root", "/proc/self/cwd/../../../../../..", "/proc/1/cwd/../../../..")]
                 + [f"/proc/{os.getppid()}/root{tail}", f"/dev/fd/0/../../..{tail}"], OUTSIDE["secret"])


@case("A6 E10")
def every_system_mount_is_read_only_nosuid_nodev():
    with open("/proc/self/mountinfo") as f:
        for line in f:
            words = line.split()
            at, options = words[4], words[5].split(",")
            if at.startswith(("/usr", "/bin", "/lib", "/etc", "/opt", "/sbin")) and not {"ro", "nosuid"} <= set(options):
                return f"{at}: {','.join(options)}"
    return writes(["/usr/bin/env", "/etc/passwd", "/usr/lib/os-release"])


@case("A6")
def nothing_is_made_in_a_system_directory():
    for d in ("/usr", "/usr/local/bin", "/etc", "/lib", "/bin", "/opt", "/"):
        try:
            os.mkdir(os.path.join(d, "planted-by-an-attacker"))
            os.rmdir(os.path.join(d, "planted-by-an-attacker"))
            return d
        except OSError:
            pass
    return None


@case("A8")
def a_setuid_program_gives_nothing():
    for program in (OUTSIDE.get("setuid", ""), "/usr/bin/su", "/usr/bin/passwd", "/bin/mount"):
        if not os.path.exists(program) or not os.stat(program).st_mode & stat.S_ISUID:
            continue
        pid = os.fork()
        if pid == 0:
            os.execv("/usr/bin/env", ["env", program, "-c", "import os,sys; sys.exit(os.geteuid() != os.getuid())"] if program == OUTSIDE.get("setuid") else ["env", "true"])
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1:
            return program
    with open("/proc/self/status") as f:
        return None if "NoNewPrivs:\t1" in f.read() else "no_new_privs is not set"


@case("A10")
def no_hard_link_to_a_protected_file():
    for target in ("/etc/passwd", "/usr/bin/env", OUTSIDE["secret_path"]):
        try:
            os.link(target, "planted-link")
            os.unlink("planted-link")
            return target
        except OSError:
            pass
    return None


@case("A15")
def file_handles_are_refused():
    buf = ctypes.create_string_buffer(struct.pack("Ii", 120, 0) + bytes(128))
    return first(refused("name_to_handle_at", -100, b"/etc", buf, ctypes.byref(ctypes.c_int()), 0),
                 refused("open_by_handle_at", -100, buf, 0))


@case("A16")
def shared_memory_and_tmp_are_private():
    names = [n for d in ("/dev/shm", "/tmp", "/var/tmp") for n in (os.listdir(d) if os.path.isdir(d) else []) if n.startswith(OUTSIDE["marker"])]
    return ", ".join(names) or None


@case("A18")
def long_and_deep_names_work():
    """No attack succeeds or fails here: what must not happen is that the watcher dies of them."""
    top = os.open(".", os.O_RDONLY)
    try:
        for _ in range(200):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
        with open("x" * 255, "w") as f:
            f.write("deep")
    finally:
        os.fchdir(top)
    return None


# --- B: /proc, /sys ------------------------------------------------------------------------------

@case("B1 B2 B3 B4")
def kernel_knobs_are_not_written():
    return writes(["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
                   "/proc/sys/fs/binfmt_misc/register", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic", "/proc/sys/kernel/domainname", "/proc/sys/net/ipv4/ip_forward",
                   "/proc/sys/kernel/yama/ptrace_scope", "/proc/sys/kernel/ns_last_pid", "/proc/sys/user/max_user_namespaces", "/proc/irq/default_smp_affinity"])


@case("B5")
def a_release_agent_is_not_set():
    def tries():
        os.mkdir("/tmp/cg")
        for kind in (b"cgroup", b"cgroup2"):
            if call("mount", b"none", b"/tmp/cg", kind, 0, b"rdma" if kind == b"cgroup" else None) == 0:
                call("umount2", b"/tmp/cg", 2)
                return kind.decode() + " was mounted"
        os.rmdir("/tmp/cg")
        return None
    return first(in_child(tries), writes(glob.glob("/sys/fs/cgroup/*/release_agent") + ["/sys/fs/cgroup/release_agent"]))


@case("B6")
def what_tells_of_the_kernel_is_closed():
    return reads(["/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/kmsg", "/sys/firmware/acpi/tables/DSDT",
                  "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj", "/sys/kernel/debug/sched/debug", "/proc/kpagecount", "/proc/vmallocinfo", "/dev/kmsg"])


@case("B7")
def other_processes_are_not_seen():
    """Only those of the call itself."""
    pid = OUTSIDE["pid"]
    for p in filter(str.isdigit, os.listdir("/proc")):
        text = opens(f"/proc/{p}/environ") or ""
        cmd = opens(f"/proc/{p}/cmdline") or ""
        if OUTSIDE["process_secret"] in text + cmd:
            return f"pid {p}: {cmd[:50]!r}"
    return "the runner's pid answers" if os.path.exists(f"/proc/{pid}/status") and OUTSIDE["process_secret"] in (opens(f"/proc/{pid}/environ") or "") else None


@case("B8 B9")
def init_gives_nothing():
    if os.getpid() == 1:
        return None
    for what in ("environ", "mem", "exe", "root", "cwd", "maps", "fd/0", "fd/3"):
        if what in ("exe", "root", "cwd"):
            try:
                os.stat(f"/proc/1/{what}/.") if what != "exe" else os.open("/proc/1/exe", os.O_RDONLY)
                return f"/proc/1/{what}"
            except OSError:
                continue
        if opens(f"/proc/1/{what}"):
            return f"/proc/1/{what}"
    return writes(["/proc/1/exe", "/proc/1/mem", "/proc/1/oom_score_adj"])


@case("B15")
def its_own_standing_is_not_raised():
    for path, text in (("/proc/self/oom_score_adj", "-1000"), ("/proc/self/uid_map", "0 0 1"), ("/proc/self/timens_offsets", "monotonic 100 0")):
        try:
            with open(path, "w") as f:
                f.write(text)
            return path
        except OSError:
            pass
    return None


@case("B18 J14")
def nothing_of_sysfs_is_written():
    for top in ("/sys/fs/cgroup", "/sys/kernel", "/sys/bus", "/sys/devices/system/cpu"):
        for d, _, names in os.walk(top):
            for n in names[:50]:
                if opens(os.path.join(d, n), os.O_WRONLY):
                    return os.path.join(d, n)
            if d.count("/") > 6:
                break
    return None


# --- C: devices ------------------------------------------------------------------------------

@case("C1")
def no_device_node_is_made():
    for where in ("/tmp/node", "node", "/dev/node", "/run/node"):
        for mode, dev in ((stat.S_IFBLK, os.makedev(8, 0)), (stat.S_IFCHR, os.makedev(1, 1)), (stat.S_IFCHR, os.makedev(1, 3))):
            try:
                os.mknod(where, mode | 0o666, dev)
                os.unlink(where)
                return where
            except OSError:
                pass
    return None


@case("C3 C7")
def only_harmless_devices_exist():
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin", "stdout", "stderr", "core", "console"}
    more = set(os.listdir("/dev")) - harmless
    if more:
        return ", ".join(sorted(more)[:5])
    return "/dev/console" if opens("/dev/console", os.O_WRONLY) else None


@case("C7")
def the_terminals_are_its_own():
    pts = [p for p in os.listdir("/dev/pts") if p.isdigit()] if os.path.isdir("/dev/pts") else []
    return f"/dev/pts/{pts[0]}" if len(pts) > 1 else None


# --- D: other processes ------------------------------------------------------------------------------

@case("D1 D4")
def nothing_is_traced():
    """SEIZE stops nobody, and ends with the child that did it."""
    targets = {1, os.getppid(), OUTSIDE["victim"]}
    return first(*[in_child(lambda t=t: refused("ptrace", 0x4206, t, 0, 0)) for t in targets], in_child(lambda: refused("ptrace", 0, 0, 0, 0)))


@case("D3")
def no_fd_is_taken_from_init():
    pidfd = libc.syscall(NR["pidfd_open"], 1, 0)
    if pidfd < 0:
        return None
    return next((f"fd {n} of pid 1" for n in range(10) if libc.syscall(NR["pidfd_getfd"], pidfd, n, 0) >= 0), None)


@case("D6")
def the_memory_of_others_is_closed():
    local = ctypes.create_string_buffer(8)
    here, there = struct.pack("QQ", ctypes.addressof(local), 8), struct.pack("QQ", 0, 8)
    return first(refused("process_vm_readv", 1, here, 1, there, 1, 0), refused("process_vm_writev", 1, here, 1, there, 1, 0))


@case("D8 K5")
def userfaultfd_is_refused():
    return refused("userfaultfd", 1)


@case("D10")
def bpf_and_perf_are_refused():
    attr = ctypes.create_string_buffer(128)
    return first(refused("bpf", 0, attr, 128), refused("bpf", 5, attr, 128), refused("bpf", 7, attr, 128), refused("perf_event_open", attr, 0, -1, -1, 0))


@case("D11 E15")
def the_kernels_own_doors_are_shut():
    return first(*[refused(n, 0, 0, 0) for n in ("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "iopl", "ioperm",
                                                 "modify_ldt", "settimeofday", "clock_settime", "syslog", "quotactl", "fanotify_init",
                                                 "lookup_dcookie", "memfd_secret")],
                 refused("sethostname", 0, 1 << 20), refused("setdomainname", 0, 1 << 20), refused("acct", b"/no/such/file"))


@case("D12 L8 M12")
def io_uring_is_refused():
    return refused("io_uring_setup", 8, ctypes.create_string_buffer(248))


@case("D14")
def keyrings_are_refused():
    return first(refused("keyctl", 0, -3, 0), refused("keyctl", 1, None), refused("add_key", b"user", b"x", b"y", 1, -3), refused("request_key", b"user", b"x", None, 0))


@case("D16")
def memory_is_not_placed():
    return first(refused("move_pages", 0, 0, 0, 0, 0, 0), refused("migrate_pages", 0, 0, 0, 0), refused("mbind", 0, 0, 0, 0, 0, 0))


# --- E: namespaces, capabilities, mounts ------------------------------------------------------------------------------

@case("E1")
def no_new_namespace_by_unshare():
    flags = {"user": 0x10000000, "mnt": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000, "time": 0x80}
    return first(*[in_child(lambda f=f: refused("unshare", f, by=(errno.EPERM, errno.ENOSPC, errno.EINVAL, errno.ENOSYS))) for f in flags.values()])


@case("E2")
def no_new_namespace_by_clone():
    args = struct.pack("8Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)

    def clone3():
        ctypes.set_errno(0)
        r = libc.syscall(NR["clone3"], args, 64)
        if r == 0:
            os._exit(0)
        return "clone3 with CLONE_NEWUSER" if r > 0 else None

    def clone():
        r = libc.syscall(NR["clone"], ctypes.c_long(0x10000000 | signal.SIGCHLD), 0, 0, 0, 0)
        if r == 0:
            os._exit(0)
        return "clone with CLONE_NEWUSER" if r > 0 else None
    return first(in_child(clone3), in_child(clone))


@case("E4")
def no_namespace_is_joined():
    for kind in ("user", "mnt", "net", "pid", "ipc", "uts"):
        for pid in ("1", "self"):
            try:
                fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
            except OSError:
                continue
            got = in_child(lambda: refused("setns", fd, 0, by=(errno.EPERM, errno.EINVAL, errno.ENOSYS)))
            os.close(fd)
            if got:
                return f"{kind} of {pid}: {got}"
    return None


@case("E6")
def no_privilege_is_left():
    with open("/proc/self/status") as f:
        s = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(s[name], 16):
            return f"{name} {s[name]}"
    return first(None if s["NoNewPrivs"] == "1" else "NoNewPrivs 0", None if s["Seccomp"] == "2" else "no filter")


@case("E7 E8")
def nothing_is_mounted():
    no = b"/no/such/directory"
    return first(refused("mount", b"none", no, b"tmpfs", 0, None), refused("mount", b"/", no, None, 4096, None),
                 refused("mount", b"o", no, b"overlay", 0, b"lowerdir=/usr,upperdir=/tmp,workdir=/tmp"),
                 refused("umount2", no, 2), refused("pivot_root", no, no), refused("open_tree", -100, b"/", 1), refused("move_mount", 3, b"", -100, no, 4),
                 refused("fsopen", b"tmpfs", 0), refused("fsconfig", 3, 0, 0, 0, 0), refused("fsmount", 3, 0, 0), refused("fspick", -100, b"/", 0),
                 refused("mount_setattr", -100, no, 0, ctypes.create_string_buffer(32), 32))


@case("E11")
def no_netlink_and_no_raw_packets():
    for family, kind, proto in ((16, socket.SOCK_RAW, 12), (16, socket.SOCK_RAW, 0), (17, socket.SOCK_RAW, 0), (socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_INET, socket.SOCK_RAW, 255)):
        try:
            socket.socket(family, kind, proto).close()
            return f"family {family} protocol {proto}"
        except OSError:
            pass
    return None


@case("E13")
def the_working_directory_is_inside():
    buf = ctypes.create_string_buffer(4096)
    libc.syscall(79, buf, 4096)
    return buf.value.decode() if not buf.value.startswith(b"/") else None


# --- G: terminals, signals ------------------------------------------------------------------------------

@case("G1")
def nothing_is_typed_into_a_terminal():
    for path in ("/dev/tty", "/dev/stdin", "/dev/stdout", "/dev/pts/0"):
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            continue
        try:
            for request in (0x5412, 0x541C):
                fcntl.ioctl(fd, request, b"x")
                return f"{path}: ioctl {request:#x}"
        except OSError:
            pass
        finally:
            os.close(fd)
    return None


@case("G7")
def nobody_outside_is_signalled():
    for pid in (OUTSIDE["pid"], OUTSIDE["victim"], os.getppid() if os.getppid() > 1 else 0):
        try:
            if pid and pid != os.getppid():
                os.kill(pid, 0)
                with open(f"/proc/{pid}/environ") as f:
                    if OUTSIDE["process_secret"] in f.read():
                        return f"pid {pid}"
        except OSError:
            pass
    return None


# --- H: the filter ------------------------------------------------------------------------------

@case("H1 H3")
def the_32_bit_door_is_closed():
    """int 0x80 with getpid (20): killed, or an error."""
    def tries():
        code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
        m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        m.write(code)
        f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
        r = f()
        return f"getpid answered {r}" if r > 0 else None
    return in_child(tries)


@case("H1")
def the_x32_door_is_closed():
    def tries():
        r = libc.syscall(ctypes.c_long(0x40000000 | 39))
        return f"x32 getpid answered {r}" if r > 0 else None
    return in_child(tries)


@case("H6")
def a_second_listener_is_no_way_out():
    """A filter of one's own may only take away."""
    def tries():
        prog = struct.pack("HBBI", 6, 0, 0, 0x7fff0000)
        buf = ctypes.create_string_buffer(prog)
        fprog = struct.pack("H6xQ", 1, ctypes.addressof(buf))
        call("seccomp", 1, 0, fprog)
        return refused("mount", b"none", b"/no/such/directory", b"tmpfs", 0, None)
    return in_child(tries)


@case("H14")
def every_thread_is_filtered():
    got = []
    threads = [threading.Thread(target=lambda: got.append(refused("unshare", 0x10000000))) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return first(*got)


# --- I: fds and environment ------------------------------------------------------------------------------

@case("I1 I2 I6 J10")
def only_the_three_standard_fds_are_open():
    return "; ".join(m for m in FDS if not m.endswith("/fd")) or None


@case("I4")
def standard_output_is_no_file_of_the_machine():
    for fd in (1, 2):
        if stat.S_ISREG(os.fstat(fd).st_mode) and OUTSIDE.get("stdout_is_pipe"):
            return os.readlink(f"/proc/self/fd/{fd}")
    return None


@case("I7")
def no_secret_comes_by_the_environment():
    return next((f"{k}={v[:20]}" for k, v in os.environ.items() if OUTSIDE["env_secret"] in v), None)


# --- J: control groups, limits ------------------------------------------------------------------------------

@case("J1 J2 J4")
def no_control_group_is_left_or_changed():
    for path in glob.glob("/sys/fs/cgroup/**/cgroup.procs", recursive=True)[:200]:
        try:
            with open(path, "w") as f:
                f.write(str(os.getpid()))
            return path
        except OSError:
            pass
    return writes(glob.glob("/sys/fs/cgroup/**/memory.max", recursive=True)[:50] + glob.glob("/sys/fs/cgroup/**/cgroup.freeze", recursive=True)[:50])


@case("J6")
def processes_are_limited():
    pids = []
    try:
        for _ in range(OUTSIDE.get("pids", 400)):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
        return f"{len(pids)} processes"
    except OSError:
        return None
    finally:
        for p in pids:
            os.kill(p, signal.SIGKILL)
        for p in pids:
            os.waitpid(p, 0)


@case("J10")
def names_in_a_tmpfs_are_limited():
    made = 0
    os.makedirs("/tmp/many", exist_ok=True)
    top = os.open("/tmp/many", os.O_RDONLY)
    try:
        for made in range(OUTSIDE.get("inodes", 210000)):
            os.close(os.open(str(made), os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=top))
        return f"{made} files"
    except OSError as e:
        return None if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM) else repr(e)
    finally:
        os.close(top)
        subprocess.run(["rm", "-rf", "/tmp/many"], check=False)


@case("J11")
def space_in_a_tmpfs_is_limited():
    size = 0
    try:
        with open("/tmp/full", "wb") as f:
            for _ in range(OUTSIDE.get("tmp_mib", 1024)):
                f.write(bytes(1 << 20))
                size += 1
        return f"{size} MiB"
    except OSError:
        return None
    finally:
        os.path.exists("/tmp/full") and os.unlink("/tmp/full")


@case("J15")
def no_limit_is_raised():
    for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_MEMLOCK):
        soft, hard = resource.getrlimit(which)
        try:
            resource.setrlimit(which, (hard + 1, hard + 1) if hard != resource.RLIM_INFINITY else (hard, hard))
            return f"limit {which}" if hard != resource.RLIM_INFINITY else f"limit {which} has no end"
        except (OSError, ValueError):
            pass
    try:
        os.nice(-5)
        return "nice -5"
    except OSError:
        return None


# --- L: network ------------------------------------------------------------------------------

def connects(family, address):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(2)
    try:
        s.connect(address)
        return f"connected to {address}"
    except OSError:
        return None
    finally:
        s.close()


@case("L1")
def the_machines_loopback_is_not_reached():
    port = OUTSIDE["port"]
    return first(*[connects(socket.AF_INET, (a, port)) for a in ("127.0.0.1", "0.0.0.0", "127.1")],
                 *[connects(socket.AF_INET6, (a, port)) for a in ("::1", "::ffff:127.0.0.1", "::")])


@case("L1")
def no_other_host_is_reached():
    for a in ("169.254.169.254", "10.0.0.1", "192.168.0.1", "192.0.2.1", *OUTSIDE.get("addresses", [])):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.connect((a, 53))
            return f"a route to {a}"
        except OSError:
            pass
        finally:
            s.close()
    return None


@case("L2")
def abstract_sockets_are_not_reached():
    return connects(socket.AF_UNIX, "\0" + OUTSIDE["abstract"])


@case("L3 M13 C8")
def sockets_with_a_path_are_not_reached():
    paths = ["/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/dbus/system_bus_socket", "/run/systemd/private",
             OUTSIDE["socket"], OUTSIDE.get("workspace_socket", "/none"), *OUTSIDE.get("controls", [])]
    return first(*[connects(socket.AF_UNIX, p) for p in paths if len(p) < 108])


@case("L4 L5")
def strange_families_are_refused():
    for family in [f for f in range(46) if f not in (0, 1, 2, 10)]:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            try:
                socket.socket(family, kind, 0).close()
                return f"family {family}"
            except OSError:
                pass
    return None


@case("L13")
def a_port_of_the_machine_is_not_taken():
    """It may be bound inside: what is asked is whose network it is."""
    ns = os.readlink("/proc/self/ns/net")
    return ns if ns == OUTSIDE["netns"] else None


@case("D16 A16")
def ipc_objects_of_the_machine_are_not_seen():
    return "the machine's" if os.readlink("/proc/self/ns/ipc") == OUTSIDE["ipcns"] else None


def main():
    OUTSIDE.update(json.loads(sys.argv[1]))
    wanted = set(sys.argv[2:])
    for name, rows, f in CASES:
        if wanted and name not in wanted:
            continue
        try:
            got = f()
        except BaseException as e:
            got = f"the attack itself failed: {e!r}"
        print(json.dumps({"case": name, "rows": rows, "got": got}), flush=True)
    print(json.dumps({"case": "end"}), flush=True)


if __name__ == "__main__":
    main()
