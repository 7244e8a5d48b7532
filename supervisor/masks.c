// SPDX-License-Identifier: Apache-2.0
/* supervisor/masks.c - patterns of files.hide become names. */
#include "supervisor/masks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/wire.h"

struct masks {
	const struct policy *policy;
	char **at; /* relative paths, owned */
	uint32_t count, room;
	char skip[SB_PATH_MAX]; /* a directory that is hidden: what is below is, too; "" */
};

static bool is_pattern(const char *s)
{
	return s[0] != '/' && strpbrk(s, "*?");
}

static const char *last_part(const char *s)
{
	const char *slash = strrchr(s, '/');

	return slash ? slash + 1 : s;
}

bool masks_are_needed(const struct policy *p)
{
	const struct policy_list *l = &p->lists[POLICY_HIDE];

	for (size_t i = 0; i < l->count; i++)
		if (is_pattern(l->at[i].text))
			return true;
	return false;
}

static int add(struct masks *m, const char *path)
{
	if (m->count == SB_MASKS_MAX)
		return -E2BIG;
	if (m->count == m->room) {
		uint32_t room = m->room ? 2 * m->room : 64;
		char **more = realloc(m->at, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->at = more;
		m->room = room;
	}
	m->at[m->count] = strdup(path);
	return m->at[m->count] ? (m->count++, 0) : -ENOMEM;
}

static bool is_named(const char *pattern)
{
	return is_pattern(pattern) && !strpbrk(last_part(pattern), "*?");
}

static bool matches(const char *pattern, const char *path)
{
	return is_pattern(pattern) && policy_glob(pattern, path);
}

/* The plain last names of patterns, in this directory ("": the workspace), there or not. */
static int add_named(struct masks *m, const char *dir)
{
	const struct policy_list *l = &m->policy->lists[POLICY_HIDE];
	char path[SB_PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->count; i++) {
		if (!is_named(l->at[i].text))
			continue;
		if (snprintf(path, sizeof(path), "%s%s%s", dir, dir[0] ? "/" : "",
			     last_part(l->at[i].text)) >= (int)sizeof(path))
			continue; /* no call can open that */
		if (matches(l->at[i].text, path))
			r = add(m, path);
	}
	return r;
}

static int add_name(struct masks *m, char *path)
{
	const struct policy_list *l = &m->policy->lists[POLICY_HIDE];
	size_t n = strlen(path);
	bool is_dir = n > 0 && path[n - 1] == '/';
	bool is_closed = n > 1 && is_dir && path[n - 2] == '/';

	while (n > 0 && path[n - 1] == '/')
		path[--n] = '\0';
	if (path[0] == '\0' || (m->skip[0] && path_is_below(path, m->skip)))
		return 0;
	for (size_t i = 0; i < l->count; i++) {
		if (!matches(l->at[i].text, path))
			continue;
		(void)snprintf(m->skip, sizeof(m->skip), "%s", path);
		/* its directory has had the plain names */
		return is_named(l->at[i].text) &&
				       strcmp(last_part(path), last_part(l->at[i].text)) == 0
			       ? 0
			       : add(m, path);
	}
	/* nobody knows what is in it; inside, its owner could open it again */
	if (is_closed)
		return add(m, path);
	return is_dir ? add_named(m, path) : 0;
}

int masks_new(const struct policy *p, struct masks **ret)
{
	struct masks *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->policy = p;
	r = add_named(m, "");
	if (r < 0)
		masks_free(m);
	else
		*ret = m;
	return r;
}

void masks_free(struct masks *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->count; i++)
		free(m->at[i]);
	free(m->at);
	free(m);
}

int masks_add(struct masks *m, int names)
{
	AUTO_MEM char *text = malloc(SB_NAMES_BYTES + 1);
	ssize_t n;
	int r = 0;

	if (!text)
		return -ENOMEM;
	n = pread(names, text, SB_NAMES_BYTES, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	for (ssize_t at = 0; r == 0 && at < n;) {
		size_t len = strlen(text + at);

		r = len < SB_PATH_MAX ? add_name(m, text + at) : -EBADMSG;
		at += (ssize_t)len + 1;
	}
	return r;
}

int masks_make(const struct masks *m, int *ret_fd)
{
	AUTO_FD fd = memfd_create("glovebox-masks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct sb_shown head = { .abi = SB_ABI, .count = m->count };
	struct sb_shown_entry e;
	int r;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, &head, sizeof(head));
	for (uint32_t i = 0; r == 0 && i < m->count; i++) {
		memset(&e, 0, sizeof(e));
		e.kind = SB_SHOWN_MASK;
		if (snprintf(e.path, sizeof(e.path), "/%s", m->at[i]) < (int)sizeof(e.path))
			r = io_write_all(fd, &e, sizeof(e));
		else
			r = -ENAMETOOLONG;
	}
	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r == 0)
		*ret_fd = fd_take(&fd);
	return r;
}
