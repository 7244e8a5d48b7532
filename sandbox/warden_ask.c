// SPDX-License-Identifier: Apache-2.0
/* sandbox/warden_ask.c - the supervisor's end of the warden's socket. */
#include "sandbox/warden.h"

#include <errno.h>
#include <pthread.h>

#include "sandbox/base/io.h"

/* One question at a time, whichever thread asks: answers carry no number. */
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

int warden_ask(int sock, const struct sb_request *q, const int *fds, unsigned int count,
	       struct sb_reply *ret, int *ret_fds, unsigned int *ret_count)
{
	unsigned int n = 0;
	int r;

	(void)pthread_mutex_lock(&one);
	r = io_send(sock, q, sizeof(*q), fds, count);
	if (r == 0) {
		r = io_recv(sock, ret, sizeof(*ret), ret_fds, &n);
		r = r == 0 ? -EPIPE : r;
	}
	(void)pthread_mutex_unlock(&one);
	if (r <= 0)
		return r == 0 ? -EPIPE : r;
	*ret_count = n;
	return 0;
}
