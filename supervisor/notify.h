// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/notify.h - the monitor where no BPF program can be loaded.
 *
 * Seccomp asks about a part of the system calls before they are made (asking.h): programs
 * that are started, files that are opened to be written, made, renamed or removed, addresses,
 * signals, and what the profile refuses. Each is one event with "source":"notify" and
 * "phase":"pre": what came of it is not known here, and the strings are the tool's own,
 * which may change them before the kernel reads them. Nothing rests on them.
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include "supervisor/asking.h"
#include "supervisor/decode.h"

struct notify;

/* Asks the kernel for its sizes, before the supervisor's own filter. 0 or -errno. */
int notify_make(struct notify **ret);

/* Starts the thread. Call after the privileges are gone. 0 or -errno. */
int notify_start(struct notify *n);

/* A call that will be cloned. Borrows what it points at until unwatched. 0, or -EUSERS. */
int notify_watch(struct notify *n, const struct decode_target *to, const struct asking *asking,
		 const char *const *argv, uint32_t *ret_slot);

/* Its listener has come; takes the fd. -EEXIST: it has one. */
int notify_listen(struct notify *n, uint32_t slot, int listener);

/* Its tool has been executed: the first program, which nobody could be asked about. */
void notify_tool_runs(struct notify *n, uint32_t slot);

/* Ends it, when its processes are gone; gives the number of events. */
uint64_t notify_unwatch(struct notify *n, uint32_t slot);

void notify_free(struct notify *n);

#endif
