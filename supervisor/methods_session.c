// SPDX-License-Identifier: Apache-2.0
/* supervisor/methods_session.c - sessions and their streams. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/command.h"
#include "supervisor/feed.h"
#include "supervisor/methods.h"

/* Labels are the agent's own, and carried along: they stay small. */
#define LABELS_MAX 4096

static const struct param none[] = { { .kind = PARAM_END } };

void method_info(struct asked *q)
{
	AUTO_TEXT t = { 0 };
	size_t calls = 0;

	if (!methods_params(q, none, NULL))
		return;
	for (size_t i = 0; i < q->host->count; i++)
		calls += q->host->sessions[i]->call_count;
	text_printf(&t,
		    "{\"schema\":1,\"version\":\"" GLOVEBOX_VERSION "\",\"role\":\"%s\",\"uid\":%u",
		    q->role == VERB_OPERATOR ? "operator" : "agent", q->uid);
	text_add(&t, ",\"instance\":");
	text_add_json(&t, q->host->instance, strlen(q->host->instance));
	text_printf(&t, ",\"daemon\":%s,\"watched\":%s", q->host->is_one_session ? "false" : "true",
		    q->host->monitor ? "true" : "false");
	if (!q->host->monitor) {
		text_add(&t, ",\"unwatched_because\":");
		text_add_json(&t, q->host->unwatched_why, strlen(q->host->unwatched_why));
	}
	if (q->role == VERB_OPERATOR)
		text_printf(&t, ",\"sessions\":%zu,\"calls\":%zu", q->host->count, calls);
	text_add(&t, "}");
	server_result(q, t.at);
}

static void add_session(struct text *t, const struct session *s)
{
	text_printf(t, "{\"session\":\"%s\",\"state\":\"%s\",\"workspace\":", s->id,
		    session_state_names[s->state]);
	text_add_json(t, s->workspace, strlen(s->workspace));
	text_add(t, ",\"at\":");
	text_add_json(t, s->at, strlen(s->at));
	text_add(t, ",\"created\":\"");
	text_add_time(t, s->created_ns);
	text_printf(t, "\",\"owner\":%u,\"calls\":%u,\"living\":%u,\"layers\":%u,\"paused\":%s",
		    s->owner, s->next_call - 1, s->call_count, s->stack.count,
		    s->is_paused ? "true" : "false");
	if (s->labels) {
		text_add(t, ",\"labels\":");
		text_add(t, s->labels);
	}
	text_add(t, "}");
}

static void add_details(struct text *t, const struct session *s)
{
	uint64_t from = s->past_count > SESSION_PAST ? s->past_count - SESSION_PAST : 0;

	t->len--; /* its brace: more members follow */
	if (s->state == SESSION_OPEN) {
		text_add(t, ",\"protection\":");
		session_add_protection(s, s->monitor != NULL, t);
	}
	text_printf(t, ",\"workspace_policy\":\"%s\",\"policy\":", s->workspace_policy);
	policy_add_json(s->policy, t);
	text_add(t, ",\"stack\":[");
	for (uint32_t i = 0; i < s->stack.count; i++) {
		text_printf(t, "%s{\"layer\":%u,\"calls\":[", i ? "," : "", s->stack.at[i].number);
		for (uint32_t j = 0; j < s->stack.at[i].call_count; j++)
			text_printf(t, "%s%u", j ? "," : "", s->stack.at[i].calls[j]);
		text_add(t, "]}");
	}
	text_add(t, "],\"living_calls\":[");
	for (uint32_t i = 0; i < s->call_count; i++) {
		text_add(t, i ? "," : "");
		methods_add_call(t, s->calls[i]);
	}
	text_add(t, "],\"past_calls\":[");
	for (uint64_t i = from; i < s->past_count; i++) {
		const struct session_past *p = &s->past[i % SESSION_PAST];

		text_printf(t, "%s{\"id\":\"%s.%u\",\"outcome\":\"%s\",\"duration_ns\":%llu",
			    i > from ? "," : "", s->id, p->number, call_outcome_names[p->outcome],
			    (unsigned long long)p->duration_ns);
		text_add(t, ",\"started\":\"");
		text_add_time(t, p->started_real_ns);
		text_add(t, "\",\"what\":");
		text_add_json(t, p->what, strlen(p->what));
		text_add(t, "}");
	}
	text_add(t, "]}");
}

/* --- create ---------------------------------------------------------------- */

