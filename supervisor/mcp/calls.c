// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/calls.c - tools/call and tasks: calls of a supervisor's sessions.
 *
 *	tools/call -> a session is open -> call.start -> call.wait -> answer
 *
 * The wait is bounded: clients give up after some minutes, so a call that runs longer
 * is answered with its id, and `wait` goes on with it; a client that knows tasks gets
 * a task. What the client cancels is ended with every process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/mcp/calls_inner.h"
#include "supervisor/rpc.h"

#define PAGE 50 /* tools in one page */
#define TEXT_DEFAULT 30000
/* Output is told as progress at most so often. */
#define OUTPUT_TOLD_NS 250000000ull
#define OUTPUT_TOLD_MAX 200 /* bytes of it */
#define NOTE "[operator note"
#define DEFAULT_KEY "default"
#define HTTP_KEY "http "

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *get_text(const cJSON *json, const char *key)
{
	return cJSON_GetStringValue(get(json, key));
}

static void add_member(struct text *t, const char *key, const char *value)
{
	text_printf(t, "%s\"%s\":", t->len ? "," : "", key);
	text_add_json(t, value, strlen(value));
}

static void add_json(struct text *t, const cJSON *v)
{
	char *s = v ? cJSON_PrintUnformatted(v) : NULL;

	text_add(t, s ? s : "null");
	cJSON_free(s);
}

/* False: the request was answered. */
static bool need_link(struct mcp_request *q)
{
	AUTO_TEXT why = { 0 };

	if (q->peer->mcp->link || q->peer->mcp->connect(q->peer->mcp, &why) == 0)
		return true;
	mcp_error(q, 0, MCP_INTERNAL, why.at ? why.at : "no supervisor", NULL);
	return false;
}

void call_forget(struct mcp_call *c)
{
	for (struct mcp_call **p = &c->session->calls; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	link_forget(c->session->mcp->link, c->ask);
	free(c);
}

/* --- tools/list ----------------------------------------------------------------- */

static void add_tool(const cJSON *tool, bool is_structured, struct text *t)
{
	static const char *const members[] = { "name",        "title",        "description",
					       "inputSchema", "outputSchema", "annotations" };

	text_add(t, "{");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (!get(tool, members[i]) ||
		    (!is_structured && strcmp(members[i], "outputSchema") == 0))
			continue;
		text_printf(t, "%s\"%s\":", i ? "," : "", members[i]);
		add_json(t, get(tool, members[i]));
	}
	text_add(t, "},");
}

void mcp_tools_list(struct mcp_request *q)
{
	const char *cursor = get_text(q->params, "cursor");
	uint64_t from = 0;
	AUTO_TEXT t = { 0 };
	const cJSON *tool;
	uint64_t n = 0;

	if (get(q->params, "cursor") &&
	    (!cursor || cursor[0] != 'o' || text_parse_count(cursor + 1, 1, 100000, &from) < 0)) {
		mcp_error(q, 0, MCP_INVALID_PARAMS, "the cursor is not one of ours", NULL);
		return;
	}
	text_add(&t, "\"tools\":[");
	if (mcp_fixtures && from == 0)
		text_add(&t, mcp_fixtures->tools);
	else if (!mcp_fixtures && !need_link(q))
		return;
	cJSON_ArrayForEach (tool, q->peer->mcp->tools)
		if (n++ >= from && n <= from + PAGE)
			add_tool(tool, !mcp_client_prefers_structure(q), &t);
	if (t.at && t.at[t.len - 1] == ',')
		t.len--;
	text_add_n(&t, "]", 1);
	if (n > from + PAGE)
		text_printf(&t, ",\"nextCursor\":\"o%llu\"", (unsigned long long)from + PAGE);
	if (q->is_modern)
		text_add(&t, ",\"ttlMs\":300000,\"cacheScope\":\"private\"");
	mcp_result(q, t.at);
}

/* --- answers ----------------------------------------------------------------------- */

static void add_text_block(struct text *t, const char *text)
{
	text_add(t, "{\"type\":\"text\",\"text\":");
	text_add_json(t, text, strlen(text));
	text_add(t, "}");
}

