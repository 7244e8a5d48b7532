// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/over.c - system directories with a private layer above.
 *
 * Below is the machine's own directory, id-mapped and never written; above is a layer
 * of the session that is never committed. The map makes root inside the owner of what
 * root owns outside, as package managers need it; so whatever not everybody may read
 * is taken out by a whiteout, when the layer is made.
 */
#include "sandbox/over.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/base/fd.h"
#include "sandbox/ids.h"
#include "sandbox/show.h"
#include "sandbox/sys.h"

/* Directories within each other that are looked through for what is not for everybody:
 * deeper than any system's. What lies deeper is taken out whole. */
#define DEPTH_MAX 64

void over_name(char out[16], unsigned int i)
{
	(void)snprintf(out, 16, "s%u", i);
}

static int make_dir(int dir, const char *name, const struct stat *st, uint32_t range)
{
	uint32_t uid = st->st_uid < SB_RANGE_SIZE ? st->st_uid : 65534;
	uint32_t gid = st->st_gid < SB_RANGE_SIZE ? st->st_gid : 65534;

	if (mkdirat(dir, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (fchownat(dir, name, range + uid, range + gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, name, st->st_mode & 01777, 0) < 0)
		return -errno;
	return 0;
}

static bool is_for_everybody(const struct stat *st)
{
	mode_t need = S_ISDIR(st->st_mode) ? S_IROTH | S_IXOTH : S_IROTH;

	return S_ISLNK(st->st_mode) || (st->st_mode & need) == need;
}

/* The directories from the top of the layer down to where we are, made when needed. */
struct trail {
	int upper; /* the layer's top */
	uint32_t range;
	char path[SB_PATH_MAX];
	struct stat st[DEPTH_MAX];
};

static int white_out(struct trail *t, unsigned int depth, const char *name)
{
	char copy[SB_PATH_MAX + 256];
	unsigned int level = 1;
	size_t n = strlen(t->path);
	int r = 0;

	(void)snprintf(copy, sizeof(copy), "%s%s%s", t->path, n ? "/" : "", name);
	for (char *p = strchr(copy, '/'); r == 0 && p && level <= depth;
	     p = strchr(p + 1, '/'), level++) {
		*p = '\0';
		r = make_dir(t->upper, copy, &t->st[level], t->range);
		*p = '/';
	}
	if (r == 0 && mknodat(t->upper, copy, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST)
		r = -errno;
	return r;
}

static int look_through(struct trail *t, int dir, unsigned int depth);

static int look_at(struct trail *t, int dir, unsigned int depth, const char *name)
{
	size_t n = strlen(t->path);
	struct stat st;
	int below, r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : -errno;
	/* a directory must leave room for the names in it */
	if (!is_for_everybody(&st) ||
	    (S_ISDIR(st.st_mode) &&
	     (depth + 1 >= DEPTH_MAX || n + strlen(name) + 2 * NAME_MAX > sizeof(t->path))))
		return white_out(t, depth, name);
	if (!S_ISDIR(st.st_mode))
		return 0;
	below = sys_openat2(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
			    SB_BENEATH | RESOLVE_NO_XDEV);
	if (below < 0)
		return errno == EXDEV || errno == ENOENT ? 0 : -errno; /* not part of the clone */
	t->st[depth + 1] = st;
	(void)snprintf(t->path + n, sizeof(t->path) - n, "%s%s", n ? "/" : "", name);
	r = look_through(t, below, depth + 1);
	t->path[n] = '\0';
	return r;
}

/* Takes `dir`. At most DEPTH_MAX of these are on the stack. */
static int look_through(struct trail *t, int dir, unsigned int depth)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = -errno;
		(void)close(dir);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = look_at(t, dirfd(d), depth, e->d_name);
	if (r == 0 && errno)
		r = -errno;
	(void)closedir(d);
	return r;
}

static int make_layer(int layers, unsigned int i, int from, uint32_t range)
{
	AUTO_MEM struct trail *t = calloc(1, sizeof(*t));
	char name[16];
	AUTO_FD layer = -1;
	AUTO_FD upper = -1;
	struct stat st;
	int dir, r;

	over_name(name, i);
	if (!t || fstat(from, &st) < 0)
		return t ? -errno : -ENOMEM;
	if (mkdirat(layers, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	layer = sys_openat2(layers, name, O_RDONLY | O_DIRECTORY, SB_BENEATH);
	if (layer < 0 || fchown(layer, range, range) < 0)
		return -errno;
	r = make_dir(layer, "upper", &st, range);
	st.st_uid = st.st_gid = 0;
	st.st_mode = 0700;
	if (r == 0)
		r = make_dir(layer, "work", &st, range);
	if (r < 0)
		return r;
	upper = openat(layer, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (upper < 0 || dir < 0)
		return -errno;
	t->upper = upper;
	t->range = range;
	return look_through(t, dir, 0);
}

static int open_one(const char *path, int layers, unsigned int i, int userns, uint32_t range,
		    struct over *ret)
{
	struct mount_attr attr = {
		.attr_set =
			MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
		.userns_fd = (uint64_t)userns,
	};
	AUTO_FD from = -1;
	AUTO_FD tree = -1;
	int r;

	ret->path = path;
	from = sys_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	if (from < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
	r = make_layer(layers, i, from, range);
	if (r < 0)
		return r;
	tree = open_tree(from, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	ret->tree = fd_take(&tree);
	return 0;
}

int over_open(const struct sb_shown *shown, int layers, uint32_t range,
	      struct over ret[SB_OVERLAYS_MAX])
{
	AUTO_FD userns = -1;
	AUTO_FD dir = -1;
	unsigned int n = 0;
	int r = 0;

	for (unsigned int i = 0; i < SB_OVERLAYS_MAX; i++)
		ret[i] = (struct over){ .tree = -1 };
	for (uint32_t i = 0; r == 0 && i < shown->count; i++) {
		if (shown->entries[i].kind != SB_SHOWN_OVERLAY)
			continue;
		if (n == SB_OVERLAYS_MAX)
			return -E2BIG;
		if (userns < 0)
			r = ids_open_session(range, &userns);
		if (r == 0 && dir < 0) {
			dir = openat(layers, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			r = dir < 0 ? -errno : 0;
		}
		if (r == 0)
			r = open_one(shown->entries[i].path, dir, n, userns, range, &ret[n]);
		n++;
	}
	return r;
}

static int mount_one(int root, unsigned int i, const struct over *o)
{
	char options[256], name[16], place[32], target[64];
	AUTO_FD at = -1;
	int r;

	over_name(name, i);
	(void)snprintf(place, sizeof(place), "proc/%s", name);
	if (mkdirat(root, place, 0700) < 0)
		return -errno;
	r = show_attach(o->tree, root, place);
	if (r == 0)
		r = show_make_path(root, o->path + 1, false);
	if (r < 0)
		return r;
	at = sys_openat2(root, o->path + 1, O_PATH | O_DIRECTORY,
			 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (at < 0)
		return -errno;
	(void)snprintf(options, sizeof(options),
		       "userxattr,lowerdir=%s,upperdir=l/%s/upper,workdir=l/%s/work", name, name,
		       name);
	/* the paths of the options begin at the root's proc/; the target is where no name
	 * can lead elsewhere */
	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", at);
	if (fchdir(root) < 0 || chdir("proc") < 0)
		return -errno;
	if (mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, options) < 0)
		return -errno;
	return fchdir(root) < 0 ? -errno : 0;
}

int over_mount(int root, const struct over all[SB_OVERLAYS_MAX])
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < SB_OVERLAYS_MAX; i++)
		if (all[i].tree >= 0)
			r = mount_one(root, i, &all[i]);
	return r;
}
