// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/apply.c - a writer for the workspace: all of it, or nothing.
 *
 * It knows how, and refuses what is never right; whether a change may be
 * applied is decided by whoever sends it. Every step is beneath the workspace
 * and follows no link, so neither what the agent planted nor what somebody
 * swaps meanwhile leads it out. Everything new is made beside its place, and
 * nothing is touched before SB_CHANGE_COMMIT; then journal.c does all of it.
 */
#include "sandbox/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/ids.h"
#include "sandbox/journal.h"
#include "sandbox/privs.h"
#include "sandbox/sys.h"
#include "sandbox/wire.h"

#define COPY_CHUNK (1l << 30)

/* A path this commit makes: children and second names are looked up in it. */
struct made {
	char *path;
	uint32_t index;
	uint32_t mode;
	bool is_dir;
};

struct late {
	char *path;
	uint32_t mode;
};

struct writer {
	struct journal journal;
	struct made *made; /* sorted by path */
	size_t made_count;
	struct late *late;
	size_t late_count;
	uint32_t next; /* index of what is staged next */
	bool is_over;
};

/* Data is copied and holes stay holes: what took no room must not fill a disk. */
static int copy_content(int from, int to, off_t size)
{
	off_t at = 0;

	if (ftruncate(to, size) < 0)
		return -errno;
	while (at < size) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t hole;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno; /* a hole to the end */
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || lseek(to, data, SEEK_SET) < 0)
			return -errno;
		for (at = data; at < hole;) {
			size_t most = hole - at > COPY_CHUNK ? COPY_CHUNK : (size_t)(hole - at);
			ssize_t n = sendfile(to, from, &at, most);

			if (n < 0)
				return -errno;
			if (n == 0)
				return 0; /* it was cut meanwhile */
		}
	}
	return 0;
}

/* --- what this commit makes ---------------------------------------------- */

