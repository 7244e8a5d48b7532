// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/launch.c - from the request of a call to a running tool.
 *
 * Order that matters
 *	- The monitor knows the cgroup before the clone, and which process is
 *	  init before init is told to go on.
 *	- The stages' account is read before init's: it says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/block.h"
#include "supervisor/call_inner.h"
#include "supervisor/leaf.h"
#include "supervisor/session.h"

#define ROWS_DEFAULT 24
#define COLUMNS_DEFAULT 80

static void started(struct call *c)
{
	struct text *t;

	if (call_set_state(c, CALL_RUNNING) < 0)
		return;
	t = call_begin(c, "call.started");
	text_printf(t, ",\"host_pid\":%u,\"start_ns\":%llu", c->init_pid,
		    (unsigned long long)(io_now_ns() - c->started_ns));
	call_end(c);
	if (c->notify)
		notify_tool_runs(c->notify, c->slot);
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
		call_tool_ended(c);
}

static int on_failure(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	read_failures(context);
	return 0;
}

static void on_output_over(struct pump *p, void *context)
{
	(void)p;
	call_finish(context);
}

static void on_output_limit(struct pump *p, void *context)
{
	(void)p;
	call_over_output(context);
}

static void on_kept_over(void *context)
{
	call_finish(context);
}

static void on_kept_limit(void *context)
{
	call_over_output(context);
}

static int keep_output(struct call *c, unsigned int which, int from)
{
	const struct output_plan plan = {
		.loop = c->session->loop,
		.stream = c->session->stream,
		.who = call_who(c),
		.name = which == 0 ? "stdout" : "stderr",
		.session_dir = c->session->dir,
		.limit = c->session->policy->output_bytes,
		.on_over = on_kept_over,
		.on_limit = on_kept_limit,
		.context = c,
	};

	return output_new(&plan, from, &c->kept[which]);
}

static int keep_terminal(struct call *c, int master)
{
	int out = dup(master);
	int r;

	(void)fcntl(master, F_SETFL, O_NONBLOCK);
	r = out < 0 ? -errno : keep_output(c, 0, out);
	if (r == 0)
		r = input_new(c->session->loop, master, true, &c->input);
	if (r == 0 && c->request.input.len > 0)
		r = input_add(c->input, c->request.input.at, c->request.input.len, false);
	return r;
}

static int own_terminal(struct call *c, int master)
{
	int out = dup(master);
	int r;

	(void)fcntl(master, F_SETFL, O_NONBLOCK);
	c->in = (struct pump){ .keep_from = true, .context = c };
	c->out = (struct pump){
		.keep_to = true,
		.limit = c->session->policy->output_bytes,
		.on_limit = on_output_limit,
		.on_over = on_output_over,
		.context = c,
	};
	if (out < 0)
		return -errno;
	r = pump_start(&c->in, c->session->loop, STDIN_FILENO, master);
	return r < 0 ? r : pump_start(&c->out, c->session->loop, out, STDOUT_FILENO);
}

/* What it started goes on, until it ends or somebody ends it. */
static void tool_left(struct call *c)
{
	struct text *t = call_begin(c, "call.background");

	c->is_tool_over = true;
	text_printf(t, ",\"processes\":%u", leaf_processes(c));
	call_end(c);
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
		call_tool_ended(c);
		return 0;
	}
	if (m.kind == SB_INIT_TERMINAL && count == 1 && c->is_tty) {
		r = c->request.io == CALL_IO_OWN ? own_terminal(c, fds[0])
						 : keep_terminal(c, fds[0]);
		if (r < 0)
			(void)call_end_by(c, CALL_FAILED_TO_START,
					  "the terminal cannot be connected");
		return 0;
	}
	if (m.kind == SB_INIT_LISTENER && count == 1 && c->notify)
		(void)notify_listen(c->notify, c->slot, fd_take(&fds[0]));
	if (m.kind == SB_INIT_PROC && count == 1 && c->proc < 0)
		c->proc = fd_take(&fds[0]);
	for (unsigned int i = 0; i < count; i++)
		fd_done(&fds[i]);
	if (m.kind == SB_INIT_ENDED && !c->is_ended) {
		c->is_ended = true;
		c->status = m.value;
		c->usage = m;
		read_failures(c);
		if (c->request.is_background)
			tool_left(c);
		else
			call_tool_ended(c);
	}
	if (m.kind == SB_INIT_ALONE && c->is_tool_over)
		call_tool_ended(c);
	return 0;
}

