// SPDX-License-Identifier: Apache-2.0
/* supervisor/remote.h - `glovebox run --host`: the same run, by a daemon. */
#ifndef SUPERVISOR_REMOTE_H
#define SUPERVISOR_REMOTE_H

#include <stdbool.h>

#include "supervisor/options.h"
#include "supervisor/text.h"

/* What of `run`'s options a daemon can do. Borrowed. */
struct remote_plan {
	const char *workspace; /* absolute, real */
	const char *at; /* NULL: its own path */
	const struct option_list *limits, *env;
	const char *agent_call_id;
	const char *trace; /* or NULL */
	const char *const *argv;
	bool as_root, discard, quiet;
	int events_fd, report_fd; /* -1: none */
};

struct client;

/* What is told on standard error when a call has ended. */
enum remote_tells {
	REMOTE_NOTHING,
	REMOTE_AGENT, /* denials, and an operator's words */
	REMOTE_PERSON, /* the same, and how to look at the changes */
};

/* What a call that was started on this connection says, to our standard output and
 * error, until its account is written; its session's events must be subscribed to.
 * `with_input`: our standard input is the call's. `tells`: what goes to standard
 * error at its end. Gives the exit status; RUN_FAILED with `why` when the supervisor
 * has hung up. */
int remote_follow(struct client *c, const char *call, bool with_input, enum remote_tells tells,
		  struct text *why);

/* Runs it, and gives its exit status; a failure of ours is told and is RUN_FAILED. */
int remote_run(const struct remote_plan *p);

#endif
