// SPDX-License-Identifier: Apache-2.0
/* supervisor/own.c - a daemon of one's own, for a program that finds none. */
#include "supervisor/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"

static _Noreturn void become_daemon(const struct own *own, const char *workspace, int owner,
				    int err)
{
	char fd[16], program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 16);
	sigset_t none;
	char *slash;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)snprintf(fd, sizeof(fd), "%d", owner);
	(void)setsid(); /* our terminal's Ctrl-C is not its end */
	(void)dup2(err, STDERR_FILENO);
	(void)fcntl(owner, F_SETFD, 0);
	program[n > 0 ? n : 0] = '\0';
	slash = strrchr(program, '/');
	if (slash) {
		memcpy(slash + 1, "glovebox", sizeof("glovebox"));
		(void)execl(program, "glovebox", "daemon", "--root", workspace, "--name",
			    own->instance, "--owner-fd", fd, (char *)NULL);
	}
	(void)dprintf(STDERR_FILENO, "glovebox: cannot execute %s: %s\n", program, strerror(errno));
	_exit(127);
}

/* Until it says that it listens; or what it says instead. */
static int wait_ready(int from, struct text *why)
{
	char buf[1024];
	ssize_t n = read(from, buf, sizeof(buf) - 1);

	while (n > 0) {
		text_add_n(why, buf, (size_t)n);
		if (why->at && strstr(why->at, "listening in")) {
			why->len = 0;
			return 0;
		}
		n = read(from, buf, sizeof(buf) - 1);
	}
	while (why->len > 0 && why->at[why->len - 1] == '\n')
		why->at[--why->len] = '\0';
	return -ENOTCONN;
}

int own_start(struct own *own, const char *workspace, const char *name, struct text *why)
{
	AUTO_FD owner = -1;
	AUTO_FD err = -1;
	int pipe_fds[2];
	int r;

	(void)snprintf(own->instance, sizeof(own->instance), OWN_PREFIX "%.12s-%d", name,
		       (int)getpid());
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	owner = pipe_fds[0];
	own->owner = pipe_fds[1];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	own->err = pipe_fds[0];
	err = pipe_fds[1];
	own->pid = fork();
	if (own->pid == 0)
		become_daemon(own, workspace, owner, err);
	if (own->pid < 0)
		return -errno;
	fd_done(&err); /* its end of it is the only one: if it dies we read the end */
	r = wait_ready(own->err, why);
	if (r < 0)
		own_end(own, true);
	return r;
}

void own_end(struct own *own, bool waits)
{
	bool was_started = own->owner >= 0;

	fd_done(&own->owner);
	if (was_started && waits && own->pid > 0)
		(void)waitpid(own->pid, NULL, 0);
	fd_done(&own->err);
}