static int own_pipes(struct call *c, int in, int out, int err)
{
	sd_event *loop = c->session->loop;
	int r;

	c->in = (struct pump){ .keep_from = true, .context = c };
	c->out = (struct pump){ .keep_to = true,
				.context = c,
				.on_over = on_output_over,
				.limit = c->session->policy->output_bytes,
				.on_limit = on_output_limit };
	c->err = c->out;
	r = pump_start(&c->in, loop, STDIN_FILENO, in);
	if (r == 0)
		r = pump_start(&c->out, loop, out, STDOUT_FILENO);
	if (r == 0)
		r = pump_start(&c->err, loop, err, STDERR_FILENO);
	return r;
}

static int kept_pipes(struct call *c, int in, int out, int err)
{
	int r;

	r = input_new(c->session->loop, in, false, &c->input);
	if (r == 0)
		r = input_add(c->input, c->request.input.at, c->request.input.len,
			      !c->request.keeps_input);
	if (r == 0)
		r = keep_output(c, 0, out);
	return r < 0 ? r : keep_output(c, 1, err);
}

/* give[] are the tool's ends. */
static int open_pipes(struct call *c, int *give)
{
	int in[2], out[2], err[2];

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
	return c->request.io == CALL_IO_OWN ? own_pipes(c, in[1], out[0], err[0])
					    : kept_pipes(c, in[1], out[0], err[0]);
}

static int go_on(struct call *c)
{
	struct sb_init_message m = { .kind = SB_INIT_GO };
	sd_event *loop = c->session->loop;
	int r = 0;

	if (c->monitor)
		r = monitor_set_init(c->monitor, c->slot, c->init_pid);
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
		r = call_watch_limits(c);
	if (r >= 0)
		r = call_sample(c);
	if (r >= 0) {
		r = io_send(c->init, &m, sizeof(m), NULL, 0);
		if (r == -EPIPE || r == -ECONNRESET)
			r = 0; /* it failed already: the pipe says why */
	}
	return r < 0 ? r : 0;
}

static void emit_requested(struct call *c)
{
	struct text *t = call_begin(c, "call.requested");

	call_add_text(t, "tool", c->request.tool);
	text_add(t, ",\"argv\":[");
	for (const char *const *a = c->argv; *a; a++) {
		if (a != c->argv)
			text_add(t, ",");
		text_add_json(t, *a, strlen(*a));
	}
	text_add(t, "]");
	if (c->request.cwd)
		call_add_text(t, "cwd", c->request.cwd);
	if (c->request.is_background)
		text_add(t, ",\"background\":true");
	call_end(c);
}

/* Names that sessions wrote share a table: each has another number in it. */
static uint32_t number_of(const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return h;
}

/* From before its first instruction. */
static int watch(struct call *c)
{
	struct session *s = c->session;
	struct monitor_plan plan = {
		.cgroup_id = c->cgroup_id,
		.to = { .stream = s->stream,
			.call = call_who(c),
			.tally = c->tally,
			.log_bytes = s->policy->log_bytes ? s->policy->log_bytes : POLICY_LOG_BYTES,
			.view = &s->view,
			.influence = &s->influence },
		.trace = &c->trace,
		.session = number_of(s->id),
	};
	const char *failure = s->monitor ? monitor_failure(s->monitor) : NULL;
	int r = 0;

	if (failure) {
		call_set_outcome(c, CALL_FAILED_TO_START, failure);
		return -EIO;
	}

	if (s->monitor && s->policy->is_lossless && leaf_has_group(c)) {
		brake_init(&c->brake, c->leaf[SB_LEAF_FREEZE]);
		plan.brake = &c->brake;
	}
	if (s->monitor) {
		r = monitor_watch(s->monitor, &plan, &c->slot);
		if (r < 0)
			return r;
		c->monitor = s->monitor;
	}
	if (s->asking) {
		r = notify_watch(s->notify, &plan.to, s->asking, c->argv, &c->slot);
		if (r < 0)
			return r;
		c->notify = s->notify;
	}
	return 0;
}

