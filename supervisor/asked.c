// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/asked.c - what was asked of io_uring, joined with what came of it.
 *
 * The first record has the names, the second the result and the file that was really used.
 * They become one event. A request that is not answered within a look or two (an accept that
 * waits, what is linked behind a timer) is told as it was asked, "phase":"pre", and again with
 * its result when that comes, "phase":"post". Some never have one: those that want no answer
 * when they succeed, and those whose answer was lost.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "sandbox/base/io.h"
#include "supervisor/monitor_inner.h"
#include "supervisor/syscalls.h"

/* How long an answer is waited for. */
#define WAIT_NS 250000000ull
/* Requests of one call that wait; a ring has some hundred entries. A power of two. */
#define ASKED_MAX 1024

struct request {
	struct request *next; /* in its cell */
	TAILQ_ENTRY(request) order; /* the oldest first */
	uint64_t number;
	uint64_t since_ns;
	bool is_told; /* without what came of it: that is told when it comes */
	struct event e; /* as much of it as there is */
};

struct asked {
	TAILQ_HEAD(, request) order;
	unsigned int count;
	struct request *cells[ASKED_MAX]; /* by number: they are given one after the other */
};

static struct request **find(struct asked *b, uint64_t number)
{
	struct request **at = &b->cells[number & (ASKED_MAX - 1)];

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static void drop(struct asked *b, struct request *q)
{
	*find(b, q->number) = q->next;
	TAILQ_REMOVE(&b->order, q, order);
	b->count--;
	free(q);
}

/* The path that the kernel has, in place of the one that was asked for. */
static void take_path(struct request *q, const struct event *e)
{
	if (!(e->flags & EVENT_F_KERNEL) || e->len[EVENT_SPAN_PATH] == 0)
		return;
	memset(q->e.len, 0, sizeof(q->e.len));
	memcpy(q->e.data, e->data, e->len[EVENT_SPAN_PATH]);
	q->e.len[EVENT_SPAN_PATH] = e->len[EVENT_SPAN_PATH];
	q->e.flags |= e->flags & (EVENT_F_KERNEL | EVENT_F_CREATED | EVENT_F_PARTIAL);
}

/* With the arguments of the system call that it is told as. */
static void tell(struct watched *w, struct event *e, uint64_t place)
{
	const struct syscall_row *row = syscalls_find(e->nr);
	bool is_open = row && (row->shape.flags & WATCH_OPEN);

	e->args[EVENT_ARG_URING_REQUEST] = is_open ? place : e->args[EVENT_ARG_URING_FLAGS];
	decode_event(e, &w->to);
}

static void tell_as_it_is(struct watched *w, struct request *q)
{
	if (!q->is_told)
		tell(w, &q->e, EVENT_PLACE_KNOWN);
	q->is_told = true;
}

static struct asked *book_of(struct watched *w)
{
	if (!w->asked) {
		w->asked = calloc(1, sizeof(*w->asked));
		if (w->asked)
			TAILQ_INIT(&w->asked->order);
	}
	return w->asked;
}

/* There is no room: the oldest is told, and its answer will be nobody's. */
static void give_up_oldest(struct watched *w)
{
	struct request *q = TAILQ_FIRST(&w->asked->order);

	tell_as_it_is(w, q);
	drop(w->asked, q);
}

void asked_begin(struct watched *w, const struct event *e, size_t size)
{
	struct asked *b = book_of(w);
	/* room for a path of any length, which may come with the answer */
	struct request *q = b ? malloc(sizeof(*q)) : NULL;
	struct request **at;

	if (!q) {
		decode_event(e, &w->to);
		return;
	}
	memset(q, 0, offsetof(struct request, e) + EVENT_HEAD_SIZE);
	memcpy(&q->e, e, size);
	q->number = e->args[EVENT_ARG_URING_REQUEST];
	q->since_ns = io_now_ns();
	if (q->number == 0) {
		tell_as_it_is(w, q);
		free(q);
		return;
	}
	if (b->count >= ASKED_MAX)
		give_up_oldest(w);
	at = find(b, q->number);
	q->next = *at;
	*at = q;
	TAILQ_INSERT_TAIL(&b->order, q, order);
	b->count++;
}

void asked_done(struct watched *w, const struct event *e)
{
	struct request *q = w->asked ? *find(w->asked, e->args[EVENT_ARG_URING_REQUEST]) : NULL;

	if (!q || q->e.nr != e->nr)
		return;
	q->e.kind = EVENT_URING_DONE;
	q->e.ret = e->ret;
	if (q->is_told)
		q->e.flags |= EVENT_F_LATE;
	take_path(q, e);
	tell(w, &q->e, e->args[EVENT_ARG_URING_PLACE]);
	drop(w->asked, q);
}

void asked_look(struct monitor *m)
{
	uint64_t now = io_now_ns();
	struct request *q;

	if (now - m->looked_at_asked_ns < WAIT_NS)
		return;
	m->looked_at_asked_ns = now;
	for (uint32_t i = 0; i < m->slots_used; i++) {
		struct watched *w = &m->slots[i];

		if (!watched_is_live(w) || !w->asked)
			continue;
		TAILQ_FOREACH(q, &w->asked->order, order)
		if (now - q->since_ns >= WAIT_NS)
			tell_as_it_is(w, q);
	}
}

void asked_end_call(struct watched *w, bool is_told)
{
	while (w->asked && !TAILQ_EMPTY(&w->asked->order)) {
		if (is_told)
			tell_as_it_is(w, TAILQ_FIRST(&w->asked->order));
		drop(w->asked, TAILQ_FIRST(&w->asked->order));
	}
	free(w->asked);
	w->asked = NULL;
}
