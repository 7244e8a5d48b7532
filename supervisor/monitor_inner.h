// SPDX-License-Identifier: Apache-2.0
/* supervisor/monitor_inner.h - what the parts of the monitor share, and nobody else. */
#ifndef SUPERVISOR_MONITOR_INNER_H
#define SUPERVISOR_MONITOR_INNER_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "build/bpf/watch.skel.h"
#include "supervisor/monitor.h"
#include "supervisor/ring.h"

#define MONITOR_LINKS 13

/* The tracepoint at which a request of io_uring is seen. */
enum monitor_uring { URING_NONE, URING_REQ, URING_SQE };

/* A burst of writes that user space knows of. */
struct burst {
	struct burst *next; /* of the same call */
	struct event head; /* of its first write; `data` is not filled */
	struct text path;
	struct watch_burst_key key;
	struct watch_burst told; /* what was told of it already */
	uint64_t seen_ops; /* at the last look */
	uint32_t index;
	uint32_t looks;
	bool is_over; /* its key is gone; the last writes may still be counted */
};

struct watched {
	bool is_used; /* atomic: all else is filled before, and the reader sees it after */
	bool is_given_up; /* atomic: its reader is stuck, and must not touch it any more */
	uint64_t generation;
	uint64_t cgroup_id;
	struct watch_call call; /* as the kernel side has it */
	struct decode_target to;
	struct brake *brake; /* NULL: it is not braked */
	uint64_t taken; /* bytes */
	uint64_t delivered;
	uint64_t told_lost;
	bool saw_exec;
	struct burst *bursts;
	struct asked *asked; /* what is asked of io_uring; NULL: nothing yet */
	/* what ended processes did: watch_counts and watch_errors hold the rest */
	uint64_t counts[WATCH_SYSCALLS];
	struct monitor_error *errors;
	uint32_t error_count, error_room;
};

struct monitor {
	struct watch_bpf *bpf;
	struct ring ring;
	struct watch_stats *stats; /* mapped: WATCH_SLOTS of them */
	struct watch_process *processes; /* mapped: WATCH_PROCESSES */
	struct watch_burst *bursts; /* mapped: WATCH_BURSTS */
	int links[MONITOR_LINKS];
	uint64_t generation;
	pthread_mutex_t lock; /* what the reader uses of the slots */
	uint32_t wanting; /* who else wants the lock: the reader steps back; atomic */
	uint64_t wanted; /* a position in the ring that the loop waits for; atomic */
	int reached; /* eventfd: `wanted` was */
	struct watched slots[WATCH_SLOTS];
	uint32_t slots_used; /* none beyond was ever used */
	uint64_t looked_at_bursts_ns, looked_at_names_ns, looked_at_processes_ns,
		looked_at_asked_ns;
	uint32_t batch; /* records since the ring was last left alone */
	int wake;
	pthread_t thread;
	bool is_running;
	bool stop;
	bool enters; /* on_sys_enter is loaded */
	enum monitor_uring uring; /* what is loaded */
	bool uring_answers_whole; /* io_uring_complete gives the answer as one */
	uint64_t pulse; /* the last one sent */
	uint64_t pulse_seen; /* the last one that came; atomic */
	uint32_t pulse_misses;
	uint64_t looked_ns; /* for a failure */
	const char *failure; /* the first one; NULL: none */
	bool is_stuck; /* its reader did not answer in time; waited for again when it is heard of */
	bool has_given_up; /* a slot, that may be taken back when the reader is heard of */
};

/* Whether the reader may use it. */
static inline bool watched_is_live(const struct watched *w)
{
	return __atomic_load_n(&w->is_used, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&w->is_given_up, __ATOMIC_ACQUIRE);
}

/* --- burst.c: writes, added up ----------------------------------------------------- */

/* All indexes are free. 0 or -errno. */
int burst_init(struct monitor *m);

/* The first write of a burst, or one that belongs to none. */
void burst_begin(struct watched *w, const struct event *e);

/* A process is gone: what it wrote is told. */
void burst_end_process(struct monitor *m, struct watched *w, uint32_t host_pid);

/* Those that are quiet are told, and their places given back in time. */
void burst_look(struct monitor *m);

/* The call is over. */
void burst_end_call(struct monitor *m, struct watched *w);

/* ... and nobody hears of it. */
void burst_drop_call(struct monitor *m, struct watched *w);

/* --- asked.c: io_uring's questions and answers --------------------------------------- */

/* A request; told when its answer comes, or when it does not come soon. */
void asked_begin(struct watched *w, const struct event *e, size_t size);

/* Its answer. */
void asked_done(struct watched *w, const struct event *e);

/* Those that have waited long enough are told as they are. */
void asked_look(struct monitor *m);

/* The call is over: so are all of them. `is_told`: somebody hears of it. */
void asked_end_call(struct watched *w, bool is_told);

/* --- activity.c: what processes did ------------------------------------------------- */

/* A process is gone; its place is read and given back. */
void activity_end_process(struct monitor *m, struct watched *w, uint32_t host_pid);

/* The places of processes whose end was lost are given back. */
void activity_look(struct monitor *m);

/* The call is over: so are those whose end was lost. */
void activity_end_call(struct monitor *m, struct watched *w);

/* ... and nobody hears of it. */
void activity_drop_call(struct monitor *m, struct watched *w);

#endif
