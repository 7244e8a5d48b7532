// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/exec.c - `glovebox exec`: one call of a tool, for authors of loops; and
 * `glovebox tools`: which there are.
 *
 * What comes in on standard input is what a model's provider gave to the loop, and
 * what goes out is what the provider wants back:
 *
 *	{"tool", "input"}				{"text", "is_error", "structured", ...}
 *	{"type":"tool_use", "id", "name", "input"}	{"type":"tool_result", ...}
 *	{"type":"shell_call", "call_id", "action"}	{"type":"shell_call_output", ...}
 *	{"type":"local_shell_call", ...}		{"type":"local_shell_call_output", ...}
 *	{"type":"apply_patch_call", "operation"}	{"type":"apply_patch_call_output", ...}
 *	{"type":"function_call", "name", "arguments"}	{"type":"function_call_output", ...}
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/command.h"
#include "supervisor/loop.h"
#include "supervisor/options.h"

struct options {
	bool help, json;
	const char *workspace, *key;
};

static const struct option_row rows[] = {
	{ 'w', "workspace", OPTION_TEXT, offsetof(struct options, workspace), "DIR",
	  "what it works on (default: the current directory)" },
	{ 'k', "key", OPTION_TEXT, offsetof(struct options, key), "WORD",
	  "the same word goes on with the same session" },
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL,
	  "JSON in, JSON out (there is no other form yet; say it)" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(
		&t,
		"usage: glovebox exec --json [options] < CALL.json\n\n"
		"Makes one call of a tool and prints its result. The call is {\"tool\", \"input\"},\n"
		"or what a model's provider gives: an Anthropic tool_use; an OpenAI\n"
		"function_call, shell_call, local_shell_call or apply_patch_call. The answer\n"
		"has the provider's shape. Needs a daemon, or root.\n\n");
	options_help(rows, &t);
	text_add(
		&t,
		"\n  echo '{\"tool\":\"bash\",\"input\":{\"command\":\"make test\"}}' | glovebox exec --json\n");
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static int print(cJSON *json, bool is_error)
{
	char *s = cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	if (!s || puts(s) < 0 || fflush(stdout) < 0)
		return command_fail(EXIT_FAILED, "the result could not be written");
	cJSON_free(s);
	return is_error ? EXIT_FAILED : EXIT_DONE;
}

/* One call. 0 or -errno with `why`; *ret is deleted by the caller. */
static int call(struct loop *l, const char *tool, const cJSON *input, const char *id, cJSON **ret,
		struct text *why)
{
	char *s = cJSON_PrintUnformatted(input);
	int r = s ? client_tool(&l->client, l->session, tool, s, id, ret, why) : -ENOMEM;

	cJSON_free(s);
	return r;
}

static bool is_error(const cJSON *result)
{
	return cJSON_IsTrue(get(result, "is_error"));
}

/* --- shapes ---------------------------------------------------------------------- */

static int answer_plain(struct loop *l, const cJSON *asked, struct text *why)
{
	cJSON *nothing = cJSON_CreateObject();
	cJSON *result = NULL;
	int r = call(l, client_text_of(asked, "tool"),
		     get(asked, "input") ? get(asked, "input") : nothing,
		     client_text_of(asked, "id"), &result, why);

	cJSON_Delete(nothing);
	if (r < 0)
		return r;
	cJSON_DeleteItemFromObjectCaseSensitive(result, "session");
	cJSON_AddStringToObject(result, "session", l->session);
	return print(result, is_error(result));
}

/* What operators have said stands behind the text, as words of its own. */
static void add_notes(const cJSON *result, struct text *t)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, get(result, "steer"))
		text_printf(t, "[operator note from %s] %s\n", client_text_of(v, "by"),
			    client_text_of(v, "text"));
}

static int answer_named(struct loop *l, const cJSON *asked, const char *tool, const cJSON *input,
			const char *id, const char *answer, struct text *why)
{
	bool is_anthropic = strcmp(answer, "tool_result") == 0;
	bool is_patch = strcmp(answer, "apply_patch_call_output") == 0;
	cJSON *out = cJSON_CreateObject(), *result = NULL;
	AUTO_TEXT text = { 0 };
	bool failed;
	int r = call(l, tool, input, id, &result, why);

	(void)asked;
	/* the model can act upon a refusal */
	failed = r < 0 || is_error(result);
	if (r == -ENOTCONN || r == -ENOMEM) {
		cJSON_Delete(out);
		return r;
	}
	text_add(&text, r < 0 ? why->at : client_text_of(result, "text"));
	add_notes(result, &text);
	cJSON_AddStringToObject(out, "type", answer);
	cJSON_AddStringToObject(out, is_anthropic ? "tool_use_id" : "call_id", id);
	cJSON_AddStringToObject(out, is_anthropic ? "content" : "output", text.at ? text.at : "");
	if (is_anthropic)
		cJSON_AddBoolToObject(out, "is_error", failed);
	if (is_patch)
		cJSON_AddStringToObject(out, "status", failed ? "failed" : "completed");
	cJSON_Delete(result);
	return print(out, failed);
}

