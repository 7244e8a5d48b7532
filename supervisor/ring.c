// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/ring.c - the reader's end of a BPF ring buffer.
 *
 * The kernel's programs look at the consumer's position for each record they write. A reader
 * that moves it for each record it takes has that line of the cache travel between the two
 * processors all the time, which costs the tool some 60 ns a record; here it is moved once
 * for some hundred of them, so they see a little less room than there is.
 *
 * The layout is the kernel's (kernel/bpf/ringbuf.c, libbpf's ringbuf.c): a page with the
 * consumer's position, one with the producer's, and the data twice in a row, so that a record
 * at the end goes on.
 */
#include "supervisor/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

/* A 128th of the ring of 8 MiB. */
#define PUBLISH_BYTES (64u << 10)

int ring_open(struct ring *r, int map_fd, uint64_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at;

	*r = (struct ring){ .fd = map_fd, .size = size };
	at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	r->consumer = at;
	at = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
	if (at == MAP_FAILED) {
		int error = errno;

		ring_done(r);
		return -error;
	}
	r->producer = at;
	r->data = (const char *)at + page;
	r->taken = *r->consumer;
	return 0;
}

static void publish(struct ring *r)
{
	__atomic_store_n(r->consumer, r->taken, __ATOMIC_RELEASE);
}

uint64_t ring_produced(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
}

void ring_take(struct ring *r, ring_fn fn, void *context)
{
	uint64_t produced = ring_produced(r);
	uint64_t published = r->taken;
	int left = 0;

	while (left >= 0 && r->taken < produced) {
		const char *head = r->data + (r->taken & (r->size - 1));
		uint32_t word =
			__atomic_load_n((const uint32_t *)(const void *)head, __ATOMIC_ACQUIRE);
		uint32_t size = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		/* it is being written: so are those behind it, as far as we know */
		if (word & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(word & BPF_RINGBUF_DISCARD_BIT))
			left = fn(context, (void *)(uintptr_t)(head + BPF_RINGBUF_HDR_SZ), size);
		__atomic_store_n(&r->taken, r->taken + (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8,
				 __ATOMIC_RELEASE);
		if (r->taken - published >= PUBLISH_BYTES) {
			publish(r);
			published = r->taken;
		}
		if (r->taken == produced)
			produced = ring_produced(r);
	}
	publish(r);
}

void ring_done(struct ring *r)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (r->consumer)
		(void)munmap(r->consumer, page);
	if (r->producer)
		(void)munmap((void *)(uintptr_t)r->producer, page + 2 * r->size);
	*r = (struct ring){ .fd = -1 };
}
