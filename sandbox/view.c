// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/view.c - layers, looked at and worked on from inside their namespace.
 *
 * Everything here was made by the agent: names, links, modes, attributes. The
 * child that looks at it has joined a user namespace of the session's ids first,
 * where its power ends.
 */
#include "sandbox/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/ids.h"
#include "sandbox/root.h"
#include "sandbox/scan.h"
#include "sandbox/sys.h"
#include "sandbox/usage.h"

static int become_session(const struct store_record *rec)
{
	AUTO_FD userns = -1;
	int r;

	r = ids_open_session(rec->range, &userns);
	if (r < 0)
		return r;
	if (setns(userns, CLONE_NEWUSER) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* --- scan --------------------------------------------------------------- */

static int clone_layers(int dir, int *ret_tree)
{
	AUTO_FD layers = openat(dir, "layers", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int tree;

	if (layers < 0)
		return -errno;
	tree = open_tree(layers, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return -errno;
	*ret_tree = tree;
	return 0;
}

static int attach(int tree, const char *path)
{
	return move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

/* A place of our own, where "w" is the workspace and "l" the layers. */
static int stage(const char *staging, int workspace, int layers)
{
	static const char *const dirs[] = { "w", "l", "now", "base" };
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mount("tmpfs", staging, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k") < 0 ||
	    chdir(staging) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(dirs[i], 0700) < 0)
			return -errno;
	r = attach(workspace, "w");
	return r < 0 ? r : attach(layers, "l");
}

/* The workspace below the first `count` layers, to be read only. */
static int open_view(const char *at, const uint32_t *layers, uint32_t count, int *ret_fd)
{
	char options[4000] = "userxattr,lowerdir=";
	int r;

	if (count > 0) {
		r = root_add_lowers(options, sizeof(options), layers, count, "w");
		if (r < 0)
			return r;
		if (mount("overlay", at, "overlay", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
			  options) < 0)
			return -errno;
	}
	*ret_fd = open(count > 0 ? at : "w", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

int view_scan(const struct sb_config *config, const struct store_record *rec, int dir,
	      const struct sb_request *q, int sock)
{
	uint32_t inside = rec->flags & SB_FLAG_ROOT ? 0 : SB_AGENT_ID;
	int uppers[SB_LAYERS_MAX];
	uint32_t count = 0;
	AUTO_FD layers = -1;
	AUTO_FD shift = -1;
	AUTO_FD tree = -1;
	AUTO_FD base = -1;
	AUTO_FD now = -1;
	AUTO_FD ws = -1;
	int r;

	r = store_open_workspace(rec, &ws);
	if (r == 0 && rec->range != IDS_SINGLE)
		r = ids_open_shift(rec->range, rec->owner, rec->group, inside, &shift);
	if (r == 0)
		r = root_map_workspace(ws, shift, &tree);
	if (r == 0)
		r = clone_layers(dir, &layers);
	if (r == 0)
		r = become_session(rec);
	if (r == 0)
		r = stage(config->staging, tree, layers);
	if (r == 0)
		r = open_view("now", q->layers, q->layer_count, &now);
	if (r == 0)
		r = open_view("base", q->layers, q->layer_first, &base);
	for (uint32_t i = q->layer_first; r == 0 && i < q->layer_count; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "l/%u/upper", q->layers[i]);
		uppers[count] = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (uppers[count] < 0)
			r = -errno;
		else
			count++;
	}
	return r < 0 ? r : scan_layers(sock, uppers, count, now, base);
}

int view_usage(const struct store_record *rec, int dir, const struct sb_request *q, int sock)
{
	struct sb_change done = { .kind = SB_CHANGE_END };
	int uppers[SB_LAYERS_MAX + SB_OVERLAYS_MAX];
	uint32_t count = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < q->layer_count; i++) {
		r = store_open_layer(dir, q->layers[i], "upper", &uppers[count]);
		count += r == 0;
		r = r == -ENOENT ? 0 : r; /* squashed or dropped meanwhile */
	}
	for (unsigned int i = 0; r == 0 && i < SB_OVERLAYS_MAX; i++) {
		char path[40], name[16];

		over_name(name, i);
		(void)snprintf(path, sizeof(path), "layers/%s/upper", name);
		uppers[count] = sys_openat2(dir, path, O_RDONLY | O_DIRECTORY, SB_BENEATH);
		count += uppers[count] >= 0;
	}
	if (r == 0)
		r = become_session(rec);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = usage_add(uppers[i], q->call, &done.size, &done.inode);
	return r < 0 ? r : io_send(sock, &done, sizeof(done), NULL, 0);
}

/* --- squash ------------------------------------------------------------- */

static bool is_opaque(int fd)
{
	char value[2];

	return fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static int open_dir(int parent, const char *name)
{
	int fd = sys_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
			     SB_BENEATH | RESOLVE_NO_XDEV);

	return fd < 0 ? -errno : fd;
}

static int empty_dir(int parent, const char *name);

static int remove_entry(int dir, const char *name, bool is_dir)
{
	int r = is_dir ? empty_dir(dir, name) : 0;

	if (r == 0 && unlinkat(dir, name, is_dir ? AT_REMOVEDIR : 0) < 0)
		r = -errno;
	return r;
}

static DIR *list(int fd)
{
	AUTO_FD copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;

	if (d)
		(void)fd_take(&copy);
	return d;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int empty_dir(int parent, const char *name)
{
	AUTO_FD fd = open_dir(parent, name);
	struct dirent *e;
	int r = 0;
	DIR *d;

	if (fd < 0)
		return fd;
	d = list(fd);
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d)))
		if (!is_dot(e->d_name))
			r = remove_entry(fd, e->d_name, e->d_type == DT_DIR);
	(void)closedir(d);
	return r;
}

/* Owner, mode, times and attributes of a directory that both have: the upper one
 * is what was seen. */
static int take_attributes(int to, int from, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	char names[4096];
	char value[4096];
	ssize_t n;

	/* what the lower had and the upper has not, goes */
	n = flistxattr(to, names, sizeof(names));
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		if (strncmp(names + i, "user.overlay.", 13) != 0 &&
		    fgetxattr(from, names + i, NULL, 0) < 0 && errno == ENODATA)
			(void)fremovexattr(to, names + i);
	n = flistxattr(from, names, sizeof(names));
	if (n < 0)
		return -errno;
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		ssize_t size;

		/* except what says how the overlay sees it */
		if (strncmp(names + i, "user.overlay.", 13) == 0 &&
		    strncmp(names + i, "user.overlay.overlay.", 21) != 0)
			continue;
		size = fgetxattr(from, names + i, value, sizeof(value));
		if (size < 0 || fsetxattr(to, names + i, value, (size_t)size, 0) < 0)
			return -errno;
	}
	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0 ||
	    futimens(to, times) < 0)
		return -errno;
	return 0;
}

static int merge_dir(int lower, int upper);

/* One name of the upper layer goes down. Until it is gone from there it hides what
 * is done below, so what both show stays the same. */
static int merge_entry(int lower, int upper, const char *name)
{
	struct stat st, below;
	AUTO_FD from = -1;
	AUTO_FD to = -1;
	bool has_below;
	int r = 0;

	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	has_below = fstatat(lower, name, &below, AT_SYMLINK_NOFOLLOW) == 0;
	if (S_ISDIR(st.st_mode)) {
		from = open_dir(upper, name);
		if (from < 0)
			return from;
		if (has_below && S_ISDIR(below.st_mode) && !is_opaque(from)) {
			to = open_dir(lower, name);
			if (to < 0)
				return to;
			r = merge_dir(to, from);
			if (r == 0)
				r = take_attributes(to, from, &st);
			if (r == 0 && unlinkat(upper, name, AT_REMOVEDIR) < 0)
				r = -errno;
			return r;
		}
		/* the lower one hid what is below it, and so must the one in its place */
		if (has_below && !is_opaque(from) &&
		    fsetxattr(from, "user.overlay.opaque", "y", 1, 0) < 0)
			return -errno;
	}
	if (has_below)
		r = remove_entry(lower, name, S_ISDIR(below.st_mode));
	if (r == 0 && renameat(upper, name, lower, name) < 0)
		r = -errno;
	return r;
}

static int merge_dir(int lower, int upper)
{
	struct dirent *e;
	int r = 0;
	DIR *d = list(upper);

	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d)))
		if (!is_dot(e->d_name))
			r = merge_entry(lower, upper, e->d_name);
	(void)closedir(d);
	return r;
}

