// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/server.c - the two doors: agent.sock and operator.sock.
 *
 * What it guarantees
 *	A person's verb is served before any flood: operators' sources have the
 *	highest priority of the loop, events are read from the log in turns, and
 *	the flood itself is another thread's. A client that sends nonsense, half a
 *	line, or never reads costs itself, and nobody else.
 *
 * Who may connect: the socket's mode decides, and the peer's credentials are
 * looked at as well: no id of a session's range is ever anybody here. The door
 * decides the role, whatever the peer's uid: an agent that is root is an agent.
 */
#include "supervisor/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/feed.h"
#include "supervisor/methods.h"
#include "supervisor/wait.h"

/* Operators at once: people and a few dashboards. The one who was silent the
 * longest makes room: a person must get in. */
#define OPERATORS_MAX 64
/* Agents at once, and of one user; beyond, a newcomer is told so. */
#define AGENTS_MAX 1024
#define AGENTS_OF_ONE_MAX 512
/* While so much waits for a client, nothing more is read of it. */
#define QUEUE_HIGH (1u * 1024 * 1024)
/* More than that for as long without a byte taken: it does not read at all. */
#define STUCK_NS (60ull * 1000 * 1000 * 1000)
/* Lines of one client are served for so long; then others have their turn. */
#define TURN_NS (2ull * 1000 * 1000)
/* Bytes of one client served in one turn: with them, the lines. */
#define TURN_BYTES 65536
/* Unfinished lines of all agents together; beyond, the longest one is dropped. */
#define HALF_LINES_MAX (64u * 1024 * 1024)
/* A line that was begun has this long to end. */
#define HALF_LINE_US (30u * 1000 * 1000)
#define SWEEP_US (5u * 1000 * 1000)

struct door {
	struct server *server;
	int listener;
	enum verb_role role;
	sd_event_source *source;
};

struct connection {
	struct server *server;
	struct connection *next;
	int fd; /* -1: gone; the struct stays while replies are owed */
	enum verb_role role;
	uid_t uid;
	char name[64];
	struct text in, out;
	size_t sent; /* of out */
	struct feed *feeds;
	sd_event_source *source;
	sd_event_source *again; /* lines are left to serve */
	uint64_t last_ns; /* when it last said something */
	uint64_t moved_ns; /* when it last took something */
	uint64_t half_ns; /* since when a line is unfinished; 0: none is */
	unsigned int owed; /* replies */
};

struct reply {
	struct connection *to;
	server_convert_fn convert;
	cJSON *id;
};

/* A request that waits for its session. */
struct parked {
	struct parked *next;
	struct session *session;
	struct connection *from;
	enum verb verb;
	server_convert_fn convert;
	cJSON *id, *params;
};

/* Of all sessions together. */
#define PARKED_MAX 256

struct server {
	struct host *host;
	struct parked *parked;
	size_t parked_count;
	struct door doors[2];
	size_t door_count;
	struct connection *connections;
	size_t operators, agents;
	struct waits *waits;
	sd_event_source *on_wake, *on_sweep;
};

/* --- connections ---------------------------------------------------------- */

