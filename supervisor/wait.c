// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/wait.c - who waits for the end of a call, and what they get.
 *
 * The result was written to disk when the call ended; here the texts of its output
 * are added, and what an operator has to say. That stands beside the tool's output,
 * in a member of its own, where no tool can write.
 */
#include "supervisor/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/account.h"
#include "supervisor/result.h"

/* Of each stream in a result: so much of its beginning, and of its end. The rest is
 * read with call.output. */
#define TEXT_PART (32u * 1024)
#define RESULT_MAX (8u << 20)

struct wait {
	struct wait *next;
	struct waits *all;
	struct session *session;
	uint32_t call;
	struct wait_plan plan;
	struct reply *reply;
	sd_event_source *timer;
};

struct waits {
	sd_event *loop;
	struct wait *first;
	size_t count;
};

int waits_new(struct waits **ret, sd_event *loop)
{
	struct waits *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->loop = loop;
	*ret = w;
	return 0;
}

static void add_part(struct text *t, int fd, off_t at, size_t n)
{
	AUTO_MEM char *buf = malloc(n + 1);
	ssize_t got = buf ? pread(fd, buf, n, at) : -1;

	text_add_json(t, buf ? buf : "", got > 0 ? (size_t)got : 0);
}

/* "stdout":{"text":...} or {"head":..., "tail":..., "left_out":n} */
static void add_output(struct session *s, uint32_t call, const char *name, struct text *t)
{
	char path[48];
	AUTO_FD fd = -1;
	struct stat st;

	output_path(call, name, path);
	fd = openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	text_printf(t, ",\"%s\":{", name);
	if (fd < 0 || fstat(fd, &st) < 0) {
		text_add(t, "\"text\":\"\"}");
		return;
	}
	if (st.st_size <= 2 * (off_t)TEXT_PART) {
		text_add(t, "\"text\":");
		add_part(t, fd, 0, (size_t)st.st_size);
	} else {
		text_add(t, "\"head\":");
		add_part(t, fd, 0, TEXT_PART);
		text_add(t, ",\"tail\":");
		add_part(t, fd, st.st_size - (off_t)TEXT_PART, TEXT_PART);
		text_printf(t, ",\"left_out\":%lld",
			    (long long)st.st_size - 2 * (long long)TEXT_PART);
	}
	text_add(t, "}");
}

/* What operators have said is handed over once. */
void waits_add_steers(struct session *s, struct text *t)
{
	text_add(t, ",\"steer\":[");
	for (uint32_t i = 0; i < s->steer_count; i++) {
		struct session_steer *n = &s->steers[i];

		text_add(t, i ? ",{\"text\":" : "{\"text\":");
		text_add_json(t, n->text, strlen(n->text));
		text_add(t, ",\"by\":");
		text_add_json(t, n->by, strlen(n->by));
		text_add(t, ",\"ts\":\"");
		text_add_time(t, n->when_ns);
		text_add(t, "\"}");
		free(n->text);
		free(n->by);
	}
	s->steer_count = 0;
	text_add(t, "]");
}

void waits_answer(struct session *s, uint32_t call, const struct wait_plan *plan,
		  struct reply *reply)
{
	AUTO_MEM char *all = malloc(RESULT_MAX);
	AUTO_TEXT t = { 0 };
	char path[48];
	AUTO_FD fd = -1;
	ssize_t n;

	account_path(call, true, path);
	fd = openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd >= 0 && all ? io_read_full(fd, all, RESULT_MAX) : -1;
	if (n < 2 || n == (ssize_t)RESULT_MAX || all[n - 1] != '}') {
		reply_error(reply, RPC_NOT_FOUND, "the account of this call is not there any more");
		return;
	}
	/* without its last brace: more members follow */
	text_add_n(&t, all, (size_t)n - 1);
	all[n] = '\0';
	if (plan->text > 0) {
		result_add(s, call, all, plan->from, plan->text, &t);
	} else {
		add_output(s, call, "stdout", &t);
		add_output(s, call, "stderr", &t);
	}
	waits_add_steers(s, &t);
	text_add(&t, "}");
	reply_result(reply, t.failed ? "null" : t.at);
}

static void wait_free(struct wait *w)
{
	w->timer = sd_event_source_disable_unref(w->timer);
	w->all->count--;
	free(w);
}

static void take_out(struct wait *w)
{
	for (struct wait **p = &w->all->first; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			return;
		}
}

static int on_timeout(sd_event_source *source, uint64_t now, void *context)
{
	struct wait *w = context;
	const struct call *c = session_find_call(w->session, w->call);
	AUTO_TEXT t = { 0 };

	(void)source;
	(void)now;
	text_printf(&t, "{\"id\":\"%s.%u\",\"session\":\"%s\",\"call\":%u,\"state\":\"%s\"",
		    w->session->id, w->call, w->session->id, w->call,
		    c ? call_state_names[c->state] : "done");
	if (w->plan.text > 0)
		result_add(w->session, w->call, NULL, w->plan.from, w->plan.text, &t);
	waits_add_steers(w->session, &t);
	text_add(&t, "}");
	reply_result(w->reply, t.at);
	take_out(w);
	wait_free(w);
	return 0;
}

void waits_add(struct waits *all, struct session *s, uint32_t call, const struct wait_plan *plan,
	       struct reply *reply)
{
	struct wait *w = all->count < WAITS_MAX ? calloc(1, sizeof(*w)) : NULL;

	if (!w) {
		reply_error(reply, RPC_BUSY, "too many wait already");
		return;
	}
	*w = (struct wait){ all->first, all, s, call, *plan, reply, NULL };
	all->count++;
	all->first = w;
	if (plan->timeout_ns > 0)
		(void)sd_event_add_time_relative(all->loop, &w->timer, CLOCK_MONOTONIC,
						 plan->timeout_ns / 1000, 0, on_timeout, w);
}

void waits_call_over(struct waits *all, struct session *s, uint32_t call)
{
	for (struct wait **p = &all->first; *p;) {
		struct wait *w = *p;

		if (w->session != s || w->call != call) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		waits_answer(s, call, &w->plan, w->reply);
		wait_free(w);
	}
}

void waits_session_gone(struct waits *all, struct session *s)
{
	for (struct wait **p = &all->first; *p;) {
		struct wait *w = *p;

		if (w->session != s) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		reply_error(w->reply, RPC_NOT_FOUND, "the session was removed");
		wait_free(w);
	}
}

void waits_free(struct waits *all)
{
	while (all && all->first) {
		struct wait *w = all->first;

		all->first = w->next;
		reply_error(w->reply, RPC_INTERNAL, "the supervisor is stopping");
		wait_free(w);
	}
	free(all);
}