static void add_steers(struct text *t, const cJSON *steers)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, steers) {
		AUTO_TEXT note = { 0 };

		text_printf(&note, NOTE " from %s] %s", get_text(v, "by"), get_text(v, "text"));
		text_add(t, ",{\"type\":\"text\",\"text\":");
		text_add_json(t, note.at, note.len);
		text_add(t, ",\"annotations\":{\"audience\":[\"assistant\"],\"priority\":1}}");
	}
}

/* Members of a CallToolResult, from what the supervisor says. */
void call_make_result(const struct mcp_request *q, const struct mcp_call *c, const cJSON *result,
		      struct text *t)
{
	const char *text = get_text(result, "text");
	const cJSON *structured = get(result, "structured");
	const cJSON *changes = get(structured, "change_count");

	text_add(t, "\"content\":[");
	add_text_block(t, text ? text : "");
	add_steers(t, get(result, "steer"));
	if (cJSON_IsNumber(changes) && changes->valuedouble > 0 && c->id[0])
		text_printf(t,
			    ",{\"type\":\"resource_link\",\"uri\":\"glovebox://%s/diff\",\"name\":"
			    "\"diff\",\"mimeType\":\"text/x-diff\"}",
			    c->id);
	text_add(t, mcp_client_prefers_structure(q) ? "],\"_meta\":{\"glovebox/result\":"
						    : "],\"structuredContent\":");
	add_json(t, structured);
	text_add(t, mcp_client_prefers_structure(q) ? "}" : "");
	text_printf(t, ",\"isError\":%s", cJSON_IsTrue(get(result, "is_error")) ? "true" : "false");
}

static void finish(struct mcp_call *c, const cJSON *result)
{
	struct mcp_request *q = c->q;
	AUTO_TEXT t = { 0 };

	call_make_result(q, c, result, &t);
	c->q = NULL;
	call_forget(c);
	mcp_result(q, t.at);
}

/* A refusal of the supervisor is something the model can act upon. */
static void finish_error(struct mcp_call *c, const char *error)
{
	struct mcp_request *q = c->q;
	AUTO_TEXT t = { 0 };

	text_add(&t, "\"content\":[");
	add_text_block(&t, error);
	text_add(&t, "],\"isError\":true");
	c->q = NULL;
	call_forget(c);
	mcp_result(q, t.at);
}

/* --- a call -------------------------------------------------------------------------- */

static void on_waited(void *context, const cJSON *result, int code, const char *error)
{
	struct mcp_call *c = context;
	const char *state = get_text(get(result, "structured"), "state");

	(void)code;
	c->ask = 0;
	if (!result)
		finish_error(c, error);
	else if (mcp_client_has_tasks(c->q) && state && strcmp(state, "done") != 0)
		task_answer(c, state);
	else
		finish(c, result);
}

static void wait_for(struct mcp_call *c)
{
	const struct mcp_options *o = &c->session->mcp->options;
	AUTO_TEXT params = { 0 };

	add_member(&params, "id", c->id);
	text_printf(&params, ",\"text\":%u,\"timeout_ms\":%llu", c->text,
		    (unsigned long long)(mcp_client_has_tasks(c->q) ? o->task_ms : o->hold_ms));
	c->ask = link_ask(c->session->mcp->link, "call.wait", params.at, on_waited, c);
}

/* --- the client's user as one more who may approve -------------------------------------- */

#define FORM                                                                                          \
	"\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"decision\":{\"type\":\"string\"," \
	"\"enum\":[\"approve\",\"deny\"],\"default\":\"deny\"},\"note\":{\"type\":\"string\"}},"      \
	"\"required\":[\"decision\"]}"

/* Only what a person has clearly said counts: clients without one answer "cancel" or
 * "decline" by themselves, and then it goes on waiting for an operator. */
