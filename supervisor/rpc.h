// SPDX-License-Identifier: Apache-2.0
/* supervisor/rpc.h - JSON-RPC 2.0, one message a line. */
#ifndef SUPERVISOR_RPC_H
#define SUPERVISOR_RPC_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "supervisor/text.h"

#define RPC_LINE_MAX (1024 * 1024) /* DESIGN.md 9 */
#define RPC_DEPTH_MAX 32

/* Codes: the standard's, and ours from -32000 down. Stable. */
enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_UNKNOWN_METHOD = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_NOT_FOUND = -32001,
	RPC_WRONG_STATE = -32002,
	RPC_NOT_PERMITTED = -32003,
	RPC_BUSY = -32004,
	RPC_INCOMPLETE = -32005, /* asked for, not proven in time */
	RPC_CONFLICT = -32006, /* the real side, or what was shown, is another now */
};

struct rpc_request {
	cJSON *json; /* owns all below; rpc_request_done() */
	const cJSON *id; /* NULL: a notification */
	const char *method;
	const cJSON *params; /* an object, or NULL */
};

/* Parses JSON as strictly as a request: 0 and what the caller deletes, or
 * RPC_PARSE_ERROR with `why`. */
int rpc_read_json(const char *text, size_t size, cJSON **ret, struct text *why);

/* Parses one line without its newline. 0, or an enum rpc_code with `why`; then
 * q->id is set when it could be read. */
int rpc_parse(const char *line, size_t size, struct rpc_request *q, struct text *why);

void rpc_request_done(struct rpc_request *q);

/* Appends a response line. `id` NULL becomes null. `result` is JSON text. */
void rpc_add_result(struct text *out, const cJSON *id, const char *result);
void rpc_add_error(struct text *out, const cJSON *id, int code, const char *message);

#endif
