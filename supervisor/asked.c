// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/asked.c - what was asked of io_uring, joined with what came of it.
 *
 * The first record has the names, the second the result and the file that was really used.
 * They become one event. A request that is not answered within a look or two (an accept that
 * waits, or one that wanted no answer when it succeeds) is told without: its answer is then
 * nobody's.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/io.h"
#include "supervisor/monitor_inner.h"

/* How long an answer is waited for. */
#define WAIT_NS 250000000ull
/* Requests of one call that wait; a ring has some hundred entries. */
#define ASKED_MAX 1024

static void drop(struct watched *w, struct asked **at)
{
	struct asked *a = *at;

	*at = a->next;
	w->asked_count--;
	free(a);
}

void asked_begin(struct watched *w, const struct event *e, size_t size)
{
	struct asked *a = w->asked_count < ASKED_MAX
				  ? malloc(offsetof(struct asked, e) + sizeof(struct event))
				  : NULL;

	if (!a) {
		decode_event(e, &w->to);
		return;
	}
	memset(&a->e, 0, EVENT_HEAD_SIZE);
	memcpy(&a->e, e, size);
	a->size = size;
	a->since_ns = io_now_ns();
	a->next = w->asked;
	w->asked = a;
	w->asked_count++;
}

/* The path that the kernel has, in place of the one that was asked for. */
static void take_path(struct asked *a, const struct event *e)
{
	if (!(e->flags & EVENT_F_KERNEL) || e->len[EVENT_SPAN_PATH] == 0)
		return;
	memset(a->e.len, 0, sizeof(a->e.len));
	memcpy(a->e.data, e->data, e->len[EVENT_SPAN_PATH]);
	a->e.len[EVENT_SPAN_PATH] = e->len[EVENT_SPAN_PATH];
	a->e.flags |= e->flags & (EVENT_F_KERNEL | EVENT_F_CREATED | EVENT_F_PARTIAL);
}

void asked_done(struct watched *w, const struct event *e)
{
	for (struct asked **at = &w->asked; *at; at = &(*at)->next) {
		struct asked *a = *at;

		if (a->e.args[EVENT_ARG_URING_REQUEST] != e->args[EVENT_ARG_URING_REQUEST])
			continue;
		a->e.kind = EVENT_URING_DONE;
		a->e.ret = e->ret;
		take_path(a, e);
		/* no call has such an argument */
		a->e.args[EVENT_ARG_URING_REQUEST] = 0;
		decode_event(&a->e, &w->to);
		drop(w, at);
		return;
	}
}

static void tell_as_it_is(struct watched *w, struct asked *a)
{
	a->e.args[EVENT_ARG_URING_REQUEST] = 0;
	decode_event(&a->e, &w->to);
}

static void look(struct watched *w, uint64_t now)
{
	for (struct asked **at = &w->asked; *at;)
		if (now - (*at)->since_ns < WAIT_NS) {
			at = &(*at)->next;
		} else {
			tell_as_it_is(w, *at);
			drop(w, at);
		}
}

void asked_look(struct monitor *m)
{
	uint64_t now = io_now_ns();

	if (now - m->looked_at_asked_ns < WAIT_NS)
		return;
	m->looked_at_asked_ns = now;
	for (uint32_t i = 0; i < m->slots_used; i++)
		if (watched_is_live(&m->slots[i]) && m->slots[i].asked)
			look(&m->slots[i], now);
}

void asked_end_call(struct watched *w, bool is_told)
{
	while (w->asked) {
		if (is_told)
			tell_as_it_is(w, w->asked);
		drop(w, &w->asked);
	}
}
