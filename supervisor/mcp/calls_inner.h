// SPDX-License-Identifier: Apache-2.0
/* supervisor/mcp/calls_inner.h - what calls.c and tasks.c share. */
#ifndef SUPERVISOR_MCP_CALLS_INNER_H
#define SUPERVISOR_MCP_CALLS_INNER_H

#include "supervisor/mcp/mcp.h"

#define ID_MAX 64
#define KEY_MAX 128

struct mcp_call {
	struct mcp_call *next;
	struct mcp_session *session;
	struct mcp_request *q; /* NULL: cancelled, or it is a task */
	char id[ID_MAX]; /* of the supervisor; "": not started yet */
	char created[32];
	char digest[65]; /* of what is held; "": nothing is asked of the client's user */
	uint32_t ask; /* in flight; 0: nothing */
	uint32_t text; /* bytes of output it may show */
	uint64_t told_ns;
	bool is_task, is_cancelled;
	bool is_asked; /* its client carries it on, with what its user says */
};

struct mcp_session {
	struct mcp_session *next;
	struct mcp *mcp;
	char key[KEY_MAX];
	char id[ID_MAX]; /* "": being made */
	struct mcp_call *calls;
	bool is_closing;
};

/* Members of a CallToolResult, from what the supervisor says, for the client of `q`. */
void call_make_result(const struct mcp_request *q, const struct mcp_call *c, const cJSON *result,
		      struct text *t);

/* Ends it with every process. */
void call_end(struct mcp *m, const char *id, const char *why);

void call_forget(struct mcp_call *c);

/* The request was for a call that goes on: it is answered with a task. */
void task_answer(struct mcp_call *c, const char *state);

#endif
