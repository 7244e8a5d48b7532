// SPDX-License-Identifier: Apache-2.0
/*
 * lies_uring skip | open FILE | unlink FILE | read FILE | cut - what io_uring does without a word, or never does.
 *
 * "skip": four requests that want no answer when they succeed, and after each many that fail with a number of the
 * tool's own. "open", "unlink": behind a timer that ends the chain, so it is never done. "cut": ftruncate of a file
 * that the same descriptor made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 256
#define NOPS 128
/* linux/io_uring.h of later kernels */
#define OP_FTRUNCATE 55
#define NOP_INJECT_RESULT 1u
#define TEXT(s) ((uint64_t)(uintptr_t)(s))

static struct io_uring_params params;
static unsigned char *sq, *cq;
static struct io_uring_sqe *sqes;
static int ring;
static unsigned int waiting; /* put in, and not submitted */

static unsigned int *at(unsigned char *base, unsigned int offset)
{
	return (unsigned int *)(void *)(base + offset);
}

static int start(void)
{
	size_t cq_size;

	ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring < 0)
		return -1;
	cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned int),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		    ring, IORING_OFF_SQES);
	return sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED ? -1 : 0;
}

static void put(const struct io_uring_sqe *one)
{
	unsigned int tail = *at(sq, params.sq_off.tail);
	unsigned int slot = tail & *at(sq, params.sq_off.ring_mask);

	sqes[slot] = *one;
	at(sq, params.sq_off.array)[slot] = slot;
	__atomic_store_n(at(sq, params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	waiting++;
}

/* Submits, waits for `answers`, and takes all there are; the last of them is returned. */
static int run(unsigned int answers)
{
	unsigned int head, tail;
	int res = 0;

	(void)syscall(SYS_io_uring_enter, ring, waiting, answers, IORING_ENTER_GETEVENTS, NULL, 0);
	waiting = 0;
	tail = __atomic_load_n(at(cq, params.cq_off.tail), __ATOMIC_ACQUIRE);
	for (head = *at(cq, params.cq_off.head); head != tail; head++)
		res = ((struct io_uring_cqe *)(void *)(cq + params.cq_off.cqes) +
		       (head & *at(cq, params.cq_off.ring_mask)))
			      ->res;
	__atomic_store_n(at(cq, params.cq_off.head), head, __ATOMIC_RELEASE);
	return res;
}

#define PUT(op, ...) put(&(struct io_uring_sqe){ .opcode = (op), .fd = AT_FDCWD, __VA_ARGS__ })

static int skip(void)
{
	/* each is done when there is, or is not any more, what it was about */
	static const char *const about[] = { "victim", "made", "file", "new" };
	const struct io_uring_sqe all[] = {
		{ .opcode = IORING_OP_UNLINKAT, .addr = TEXT("victim") },
		{ .opcode = IORING_OP_MKDIRAT, .addr = TEXT("made"), .len = 0755 },
		{ .opcode = IORING_OP_OPENAT,
		  .addr = TEXT("file"),
		  .open_flags = O_CREAT | O_RDWR,
		  .len = 0600 },
		{ .opcode = IORING_OP_RENAMEAT,
		  .addr = TEXT("file"),
		  .addr2 = TEXT("new"),
		  .len = (unsigned int)AT_FDCWD },
	};

	for (int i = 0; i < 4; i++) {
		struct io_uring_sqe one = all[i];

		one.fd = AT_FDCWD;
		one.flags = IOSQE_CQE_SKIP_SUCCESS;
		put(&one);
		(void)run(0);
		while ((access(about[i], F_OK) == 0) == (i == 0))
			;
		for (int k = 0; k < NOPS; k++)
			PUT(IORING_OP_NOP, .rw_flags = NOP_INJECT_RESULT,
			    .len = (unsigned int)-EACCES);
		(void)run(NOPS);
	}
	return 0;
}

static int behind_timer(const struct io_uring_sqe *one)
{
	/* longer than an answer is waited for */
	int64_t ts[2] = { 0, 700000000 };

	PUT(IORING_OP_TIMEOUT, .addr = TEXT(ts), .len = 1, .flags = IOSQE_IO_LINK);
	put(one);
	return run(2) == -ECANCELED ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "", *file = argc > 2 ? argv[2] : "";
	int fd;

	if (start() < 0) {
		perror("io_uring_setup");
		return 1;
	}
	if (strcmp(how, "skip") == 0)
		return skip();
	if (strcmp(how, "open") == 0)
		return behind_timer(
			&(struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
						.fd = AT_FDCWD,
						.addr = TEXT(file),
						.open_flags = O_CREAT | O_TRUNC | O_RDWR,
						.len = 0600 });
	if (strcmp(how, "unlink") == 0)
		return behind_timer(&(struct io_uring_sqe){
			.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = TEXT(file) });
	if (strcmp(how, "read") == 0) {
		PUT(IORING_OP_OPENAT, .addr = TEXT(file), .open_flags = O_RDONLY);
		return run(1) < 0;
	}
	fd = open("cut", O_RDWR | O_CREAT, 0600);
	put(&(struct io_uring_sqe){ .opcode = OP_FTRUNCATE, .fd = fd, .off = 5 });
	return run(1) == 0 ? 0 : 2;
}
