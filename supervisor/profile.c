// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/profile.c - which system calls a call may make.
 *
 * Allowed is what is listed. What is not, and has no rule of its own, answers
 * ENOSYS if it is newer than this list (so that a C library takes its old way)
 * and EPERM otherwise. The same tables are compiled into the filter, tell the
 * monitor which errno may be ours, and explain a refusal: they cannot disagree.
 */
#include "supervisor/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/event.h"
#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"

/* clone(2) flags that make a namespace; CLONE_NEWTIME is not among them: its
 * bit is part of the exit signal here. */
#define CLONE_NEW_ANY                                                                  \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* The last call this list was checked against (Linux 6.12: mseal 462). */
#define NEWEST_KNOWN 462

static const char *const allowed[] = {
	"accept",
	"accept4",
	"access",
	"alarm",
	"arch_prctl",
	"bind",
	"brk",
	"cachestat",
	"capget",
	"capset",
	"chdir",
	"chmod",
	"chown",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"close",
	"close_range",
	"connect",
	"copy_file_range",
	"creat",
	"dup",
	"dup2",
	"dup3",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_ctl_old",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"epoll_wait_old",
	"eventfd",
	"eventfd2",
	"execve",
	"execveat",
	"exit",
	"exit_group",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fallocate",
	"fchdir",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"fchown",
	"fchownat",
	"fcntl",
	"fdatasync",
	"fgetxattr",
	"flistxattr",
	"flock",
	"fork",
	"fremovexattr",
	"fsetxattr",
	"fstat",
	"fstatfs",
	"fsync",
	"ftruncate",
	"futex",
	"futex_requeue",
	"futex_wait",
	"futex_waitv",
	"futex_wake",
	"futimesat",
	"getcpu",
	"getcwd",
	"getdents",
	"getdents64",
	"getegid",
	"geteuid",
	"getgid",
	"getgroups",
	"getitimer",
	"getpeername",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getpriority",
	"getrandom",
	"getresgid",
	"getresuid",
	"getrlimit",
	"get_robust_list",
	"getrusage",
	"getsid",
	"getsockname",
	"getsockopt",
	"get_thread_area",
	"gettid",
	"gettimeofday",
	"getuid",
	"getxattr",
	"inotify_add_watch",
	"inotify_init",
	"inotify_init1",
	"inotify_rm_watch",
	"ioprio_get",
	"ioprio_set",
	"kill",
	"landlock_add_rule",
	"landlock_create_ruleset",
	"landlock_restrict_self",
	"lchown",
	"lgetxattr",
	"link",
	"linkat",
	"listen",
	"listxattr",
	"llistxattr",
	"lremovexattr",
	"lseek",
	"lsetxattr",
	"lstat",
	"madvise",
	"membarrier",
	"memfd_create",
	"mincore",
	"mkdir",
	"mkdirat",
	"mlock",
	"mlock2",
	"mlockall",
	"mmap",
	"mprotect",
	"mq_getsetattr",
	"mq_notify",
	"mq_open",
	"mq_timedreceive",
	"mq_timedsend",
	"mq_unlink",
	"mremap",
	"msgctl",
	"msgget",
	"msgrcv",
	"msgsnd",
	"msync",
	"munlock",
	"munlockall",
	"munmap",
	"nanosleep",
	"newfstatat",
	"open",
	"openat",
	"openat2",
	"pause",
	"pidfd_open",
	"pidfd_send_signal",
	"pipe",
	"pipe2",
	"pkey_alloc",
	"pkey_free",
	"pkey_mprotect",
	"poll",
	"ppoll",
	"prctl",
	"pread64",
	"preadv",
	"preadv2",
	"prlimit64",
	"pselect6",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"read",
	"readahead",
	"readlink",
	"readlinkat",
	"readv",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"remap_file_pages",
	"removexattr",
	"rename",
	"renameat",
	"renameat2",
	"restart_syscall",
	"rmdir",
	"rseq",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigqueueinfo",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_tgsigqueueinfo",
	"sched_getaffinity",
	"sched_getattr",
	"sched_getparam",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_getscheduler",
	"sched_rr_get_interval",
	"sched_setaffinity",
	"sched_setattr",
	"sched_setparam",
	"sched_setscheduler",
	"sched_yield",
	"seccomp",
	"select",
	"semctl",
	"semget",
	"semop",
	"semtimedop",
	"sendfile",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setfsgid",
	"setfsuid",
	"setgid",
	"setgroups",
	"setitimer",
	"setpgid",
	"setpriority",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"setrlimit",
	"set_robust_list",
	"setsid",
	"setsockopt",
	"set_thread_area",
	"set_tid_address",
	"setuid",
	"setxattr",
	"shmat",
	"shmctl",
	"shmdt",
	"shmget",
	"shutdown",
	"sigaltstack",
	"signalfd",
	"signalfd4",
	"socketpair",
	"splice",
	"stat",
	"statfs",
	"statx",
	"symlink",
	"symlinkat",
	"sync",
	"sync_file_range",
	"syncfs",
	"sysinfo",
	"tee",
	"tgkill",
	"time",
	"timer_create",
	"timer_delete",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	"timer_getoverrun",
	"timer_gettime",
	"timer_settime",
	"times",
	"tkill",
	"truncate",
	"umask",
	"uname",
	"unlink",
	"unlinkat",
	"utime",
	"utimensat",
	"utimes",
	"vfork",
	"vmsplice",
	"wait4",
	"waitid",
	"write",
	"writev",
};

