// SPDX-License-Identifier: Apache-2.0
/* supervisor/methods_call.c - calls, as their agent has them. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/account.h"
#include "supervisor/methods.h"
#include "supervisor/result.h"
#include "supervisor/schema.h"
#include "supervisor/wait.h"

/* Words of a call, and its own variables: above what any program takes in a line. */
#define WORDS_MAX 4096
#define STEP_MAX 1000 /* carried in every event */
#define AGENT_ID_MAX 200
#define OUTPUT_READ_MAX (1u << 20) /* of one call.output */
#define TEXT_MAX (1u << 20) /* of one call.wait, in words for a model */

/* Of a session that runs one call, that one is meant. */
static struct call *only_living(const struct session *s, uint32_t *ret_count)
{
	struct call *found = NULL;

	*ret_count = 0;
	for (uint32_t i = 0; i < s->call_count; i++)
		if (call_is_living(s->calls[i])) {
			found = s->calls[i];
			++*ret_count;
		}
	return *ret_count == 1 ? found : NULL;
}

/* Sends only to calls in a state where the method is legal. */
static struct call *find_living(struct asked *q)
{
	struct session *s;
	struct call *c;
	uint32_t number, living = 0;

	if (!server_find(q, "id", &s, &c, &number))
		return NULL;
	if (number == 0)
		c = only_living(s, &living);
	if (c && verb_check(q->verb, q->role, c->state) == 0)
		return c;
	if (number == 0 && c)
		server_error(q, RPC_WRONG_STATE, "the call is %s", call_state_names[c->state]);
	else if (number == 0 && living == 0)
		server_error(q, RPC_WRONG_STATE, "no call of this session runs");
	else if (number == 0)
		server_error(q, RPC_INVALID_PARAMS,
			     "%u calls of this session run: name one, like %s.%u", living, s->id,
			     s->calls[s->call_count - 1]->number);
	else
		server_error(q, RPC_WRONG_STATE, "the call is %s",
			     c ? call_state_names[c->state] : "done");
	return NULL;
}

/* --- start ------------------------------------------------------------------ */

struct start {
	const char *session, *tool, *cwd, *input, *agent_call_id, *step, *trace;
	const cJSON *argv, *env, *terminal, *arguments;
	bool keeps_input, background;
};

static char **copy_words(const cJSON *list)
{
	int n = cJSON_GetArraySize(list);
	char **words = calloc((size_t)n + 1, sizeof(*words));
	const cJSON *v;
	int i = 0;

	cJSON_ArrayForEach (v, list) {
		if (words)
			words[i] = strdup(v->valuestring);
		if (!words || !words[i++])
			break;
	}
	return words && i == n ? words : NULL;
}

static int copy_env(const cJSON *env, struct call_request *request)
{
	const cJSON *v;
	size_t n = 0;

	request->env = calloc((size_t)cJSON_GetArraySize(env) + 1, sizeof(*request->env));
	if (!request->env)
		return -ENOMEM;
	cJSON_ArrayForEach (v, env) {
		AUTO_TEXT item = { 0 };

		if (!cJSON_IsString(v) || v->string[0] == '\0' || strchr(v->string, '='))
			return -EINVAL;
		text_printf(&item, "%s=%s", v->string, v->valuestring);
		request->env[n] = TAKE(item.at);
		if (!request->env[n++])
			return -ENOMEM;
	}
	return 0;
}

static int copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int fill_terminal(const cJSON *terminal, struct call_request *request)
{
	const cJSON *rows = cJSON_GetObjectItemCaseSensitive(terminal, "rows");
	const cJSON *columns = cJSON_GetObjectItemCaseSensitive(terminal, "columns");

	if (!terminal)
		return 0;
	for (const cJSON *v = terminal->child; v; v = v->next)
		if ((v != rows && v != columns) || !cJSON_IsNumber(v) || v->valuedouble < 1 ||
		    v->valuedouble > 10000)
			return -EINVAL;
	request->is_tty = true;
	request->rows = (unsigned short)(rows ? rows->valuedouble : 0);
	request->columns = (unsigned short)(columns ? columns->valuedouble : 0);
	return 0;
}