static int answer_function(struct loop *l, const cJSON *asked, struct text *why)
{
	cJSON *input = cJSON_Parse(client_text_of(asked, "arguments"));
	int r;

	if (!cJSON_IsObject(input)) {
		cJSON_Delete(input);
		text_add(why, "\"arguments\" is JSON text of an object");
		return -EINVAL;
	}
	r = answer_named(l, asked, client_text_of(asked, "name"), input,
			 client_text_of(asked, "call_id"), "function_call_output", why);
	cJSON_Delete(input);
	return r;
}

static void add_shell_output(cJSON *list, const cJSON *result)
{
	const cJSON *structured = get(result, "structured");
	const cJSON *code = get(structured, "exit_code");
	bool timed_out = strcmp(client_text_of(structured, "outcome"), "timed_out") == 0;
	cJSON *one = cJSON_CreateObject(), *outcome = cJSON_CreateObject();

	cJSON_AddStringToObject(one, "stdout", client_text_of(structured, "stdout"));
	cJSON_AddStringToObject(one, "stderr", client_text_of(structured, "stderr"));
	cJSON_AddStringToObject(outcome, "type", timed_out ? "timeout" : "exit");
	if (!timed_out)
		cJSON_AddNumberToObject(outcome, "exit_code",
					cJSON_IsNumber(code) ? code->valuedouble : RUN_SIGNAL);
	cJSON_AddItemToObject(one, "outcome", outcome);
	cJSON_AddItemToArray(list, one);
}

/* The commands run one after the other, in one shell that lasts. */
static int answer_shell(struct loop *l, const cJSON *asked, struct text *why)
{
	const cJSON *action = get(asked, "action");
	const cJSON *most = get(action, "max_output_length"), *timeout = get(action, "timeout_ms");
	cJSON *out = cJSON_CreateObject(), *list = cJSON_CreateArray();
	const cJSON *command;
	int r = cJSON_IsArray(get(action, "commands")) ? 0 : -EINVAL;

	if (r < 0)
		text_add(why, "\"action\" has no list \"commands\"");
	cJSON_ArrayForEach (command, get(action, "commands")) {
		cJSON *input = cJSON_CreateObject(), *result = NULL;

		if (r == 0) {
			cJSON_AddStringToObject(input, "command",
						cJSON_IsString(command) ? command->valuestring
									: "");
			if (cJSON_IsNumber(timeout))
				cJSON_AddNumberToObject(input, "timeout_ms", timeout->valuedouble);
			r = call(l, "bash", input, client_text_of(asked, "call_id"), &result, why);
		}
		if (r == 0)
			add_shell_output(list, result);
		cJSON_Delete(result);
		cJSON_Delete(input);
	}
	if (r < 0) {
		cJSON_Delete(list);
		cJSON_Delete(out);
		return r;
	}
	cJSON_AddStringToObject(out, "type", "shell_call_output");
	cJSON_AddStringToObject(out, "call_id", client_text_of(asked, "call_id"));
	if (cJSON_IsNumber(most))
		cJSON_AddNumberToObject(out, "max_output_length", most->valuedouble);
	cJSON_AddItemToObject(out, "output", list);
	return print(out, false);
}

static int answer_local_shell(struct loop *l, const cJSON *asked, struct text *why)
{
	static const char *const from[] = { "command", "env", "timeout_ms", "working_directory" };
	static const char *const to[] = { "argv", "env", "timeout_ms", "cwd" };
	const cJSON *action = get(asked, "action");
	cJSON *input = cJSON_CreateObject();
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		if (get(action, from[i]) && !cJSON_IsNull(get(action, from[i])))
			cJSON_AddItemToObject(input, to[i],
					      cJSON_Duplicate(get(action, from[i]), true));
	r = answer_named(l, asked, "exec", input, client_text_of(asked, "call_id"),
			 "local_shell_call_output", why);
	cJSON_Delete(input);
	return r;
}

