// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/setup.c - `glovebox agent-config`: what an agent's configuration must say.
 *
 * Printed, or merged into the files: what stands there stays, and what is ours already
 * is not added twice. A file that is no JSON is not touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/options.h"
#include "supervisor/rpc.h"

#define FILE_MAX (1u << 20)
/* Seconds: a call that waits for a person. Codex cuts at its own. */
#define HOOK_SECONDS 600
#define CODEX_TOOL_SECONDS 300

struct options {
	bool help, install, prefix, no_hooks;
	const char *dir;
};

static const struct option_row rows[] = {
	{ 0, "install", OPTION_BOOL, offsetof(struct options, install), NULL,
	  "merge it into the files, instead of printing it" },
	{ 'd', "dir", OPTION_TEXT, offsetof(struct options, dir), "DIR",
	  "claude: the project (default: here); codex: its home (default: ~/.codex)" },
	{ 0, "prefix", OPTION_BOOL, offsetof(struct options, prefix), NULL,
	  "claude: also put glovebox-shim before every shell command" },
	{ 0, "no-hooks", OPTION_BOOL, offsetof(struct options, no_hooks), NULL,
	  "only the MCP server" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "usage: glovebox agent-config claude|codex [options]\n\n"
		     "Prints what puts Glovebox under an agent: the MCP server, and hooks that\n"
		     "send shell commands into the sandbox and keep the agent's own file tools\n"
		     "from going past it.\n\n");
	options_help(rows, &t);
	text_add(&t, "\n  glovebox agent-config claude --install\n");
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

/* The absolute path of a program beside this one. */
static char *beside(const char *name)
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	AUTO_TEXT t = { 0 };
	char *slash;

	if (n <= 0)
		return NULL;
	own[n] = '\0';
	slash = strrchr(own, '/');
	text_printf(&t, "%.*s/%s", (int)(slash - own), own, name);
	return TAKE(t.at);
}

/* --- what it says ------------------------------------------------------------------ */

static cJSON *object_in(cJSON *json, const char *key)
{
	cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);

	return v ? v : cJSON_AddObjectToObject(json, key);
}

static void set_text(cJSON *json, const char *key, const char *value)
{
	cJSON_DeleteItemFromObjectCaseSensitive(json, key);
	cJSON_AddStringToObject(json, key, value);
}

/* Which supervisor is meant: agents do not hand their environment on. */
static const char *const own_variables[] = { "GLOVEBOX_RUN", "GLOVEBOX_STATE", "GLOVEBOX_HOST" };

static void add_server(cJSON *json)
{
	cJSON *servers = object_in(json, "mcpServers");
	AUTO_MEM char *program = beside("glovebox-mcp");
	cJSON *server = cJSON_CreateObject();

	cJSON_AddStringToObject(server, "command", program ? program : "glovebox-mcp");
	cJSON_AddArrayToObject(server, "args");
	for (size_t i = 0; i < ARRAY_SIZE(own_variables); i++)
		if (getenv(own_variables[i]))
			set_text(object_in(server, "env"), own_variables[i],
				 getenv(own_variables[i]));
	cJSON_DeleteItemFromObjectCaseSensitive(servers, "glovebox");
	cJSON_AddItemToObject(servers, "glovebox", server);
}

static bool has_command(const cJSON *groups, const char *command)
{
	const cJSON *group, *hook;

	cJSON_ArrayForEach (group, groups)
		cJSON_ArrayForEach (hook, cJSON_GetObjectItemCaseSensitive(group, "hooks"))
			if (strcmp(client_text_of(hook, "command"), command) == 0)
				return true;
	return false;
}

