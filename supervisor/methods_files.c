// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/methods_files.c - changes, commit, discard, rollback, undo.
 *
 * What reads files is a job; what it found is acted upon in the loop, where nobody
 * else changes the stack. Whoever writes has the session for himself: no call
 * starts meanwhile, and none runs unless it is frozen.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/methods.h"
#include "supervisor/seen.h"

/* A diff longer than this is cut, and says so. */
#define DIFF_MAX (4u << 20)

/* One request, while its job runs. */
struct work {
	struct host_files f;
	struct reply *reply; /* NULL: nobody asked (auto) */
	char *by;
	cJSON *params; /* a copy */
	struct commit_choice choice;
	struct commit_result result;
	struct text text;
	uint32_t call; /* 0: the session */
	uint32_t index; /* UNDO: of its layer */
	bool is_safe;
	bool is_cut;
};

struct files {
	const char *id, *path;
	const cJSON *paths, *hunks;
	bool dry_run, with_protected, with_escapes, is_forced, terminal;
};

static void work_free(struct work *w)
{
	cJSON_Delete(w->params);
	free(w->by);
	text_done(&w->text);
	commit_result_done(&w->result);
	w->params = NULL;
	w->by = NULL;
}

static struct work *work_new(struct asked *q, uint32_t call)
{
	struct work *w = calloc(1, sizeof(*w));

	if (!w) {
		server_error(q, RPC_INTERNAL, "out of memory");
		return NULL;
	}
	w->call = call;
	w->by = strdup(q->name);
	w->params = cJSON_Duplicate(q->params, true);
	w->reply = w->by && w->params ? server_defer(q) : NULL;
	if (!w->reply) {
		work_free(w);
		free(w);
		return NULL;
	}
	return w;
}

static void work_start(struct work *w, struct host *h, struct session *s, bool is_exclusive,
		       void (*run)(struct job *j), void (*then)(struct host_files *f))
{
	int r = host_files_start(h, s, &w->f, is_exclusive, run, then);

	if (r == 0)
		return;
	if (w->reply)
		reply_error(w->reply, RPC_INTERNAL, strerror(-r));
	work_free(w);
	free(w);
}

static void work_end(struct work *w, int code, const char *why)
{
	if (w->reply && code)
		reply_error(w->reply, code, why);
	else if (w->reply)
		reply_result(w->reply, w->text.failed || !w->text.at ? "null" : w->text.at);
	work_free(w);
}

/* Of the session, or of one call. False: its layer is not there any more. */
static bool choose_layers(const struct work *w, uint32_t numbers[SB_LAYERS_MAX],
			  struct changes_of *of)
{
	int index = w->call > 0 ? stack_find_call(&w->f.stack, w->call) : -1;

	stack_numbers(&w->f.stack, numbers);
	*of = (struct changes_of){
		.policy = w->f.policy,
		.warden = w->f.warden,
		.session = w->f.id,
		.layers = numbers,
		.count = index < 0 ? w->f.stack.count : (uint32_t)index + 1,
		.first = index < 0 ? 0 : (uint32_t)index,
	};
	return w->call == 0 || index >= 0;
}

/* --- list ------------------------------------------------------------------- */

static void list_work(struct job *j)
{
	struct work *w = (struct work *)j;
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of;
	struct changes list = { 0 };

	if (!choose_layers(w, numbers, &of)) {
		w->f.error = -ENOENT;
		return;
	}
	w->f.error = changes_read(&of, &list);
	text_printf(&w->text, "{\"schema\":1,\"session\":\"%s\"", w->f.id);
	if (w->call > 0) {
		const struct stack_layer *l = &w->f.stack.at[of.first];

		text_printf(&w->text, ",\"call\":%u,\"layer\":%u,\"calls\":[", w->call, l->number);
		for (uint32_t i = 0; i < l->call_count; i++)
			text_printf(&w->text, "%s%u", i ? "," : "", l->calls[i]);
		text_add(&w->text, "]");
	}
	text_add(&w->text, ",\"changes\":[");
	for (size_t i = 0; i < list.count; i++) {
		text_add(&w->text, i ? "," : "");
		changes_add_json(&list.at[i], w->f.session->at, &w->text);
	}
	text_add(&w->text, "]}");
	changes_done(&list);
}

