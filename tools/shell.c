// SPDX-License-Identifier: Apache-2.0
/*
 * tools/shell.c - bash, with a working directory and variables that last.
 *
 *	bash [--restart=true|false] [--workdir=PATH] -- COMMAND
 *
 * Each command is a process tree of its own, so that "stop" means it; what lasts is
 * what a shell knows: it is written down when the command has ended, and read before
 * the next. The file lies in the session's own $HOME and is put in place whole; of
 * two commands at once, the last to end wins. Nobody outside reads it.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/tool.h"

#define STATE ".glovebox-shell"

/* $1 is the state, $2 the command. Variables that bash itself keeps are left out.
 * A command that sets its own trap on EXIT, or becomes another program, keeps what
 * was known before it. */
static const char for_bash[] =
	"__glovebox_state=$1 __glovebox_command=$2\n"
	"set --\n"
	"__glovebox_save() {\n"
	"  local __glovebox_status=$? __glovebox_name\n"
	"  {\n"
	"    printf 'cd -- %q\\n' \"$PWD\"\n"
	"    for __glovebox_name in $(compgen -v); do\n"
	"      case $__glovebox_name in\n"
	"      __glovebox_* | BASH* | COMP_* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | "
	"HISTCMD | LINENO | OPTIND | OPTERR | PIPESTATUS | PPID | PS4 | PWD | RANDOM | SECONDS | "
	"SHELLOPTS | SHLVL | SRANDOM | UID | _) ;;\n"
	"      *) declare -p -- \"$__glovebox_name\" ;;\n"
	"      esac\n"
	"    done\n"
	"    declare -f | grep -v '^declare -f' 2>/dev/null\n"
	"    alias -p; shopt -p; set +o | grep -v -e history -e monitor -e errexit\n"
	"  } >\"$__glovebox_state.$BASHPID\" 2>/dev/null &&\n"
	"    mv -f -- \"$__glovebox_state.$BASHPID\" \"$__glovebox_state\"\n"
	"  exit $__glovebox_status\n"
	"}\n"
	"if [ -r \"$__glovebox_state\" ]; then . \"$__glovebox_state\" 2>/dev/null; fi\n"
	"trap __glovebox_save EXIT\n"
	"eval \"$__glovebox_command\"\n";

/* Where there is no bash: the directory, and what is exported. */
static const char for_sh[] =
	"__glovebox_state=$1 __glovebox_command=$2\n"
	"set --\n"
	"__glovebox_save() {\n"
	"  __glovebox_status=$?\n"
	"  {\n"
	"    printf \"cd -- '%s'\\n\" \"$(printf %s \"$PWD\" | sed \"s/'/'\\\\\\\\''/g\")\"\n"
	"    export -p\n"
	"  } >\"$__glovebox_state.$$\" 2>/dev/null &&\n"
	"    mv -f -- \"$__glovebox_state.$$\" \"$__glovebox_state\"\n"
	"  exit $__glovebox_status\n"
	"}\n"
	"if [ -r \"$__glovebox_state\" ]; then . \"$__glovebox_state\" 2>/dev/null; fi\n"
	"trap __glovebox_save EXIT\n"
	"eval \"$__glovebox_command\"\n";

static int restart(const char *state, bool is_all)
{
	if (unlink(state) < 0 && errno != ENOENT)
		return tool_fail("the shell was not restarted: %s", strerror(errno));
	if (is_all)
		(void)puts("The shell has been restarted: its directory and variables are those "
			   "of the beginning.");
	return 0;
}

int tool_bash(char **argv)
{
	static const char *const shells[] = { "/bin/bash", "/usr/bin/bash" };
	const char *home = getenv("HOME"), *workdir = NULL, *command;
	char state[PATH_MAX];
	bool restarts = false;
	int i = 1;

	for (; argv[i] && strcmp(argv[i], "--") != 0; i++) {
		if (strncmp(argv[i], "--restart=", 10) == 0)
			restarts = strcmp(argv[i] + 10, "true") == 0;
		else if (strncmp(argv[i], "--workdir=", 10) == 0)
			workdir = argv[i] + 10;
	}
	command = argv[i] ? argv[i + 1] : NULL;
	if (snprintf(state, sizeof(state), "%s/" STATE, home ? home : "/tmp") >= (int)sizeof(state))
		return tool_fail("HOME is too long");
	if (!command && !restarts)
		return tool_fail("give a \"command\", or \"restart\": true");
	if (restarts && restart(state, !command) != 0)
		return 1;
	if (!command)
		return 0;
	if (workdir) { /* this once: an own directory begins without what was kept of it */
		char *with_dir = NULL;

		if (asprintf(&with_dir, "cd -- \"$__glovebox_workdir\" || exit\n%s", command) < 0 ||
		    setenv("__glovebox_workdir", workdir, 1) < 0)
			return tool_fail("out of memory");
		command = with_dir;
	}
	for (size_t k = 0; k < sizeof(shells) / sizeof(shells[0]); k++)
		(void)execl(shells[k], "bash", "--norc", "--noprofile", "-c", for_bash, "bash",
			    state, command, (char *)NULL);
	(void)execl("/bin/sh", "sh", "-c", for_sh, "sh", state, command, (char *)NULL);
	return tool_fail("no shell in this root: %s", strerror(errno));
}
