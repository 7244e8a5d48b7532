// SPDX-License-Identifier: Apache-2.0
/* supervisor/shown.c - a policy's files, as the warden takes them. */
#include "supervisor/shown.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"

static int add(struct sb_shown *all, enum sb_shown_kind kind, const char *path)
{
	struct sb_shown_entry *e = &all->entries[all->count];
	int n;

	if (all->count == SB_SHOWN_MAX)
		return -E2BIG;
	e->kind = kind;
	n = snprintf(e->path, sizeof(e->path), "%s%s", path[0] == '/' ? "" : "/", path);
	if (n < 0 || (size_t)n >= sizeof(e->path))
		return -ENAMETOOLONG;
	all->count++;
	return 0;
}

static int add_list(struct sb_shown *all, const struct policy *p, enum policy_list_name name,
		    enum sb_shown_kind kind)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->lists[name].count; i++) {
		const char *path = p->lists[name].at[i].text;

		if (path[0] != '/' && strpbrk(path, "*?"))
			continue; /* masks.c */
		r = add(all, path[0] == '/' ? kind : SB_SHOWN_MASK, path);
	}
	return r;
}

int shown_make(const struct policy *p, int *ret_fd)
{
	AUTO_MEM struct sb_shown *all =
		calloc(1, sizeof(*all) + SB_SHOWN_MAX * sizeof(all->entries[0]));
	AUTO_FD fd = memfd_create("glovebox-shown", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = all ? 0 : -ENOMEM;

	if (fd < 0)
		return -errno;
	if (r == 0)
		all->abi = SB_ABI;
	if (r == 0 && p->tree)
		r = add(all, SB_SHOWN_TREE, p->tree);
	if (r == 0)
		r = add_list(all, p, POLICY_READ, SB_SHOWN_READ);
	if (r == 0)
		r = add_list(all, p, POLICY_OVERLAY, SB_SHOWN_OVERLAY);
	if (r == 0)
		r = add_list(all, p, POLICY_HIDE, SB_SHOWN_HIDE);
	if (r == 0)
		r = add_list(all, p, POLICY_EXEC_DENY, SB_SHOWN_NOEXEC);
	if (r == 0)
		r = io_write_all(fd, all, sizeof(*all) + all->count * sizeof(all->entries[0]));
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}

static int allow(const char **list, size_t max, const char *path, struct text *why)
{
	size_t n = 0;

	for (; list[n]; n++)
		if (strcmp(list[n], path) == 0)
			return 0;
	if (n + 1 >= max) {
		text_printf(why, "the policies together show more than %zu directories", max - 1);
		return -E2BIG;
	}
	list[n] = strdup(path);
	return list[n] ? 0 : -ENOMEM;
}

int shown_allow(struct sb_config *config, const struct policy *p, struct text *why)
{
	const struct policy_list *l = &p->lists[POLICY_READ];
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->count; i++)
		r = allow(config->read, SB_READ_MAX, l->at[i].text, why);
	l = &p->lists[POLICY_OVERLAY];
	for (size_t i = 0; r == 0 && i < l->count; i++)
		r = allow(config->read, SB_READ_MAX, l->at[i].text, why);
	if (r == 0 && p->tree)
		r = allow(config->trees, SB_ROOTS_MAX, p->tree, why);
	return r;
}
