// SPDX-License-Identifier: Apache-2.0
/* supervisor/client.h - a command line's end of the protocol. */
#ifndef SUPERVISOR_CLIENT_H
#define SUPERVISOR_CLIENT_H

#include <cjson/cJSON.h>

#include "supervisor/text.h"

/* Called for each supervisor that answers. The json is borrowed. */
typedef void (*client_fn)(const cJSON *result, void *context);

/* Asks every supervisor on this machine. Gives how many answered, or -errno. */
int client_ask_all(const char *method, client_fn fn, void *context);

/*
 * Asks the supervisor of call or session `id` (a unique beginning is enough).
 * Gives the result, which the caller deletes. 0; -ENOENT nobody has it,
 * -ENOTUNIQ, -EACCES, -EPROTO refused (with `why` in every case), or -errno.
 */
int client_ask(const char *id, const char *method, const char *reason, cJSON **ret,
	       struct text *why);

#endif
