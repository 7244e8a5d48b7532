// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/output.c - one stream of a call's output: a file, and live events.
 *
 * While it runs the file holds the head, and behind it a ring of the tail; at the
 * end the ring is put in order. Nothing of it is held in memory.
 */
#include "supervisor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/text.h"

/* Read in one turn, and told in one event. */
#define CHUNK 16384

struct output {
	struct output_plan plan;
	int from; /* -1: over */
	int file; /* -1: given up */
	bool is_over;
	bool is_told; /* the limit */
	struct output_totals totals;
	sd_event_source *source;
};

void output_path(uint32_t call, const char *name, char ret[48])
{
	(void)snprintf(ret, 48, "output/%u.%s", call, name);
}

static void give_up(struct output *o, int error)
{
	o->totals.error = error;
	fd_done(&o->file);
}

static void write_at(struct output *o, const char *data, size_t n, uint64_t at)
{
	ssize_t w = pwrite(o->file, data, n, (off_t)at);

	if (w != (ssize_t)n)
		give_up(o, w < 0 ? -errno : -ENOSPC);
}

static void keep(struct output *o, const char *data, size_t n)
{
	uint64_t at = o->totals.bytes; /* of the first byte, in the whole stream */

	while (n > 0 && o->file >= 0) {
		size_t part = n;

		if (at < OUTPUT_HEAD) {
			if (part > OUTPUT_HEAD - at)
				part = OUTPUT_HEAD - at;
			write_at(o, data, part, at);
		} else {
			uint64_t in_ring = (at - OUTPUT_HEAD) % OUTPUT_TAIL;

			if (part > OUTPUT_TAIL - in_ring)
				part = OUTPUT_TAIL - in_ring;
			write_at(o, data, part, OUTPUT_HEAD + in_ring);
		}
		data += part;
		at += part;
		n -= part;
	}
}

static void tell(struct output *o, const char *data, size_t n)
{
	struct text *t = stream_begin(o->plan.stream, "call.output", &o->plan.who, 0);

	text_printf(t, ",\"stream\":\"%s\",\"offset\":%llu,\"text\":", o->plan.name,
		    (unsigned long long)o->totals.bytes);
	text_add_json(t, data, n);
	stream_end(o->plan.stream);
	stream_flush(o->plan.stream);
}

/* The ring's oldest byte comes first. */
static void put_in_order(struct output *o)
{
	uint64_t behind = o->totals.bytes > OUTPUT_HEAD ? o->totals.bytes - OUTPUT_HEAD : 0;
	AUTO_MEM char *all = NULL;
	size_t first;

	o->totals.head = o->totals.bytes - behind;
	o->totals.tail = behind > OUTPUT_TAIL ? OUTPUT_TAIL : behind;
	if (o->file < 0 || behind <= OUTPUT_TAIL)
		return;
	first = (size_t)(behind % OUTPUT_TAIL);
	all = malloc(OUTPUT_TAIL);
	if (!all || pread(o->file, all, OUTPUT_TAIL, OUTPUT_HEAD) != OUTPUT_TAIL) {
		give_up(o, all ? -EIO : -ENOMEM);
		return;
	}
	write_at(o, all + first, OUTPUT_TAIL - first, OUTPUT_HEAD);
	if (o->file >= 0)
		write_at(o, all, first, OUTPUT_HEAD + OUTPUT_TAIL - first);
}

void output_end(struct output *o)
{
	if (!o || o->is_over)
		return;
	o->is_over = true;
	o->source = sd_event_source_disable_unref(o->source);
	fd_done(&o->from);
	put_in_order(o);
	fd_done(&o->file);
}

static int on_readable(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct output *o = context;
	char chunk[CHUNK];
	ssize_t n = read(fd, chunk, sizeof(chunk));
	size_t take;

	(void)s;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* EIO: the last process closed the terminal */
		output_end(o);
		o->plan.on_over(o->plan.context);
		return 0;
	}
	take = (size_t)n;
	/* cut at the limit, exactly */
	if (o->plan.limit > 0 && o->totals.bytes + take > o->plan.limit)
		take = o->totals.bytes < o->plan.limit ? o->plan.limit - o->totals.bytes : 0;
	if (take > 0) {
		keep(o, chunk, take);
		tell(o, chunk, take);
		o->totals.bytes += take;
	}
	if (take < (size_t)n && !o->is_told) {
		o->is_told = true;
		o->plan.on_limit(o->plan.context);
	}
	return 0;
}

int output_new(const struct output_plan *plan, int from, struct output **ret)
{
	struct output *o = calloc(1, sizeof(*o));
	char path[48];
	int r;

	if (!o) {
		fd_done(&from);
		return -ENOMEM;
	}
	o->plan = *plan;
	o->from = from;
	output_path(plan->who.number, plan->name, path);
	if (mkdirat(plan->session_dir, "output", 0700) < 0 && errno != EEXIST)
		o->totals.error = -errno;
	o->file = openat(plan->session_dir, path,
			 O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (o->file < 0)
		o->totals.error = -errno;
	r = sd_event_add_io(plan->loop, &o->source, from, EPOLLIN, on_readable, o);
	if (r < 0) {
		output_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

bool output_is_over(const struct output *o)
{
	return !o || o->is_over;
}

struct output_totals output_totals(const struct output *o)
{
	return o ? o->totals : (struct output_totals){ 0 };
}

void output_free(struct output *o)
{
	if (!o)
		return;
	output_end(o);
	free(o);
}
