// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/commit.c - selected changes go to the real workspace, or none does.
 *
 * Two walks: the first judges everything that was selected, the second hands it
 * to the writer, which stages it. Then one word decides, and the writer's journal
 * makes sure that it is all or nothing.
 *
 * A conflict is judged by content: what the real side had when the session first
 * changed a path (seen.c) against what it has now. Times and sizes prove nothing.
 */
#include "supervisor/commit.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "supervisor/policy.h"
#include "supervisor/seen.h"

const char *const commit_verdict_names[] = {
	[COMMIT_APPLIED] = "applied",
	[COMMIT_REFUSED] = "refused",
	[COMMIT_CONFLICT] = "conflict",
	[COMMIT_FAILED] = "failed",
};

/* The first name of a file that has several. */
struct name {
	uint64_t inode;
	char *path;
};

/* A new directory that is not chosen itself. */
struct above {
	char *path;
	enum change_type type;
};

struct commit {
	const struct commit_choice *choice;
	struct commit_result *result;
	struct seen seen;
	struct changes below; /* with a call: what layers under it change */
	int writer;
	bool is_writing; /* second walk */
	bool is_on_workspace; /* what lies below is the workspace itself */
	uint64_t budget;
	struct name *names;
	size_t name_count;
	struct text lines; /* for seen/commits */
	bool path_used[COMMIT_WORDS_MAX];
	bool hunk_used[COMMIT_WORDS_MAX];
	bool left_out;
	struct above *chain; /* new directories above the present path, not chosen */
	size_t chain_count;
	char **needed; /* of those: something in them is chosen; in the walk's order */
	size_t needed_count, needed_next;
	char *gone; /* the path of the change before, when that took it away */
};

static int add_item(struct commit *m, enum commit_verdict verdict, const char *path,
		    enum change_type type, const char *why)
{
	struct commit_result *r = m->result;
	uint32_t *counts[] = { &r->applied, &r->refused, &r->conflicts, &r->failed };

