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
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/warden.h"
#include "supervisor/policy.h"

#define READ_CHUNK 65536
/*
 * A sparse file of terabytes costs the agent nothing: beyond CHANGES_READ_BUDGET a
 * file of the same size counts as modified, and has no hash.
 */

const char *const change_type_names[CHANGE_TYPE_COUNT] = {
	[CHANGE_ADDED] = "added",
	[CHANGE_MODIFIED] = "modified",
	[CHANGE_DELETED] = "deleted",
	[CHANGE_RENAMED] = "renamed",
	[CHANGE_MODE] = "mode",
	[CHANGE_TYPE] = "type",
	[CHANGE_UNREADABLE] = "unreadable",
};

int changes_ask(const struct changes_of *of, enum sb_verb verb, int *ret_sock)
{
	struct sb_request q = {
		.abi = SB_ABI,
		.verb = verb,
		.layer_count = of->count,
		.layer_first = of->first,
		.call = of->limit,
	};
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	if (strlen(of->session) >= sizeof(q.session) || of->count > SB_LAYERS_MAX)
		return -EINVAL;
	memcpy(q.session, of->session, strlen(of->session));
	if (of->count > 0)
		memcpy(q.layers, of->layers, of->count * sizeof(*of->layers));
	r = warden_ask(of->warden, &q, NULL, 0, &reply, fds, &count);
	if (r == 0)
		r = reply.error;
	if (r < 0)
		return r;
	if (count != 1)
		return -EBADMSG;
	*ret_sock = fds[0];
	return 0;
}

void changes_wait_end(int *sock)
{
	char byte;

	if (*sock < 0)
		return;
	(void)shutdown(*sock, SHUT_WR);
	while (recv(*sock, &byte, sizeof(byte), 0) > 0)
		;
	fd_done(sock);
}

void changes_drop_layers(int warden, const char *session, const uint32_t *numbers, uint32_t count)
{
	struct changes_of of = {
		.warden = warden,
		.session = session,
		.layers = numbers,
		.count = count,
	};
	AUTO_FD sock = -1;

	if (changes_ask(&of, SB_VERB_DROP, &sock) == 0)
		changes_wait_end(&sock);
}

int changes_remove_session(int warden, const char *session)
{
	struct changes_of of = { .warden = warden, .session = session };
	struct sb_change *c = calloc(1, sizeof(*c));
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	AUTO_FD sock = -1;
	int r = c ? changes_ask(&of, SB_VERB_REMOVE, &sock) : -ENOMEM;

	if (r == 0) {
		r = io_recv(sock, c, sizeof(*c), fds, &count);
		r = r == 1 ? c->error : r == 0 ? -EPIPE : r;
	}
	changes_wait_end(&sock);
	free(c);
	return r;
}

static bool raw_is_sound(const struct sb_change *raw)
{
	return !raw->path[SB_PATH_MAX - 1] && !raw->target[SB_PATH_MAX - 1] &&
	       !raw->base_target[SB_PATH_MAX - 1] && raw->kind <= SB_CHANGE_UNREAD;
}

static struct changes_fds sort_fds(const struct sb_change *raw, const int *fds, unsigned int count)
{
	struct changes_fds f = { -1, -1, -1 };
	unsigned int next = 0;

	if (raw->has_fd && next < count)
		f.now = fds[next++];
	if (raw->has_base_fd && next < count)
		f.base = fds[next++];
	if (raw->has_xattrs && next < count)
		f.xattrs = fds[next++];
	return f;
}

/* What is hidden below is not there: a call that makes a file of this name has added it,
 * and nobody learns by a diff what the real one says. */
static void forget_base(struct sb_change *raw, struct changes_fds *fds)
{
	raw->base_mode = 0;
	raw->base_size = 0;
	raw->base_target[0] = '\0';
	fds->base = -1;
}

