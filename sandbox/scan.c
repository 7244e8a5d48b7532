// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/scan.c - the change list of a layer.
 *
 * Everything it walks was made by the agent: names, links, modes, attributes.
 * It runs in the session's user namespace, where its power ends at the ids of
 * the session, and opens each name beneath the directory it was listed in.
 *
 * A name below a path of 4,096 bytes cannot be told to anybody: it is reported
 * as unreadable under its directory, once.
 *
 * The cost grows with the layer, not with the workspace: of the workspace only
 * what the layer covers is looked at, and the directories it removed.
 */
#include "sandbox/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/sys.h"
#include "sandbox/wire.h"

struct scan {
	int sock;
	struct sb_change c; /* scratch: pages do not belong on each frame */
	char path[SB_PATH_MAX]; /* of what is looked at; grows and shrinks with the walk */
	size_t len;
};

static int send_change(struct scan *s, int fd, int base_fd)
{
	int fds[2] = { fd, base_fd };
	unsigned int count = fd >= 0 ? (base_fd >= 0 ? 2 : 1) : 0;

	s->c.has_base_fd = count == 2;
	memcpy(s->c.path, s->path, s->len + 1);
	return io_send(s->sock, &s->c, sizeof(s->c), fds, count);
}

/* Adds a name to the path; *ret_before is what pop() wants. */
static bool push(struct scan *s, const char *name, size_t *ret_before)
{
	size_t n = strlen(name);
	size_t slash = s->len > 0;

	if (s->len + slash + n >= sizeof(s->path))
		return false;
	*ret_before = s->len;
	if (slash)
		s->path[s->len++] = '/';
	memcpy(s->path + s->len, name, n + 1);
	s->len += n;
	return true;
}

static void pop(struct scan *s, size_t before)
{
	s->len = before;
	s->path[before] = '\0';
}

