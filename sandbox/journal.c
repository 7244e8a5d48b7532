// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/journal.c - the steps of a commit, on disk before the first is taken.
 *
 * Order that matters
 *	- What is staged, and the steps, are on disk before the word that decides.
 *	- That word is on disk before the first step.
 *	- What the steps did is on disk before the journal is emptied.
 *
 * A process that is killed anywhere, and a machine that stops anywhere, leave
 * either no decision (the old tree, and things to sweep) or a decision and all
 * that is needed to carry it out.
 */
#include "sandbox/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/sys.h"

#define JOURNAL_MAGIC 0x314a4247u /* "GBJ1" */
/* 200,000 changes of the longest paths fit; anything above is damage. */
#define JOURNAL_BYTES_MAX (1ll << 30)

enum journal_state {
	JOURNAL_STAGING = 1, /* not decided, or all over: what is staged is dropped */
	JOURNAL_DECIDED = 2, /* the steps are taken, or taken back */
};

struct head {
	uint32_t magic;
	uint32_t state; /* enum journal_state */
	uint32_t count;
	uint32_t step_size;
};

void journal_staged_name(uint32_t index, char ret[16])
{
	(void)snprintf(ret, 16, "n%u", index);
}

int journal_open_parent(int workspace, char *path, int *ret_dir, const char **ret_name)
{
	char *slash = strrchr(path, '/');
	int fd;

	if (path[0] == '/' || path[0] == '\0')
		return -EINVAL;
	*ret_name = slash ? slash + 1 : path;
	if ((*ret_name)[0] == '\0' || strcmp(*ret_name, ".") == 0 || strcmp(*ret_name, "..") == 0)
		return -EINVAL;
	if (slash)
		*slash = '\0';
	fd = sys_openat2(workspace, slash ? path : ".", O_RDONLY | O_DIRECTORY,
			 SB_BENEATH | RESOLVE_NO_XDEV);
	if (slash)
		*slash = '/';
	if (fd < 0)
		return -errno;
	*ret_dir = fd;
	return 0;
}

static int sync_tree(int workspace)
{
	AUTO_FD fd = openat(workspace, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}

static int write_head(const struct journal *j, enum journal_state state)
{
	struct head h = {
		.magic = JOURNAL_MAGIC,
		.state = state,
		.count = j->count,
		.step_size = sizeof(struct step),
	};

	if (pwrite(j->fd, &h, sizeof(h), 0) != sizeof(h))
		return -EIO;
	return fdatasync(j->fd) < 0 ? -errno : 0;
}

static void set_name(struct journal *j, const char *session)
{
	(void)snprintf(j->name, sizeof(j->name), JOURNAL_PREFIX "%.12s", session);
}

int journal_begin(struct journal *j, int fd, int workspace, const char *session)
{
	struct stat st;
	int r;

	*j = (struct journal){ .fd = fd, .workspace = workspace, .staging = -1 };
	set_name(j, session);
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > 0)
		return -EUCLEAN;
	/* the file first: a staging directory without it is nobody's */
	r = write_head(j, JOURNAL_STAGING);
	if (r < 0)
		return r;
	if (mkdirat(workspace, j->name, 0700) < 0 && errno != EEXIST)
		return -errno;
	j->staging = sys_openat2(workspace, j->name, O_RDONLY | O_DIRECTORY,
				 SB_BENEATH | RESOLVE_NO_XDEV);
	return j->staging < 0 ? -errno : 0;
}

