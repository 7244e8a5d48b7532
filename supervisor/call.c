// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/call.c - one tool call, from the request to its last record.
 *
 * What it guarantees
 *	A state changes in one function, along the table below, with an event.
 *	A pause is reported when the kernel says frozen 1, a kill when it says
 *	populated 0, never before. Kill is legal in every living state and wins.
 *
 * Order that matters
 *	- The monitor knows the cgroup before the clone, and which process is
 *	  init before init is told to go on.
 *	- cgroup.kill is written first and people are told second.
 *	- A call is done when its cgroup is empty, its output is drained and its
 *	  last record was delivered: after that nothing about it changes.
 *
 * Not here: who may ask (verbs.c), how a namespace is made (sandbox/).
 */
#include "supervisor/call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/call_inner.h"
#include "supervisor/leaf.h"
#include "supervisor/session.h"
#include "supervisor/watchdog.h"

/* What is not seen at once is looked at from the loop, this often. */
#define LOOK_AGAIN_US 500u
/* A pause not complete by then is reported as "pausing", with what blocks it. */
#define PAUSE_REPORT_NS (250ull * 1000 * 1000)
#define TO(s) (1u << (s))
/* A call that was stopped has this long to get rid of its output. */
#define DRAIN_US (2u * 1000 * 1000)

int call_set_state(struct call *c, enum call_state to)
{
	if (!(call_next[c->state] & TO(to)))
		return -EPROTO;
	c->state = to;
	return 0;
}

struct stream_call call_who(const struct call *c)
{
	return (struct stream_call){
		.number = c->number,
		.agent_call_id = c->request.agent_call_id,
		.step = c->request.step,
	};
}

struct text *call_begin(struct call *c, const char *kind)
{
	struct stream_call w = call_who(c);

	return stream_begin(c->session->stream, kind, &w, 0);
}

void call_add_text(struct text *t, const char *key, const char *value)
{
	text_printf(t, ",\"%s\":", key);
	text_add_json(t, value, strlen(value));
}

struct text *call_begin_human(struct call *c, const char *what)
{
	struct text *h = stream_human(c->session->stream, STREAM_NORMAL);

	if (h)
		text_printf(h, "glovebox: %s %s.%u", what, c->session->id, c->number);
	return h;
}

void call_end(struct call *c)
{
	stream_end(c->session->stream);
	stream_flush(c->session->stream);
}

static uint64_t paused_until(const struct call *c, uint64_t now)
{
	return c->paused_ns + (c->paused_since_ns ? now - c->paused_since_ns : 0);
}

uint64_t call_active_ns(const struct call *c, uint64_t now)
{
	return now - c->started_ns - paused_until(c, now);
}

/* --- receipts ----------------------------------------------------------- */

static int add_waiter(struct call *c, enum call_state wants, call_receipt_fn fn, void *context)
{
	if (!fn)
		return 0;
	for (size_t i = 0; i < CALL_WAITERS; i++)
		if (!c->waiters[i].fn) {
			c->waiters[i] = (struct call_waiter){ fn, context, wants };
			return 0;
		}
	return -EBUSY;
}

static void tell_waiters(struct call *c, enum call_state reached,
			 const struct call_receipt *receipt)
{
	for (size_t i = 0; i < CALL_WAITERS; i++) {
		struct call_waiter w = c->waiters[i];

		if (!w.fn || (w.wants != reached && reached != CALL_DONE))
			continue;
		c->waiters[i].fn = NULL;
		w.fn(w.context, c, receipt);
	}
}

static int on_look_again(sd_event_source *s, uint64_t now, void *context);

static int look_again(struct call *c)
{
	int r;

	if (c->on_state) {
		r = sd_event_source_set_time_relative(c->on_state, LOOK_AGAIN_US);
		return r < 0 ? r : sd_event_source_set_enabled(c->on_state, SD_EVENT_ONESHOT);
	}
	r = sd_event_add_time_relative(c->session->loop, &c->on_state, CLOCK_MONOTONIC,
				       LOOK_AGAIN_US, 1, on_look_again, c);
	return r < 0 ? r : sd_event_source_set_priority(c->on_state, SD_EVENT_PRIORITY_IMPORTANT);
}

