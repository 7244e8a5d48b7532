// SPDX-License-Identifier: Apache-2.0
/*
 * tests/jail/refusals.c - the filter and the dropped privileges, really in force.
 *
 * Criterion runs each test in a process of its own, so each may confine itself.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/privs.h"
#include "sandbox/wire.h"
#include "supervisor/profile.h"

static void load_default(void)
{
	static struct sock_filter insns[SB_FILTER_MAX];
	struct sock_fprog prog = { .filter = insns };
	const struct profile *p;
	int fd = -1;
	ssize_t n;

	cr_assert_eq(profile_default(&p, &fd), 0);
	n = pread(fd, insns, sizeof(insns), 0);
	cr_assert_gt(n, 0);
	prog.len = (unsigned short)((size_t)n / sizeof(insns[0]));
	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog), 0);
}

/* The answers are collected first: what Criterion does to report must not have
 * to pass the filter. */
static int answer(const char *name, long a, long b)
{
	int nr = profile_syscall_number(name);

	errno = 0;
	return nr < 0 ? -1 : syscall(nr, a, b, 0, 0, 0, 0) < 0 ? errno : 0;
}

Test(filter, every_forbidden_call_is_refused_with_its_errno)
{
	static const struct {
		const char *name;
		int error;
		long a, b;
	} all[] = {
		{ "clone3", ENOSYS, 0, 0 },
		{ "unshare", EPERM, CLONE_NEWUSER, 0 },
		{ "setns", EPERM, 0, 0 },
		{ "chroot", EPERM, 0, 0 },
		{ "pivot_root", EPERM, 0, 0 },
		{ "mount", EPERM, 0, 0 },
		{ "umount2", EPERM, 0, 0 },
		{ "open_tree", EPERM, 0, 0 },
		{ "move_mount", EPERM, 0, 0 },
		{ "fsopen", EPERM, 0, 0 },
		{ "fsconfig", EPERM, 0, 0 },
		{ "fsmount", EPERM, 0, 0 },
		{ "fspick", EPERM, 0, 0 },
		{ "mount_setattr", EPERM, 0, 0 },
		{ "ptrace", EPERM, 0, 0 },
		{ "process_vm_readv", EPERM, 0, 0 },
		{ "process_vm_writev", EPERM, 0, 0 },
		{ "pidfd_getfd", EPERM, 0, 0 },
		{ "io_uring_setup", EPERM, 0, 0 },
		{ "io_uring_enter", EPERM, 0, 0 },
		{ "io_uring_register", EPERM, 0, 0 },
		{ "bpf", EPERM, 0, 0 },
		{ "perf_event_open", EPERM, 0, 0 },
		{ "userfaultfd", EPERM, 0, 0 },
		{ "add_key", EPERM, 0, 0 },
		{ "request_key", EPERM, 0, 0 },
		{ "keyctl", EPERM, 0, 0 },
		{ "init_module", EPERM, 0, 0 },
		{ "finit_module", EPERM, 0, 0 },
		{ "kexec_load", EPERM, 0, 0 },
		{ "reboot", EPERM, 0, 0 },
		{ "iopl", EPERM, 0, 0 },
		{ "swapon", EPERM, 0, 0 },
		{ "name_to_handle_at", EPERM, 0, 0 },
		{ "open_by_handle_at", EPERM, 0, 0 },
		{ "settimeofday", EPERM, 0, 0 },
		{ "clock_settime", EPERM, 0, 0 },
		{ "sethostname", EPERM, 0, 0 },
		{ "socket", EAFNOSUPPORT, 38, SOCK_SEQPACKET }, /* AF_ALG */
		{ "socket", EAFNOSUPPORT, AF_VSOCK, SOCK_STREAM },
		{ "socket", EAFNOSUPPORT, AF_NETLINK, SOCK_RAW },
		{ "socket", EAFNOSUPPORT, AF_PACKET, SOCK_RAW },
		{ "ioctl", EPERM, 0, TIOCSTI },
		{ "ioctl", EPERM, 0, TIOCLINUX },
		{ "ioctl", EPERM, 0, 0x100000000l | TIOCSTI },
		{ "ioctl", EPERM, 0, TIOCSETD },
		{ "mknod", EPERM, 0, S_IFCHR | 0600 },
		{ "mknod", EPERM, 0, S_IFBLK | 0600 },
		{ "clone", EPERM, CLONE_NEWUSER | SIGCHLD, 0 },
		{ "clone", EPERM, CLONE_NEWNET | SIGCHLD, 0 },
		{ "personality", EPERM, 0x0040000, 0 }, /* ADDR_NO_RANDOMIZE */
	};
	int got[ARRAY_SIZE(all)];
	int status;
	int pipe_fds[2];
	pid_t pid;

	cr_assert_eq(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		load_default();
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			got[i] = answer(all[i].name, all[i].a, all[i].b);
		(void)!write(pipe_fds[1], got, sizeof(got));
		_exit(0);
	}
	cr_assert_eq(read(pipe_fds[0], got, sizeof(got)), (ssize_t)sizeof(got));
	(void)waitpid(pid, &status, 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_expect_eq(got[i], all[i].error, "%s(%lx, %lx): errno %d, not %d", all[i].name,
			     all[i].a, all[i].b, got[i], all[i].error);
}

Test(filter, ordinary_calls_pass)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int s;

		load_default();
		s = socket(AF_UNIX, SOCK_STREAM, 0);
		_exit(s >= 0 && getpid() > 0 && access("/", F_OK) == 0 &&
				      mkfifo("/dev/null/x", 0) < 0 && errno == ENOTDIR
			      ? 0
			      : 1);
	}
	(void)waitpid(pid, &status, 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int killed_by(long (*attack)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		load_default();
		(void)attack();
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static long enter_i386(void)
{
	long nr = 20;

	__asm__ volatile("int $0x80" : "+a"(nr) : : "memory", "r8", "r9", "r10", "r11");
	return nr;
}

static long enter_x32(void)
{
	return syscall(0x40000000 + SYS_getpid);
}

Test(filter, the_i386_door_kills)
{
	cr_assert_eq(killed_by(enter_i386), SIGSYS);
}

Test(filter, the_x32_door_kills)
{
	cr_assert_eq(killed_by(enter_x32), SIGSYS);
}

Test(privileges, nothing_is_left_after_becoming_another_user)
{
	int status;
	pid_t pid = fork();

	cr_assert_eq(geteuid(), 0, "the jail tests need root");
	if (pid == 0) {
		cap_t none = cap_init();

		if (privs_become(SB_SUPERVISOR_ID, SB_SUPERVISOR_ID, false) < 0)
			_exit(1);
		if (cap_compare(cap_get_proc(), none) != 0)
			_exit(2);
		for (int c = 0; prctl(PR_CAPBSET_READ, c) >= 0; c++)
			if (prctl(PR_CAPBSET_READ, c) != 0)
				_exit(3);
		if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || setuid(0) == 0)
			_exit(4);
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}