#define X32_SYSCALL_BIT 0x40000000u
/* The head and a dozen instructions for each rule that looks at an argument. */
#define FRONT_MAX 128

/* Socket families a tool may open: anything else answers EAFNOSUPPORT. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };

#define WHOLE(name, e, because)                                 \
	{                                                       \
		name, e, because, -1, 0, 0, PROFILE_EQUAL, NULL \
	}

static const char mount_why[] = "mounts belong to the sandbox; a tool may not change them";
static const char module_why[] = "this reaches the machine's kernel itself";
static const char trace_why[] = "a tool may not look into or steer other processes";
static const char namespace_why[] = "new namespaces would give back what the sandbox took";
static const char device_why[] = "device nodes are the machine's";
static const char key_why[] = "kernel keyrings are shared with the machine";
static const char time_why[] = "the clock is the machine's";
static const char uring_why[] = "io_uring does system calls that no filter and no watcher sees";

static const struct profile_rule rules[] = {
	/* memory holds its flags, which no filter can read: libc then uses clone */
	WHOLE("clone3", ENOSYS, "its flags cannot be checked; C libraries use clone(2) instead"),
	{ "clone", EPERM, namespace_why, 0, CLONE_NEW_ANY, 0, PROFILE_ANY_BIT, "a namespace flag" },
	WHOLE("unshare", EPERM, namespace_why),
	WHOLE("setns", EPERM, namespace_why),
	WHOLE("chroot", EPERM, namespace_why),
	WHOLE("pivot_root", EPERM, mount_why),
	WHOLE("mount", EPERM, mount_why),
	WHOLE("umount2", EPERM, mount_why),
	WHOLE("open_tree", EPERM, mount_why),
	WHOLE("move_mount", EPERM, mount_why),
	WHOLE("fsopen", EPERM, mount_why),
	WHOLE("fsconfig", EPERM, mount_why),
	WHOLE("fsmount", EPERM, mount_why),
	WHOLE("fspick", EPERM, mount_why),
	WHOLE("mount_setattr", EPERM, mount_why),
	WHOLE("statmount", EPERM, mount_why),
	WHOLE("listmount", EPERM, mount_why),
	WHOLE("ptrace", EPERM, trace_why),
	WHOLE("process_vm_readv", EPERM, trace_why),
	WHOLE("process_vm_writev", EPERM, trace_why),
	WHOLE("process_madvise", EPERM, trace_why),
	WHOLE("process_mrelease", EPERM, trace_why),
	WHOLE("pidfd_getfd", EPERM, trace_why),
	WHOLE("kcmp", EPERM, trace_why),
	WHOLE("io_uring_setup", EPERM, uring_why),
	WHOLE("io_uring_enter", EPERM, uring_why),
	WHOLE("io_uring_register", EPERM, uring_why),
	WHOLE("bpf", EPERM, module_why),
	WHOLE("perf_event_open", EPERM, module_why),
	WHOLE("userfaultfd", EPERM, "it can stall a watcher in the middle of a read"),
	WHOLE("add_key", EPERM, key_why),
	WHOLE("request_key", EPERM, key_why),
	WHOLE("keyctl", EPERM, key_why),
	WHOLE("init_module", EPERM, module_why),
	WHOLE("finit_module", EPERM, module_why),
	WHOLE("delete_module", EPERM, module_why),
	WHOLE("kexec_load", EPERM, module_why),
	WHOLE("kexec_file_load", EPERM, module_why),
	WHOLE("reboot", EPERM, module_why),
	WHOLE("syslog", EPERM, module_why),
	WHOLE("acct", EPERM, module_why),
	WHOLE("swapon", EPERM, module_why),
	WHOLE("swapoff", EPERM, module_why),
	WHOLE("iopl", EPERM, module_why),
	WHOLE("ioperm", EPERM, module_why),
	WHOLE("modify_ldt", EPERM, module_why),
	WHOLE("quotactl", EPERM, module_why),
	WHOLE("quotactl_fd", EPERM, module_why),
	WHOLE("lookup_dcookie", EPERM, module_why),
	WHOLE("fanotify_init", EPERM, module_why),
	WHOLE("fanotify_mark", EPERM, module_why),
	WHOLE("name_to_handle_at", EPERM, "file handles go around path checks"),
	WHOLE("open_by_handle_at", EPERM, "file handles go around path checks"),
	WHOLE("settimeofday", EPERM, time_why),
	WHOLE("clock_settime", EPERM, time_why),
	WHOLE("clock_adjtime", EPERM, time_why),
	WHOLE("adjtimex", EPERM, time_why),
	WHOLE("sethostname", EPERM, "the host name is the session's"),
	WHOLE("setdomainname", EPERM, "the host name is the session's"),
	WHOLE("vhangup", EPERM, "the terminal is the session's"),
	WHOLE("memfd_secret", EPERM, "memory that no one can inspect"),
	WHOLE("mbind", EPERM, "memory placement is the machine's"),
	WHOLE("set_mempolicy", EPERM, "memory placement is the machine's"),
	WHOLE("get_mempolicy", EPERM, "memory placement is the machine's"),
	WHOLE("migrate_pages", EPERM, "memory placement is the machine's"),
	WHOLE("move_pages", EPERM, "memory placement is the machine's"),
	{ "mknod", EPERM, device_why, 1, 0xf000, S_IFCHR, PROFILE_EQUAL, "a character device" },
	{ "mknod", EPERM, device_why, 1, 0xf000, S_IFBLK, PROFILE_EQUAL, "a block device" },
	{ "mknodat", EPERM, device_why, 2, 0xf000, S_IFCHR, PROFILE_EQUAL, "a character device" },
	{ "mknodat", EPERM, device_why, 2, 0xf000, S_IFBLK, PROFILE_EQUAL, "a block device" },
	{ "ioctl", EPERM, "it types into the terminal as if the user had", 1, 0xffffffff, TIOCSTI,
	  PROFILE_EQUAL, "TIOCSTI" },
	{ "ioctl", EPERM, "it types into the terminal as if the user had", 1, 0xffffffff, TIOCLINUX,
	  PROFILE_EQUAL, "TIOCLINUX" },
	{ "ioctl", EPERM, "it loads a line discipline into the machine's kernel", 1, 0xffffffff,
	  TIOCSETD, PROFILE_EQUAL, "TIOCSETD" },
	{ "socket", EAFNOSUPPORT, "only unix, IPv4 and IPv6 sockets may be opened", 0, 0, 0,
	  PROFILE_NOT_LISTED, "another family" },
	{ "personality", EPERM, "only the standard one may be set", 0, 0, 0, PROFILE_NOT_LISTED,
	  "another personality" },
};

