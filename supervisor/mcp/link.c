// SPDX-License-Identifier: Apache-2.0
/* supervisor/mcp/link.c - one connection to agent.sock, with many requests in flight. */
#include "supervisor/mcp/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/rpc.h"

/* The longest answer: a list of 200,000 changes. */
#define LINE_MAX_BYTES (256u << 20)
#define CHUNK 65536

struct asked {
	struct asked *next;
	uint32_t number;
	link_fn fn; /* NULL: forgotten */
	void *context;
};

struct link {
	int fd;
	struct link_watch watch;
	sd_event_source *source;
	struct text in, out;
	size_t sent; /* of `out` */
	uint32_t last;
	struct asked *waiting;
};

static struct asked *take(struct link *l, uint32_t number)
{
	for (struct asked **p = &l->waiting; *p; p = &(*p)->next) {
		struct asked *a = *p;

		if (a->number != number && number != 0)
			continue;
		*p = a->next;
		return a;
	}
	return NULL;
}

static void answer(struct asked *a, const cJSON *result, int code, const char *error)
{
	if (a && a->fn)
		a->fn(a->context, result, code, error);
	free(a);
}

static void end(struct link *l)
{
	struct asked *a;

	l->source = sd_event_source_disable_unref(l->source);
	fd_done(&l->fd);
	while ((a = take(l, 0)))
		answer(a, NULL, RPC_INTERNAL, "the supervisor has ended");
	if (l->watch.on_end)
		l->watch.on_end(l->watch.context);
}

static void serve(struct link *l, char *line)
{
	const cJSON *params, *id, *error, *code, *message;
	cJSON *json;

	text_replace_lone(line);
	json = cJSON_Parse(line);
	id = cJSON_GetObjectItemCaseSensitive(json, "id");
	params = cJSON_GetObjectItemCaseSensitive(json, "params");
	if (params)
		l->watch.on_event(l->watch.context,
				  cJSON_GetObjectItemCaseSensitive(params, "event"));
	if (cJSON_IsNumber(id)) {
		error = cJSON_GetObjectItemCaseSensitive(json, "error");
		code = cJSON_GetObjectItemCaseSensitive(error, "code");
		message = cJSON_GetObjectItemCaseSensitive(error, "message");
		answer(take(l, (uint32_t)id->valuedouble),
		       cJSON_GetObjectItemCaseSensitive(json, "result"),
		       cJSON_IsNumber(code) ? code->valueint : 0,
		       cJSON_IsString(message) ? message->valuestring : "");
	}
	cJSON_Delete(json);
}

static int flush(struct link *l)
{
	while (l->sent < l->out.len) {
		ssize_t n = send(l->fd, l->out.at + l->sent, l->out.len - l->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		l->sent += (size_t)n;
	}
	if (l->sent == l->out.len)
		l->sent = l->out.len = 0;
	(void)sd_event_source_set_io_events(l->source, EPOLLIN | (l->out.len > 0 ? EPOLLOUT : 0u));
	return 0;
}

static int fill(struct link *l)
{
	char chunk[CHUNK];
	ssize_t n = recv(l->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	text_add_n(&l->in, chunk, (size_t)n);
	return n == 0 || l->in.failed || l->in.len > LINE_MAX_BYTES ? -EPIPE : 0;
}

static int on_ready(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct link *l = context;
	size_t done = 0;
	char *nl;
	int r = 0;

	(void)s;
	(void)fd;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = fill(l);
	while (done < l->in.len && (nl = memchr(l->in.at + done, '\n', l->in.len - done))) {
		*nl = '\0';
		serve(l, l->in.at + done);
		done = (size_t)(nl + 1 - l->in.at);
	}
	if (done > 0) {
		memmove(l->in.at, l->in.at + done, l->in.len - done);
		l->in.len -= done;
	}
	if (r == 0)
		r = flush(l);
	if (r < 0)
		end(l);
	return 0;
}

int link_new(sd_event *loop, int fd, const struct link_watch *watch, struct link **ret)
{
	struct link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->fd = fd;
	l->watch = *watch;
	r = sd_event_add_io(loop, &l->source, fd, EPOLLIN, on_ready, l);
	if (r < 0) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

uint32_t link_ask(struct link *l, const char *method, const char *params, link_fn fn, void *context)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (!a || l->fd < 0) {
		free(a);
		fn(context, NULL, RPC_INTERNAL, a ? "the supervisor has ended" : "out of memory");
		return ++l->last;
	}
	*a = (struct asked){ l->waiting, ++l->last, fn, context };
	l->waiting = a;
	text_printf(&l->out, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":{",
		    a->number, method);
	text_add(&l->out, params ? params : "");
	text_add(&l->out, "}}\n");
	/* written from the loop: an answer never comes before we have returned */
	(void)sd_event_source_set_io_events(l->source, EPOLLIN | EPOLLOUT);
	return a->number;
}

void link_forget(struct link *l, uint32_t number)
{
	for (struct asked *a = l ? l->waiting : NULL; a; a = a->next)
		if (a->number == number)
			a->fn = NULL;
}

void link_free(struct link *l)
{
	struct asked *a;

	if (!l)
		return;
	while ((a = take(l, 0)))
		free(a);
	(void)sd_event_source_disable_unref(l->source);
	fd_done(&l->fd);
	text_done(&l->in);
	text_done(&l->out);
	free(l);
}
