// SPDX-License-Identifier: Apache-2.0
/* sandbox/base/io.h - small file and socket helpers without policy. */
#ifndef SANDBOX_BASE_IO_H
#define SANDBOX_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Fds in one message: stdio, call block, filter, two sockets and room. The
 * kernel's own limit is 253 (SCM_MAX_FD). */
#define IO_FDS_MAX 16

/* Writes all of `size` bytes, through short writes and EINTR. 0 or -errno. */
int io_write_all(int fd, const void *data, size_t size);

/* Reads up to `size` bytes until end of file. Bytes read or -errno. */
ssize_t io_read_full(int fd, void *data, size_t size);

/* Writes `text` to `path` below `dir` in one write(2), as kernel files want.
 * Never creates a file. 0 or -errno. */
int io_write_file(int dir, const char *path, const char *text);

/* Reads a small kernel file whole; *ret_text is NUL-terminated. Bytes or -errno
 * (-E2BIG when it did not fit). */
ssize_t io_read_file(int dir, const char *path, char *ret_text, size_t size);

/* Sends one message with `count` fds over a seqpacket socket; the fds stay the
 * caller's. 0 or -errno. */
int io_send(int sock, const void *data, size_t size, const int *fds, unsigned int count);

/* Receives one message of exactly `size` bytes and up to IO_FDS_MAX fds, close
 * on exec, which become the caller's. Any other size is -EBADMSG, with every fd
 * closed. 1 on success, 0 at end of file, -errno. */
int io_recv(int sock, void *ret_data, size_t size, int *ret_fds, unsigned int *ret_count);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t io_now_ns(void);

#endif
