// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/http.c - Streamable HTTP, by libmicrohttpd in our loop.
 *
 * A POST is one message. Its answer is JSON when it comes first, else an event stream
 * that ends with it. Meanwhile the connection is suspended; libmicrohttpd does not see
 * a suspended client go, so a duplicate of its socket is watched, because in the
 * modern era that is how a client cancels.
 *
 * Whoever may reach the port is not trusted: Host and Origin are checked against DNS
 * rebinding, then the token; the body is bounded; nothing is parsed before.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/mcp/mcp.h"
#include "supervisor/options.h"

#define PATH "/mcp"
#define BODY_MAX (4u << 20)
#define CONNECTIONS_MAX 512u
#define IDLE_SECONDS 60u /* while a request is read; suspended ones are exempt */
#define SESSIONS_MAX 1024 /* legacy; the oldest goes */
/* Bytes that wait for a client that does not read; then it is hung up on. */
#define WAITING_MAX (16u << 20)
/* A comment on a quiet stream, so that nobody between us gives it up. */
#define KEEP_US (15u * 1000 * 1000)
#define HEADER_MAX 1024
#define SSE_CHUNK 16384

static struct http {
	struct mcp *mcp;
	struct http_options options;
	struct MHD_Daemon *daemon;
	sd_event_source *io, *timer, *soon;
	size_t sessions;
} web;

enum stage { READING, WAITING, ANSWERED, STREAMING };

/* One request. The first member is its channel. */
struct exchange {
	struct mcp_channel channel;
	struct MHD_Connection *connection;
	struct mcp_peer *peer;
	bool owns_peer, is_suspended, is_last, is_gone, is_modern, is_stream_of_session;
	enum stage stage;
	int status;
	struct text body, out;
	size_t sent;
	int watched; /* duplicate of the socket */
	sd_event_source *on_gone, *keep;
	char value[HEADER_MAX];
	char session[64]; /* to be told in the answer */
};

/* --- the loop ------------------------------------------------------------------------ */

static int run(void);

static int on_ready(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	(void)context;
	return run();
}

static int on_time(sd_event_source *s, uint64_t now, void *context)
{
	(void)s;
	(void)now;
	(void)context;
	return run();
}

static int on_soon(sd_event_source *s, void *context)
{
	(void)s;
	(void)context;
	return run();
}

static int run(void)
{
	MHD_UNSIGNED_LONG_LONG ms;

	(void)sd_event_source_set_enabled(web.soon, SD_EVENT_OFF);
	(void)MHD_run(web.daemon);
	if (MHD_get_timeout(web.daemon, &ms) == MHD_YES) {
		(void)sd_event_source_set_time_relative(web.timer, ms * 1000u);
		(void)sd_event_source_set_enabled(web.timer, SD_EVENT_ONESHOT);
	}
	return 0;
}

static void wake(struct exchange *x)
{
	if (x->is_suspended) {
		x->is_suspended = false;
		MHD_resume_connection(x->connection);
	}
	(void)sd_event_source_set_enabled(web.soon, SD_EVENT_ONESHOT);
}

/* --- what goes out ---------------------------------------------------------------------- */

static void add_message(struct exchange *x, const char *json, size_t n)
{
	if (x->stage != STREAMING) {
		text_add_n(&x->out, json, n);
		return;
	}
	text_add(&x->out, "data: ");
	text_add_n(&x->out, json, n);
	text_add(&x->out, "\n\n");
}

static void send_message(struct mcp_channel *c, const char *json, size_t n, bool is_last,
			 int status)
{
	struct exchange *x = (struct exchange *)c;

	if (x->is_gone)
		return;
	if (!is_last || x->stage == STREAMING) {
		x->stage = STREAMING;
	} else {
		x->stage = ANSWERED;
		x->status = status ? status : 200;
	}
	add_message(x, json, n);
	x->is_last = is_last;
	if (x->out.len - x->sent > WAITING_MAX)
		x->is_gone = true;
	wake(x);
}

