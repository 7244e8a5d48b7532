/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/uring.h - what is asked of io_uring, where the policy allows it.
 *
 * No system call of its own does it, and it may be done by a thread of the kernel's. It is
 * told when it is submitted, with the kernel's own copy of its names; what comes of it is
 * not waited for: the record is gone by then (io_uring frees the name before it completes).
 */
#ifndef BPF_URING_H
#define BPF_URING_H

#include "bpf/process.h"
#include "bpf/record.h"

/* linux/io_uring.h; and the system call that each is as if it were. */
enum uring_op {
	URING_WRITEV = 2,
	URING_WRITE_FIXED = 5,
	URING_SENDMSG = 9,
	URING_ACCEPT = 13,
	URING_CONNECT = 16,
	URING_FALLOCATE = 17,
	URING_OPENAT = 18,
	URING_WRITE = 23,
	URING_SEND = 26,
	URING_OPENAT2 = 28,
	URING_RENAMEAT = 35,
	URING_UNLINKAT = 36,
	URING_MKDIRAT = 37,
	URING_SYMLINKAT = 38,
	URING_LINKAT = 39,
	URING_SOCKET = 45,
	URING_FTRUNCATE = 55,
	URING_BIND = 56,
	URING_LISTEN = 57,
};

enum {
	AS_SOCKET = 41,
	AS_CONNECT = 42,
	AS_ACCEPT = 43,
	AS_SENDMSG = 46,
	AS_BIND = 49,
	AS_LISTEN = 50,
	AS_FTRUNCATE = 77,
	AS_OPENAT = 257,
	AS_MKDIRAT = 258,
	AS_UNLINKAT = 263,
	AS_LINKAT = 265,
	AS_SYMLINKAT = 266,
	AS_FALLOCATE = 285,
	AS_RENAMEAT2 = 316,
};

/* A name the kernel has copied, and the directory it starts from. */
__noinline int add_kernel_name(struct scratch *s, __u64 from, __s64 dfd, __u32 span)
{
	__u32 pos;
	long len;

	if (!s)
		return 0;
	pos = s->pos;
	if (pos > EVENT_DATA_MAX - EVENT_PATH_MAX)
		return 0;
	len = bpf_probe_read_kernel_str(&s->e.data[pos & (EVENT_DATA_MAX - 1)], EVENT_PATH_MAX,
					(void *)from);
	if (len <= 0) {
		s->e.flags |= EVENT_F_FAULT;
		return 0;
	}
	len = (len - 1) & (EVENT_PATH_MAX - 1);
	s->pos = pos + len;
	s->e.len[span & (EVENT_SPAN_COUNT - 1)] = len;
	if (s->e.data[pos & (EVENT_DATA_MAX - 1)] != '/')
		add_base(s, dfd, span + 1);
	return 0;
}

static __always_inline __u64 chars_of(struct filename *filename)
{
	__u64 name = 0;

	bpf_probe_read_kernel(&name, sizeof(name),
			      (char *)filename + bpf_core_field_offset(struct filename, name));
	return name;
}

static __always_inline void fill_two(struct scratch *s, void *req, __u32 session)
{
	struct io_rename *r = as_type(req, struct io_rename);

	add_kernel_name(s, chars_of(LOAD(r, oldpath)), LOAD(r, old_dfd), EVENT_SPAN_PATH);
	add_kernel_name(s, chars_of(LOAD(r, newpath)), LOAD(r, new_dfd), EVENT_SPAN_PATH2);
	mark_path(s, s->e.len[EVENT_SPAN_PATH] + s->e.len[EVENT_SPAN_BASE],
		  s->e.len[EVENT_SPAN_PATH2], session);
}

/* The link is the path, its target only text: as symlinkat(2) has its arguments. */
static __always_inline void fill_symlink(struct scratch *s, void *req)
{
	struct io_link *l = as_type(req, struct io_link);

	add_kernel_name(s, chars_of(LOAD(l, newpath)), LOAD(l, new_dfd), EVENT_SPAN_PATH);
	add_kernel_name(s, chars_of(LOAD(l, oldpath)), AT_FDCWD, EVENT_SPAN_PATH2);
}