/* --- pause and resume --------------------------------------------------- */

static void became_paused(struct call *c)
{
	uint64_t now = io_now_ns();
	struct call_receipt receipt = { .done = true, .ns = now - c->op_ns };
	struct text *t, *h;

	(void)call_set_state(c, CALL_PAUSED);
	t = call_begin(c, "call.paused");
	call_add_text(t, "by", c->by);
	text_printf(t, ",\"receipt\":{\"frozen\":1,\"ns\":%llu%s}", (unsigned long long)receipt.ns,
		    leaf_has_group(c) ? "" : CALL_BY_STOP);
	h = call_begin_human(c, "paused");
	if (h)
		text_printf(h, " by %s: %s after %.3f ms\n", c->by,
			    leaf_has_group(c) ? "frozen" : "stopped (best effort)",
			    (double)receipt.ns / 1e6);
	call_end(c);
	tell_waiters(c, CALL_PAUSED, &receipt);
}

int call_pause(struct call *c, enum call_pause_reason why, const char *by, call_receipt_fn fn,
	       void *context)
{
	int r;

	if (c->state == CALL_PAUSED && fn) {
		struct call_receipt receipt = { .done = true };

		c->paused_by |= why;
		fn(context, c, &receipt);
		return 0;
	}
	if (c->state != CALL_RUNNING && c->state != CALL_PAUSING)
		return -EPROTO;
	r = add_waiter(c, CALL_PAUSED, fn, context);
	if (r < 0)
		return r;
	c->paused_by |= why;
	if (c->state == CALL_PAUSING)
		return 0;
	c->op_ns = io_now_ns();
	c->is_pause_told = false;
	r = leaf_freeze(c, true);
	if (r < 0)
		return r;
	(void)call_set_state(c, CALL_PAUSING);
	(void)snprintf(c->by, sizeof(c->by), "%s", by);
	c->paused_since_ns = c->op_ns;
	if (leaf_spin_until(c, leaf_is_frozen)) {
		became_paused(c);
		return 0;
	}
	return look_again(c);
}

int call_resume(struct call *c, enum call_pause_reason why, const char *by)
{
	uint64_t now = io_now_ns();
	struct text *t, *h;
	int r;

	if (c->state != CALL_PAUSED && c->state != CALL_PAUSING)
		return -EPROTO;
	c->paused_by &= ~(unsigned int)why;
	if (c->paused_by)
		return 0;
	r = leaf_freeze(c, false);
	if (r < 0)
		return r;
	r = call_set_state(c, CALL_RUNNING);
	if (r < 0)
		return r;
	c->paused_ns += now - c->paused_since_ns;
	c->paused_since_ns = 0;
	t = call_begin(c, "call.resumed");
	call_add_text(t, "by", by);
	text_printf(t, ",\"paused_ns\":%llu", (unsigned long long)c->paused_ns);
	h = call_begin_human(c, "resumed");
	if (h)
		text_printf(h, " by %s\n", by);
	call_end(c);
	return c->is_over ? 0 : call_arm_wall(c);
}

/* What keeps a pause from being complete: state D, mostly. */
static void report_blocked(struct call *c)
{
	struct call_receipt receipt = {
		.ns = io_now_ns() - c->op_ns,
		.detail = "a task sleeps where it cannot be frozen (see cgroup.procs)",
	};
	struct text *t = call_begin(c, "call.pausing");

	c->is_pause_told = true;
	call_add_text(t, "detail", receipt.detail);
	call_end(c);
	tell_waiters(c, CALL_PAUSED, &receipt);
}

/* --- kill --------------------------------------------------------------- */

