// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/control.c - operator.sock: where people reach in.
 *
 * What it guarantees
 *	A verb is served before any flood of events: its source has the highest
 *	priority of the loop, and the flood is another thread's. A client that
 *	sends nonsense, half a line, or never reads costs itself, and nobody else.
 *
 * Who may connect: the socket's mode decides, and the peer's credentials are
 * looked at as well: no id of a session's range is ever an operator.
 */
#include "supervisor/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/call.h"
#include "supervisor/rpc.h"
#include "supervisor/verbs.h"

/* Operators at once: people and a few dashboards. */
#define CLIENTS_MAX 64
/* Answers waiting for a client that does not read. */
#define QUEUE_MAX (4u * 1024 * 1024)
/* Bytes of one client served in one turn: with them, the lines. */
#define TURN_BYTES 65536

struct client {
	struct control *control; /* NULL: free */
	int fd;
	char name[64]; /* "uid 0" */
	struct text in, out;
	sd_event_source *source;
	uint64_t last_ns; /* when it last said something */
};

struct control {
	struct session *session;
	sd_event *loop;
	int listener;
	sd_event_source *source;
	struct client clients[CLIENTS_MAX];
};

/* What a receipt needs when it comes: the client may be gone by then. */
struct pending {
	struct client *client;
	uint64_t connection; /* fd and birth: a reused place is another client */
	cJSON *id;
};

static void drop_client(struct client *c)
{
	c->source = sd_event_source_disable_unref(c->source);
	fd_done(&c->fd);
	text_done(&c->in);
	text_done(&c->out);
	c->control = NULL;
}