static const char *check_start(const struct start *p)
{
	if (p->tool && (p->argv || p->cwd || p->env || p->input || p->background))
		return "with \"tool\", \"argv\", \"cwd\", \"env\", \"stdin\" and \"background\" "
		       "are what "
		       "its \"input\" says";
	if (p->arguments && !p->tool)
		return "\"input\" goes with \"tool\"";
	if (!p->tool && (!p->argv || cJSON_GetArraySize(p->argv) == 0 ||
			 p->argv->child->valuestring[0] == '\0'))
		return "\"argv\" must hold a program and its arguments, or \"tool\" name one";
	if (cJSON_GetArraySize(p->argv) > WORDS_MAX || cJSON_GetArraySize(p->env) > WORDS_MAX)
		return "\"argv\" or \"env\" has too many entries";
	if (p->cwd && p->cwd[0] != '/')
		return "\"cwd\" must be an absolute path, as the call sees it";
	if (p->step && strlen(p->step) > STEP_MAX)
		return "\"step\" is longer than 1000 bytes";
	if (p->agent_call_id && strlen(p->agent_call_id) > AGENT_ID_MAX)
		return "\"agent_call_id\" is longer than 200 bytes";
	return NULL;
}

/* A tool's own words come from a model: a relative directory is one of the workspace. */
static int finish_tool(const struct session *s, struct call_request *request, struct text *why)
{
	size_t words = 0, vars = 0;

	while (request->argv[words])
		words++;
	while (request->env && request->env[vars])
		vars++;
	if (words > WORDS_MAX || vars > WORDS_MAX) {
		text_add(why, "too many words, or variables");
		return -EINVAL;
	}
	if (request->cwd && request->cwd[0] != '/') {
		AUTO_TEXT full = { 0 };

		text_printf(&full, "%s/%s", s->at, request->cwd);
		free(request->cwd);
		request->cwd = TAKE(full.at);
		return request->cwd ? 0 : -ENOMEM;
	}
	return 0;
}

static int fill_words(const struct session *s, const struct start *p, const struct tool *tool,
		      const cJSON *input, struct call_request *request, struct text *why)
{
	int r;

	if (tool) {
		r = tool_expand(tool, input, request, why);
		return r < 0 ? r : finish_tool(s, request, why);
	}
	request->argv = copy_words(p->argv);
	r = request->argv ? 0 : -ENOMEM;
	if (r == 0 && p->env)
		r = copy_env(p->env, request);
	if (r == -EINVAL)
		text_add(why, "\"env\" holds names and strings");
	if (r == 0)
		r = copy_text("exec", &request->tool);
	if (r == 0)
		r = copy_text(p->cwd, &request->cwd);
	if (p->input)
		text_add(&request->input, p->input);
	request->is_background = p->background;
	return r;
}

static int fill_request(const struct start *p, struct call_request *request, struct text *why)
{
	int r;

	r = copy_text(p->agent_call_id, &request->agent_call_id);
	if (r == 0)
		r = copy_text(p->step, &request->step);
	if (r == 0)
		r = copy_text(p->trace, &request->trace);
	if (r == 0)
		r = fill_terminal(p->terminal, request);
	if (r == -EINVAL)
		text_add(why, "\"tty\" is {\"rows\": n, \"columns\": n}");
	if (r == 0 && p->trace) {
		struct trace_set set;
		AUTO_TEXT wrong = { 0 };

		r = trace_parse(p->trace, &set, &wrong);
		if (r < 0)
			text_printf(why, "\"trace\": %s", wrong.at ? wrong.at : "invalid");
	}
	request->keeps_input |= p->keeps_input;
	request->io = CALL_IO_KEPT;
	return r == 0 && request->input.failed ? -ENOMEM : r;
}

static void answer_start(struct asked *q, struct session *s, const struct call *c, bool is_answered)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "{\"id\":\"%s.%u\",\"session\":\"%s\",\"call\":%u,\"state\":\"%s\"", s->id,
		    c->number, s->id, c->number, call_state_names[c->state]);
	if (c->state == CALL_HELD)
		text_printf(&t, ",\"digest\":\"%s\",\"waits_ns\":%llu", c->hold.digest,
			    (unsigned long long)s->policy->approval_ns);
	if (is_answered)
		result_add(s, c->number, NULL, 0, TOOL_TEXT_DEFAULT, &t);
	text_add(&t, "}");
	server_result(q, t.at);
}

/* The tool it names; false: the error was sent, or it was served. */
static bool choose_tool(struct asked *q, const struct start *p, const cJSON *input,
			const struct tool **ret)
{
	AUTO_TEXT why = { 0 };

	*ret = NULL;
	if (!p->tool)
		return true;
	*ret = toolbox_find(&q->host->tools, p->tool);
	if (!*ret) {
		toolbox_explain(&q->host->tools, p->tool, &why);
		server_error(q, RPC_INVALID_PARAMS, "%s", why.at);
		return false;
	}
	if ((*ret)->method == TOOL_PROGRAM)
		return true;
	if (schema_match((*ret)->input, input, "", &why) < 0)
		server_error(q, RPC_INVALID_PARAMS, "%s: %s", p->tool, why.at);
	else
		method_tool(q, *ret, input);
	return false;
}

