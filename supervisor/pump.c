// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/pump.c - copies one stream of a call, without ever blocking the loop.
 *
 * It reads a chunk when the source is ready and writes it when the target is,
 * never both at once: a slow reader slows the tool, and nobody else. A regular
 * file is always ready, which epoll does not say (EPERM): it is served from a
 * deferred source, a chunk a turn.
 */
#include "supervisor/pump.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sandbox/base/fd.h"

static void finish(struct pump *p)
{
	if (p->is_over)
		return;
	p->is_over = true;
	pump_done(p);
	if (p->on_over)
		p->on_over(p, p->context);
}

static int set_enabled(sd_event_source *s, bool on)
{
	return s ? sd_event_source_set_enabled(s, on ? SD_EVENT_ON : SD_EVENT_OFF) : 0;
}

static bool is_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0;
}

/* True when the chunk is gone. */
static bool write_chunk(struct pump *p)
{
	while (p->done < p->have && !p->to_is_gone) {
		ssize_t n;

		if (!is_ready(p->to, POLLOUT))
			return false;
		n = write(p->to, p->chunk + p->done, p->have - p->done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0) {
			p->to_is_gone = true;
			p->error = errno == EPIPE ? 0 : -errno;
			break;
		}
		p->done += (size_t)n;
	}
	p->lost += p->have - p->done;
	p->have = p->done = 0;
	return true;
}

static void step(struct pump *p)
{
	ssize_t n;

	if (p->have > 0) {
		if (!write_chunk(p)) {
			(void)set_enabled(p->source_from, false);
			(void)set_enabled(p->source_to, true);
			return;
		}
		(void)set_enabled(p->source_to, false);
		(void)set_enabled(p->source_from, true);
		return;
	}
	if (p->to_is_gone && p->keep_from) { /* stdin that nobody reads */
		finish(p);
		return;
	}
	n = read(p->from, p->chunk, sizeof(p->chunk));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) { /* EIO: the last process closed the terminal */
		finish(p);
		return;
	}
	p->bytes += (uint64_t)n;
	if (p->limit && p->bytes > p->limit) {
		/* the tool's last chunk is cut at the limit, exactly */
		uint64_t before = p->bytes - (uint64_t)n;

		p->have = before < p->limit ? (size_t)(p->limit - before) : 0;
		if (before <= p->limit && p->on_limit)
			p->on_limit(p, p->context);
	} else {
		p->have = (size_t)n;
	}
	p->done = 0;
	if (p->have > 0)
		step(p);
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	step(context);
	return 0;
}

static int on_turn(sd_event_source *s, void *context)
{
	(void)s;
	step(context);
	return 0;
}

int pump_start(struct pump *p, sd_event *loop, int from, int to)
{
	int r;

	p->from = from;
	p->to = to;
	p->is_over = false;
	r = sd_event_add_io(loop, &p->source_from, from, EPOLLIN, on_io, p);
	if (r == -EPERM) {
		r = sd_event_add_defer(loop, &p->source_from, on_turn, p);
		if (r >= 0)
			r = set_enabled(p->source_from, true);
	}
	if (r < 0)
		return r;
	/* a regular file never says "not now", so it needs no source */
	r = sd_event_add_io(loop, &p->source_to, to, EPOLLOUT, on_io, p);
	if (r == -EPERM)
		return 0;
	if (r < 0)
		return r;
	return set_enabled(p->source_to, false);
}

void pump_done(struct pump *p)
{
	p->is_over = true;
	p->source_from = sd_event_source_disable_unref(p->source_from);
	p->source_to = sd_event_source_disable_unref(p->source_to);
	if (!p->keep_from)
		fd_done(&p->from);
	if (!p->keep_to)
		fd_done(&p->to);
	p->from = p->to = -1;
}
