// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/syscalls.c - which system calls are reported as events, and how.
 *
 * The BPF programs know shapes, not names: a call is added here, in one row.
 */
#include "supervisor/syscalls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "sandbox/base/fd.h"
#include "supervisor/profile.h"
#include "supervisor/trace.h"

#define FILE_CLASS .event_class = EVENT_CLASS_FILE
#define PATH1(k)                                             \
	{                                                    \
		.flags = WATCH_REPORT, FILE_CLASS, .path = 1 \
	}
#define PATH_AT                                                        \
	{                                                              \
		.flags = WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2 \
	}
/* Looking is no event of its own, but what it does not find may be a denial. */
#define PROBE(...)                                            \
	{                                                     \
		.flags = WATCH_PROBE, FILE_CLASS, __VA_ARGS__ \
	}
#define BY_FD                                                         \
	{                                                             \
		.flags = WATCH_REPORT | WATCH_FD, FILE_CLASS, .fd = 1 \
	}
/* Counted by file and burst; but which file is full is said at once. */
#define WRITES(number)                                                              \
	{                                                                           \
		.flags = WATCH_FD, FILE_CLASS, .fd = (number), .more = WATCH_WRITE, \
	}
#define SIGNAL                                                         \
	{                                                              \
		.flags = WATCH_REPORT, .event_class = EVENT_CLASS_PROC \
	}
/* Told as it is, whatever it returned: its numbers by name, its path if it has one. */
#define CALL(name, cls, argnames, ...)                                                     \
	{                                                                                  \
		name, "sys.call", { .flags = WATCH_ANY, .event_class = cls, __VA_ARGS__ }, \
			argnames                                                           \
	}
#define PROC_CALL(name, argnames, ...) CALL(name, EVENT_CLASS_PROC, argnames, ##__VA_ARGS__)
#define FILE_CALL(name, argnames, ...) CALL(name, EVENT_CLASS_FILE, argnames, ##__VA_ARGS__)
#define NET_CALL(name, argnames, ...) CALL(name, EVENT_CLASS_NET, argnames, ##__VA_ARGS__)
#define ADDRESS_FLAGS .flags = WATCH_ANY | WATCH_SOCKADDR, .event_class = EVENT_CLASS_NET
/* A connection is never the first to be lost. */
#define ADDRESS                                                                        \
	{                                                                              \
		.flags = WATCH_ANY | WATCH_SOCKADDR, .event_class = EVENT_CLASS_DENIED \
	}
/* A server that waits without blocking fails all the time: what came, and what failed otherwise. */
#define ACCEPTS                                                                              \
	{                                                                                    \
		.flags = WATCH_REPORT, .event_class = EVENT_CLASS_DENIED, .more = WATCH_PEER \
	}
/* sendmmsg(2): each of its messages that has an address. */
#define SENDS_MSG(m)                                                                              \
	{                                                                                         \
		.flags = WATCH_SOCKADDR, .event_class = EVENT_CLASS_NET, .more = WATCH_MSG | (m), \
	}

