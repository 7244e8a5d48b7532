// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/methods_control.c - what a person reaches in with.
 *
 * A verb on a session is a verb on all its calls: the writes to their control
 * groups are all made first, and then each proves itself; the receipt is the sum.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/methods.h"

/* A sentence, not a document. */
#define STEER_MAX 4000
#define REASON_DEFAULT "asked by an operator"

struct control {
	const char *id, *reason, *digest, *scope, *text;
};

static const struct param target_table[] = {
	{ "id", PARAM_TEXT, true, offsetof(struct control, id) },
	{ "reason", PARAM_TEXT, false, offsetof(struct control, reason) },
	{ .kind = PARAM_END },
};

/* --- receipts of many ------------------------------------------------------- */

/* One question about some calls; answered when the last has proven itself. */
struct sweep {
	struct reply *reply;
	enum verb verb;
	char id[SB_ID_MAX + 16];
	unsigned int waiting;
	uint64_t ns; /* the slowest */
	uint32_t processes;
	unsigned int failed;
	bool is_stop; /* no control group was frozen: processes were stopped */
	char detail[256];
	struct text calls;
	const char *word; /* state of the last */
};

static void sweep_end(struct sweep *w)
{
	AUTO_TEXT t = { 0 };

	if (w->failed > 0) {
		reply_error(w->reply, w->verb == VERB_PAUSE ? RPC_INCOMPLETE : RPC_WRONG_STATE,
			    w->detail);
	} else {
		text_printf(&t, "{\"id\":\"%s\",\"state\":\"%s\",\"receipt\":{", w->id, w->word);
		if (w->verb == VERB_PAUSE)
			text_printf(&t, "\"frozen\":1,\"ns\":%llu%s}", (unsigned long long)w->ns,
				    w->is_stop ? CALL_BY_STOP : "");
		else
			text_printf(&t, "\"processes\":%u,\"ns\":%llu,\"populated\":0}",
				    w->processes, (unsigned long long)w->ns);
		text_add(&t, ",\"calls\":[");
		if (w->calls.at)
			text_add_n(&t, w->calls.at, w->calls.len);
		text_add(&t, "]}");
		reply_result(w->reply, t.at);
	}
	text_done(&w->calls);
	free(w);
}

static void on_receipt(void *context, struct call *c, const struct call_receipt *receipt)
{
	struct sweep *w = context;

	w->word = call_state_names[c->state];
	if (!receipt->done || (c->state == CALL_DONE && w->verb == VERB_PAUSE)) {
		w->failed++;
		(void)snprintf(w->detail, sizeof(w->detail), "%s.%u: %s", c->session->id, c->number,
			       receipt->detail ? receipt->detail : "the call ended before that");
	}
	w->ns = receipt->ns > w->ns ? receipt->ns : w->ns;
	w->is_stop |= !c->session->has_groups;
	w->processes += receipt->processes;
	text_printf(&w->calls, "%s{\"id\":\"%s.%u\",\"state\":\"%s\",\"ns\":%llu,\"processes\":%u}",
		    w->calls.len ? "," : "", c->session->id, c->number, w->word,
		    (unsigned long long)receipt->ns, receipt->processes);
	if (--w->waiting == 0)
		sweep_end(w);
}

static struct sweep *sweep_new(struct asked *q, const char *id)
{
	struct sweep *w = calloc(1, sizeof(*w));

	if (!w) {
		server_error(q, RPC_INTERNAL, "out of memory");
		return NULL;
	}
	w->reply = server_defer(q);
	if (!w->reply) {
		free(w);
		return NULL;
	}
	w->verb = q->verb;
	w->word = q->verb == VERB_PAUSE ? "paused" : "done";
	w->waiting = 1; /* ours, until all were asked */
	(void)snprintf(w->id, sizeof(w->id), "%s", id);
	return w;
}

static void sweep_one(struct sweep *w, struct call *c, const char *by, const char *reason)
{
	bool is_legal = verb_check(w->verb == VERB_PAUSE ? VERB_PAUSE : VERB_KILL, VERB_OPERATOR,
				   c->state) == 0;
	int r;

	if (!is_legal)
		return; /* of a session: it has ended, or waits, and starts paused */
	w->waiting++;
	r = w->verb == VERB_PAUSE ? call_pause(c, CALL_PAUSE_OPERATOR, by, on_receipt, w)
				  : call_kill(c, by, reason, on_receipt, w);
	if (r == 0)
		return;
	w->waiting--;
	w->failed++;
	(void)snprintf(w->detail, sizeof(w->detail), "%s.%u: %s", c->session->id, c->number,
		       r == -EBUSY ? "too many wait for this call already" : strerror(-r));
}

