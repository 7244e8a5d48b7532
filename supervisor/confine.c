// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/confine.c - the supervisor gives its own privileges up.
 *
 * After this it works with the fds it holds: the warden's socket, its session's
 * directory, cgroup files, BPF maps, sockets it listens on. It cannot execute a
 * program, trace, mount, or open a network socket.
 */
#include "supervisor/confine.h"

#include <errno.h>
#include <linux/bpf.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "sandbox/base/fd.h"
#include "sandbox/privs.h"
#include "sandbox/wire.h"
#include "supervisor/user.h"

static int check_empty(void)
{
	cap_t have = cap_get_proc();
	cap_t none = cap_init();
	int r = have && none ? 0 : -ENOMEM;

	if (r == 0 && cap_compare(have, none) != 0)
		r = -EPERM;
	(void)cap_free(have);
	(void)cap_free(none);
	return r;
}

int confine_privileges(void)
{
	bool single = user_is_single();
	uid_t id = single ? 0 : SB_SUPERVISOR_ID; /* 0: the user who started us */
	int r;

	r = privs_become(id, id, single);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return check_empty();
}

static const char *const listed[] = {
	"accept4",
	"brk",
	"clock_gettime",
	"clock_nanosleep",
	"clone",
	"clone3",
	"close",
	"dup",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd2",
	"exit",
	"exit_group",
	"fallocate",
	"fchmod",
	"fcntl",
	"fdatasync",
	"fstat",
	"fstatfs",
	"fsync",
	"ftruncate",
	"futex",
	"getdents64",
	"getegid",
	"geteuid",
	"getgid",
	"getpid",
	"getrandom",
	"getsockopt",
	"gettid",
	"getuid",
	"ioctl",
	"lseek",
	"lstat",
	"madvise",
	"memfd_create",
	"mkdirat",
	"mmap",
	"mprotect",
	"mremap",
	"munmap",
	"newfstatat",
	"openat",
	"pipe2",
	"poll",
	"ppoll",
	"prctl",
	"pread64",
	"pwrite64",
	"read",
	"readv",
	"recvfrom",
	"recvmsg",
	"renameat",
	"renameat2",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sched_getaffinity",
	"sched_yield",
	"sendmsg",
	"sendto",
	"set_robust_list",
	"setsockopt",
	"shutdown",
	"sigaltstack",
	"signalfd4",
	"socketpair",
	"stat",
	"statx",
	"sysinfo",
	"tgkill",
	"timerfd_create",
	"timerfd_settime",
	"uname",
	"unlinkat",
	"wait4",
	"waitid",
	"write",
	"writev",
};

static const char *const listed_to_ask[] = { "process_vm_readv", "readlink", "openat2" };

/* What a holder of map fds may do with them; no command loads or attaches. */
static const int bpf_commands[] = {
	BPF_OBJ_GET_INFO_BY_FD, /* whether a link is still attached */
	BPF_MAP_LOOKUP_ELEM,    BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY,
};

int confine_syscalls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = ctx ? 0 : -ENOMEM;

	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(listed); i++) {
		int nr = seccomp_syscall_resolve_name(listed[i]);

		if (nr >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	/* what a system call of a tool names, where no BPF program reads it (notify.c) */
	for (size_t i = 0; r == 0 && user_is_single() && i < ARRAY_SIZE(listed_to_ask); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
				     seccomp_syscall_resolve_name(listed_to_ask[i]), 0);
	/* to tell systemd how we are (sd_notify(3)); no network */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_CMP32(0, SCMP_CMP_EQ, AF_UNIX));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(bpf_commands); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				     SCMP_CMP32(0, SCMP_CMP_EQ, (uint32_t)bpf_commands[i]));
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