static void flush(struct client *c)
{
	size_t done = 0;

	while (done < c->out.len) {
		ssize_t n = send(c->fd, c->out.at + done, c->out.len - done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		done += (size_t)n;
	}
	memmove(c->out.at, c->out.at + done, c->out.len - done);
	c->out.len -= done;
	if (c->source)
		(void)sd_event_source_set_io_events(c->source,
						    EPOLLIN | (c->out.len ? EPOLLOUT : 0u));
}

static void answer_error(struct client *c, const cJSON *id, int code, const char *message)
{
	rpc_add_error(&c->out, id, code, message);
	flush(c);
}

static void add_call(struct text *t, const struct call *call)
{
	uint64_t now = call->ended_ns ? call->ended_ns : io_now_ns();

	text_printf(t, "{\"id\":\"%s.%u\",\"session\":\"%s\",\"call\":%u,\"state\":\"%s\"",
		    call->session->id, call->number, call->session->id, call->number,
		    call_state_names[call->state]);
	text_add(t, ",\"argv\":[");
	for (const char *const *a = call->argv; *a; a++) {
		text_add(t, a == call->argv ? "" : ",");
		text_add_json(t, *a, strlen(*a));
	}
	text_add(t, "],\"workspace\":");
	text_add_json(t, call->session->workspace, strlen(call->session->workspace));
	text_printf(t, ",\"running_ns\":%llu,\"paused_ns\":%llu,\"host_pid\":%u}",
		    (unsigned long long)(now - call->started_ns),
		    (unsigned long long)(call->paused_ns +
					 (call->paused_since_ns ? now - call->paused_since_ns : 0)),
		    call->init_pid);
}

static void serve_list(struct client *c, const cJSON *id)
{
	struct session *s = c->control->session;
	AUTO_TEXT t = { 0 };

	text_add(&t, "{\"schema\":1,\"calls\":[");
	for (uint32_t i = 0; i < s->call_count; i++) {
		if (i > 0)
			text_add(&t, ",");
		add_call(&t, s->calls[i]);
	}
	text_add(&t, "]}");
	rpc_add_result(&c->out, id, t.at);
	flush(c);
}

static void on_receipt(void *context, struct call *call, const struct call_receipt *receipt)
{
	struct pending *p = context;
	struct client *c = p->client;
	AUTO_TEXT t = { 0 };

	if (c && c->control && (uint64_t)(uintptr_t)c->source == p->connection) {
		text_printf(&t, "{\"id\":\"%s.%u\",\"state\":\"%s\",\"receipt\":{",
			    call->session->id, call->number, call_state_names[call->state]);
		if (call->state == CALL_PAUSED)
			text_printf(&t, "\"frozen\":1,\"ns\":%llu}}",
				    (unsigned long long)receipt->ns);
		else
			text_printf(&t, "\"processes\":%u,\"ns\":%llu,\"populated\":0}}",
				    receipt->processes, (unsigned long long)receipt->ns);
		if (!receipt->done)
			rpc_add_error(&c->out, p->id, RPC_INCOMPLETE, receipt->detail);
		else if (call->state == CALL_DONE && receipt->ns == 0)
			rpc_add_error(&c->out, p->id, RPC_WRONG_STATE,
				      "the call ended before that");
		else
			rpc_add_result(&c->out, p->id, t.at);
		flush(c);
	}
	cJSON_Delete(p->id);
	free(p);
}

static void serve_call(struct client *c, enum verb v, struct call *call, const cJSON *id,
		       const cJSON *reason)
{
	const char *why = cJSON_IsString(reason) ? reason->valuestring : "asked by an operator";
	struct pending *p;
	char text[128];
	int r;

	if (v == VERB_RESUME) {
		r = call_resume(call, CALL_PAUSE_OPERATOR, c->name);
		(void)snprintf(text, sizeof(text), "{\"id\":\"%s.%u\",\"state\":\"%s\"}",
			       call->session->id, call->number, call_state_names[call->state]);
		if (r < 0)
			answer_error(c, id, RPC_INTERNAL, strerror(-r));
		else
			rpc_add_result(&c->out, id, text);
		flush(c);
		return;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		answer_error(c, id, RPC_INTERNAL, "out of memory");
		return;
	}
	p->client = c;
	p->connection = (uint64_t)(uintptr_t)c->source;
	p->id = id ? cJSON_Duplicate(id, true) : NULL;
	r = v == VERB_PAUSE ? call_pause(call, CALL_PAUSE_OPERATOR, c->name, on_receipt, p)
			    : call_kill(call, c->name, why, on_receipt, p);
	if (r == 0)
		return;
	cJSON_Delete(p->id);
	free(p);
	answer_error(c, id,
		     r == -EBUSY    ? RPC_BUSY
		     : r == -EPROTO ? RPC_WRONG_STATE
				    : RPC_INTERNAL,
		     r == -EBUSY ? "too many wait for this call already" : strerror(-r));
}

static struct call *find_call(struct session *s, const cJSON *id)
{
	char name[SB_ID_MAX + 16];

	if (!cJSON_IsString(id))
		return NULL;
	/* the session's own id means its newest call */
	if (strcmp(id->valuestring, s->id) == 0)
		return s->call_count > 0 ? s->calls[s->call_count - 1] : NULL;
	for (uint32_t i = 0; i < s->call_count; i++) {
		(void)snprintf(name, sizeof(name), "%s.%u", s->id, s->calls[i]->number);
		if (strcmp(id->valuestring, name) == 0)
			return s->calls[i];
	}
	return NULL;
}

static void serve_request(struct client *c, const struct rpc_request *q)
{
	enum verb v = verb_find(q->method);
	const cJSON *reason = cJSON_GetObjectItemCaseSensitive(q->params, "reason");
	struct call *call;
	char text[128];

	if (v == VERB_COUNT) {
		answer_error(c, q->id, RPC_UNKNOWN_METHOD, "there is no such method");
		return;
	}
	for (const cJSON *p = q->params ? q->params->child : NULL; p; p = p->next)
		if (strcmp(p->string, "id") != 0 && strcmp(p->string, "reason") != 0) {
			answer_error(c, q->id, RPC_INVALID_PARAMS,
				     "params are \"id\" and \"reason\"");
			return;
		}
	if (reason && !cJSON_IsString(reason)) {
		answer_error(c, q->id, RPC_INVALID_PARAMS, "\"reason\" must be a string");
		return;
	}
	if (v == VERB_LIST) {
		serve_list(c, q->id);
		return;
	}
	call = find_call(c->control->session, cJSON_GetObjectItemCaseSensitive(q->params, "id"));
	if (!call) {
		answer_error(c, q->id, RPC_NOT_FOUND, "there is no call with this \"id\" here");
		return;
	}
	if (verb_check(v, VERB_OPERATOR, call->state) < 0) {
		(void)snprintf(text, sizeof(text), "the call is %s", call_state_names[call->state]);
		answer_error(c, q->id, RPC_WRONG_STATE, text);
		return;
	}
	serve_call(c, v, call, q->id, reason);
}

static void serve_line(struct client *c, const char *line, size_t size)
{
	AUTO_TEXT why = { 0 };
	struct rpc_request q;
	int code;

	code = rpc_parse(line, size, &q, &why);
	if (code != 0)
		answer_error(c, q.id, code, why.at ? why.at : "invalid");
	else
		serve_request(c, &q);
	rpc_request_done(&q);
}

/* Whole lines are served. False: drop the client. */
static bool serve_lines(struct client *c)
{
	size_t at = 0;

	for (;;) {
		char *nl = c->in.len > at ? memchr(c->in.at + at, '\n', c->in.len - at) : NULL;

		if (!nl)
			break;
		serve_line(c, c->in.at + at, (size_t)(nl - (c->in.at + at)));
		at = (size_t)(nl - c->in.at) + 1;
	}
	if (at > 0)
		memmove(c->in.at, c->in.at + at, c->in.len - at);
	c->in.len -= at;
	if (c->in.len > RPC_LINE_MAX && !memchr(c->in.at, '\n', c->in.len)) {
		answer_error(c, NULL, RPC_PARSE_ERROR, "the line is longer than 1 MiB");
		return false;
	}
	return c->out.len <= QUEUE_MAX;
}

static int on_client(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct client *c = context;
	char buf[TURN_BYTES];
	ssize_t n;

	(void)s;
	if (events & EPOLLOUT)
		flush(c);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		drop_client(c);
		return 0;
	}
	c->last_ns = io_now_ns();
	text_add_n(&c->in, buf, (size_t)n);
	if (c->in.failed || !serve_lines(c))
		drop_client(c);
	return 0;
}