/* A legacy client that has hung up: its request goes on, its answer goes nowhere. */
static void send_nowhere(struct mcp_channel *c, const char *json, size_t n, bool is_last,
			 int status)
{
	(void)json;
	(void)n;
	(void)status;
	if (is_last)
		free(c);
}

static void drop_nowhere(struct mcp_channel *c)
{
	free(c);
}

static void drop(struct mcp_channel *c)
{
	struct exchange *x = (struct exchange *)c;

	x->is_last = true;
	if (x->stage == WAITING || x->stage == READING) {
		x->stage = ANSWERED;
		x->status = 202;
	}
	wake(x);
}

static const char *header(struct mcp_channel *c, const char *name)
{
	struct exchange *x = (struct exchange *)c;
	const char *v = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
	size_t n;

	if (!v)
		return NULL;
	v += strspn(v, " \t");
	n = strlen(v);
	while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
		n--;
	if (n >= sizeof(x->value))
		n = sizeof(x->value) - 1;
	memcpy(x->value, v, n);
	x->value[n] = '\0';
	return x->value;
}

/* --- a client that goes -------------------------------------------------------------------- */

static void abandon(struct exchange *x)
{
	struct mcp_request *q = x->channel.request;
	struct mcp_channel *nowhere;

	x->is_gone = true;
	if (x->is_stream_of_session && x->peer)
		x->peer->standing = NULL;
	if (!q)
		return;
	nowhere = q->is_modern ? NULL : calloc(1, sizeof(*nowhere));
	if (!nowhere) {
		mcp_cancel(q);
		return;
	}
	*nowhere = (struct mcp_channel){ .send = send_nowhere, .drop = drop_nowhere, .request = q };
	x->channel.request = NULL;
	q->channel = nowhere;
	/* a peer of this request alone lives on with it */
	x->owns_peer = false;
}

static int on_gone(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct exchange *x = context;

	(void)fd;
	(void)events;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	abandon(x);
	wake(x);
	return 0;
}

static int on_quiet(sd_event_source *s, uint64_t now, void *context)
{
	struct exchange *x = context;

	(void)now;
	if (x->stage == WAITING || x->stage == STREAMING) {
		x->stage = STREAMING;
		if (x->out.len == x->sent)
			text_add(&x->out, ":\n\n");
		wake(x);
	}
	(void)sd_event_source_set_time_relative(s, KEEP_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void suspend(struct exchange *x)
{
	const union MHD_ConnectionInfo *info;

	if (x->watched < 0) {
		info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		x->watched = info ? fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 3) : -1;
		if (x->watched >= 0)
			(void)sd_event_add_io(web.mcp->loop, &x->on_gone, x->watched, EPOLLRDHUP,
					      on_gone, x);
		(void)sd_event_add_time_relative(web.mcp->loop, &x->keep, CLOCK_MONOTONIC, KEEP_US,
						 1000000, on_quiet, x);
	}
	x->is_suspended = true;
	MHD_suspend_connection(x->connection);
}

/* --- answers -------------------------------------------------------------------------------- */

static ssize_t read_stream(void *context, uint64_t at, char *buf, size_t max)
{
	struct exchange *x = context;
	size_t n = x->out.len - x->sent;

	(void)at;
	if (x->is_gone)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0 && x->is_last)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		suspend(x);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(buf, x->out.at + x->sent, n);
	x->sent += n;
	if (x->sent == x->out.len)
		x->sent = x->out.len = 0;
	return (ssize_t)n;
}

static enum MHD_Result put(struct exchange *x, struct MHD_Response *r, int status)
{
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	if (x->session[0])
		(void)MHD_add_response_header(r, "Mcp-Session-Id", x->session);
	(void)MHD_add_response_header(r, "Cache-Control", "no-store");
	(void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	ok = MHD_queue_response(x->connection, (unsigned int)status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result put_text(struct exchange *x, int status, const char *type, const char *text,
				size_t n)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(n, (void *)text, MHD_RESPMEM_MUST_COPY);

	if (r && type)
		(void)MHD_add_response_header(r, "Content-Type", type);
	if (r && status == 401)
		(void)MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"glovebox\"");
	if (r && status == 405)
		(void)MHD_add_response_header(r, "Allow", "POST");
	return put(x, r, status);
}

static enum MHD_Result refuse(struct exchange *x, int status, const char *why)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":");
	text_add_json(&t, why, strlen(why));
	text_add(&t, "}}");
	x->stage = ANSWERED;
	return put_text(x, status, "application/json", t.at, t.len);
}