static void add_hooks(cJSON *json)
{
	static const char *const events[] = { "PreToolUse", "PostToolUse", "PermissionRequest" };
	AUTO_MEM char *program = beside("glovebox");
	cJSON *hooks = object_in(json, "hooks");
	AUTO_TEXT command = { 0 };

	text_printf(&command, "%s hook", program ? program : "glovebox");
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		cJSON *groups = cJSON_GetObjectItemCaseSensitive(hooks, events[i]);
		cJSON *group, *list, *hook;

		if (!groups)
			groups = cJSON_AddArrayToObject(hooks, events[i]);
		if (has_command(groups, command.at))
			continue;
		group = cJSON_CreateObject();
		cJSON_AddStringToObject(group, "matcher", "*");
		list = cJSON_AddArrayToObject(group, "hooks");
		hook = cJSON_CreateObject();
		cJSON_AddStringToObject(hook, "type", "command");
		cJSON_AddStringToObject(hook, "command", command.at);
		cJSON_AddNumberToObject(hook, "timeout", HOOK_SECONDS);
		cJSON_AddItemToArray(list, hook);
		cJSON_AddItemToArray(groups, group);
	}
}

static void add_permission(cJSON *json)
{
	cJSON *permissions = object_in(json, "permissions");
	cJSON *allow = cJSON_GetObjectItemCaseSensitive(permissions, "allow");
	const cJSON *v;

	if (!allow)
		allow = cJSON_AddArrayToObject(permissions, "allow");
	cJSON_ArrayForEach (v, allow)
		if (cJSON_IsString(v) && strcmp(v->valuestring, "mcp__glovebox") == 0)
			return;
	cJSON_AddItemToArray(allow, cJSON_CreateString("mcp__glovebox"));
}

static void add_prefix(cJSON *json)
{
	AUTO_MEM char *program = beside("glovebox-shim");

	set_text(object_in(json, "env"), "CLAUDE_CODE_SHELL_PREFIX",
		 program ? program : "glovebox-shim");
}

/* --- files ------------------------------------------------------------------------------ */

