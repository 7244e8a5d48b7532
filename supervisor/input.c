// SPDX-License-Identifier: Apache-2.0
/* supervisor/input.c - standard input of a call, from the protocol. */
#include "supervisor/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/text.h"

#define END_OF_FILE_KEY "\004"

struct input {
	int to; /* -1: closed */
	bool is_tty;
	bool closes; /* when all is written */
	struct text waiting;
	sd_event_source *source;
};

static void shut(struct input *in)
{
	in->source = sd_event_source_disable_unref(in->source);
	text_done(&in->waiting);
	if (!in->is_tty)
		fd_done(&in->to);
}

static void step(struct input *in)
{
	size_t done = 0;

	while (done < in->waiting.len) {
		ssize_t n = write(in->to, in->waiting.at + done, in->waiting.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) { /* nobody reads it any more */
			in->closes = true;
			done = in->waiting.len;
			break;
		}
		done += (size_t)n;
	}
	if (done > 0) {
		memmove(in->waiting.at, in->waiting.at + done, in->waiting.len - done);
		in->waiting.len -= done;
	}
	if (in->waiting.len == 0 && in->closes)
		shut(in);
	else if (in->source)
		(void)sd_event_source_set_enabled(in->source,
						  in->waiting.len ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_writable(sd_event_source *s, int fd, uint32_t events, void *context)
{
	(void)s;
	(void)fd;
	(void)events;
	step(context);
	return 0;
}

int input_new(sd_event *loop, int to, bool is_tty, struct input **ret)
{
	struct input *in = calloc(1, sizeof(*in));
	int r;

	if (!in) {
		fd_done(&to);
		return -ENOMEM;
	}
	in->to = to;
	in->is_tty = is_tty;
	r = sd_event_add_io(loop, &in->source, to, EPOLLOUT, on_writable, in);
	if (r >= 0)
		r = sd_event_source_set_enabled(in->source, SD_EVENT_OFF);
	if (r < 0) {
		input_free(in);
		return r;
	}
	*ret = in;
	return 0;
}

int input_add(struct input *in, const char *data, size_t size, bool close)
{
	if (in->closes || in->to < 0)
		return -EPIPE;
	if (in->waiting.len + size > INPUT_WAIT_MAX)
		return -ENOBUFS;
	text_add_n(&in->waiting, data, size);
	if (close && in->is_tty)
		text_add(&in->waiting, END_OF_FILE_KEY);
	if (in->waiting.failed)
		return -ENOMEM;
	in->closes = close && !in->is_tty;
	step(in);
	return 0;
}

int input_fd(const struct input *in)
{
	return in ? in->to : -1;
}

void input_free(struct input *in)
{
	if (!in)
		return;
	shut(in);
	fd_done(&in->to);
	free(in);
}