static void read_then(struct host_files *f)
{
	struct work *w = (struct work *)f;

	if (f->error == -ENOENT && w->call > 0)
		work_end(w, RPC_NOT_FOUND,
			 "the call changed nothing, or its layer was committed, undone or "
			 "dropped; call.report has the list as it was");
	else if (f->error == -ESTALE)
		work_end(w, RPC_CONFLICT, "the workspace is another directory now");
	else if (f->error < 0)
		work_end(w, RPC_INTERNAL,
			 f->error == -E2BIG ? "more than 200000 changes" : strerror(-f->error));
	else
		work_end(w, 0, NULL);
}

static void read_files(struct asked *q, void (*run)(struct job *j), bool is_safe)
{
	struct session *s;
	struct work *w;
	struct call *c;
	uint32_t number;

	if (!server_find(q, "id", &s, &c, &number))
		return;
	w = work_new(q, number);
	if (!w)
		return;
	w->is_safe = is_safe;
	work_start(w, q->host, s, false, run, read_then);
}

void method_changes_list(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct files, id) },
		{ .kind = PARAM_END },
	};
	struct files p = { 0 };

	if (methods_params(q, table, &p))
		read_files(q, list_work, false);
}

/* A path may be given as it is shown, or relative to the workspace. */
static const char *relative(const struct session *s, const char *path)
{
	size_t n = strlen(s->at);

	return strncmp(path, s->at, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

/* --- diff --------------------------------------------------------------------- */

struct differing {
	struct work *w;
	const char *only; /* a path, or NULL */
	struct text out;
};

static int diff_one(const struct sb_change *raw, const struct changes_fds *fds, void *context)
{
	struct differing *d = context;

	if (d->only && strcmp(d->only, raw->path) != 0)
		return 0;
	if (d->out.len > DIFF_MAX) {
		d->w->is_cut = true;
		return 0;
	}
	return changes_show(&d->w->f.host->differ, raw, fds, d->w->is_safe, &d->out);
}

static void diff_work(struct job *j)
{
	struct work *w = (struct work *)j;
	const cJSON *path = cJSON_GetObjectItemCaseSensitive(w->params, "path");
	struct differing d = { .w = w,
			       .only = cJSON_IsString(path)
					       ? relative(w->f.session, path->valuestring)
					       : NULL };
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of;

	if (!choose_layers(w, numbers, &of)) {
		w->f.error = -ENOENT;
		return;
	}
	w->f.error = changes_walk(&of, diff_one, &d);
	text_printf(&w->text, "{\"session\":\"%s\",\"cut\":%s,\"diff\":", w->f.id,
		    w->is_cut ? "true" : "false");
	text_add_json(&w->text, d.out.at ? d.out.at : "", d.out.len);
	text_add(&w->text, "}");
	text_done(&d.out);
}

void method_changes_diff(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct files, id) },
		{ "path", PARAM_TEXT, false, offsetof(struct files, path) },
		{ "terminal", PARAM_BOOL, false, offsetof(struct files, terminal) },
		{ .kind = PARAM_END },
	};
	struct files p = { 0 };

	if (methods_params(q, table, &p))
		read_files(q, diff_work, p.terminal);
}

/* --- commit ---------------------------------------------------------------------- */

/* A file is not committed while it is being written. */
static bool something_runs(const struct session *s)
{
	for (uint32_t i = 0; i < s->call_count; i++) {
		const struct call *c = s->calls[i];

		if (c->state == CALL_STARTING || c->state == CALL_RUNNING ||
		    c->state == CALL_PAUSING || c->state == CALL_KILLING)
			return true;
	}
	return false;
}

static bool may_work(struct asked *q, struct session *s, bool frozen_is_enough)
{
	if (s->busy > 0) {
		server_park(q, s);
		return false;
	}
	if (something_runs(s) || (!frozen_is_enough && s->layer_users > 0)) {
		server_error(q, RPC_WRONG_STATE, "the session has running calls: %s",
			     frozen_is_enough ? "wait for their end, or pause them"
					      : "wait for their end");
		return false;
	}
	return true;
}

static int make_hunks(int base, int now, const uint32_t *hunks, uint32_t count, void *context,
		      int *ret_fd)
{
	const struct host *h = context;

	return differ_hunks(&h->differ, base, now, hunks, count, ret_fd);
}

static void commit_work(struct job *j)
{
	struct work *w = (struct work *)j;

	w->f.error =
		commit_run(w->f.warden, w->f.id, w->f.dir, &w->f.stack, &w->choice, &w->result);
}

