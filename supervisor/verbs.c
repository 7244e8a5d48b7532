// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/verbs.c - what may be asked, by whom, and in which states.
 *
 * The one place that answers "can an agent release what waits for a person?".
 */
#include "supervisor/verbs.h"

#include <errno.h>
#include <string.h>

#define IN(s) (1u << (s))
#define LIVING                                                                       \
	(IN(CALL_REQUESTED) | IN(CALL_HELD) | IN(CALL_STARTING) | IN(CALL_RUNNING) | \
	 IN(CALL_PAUSING) | IN(CALL_PAUSED) | IN(CALL_KILLING))
#define STARTED (IN(CALL_STARTING) | IN(CALL_RUNNING) | IN(CALL_PAUSING) | IN(CALL_PAUSED))

const struct verb_rule verb_rules[VERB_COUNT] = {
	[VERB_INFO] = { "host.info", 0, false },
	[VERB_SESSION_CREATE] = { "session.create", 0, false },
	[VERB_SESSION_LIST] = { "session.list", 0, false },
	[VERB_SESSION_SHOW] = { "session.show", 0, false },
	[VERB_SESSION_CLOSE] = { "session.close", 0, false },
	[VERB_CALL_START] = { "call.start", 0, false },
	[VERB_LIST] = { "call.list", 0, false },
	[VERB_CALL_WAIT] = { "call.wait", 0, false },
	[VERB_CALL_REPORT] = { "call.report", 0, false },
	[VERB_CALL_OUTPUT] = { "call.output", 0, false },
	[VERB_CALL_INPUT] = { "call.input", STARTED, false },
	[VERB_CALL_RESIZE] = { "call.resize", STARTED, false },
	[VERB_CALL_SIGNAL] = { "call.signal", STARTED, false },
	[VERB_CALL_CANCEL] = { "call.cancel", LIVING, false },
	[VERB_SUBSCRIBE] = { "events.subscribe", 0, false },
	[VERB_UNSUBSCRIBE] = { "events.unsubscribe", 0, false },
	[VERB_RECENT] = { "events.recent", 0, false },
	[VERB_CHANGES_LIST] = { "changes.list", 0, false },
	[VERB_CHANGES_DIFF] = { "changes.diff", 0, false },
	[VERB_COMMIT] = { "commit", 0, false }, /* the session's policy says who */
	[VERB_NOTES] = { "notes.take", 0, false },
	[VERB_TOOLS] = { "tools.list", 0, false },
	[VERB_UNDO] = { "undo", 0, false }, /* of a session of its own, as it could by writing */
	[VERB_PAUSE] = { "call.pause", IN(CALL_RUNNING) | IN(CALL_PAUSING) | IN(CALL_PAUSED),
			 true },
	[VERB_RESUME] = { "call.resume", IN(CALL_PAUSING) | IN(CALL_PAUSED), true },
	[VERB_KILL] = { "call.kill", LIVING, true },
	[VERB_KILL_ALL] = { "host.kill", 0, true },
	[VERB_APPROVALS] = { "approval.list", 0, true },
	[VERB_APPROVE] = { "approval.approve", IN(CALL_HELD), true },
	[VERB_DENY] = { "approval.deny", IN(CALL_HELD), true },
	[VERB_STEER] = { "steer", 0, true },
	[VERB_DISCARD] = { "discard", 0, true },
	[VERB_ROLLBACK] = { "rollback", 0, true },
	[VERB_TRACE] = { "call.trace", STARTED, true },
};

enum verb verb_find(const char *method)
{
	for (int v = 0; v < VERB_COUNT; v++)
		if (strcmp(verb_rules[v].method, method) == 0)
			return (enum verb)v;
	return VERB_COUNT;
}

int verb_check(enum verb v, enum verb_role role, enum call_state state)
{
	if (verb_rules[v].operator_only && role != VERB_OPERATOR)
		return -EPERM;
	if (verb_rules[v].from && !(verb_rules[v].from & IN(state)))
		return -EPROTO;
	return 0;
}
