// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/seen.c - what the real side was when a session first changed it.
 *
 * Paths are any bytes, so these are not JSON: fields are separated by blanks, and
 * a byte that is not plain ASCII is %XX.
 */
#include "supervisor/seen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/disk.h"

#define SEEN_DIR "seen"
#define LINE_FIELDS 6

static void add_escaped(struct text *t, const char *s)
{
	if (*s == '\0')
		text_add(t, "-");
	for (; *s; s++) {
		bool plain = *s > ' ' && *s < 0x7f && *s != '%' && *s != '-';

		text_printf(t, plain ? "%c" : "%%%02x", (unsigned char)*s);
	}
}

static char *unescape(const char *s, size_t n)
{
	char *out = malloc(n + 1);
	char *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned int byte;

		if (s[i] == '-')
			continue;
		if (s[i] == '%' && i + 2 < n && sscanf(s + i + 1, "%2x", &byte) == 1) {
			*p++ = (char)byte;
			i += 2;
		} else {
			*p++ = s[i];
		}
	}
	*p = '\0';
	return out;
}

static void add_line(struct text *t, uint32_t mode, uint64_t size, bool is_moved,
		     const char *sha256, const char *path, const char *target)
{
	text_printf(t, "%o %llu %d %s ", mode, (unsigned long long)size, is_moved,
		    sha256[0] ? sha256 : "-");
	add_escaped(t, path);
	text_add(t, " ");
	add_escaped(t, target ? target : "");
	text_add(t, "\n");
}

static int open_dir(int session_dir, int *ret_fd)
{
	int fd;

	if (mkdirat(session_dir, SEEN_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(session_dir, SEEN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static void file_name(uint32_t call, char ret[16])
{
	if (call > 0)
		(void)snprintf(ret, 16, "%u", call);
	else
		(void)snprintf(ret, 16, "commits");
}

static int write_file(int session_dir, uint32_t call, int flags, const struct text *t)
{
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	char name[16];
	off_t size;
	int r;

	if (t->failed)
		return -ENOMEM;
	r = open_dir(session_dir, &dir);
	if (r < 0)
		return r;
	file_name(call, name);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (fd < 0)
		return -errno;
	size = lseek(fd, 0, SEEK_END);
	r = io_write_all(fd, t->at, t->len);
	if (disk_use_reserve(session_dir, DISK_RESERVE_BOOK, r))
		r = ftruncate(fd, size) < 0 ? -errno : io_write_all(fd, t->at, t->len);
	return r;
}

int seen_write(int session_dir, uint32_t call, const struct changes *list, uint64_t started_ns)
{
	AUTO_TEXT t = { 0 };

	for (size_t i = 0; i < list->count; i++) {
		const struct change *c = &list->at[i];
		uint64_t touched = (uint64_t)c->base_ctime_s * 1000000000u + c->base_ctime_ns;
		bool is_moved = c->base_mode && touched >= started_ns;

		/* what was renamed is new here, and gone there */
		if (c->type == CHANGE_RENAMED) {
			add_line(&t, 0, 0, false, "", c->path, NULL);
			touched = (uint64_t)c->from_ctime_s * 1000000000u + c->from_ctime_ns;
			add_line(&t, c->from_mode, c->size, touched >= started_ns, c->sha256,
				 c->from, NULL);
			continue;
		}
		add_line(&t, c->base_mode, c->base_size, is_moved, c->base_sha256, c->path,
			 c->base_target);
	}
	return t.len == 0 ? 0 : write_file(session_dir, call, O_TRUNC, &t);
}

int seen_add_commit(struct text *lines, const struct sb_change *raw, uint64_t size,
		    const char *sha256)
{
	bool is_gone = raw->kind == SB_CHANGE_GONE;
	bool is_link = raw->kind == SB_CHANGE_LINK;

	add_line(lines, is_gone ? 0 : (raw->mode & ~07000u), is_gone ? 0 : size, false, sha256,
		 raw->path, is_link ? raw->target : NULL);
	return lines->failed ? -ENOMEM : 0;
}

int seen_write_commits(int session_dir, const struct text *lines)
{
	return lines->len == 0 ? 0 : write_file(session_dir, 0, O_APPEND, lines);
}

void seen_forget_commits(int session_dir)
{
	(void)unlinkat(session_dir, SEEN_DIR "/commits", 0);
}

static int add_entry(struct seen *s, char *fields[LINE_FIELDS], uint64_t order)
{
	struct seen_entry *e;

	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct seen_entry *more = realloc(s->at, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->at = more;
		s->room = room;
	}
	e = &s->at[s->count];
	*e = (struct seen_entry){ .order = order };
	e->mode = (uint32_t)strtoul(fields[0], NULL, 8);
	e->size = strtoull(fields[1], NULL, 10);
	e->is_moved = fields[2][0] == '1';
	if (strlen(fields[3]) == 64)
		memcpy(e->sha256, fields[3], 65);
	e->path = unescape(fields[4], strlen(fields[4]));
	e->target = unescape(fields[5], strlen(fields[5]));
	s->count++;
	return e->path && e->target ? 0 : -ENOMEM;
}

int seen_load(struct seen *s, int session_dir, uint32_t call)
{
	AUTO_MEM char *line = NULL;
	char path[32], name[16];
	size_t room = 0;
	FILE *f;
	int fd, r = 0;

	file_name(call, name);
	(void)snprintf(path, sizeof(path), SEEN_DIR "/%s", name);
	fd = openat(session_dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	f = fdopen(fd, "r");
	if (!f) {
		fd_done(&fd);
		return -errno;
	}
	while (r == 0 && getline(&line, &room, f) > 0) {
		char *fields[LINE_FIELDS];
		char *at = line;
		int n = 0;

		line[strcspn(line, "\n")] = '\0';
		while (n < LINE_FIELDS && at)
			fields[n++] = strsep(&at, " ");
		if (n < LINE_FIELDS)
			continue; /* cut by a crash: the last line of the file */
		/* of calls the first counts, of commits the last; any commit more */
		r = add_entry(s, fields,
			      call > 0 ? ((uint64_t)1 << 62) + s->count
				       : ((uint64_t)1 << 61) - s->count);
	}
	(void)fclose(f);
	return r;
}

static int by_path(const void *a, const void *b)
{
	const struct seen_entry *x = a, *y = b;
	int r = strcmp(x->path, y->path);

	return r ? r : x->order < y->order ? -1 : x->order > y->order;
}

void seen_sort(struct seen *s)
{
	if (s->count > 0)
		qsort(s->at, s->count, sizeof(*s->at), by_path);
}

const struct seen_entry *seen_find(const struct seen *s, const char *path)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(s->at[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && strcmp(s->at[low].path, path) == 0 ? &s->at[low] : NULL;
}

void seen_done(struct seen *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->at[i].path);
		free(s->at[i].target);
	}
	free(s->at);
	*s = (struct seen){ 0 };
}
