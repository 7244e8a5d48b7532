// SPDX-License-Identifier: Apache-2.0
/* supervisor/decode_inner.h - what the parts of the decoder share, and nobody else. */
#ifndef SUPERVISOR_DECODE_INNER_H
#define SUPERVISOR_DECODE_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "supervisor/decode.h"
#include "supervisor/syscalls.h"
#include "supervisor/text.h"

struct span {
	const char *at;
	size_t len;
};

/* --- decode_part.c: what events are made of ------------------------------------------ */

struct span decode_span(const struct event *e, enum event_span which);

/* A path relative to a directory, without "//" and "/./": its text, not a walk along it. */
void decode_join(struct text *out, struct span base, struct span path);

/* The first or the second path of a record; nothing when it could not be read. */
void decode_path_of(const struct event *e, bool second, struct text *out);

/* Those of a call that is told whole. */
void decode_call_paths(const struct event *e, struct text *path, struct text *path2);

/* Begins an event: add members, then decode_end(). */
struct text *decode_begin(const struct event *e, const struct decode_target *to, const char *kind);

void decode_end(const struct decode_target *to);

void decode_add_text(struct text *t, const char *key, const struct text *value);
void decode_add_name(struct text *t, const char *syscall);
void decode_add_path_src(struct text *t, const struct event *e);
void decode_add_error(struct text *t, int64_t ret);
void decode_add_toctou(struct text *t, const struct event *e);

/* A signal that ended its process came while it was in this call. */
bool decode_is_unfinished(const struct event *e);

/* A line for a person, begun; NULL: not of interest at this level. */
struct text *decode_human(const struct decode_target *to, enum stream_level least,
			  const struct event *e, const char *kind);

/* ... its end: what came of it, where that was no success. */
void decode_human_end(struct text *h, const struct event *e);

/* ... the whole of one about one path, or two. */
void decode_human_path(const struct decode_target *to, const struct event *e, const char *kind,
		       const struct text *a, const struct text *b);

/* A `denied` event, or one more of a kind. Takes `d`. */
void decode_denied(const struct event *e, const struct decode_target *to, const char *syscall,
		   struct denial *d);

/* A `sys.call`: `name` and `args` are those of its row, or of the table of all calls. */
void decode_call(const struct event *e, const struct decode_target *to, const char *name,
		 const char *args, const struct text *path, const struct text *path2);

/* Somebody asked for this one: told as it is, whatever it is. */
void decode_traced(const struct event *e, const struct decode_target *to);

/* --- decode_proc.c, decode_net.c, decode_file.c --------------------------------------- */

void decode_exec(const struct event *e, const struct decode_target *to);
void decode_fork(const struct event *e, const struct decode_target *to);
void decode_exit(const struct event *e, const struct decode_target *to);
void decode_signal(const struct event *e, const struct decode_target *to,
		   const struct syscall_row *row);

/* It died of SIGSYS inside a foreign call: that is our filter. */
void decode_killed(const struct event *e, const struct decode_target *to);

void decode_address(const struct event *e, const struct decode_target *to,
		    const struct syscall_row *row);
void decode_file(const struct event *e, const struct decode_target *to,
		 const struct syscall_row *row);

/* A call of the set that is no file's, no address's and no signal's. */
void decode_sys_call(const struct event *e, const struct decode_target *to,
		     const struct syscall_row *row);

/* What is used here may be another call's: told when it is. */
void decode_influence(const struct event *e, const struct decode_target *to, const char *how,
		      const struct text *what, uint32_t from, bool is_certain);
void decode_look_up(const struct event *e, const struct decode_target *to, const char *how,
		    const struct text *path);

#endif
