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
#include "supervisor/block.h"
#include "supervisor/leaf.h"
#include "supervisor/session.h"

/* What is not seen at once is looked at from the loop, this often. */
#define LOOK_AGAIN_US 500u
/* A pause not complete by then is reported as "pausing", with what blocks it. */
#define PAUSE_REPORT_NS (250ull * 1000 * 1000)
/* How often processor time is compared with its limit, at the least. */
#define CPU_LOOK_MIN_US 20000u
#define CPU_LOOK_MAX_US 1000000u
#define US 1000u
#define TO(s) (1u << (s))
/* A call that was stopped has this long to get rid of its output. */
#define DRAIN_US (2u * 1000 * 1000)

static int call_set_state(struct call *c, enum call_state to)
{
	if (!(call_next[c->state] & TO(to)))
		return -EPROTO;
	c->state = to;
	return 0;
}

static struct stream_call who(const struct call *c)
{
	return (struct stream_call){ .number = c->number, .agent_call_id = c->agent_call_id };
}

static struct text *begin(struct call *c, const char *kind)
{
	struct stream_call w = who(c);

	return stream_begin(c->session->stream, kind, &w, 0);
}

static void add_text(struct text *t, const char *key, const char *value)
{
	text_printf(t, ",\"%s\":", key);
	text_add_json(t, value, strlen(value));
}

static struct text *begin_human(struct call *c, const char *what)
{
	struct text *h = stream_human(c->session->stream, STREAM_NORMAL);

	if (h)
		text_printf(h, "glovebox: %s %s.%u", what, c->session->id, c->number);
	return h;
}

static void end(struct call *c)
{
	stream_end(c->session->stream);
	stream_flush(c->session->stream);
}

static uint64_t paused_until(const struct call *c, uint64_t now)
{
	return c->paused_ns + (c->paused_since_ns ? now - c->paused_since_ns : 0);
}

static uint64_t active_ns(const struct call *c, uint64_t now)
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

static void call_finish(struct call *c);
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
	t = begin(c, "call.paused");
	add_text(t, "by", c->by);
	text_printf(t, ",\"receipt\":{\"frozen\":1,\"ns\":%llu}", (unsigned long long)receipt.ns);
	h = begin_human(c, "paused");
	if (h)
		text_printf(h, " by %s: frozen after %.3f ms\n", c->by, (double)receipt.ns / 1e6);
	end(c);
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
	r = leaf_write(c, SB_LEAF_FREEZE, "1");
	if (r < 0)
		return r;
	(void)call_set_state(c, CALL_PAUSING);
	(void)snprintf(c->by, sizeof(c->by), "%s", by);
	c->paused_since_ns = c->op_ns;
	if (leaf_spin_until(c, "frozen 1")) {
		became_paused(c);
		return 0;
	}
	return look_again(c);
}

static int arm_wall(struct call *c);

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
	r = leaf_write(c, SB_LEAF_FREEZE, "0");
	if (r < 0)
		return r;
	r = call_set_state(c, CALL_RUNNING);
	if (r < 0)
		return r;
	c->paused_ns += now - c->paused_since_ns;
	c->paused_since_ns = 0;
	t = begin(c, "call.resumed");
	add_text(t, "by", by);
	text_printf(t, ",\"paused_ns\":%llu", (unsigned long long)c->paused_ns);
	h = begin_human(c, "resumed");
	if (h)
		text_printf(h, " by %s\n", by);
	end(c);
	return arm_wall(c);
}

/* What keeps a pause from being complete: state D, mostly. */
static void report_blocked(struct call *c)
{
	struct call_receipt receipt = {
		.ns = io_now_ns() - c->op_ns,
		.detail = "a task sleeps where it cannot be frozen (see cgroup.procs)",
	};
	struct text *t = begin(c, "call.pausing");

	c->is_pause_told = true;
	add_text(t, "detail", receipt.detail);
	end(c);
	tell_waiters(c, CALL_PAUSED, &receipt);
}

