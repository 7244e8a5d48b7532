// SPDX-License-Identifier: Apache-2.0
/* supervisor/command.h - the commands of glovebox, a function each. */
#ifndef SUPERVISOR_COMMAND_H
#define SUPERVISOR_COMMAND_H

#ifndef GLOVEBOX_VERSION
#define GLOVEBOX_VERSION "0.1.0"
#endif

/* Exit statuses of every command but `run` (DESIGN.md 10). */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_NOT_PERMITTED = 4,
	EXIT_CONFLICT = 5,
	EXIT_NO_SUPERVISOR = 6,
};

/* Exit statuses of `run`, besides the command's own. */
enum run_status {
	RUN_TIMED_OUT = 124,
	RUN_FAILED = 125,
	RUN_NOT_EXECUTABLE = 126,
	RUN_NOT_FOUND = 127,
	RUN_SIGNAL = 128, /* plus the signal's number */
};

/* argv[0] is the command's name. All return the exit status. */
int command_run(char **argv);
int command_daemon(char **argv);
int command_ps(char **argv);
int command_pause(char **argv);
int command_resume(char **argv);
int command_kill(char **argv);
int command_session(char **argv);
int command_changes(char **argv);
int command_diff(char **argv);
int command_commit(char **argv);
int command_discard(char **argv);
int command_rollback(char **argv);
int command_undo(char **argv);
int command_call(char **argv);
int command_tools(char **argv);
int command_exec(char **argv);
int command_policy(char **argv);
int command_shim(char **argv);
int command_hook(char **argv);
int command_agent_config(char **argv);
int command_events(char **argv);
int command_report(char **argv);
int command_approvals(char **argv);
int command_approve(char **argv);
int command_deny(char **argv);
int command_steer(char **argv);
int command_trace(char **argv);
int command_doctor(char **argv);
int command_version(char **argv);

/* "glovebox: " and a sentence on standard error; returns `status`. */
int command_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
