// SPDX-License-Identifier: Apache-2.0
/* tests/unit/states.c - the states of a call and the verbs, from their tables. */
#include <criterion/criterion.h>
#include <errno.h>

#include "sandbox/wire.h"
#include "supervisor/call.h"
#include "supervisor/verbs.h"

Test(states, every_state_has_a_name)
{
	for (int s = 0; s < CALL_STATE_COUNT; s++)
		cr_assert_not_null(call_state_names[s], "state %d", s);
	for (int o = 0; o < CALL_OUTCOME_COUNT; o++)
		cr_assert_not_null(call_outcome_names[o], "outcome %d", o);
	for (int s = 0; s < SB_STAGE_COUNT; s++)
		cr_assert_not_null(sb_stage_names[s], "stage %d", s);
}

Test(states, every_state_can_be_reached_from_requested)
{
	unsigned int reached = 1u << CALL_REQUESTED, before;

	do {
		before = reached;
		for (int s = 0; s < CALL_STATE_COUNT; s++)
			if (reached & (1u << s))
				reached |= call_next[s];
	} while (reached != before);
	cr_assert_eq(reached, (1u << CALL_STATE_COUNT) - 1);
}

Test(states, done_is_final_and_reachable_from_every_living_state)
{
	cr_assert_eq(call_next[CALL_DONE], 0);
	for (int s = 0; s < CALL_DONE; s++)
		cr_assert(call_next[s] & (1u << CALL_DONE), "%s", call_state_names[s]);
}

Test(states, nothing_comes_back_from_killing)
{
	cr_assert_eq(call_next[CALL_KILLING], 1u << CALL_DONE);
}

Test(verbs, an_agent_is_refused_every_operator_verb_in_every_state)
{
	for (int v = 0; v < VERB_COUNT; v++)
		for (int s = 0; s < CALL_STATE_COUNT; s++)
			if (verb_rules[v].operator_only)
				cr_assert_eq(verb_check(v, VERB_AGENT, s), -EPERM, "%s in %s",
					     verb_rules[v].method, call_state_names[s]);
}

Test(verbs, each_verb_is_refused_where_it_is_not_legal)
{
	for (int v = 0; v < VERB_COUNT; v++)
		for (int s = 0; s < CALL_STATE_COUNT; s++) {
			int want = verb_rules[v].from && !(verb_rules[v].from & (1u << s)) ? -EPROTO
											   : 0;

			cr_assert_eq(verb_check(v, VERB_OPERATOR, s), want, "%s in %s",
				     verb_rules[v].method, call_state_names[s]);
		}
}

Test(verbs, kill_is_legal_in_every_living_state)
{
	static const enum call_state living[] = { CALL_STARTING, CALL_RUNNING, CALL_PAUSING,
						  CALL_PAUSED, CALL_KILLING };

	for (size_t i = 0; i < sizeof(living) / sizeof(living[0]); i++)
		cr_assert_eq(verb_check(VERB_KILL, VERB_OPERATOR, living[i]), 0);
	cr_assert_eq(verb_check(VERB_KILL, VERB_OPERATOR, CALL_DONE), -EPROTO);
}

Test(verbs, a_method_is_found_by_its_whole_name)
{
	cr_assert_eq(verb_find("call.kill"), VERB_KILL);
	cr_assert_eq(verb_find("call.kil"), VERB_COUNT);
	cr_assert_eq(verb_find(""), VERB_COUNT);
}
