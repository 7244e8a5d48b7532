// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/account.c - what is written when a call has ended.
 *
 * The scan, the hashes and the files are a job's; nothing of the call changes any
 * more, so the job may read it.
 */
#include "supervisor/account.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/host.h"
#include "supervisor/report.h"
#include "supervisor/seen.h"
#include "supervisor/server.h"

struct account {
	struct host_files f;
	struct call *c;
	size_t count; /* of changes */
};

void account_path(uint32_t call, bool is_result, char ret[48])
{
	(void)snprintf(ret, 48, "report/%u.%s", call, is_result ? "result" : "json");
}

void account_emit_changes(struct stream *stream, const struct stream_call *who, const char *root,
			  const struct changes *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct text *t = stream_begin(stream, "change", who, 0);
		struct text *h = stream_human(stream, STREAM_ALL);

		text_add(t, ",\"item\":");
		changes_add_json(&list->at[i], root, t);
		if (h) {
			text_printf(h, "glovebox: %-9s ", change_type_names[list->at[i].type]);
			text_add_safe(h, list->at[i].path, strlen(list->at[i].path));
			text_add(h, "\n");
		}
		stream_end(stream);
	}
}

static int list_changes(struct account *a, struct changes *ret)
{
	uint32_t numbers[SB_LAYERS_MAX];
	int index = stack_find_call(&a->f.stack, a->c->number);
	struct changes_of of = {
		.policy = a->f.policy,
		.warden = a->f.warden,
		.session = a->f.id,
		.layers = numbers,
	};

	*ret = (struct changes){ 0 };
	if (index < 0)
		return 0; /* it had no layer, or left it as it was */
	stack_numbers(&a->f.stack, numbers);
	of.first = (uint32_t)index;
	of.count = of.first + 1;
	return changes_read(&of, ret);
}

static int write_account(const struct account *a, const struct changes *list, int error)
{
	AUTO_TEXT report = { 0 };
	AUTO_TEXT result = { 0 };
	char path[48];
	int r;

	if (mkdirat(a->f.dir, "report", 0700) < 0 && errno != EEXIST)
		return -errno;
	report_make(a->c, error == 0 ? list : NULL, error, &report);
	report_make_result(a->c, error == 0 ? list : NULL, error, &result);
	account_path(a->c->number, false, path);
	r = session_write_file(a->f.dir, path, &report);
	account_path(a->c->number, true, path);
	return r < 0 ? r : session_write_file(a->f.dir, path, &result);
}

static void account_work(struct job *j)
{
	struct account *a = (struct account *)j;
	struct stream *stream = a->c->session->stream;
	const struct stream_call who = {
		.number = a->c->number,
		.agent_call_id = a->c->request.agent_call_id,
		.step = a->c->request.step,
	};
	struct changes list;
	int r;

	r = list_changes(a, &list);
	if (r == 0)
		r = seen_write(a->f.dir, a->c->number, &list, a->c->started_real_ns);
	if (r == 0)
		account_emit_changes(stream, &who, a->c->session->at, &list);
	a->f.error = write_account(a, &list, r);
	a->count = list.count;
	if (a->f.error == 0)
		a->f.error = r;
	changes_done(&list);
}

static void remember(struct session *s, const struct call *c)
{
	struct session_past *p = &s->past[s->past_count++ % SESSION_PAST];
	AUTO_TEXT what = { 0 };

	*p = (struct session_past){
		.number = c->number,
		.outcome = c->outcome,
		.status = c->status,
		.started_real_ns = c->started_real_ns,
		.duration_ns = c->ended_ns - c->started_ns,
	};
	for (const char *const *w = c->argv; *w && what.len < sizeof(p->what); w++) {
		text_add(&what, w == c->argv ? "" : " ");
		text_add(&what, *w);
	}
	(void)snprintf(p->what, sizeof(p->what), "%s", what.at ? what.at : "");
}

/* --- squash --------------------------------------------------------------- */