static void flush(struct connection *c)
{
	while (c->fd >= 0 && c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.at + c->sent, c->out.len - c->sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		c->sent += (size_t)n;
		c->moved_ns = io_now_ns();
	}
	if (c->sent == c->out.len) {
		/* one long answer does not stay in memory for ever */
		if (c->out.room > QUEUE_HIGH)
			text_done(&c->out);
		c->out.len = c->sent = 0;
	} else if (c->sent > c->out.len / 2) {
		memmove(c->out.at, c->out.at + c->sent, c->out.len - c->sent);
		c->out.len -= c->sent;
		c->sent = 0;
	}
	if (c->source)
		(void)sd_event_source_set_io_events(
			c->source, (connection_waiting(c) < QUEUE_HIGH ? EPOLLIN : 0u) |
					   (connection_waiting(c) > 0 ? EPOLLOUT : 0u));
	/* lines that were left while too much waited */
	if (c->again && c->in.len > 0 && connection_waiting(c) < QUEUE_HIGH)
		(void)sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

static void hang_up(struct connection *c)
{
	if (c->fd < 0)
		return;
	c->source = sd_event_source_disable_unref(c->source);
	c->again = sd_event_source_disable_unref(c->again);
	fd_done(&c->fd);
	feed_free_all(&c->feeds);
	text_done(&c->in);
	text_done(&c->out);
	if (c->role == VERB_OPERATOR)
		c->server->operators--;
	else
		c->server->agents--;
}

/* Those that are gone, and that nobody owes anything. */
static void collect(struct server *s)
{
	for (struct connection **p = &s->connections; *p;) {
		struct connection *c = *p;

		if (c->fd >= 0 || c->owed > 0) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		free(c);
	}
}

size_t connection_waiting(const struct connection *c)
{
	return c->out.len - c->sent;
}

void connection_send(struct connection *c, const struct text *lines)
{
	if (c->fd < 0)
		return;
	text_add_n(&c->out, lines->at, lines->len);
	flush(c);
}

struct feed **connection_feeds(struct connection *c)
{
	return &c->feeds;
}

struct waits *server_waits(struct server *s)
{
	return s->waits;
}

/* --- answers --------------------------------------------------------------- */

static void add_result(struct connection *c, const cJSON *id, server_convert_fn convert,
		       const char *result)
{
	AUTO_TEXT t = { 0 };

	if (convert)
		convert(result, &t);
	rpc_add_result(&c->out, id, !convert ? result : t.failed || !t.at ? "null" : t.at);
}

void server_result(struct asked *q, const char *result)
{
	add_result(q->from, q->id, q->convert, result);
	flush(q->from);
}

void server_error(struct asked *q, int code, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	rpc_add_error(&q->from->out, q->id, code, text);
	flush(q->from);
}

struct reply *server_defer(struct asked *q)
{
	struct reply *r = calloc(1, sizeof(*r));

	if (!r) {
		server_error(q, RPC_INTERNAL, "out of memory");
		return NULL;
	}
	r->to = q->from;
	r->to->owed++;
	r->convert = q->convert;
	r->id = q->id ? cJSON_Duplicate(q->id, true) : NULL;
	return r;
}

static void reply_done(struct reply *r)
{
	flush(r->to);
	r->to->owed--;
	cJSON_Delete(r->id);
	free(r);
}

void reply_result(struct reply *r, const char *result)
{
	if (r->to->fd >= 0)
		add_result(r->to, r->id, r->convert, result);
	reply_done(r);
}

void reply_error(struct reply *r, int code, const char *message)
{
	if (r->to->fd >= 0)
		rpc_add_error(&r->to->out, r->id, code, message);
	reply_done(r);
}

/* --- later ------------------------------------------------------------------ */

void server_park(struct asked *q, struct session *session)
{
	struct server *s = q->server;
	struct parked *p = s->parked_count < PARKED_MAX ? calloc(1, sizeof(*p)) : NULL;
	struct parked **end = &s->parked;

	if (!p) {
		server_error(q, RPC_BUSY, "the session is being worked on; try again");
		return;
	}
	*p = (struct parked){
		.session = session, .from = q->from, .verb = q->verb, .convert = q->convert
	};
	p->id = q->id ? cJSON_Duplicate(q->id, true) : NULL;
	p->params = cJSON_Duplicate(q->params, true);
	q->from->owed++;
	s->parked_count++;
	while (*end)
		end = &(*end)->next;
	*end = p;
}

static void parked_done(struct server *s, struct parked *p)
{
	p->from->owed--;
	s->parked_count--;
	cJSON_Delete(p->id);
	cJSON_Delete(p->params);
	free(p);
}

/* Takes the first one of a session out. */
static struct parked *next_parked(struct server *s, const struct session *session)
{
	for (struct parked **p = &s->parked; *p; p = &(*p)->next) {
		struct parked *found = *p;

		if (session && found->session != session)
			continue;
		*p = found->next;
		return found;
	}
	return NULL;
}

void server_unpark(struct server *s, struct session *session)
{
	struct parked *p;
	size_t n = 0;

	/* one may be parked again: each is served once */
	for (p = s->parked; p; p = p->next)
		n += p->session == session;
	while (n-- > 0 && session->busy == 0 && (p = next_parked(s, session))) {
		struct asked q = {
			.server = s,
			.host = s->host,
			.from = p->from,
			.verb = p->verb,
			.role = p->from->role,
			.uid = p->from->uid,
			.name = p->from->name,
			.id = p->id,
			.params = p->params,
			.convert = p->convert,
		};

		if (p->from->fd >= 0)
			methods_serve(&q);
		parked_done(s, p);
	}
}

/* --- who and what ----------------------------------------------------------- */

bool server_may_see(const struct asked *q, const struct session *s)
{
	return !s->is_hidden && (q->role == VERB_OPERATOR || s->owner == q->uid);
}

bool server_find(struct asked *q, const char *key, struct session **ret_session,
		 struct call **ret_call, uint32_t *ret_number)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(q->params, key);
	const char *dot;
	uint64_t number = 0;
	bool many = false;
	struct session *s;

	if (!cJSON_IsString(id)) {
		server_error(q, RPC_INVALID_PARAMS, "\"%s\" must be the id of a session or a call",
			     key);
		return false;
	}
	s = host_find(q->host, id->valuestring, q->role == VERB_OPERATOR ? NULL : &q->uid, &many);
	if (many) {
		server_error(q, RPC_NOT_FOUND, "more than one session begins so");
		return false;
	}
	dot = strchr(id->valuestring, '.');
	if (!s || !server_may_see(q, s) ||
	    (dot && text_parse_count(dot + 1, 1, UINT32_MAX, &number) < 0) ||
	    number >= s->next_call) {
		server_error(q, RPC_NOT_FOUND, "there is no %s \"%.80s\" here",
			     dot ? "call" : "session", id->valuestring);
		return false;
	}
	*ret_session = s;
	*ret_number = (uint32_t)number;
	*ret_call = number > 0 ? session_find_call(s, (uint32_t)number) : NULL;
	return true;
}

