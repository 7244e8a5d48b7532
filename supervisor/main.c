// SPDX-License-Identifier: Apache-2.0
/* supervisor/main.c - the command line: a table of commands. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/command.h"
#include "supervisor/text.h"
#include "supervisor/user.h"

static const struct {
	const char *name;
	int (*run)(char **argv);
	const char *help;
} commands[] = {
	{ "run", command_run, "run a command in a sandbox, and watch it" },
	{ "daemon", command_daemon, "serve sessions to many agents" },
	{ "ps", command_ps, "list what runs" },
	{ "pause", command_pause, "freeze a call, with a receipt" },
	{ "resume", command_resume, "let it run again" },
	{ "kill", command_kill, "end a call and all it started, with a receipt" },
	{ "approvals", command_approvals, "list what waits for a person, and what it is" },
	{ "approve", command_approve, "let a held call start" },
	{ "deny", command_deny, "do not, and say why" },
	{ "steer", command_steer, "put a sentence into the agent's stream and next result" },
	{ "trace", command_trace, "tell other system calls of a running call whole" },
	{ "session", command_session, "list, create, show, close sessions" },
	{ "call", command_call, "call a tool of a session, or run a command in it" },
	{ "tools", command_tools, "list the tools that a model may call" },
	{ "exec", command_exec, "one call of a tool: JSON in, JSON out" },
	{ "policy", command_policy, "check, show or explain what a session may do" },
	{ "shim", command_shim, "run an agent's shell command in its session" },
	{ "hook", command_hook, "serve the hooks of Claude Code and Codex" },
	{ "agent-config", command_agent_config, "put Glovebox under Claude Code or Codex" },
	{ "events", command_events, "print a session's events" },
	{ "report", command_report, "print the report of a call" },
	{ "changes", command_changes, "list what a session changed" },
	{ "diff", command_diff, "show what a session changed" },
	{ "commit", command_commit, "apply a session's changes to the workspace" },
	{ "discard", command_discard, "drop a session's changes" },
	{ "rollback", command_rollback, "return a session to the state after a call" },
	{ "undo", command_undo, "take one call's changes back" },
	{ "doctor", command_doctor, "try every protection, and say what is in force" },
	{ "version", command_version, "print the version" },
};

static int help(void)
{
	(void)puts("usage: glovebox COMMAND [options]\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)printf("  %-12s %s\n", commands[i].name, commands[i].help);
	(void)puts("\n`glovebox COMMAND --help` tells more.");
	return EXIT_DONE;
}

/* 0, 1 and 2 are taken, whatever we were started with: a socket there would be
 * written to as if it were a terminal. */
static void fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	fd_done(&fd);
}

/* As `glovebox-shim` it is one program with one argument, as CLAUDE_CODE_SHELL_PREFIX
 * wants it. */
static bool is_shim(const char *name)
{
	const char *slash = name ? strrchr(name, '/') : NULL;

	return name && strcmp(slash ? slash + 1 : name, "glovebox-shim") == 0;
}

int main(int argc, char **argv)
{
	const char *names[ARRAY_SIZE(commands)];
	static char help_option[] = "--help";
	const char *nearest;

	fill_stdio();
	user_keep_words(argv);
	if (is_shim(argv[0]))
		return command_shim(argv);
	/* `help COMMAND` is `COMMAND --help` */
	if (argc == 3 && strcmp(argv[1], "help") == 0) {
		argv[1] = argv[2];
		argv[2] = help_option;
	}
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return argc < 2 ? help(), EXIT_USAGE : help();
	if (strcmp(argv[1], "--version") == 0)
		return command_version(argv);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		names[i] = commands[i].name;
		if (strcmp(commands[i].name, argv[1]) == 0)
			return commands[i].run(argv + 1);
	}
	nearest = text_nearest(argv[1], names, ARRAY_SIZE(commands));
	return command_fail(
		EXIT_USAGE, "there is no command \"%s\"%s%s%s; `glovebox help` lists them", argv[1],
		nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}