static void decide(struct mcp_call *c, const cJSON *answer)
{
	const cJSON *content = get(answer, "content");
	const char *action = get_text(answer, "action"), *decision = get_text(content, "decision");
	const char *note = get_text(content, "note");
	bool is_yes = decision && strcmp(decision, "approve") == 0;
	AUTO_TEXT why = { 0 };

	if (!action || strcmp(action, "accept") != 0 || !decision ||
	    (!is_yes && strcmp(decision, "deny") != 0))
		return;
	if (c->session->mcp->decide(c->id, c->digest, is_yes, note ? note : "", &why) < 0 && c->q)
		mcp_log(c->q, "warning", "approval", "\"the decision came too late\"");
}

static void on_user(struct mcp_request *q, const cJSON *result)
{
	decide(q->context, result);
}

static void make_question(const struct mcp_call *c, struct text *t)
{
	char *given = cJSON_PrintUnformatted(get(c->q->params, "arguments"));
	AUTO_TEXT message = { 0 };

	text_printf(&message, "Allow %s %.600s?", get_text(c->q->params, "name"),
		    given ? given : "{}");
	text_add(t, "\"mode\":\"form\",\"message\":");
	text_add_json(t, message.at, message.len);
	text_add(t, "," FORM);
	cJSON_free(given);
}

/* True: the request was answered with the question. */
static bool ask_user(struct mcp_call *c)
{
	struct mcp_request *q = c->q;
	AUTO_TEXT question = { 0 };
	AUTO_TEXT t = { 0 };

	if (!c->session->mcp->decide || !c->digest[0] || !mcp_client_has(q, "elicitation"))
		return false;
	make_question(c, &question);
	if (!q->is_modern) {
		q->on_answer = on_user;
		mcp_ask(q, "elicitation/create", question.at);
		return false;
	}
	c->q = NULL;
	c->is_asked = true;
	text_printf(&t,
		    "\"resultType\":\"input_required\",\"inputRequests\":{\"approve\":{\"method\":"
		    "\"elicitation/create\",\"params\":{%s}}},\"requestState\":\"",
		    question.at);
	mcp_add_state(q->peer->mcp, c->id, &t);
	text_add(&t, "\"");
	mcp_result(q, t.at);
	return true;
}

static void ignore(void *context, const cJSON *result, int code, const char *error)
{
	(void)context;
	(void)result;
	(void)code;
	(void)error;
}

void call_end(struct mcp *m, const char *id, const char *why)
{
	AUTO_TEXT params = { 0 };

	add_member(&params, "id", id);
	add_member(&params, "reason", why);
	(void)link_ask(m->link, "call.cancel", params.at, ignore, NULL);
}

static void on_started(void *context, const cJSON *result, int code, const char *error)
{
	struct mcp_call *c = context;
	const char *id = get_text(result, "id");

	c->ask = 0;
	if (id)
		(void)snprintf(c->id, sizeof(c->id), "%s", id);
	if (!c->q) { /* cancelled meanwhile */
		if (id)
			call_end(c->session->mcp, id, "cancelled by the client");
		call_forget(c);
	} else if (!result && code == RPC_NOT_FOUND && c->session->id[0]) {
		finish_error(c, error);
	} else if (!result) {
		finish_error(c, error);
	} else if (get_text(result, "text")) {
		finish(c, result);
	} else {
		const char *state = get_text(result, "state");

		if (state && strcmp(state, "held") == 0) {
			const char *digest = get_text(result, "digest");

			(void)snprintf(c->digest, sizeof(c->digest), "%s", digest ? digest : "");
			mcp_progress(c->q, "waiting for a person's approval");
			if (ask_user(c))
				return;
		}
		wait_for(c);
	}
}

/* What the client calls it: the id its own transcript has. */
static const char *agent_call_id(const struct mcp_request *q)
{
	static const char *const keys[] = { "claudecode/toolUseId", "callId", "tool_use_id",
					    "traceparent" };
	const char *found = NULL;

	for (size_t i = 0; !found && i < ARRAY_SIZE(keys); i++)
		found = get_text(q->meta, keys[i]);
	return found && strlen(found) <= 200 ? found : NULL;
}

