// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/changes.c - what a layer changed: list it, show it, apply it.
 *
 * The walk itself is done by a child in the session's user namespace, which
 * sends a record and the contents' fds for each difference. Here, without any
 * privilege, contents are compared and hashed, and it is decided what a commit
 * takes. Writing is done by another child, as the workspace's owner.
 */
#include "supervisor/changes.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/warden.h"
#include "supervisor/policy.h"

#define READ_CHUNK 65536
/*
 * Bytes hashed or compared for one list. A sparse file of terabytes costs the
 * agent nothing: beyond this a file of the same size counts as modified, and
 * has no hash.
 */
#define READ_BUDGET (4ull << 30)

const char *const change_type_names[CHANGE_TYPE_COUNT] = {
	[CHANGE_ADDED] = "added",
	[CHANGE_MODIFIED] = "modified",
	[CHANGE_DELETED] = "deleted",
	[CHANGE_RENAMED] = "renamed",
	[CHANGE_MODE] = "mode",
	[CHANGE_TYPE] = "type",
	[CHANGE_UNREADABLE] = "unreadable",
};

static int ask(int warden, const char *session, uint32_t layer, enum sb_verb verb, int *ret_sock)
{
	struct sb_request q = { .abi = SB_ABI, .verb = verb, .layer = layer };
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	if (strlen(session) >= sizeof(q.session))
		return -EINVAL;
	memcpy(q.session, session, strlen(session));
	r = warden_ask(warden, &q, NULL, 0, &reply, fds, &count);
	if (r == 0)
		r = reply.error;
	if (r < 0)
		return r;
	if (count != 1)
		return -EBADMSG;
	*ret_sock = fds[0];
	return 0;
}

static bool raw_is_sound(const struct sb_change *raw)
{
	return !raw->path[SB_PATH_MAX - 1] && !raw->target[SB_PATH_MAX - 1] &&
	       !raw->base_target[SB_PATH_MAX - 1] && raw->kind <= SB_CHANGE_UNREAD;
}

int changes_walk(int warden, const char *session, uint32_t layer, changes_fn fn, void *context)
{
	struct sb_change *raw = malloc(sizeof(*raw));
	AUTO_FD sock = -1;
	int r = raw ? ask(warden, session, layer, SB_VERB_SCAN, &sock) : -ENOMEM;

	while (r == 0) {
		int fds[IO_FDS_MAX];
		unsigned int count = 0;

		r = io_recv(sock, raw, sizeof(*raw), fds, &count);
		if (r == 0)
			r = -EPIPE; /* it ended without saying so */
		if (r < 0)
			break;
		if (raw->kind == SB_CHANGE_END)
			break;
		if (!raw_is_sound(raw))
			r = -EBADMSG;
		else if (raw->kind == SB_CHANGE_UNREAD && raw->path[0] == '\0')
			r = raw->error < 0 ? raw->error : -EIO;
		else
			r = fn(raw, count > 0 ? fds[0] : -1,
			       raw->has_base_fd && count > 1 ? fds[1] : -1, context);
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
	}
	free(raw);
	return r < 0 ? r : 0;
}

/* --- the list ----------------------------------------------------------- */

static int hash_fd(int fd, char out[65])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	char buf[READ_CHUNK];
	off_t at = 0;
	ssize_t n;
	int r = 0;

	if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		r = -ENOMEM;
	while (r == 0 && (n = pread(fd, buf, sizeof(buf), at)) != 0) {
		if (n < 0) {
			r = -errno;
			break;
		}
		if (EVP_DigestUpdate(ctx, buf, (size_t)n) != 1)
			r = -EIO;
		at += n;
	}
	if (r == 0 && EVP_DigestFinal_ex(ctx, digest, &len) != 1)
		r = -EIO;
	EVP_MD_CTX_free(ctx);
	for (unsigned int i = 0; r == 0 && i < len && i < 32; i++)
		(void)snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
	return r;
}

static bool same_content(int a, int b)
{
	char x[READ_CHUNK], y[READ_CHUNK];
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(a, x, sizeof(x), at);
		ssize_t m = pread(b, y, sizeof(y), at);

		if (n < 0 || n != m || memcmp(x, y, (size_t)n) != 0)
			return false;
		if (n == 0)
			return true;
		at += n;
	}
}

static bool same_time(const struct sb_change *raw)
{
	return raw->mtime_s == raw->base_mtime_s && raw->mtime_ns == raw->base_mtime_ns;
}

/* Takes `size` from what may still be read. */
static bool may_read(uint64_t *budget, uint64_t size)
{
	if (size > *budget)
		return false;
	*budget -= size;
	return true;
}

