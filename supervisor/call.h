// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/call.h - one tool call and its states.
 *
 *	requested -> starting -> running <-> pausing -> paused
 *	    |  ^         |          |           |         |
 *	    v  |         |          +-----------+---------+-> killing -> done
 *	   held          +-------------------------------------------> done
 *
 *	requested -> held	call_hold(): the policy asks a person
 *	held -> starting	call_launch(), when it was approved
 *	held -> done		denied, no answer in time, or killed
 *	requested -> starting	call_launch()
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
#include "supervisor/input.h"
#include "supervisor/monitor.h"
#include "supervisor/notify.h"
#include "supervisor/output.h"
#include "supervisor/policy.h"
#include "supervisor/pump.h"
#include "supervisor/stream.h"
#include "supervisor/tally.h"

enum call_state {
	CALL_REQUESTED, /* parsed; no process, no cgroup */
	CALL_HELD, /* waits for a person */
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
	CALL_LOST, /* the supervisor died while it ran, and it with it */

	CALL_OUTCOME_COUNT,
};

extern const char *const call_outcome_names[CALL_OUTCOME_COUNT];

/* Why it is paused. It runs again when the set is empty. */
enum call_pause_reason {
	CALL_PAUSE_OPERATOR = 1 << 0,
	CALL_PAUSE_SESSION = 1 << 1,
	CALL_PAUSE_BLIND = 1 << 2, /* it cannot be watched any more; an operator may let it go on */
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

/* What a receipt of a pause says more where no control group can be frozen. */
#define CALL_BY_STOP ",\"by\":\"stop\",\"best_effort\":true"

struct call_waiter {
	call_receipt_fn fn;
	void *context;
	enum call_state wants;
};

/* Where the tool's standard streams lead. */
enum call_io {
	CALL_IO_OWN, /* ours: `glovebox run` */
	CALL_IO_KEPT, /* input from the protocol; output to files and events */
};

/* What was asked for. The call owns it all; call_request_done() frees. */
struct call_request {
	char *tool; /* "exec" */
	char **argv; /* ends with NULL */
	char *cwd; /* inside; NULL: the workspace */
	char **env; /* "NAME=VALUE", ends with NULL; or NULL */
	char *agent_call_id, *step; /* the agent's own words, or NULL */
	char *trace; /* calls told whole, besides the policy's; or NULL */
	struct text input; /* written to standard input first */
	bool keeps_input; /* call.input may add to it */
	bool is_tty;
	unsigned short rows, columns; /* with a terminal; 0: 24 by 80 */
	bool is_background; /* what the tool leaves running stays */
	uint64_t wall_ns; /* less than the policy gives; 0: as the policy has it */
	enum call_io io;
};

void call_request_done(struct call_request *q);

/* A person's decision about a held call. */
struct call_hold {
	char digest[65]; /* of exactly what is shown; "": not held */
	char command[65]; /* of the command alone: for "yes, for the session" */
	bool is_approved;
	struct text shown; /* JSON object: what a person judges by */
	uint64_t since_ns, until_ns;
	sd_event_source *on_timeout;
};

struct call {
	struct session *session;
	uint32_t number;
	struct call_request request;
	const char *const *argv; /* of the request */
	bool is_tty;
	uint32_t layer; /* number of the layer it writes, 0: none yet */
	bool shares_layer; /* with a call that ran at the same time */
	uint32_t leaf_number; /* of its control group, 0: none yet */
	bool is_retired; /* the keeper has its leaf back */
	struct call_hold hold;
	uint64_t requested_ns;
	enum call_state state; /* only call_set_state() writes it */
	unsigned int paused_by; /* set of enum call_pause_reason */

	/* the leaf; without a control group all -1, and in its place the two below */
	int leaf[SB_LEAF_FD_COUNT];
	int proc; /* a /proc of its pid namespace */
	int pidfd; /* of its init: readable when nothing is left */
	uint64_t cgroup_id;
	uint32_t in_force;
	uint32_t slot; /* of the monitor */
	struct brake brake; /* of a lossless call; fd -1: it has none */
	struct trace_set trace; /* calls told whole */
	bool is_blind; /* its monitor failed; told, and done about it what the policy says */
	struct monitor *monitor; /* that watches it; NULL: nothing does */
	struct notify *notify; /* in its place; NULL: it does not */

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
	uint64_t rate_bytes, rate_ns; /* written at the last look, and when that was */
	uint64_t signals_sent; /* Ctrl-C and the like */
	struct monitor_totals totals;
	struct tally *tally;

	struct pump in, out, err; /* CALL_IO_OWN; with a terminal: in and out only */
	struct input *input; /* CALL_IO_KEPT; NULL otherwise */
	struct output *kept[2]; /* standard output and error; with a terminal the first */
	bool is_tool_over; /* background: the tool has ended, what it left runs */
	bool is_over; /* DONE was told; the account is being written */
	sd_event_source *on_init, *on_failure, *on_wall, *on_cpu, *on_memory, *on_rate, *on_sample,
		*on_oom, *on_state, *on_retire;
	struct call_waiter waiters[CALL_WAITERS];
};

/* Takes the request (and empties it). Nothing runs yet. 0 or -ENOMEM. */
int call_new(struct session *s, uint32_t number, struct call_request *request, struct call **ret);

/* Waits for a person. The event tells what there is to judge. 0 or -errno. */
int call_hold(struct call *c, const char *rule);

/* Starts it in a session that is open. 0 or -errno; a failure, of whatever stage,
 * also arrives as an outcome. */
int call_launch(struct call *c);

/* A person said yes. 0 or -errno. */
int call_release(struct call *c, const char *by, bool for_session);

/* It waits for nobody but its session. */
bool call_may_launch(const struct call *c);

/* A held call does not start. */
void call_deny(struct call *c, const char *by, const char *reason);

/* Verbs. All answer at once with 0 or -errno, and later through `fn` (which may
 * be NULL) with the receipt. -EPROTO: not legal in this state. */
int call_pause(struct call *c, enum call_pause_reason why, const char *by, call_receipt_fn fn,
	       void *context);
int call_resume(struct call *c, enum call_pause_reason why, const char *by);
int call_kill(struct call *c, const char *by, const char *reason, call_receipt_fn fn,
	      void *context);

/* Sends a signal to the tool's process group. */
int call_signal(struct call *c, int signal);

/* Adds to the standard input of the tool; closes it after that when told to. 0,
 * -EPIPE (closed already) or -ENOBUFS (the tool does not read). */
int call_input(struct call *c, const char *data, size_t size, bool close);

/* Which system calls are told whole, from now on. -EOPNOTSUPP: nothing counts them here. */
int call_trace(struct call *c, const struct trace_set *set, const char *words, const char *by);

/* A new size of its terminal. 0, -ENOTTY, or -errno. */
int call_resize(struct call *c, unsigned short rows, unsigned short columns);

/* Gives back what an ended call still holds; done from the loop, or before the next
 * call of the session starts. */
void call_retire(struct call *c);

/* What it has written to its standard streams. */
uint64_t call_output_bytes(const struct call *c);

/* Whether it takes room: its processes, or its place in the queue. */
bool call_is_living(const struct call *c);

void call_free(struct call *c);

#endif
