// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/link.h - one connection to a supervisor's agent.sock, with many
 * requests in flight, in the loop.
 */
#ifndef SUPERVISOR_MCP_LINK_H
#define SUPERVISOR_MCP_LINK_H

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "supervisor/text.h"

struct link;

/* The answer: `result` (borrowed), or NULL with the supervisor's code and message. */
typedef void (*link_fn)(void *context, const cJSON *result, int code, const char *error);

/* An event of a subscription. */
typedef void (*link_event_fn)(void *context, const cJSON *event);

struct link_watch {
	link_event_fn on_event;
	void (*on_end)(void *context); /* it has hung up; everything asked for was answered */
	void *context;
};

/* Takes the connected socket. 0 or -errno. */
int link_new(sd_event *loop, int fd, const struct link_watch *watch, struct link **ret);

/* Asks. `params` are the members of an object, without braces, or NULL. `fn` is called
 * once, unless link_forget() comes first. Gives a number that is never 0. */
uint32_t link_ask(struct link *l, const char *method, const char *params, link_fn fn,
		  void *context);

/* The answer will be dropped. */
void link_forget(struct link *l, uint32_t number);

void link_free(struct link *l);

#endif
