// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/output.h - one stream of a call's output: a file, and live events.
 *
 * The file keeps the beginning and the end; what lay between is counted.
 */
#ifndef SUPERVISOR_OUTPUT_H
#define SUPERVISOR_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "supervisor/stream.h"

/* Of each stream: the first so many bytes, and the last. */
#define OUTPUT_HEAD (512u * 1024)
#define OUTPUT_TAIL (512u * 1024)

struct output;

struct output_plan {
	sd_event *loop;
	struct stream *stream; /* call.output events go there */
	struct stream_call who;
	const char *name; /* "stdout", "stderr" */
	int session_dir;
	uint64_t limit; /* 0: none; told once */
	void (*on_over)(void *context);
	void (*on_limit)(void *context);
	void *context;
};

/* Takes `from`, which must not block. The plan is copied, what it points at is
 * borrowed. 0 or -errno. */
int output_new(const struct output_plan *plan, int from, struct output **ret);

/* NULL is over. */
bool output_is_over(const struct output *o);

/* Ends it now, without on_over. */
void output_end(struct output *o);

struct output_totals {
	uint64_t bytes; /* read */
	uint64_t head, tail; /* kept in the file, in this order */
	int error; /* the file was given up: -errno */
};
struct output_totals output_totals(const struct output *o);

void output_free(struct output *o);

/* The file of a stream, relative to the session's directory: "output/3.stdout". */
void output_path(uint32_t call, const char *name, char ret[48]);

#endif
