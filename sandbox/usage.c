// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/usage.c - how much of the disk a session's layers take.
 *
 * It walks what an agent made, as deep as it likes, so it does not call itself and
 * keeps one directory stream a level; the number of fds is the bound.
 */
#include "sandbox/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/base/fd.h"
#include "sandbox/sys.h"

#define BLOCK_BYTES 512u /* of st_blocks, whatever the file system's are (stat(2)) */

struct walk {
	DIR **levels;
	size_t depth, room;
	uint64_t *bytes, *files;
};

static int push(struct walk *w, int fd)
{
	DIR *d;

	if (w->depth == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		DIR **more = realloc(w->levels, room * sizeof(DIR *));

		if (!more) {
			(void)close(fd);
			return -ENOMEM;
		}
		w->levels = more;
		w->room = room;
	}
	d = fdopendir(fd);
	if (!d) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	w->levels[w->depth++] = d;
	return 0;
}

static int look_at(struct walk *w, int dir, const char *name)
{
	struct stat st;
	int fd;

	/* a call that runs may remove it meanwhile: then it takes nothing */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : -errno;
	(*w->files)++;
	*w->bytes += (uint64_t)st.st_blocks * BLOCK_BYTES /
		     (S_ISDIR(st.st_mode) || st.st_nlink < 1 ? 1 : st.st_nlink);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = sys_openat2(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
			 SB_BENEATH | RESOLVE_NO_XDEV);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	return push(w, fd);
}

int usage_add(int dir, uint64_t most, uint64_t *bytes, uint64_t *files)
{
	struct walk w = { .bytes = bytes, .files = files };
	int r = push(&w, dir);

	while (r == 0 && w.depth > 0 && *files <= most) {
		DIR *d = w.levels[w.depth - 1];
		struct dirent *e;

		errno = 0;
		e = readdir(d);
		if (!e) {
			r = -errno;
			(void)closedir(d);
			w.depth--;
		} else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			r = look_at(&w, dirfd(d), e->d_name);
		}
	}
	while (w.depth > 0)
		(void)closedir(w.levels[--w.depth]);
	free(w.levels);
	return r;
}
