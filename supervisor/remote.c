// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/remote.c - `glovebox run --host`: the same run, by a daemon.
 *
 * Standard input is sent a piece at a time, and the next when the last was taken: a
 * tool that does not read holds its writer up, as a pipe does.
 */
#include "supervisor/remote.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/rpc.h"

#define PIECE 24576 /* times 4/3: a line of 32 KiB */
/* A tool that does not read is asked again after this long. */
#define AGAIN_MS 50
#define ANSWER_MS 30000

struct remote {
	const struct remote_plan *plan;
	struct client c;
	char session[64], call[80];
	char piece[PIECE];
	ssize_t have; /* of the piece; 0 with is_eof: only the end is to be sent */
	bool is_eof, is_sent, is_closed; /* the piece is on its way; nothing more to send */
	int status;
	bool is_done;
};

static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupts++;
}

static int take_text(const char *result, const char *key, char *out, size_t size)
{
	cJSON *json = cJSON_Parse(result);
	int n = snprintf(out, size, "%s", client_text_of(json, key));

	cJSON_Delete(json);
	return n > 0 && (size_t)n < size ? 0 : -EIO;
}

static int add_pairs(struct text *t, const char *key, const struct option_list *list)
{
	text_printf(t, ",\"%s\":{", key);
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->at[i];
		const char *equals = strchr(item, '=');
		const char *value = equals ? equals + 1 : getenv(item);

		if (!value && strcmp(key, "limits") == 0)
			return -EINVAL;
		text_add(t, i ? "," : "");
		text_add_json(t, item, equals ? (size_t)(equals - item) : strlen(item));
		text_add(t, ":");
		text_add_json(t, value ? value : "", strlen(value ? value : ""));
	}
	text_add(t, "}");
	return 0;
}

static int open_session(struct remote *r, struct text *why)
{
	const struct remote_plan *p = r->plan;
	AUTO_TEXT params = { 0 };
	AUTO_TEXT subscribe = { 0 };
	char *result;
	int e;

	client_add_member(&params, "workspace", p->workspace);
	if (p->at)
		client_add_member(&params, "at", p->at);
	text_printf(&params, ",\"root\":%s", p->as_root ? "true" : "false");
	if (add_pairs(&params, "limits", p->limits) < 0) {
		text_add(why, "--limit takes NAME=VALUE");
		return -EINVAL;
	}
	e = client_exchange(&r->c, "session.create", params.at, ANSWER_MS, &result, why);
	if (e == 0)
		e = take_text(result, "session", r->session, sizeof(r->session));
	if (e < 0)
		return e;
	client_add_member(&subscribe, "session", r->session);
	return client_exchange(&r->c, "events.subscribe", subscribe.at, ANSWER_MS, &result, why);
}

static int start_call(struct remote *r, struct text *why)
{
	const struct remote_plan *p = r->plan;
	AUTO_TEXT params = { 0 };
	char *result;
	int e;

	client_add_member(&params, "session", r->session);
	text_add(&params, ",\"argv\":[");
	for (const char *const *a = p->argv; *a; a++) {
		text_add(&params, a == p->argv ? "" : ",");
		text_add_json(&params, *a, strlen(*a));
	}
	text_add(&params, "],\"keep_stdin\":true");
	if (p->agent_call_id)
		client_add_member(&params, "agent_call_id", p->agent_call_id);
	if (p->trace)
		client_add_member(&params, "trace", p->trace);
	(void)add_pairs(&params, "env", p->env);
	e = client_exchange(&r->c, "call.start", params.at, ANSWER_MS, &result, why);
	if (e == 0)
		e = take_text(result, "id", r->call, sizeof(r->call));
	return e == 0 && !strchr(r->call, '.') ? -EIO : e;
}

static int send_piece(struct remote *r)
{
	unsigned char base64[PIECE / 3 * 4 + 8];
	AUTO_TEXT params = { 0 };

	client_add_member(&params, "id", r->call);
	if (r->have > 0) {
		(void)EVP_EncodeBlock(base64, (const unsigned char *)r->piece, (int)r->have);
		text_printf(&params, ",\"base64\":\"%s\"", (const char *)base64);
	}
	text_printf(&params, ",\"close\":%s", r->is_eof ? "true" : "false");
	r->is_sent = true;
	return client_send(&r->c, "call.input", params.at);
}

