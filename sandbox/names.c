// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/names.c - the names in a workspace, for patterns to be looked for in.
 *
 * Patterns are the supervisor's to read, and the workspace is its owner's: so a child that
 * has become him walks it, and tells names, nothing else. It knows no pattern.
 */
#include "sandbox/names.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/privs.h"
#include "sandbox/wire.h"

struct batch {
	int sock;
	size_t used;
	char text[SB_NAMES_BYTES];
};

static int send_batch(struct batch *b)
{
	struct sb_reply reply = {
		.abi = SB_ABI,
		.stage = SB_STAGE_WORKSPACE,
		.names = SB_NAMES_SOME,
	};
	AUTO_FD fd = -1;
	int r;

	if (b->used == 0)
		return 0;
	fd = memfd_create("glovebox-names", MFD_CLOEXEC);
	r = fd < 0 ? -errno : io_write_all(fd, b->text, b->used);
	if (r == 0)
		r = io_send(b->sock, &reply, sizeof(reply), &fd, 1);
	b->used = 0;
	return r;
}

static int add(struct batch *b, const char *path, const char *slashes)
{
	size_t n = strlen(path);
	int r = 0;

	/* what is too long to be named lies in a directory that is told as closed */
	if (n == 0 || n + 3 > SB_PATH_MAX)
		return 0;
	if (b->used + n + 3 > sizeof(b->text))
		r = send_batch(b);
	memcpy(b->text + b->used, path, n);
	b->used += n;
	for (; *slashes; slashes++)
		b->text[b->used++] = *slashes;
	b->text[b->used++] = '\0';
	return r;
}

/* What follows the name: nothing, or as the wire has it. A directory so deep that names in it
 * could not be told is closed, and not gone into. */
static const char *slashes_of(FTS *fts, FTSENT *e)
{
	bool is_deep = e->fts_info == FTS_D && e->fts_pathlen > SB_PATH_MAX - NAME_MAX - 8;

	if (is_deep)
		(void)fts_set(fts, e, FTS_SKIP);
	if (is_deep || e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
		return "//";
	return e->fts_info == FTS_D ? "/" : "";
}

static int walk(struct batch *b)
{
	char top[] = ".";
	char *roots[] = { top, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOSTAT, NULL);
	FTSENT *e;
	int r = fts ? 0 : -errno;

	while (r == 0 && (errno = 0, e = fts_read(fts)))
		/* "./a": relative to the workspace */
		if (e->fts_level > 0 && e->fts_info != FTS_DP)
			r = add(b, e->fts_path + 2, slashes_of(fts, e));
	if (r == 0 && errno)
		r = -errno;
	if (fts)
		(void)fts_close(fts);
	return r < 0 ? r : send_batch(b);
}

int names_send(int workspace, uid_t owner, gid_t group, bool keeps_groups, int sock)
{
	static struct batch b;
	int status = -1, r;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		b.sock = sock;
		r = privs_become(owner, group, keeps_groups);
		if (r == 0 && fchdir(workspace) < 0)
			r = -errno;
		if (r == 0)
			r = walk(&b);
		_exit(r < 0 ? -r & 0x7f : 0); /* an errno that matters is small */
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return !WIFEXITED(status) ? -ECHILD : -WEXITSTATUS(status);
}
