// SPDX-License-Identifier: Apache-2.0
/* supervisor/monitor.h - the BPF programs, and the thread that drains their ring. */
#ifndef SUPERVISOR_MONITOR_H
#define SUPERVISOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "sandbox/wire.h"
#include "supervisor/brake.h"
#include "supervisor/decode.h"
#include "supervisor/trace.h"

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
	uint64_t lost_why[EVENT_LOSS_COUNT]; /* the same ones */
	uint64_t unkept; /* system calls of processes that are only in `counts` */
	int drain_error; /* -errno: nobody reads the ring, so what was in it is lost */
	bool is_given_up; /* its reader is stuck and may still use what the plan borrowed: for ever */
	bool is_counted; /* false: no BPF program watched it, and only events are known */
	bool saw_exec; /* the programs were seen to fire */
	bool is_exact; /* delivered + lost == emitted, found so at the end */
};

/* What may be asked for later; it costs a little even then. */
enum monitor_want {
	MONITOR_COMPARES = 1 << 0, /* monitor_compare() */
	MONITOR_URING = 1 << 1, /* monitor_uring() */
};

/* Loads the programs and maps the ring: needs privilege, about 31 ms. `why`
 * receives a sentence on failure. `wants`: set of enum monitor_want. 0 or -errno. */
int monitor_load(struct monitor **ret, unsigned int wants, char *why, size_t size);

/* Has the warden attach them: all of them, or none. `cgroup` is the session's
 * directory, for the address hooks. 0 or -errno. */
int monitor_attach(struct monitor *m, int warden, int cgroup);

/* Reads strings before each call, too, from now on, and compares: every process of the
 * machine pays some 30 ns a call. -EOPNOTSUPP: it was not loaded for that. */
int monitor_compare(struct monitor *m, int warden);

/* Watches what is asked of io_uring, from now on. -EOPNOTSUPP: this kernel has no place to do
 * it at, or it was not loaded for that. */
int monitor_uring(struct monitor *m, int warden);

/* Undoes it: outside processes pay nothing any more. */
void monitor_detach(struct monitor *m);

/* Starts the thread. Call after the privileges are gone. 0 or -errno. */
int monitor_start(struct monitor *m);

/* How a call is watched. Borrowed until it is unwatched, and not given up by that. */
struct monitor_plan {
	uint64_t cgroup_id;
	struct decode_target to;
	const struct trace_set *trace; /* NULL: nothing more; not kept */
	struct brake *brake; /* it loses nothing: it is braked. NULL: it may */
	uint32_t session; /* a number of its own */
};

/* Watches a cgroup from now on. Gives a slot. 0, or -EUSERS: all are taken. */
int monitor_watch(struct monitor *m, const struct monitor_plan *plan, uint32_t *ret_slot);

/* Which calls are told whole, from now on; NULL: none. */
void monitor_trace(struct monitor *m, uint32_t slot, const struct trace_set *trace);

/* The call's init is not the tool's. */
int monitor_set_init(struct monitor *m, uint32_t slot, uint32_t init_pid);

/* Everything the kernel has put into the ring until now has been delivered when
 * this returns. Call when the cgroup is empty. 0, or -ETIMEDOUT: nobody reads it. */
int monitor_drain(struct monitor *m);

/* Ends it and gives the account; or gives it up, when its reader is stuck. */
void monitor_unwatch(struct monitor *m, uint32_t slot, struct monitor_totals *ret);

/* Why what happens does not reach us any more, as a sentence; NULL: it does. Found out by
 * doing, at most once a second. */
const char *monitor_failure(struct monitor *m);

/* Whether the kernel side still knows this call. */
bool monitor_watches(struct monitor *m, uint32_t slot);

/* Layers of a session were taken away: who wrote what holds no more. */
void monitor_forget_files(struct monitor *m, struct influence *b);

/* Stops the thread, detaches, frees. NULL is nothing. */
void monitor_free(struct monitor *m);

/* Watches for what a session's own policy refuses, too. */
struct explain_view;
void monitor_add_view(struct monitor *m, const struct explain_view *v);

#endif