int journal_add(struct journal *j, const struct step *s, const char *path)
{
	struct step copy = *s;

	if ((j->count & (j->count + 1)) == 0) {
		struct step *more = realloc(j->steps, 2 * ((size_t)j->count + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		j->steps = more;
	}
	copy.path_len = (uint32_t)strlen(path);
	copy.path = strdup(path);
	if (!copy.path)
		return -ENOMEM;
	j->steps[j->count++] = copy;
	return 0;
}

/* --- one step ----------------------------------------------------------- */

struct where {
	int dir;
	const char *name;
	char staged[16];
	char path[SB_PATH_MAX];
};

static int find(const struct journal *j, const struct step *s, struct where *w)
{
	(void)snprintf(w->path, sizeof(w->path), "%s", s->path);
	journal_staged_name(s->index, w->staged);
	return journal_open_parent(j->workspace, w->path, &w->dir, &w->name);
}

static bool is_staged(const struct journal *j, const struct where *w, struct stat *st)
{
	return fstatat(j->staging, w->staged, st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether it is what was looked at when the step was made. A directory's times
 * change with what the steps before this one did in it. */
static bool is_expected(const struct step *s, const struct stat *st)
{
	if (st->st_ino != s->old_inode)
		return false;
	return S_ISDIR(st->st_mode) ||
	       ((uint64_t)st->st_size == s->old_size && st->st_mtim.tv_sec == s->old_mtime_s &&
		st->st_mtim.tv_nsec == (long)s->old_mtime_ns);
}

static int move(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
	return renameat2(from_dir, from, to_dir, to, flags) < 0 ? -errno : 0;
}

static int swap(const struct journal *j, const struct step *s, const struct where *w)
{
	struct stat st;
	int r;

	if (fstatat(w->dir, w->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ESTALE;
	if (!is_expected(s, &st))
		return -ESTALE;
	r = move(j->staging, w->staged, w->dir, w->name, RENAME_EXCHANGE);
	if (r < 0)
		return r;
	/* what came out is looked at again: it may have been written just now */
	if (!is_staged(j, w, &st) || !is_expected(s, &st)) {
		(void)move(j->staging, w->staged, w->dir, w->name, RENAME_EXCHANGE);
		return -ESTALE;
	}
	return 0;
}

static bool dir_is_empty(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	bool is_empty = true;
	struct dirent *e;

	if (!d)
		return false;
	while ((e = readdir(d)))
		is_empty &= strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	(void)closedir(d);
	return is_empty;
}

static int take(const struct journal *j, const struct step *s, const struct where *w)
{
	struct stat st;
	int r;

	if (fstatat(w->dir, w->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (!is_expected(s, &st))
		return -ESTALE;
	r = move(w->dir, w->name, j->staging, w->staged, RENAME_NOREPLACE);
	if (r == 0 && S_ISDIR(st.st_mode) && !dir_is_empty(j->staging, w->staged)) {
		(void)move(j->staging, w->staged, w->dir, w->name, RENAME_NOREPLACE);
		return -ENOTEMPTY; /* somebody put something in */
	}
	return r;
}

static int open_target(const struct where *w, int *ret_fd)
{
	*ret_fd = openat(w->dir, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

int journal_copy_xattrs(int from, int to)
{
	static char names[SB_XATTRS_MAX], value[SB_XATTRS_MAX];
	ssize_t n;

	n = flistxattr(to, names, sizeof(names));
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		if (strncmp(names + i, "user.", 5) == 0 && fremovexattr(to, names + i) < 0 &&
		    errno != ENODATA)
			return -errno;
	n = flistxattr(from, names, sizeof(names));
	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		ssize_t size;

		if (strncmp(names + i, "user.", 5) != 0)
			continue;
		size = fgetxattr(from, names + i, value, sizeof(value));
		if (size < 0 || fsetxattr(to, names + i, value, (size_t)size, 0) < 0)
			return -errno;
	}
	return 0;
}

/* The new attributes lie on the directory "n<index>", the old on "x<index>". */
static int set_xattrs(const struct journal *j, const struct step *s, const struct where *w,
		      char which)
{
	AUTO_FD target = -1;
	AUTO_FD from = -1;
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "%c%u", which, s->index);
	from = openat(j->staging, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return -errno;
	r = open_target(w, &target);
	return r < 0 ? r : journal_copy_xattrs(from, target);
}

static int set_mode(const struct where *w, uint32_t mode)
{
	AUTO_FD fd = -1;
	int r;

	/* it may be closed even to its owner: chmod by name, on what is no link */
	r = open_target(w, &fd);
	if (r == 0)
		return fchmod(fd, mode & 07777) < 0 ? -errno : 0;
	if (r != -EACCES)
		return r;
	return fchmodat(w->dir, w->name, mode & 07777, 0) < 0 ? -errno : 0;
}

static int do_step(const struct journal *j, const struct step *s)
{
	struct where w = { .dir = -1 };
	struct stat st;
	int r = find(j, s, &w);

	if (r == 0) {
		bool staged = is_staged(j, &w, &st);

		if (s->kind == STEP_PLACE && staged)
			r = move(j->staging, w.staged, w.dir, w.name, RENAME_NOREPLACE);
		else if (s->kind == STEP_SWAP && staged && st.st_ino == s->new_inode)
			r = swap(j, s, &w);
		else if (s->kind == STEP_TAKE && !staged)
			r = take(j, s, &w);
		else if (s->kind == STEP_MODE)
			r = set_mode(&w, s->mode);
		else if (s->kind == STEP_XATTRS)
			r = set_xattrs(j, s, &w, 'n');
		/* else it is done already */
	}
	fd_done(&w.dir);
	return r == -EEXIST ? -ESTALE : r;
}

/* Whether it is still what we have put there. If somebody has saved over it since, it
 * is his, and stays. */
static bool is_ours(const struct step *s, const struct where *w)
{
	struct stat st;

	if (fstatat(w->dir, w->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != s->new_inode)
		return false;
	if (S_ISDIR(st.st_mode))
		return dir_is_empty(w->dir, w->name);
	return (uint64_t)st.st_size == s->new_size && st.st_mtim.tv_sec == s->new_mtime_s &&
	       st.st_mtim.tv_nsec == (long)s->new_mtime_ns;
}

/* What we took away goes back; when its place is taken by now, beside it, under a name
 * that says so. */
static int put_back(const struct journal *j, const struct where *w)
{
	char name[SB_PATH_MAX];
	int r = move(j->staging, w->staged, w->dir, w->name, RENAME_NOREPLACE);

	for (int i = 1; r == -EEXIST && i < 100; i++) {
		(void)snprintf(name, sizeof(name), "%.200s.glovebox-saved-%d", w->name, i);
		r = move(j->staging, w->staged, w->dir, name, RENAME_NOREPLACE);
	}
	return r;
}

static int undo_step(const struct journal *j, const struct step *s)
{
	struct where w = { .dir = -1 };
	struct stat st;
	int r = find(j, s, &w);

	/* the directory itself was taken away by somebody: nothing is left to undo in it */
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0;
	if (r == 0) {
		bool staged = is_staged(j, &w, &st);

		if (s->kind == STEP_PLACE && !staged && is_ours(s, &w))
			r = move(w.dir, w.name, j->staging, w.staged, RENAME_NOREPLACE);
		else if (s->kind == STEP_SWAP && staged && st.st_ino != s->new_inode &&
			 is_ours(s, &w))
			r = move(j->staging, w.staged, w.dir, w.name, RENAME_EXCHANGE);
		else if (s->kind == STEP_SWAP && staged && st.st_ino != s->new_inode)
			r = put_back(j, &w);
		else if (s->kind == STEP_TAKE && staged)
			r = put_back(j, &w);
		else if (s->kind == STEP_MODE)
			r = set_mode(&w, s->old_mode);
		else if (s->kind == STEP_XATTRS)
			r = set_xattrs(j, s, &w, 'x');
	}
	fd_done(&w.dir);
	return r == -ENOENT ? 0 : r;
}

/* --- all of them -------------------------------------------------------- */

static int take_steps(struct journal *j)
{
	bool undone = true;
	uint32_t done;
	int r = 0;

	for (done = 0; r == 0 && done < j->count; done++)
		r = do_step(j, &j->steps[done]);
	if (r == 0)
		return 0;
	j->failed = j->steps[done - 1].path;
	/* the step that failed has done nothing */
	for (uint32_t i = done - 1; i > 0; i--)
		if (undo_step(j, &j->steps[i - 1]) < 0)
			undone = false; /* the journal stays: a recovery tries again */
	return undone ? r : -EUCLEAN;
}

static int write_steps(const struct journal *j)
{
	AUTO_MEM char *all = NULL;
	size_t size = 0, at = 0;
	int r;

	for (uint32_t i = 0; i < j->count; i++)
		size += sizeof(struct step) + j->steps[i].path_len;
	all = malloc(size + 1);
	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < j->count; i++) {
		struct step s = j->steps[i];

		s.path = NULL;
		memcpy(all + at, &s, sizeof(s));
		memcpy(all + at + sizeof(s), j->steps[i].path, s.path_len);
		at += sizeof(s) + s.path_len;
	}
	if (lseek(j->fd, sizeof(struct head), SEEK_SET) < 0)
		return -errno;
	r = io_write_all(j->fd, all, size);
	return r == 0 && fdatasync(j->fd) < 0 ? -errno : r;
}

int journal_run(struct journal *j)
{
	int r;

	r = write_steps(j);
	if (r == 0)
		r = sync_tree(j->workspace);
	if (r == 0)
		r = write_head(j, JOURNAL_DECIDED);
	return r < 0 ? r : take_steps(j);
}

static int remove_staged(const struct journal *j)
{
	int copy = openat(j->staging, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(j->staging, e->d_name, 0) < 0 &&
		    unlinkat(j->staging, e->d_name, AT_REMOVEDIR) < 0)
			r = -errno;
	}
	(void)closedir(d);
	if (r == 0 && unlinkat(j->workspace, j->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int journal_end(struct journal *j)
{
	int r = 0;

	if (j->count > 0)
		r = sync_tree(j->workspace);
	/* from here on what lies there tells nothing of the steps any more */
	if (r == 0 && j->count > 0)
		r = write_head(j, JOURNAL_STAGING);
	if (r == 0 && j->staging >= 0)
		r = remove_staged(j);
	if (r == 0 && (ftruncate(j->fd, 0) < 0 || fdatasync(j->fd) < 0))
		r = -errno;
	return r;
}

static int parse_steps(struct journal *j, const char *all, size_t size, uint32_t count)
{
	size_t at = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		char path[SB_PATH_MAX];
		struct step s;

		if (size - at < sizeof(s))
			return -EBADMSG;
		memcpy(&s, all + at, sizeof(s));
		at += sizeof(s);
		if (s.path_len >= sizeof(path) || size - at < s.path_len || s.kind < STEP_PLACE ||
		    s.kind > STEP_XATTRS)
			return -EBADMSG;
		memcpy(path, all + at, s.path_len);
		path[s.path_len] = '\0';
		at += s.path_len;
		r = journal_add(j, &s, path);
	}
	return r;
}

int journal_load(struct journal *j, int fd, int workspace, const char *session,
		 bool *ret_was_decided)
{
	AUTO_MEM char *all = NULL;
	struct stat st;
	struct head h;
	int r = 0;

	*j = (struct journal){ .fd = fd, .workspace = workspace, .staging = -1 };
	set_name(j, session);
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return -ENOENT;
	*ret_was_decided = false;
	j->staging = sys_openat2(workspace, j->name, O_RDONLY | O_DIRECTORY,
				 SB_BENEATH | RESOLVE_NO_XDEV);
	if (j->staging < 0 && errno != ENOENT)
		return -errno;
	if (st.st_size < (off_t)sizeof(h))
		return 0; /* killed while the first word was written */
	if (st.st_size > JOURNAL_BYTES_MAX || pread(fd, &h, sizeof(h), 0) != sizeof(h) ||
	    h.magic != JOURNAL_MAGIC || h.step_size != sizeof(struct step))
		return -EBADMSG;
	if (h.state != JOURNAL_DECIDED)
		return 0;
	*ret_was_decided = true;
	all = malloc((size_t)st.st_size);
	if (!all)
		return -ENOMEM;
	if (lseek(fd, sizeof(h), SEEK_SET) < 0 ||
	    io_read_full(fd, all, (size_t)st.st_size - sizeof(h)) !=
		    (ssize_t)((size_t)st.st_size - sizeof(h)))
		return -EIO;
	r = parse_steps(j, all, (size_t)st.st_size - sizeof(h), h.count);
	return r < 0 ? r : take_steps(j);
}

void journal_done(struct journal *j)
{
	for (uint32_t i = 0; i < j->count; i++)
		free(j->steps[i].path);
	free(j->steps);
	j->steps = NULL;
	j->count = 0;
	fd_done(&j->staging);
}
