// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/stream.c - the event stream: one numbered JSON object a line.
 *
 * What it guarantees
 *	Numbers are given out under one lock, so the order of the lines is the
 *	order of the numbers, without gaps. Nothing here ever waits for a reader:
 *	one that is too slow loses lines, is told how many in the stream itself,
 *	and slows nobody else. A sink that fails is given up once, with its errno
 *	kept for the report.
 */
#include "supervisor/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/disk.h"

/* Lines are written in pieces of about this size. */
#define FLUSH_BYTES (256u * 1024)
#define PIECE 4096u /* PIPE_BUF, pipe(7) */
/* At the end a reader that still reads is waited for; each piece this long. */
#define LAST_MS 2000

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
	for (int i = 0; i < STREAM_SINKS; i++)
		s->sinks[i].fd = -1;
	s->sinks[STREAM_STDERR].fd = level > STREAM_QUIET ? STDERR_FILENO : -1;
	s->sinks[STREAM_STDERR].borrowed = true;
	s->level = level;
	s->session = session;
	s->wake = -1;
	s->boot_to_real_ns = stream_now_real_ns() - stream_now_boot_ns();
}

/* The end of a log: longer than any line, of which the longest is some pages. */
#define RESUME_BYTES (4u << 20)

void stream_resume(struct stream *s)
{
	int fd = s->sinks[STREAM_LOG].fd;
	uint64_t from = s->log_bytes > RESUME_BYTES ? s->log_bytes - RESUME_BYTES : 0;
	AUTO_MEM char *all = malloc(RESUME_BYTES + 1);
	ssize_t n = all && fd >= 0 ? pread(fd, all, RESUME_BYTES, (off_t)from) : -1;

	if (n <= 0)
		return;
	all[n] = '\0';
	if (all[n - 1] != '\n' && write(fd, "\n", 1) == 1)
		s->log_bytes++;
	for (const char *line = all; line; line = strchr(line, '\n')) {
		unsigned long long seq;

		line += *line == '\n';
		if (sscanf(line, "{\"seq\":%llu", &seq) == 1 && seq > s->seq)
			s->seq = seq;
	}
}

static void give_up(struct stream_sink *sink, int error)
{
	sink->error = error;
	if (sink->borrowed)
		sink->fd = -1;
	fd_done(&sink->fd);
	text_done(&sink->waiting);
}

/* A pipe or a terminal that poll(2) calls writable takes PIPE_BUF bytes without
 * blocking, so its flags, which are shared with whoever started us, stay. */
static size_t drain_sink(struct stream_sink *sink, int timeout_ms)
{
	size_t most = PIECE;
	size_t done = 0;
	struct stat st;

	if (sink->fd >= 0 && fstat(sink->fd, &st) == 0 && S_ISREG(st.st_mode))
		most = SIZE_MAX; /* a file takes all there is */
	while (sink->fd >= 0 && done < sink->waiting.len) {
		struct pollfd p = { .fd = sink->fd, .events = POLLOUT };
		size_t n = sink->waiting.len - done;
		ssize_t w;

		if (poll(&p, 1, timeout_ms) <= 0)
			break;
		w = write(sink->fd, sink->waiting.at + done, n > most ? most : n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && sink->reserve > 0 &&
		    disk_use_reserve(sink->reserve, DISK_RESERVE_LOG, -errno))
			continue;
		if (w < 0) {
			give_up(sink, -errno);
			return done;
		}
		done += (size_t)w;
	}
	if (done > 0) {
		memmove(sink->waiting.at, sink->waiting.at + done, sink->waiting.len - done);
		sink->waiting.len -= done;
	}
	return done;
}

/* Whoever follows the log hears that there is more. */
static void drain(struct stream *s, struct stream_sink *sink, int timeout_ms)
{
	uint64_t one = 1;
	size_t done = drain_sink(sink, timeout_ms);

	if (sink != &s->sinks[STREAM_LOG] || done == 0)
		return;
	s->log_bytes += done;
	if (s->wake >= 0)
		(void)!write(s->wake, &one, sizeof(one));
}

static void tell_dropped(struct stream *s, struct stream_sink *sink)
{
	if (sink == &s->sinks[STREAM_STDERR])
		text_printf(&sink->waiting,
			    "glovebox: lost          %llu lines: nobody read them\n",
			    (unsigned long long)sink->dropped);
	else
		text_printf(&sink->waiting,
			    "{\"seq\":%llu,\"session\":\"%s\",\"kind\":\"lost\","
			    "\"count\":%llu,\"why\":\"%s\"}\n",
			    (unsigned long long)s->seq, s->session,
			    (unsigned long long)sink->dropped, sink->why);
	sink->dropped = 0;
}