/* Whether it is a difference at all: opening for writing copies a file up. */
static bool classify(const struct sb_change *raw, int fd, int base_fd, uint64_t *budget,
		     enum change_type *ret)
{
	bool same_mode = (raw->mode & 07777) == (raw->base_mode & 07777);

	switch ((enum sb_change_kind)raw->kind) {
	case SB_CHANGE_GONE:
		*ret = CHANGE_DELETED;
		return true;
	case SB_CHANGE_UNREAD:
		*ret = CHANGE_UNREADABLE;
		return true;
	case SB_CHANGE_FILE:
		if (base_fd < 0)
			break;
		if (raw->size != raw->base_size || !may_read(budget, raw->size) ||
		    !same_content(fd, base_fd)) {
			*ret = CHANGE_MODIFIED;
			return true;
		}
		*ret = CHANGE_MODE;
		return !same_mode || !same_time(raw);
	case SB_CHANGE_DIR:
		if (!raw->base_mode)
			break;
		*ret = CHANGE_MODE;
		return !same_mode;
	case SB_CHANGE_LINK:
		if (!raw->base_mode)
			break;
		*ret = CHANGE_MODIFIED;
		return strcmp(raw->target, raw->base_target) != 0;
	case SB_CHANGE_SPECIAL:
	case SB_CHANGE_END:
		break;
	}
	*ret = CHANGE_ADDED;
	return true;
}

struct listing {
	struct changes list;
	uint64_t budget;
};

