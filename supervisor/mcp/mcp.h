// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/mcp.h - the Model Context Protocol, both eras, over any transport.
 *
 * A transport hands messages to mcp_receive() and gives each a channel for what comes
 * back. Legacy (2025-06-18, 2025-11-25) begins with `initialize` and has a peer that
 * lasts; modern (2026-07-28) says all in each request.
 *
 * Nothing here is privileged. An approval is never a tool's answer: what a client
 * says for its user counts only where the owner of this process has allowed it.
 */
#ifndef SUPERVISOR_MCP_MCP_H
#define SUPERVISOR_MCP_MCP_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "supervisor/mcp/link.h"
#include "supervisor/text.h"

#define MCP_MODERN_VERSION "2026-07-28"
#define MCP_LEGACY_NEWEST "2025-11-25"

#define META_VERSION "io.modelcontextprotocol/protocolVersion"
#define META_CLIENT "io.modelcontextprotocol/clientInfo"
#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define META_LOG_LEVEL "io.modelcontextprotocol/logLevel"
#define META_SUBSCRIPTION "io.modelcontextprotocol/subscriptionId"
#define EXTENSION_TASKS "io.modelcontextprotocol/tasks"

enum mcp_code {
	MCP_PARSE_ERROR = -32700,
	MCP_INVALID_REQUEST = -32600,
	MCP_UNKNOWN_METHOD = -32601,
	MCP_INVALID_PARAMS = -32602,
	MCP_INTERNAL = -32603,
	MCP_NOT_FOUND = -32002, /* a resource; legacy only */
	MCP_HEADER_MISMATCH = -32020,
	MCP_MISSING_CAPABILITY = -32021,
	MCP_BAD_VERSION = -32022,
};

struct mcp;
struct mcp_peer;
struct mcp_request;
struct mcp_channel;

/* Where the messages about one request go. `send` gets one whole JSON message;
 * `is_last` is the answer. `status` is HTTP's, 0: 200. */
struct mcp_channel {
	void (*send)(struct mcp_channel *c, const char *json, size_t n, bool is_last, int status);
	/* A header of the request, trimmed, or NULL. NULL itself: there are none. */
	const char *(*header)(struct mcp_channel *c, const char *name);
	/* The request was cancelled: nothing more comes. May be NULL. */
	void (*drop)(struct mcp_channel *c);
	struct mcp_request *request; /* set while it is served */
};

/* Somebody we talk to: the process on stdio, a legacy HTTP session, or, for one modern
 * request, nobody in particular. */
struct mcp_peer {
	struct mcp *mcp;
	struct mcp_peer *next;
	bool is_known; /* `initialize` was seen */
	char version[16];
	char key[64]; /* legacy HTTP: the MCP-Session-Id; else "" */
	char client[64]; /* legacy: its name */
	cJSON *capabilities; /* legacy */
	int log_level; /* legacy; index in the list of levels, -1: none */
	cJSON *subscriptions; /* legacy: an array of resource URIs */
	struct mcp_channel *standing; /* for what belongs to no request; or NULL */
	struct mcp_request *requests; /* being served */
	uint32_t last_ask; /* ids of our own requests */
};

/* A request that is served. Ends with mcp_result() or mcp_error(). */
struct mcp_request {
	struct mcp_request *next;
	struct mcp_peer *peer;
	struct mcp_channel *channel;
	cJSON *json; /* owned: all below is borrowed of it */
	const cJSON *id, *params, *meta;
	const cJSON *capabilities; /* the client's */
	const cJSON *progress_token; /* or NULL */
	double progress;
	const char *method;
	bool is_modern;
	int log_level; /* -1: none */
	bool is_over;
	/* who serves it: told when the client does not want it any more. */
	void (*on_cancel)(struct mcp_request *q);
	/* our own request to the client has its answer (legacy); `result` NULL: an error */
	void (*on_answer)(struct mcp_request *q, const cJSON *result);
	void *context; /* of on_cancel and on_answer; they free it */
	cJSON *listens; /* subscriptions/listen: what was granted */
};

struct mcp_options {
	const char *workspace; /* absolute */
	uint64_t hold_ms; /* a call that runs longer is answered with a handle */
	uint64_t task_ms; /* where the client knows tasks */
	const char *policy; /* or NULL */
};

struct mcp_session;
struct option_list;

struct mcp {
	sd_event *loop;
	struct mcp_options options;
	struct link *link; /* NULL: not connected yet */
	int (*connect)(struct mcp *m, struct text *why); /* sets `link` */
	cJSON *tools; /* as tools.list gave them; NULL: not asked yet */
	struct mcp_peer *peers;
	struct mcp_session *sessions;
	unsigned char secret[32]; /* of this process: signs what a client carries for us */
	/* What the client's user has decided about a held call, on a connection of an
	 * operator's. NULL: the owner of this process has not allowed it. 0 or -errno with
	 * `why`. */
	int (*decide)(const char *call, const char *digest, bool is_yes, const char *note,
		      struct text *why);
	void (*on_over)(struct mcp *m); /* the supervisor has ended */
};