static enum MHD_Result answer(struct exchange *x)
{
	struct MHD_Response *r;

	if (x->is_gone)
		return MHD_NO;
	if (x->stage == ANSWERED)
		return put_text(x, x->status, x->out.len > 0 ? "application/json" : NULL,
				x->out.at ? x->out.at : "", x->out.len);
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, SSE_CHUNK, read_stream, x, NULL);
	if (r) {
		(void)MHD_add_response_header(r, "Content-Type", "text/event-stream");
		(void)MHD_add_response_header(r, "X-Accel-Buffering", "no");
	}
	return put(x, r, 200);
}

/* --- who may ---------------------------------------------------------------------------------- */

/* "name:port" without its port; an IPv6 address keeps its brackets. */
static bool is_host(const char *host, const char *name)
{
	size_t n = strlen(name);

	return strncasecmp(host, name, n) == 0 &&
	       (host[n] == '\0' ||
		(host[n] == ':' && strspn(host + n + 1, "0123456789") == strlen(host + n + 1)));
}

static bool is_allowed_host(const char *host)
{
	static const char *const loopback[] = { "localhost", "127.0.0.1", "[::1]" };
	const struct option_list *more = web.options.hosts;

	for (size_t i = 0; host && i < ARRAY_SIZE(loopback); i++)
		if (is_host(host, loopback[i]))
			return true;
	for (size_t i = 0; host && i < more->count; i++)
		if (is_host(host, more->at[i]))
			return true;
	return false;
}

/* A page of our own hosts, or one that was named. Programs send none. */
static bool is_allowed_origin(const char *origin)
{
	const struct option_list *more = web.options.origins;

	if (!origin)
		return true;
	for (size_t i = 0; i < more->count; i++)
		if (strcasecmp(origin, more->at[i]) == 0)
			return true;
	if (strncasecmp(origin, "http://", 7) == 0)
		return is_allowed_host(origin + 7);
	return strncasecmp(origin, "https://", 8) == 0 && is_allowed_host(origin + 8);
}

static bool has_token(struct exchange *x)
{
	const char *v = header(&x->channel, "Authorization");
	size_t n = web.options.token ? strlen(web.options.token) : 0;

	if (!web.options.token)
		return true;
	return v && strncasecmp(v, "Bearer ", 7) == 0 && strlen(v + 7) == n &&
	       CRYPTO_memcmp(v + 7, web.options.token, n) == 0;
}

static int find_fault(struct exchange *x, const char *url, const char **ret_why)
{
	if (!is_allowed_host(header(&x->channel, "Host"))) {
		*ret_why = "this Host is not served here; --allow-host adds one";
		return 403;
	}
	if (!is_allowed_origin(header(&x->channel, "Origin"))) {
		*ret_why = "pages of this Origin may not connect; --allow-origin adds one";
		return 403;
	}
	if (strcmp(url, PATH) != 0) {
		*ret_why = "the endpoint is " PATH;
		return 404;
	}
	if (!has_token(x)) {
		*ret_why = "send \"Authorization: Bearer TOKEN\" with the token that was printed "
			   "at the start";
		return 401;
	}
	if (x->body.len > BODY_MAX) {
		*ret_why = "a message is at most 4 MiB";
		return 413;
	}
	return 0;
}

/* --- sessions of the legacy era ------------------------------------------------------------------ */

static struct mcp_peer *find_peer(const char *key)
{
	for (struct mcp_peer *p = web.mcp->peers; p; p = p->next)
		if (p->key[0] && strlen(p->key) == strlen(key) &&
		    CRYPTO_memcmp(p->key, key, strlen(key)) == 0)
			return p;
	return NULL;
}

