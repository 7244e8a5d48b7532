// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/landlock.c - the second fence around the files of a session.
 *
 * Mounts already decide what exists and what is read-only; this holds even if a
 * mount were wrong. Rules are bound to inodes, and the workspace's is another one
 * with each overlay, so the set is made for each call.
 */
#include "sandbox/landlock.h"

#include <errno.h>

#include "sandbox/base/fd.h"
#include "sandbox/sys.h"

#define READ_RIGHTS \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_RIGHTS_1                                                   \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |  \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)
/* handled and never given: device nodes */
#define NEVER_RIGHTS (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)

static int add_rule(int rules, const char *path, uint64_t rights)
{
	AUTO_FD fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr attr = { .allowed_access = rights, .parent_fd = fd };

	if (fd < 0)
		return -errno;
	return sys_landlock_add(rules, &attr) < 0 ? -errno : 0;
}

int landlock_abi(uint32_t *ret_abi)
{
	int abi = sys_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0 && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	*ret_abi = abi < 0 ? 0 : (uint32_t)abi;
	return 0;
}

int landlock_make_rules(const char *workspace, const struct sb_shown *shown, uint32_t abi,
			int *ret_rules)
{
	static const char *const writable[] = { "/tmp", "/run", "/home/agent", "/dev/shm" };
	struct sb_landlock_attr attr = { 0 };
	uint64_t write_rights = WRITE_RIGHTS_1;
	AUTO_FD rules = -1;
	int r;

	*ret_rules = -1;
	if (abi == 0)
		return 0;
	if (abi >= 2)
		write_rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		write_rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	attr.handled_access_fs = READ_RIGHTS | write_rights | NEVER_RIGHTS;
	if (abi >= 6)
		attr.scoped = SB_LANDLOCK_SCOPE_ABSTRACT | SB_LANDLOCK_SCOPE_SIGNAL;
	rules = sys_landlock_create(&attr, abi >= 6 ? sizeof(attr) : sizeof(attr.handled_access_fs),
				    0);
	if (rules < 0)
		return -errno;
	r = add_rule(rules, "/", READ_RIGHTS);
	/* the terminal and the null device; a rule on files takes no others */
	if (r == 0)
		r = add_rule(rules, "/dev",
			     READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE |
				     (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(writable); i++)
		r = add_rule(rules, writable[i], READ_RIGHTS | write_rights);
	if (r == 0)
		r = add_rule(rules, workspace, READ_RIGHTS | write_rights);
	for (uint32_t i = 0; r == 0 && i < shown->count; i++)
		if (shown->entries[i].kind == SB_SHOWN_OVERLAY) {
			r = add_rule(rules, shown->entries[i].path, READ_RIGHTS | write_rights);
			r = r == -ENOENT ? 0 : r; /* this machine has none */
		}
	if (r < 0)
		return r;
	*ret_rules = fd_take(&rules);
	return 0;
}
