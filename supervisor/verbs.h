// SPDX-License-Identifier: Apache-2.0
/* supervisor/verbs.h - what may be asked, by whom, and in which states. */
#ifndef SUPERVISOR_VERBS_H
#define SUPERVISOR_VERBS_H

#include <stdbool.h>

#include "supervisor/call.h"

enum verb {
	VERB_INFO,
	VERB_SESSION_CREATE,
	VERB_SESSION_LIST,
	VERB_SESSION_SHOW,
	VERB_SESSION_CLOSE,
	VERB_CALL_START,
	VERB_LIST,
	VERB_CALL_WAIT,
	VERB_CALL_REPORT,
	VERB_CALL_OUTPUT,
	VERB_CALL_INPUT,
	VERB_CALL_RESIZE,
	VERB_CALL_SIGNAL,
	VERB_CALL_CANCEL,
	VERB_SUBSCRIBE,
	VERB_UNSUBSCRIBE,
	VERB_RECENT,
	VERB_CHANGES_LIST,
	VERB_CHANGES_DIFF,
	VERB_COMMIT,
	VERB_TOOLS,
	VERB_NOTES,
	VERB_UNDO,
	/* of operators */
	VERB_PAUSE,
	VERB_RESUME,
	VERB_KILL,
	VERB_KILL_ALL,
	VERB_APPROVALS,
	VERB_APPROVE,
	VERB_DENY,
	VERB_STEER,
	VERB_DISCARD,
	VERB_ROLLBACK,
	VERB_TRACE,

	VERB_COUNT,
};

enum verb_role {
	VERB_OPERATOR,
	VERB_AGENT,
};

struct verb_rule {
	const char *method; /* of the protocol */
	unsigned int from; /* bit n: legal in call state n; 0: of no call */
	bool operator_only;
};

extern const struct verb_rule verb_rules[VERB_COUNT];

/* The verb of a method, or VERB_COUNT. */
enum verb verb_find(const char *method);

/* 0, -EPERM (not for this role) or -EPROTO (not in this state). */
int verb_check(enum verb v, enum verb_role role, enum call_state state);

#endif