static void on_opened(struct session *s, int error, const char *why, void *context)
{
	struct reply *r = context;
	AUTO_TEXT t = { 0 };

	if (error < 0) {
		reply_error(r,
			    error == -EACCES || error == -EPERM ? RPC_NOT_PERMITTED : RPC_INTERNAL,
			    why);
		return;
	}
	add_session(&t, s);
	add_details(&t, s);
	reply_result(r, t.at);
}

struct create {
	const char *workspace, *at, *policy, *key;
	const cJSON *inline_policy, *limits, *labels;
	bool root;
};

/* The label that a session was asked for by. */
static bool has_key(const struct session *s, const char *key)
{
	cJSON *labels = s->labels ? cJSON_Parse(s->labels) : NULL;
	const char *is = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, "key"));
	bool same = is && strcmp(is, key) == 0;

	cJSON_Delete(labels);
	return same;
}

/* A directory of a workspace means its session, too: agents change theirs. */
static bool is_within(const char *path, const char *workspace)
{
	size_t n = strlen(workspace);

	return strncmp(path, workspace, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The same words, from whichever program of an agent they come, mean one session. */
static bool answer_by_key(struct asked *q, const struct create *p)
{
	for (size_t i = 0; p->key && i < q->host->count; i++) {
		const struct session *s = q->host->sessions[i];
		AUTO_TEXT t = { 0 };

		if (s->owner != q->uid || s->state == SESSION_CLOSED || s->is_going ||
		    !is_within(p->workspace, s->workspace) || !has_key(s, p->key))
			continue;
		if (s->is_hidden) {
			server_error(q, RPC_BUSY, "the session is just being opened; try again");
			return true;
		}
		add_session(&t, s);
		add_details(&t, s);
		server_result(q, t.at);
		return true;
	}
	return false;
}

static cJSON *make_labels(const struct create *p)
{
	cJSON *labels = p->labels ? cJSON_Duplicate(p->labels, true) : cJSON_CreateObject();

	if (labels && p->key) {
		cJSON_DeleteItemFromObjectCaseSensitive(labels, "key");
		cJSON_AddStringToObject(labels, "key", p->key);
	}
	return labels;
}

static bool labels_are_short(const cJSON *labels)
{
	char *text = cJSON_PrintUnformatted(labels);
	bool is_short = text && strlen(text) <= LABELS_MAX;

	cJSON_free(text);
	return is_short;
}

void method_session_create(struct asked *q)
{
	static const struct param table[] = {
		{ "workspace", PARAM_TEXT, true, offsetof(struct create, workspace) },
		{ "at", PARAM_TEXT, false, offsetof(struct create, at) },
		{ "policy", PARAM_TEXT, false, offsetof(struct create, policy) },
		{ "policy_json", PARAM_OBJECT, false, offsetof(struct create, inline_policy) },
		{ "limits", PARAM_OBJECT, false, offsetof(struct create, limits) },
		{ "labels", PARAM_OBJECT, false, offsetof(struct create, labels) },
		{ "key", PARAM_TEXT, false, offsetof(struct create, key) },
		{ "root", PARAM_BOOL, false, offsetof(struct create, root) },
		{ .kind = PARAM_END },
	};
	struct create p = { 0 };
	struct host_plan plan;
	cJSON *labels;
	AUTO_TEXT why = { 0 };
	struct reply *reply;
	int r;

	if (!methods_params(q, table, &p))
		return;
	if (q->host->is_one_session) {
		server_error(q, RPC_WRONG_STATE,
			     "this supervisor has one session; start `glovebox daemon`");
		return;
	}
	if (p.inline_policy && q->role != VERB_OPERATOR) {
		server_error(q, RPC_NOT_PERMITTED,
			     "an agent may name a policy of the daemon, and not bring its own");
		return;
	}
	if (answer_by_key(q, &p))
		return;
	labels = make_labels(&p);
	if (!labels || !labels_are_short(labels)) {
		cJSON_Delete(labels);
		server_error(q, RPC_INVALID_PARAMS, "\"labels\" are longer than %d bytes",
			     LABELS_MAX);
		return;
	}
	plan = (struct host_plan){
		.workspace = p.workspace,
		.at = p.at,
		.policy = p.policy,
		.inline_policy = p.inline_policy,
		.limits = p.limits,
		.labels = p.labels || p.key ? labels : NULL,
		.as_root = p.root,
		.is_operator = q->role == VERB_OPERATOR,
		.owner = q->uid,
	};
	reply = server_defer(q);
	r = reply ? host_create(q->host, &plan, on_opened, reply, &why) : 0;
	cJSON_Delete(labels);
	if (r < 0)
		reply_error(reply,
			    r == -EINVAL                  ? RPC_INVALID_PARAMS
			    : r == -EPERM || r == -EACCES ? RPC_NOT_PERMITTED
			    : r == -EUSERS                ? RPC_BUSY
							  : RPC_INTERNAL,
			    why.at ? why.at : strerror(-r));
}

void method_session_list(struct asked *q)
{
	AUTO_TEXT t = { 0 };
	bool first = true;

	if (!methods_params(q, none, NULL))
		return;
	text_add(&t, "{\"schema\":1,\"sessions\":[");
	for (size_t i = 0; i < q->host->count; i++) {
		if (!server_may_see(q, q->host->sessions[i]))
			continue;
		text_add(&t, first ? "" : ",");
		add_session(&t, q->host->sessions[i]);
		first = false;
	}
	text_add(&t, "]}");
	server_result(q, t.at);
}

struct named {
	const char *id;
	bool remove;
};

void method_session_show(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct named, id) },
		{ .kind = PARAM_END },
	};
	struct named p = { 0 };
	struct session *s;
	struct call *c;
	uint32_t number;
	AUTO_TEXT t = { 0 };

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	add_session(&t, s);
	add_details(&t, s);
	server_result(q, t.at);
}

