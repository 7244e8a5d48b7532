// SPDX-License-Identifier: Apache-2.0
/* supervisor/ring.h - the reader's end of a BPF ring buffer (BPF_MAP_TYPE_RINGBUF, 5.8). */
#ifndef SUPERVISOR_RING_H
#define SUPERVISOR_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	int fd; /* of the map; borrowed. poll(2) on it waits for records */
	uint64_t size;
	uint64_t taken; /* everything before it was given to `fn`; atomic */
	uint64_t *consumer; /* mapped: what the kernel knows of `taken` */
	const uint64_t *producer; /* mapped, with the data behind it */
	const char *data;
};

/* Negative: leave the rest for the next time; the record itself was taken. */
typedef int (*ring_fn)(void *context, void *record, size_t size);

/* `size`: max_entries of the map. 0 or -errno. */
int ring_open(struct ring *r, int map_fd, uint64_t size);

/* Gives each record that is whole to `fn`, in order; `record` is borrowed until it returns,
 * and the kernel side writes it no more. */
void ring_take(struct ring *r, ring_fn fn, void *context);

/* Where the kernel side is; any thread may ask. */
uint64_t ring_produced(const struct ring *r);

/* Zeroed is nothing. */
void ring_done(struct ring *r);

#endif