/* The lowest layers are in the workspace now: the session goes on above it. */
static void forget_layers(struct host *h, struct session *s, uint32_t count)
{
	uint32_t numbers[SB_LAYERS_MAX];

	stack_numbers(&s->stack, numbers);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < s->stack.at[i].call_count; k++)
			if (s->stack.at[i].calls[k] > s->committed_call)
				s->committed_call = s->stack.at[i].calls[k];
	for (uint32_t i = 0; i < count; i++)
		stack_remove(&s->stack, 0);
	if (s->stack.count == 0)
		seen_forget_commits(s->dir);
	(void)session_save(s);
	host_drop_layers(h, s, numbers, count);
}

static void emit_commit(struct session *s, const struct work *w)
{
	struct text *t = session_begin(s, "commit");

	text_add(t, ",\"by\":");
	text_add_json(t, w->by, strlen(w->by));
	text_printf(t, ",\"verdict\":\"%s\",\"applied\":%u,\"refused\":%u,\"conflicts\":%u",
		    w->f.error == 0 ? "applied" : "nothing", w->result.applied, w->result.refused,
		    w->result.conflicts);
	if (w->f.error < 0 && w->result.why[0]) {
		text_add(t, ",\"why\":");
		text_add_json(t, w->result.why, strlen(w->result.why));
	}
	stream_end(s->stream);
	stream_flush(s->stream);
}

static void commit_then(struct host_files *f)
{
	struct work *w = (struct work *)f;
	struct session *s = f->session;

	text_printf(&w->text, "{\"session\":\"%s\",\"dry_run\":%s,\"committed\":%s,", f->id,
		    w->choice.is_dry_run ? "true" : "false",
		    f->error == 0 && !w->choice.is_dry_run ? "true" : "false");
	commit_add_json(&w->result, s->at, &w->text);
	text_add(&w->text, "}");
	if (!w->choice.is_dry_run)
		emit_commit(s, w);
	if (f->error == 0 && !w->choice.is_dry_run && w->result.is_whole && s->layer_users == 0)
		forget_layers(f->host, s, w->call > 0 ? 1 : s->stack.count);
	/* no is an answer: what was refused, and why, is in the result */
	if (f->error == 0 || f->error == -EPERM || w->result.conflicts > 0 || w->result.failed > 0)
		work_end(w, 0, NULL);
	else
		work_end(w,
			 f->error == -ENOENT  ? RPC_NOT_FOUND
			 : f->error == -EBUSY ? RPC_BUSY
			 : f->error == -ESTALE || f->error == -ERANGE || f->error == -ENOTSUP
				 ? RPC_CONFLICT
				 : RPC_INTERNAL,
			 w->result.why);
}

/* "FILE:N" */
static int read_hunk(char *word, struct commit_hunk *ret)
{
	char *colon = strrchr(word, ':');
	uint64_t n;

	if (!colon || colon == word || text_parse_count(colon + 1, 1, 1000000, &n) < 0)
		return -EINVAL;
	*colon = '\0';
	*ret = (struct commit_hunk){ word, (uint32_t)n };
	return 0;
}

static const char *fill_choice(struct work *w, const struct files *p, struct host *h,
			       const struct session *s)
{
	const cJSON *v;

	w->choice = (struct commit_choice){
		.policy = w->f.policy,
		.call = w->call,
		.with_protected = p->with_protected,
		.with_escapes = p->with_escapes,
		.is_forced = p->is_forced,
		.is_dry_run = p->dry_run,
		.make_hunks = make_hunks,
		.hunks_context = h,
	};
	cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(w->params, "paths")) {
		if (w->choice.path_count == COMMIT_WORDS_MAX)
			return "more than 256 paths";
		w->choice.paths[w->choice.path_count++] = relative(s, v->valuestring);
	}
	cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(w->params, "hunks")) {
		if (w->choice.hunk_count == COMMIT_WORDS_MAX)
			return "more than 256 hunks";
		if (read_hunk(v->valuestring, &w->choice.hunks[w->choice.hunk_count++]) < 0)
			return "a hunk is written FILE:N, like src/main.c:2";
		w->choice.hunks[w->choice.hunk_count - 1].path =
			relative(s, w->choice.hunks[w->choice.hunk_count - 1].path);
	}
	return NULL;
}

