// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/scan.c - the change list of a layer.
 *
 * Two views are compared, of which one has some layers more, at the names that
 * those layers have: the overlay itself says what a whiteout or an opaque
 * directory means. Everything was made by the agent: names, links, modes,
 * attributes. It runs in the session's user namespace, where its power ends at
 * the ids of the session, and opens each name beneath the directory it was
 * listed in.
 *
 * A name below a path of 4,096 bytes cannot be told to anybody: it is reported
 * as unreadable under its directory, once.
 *
 * The cost grows with the layers, not with the workspace: of the workspace only
 * what they cover is looked at, and the directories they removed.
 */
#include "sandbox/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/sys.h"
#include "sandbox/wire.h"

/* The same directory in each layer that has it. */
struct uppers {
	int fd[SB_LAYERS_MAX];
	uint32_t count;
};

struct scan {
	int sock;
	struct sb_change c; /* scratch: pages do not belong on each frame */
	char path[SB_PATH_MAX]; /* of what is looked at; grows and shrinks with the walk */
	size_t len;
	char now[SB_XATTRS_MAX], base[SB_XATTRS_MAX]; /* packed attributes */
};

/* Contents are borrowed; -1 where there is none. */
static int send_change(struct scan *s, int fd, int base_fd, int xattrs)
{
	int fds[3] = { -1, -1, -1 };
	unsigned int count = 0;

	s->c.has_fd = fd >= 0;
	s->c.has_base_fd = base_fd >= 0;
	s->c.has_xattrs = xattrs >= 0;
	if (fd >= 0)
		fds[count++] = fd;
	if (base_fd >= 0)
		fds[count++] = base_fd;
	if (xattrs >= 0)
		fds[count++] = xattrs;
	memcpy(s->c.path, s->path, s->len + 1);
	return io_send(s->sock, &s->c, sizeof(s->c), fds, count);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

#define XATTR_NAMES_MAX 256

/* The user's attributes of a file or directory, sorted, as struct sb_xattr. Bytes or
 * -errno; a file system without them has none. */
static ssize_t pack_xattrs(int fd, char *out)
{
	const char *at[XATTR_NAMES_MAX];
	static char names[SB_XATTRS_MAX];
	size_t count = 0, used = 0;
	ssize_t n = flistxattr(fd, names, sizeof(names));

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		if (strncmp(names + i, "user.", 5) != 0)
			continue; /* the others say what the kernel enforces, and do not leave */
		if (count == XATTR_NAMES_MAX)
			return -E2BIG;
		at[count++] = names + i;
	}
	qsort(at, count, sizeof(*at), by_name);
	for (size_t i = 0; i < count; i++) {
		struct sb_xattr x = { .name_len = (uint16_t)strlen(at[i]) };
		size_t room = sizeof(x) + x.name_len;
		ssize_t size;

		if (used + room > SB_XATTRS_MAX)
			return -E2BIG;
		size = fgetxattr(fd, at[i], out + used + room, SB_XATTRS_MAX - used - room);
		if (size < 0)
			return -errno;
		x.value_len = (uint32_t)size;
		memcpy(out + used, &x, sizeof(x));
		memcpy(out + used + sizeof(x), at[i], x.name_len);
		used += room + (size_t)size;
	}
	return (ssize_t)used;
}

/* Fills xattrs_differ; the memfd is made when there is something to carry, or to
 * take away. 0 or -errno. */
static int compare_xattrs(struct scan *s, int fd, int base_fd, int *ret_xattrs)
{
	ssize_t now = pack_xattrs(fd, s->now);
	ssize_t base = base_fd >= 0 ? pack_xattrs(base_fd, s->base) : 0;
	AUTO_FD memory = -1;
	int r;

	*ret_xattrs = -1;
	if (now < 0 || base < 0)
		return (int)(now < 0 ? now : base);
	s->c.xattrs_differ = now != base || memcmp(s->now, s->base, (size_t)now) != 0;
	if (now == 0 && base == 0)
		return 0;
	memory = memfd_create("glovebox-xattrs", MFD_CLOEXEC);
	if (memory < 0)
		return -errno;
	r = io_write_all(memory, s->now, (size_t)now);
	if (r == 0)
		*ret_xattrs = fd_take(&memory);
	return r;
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
	c->links = (uint32_t)st->st_nlink;
}

