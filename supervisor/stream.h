// SPDX-License-Identifier: Apache-2.0
/* supervisor/stream.h - the event stream: one numbered JSON object a line. */
#ifndef SUPERVISOR_STREAM_H
#define SUPERVISOR_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "supervisor/text.h"

/* How much of it a person is shown on standard error. */
enum stream_level {
	STREAM_QUIET, /* nothing */
	STREAM_NORMAL, /* denials, limits, receipts, the closing summary */
	STREAM_ALL, /* every event */
};

enum { STREAM_FILE, STREAM_LOG, STREAM_STDERR, STREAM_SINKS };

/* Bytes that wait for a reader; beyond, whole lines are dropped and counted. */
#define STREAM_WAIT_MAX (8u << 20)

/* One place the lines go to. A reader that does not read costs itself. */
struct stream_sink {
	int fd; /* -1: none, or given up */
	bool borrowed; /* standard error is not ours to close */
	int reserve; /* directory with a reserve for a full disk; 0: none; owned */
	int error; /* first -errno: why it was given up */
	struct text waiting;
	uint64_t dropped; /* lines, not told yet */
	const char *why; /* they were; a constant */
	uint64_t dropped_all;
};

/* Two threads write to it, the loop's and the monitor's, under `lock`. */
struct stream {
	pthread_mutex_t lock;
	uint64_t seq; /* of the last event */
	struct stream_sink sinks[STREAM_SINKS];
	struct text line; /* the one being made */
	struct text human; /* what goes to standard error with it */
	enum stream_level level;
	uint64_t boot_to_real_ns; /* add to CLOCK_BOOTTIME */
	const char *session;

	/* the log is read by subscribers while it is written */
	uint64_t log_bytes; /* written so far */
	int wake; /* eventfd that tells them, borrowed; -1: nobody */
};

/* What every event of a call says of it. */
struct stream_call {
	uint32_t number; /* 0: the session's own event */
	const char *agent_call_id; /* or NULL */
	const char *step; /* what the agent says it does; or NULL */
};

void stream_init(struct stream *s, const char *session, enum stream_level level);
void stream_done(struct stream *s);

/* Goes on where the log ends: the next number follows the last one in it. A line
 * that was cut is ended. */
void stream_resume(struct stream *s);

/* Starts an event and locks; `boot_ns` 0 is now. Add members to s->line with
 * text_*, each with its leading comma, then call stream_end(), which unlocks. */
struct text *stream_begin(struct stream *s, const char *kind, const struct stream_call *call,
			  uint64_t boot_ns);
void stream_end(struct stream *s);

/* The same of an event that a tool can make as many of as it likes: in the log there is room
 * for `most` bytes of them, of which *used are taken. False: it is not in the log, and
 * counted there. */
bool stream_end_limited(struct stream *s, uint64_t *used, uint64_t most);

/* The same, and a line for people. Call between begin and end. The text is made
 * safe by the caller. */
struct text *stream_human(struct stream *s, enum stream_level least);

/* Writes what is waiting, as far as it goes without blocking. Called at the end of
 * each batch. */
void stream_flush(struct stream *s);

/* Lines for people only, as they are. */
void stream_say(struct stream *s, const struct text *lines);

uint64_t stream_now_boot_ns(void);
uint64_t stream_now_real_ns(void);

#endif
