// SPDX-License-Identifier: Apache-2.0
/* supervisor/call_inner.h - what the files of a call share, and nobody else uses. */
#ifndef SUPERVISOR_CALL_INNER_H
#define SUPERVISOR_CALL_INNER_H

#include "supervisor/call.h"

#define CALL_US 1000u /* nanoseconds of one */

/* The one setter. -EPROTO: the move is not legal. */
int call_set_state(struct call *c, enum call_state to);

struct stream_call call_who(const struct call *c);

/* An event of the call: add members, then call_end(). */
struct text *call_begin(struct call *c, const char *kind);
void call_end(struct call *c);
void call_add_text(struct text *t, const char *key, const char *value);

/* "glovebox: <what> s-....1" for people, or NULL. */
struct text *call_begin_human(struct call *c, const char *what);

/* Decides how it ended, unless that is decided. */
void call_set_outcome(struct call *c, enum call_outcome outcome, const char *reason);

/* Kills it for a reason of ours. */
int call_end_by(struct call *c, enum call_outcome outcome, const char *reason);

/* The tool is gone; what it left running goes, too. */
void call_tool_ended(struct call *c);

/* Closes the account when nothing is left to wait for. */
void call_finish(struct call *c);

/* Ends a call that never had a process. */
void call_finish_unborn(struct call *c);

/* sample.c: tells what it uses, once a second. 0 or -errno. */
int call_sample(struct call *c);

/* limit.c */
int call_arm_wall(struct call *c);
int call_watch_limits(struct call *c);
bool call_check_oom(struct call *c);
void call_emit_limit(struct call *c, const char *limit, const char *text);
void call_over_output(struct call *c);
uint64_t call_active_ns(const struct call *c, uint64_t now);

#endif
