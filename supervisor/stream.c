// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/stream.c - the event stream: one numbered JSON object a line.
 *
 * What it guarantees
 *	Numbers are given out under one lock, so the order of the lines is the
 *	order of the numbers, without gaps. A sink that fails is given up once,
 *	with its errno kept for the report; the others go on.
 */
#include "supervisor/stream.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"

/* Lines are written in pieces of about this size. */
#define FLUSH_BYTES (256u * 1024)

static uint64_t read_clock(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t); /* cannot fail for these clocks */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t stream_now_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

uint64_t stream_now_real_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void stream_init(struct stream *s, const char *session, enum stream_level level)
{
	memset(s, 0, sizeof(*s));
	(void)pthread_mutex_init(&s->lock, NULL);
	s->sinks[0] = s->sinks[1] = -1;
	s->level = level;
	s->session = session;
	s->boot_to_real_ns = stream_now_real_ns() - stream_now_boot_ns();
}

void stream_done(struct stream *s)
{
	stream_flush(s);
	for (int i = 0; i < STREAM_SINKS; i++)
		fd_done(&s->sinks[i]);
	text_done(&s->out);
	text_done(&s->line);
	text_done(&s->human);
	(void)pthread_mutex_destroy(&s->lock);
}

static void flush_locked(struct stream *s)
{
	for (int i = 0; i < STREAM_SINKS && s->out.len > 0; i++) {
		int r;

		if (s->sinks[i] < 0)
			continue;
		r = io_write_all(s->sinks[i], s->out.at, s->out.len);
		if (r < 0) {
			s->sink_errors[i] = r;
			fd_done(&s->sinks[i]);
		}
	}
	s->out.len = 0;
	if (s->human.len > 0) /* nobody reads it any more: nothing to do */
		(void)io_write_all(STDERR_FILENO, s->human.at, s->human.len);
	s->human.len = 0;
}

void stream_flush(struct stream *s)
{
	(void)pthread_mutex_lock(&s->lock);
	flush_locked(s);
	(void)pthread_mutex_unlock(&s->lock);
}

struct text *stream_begin(struct stream *s, const char *kind, const struct stream_call *call,
			  uint64_t boot_ns)
{
	struct text *t = &s->line;

	(void)pthread_mutex_lock(&s->lock);
	t->len = 0;
	text_printf(t, "{\"seq\":%llu,\"ts\":\"", (unsigned long long)++s->seq);
	text_add_time(t, boot_ns ? boot_ns + s->boot_to_real_ns : stream_now_real_ns());
	text_printf(t, "\",\"session\":\"%s\"", s->session);
	if (call && call->number > 0)
		text_printf(t, ",\"call\":%u", call->number);
	if (call && call->agent_call_id) {
		text_add(t, ",\"agent_call_id\":");
		text_add_json(t, call->agent_call_id, strlen(call->agent_call_id));
	}
	text_printf(t, ",\"kind\":\"%s\"", kind);
	return t;
}

struct text *stream_human(struct stream *s, enum stream_level least)
{
	return s->level >= least && least > STREAM_QUIET ? &s->human : NULL;
}

void stream_end(struct stream *s)
{
	text_add(&s->line, "}\n");
	if (!s->line.failed)
		text_add_n(&s->out, s->line.at, s->line.len);
	if (s->out.len >= FLUSH_BYTES)
		flush_locked(s);
	(void)pthread_mutex_unlock(&s->lock);
}
