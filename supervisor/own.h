// SPDX-License-Identifier: Apache-2.0
/* supervisor/own.h - a daemon of one's own, for a program that finds none. */
#ifndef SUPERVISOR_OWN_H
#define SUPERVISOR_OWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "supervisor/text.h"

/* It ends, with all that runs, when we do: it holds the other end of `owner`. */
struct own {
	char instance[32]; /* for client_connect_instance() */
	int owner; /* -1: none was started */
	pid_t pid;
	int err; /* what it says; may be read or left */
};

#define OWN_NONE                       \
	{                              \
		.owner = -1, .err = -1 \
	}

/* Starts `glovebox daemon` beside this program for one workspace, and waits until it
 * listens. Needs root. `name` is the beginning of the instance's. 0, or -errno with
 * `why`: what it said instead. */
int own_start(struct own *own, const char *workspace, const char *name, struct text *why);

/* Lets go of it: it settles what runs, and ends. With `waits` it has ended then, and its
 * sessions are free for the next. */
void own_end(struct own *own, bool waits);

/* Whether an instance is somebody's own: nobody else uses it. */
#define OWN_PREFIX "own-"

#endif