static void start_call(struct asked *q, struct session *s, const struct start *p,
		       const struct tool *tool, const cJSON *input)
{
	struct call_request request = { 0 };
	AUTO_TEXT why = { 0 };
	struct call *c = NULL;
	int r;

	r = fill_words(s, p, tool, input, &request, &why);
	if (r == 0)
		r = fill_request(p, &request, &why);
	if (r == 0)
		r = host_start_call(q->host, s, &request, &c, &why);
	call_request_done(&request);
	if (r < 0) {
		methods_fail(q, r, why.at);
		return;
	}
	answer_start(q, s, c, tool && tool_is_background(tool, input));
	/* the call is on its way, and so is the answer */
	(void)session_save(s);
}

void method_call_start(struct asked *q)
{
	static const struct param table[] = {
		{ "session", PARAM_TEXT, true, offsetof(struct start, session) },
		{ "tool", PARAM_TEXT, false, offsetof(struct start, tool) },
		{ "input", PARAM_OBJECT, false, offsetof(struct start, arguments) },
		{ "argv", PARAM_TEXTS, false, offsetof(struct start, argv) },
		{ "cwd", PARAM_TEXT, false, offsetof(struct start, cwd) },
		{ "env", PARAM_OBJECT, false, offsetof(struct start, env) },
		{ "stdin", PARAM_TEXT, false, offsetof(struct start, input) },
		{ "keep_stdin", PARAM_BOOL, false, offsetof(struct start, keeps_input) },
		{ "tty", PARAM_OBJECT, false, offsetof(struct start, terminal) },
		{ "agent_call_id", PARAM_TEXT, false, offsetof(struct start, agent_call_id) },
		{ "step", PARAM_TEXT, false, offsetof(struct start, step) },
		{ "trace", PARAM_TEXT, false, offsetof(struct start, trace) },
		{ "background", PARAM_BOOL, false, offsetof(struct start, background) },
		{ .kind = PARAM_END },
	};
	cJSON *nothing = cJSON_CreateObject();
	struct start p = { 0 };
	const struct tool *tool;
	struct session *s;
	struct call *c;
	const char *wrong;
	uint32_t number;

	if (!nothing || !methods_params(q, table, &p) ||
	    !server_find(q, "session", &s, &c, &number)) {
		cJSON_Delete(nothing);
		return;
	}
	wrong = number                    ? "\"session\" must be a session, not a call"
		: q->host->is_one_session ? "this session has its one call, of `glovebox run`"
					  : check_start(&p);
	if (!p.arguments)
		p.arguments = nothing;
	if (wrong)
		server_error(q, RPC_INVALID_PARAMS, "%s", wrong);
	else if (choose_tool(q, &p, p.arguments, &tool))
		start_call(q, s, &p, tool, p.arguments);
	cJSON_Delete(nothing);
}

/* --- look -------------------------------------------------------------------- */

void method_call_list(struct asked *q)
{
	static const struct param table[] = {
		{ "session", PARAM_TEXT, false, offsetof(struct start, session) },
		{ .kind = PARAM_END },
	};
	struct start p = { 0 };
	struct session *only = NULL;
	struct call *c;
	uint32_t number;
	AUTO_TEXT t = { 0 };
	bool first = true;

	if (!methods_params(q, table, &p) ||
	    (p.session && !server_find(q, "session", &only, &c, &number)))
		return;
	text_add(&t, "{\"schema\":1,\"calls\":[");
	for (size_t i = 0; i < q->host->count; i++) {
		const struct session *s = q->host->sessions[i];

		if ((only && s != only) || !server_may_see(q, s))
			continue;
		for (uint32_t j = 0; j < s->call_count; j++) {
			text_add(&t, first ? "" : ",");
			methods_add_call(&t, s->calls[j]);
			first = false;
		}
	}
	text_add(&t, "]}");
	server_result(q, t.at);
}

struct look {
	const char *id, *stream, *reason, *signal, *data, *base64, *trace;
	uint64_t timeout_ms, text, offset, length, rows, columns;
	bool close;
};

