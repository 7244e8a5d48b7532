// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/show.c - what of the machine a session's root shows, and what it covers.
 *
 * What it guarantees
 *	Nothing is shown that the configuration of whoever started Glovebox does not
 *	name; what is covered stays covered whatever a call does, because covers are
 *	mounts and nobody inside may unmount. A masked name of the workspace does not
 *	exist inside, also when somebody outside makes it later.
 */
#include "sandbox/show.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/path.h"
#include "sandbox/store.h"
#include "sandbox/sys.h"

/* Below the place where a call's /proc will lie: nobody inside sees them. */
#define COVER_DIR "proc/cover.d"
#define COVER_FILE "proc/cover"
/* The upper directory's sibling among the layers; a layer's own name is a number. */
#define MASK_DIR "mask"

static bool may_show(const struct sb_config *config, const struct sb_shown_entry *e)
{
	const char *const *list = e->kind == SB_SHOWN_TREE ? config->trees : config->read;

	for (; *list; list++)
		if (path_is_below(e->path, *list))
			return true;
	return false;
}

static int check_entry(const struct sb_config *config, const struct sb_shown_entry *e)
{
	if (e->path[SB_PATH_MAX - 1] != '\0' || e->kind == 0 || e->kind >= SB_SHOWN_KINDS ||
	    !path_is_plain(e->path))
		return -EBADMSG;
	if ((e->kind == SB_SHOWN_READ || e->kind == SB_SHOWN_TREE || e->kind == SB_SHOWN_OVERLAY) &&
	    !may_show(config, e))
		return -EXDEV;
	return 0;
}

static int load(const struct sb_config *config, int fd, uint32_t most, const struct sb_shown **ret)
{
	const struct sb_shown *shown;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(*shown) ||
	    st.st_size > (off_t)(sizeof(*shown) + most * sizeof(shown->entries[0])))
		return -EBADMSG;
	shown = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (shown == MAP_FAILED)
		return -errno;
	if (shown->abi != SB_ABI || shown->count > most ||
	    (uint64_t)st.st_size !=
		    sizeof(*shown) + (uint64_t)shown->count * sizeof(shown->entries[0]))
		return -EBADMSG;
	for (uint32_t i = 0; i < shown->count; i++) {
		int r = check_entry(config, &shown->entries[i]);

		if (r < 0)
			return r;
	}
	*ret = shown;
	return 0;
}

int show_load(const struct sb_config *config, int fd, const struct sb_shown **ret)
{
	unsigned int trees = 0;
	int r = load(config, fd, SB_SHOWN_MAX, ret);

	for (uint32_t i = 0; r == 0 && i < (*ret)->count; i++)
		trees += (*ret)->entries[i].kind == SB_SHOWN_TREE;
	return trees > 1 ? -EBADMSG : r;
}

int show_load_masks(const struct sb_config *config, int fd, const struct sb_shown **ret)
{
	int r = load(config, fd, SB_MASKS_MAX, ret);

	for (uint32_t i = 0; r == 0 && i < (*ret)->count; i++)
		if ((*ret)->entries[i].kind != SB_SHOWN_MASK)
			r = -EBADMSG;
	return r;
}

/* A directory of the root we build. An absolute link in it (/var/run) means this root,
 * not the machine's. */