int changes_walk(const struct changes_of *of, changes_fn fn, void *context)
{
	struct sb_change *raw;
	AUTO_FD sock = -1;
	int r;

	if (of->count == of->first)
		return 0; /* no layer, no change */
	raw = malloc(sizeof(*raw));
	r = raw ? changes_ask(of, SB_VERB_SCAN, &sock) : -ENOMEM;
	while (r == 0) {
		int fds[IO_FDS_MAX];
		unsigned int count = 0;
		struct changes_fds sorted;

		r = io_recv(sock, raw, sizeof(*raw), fds, &count);
		if (r == 0)
			r = -EPIPE; /* it ended without saying so */
		if (r < 0)
			break;
		if (raw->kind == SB_CHANGE_END)
			break;
		sorted = sort_fds(raw, fds, count);
		if (policy_hides(of->policy, raw->path))
			forget_base(raw, &sorted);
		if (!raw_is_sound(raw))
			r = -EBADMSG;
		else if (raw->kind == SB_CHANGE_UNREAD && raw->path[0] == '\0')
			r = raw->error < 0 ? raw->error : -EIO;
		else
			r = fn(raw, &sorted, context);
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
	}
	free(raw);
	return r < 0 ? r : 0;
}

/* --- the list ----------------------------------------------------------- */

int changes_hash(int fd, char out[65])
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

bool changes_classify(const struct sb_change *raw, const struct changes_fds *fds, uint64_t *budget,
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
		if (fds->base < 0)
			break;
		if (raw->size != raw->base_size || !may_read(budget, raw->size) ||
		    !same_content(fds->now, fds->base)) {
			*ret = CHANGE_MODIFIED;
			return true;
		}
		*ret = CHANGE_MODE;
		return !same_mode || !same_time(raw) || raw->xattrs_differ;
	case SB_CHANGE_DIR:
		if (!raw->base_mode)
			break;
		*ret = CHANGE_MODE;
		return !same_mode || raw->xattrs_differ;
	case SB_CHANGE_LINK:
		if (!raw->base_mode)
			break;
		*ret = CHANGE_MODIFIED;
		return strcmp(raw->target, raw->base_target) != 0;
	case SB_CHANGE_SPECIAL:
	case SB_CHANGE_END:
	case SB_CHANGE_SAME:
	case SB_CHANGE_COMMIT:
		break;
	}
	*ret = CHANGE_ADDED;
	return true;
}

static void free_change(struct change *c)
{
	free(c->path);
	free(c->target);
	free(c->base_target);
	free(c->from);
}

struct listing {
	const struct policy *policy;
	struct changes list;
	uint64_t budget;
};

/* What of a change is read from its contents: hashes of both sides. */
static void add_hashes(struct listing *l, const struct sb_change *raw,
		       const struct changes_fds *fds, struct change *c)
{
	int r;

	if (fds->now >= 0 && (raw->kind == SB_CHANGE_FILE || raw->kind == SB_CHANGE_GONE) &&
	    may_read(&l->budget, c->size)) {
		r = changes_hash(fds->now, c->sha256);
		if (r < 0) {
			c->type = CHANGE_UNREADABLE;
			c->error = r;
		}
	}
	if (raw->kind == SB_CHANGE_GONE)
		memcpy(c->base_sha256, c->sha256, sizeof(c->base_sha256));
	else if (fds->base >= 0 && may_read(&l->budget, c->base_size))
		(void)changes_hash(fds->base, c->base_sha256); /* "": not known */
}