static const struct syscall_row rows[] = {
	{ "open", "file.open", { WATCH_OPEN, FILE_CLASS, .path = 1, .open_flags = 2 }, NULL },
	{ "openat",
	  "file.open",
	  { WATCH_OPEN, FILE_CLASS, .dir = 1, .path = 2, .open_flags = 3 },
	  NULL },
	{ "openat2",
	  "file.open",
	  { WATCH_OPEN | WATCH_OPEN_HOW, FILE_CLASS, .dir = 1, .path = 2 },
	  NULL },
	{ "creat", "file.open", { WATCH_OPEN | WATCH_CREAT, FILE_CLASS, .path = 1 }, NULL },
	{ "rename",
	  "file.rename",
	  { WATCH_REPORT, FILE_CLASS, .path = 1, .path2 = 2, .more = WATCH_RENAMES },
	  NULL },
	{ "renameat",
	  "file.rename",
	  { WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2, .dir2 = 3, .path2 = 4,
	    .more = WATCH_RENAMES },
	  NULL },
	{ "renameat2",
	  "file.rename",
	  { WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2, .dir2 = 3, .path2 = 4,
	    .more = WATCH_RENAMES },
	  NULL },
	{ "link", "file.link", { WATCH_REPORT, FILE_CLASS, .path = 1, .path2 = 2 }, NULL },
	{ "linkat",
	  "file.link",
	  { WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2, .dir2 = 3, .path2 = 4 },
	  NULL },
	/* the link is the path; its target is only text */
	{ "symlink", "file.symlink", { WATCH_REPORT, FILE_CLASS, .path = 2, .path2 = 1 }, NULL },
	{ "symlinkat",
	  "file.symlink",
	  { WATCH_REPORT, FILE_CLASS, .dir = 2, .path = 3, .path2 = 1 },
	  NULL },
	{ "unlink", "file.unlink", PATH1(), NULL },
	{ "unlinkat", "file.unlink", PATH_AT, NULL },
	{ "rmdir", "file.unlink", PATH1(), NULL },
	{ "mkdir", "file.mkdir", PATH1(), NULL },
	{ "mkdirat", "file.mkdir", PATH_AT, NULL },
	{ "mknod", "file.create", PATH1(), NULL },
	{ "mknodat", "file.create", PATH_AT, NULL },
	{ "chmod", "file.chmod", PATH1(), NULL },
	{ "fchmodat", "file.chmod", PATH_AT, NULL },
	{ "fchmodat2", "file.chmod", PATH_AT, NULL },
	{ "fchmod", "file.chmod", BY_FD, NULL },
	{ "chown", "file.chown", PATH1(), NULL },
	{ "lchown", "file.chown", PATH1(), NULL },
	{ "fchownat", "file.chown", PATH_AT, NULL },
	{ "fchown", "file.chown", BY_FD, NULL },
	{ "truncate", "file.truncate", PATH1(), NULL },
	{ "ftruncate", "file.truncate", BY_FD, NULL },
	{ "write", "file.write", WRITES(1), NULL },
	{ "pwrite64", "file.write", WRITES(1), NULL },
	{ "writev", "file.write", WRITES(1), NULL },
	{ "pwritev", "file.write", WRITES(1), NULL },
	{ "pwritev2", "file.write", WRITES(1), NULL },
	{ "sendfile", "file.write", WRITES(1), NULL },
	{ "copy_file_range", "file.write", WRITES(3), NULL },
	{ "splice", "file.write", WRITES(3), NULL },
	FILE_CALL("fallocate", "fd mode offset len", .fd = 1),
	{ "stat", "file.look", PROBE(.path = 1), NULL },
	{ "lstat", "file.look", PROBE(.path = 1), NULL },
	{ "newfstatat", "file.look", PROBE(.dir = 1, .path = 2), NULL },
	{ "statx", "file.look", PROBE(.dir = 1, .path = 2), NULL },
	{ "access", "file.look", PROBE(.path = 1), NULL },
	{ "faccessat", "file.look", PROBE(.dir = 1, .path = 2), NULL },
	{ "faccessat2", "file.look", PROBE(.dir = 1, .path = 2), NULL },
	{ "readlink", "file.look", PROBE(.path = 1), NULL },
	{ "connect", "net.connect", ADDRESS, NULL },
	{ "bind", "net.bind", { ADDRESS_FLAGS, .more = WATCH_LOCAL }, NULL },
	{ "listen",
	  "net.listen",
	  { .flags = WATCH_ANY, .event_class = EVENT_CLASS_NET, .more = WATCH_LOCAL },
	  NULL },
	{ "accept", "net.accept", ACCEPTS, NULL },
	{ "accept4", "net.accept", ACCEPTS, NULL },
	{ "sendto",
	  "net.send",
	  { .flags = WATCH_SOCKADDR, .event_class = EVENT_CLASS_NET, .more = WATCH_SEND },
	  NULL },
	{ "sendmsg", "net.send", SENDS_MSG(0), NULL },
	{ "sendmmsg", "net.send", SENDS_MSG(WATCH_MMSG), NULL },
	{ "kill", "proc.signal", SIGNAL, NULL },
	{ "tkill", "proc.signal", SIGNAL, NULL },
	{ "tgkill", "proc.signal", SIGNAL, NULL },
	{ "rt_sigqueueinfo", "proc.signal", SIGNAL, NULL },
	{ "rt_tgsigqueueinfo", "proc.signal", SIGNAL, NULL },
	{ "pidfd_send_signal", "proc.signal", SIGNAL, NULL },
	{ "ptrace", "proc.ptrace", SIGNAL, NULL },
	/* processes: what was made is told by EVENT_FORK */
	PROC_CALL("clone", "flags", .more = WATCH_FAILED | WATCH_FORKS),
	PROC_CALL("fork", NULL, .more = WATCH_FAILED | WATCH_FORKS),
	PROC_CALL("vfork", NULL, .more = WATCH_FAILED | WATCH_FORKS),
	PROC_CALL("clone3", NULL, .more = WATCH_FAILED | WATCH_FORKS),
	/* what was executed is told by EVENT_EXEC */
	PROC_CALL("execve", NULL, .path = 1, .more = WATCH_FAILED),
	PROC_CALL("execveat", "dfd - - - flags", .dir = 1, .path = 2, .more = WATCH_FAILED),
	PROC_CALL("process_vm_readv", "target - - - - flags"),
	PROC_CALL("process_vm_writev", "target - - - - flags"),
	PROC_CALL("process_madvise", "pidfd - - advice flags"),
	PROC_CALL("pidfd_open", "target flags"),
	PROC_CALL("pidfd_getfd", "pidfd targetfd flags"),
	PROC_CALL("kcmp", "pid1 pid2 type idx1 idx2"),
	PROC_CALL("prctl", "option arg2 arg3 arg4 arg5"),
	PROC_CALL("seccomp", "operation flags"),
	PROC_CALL("setns", "fd nstype"),
	PROC_CALL("unshare", "flags"),
	PROC_CALL("personality", "persona"),
	/* who it is */
	PROC_CALL("setuid", "uid"),
	PROC_CALL("setgid", "gid"),
	PROC_CALL("setreuid", "ruid euid"),
	PROC_CALL("setregid", "rgid egid"),
	PROC_CALL("setresuid", "ruid euid suid"),
	PROC_CALL("setresgid", "rgid egid sgid"),
	PROC_CALL("setfsuid", "fsuid"),
	PROC_CALL("setfsgid", "fsgid"),
	PROC_CALL("setgroups", "size"),
	PROC_CALL("capset", NULL),
	/* mounts and roots */
	FILE_CALL("mount", "- - - mountflags", .path = 2),
	FILE_CALL("umount2", "- flags", .path = 1),
	FILE_CALL("pivot_root", NULL, .path = 1),
	FILE_CALL("chroot", NULL, .path = 1),
	FILE_CALL("move_mount", "from_dirfd - to_dirfd - flags", .dir = 1, .path = 2),
	FILE_CALL("open_tree", "dfd - flags", .dir = 1, .path = 2),
	FILE_CALL("open_tree_attr", "dfd - flags", .dir = 1, .path = 2),
	FILE_CALL("fsopen", "- flags"),
	FILE_CALL("fsconfig", "fd cmd - - aux"),
	FILE_CALL("fsmount", "fd flags attr_flags"),
	FILE_CALL("fspick", "dfd - flags", .dir = 1, .path = 2),
	FILE_CALL("mount_setattr", "dfd - flags", .dir = 1, .path = 2),
	FILE_CALL("name_to_handle_at", "dfd - - - flags", .dir = 1, .path = 2),
	FILE_CALL("open_by_handle_at", "mountfd - flags"),
	FILE_CALL("memfd_create", "- flags"),
	FILE_CALL("memfd_secret", "flags"),
	FILE_CALL("quotactl", "cmd - id", .path = 2),
	FILE_CALL("quotactl_fd", "fd cmd id", .fd = 1),
	FILE_CALL("chdir", NULL, .path = 1, .more = WATCH_CWD),
	FILE_CALL("fchdir", "fd", .fd = 1),
	/* names and times */
	FILE_CALL("setxattr", "- - - size flags", .path = 1),
	FILE_CALL("lsetxattr", "- - - size flags", .path = 1),
	FILE_CALL("fsetxattr", "fd - - size flags", .fd = 1),
	FILE_CALL("removexattr", NULL, .path = 1),
	FILE_CALL("lremovexattr", NULL, .path = 1),
	FILE_CALL("fremovexattr", "fd", .fd = 1),
	FILE_CALL("setxattrat", "dfd - at_flags - - size", .dir = 1, .path = 2),
	FILE_CALL("removexattrat", "dfd - at_flags", .dir = 1, .path = 2),
	FILE_CALL("file_setattr", "dfd - - size at_flags", .dir = 1, .path = 2),
	FILE_CALL("utimensat", "dfd - - flags", .dir = 1, .path = 2),
	FILE_CALL("utime", NULL, .path = 1),
	FILE_CALL("utimes", NULL, .path = 1),
	FILE_CALL("futimesat", "dfd", .dir = 1, .path = 2),
	/* memory that is run, or shared with a file */
	FILE_CALL("mmap", "addr len prot flags fd off", .fd = 5, .more = WATCH_MAP),
	FILE_CALL("mprotect", "start len prot", .more = WATCH_PROTECT),
	FILE_CALL("pkey_mprotect", "start len prot pkey", .more = WATCH_PROTECT),
	/* sockets */
	NET_CALL("socket", "family type protocol"),
	NET_CALL("socketpair", "family type protocol"),
	NET_CALL("setsockopt", "fd level optname - optlen"),
	/* the machine's kernel */
	PROC_CALL("bpf", "cmd - size"),
	PROC_CALL("perf_event_open", "- pid cpu group_fd flags"),
	PROC_CALL("init_module", NULL),
	PROC_CALL("finit_module", "fd - flags"),
	PROC_CALL("delete_module", "- flags"),
	PROC_CALL("kexec_load", "entry nr_segments - flags"),
	PROC_CALL("kexec_file_load", "kernel_fd initrd_fd cmdline_len - flags"),
	PROC_CALL("io_uring_setup", "entries"),
	PROC_CALL("io_uring_enter", "fd to_submit min_complete flags"),
	PROC_CALL("io_uring_register", "fd opcode - nr_args"),
	PROC_CALL("userfaultfd", "flags"),
	PROC_CALL("keyctl", "operation arg2 arg3 arg4 arg5"),
	PROC_CALL("add_key", "- - - plen keyring"),
	PROC_CALL("request_key", "- - - dest_keyring"),
	PROC_CALL("iopl", "level"),
	PROC_CALL("ioperm", "from num turn_on"),
	PROC_CALL("swapon", "- swapflags", .path = 1),
	PROC_CALL("swapoff", NULL, .path = 1),
	PROC_CALL("reboot", "magic magic2 cmd"),
	PROC_CALL("acct", NULL, .path = 1),
	PROC_CALL("syslog", "type - len"),
	PROC_CALL("fanotify_init", "flags event_f_flags"),
	PROC_CALL("landlock_create_ruleset", "- size flags"),
	PROC_CALL("landlock_add_rule", "ruleset_fd rule_type - flags"),
	PROC_CALL("landlock_restrict_self", "ruleset_fd flags"),
};