/* --- kill --------------------------------------------------------------- */

static void set_outcome(struct call *c, enum call_outcome outcome, const char *reason)
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
		struct text *t = begin(c, "call.killed");
		struct text *h;

		add_text(t, "by", c->by);
		add_text(t, "reason", c->reason);
		text_printf(t, ",\"receipt\":{\"processes\":%u,\"ns\":%llu,\"populated\":0}",
			    receipt.processes, (unsigned long long)receipt.ns);
		h = begin_human(c, "killed");
		if (h)
			text_printf(h, " by %s: %u processes, empty after %.3f ms\n", c->by,
				    receipt.processes, (double)receipt.ns / 1e6);
		end(c);
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
	r = leaf_write(c, SB_LEAF_KILL, "1");
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
	return 0;
}

static int wait_empty(struct call *c)
{
	if (leaf_spin_until(c, "populated 0")) {
		became_empty(c);
		return 0;
	}
	return look_again(c);
}

static int end_by(struct call *c, enum call_outcome outcome, const char *reason)
{
	int r;

	if (c->state == CALL_KILLING || c->state == CALL_DONE)
		return 0;
	set_outcome(c, outcome, reason);
	r = kill_now(c);
	return r < 0 ? r : wait_empty(c);
}

int call_kill(struct call *c, const char *by, const char *reason, call_receipt_fn fn, void *context)
{
	int r;

	if (c->state != CALL_STARTING && c->state != CALL_RUNNING && c->state != CALL_PAUSING &&
	    c->state != CALL_PAUSED && c->state != CALL_KILLING)
		return -EPROTO;
	r = add_waiter(c, CALL_KILLING, fn, context);
	if (r < 0)
		return r;
	if (c->state == CALL_KILLING)
		return 0;
	(void)snprintf(c->by, sizeof(c->by), "%s", by);
	return end_by(c, CALL_KILLED, reason);
}