/* --- lines ------------------------------------------------------------------- */

static void serve_line(struct connection *c, const char *line, size_t size)
{
	struct asked q = {
		.server = c->server,
		.host = c->server->host,
		.from = c,
		.role = c->role,
		.uid = c->uid,
		.name = c->name,
	};
	AUTO_TEXT why = { 0 };
	struct rpc_request request;
	int code;

	code = rpc_parse(line, size, &request, &why);
	q.id = request.id;
	q.params = request.params;
	q.verb = code == 0 ? verb_find(request.method) : VERB_COUNT;
	if (code != 0)
		server_error(&q, code, "%s", why.at ? why.at : "invalid");
	else if (q.verb == VERB_COUNT)
		server_error(&q, RPC_UNKNOWN_METHOD, "there is no such method");
	else if (verb_rules[q.verb].operator_only && q.role != VERB_OPERATOR)
		server_error(&q, RPC_NOT_PERMITTED, "%s is an operator's to ask, on operator.sock",
			     verb_rules[q.verb].method);
	else
		methods_serve(&q);
	rpc_request_done(&request);
}

/* Whole lines are served. False: drop the client. */
static bool serve_lines(struct connection *c)
{
	uint64_t until = io_now_ns() + TURN_NS;
	size_t at = 0;

	while (c->fd >= 0 && connection_waiting(c) < QUEUE_HIGH) {
		char *nl = c->in.len > at ? memchr(c->in.at + at, '\n', c->in.len - at) : NULL;

		if (!nl)
			break;
		serve_line(c, c->in.at + at, (size_t)(nl - (c->in.at + at)));
		at = (size_t)(nl - c->in.at) + 1;
		if (io_now_ns() > until && c->again) {
			(void)sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
			break;
		}
	}
	if (c->fd < 0)
		return false;
	if (at > 0)
		memmove(c->in.at, c->in.at + at, c->in.len - at);
	c->in.len -= at;
	if (c->in.len == 0)
		c->half_ns = 0;
	else if (at > 0 || c->half_ns == 0)
		c->half_ns = io_now_ns();
	if (c->in.len > RPC_LINE_MAX && !memchr(c->in.at, '\n', c->in.len)) {
		rpc_add_error(&c->out, NULL, RPC_PARSE_ERROR, "the line is longer than 1 MiB");
		flush(c);
		return false;
	}
	return true;
}

