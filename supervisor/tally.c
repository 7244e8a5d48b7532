// SPDX-License-Identifier: Apache-2.0
/* supervisor/tally.c - what one call did, added up for its report. */
#include "supervisor/tally.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_PROCESSES 4

struct tally *tally_new(void)
{
	return calloc(1, sizeof(struct tally));
}

/* Room for one more: it doubles at each power of two. */
static bool grow(void **list, uint32_t count, size_t size)
{
	void *more;

	if (count & (count - 1))
		return true;
	more = realloc(*list, (count ? 2 * (size_t)count : 1) * size);
	if (!more)
		return false;
	*list = more;
	return true;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->process_count; i++) {
		text_done(&t->processes[i].exe);
		text_done(&t->processes[i].argv);
	}
	free(t->processes);
	for (uint32_t i = 0; i < t->connection_count; i++)
		text_done(&t->connections[i].addr);
	for (uint32_t i = 0; i < t->denial_count; i++) {
		text_done(&t->denials[i].subject);
		text_done(&t->denials[i].suggest);
	}
	free(t->connections);
	free(t->denials);
	free(t);
}

void tally_add_argv(struct text *out, const char *argv, size_t len)
{
	text_add(out, "[");
	for (size_t i = 0; i < len;) {
		size_t n = strnlen(argv + i, len - i);

		if (i > 0)
			text_add(out, ",");
		text_add_json(out, argv + i, n);
		i += n + 1;
	}
	text_add(out, "]");
}

void tally_exec(struct tally *t, uint32_t pid, uint32_t ppid, const char *exe, size_t exe_len,
		const char *argv, size_t argv_len)
{
	struct tally_process *p;

	t->execs++;
	if (t->process_count == TALLY_PROCESSES) {
		t->processes_cut++;
		return;
	}
	/* doubles each time it is full at a power of two */
	if (t->process_count == 0 || (t->process_count >= FIRST_PROCESSES &&
				      (t->process_count & (t->process_count - 1)) == 0)) {
		size_t room = t->process_count ? 2 * (size_t)t->process_count : FIRST_PROCESSES;
		void *more = realloc(t->processes, room * sizeof(*p));

		if (!more) {
			t->processes_cut++;
			return;
		}
		t->processes = more;
	}
	p = &t->processes[t->process_count++];
	*p = (struct tally_process){ .pid = pid, .ppid = ppid, .exit_status = -1 };
	text_add_json(&p->exe, exe, exe_len);
	tally_add_argv(&p->argv, argv, argv_len);
}

void tally_exit(struct tally *t, uint32_t pid, int32_t status)
{
	/* an exec replaces an earlier one of the same process: the last counts */
	for (uint32_t i = t->process_count; i-- > 0;)
		if (t->processes[i].pid == pid && t->processes[i].exit_status == -1) {
			t->processes[i].exit_status = status;
			return;
		}
}

void tally_connect(struct tally *t, const char *addr, uint16_t port, const char *verdict)
{
	struct tally_connection *c;

	for (uint32_t i = 0; i < t->connection_count; i++) {
		c = &t->connections[i];
		if (c->port == port && strcmp(c->verdict, verdict) == 0 && c->addr.at &&
		    strcmp(c->addr.at, addr) == 0) {
			c->count++;
			return;
		}
	}
	if (t->connection_count == TALLY_CONNECTIONS ||
	    !grow((void **)&t->connections, t->connection_count, sizeof(*c))) {
		t->connections_cut++;
		return;
	}
	c = &t->connections[t->connection_count++];
	*c = (struct tally_connection){ .port = port, .verdict = verdict, .count = 1 };
	text_add(&c->addr, addr);
}

static bool same_text(const struct text *a, const struct text *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->at, b->at, a->len) == 0);
}

uint64_t tally_denied(struct tally *t, const char *syscall, struct denial *d)
{
	struct tally_denial *n;

	for (uint32_t i = 0; i < t->denial_count; i++) {
		n = &t->denials[i];
		if (n->syscall == syscall && n->why == d->why &&
		    same_text(&n->subject, &d->subject)) {
			n->count++;
			denial_done(d);
			return n->count;
		}
	}
	if (t->denial_count == TALLY_DENIALS ||
	    !grow((void **)&t->denials, t->denial_count, sizeof(*n))) {
		t->denials_cut++;
		denial_done(d);
		return 0;
	}
	n = &t->denials[t->denial_count++];
	*n = (struct tally_denial){
		.layer = d->layer,
		.rule = d->rule,
		.why = d->why,
		.syscall = syscall,
		.subject = d->subject,
		.suggest = d->suggest,
		.count = 1,
	};
	return 1;
}
