// SPDX-License-Identifier: Apache-2.0
/* supervisor/account.h - what is written when a call has ended. */
#ifndef SUPERVISOR_ACCOUNT_H
#define SUPERVISOR_ACCOUNT_H

#include "supervisor/call.h"
#include "supervisor/changes.h"

/* A session_call_fn: lists what the call changed, writes its report and its result,
 * emits the changes, frees the call; then what the policy wants (auto commit) and
 * what the stack needs (squash). */
void account_call(struct call *c, void *context);

/* A call that ran when its supervisor died. */
void account_lost(struct session *s, uint32_t number);

/* "report/3.json" and "report/3.result". */
void account_path(uint32_t call, bool is_result, char ret[48]);

/* Emits a change event for each, as the call's. */
void account_emit_changes(struct stream *stream, const struct stream_call *who, const char *root,
			  const struct changes *list);

#endif