static __always_inline int fill_uring(struct scratch *s, void *req, __u8 opcode, int fd,
				      __u32 session)
{
	struct io_connect *connect;
	struct io_ftrunc *ftrunc;
	struct io_unlink *unlink;
	struct io_socket *socket;
	struct io_mkdir *mkdir;
	struct io_open *open;
	struct io_sync *sync;

	s->e.args[0] = fd;
	switch (opcode) {
	case URING_OPENAT:
	case URING_OPENAT2:
		open = as_type(req, struct io_open);
		s->e.args[5] = LOAD(open, how.flags);
		add_kernel_name(s, chars_of(LOAD(open, filename)), LOAD(open, dfd),
				EVENT_SPAN_PATH);
		mark_path(s, 0, s->e.len[EVENT_SPAN_PATH], session);
		return AS_OPENAT;
	case URING_UNLINKAT:
		unlink = as_type(req, struct io_unlink);
		add_kernel_name(s, chars_of(LOAD(unlink, filename)), LOAD(unlink, dfd),
				EVENT_SPAN_PATH);
		return AS_UNLINKAT;
	case URING_MKDIRAT:
		mkdir = as_type(req, struct io_mkdir);
		s->e.args[2] = LOAD(mkdir, mode);
		add_kernel_name(s, chars_of(LOAD(mkdir, filename)), LOAD(mkdir, dfd),
				EVENT_SPAN_PATH);
		return AS_MKDIRAT;
	case URING_RENAMEAT:
		fill_two(s, req, session);
		return AS_RENAMEAT2;
	case URING_LINKAT:
		fill_two(s, req, session);
		return AS_LINKAT;
	case URING_SYMLINKAT:
		fill_symlink(s, req);
		return AS_SYMLINKAT;
	case URING_CONNECT:
		connect = as_type(req, struct io_connect);
		s->e.flags |= EVENT_F_ADDR;
		add_user_bytes(s, (__u64)BPF_CORE_READ(connect, addr),
			       LOAD(connect, addr_len) & 127, EVENT_SPAN_PATH);
		return AS_CONNECT;
	case URING_SOCKET:
		socket = as_type(req, struct io_socket);
		s->e.args[0] = LOAD(socket, domain);
		s->e.args[1] = LOAD(socket, type);
		s->e.args[2] = LOAD(socket, protocol);
		return AS_SOCKET;
	case URING_FALLOCATE:
		sync = as_type(req, struct io_sync);
		s->e.args[1] = LOAD(sync, mode);
		s->e.args[2] = LOAD(sync, off);
		s->e.args[3] = LOAD(sync, len);
		s->e.flags |= EVENT_F_KERNEL;
		add_fd_path(s, fd, EVENT_SPAN_PATH);
		return AS_FALLOCATE;
	case URING_FTRUNCATE:
		ftrunc = as_type(req, struct io_ftrunc);
		/* since 6.9 */
		if (bpf_core_type_exists(struct io_ftrunc))
			s->e.args[1] = LOAD(ftrunc, len);
		s->e.flags |= EVENT_F_KERNEL;
		add_fd_path(s, fd, EVENT_SPAN_PATH);
		return AS_FTRUNCATE;
	case URING_SEND:
	case URING_SENDMSG:
		return AS_SENDMSG;
	case URING_ACCEPT:
		return AS_ACCEPT;
	case URING_BIND:
		return AS_BIND;
	case URING_LISTEN:
		return AS_LISTEN;
	default:
		return -1;
	}
}

static __always_inline bool is_told_op(__u8 opcode, void *req)
{
	struct io_open *open = as_type(req, struct io_open);
	__u64 flags;

	if (opcode == URING_OPENAT || opcode == URING_OPENAT2) {
		flags = LOAD(open, how.flags);
		return (flags & O_ACCMODE) || (flags & (O_CREAT | O_TRUNC));
	}
	return opcode == URING_CONNECT || opcode == URING_FALLOCATE || opcode == URING_ACCEPT ||
	       opcode == URING_SENDMSG || opcode == URING_SEND ||
	       (opcode >= URING_RENAMEAT && opcode <= URING_LINKAT) || opcode == URING_SOCKET ||
	       (opcode >= URING_FTRUNCATE && opcode <= URING_LISTEN);
}

#endif