static size_t find_place(const struct writer *w, const char *path)
{
	size_t low = 0, high = w->made_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(w->made[middle].path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct made *find_made(const struct writer *w, const char *path)
{
	size_t at = find_place(w, path);

	return at < w->made_count && strcmp(w->made[at].path, path) == 0 ? &w->made[at] : NULL;
}

static int add_made(struct writer *w, const char *path, uint32_t index, uint32_t mode)
{
	size_t at = find_place(w, path);
	struct made *more = w->made;

	if ((w->made_count & (w->made_count + 1)) == 0)
		more = realloc(w->made, 2 * (w->made_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	w->made = more;
	memmove(more + at + 1, more + at, (w->made_count - at) * sizeof(*more));
	more[at] = (struct made){
		.path = strdup(path),
		.index = index,
		.mode = mode,
		.is_dir = S_ISDIR(mode),
	};
	if (!more[at].path) {
		memmove(more + at, more + at + 1, (w->made_count - at) * sizeof(*more));
		return -ENOMEM;
	}
	w->made_count++;
	return 0;
}

/* Whether the directory the path goes into is one that this commit makes. */
static bool parent_is_made(const struct writer *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[SB_PATH_MAX];
	const struct made *m;

	if (!slash)
		return false;
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	m = find_made(w, parent);
	return m && m->is_dir;
}

/* --- staging ------------------------------------------------------------- */

static int set_xattrs(int to, int from)
{
	AUTO_MEM char *all = malloc(SB_XATTRS_MAX);
	ssize_t size;
	size_t at = 0;

	if (from < 0)
		return 0;
	if (lseek(from, 0, SEEK_SET) < 0)
		return -errno;
	size = all ? io_read_full(from, all, SB_XATTRS_MAX) : -ENOMEM;
	if (size < 0)
		return (int)size;
	while (at < (size_t)size) {
		char name[256];
		struct sb_xattr x;

		if ((size_t)size - at < sizeof(x))
			return -EBADMSG;
		memcpy(&x, all + at, sizeof(x));
		at += sizeof(x);
		if (x.name_len >= sizeof(name) || (size_t)size - at < x.name_len ||
		    (size_t)size - at - x.name_len < x.value_len)
			return -EBADMSG;
		memcpy(name, all + at, x.name_len);
		name[x.name_len] = '\0';
		at += x.name_len;
		/* what the kernel or another program obeys does not leave the sandbox */
		if (strncmp(name, "user.", 5) != 0)
			return -EPERM;
		if (fsetxattr(to, name, all + at, x.value_len, 0) < 0)
			return -errno;
		at += x.value_len;
	}
	return 0;
}

static int stage_file(struct writer *w, const char *name, const struct sb_change *c, int content,
		      int xattrs)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_NOW },
		{ .tv_sec = c->mtime_s, .tv_nsec = c->mtime_ns },
	};
	AUTO_FD fd = -1;
	struct stat st;
	int r;

	if (content < 0 || fstat(content, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	fd = openat(w->journal.staging, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	if (lseek(content, 0, SEEK_SET) < 0)
		return -errno;
	r = copy_content(content, fd, st.st_size);
	if (r == 0)
		r = set_xattrs(fd, xattrs);
	/* 0777: setuid, setgid and sticky do not leave the sandbox */
	if (r == 0 && (fchmod(fd, c->mode & 0777) < 0 || futimens(fd, times) < 0))
		r = -errno;
	return r;
}

static int stage_dir(struct writer *w, const char *name, uint32_t mode, int xattrs)
{
	AUTO_FD fd = -1;
	int r;

	if (mkdirat(w->journal.staging, name, 0700) < 0)
		return -errno;
	fd = openat(w->journal.staging, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = set_xattrs(fd, xattrs);
	return r == 0 && fchmod(fd, mode & 0777) < 0 ? -errno : r;
}

static int stage_same(struct writer *w, const char *name, const struct sb_change *c)
{
	const struct made *m = find_made(w, c->target);
	char first[16];

	if (!m || m->is_dir)
		return -ENOENT;
	journal_staged_name(m->index, first);
	return linkat(w->journal.staging, first, w->journal.staging, name, 0) < 0 ? -errno : 0;
}

/* What is at the path now; `mode` 0: nothing. A path below a directory that is
 * only staged has nothing. */
static int look(struct writer *w, const struct sb_change *c, struct stat *st)
{
	char path[SB_PATH_MAX];
	const char *name;
	AUTO_FD dir = -1;
	int r;

	memset(st, 0, sizeof(*st));
	if (parent_is_made(w, c->path))
		return 0;
	memcpy(path, c->path, sizeof(path));
	r = journal_open_parent(w->journal.workspace, path, &dir, &name);
	if (r < 0)
		return r;
	if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}

static void expect(struct step *s, const struct stat *st)
{
	s->old_inode = st->st_ino;
	s->old_size = (uint64_t)st->st_size;
	s->old_mtime_s = st->st_mtim.tv_sec;
	s->old_mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	s->old_mode = st->st_mode;
}

/* Something new is staged as `index`: put it where nothing is, or in place of what
 * is there. `makes_room`: what is there goes in a step before this one. */
static int add_new(struct writer *w, const struct sb_change *c, uint32_t index,
		   const struct stat *was)
{
	struct step s = { .kind = was->st_mode ? STEP_SWAP : STEP_PLACE, .index = index };
	char name[16];
	struct stat st;
	int r;

	journal_staged_name(index, name);
	if (fstatat(w->journal.staging, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	s.new_inode = st.st_ino;
	s.new_size = (uint64_t)st.st_size;
	s.new_mtime_s = st.st_mtim.tv_sec;
	s.new_mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	expect(&s, was);
	r = journal_add(&w->journal, &s, c->path);
	return r < 0 ? r : add_made(w, c->path, index, st.st_mode);
}

/* Whether the step before takes away what is at this path: it became another kind
 * of thing, and the scan sends the two one after the other. */
static bool is_taken(const struct writer *w, const char *path)
{
	const struct step *last;

	if (w->journal.count == 0)
		return false;
	last = &w->journal.steps[w->journal.count - 1];
	return last->kind == STEP_TAKE && strcmp(last->path, path) == 0;
}

static int change_dir(struct writer *w, const struct sb_change *c, uint32_t index,
		      const struct stat *was, int xattrs)
{
	struct step mode = { .kind = STEP_MODE, .mode = c->mode & 0777, .old_mode = was->st_mode };
	struct step attrs = { .kind = STEP_XATTRS, .index = index };
	char name[16], kept[16];
	int r;

	if (xattrs >= 0) {
		char path[SB_PATH_MAX];
		const char *last;
		AUTO_FD parent = -1;
		AUTO_FD from = -1;
		AUTO_FD to = -1;

		journal_staged_name(index, name);
		(void)snprintf(kept, sizeof(kept), "x%u", index);
		r = stage_dir(w, name, 0700, xattrs);
		if (r == 0)
			r = stage_dir(w, kept, 0700, -1);
		memcpy(path, c->path, sizeof(path));
		if (r == 0)
			r = journal_open_parent(w->journal.workspace, path, &parent, &last);
		if (r < 0)
			return r;
		from = openat(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		to = openat(w->journal.staging, kept,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (from < 0 || to < 0)
			return -errno;
		r = journal_copy_xattrs(from, to);
		if (r == 0)
			r = journal_add(&w->journal, &attrs, c->path);
		if (r < 0)
			return r;
	}
	return journal_add(&w->journal, &mode, c->path);
}

/* A directory whose own mode would keep its contents out gets it at the end,
 * deepest first: a mode set on a parent would keep out of its child. */
static int add_late(struct writer *w, const struct sb_change *c)
{
	struct late *more = realloc(w->late, (w->late_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	w->late = more;
	more[w->late_count] = (struct late){ strdup(c->path), c->mode & 0777 };
	if (!more[w->late_count].path)
		return -ENOMEM;
	w->late_count++;
	return 0;
}

static int add_late_steps(struct writer *w)
{
	int r = 0;

	for (size_t i = w->late_count; r == 0 && i > 0; i--) {
		struct step s = {
			.kind = STEP_MODE,
			.mode = w->late[i - 1].mode,
			.old_mode = w->late[i - 1].mode | 0700,
		};

		r = journal_add(&w->journal, &s, w->late[i - 1].path);
	}
	return r;
}

/* Whoever judged the change looked at this: it was not touched since. A directory's
 * times change with its contents, and are not asked about. */
static bool is_as_judged(const struct sb_change *c, const struct stat *was)
{
	if ((c->base_mode & S_IFMT) != (was->st_mode & S_IFMT))
		return c->kind == SB_CHANGE_GONE && !was->st_mode;
	if (!was->st_mode || S_ISDIR(was->st_mode))
		return true;
	return c->base_size == (uint64_t)was->st_size && c->base_mtime_s == was->st_mtim.tv_sec &&
	       (long)c->base_mtime_ns == was->st_mtim.tv_nsec &&
	       c->base_ctime_s == was->st_ctim.tv_sec &&
	       (long)c->base_ctime_ns == was->st_ctim.tv_nsec;
}

static int stage_change(struct writer *w, const struct sb_change *c, int content, int xattrs)
{
	struct step take = { .kind = STEP_TAKE };
	uint32_t index = w->next++;
	struct stat was;
	char name[16];
	int r;

	journal_staged_name(index, name);
	r = look(w, c, &was);
	if (r < 0)
		return r;
	if (was.st_mode && is_taken(w, c->path))
		memset(&was, 0, sizeof(was));
	if (c->expect_base && !is_as_judged(c, &was))
		return -ESTALE;
	switch (c->kind) {
	case SB_CHANGE_GONE:
		if (!was.st_mode)
			return 0; /* removed by somebody else meanwhile: as wanted */
		take.index = index;
		expect(&take, &was);
		return journal_add(&w->journal, &take, c->path);
	case SB_CHANGE_DIR:
		if (was.st_mode && S_ISDIR(was.st_mode))
			return change_dir(w, c, index, &was, xattrs);
		/* open to its owner until all is in it */
		r = stage_dir(w, name, c->mode | 0700, xattrs);
		break;
	case SB_CHANGE_FILE:
		r = stage_file(w, name, c, content, xattrs);
		break;
	case SB_CHANGE_SAME:
		r = stage_same(w, name, c);
		break;
	case SB_CHANGE_LINK:
		if (!c->allow_escape && path_link_leaves(c->path, c->target))
			return -EXDEV;
		r = symlinkat(c->target, w->journal.staging, name) < 0 ? -errno : 0;
		break;
	default:
		return -EPERM;
	}
	/* a directory is never put in the place of what is none, nor the other way
	 * round: the old one is taken away first */
	if (r == 0 && was.st_mode && (S_ISDIR(was.st_mode) || c->kind == SB_CHANGE_DIR))
		r = -ESTALE;
	if (r == 0)
		r = add_new(w, c, index, &was);
	if (r == 0 && c->kind == SB_CHANGE_DIR && (c->mode & 0700) != 0700)
		r = add_late(w, c);
	return r;
}

/* --- the loop ------------------------------------------------------------ */

static int apply_one(struct writer *w, struct sb_change *c, int content, int xattrs)
{
	int r;

	if (w->is_over)
		return -EINVAL;
	if (c->kind == SB_CHANGE_COMMIT) {
		w->is_over = true;
		r = add_late_steps(w);
		if (r == 0)
			r = journal_run(&w->journal);
		if (w->journal.failed)
			(void)snprintf(c->path, sizeof(c->path), "%s", w->journal.failed);
		/* undone, it is swept up; else its journal stays for a recovery */
		if (r == -EUCLEAN)
			return r;
		return journal_end(&w->journal) < 0 ? -EUCLEAN : r;
	}
	if (c->path[SB_PATH_MAX - 1] || c->target[SB_PATH_MAX - 1])
		return -EINVAL;
	if (strncmp(c->path, JOURNAL_PREFIX, strlen(JOURNAL_PREFIX)) == 0)
		return -EPERM;
	return stage_change(w, c, content, xattrs);
}

static void writer_done(struct writer *w)
{
	for (size_t i = 0; i < w->made_count; i++)
		free(w->made[i].path);
	free(w->made);
	for (size_t i = 0; i < w->late_count; i++)
		free(w->late[i].path);
	free(w->late);
	journal_done(&w->journal);
}

int apply_changes(int sock, int workspace, const char *session, int journal)
{
	static struct sb_change c;
	struct writer w = { 0 };
	int fds[IO_FDS_MAX];
	unsigned int count;
	int r;

	r = journal_begin(&w.journal, journal, workspace, session);
	if (r < 0) {
		journal_done(&w.journal);
		return r;
	}
	while ((r = io_recv(sock, &c, sizeof(c), fds, &count)) == 1) {
		unsigned int next = 0;
		int content = c.has_fd && next < count ? fds[next++] : -1;
		int xattrs;

		next += c.has_base_fd && next < count;
		xattrs = c.has_xattrs && next < count ? fds[next] : -1;
		c.error = apply_one(&w, &c, content, xattrs);
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
		r = io_send(sock, &c, sizeof(c), NULL, 0);
		if (r < 0)
			break;
	}
	/* nobody said to do it */
	if (!w.is_over)
		(void)journal_end(&w.journal);
	writer_done(&w);
	return r;
}

int apply_recover(int sock, int workspace, const char *session, int journal)
{
	struct sb_change c = { .kind = SB_CHANGE_END };
	bool was_decided = false;
	struct journal j;
	int r;

	r = journal_load(&j, journal, workspace, session, &was_decided);
	if (r != -ENOENT) {
		c.size = was_decided && r == 0 ? 1 : 2;
		/* the steps were taken back: what stood in their way is told */
		c.error = r;
		if (r == 0 || (was_decided && r != -EUCLEAN && r != -EBADMSG))
			r = journal_end(&j);
	}
	journal_done(&j);
	if (r < 0 && r != -ENOENT)
		return r;
	return io_send(sock, &c, sizeof(c), NULL, 0);
}

int apply_start(const struct store_record *rec, bool recover, const char *session, int journal,
		int sock)
{
	AUTO_FD ws = -1;
	int r;

	(void)umask(022);
	r = store_open_workspace(rec, &ws);
	if (r == 0)
		r = privs_become(rec->owner, rec->group, rec->range == IDS_SINGLE);
	if (r < 0)
		return r;
	return recover ? apply_recover(sock, ws, session, journal)
		       : apply_changes(sock, ws, session, journal);
}
