// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/shim.c - `glovebox shim`: what an agent starts where it would start a shell.
 *
 *	CLAUDE_CODE_SHELL_PREFIX=/usr/local/bin/glovebox-shim	one argument, the script
 *	glovebox shim -- 'script'				the same, from a hook
 *
 * The script runs as a call of the conversation's session, its output is ours, and so
 * is its exit status. Where there is no supervisor nothing runs: exit status 125.
 *
 * Claude Code puts its prefix before hooks and MCP servers, too. Those are the
 * person's own words in the configuration, and run as they are when they are exactly
 * a command of Glovebox: behind the prefix a command of the model always comes wrapped,
 * so it is never. From a hook, which names the conversation, the model's words come as
 * they are: there nothing runs outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/command.h"
#include "supervisor/loop.h"
#include "supervisor/options.h"
#include "supervisor/remote.h"

struct options {
	bool help;
	const char *key, *id, *workspace;
};

static const struct option_row rows[] = {
	{ 'k', "key", OPTION_TEXT, offsetof(struct options, key), "WORD",
	  "the conversation (default: as the agent's environment says)" },
	{ 'w', "workspace", OPTION_TEXT, offsetof(struct options, workspace), "DIR",
	  "the agent's directory (default: CLAUDE_PROJECT_DIR, or the current one)" },
	{ 0, "agent-call-id", OPTION_TEXT, offsetof(struct options, id), "ID",
	  "the agent's own name for this call" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(&t,
		 "usage: glovebox shim [options] [--] SCRIPT\n\n"
		 "Runs a shell script as a call of the conversation's session. For agents that\n"
		 "can put a program before every shell command: see `glovebox agent-config`.\n\n");
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

/* "/path/glovebox hook", "/path/glovebox-mcp ...": plain words, our own program. */
static bool is_own_command(const char *script)
{
	static const char *const programs[] = { "glovebox", "glovebox-mcp" };
	size_t n = strspn(script, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "/._-=:, ");
	char own[PATH_MAX], program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (script[n] || len <= 0)
		return false;
	own[len] = '\0';
	slash = strrchr(own, '/');
	n = strcspn(script, " ");
	for (size_t i = 0; slash && i < ARRAY_SIZE(programs); i++) {
		(void)snprintf(program, sizeof(program), "%.*s/%s", (int)(slash - own), own,
			       programs[i]);
		if (strlen(program) == n && strncmp(script, program, n) == 0)
			return i > 0 || strcmp(script + n, " hook") == 0;
	}
	return false;
}

/* Where the script says it will write its last directory: "pwd -P >| /tmp/claude-…-cwd".
 * The agent reads that on its own side. False: it does not. */
static bool find_cwd_file(const char *script, char path[PATH_MAX])
{
	static const char mark[] = "pwd -P >| ";
	const char *at = strstr(script, mark);
	size_t n;

	for (const char *next; at && (next = strstr(at + 1, mark)); at = next)
		;
	if (!at)
		return false;
	at += sizeof(mark) - 1;
	n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-");
	if (n == 0 || n >= PATH_MAX || strncmp(at, "/tmp/claude-", 12) != 0 ||
	    memchr(at + 5, '/', n - 5) || n < 16 || strncmp(at + n - 4, "-cwd", 4) != 0)
		return false;
	memcpy(path, at, n);
	path[n] = '\0';
	return true;
}

static void bring_cwd(struct loop *l, const char *path)
{
	AUTO_TEXT input = { 0 };
	AUTO_TEXT why = { 0 };
	cJSON *result = NULL;
	const char *text;
	AUTO_FD fd = -1;

	text_add(&input, "{\"argv\":[\"cat\",\"--\",");
	text_add_json(&input, path, strlen(path));
	text_add(&input, "]}");
	if (client_tool(&l->client, l->session, "exec", input.at, NULL, &result, &why) < 0)
		return;
	text = client_text_of(cJSON_GetObjectItemCaseSensitive(result, "structured"), "stdout");
	if (text[0] == '/' && strlen(text) < PATH_MAX) {
		/* in a directory that anybody writes: nobody's link is followed, nobody's
		 * fifo waited for */
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			  0600);
		if (fd >= 0)
			(void)io_write_all(fd, text, strlen(text));
	}
	cJSON_Delete(result);
}

static int start(struct loop *l, const struct options *opt, const char *script, char id[64],
		 struct text *why)
{
	AUTO_TEXT subscribe = { 0 };
	AUTO_TEXT params = { 0 };
	char cwd[PATH_MAX];
	char *result;
	cJSON *json;
	int r;

	client_add_member(&subscribe, "session", l->session);
	r = client_exchange(&l->client, "events.subscribe", subscribe.at, 20000, &result, why);
	client_add_member(&params, "session", l->session);
	text_add(&params, ",\"argv\":[\"bash\",\"-c\",");
	text_add_json(&params, script, strlen(script));
	text_add(&params, "]");
	if (getcwd(cwd, sizeof(cwd)))
		client_add_member(&params, "cwd", cwd);
	if (opt->id)
		client_add_member(&params, "agent_call_id", opt->id);
	if (r == 0)
		r = client_exchange(&l->client, "call.start", params.at, 20000, &result, why);
	if (r < 0)
		return r;
	json = cJSON_Parse(result);
	(void)snprintf(id, 64, "%s", client_text_of(json, "id"));
	cJSON_Delete(json);
	return 0;
}

static int run_script(const struct options *opt, const char *workspace, const char *script)
{
	AUTO_TEXT why = { 0 };
	char path[PATH_MAX];
	char id[64];
	struct loop l;
	int status, r;

	r = loop_open(&l, workspace, opt->key ? opt->key : loop_key(), &why);
	if (r < 0)
		return command_fail(RUN_FAILED, "nothing was run: %s", why.at);
	r = start(&l, opt, script, id, &why);
	status = r == 0 ? remote_follow(&l.client, id, false, REMOTE_AGENT, &why) : RUN_FAILED;
	if (status == RUN_FAILED && why.len > 0)
		(void)command_fail(0, "%s", why.at);
	if (r == 0 && find_cwd_file(script, path))
		bring_cwd(&l, path);
	loop_close(&l);
	return status;
}

int command_shim(char **argv)
{
	const char *agent_id = getenv("CODEX_TOOL_CALL_ID");
	const char *project = getenv("CLAUDE_PROJECT_DIR");
	struct options opt = { .id = agent_id };
	AUTO_MEM char *workspace = NULL;
	AUTO_TEXT why = { 0 };
	char **rest;

	if (options_parse(rows, argv, true, &opt, &rest, &why) < 0)
		return command_fail(RUN_FAILED, "%s", why.at);
	if (opt.help)
		return help();
	if (!rest[0] || rest[1])
		return command_fail(RUN_FAILED, "usage: glovebox shim [options] [--] SCRIPT");
	if (!opt.key && is_own_command(rest[0])) {
		(void)execl("/bin/sh", "sh", "-c", rest[0], (char *)NULL);
		return command_fail(RUN_FAILED, "/bin/sh: %s", strerror(errno));
	}
	workspace = realpath(opt.workspace ? opt.workspace : project ? project : ".", NULL);
	if (!workspace)
		return command_fail(RUN_FAILED, "the workspace: %s", strerror(errno));
	return run_script(&opt, workspace, rest[0]);
}
