// SPDX-License-Identifier: Apache-2.0
/* supervisor/differ.c - the process that reads file contents to compare them. */
#include "supervisor/differ.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/confine.h"
#include "supervisor/place.h"

/* One diff that takes longer is given up, and so is the process. */
#define ANSWER_SECONDS 30

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

int differ_start(struct differ *d)
{
	const struct timeval most = { .tv_sec = ANSWER_SECONDS };
	AUTO_FD own = -1;
	AUTO_FD program = -1;
	int pair[2];
	int r;

	*d = (struct differ){ .sock = -1 };
	r = place_open_own_dir(&own);
	if (r < 0)
		return r;
	program = openat(own, "glovebox-diff", O_RDONLY | O_CLOEXEC);
	if (program < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	d->pid = fork();
	if (d->pid == 0) {
		char *words[] = { (char *)"glovebox-diff", NULL };
		char *none[] = { NULL };

		if (dup2(pair[1], 0) < 0 || setsid() < 0 || confine_privileges() < 0)
			_exit(126);
		(void)fexecve(program, words, none);
		_exit(127);
	}
	(void)close(pair[1]);
	if (d->pid < 0) {
		r = -errno;
		(void)close(pair[0]);
		return r;
	}
	(void)setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	d->sock = pair[0];
	return 0;
}

static int ask(const struct differ *d, struct differ_request *q, int old, int now, int answer,
	       struct differ_reply *ret)
{
	int fds[3], got[IO_FDS_MAX];
	unsigned int count = 0, n = 0;
	int r;

	if (d->sock < 0)
		return -EOPNOTSUPP;
	q->has_old = old >= 0;
	q->has_new = now >= 0;
	if (old >= 0)
		fds[count++] = old;
	if (now >= 0)
		fds[count++] = now;
	fds[count++] = answer;
	(void)pthread_mutex_lock(&one);
	r = io_send(d->sock, q, sizeof(*q), fds, count);
	if (r == 0) {
		r = io_recv(d->sock, ret, sizeof(*ret), got, &n);
		r = r == 1 ? 0 : r == 0 ? -EPIPE : r;
	}
	(void)pthread_mutex_unlock(&one);
	for (unsigned int i = 0; i < n; i++)
		fd_done(&got[i]);
	return r < 0 ? r : ret->error;
}

static int new_answer(void)
{
	int fd = memfd_create("glovebox-diff", MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int differ_diff(const struct differ *d, const char *path, int old, int now, bool is_safe,
		struct text *out, uint32_t *ret_hunks)
{
	struct differ_request q = { .verb = DIFFER_DIFF, .is_safe = is_safe };
	struct differ_reply reply = { 0 };
	AUTO_FD answer = new_answer();
	AUTO_MEM char *all = NULL;
	struct stat st;
	int r;

	if (answer < 0)
		return answer;
	(void)snprintf(q.path, sizeof(q.path), "%s", path);
	r = ask(d, &q, old, now, answer, &reply);
	if (r < 0)
		return r;
	*ret_hunks = reply.hunks;
	if (fstat(answer, &st) < 0)
		return -errno;
	all = malloc((size_t)st.st_size + 1);
	if (!all || pread(answer, all, (size_t)st.st_size, 0) != st.st_size)
		return all ? -EIO : -ENOMEM;
	text_add_n(out, all, (size_t)st.st_size);
	return out->failed ? -ENOMEM : 0;
}

int differ_hunks(const struct differ *d, int old, int now, const uint32_t *hunks, uint32_t count,
		 int *ret_fd)
{
	struct differ_request q = { .verb = DIFFER_HUNKS, .hunk_count = count };
	struct differ_reply reply = { 0 };
	AUTO_FD answer = new_answer();
	int r;

	if (answer < 0)
		return answer;
	if (count > DIFFER_HUNKS_MAX)
		return -E2BIG;
	memcpy(q.hunks, hunks, count * sizeof(*hunks));
	r = ask(d, &q, old, now, answer, &reply);
	if (r < 0)
		return r;
	*ret_fd = fd_take(&answer);
	return 0;
}

void differ_end(struct differ *d)
{
	fd_done(&d->sock);
	if (d->pid > 0)
		(void)waitpid(d->pid, NULL, 0);
	d->pid = 0;
}
