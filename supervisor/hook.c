// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/hook.c - `glovebox hook`: what an agent asks before and after its tools.
 *
 * One program for PreToolUse, PostToolUse and PermissionRequest of Claude Code and of
 * Codex, whose messages are alike. It keeps nothing and decides little:
 *	- a shell command is rewritten, so that it runs in the conversation's session;
 *	- the agent's own tools that write files are refused, because what they write
 *	  can neither be seen nor be undone: ours are named instead;
 *	- what an operator has said is handed to the model behind the next tool.
 * When it cannot do its work it says no (exit status 2): it never lets a command by.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/command.h"
#include "supervisor/loop.h"
#include "supervisor/options.h"

/* An agent takes this, and what we say on standard error, as a refusal. */
#define EXIT_BLOCK 2
#define ANSWER_MS 5000

struct options {
	bool help;
	struct option_list allow;
};

static const struct option_row rows[] = {
	{ 'a', "allow", OPTION_LIST, offsetof(struct options, allow), "TOOL",
	  "a tool of the agent's own that may write files; repeat it for more" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const char *const shells[] = { "Bash", "shell", "exec_command", "local_shell",
				      "shell_command" };
static const char *const writers[] = { "Write", "Edit", "MultiEdit", "NotebookEdit",
				       "apply_patch" };

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(&t,
		 "usage: glovebox hook [options] < EVENT.json\n\n"
		 "Serves the hooks PreToolUse, PostToolUse and PermissionRequest of Claude Code\n"
		 "and Codex; `glovebox agent-config` prints the configuration.\n\n");
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

static bool is_one_of(const char *word, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], word) == 0)
			return true;
	return false;
}

static bool is_ours(const char *tool)
{
	return strncmp(tool, "mcp__glovebox__", 15) == 0;
}

static int say(cJSON *specific, const char *event)
{
	cJSON *out = cJSON_CreateObject();
	char *s;

	cJSON_AddStringToObject(specific, "hookEventName", event);
	cJSON_AddItemToObject(out, "hookSpecificOutput", specific);
	s = cJSON_PrintUnformatted(out);
	cJSON_Delete(out);
	if (!s || puts(s) < 0 || fflush(stdout) < 0)
		return EXIT_BLOCK;
	cJSON_free(s);
	return EXIT_DONE;
}

/* --- before ---------------------------------------------------------------------- */

static void add_quoted(struct text *t, const char *s)
{
	text_add(t, "'");
	for (; *s; s++) {
		if (*s == '\'')
			text_add(t, "'\\''");
		else
			text_add_n(t, s, 1);
	}
	text_add(t, "'");
}

/* The command as the shim's argument. */
static int rewrite(const cJSON *asked, const char *command, struct text *t)
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n <= 0)
		return -errno;
	own[n] = '\0';
	add_quoted(t, own);
	text_add(t, " shim --key ");
	add_quoted(t, client_text_of(asked, "session_id"));
	if (client_text_of(asked, "tool_use_id")[0]) {
		text_add(t, " --agent-call-id ");
		add_quoted(t, client_text_of(asked, "tool_use_id"));
	}
	text_add(t, " -- ");
	add_quoted(t, command);
	return 0;
}

static int deny(const char *event, const char *why)
{
	cJSON *specific = cJSON_CreateObject();

	cJSON_AddStringToObject(specific, "permissionDecision", "deny");
	cJSON_AddStringToObject(specific, "permissionDecisionReason", why);
	return say(specific, event);
}

/* Nothing may run where nothing watches. 0 or -errno with `why`. */
static int check_supervisor(struct text *why)
{
	struct client c;
	int r = client_connect_agent(&c, why);

	client_done(&c);
	if (r == -ENOENT)
		return 0; /* the shim starts one */
	return r;
}

/* Whether the agent puts our shim before its commands; another prefix is no sandbox. */
static bool has_shim_prefix(void)
{
	const char *prefix = getenv("CLAUDE_CODE_SHELL_PREFIX");
	const char *slash = prefix ? strrchr(prefix, '/') : NULL;

	return prefix && strcmp(slash ? slash + 1 : prefix, "glovebox-shim") == 0;
}

static int before_shell(const cJSON *asked)
{
	const cJSON *input = cJSON_GetObjectItemCaseSensitive(asked, "tool_input");
	const char *command = client_text_of(input, "command");
	AUTO_TEXT why = { 0 };
	AUTO_TEXT t = { 0 };
	cJSON *specific, *updated;

	/* words in a list, or none: an agent that we do not know how to rewrite */
	if (!command[0])
		return deny("PreToolUse", "Glovebox cannot run this shell tool: use "
					  "mcp__glovebox__bash, or mcp__glovebox__exec.");
	if (check_supervisor(&why) < 0) {
		AUTO_TEXT all = { 0 };

		text_printf(&all, "Glovebox does not run, so nothing is run: %s", why.at);
		return deny("PreToolUse", all.at);
	}
	/* with the prefix as well it is in the session already */
	if (has_shim_prefix())
		return EXIT_DONE;
	if (rewrite(asked, command, &t) < 0 || t.failed)
		return EXIT_BLOCK;
	specific = cJSON_CreateObject();
	updated = cJSON_Duplicate(input, true);
	cJSON_DeleteItemFromObjectCaseSensitive(updated, "command");
	cJSON_AddStringToObject(updated, "command", t.at);
	cJSON_AddStringToObject(specific, "permissionDecision", "allow");
	cJSON_AddStringToObject(specific, "permissionDecisionReason", "it runs in Glovebox");
	cJSON_AddItemToObject(specific, "updatedInput", updated);
	return say(specific, "PreToolUse");
}