static int on_look_again(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;

	(void)s;
	(void)now;
	if (c->state == CALL_PAUSING) {
		if (leaf_says(c, SB_LEAF_EVENTS, "frozen 1")) {
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
		call_finish(c);
		return 0;
	}
	if (c->state != CALL_KILLING)
		return 0;
	if (leaf_says(c, SB_LEAF_EVENTS, "populated 0")) {
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

/* --- limits ------------------------------------------------------------- */

static void emit_limit(struct call *c, const char *limit, const char *text)
{
	struct text *t = begin(c, "limit");
	struct text *h;

	add_text(t, "limit", limit);
	add_text(t, "detail", text);
	h = begin_human(c, "limit");
	if (h)
		text_printf(h, " %s: %s\n", limit, text);
	end(c);
}

static int on_wall(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;
	char text[128];

	(void)s;
	(void)now;
	if (c->state != CALL_RUNNING && c->state != CALL_STARTING)
		return 0; /* paused: armed again on resume */
	if (active_ns(c, io_now_ns()) < c->session->policy->wall_ns)
		return arm_wall(c);
	(void)snprintf(text, sizeof(text), "ran longer than %.3f s; --limit wall=... raises it",
		       (double)c->session->policy->wall_ns / 1e9);
	emit_limit(c, "wall", text);
	return end_by(c, CALL_TIMED_OUT, text);
}

static int arm_wall(struct call *c)
{
	uint64_t used = active_ns(c, io_now_ns());
	uint64_t left = c->session->policy->wall_ns > used ? c->session->policy->wall_ns - used : 0;
	uint64_t us = left / US + 1;
	int r;

	if (c->on_wall) {
		r = sd_event_source_set_time_relative(c->on_wall, us);
		return r < 0 ? r : sd_event_source_set_enabled(c->on_wall, SD_EVENT_ONESHOT);
	}
	return sd_event_add_time_relative(c->session->loop, &c->on_wall, CLOCK_MONOTONIC, us, 1000,
					  on_wall, c);
}

static int on_cpu(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;
	const struct policy *p = c->session->policy;
	uint64_t used = leaf_cpu_ns(c);
	uint64_t us;
	char text[128];

	(void)now;
	if (used >= p->cpu_ns) {
		(void)snprintf(text, sizeof(text),
			       "used %.3f s of processor time; --limit cpu=... raises it",
			       (double)used / 1e9);
		emit_limit(c, "cpu", text);
		return end_by(c, CALL_OVER_LIMIT, text);
	}
	/* it cannot run out earlier than on all its cpus at once */
	us = (p->cpu_ns - used) / US * 1000 / p->limits.cpu_milli;
	us = us < CPU_LOOK_MIN_US ? CPU_LOOK_MIN_US : us > CPU_LOOK_MAX_US ? CPU_LOOK_MAX_US : us;
	(void)sd_event_source_set_time_relative(s, us);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static bool check_oom(struct call *c)
{
	char text[128];

	if (leaf_number(c, SB_LEAF_MEMORY, "oom_kill ") == 0)
		return false;
	(void)snprintf(text, sizeof(text),
		       "needed more than %llu MiB; --limit memory=... raises it",
		       (unsigned long long)(c->session->policy->limits.memory_bytes >> 20));
	if (!c->has_outcome)
		emit_limit(c, "memory", text);
	set_outcome(c, CALL_OVER_LIMIT, text);
	return true;
}

static int on_oom(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct call *c = context;
	uint64_t n;

	(void)events;
	if (c->leaf[SB_LEAF_OOM] == fd)
		(void)!read(fd, &n, sizeof(n));
	if (!check_oom(c))
		return 0;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	return c->state == CALL_KILLING ? 0 : end_by(c, CALL_OVER_LIMIT, c->reason);
}

static int watch_limits(struct call *c)
{
	sd_event *loop = c->session->loop;
	bool v1 = c->leaf[SB_LEAF_OOM] >= 0;
	int r;

	r = arm_wall(c);
	if (r >= 0 && c->leaf[SB_LEAF_CPU] >= 0)
		r = sd_event_add_time_relative(loop, &c->on_cpu, CLOCK_MONOTONIC, CPU_LOOK_MIN_US,
					       1000, on_cpu, c);
	if (r >= 0 && c->leaf[SB_LEAF_MEMORY] >= 0)
		r = sd_event_add_io(loop, &c->on_oom, c->leaf[v1 ? SB_LEAF_OOM : SB_LEAF_MEMORY],
				    v1 ? EPOLLIN : EPOLLPRI, on_oom, c);
	return r < 0 ? r : 0;
}

static void on_output_limit(struct pump *p, void *context)
{
	struct call *c = context;
	char text[128];

	(void)p;
	(void)snprintf(text, sizeof(text),
		       "wrote more than %llu bytes; --limit output=... raises it",
		       (unsigned long long)c->session->policy->output_bytes);
	emit_limit(c, "output", text);
	(void)end_by(c, CALL_OVER_LIMIT, text);
}

/* --- the end ------------------------------------------------------------ */

static void decide_outcome(struct call *c)
{
	char text[160];

	if (c->failed.stage != SB_STAGE_NONE && !c->has_outcome) {
		/* the keeper's child never became the tool */
		(void)snprintf(text, sizeof(text), "stage \"%s\": %s",
			       c->failed.stage < SB_STAGE_COUNT ? sb_stage_names[c->failed.stage]
								: "unknown",
			       strerror(-c->failed.error));
		set_outcome(c, CALL_FAILED_TO_START, text);
		return;
	}
	(void)check_oom(c);
	if (c->has_outcome)
		return;
	if (c->saw_ready && !c->is_ended) {
		(void)snprintf(c->by, sizeof(c->by), "somebody outside");
		set_outcome(c, CALL_KILLED, "its init or keeper was killed while the tool ran");
		return;
	}
	if (!c->saw_ready) {
		set_outcome(c, CALL_FAILED_TO_START, "the process ended before the tool began");
		return;
	}
	c->outcome = WIFSIGNALED(c->status) ? CALL_SIGNALED : CALL_EXITED;
	c->has_outcome = true;
}

static void emit_done(struct call *c)
{
	struct text *t = begin(c, "call.done");

	text_printf(t, ",\"outcome\":\"%s\"", call_outcome_names[c->outcome]);
	if (c->outcome == CALL_EXITED)
		text_printf(t, ",\"exit_code\":%d", WEXITSTATUS(c->status));
	if (c->outcome == CALL_SIGNALED)
		text_printf(t, ",\"signal\":\"SIG%s\"", sigabbrev_np(WTERMSIG(c->status)));
	if (c->reason[0])
		add_text(t, "reason", c->reason);
	text_printf(t, ",\"duration_ns\":%llu,\"paused_ns\":%llu,\"killed_leftovers\":%u",
		    (unsigned long long)(c->ended_ns - c->started_ns),
		    (unsigned long long)c->paused_ns, c->killed_leftovers);
	text_printf(t, ",\"events\":{\"emitted\":%llu,\"delivered\":%llu,\"lost\":%llu}",
		    (unsigned long long)c->totals.emitted, (unsigned long long)c->totals.delivered,
		    (unsigned long long)c->totals.lost);
	end(c);
}

/* Empty, and nothing left to read: the account is closed. */
static void call_finish(struct call *c)
{
	if (c->state != CALL_KILLING || !c->is_empty || !c->out.is_over || !c->err.is_over)
		return;
	pump_done(&c->in);
	c->cpu_used_ns = leaf_cpu_ns(c);
	if (c->is_watched) {
		monitor_drain(c->session->monitor);
		monitor_unwatch(c->session->monitor, c->slot, &c->totals);
		c->is_watched = false;
	}
	decide_outcome(c);
	if (leaf_number(c, SB_LEAF_PIDS, "max ") > 0)
		emit_limit(c, "pids", "a fork was refused; --limit pids=... raises it");
	(void)call_set_state(c, CALL_DONE);
	emit_done(c);
	c->on_init = sd_event_source_disable_unref(c->on_init);
	c->on_failure = sd_event_source_disable_unref(c->on_failure);
	c->on_oom = sd_event_source_disable_unref(c->on_oom);
	c->on_state = sd_event_source_disable_unref(c->on_state);
	leaf_retire(c);
	for (int i = 0; i < SB_LEAF_FD_COUNT; i++)
		fd_done(&c->leaf[i]);
	fd_done(&c->init);
	fd_done(&c->failure);
	tell_waiters(c, CALL_DONE, &(struct call_receipt){ .done = true });
	if (c->session->on_call_done)
		c->session->on_call_done(c, c->session->context);
}

static void on_output_over(struct pump *p, void *context)
{
	(void)p;
	call_finish(context);
}

/* The tool is gone; what it left running goes, too. */
static void tool_ended(struct call *c)
{
	if (c->state == CALL_KILLING || c->state == CALL_DONE)
		return;
	/* before its end is known, the tool itself is among them */
	c->killed_leftovers = c->is_ended ? leaf_processes(c) : 0;
	if (kill_now(c) < 0) {
		set_outcome(c, CALL_FAILED_TO_START, "its control group cannot be killed");
		(void)call_set_state(c, CALL_KILLING);
	}
	if (c->killed_leftovers > 0) {
		struct text *h;

		(void)begin(c, "call.leftovers");
		text_printf(&c->session->stream->line, ",\"count\":%u", c->killed_leftovers);
		h = begin_human(c, "killed");
		if (h)
			text_printf(h, ": %u processes the tool had left running\n",
				    c->killed_leftovers);
		end(c);
	}
	(void)wait_empty(c);
}

/* --- the start ---------------------------------------------------------- */

static void started(struct call *c)
{
	struct text *t;

	if (call_set_state(c, CALL_RUNNING) < 0)
		return;
	t = begin(c, "call.started");
	text_printf(t, ",\"host_pid\":%u,\"start_ns\":%llu", c->init_pid,
		    (unsigned long long)(io_now_ns() - c->started_ns));
	end(c);
}

static void read_failures(struct call *c)
{
	struct sb_failure f;
	ssize_t n;

	if (c->failure < 0)
		return;
	while ((n = read(c->failure, &f, sizeof(f))) == sizeof(f)) {
		if (f.stage == SB_STAGE_EXEC && f.error == 0)
			c->saw_ready = true;
		else if (c->failed.stage == SB_STAGE_NONE)
			c->failed = f;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->on_failure = sd_event_source_disable_unref(c->on_failure);
	fd_done(&c->failure);
	if (c->saw_ready && c->failed.stage == SB_STAGE_NONE)
		started(c);
	else
		tool_ended(c);
}

static int on_failure(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	read_failures(context);
	return 0;
}

static void adopt_terminal(struct call *c, int master)
{
	struct winsize size;
	int out = dup(master);

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(master, TIOCSWINSZ, &size);
	(void)fcntl(master, F_SETFL, O_NONBLOCK);
	c->in = (struct pump){ .keep_from = true, .context = c };
	c->out = (struct pump){
		.keep_to = true,
		.limit = c->session->policy->output_bytes,
		.on_limit = on_output_limit,
		.on_over = on_output_over,
		.context = c,
	};
	if (out < 0 || pump_start(&c->in, c->session->loop, STDIN_FILENO, master) < 0 ||
	    pump_start(&c->out, c->session->loop, out, STDOUT_FILENO) < 0)
		(void)end_by(c, CALL_FAILED_TO_START, "the terminal cannot be connected");
}

static int on_init(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct call *c = context;
	struct sb_init_message m;
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	int r;

	(void)events;
	r = io_recv(fd, &m, sizeof(m), fds, &count);
	if (r == -EAGAIN || r == -EINTR)
		return 0;
	if (r <= 0) {
		/* init is gone: killed, or it never came up */
		(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
		read_failures(c);
		tool_ended(c);
		return 0;
	}
	if (m.kind == SB_INIT_TERMINAL && count == 1 && c->is_tty) {
		adopt_terminal(c, fds[0]);
		return 0;
	}
	for (unsigned int i = 0; i < count; i++)
		fd_done(&fds[i]);
	if (m.kind == SB_INIT_ENDED && !c->is_ended) {
		c->is_ended = true;
		c->status = m.value;
		c->usage = m;
		read_failures(c);
		tool_ended(c);
	}
	return 0;
}

static int open_pumps(struct call *c, int *give)
{
	int in[2], out[2], err[2];
	sd_event *loop = c->session->loop;
	int r;

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		return -errno;
	give[0] = in[0];
	give[1] = out[1];
	give[2] = err[1];
	(void)fcntl(in[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(out[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(err[0], F_SETFL, O_NONBLOCK);
	c->in = (struct pump){ .keep_from = true, .context = c };
	c->out = (struct pump){ .keep_to = true,
				.context = c,
				.on_over = on_output_over,
				.limit = c->session->policy->output_bytes,
				.on_limit = on_output_limit };
	c->err = c->out;
	r = pump_start(&c->in, loop, STDIN_FILENO, in[1]);
	if (r == 0)
		r = pump_start(&c->out, loop, out[0], STDOUT_FILENO);
	if (r == 0)
		r = pump_start(&c->err, loop, err[0], STDERR_FILENO);
	return r;
}

static int go_on(struct call *c)
{
	struct sb_init_message m = { .kind = SB_INIT_GO };
	sd_event *loop = c->session->loop;
	int r = 0;

	if (c->is_watched)
		r = monitor_set_init(c->session->monitor, c->slot, c->init_pid);
	if (r == 0)
		r = sd_event_add_io(loop, &c->on_init, c->init, EPOLLIN, on_init, c);
	if (r >= 0)
		r = sd_event_add_io(loop, &c->on_failure, c->failure, EPOLLIN, on_failure, c);
	/* the stages' account is read before init's: it says why */
	if (r >= 0)
		r = sd_event_source_set_priority(c->on_failure, SD_EVENT_PRIORITY_IMPORTANT - 1);
	if (r >= 0)
		r = sd_event_source_set_priority(c->on_init, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = watch_limits(c);
	if (r >= 0) {
		r = io_send(c->init, &m, sizeof(m), NULL, 0);
		if (r == -EPIPE || r == -ECONNRESET)
			r = 0; /* it failed already: the pipe says why */
	}
	return r < 0 ? r : 0;
}

static void emit_requested(struct call *c)
{
	struct text *t = begin(c, "call.requested");

	text_add(t, ",\"argv\":[");
	for (const char *const *a = c->argv; *a; a++) {
		if (a != c->argv)
			text_add(t, ",");
		text_add_json(t, *a, strlen(*a));
	}
	text_add(t, "]");
	end(c);
}

static int launch(struct call *c)
{
	struct decode_target to = {
		.stream = c->session->stream,
		.call = who(c),
		.tally = c->tally,
		.view = &c->session->view,
	};
	int give[3] = { -1, -1, -1 };
	int pair[2] = { -1, -1 };
	AUTO_FD block = -1;
	int r;

	r = leaf_ask(c);
	if (r < 0)
		return r;
	if (c->session->monitor) {
		r = monitor_watch(c->session->monitor, c->cgroup_id, &to, &c->slot);
		if (r < 0)
			return r;
		c->is_watched = true;
	}
	r = block_make(c->argv, c->session->policy, c->session->at, &block);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	c->init = pair[0];
	(void)fcntl(c->init, F_SETFL, O_NONBLOCK);
	if (!c->is_tty)
		r = open_pumps(c, give);
	if (r == 0)
		r = leaf_clone(c, pair[1], block, give);
	for (int i = 0; i < 3; i++)
		fd_done(&give[i]);
	fd_done(&pair[1]);
	return r < 0 ? r : go_on(c);
}

int call_start(struct session *s, uint32_t number, const char *const *argv,
	       const char *agent_call_id, bool is_tty, struct call **ret)
{
	struct call *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->session = s;
	c->number = number;
	c->argv = argv;
	c->agent_call_id = agent_call_id;
	c->is_tty = is_tty;
	c->init = c->failure = -1;
	for (int i = 0; i < SB_LEAF_FD_COUNT; i++)
		c->leaf[i] = -1;
	c->in = c->out = c->err = (struct pump)PUMP_NONE;
	c->tally = tally_new();
	if (!c->tally) {
		free(c);
		return -ENOMEM;
	}
	emit_requested(c);
	(void)call_set_state(c, CALL_STARTING);
	r = launch(c);
	if (r < 0) {
		if (c->failed.stage == SB_STAGE_NONE)
			c->failed = (struct sb_failure){ SB_STAGE_CLONE, r };
		pump_done(&c->in);
		pump_done(&c->out);
		pump_done(&c->err);
		c->started_ns = c->started_ns ? c->started_ns : io_now_ns();
		c->ended_ns = io_now_ns();
		decide_outcome(c);
		(void)call_set_state(c, CALL_DONE);
		emit_done(c);
	}
	*ret = c;
	return r;
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
	(void)sd_event_source_disable_unref(c->on_oom);
	(void)sd_event_source_disable_unref(c->on_state);
	for (int i = 0; i < SB_LEAF_FD_COUNT; i++)
		fd_done(&c->leaf[i]);
	fd_done(&c->init);
	fd_done(&c->failure);
	free(c->totals.errors);
	tally_free(c->tally);
	free(c);
}