void method_commit(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct files, id) },
		{ "paths", PARAM_TEXTS, false, offsetof(struct files, paths) },
		{ "hunks", PARAM_TEXTS, false, offsetof(struct files, hunks) },
		{ "dry_run", PARAM_BOOL, false, offsetof(struct files, dry_run) },
		{ "protected", PARAM_BOOL, false, offsetof(struct files, with_protected) },
		{ "escaping_links", PARAM_BOOL, false, offsetof(struct files, with_escapes) },
		{ "force", PARAM_BOOL, false, offsetof(struct files, is_forced) },
		{ .kind = PARAM_END },
	};
	struct files p = { 0 };
	struct session *s;
	const char *wrong;
	struct work *w;
	struct call *c;
	uint32_t number;

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	if (q->role != VERB_OPERATOR && (s->policy->commit == POLICY_COMMIT_OPERATOR ||
					 p.with_protected || p.with_escapes || p.is_forced)) {
		server_error(q, RPC_NOT_PERMITTED,
			     "commit is an operator's here (files.commit of the policy); "
			     "\"protected\", \"escaping_links\" and \"force\" always are");
		return;
	}
	if (!may_work(q, s, true))
		return;
	w = work_new(q, number);
	if (!w)
		return;
	wrong = fill_choice(w, &p, q->host, s);
	if (wrong) {
		reply_error(w->reply, RPC_INVALID_PARAMS, wrong);
		work_free(w);
		free(w);
		return;
	}
	work_start(w, q->host, s, true, commit_work, commit_then);
}

void server_commit_auto(struct server *server, struct session *s)
{
	struct work *w = s->stack.count > 0 && s->busy == 0 ? calloc(1, sizeof(*w)) : NULL;

	(void)server;
	if (!w)
		return;
	w->by = strdup("auto");
	w->params = cJSON_CreateObject();
	if (!w->by || !w->params) {
		work_free(w);
		free(w);
		return;
	}
	work_start(w, s->host, s, true, commit_work, commit_then);
}

/* --- discard, rollback -------------------------------------------------------------- */

static void emit_dropped(struct asked *q, struct session *s, const char *kind, uint32_t layers,
			 uint32_t call)
{
	struct text *t = session_begin(s, kind);

	text_add(t, ",\"by\":");
	text_add_json(t, q->name, strlen(q->name));
	text_printf(t, ",\"layers\":%u", layers);
	if (call > 0)
		text_printf(t, ",\"to_call\":%u", call);
	stream_end(s->stream);
	stream_flush(s->stream);
}

/* Drops the layers from `index` on. */
static void drop_from(struct asked *q, struct session *s, uint32_t index, const char *kind,
		      uint32_t call)
{
	uint32_t numbers[SB_LAYERS_MAX];
	uint32_t count = s->stack.count - index;
	char text[128];

	stack_numbers(&s->stack, numbers);
	while (s->stack.count > index)
		stack_pop(&s->stack);
	(void)session_save(s);
	session_forget_files(s);
	emit_dropped(q, s, kind, count, call);
	host_drop_layers(q->host, s, numbers + index, count);
	(void)snprintf(text, sizeof(text), "{\"session\":\"%s\",\"dropped_layers\":%u}", s->id,
		       count);
	server_result(q, text);
}

static bool find_session(struct asked *q, struct session **s, uint32_t *number)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct files, id) },
		{ .kind = PARAM_END },
	};
	struct files p = { 0 };
	struct call *c;

	return methods_params(q, table, &p) && server_find(q, "id", s, &c, number) &&
	       may_work(q, *s, false);
}

void method_discard(struct asked *q)
{
	struct session *s;
	uint32_t number;

	if (!find_session(q, &s, &number))
		return;
	if (number > 0)
		server_error(q, RPC_INVALID_PARAMS,
			     "discard drops all of a session; undo drops one call");
	else
		drop_from(q, s, 0, "discard", 0);
}

void method_rollback(struct asked *q)
{
	struct session *s;
	uint32_t number, index = 0;

	if (!find_session(q, &s, &number))
		return;
	if (number == 0) {
		server_error(q, RPC_INVALID_PARAMS,
			     "name the call whose state shall come back, like s-4f7k2m9q1c.3");
		return;
	}
	if (number < s->committed_call) {
		server_error(q, RPC_CONFLICT, "call %u is committed: what is before it is gone",
			     s->committed_call);
		return;
	}
	for (; index < s->stack.count; index++) {
		const struct stack_layer *l = &s->stack.at[index];
		AUTO_TEXT calls = { 0 };

		if (l->calls[0] > number)
			break;
		if (l->calls[l->call_count - 1] <= number)
			continue;
		stack_add_calls(l, &calls);
		server_error(q, RPC_CONFLICT,
			     "calls %s share one layer: it stays or goes as a whole", calls.at);
		return;
	}
	drop_from(q, s, index, "rollback", number);
}