void call_set_outcome(struct call *c, enum call_outcome outcome, const char *reason)
{
	if (c->has_outcome)
		return;
	c->has_outcome = true;
	c->outcome = outcome;
	(void)snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

static void became_empty(struct call *c)
{
	struct call_receipt receipt = {
		.done = true,
		.ns = io_now_ns() - c->op_ns,
		.processes = c->op_processes,
	};

	if (c->outcome == CALL_KILLED && c->has_outcome) {
		struct text *t = call_begin(c, "call.killed");
		struct text *h;

		call_add_text(t, "by", c->by);
		call_add_text(t, "reason", c->reason);
		text_printf(t, ",\"receipt\":{\"processes\":%u,\"ns\":%llu,\"populated\":0}",
			    receipt.processes, (unsigned long long)receipt.ns);
		h = call_begin_human(c, "killed");
		if (h)
			text_printf(h, " by %s: %u processes, empty after %.3f ms\n", c->by,
				    receipt.processes, (double)receipt.ns / 1e6);
		call_end(c);
	}
	c->is_empty = true;
	tell_waiters(c, CALL_KILLING, &receipt);
	/* what a tool wrote before its own end is worth waiting for; what one that
	 * was stopped wrote, only for a while */
	if (c->has_outcome && look_again(c) >= 0)
		(void)sd_event_source_set_time_relative(c->on_state, DRAIN_US);
	call_finish(c);
}

/* The one way down: for a verb, a limit, and what a tool left behind. */
static int kill_now(struct call *c)
{
	int r;

	c->op_ns = io_now_ns();
	c->op_processes = leaf_processes(c);
	r = leaf_kill(c);
	if (r < 0)
		return r;
	(void)call_set_state(c, CALL_KILLING);
	if (c->paused_since_ns) {
		c->paused_ns += c->op_ns - c->paused_since_ns;
		c->paused_since_ns = 0;
	}
	c->ended_ns = c->op_ns;
	c->on_wall = sd_event_source_disable_unref(c->on_wall);
	c->on_cpu = sd_event_source_disable_unref(c->on_cpu);
	c->on_memory = sd_event_source_disable_unref(c->on_memory);
	c->on_rate = sd_event_source_disable_unref(c->on_rate);
	c->on_sample = sd_event_source_disable_unref(c->on_sample);
	return 0;
}

static int wait_empty(struct call *c)
{
	if (leaf_spin_until(c, leaf_is_empty)) {
		became_empty(c);
		return 0;
	}
	return look_again(c);
}

int call_end_by(struct call *c, enum call_outcome outcome, const char *reason)
{
	int r;

	if (c->state == CALL_KILLING || c->state == CALL_DONE)
		return 0;
	call_set_outcome(c, outcome, reason);
	r = kill_now(c);
	return r < 0 ? r : wait_empty(c);
}

int call_kill(struct call *c, const char *by, const char *reason, call_receipt_fn fn, void *context)
{
	int r;

	if (c->state == CALL_REQUESTED || c->state == CALL_HELD) {
		struct call_receipt receipt = { .done = true };

		(void)snprintf(c->by, sizeof(c->by), "%s", by);
		call_set_outcome(c, CALL_KILLED, reason);
		if (fn)
			fn(context, c, &receipt);
		call_finish_unborn(c);
		return 0;
	}
	if (c->state == CALL_DONE)
		return -EPROTO;
	r = add_waiter(c, CALL_KILLING, fn, context);
	if (r < 0)
		return r;
	if (c->state == CALL_KILLING)
		return 0;
	(void)snprintf(c->by, sizeof(c->by), "%s", by);
	return call_end_by(c, CALL_KILLED, reason);
}

static int on_look_again(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;

	(void)s;
	(void)now;
	if (c->state == CALL_PAUSING) {
		if (leaf_is_frozen(c)) {
			became_paused(c);
			return 0;
		}
		if (!c->is_pause_told && io_now_ns() - c->op_ns > PAUSE_REPORT_NS)
			report_blocked(c);
		return look_again(c);
	}
	if (c->state == CALL_KILLING && c->is_empty) {
		/* a reader that does not read keeps nothing alive */
		pump_done(&c->out);
		pump_done(&c->err);
		output_end(c->kept[0]);
		output_end(c->kept[1]);
		call_finish(c);
		return 0;
	}
	if (c->state != CALL_KILLING)
		return 0;
	if (leaf_is_empty(c)) {
		became_empty(c);
		return 0;
	}
	return look_again(c);
}

int call_signal(struct call *c, int signal)
{
	struct sb_init_message m = { .kind = SB_INIT_SIGNAL, .value = signal };

	if (c->init < 0)
		return -ESRCH;
	c->signals_sent++;
	return io_send(c->init, &m, sizeof(m), NULL, 0);
}

/* --- the end ------------------------------------------------------------ */

static void call_decide_outcome(struct call *c)
{
	char text[160];

	if (c->failed.stage != SB_STAGE_NONE && !c->has_outcome) {
		/* the keeper's child never became the tool */
		(void)snprintf(text, sizeof(text), "stage \"%s\": %s",
			       c->failed.stage < SB_STAGE_COUNT ? sb_stage_names[c->failed.stage]
								: "unknown",
			       strerror(-c->failed.error));
		call_set_outcome(c, CALL_FAILED_TO_START, text);
		return;
	}
	(void)call_check_oom(c);
	if (c->has_outcome)
		return;
	if (c->saw_ready && !c->is_ended) {
		(void)snprintf(c->by, sizeof(c->by), "somebody outside");
		call_set_outcome(c, CALL_KILLED,
				 "its init or keeper was killed while the tool ran");
		return;
	}
	if (!c->saw_ready) {
		call_set_outcome(c, CALL_FAILED_TO_START,
				 "the process ended before the tool began");
		return;
	}
	c->outcome = WIFSIGNALED(c->status) ? CALL_SIGNALED : CALL_EXITED;
	c->has_outcome = true;
}

static void call_emit_done(struct call *c)
{
	struct text *t = call_begin(c, "call.done");

	text_printf(t, ",\"outcome\":\"%s\"", call_outcome_names[c->outcome]);
	if (c->outcome == CALL_EXITED)
		text_printf(t, ",\"exit_code\":%d", WEXITSTATUS(c->status));
	if (c->outcome == CALL_SIGNALED)
		text_printf(t, ",\"signal\":\"SIG%s\"", sigabbrev_np(WTERMSIG(c->status)));
	if (c->reason[0])
		call_add_text(t, "reason", c->reason);
	if (c->outcome == CALL_FAILED_TO_START && c->failed.stage == SB_STAGE_EXEC) {
		const char *name = strerrorname_np(-c->failed.error);

		text_printf(t, ",\"stage\":\"%s\",\"errno\":\"%s\"", sb_stage_names[SB_STAGE_EXEC],
			    name ? name : "unknown");
	}
	text_printf(t, ",\"duration_ns\":%llu,\"paused_ns\":%llu,\"killed_leftovers\":%u",
		    (unsigned long long)(c->ended_ns - c->started_ns),
		    (unsigned long long)c->paused_ns, c->killed_leftovers);
	text_printf(t, ",\"events\":{\"emitted\":%llu,\"delivered\":%llu,\"lost\":%llu}",
		    (unsigned long long)c->totals.emitted, (unsigned long long)c->totals.delivered,
		    (unsigned long long)c->totals.lost);
	call_end(c);
}

/* Nothing about it changes from here on. */
static void call_close_account(struct call *c)
{
	(void)call_set_state(c, CALL_DONE);
	call_emit_done(c);
	if (c->session->on_news)
		c->session->on_news(c->session);
	c->is_over = true;
	tell_waiters(c, CALL_DONE, &(struct call_receipt){ .done = true });
}

/* The session takes it from here. */
static void give_back(struct call *c)
{
	if (c->session->on_call_done)
		c->session->on_call_done(c, c->session->context);
}

void call_retire(struct call *c)
{
	if (c->state != CALL_DONE || c->is_retired)
		return;
	c->is_retired = true;
	c->on_retire = sd_event_source_disable_unref(c->on_retire);
	leaf_retire(c);
	leaf_done(c);
	fd_done(&c->init);
	fd_done(&c->failure);
	give_back(c);
}

static int on_retire(sd_event_source *s, void *context)
{
	(void)s;
	call_retire(context);
	return 0;
}

/* Empty, and nothing left to read: the account is closed. */
void call_finish(struct call *c)
{
	if (c->state != CALL_KILLING || !c->is_empty || !c->out.is_over || !c->err.is_over ||
	    !output_is_over(c->kept[0]) || !output_is_over(c->kept[1]))
		return;
	pump_done(&c->in);
	input_free(c->input);
	c->input = NULL;
	c->cpu_used_ns = leaf_cpu_ns(c);
	if (c->monitor) {
		c->totals.drain_error = monitor_drain(c->monitor);
		monitor_unwatch(c->monitor, c->slot, &c->totals);
		c->monitor = NULL;
		c->session->is_given_up |= c->totals.is_given_up;
		watchdog_check_totals(c);
	}
	if (c->notify) {
		c->totals.emitted = c->totals.delivered = notify_unwatch(c->notify, c->slot);
		c->notify = NULL;
	}
	call_decide_outcome(c);
	if (leaf_number(c, SB_LEAF_PIDS, "max ") > 0)
		call_emit_limit(c, "pids", "a fork was refused; --limit pids=... raises it");
	call_close_account(c);
	c->on_init = sd_event_source_disable_unref(c->on_init);
	c->on_failure = sd_event_source_disable_unref(c->on_failure);
	c->on_oom = sd_event_source_disable_unref(c->on_oom);
	c->on_state = sd_event_source_disable_unref(c->on_state);
	/* who waits for the end hears of it first */
	if (sd_event_add_defer(c->session->loop, &c->on_retire, on_retire, c) < 0)
		call_retire(c);
}

void call_finish_unborn(struct call *c)
{
	c->is_retired = true;
	c->hold.on_timeout = sd_event_source_disable_unref(c->hold.on_timeout);
	c->started_ns = c->started_ns ? c->started_ns : io_now_ns();
	c->started_real_ns = c->started_real_ns ? c->started_real_ns : stream_now_real_ns();
	c->ended_ns = io_now_ns();
	call_decide_outcome(c);
	call_close_account(c);
	give_back(c);
}

/* The tool is gone; what it left running goes, too. */
void call_tool_ended(struct call *c)
{
	if (c->state == CALL_KILLING || c->state == CALL_DONE)
		return;
	/* before its end is known, the tool itself is among them */
	c->killed_leftovers = c->is_ended ? leaf_processes(c) : 0;
	if (kill_now(c) < 0) {
		call_set_outcome(c, CALL_FAILED_TO_START, "its control group cannot be killed");
		(void)call_set_state(c, CALL_KILLING);
	}
	if (c->killed_leftovers > 0) {
		struct text *h;

		(void)call_begin(c, "call.leftovers");
		text_printf(&c->session->stream->line, ",\"count\":%u", c->killed_leftovers);
		h = call_begin_human(c, "killed");
		if (h)
			text_printf(h, ": %u processes the tool had left running\n",
				    c->killed_leftovers);
		call_end(c);
	}
	(void)wait_empty(c);
}

bool call_is_living(const struct call *c)
{
	return c->state != CALL_DONE;
}

int call_input(struct call *c, const char *data, size_t size, bool close)
{
	return c->input ? input_add(c->input, data, size, close) : -EPIPE;
}

int call_resize(struct call *c, unsigned short rows, unsigned short columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };
	int fd = c->is_tty ? input_fd(c->input) : -1;

	if (fd < 0)
		return -ENOTTY;
	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

void call_free(struct call *c)
{
	if (!c)
		return;
	pump_done(&c->in);
	pump_done(&c->out);
	pump_done(&c->err);
	(void)sd_event_source_disable_unref(c->on_init);
	(void)sd_event_source_disable_unref(c->on_failure);
	(void)sd_event_source_disable_unref(c->on_wall);
	(void)sd_event_source_disable_unref(c->on_cpu);
	(void)sd_event_source_disable_unref(c->on_memory);
	(void)sd_event_source_disable_unref(c->on_rate);
	(void)sd_event_source_disable_unref(c->on_sample);
	(void)sd_event_source_disable_unref(c->on_oom);
	(void)sd_event_source_disable_unref(c->on_state);
	(void)sd_event_source_disable_unref(c->on_retire);
	leaf_done(c);
	fd_done(&c->init);
	fd_done(&c->failure);
	(void)sd_event_source_disable_unref(c->hold.on_timeout);
	text_done(&c->hold.shown);
	input_free(c->input);
	output_free(c->kept[0]);
	output_free(c->kept[1]);
	if (c->totals.is_given_up)
		return; /* the rest is in the hands of a reader that is stuck */
	call_request_done(&c->request);
	free(c->totals.errors);
	tally_free(c->tally);
	free(c);
}
