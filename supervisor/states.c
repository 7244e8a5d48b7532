// SPDX-License-Identifier: Apache-2.0
/* supervisor/states.c - the states of a call: names, and the moves that are legal. */
#include "supervisor/call.h"

const char *const call_state_names[CALL_STATE_COUNT] = {
	[CALL_REQUESTED] = "requested", [CALL_HELD] = "held",       [CALL_STARTING] = "starting",
	[CALL_RUNNING] = "running",     [CALL_PAUSING] = "pausing", [CALL_PAUSED] = "paused",
	[CALL_KILLING] = "killing",     [CALL_DONE] = "done",
};

const char *const call_outcome_names[CALL_OUTCOME_COUNT] = {
	[CALL_EXITED] = "exited",
	[CALL_SIGNALED] = "signaled",
	[CALL_TIMED_OUT] = "timed_out",
	[CALL_KILLED] = "killed",
	[CALL_OVER_LIMIT] = "over_limit",
	[CALL_DENIED] = "denied",
	[CALL_FAILED_TO_START] = "failed_to_start",
	[CALL_LOST] = "lost",
};

#define TO(s) (1u << (s))
const unsigned int call_next[CALL_STATE_COUNT] = {
	[CALL_REQUESTED] = TO(CALL_HELD) | TO(CALL_STARTING) | TO(CALL_DONE),
	[CALL_HELD] = TO(CALL_STARTING) | TO(CALL_DONE),
	[CALL_STARTING] = TO(CALL_RUNNING) | TO(CALL_KILLING) | TO(CALL_DONE),
	[CALL_RUNNING] = TO(CALL_PAUSING) | TO(CALL_KILLING) | TO(CALL_DONE),
	[CALL_PAUSING] = TO(CALL_PAUSED) | TO(CALL_RUNNING) | TO(CALL_KILLING) | TO(CALL_DONE),
	[CALL_PAUSED] = TO(CALL_RUNNING) | TO(CALL_KILLING) | TO(CALL_DONE),
	[CALL_KILLING] = TO(CALL_DONE),
	[CALL_DONE] = 0,
};