static void end_peer(struct mcp_peer *p)
{
	mcp_close_sessions(web.mcp, p->key, NULL);
	web.sessions--;
	mcp_peer_free(p);
}

/* `initialize` was answered: it lasts. */
static void keep_peer(struct exchange *x)
{
	unsigned char raw[20];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return;
	for (size_t i = 0; i < sizeof(raw); i++)
		(void)snprintf(x->peer->key + 2 * i, 3, "%02x", raw[i]);
	(void)snprintf(x->session, sizeof(x->session), "%s", x->peer->key);
	x->owns_peer = false;
	if (++web.sessions > SESSIONS_MAX) {
		struct mcp_peer *oldest = NULL;

		for (struct mcp_peer *p = web.mcp->peers; p; p = p->next)
			if (p->key[0] && !p->requests && !p->standing)
				oldest = p;
		if (oldest && oldest != x->peer)
			end_peer(oldest);
	}
}

/* --- requests --------------------------------------------------------------------------------------- */

static bool is_modern_version(const char *v)
{
	return v && strcmp(v, MCP_MODERN_VERSION) == 0;
}

static enum MHD_Result serve_post(struct exchange *x)
{
	const char *type = header(&x->channel, "Content-Type");
	enum mcp_received got;
	const char *key;

	if (!type || strncasecmp(type, "application/json", 16) != 0)
		return refuse(x, 415, "Content-Type must be application/json");
	x->is_modern = is_modern_version(header(&x->channel, "MCP-Protocol-Version"));
	key = x->is_modern ? NULL : header(&x->channel, "Mcp-Session-Id");
	if (key) {
		x->peer = find_peer(key);
		if (!x->peer)
			return refuse(x, 404, "this session has ended: initialize again");
	} else {
		x->peer = mcp_peer_new(web.mcp);
		x->owns_peer = x->peer != NULL;
	}
	if (!x->peer)
		return refuse(x, 503, "out of memory");
	x->stage = WAITING;
	got = mcp_receive(x->peer, &x->channel, x->body.at ? x->body.at : "", x->body.len);
	if (x->owns_peer && x->peer->is_known)
		keep_peer(x);
	if (got == MCP_NOTIFICATION || got == MCP_ANSWER) {
		x->stage = ANSWERED;
		x->status = 202;
	}
	if (x->stage != WAITING)
		return answer(x);
	suspend(x);
	return MHD_YES;
}

static enum MHD_Result serve_get(struct exchange *x)
{
	const char *key = header(&x->channel, "Mcp-Session-Id");
	struct mcp_peer *p = key ? find_peer(key) : NULL;

	if (is_modern_version(header(&x->channel, "MCP-Protocol-Version")) || !key)
		return refuse(x, 405, "only POST");
	if (!p)
		return refuse(x, 404, "this session has ended: initialize again");
	if (p->standing)
		return refuse(x, 409, "this session has a stream already");
	x->peer = p;
	x->is_stream_of_session = true;
	p->standing = &x->channel;
	x->stage = STREAMING;
	text_add(&x->out, ":\n\n");
	return answer(x);
}

static enum MHD_Result serve_delete(struct exchange *x)
{
	const char *key = header(&x->channel, "Mcp-Session-Id");
	struct mcp_peer *p = key ? find_peer(key) : NULL;