static void sweep_session(struct sweep *w, struct session *s, const char *by, const char *reason)
{
	struct call *all[SESSION_CALLS];
	uint32_t count = s->call_count;

	/* a kill may shorten the list */
	memcpy(all, s->calls, count * sizeof(*all));
	for (uint32_t i = 0; i < count; i++)
		sweep_one(w, all[i], by, reason);
}

static void sweep_asked(struct sweep *w)
{
	if (--w->waiting == 0)
		sweep_end(w);
}

/* --- pause, kill --------------------------------------------------------------- */

static bool find_target(struct asked *q, struct control *p, struct session **s, struct call **c,
			uint32_t *number)
{
	p->reason = REASON_DEFAULT;
	if (!methods_params(q, target_table, p) || !server_find(q, "id", s, c, number))
		return false;
	if (*number > 0 && (!*c || verb_check(q->verb, q->role, (*c)->state) < 0)) {
		server_error(q, RPC_WRONG_STATE, "the call is %s",
			     *c ? call_state_names[(*c)->state] : "done");
		return false;
	}
	return true;
}

static void pause_or_kill(struct asked *q)
{
	struct control p = { 0 };
	struct session *s;
	struct sweep *w;
	struct call *c;
	uint32_t number;
	char id[SB_ID_MAX + 16];

	if (!find_target(q, &p, &s, &c, &number))
		return;
	(void)snprintf(id, sizeof(id), number ? "%s.%u" : "%s", s->id, number);
	w = sweep_new(q, id);
	if (!w)
		return;
	if (c) {
		sweep_one(w, c, q->name, p.reason);
	} else {
		s->is_paused |= q->verb == VERB_PAUSE;
		sweep_session(w, s, q->name, p.reason);
	}
	sweep_asked(w);
}

void method_pause(struct asked *q)
{
	pause_or_kill(q);
}

void method_kill(struct asked *q)
{
	pause_or_kill(q);
}

void method_kill_all(struct asked *q)
{
	static const struct param table[] = {
		{ "reason", PARAM_TEXT, false, offsetof(struct control, reason) },
		{ .kind = PARAM_END },
	};
	struct control p = { .reason = REASON_DEFAULT };
	struct sweep *w;

	if (!methods_params(q, table, &p))
		return;
	w = sweep_new(q, "all");
	if (!w)
		return;
	for (size_t i = 0; i < q->host->count; i++)
		sweep_session(w, q->host->sessions[i], q->name, p.reason);
	sweep_asked(w);
}

/* What a person's word lifts. */
#define BY_PERSON (CALL_PAUSE_OPERATOR | CALL_PAUSE_BLIND)

void method_resume(struct asked *q)
{
	struct control p = { 0 };
	struct session *s;
	struct call *c;
	uint32_t number;
	char text[128];
	int r = 0;

	if (!find_target(q, &p, &s, &c, &number))
		return;
	if (!c && !s->is_paused && s->call_count > 0 &&
	    verb_check(VERB_RESUME, VERB_OPERATOR, s->calls[s->call_count - 1]->state) < 0) {
		server_error(q, RPC_WRONG_STATE, "the call is %s",
			     call_state_names[s->calls[s->call_count - 1]->state]);
		return;
	}
	for (uint32_t i = 0; i < s->call_count; i++)
		if ((!c || s->calls[i] == c) &&
		    verb_check(VERB_RESUME, VERB_OPERATOR, s->calls[i]->state) == 0) {
			int one = call_resume(s->calls[i], (enum call_pause_reason)BY_PERSON,
					      q->name);

			r = one < 0 ? one : r;
		}
	if (!c)
		s->is_paused = false;
	(void)snprintf(text, sizeof(text),
		       number ? "{\"id\":\"%s.%u\",\"state\":\"" : "{\"id\":\"%s\",\"state\":\"",
		       s->id, number);
	(void)strncat(text, c ? call_state_names[c->state] : "running",
		      sizeof(text) - strlen(text) - 1);
	(void)strncat(text, "\"}", sizeof(text) - strlen(text) - 1);
	if (r < 0)
		methods_fail(q, r, NULL);
	else
		server_result(q, text);
	host_launch_waiting(s);
}

/* --- approvals -------------------------------------------------------------------- */

