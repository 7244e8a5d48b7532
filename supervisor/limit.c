// SPDX-License-Identifier: Apache-2.0
/* supervisor/limit.c - the limits of a call that the supervisor watches itself. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sandbox/base/io.h"
#include "supervisor/call_inner.h"
#include "supervisor/disk.h"
#include "supervisor/leaf.h"
#include "supervisor/session.h"

/* How often processor time is compared with its limit, at the least. */
#define CPU_LOOK_MIN_US 20000u
#define CPU_LOOK_MAX_US 1000000u
/* Memory that no control group limits: a process on two cpus fills about 100 MiB in it. */
#define MEMORY_LOOK_US 20000u
/* A rate is one of a second; what comes in bursts between two looks is bounded by `output`. */
#define RATE_LOOK_US 1000000u

void call_emit_limit(struct call *c, const char *limit, const char *text)
{
	struct text *t = call_begin(c, "limit");
	struct text *h;

	call_add_text(t, "limit", limit);
	call_add_text(t, "detail", text);
	h = call_begin_human(c, "limit");
	if (h)
		text_printf(h, " %s: %s\n", limit, text);
	call_end(c);
}

static uint64_t wall_ns(const struct call *c)
{
	uint64_t most = c->session->policy->wall_ns;

	return c->request.wall_ns > 0 && c->request.wall_ns < most ? c->request.wall_ns : most;
}

static int on_wall(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;
	char text[128];

	(void)s;
	(void)now;
	if (c->state != CALL_RUNNING && c->state != CALL_STARTING)
		return 0; /* paused: armed again on resume */
	if (call_active_ns(c, io_now_ns()) < wall_ns(c))
		return call_arm_wall(c);
	(void)snprintf(text, sizeof(text), "ran longer than %.3f s%s", (double)wall_ns(c) / 1e9,
		       wall_ns(c) < c->session->policy->wall_ns ? ", the time it was given"
								: "; --limit wall=... raises it");
	call_emit_limit(c, "wall", text);
	return call_end_by(c, CALL_TIMED_OUT, text);
}

int call_arm_wall(struct call *c)
{
	uint64_t used = call_active_ns(c, io_now_ns());
	uint64_t left = wall_ns(c) > used ? wall_ns(c) - used : 0;
	uint64_t us = left / CALL_US + 1;
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
		call_emit_limit(c, "cpu", text);
		return call_end_by(c, CALL_OVER_LIMIT, text);
	}
	/* it cannot run out earlier than on all its cpus at once */
	us = (p->cpu_ns - used) / CALL_US * 1000 / p->limits.cpu_milli;
	us = us < CPU_LOOK_MIN_US ? CPU_LOOK_MIN_US : us > CPU_LOOK_MAX_US ? CPU_LOOK_MAX_US : us;
	(void)sd_event_source_set_time_relative(s, us);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* Where no control group does it, this is a look: what is taken and given back between two
 * is not seen. */
static int on_memory(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;
	uint64_t most = c->session->policy->limits.memory_bytes;
	char text[128];

	(void)now;
	if (leaf_memory_bytes(c) > most) {
		(void)snprintf(text, sizeof(text),
			       "needed more than %llu MiB; --limit memory=... raises it",
			       (unsigned long long)(most >> 20));
		call_emit_limit(c, "memory", text);
		return call_end_by(c, CALL_OVER_LIMIT, text);
	}
	(void)sd_event_source_set_time_relative(s, MEMORY_LOOK_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

bool call_check_oom(struct call *c)
{
	char text[128];

	if (leaf_number(c, SB_LEAF_MEMORY, "oom_kill ") == 0)
		return false;
	(void)snprintf(text, sizeof(text),
		       "needed more than %llu MiB; --limit memory=... raises it",
		       (unsigned long long)(c->session->policy->limits.memory_bytes >> 20));
	if (!c->has_outcome)
		call_emit_limit(c, "memory", text);
	call_set_outcome(c, CALL_OVER_LIMIT, text);
	return true;
}

static int on_oom(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct call *c = context;
	uint64_t n;

	(void)events;
	if (c->leaf[SB_LEAF_OOM] == fd)
		(void)!read(fd, &n, sizeof(n));
	if (!call_check_oom(c))
		return 0;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	return c->state == CALL_KILLING ? 0 : call_end_by(c, CALL_OVER_LIMIT, c->reason);
}

uint64_t call_output_bytes(const struct call *c)
{
	return c->out.bytes + c->err.bytes + output_totals(c->kept[0]).bytes +
	       output_totals(c->kept[1]).bytes;
}

static int on_rate(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;
	uint64_t most = c->session->policy->output_rate;
	uint64_t bytes = call_output_bytes(c), at = call_active_ns(c, io_now_ns());
	uint64_t rate = at > c->rate_ns ? (uint64_t)((double)(bytes - c->rate_bytes) * 1e9 /
						     (double)(at - c->rate_ns))
					: 0;
	char text[128];

	(void)now;
	if (rate > most) {
		(void)snprintf(text, sizeof(text),
			       "wrote %llu bytes in a second; --limit output_rate=... raises it",
			       (unsigned long long)rate);
		call_emit_limit(c, "output_rate", text);
		return call_end_by(c, CALL_OVER_LIMIT, text);
	}
	c->rate_bytes = bytes;
	c->rate_ns = at;
	(void)sd_event_source_set_time_relative(s, RATE_LOOK_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int call_watch_limits(struct call *c)
{
	sd_event *loop = c->session->loop;
	bool v1 = c->leaf[SB_LEAF_OOM] >= 0;
	int r;

	r = call_arm_wall(c);
	if (r >= 0)
		r = disk_watch(c->session);
	if (r >= 0 && c->session->policy->output_rate > 0)
		r = sd_event_add_time_relative(loop, &c->on_rate, CLOCK_MONOTONIC, RATE_LOOK_US,
					       1000, on_rate, c);
	if (r >= 0 && !(c->in_force & SB_FORCE_MEMORY))
		r = sd_event_add_time_relative(loop, &c->on_memory, CLOCK_MONOTONIC, MEMORY_LOOK_US,
					       1000, on_memory, c);
	if (r >= 0 && (c->leaf[SB_LEAF_CPU] >= 0 || !leaf_has_group(c)))
		r = sd_event_add_time_relative(loop, &c->on_cpu, CLOCK_MONOTONIC, CPU_LOOK_MIN_US,
					       1000, on_cpu, c);
	if (r >= 0 && c->leaf[SB_LEAF_MEMORY] >= 0)
		r = sd_event_add_io(loop, &c->on_oom, c->leaf[v1 ? SB_LEAF_OOM : SB_LEAF_MEMORY],
				    v1 ? EPOLLIN : EPOLLPRI, on_oom, c);
	return r < 0 ? r : 0;
}

void call_over_output(struct call *c)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "wrote more than %llu bytes; --limit output=... raises it",
		       (unsigned long long)c->session->policy->output_bytes);
	call_emit_limit(c, "output", text);
	(void)call_end_by(c, CALL_OVER_LIMIT, text);
}
