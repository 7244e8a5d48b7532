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
	(IN(CALL_STARTING) | IN(CALL_RUNNING) | IN(CALL_PAUSING) | IN(CALL_PAUSED) | \
	 IN(CALL_KILLING))

const struct verb_rule verb_rules[VERB_COUNT] = {
	[VERB_LIST] = { "call.list", 0, true },
	[VERB_PAUSE] = { "call.pause", IN(CALL_RUNNING) | IN(CALL_PAUSING) | IN(CALL_PAUSED),
			 true },
	[VERB_RESUME] = { "call.resume", IN(CALL_PAUSING) | IN(CALL_PAUSED), true },
	[VERB_KILL] = { "call.kill", LIVING, true },
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
