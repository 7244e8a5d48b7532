// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/held.c - a call that waits for a person.
 *
 * What it guarantees
 *	The decision is about what was shown: its digest comes back with it, and
 *	what is shown cannot change after the call was taken. No answer in time is
 *	a no. Nothing runs before the yes.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/base/io.h"
#include "supervisor/call_inner.h"
#include "supervisor/session.h"

static int digest(const void *data, size_t size, char out[65])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (EVP_Digest(data, size, raw, &len, EVP_sha256(), NULL) != 1 || len != 32)
		return -EIO;
	for (unsigned int i = 0; i < len; i++)
		(void)snprintf(out + 2 * (size_t)i, 3, "%02x", raw[i]);
	return 0;
}

static void add_words(struct text *t, const char *key, char *const *words)
{
	text_printf(t, ",\"%s\":[", key);
	for (char *const *w = words; w && *w; w++) {
		text_add(t, w == words ? "" : ",");
		text_add_json(t, *w, strlen(*w));
	}
	text_add(t, "]");
}

/* All that decides what will run. */
static int add_command(const struct call *c, struct text *t)
{
	const struct call_request *q = &c->request;
	char input[65] = "";
	int r = 0;

	text_add(t, "\"tool\":");
	text_add_json(t, q->tool, strlen(q->tool));
	add_words(t, "argv", q->argv);
	call_add_text(t, "cwd", q->cwd ? q->cwd : c->session->at);
	add_words(t, "env", q->env);
	if (q->input.len > 0)
		r = digest(q->input.at, q->input.len, input);
	text_printf(t, ",\"stdin\":{\"bytes\":%zu,\"sha256\":\"%s\",\"open\":%s}", q->input.len,
		    input, q->keeps_input ? "true" : "false");
	text_printf(t, ",\"tty\":%s,\"background\":%s", q->is_tty ? "true" : "false",
		    q->is_background ? "true" : "false");
	call_add_text(t, "workspace", c->session->workspace);
	return r;
}

static int on_timeout(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;
	char why[96];

	(void)s;
	(void)now;
	(void)snprintf(why, sizeof(why), "nobody answered within %.0f s",
		       (double)c->session->policy->approval_ns / 1e9);
	call_deny(c, "nobody", why);
	return 0;
}

int call_hold(struct call *c, const char *rule)
{
	uint64_t wait = c->session->policy->approval_ns;
	AUTO_TEXT command = { 0 };
	struct text *t, *h;
	int r;

	r = add_command(c, &command);
	if (r == 0 && command.failed)
		r = -ENOMEM;
	if (r == 0)
		r = digest(command.at, command.len, c->hold.command);
	if (r < 0)
		return r;
	text_printf(&c->hold.shown, "{\"id\":\"%s.%u\",", c->session->id, c->number);
	text_add_n(&c->hold.shown, command.at, command.len);
	if (c->request.agent_call_id)
		call_add_text(&c->hold.shown, "agent_call_id", c->request.agent_call_id);
	if (c->request.step)
		call_add_text(&c->hold.shown, "step", c->request.step);
	call_add_text(&c->hold.shown, "rule", rule);
	text_add(&c->hold.shown, "}");
	r = c->hold.shown.failed ? -ENOMEM
				 : digest(c->hold.shown.at, c->hold.shown.len, c->hold.digest);
	if (r == 0)
		r = sd_event_add_time_relative(c->session->loop, &c->hold.on_timeout,
					       CLOCK_MONOTONIC, wait / CALL_US, 0, on_timeout, c);
	if (r >= 0)
		r = call_set_state(c, CALL_HELD);
	if (r < 0)
		return r;
	c->hold.since_ns = io_now_ns();
	c->hold.until_ns = c->hold.since_ns + wait;
	t = call_begin(c, "call.held");
	call_add_text(t, "digest", c->hold.digest);
	text_add(t, ",\"shown\":");
	text_add_n(t, c->hold.shown.at, c->hold.shown.len);
	text_printf(t, ",\"waits_ns\":%llu", (unsigned long long)wait);
	h = call_begin_human(c, "held");
	if (h)
		text_add(h, ": waits for `glovebox approvals`\n");
	call_end(c);
	return 0;
}

static void answered(struct call *c, const char *verdict, const char *by, const char *reason)
{
	struct text *t = call_begin(c, "answer");

	c->hold.on_timeout = sd_event_source_disable_unref(c->hold.on_timeout);
	call_add_text(t, "verdict", verdict);
	call_add_text(t, "by", by);
	if (reason)
		call_add_text(t, "reason", reason);
	if (c->hold.digest[0])
		call_add_text(t, "digest", c->hold.digest);
	call_end(c);
}

int call_release(struct call *c, const char *by, bool for_session)
{
	if (c->state != CALL_HELD || c->hold.is_approved)
		return -EPROTO;
	c->hold.is_approved = true;
	answered(c, for_session ? "approved for the session" : "approved", by, NULL);
	return 0;
}

bool call_may_launch(const struct call *c)
{
	return c->state == CALL_REQUESTED || (c->state == CALL_HELD && c->hold.is_approved);
}

void call_deny(struct call *c, const char *by, const char *reason)
{
	if (c->state != CALL_HELD && c->state != CALL_REQUESTED)
		return;
	answered(c, "denied", by, reason);
	(void)snprintf(c->by, sizeof(c->by), "%s", by);
	call_set_outcome(c, CALL_DENIED, reason);
	call_finish_unborn(c);
}