/* --- core.c: messages ------------------------------------------------------------- */

enum mcp_received { MCP_REQUEST, MCP_NOTIFICATION, MCP_ANSWER, MCP_BAD };

/* One message. A request is answered through `channel`, now or later; of the others
 * nothing comes back, except that a bad one is answered with an error. */
enum mcp_received mcp_receive(struct mcp_peer *peer, struct mcp_channel *channel, const char *json,
			      size_t n);

struct mcp_peer *mcp_peer_new(struct mcp *m);
/* Ends what it asked for. */
void mcp_peer_free(struct mcp_peer *p);

/* The client is gone, or does not want it any more. Frees it; nothing is sent. */
void mcp_cancel(struct mcp_request *q);

/* `members` of the result, without braces; modern ones get "resultType":"complete"
 * unless they begin with a resultType of their own. Frees the request. */
void mcp_result(struct mcp_request *q, const char *members);
/* `data` is JSON text or NULL. Frees the request. */
void mcp_error(struct mcp_request *q, int status, int code, const char *message, const char *data);

/* A notification about this request; `params` are members. */
void mcp_notify(struct mcp_request *q, const char *method, const char *params);
/* Only when the client asked for it; grows by itself. */
void mcp_progress(struct mcp_request *q, const char *message);
/* Only when the client asked for this level. `data` is JSON text. */
void mcp_log(struct mcp_request *q, const char *level, const char *logger, const char *data);
/* Asks the client (legacy only), on the request's channel. */
void mcp_ask(struct mcp_request *q, const char *method, const char *params);

/* A state that the client carries for us, unchanged: signed. */
void mcp_add_state(const struct mcp *m, const char *what, struct text *t);
/* What a state says, when it is one of ours; the caller frees. NULL: it is not. */
char *mcp_read_state(const struct mcp *m, const char *state);

/* Whether the client has said it has this: "elicitation", "sampling", "roots". */
bool mcp_client_has(const struct mcp_request *q, const char *capability);
bool mcp_client_has_tasks(const struct mcp_request *q);

/* Whether it hands structured content to its model in place of the text: then it gets the
 * text alone, because that says more (what was denied and why, a person's words). */
bool mcp_client_prefers_structure(const struct mcp_request *q);

/* To everybody who listens: a resource was updated, or a list ("tools", "prompts",
 * "resources"; then `uri` is NULL). */
void mcp_tell(struct mcp *m, const char *list, const char *uri);

/* --- what tests add ---------------------------------------------------------------- */

/* The fixtures of the conformance suite. NULL in the program that is installed. */
struct mcp_fixtures {
	/* Members of arrays, each ending with a comma; or nothing. */
	const char *tools, *resources, *templates, *prompts;
	/* Serves it, or false: it is not theirs. */
	bool (*serve)(struct mcp_request *q);
};
extern const struct mcp_fixtures *mcp_fixtures;

/* --- calls.c ------------------------------------------------------------------------ */

void mcp_tools_list(struct mcp_request *q);
void mcp_tools_call(struct mcp_request *q);
void mcp_tasks_get(struct mcp_request *q);
void mcp_tasks_update(struct mcp_request *q);
void mcp_tasks_cancel(struct mcp_request *q);
/* An event of the supervisor. */
void mcp_on_event(struct mcp *m, const cJSON *event);
/* Sessions (of one session of HTTP, or with NULL all) are closed, and removed when they
 * changed nothing; then `fn`. */
void mcp_close_sessions(struct mcp *m, const char *key, void (*fn)(struct mcp *m));

/* --- resources.c --------------------------------------------------------------------- */

void mcp_resources_list(struct mcp_request *q);
void mcp_resources_templates(struct mcp_request *q);
void mcp_resources_read(struct mcp_request *q);
/* Ids of the sessions of this client, for the list. */
void mcp_each_session(struct mcp *m, void (*fn)(const char *id, void *context), void *context);

/* --- transports ------------------------------------------------------------------------ */

int stdio_start(struct mcp *m);
/* What is in the way of exiting is written. */
void stdio_flush(void);

struct http_options {
	const char *listen; /* "127.0.0.1:3000" */
	const char *token; /* NULL: none is asked for */
	const struct option_list *hosts, *origins; /* allowed besides loopback's */
};
int http_start(struct mcp *m, const struct http_options *o, struct text *why);
void http_stop(void);

#endif