	if (is_modern_version(header(&x->channel, "MCP-Protocol-Version")) || !key)
		return refuse(x, 405, "only POST");
	if (!p)
		return refuse(x, 404, "there is no such session");
	if (p->standing) {
		struct exchange *stream = (struct exchange *)p->standing;

		stream->peer = NULL;
		stream->is_last = true;
		p->standing = NULL;
		wake(stream);
	}
	end_peer(p);
	x->stage = ANSWERED;
	return put_text(x, 200, NULL, "", 0);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **ret)
{
	struct exchange *x = *ret;
	const char *why = NULL;
	int status;

	(void)context;
	(void)version;
	if (!x) {
		x = calloc(1, sizeof(*x));
		if (!x)
			return MHD_NO;
		*x = (struct exchange){
			.channel = { .send = send_message, .header = header, .drop = drop },
			.connection = connection,
			.watched = -1
		};
		*ret = x;
		return MHD_YES;
	}
	if (*size > 0) {
		if (x->body.len <= BODY_MAX)
			text_add_n(&x->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (x->stage != READING)
		return answer(x);
	status = find_fault(x, url, &why);
	if (status)
		return refuse(x, status, why);
	if (strcmp(method, "POST") == 0)
		return serve_post(x);
	if (strcmp(method, "GET") == 0)
		return serve_get(x);
	if (strcmp(method, "DELETE") == 0)
		return serve_delete(x);
	return refuse(x, 405, "only POST");
}

static void on_completed(void *context, struct MHD_Connection *connection, void **ret,
			 enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *ret;

	(void)context;
	(void)connection;
	(void)code;
	if (!x)
		return;
	x->is_suspended = false;
	abandon(x);
	if (x->owns_peer)
		mcp_peer_free(x->peer);
	x->on_gone = sd_event_source_disable_unref(x->on_gone);
	x->keep = sd_event_source_disable_unref(x->keep);
	fd_done(&x->watched);
	text_done(&x->body);
	text_done(&x->out);
	free(x);
	*ret = NULL;
}

/* --- start ----------------------------------------------------------------------------------------------- */

static int parse_address(const char *listen, struct sockaddr_storage *ret, bool *ret_loopback)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)ret;
	const char *colon = strrchr(listen, ':');
	char host[64];
	uint64_t port;

	if (!colon || text_parse_count(colon + 1, 1, 65535, &port) < 0 ||
	    (size_t)(colon - listen) >= sizeof(host))
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - listen), listen);
	if (host[0] == '[' && colon > listen + 1 && colon[-1] == ']') {
		host[strlen(host) - 1] = '\0';
		six->sin6_family = AF_INET6;
		six->sin6_port = htons((uint16_t)port);
		*ret_loopback = strcmp(host + 1, "::1") == 0;
		return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1 ? 0 : -EINVAL;
	}
	if (strcmp(host, "localhost") == 0)
		(void)snprintf(host, sizeof(host), "127.0.0.1");
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)port);
	*ret_loopback = strncmp(host, "127.", 4) == 0;
	return inet_pton(AF_INET, host, &four->sin_addr) == 1 ? 0 : -EINVAL;
}

int http_start(struct mcp *m, const struct http_options *o, struct text *why)
{
	const union MHD_DaemonInfo *info;
	struct sockaddr_storage at;
	bool is_loopback = false;
	int r;

	web.mcp = m;
	web.options = *o;
	if (parse_address(o->listen, &at, &is_loopback) < 0) {
		text_printf(why, "--http %.100s: give an address and a port, like 127.0.0.1:3000",
			    o->listen);
		return -EINVAL;
	}
	if (!o->token && !is_loopback) {
		text_add(why,
			 "--no-token is only for a loopback address: others could run commands "
			 "here");
		return -EINVAL;
	}
	web.daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
					      (at.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0),
				      0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &at,
				      MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				      MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
				      MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
				      MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
	info = web.daemon ? MHD_get_daemon_info(web.daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		text_printf(why, "cannot listen at %.100s: %s", o->listen,
			    errno ? strerror(errno) : "libmicrohttpd does not start");
		return -EADDRINUSE;
	}
	r = sd_event_add_io(m->loop, &web.io, info->epoll_fd, EPOLLIN, on_ready, NULL);
	if (r >= 0)
		r = sd_event_add_time_relative(m->loop, &web.timer, CLOCK_MONOTONIC, 0, 1000,
					       on_time, NULL);
	if (r >= 0)
		r = sd_event_add_defer(m->loop, &web.soon, on_soon, NULL);
	if (r < 0)
		return r;
	(void)fprintf(stderr, "glovebox-mcp: listening at http://%s" PATH "\n", o->listen);
	return 0;
}

void http_stop(void)
{
	if (!web.daemon)
		return;
	MHD_stop_daemon(web.daemon);
	web.daemon = NULL;
}
