// SPDX-License-Identifier: Apache-2.0
/* supervisor/wait.h - who waits for the end of a call, and what they get. */
#ifndef SUPERVISOR_WAIT_H
#define SUPERVISOR_WAIT_H

#include "supervisor/server.h"

/* Waiting at once, in all; a wait is some hundred bytes. */
#define WAITS_MAX 4096

int waits_new(struct waits **ret, sd_event *loop);

/* Answers when the account of the call is written, or after `timeout_ns` with the
 * call's state (0: never). Takes the reply. */
void waits_add(struct waits *w, struct session *s, uint32_t call, uint64_t timeout_ns,
	       struct reply *reply);

/* Answers at once, from the account on disk. */
void waits_answer(struct session *s, uint32_t call, struct reply *reply);

void waits_call_over(struct waits *w, struct session *s, uint32_t call);
void waits_session_gone(struct waits *w, struct session *s);
void waits_free(struct waits *w);

#endif