static int add_change(const struct sb_change *raw, int fd, int base_fd, void *context)
{
	struct listing *l = context;
	struct changes *list = &l->list;
	struct change *c;
	enum change_type type;

	if (!classify(raw, fd, base_fd, &l->budget, &type))
		return 0;
	if (list->count == CHANGES_MAX)
		return -E2BIG;
	if ((list->count & (list->count - 1)) == 0) {
		size_t room = list->count ? 2 * list->count : 64;
		void *more = list->count == 0 || list->count >= 64
				     ? realloc(list->at, room * sizeof(*c))
				     : list->at;

		if (!more)
			return -ENOMEM;
		list->at = more;
	}
	c = &list->at[list->count];
	*c = (struct change){
		.type = type,
		.kind = raw->kind,
		.mode = raw->mode,
		.base_mode = raw->base_mode,
		.size = raw->kind == SB_CHANGE_GONE ? raw->base_size : raw->size,
		.mtime_s = raw->mtime_s,
		.mtime_ns = raw->mtime_ns,
		.error = raw->error,
		.is_special = raw->kind == SB_CHANGE_SPECIAL,
		.is_protected = policy_is_protected(raw->path),
	};
	c->path = strdup(raw->path);
	c->target = raw->kind == SB_CHANGE_LINK ? strdup(raw->target) : NULL;
	if (!c->path || (raw->kind == SB_CHANGE_LINK && !c->target)) {
		free(c->path);
		return -ENOMEM;
	}
	list->count++;
	if (fd >= 0 && (raw->kind == SB_CHANGE_FILE || raw->kind == SB_CHANGE_GONE) &&
	    may_read(&l->budget, c->size)) {
		int r = hash_fd(fd, c->sha256);

		if (r < 0) {
			c->type = CHANGE_UNREADABLE;
			c->error = r;
		}
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int r = strcmp(x->path, y->path);

	/* of one path, what is gone comes first: it made room for the other */
	return r ? r : (x->type == CHANGE_DELETED ? 0 : 1) - (y->type == CHANGE_DELETED ? 0 : 1);
}

/* A path that is gone and there again, as something else. */
static void join_types(struct changes *list)
{
	for (size_t i = 0; i + 1 < list->count; i++)
		if (list->at[i].type == CHANGE_DELETED && list->at[i + 1].type == CHANGE_ADDED &&
		    strcmp(list->at[i].path, list->at[i + 1].path) == 0) {
			list->at[i].is_dropped = true;
			list->at[i + 1].type = CHANGE_TYPE;
			list->at[i + 1].base_mode = list->at[i].base_mode;
		}
}

static int by_hash(const void *a, const void *b)
{
	const struct change *const *x = a;
	const struct change *const *y = b;
	int r = strcmp((*x)->sha256, (*y)->sha256);

	return r ? r : strcmp((*x)->path, (*y)->path);
}

/* One deleted and one added file of the same content, not empty: a rename. Two
 * candidates of either kind prove nothing and stay apart. */
static void join_renames(struct changes *list)
{
	struct change **files = calloc(list->count + 1, sizeof(*files));
	size_t n = 0;

	if (!files)
		return;
	for (size_t i = 0; i < list->count; i++) {
		struct change *c = &list->at[i];

		if (c->sha256[0] && c->size > 0 && !c->is_dropped &&
		    (c->type == CHANGE_ADDED || c->type == CHANGE_DELETED))
			files[n++] = c;
	}
	qsort(files, n, sizeof(*files), by_hash);
	for (size_t i = 0; i < n;) {
		struct change *gone = NULL, *added = NULL;
		size_t j, gone_count = 0, added_count = 0;

		for (j = i; j < n && strcmp(files[j]->sha256, files[i]->sha256) == 0; j++) {
			if (files[j]->type == CHANGE_DELETED) {
				gone = files[j];
				gone_count++;
			} else {
				added = files[j];
				added_count++;
			}
		}
		if (gone_count == 1 && added_count == 1) {
			added->type = CHANGE_RENAMED;
			added->from = strdup(gone->path);
			gone->is_dropped = added->from != NULL;
			if (!added->from)
				added->type = CHANGE_ADDED;
		}
		i = j;
	}
	free(files);
}

int changes_read(int warden, const char *session, uint32_t layer, struct changes *ret)
{
	struct listing l = { .budget = READ_BUDGET };
	struct changes list;
	size_t kept = 0;
	int r;

	r = changes_walk(warden, session, layer, add_change, &l);
	list = l.list;
	if (r < 0) {
		changes_done(&list);
		return r;
	}
	if (list.count > 0)
		qsort(list.at, list.count, sizeof(*list.at), by_path);
	join_types(&list);
	join_renames(&list);
	for (size_t i = 0; i < list.count; i++) {
		if (list.at[i].is_dropped) {
			free(list.at[i].path);
			free(list.at[i].target);
			continue;
		}
		list.at[kept++] = list.at[i];
	}
	list.count = kept;
	*ret = list;
	return 0;
}

static const char *type_name(const struct change *c)
{
	uint32_t mode = c->type == CHANGE_DELETED ? c->base_mode : c->mode;

	return S_ISREG(mode)    ? "file"
	       : S_ISDIR(mode)  ? "dir"
	       : S_ISLNK(mode)  ? "symlink"
	       : S_ISFIFO(mode) ? "fifo"
	       : S_ISSOCK(mode) ? "socket"
	       : S_ISCHR(mode)  ? "char"
	       : S_ISBLK(mode)  ? "block"
				: "unknown";
}

void changes_add_json(const struct change *c, const char *root, struct text *out)
{
	AUTO_TEXT path = { 0 };

	text_printf(&path, "%s/%s", root, c->path);
	text_add(out, "{\"path\":");
	text_add_json(out, path.at ? path.at : "", path.len);
	text_printf(out, ",\"change\":\"%s\",\"type\":\"%s\",\"size\":%llu",
		    change_type_names[c->type], type_name(c), (unsigned long long)c->size);
	if (c->type != CHANGE_DELETED)
		text_printf(out, ",\"mode\":\"%04o\"", c->mode & 07777);
	if (c->base_mode && c->type == CHANGE_MODE)
		text_printf(out, ",\"old_mode\":\"%04o\"", c->base_mode & 07777);
	if (c->sha256[0] && c->type != CHANGE_DELETED)
		text_printf(out, ",\"sha256\":\"%s\"", c->sha256);
	if (c->target) {
		text_add(out, ",\"target\":");
		text_add_json(out, c->target, strlen(c->target));
	}
	if (c->from) {
		path.len = 0;
		text_printf(&path, "%s/%s", root, c->from);
		text_add(out, ",\"from\":");
		text_add_json(out, path.at, path.len);
	}
	if (c->is_protected)
		text_add(out, ",\"protected\":true");
	if (c->type == CHANGE_UNREADABLE)
		text_printf(out, ",\"error\":\"%s\"",
			    strerrorname_np(-c->error) ? strerrorname_np(-c->error) : "unknown");
	text_add(out, "}");
}

void changes_done(struct changes *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->at[i].path);
		free(c->at[i].target);
		free(c->at[i].from);
	}
	free(c->at);
	*c = (struct changes){ 0 };
}

/* --- commit ------------------------------------------------------------- */

/* A directory whose own mode would keep its contents out. */
struct late_mode {
	char *path;
	uint32_t mode;
};

struct commit {
	const struct changes_choice *choice;
	struct changes_applied *result;
	int writer;
	bool is_writing; /* second pass */
	uint64_t budget;
	struct late_mode *late;
	size_t late_count;
};

static void refuse(struct commit *m, const struct sb_change *raw, const char *why)
{
	m->result->refused++;
	text_add(&m->result->log, "refused ");
	text_add_safe(&m->result->log, raw->path, strlen(raw->path));
	text_printf(&m->result->log, ": %s\n", why);
}