static int answer_patch(struct loop *l, const cJSON *asked, struct text *why)
{
	const cJSON *operation = get(asked, "operation");
	const char *type = client_text_of(operation, "type"),
		   *diff = client_text_of(operation, "diff");
	cJSON *input = cJSON_CreateObject();
	AUTO_TEXT t = { 0 };
	int r;

	text_printf(&t, "*** Begin Patch\n*** %s File: %s\n",
		    strcmp(type, "create_file") == 0   ? "Add"
		    : strcmp(type, "delete_file") == 0 ? "Delete"
						       : "Update",
		    client_text_of(operation, "path"));
	text_add(&t, diff);
	text_printf(&t, "%s*** End Patch\n", diff[0] && diff[strlen(diff) - 1] != '\n' ? "\n" : "");
	cJSON_AddStringToObject(input, "input", t.at);
	r = answer_named(l, asked, "apply_patch", input, client_text_of(asked, "call_id"),
			 "apply_patch_call_output", why);
	cJSON_Delete(input);
	return r;
}

static int answer(struct loop *l, const cJSON *asked, struct text *why)
{
	const char *type = client_text_of(asked, "type");

	if (strcmp(type, "tool_use") == 0)
		return answer_named(l, asked, client_text_of(asked, "name"), get(asked, "input"),
				    client_text_of(asked, "id"), "tool_result", why);
	if (strcmp(type, "function_call") == 0)
		return answer_function(l, asked, why);
	if (strcmp(type, "shell_call") == 0)
		return answer_shell(l, asked, why);
	if (strcmp(type, "local_shell_call") == 0)
		return answer_local_shell(l, asked, why);
	if (strcmp(type, "apply_patch_call") == 0)
		return answer_patch(l, asked, why);
	if (!type[0] && client_text_of(asked, "tool")[0])
		return answer_plain(l, asked, why);
	text_add(why,
		 "the call is {\"tool\", \"input\"}, or has the \"type\" tool_use, function_call, "
		 "shell_call, local_shell_call or apply_patch_call");
	return -EINVAL;
}

int command_exec(char **argv)
{
	struct options opt = { 0 };
	AUTO_TEXT why = { 0 };
	AUTO_MEM char *workspace = NULL;
	cJSON *asked = NULL;
	struct loop l;
	char **rest;
	int r;

	if (options_parse(rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help();
	if (rest[0] || !opt.json)
		return command_fail(EXIT_USAGE,
				    "usage: glovebox exec --json [options] < CALL.json");
	workspace = realpath(opt.workspace ? opt.workspace : ".", NULL);
	if (!workspace)
		return command_fail(EXIT_NOT_FOUND, "the workspace: %s", strerror(errno));
	if (loop_read_input(&asked, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	r = loop_open(&l, workspace, opt.key, &why);
	if (r < 0) {
		cJSON_Delete(asked);
		return command_fail(r == -ENOENT ? EXIT_NO_SUPERVISOR : client_status(r), "%s",
				    why.at);
	}
	r = answer(&l, asked, &why);
	if (!opt.key)
		loop_end_session(&l);
	loop_close(&l);
	cJSON_Delete(asked);
	return r < 0 ? command_fail(client_status(r), "%s", why.at) : r;
}

/* --- glovebox tools ------------------------------------------------------------------ */

static const struct option_row tools_rows[] = {
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL,
	  "with descriptions and schemas, as a model gets them" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

int command_tools(char **argv)
{
	struct options opt = { 0 };
	AUTO_TEXT why = { 0 };
	AUTO_TEXT t = { 0 };
	cJSON *result = NULL;
	const cJSON *tool;
	char **rest;
	int r;

	if (options_parse(tools_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help) {
		text_add(
			&t,
			"usage: glovebox tools [--json]\n\nLists the tools that the daemon has.\n\n");
		options_help(tools_rows, &t);
		(void)fputs(t.at, stdout);
		return EXIT_DONE;
	}
	if (rest[0])
		return command_fail(EXIT_USAGE, "usage: glovebox tools [--json]");
	r = client_ask(NULL, "tools.list", NULL, &result, &why);
	if (r < 0)
		return command_fail(r == -ENOENT ? EXIT_NO_SUPERVISOR : client_status(r), "%s",
				    why.at);
	if (opt.json)
		return print(cJSON_DetachItemFromObjectCaseSensitive(result, "tools"), false);
	cJSON_ArrayForEach (tool, get(result, "tools"))
		(void)printf("%-28s %s\n", client_text_of(tool, "name"),
			     client_text_of(tool, "title"));
	cJSON_Delete(result);
	return EXIT_DONE;
}