static const struct profile_rule unlisted = {
	NULL, EPERM, "it is on no list of the profile", -1, 0, 0, PROFILE_EQUAL, NULL,
};
static const struct profile_rule too_new = {
	NULL, ENOSYS, "it is newer than the profile", -1, 0, 0, PROFILE_EQUAL, NULL,
};

/* PER_LINUX, PER_LINUX32 | UNAME26 and the query: what container engines allow. */
static const uint64_t personalities[] = { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff };

/* What each number of this architecture is; filled once. */
static struct {
	char name[40];
	bool is_allowed;
	const struct profile_rule *first;
} by_number[WATCH_SYSCALLS];

static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill_by_number(void)
{
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		if (name)
			(void)snprintf(by_number[nr].name, sizeof(by_number[nr].name), "%s", name);
		else
			(void)snprintf(by_number[nr].name, sizeof(by_number[nr].name), "syscall_%d",
				       nr);
		free(name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		int nr = profile_syscall_number(allowed[i]);

		if (nr >= 0 && nr < WATCH_SYSCALLS)
			by_number[nr].is_allowed = true;
	}
	for (size_t i = ARRAY_SIZE(rules); i-- > 0;) {
		int nr = profile_syscall_number(rules[i].syscall);

		if (nr >= 0 && nr < WATCH_SYSCALLS)
			by_number[nr].first = &rules[i];
	}
}