	if ((r->count & (r->count + 1)) == 0) {
		struct commit_item *more = realloc(r->items, 2 * (r->count + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->items = more;
	}
	(*counts[verdict])++;
	r->items[r->count] = (struct commit_item){
		.verdict = verdict,
		.path = strdup(path),
		.why = why ? strdup(why) : NULL,
		.type = type,
	};
	return r->items[r->count++].path ? 0 : -ENOMEM;
}

/* --- what is chosen ------------------------------------------------------ */

/* "src" is the path and all below; "*.c" a name anywhere; "src/" "*" a pattern of the
 * whole path, whose stars pass slashes. */
static bool matches(const char *word, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t n = strlen(word);

	while (n > 0 && word[n - 1] == '/')
		n--;
	if (strncmp(path, word, n) == 0 && (path[n] == '\0' || path[n] == '/'))
		return true;
	if (fnmatch(word, path, 0) == 0)
		return true;
	return !strchr(word, '/') && slash && fnmatch(word, slash + 1, 0) == 0;
}

/* Whether `word` lies below `path`. */
static bool is_above(const char *path, const char *word)
{
	size_t n = strlen(path);

	return strncmp(word, path, n) == 0 && word[n] == '/';
}

static bool is_chosen(struct commit *m, const struct sb_change *raw)
{
	const struct commit_choice *c = m->choice;
	bool chosen = c->path_count == 0 && c->hunk_count == 0;

	for (uint32_t i = 0; i < c->path_count; i++) {
		bool hit = matches(c->paths[i], raw->path);

		m->path_used[i] |= hit;
		chosen |= hit;
	}
	for (uint32_t i = 0; i < c->hunk_count; i++) {
		bool hit = strcmp(c->hunks[i].path, raw->path) == 0;

		m->hunk_used[i] |= hit;
		chosen |= hit;
	}
	return chosen;
}

/* A word that names nothing is an error: half of what was meant is not done. */
static int check_words(struct commit *m)
{
	const char *unused = NULL;

	for (uint32_t i = 0; i < m->choice->path_count && !unused; i++)
		unused = m->path_used[i] ? NULL : m->choice->paths[i];
	for (uint32_t i = 0; i < m->choice->hunk_count && !unused; i++)
		unused = m->hunk_used[i] ? NULL : m->choice->hunks[i].path;
	if (!unused)
		return 0;
	(void)snprintf(m->result->why, sizeof(m->result->why), "no change matches \"%.200s\"",
		       unused);
	return -ENOENT;
}

/* --- what may be applied -------------------------------------------------- */

static const char *refusal(struct commit *m, const struct sb_change *raw)
{
	if (raw->kind == SB_CHANGE_UNREAD)
		return "it could not be read";
	if (raw->kind == SB_CHANGE_SPECIAL)
		return "fifos, sockets and devices are never created outside";
	if (strncmp(raw->path, ".glovebox-", 10) == 0)
		return "names that begin with .glovebox- are Glovebox's own";
	if (policy_hides(m->choice->policy, raw->path))
		return "the policy hides what is there (files.hide)";
	if (!policy_may_commit(m->choice->policy, raw->path))
		return "the policy does not list it in files.write";
	if (policy_is_protected(m->choice->policy, raw->path) && !m->choice->with_protected)
		return "something outside runs or obeys it later; --protected allows it";
	if (raw->kind == SB_CHANGE_LINK && path_link_leaves(raw->path, raw->target) &&
	    !m->choice->with_escapes)
		return "the link leads out of the workspace; --escaping-links allows it";
	return NULL;
}

/* With one call: a lower layer, not committed, changes the same, or made the
 * directory it is in. */
static bool needs_below(const struct commit *m, const char *path)
{
	for (size_t i = 0; i < m->below.count; i++) {
		const struct change *c = &m->below.at[i];

		if (strcmp(c->path, path) == 0 || (c->from && strcmp(c->from, path) == 0))
			return true;
		if (c->kind == SB_CHANGE_DIR && !c->base_mode && is_above(c->path, path))
			return true;
	}
	return false;
}

static const char *compare_seen(struct commit *m, const struct seen_entry *e,
				const struct sb_change *raw, const struct changes_fds *fds)
{
	int base = raw->kind == SB_CHANGE_GONE ? fds->now : fds->base;
	char now[65] = "";

	if (!raw->base_mode)
		return e->mode ? "it was removed meanwhile" : NULL;
	if (!e->mode)
		return "something else appeared there meanwhile";
	if ((e->mode & S_IFMT) != (raw->base_mode & S_IFMT))
		return "it became another kind of thing meanwhile";
	if (S_ISLNK(e->mode))
		return strcmp(e->target, raw->base_target) == 0 ? NULL
								: "the link was changed meanwhile";
	if (S_ISREG(e->mode)) {
		if (e->size != raw->base_size)
			return "it was changed meanwhile";
		if (e->is_moved)
			return "it was changed while the call ran";
		if (!e->sha256[0] || base < 0 || raw->base_size > m->budget ||
		    changes_hash(base, now) < 0)
			return "it cannot be compared with what the call saw";
		m->budget -= raw->base_size;
		if (strcmp(now, e->sha256) != 0)
			return "it was changed meanwhile";
	}
	if ((e->mode & 07777) != (raw->base_mode & 07777) &&
	    (raw->mode & 07777) != (raw->base_mode & 07777))
		return "its mode was changed meanwhile";
	return NULL;
}

static const char *conflict(struct commit *m, const struct sb_change *raw, enum change_type type,
			    const struct changes_fds *fds)
{
	const struct seen_entry *e;

	if (m->choice->call > 0 && needs_below(m, raw->path))
		return "an earlier call, not committed, changes it, too: commit that first";
	/* it became another kind of thing: what was there was judged just before */
	if (m->choice->is_forced || (m->gone && strcmp(m->gone, raw->path) == 0))
		return NULL;
	e = seen_find(&m->seen, raw->path);
	/* somebody else has made the same */
	if (e && !e->mode && type == CHANGE_MODE && S_ISREG(raw->mode))
		return NULL;
	if (e)
		return compare_seen(m, e, raw, fds);
	if (!raw->base_mode)
		return NULL;
	return "it appeared or changed after the call";
}

/* --- the writer ------------------------------------------------------------ */

/* One message to the writer and its answer. 0, or -errno of the way. */
static int write_one(struct commit *m, struct sb_change *c, const struct changes_fds *fds)
{
	int out[2], in[IO_FDS_MAX];
	unsigned int count = 0, got = 0;
	int r;

	c->has_fd = fds && fds->now >= 0 && c->kind == SB_CHANGE_FILE;
	c->has_base_fd = 0;
	c->has_xattrs = fds && fds->xattrs >= 0;
	if (c->has_fd)
		out[count++] = fds->now;
	if (c->has_xattrs)
		out[count++] = fds->xattrs;
	c->allow_escape = m->choice->with_escapes;
	/* of a call above others the base is a layer, and was compared with the real side */
	c->expect_base = !m->choice->is_forced && m->is_on_workspace;
	r = io_send(m->writer, c, sizeof(*c), out, count);
	if (r == 0) {
		r = io_recv(m->writer, c, sizeof(*c), in, &got);
		r = r == 1 ? 0 : r == 0 ? -EPIPE : r;
	}
	for (unsigned int i = 0; i < got; i++)
		fd_done(&in[i]);
	return r;
}

static int fail(struct commit *m, const char *path, int error)
{
	const char *what = error == -ESTALE ? "it changed just now" : strerror(-error);

	(void)snprintf(m->result->why, sizeof(m->result->why), "%.180s: %s", path, what);
	return add_item(m, error == -ESTALE ? COMMIT_CONFLICT : COMMIT_FAILED, path, 0, what);
}

/* The first name of the same file, or NULL when this is the first. */
static const char *first_name(struct commit *m, const struct sb_change *raw)
{
	struct name *more;

	if (raw->kind != SB_CHANGE_FILE || raw->links < 2 || raw->inode == 0)
		return NULL;
	for (size_t i = 0; i < m->name_count; i++)
		if (m->names[i].inode == raw->inode)
			return m->names[i].path;
	more = realloc(m->names, (m->name_count + 1) * sizeof(*more));
	if (more) {
		m->names = more;
		more[m->name_count] = (struct name){ raw->inode, strdup(raw->path) };
		m->name_count += more[m->name_count].path != NULL;
	}
	return NULL;
}

static int choose_hunks(struct commit *m, const struct sb_change *raw,
			const struct changes_fds *fds, int *ret_fd)
{
	uint32_t numbers[COMMIT_WORDS_MAX];
	uint32_t count = 0;

	*ret_fd = -1;
	for (uint32_t i = 0; i < m->choice->hunk_count; i++)
		if (strcmp(m->choice->hunks[i].path, raw->path) == 0)
			numbers[count++] = m->choice->hunks[i].number;
	if (count == 0)
		return 0;
	if (raw->kind != SB_CHANGE_FILE || !m->choice->make_hunks)
		return -ENOTSUP;
	return m->choice->make_hunks(fds->base, fds->now, numbers, count, m->choice->hunks_context,
				     ret_fd);
}

static int hand_over(struct commit *m, const struct sb_change *raw, const struct changes_fds *fds)
{
	struct changes_fds mine = *fds;
	struct sb_change *c = malloc(sizeof(*c));
	char sha256[65] = "";
	struct stat st = { .st_size = (off_t)raw->size };
	const char *first;
	AUTO_FD part = -1;
	int r = c ? choose_hunks(m, raw, fds, &part) : -ENOMEM;

	if (r == -ERANGE || r == -ENOTSUP) {
		free(c);
		(void)snprintf(m->result->why, sizeof(m->result->why),
			       r == -ERANGE
				       ? "\"%.180s\" has fewer hunks"
				       : "\"%.180s\" is no text that was changed: it has no hunks",
			       raw->path);
		return r;
	}
	if (r < 0) {
		free(c);
		return r;
	}
	memcpy(c, raw, sizeof(*c));
	if (part >= 0)
		mine.now = part;
	if (raw->kind == SB_CHANGE_FILE && mine.now >= 0)
		(void)fstat(mine.now, &st); /* it is open: it cannot fail */
	first = part < 0 ? first_name(m, raw) : NULL;
	if (first) {
		c->kind = SB_CHANGE_SAME;
		(void)snprintf(c->target, sizeof(c->target), "%s", first);
	}
	if (raw->kind == SB_CHANGE_FILE && mine.now >= 0 && raw->size <= m->budget) {
		m->budget -= raw->size;
		(void)changes_hash(mine.now, sha256);
	}
	r = write_one(m, c, &mine);
	if (r == 0 && c->error < 0) {
		r = fail(m, raw->path, c->error);
		r = r == 0 ? c->error : r;
	}
	if (r == 0)
		r = seen_add_commit(&m->lines, raw, (uint64_t)st.st_size, sha256);
	free(c);
	return r;
}

/* A new directory goes along with what is chosen in it. The walk tells it before its
 * contents: it is kept in mind until one of them is chosen. */
static int keep_in_mind(struct commit *m, const struct sb_change *raw, enum change_type type)
{
	struct above *more;

	if (raw->kind != SB_CHANGE_DIR || raw->base_mode)
		return 0;
	more = realloc(m->chain, (m->chain_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->chain = more;
	more[m->chain_count] = (struct above){ strdup(raw->path), type };
	return more[m->chain_count++].path ? 0 : -ENOMEM;
}

static void leave_dirs(struct commit *m, const char *path)
{
	while (m->chain_count > 0 && !is_above(m->chain[m->chain_count - 1].path, path))
		free(m->chain[--m->chain_count].path);
}

static int need_dirs(struct commit *m)
{
	for (size_t i = 0; i < m->chain_count; i++) {
		char **more = realloc(m->needed, (m->needed_count + 1) * sizeof(*more));
		int r;

		if (!more)
			return -ENOMEM;
		m->needed = more;
		r = policy_is_protected(m->choice->policy, m->chain[i].path) &&
				    !m->choice->with_protected
			    ? add_item(m, COMMIT_REFUSED, m->chain[i].path, m->chain[i].type,
				       "something outside runs or obeys it later; --protected "
				       "allows it")
			    : add_item(m, COMMIT_APPLIED, m->chain[i].path, m->chain[i].type, NULL);
		more[m->needed_count++] = m->chain[i].path;
		if (r < 0)
			return r;
	}
	m->chain_count = 0;
	return 0;
}

/* In the second walk: whether it is the next of those. */
static bool is_needed(struct commit *m, const char *path)
{
	if (m->needed_next == m->needed_count || strcmp(m->needed[m->needed_next], path) != 0)
		return false;
	m->needed_next++;
	return true;
}

static int judge_one(struct commit *m, const struct sb_change *raw, const struct changes_fds *fds)
{
	enum change_type type;
	const char *why;

	if (!changes_classify(raw, fds, &m->budget, &type))
		return 0;
	leave_dirs(m, raw->path);
	/* no call has changed it, only something in it: what differs is the real side's */
	if (raw->kind == SB_CHANGE_DIR && raw->base_mode && !seen_find(&m->seen, raw->path))
		return 0;
	if (!is_chosen(m, raw)) {
		if (m->is_writing && is_needed(m, raw->path))
			return hand_over(m, raw, fds);
		m->left_out = true;
		return m->is_writing ? 0 : keep_in_mind(m, raw, type);
	}
	if (!m->is_writing && need_dirs(m) < 0)
		return -ENOMEM;
	/* again in the second walk: it decides, the first only foretells */
	why = refusal(m, raw);
	if (why)
		return add_item(m, COMMIT_REFUSED, raw->path, type, why);
	why = conflict(m, raw, type, fds);
	if (why)
		return add_item(m, COMMIT_CONFLICT, raw->path, type, why);
	if (!m->is_writing)
		return add_item(m, COMMIT_APPLIED, raw->path, type, NULL);
	return hand_over(m, raw, fds);
}

static int commit_one(const struct sb_change *raw, const struct changes_fds *fds, void *context)
{
	struct commit *m = context;
	int r = judge_one(m, raw, fds);

	free(m->gone);
	m->gone = raw->kind == SB_CHANGE_GONE ? strdup(raw->path) : NULL;
	return r;
}

static int judge(const struct commit *m)
{
	return m->result->refused ? -EPERM : m->result->conflicts ? -EEXIST : 0;
}

static int write_all(struct commit *m, const struct changes_of *of, int session_dir)
{
	struct sb_change *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	m->is_writing = true;
	m->budget = CHANGES_READ_BUDGET;
	if (r == 0)
		r = changes_walk(of, commit_one, m);
	if (r == 0)
		r = judge(m);
	if (r == 0) {
		c->kind = SB_CHANGE_COMMIT;
		r = write_one(m, c, NULL);
		/* which step stood in the way; all the others were taken back */
		if (r == 0 && c->error < 0 && c->path[0])
			r = fail(m, c->path, c->error);
		if (r == 0)
			r = c->error;
		if (r < 0 && !m->result->why[0])
			(void)snprintf(m->result->why, sizeof(m->result->why), "%s",
				       r == -ESTALE ? "the workspace was changed just now; nothing "
						      "was applied"
						    : strerror(-r));
	}
	if (r == 0)
		r = seen_write_commits(session_dir, &m->lines);
	free(c);
	return r;
}

static int load_seen(struct commit *m, int session_dir, const struct stack *stack, uint32_t count)
{
	int r = seen_load(&m->seen, session_dir, 0);

	for (uint32_t i = 0; r == 0 && i < count; i++)
		for (uint32_t j = 0; r == 0 && j < stack->at[i].call_count; j++)
			r = seen_load(&m->seen, session_dir, stack->at[i].calls[j]);
	seen_sort(&m->seen);
	return r;
}

/* The writer comes with the lock, and nothing changes meanwhile. */
static int open_writer(struct commit *m, const struct changes_of *of)
{
	unsigned int what;
	int r;

	/* what a killed commit has left is in the way of the next */
	r = commit_recover(of->warden, of->session, &what);
	return r < 0 ? r : changes_ask(of, SB_VERB_APPLY, &m->writer);
}

int commit_run(int warden, const char *session, int session_dir, const struct stack *stack,
	       const struct commit_choice *choice, struct commit_result *ret)
{
	struct commit m = { .choice = choice, .result = ret, .writer = -1 };
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of = {
		.policy = choice->policy,
		.warden = warden,
		.session = session,
		.layers = numbers,
	};
	int index = choice->call > 0 ? stack_find_call(stack, choice->call) : -1;
	int r = 0;

	*ret = (struct commit_result){ 0 };
	m.budget = CHANGES_READ_BUDGET;
	stack_numbers(stack, numbers);
	of.count = index < 0 ? stack->count : (uint32_t)index + 1;
	of.first = index < 0 ? 0 : (uint32_t)index;
	m.is_on_workspace = of.first == 0;
	if (choice->call > 0 && index < 0) {
		(void)snprintf(ret->why, sizeof(ret->why),
			       "call %u changed nothing that is not committed", choice->call);
		return -ENOENT;
	}
	if (index > 0) {
		struct changes_of under = of;

		under.count = of.first;
		under.first = 0;
		r = changes_read(&under, &m.below);
	}
	if (r == 0)
		r = load_seen(&m, session_dir, stack, of.count);
	if (r == 0 && !choice->is_dry_run)
		r = open_writer(&m, &of);
	if (r == 0)
		r = changes_walk(&of, commit_one, &m);
	if (r == 0)
		r = check_words(&m);
	if (r == 0)
		r = judge(&m);
	ret->is_whole = r == 0 && !m.left_out && choice->hunk_count == 0 && index <= 0;
	if (r == 0 && !choice->is_dry_run && ret->applied > 0)
		r = write_all(&m, &of, session_dir);
	if (r < 0 && !ret->why[0] && r != -EPERM && r != -EEXIST)
		(void)snprintf(ret->why, sizeof(ret->why), "%s",
			       r == -ESTALE ? "the workspace has been replaced by another directory"
			       : r == -EBUSY ? "the session is in use by another command"
					     : strerror(-r));
	changes_wait_end(&m.writer);
	for (size_t i = 0; i < m.name_count; i++)
		free(m.names[i].path);
	free(m.names);
	free(m.gone);
	while (m.chain_count > 0)
		free(m.chain[--m.chain_count].path);
	while (m.needed_count > 0)
		free(m.needed[--m.needed_count]);
	free(m.chain);
	free(m.needed);
	text_done(&m.lines);
	changes_done(&m.below);
	seen_done(&m.seen);
	return r;
}

int commit_recover(int warden, const char *session, unsigned int *ret_what)
{
	struct changes_of of = { .warden = warden, .session = session };
	struct sb_change *c = calloc(1, sizeof(*c));
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	AUTO_FD sock = -1;
	int r = c ? changes_ask(&of, SB_VERB_RECOVER, &sock) : -ENOMEM;

	if (r == 0) {
		r = io_recv(sock, c, sizeof(*c), fds, &count);
		r = r == 1 ? 0 : r == 0 ? -EPIPE : r;
	}
	if (r == 0 && c->kind != SB_CHANGE_END)
		r = c->error < 0 ? c->error : -EBADMSG;
	if (r == 0)
		*ret_what = (unsigned int)c->size;
	for (unsigned int i = 0; i < count; i++)
		fd_done(&fds[i]);
	changes_wait_end(&sock);
	free(c);
	return r;
}

void commit_add_json(const struct commit_result *r, const char *root, struct text *out)
{
	text_printf(out, "\"applied\":%u,\"refused\":%u,\"conflicts\":%u,\"failed\":%u", r->applied,
		    r->refused, r->conflicts, r->failed);
	text_add(out, ",\"items\":[");
	for (size_t i = 0; i < r->count; i++) {
		const struct commit_item *item = &r->items[i];
		AUTO_TEXT path = { 0 };

		text_printf(&path, "%s/%s", root, item->path);
		text_add(out, i ? ",{\"path\":" : "{\"path\":");
		text_add_json(out, path.at ? path.at : "", path.len);
		text_printf(out, ",\"change\":\"%s\",\"verdict\":\"%s\"",
			    change_type_names[item->type], commit_verdict_names[item->verdict]);
		if (item->why) {
			text_add(out, ",\"why\":");
			text_add_json(out, item->why, strlen(item->why));
		}
		text_add(out, "}");
	}
	text_add(out, "]");
	if (r->why[0]) {
		text_add(out, ",\"why\":");
		text_add_json(out, r->why, strlen(r->why));
	}
}

void commit_add_lines(const struct commit_result *r, struct text *out)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct commit_item *item = &r->items[i];

		if (item->verdict == COMMIT_APPLIED)
			continue;
		text_printf(out, "%s ", commit_verdict_names[item->verdict]);
		text_add_safe(out, item->path, strlen(item->path));
		text_printf(out, ": %s\n", item->why ? item->why : "");
	}
}

void commit_result_done(struct commit_result *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].path);
		free(r->items[i].why);
	}
	free(r->items);
	*r = (struct commit_result){ 0 };
}