static void drop_line(struct stream_sink *sink, const char *why)
{
	sink->dropped++;
	sink->dropped_all++;
	sink->why = why;
}

static void add_to_sink(struct stream *s, struct stream_sink *sink, const struct text *line)
{
	if (sink->fd < 0 || line->len == 0)
		return;
	if (sink->waiting.len + line->len > STREAM_WAIT_MAX) {
		drain(s, sink, 0);
		if (sink->waiting.len + line->len > STREAM_WAIT_MAX) {
			drop_line(sink, "the reader of this stream was too slow");
			return;
		}
	}
	if (sink->dropped > 0)
		tell_dropped(s, sink);
	text_add_n(&sink->waiting, line->at, line->len);
	if (sink->waiting.len >= FLUSH_BYTES)
		drain(s, sink, 0);
}

void stream_say(struct stream *s, const struct text *lines)
{
	(void)pthread_mutex_lock(&s->lock);
	add_to_sink(s, &s->sinks[STREAM_STDERR], lines);
	(void)pthread_mutex_unlock(&s->lock);
}

void stream_flush(struct stream *s)
{
	(void)pthread_mutex_lock(&s->lock);
	for (int i = 0; i < STREAM_SINKS; i++)
		drain(s, &s->sinks[i], 0);
	(void)pthread_mutex_unlock(&s->lock);
}

void stream_done(struct stream *s)
{
	for (int i = 0; i < STREAM_SINKS; i++) {
		if (s->sinks[i].dropped > 0)
			tell_dropped(s, &s->sinks[i]);
		drain(s, &s->sinks[i], LAST_MS);
		give_up(&s->sinks[i], s->sinks[i].error);
		if (s->sinks[i].reserve > 0)
			fd_done(&s->sinks[i].reserve);
	}
	text_done(&s->line);
	text_done(&s->human);
	(void)pthread_mutex_destroy(&s->lock);
}

struct text *stream_begin(struct stream *s, const char *kind, const struct stream_call *call,
			  uint64_t boot_ns)
{
	struct text *t = &s->line;

	(void)pthread_mutex_lock(&s->lock);
	t->len = 0;
	text_add_number(t, "{\"seq\":", ++s->seq);
	text_add(t, ",\"ts\":\"");
	text_add_time(t, boot_ns ? boot_ns + s->boot_to_real_ns : stream_now_real_ns());
	text_add(t, "\",\"session\":\"");
	text_add(t, s->session);
	text_add(t, "\"");
	if (call && call->number > 0)
		text_add_number(t, ",\"call\":", call->number);
	if (call && call->agent_call_id) {
		text_add(t, ",\"agent_call_id\":");
		text_add_json(t, call->agent_call_id, strlen(call->agent_call_id));
	}
	if (call && call->step) {
		text_add(t, ",\"step\":");
		text_add_json(t, call->step, strlen(call->step));
	}
	text_add(t, ",\"kind\":\"");
	text_add(t, kind);
	text_add(t, "\"");
	return t;
}

struct text *stream_human(struct stream *s, enum stream_level least)
{
	return s->level >= least && least > STREAM_QUIET ? &s->human : NULL;
}

static void end(struct stream *s, bool is_logged)
{
	text_add(&s->line, "}\n");
	if (!s->line.failed) {
		add_to_sink(s, &s->sinks[STREAM_FILE], &s->line);
		if (is_logged)
			add_to_sink(s, &s->sinks[STREAM_LOG], &s->line);
	}
	add_to_sink(s, &s->sinks[STREAM_STDERR], &s->human);
	s->human.len = 0;
	(void)pthread_mutex_unlock(&s->lock);
}

void stream_end(struct stream *s)
{
	end(s, true);
}

bool stream_end_limited(struct stream *s, uint64_t *used, uint64_t most)
{
	/* with its last two bytes, which are not there yet */
	bool is_logged = *used + s->line.len + 2 <= most;

	if (is_logged)
		*used += s->line.len + 2;
	else if (s->sinks[STREAM_LOG].fd >= 0)
		drop_line(&s->sinks[STREAM_LOG], "a call has written all that limits.log lets it");
	end(s, is_logged);
	return is_logged;
}
