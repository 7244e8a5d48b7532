// SPDX-License-Identifier: Apache-2.0
/* supervisor/wait.h - who waits for the end of a call, and what they get. */
#ifndef SUPERVISOR_WAIT_H
#define SUPERVISOR_WAIT_H

#include "supervisor/server.h"

/* Waiting at once, in all; a wait is some hundred bytes. */
#define WAITS_MAX 4096

int waits_new(struct waits **ret, sd_event *loop);

/* How long, and what is wanted beside the account. */
struct wait_plan {
	uint64_t timeout_ns; /* 0: no limit */
	size_t text; /* bytes of output in words for a model; 0: none of it */
	uint64_t from; /* there, leave away so much of standard output */
};

/* Answers when the account of the call is written, or after the timeout with the
 * call's state. Takes the reply. */
void waits_add(struct waits *w, struct session *s, uint32_t call, const struct wait_plan *plan,
	       struct reply *reply);

/* Answers at once, from the account on disk. */
void waits_answer(struct session *s, uint32_t call, const struct wait_plan *plan,
		  struct reply *reply);

/* Appends ,"steer":[...]: what operators have said, which is handed over once. */
void waits_add_steers(struct session *s, struct text *t);

void waits_call_over(struct waits *w, struct session *s, uint32_t call);
void waits_session_gone(struct waits *w, struct session *s);
void waits_free(struct waits *w);

#endif
