// SPDX-License-Identifier: Apache-2.0
/* supervisor/pump.h - copies one stream of a call, without ever blocking the loop. */
#ifndef SUPERVISOR_PUMP_H
#define SUPERVISOR_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* A pipe that poll(2) calls writable takes this much without blocking
 * (PIPE_BUF, pipe(7)), so the far end's file may stay in blocking mode: its
 * flags are shared with whoever started us. */
#define PUMP_CHUNK 4096

struct pump;
typedef void (*pump_fn)(struct pump *p, void *context);

struct pump {
	int from, to; /* owned: closed at the end; -1 when over */
	bool keep_to; /* `to` is borrowed: our own stdout or stderr */
	bool keep_from;
	bool is_over; /* end of file, and everything written */
	bool to_is_gone; /* nobody reads: drop what comes */
	uint64_t bytes; /* read so far */
	uint64_t lost; /* of those, not written */
	int error; /* why, -errno; a reader that went away is 0 */
	uint64_t limit; /* 0: none; at the limit on_limit is called once */
	pump_fn on_limit, on_over;
	void *context;
	size_t have, done;
	char chunk[PUMP_CHUNK];
	sd_event_source *source_from, *source_to;
};

#define PUMP_NONE                                     \
	{                                             \
		.from = -1, .to = -1, .is_over = true \
	}

/* Takes both fds, except where keep_* is set. 0 or -errno. */
int pump_start(struct pump *p, sd_event *loop, int from, int to);

/* Ends it now; what is in flight is dropped. */
void pump_done(struct pump *p);

#endif