static int before(const cJSON *asked, const struct options *opt)
{
	const char *tool = client_text_of(asked, "tool_name");
	AUTO_TEXT t = { 0 };

	if (is_one_of(tool, shells, ARRAY_SIZE(shells)))
		return before_shell(asked);
	if (is_ours(tool)) {
		cJSON *specific = cJSON_CreateObject();

		cJSON_AddStringToObject(specific, "permissionDecision", "allow");
		cJSON_AddStringToObject(specific, "permissionDecisionReason",
					"it runs in Glovebox");
		return say(specific, "PreToolUse");
	}
	if (!is_one_of(tool, writers, ARRAY_SIZE(writers)) ||
	    is_one_of(tool, opt->allow.at, opt->allow.count))
		return EXIT_DONE; /* the agent's own rules decide */
	text_printf(&t,
		    "%s writes past the sandbox, where it can neither be seen nor undone. Use "
		    "mcp__glovebox__str_replace_based_edit_tool, mcp__glovebox__write_file or "
		    "mcp__glovebox__apply_patch.",
		    tool);
	return deny("PreToolUse", t.at);
}

/* --- asked for permission ------------------------------------------------------------ */

static int permission(const cJSON *asked, const struct options *opt)
{
	const char *tool = client_text_of(asked, "tool_name");
	cJSON *specific, *decision;
	bool is_safe = is_ours(tool) || is_one_of(tool, shells, ARRAY_SIZE(shells));

	if (!is_safe && (!is_one_of(tool, writers, ARRAY_SIZE(writers)) ||
			 is_one_of(tool, opt->allow.at, opt->allow.count)))
		return EXIT_DONE;
	specific = cJSON_CreateObject();
	decision = cJSON_AddObjectToObject(specific, "decision");
	cJSON_AddStringToObject(decision, "behavior", is_safe ? "allow" : "deny");
	if (!is_safe)
		cJSON_AddStringToObject(decision, "message",
					"files are written through the tools of Glovebox");
	return say(specific, "PermissionRequest");
}

/* --- after ------------------------------------------------------------------------------ */

static void find_session(const cJSON *sessions, const char *key, char id[64])
{
	const cJSON *s;

	cJSON_ArrayForEach (s, sessions)
		if (strcmp(client_text_of(cJSON_GetObjectItemCaseSensitive(s, "labels"), "key"),
			   key) == 0 &&
		    strcmp(client_text_of(s, "state"), "closed") != 0)
			(void)snprintf(id, 64, "%s", client_text_of(s, "session"));
}

/* What operators have said to the conversation, as text; nothing: "". */
static void take_notes(const char *key, struct text *t)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	struct client c;
	cJSON *json = NULL;
	char id[64] = "";
	const cJSON *v;
	char *result;

	if (client_connect_agent(&c, &why) < 0)
		return;
	if (client_exchange(&c, "session.list", NULL, ANSWER_MS, &result, &why) == 0)
		json = cJSON_Parse(result);
	find_session(cJSON_GetObjectItemCaseSensitive(json, "sessions"), key, id);
	cJSON_Delete(json);
	json = NULL;
	client_add_member(&params, "id", id);
	if (id[0] && client_exchange(&c, "notes.take", params.at, ANSWER_MS, &result, &why) == 0)
		json = cJSON_Parse(result);
	cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(json, "steer"))
		text_printf(t, "[operator note from %s] %s\n", client_text_of(v, "by"),
			    client_text_of(v, "text"));
	cJSON_Delete(json);
	client_done(&c);
}

static int after(const cJSON *asked)
{
	AUTO_TEXT t = { 0 };
	cJSON *specific;

	take_notes(client_text_of(asked, "session_id"), &t);
	if (t.len == 0)
		return EXIT_DONE;
	specific = cJSON_CreateObject();
	cJSON_AddStringToObject(specific, "additionalContext", t.at);
	return say(specific, "PostToolUse");
}

int command_hook(char **argv)
{
	struct options opt = { 0 };
	AUTO_TEXT why = { 0 };
	cJSON *asked = NULL;
	const char *event;
	char **rest;
	int status;

	if (options_parse(rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_BLOCK, "%s", why.at);
	if (opt.help)
		return help();
	if (loop_read_input(&asked, &why) < 0)
		return command_fail(EXIT_BLOCK, "%s", why.at);
	event = client_text_of(asked, "hook_event_name");
	if (strcmp(event, "PreToolUse") == 0)
		status = before(asked, &opt);
	else if (strcmp(event, "PermissionRequest") == 0)
		status = permission(asked, &opt);
	else if (strcmp(event, "PostToolUse") == 0)
		status = after(asked);
	else
		status = command_fail(EXIT_BLOCK,
				      "the hook \"%.100s\" is not served: it is for "
				      "PreToolUse, PostToolUse and PermissionRequest",
				      event);
	cJSON_Delete(asked);
	return status;
}
