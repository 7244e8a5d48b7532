// SPDX-License-Identifier: Apache-2.0
/*
 * asks_uring [poll] - files, names and sockets, all by io_uring: no system call of its own does any of it.
 *
 * "poll": a thread of the kernel's takes the requests, and no io_uring_enter(2) is made for them. Prints what came of
 * each, a line each.
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ENTRIES 8

static struct io_uring_params params;
static unsigned char *sq, *cq;
static struct io_uring_sqe *sqes;
static int ring, polls;

static unsigned int *at(unsigned char *base, unsigned int offset)
{
	return (unsigned int *)(void *)(base + offset);
}

static int start(void)
{
	size_t size = params.sq_off.array + params.sq_entries * sizeof(unsigned int);
	size_t cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);

	sq = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, cq_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		    ring, IORING_OFF_SQES);
	return sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED ? -1 : 0;
}

/* Puts one in, and waits for what comes of it. */
static int ask(const char *name, const struct io_uring_sqe *one)
{
	unsigned int tail = *at(sq, params.sq_off.tail), head = *at(cq, params.cq_off.head);
	unsigned int slot = tail & *at(sq, params.sq_off.ring_mask);
	struct io_uring_cqe *cqe;
	int res;

	sqes[slot] = *one;
	at(sq, params.sq_off.array)[slot] = slot;
	__atomic_store_n(at(sq, params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (!polls || (__atomic_load_n(at(sq, params.sq_off.flags), __ATOMIC_SEQ_CST) &
		       IORING_SQ_NEED_WAKEUP))
		(void)syscall(SYS_io_uring_enter, ring, 1, polls ? 0 : 1,
			      polls ? IORING_ENTER_SQ_WAKEUP : IORING_ENTER_GETEVENTS, NULL, 0);
	while (__atomic_load_n(at(cq, params.cq_off.tail), __ATOMIC_ACQUIRE) == head)
		;
	cqe = (struct io_uring_cqe *)(void *)(cq + params.cq_off.cqes) +
	      (head & *at(cq, params.cq_off.ring_mask));
	res = cqe->res;
	__atomic_store_n(at(cq, params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	(void)printf("%s %d\n", name, res);
	return res;
}

#define ASK(name, op, ...) ask(name, &(struct io_uring_sqe){ .opcode = (op), __VA_ARGS__ })
#define TEXT(s) ((uint64_t)(uintptr_t)(s))

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char ten[] = "ten bytes\n";
	struct iovec piece = { ten, 10 };
	int fd, sock, innocent, evil, pipe_fds[2], fds[64];

	polls = argc > 1 && strcmp(argv[1], "poll") == 0;
	params.flags = polls ? IORING_SETUP_SQPOLL : 0;
	params.sq_thread_idle = 1000;
	ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring < 0 || start() < 0) {
		perror("io_uring_setup");
		return 1;
	}
	ASK("mkdir", IORING_OP_MKDIRAT, .fd = AT_FDCWD, .addr = TEXT("ring-dir"), .len = 0750);
	fd = ASK("create", IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = TEXT("ring-dir/../ring-file"),
		 .open_flags = O_CREAT | O_RDWR, .len = 0640);
	ASK("write", IORING_OP_WRITE, .fd = fd, .addr = TEXT("hello"), .len = 5);
	ASK("read", IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = TEXT("/etc/passwd"),
	    .open_flags = O_RDONLY);
	ASK("link", IORING_OP_LINKAT, .fd = AT_FDCWD, .addr = TEXT("ring-file"),
	    .len = (unsigned int)AT_FDCWD, .addr2 = TEXT("ring-link"));
	ASK("symlink", IORING_OP_SYMLINKAT, .fd = AT_FDCWD, .addr = TEXT("target"),
	    .addr2 = TEXT("ring-sym"));
	ASK("rename", IORING_OP_RENAMEAT, .fd = AT_FDCWD, .addr = TEXT("ring-link"),
	    .len = (unsigned int)AT_FDCWD, .addr2 = TEXT("ring-new"));
	ASK("unlink", IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = TEXT("ring-new"));
	sock = ASK("socket", IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM);
	ASK("connect", IORING_OP_CONNECT, .fd = sock, .addr = TEXT(&to), .off = sizeof(to));
	ASK("mkdir-again", IORING_OP_MKDIRAT, .fd = AT_FDCWD, .addr = TEXT("ring-dir"));
	ASK("unlink-again", IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = TEXT("ring-new"));
	/* a number of a registered file: another one is meant than the descriptor of that number */
	innocent = open("ring-innocent", O_WRONLY | O_CREAT, 0644);
	evil = open("ring-evil", O_WRONLY | O_CREAT, 0644);
	for (int i = 0; i < 64; i++)
		fds[i] = -1;
	fds[innocent] = evil;
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, fds, 64) < 0)
		return 2;
	(void)close(evil);
	ASK("write-registered", IORING_OP_WRITEV, .fd = innocent, .flags = IOSQE_FIXED_FILE,
	    .addr = TEXT(&piece), .len = 1);
	ASK("allocate-registered", IORING_OP_FALLOCATE, .fd = innocent, .flags = IOSQE_FIXED_FILE,
	    .len = 0, .addr = 4096);
	if (pipe(pipe_fds) < 0 || write(pipe_fds[1], "spliced\n", 8) != 8)
		return 3;
	ASK("splice", IORING_OP_SPLICE, .fd = fd, .splice_fd_in = pipe_fds[0],
	    .splice_off_in = (uint64_t)-1, .off = (uint64_t)-1, .len = 8);
	ASK("setxattr", IORING_OP_FSETXATTR, .fd = fd, .addr = TEXT("user.ring"),
	    .addr2 = TEXT("x"), .len = 1);
	ASK("write-too-far", IORING_OP_WRITE, .fd = pipe_fds[0], .addr = TEXT(ten), .len = 10);
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	ASK("send", IORING_OP_SEND, .fd = sock, .addr = TEXT(ten), .len = 10, .addr2 = TEXT(&to),
	    .addr_len = sizeof(to));
	return 0;
}
