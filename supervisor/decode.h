// SPDX-License-Identifier: Apache-2.0
/* supervisor/decode.h - a record of the ring becomes an event. */
#ifndef SUPERVISOR_DECODE_H
#define SUPERVISOR_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "bpf/event.h"
#include "supervisor/explain.h"
#include "supervisor/influence.h"
#include "supervisor/stream.h"
#include "supervisor/tally.h"

/* Where the events of one call go. Borrowed. */
struct decode_target {
	struct stream *stream;
	struct stream_call call;
	struct tally *tally;
	const struct explain_view *view;
	uint64_t log_bytes; /* that its events may take of the log */
	struct influence *influence; /* of the session; NULL: it is not kept */
};

/* Whether `size` bytes hold a whole record: known kind, spans inside. */
bool decode_is_sound(const void *record, size_t size);

/* Turns a sound record into an event, and adds it to the tally. */
void decode_event(const struct event *e, const struct decode_target *to);

/* The path of a record. Adds to `ret`. */
void decode_path(const struct event *e, struct text *ret);

/* Writes to a file, added up; `e` is the head of the first. */
void decode_write(const struct event *e, const struct decode_target *to, const struct text *path,
		  const struct watch_burst *b);

#endif