static void start_call(struct mcp_call *c)
{
	const struct mcp_request *q = c->q;
	const char *agent_id = agent_call_id(q);
	const char *step = get_text(get(q->params, "arguments"), "description");
	AUTO_TEXT params = { 0 };

	add_member(&params, "session", c->session->id);
	add_member(&params, "tool", get_text(q->params, "name"));
	text_add(&params, ",\"input\":");
	if (get(q->params, "arguments"))
		add_json(&params, get(q->params, "arguments"));
	else
		text_add(&params, "{}");
	if (agent_id)
		add_member(&params, "agent_call_id", agent_id);
	if (step && strlen(step) <= 1000)
		add_member(&params, "step", step);
	if (params.len > RPC_LINE_MAX - 256) {
		finish_error(c, "the input is longer than 1 MiB: write it in parts");
		return;
	}
	c->ask = link_ask(c->session->mcp->link, "call.start", params.at, on_started, c);
}

static void on_cancel(struct mcp_request *q)
{
	struct mcp_call *c = q->context;

	c->q = NULL;
	if (c->id[0])
		call_end(c->session->mcp, c->id, "cancelled by the client");
	if (c->id[0] || c->ask == 0)
		call_forget(c);
	/* else on_started() ends it */
}

/* --- sessions --------------------------------------------------------------------------- */