static void squash_work(struct job *j)
{
	struct host_files *f = (struct host_files *)j;
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of = {
		.warden = f->warden,
		.session = f->id,
		.layers = numbers,
		.count = 2,
	};
	struct sb_change *c = calloc(1, sizeof(*c));
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	AUTO_FD sock = -1;
	int r = c ? 0 : -ENOMEM;

	stack_numbers(&f->stack, numbers);
	if (r == 0)
		r = changes_ask(&of, SB_VERB_SQUASH, &sock);
	if (r == 0) {
		r = io_recv(sock, c, sizeof(*c), fds, &count);
		r = r == 1 ? c->error : r == 0 ? -EPIPE : r;
	}
	changes_wait_end(&sock);
	f->error = r;
	free(c);
}

static void squash_then(struct host_files *f)
{
	struct session *s = f->session;
	uint32_t gone;

	/* what was done stays valid, and is tried again after the next call */
	if (f->error < 0 || s->stack.count < 2)
		return;
	gone = s->stack.at[1].number;
	if (stack_join_lowest(&s->stack) < 0)
		return;
	(void)session_save(s);
	host_drop_layers(f->host, s, &gone, 1);
}

static void squash_when_deep(struct session *s)
{
	struct host_files *f;

	if (s->stack.count <= STACK_SQUASH || s->layer_users > 0 || s->busy > 0)
		return;
	f = calloc(1, sizeof(*f));
	if (f && host_files_start(s->host, s, f, true, squash_work, squash_then) < 0)
		free(f);
}

/* From here on all of the call is there to be asked for. */
static void tell_report(const struct account *a)
{
	const struct call_request *q = &a->c->request;
	struct stream *stream = a->c->session->stream;
	const struct stream_call who = {
		.number = a->c->number,
		.agent_call_id = q->agent_call_id,
		.step = q->step,
	};
	struct text *t = stream_begin(stream, "call.report", &who, 0);

	text_printf(t, ",\"changes\":%zu", a->count);
	if (a->f.error < 0) {
		text_add(t, ",\"error\":");
		text_add_json(t, strerror(-a->f.error), strlen(strerror(-a->f.error)));
	}
	stream_end(stream);
	stream_flush(stream);
}

static void account_then(struct host_files *f)
{
	struct account *a = (struct account *)f;
	struct session *s = f->session;
	struct call *c = a->c;
	bool is_good = c->outcome == CALL_EXITED;

	remember(s, c);
	session_drop_call(s, c);
	(void)session_save(s);
	tell_report(a);
	if (f->host->server)
		server_call_over(f->host->server, s, c->number);
	call_free(c);
	if (is_good && s->policy->commit == POLICY_COMMIT_AUTO && s->layer_users == 0)
		server_commit_auto(f->host->server, s);
	squash_when_deep(s);
}

void account_call(struct call *c, void *context)
{
	struct session *s = c->session;
	struct account *a = calloc(1, sizeof(*a));

	(void)context;
	if (a) {
		a->c = c;
		if (host_files_start(s->host, s, &a->f, false, account_work, account_then) == 0)
			return;
	}
	free(a);
	/* no memory for its account: it ends without one, and its waiters hear of it */
	session_drop_call(s, c);
	if (s->host->server)
		server_call_over(s->host->server, s, c->number);
}

void account_lost(struct session *s, uint32_t number)
{
	const struct stream_call who = { .number = number };
	AUTO_TEXT t = { 0 };
	struct text *line;
	char path[48];

	line = stream_begin(s->stream, "call.done", &who, 0);
	text_add(line, ",\"outcome\":\"lost\",\"reason\":\"the supervisor ended while it ran\"");
	stream_end(s->stream);
	stream_flush(s->stream);
	text_printf(&t,
		    "{\"id\":\"%s.%u\",\"session\":\"%s\",\"call\":%u,\"state\":\"done\","
		    "\"outcome\":\"lost\",\"exit_code\":null,\"signal\":null,"
		    "\"reason\":\"the supervisor ended while it ran\",\"changes\":null,"
		    "\"denials\":[]}",
		    s->id, number, s->id, number);
	if (mkdirat(s->dir, "report", 0700) < 0 && errno != EEXIST)
		return;
	account_path(number, true, path);
	(void)session_write_file(s->dir, path, &t);
	account_path(number, false, path);
	(void)session_write_file(s->dir, path, &t);
}