int view_squash(const struct store_record *rec, int dir, const struct sb_request *q, int sock)
{
	struct sb_change done = { .kind = SB_CHANGE_END };
	AUTO_FD lower = -1;
	AUTO_FD upper = -1;
	struct stat st;
	int r;

	if (q->layer_count != 2)
		return -EINVAL;
	r = store_open_layer(dir, q->layers[0], "upper", &lower);
	if (r == 0)
		r = store_open_layer(dir, q->layers[1], "upper", &upper);
	if (r == 0)
		r = become_session(rec);
	if (r == 0)
		r = merge_dir(lower, upper);
	if (r == 0 && fstat(upper, &st) < 0)
		r = -errno;
	if (r == 0)
		r = take_attributes(lower, upper, &st);
	return r < 0 ? r : io_send(sock, &done, sizeof(done), NULL, 0);
}

int view_drop(int dir, const struct sb_request *q, int sock)
{
	struct sb_change done = { .kind = SB_CHANGE_END };
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < q->layer_count; i++) {
		r = store_drop_layer(dir, q->layers[i]);
		r = r == -ENOENT ? 0 : r;
	}
	return r < 0 ? r : io_send(sock, &done, sizeof(done), NULL, 0);
}

int view_remove(const struct sb_config *config, const char *session, int sock)
{
	struct sb_change done = { .kind = SB_CHANGE_END };
	int r = store_remove(config, session);

	return r < 0 ? r : io_send(sock, &done, sizeof(done), NULL, 0);
}
