// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/methods_tool.c - the list of tools, and those that run no program.
 *
 * Each is a method of the protocol with other names for its parameters, and an answer
 * in words: {"text", "is_error", "structured"}.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/methods.h"
#include "supervisor/output.h"
#include "supervisor/wait.h"

/* `wait` without a time, and the most: below what clients wait for an answer. */
#define WAIT_DEFAULT_MS 60000
/* What is typed may be answered within this. */
#define WRITE_DEFAULT_MS 1000
#define NAMES_SHOWN 500

void method_tools(struct asked *q)
{
	static const struct param table[] = { { .kind = PARAM_END } };
	AUTO_TEXT t = { 0 };
	int nothing;

	if (!methods_params(q, table, &nothing))
		return;
	text_add(&t, "{\"schema\":1,\"tools\":");
	toolbox_add_json(&q->host->tools, &t);
	text_add(&t, "}");
	server_result(q, t.at);
}

void method_notes(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, 0 },
		{ .kind = PARAM_END },
	};
	const char *id;
	struct session *s;
	struct call *c;
	uint32_t number;
	AUTO_TEXT t = { 0 };

	if (!methods_params(q, table, &id) || !server_find(q, "id", &s, &c, &number))
		return;
	text_printf(&t, "{\"session\":\"%s\"", s->id);
	waits_add_steers(s, &t);
	text_add(&t, "}");
	server_result(q, t.at);
}

static const char *get_text(const cJSON *json, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

	return s ? s : "";
}

static uint64_t get_ms(const cJSON *input, const char *key, uint64_t fallback)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(input, key);

	return cJSON_IsNumber(v) && v->valuedouble >= 0 ? (uint64_t)v->valuedouble : fallback;
}

/* --- answers -------------------------------------------------------------------- */

static void add_answer(struct text *out, const char *text, size_t n, const char *structured)
{
	text_add(out, "{\"text\":");
	text_add_json(out, text, n);
	text_printf(out, ",\"is_error\":false,\"structured\":%s}", structured);
}

static void say_killed(const char *result, struct text *out)
{
	cJSON *json = cJSON_Parse(result);
	const cJSON *receipt = cJSON_GetObjectItemCaseSensitive(json, "receipt");
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(receipt, "processes");
	AUTO_TEXT t = { 0 };

	text_printf(&t, "Ended: %d processes killed, none left.\n",
		    cJSON_IsNumber(n) ? n->valueint : 0);
	add_answer(out, t.at, t.len, result);
	cJSON_Delete(json);
}

static void say_undone(const char *result, struct text *out)
{
	static const char text[] = "Undone: what that call changed is as it was before it.\n";

	add_answer(out, text, sizeof(text) - 1, result);
}

static void say_changes(const char *result, struct text *out)
{
	cJSON *json = cJSON_Parse(result);
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "changes");
	const cJSON *v;
	AUTO_TEXT t = { 0 };
	int n = 0;

	text_add(&t, cJSON_GetArraySize(list) ? "" : "Nothing is changed.\n");
	cJSON_ArrayForEach (v, list) {
		const char *path = get_text(v, "path");

		if (n++ == NAMES_SHOWN) {
			text_printf(&t, "[… and %d more]\n",
				    cJSON_GetArraySize(list) - NAMES_SHOWN);
			break;
		}
		text_printf(&t, "%-9s ", get_text(v, "change"));
		text_add_safe(&t, path, strlen(path));
		text_add(&t, "\n");
	}
	add_answer(out, t.at, t.len, result);
	cJSON_Delete(json);
}

static void say_diff(const char *result, struct text *out)
{
	cJSON *json = cJSON_Parse(result);
	const char *diff = get_text(json, "diff");
	AUTO_TEXT t = { 0 };
	size_t n = strlen(diff);

	if (n > TOOL_TEXT_DEFAULT)
		n = TOOL_TEXT_DEFAULT;
	while (n > 0 && ((unsigned char)diff[n] & 0xc0) == 0x80)
		n--; /* not in the middle of a character */
	text_add_n(&t, diff, n);
	if (diff[n])
		text_add(&t, "\n[… cut: ask for one path …]\n");
	else if (n == 0)
		text_add(&t, "Nothing is changed.\n");
	add_answer(out, t.at, t.len, "{}");
	cJSON_Delete(json);
}

/* --- the tools ------------------------------------------------------------------- */

static void wait_for(struct asked *q, uint64_t ms, uint64_t from)
{
	struct wait_plan plan = { .timeout_ns = ms * 1000000u,
				  .text = TOOL_TEXT_DEFAULT,
				  .from = from };
	struct reply *reply;
	struct session *s;
	struct call *c;
	uint32_t number;

	if (!server_find(q, "call_id", &s, &c, &number))
		return;
	if (number == 0) {
		server_error(q, RPC_INVALID_PARAMS, "\"call_id\" is one like %s.3", s->id);
		return;
	}
	reply = server_defer(q);
	if (!reply)
		return;
	if (c)
		waits_add(server_waits(q->server), s, number, &plan, reply);
	else
		waits_answer(s, number, &plan, reply);
}

static void write_to(struct asked *q, const cJSON *input)
{
	const char *chars = get_text(input, "chars");
	bool closes = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(input, "close"));
	struct session *s;
	uint64_t from = 0;
	struct call *c;
	uint32_t number;
	int r = 0;

	if (!server_find(q, "call_id", &s, &c, &number))
		return;
	if (c && (chars[0] || closes)) {
		from = output_totals(c->kept[0]).bytes;
		r = call_input(c, chars, strlen(chars), closes);
	}
	if (r < 0)
		server_error(q, RPC_WRONG_STATE, "%s",
			     r == -ENOBUFS ? "the command does not read: nothing was typed"
					   : "its standard input is closed; start it with "
					     "run_in_background to type into it");
	else
		wait_for(q, get_ms(input, "yield_time_ms", WRITE_DEFAULT_MS), from);
}

/* Serves as if {"id": …, "path": …} had been asked for. */
static void serve_as(struct asked *q, enum verb verb, const char *id, const char *path,
		     server_convert_fn convert)
{
	cJSON *params = cJSON_CreateObject();
	struct asked as = *q;

	as.verb = verb;
	as.params = params;
	as.convert = convert;
	cJSON_AddStringToObject(params, "id", id);
	if (path)
		cJSON_AddStringToObject(params, "path", path);
	methods_serve(&as);
	cJSON_Delete(params);
}

void method_tool(struct asked *q, const struct tool *t, const cJSON *input)
{
	const char *session = get_text(q->params, "session");
	const char *call = get_text(input, "call_id");
	const char *path = get_text(input, "path");
	bool wants_diff = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(input, "diff"));
	struct asked as = *q;

	as.params = input;
	if (t->method == TOOL_WAIT)
		wait_for(&as, get_ms(input, "timeout_ms", WAIT_DEFAULT_MS), 0);
	else if (t->method == TOOL_WRITE)
		write_to(&as, input);
	else if (t->method == TOOL_KILL)
		serve_as(q, VERB_CALL_CANCEL, call, NULL, say_killed);
	else if (t->method == TOOL_UNDO)
		serve_as(q, VERB_UNDO, call, NULL, say_undone);
	else
		serve_as(q, wants_diff || path[0] ? VERB_CHANGES_DIFF : VERB_CHANGES_LIST,
			 call[0] ? call : session, path[0] ? path : NULL,
			 wants_diff || path[0] ? say_diff : say_changes);
}
