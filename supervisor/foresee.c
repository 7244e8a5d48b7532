// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/foresee.c - what a system call will answer, where it is only seen before.
 *
 * What is refused by a mount is refused for good, so such a refusal is known before it
 * happens. Everything is looked up from the call's own root, where no link leads out;
 * nothing is claimed that the kernel might answer otherwise.
 */
#include "supervisor/foresee.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/sys.h"
#include "supervisor/syscalls.h"

static const char *span_at(const struct event *e, enum event_span which)
{
	const char *at = e->data;

	for (int i = 0; i < (int)which; i++)
		at += e->len[i];
	return at;
}

/* A span, absolute, to be resolved. */
static bool join(const struct event *e, enum event_span which, enum event_span beside,
		 char path[2 * EVENT_PATH_MAX + 2])
{
	const char *at = span_at(e, which), *base = span_at(e, beside);
	size_t n = e->len[which], base_len = e->len[beside];

	if (n == 0 && base_len == 0)
		return false;
	if (n > 0 && at[0] == '/')
		base_len = 0;
	memcpy(path, base, base_len);
	path[base_len] = '/';
	memcpy(path + base_len + 1, at, n);
	path[base_len + 1 + n] = '\0';
	return true;
}

static int open_from(int root, const char *path, uint64_t flags)
{
	int fd = sys_openat2(root, path, O_PATH | flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	return fd < 0 ? -errno : fd;
}

/* -EROFS: nothing can be made, renamed or removed where the path's directory is. */
static int foresee_parent(int root, char *path)
{
	char *slash = strrchr(path, '/');
	struct statfs fs;
	AUTO_FD dir = -1;

	*slash = '\0';
	dir = open_from(root, slash == path ? "/" : path, O_DIRECTORY);
	*slash = '/';
	return dir >= 0 && fstatfs(dir, &fs) == 0 && (fs.f_flags & ST_RDONLY) ? -EROFS : 0;
}

static int foresee_open(int root, char *path, int flags, bool *ret_is_new)
{
	AUTO_FD at = open_from(root, path, flags & O_NOFOLLOW);
	struct statfs fs;
	struct stat st;

	*ret_is_new = at == -ENOENT && (flags & O_CREAT);
	if (*ret_is_new)
		return foresee_parent(root, path);
	if (at < 0)
		return at == -ENOENT || at == -EACCES ? at : 0;
	if (fstat(at, &st) == 0 && (st.st_mode & 07777) == 0)
		return -EACCES; /* a cover */
	/* the mount is asked first only where the file is to be cut (do_open() in the kernel's
	 * fs/namei.c); else whoever may not write it hears that */
	if ((flags & O_ACCMODE) == O_RDONLY || S_ISCHR(st.st_mode) ||
	    (!(flags & O_TRUNC) && !(st.st_mode & (st.st_uid == geteuid() ? S_IWUSR : S_IWOTH))))
		return 0;
	return fstatfs(at, &fs) == 0 && (fs.f_flags & ST_RDONLY) ? -EROFS : 0;
}

/* Only loopback is there: from every other address there is no way. */
static int foresee_address(const struct event *e)
{
	static const unsigned char none[16];
	uint16_t family = 0;
	const unsigned char *p = (const unsigned char *)e->data;

	memcpy(&family, p, e->len[EVENT_SPAN_PATH] >= sizeof(family) ? sizeof(family) : 0);
	if (family == AF_INET && e->len[EVENT_SPAN_PATH] >= 8)
		return memcmp(p + 4, none, 4) != 0 ? -ENETUNREACH : 0;
	if (family == AF_INET6 && e->len[EVENT_SPAN_PATH] >= 24)
		/* ::1, :: and what is an IPv4 address in another dress begin with zeros */
		return memcmp(p + 8, none, 10) != 0 ? -ENETUNREACH : 0;
	return 0;
}

/* Gives the event the name that the path leads to. */
static bool foresee_exec(struct event *e, int root)
{
	enum event_span beside = e->len[EVENT_SPAN_BASE2] > 0 ? EVENT_SPAN_BASE2 : EVENT_SPAN_BASE;
	size_t old = e->len[EVENT_SPAN_PATH], rest = 0;
	char path[2 * EVENT_PATH_MAX + 2], link[64];
	AUTO_FD at = -1;
	ssize_t n;

	/* our own process, before it is the tool, cannot be read */
	if (root < 0 || (e->flags & EVENT_F_FAULT) || !join(e, EVENT_SPAN_PATH, beside, path))
		return false;
	at = open_from(root, path, 0);
	if (at < 0)
		return at != -ENOENT;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
	n = readlink(link, path, EVENT_PATH_MAX);
	for (int i = EVENT_SPAN_BASE; i < EVENT_SPAN_COUNT; i++)
		rest += e->len[i];
	if (n < 0 || (size_t)n + rest > EVENT_DATA_MAX)
		return true;
	memmove(e->data + n, e->data + old, rest);
	memcpy(e->data, path, (size_t)n);
	e->len[EVENT_SPAN_PATH] = (uint16_t)n;
	return true;
}

bool foresee(struct event *e, int root)
{
	const struct syscall_row *row = syscalls_find(e->nr);
	char path[2 * EVENT_PATH_MAX + 2];
	bool is_new = false;

	if (e->kind == EVENT_DENIED)
		return true;
	if (e->kind == EVENT_EXEC)
		return foresee_exec(e, root);
	if (!row)
		return false;
	if (root < 0)
		return !(row->shape.flags & WATCH_OPEN);
	if (strcmp(row->kind, "net.connect") == 0)
		e->ret = foresee_address(e);
	if (e->flags & (EVENT_F_FAULT | EVENT_F_KERNEL | EVENT_F_ADDR) ||
	    !join(e, EVENT_SPAN_PATH, EVENT_SPAN_BASE, path))
		return true;
	if (row->shape.flags & WATCH_OPEN) {
		e->ret = foresee_open(root, path, (int)e->args[5], &is_new);
		e->flags |= is_new ? EVENT_F_CREATED : 0;
		/* reading is no event; that it is refused may be one */
		return e->ret < 0 || ((int)e->args[5] & (O_ACCMODE | O_CREAT | O_TRUNC)) != 0;
	}
	if (row->shape.path && strcmp(row->kind, "file.symlink") != 0)
		e->ret = foresee_parent(root, path);
	if (e->ret == 0 && row->shape.path2 && strcmp(row->kind, "file.symlink") != 0 &&
	    join(e, EVENT_SPAN_PATH2, EVENT_SPAN_BASE2, path))
		e->ret = foresee_parent(root, path);
	return true;
}