static int on_again(sd_event_source *s, void *context)
{
	struct connection *c = context;

	(void)s;
	if (!serve_lines(c)) {
		hang_up(c);
		collect(c->server);
	}
	return 0;
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct connection *c = context;
	char buf[TURN_BYTES];
	ssize_t n;

	(void)source;
	if (events & EPOLLOUT) {
		flush(c);
		feed_pump_all(c, c->feeds);
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	/* what was read is served first; one that has hung up reads no answer */
	if (!(events & (EPOLLHUP | EPOLLERR)) &&
	    (connection_waiting(c) >= QUEUE_HIGH || c->in.len > RPC_LINE_MAX))
		return 0;
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0) {
		c->last_ns = io_now_ns();
		text_add_n(&c->in, buf, (size_t)n);
	}
	if (n <= 0 || c->in.failed || !serve_lines(c)) {
		hang_up(c);
		collect(c->server);
	}
	return 0;
}

/* --- the doors ---------------------------------------------------------------- */

static void refuse(int sock, const char *why)
{
	AUTO_TEXT t = { 0 };

	rpc_add_error(&t, NULL, RPC_BUSY, why);
	(void)send(sock, t.at, t.len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static size_t count_of(const struct server *s, uid_t uid)
{
	size_t n = 0;

	for (const struct connection *c = s->connections; c; c = c->next)
		n += c->fd >= 0 && c->role == VERB_AGENT && c->uid == uid;
	return n;
}

static bool make_room(struct server *s, enum verb_role role, int sock, uid_t uid)
{
	struct connection *oldest = NULL;

	if (role == VERB_AGENT) {
		if (s->agents < AGENTS_MAX && count_of(s, uid) < AGENTS_OF_ONE_MAX)
			return true;
		refuse(sock, "too many agents are connected; try again when one has gone");
		return false;
	}
	for (struct connection *c = s->connections; s->operators >= OPERATORS_MAX && c; c = c->next)
		if (c->fd >= 0 && c->role == VERB_OPERATOR &&
		    (!oldest || c->last_ns < oldest->last_ns))
			oldest = c;
	if (oldest)
		hang_up(oldest);
	return true;
}

/* False when nobody waits any more. */
static bool accept_one(struct door *d)
{
	AUTO_FD sock = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct server *s = d->server;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct connection *c;
	int r;

	if (sock < 0)
		return false;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    (peer.uid >= SB_RANGE_FIRST + SB_RANGE_SIZE &&
	     peer.uid < SB_RANGE_FIRST + SB_RANGE_COUNT * SB_RANGE_SIZE))
		return true;
	if (!make_room(s, d->role, sock, peer.uid))
		return true;
	c = calloc(1, sizeof(*c));
	if (!c)
		return true;
	*c = (struct connection){
		.server = s,
		.next = s->connections,
		.fd = fd_take(&sock),
		.role = d->role,
		.uid = peer.uid,
		.last_ns = io_now_ns(),
		.moved_ns = io_now_ns(),
	};
	s->connections = c;
	if (c->role == VERB_OPERATOR)
		s->operators++;
	else
		s->agents++;
	(void)snprintf(c->name, sizeof(c->name), "%s (uid %u)",
		       c->role == VERB_OPERATOR ? "operator" : "agent", peer.uid);
	r = sd_event_add_io(s->host->loop, &c->source, c->fd, EPOLLIN, on_client, c);
	if (r >= 0 && c->role == VERB_OPERATOR)
		r = sd_event_source_set_priority(c->source, SD_EVENT_PRIORITY_IMPORTANT - 10);
	if (r >= 0)
		r = sd_event_add_defer(s->host->loop, &c->again, on_again, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
	if (r >= 0 && c->role == VERB_OPERATOR)
		r = sd_event_source_set_priority(c->again, SD_EVENT_PRIORITY_IMPORTANT - 9);
	if (r < 0)
		hang_up(c);
	collect(s);
	return true;
}

/* Taken in one turn; the rest waits for the next. */
#define ACCEPT_MAX 64

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *context)
{
	(void)source;
	(void)fd;
	(void)events;
	for (int i = 0; i < ACCEPT_MAX && accept_one(context); i++)
		;
	return 0;
}

int server_add_door(struct server *s, int listener, enum verb_role role)
{
	struct door *d = &s->doors[s->door_count];
	int r;

	*d = (struct door){ .server = s, .listener = listener, .role = role };
	s->door_count++;
	r = sd_event_add_io(s->host->loop, &d->source, listener, EPOLLIN, on_connect, d);
	if (r >= 0 && role == VERB_OPERATOR)
		r = sd_event_source_set_priority(d->source, SD_EVENT_PRIORITY_IMPORTANT - 10);
	return r < 0 ? r : 0;
}

/* Logs have grown: who follows them gets the news, an equal part each. */
static int on_wake(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct server *s = context;
	uint64_t n;

	(void)source;
	(void)events;
	(void)!read(fd, &n, sizeof(n));
	for (struct connection *c = s->connections; c; c = c->next)
		if (c->fd >= 0 && c->feeds)
			feed_pump_all(c, c->feeds);
	return 0;
}

static int on_sweep(sd_event_source *source, uint64_t now, void *context)
{
	struct server *s = context;
	struct connection *longest = NULL;
	size_t held = 0;

	(void)now;
	for (struct connection *c = s->connections; c; c = c->next) {
		if (c->fd < 0)
			continue;
		if (c->half_ns > 0 && io_now_ns() - c->half_ns > HALF_LINE_US * 1000ull) {
			rpc_add_error(&c->out, NULL, RPC_PARSE_ERROR,
				      "the line was begun and did not end");
			flush(c);
			hang_up(c);
			continue;
		}
		if (connection_waiting(c) > QUEUE_HIGH && io_now_ns() - c->moved_ns > STUCK_NS) {
			hang_up(c);
			continue;
		}
		held += c->in.len;
		if (c->in.len > 0 && (!longest || c->in.len > longest->in.len))
			longest = c;
	}
	if (held > HALF_LINES_MAX && longest)
		hang_up(longest);
	collect(s);
	(void)sd_event_source_set_time_relative(source, SWEEP_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int server_start(struct server **ret, struct host *host)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->host = host;
	r = waits_new(&s->waits, host->loop);
	if (r >= 0)
		r = sd_event_add_io(host->loop, &s->on_wake, host->wake, EPOLLIN, on_wake, s);
	if (r >= 0)
		r = sd_event_add_time_relative(host->loop, &s->on_sweep, CLOCK_MONOTONIC, SWEEP_US,
					       SWEEP_US, on_sweep, s);
	if (r < 0) {
		server_free(s);
		return r;
	}
	host->server = s;
	*ret = s;
	return 0;
}

void server_pump(struct server *s, struct session *session)
{
	for (struct connection *c = s->connections; c; c = c->next)
		if (c->fd >= 0 && c->feeds)
			feed_pump_session(c, c->feeds, session);
}

void server_call_over(struct server *s, struct session *session, uint32_t call)
{
	waits_call_over(s->waits, session, call);
}

void server_session_gone(struct server *s, struct session *session)
{
	struct parked *p;

	waits_session_gone(s->waits, session);
	while ((p = next_parked(s, session))) {
		if (p->from->fd >= 0)
			rpc_add_error(&p->from->out, p->id, RPC_NOT_FOUND,
				      "the session was removed");
		flush(p->from);
		parked_done(s, p);
	}
	for (struct connection *c = s->connections; c; c = c->next)
		feed_forget_session(c, &c->feeds, session);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	waits_free(s->waits);
	while (s->parked)
		parked_done(s, next_parked(s, NULL));
	for (struct connection *c = s->connections; c; c = c->next) {
		if (c->fd >= 0)
			flush(c);
		hang_up(c);
		c->owed = 0;
	}
	collect(s);
	for (size_t i = 0; i < s->door_count; i++) {
		s->doors[i].source = sd_event_source_disable_unref(s->doors[i].source);
		fd_done(&s->doors[i].listener);
	}
	s->on_wake = sd_event_source_disable_unref(s->on_wake);
	s->on_sweep = sd_event_source_disable_unref(s->on_sweep);
	if (s->host)
		s->host->server = NULL;
	free(s);
}