void method_approvals(struct asked *q)
{
	static const struct param table[] = { { .kind = PARAM_END } };
	uint64_t now = io_now_ns();
	AUTO_TEXT t = { 0 };
	bool first = true;

	if (!methods_params(q, table, NULL))
		return;
	text_add(&t, "{\"schema\":1,\"approvals\":[");
	for (size_t i = 0; i < q->host->count; i++)
		for (uint32_t j = 0; j < q->host->sessions[i]->call_count; j++) {
			const struct call *c = q->host->sessions[i]->calls[j];

			if (c->state != CALL_HELD || c->hold.is_approved)
				continue;
			text_printf(&t,
				    "%s{\"id\":\"%s.%u\",\"digest\":\"%s\",\"waited_ns\":%llu,"
				    "\"left_ns\":%llu,\"shown\":",
				    first ? "" : ",", c->session->id, c->number, c->hold.digest,
				    (unsigned long long)(now - c->hold.since_ns),
				    (unsigned long long)(c->hold.until_ns > now
								 ? c->hold.until_ns - now
								 : 0));
			text_add_n(&t, c->hold.shown.at, c->hold.shown.len);
			text_add(&t, "}");
			first = false;
		}
	text_add(&t, "]}");
	server_result(q, t.at);
}

static struct call *find_held(struct asked *q)
{
	struct session *s;
	struct call *c;
	uint32_t number;

	if (!server_find(q, "id", &s, &c, &number))
		return NULL;
	if (!c || c->state != CALL_HELD || c->hold.is_approved) {
		server_error(q, RPC_WRONG_STATE, "it does not wait for an approval%s%s",
			     c ? ": it is " : "", c ? call_state_names[c->state] : "");
		return NULL;
	}
	return c;
}

static void answer_decided(struct asked *q, const char *id, int r)
{
	AUTO_TEXT t = { 0 };

	if (r == -ESTALE) {
		server_error(q, RPC_CONFLICT,
			     "the digest is of something else: look again with approval.list");
	} else if (r < 0) {
		methods_fail(q, r, r == -ENOSPC ? "too many approvals for this session" : NULL);
	} else {
		text_add(&t, "{\"id\":");
		text_add_json(&t, id, strlen(id));
		text_printf(&t, ",\"verdict\":\"%s\"}",
			    q->verb == VERB_APPROVE ? "approved" : "denied");
		server_result(q, t.at);
	}
}

void method_approve(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct control, id) },
		{ "digest", PARAM_TEXT, true, offsetof(struct control, digest) },
		{ "scope", PARAM_TEXT, false, offsetof(struct control, scope) },
		{ .kind = PARAM_END },
	};
	struct control p = { .scope = "once" };
	struct call *c;

	if (!methods_params(q, table, &p))
		return;
	if (strcmp(p.scope, "once") != 0 && strcmp(p.scope, "session") != 0) {
		server_error(q, RPC_INVALID_PARAMS, "\"scope\" is \"once\" or \"session\"");
		return;
	}
	c = find_held(q);
	if (c)
		answer_decided(q, p.id,
			       host_approve(q->host, c, p.digest, strcmp(p.scope, "session") == 0,
					    q->name));
}

void method_deny(struct asked *q)
{
	struct control p = { .reason = "denied by an operator" };
	struct call *c;

	if (!methods_params(q, target_table, &p))
		return;
	c = find_held(q);
	if (c)
		answer_decided(q, p.id, host_deny(q->host, c, q->name, p.reason));
}

/* --- steer -------------------------------------------------------------------------- */

void method_steer(struct asked *q)
{
	static const struct param table[] = {
		{ "id", PARAM_TEXT, true, offsetof(struct control, id) },
		{ "text", PARAM_TEXT, true, offsetof(struct control, text) },
		{ .kind = PARAM_END },
	};
	struct control p = { 0 };
	struct session_steer *n;
	struct session *s;
	struct call *c;
	struct text *t;
	uint32_t number;

	if (!methods_params(q, table, &p) || !server_find(q, "id", &s, &c, &number))
		return;
	if (p.text[0] == '\0' || strlen(p.text) > STEER_MAX) {
		server_error(q, RPC_INVALID_PARAMS, "\"text\" has from 1 to %d bytes", STEER_MAX);
		return;
	}
	if (s->steer_count == SESSION_STEERS) {
		server_error(q, RPC_BUSY, "%d sentences wait for this agent already",
			     SESSION_STEERS);
		return;
	}
	n = &s->steers[s->steer_count];
	*n = (struct session_steer){ strdup(p.text), strdup(q->name), stream_now_real_ns() };
	if (!n->text || !n->by) {
		free(n->text);
		free(n->by);
		server_error(q, RPC_INTERNAL, "out of memory");
		return;
	}
	s->steer_count++;
	t = session_begin(s, "steer");
	text_add(t, ",\"by\":");
	text_add_json(t, q->name, strlen(q->name));
	text_add(t, ",\"text\":");
	text_add_json(t, p.text, strlen(p.text));
	stream_end(s->stream);
	stream_flush(s->stream);
	server_result(q,
		      "{\"delivered\":\"in the stream, and in the next result of the session\"}");
}