static int make_parent(const char *path)
{
	char copy[PATH_MAX];
	char *slash;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	slash = strrchr(copy, '/');
	*slash = '\0';
	return mkdir(copy, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int write_whole(const char *path, const char *text)
{
	AUTO_TEXT beside_it = { 0 };
	AUTO_FD fd = -1;
	struct stat st;
	mode_t mode = stat(path, &st) == 0 ? st.st_mode & 07777 : 0644;
	int r = make_parent(path);

	text_printf(&beside_it, "%s.glovebox-new", path);
	if (r == 0)
		fd = open(beside_it.at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return r < 0 ? r : -errno;
	r = io_write_all(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(beside_it.at, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(beside_it.at);
	return r;
}

/* What is there; a file that is not there is "". -EINVAL: not readable. */
static int read_whole(const char *path, struct text *ret)
{
	AUTO_MEM char *all = calloc(1, FILE_MAX + 1);
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	text_add(ret, "");
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = all ? io_read_full(fd, all, FILE_MAX) : -1;
	if (n < 0 || n == (ssize_t)FILE_MAX)
		return -EFBIG;
	text_add_n(ret, all, (size_t)n);
	return 0;
}

/* A JSON file with more in it; or, when it is not to be installed, what to put there. */
static int put_json(const struct options *opt, const char *path, void (*const *add)(cJSON *json),
		    size_t count)
{
	AUTO_TEXT old = { 0 };
	AUTO_TEXT why = { 0 };
	AUTO_TEXT t = { 0 };
	cJSON *json = NULL;
	char *s;
	int r = opt->install ? read_whole(path, &old) : 0;

	if (r == 0 && old.len > 0 && rpc_read_json(old.at, old.len, &json, &why) < 0)
		return command_fail(EXIT_CONFLICT, "%s is not touched: %s", path, why.at);
	if (!json)
		json = cJSON_CreateObject();
	for (size_t i = 0; i < count; i++)
		add[i](json);
	s = cJSON_Print(json);
	cJSON_Delete(json);
	text_printf(&t, "%s\n", s ? s : "{}");
	cJSON_free(s);
	if (!opt->install) {
		(void)printf("# %s\n%s\n", path, t.at);
		return EXIT_DONE;
	}
	if (r == 0)
		r = write_whole(path, t.at);
	if (r < 0)
		return command_fail(EXIT_FAILED, "%s: %s", path, strerror(-r));
	(void)printf("%s %s\n", old.len > 0 ? "changed" : "made", path);
	return EXIT_DONE;
}

static int put_toml(const struct options *opt, const char *path)
{
	AUTO_MEM char *program = beside("glovebox-mcp");
	AUTO_TEXT all = { 0 };
	AUTO_TEXT t = { 0 };
	int r;

	text_add(&t, "[mcp_servers.glovebox]\ncommand = ");
	text_add_json(&t, program, program ? strlen(program) : 0);
	text_printf(&t, "\nargs = []\ntool_timeout_sec = %d\n", CODEX_TOOL_SECONDS);
	for (size_t i = 0; i < ARRAY_SIZE(own_variables); i++) {
		const char *v = getenv(own_variables[i]);

		if (!v)
			continue;
		if (!strstr(t.at, "[mcp_servers.glovebox.env]"))
			text_add(&t, "[mcp_servers.glovebox.env]\n");
		text_printf(&t, "%s = ", own_variables[i]);
		text_add_json(&t, v, strlen(v));
		text_add(&t, "\n");
	}
	if (!opt->install) {
		(void)printf("# %s\n%s\n", path, t.at);
		return EXIT_DONE;
	}
	r = read_whole(path, &all);
	if (r == 0 && strstr(all.at, "[mcp_servers.glovebox]")) {
		(void)printf("%s has it already\n", path);
		return EXIT_DONE;
	}
	text_printf(&all, "%s%s", all.len > 0 ? "\n" : "", t.at);
	if (r == 0)
		r = write_whole(path, all.at);
	if (r < 0)
		return command_fail(EXIT_FAILED, "%s: %s", path, strerror(-r));
	(void)printf("changed %s\n", path);
	return EXIT_DONE;
}

/* --- agents ------------------------------------------------------------------------------- */

static int configure_claude(const struct options *opt)
{
	static void (*const servers[])(cJSON *) = { add_server };
	static void (*const settings[])(cJSON *) = { add_permission, add_hooks, add_prefix };
	const char *dir = opt->dir ? opt->dir : ".";
	char path[PATH_MAX];
	int status;

	(void)snprintf(path, sizeof(path), "%s/.mcp.json", dir);
	status = put_json(opt, path, servers, 1);
	(void)snprintf(path, sizeof(path), "%s/.claude/settings.json", dir);
	if (status == EXIT_DONE)
		status = put_json(opt, path, settings, opt->no_hooks ? 1 : opt->prefix ? 3 : 2);
	if (status == EXIT_DONE)
		(void)fputs("To leave the agent no tools but these: claude --tools \"\" (and "
			    "--strict-mcp-config --mcp-config .mcp.json)\n",
			    stderr);
	return status;
}

static int configure_codex(const struct options *opt)
{
	static void (*const hooks[])(cJSON *) = { add_hooks };
	const char *home = getenv("CODEX_HOME");
	char dir[PATH_MAX - 32], path[PATH_MAX];
	int status;

	if (opt->dir || home)
		(void)snprintf(dir, sizeof(dir), "%s", opt->dir ? opt->dir : home);
	else
		(void)snprintf(dir, sizeof(dir), "%s/.codex", getenv("HOME") ? getenv("HOME") : "");
	(void)snprintf(path, sizeof(path), "%s/config.toml", dir);
	status = put_toml(opt, path);
	(void)snprintf(path, sizeof(path), "%s/hooks.json", dir);
	if (status == EXIT_DONE && !opt->no_hooks)
		status = put_json(opt, path, hooks, 1);
	if (status == EXIT_DONE)
		(void)fputs(
			"Codex asks once whether hooks are trusted. To leave it no shell of its "
			"own: codex --disable shell_tool --disable unified_exec\n",
			stderr);
	return status;
}

int command_agent_config(char **argv)
{
	struct options opt = { 0 };
	const char *agent = NULL;
	AUTO_TEXT why = { 0 };
	char **rest;

	if (argv[1] && argv[1][0] != '-')
		agent = *++argv;
	if (options_parse(rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help();
	if (!agent && rest[0])
		agent = *rest++;
	if (agent && !rest[0] && strcmp(agent, "claude") == 0)
		return configure_claude(&opt);
	if (agent && !rest[0] && strcmp(agent, "codex") == 0)
		return configure_codex(&opt);
	return command_fail(EXIT_USAGE, "usage: glovebox agent-config claude|codex [--install]");
}
