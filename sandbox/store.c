// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/store.c - a session on disk, as the warden knows it.
 *
 * The record is of fixed size and compared with ==: the warden reads no
 * session.json, which is the supervisor's.
 */
#include "sandbox/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/ids.h"
#include "sandbox/sys.h"

bool store_id_is_sound(const char id[SB_ID_MAX])
{
	if (id[0] != 's' || id[1] != '-' || id[12] != '\0')
		return false;
	for (int i = 2; i < 12; i++)
		if (!((id[i] >= 'a' && id[i] <= 'z') || (id[i] >= '0' && id[i] <= '9')))
			return false;
	return true;
}

static int open_sessions(const struct sb_config *config, int *ret_fd)
{
	AUTO_FD state = open(config->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (state < 0)
		return -errno;
	if (mkdirat(state, "sessions", 0711) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(state, "sessions", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int store_open_workspace(const struct store_record *rec, int *ret_fd)
{
	AUTO_FD fd = -1;
	struct stat st;

	fd = sys_openat2(AT_FDCWD, rec->workspace, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != rec->device || st.st_ino != rec->inode)
		return -ESTALE;
	*ret_fd = fd_take(&fd);
	return 0;
}

int store_create(const struct sb_config *config, const char *id, struct store_record *rec,
		 int *ret_dir)
{
	uint32_t root = ids_outside(rec->range, 0);
	AUTO_FD sessions = -1;
	AUTO_FD dir = -1;
	AUTO_FD file = -1;
	int r;

	r = open_sessions(config, &sessions);
	if (r < 0)
		return r;
	if (mkdirat(sessions, id, 0700) < 0)
		return -errno;
	dir = openat(sessions, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (fchown(dir, 0, config->is_user ? 0 : SB_SUPERVISOR_ID) < 0 || fchmod(dir, 01770) < 0)
		return -errno;
	/* the session's own root walks it, from inside its namespace */
	if (mkdirat(dir, "layers", 0700) < 0 ||
	    fchownat(dir, "layers", root, root, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	file = openat(dir, "record", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	r = io_write_all(file, rec, sizeof(*rec));
	if (r < 0)
		return r;
	*ret_dir = fd_take(&dir);
	return 0;
}

int store_load(const struct sb_config *config, const char *id, struct store_record *ret_rec,
	       int *ret_dir)
{
	struct store_record rec;
	AUTO_FD sessions = -1;
	AUTO_FD dir = -1;
	AUTO_FD file = -1;
	struct stat st;
	int r;

	r = open_sessions(config, &sessions);
	if (r < 0)
		return r;
	dir = openat(sessions, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	file = openat(dir, "record", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return -errno;
	if (fstat(file, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || st.st_size != sizeof(rec) ||
	    io_read_full(file, &rec, sizeof(rec)) != sizeof(rec) || rec.abi != SB_ABI ||
	    (config->is_user ? rec.range != IDS_SINGLE
			     : rec.range < SB_RANGE_FIRST + SB_RANGE_SIZE) ||
	    rec.workspace[SB_PATH_MAX - 1] || rec.at[SB_PATH_MAX - 1])
		return -EBADMSG;
	*ret_rec = rec;
	*ret_dir = fd_take(&dir);
	return 0;
}

static int make_owned(int parent, const char *name, uid_t owner, mode_t mode)
{
	if (mkdirat(parent, name, 0700) < 0)
		return -errno;
	if (fchownat(parent, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(parent, name, mode, 0) < 0)
		return -errno;
	return 0;
}

static void layer_path(char out[48], uint32_t number, const char *what)
{
	(void)snprintf(out, 48, "layers/%u%s%s", number, what ? "/" : "", what ? what : "");
}

int store_make_layer(int dir, const struct store_record *rec, uint32_t number, int like)
{
	uint32_t owner = ids_outside(rec->range, rec->flags & SB_FLAG_ROOT ? 0 : SB_AGENT_ID);
	uint32_t root = ids_outside(rec->range, 0);
	AUTO_FD fd = -1;
	AUTO_FD ws = -1;
	struct stat st;
	char path[48];
	int r = 0;

	/* the overlay's root takes its mode from the upper directory */
	if (like < 0)
		r = store_open_workspace(rec, &ws);
	if (r == 0 && fstat(like < 0 ? ws : like, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;
	layer_path(path, number, NULL);
	if (mkdirat(dir, path, 0700) < 0)
		return -errno;
	fd = sys_openat2(dir, path, O_RDONLY | O_DIRECTORY, SB_BENEATH);
	if (fd < 0 || fchown(fd, root, root) < 0)
		return -errno;
	r = make_owned(fd, "upper", owner, st.st_mode & 0777);
	return r < 0 ? r : make_owned(fd, "work", root, 0700);
}

int store_open_layer(int dir, uint32_t number, const char *what, int *ret_fd)
{
	char path[48];
	int fd;

	layer_path(path, number, what);
	fd = sys_openat2(dir, path, O_RDONLY | O_DIRECTORY, SB_BENEATH);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int store_lock(int dir, int *ret_lock)
{
	AUTO_FD fd = openat(dir, "record", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	*ret_lock = fd_take(&fd);
	return 0;
}

/* Files the agent made: never followed, never left. */
int store_remove_tree(int parent, const char *name)
{
	AUTO_FD fd = -1;
	struct dirent *e;
	DIR *d;
	int r = 0;

	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return unlinkat(parent, name, 0) < 0 && errno != ENOENT ? -errno : 0;
	d = fdopendir(fd);
	if (!d)
		return -errno;
	(void)fd_take(&fd);
	while (r == 0 && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = e->d_type == DT_DIR                    ? store_remove_tree(dirfd(d), e->d_name)
		    : unlinkat(dirfd(d), e->d_name, 0) < 0 ? -errno
							   : 0;
	}
	(void)closedir(d);
	if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int store_open_journal(int dir, int *ret_fd)
{
	int fd = openat(dir, "journal", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int store_drop_layer(int dir, uint32_t number)
{
	char path[48];

	layer_path(path, number, NULL);
	return store_remove_tree(dir, path);
}

int store_remove(const struct sb_config *config, const char *id)
{
	AUTO_FD sessions = -1;
	int r;

	r = open_sessions(config, &sessions);
	return r < 0 ? r : store_remove_tree(sessions, id);
}
