// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/user.c - Glovebox without root.
 *
 * Order that matters
 *	- systemd is asked for a scope first: its bus knows us by our own id.
 *	- The maps are written before the program is executed again, and that makes its
 *	  memory the namespace's: else what is not dumpable (the warden, the keeper) would
 *	  belong to the machine's root, and could not be looked at in /proc.
 */
#include "supervisor/user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/sys.h"
#include "sandbox/wire.h"
#include "supervisor/scope.h"

static char **words;

/* A copy: whoever reads the options changes the table. */
void user_keep_words(char **argv)
{
	size_t n = 0;

	while (argv[n])
		n++;
	words = calloc(n + 1, sizeof(*words));
	for (size_t i = 0; words && i < n; i++) {
		words[i] = strdup(argv[i]);
		/* fewer words would be another command */
		if (!words[i]) {
			words = NULL;
			return;
		}
	}
}

/* The line of /proc/self/uid_map (user_namespaces(7)) that holds `inside`. */
static bool find_map(uint32_t inside, unsigned long *ret_outside)
{
	char text[4096];
	const char *at = text;

	if (io_read_file(AT_FDCWD, "/proc/self/uid_map", text, sizeof(text)) < 0)
		return false;
	while (*at) {
		unsigned long first, outside, count;

		if (sscanf(at, "%lu %lu %lu", &first, &outside, &count) == 3 && inside >= first &&
		    inside - first < count) {
			*ret_outside = outside + (inside - first);
			return true;
		}
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	return false;
}

bool user_is_single(void)
{
	static int known = -1;
	unsigned long outside;

	if (known < 0)
		known = geteuid() != 0 || !find_map(SB_RANGE_FIRST, &outside) ||
			!find_map(SB_RANGE_FIRST + SB_RANGE_COUNT * SB_RANGE_SIZE - 1, &outside);
	return known;
}

uid_t user_outside(void)
{
	unsigned long outside = geteuid();

	return find_map(geteuid(), &outside) ? (uid_t)outside : geteuid();
}

static int write_maps(uid_t uid, gid_t gid)
{
	char map[64];
	int r;

	/* without the right to change one's groups: those of the user stay (5.12 knows no
	 * other way, user_namespaces(7)) */
	r = io_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "0 %u 1\n", uid);
	if (r == 0 || r == -ENOENT)
		r = io_write_file(AT_FDCWD, "/proc/self/uid_map", map);
	(void)snprintf(map, sizeof(map), "0 %u 1\n", gid);
	return r < 0 ? r : io_write_file(AT_FDCWD, "/proc/self/gid_map", map);
}

static void explain_unshare(int e, struct text *why)
{
	text_printf(why, "a user namespace cannot be made: %s", strerror(-e));
	if (e == -ENOSPC || e == -EUSERS)
		text_add(why, "; the sysctl user.max_user_namespaces allows none, or no more");
	else if (access("/proc/sys/kernel/unprivileged_userns_clone", F_OK) == 0)
		text_add(why, "; the sysctl kernel.unprivileged_userns_clone must be 1, or a "
			      "container's seccomp profile must allow it");
	else
		text_add(why, "; inside a container its seccomp profile must allow unshare(2)");
	text_add(why, "; or use root: sudo glovebox ...");
}

/*
 * The calls are the user, and so may he write this program. A process of a call that has it
 * as its /proc/self/exe, which the first one has until it is the tool, has it by the mount
 * it was executed from (CVE-2019-5736): so that one is read-only.
 */
static bool is_sealed(void)
{
	struct statvfs fs;

	return statvfs("/proc/self/exe", &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

/* Mounts the program over itself, read-only, in this mount namespace. */
static int seal(char path[PATH_MAX])
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	AUTO_FD tree = -1;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
	    move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int execute_again(struct text *why)
{
	char path[PATH_MAX];
	int r = words ? seal(path) : -ENOMEM;

	if (r == 0) {
		(void)execv(path, words);
		r = -errno;
	}
	text_printf(why, "this program cannot be executed again, from a read-only mount: %s",
		    strerror(-r));
	return r;
}

/* Root of a container, say: the namespace is there, and has too few ids. */
static int seal_as_root(struct text *why)
{
	if (!user_is_single() || is_sealed())
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
		int r = -errno;

		text_printf(why,
			    "a mount namespace cannot be made: %s; inside a container its seccomp "
			    "profile and its AppArmor profile must allow unshare(2) and mount(2)",
			    strerror(-r));
		return r;
	}
	return execute_again(why);
}

int user_become_root(struct text *why)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (uid == 0)
		return seal_as_root(why);
	scope_enter();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		r = -errno;
		explain_unshare(r, why);
		return r;
	}
	r = write_maps(uid, gid);
	if (r == 0 && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		r = -errno;
	if (r < 0) {
		text_printf(
			why,
			"a user namespace was made and gives no rights: %s; where AppArmor "
			"restricts them: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or "
			"a profile for glovebox with \"userns,\"; or use root: sudo glovebox ...",
			strerror(-r));
		return r;
	}
	return execute_again(why);
}