void method_call_wait(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ "timeout_ms", PARAM_COUNT, false, offsetof(struct look, timeout_ms) },
		{ "text", PARAM_COUNT, false, offsetof(struct look, text) },
		{ .kind = PARAM_END },
	};
	struct look p = { 0 };
	struct wait_plan plan;
	struct reply *reply;
	struct session *s;
	struct call *c;
	uint32_t number;

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	if (number == 0) {
		server_error(q, RPC_INVALID_PARAMS, "\"id\" must be a call, like s-4f7k2m9q1c.3");
		return;
	}
	reply = server_defer(q);
	if (!reply)
		return;
	plan = (struct wait_plan){ .timeout_ns = p.timeout_ms * 1000000u,
				   .text = p.text < TEXT_MAX ? p.text : TEXT_MAX };
	if (c)
		waits_add(server_waits(q->server), s, number, &plan, reply);
	else
		waits_answer(s, number, &plan, reply);
}

/* Longer ones are read from disk by whoever may. */
#define REPORT_MAX (16u << 20)

void method_call_report(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ .kind = PARAM_END },
	};
	AUTO_MEM char *all = NULL;
	struct look p = { 0 };
	struct session *s;
	struct call *c;
	uint32_t number;
	char path[48];
	AUTO_FD fd = -1;
	off_t size;

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	account_path(number, false, path);
	fd = number > 0 && !c ? openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
	if (size >= (off_t)REPORT_MAX) {
		server_error(q, RPC_INTERNAL,
			     "the report is %lld bytes, more than is answered in one piece: it "
			     "lies in the session's directory, as %s",
			     (long long)size, path);
		return;
	}
	all = size > 0 ? calloc(1, (size_t)size + 1) : NULL;
	if (!all || pread(fd, all, (size_t)size, 0) != size) {
		server_error(q, c ? RPC_WRONG_STATE : RPC_NOT_FOUND,
			     c ? "the call has not ended" : "there is no report of this call");
		return;
	}
	if (all[size - 1] == '\n')
		all[size - 1] = '\0';
	server_result(q, all);
}

void method_call_output(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ "stream", PARAM_TEXT, false, offsetof(struct look, stream) },
		{ "offset", PARAM_COUNT, false, offsetof(struct look, offset) },
		{ "length", PARAM_COUNT, false, offsetof(struct look, length) },
		{ .kind = PARAM_END },
	};
	struct look p = { .stream = "stdout", .length = 65536 };
	AUTO_MEM char *buf = NULL;
	struct session *s;
	struct call *c;
	uint32_t number;
	char path[48];
	AUTO_FD fd = -1;
	AUTO_TEXT t = { 0 };
	ssize_t n;

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	if (strcmp(p.stream, "stdout") != 0 && strcmp(p.stream, "stderr") != 0) {
		server_error(q, RPC_INVALID_PARAMS, "\"stream\" is \"stdout\" or \"stderr\"");
		return;
	}
	if (p.length > OUTPUT_READ_MAX)
		p.length = OUTPUT_READ_MAX;
	output_path(number, p.stream, path);
	fd = number > 0 ? openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	buf = malloc(p.length + 1);
	n = fd >= 0 && buf ? pread(fd, buf, p.length, (off_t)p.offset) : -1;
	if (n < 0) {
		server_error(q, RPC_NOT_FOUND, "there is no output of this call");
		return;
	}
	text_printf(
		&t,
		"{\"id\":\"%s.%u\",\"stream\":\"%s\",\"offset\":%llu,\"bytes\":%zd,\"size\":%lld",
		s->id, number, p.stream, (unsigned long long)p.offset, n,
		(long long)lseek(fd, 0, SEEK_END));
	text_add(&t, ",\"text\":");
	text_add_json(&t, buf, (size_t)n);
	text_add(&t, "}");
	server_result(q, t.at);
}

/* --- reach in ------------------------------------------------------------------ */

static int decode(const char *base64, struct text *out)
{
	size_t n = strlen(base64);
	AUTO_MEM unsigned char *raw = malloc(n + 4);
	int got = raw && n % 4 == 0 ? EVP_DecodeBlock(raw, (const unsigned char *)base64, (int)n)
				    : -1;

	if (got < 0)
		return -EINVAL;
	/* it counts the padding in */
	for (size_t i = n; i > 0 && base64[i - 1] == '=' && got > 0; i--)
		got--;
	text_add_n(out, (const char *)raw, (size_t)got);
	return 0;
}