static int add_change(const struct sb_change *raw, const struct changes_fds *fds, void *context)
{
	struct listing *l = context;
	struct changes *list = &l->list;
	struct change *c;
	enum change_type type;

	if (!changes_classify(raw, fds, &l->budget, &type))
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
		.base_size = raw->base_size,
		.base_ctime_s = raw->base_ctime_s,
		.base_ctime_ns = raw->base_ctime_ns,
		.error = raw->error,
		.is_special = raw->kind == SB_CHANGE_SPECIAL,
		.is_protected = policy_is_protected(l->policy, raw->path),
	};
	c->path = strdup(raw->path);
	c->target = raw->kind == SB_CHANGE_LINK ? strdup(raw->target) : NULL;
	c->base_target = S_ISLNK(raw->base_mode) ? strdup(raw->base_target) : NULL;
	if (!c->path || (raw->kind == SB_CHANGE_LINK && !c->target) ||
	    (S_ISLNK(raw->base_mode) && !c->base_target)) {
		free_change(c);
		return -ENOMEM;
	}
	list->count++;
	add_hashes(l, raw, fds, c);
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
			list->at[i + 1].base_size = list->at[i].base_size;
			list->at[i + 1].base_ctime_s = list->at[i].base_ctime_s;
			list->at[i + 1].base_ctime_ns = list->at[i].base_ctime_ns;
			memcpy(list->at[i + 1].base_sha256, list->at[i].base_sha256,
			       sizeof(list->at[i].base_sha256));
			list->at[i + 1].base_target = TAKE(list->at[i].base_target);
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
			added->from_mode = gone->base_mode;
			added->from_ctime_s = gone->base_ctime_s;
			added->from_ctime_ns = gone->base_ctime_ns;
			gone->is_dropped = added->from != NULL;
			if (!added->from)
				added->type = CHANGE_ADDED;
		}
		i = j;
	}
	free(files);
}

int changes_read(const struct changes_of *of, struct changes *ret)
{
	struct listing l = { .policy = of->policy, .budget = CHANGES_READ_BUDGET };
	struct changes list;
	size_t kept = 0;
	int r;

	r = changes_walk(of, add_change, &l);
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
			free_change(&list.at[i]);
			continue;
		}
		list.at[kept++] = list.at[i];
	}
	list.count = kept;
	*ret = list;
	return 0;
}

const char *changes_type_name(uint32_t mode)
{
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
		    change_type_names[c->type],
		    changes_type_name(c->type == CHANGE_DELETED ? c->base_mode : c->mode),
		    (unsigned long long)c->size);
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
		free_change(&c->at[i]);
	}
	free(c->at);
	*c = (struct changes){ 0 };
}

/* --- for people --------------------------------------------------------- */

static void add_note(struct text *out, const char *what, const char *path, const char *more)
{
	text_printf(out, "%s ", what);
	text_add_safe(out, path, strlen(path));
	if (more) {
		text_add(out, " => ");
		text_add_safe(out, more, strlen(more));
	}
	text_add(out, "\n");
}

int changes_show(const struct differ *d, const struct sb_change *raw, const struct changes_fds *fds,
		 bool is_safe, struct text *out)
{
	uint64_t budget = CHANGES_READ_BUDGET;
	enum change_type type;
	uint32_t hunks = 0;
	int r = 0;

	if (!changes_classify(raw, fds, &budget, &type))
		return 0;
	if (type == CHANGE_UNREADABLE)
		add_note(out, "unreadable", raw->path, strerror(-raw->error));
	else if (type == CHANGE_MODE)
		add_note(out, "mode, time or attributes of", raw->path, NULL);
	else if (raw->kind == SB_CHANGE_LINK)
		add_note(out, "symlink", raw->path, raw->target);
	else if (raw->kind == SB_CHANGE_DIR)
		add_note(out, "directory", raw->path, NULL);
	else if (raw->kind == SB_CHANGE_SPECIAL)
		add_note(out, "special file", raw->path, NULL);
	else if (raw->kind == SB_CHANGE_FILE)
		r = differ_diff(d, raw->path, fds->base, fds->now, is_safe, out, &hunks);
	else if (S_ISREG(raw->base_mode) && fds->now >= 0)
		r = differ_diff(d, raw->path, fds->now, -1, is_safe, out, &hunks);
	else
		add_note(out, "removed", raw->path, NULL);
	/* one file that cannot be compared is told, and the others are shown */
	if (r < 0)
		add_note(out, "cannot compare", raw->path, strerror(-r));
	return 0;
}