static void on_gone(int error, void *context)
{
	if (error < 0)
		reply_error(context, RPC_INTERNAL, "its files could not be removed");
	else
		reply_result(context, "{\"state\":\"removed\"}");
}

void method_session_close(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct named, id) },
		{ "remove", PARAM_BOOL, false, offsetof(struct named, remove) },
		{ .kind = PARAM_END },
	};
	struct named p = { 0 };
	struct session *s;
	struct call *c;
	uint32_t number;
	AUTO_TEXT t = { 0 };
	int r;

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	if (q->host->is_one_session) {
		server_error(q, RPC_WRONG_STATE, "this session ends with its `glovebox run`");
		return;
	}
	/* what waits to be committed is not the agent's to throw away; of the layer that
	 * living calls write it is not known yet */
	if (p.remove && q->role != VERB_OPERATOR &&
	    s->stack.count > (s->call_count > 0 && s->layer_users > 0 ? 1u : 0u)) {
		server_error(q, RPC_NOT_PERMITTED,
			     "the session holds changes: only an operator may remove it");
		return;
	}
	if (s->is_going) {
		server_error(q, RPC_WRONG_STATE, "the session is being removed");
		return;
	}
	/* "closed" means that everything has ended: served again then. Until then the keeper
	 * is needed, who knows whether they have written anything */
	if (s->call_count > 0 && s->keeper >= 0) {
		for (uint32_t i = s->call_count; i > 0; i--)
			if (call_is_living(s->calls[i - 1]))
				(void)call_kill(s->calls[i - 1], q->name, "its session is closed",
						NULL, NULL);
		server_park(q, s);
		return;
	}
	r = host_close(q->host, s, q->name);
	if (r == -EBUSY) {
		server_error(q, RPC_BUSY, "the session is just being opened; try again");
		return;
	}
	if (p.remove) {
		struct reply *reply = server_defer(q);

		if (reply)
			host_remove(q->host, s, on_gone, reply);
		return;
	}
	text_printf(&t, "{\"session\":\"%s\",\"state\":\"closed\"}", s->id);
	if (r < 0)
		server_error(q, RPC_INTERNAL, "it is closed, but not cleanly: %s", strerror(-r));
	else
		server_result(q, t.at);
}

/* --- streams --------------------------------------------------------------- */

struct subscribe {
	const char *session;
	const cJSON *calls, *kinds, *paths;
	uint64_t from_seq;
	uint64_t subscription;
};

static int read_filter(const struct subscribe *p, struct feed_filter *f)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, p->calls) {
		if (f->call_count == FEED_FILTERS_MAX)
			return -E2BIG;
		f->calls[f->call_count++] = (uint32_t)v->valuedouble;
	}
	cJSON_ArrayForEach (v, p->kinds) {
		if (f->kind_count == FEED_FILTERS_MAX)
			return -E2BIG;
		f->kinds[f->kind_count++] = v->valuestring;
	}
	cJSON_ArrayForEach (v, p->paths) {
		if (f->path_count == FEED_FILTERS_MAX)
			return -E2BIG;
		f->paths[f->path_count++] = v->valuestring;
	}
	return 0;
}