static void set_base(struct sb_change *c, const struct stat *st)
{
	c->base_mode = st->st_mode;
	c->base_size = (uint64_t)st->st_size;
	c->base_mtime_s = st->st_mtim.tv_sec;
	c->base_mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	c->base_ctime_s = st->st_ctim.tv_sec;
	c->base_ctime_ns = (uint32_t)st->st_ctim.tv_nsec;
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
	return send_change(s, -1, -1, -1);
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
	return send_change(s, fd, -1, -1);
}

static int scan_dir(struct scan *s, struct uppers *u, int now, int base, bool opaque);

static bool is_opaque(int fd)
{
	char value[2];

	return fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

/* A directory made anew in place of the old one: of what was there, whatever the
 * new one does not have is gone. */
static int send_uncovered(struct scan *s, int now, int base)
{
	DIR *d = list(base);
	struct dirent *e;
	int r = 0;

	if (!d)
		return send_unread(s, NULL, -errno);
	while (r == 0 && (e = readdir(d))) {
		struct stat st;
		size_t before;

		if (is_dot(e->d_name) || fstatat(now, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
		    !push(s, e->d_name, &before))
			continue;
		r = send_gone(s, base, e->d_name);
		pop(s, before);
	}
	(void)closedir(d);
	return r;
}

/* Takes the fds. */
static void close_uppers(struct uppers *u)
{
	while (u->count > 0)
		fd_done(&u->fd[--u->count]);
}

/* *hides: one of them had it made anew, or as something else (a whiteout, too): what
 * lies below all of them is not seen. */
static void open_uppers(const struct uppers *u, const char *name, struct uppers *ret, bool *hides)
{
	struct stat st;

	ret->count = 0;
	for (uint32_t i = 0; i < u->count; i++) {
		int fd = open_beneath(u->fd[i], name, O_RDONLY | O_DIRECTORY);

		if (fd >= 0) {
			*hides |= is_opaque(fd);
			ret->fd[ret->count++] = fd;
		} else if (fstatat(u->fd[i], name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
			*hides = true;
		}
	}
}

static int send_dir(struct scan *s, int fd, int below, const struct stat *st,
		    const struct stat *base_st)
{
	AUTO_FD xattrs = -1;
	int r;

	set_now(&s->c, SB_CHANGE_DIR, st);
	if (base_st)
		set_base(&s->c, base_st);
	r = compare_xattrs(s, fd, below, &xattrs);
	if (r < 0)
		return send_unread(s, st, r);
	if (base_st && (base_st->st_mode & 07777) == (st->st_mode & 07777) && !s->c.xattrs_differ)
		return 0;
	return send_change(s, -1, -1, xattrs);
}

static int scan_subdir(struct scan *s, const struct uppers *u, int now, const char *name, int base,
		       bool opaque, const struct stat *st, const struct stat *base_st)
{
	struct uppers uppers;
	AUTO_FD below = -1;
	AUTO_FD fd = -1;
	int r = 0;

	fd = open_beneath(now, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return send_unread(s, st, fd);
	if (base_st) {
		below = open_beneath(base, name, O_RDONLY | O_DIRECTORY);
		if (below < 0)
			return send_unread(s, st, below);
	}
	/* the overlay marks only the top of what was made anew */
	open_uppers(u, name, &uppers, &opaque);
	if (base_st && opaque)
		r = send_uncovered(s, fd, below);
	if (r == 0)
		r = send_dir(s, fd, below, st, base_st);
	if (r == 0)
		r = scan_dir(s, &uppers, fd, below, opaque);
	close_uppers(&uppers);
	return r;
}

static int send_file(struct scan *s, const struct uppers *u, int now, const char *name, int base,
		     const struct stat *st, const struct stat *base_st)
{
	AUTO_FD xattrs = -1;
	AUTO_FD base_fd = -1;
	AUTO_FD fd = -1;
	struct stat real;
	int r;

	/* O_NONBLOCK: should it have become a fifo meanwhile, do not wait on it */
	fd = open_beneath(now, name, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return send_unread(s, st, fd);
	if (base_st) {
		base_fd = open_beneath(base, name, O_RDONLY | O_NONBLOCK);
		if (base_fd < 0)
			return send_unread(s, st, base_fd);
	}
	set_now(&s->c, SB_CHANGE_FILE, st);
	if (base_st)
		set_base(&s->c, base_st);
	/* which names are one file is known in the layer itself */
	for (uint32_t i = u->count; st->st_nlink > 1 && i > 0; i--)
		if (fstatat(u->fd[i - 1], name, &real, AT_SYMLINK_NOFOLLOW) == 0) {
			s->c.inode = real.st_ino;
			break;
		}
	r = compare_xattrs(s, fd, base_fd, &xattrs);
	return r < 0 ? send_unread(s, st, r) : send_change(s, fd, base_fd, xattrs);
}

static int scan_entry(struct scan *s, const struct uppers *u, int now, const char *name, int base,
		      bool opaque)
{
	struct stat st, base_st;
	const struct stat *b = NULL;
	int r = 0;

	if (fstatat(now, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return send_unread(s, NULL, -errno);
		/* of an opaque directory they were all told already */
		return base >= 0 && !opaque ? send_gone(s, base, name) : 0;
	}
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
		return scan_subdir(s, u, now, name, base, opaque, &st, b);
	if (S_ISREG(st.st_mode))
		return send_file(s, u, now, name, base, &st, b);
	set_now(&s->c, S_ISLNK(st.st_mode) ? SB_CHANGE_LINK : SB_CHANGE_SPECIAL, &st);
	if (b)
		set_base(&s->c, b);
	if (S_ISLNK(st.st_mode)) {
		r = read_link(now, name, s->c.target);
		if (r == 0 && b)
			r = read_link(base, name, s->c.base_target);
		if (r < 0)
			return send_unread(s, &st, r);
	}
	return send_change(s, -1, -1, -1);
}

/* A name is looked at once, however many layers have it. */
static bool was_seen(const struct uppers *u, uint32_t before, const char *name)
{
	struct stat st;

	for (uint32_t i = 0; i < before; i++)
		if (fstatat(u->fd[i], name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

static int scan_dir(struct scan *s, struct uppers *u, int now, int base, bool opaque)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < u->count; i++) {
		DIR *d = list(u->fd[i]);
		struct dirent *e;

		if (!d)
			return send_unread(s, NULL, -errno);
		while (r == 0 && (e = readdir(d))) {
			size_t before;

			if (is_dot(e->d_name) || was_seen(u, i, e->d_name))
				continue;
			if (!push(s, e->d_name, &before)) {
				r = send_unread(s, NULL, -ENAMETOOLONG);
				break;
			}
			r = scan_entry(s, u, now, e->d_name, base, opaque);
			pop(s, before);
		}
		(void)closedir(d);
	}
	return r;
}

int scan_layers(int sock, const int *uppers, uint32_t count, int now, int base)
{
	static struct scan s;
	struct uppers u = { .count = count };
	int r;

	memcpy(u.fd, uppers, count * sizeof(*uppers));
	s.sock = sock;
	r = scan_dir(&s, &u, now, base, false);
	if (r < 0)
		return r;
	set_now(&s.c, SB_CHANGE_END, NULL);
	return send_change(&s, -1, -1, -1);
}
