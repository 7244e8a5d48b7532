// SPDX-License-Identifier: Apache-2.0
/* waits_uring - asks io_uring to accept a connection, which comes a second later. */
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	struct io_uring_params params = { 0 };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	struct io_uring_sqe *sqe;
	unsigned char *sq;

	if (ring < 0 || bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(server, 1) < 0 || getsockname(server, (struct sockaddr *)&at, &len) < 0)
		return 1;
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned int),
		  PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, params.sq_entries * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		   IORING_OFF_SQES);
	if (sq == MAP_FAILED || sqe == MAP_FAILED)
		return 2;
	*sqe = (struct io_uring_sqe){ .opcode = IORING_OP_ACCEPT, .fd = server };
	*(unsigned int *)(void *)(sq + params.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(void *)(sq + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) != 1)
		return 3;
	/* that it takes long is what is tried, not how long */
	(void)poll(NULL, 0, 1000);
	if (connect(client, (struct sockaddr *)&at, sizeof(at)) < 0)
		return 4;
	return syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 ? 5 : 0;
}