/* The answer to a piece. */
static void take_answer(struct remote *r, const char *line)
{
	cJSON *json = cJSON_Parse(line);
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(json, "error"), "code");

	r->is_sent = false;
	if (cJSON_IsNumber(code) && code->valueint == RPC_BUSY) {
		(void)poll(NULL, 0, AGAIN_MS);
	} else {
		r->have = 0;
		r->is_closed = r->is_eof || cJSON_IsNumber(code);
	}
	cJSON_Delete(json);
}

static void take_event(struct remote *r, const char *event)
{
	char mine[32];

	if (r->plan && r->plan->events_fd >= 0) {
		AUTO_TEXT line = { 0 };

		text_printf(&line, "%s\n", event);
		(void)io_write_all(r->plan->events_fd, line.at, line.len);
	}
	(void)snprintf(mine, sizeof(mine), ",\"call\":%s,", strchr(r->call, '.') + 1);
	if (!strstr(event, mine))
		return;
	client_print_output(event);
	if (strstr(event, ",\"kind\":\"call.held\""))
		(void)command_fail(0, "held: waits for `glovebox approvals`");
	if (strstr(event, ",\"kind\":\"call.done\""))
		r->status = client_call_status(event);
	r->is_done |= strstr(event, ",\"kind\":\"call.report\"") != NULL;
}

static int read_input(struct remote *r)
{
	r->have = read(STDIN_FILENO, r->piece, sizeof(r->piece));
	if (r->have < 0 && (errno == EINTR || errno == EAGAIN)) {
		r->have = 0;
		return 0;
	}
	r->is_eof = r->have <= 0;
	r->have = r->have < 0 ? 0 : r->have;
	return send_piece(r);
}

static int tell_signal(struct remote *r)
{
	AUTO_TEXT params = { 0 };

	client_add_member(&params, "id", r->call);
	if (interrupts == 1)
		client_add_member(&params, "signal", "INT");
	return client_send(&r->c, interrupts == 1 ? "call.signal" : "call.cancel", params.at);
}

static int follow(struct remote *r)
{
	int told = 0, e = 0;
	char *line;

	while (e == 0 && !r->is_done) {
		bool wants = !r->is_sent && !r->is_closed;
		struct pollfd p[] = {
			{ .fd = client_has_line(&r->c) ? -1 : r->c.fd, .events = POLLIN },
			{ .fd = wants && r->have == 0 ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (interrupts > told) {
			told = interrupts;
			e = tell_signal(r);
		}
		if (e == 0 && wants && (r->have > 0 || r->is_eof))
			e = send_piece(r); /* it was refused before */
		if (e < 0)
			break;
		if (!client_has_line(&r->c) && poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			e = read_input(r);
		if (e == 0 && (client_has_line(&r->c) || p[0].revents)) {
			e = client_next(&r->c, ANSWER_MS, &line);
			if (e == 0) {
				char *event = client_event(line);

				if (event)
					take_event(r, event);
				else if (r->is_sent)
					take_answer(r, line);
			}
		}
	}
	return e;
}

/* A word with a space before it, safe for a terminal. */
static void add_word(struct text *t, const cJSON *item, const char *key)
{
	const char *word = client_text_of(item, key);

	text_add(t, word[0] ? " " : "");
	text_add_safe(t, word, strlen(word));
}

/* What the agent's loop gets to see as well: denials, steers, what changed. */
static void print_summary(struct remote *r, enum remote_tells tells)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	const cJSON *item;
	cJSON *json;
	char *result;
	int changes;

	client_add_member(&params, "id", r->call);
	if (client_exchange(&r->c, "call.wait", params.at, ANSWER_MS, &result, &why) < 0)
		return;
	json = cJSON_Parse(result);
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(json, "denials")) {
		AUTO_TEXT t = { 0 };

		add_word(&t, item, "syscall");
		add_word(&t, item, "subject");
		text_add(&t, ":");
		add_word(&t, item, "why");
		text_add(&t, "; smallest policy change:");
		add_word(&t, item, "suggest");
		(void)command_fail(0, "denied:%s", t.at);
	}
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(json, "steer")) {
		AUTO_TEXT t = { 0 };

		if (tells == REMOTE_AGENT) {
			text_printf(&t, "[operator note from %s] %s", client_text_of(item, "by"),
				    client_text_of(item, "text"));
			(void)fprintf(stderr, "%s\n", t.at ? t.at : "");
			continue;
		}
		add_word(&t, item, "text");
		text_add(&t, " (");
		add_word(&t, item, "by");
		(void)command_fail(0, "steer:%s )", t.at);
	}
	changes = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "changes"));
	if (changes > 0 && tells == REMOTE_PERSON)
		(void)command_fail(0,
				   "%s %s, %d change%s; look: glovebox diff %s   keep: glovebox "
				   "commit %s",
				   r->call, client_text_of(json, "outcome"), changes,
				   changes > 1 ? "s" : "", r->call, r->call);
	cJSON_Delete(json);
}