static bool may_apply(struct commit *m, const struct sb_change *raw)
{
	if (raw->kind == SB_CHANGE_UNREAD)
		refuse(m, raw, "it could not be read");
	else if (raw->kind == SB_CHANGE_SPECIAL)
		refuse(m, raw, "fifos, sockets and devices are never created outside");
	else if (policy_is_protected(raw->path) && !m->choice->with_protected)
		refuse(m, raw, "something outside runs or obeys it later; --protected allows it");
	else if (raw->kind == SB_CHANGE_LINK && path_link_leaves(raw->path, raw->target) &&
		 !m->choice->with_escapes)
		refuse(m, raw, "the link leads out of the workspace; --escaping-links allows it");
	else
		return true;
	return false;
}

/* One change to the writer and its answer. 0, or -errno of the way. */
static int write_one(struct commit *m, struct sb_change *c, int fd)
{
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	int r;

	c->allow_escape = m->choice->with_escapes;
	r = io_send(m->writer, c, sizeof(*c), &fd, fd >= 0 && c->kind == SB_CHANGE_FILE);
	if (r == 0) {
		r = io_recv(m->writer, c, sizeof(*c), fds, &count);
		r = r == 1 ? 0 : r == 0 ? -EPIPE : r;
	}
	for (unsigned int i = 0; i < count; i++)
		fd_done(&fds[i]);
	return r;
}

static void note_failure(struct commit *m, const char *path, int error)
{
	m->result->failed++;
	text_add(&m->result->log, "failed  ");
	text_add_safe(&m->result->log, path, strlen(path));
	text_printf(&m->result->log, ": %s\n", strerror(-error));
}

/* Made open to its owner now; its own mode comes when all is in it. */
static int keep_mode(struct commit *m, struct sb_change *c)
{
	struct late_mode *more;

	if (c->kind != SB_CHANGE_DIR || (c->mode & 0700) == 0700)
		return 0;
	more = realloc(m->late, (m->late_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->late = more;
	m->late[m->late_count] = (struct late_mode){ strdup(c->path), c->mode };
	if (!m->late[m->late_count].path)
		return -ENOMEM;
	m->late_count++;
	c->mode |= 0700;
	return 0;
}

static int commit_one(const struct sb_change *raw, int fd, int base_fd, void *context)
{
	struct commit *m = context;
	struct sb_change c = *raw;
	enum change_type type;
	int r;

	if (!classify(raw, fd, base_fd, &m->budget, &type))
		return 0;
	/* again in the second pass: it decides, the first only foretells */
	if (!may_apply(m, raw))
		return 0;
	if (!m->is_writing) {
		m->result->applied++;
		return 0;
	}
	r = keep_mode(m, &c);
	if (r == 0)
		r = write_one(m, &c, fd);
	if (r < 0)
		return r;
	if (c.error < 0)
		note_failure(m, raw->path, c.error);
	else
		m->result->applied++;
	return 0;
}

/* Deepest last seen first: a mode set on a parent would keep out of its child. */
static int set_late_modes(struct commit *m)
{
	struct sb_change *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	while (m->late_count > 0) {
		struct late_mode *l = &m->late[--m->late_count];

		if (r == 0) {
			memset(c, 0, sizeof(*c));
			c->kind = SB_CHANGE_DIR;
			c->mode = l->mode;
			(void)snprintf(c->path, sizeof(c->path), "%s", l->path);
			r = write_one(m, c, -1);
			if (r == 0 && c->error < 0)
				note_failure(m, l->path, c->error);
		}
		free(l->path);
	}
	free(m->late);
	free(c);
	return r;
}

int changes_apply(int warden, const char *session, uint32_t layer,
		  const struct changes_choice *choice, struct changes_applied *ret)
{
	struct commit m = { .choice = choice, .result = ret, .writer = -1, .budget = READ_BUDGET };
	int r, late;

	*ret = (struct changes_applied){ 0 };
	/* the writer first: with it comes the lock, and nothing changes meanwhile */
	r = ask(warden, session, layer, SB_VERB_APPLY, &m.writer);
	/* then look at all of it: a commit is all or nothing */
	if (r == 0)
		r = changes_walk(warden, session, layer, commit_one, &m);
	if (r == 0 && ret->refused > 0)
		r = -EPERM;
	if (r < 0 || choice->is_dry_run) {
		fd_done(&m.writer);
		return r;
	}
	m.is_writing = true;
	m.budget = READ_BUDGET;
	ret->applied = 0;
	r = changes_walk(warden, session, layer, commit_one, &m);
	late = set_late_modes(&m);
	fd_done(&m.writer);
	return r < 0 ? r : late;
}
