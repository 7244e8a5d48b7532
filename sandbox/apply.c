// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/apply.c - a writer for the workspace.
 *
 * It knows how, and refuses what is never right; whether a change may be
 * applied is decided by whoever sends it. Every step is beneath the workspace
 * and follows no link, so neither what the agent planted nor what somebody
 * swaps meanwhile leads it out. A file is written beside its place and renamed,
 * so that a reader sees the old one or the new one.
 */
#include "sandbox/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/sys.h"
#include "sandbox/wire.h"

#define TEMP_PREFIX ".glovebox-"
#define COPY_CHUNK (1l << 30)

struct place {
	int dir;
	const char *name;
};

static int find_place(int workspace, char *path, struct place *ret)
{
	char *slash = strrchr(path, '/');
	int fd;

	if (path[0] == '/' || path[0] == '\0')
		return -EINVAL;
	ret->name = slash ? slash + 1 : path;
	if (ret->name[0] == '\0' || strcmp(ret->name, ".") == 0 || strcmp(ret->name, "..") == 0)
		return -EINVAL;
	if (slash)
		*slash = '\0';
	fd = sys_openat2(workspace, slash ? path : ".", O_RDONLY | O_DIRECTORY,
			 SB_BENEATH | RESOLVE_NO_XDEV);
	if (fd < 0)
		return -errno;
	ret->dir = fd;
	return 0;
}

static int temp_name(char out[32])
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	(void)snprintf(out, 32, TEMP_PREFIX "%016llx", (unsigned long long)random);
	return 0;
}

/* Data is copied and holes stay holes: what took no room must not fill a disk. */
static int copy_content(int from, int to, off_t size)
{
	off_t at = 0;

	if (ftruncate(to, size) < 0)
		return -errno;
	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t hole;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno; /* a hole to the end */
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || lseek(to, data, SEEK_SET) < 0)
			return -errno;
		for (at = data; at < hole;) {
			size_t most = hole - at > COPY_CHUNK ? COPY_CHUNK : (size_t)(hole - at);
			ssize_t n = sendfile(to, from, &at, most);

			if (n < 0)
				return -errno;
			if (n == 0)
				return 0; /* it was cut meanwhile */
		}
	}
	return 0;
}

static int write_file(const struct place *p, const struct sb_change *c, int content)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_NOW },
		{ .tv_sec = c->mtime_s, .tv_nsec = c->mtime_ns },
	};
	AUTO_FD fd = -1;
	char temp[32];
	struct stat st;
	int r;

	if (content < 0 || fstat(content, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	r = temp_name(temp);
	if (r < 0)
		return r;
	fd = openat(p->dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = copy_content(content, fd, st.st_size);
	/* 0777: setuid, setgid and sticky do not leave the sandbox */
	if (r == 0 && (fchmod(fd, c->mode & 0777) < 0 || futimens(fd, times) < 0))
		r = -errno;
	if (r == 0 && renameat(p->dir, temp, p->dir, p->name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(p->dir, temp, 0);
	return r;
}

static int write_dir(const struct place *p, const struct sb_change *c)
{
	AUTO_FD fd = -1;

	if (mkdirat(p->dir, p->name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(p->dir, p->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fchmod(fd, c->mode & 0777) < 0 ? -errno : 0;
}

static int write_link(const struct place *p, const struct sb_change *c, bool leaves)
{
	char temp[32];
	int r;

	if (!c->allow_escape && leaves)
		return -EXDEV;
	r = temp_name(temp);
	if (r < 0)
		return r;
	if (symlinkat(c->target, p->dir, temp) < 0)
		return -errno;
	if (renameat(p->dir, temp, p->dir, p->name) < 0) {
		r = -errno;
		(void)unlinkat(p->dir, temp, 0);
	}
	return r;
}

static int remove_one(const struct place *p, const struct sb_change *c)
{
	int flags = S_ISDIR(c->base_mode) ? AT_REMOVEDIR : 0;

	/* removed by somebody else meanwhile: as wanted */
	return unlinkat(p->dir, p->name, flags) < 0 && errno != ENOENT ? -errno : 0;
}

static int apply_one(int workspace, struct sb_change *c, int content)
{
	struct place p = { .dir = -1 };
	bool leaves;
	int r;

	if (c->path[SB_PATH_MAX - 1] || c->target[SB_PATH_MAX - 1])
		return -EINVAL;
	/* before find_place() cuts the path in two */
	leaves = path_link_leaves(c->path, c->target);
	r = find_place(workspace, c->path, &p);
	if (r < 0)
		return r;
	switch (c->kind) {
	case SB_CHANGE_FILE:
		r = write_file(&p, c, content);
		break;
	case SB_CHANGE_DIR:
		r = write_dir(&p, c);
		break;
	case SB_CHANGE_LINK:
		r = write_link(&p, c, leaves);
		break;
	case SB_CHANGE_GONE:
		r = remove_one(&p, c);
		break;
	default:
		r = -EPERM;
		break;
	}
	fd_done(&p.dir);
	return r;
}

int apply_changes(int sock, int workspace)
{
	static struct sb_change c;
	int fds[IO_FDS_MAX];
	unsigned int count;
	int r;

	while ((r = io_recv(sock, &c, sizeof(c), fds, &count)) == 1) {
		c.error = apply_one(workspace, &c, count > 0 ? fds[0] : -1);
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
		r = io_send(sock, &c, sizeof(c), NULL, 0);
		if (r < 0)
			return r;
	}
	return r;
}