static int clone_it(struct call *c)
{
	int give[3] = { -1, -1, -1 };
	int pair[2] = { -1, -1 };
	AUTO_FD block = -1;
	int r;

	r = leaf_ask(c);
	if (r < 0)
		return r;
	r = watch(c);
	if (r < 0)
		return r;
	r = block_make(c->argv, (const char *const *)c->request.env, c->session->policy,
		       c->request.cwd ? c->request.cwd : c->session->at, &block);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	c->init = pair[0];
	(void)fcntl(c->init, F_SETFL, O_NONBLOCK);
	if (!c->is_tty)
		r = open_pipes(c, give);
	if (r == 0)
		r = leaf_clone(c, pair[1], block, give);
	for (int i = 0; i < 3; i++)
		fd_done(&give[i]);
	fd_done(&pair[1]);
	return r < 0 ? r : go_on(c);
}

static void drop_streams(struct call *c)
{
	pump_done(&c->in);
	pump_done(&c->out);
	pump_done(&c->err);
	input_free(c->input);
	c->input = NULL;
	output_end(c->kept[0]);
	output_end(c->kept[1]);
}

int call_launch(struct call *c)
{
	int r;

	c->hold.on_timeout = sd_event_source_disable_unref(c->hold.on_timeout);
	r = call_set_state(c, CALL_STARTING);
	if (r == 0)
		r = clone_it(c);
	if (r >= 0)
		return 0;
	if (c->failed.stage == SB_STAGE_NONE)
		c->failed = (struct sb_failure){ SB_STAGE_CLONE, r };
	if (c->monitor) {
		monitor_unwatch(c->monitor, c->slot, &c->totals);
		c->monitor = NULL;
	}
	if (c->notify)
		(void)notify_unwatch(c->notify, c->slot);
	c->notify = NULL;
	drop_streams(c);
	leaf_give_up(c);
	call_finish_unborn(c);
	return r;
}

void call_request_done(struct call_request *q)
{
	free(q->tool);
	for (char **a = q->argv; a && *a; a++)
		free(*a);
	free(q->argv);
	for (char **e = q->env; e && *e; e++)
		free(*e);
	free(q->env);
	free(q->cwd);
	free(q->agent_call_id);
	free(q->step);
	free(q->trace);
	text_done(&q->input);
	*q = (struct call_request){ 0 };
}

int call_trace(struct call *c, const struct trace_set *set, const char *words, const char *by)
{
	struct text *t;

	if (!c->monitor)
		return -EOPNOTSUPP;
	c->trace = *set;
	monitor_trace(c->monitor, c->slot, set);
	t = call_begin(c, "call.traced");
	call_add_text(t, "trace", words);
	call_add_text(t, "by", by);
	call_end(c);
	return 0;
}

/* Both were understood when they were taken. */
static void read_trace(struct call *c)
{
	const char *const words[] = { c->session->policy->trace, c->request.trace };
	AUTO_TEXT why = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct trace_set set;

		if (!words[i] || !words[i][0] || trace_parse(words[i], &set, &why) < 0)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(set.bits); k++)
			c->trace.bits[k] |= set.bits[k];
	}
}

/* What was asked for, else that of our own terminal, else the usual one. */
static void set_size(struct call_request *q)
{
	struct winsize own = { 0 };

	if (q->io == CALL_IO_OWN)
		(void)ioctl(STDIN_FILENO, TIOCGWINSZ, &own);
	if (q->rows == 0)
		q->rows = own.ws_row ? own.ws_row : ROWS_DEFAULT;
	if (q->columns == 0)
		q->columns = own.ws_col ? own.ws_col : COLUMNS_DEFAULT;
}

int call_new(struct session *s, uint32_t number, struct call_request *request, struct call **ret)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->tally = tally_new();
	if (!c->tally) {
		free(c);
		return -ENOMEM;
	}
	c->session = s;
	c->number = number;
	c->request = *request;
	*request = (struct call_request){ 0 };
	c->argv = (const char *const *)c->request.argv;
	c->is_tty = c->request.is_tty;
	c->requested_ns = io_now_ns();
	c->init = c->failure = c->proc = c->pidfd = -1;
	c->brake.fd = -1;
	read_trace(c);
	for (int i = 0; i < SB_LEAF_FD_COUNT; i++)
		c->leaf[i] = -1;
	c->in = c->out = c->err = (struct pump)PUMP_NONE;
	if (c->is_tty)
		set_size(&c->request);
	*ret = c;
	emit_requested(c);
	return 0;
}
