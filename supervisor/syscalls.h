// SPDX-License-Identifier: Apache-2.0
/* supervisor/syscalls.h - which system calls are reported as events, and how. */
#ifndef SUPERVISOR_SYSCALLS_H
#define SUPERVISOR_SYSCALLS_H

#include <stdbool.h>

#include "bpf/event.h"

/* What a reported call means. */
struct syscall_row {
	const char *name;
	const char *kind; /* of the event; file.open may become file.create */
	struct watch_shape shape;
	/* of a "sys.call": the arguments that are numbers, by name, from the first on; "-" is
	 * one that is not told (an address, a path). NULL: none */
	const char *args;
};

/* Rows without these are looked at for their denials alone. */
#define SYSCALLS_REPORTED (WATCH_REPORT | WATCH_OPEN | WATCH_ANY | WATCH_PROBE)

/* Fills the table the BPF programs read: shapes, and the errnos of the filter. */
void syscalls_fill(struct watch_shape shapes[WATCH_SYSCALLS]);

/* Whether it is worth an event: some calls do many things, and some return twice. */
bool syscalls_is_told(const struct syscall_row *row, const __u64 args[6], __s64 ret);

/* Whether it is an event by itself, and not only because it is traced. */
bool syscalls_is_event(const struct syscall_row *row, const struct event *e);

/* False of exit(2) and exit_group(2). */
bool syscalls_returns(int nr);

/* The row of a number, or NULL when it is not a reported one. */
const struct syscall_row *syscalls_find(int nr);

#endif