static int open_in_root(int root, const char *path)
{
	int fd = sys_openat2(root, path[0] ? path : ".", O_PATH | O_DIRECTORY,
			     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	return fd < 0 ? -errno : fd;
}

static int make_last(int root, char *path, bool is_file)
{
	char *slash = strrchr(path, '/');
	AUTO_FD dir = -1;
	AUTO_FD file = -1;

	if (slash)
		*slash = '\0';
	dir = open_in_root(root, slash ? path : ".");
	if (slash)
		*slash = '/';
	if (dir < 0)
		return dir;
	if (!is_file)
		return mkdirat(dir, slash ? slash + 1 : path, 0755) < 0 && errno != EEXIST ? -errno
											   : 0;
	file = openat(dir, slash ? slash + 1 : path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		      0444);
	return file < 0 ? -errno : 0;
}

int show_make_path(int root, const char *path, bool is_file)
{
	char copy[SB_PATH_MAX];
	size_t len = strlen(path);
	int r = 0;

	if (len >= sizeof(copy))
		return -ENAMETOOLONG;
	memcpy(copy, path, len + 1);
	for (char *p = strchr(copy, '/'); r == 0 && p; p = strchr(p + 1, '/')) {
		*p = '\0';
		r = make_last(root, copy, false);
		*p = '/';
	}
	return r < 0 ? r : make_last(root, copy, is_file);
}

int show_attach(int tree, int root, const char *path)
{
	AUTO_FD at = sys_openat2(root, path, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

	if (at < 0)
		return -errno;
	return move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

static int make_parents(int root, const char *path)
{
	char copy[SB_PATH_MAX];
	char *slash;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	slash = strrchr(copy, '/');
	if (!slash)
		return 0;
	*slash = '\0';
	return show_make_path(root, copy, false);
}

/* One listed path: a link is kept as a link, anything else is cloned with its mounts. What
 * this machine does not have is not shown, and that is no error. */
static int open_one(int tree, const char *path, int *ret_fd)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};
	AUTO_FD from = -1;
	AUTO_FD clone = -1;
	struct stat st;

	/* the links on the way are those of the tree, and stay in it */
	from = sys_openat2(tree, path + 1, O_PATH | O_NOFOLLOW,
			   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (from < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	if (fstat(from, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode)) {
		*ret_fd = fd_take(&from);
		return 0;
	}
	clone = open_tree(from, "",
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	if (clone < 0)
		return -errno;
	if (mount_setattr(clone, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	*ret_fd = fd_take(&clone);
	return 0;
}

static bool is_overlaid(const struct sb_shown *shown, const char *path)
{
	for (uint32_t i = 0; i < shown->count; i++)
		if (shown->entries[i].kind == SB_SHOWN_OVERLAY &&
		    path_is_below(path, shown->entries[i].path))
			return true;
	return false;
}

int show_open(const struct sb_shown *shown, int fds[SB_SHOWN_MAX])
{
	const char *at = "/";
	AUTO_FD tree = -1;
	int r = 0;

	for (uint32_t i = 0; i < SB_SHOWN_MAX; i++)
		fds[i] = -1;
	for (uint32_t i = 0; i < shown->count; i++)
		if (shown->entries[i].kind == SB_SHOWN_TREE)
			at = shown->entries[i].path;
	tree = sys_openat2(AT_FDCWD, at, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	if (tree < 0)
		return -errno;
	for (uint32_t i = 0; r == 0 && i < shown->count; i++)
		if (shown->entries[i].kind == SB_SHOWN_READ &&
		    !is_overlaid(shown, shown->entries[i].path))
			r = open_one(tree, shown->entries[i].path, &fds[i]);
	return r;
}

static int show_link(int root, const char *path, int link)
{
	char target[SB_PATH_MAX], parent[SB_PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
	const char *name = strrchr(path, '/') + 1;
	AUTO_FD dir = -1;
	int r;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	r = make_parents(root, path + 1);
	if (r < 0)
		return r == -EROFS ? 0 : r;
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path - 1), path + 1);
	dir = open_in_root(root, parent);
	if (dir < 0)
		return dir;
	return symlinkat(target, dir, name) < 0 && errno != EEXIST && errno != EROFS ? -errno : 0;
}

static int show_path(int root, const char *path, int fd)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return show_link(root, path, fd);
	r = show_make_path(root, path + 1, !S_ISDIR(st.st_mode));
	if (r == -EROFS || r == -EACCES)
		return 0; /* below one that is shown already */
	return r < 0 ? r : show_attach(fd, root, path + 1);
}

/* Puts something that is empty and may not be opened over `path`, if it is shown; over
 * what it leads to, where it is a link. Only the root we build is walked. */
static int cover(int root, const char *path)
{
	AUTO_FD at = -1;
	AUTO_FD clone = -1;
	struct stat st;

	at = sys_openat2(root, path + 1, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	/* where we may not go, nobody inside may */
	if (at < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP
			       ? 0
			       : -errno;
	if (fstat(at, &st) < 0)
		return -errno;
	clone = open_tree(root, S_ISDIR(st.st_mode) ? COVER_DIR : COVER_FILE,
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (clone < 0)
		return -errno;
	{
		struct mount_attr attr = {
			.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				    MOUNT_ATTR_NOEXEC,
			.propagation = MS_PRIVATE,
		};

		if (mount_setattr(clone, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
			return -errno;
	}
	return move_mount(clone, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

static int make_covers(int root)
{
	AUTO_FD file = -1;

	if (mkdirat(root, COVER_DIR, 0) < 0)
		return -errno;
	file = openat(root, COVER_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	return file < 0 ? -errno : 0;
}

int show_all(int root, const struct sb_shown *shown, const int fds[SB_SHOWN_MAX])
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < shown->count; i++)
		if (fds[i] >= 0)
			r = show_path(root, shown->entries[i].path, fds[i]);
	return r;
}

int show_cover(int root, const struct sb_config *config, const struct sb_shown *shown)
{
	const char *own[] = { config->state_dir, config->run_dir, config->staging };
	int r = make_covers(root);

	for (uint32_t i = 0; r == 0 && i < shown->count; i++)
		if (shown->entries[i].kind == SB_SHOWN_HIDE ||
		    shown->entries[i].kind == SB_SHOWN_NOEXEC)
			r = cover(root, shown->entries[i].path);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(own); i++)
		if (own[i])
			r = cover(root, own[i]);
	return r;
}

/* --- the mask ---------------------------------------------------------------------- */

/* A directory of the mask is shown in place of the real one's attributes. */
static int make_like(int dir, const char *name, const struct stat *st, uint32_t owner)
{
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (fchownat(dir, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, name, st->st_mode & 0777, 0) < 0)
		return -errno;
	return 0;
}

static bool is_whiteout(int mask, const char *path)
{
	struct stat st;

	return fstatat(mask, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode);
}

/* The way to a masked name exists in the mask as far as it exists outside. */
static int mask_one(int mask, int workspace, const char *path, uint32_t owner)
{
	char copy[SB_PATH_MAX];
	int r = 0;

	memcpy(copy, path, strlen(path) + 1);
	for (char *p = strchr(copy, '/'); r == 0 && p; p = strchr(p + 1, '/')) {
		AUTO_FD real = -1;
		struct stat st;

		*p = '\0';
		real = sys_openat2(workspace, copy, O_PATH | O_DIRECTORY, SB_BENEATH);
		if (real < 0 || fstat(real, &st) < 0)
			return 0; /* not a directory of the workspace: nothing is below */
		/* one above is taken away as a whole */
		if (is_whiteout(mask, copy))
			return 0;
		r = make_like(mask, copy, &st, owner);
		*p = '/';
	}
	if (r < 0 || is_whiteout(mask, copy))
		return r;
	/* the way to others, which go with it */
	r = store_remove_tree(mask, copy);
	/* the overlay's own sign for "not here"; needs no right in a user namespace */
	if (r == 0 && mknodat(mask, copy, S_IFCHR, makedev(0, 0)) < 0)
		r = -errno;
	return r;
}

int show_clear_mask(int layers)
{
	return store_remove_tree(layers, MASK_DIR);
}

int show_make_mask(int layers, int workspace, const struct sb_shown *shown, uint32_t owner,
		   bool *ret_any)
{
	AUTO_FD mask = -1;
	struct stat st;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < shown->count; i++) {
		if (shown->entries[i].kind != SB_SHOWN_MASK)
			continue;
		if (mask < 0) {
			if (fstat(workspace, &st) < 0)
				return -errno;
			r = make_like(layers, MASK_DIR, &st, owner);
			mask = sys_openat2(layers, MASK_DIR, O_RDONLY | O_DIRECTORY, SB_BENEATH);
			if (r == 0 && mask < 0)
				r = -errno;
			*ret_any = true;
		}
		if (r == 0)
			r = mask_one(mask, workspace, shown->entries[i].path + 1, owner);
	}
	return r;
}
