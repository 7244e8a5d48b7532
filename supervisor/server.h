// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/server.h - the two doors: agent.sock and operator.sock.
 *
 * JSON-RPC 2.0, one message a line; PROTOCOL.md documents every method.
 */
#ifndef SUPERVISOR_SERVER_H
#define SUPERVISOR_SERVER_H

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "supervisor/host.h"
#include "supervisor/rpc.h"
#include "supervisor/verbs.h"

struct server;
struct connection;
struct reply;

typedef void (*server_convert_fn)(const char *result, struct text *out);

/* One request while it is served. */
struct asked {
	struct server *server;
	struct host *host;
	struct connection *from; /* borrowed */
	enum verb verb;
	enum verb_role role;
	uid_t uid;
	const char *name; /* "operator (uid 0)" */
	const cJSON *id, *params;
	/* NULL, or makes the answer of another method from this one's result */
	server_convert_fn convert;
};

int server_start(struct server **ret, struct host *host);

/* Serves a listening socket (taken) for one role. 0 or -errno. */
int server_add_door(struct server *s, int listener, enum verb_role role);

/* Sends what is waiting, as far as it goes at once, and closes. NULL is nothing. */
void server_free(struct server *s);

/* Answers. `result` is JSON text. */
void server_result(struct asked *q, const char *result);
void server_error(struct asked *q, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An answer that comes later. The connection may be gone by then: that is no error. */
struct reply *server_defer(struct asked *q);
void reply_result(struct reply *r, const char *result);
void reply_error(struct reply *r, int code, const char *message);

/* Lines to one connection, for feeds. Bytes that wait there. */
size_t connection_waiting(const struct connection *c);
void connection_send(struct connection *c, const struct text *lines);
struct feed **connection_feeds(struct connection *c);

/* Serves the request again when the session is not busy any more: what it waits for
 * (a squash, another commit) is ours, not the caller's. */
void server_park(struct asked *q, struct session *session);
void server_unpark(struct server *s, struct session *session);

/* Who follows this session gets what there is, now. */
void server_pump(struct server *s, struct session *session);

/* Told by the host. */
void server_call_over(struct server *s, struct session *session, uint32_t call);
void server_session_gone(struct server *s, struct session *session);
void server_commit_auto(struct server *s, struct session *session);

/* wait.c: who waits for the end of a call. */
struct waits;
struct waits *server_waits(struct server *s);

/* The session, and with a ".N" the call, that params.id (or `key`) names, and that this
 * caller may touch. False: the error was sent. *ret_call is NULL without ".N" or when
 * the call has ended; *ret_number is 0 without. */
bool server_find(struct asked *q, const char *key, struct session **ret_session,
		 struct call **ret_call, uint32_t *ret_number);

/* Whether the caller sees a session: an agent only those of its own uid. */
bool server_may_see(const struct asked *q, const struct session *s);

#endif