static void fail_session(struct mcp_session *s, const char *error)
{
	while (s->calls)
		finish_error(s->calls, error);
	for (struct mcp_session **p = &s->mcp->sessions; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	free(s);
}

static void on_session(void *context, const cJSON *result, int code, const char *error)
{
	struct mcp_session *s = context;
	const char *id = get_text(result, "session");
	AUTO_TEXT params = { 0 };

	(void)code;
	if (!id) {
		fail_session(s, error);
		return;
	}
	(void)snprintf(s->id, sizeof(s->id), "%s", id);
	add_member(&params, "session", id);
	text_add(&params,
		 ",\"kinds\":[\"call.*\",\"answer\",\"denied\",\"steer\",\"change\",\"commit\","
		 "\"discard\",\"rollback\",\"undo\"]");
	(void)link_ask(s->mcp->link, "events.subscribe", params.at, ignore, NULL);
	for (struct mcp_call *c = s->calls; c; c = c->next)
		if (c->q && c->ask == 0)
			start_call(c);
	mcp_tell(s->mcp, "resources", NULL);
}

/* One for each conversation of the client, as far as it says which: by itself, by the
 * session of HTTP, or by what its agent has put into our environment. */
static void session_key(const struct mcp_request *q, char key[KEY_MAX])
{
	static const char *const variables[] = { "GLOVEBOX_SESSION", "CLAUDE_CODE_SESSION_ID",
						 "CODEX_THREAD_ID" };
	const char *named = get_text(q->meta, "glovebox/session");

	if (!named)
		named = get_text(q->meta, "threadId");
	if (!named && q->peer->key[0]) {
		(void)snprintf(key, KEY_MAX, HTTP_KEY "%s", q->peer->key);
		return;
	}
	for (size_t i = 0; !named && i < ARRAY_SIZE(variables); i++)
		named = getenv(variables[i]);
	(void)snprintf(key, KEY_MAX, "%s", named && named[0] ? named : DEFAULT_KEY);
}

/* What names a conversation is shared with its hooks; an id of HTTP is a secret. */
static bool is_named(const char *key)
{
	return strcmp(key, DEFAULT_KEY) != 0 && strncmp(key, HTTP_KEY, strlen(HTTP_KEY)) != 0;
}

static struct mcp_session *find_session(struct mcp *m, const char *key)
{
	struct mcp_session *s = m->sessions;
	AUTO_TEXT params = { 0 };

	while (s && (s->is_closing || strcmp(s->key, key) != 0))
		s = s->next;
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->mcp = m;
	(void)snprintf(s->key, sizeof(s->key), "%s", key);
	s->next = m->sessions;
	m->sessions = s;
	add_member(&params, "workspace", m->options.workspace);
	if (m->options.policy)
		add_member(&params, "policy", m->options.policy);
	text_add(&params, ",\"labels\":{\"by\":\"mcp\"}");
	if (is_named(key))
		add_member(&params, "key", key);
	(void)link_ask(m->link, "session.create", params.at, on_session, s);
	return s;
}

void mcp_each_session(struct mcp *m, void (*fn)(const char *id, void *context), void *context)
{
	for (struct mcp_session *s = m->sessions; s; s = s->next)
		if (s->id[0] && !s->is_closing)
			fn(s->id, context);
}

/* --- tools/call --------------------------------------------------------------------------- */

static const cJSON *find_tool(const struct mcp *m, const char *name)
{
	const cJSON *tool;

	cJSON_ArrayForEach (tool, m->tools)
		if (strcmp(get_text(tool, "name"), name) == 0)
			return tool;
	return NULL;
}

/* The same call once more, with what its user has said. */
static void go_on(struct mcp_request *q)
{
	struct mcp *m = q->peer->mcp;
	char *id = mcp_read_state(m, get_text(q->params, "requestState"));
	struct mcp_call *found = NULL;

	for (struct mcp_session *s = m->sessions; s && id; s = s->next)
		for (struct mcp_call *c = s->calls; c; c = c->next)
			if (c->is_asked && strcmp(c->id, id) == 0)
				found = c;
	free(id);
	if (!found) {
		mcp_error(q, 400, MCP_INVALID_PARAMS,
			  "the requestState is not one of ours, or was used", NULL);
		return;
	}
	found->is_asked = false;
	found->q = q;
	q->context = found;
	q->on_cancel = on_cancel;
	decide(found, get(get(q->params, "inputResponses"), "approve"));
	wait_for(found);
}

void mcp_tools_call(struct mcp_request *q)
{
	const char *name = get_text(q->params, "name");
	const cJSON *arguments = get(q->params, "arguments");
	struct mcp *m = q->peer->mcp;
	struct mcp_session *s;
	const cJSON *tool, *text;
	struct mcp_call *c;
	char key[KEY_MAX];
	struct timespec ts;
	AUTO_TEXT created = { 0 };

	if (!name || (arguments && !cJSON_IsObject(arguments))) {
		mcp_error(q, 0, MCP_INVALID_PARAMS,
			  "\"name\" must be a string, and \"arguments\" an object", NULL);
		return;
	}
	if (!need_link(q))
		return;
	if (get(q->params, "requestState")) {
		go_on(q);
		return;
	}
	tool = find_tool(m, name);
	if (!tool) {
		AUTO_TEXT why = { 0 };

		text_add(&why, "Unknown tool: ");
		text_add_safe(&why, name, strlen(name));
		mcp_error(q, 0, MCP_INVALID_PARAMS, why.at, NULL);
		return;
	}
	session_key(q, key);
	c = calloc(1, sizeof(*c));
	s = c ? find_session(m, key) : NULL;
	if (!s) {
		free(c);
		mcp_error(q, 0, MCP_INTERNAL, "out of memory", NULL);
		return;
	}
	text = get(tool, "text");
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	text_add_time(&created, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	*c = (struct mcp_call){ .next = s->calls,
				.session = s,
				.q = q,
				.text = cJSON_IsNumber(text) ? (uint32_t)text->valuedouble
							     : TEXT_DEFAULT };
	(void)snprintf(c->created, sizeof(c->created), "%s", created.at ? created.at : "");
	s->calls = c;
	q->context = c;
	q->on_cancel = on_cancel;
	if (s->id[0])
		start_call(c);
}

/* --- events ----------------------------------------------------------------------------------- */

static void tell_output(struct mcp_call *c, const cJSON *event)
{
	const char *text = get_text(event, "text");
	uint64_t now = io_now_ns();
	AUTO_TEXT t = { 0 };
	size_t n, from;

	if (!text || now - c->told_ns < OUTPUT_TOLD_NS)
		return;
	c->told_ns = now;
	n = strlen(text);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	from = n;
	while (from > 0 && text[from - 1] != '\n' && n - from < OUTPUT_TOLD_MAX)
		from--;
	while (from < n && ((unsigned char)text[from] & 0xc0) == 0x80)
		from++;
	text_add_n(&t, text + from, n - from);
	if (t.len > 0)
		mcp_progress(c->q, t.at);
}

static void tell_call(struct mcp_call *c, const char *kind, const cJSON *event)
{
	static const struct {
		const char *kind, *says;
	} words[] = {
		{ "call.held", "waiting for a person's approval" },
		{ "call.started", "running" },
		{ "call.paused", "paused by an operator" },
		{ "call.resumed", "running again" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].kind, kind) == 0)
			mcp_progress(c->q, words[i].says);
	if (strcmp(kind, "call.output") == 0)
		tell_output(c, event);
	if (strcmp(kind, "denied") == 0) {
		AUTO_TEXT t = { 0 };

		add_json(&t, event);
		mcp_log(c->q, "warning", "sandbox", t.at);
	}
}

static void tell_resources(struct mcp *m, const char *id, const char *kind)
{
	static const char *const changing[] = { "change",   "commit", "discard",
						"rollback", "undo",   "call.done" };
	AUTO_TEXT uri = { 0 };

	text_printf(&uri, "glovebox://%s/events", id);
	mcp_tell(m, "resources", uri.at);
	for (size_t i = 0; i < ARRAY_SIZE(changing); i++) {
		static const char *const names[] = { "changes", "diff", "report" };

		if (strcmp(changing[i], kind) != 0)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			uri.len = 0;
			text_printf(&uri, "glovebox://%s/%s", id, names[k]);
			mcp_tell(m, "resources", uri.at);
		}
	}
}

