// SPDX-License-Identifier: Apache-2.0
/* supervisor/loop.h - an agent's end of it: a session for one conversation. */
#ifndef SUPERVISOR_LOOP_H
#define SUPERVISOR_LOOP_H

#include "sandbox/wire.h"
#include "supervisor/client.h"
#include "supervisor/own.h"

struct loop {
	struct client client;
	struct own own;
	char session[SB_ID_MAX];
};

/* Connects at the agents' door (as root without a daemon: to one of our own), and opens
 * the session of `key` on `workspace`; NULL: a new one. 0 or -errno with `why`. */
int loop_open(struct loop *l, const char *workspace, const char *key, struct text *why);

/* The session ends, too: its files stay where it has changed something. */
void loop_end_session(struct loop *l);

void loop_close(struct loop *l);

/* The agent's own name of its conversation, from the environment; or NULL. */
const char *loop_key(void);

/* All of standard input, as JSON. The caller deletes it. 0 or -errno with `why`. */
int loop_read_input(cJSON **ret, struct text *why);

#endif