void method_call_input(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ "data", PARAM_TEXT, false, offsetof(struct look, data) },
		{ "base64", PARAM_TEXT, false, offsetof(struct look, base64) },
		{ "close", PARAM_BOOL, false, offsetof(struct look, close) },
		{ .kind = PARAM_END },
	};
	struct look p = { 0 };
	AUTO_TEXT data = { 0 };
	struct call *c;
	int r = 0;

	if (!methods_params(q, table, &p))
		return;
	c = find_living(q);
	if (!c)
		return;
	if (p.data)
		text_add(&data, p.data);
	if (p.base64)
		r = decode(p.base64, &data);
	if (r < 0 || (p.data && p.base64)) {
		server_error(q, RPC_INVALID_PARAMS,
			     r < 0 ? "\"base64\" is no base64" : "give \"data\" or \"base64\"");
		return;
	}
	r = call_input(c, data.at ? data.at : "", data.len, p.close);
	if (r < 0)
		server_error(q, r == -ENOBUFS ? RPC_BUSY : RPC_WRONG_STATE, "%s",
			     r == -ENOBUFS ? "the tool does not read: nothing was added; try later"
					   : "its standard input is closed");
	else
		server_result(q, "{}");
}

void method_call_resize(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ "rows", PARAM_COUNT, true, offsetof(struct look, rows) },
		{ "columns", PARAM_COUNT, true, offsetof(struct look, columns) },
		{ .kind = PARAM_END },
	};
	struct look p = { 0 };
	struct call *c;

	if (!methods_params(q, table, &p))
		return;
	c = find_living(q);
	if (!c)
		return;
	if (p.rows == 0 || p.rows > 10000 || p.columns == 0 || p.columns > 10000)
		server_error(q, RPC_INVALID_PARAMS, "\"rows\" and \"columns\" are from 1 to 10000");
	else if (call_resize(c, (unsigned short)p.rows, (unsigned short)p.columns) < 0)
		server_error(q, RPC_WRONG_STATE, "the call has no terminal");
	else
		server_result(q, "{}");
}

void method_call_trace(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ "trace", PARAM_TEXT, true, offsetof(struct look, trace) },
		{ .kind = PARAM_END },
	};
	struct look p = { 0 };
	struct trace_set set;
	AUTO_TEXT why = { 0 };
	struct call *c;

	if (!methods_params(q, table, &p))
		return;
	c = find_living(q);
	if (!c)
		return;
	if (trace_parse(p.trace, &set, &why) < 0) {
		server_error(q, RPC_INVALID_PARAMS, "\"trace\": %s", why.at ? why.at : "invalid");
	} else if (call_trace(c, &set, p.trace, q->name) < 0) {
		server_error(q, RPC_WRONG_STATE, "no eBPF program watches this call: %s",
			     c->session->unwatched_why);
	} else {
		char text[96];

		(void)snprintf(text, sizeof(text), "{\"call\":\"%s.%u\",\"syscalls\":%u}",
			       c->session->id, c->number, trace_count(&set));
		server_result(q, text);
	}
}

static int signal_number(const char *name)
{
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) && strcmp(sigabbrev_np(i), name) == 0)
			return i;
	return -EINVAL;
}

void method_call_signal(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ "signal", PARAM_TEXT, true, offsetof(struct look, signal) },
		{ .kind = PARAM_END },
	};
	struct look p = { 0 };
	struct call *c;
	int number, r;

	if (!methods_params(q, table, &p))
		return;
	number = signal_number(p.signal);
	if (number < 0) {
		server_error(q, RPC_INVALID_PARAMS,
			     "\"signal\" is a name like \"TERM\" or \"INT\"");
		return;
	}
	c = find_living(q);
	if (!c)
		return;
	r = call_signal(c, number);
	if (r < 0)
		methods_fail(q, r == -ESRCH || r == -EPIPE ? -EPROTO : r, "the tool is gone");
	else
		server_result(q, "{}");
}

/* --- the agent's own stop ------------------------------------------------------- */

static void on_cancelled(void *context, struct call *c, const struct call_receipt *receipt)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t,
		    "{\"id\":\"%s.%u\",\"state\":\"%s\",\"receipt\":{\"processes\":%u,\"ns\":%llu,"
		    "\"populated\":0}}",
		    c->session->id, c->number, call_state_names[c->state], receipt->processes,
		    (unsigned long long)receipt->ns);
	reply_result(context, t.at);
}

void method_call_cancel(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct look, id) },
		{ "reason", PARAM_TEXT, false, offsetof(struct look, reason) },
		{ .kind = PARAM_END },
	};
	struct look p = { .reason = "cancelled by its agent" };
	struct reply *reply;
	struct call *c;
	int r;

	if (!methods_params(q, table, &p))
		return;
	c = find_living(q);
	reply = c ? server_defer(q) : NULL;
	if (!reply)
		return;
	r = call_kill(c, q->name, p.reason, on_cancelled, reply);
	if (r < 0)
		reply_error(reply, r == -EBUSY ? RPC_BUSY : RPC_INTERNAL,
			    r == -EBUSY ? "too many wait for this call already" : strerror(-r));
}
