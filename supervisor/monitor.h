// SPDX-License-Identifier: Apache-2.0
/* supervisor/monitor.h - the BPF programs, and the thread that drains their ring. */
#ifndef SUPERVISOR_MONITOR_H
#define SUPERVISOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "sandbox/wire.h"
#include "supervisor/decode.h"

struct monitor;

/* One pair (call number, errno) and how often. */
struct monitor_error {
	uint16_t nr, error;
	uint64_t count;
};

/* The account of one call, after its last record. */
struct monitor_totals {
	uint64_t counts[WATCH_SYSCALLS];
	struct monitor_error *errors; /* the receiver frees it */
	uint32_t error_count;
	uint64_t errors_missed;
	uint64_t emitted; /* records begun, by the kernel's counter */
	uint64_t delivered;
	uint64_t lost; /* by the kernel's counter */
	bool is_counted; /* false: no BPF program watched it, and only events are known */
	bool saw_exec; /* the programs were seen to fire */
};

/* Loads the programs and maps the ring: needs privilege, about 31 ms. `why`
 * receives a sentence on failure. 0 or -errno. */
int monitor_load(struct monitor **ret, char *why, size_t size);

/* Has the warden attach them: all of them, or none. `cgroup` is the session's
 * directory, for the address hooks. 0 or -errno. */
int monitor_attach(struct monitor *m, int warden, int cgroup);

/* Undoes it: outside processes pay nothing any more. */
void monitor_detach(struct monitor *m);

/* Starts the thread. Call after the privileges are gone. 0 or -errno. */
int monitor_start(struct monitor *m);

/* Watches a cgroup from now on. Borrows what `to` points at until unwatched.
 * Gives a slot. 0, or -EUSERS: all are taken. */
int monitor_watch(struct monitor *m, uint64_t cgroup_id, const struct decode_target *to,
		  uint32_t *ret_slot);

/* The call's init is not the tool's. */
int monitor_set_init(struct monitor *m, uint32_t slot, uint32_t init_pid);

/* Everything the kernel has put into the ring until now has been delivered when
 * this returns. Call when the cgroup is empty. */
void monitor_drain(struct monitor *m);

/* Ends it and gives the account. */
void monitor_unwatch(struct monitor *m, uint32_t slot, struct monitor_totals *ret);

/* Stops the thread, detaches, frees. NULL is nothing. */
void monitor_free(struct monitor *m);

/* Watches for what a session's own policy refuses, too. */
struct explain_view;
void monitor_add_view(struct monitor *m, const struct explain_view *v);

#endif
