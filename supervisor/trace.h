// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/trace.h - which system calls somebody wants to see whole, in strace's words.
 *
 *	openat,clone3		these
 *	%file,%network		classes: file desc network process signal ipc memory
 *				creds clock
 *	%file,!stat		without this one; "!stat" alone is all but it
 *	all, none
 */
#ifndef SUPERVISOR_TRACE_H
#define SUPERVISOR_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "supervisor/text.h"

struct trace_set {
	uint64_t bits[WATCH_SYSCALLS / 64];
};

struct trace_row {
	const char *name;
	unsigned int classes;
	const char *args; /* as in struct syscall_row */
	struct watch_shape shape; /* where its path or its fd is */
};

/* Reads words into a set. 0, or -EINVAL with a sentence that names the wrong one. */
int trace_parse(const char *words, struct trace_set *ret, struct text *why);

/* How many of the calls there are. */
unsigned int trace_count(const struct trace_set *set);

bool trace_is_empty(const struct trace_set *set);

/* The row of a number, or NULL: no name is known. */
const struct trace_row *trace_find(int nr);

/* Where paths and fds are, for calls that have no shape yet. */
void trace_fill(struct watch_shape shapes[WATCH_SYSCALLS]);

#endif