/* Newer than libseccomp 2.5.4 knows, by number (they are the same on every
 * architecture from 424 on). */
static const struct {
	const char *name;
	int nr;
} newer[] = {
	{ "cachestat", 451 },   { "fchmodat2", 452 },  { "map_shadow_stack", 453 },
	{ "futex_wake", 454 },  { "futex_wait", 455 }, { "futex_requeue", 456 },
	{ "statmount", 457 },   { "listmount", 458 },  { "set_mempolicy_home_node", 450 },
	{ "futex_waitv", 449 },
};

int profile_syscall_number(const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_NATIVE, name);

	if (nr >= 0)
		return nr;
	for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
		if (strcmp(newer[i].name, name) == 0)
			return newer[i].nr;
	return -1;
}

const char *profile_syscall_name(int nr)
{
	(void)pthread_once(&filled, fill_by_number);
	if (nr < 0 || nr >= WATCH_SYSCALLS)
		return "unknown";
	if (strncmp(by_number[nr].name, "syscall_", 8) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
			if (newer[i].nr == nr)
				return newer[i].name;
	return by_number[nr].name;
}

static bool is_conditional(const struct profile_rule *rule)
{
	return rule->arg >= 0;
}

static bool rule_matches(const struct profile_rule *rule, const uint64_t args[6])
{
	uint64_t a;

	if (!is_conditional(rule))
		return true;
	a = args[rule->arg];
	switch ((enum profile_match)rule->match) {
	case PROFILE_EQUAL:
		return (rule->mask ? a & rule->mask : a) == rule->value;
	case PROFILE_ANY_BIT:
		return (a & rule->mask) != 0;
	case PROFILE_NOT_LISTED:
		break;
	}
	if (strcmp(rule->syscall, "socket") == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(families); i++)
			if ((uint32_t)a == (uint32_t)families[i])
				return false;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(personalities); i++)
		if ((uint32_t)a == (uint32_t)personalities[i])
			return false;
	return true;
}

const struct profile_rule *profile_explain(int nr, int error, const uint64_t args[6])
{
	(void)pthread_once(&filled, fill_by_number);
	if (nr < 0 || nr >= WATCH_SYSCALLS)
		return error == ENOSYS ? &too_new : NULL;
	for (const struct profile_rule *r = by_number[nr].first; r && r < rules + ARRAY_SIZE(rules);
	     r++)
		if (r->error == error && profile_syscall_number(r->syscall) == nr &&
		    rule_matches(r, args))
			return r;
	if (by_number[nr].first || by_number[nr].is_allowed)
		return NULL;
	if (nr > NEWEST_KNOWN)
		return error == ENOSYS ? &too_new : NULL;
	return error == EPERM ? &unlisted : NULL;
}