void method_subscribe(struct asked *q)
{
	static const struct param table[] = {
		{ "session", PARAM_TEXT, true, offsetof(struct subscribe, session) },
		{ "calls", PARAM_COUNTS, false, offsetof(struct subscribe, calls) },
		{ "kinds", PARAM_TEXTS, false, offsetof(struct subscribe, kinds) },
		{ "paths", PARAM_TEXTS, false, offsetof(struct subscribe, paths) },
		{ "from_seq", PARAM_COUNT, false, offsetof(struct subscribe, from_seq) },
		{ .kind = PARAM_END },
	};
	struct subscribe p = { 0 };
	struct feed_filter filter = { 0 };
	struct session *s;
	struct call *c;
	uint32_t number, subscription;
	char text[96];
	int r;

	if (!methods_params(q, table, &p) || !server_find(q, "session", &s, &c, &number))
		return;
	r = read_filter(&p, &filter);
	if (r == 0 && number > 0 && filter.call_count < FEED_FILTERS_MAX)
		filter.calls[filter.call_count++] = number;
	if (r == 0)
		r = feed_add(q->from, s, &filter, p.from_seq, &subscription);
	if (r < 0) {
		server_error(q, r == -E2BIG ? RPC_INVALID_PARAMS : RPC_BUSY, "%s",
			     r == -E2BIG      ? "a filter has more than 32 entries"
			     : r == -EUSERS   ? "this connection has too many subscriptions"
			     : r == -ENOTCONN ? "this session has no log"
					      : strerror(-r));
		return;
	}
	(void)snprintf(text, sizeof(text),
		       "{\"subscription\":%u,\"session\":\"%s\",\"next_seq\":%llu}", subscription,
		       s->id, (unsigned long long)(p.from_seq ? p.from_seq : s->stream->seq + 1));
	server_result(q, text);
	feed_pump_all(q->from, *connection_feeds(q->from));
}

void method_unsubscribe(struct asked *q)
{
	static const struct param table[] = {
		{ "subscription", PARAM_COUNT, true, offsetof(struct subscribe, subscription) },
		{ .kind = PARAM_END },
	};
	struct subscribe p = { 0 };

	if (!methods_params(q, table, &p))
		return;
	if (feed_remove(connection_feeds(q->from), (uint32_t)p.subscription) < 0)
		server_error(q, RPC_NOT_FOUND, "there is no such subscription on this connection");
	else
		server_result(q, "{}");
}

/* Of the log, for somebody who looks once. */
#define RECENT_MAX (128u << 10)

static void add_lines(char *lines, uint32_t call, struct text *out)
{
	AUTO_TEXT wanted = { 0 };
	char *nl;

	text_printf(&wanted, ",\"call\":%u,", call);
	for (char *p = lines; (nl = strchr(p, '\n')); p = nl + 1) {
		*nl = '\0';
		if (call > 0 && !strstr(p, wanted.at))
			continue;
		text_add(out, p);
		text_add(out, "\n");
	}
}

void method_recent(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct subscribe, session) },
		{ .kind = PARAM_END },
	};
	struct subscribe p = { 0 };
	AUTO_MEM char *buf = NULL;
	AUTO_TEXT lines = { 0 };
	AUTO_TEXT t = { 0 };
	struct session *s;
	struct call *c;
	uint32_t number;
	AUTO_FD fd = -1;
	off_t size, from;
	ssize_t n;

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	fd = openat(s->dir, "events/1.jsonl", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
	from = size > (off_t)RECENT_MAX ? size - (off_t)RECENT_MAX : 0;
	buf = calloc(1, RECENT_MAX + 1);
	n = size >= 0 && buf ? pread(fd, buf, RECENT_MAX, from) : -1;
	if (n < 0) {
		server_error(q, RPC_NOT_FOUND, "this session has no log");
		return;
	}
	/* the first line may be cut */
	add_lines(from > 0 && strchr(buf, '\n') ? strchr(buf, '\n') + 1 : buf, number, &lines);
	text_printf(&t, "{\"session\":\"%s\",\"lines\":", s->id);
	text_add_json(&t, lines.at ? lines.at : "", lines.len);
	text_add(&t, "}");
	server_result(q, t.at);
}
