// SPDX-License-Identifier: Apache-2.0
/* sandbox/base/fd.h - file descriptors and memory that clean up after themselves. */
#ifndef SANDBOX_BASE_FD_H
#define SANDBOX_BASE_FD_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void fd_done(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing to do about a failed close */
	*fd = -1;
	errno = saved;
}

static inline int fd_take(int *fd)
{
	int owned = *fd;

	*fd = -1;
	return owned;
}

static inline void mem_done(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

#define AUTO_FD __attribute__((cleanup(fd_done))) int
#define AUTO_MEM __attribute__((cleanup(mem_done)))
#define TAKE(p)                            \
	__extension__({                    \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A bug, not an error. Safe to abort on: every call dies with its supervisor. */
#define must(cond) ((cond) ? (void)0 : abort())

#endif
