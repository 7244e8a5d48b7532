// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/stdio.c - one client on standard input and output.
 *
 * A message a line; nothing else is ever written to standard output. The end of input
 * is the end of it all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/mcp/mcp.h"

/* Above what the supervisor takes: the error can say which request it was. */
#define LINE_MAX_BYTES (4u << 20)
#define CHUNK 65536
/* A client that reads nothing is not written to for ever. */
#define WAITING_MAX (64u << 20)

static struct stdio {
	struct mcp_channel channel; /* of what belongs to no request */
	struct mcp *mcp;
	struct mcp_peer *peer;
	sd_event_source *in, *out;
	int fd; /* of output: our own, so that O_NONBLOCK is nobody else's */
	bool is_socket, blocks, skips;
	struct text read, wait;
	size_t sent;
} io;

static ssize_t put(const char *data, size_t n)
{
	return io.is_socket ? send(io.fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : write(io.fd, data, n);
}

static void flush(void)
{
	while (io.sent < io.wait.len) {
		ssize_t n = put(io.wait.at + io.sent, io.wait.len - io.sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			io.sent = io.wait.len; /* nobody reads any more; input will end, too */
			break;
		}
		io.sent += (size_t)n;
	}
	if (io.sent == io.wait.len)
		io.sent = io.wait.len = 0;
	if (io.out)
		(void)sd_event_source_set_enabled(io.out,
						  io.wait.len > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

void stdio_flush(void)
{
	if (io.mcp)
		flush();
}

static int on_writable(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	(void)context;
	flush();
	return 0;
}

static void send_line(struct mcp_channel *c, const char *json, size_t n, bool is_last, int status)
{
	(void)status;
	if (io.wait.len - io.sent < WAITING_MAX) {
		text_add_n(&io.wait, json, n);
		text_add_n(&io.wait, "\n", 1);
	}
	flush();
	if (is_last && c != &io.channel)
		free(c);
}

static void drop(struct mcp_channel *c)
{
	free(c);
}

/* Each request has a channel of its own, so that it can be told apart. */
static void serve(const char *line, size_t n)
{
	struct mcp_channel *c;
	enum mcp_received got;

	if (n == 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->send = send_line;
	c->drop = drop;
	got = mcp_receive(io.peer, c, line, n);
	if (got == MCP_NOTIFICATION || got == MCP_ANSWER)
		free(c);
}

static int end_input(void)
{
	io.in = sd_event_source_disable_unref(io.in);
	io.mcp->on_over(io.mcp);
	return 0;
}

static int take(void)
{
	size_t done = 0;
	char chunk[CHUNK];
	ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
	char *nl;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return end_input();
	text_add_n(&io.read, chunk, (size_t)n);
	while (io.in && (nl = memchr(io.read.at + done, '\n', io.read.len - done))) {
		size_t len = (size_t)(nl - io.read.at) - done;

		if (!io.skips)
			serve(io.read.at + done, len);
		io.skips = false;
		done += len + 1;
	}
	memmove(io.read.at, io.read.at + done, io.read.len - done);
	io.read.len -= done;
	if (io.read.len > LINE_MAX_BYTES) {
		static const char error[] =
			"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":"
			"\"a message is at most 4 MiB\"}}";

		if (!io.skips)
			send_line(&io.channel, error, sizeof(error) - 1, false, 0);
		io.skips = true;
		io.read.len = 0;
	}
	return 0;
}

static int on_readable(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	(void)context;
	return take();
}

/* A file, which epoll does not take. */
static int on_turn(sd_event_source *s, void *context)
{
	(void)s;
	(void)context;
	return take();
}

static int open_output(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0)
		return -errno;
	io.is_socket = S_ISSOCK(st.st_mode);
	io.fd = io.is_socket ? -1
			     : open("/proc/self/fd/1",
				    O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_APPEND);
	if (io.fd < 0)
		io.fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (io.fd < 0)
		return -errno;
	if (sd_event_add_io(io.mcp->loop, &io.out, io.fd, EPOLLOUT, on_writable, NULL) < 0)
		io.out = NULL; /* a file: written at once */
	else
		(void)sd_event_source_set_enabled(io.out, SD_EVENT_OFF);
	return 0;
}

int stdio_start(struct mcp *m)
{
	int r;

	io.mcp = m;
	io.channel.send = send_line;
	io.peer = mcp_peer_new(m);
	if (!io.peer)
		return -ENOMEM;
	io.peer->standing = &io.channel;
	r = open_output();
	if (r < 0)
		return r;
	r = sd_event_add_io(m->loop, &io.in, STDIN_FILENO, EPOLLIN, on_readable, NULL);
	if (r == -EPERM) {
		r = sd_event_add_defer(m->loop, &io.in, on_turn, NULL);
		if (r >= 0)
			r = sd_event_source_set_enabled(io.in, SD_EVENT_ON);
	}
	return r < 0 ? r : 0;
}