static void write_report(struct remote *r)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	AUTO_TEXT out = { 0 };
	char *result;

	client_add_member(&params, "id", r->call);
	if (client_exchange(&r->c, "call.report", params.at, ANSWER_MS, &result, &why) < 0) {
		(void)command_fail(0, "the report cannot be had: %s", why.at);
		return;
	}
	text_printf(&out, "%s\n", result);
	if (io_write_all(r->plan->report_fd, out.at, out.len) < 0)
		(void)command_fail(0, "the report could not be written");
}

/* Nothing was changed, or nobody wants it: nothing stays. */
static void close_session(struct remote *r)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	bool remove = r->plan->discard;
	char *result;

	client_add_member(&params, "id", r->session);
	if (!remove && client_exchange(&r->c, "changes.list", params.at, -1, &result, &why) == 0)
		remove = strstr(result, ",\"changes\":[]") != NULL;
	text_printf(&params, ",\"remove\":%s", remove ? "true" : "false");
	if (client_exchange(&r->c, "session.close", params.at, -1, &result, &why) < 0)
		(void)command_fail(0, "the session could not be closed: %s", why.at);
	else if (!remove && !r->plan->quiet)
		(void)command_fail(0,
				   "look: glovebox diff %s   keep: glovebox commit %s   drop: "
				   "glovebox session close %s --remove",
				   r->session, r->session, r->session);
}

int remote_follow(struct client *c, const char *call, bool with_input, enum remote_tells tells,
		  struct text *why)
{
	static struct remote r;
	int e;

	r = (struct remote){ .c = *c, .is_closed = !with_input, .status = RUN_FAILED };
	if (snprintf(r.call, sizeof(r.call), "%s", call) >= (int)sizeof(r.call))
		return RUN_FAILED;
	e = follow(&r);
	if (e < 0)
		text_printf(why, "the supervisor has hung up: %s", strerror(-e));
	else if (tells != REMOTE_NOTHING)
		print_summary(&r, tells);
	*c = r.c;
	return r.status;
}

int remote_run(const struct remote_plan *p)
{
	static struct remote r;
	struct sigaction action = { .sa_handler = on_interrupt };
	AUTO_TEXT why = { 0 };
	int e;

	r.plan = p;
	r.status = RUN_FAILED;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	e = client_connect(NULL, &r.c, &why);
	if (e == 0)
		e = open_session(&r, &why);
	if (e == 0)
		e = start_call(&r, &why);
	if (e == 0) {
		e = follow(&r);
		if (e < 0)
			text_printf(&why, "the daemon has hung up: %s", strerror(-e));
	}
	if (e == 0 && !p->quiet)
		print_summary(&r, REMOTE_PERSON);
	if (e == 0 && p->report_fd >= 0)
		write_report(&r);
	if (r.session[0] && r.c.fd >= 0 && r.is_done)
		close_session(&r);
	client_done(&r.c);
	return e < 0 ? command_fail(RUN_FAILED, "%s", why.at ? why.at : strerror(-e)) : r.status;
}
