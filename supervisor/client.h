// SPDX-License-Identifier: Apache-2.0
/* supervisor/client.h - a command line's end of the protocol. */
#ifndef SUPERVISOR_CLIENT_H
#define SUPERVISOR_CLIENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "supervisor/text.h"

/* Called for each supervisor that answers. The json is borrowed. */
typedef void (*client_fn)(const cJSON *result, void *context);

/* Asks every supervisor on this machine. Gives how many answered, or -errno. */
int client_ask_all(const char *method, client_fn fn, void *context);

/* One connection. */
struct client {
	int fd;
	struct text in;
	size_t passed; /* bytes of `in` that were given already */
	char instance[256];
};

/* Connects to the supervisor that has call or session `id` (a unique beginning is
 * enough), or with NULL to a daemon: the one named by GLOVEBOX_HOST, else the only
 * one. 0; -ENOENT nobody has it, -ENOTUNIQ, -EACCES, or -errno, with `why`. */
int client_connect(const char *id, struct client *ret, struct text *why);

/* Connects to a daemon, chosen as with NULL above, at its agents' door. */
int client_connect_agent(struct client *ret, struct text *why);

/* Connects to one socket of one instance. 0 or -errno. */
int client_connect_instance(const char *instance, const char *name, struct client *ret);

/* Sends a request; `params` are the members of an object, without braces, or NULL. */
int client_send(struct client *c, const char *method, const char *params);

/* The next line, NUL-terminated, valid until the next call. `timeout_ms` -1: no limit.
 * 0 or -errno (-EPIPE: it has hung up, -ETIMEDOUT). */
int client_next(struct client *c, int timeout_ms, char **ret_line);

/* Whether client_next() has one without waiting. */
bool client_has_line(const struct client *c);

/* Writes what a call.output event carries to our own standard output or error. */
void client_print_output(const char *event);

/* The exit status that a call.done event stands for; says so when it is not the
 * command's own. */
int client_call_status(const char *event);

/* The event of a notification line, cut out as it is; NULL: it is none. */
char *client_event(char *line);

/* 0: the line is the result of what was asked. Else -errno and the sentence in it. */
int client_refused(char *line, struct text *why);

/* Sends, and waits for the answer; events on the way are dropped. Gives the line's
 * result as text (valid until the next call), or fails like client_ask(). */
int client_exchange(struct client *c, const char *method, const char *params, int timeout_ms,
		    char **ret_result, struct text *why);

void client_done(struct client *c);

/* Connects, asks, hangs up. Gives the result, which the caller deletes. 0; -ENOENT
 * nobody has it, -ENOTUNIQ, -EACCES, -EPERM, -EPROTO refused, -ENOTCONN, each with
 * `why`. */
int client_ask(const char *id, const char *method, const char *params, cJSON **ret,
	       struct text *why);

/* {"id": ...} for the params, with more members behind. */
void client_add_member(struct text *t, const char *key, const char *value);

/* A member that is a string, else "". Borrowed. */
const char *client_text_of(const cJSON *json, const char *key);

/* Calls a tool of a session and waits for its end; `input` is JSON text. Gives the
 * answer, with "text", "is_error" and "structured"; the caller deletes it. As
 * client_exchange(). */
int client_tool(struct client *c, const char *session, const char *tool, const char *input,
		const char *agent_call_id, cJSON **ret, struct text *why);

/* Exit status of -errno above. */
int client_status(int error);

#endif