/* False when nobody waits any more. */
static bool accept_one(struct control *control)
{
	AUTO_FD sock = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct client *oldest = NULL;
	struct client *c = NULL;
	int r;

	if (sock < 0)
		return false;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid >= SB_RANGE_FIRST + SB_RANGE_SIZE &&
	     peer.uid < SB_RANGE_FIRST + SB_RANGE_COUNT * SB_RANGE_SIZE))
		return true;
	for (size_t i = 0; i < CLIENTS_MAX && !c; i++)
		if (!control->clients[i].control)
			c = &control->clients[i];
	/* full: whoever has been silent the longest makes room */
	for (size_t i = 0; !c && i < CLIENTS_MAX; i++)
		if (!oldest || control->clients[i].last_ns < oldest->last_ns)
			oldest = &control->clients[i];
	if (!c) {
		drop_client(oldest);
		c = oldest;
	}
	*c = (struct client){ .control = control, .fd = fd_take(&sock), .last_ns = io_now_ns() };
	(void)snprintf(c->name, sizeof(c->name), "operator (uid %u)", peer.uid);
	r = sd_event_add_io(control->loop, &c->source, c->fd, EPOLLIN, on_client, c);
	if (r >= 0)
		r = sd_event_source_set_priority(c->source, SD_EVENT_PRIORITY_IMPORTANT - 10);
	if (r < 0)
		drop_client(c);
	return true;
}

static int on_connect(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	for (int i = 0; i < CLIENTS_MAX && accept_one(context); i++)
		;
	return 0;
}

int control_start(struct control **ret, sd_event *loop, int listener, struct session *s)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		fd_done(&listener);
		return -ENOMEM;
	}
	c->session = s;
	c->loop = loop;
	c->listener = listener;
	r = sd_event_add_io(loop, &c->source, listener, EPOLLIN, on_connect, c);
	if (r >= 0)
		r = sd_event_source_set_priority(c->source, SD_EVENT_PRIORITY_IMPORTANT - 10);
	if (r < 0) {
		control_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].control) {
			flush(&c->clients[i]);
			drop_client(&c->clients[i]);
		}
	c->source = sd_event_source_disable_unref(c->source);
	fd_done(&c->listener);
	free(c);
}