void mcp_on_event(struct mcp *m, const cJSON *event)
{
	const char *id = get_text(event, "session"), *kind = get_text(event, "kind");
	const cJSON *number = get(event, "call");
	struct mcp_session *s = m->sessions;
	char call[ID_MAX];

	while (s && id && strcmp(s->id, id) != 0)
		s = s->next;
	if (!s || !id || !kind)
		return;
	if (cJSON_IsNumber(number)) {
		(void)snprintf(call, sizeof(call), "%.32s.%.0f", id, number->valuedouble);
		for (struct mcp_call *c = s->calls; c; c = c->next)
			if (c->q && strcmp(c->id, call) == 0) {
				tell_call(c, kind, event);
				break;
			}
	}
	tell_resources(m, id, kind);
}

/* --- the end ------------------------------------------------------------------------------------- */

struct closing {
	struct mcp *mcp;
	size_t left;
	void (*fn)(struct mcp *m);
};

struct closing_one {
	struct closing *all;
	struct mcp_session *session;
	bool is_second; /* there are changes: it stays as it is */
};

static void on_closed(void *context, const cJSON *result, int code, const char *error)
{
	struct closing_one *one = context;
	struct closing *all = one->all;

	(void)code;
	(void)error;
	if (!result && !one->is_second && all->mcp->link) {
		AUTO_TEXT params = { 0 };

		/* there are changes: it stays, for a person */
		one->is_second = true;
		add_member(&params, "id", one->session->id);
		(void)link_ask(all->mcp->link, "session.close", params.at, on_closed, one);
		return;
	}
	one->session->id[0] = '\0';
	free(one);
	if (--all->left > 0)
		return;
	if (all->fn)
		all->fn(all->mcp);
	free(all);
}

void mcp_close_sessions(struct mcp *m, const char *key, void (*fn)(struct mcp *m))
{
	struct closing *all = calloc(1, sizeof(*all));

	if (!all)
		return;
	*all = (struct closing){ m, 1, fn };
	for (struct mcp_session *s = m->sessions; s && m->link; s = s->next) {
		struct closing_one *one;
		AUTO_TEXT params = { 0 };

		if (s->is_closing || !s->id[0] ||
		    (key && (strncmp(s->key, HTTP_KEY, strlen(HTTP_KEY)) != 0 ||
			     strcmp(s->key + strlen(HTTP_KEY), key) != 0)))
			continue;
		one = calloc(1, sizeof(*one));
		if (!one)
			break;
		/* a conversation that has a name may go on: with another of us, or a hook */
		*one = (struct closing_one){ all, s, is_named(s->key) };
		s->is_closing = true;
		all->left++;
		add_member(&params, "id", s->id);
		text_add(&params, ",\"remove\":true");
		(void)link_ask(m->link, "session.close", params.at, on_closed, one);
	}
	if (--all->left > 0)
		return;
	if (fn)
		fn(m);
	free(all);
}
