// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/call.h - one tool call and its states.
 *
 *	requested -> starting -> running <-> pausing -> paused
 *	                 |          |           |         |
 *	                 |          +-----------+---------+-> killing -> done
 *	                 +-------------------------------------------> done
 *
 *	requested -> starting	call_start()
 *	starting -> running	on end of file of the failure pipe after {exec, 0}
 *	running -> pausing	call_pause(): cgroup.freeze is written
 *	pausing -> paused	when cgroup.events says frozen 1
 *	paused -> running	call_resume(), when no reason to be paused is left
 *	any -> killing		call_kill(), a limit, or the end of the tool
 *	killing -> done		when cgroup.events says populated 0, the output is
 *				drained and the last record was delivered
 */
#ifndef SUPERVISOR_CALL_H
#define SUPERVISOR_CALL_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "sandbox/wire.h"
#include "supervisor/monitor.h"
#include "supervisor/policy.h"
#include "supervisor/pump.h"
#include "supervisor/stream.h"
#include "supervisor/tally.h"

enum call_state {
	CALL_REQUESTED, /* parsed; no process, no cgroup */
	CALL_HELD, /* waits for a person (with approvals, not yet used) */
	CALL_STARTING, /* cloned; the stages run */
	CALL_RUNNING,
	CALL_PAUSING, /* cgroup.freeze written, not frozen yet */
	CALL_PAUSED, /* frozen: kill is still legal */
	CALL_KILLING, /* cgroup.kill written; waits for populated 0 */
	CALL_DONE,

	CALL_STATE_COUNT,
};

extern const char *const call_state_names[CALL_STATE_COUNT];
extern const unsigned int call_next[CALL_STATE_COUNT]; /* bit n: may go to state n */

enum call_outcome {
	CALL_EXITED,
	CALL_SIGNALED,
	CALL_TIMED_OUT,
	CALL_KILLED,
	CALL_OVER_LIMIT,
	CALL_DENIED,
	CALL_FAILED_TO_START,

	CALL_OUTCOME_COUNT,
};

extern const char *const call_outcome_names[CALL_OUTCOME_COUNT];

/* Why it is paused. It runs again when the set is empty. */
enum call_pause_reason {
	CALL_PAUSE_OPERATOR = 1 << 0,
	CALL_PAUSE_SESSION = 1 << 1,
};

struct session;
struct call;

/* Told once what a verb has led to. `receipt_ns` is measured from the request. */
struct call_receipt {
	bool done; /* false: not within the time, `state` says where it is */
	uint64_t ns;
	uint32_t processes; /* killed */
	const char *detail; /* what blocks it, or NULL */
};
typedef void (*call_receipt_fn)(void *context, struct call *c, const struct call_receipt *receipt);

/* People who wait for a receipt of one call at once. */
#define CALL_WAITERS 16

struct call_waiter {
	call_receipt_fn fn;
	void *context;
	enum call_state wants;
};

struct call {
	struct session *session;
	uint32_t number;
	const char *agent_call_id; /* borrowed, or NULL */
	const char *const *argv; /* borrowed, ends with NULL */
	bool is_tty;
	enum call_state state; /* only call_set_state() writes it */
	unsigned int paused_by; /* set of enum call_pause_reason */

	/* the leaf */
	int leaf[SB_LEAF_FD_COUNT];
	uint64_t cgroup_id;
	uint32_t in_force;
	uint32_t slot; /* of the monitor */
	bool is_watched;

	/* the processes */
	int init; /* socket */
	int failure; /* pipe */
	uint32_t init_pid; /* as the machine sees it */
	struct sb_failure failed; /* stage 0: none yet */
	bool saw_ready; /* {exec, 0} has come */
	bool is_ended; /* the tool has, status below */
	int status;
	struct sb_init_message usage;

	/* time: CLOCK_MONOTONIC, paused stretches taken out */
	uint64_t started_real_ns, started_ns, ended_ns;
	uint64_t paused_since_ns, paused_ns;
	uint64_t op_ns; /* when the pause or kill was asked for */
	uint32_t op_processes;
	bool is_empty; /* populated 0 was seen, and told */
	bool is_pause_told; /* what blocks it has been said */

	/* the end */
	enum call_outcome outcome;
	bool has_outcome; /* decided before the tool ended by itself */
	char reason[256];
	char by[64];
	uint32_t killed_leftovers;
	uint64_t cpu_used_ns;
	uint64_t signals_sent; /* Ctrl-C and the like */
	struct monitor_totals totals;
	struct tally *tally;

	struct pump in, out, err; /* with a terminal: in and out only */
	sd_event_source *on_init, *on_failure, *on_wall, *on_cpu, *on_oom, *on_state;
	struct call_waiter waiters[CALL_WAITERS];
};

/* Starts `argv` in a session that is open. The call is the session's. 0 or
 * -errno; a failure of a later stage arrives as an outcome. */
int call_start(struct session *s, uint32_t number, const char *const *argv,
	       const char *agent_call_id, bool is_tty, struct call **ret);

/* Verbs. All answer at once with 0 or -errno, and later through `fn` (which may
 * be NULL) with the receipt. -EPROTO: not legal in this state. */
int call_pause(struct call *c, enum call_pause_reason why, const char *by, call_receipt_fn fn,
	       void *context);
int call_resume(struct call *c, enum call_pause_reason why, const char *by);
int call_kill(struct call *c, const char *by, const char *reason, call_receipt_fn fn,
	      void *context);

/* Sends a signal to the tool's process group. */
int call_signal(struct call *c, int signal);

void call_free(struct call *c);

#endif