static bool is_whiteout(const struct stat *st)
{
	/* only the kernel makes 0:0 in an upper directory: overlayfs refuses the
	 * agent's own mknod of it */
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static void set_now(struct sb_change *c, uint32_t kind, const struct stat *st)
{
	memset(c, 0, offsetof(struct sb_change, path));
	c->target[0] = c->base_target[0] = '\0';
	c->kind = kind;
	if (!st)
		return;
	c->mode = st->st_mode;
	c->size = (uint64_t)st->st_size;
	c->mtime_s = st->st_mtim.tv_sec;
	c->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
}

static void set_base(struct sb_change *c, const struct stat *st)
{
	c->base_mode = st->st_mode;
	c->base_size = (uint64_t)st->st_size;
	c->base_mtime_s = st->st_mtim.tv_sec;
	c->base_mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
}

static int read_link(int dir, const char *name, char *out)
{
	ssize_t n = readlinkat(dir, name, out, SB_PATH_MAX - 1);

	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

static int open_beneath(int dir, const char *name, uint64_t flags)
{
	int fd = sys_openat2(dir, name, flags | O_NOFOLLOW, SB_BENEATH | RESOLVE_NO_XDEV);

	return fd < 0 ? -errno : fd;
}

static int send_unread(struct scan *s, const struct stat *st, int error)
{
	set_now(&s->c, SB_CHANGE_UNREAD, st);
	s->c.error = error;
	return send_change(s, -1, -1);
}

static DIR *list(int fd)
{
	AUTO_FD copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d;

	if (copy < 0)
		return NULL;
	d = fdopendir(copy);
	if (d)
		(void)fd_take(&copy);
	return d;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int send_gone(struct scan *s, int base, const char *name);

/* All below a directory that is gone, deepest first. */
static int send_gone_below(struct scan *s, int fd)
{
	DIR *d = list(fd);
	struct dirent *e;
	int r = 0;

	if (!d)
		return send_unread(s, NULL, -errno);
	while (r == 0 && (e = readdir(d))) {
		size_t before;

		if (is_dot(e->d_name))
			continue;
		if (!push(s, e->d_name, &before)) {
			r = send_unread(s, NULL, -ENAMETOOLONG);
			break;
		}
		r = send_gone(s, fd, e->d_name);
		pop(s, before);
	}
	(void)closedir(d);
	return r;
}

/* What the workspace has at s->path and the call does not: it and all below, so
 * that a reader may remove them in this order. */
static int send_gone(struct scan *s, int base, const char *name)
{
	AUTO_FD fd = -1;
	struct stat st;
	int r = 0;

	if (fstatat(base, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : send_unread(s, NULL, -errno);
	if (S_ISDIR(st.st_mode)) {
		fd = open_beneath(base, name, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			return send_unread(s, &st, fd);
		r = send_gone_below(s, fd);
		fd_done(&fd);
	} else if (S_ISREG(st.st_mode)) {
		fd = open_beneath(base, name, O_RDONLY | O_NONBLOCK);
	}
	if (r < 0)
		return r;
	set_now(&s->c, SB_CHANGE_GONE, NULL);
	set_base(&s->c, &st);
	if (S_ISLNK(st.st_mode))
		(void)read_link(base, name, s->c.base_target);
	return send_change(s, fd, -1);
}

static int scan_dir(struct scan *s, int *upper, int base, bool opaque);

static bool is_opaque(int fd)
{
	char value[2];

	return fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

/* A directory made anew in place of the old one: of what was there, whatever the
 * new one does not have is gone. */
static int send_uncovered(struct scan *s, int upper, int base)
{
	DIR *d = list(base);
	struct dirent *e;
	int r = 0;

	if (!d)
		return send_unread(s, NULL, -errno);
	while (r == 0 && (e = readdir(d))) {
		struct stat now;
		size_t before;

		if (is_dot(e->d_name) ||
		    fstatat(upper, e->d_name, &now, AT_SYMLINK_NOFOLLOW) == 0 ||
		    !push(s, e->d_name, &before))
			continue;
		r = send_gone(s, base, e->d_name);
		pop(s, before);
	}
	(void)closedir(d);
	return r;
}

static int scan_subdir(struct scan *s, int upper, const char *name, int base, bool opaque,
		       const struct stat *st, const struct stat *base_st)
{
	AUTO_FD below = -1;
	AUTO_FD fd = -1;
	int r = 0;

	fd = open_beneath(upper, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return send_unread(s, st, fd);
	if (base_st) {
		below = open_beneath(base, name, O_RDONLY | O_DIRECTORY);
		if (below < 0)
			return send_unread(s, st, below);
		/* the overlay marks only the top of what was made anew */
		opaque = opaque || is_opaque(fd);
		if (opaque)
			r = send_uncovered(s, fd, below);
	}
	if (r == 0 && (!base_st || (base_st->st_mode & 07777) != (st->st_mode & 07777))) {
		set_now(&s->c, SB_CHANGE_DIR, st);
		if (base_st)
			set_base(&s->c, base_st);
		r = send_change(s, -1, -1);
	}
	return r < 0 ? r : scan_dir(s, &fd, below, opaque);
}

static int send_file(struct scan *s, int upper, const char *name, int base, const struct stat *st,
		     const struct stat *base_st)
{
	AUTO_FD base_fd = -1;
	AUTO_FD fd = -1;

	/* O_NONBLOCK: should it have become a fifo meanwhile, do not wait on it */
	fd = open_beneath(upper, name, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return send_unread(s, st, fd);
	if (base_st && S_ISREG(base_st->st_mode)) {
		base_fd = open_beneath(base, name, O_RDONLY | O_NONBLOCK);
		if (base_fd < 0)
			return send_unread(s, st, base_fd);
	}
	set_now(&s->c, SB_CHANGE_FILE, st);
	if (base_st)
		set_base(&s->c, base_st);
	return send_change(s, fd, base_fd);
}

static int scan_entry(struct scan *s, int upper, const char *name, int base, bool opaque)
{
	struct stat st, base_st;
	const struct stat *b = NULL;
	int r = 0;

	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return send_unread(s, NULL, -errno);
	if (is_whiteout(&st))
		return base >= 0 ? send_gone(s, base, name) : 0;
	if (base >= 0 && fstatat(base, name, &base_st, AT_SYMLINK_NOFOLLOW) == 0)
		b = &base_st;
	/* of another type: the old one goes first, with all below it */
	if (b && (b->st_mode & S_IFMT) != (st.st_mode & S_IFMT)) {
		r = send_gone(s, base, name);
		b = NULL;
	}
	if (r < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return scan_subdir(s, upper, name, base, opaque, &st, b);
	if (S_ISREG(st.st_mode))
		return send_file(s, upper, name, base, &st, b);
	set_now(&s->c, S_ISLNK(st.st_mode) ? SB_CHANGE_LINK : SB_CHANGE_SPECIAL, &st);
	if (b)
		set_base(&s->c, b);
	if (S_ISLNK(st.st_mode)) {
		r = read_link(upper, name, s->c.target);
		if (r == 0 && b)
			r = read_link(base, name, s->c.base_target);
		if (r < 0)
			return send_unread(s, &st, r);
	}
	return send_change(s, -1, -1);
}

/* Takes *upper: a level of the tree costs one fd for the layer, not two. */
static int scan_dir(struct scan *s, int *upper, int base, bool opaque)
{
	DIR *d = fdopendir(*upper);
	struct dirent *e;
	int r = 0;

	if (!d)
		return send_unread(s, NULL, -errno);
	(void)fd_take(upper);
	while (r == 0 && (e = readdir(d))) {
		size_t before;

		if (is_dot(e->d_name))
			continue;
		if (!push(s, e->d_name, &before)) {
			r = send_unread(s, NULL, -ENAMETOOLONG);
			break;
		}
		r = scan_entry(s, dirfd(d), e->d_name, base, opaque);
		pop(s, before);
	}
	(void)closedir(d);
	return r;
}

int scan_layer(int sock, int upper, int base)
{
	AUTO_FD copy = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static struct scan s;
	int r;

	s.sock = sock;
	r = scan_dir(&s, &copy, base, false);
	if (r < 0)
		return r;
	set_now(&s.c, SB_CHANGE_END, NULL);
	return send_change(&s, -1, -1);
}
