// SPDX-License-Identifier: Apache-2.0
/* supervisor/brake.c - a call is held while the reader of its events is behind. */
#include "supervisor/brake.h"

#include <errno.h>
#include <unistd.h>

#include "sandbox/base/io.h"

void brake_init(struct brake *b, int fd)
{
	*b = (struct brake){ .fd = fd };
	(void)pthread_mutex_init(&b->lock, NULL);
}

void brake_done(struct brake *b)
{
	b->fd = -1;
	(void)pthread_mutex_destroy(&b->lock);
}

static int put(const struct brake *b, bool frozen)
{
	return pwrite(b->fd, frozen ? "1" : "0", 1, 0) < 0 ? -errno : 0;
}

int brake_pause(struct brake *b, bool pause)
{
	int r = 0;

	(void)pthread_mutex_lock(&b->lock);
	/* while it is braked it is frozen already, and the monitor lets it go */
	if (pause || !b->is_braked)
		r = put(b, pause);
	if (r == 0)
		b->is_paused = pause;
	(void)pthread_mutex_unlock(&b->lock);
	return r;
}

void brake_set(struct brake *b, bool brake)
{
	(void)pthread_mutex_lock(&b->lock);
	if (brake != b->is_braked) {
		uint64_t now = io_now_ns();

		/* a group that is gone has nothing to hold */
		if (!b->is_paused)
			(void)put(b, brake);
		b->is_braked = brake;
		if (brake) {
			b->count++;
			b->since_ns = now;
		} else {
			b->braked_ns += now - b->since_ns;
		}
	}
	(void)pthread_mutex_unlock(&b->lock);
}
