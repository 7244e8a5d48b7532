// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/init.c - pid 1 of a call.
 *
 * It reaps, forwards signals to the tool, and says how the tool ended. It never
 * ends by itself: the supervisor counts what the tool left running and kills
 * the whole group, this process included. When the supervisor's end of the
 * socket is gone it ends, and the kernel kills the rest of the namespace.
 *
 * It keeps one capability, CAP_KILL in the session's user namespace, to signal
 * a tool of another id; it is not dumpable, and its id is not the tool's, so
 * the tool can neither trace nor signal it.
 */
#include "sandbox/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/privs.h"
#include "sandbox/sys.h"

enum { FD_SOCKET = 3, FD_SIGNALS = 4 };

#define ALLOW(nr)                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* What the loop below needs, and no more. */
static struct sock_filter loop_filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(SYS_poll),
	ALLOW(SYS_read),
	ALLOW(SYS_recvmsg),
	ALLOW(SYS_sendmsg),
	ALLOW(SYS_wait4),
	ALLOW(SYS_kill),
	ALLOW(SYS_exit_group),
	ALLOW(SYS_rt_sigreturn),
	ALLOW(SYS_restart_syscall),
	ALLOW(SYS_close),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

static int keep_only(int socket)
{
	sigset_t all;

	if (dup2(socket, FD_SOCKET) < 0)
		return -errno;
	(void)sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
		return -errno;
	(void)sigemptyset(&all);
	(void)sigaddset(&all, SIGCHLD);
	if (FD_SIGNALS != 4 || syscall(SYS_close_range, FD_SIGNALS, ~0U, 0) < 0)
		return -errno;
	if (signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK) != FD_SIGNALS)
		return -EBADF;
	for (int fd = 0; fd < FD_SOCKET; fd++)
		(void)close(fd);
	return 0;
}

static void say(uint32_t kind, int32_t value, const struct rusage *ru)
{
	struct sb_init_message m = { .kind = kind, .value = value };

	if (ru) {
		m.utime_us =
			(uint64_t)ru->ru_utime.tv_sec * 1000000u + (uint64_t)ru->ru_utime.tv_usec;
		m.stime_us =
			(uint64_t)ru->ru_stime.tv_sec * 1000000u + (uint64_t)ru->ru_stime.tv_usec;
		m.maxrss_bytes = (uint64_t)ru->ru_maxrss * 1024u;
	}
	if (io_send(FD_SOCKET, &m, sizeof(m), NULL, 0) < 0)
		_exit(0);
}

static void reap(pid_t *tool)
{
	struct signalfd_siginfo si;
	struct rusage ru;
	int status;
	pid_t pid;

	while (read(FD_SIGNALS, &si, sizeof(si)) > 0)
		; /* how many does not matter: all dead children are reaped */
	while ((pid = wait4(-1, &status, WNOHANG, &ru)) > 0) {
		if (pid != *tool)
			continue;
		*tool = -1;
		say(SB_INIT_ENDED, status, &ru);
	}
	if (pid < 0 && errno == ECHILD)
		say(SB_INIT_ALONE, 0, NULL);
}

/*
 * A pause where no control group can be frozen. One kill(2) of -1 reaches every process of
 * the namespace but this one, against forks: a fork that has the signal pending starts over
 * (copy_process() in the kernel's kernel/fork.c). A timer that was set to SIGCONT before
 * wakes one again, so the stop is repeated while it lasts.
 */
#define STOP_AGAIN_MS 20
static bool is_stopped;

static void stop_all(bool stop)
{
	is_stopped = stop;
	(void)kill(-1, stop ? SIGSTOP : SIGCONT);
}

static void obey(pid_t tool)
{
	struct sb_init_message m;
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	int r;

	r = io_recv(FD_SOCKET, &m, sizeof(m), fds, &count);
	if (r <= 0)
		_exit(0);
	for (unsigned int i = 0; i < count; i++)
		fd_done(&fds[i]);
	if (m.kind == SB_INIT_STOP || m.kind == SB_INIT_RESUME)
		stop_all(m.kind == SB_INIT_STOP);
	/* a group of its own: setsid() in the tool's stages */
	if (m.kind == SB_INIT_SIGNAL && m.value > 0 && m.value < NSIG && tool > 0 &&
	    kill(-tool, m.value) < 0)
		(void)kill(tool, m.value); /* before its setsid() */
}

_Noreturn void jail_become_init(const struct sb_plan *plan, pid_t tool)
{
	struct sock_fprog filter = {
		.len = ARRAY_SIZE(loop_filter),
		.filter = loop_filter,
	};
	struct sb_init_message m;
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	int r;

	r = privs_drop(1ull << CAP_KILL);
	if (r < 0)
		jail_fail(plan, SB_STAGE_INIT, r);
	r = keep_only(plan->init);
	if (r < 0)
		_exit(127); /* the tool's pipe end tells: no exec without us */
	say(SB_INIT_STARTED, tool, NULL);
	/* not before the monitor can tell our system calls from the tool's */
	do {
		r = io_recv(FD_SOCKET, &m, sizeof(m), fds, &count);
		if (r <= 0)
			_exit(0);
	} while (m.kind != SB_INIT_GO);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		_exit(127);
	/* it may have ended before its SIGCHLD was blocked, and so unseen */
	reap(&tool);
	for (;;) {
		struct pollfd p[] = {
			{ .fd = FD_SIGNALS, .events = POLLIN },
			{ .fd = FD_SOCKET, .events = POLLIN },
		};

		int n = poll(p, ARRAY_SIZE(p), is_stopped ? STOP_AGAIN_MS : -1);

		if (n < 0 && errno != EINTR)
			_exit(127);
		if (n == 0)
			stop_all(true);
		if (p[0].revents)
			reap(&tool);
		if (p[1].revents)
			obey(tool);
	}
}