/* --- undo ------------------------------------------------------------------------------ */

static bool is_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Whether `later` touches what `mine` has changed, or lies in a directory it made. */
static bool depends(const struct change *mine, const struct change *later)
{
	const char *a[] = { mine->path, mine->from };
	const char *b[] = { later->path, later->from };

	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++)
			if (a[i] && b[k] &&
			    (strcmp(a[i], b[k]) == 0 || is_in(b[k], a[i]) || is_in(a[i], b[k])))
				return true;
	return false;
}

static int compare_layers(struct work *w, const struct changes *mine, uint32_t index)
{
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of = {
		.policy = w->f.policy,
		.warden = w->f.warden,
		.session = w->f.id,
		.layers = numbers,
		.count = index + 1,
		.first = index,
	};
	struct changes later = { 0 };
	bool hit = false;
	int r;

	stack_numbers(&w->f.stack, numbers);
	r = changes_read(&of, &later);
	for (size_t i = 0; r == 0 && i < mine->count && !hit; i++)
		for (size_t k = 0; k < later.count && !hit; k++)
			if (depends(&mine->at[i], &later.at[k])) {
				hit = true;
				text_printf(&w->text, "%scall ", w->text.len ? "; " : "");
				stack_add_calls(&w->f.stack.at[index], &w->text);
				text_add(&w->text, " (");
				text_add_safe(&w->text, later.at[k].path, strlen(later.at[k].path));
				text_add(&w->text, ")");
			}
	changes_done(&later);
	return r;
}

static void undo_work(struct job *j)
{
	struct work *w = (struct work *)j;
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes mine = { 0 };
	struct changes_of of;

	if (!choose_layers(w, numbers, &of)) {
		w->f.error = -ENOENT;
		return;
	}
	w->index = of.first;
	w->f.error = changes_read(&of, &mine);
	for (uint32_t i = w->index + 1; w->f.error == 0 && i < w->f.stack.count; i++)
		w->f.error = compare_layers(w, &mine, i);
	changes_done(&mine);
}

static void undo_then(struct host_files *f)
{
	struct work *w = (struct work *)f;
	struct session *s = f->session;
	uint32_t number;
	struct text *t;

	if (f->error < 0) {
		read_then(f);
		return;
	}
	if (w->text.len > 0) {
		AUTO_TEXT why = { 0 };

		text_printf(&why, "later calls depend on it: %s", w->text.at);
		work_end(w, RPC_CONFLICT, why.at);
		return;
	}
	number = s->stack.at[w->index].number;
	stack_remove(&s->stack, w->index);
	(void)session_save(s);
	session_forget_files(s);
	t = session_begin(s, "undo");
	text_add(t, ",\"by\":");
	text_add_json(t, w->by, strlen(w->by));
	text_printf(t, ",\"undone_call\":%u", w->call);
	stream_end(s->stream);
	stream_flush(s->stream);
	host_drop_layers(f->host, s, &number, 1);
	text_printf(&w->text, "{\"session\":\"%s\",\"undone_call\":%u}", s->id, w->call);
	work_end(w, 0, NULL);
}

void method_undo(struct asked *q)
{
	struct session *s;
	struct work *w;
	uint32_t number;
	int index;

	if (!find_session(q, &s, &number))
		return;
	index = number > 0 ? stack_find_call(&s->stack, number) : -1;
	if (index < 0) {
		server_error(q, number ? RPC_NOT_FOUND : RPC_INVALID_PARAMS, "%s",
			     number ? "the call changed nothing that could be undone"
				    : "name a call, like s-4f7k2m9q1c.3");
		return;
	}
	if (s->stack.at[index].call_count > 1) {
		AUTO_TEXT calls = { 0 };

		stack_add_calls(&s->stack.at[index], &calls);
		server_error(q, RPC_CONFLICT,
			     "calls %s share one layer: it stays or goes as a whole", calls.at);
		return;
	}
	w = work_new(q, number);
	if (w)
		work_start(w, q->host, s, true, undo_work, undo_then);
}