void profile_errors(int nr, uint16_t *ret_error, uint16_t *ret_error2)
{
	(void)pthread_once(&filled, fill_by_number);
	*ret_error = *ret_error2 = 0;
	if (nr < 0 || nr >= WATCH_SYSCALLS)
		return;
	/* every thread meets this one, and libc goes on: counted, not reported */
	if (by_number[nr].first && by_number[nr].first->error == ENOSYS)
		return;
	if (by_number[nr].first)
		*ret_error = (uint16_t)by_number[nr].first->error;
	else if (!by_number[nr].is_allowed)
		*ret_error = nr > NEWEST_KNOWN ? ENOSYS : EPERM;
}

/*
 * The rules that look at an argument, as instructions in front of what
 * libseccomp makes: it compares whole 64-bit words where the kernel takes 32
 * (CVE-2019-10063), and cannot say "any but these". Only the low word counts,
 * as in the kernel.
 */
static size_t emit_rule(struct sock_filter *f, const struct profile_rule *rule, int nr)
{
	uint32_t refuse = SECCOMP_RET_ERRNO | ((uint32_t)rule->error & SECCOMP_RET_DATA);
	uint32_t arg = (uint32_t)offsetof(struct seccomp_data, args) + 8u * (uint32_t)rule->arg;
	struct sock_filter load_nr =
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	struct sock_filter load_arg = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arg);
	struct sock_filter ret = BPF_STMT(BPF_RET | BPF_K, refuse);
	size_t count = rule->match != PROFILE_NOT_LISTED      ? 1
		       : strcmp(rule->syscall, "socket") == 0 ? ARRAY_SIZE(families)
							      : ARRAY_SIZE(personalities);
	bool masked = rule->match == PROFILE_EQUAL && rule->mask != 0xffffffff;
	size_t n = 0;

	f[n++] = load_nr;
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0,
					      (uint8_t)(count + 2 + masked));
	f[n++] = load_arg;
	if (masked)
		f[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
						      (uint32_t)rule->mask);
	for (size_t i = 0; i < count; i++) {
		uint8_t over = (uint8_t)(count - i);

		if (rule->match == PROFILE_ANY_BIT)
			f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K,
							      (uint32_t)rule->mask, 0, 1);
		else if (rule->match == PROFILE_EQUAL)
			f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							      (uint32_t)rule->value, 0, 1);
		else
			f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							      count == ARRAY_SIZE(families)
								      ? (uint32_t)families[i]
								      : (uint32_t)personalities[i],
							      over, 0);
	}
	f[n++] = ret;
	return n;
}

/* Arch and x32 are checked by libseccomp's part, too; here so that no number of
 * another architecture meets a rule of this one. */
static size_t emit_front(struct sock_filter *f)
{
	static const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_SYSCALL_BIT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	size_t n = ARRAY_SIZE(head);

	memcpy(f, head, sizeof(head));
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (is_conditional(&rules[i]))
			n += emit_rule(f + n, &rules[i], profile_syscall_number(rules[i].syscall));
	return n;
}

static int add_rules(scmp_filter_ctx ctx)
{
	int r = 0;

	for (int nr = 0; r == 0 && nr < WATCH_SYSCALLS; nr++) {
		const struct profile_rule *rule = by_number[nr].first;

		if (by_number[nr].is_allowed || (rule && is_conditional(rule)))
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
		else if (rule && rule->error != EPERM)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((uint16_t)rule->error), nr, 0);
		else if (nr > NEWEST_KNOWN)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
	}
	return r;
}

static int export_sealed(scmp_filter_ctx ctx, int *ret_fd)
{
	AUTO_FD fd = memfd_create("glovebox-filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct sock_filter front[FRONT_MAX];
	size_t n = emit_front(front);
	int r;

	must(n <= FRONT_MAX);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, front, n * sizeof(front[0]));
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}

int profile_compile(int *ret_fd)
{
	scmp_filter_ctx ctx;
	int r;

	(void)pthread_once(&filled, fill_by_number);
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0) /* a binary tree: half the cost of the default order */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = add_rules(ctx);
	if (r == 0)
		r = export_sealed(ctx, ret_fd);
	seccomp_release(ctx);
	return r;
}