static int numbers[ARRAY_SIZE(rows)];
static const struct syscall_row *by_number[WATCH_SYSCALLS];

void syscalls_fill(struct watch_shape shapes[WATCH_SYSCALLS])
{
	const struct profile *p;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		numbers[i] = profile_syscall_number(rows[i].name);
		if (numbers[i] < 0 || numbers[i] >= WATCH_SYSCALLS)
			continue;
		shapes[numbers[i]] = rows[i].shape;
		by_number[numbers[i]] = &rows[i];
	}
	trace_fill(shapes);
	for (int nr = 0; nr < WATCH_SYSCALLS && profile_default(&p, &fd) == 0; nr++)
		profile_errors(p, nr, &shapes[nr].deny_errno, &shapes[nr].deny_errno2);
}

/* prctl(2) does a hundred things; these take away, give, or hide. */
static const __u64 told_prctls[] = {
	PR_SET_PDEATHSIG,    PR_SET_DUMPABLE,   PR_SET_KEEPCAPS, PR_SET_SECCOMP,
	PR_CAPBSET_DROP,     PR_SET_SECUREBITS, PR_SET_MM,       PR_SET_CHILD_SUBREAPER,
	PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT,    PR_SET_PTRACER,
};

/* setsockopt(2): what goes around a route, an address or a filter. */
static bool is_told_option(int level, int option)
{
	static const int sockets[] = { SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_BINDTODEVICE,
				       SO_MARK,          SO_PASSCRED,   SO_DETACH_FILTER };

	if (level == SOL_IP)
		return option == IP_TRANSPARENT || option == IP_HDRINCL;
	if (level != SOL_SOCKET)
		return level != SOL_TCP && level != SOL_IPV6 && level != SOL_UDP;
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		if (sockets[i] == option)
			return true;
	return false;
}

bool syscalls_is_told(const struct syscall_row *row, const __u64 args[6], __s64 ret)
{
	(void)ret;
	if (strcmp(row->name, "setsockopt") == 0)
		return is_told_option((int)args[1], (int)args[2]);
	if (strcmp(row->name, "prctl") != 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(told_prctls); i++)
		if (args[0] == told_prctls[i])
			return true;
	return false;
}

bool syscalls_is_event(const struct syscall_row *row, const struct event *e)
{
	return !(e->flags & (EVENT_F_ONLY_TRACED | EVENT_F_READ)) &&
	       (row->shape.flags & SYSCALLS_REPORTED) && !(row->shape.flags & WATCH_PROBE) &&
	       syscalls_is_told(row, e->args, e->ret);
}

const struct syscall_row *syscalls_find(int nr)
{
	return nr >= 0 && nr < WATCH_SYSCALLS ? by_number[nr] : NULL;
}

bool syscalls_returns(int nr)
{
	return nr != SYS_exit && nr != SYS_exit_group;
}
