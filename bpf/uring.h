/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/uring.h - what is asked of io_uring, where the policy allows it.
 *
 * No system call of its own does it, and it may be done by a thread of the kernel's. When it
 * is submitted its names are the kernel's own copy, and gone before it is done; when it is
 * done its result is known, and its file is the one that was used, whatever the number meant
 * (a number of a registered file is none of a descriptor). So there are two records, which
 * user space joins. One that asks for no answer when it succeeds is told as it was asked: its
 * failures could be another request's.
 */
#ifndef BPF_URING_H
#define BPF_URING_H

#include "bpf/address.h"
#include "bpf/process.h"
#include "bpf/record.h"
#include "bpf/write.h"

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
	URING_SPLICE = 30,
	URING_SYMLINKAT = 38,
	URING_LINKAT = 39,
	URING_FSETXATTR = 41,
	URING_SETXATTR = 42,
	URING_SOCKET = 45,
	URING_SEND_ZC = 47,
	URING_SENDMSG_ZC = 48,
	URING_FTRUNCATE = 55,
	URING_BIND = 56,
	URING_LISTEN = 57,
	URING_WRITEV_FIXED = 61,
};

/* IOSQE_CQE_SKIP_SUCCESS is the same bit of the kernel's flags. */
#define REQ_F_CQE_SKIP (1u << 6)

enum {
	AS_WRITE = 1,
	AS_SOCKET = 41,
	AS_CONNECT = 42,
	AS_ACCEPT = 43,
	AS_SENDMSG = 46,
	AS_BIND = 49,
	AS_LISTEN = 50,
	AS_FTRUNCATE = 77,
	AS_SETXATTR = 188,
	AS_FSETXATTR = 190,
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

/* An address that the request has a copy of; as sockets have it, not as struct kernel_addr. */
static __always_inline void add_own_addr(struct scratch *s, struct io_kiocb *req)
{
	struct io_sr_msg *send = as_type((void *)req, struct io_sr_msg);
	struct io_async_msghdr *copy = 0;
	__u32 len;
	void *name;

	if (bpf_core_field_exists(send->addr)) {
		if (LOAD(send, addr)) {
			s->e.flags |= EVENT_F_ADDR;
			add_user_bytes(s, (__u64)LOAD(send, addr), LOAD(send, addr_len) & 127,
				       EVENT_SPAN_PATH);
		}
		return;
	}
	if (!bpf_core_type_exists(struct io_async_msghdr) ||
	    !bpf_core_field_exists(copy->msg.msg_name))
		return;
	copy = as_type(LOAD(req, async_data), struct io_async_msghdr);
	name = LOAD(copy, msg.msg_name);
	len = LOAD(copy, msg.msg_namelen);
	if (!name || len > 128)
		return;
	forget(len);
	len &= 255;
	if (len > 128 || bpf_probe_read_kernel(s->e.data, len, name))
		return;
	s->e.flags |= EVENT_F_ADDR;
	s->pos = len;
	s->e.len[EVENT_SPAN_PATH] = len;
}

static __always_inline int fill_names(struct scratch *s, void *req, __u8 opcode, __u32 session)
{
	struct io_unlink *unlink;
	struct io_xattr *xattr;
	struct io_rename *rename;
	struct io_mkdir *mkdir;
	struct io_open *open;

	switch (opcode) {
	case URING_OPENAT:
	case URING_OPENAT2:
		open = as_type(req, struct io_open);
		s->e.args[EVENT_ARG_URING_FLAGS] = LOAD(open, how.flags);
		add_kernel_name(s, chars_of(LOAD(open, filename)), LOAD(open, dfd),
				EVENT_SPAN_PATH);
		if (s->e.args[EVENT_ARG_URING_FLAGS] & (O_ACCMODE | O_CREAT | O_TRUNC))
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
		rename = as_type(req, struct io_rename);
		s->e.args[EVENT_ARG_URING_FLAGS] = LOAD(rename, flags);
		fill_two(s, req, session);
		return AS_RENAMEAT2;
	case URING_LINKAT:
		fill_two(s, req, session);
		return AS_LINKAT;
	case URING_SYMLINKAT:
		fill_symlink(s, req);
		return AS_SYMLINKAT;
	case URING_SETXATTR:
		xattr = as_type(req, struct io_xattr);
		add_kernel_name(s, chars_of(LOAD(xattr, filename)), AT_FDCWD, EVENT_SPAN_PATH);
		return AS_SETXATTR;
	default:
		return -1;
	}
}

static __always_inline int fill_socket(struct scratch *s, void *req, __u8 opcode)
{
	struct io_connect *connect;
	struct io_socket *socket;

	switch (opcode) {
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
	case URING_SEND:
	case URING_SENDMSG:
	case URING_SEND_ZC:
	case URING_SENDMSG_ZC:
		add_own_addr(s, as_type(req, struct io_kiocb));
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

static __always_inline int fill_by_fd(struct scratch *s, void *req, __u8 opcode)
{
	struct io_ftrunc *ftrunc;
	struct io_sync *sync;

	switch (opcode) {
	case URING_FALLOCATE:
		sync = as_type(req, struct io_sync);
		s->e.args[1] = LOAD(sync, mode);
		s->e.args[2] = LOAD(sync, off);
		s->e.args[3] = LOAD(sync, len);
		return AS_FALLOCATE;
	case URING_FTRUNCATE:
		ftrunc = as_type(req, struct io_ftrunc);
		/* since 6.9 */
		if (bpf_core_type_exists(struct io_ftrunc))
			s->e.args[1] = LOAD(ftrunc, len);
		return AS_FTRUNCATE;
	case URING_FSETXATTR:
		return AS_FSETXATTR;
	default:
		return -1;
	}
}

static __always_inline bool is_write_op(__u8 opcode)
{
	return opcode == URING_WRITE || opcode == URING_WRITE_FIXED || opcode == URING_WRITEV ||
	       opcode == URING_WRITEV_FIXED || opcode == URING_SPLICE;
}

/* As which system call it is told; -1: it changes nothing. */
static __always_inline int number_of_op(__u8 opcode, struct scratch *s, void *req, __u32 session)
{
	int nr = fill_names(s, req, opcode, session);

	if (nr < 0)
		nr = fill_socket(s, req, opcode);
	return nr < 0 ? fill_by_fd(s, req, opcode) : nr;
}

static __always_inline bool is_open_op(__u8 opcode)
{
	return opcode == URING_OPENAT || opcode == URING_OPENAT2;
}

static __always_inline bool is_told_op(__u8 opcode)
{
	return is_open_op(opcode) || opcode == URING_CONNECT || opcode == URING_FALLOCATE ||
	       opcode == URING_ACCEPT || opcode == URING_SENDMSG || opcode == URING_SEND ||
	       opcode == URING_SEND_ZC || opcode == URING_SENDMSG_ZC ||
	       (opcode >= URING_RENAMEAT && opcode <= URING_LINKAT) || opcode == URING_FSETXATTR ||
	       opcode == URING_SETXATTR || opcode == URING_SOCKET ||
	       (opcode >= URING_FTRUNCATE && opcode <= URING_LISTEN);
}

/* Of which file a done request was, where that says more than it said when it was asked. */
static __always_inline void fill_done(struct scratch *s, struct watch_call *c, struct io_kiocb *req,
				      __u32 opcode, int res)
{
	struct io_open *open = as_type((void *)req, struct io_open);
	__u64 file = 0;

	/* into a slot of the ring's own, its answer is no descriptor */
	if (is_open_op(opcode))
		file = res > 0 && !LOAD(open, file_slot) ? file_of_fd(res) : 0;
	else if (opcode == URING_FALLOCATE || opcode == URING_FTRUNCATE ||
		 opcode == URING_FSETXATTR)
		file = (__u64)LOAD(req, file);
	if (!file)
		return;
	s->e.flags |= EVENT_F_KERNEL;
	if (is_open_op(opcode)) {
		if (LOAD(FILE_AT(file), f_mode) & FMODE_CREATED)
			s->e.flags |= EVENT_F_CREATED;
		s->e.args[EVENT_ARG_URING_PLACE] = new_place(c, FILE_AT(file));
	}
	add_path(s, file + bpf_core_field_offset(struct file, f_path), EVENT_SPAN_PATH);
}

static __always_inline int submitted(struct io_kiocb *trusted)
{
	struct io_kiocb *req = as_type((void *)trusted, struct io_kiocb);
	struct watch_call *c = find_call(CURRENT());
	struct asked a = { .opcode = LOAD(req, opcode), .nr = AS_WRITE };
	__u64 key = (__u64)trusted;
	struct scratch *s;
	int nr;

	if (!c)
		return 0;
	/* what was known of this memory is of a request that is no more */
	bpf_map_delete_elem(&watch_asked, &key);
	a.generation = c->generation;
	a.user_data = LOAD(req, cqe.user_data);
	/* written is what it has written in the end */
	if (is_write_op(a.opcode)) {
		bpf_map_update_elem(&watch_asked, &key, &a, BPF_ANY);
		return 0;
	}
	if (!is_told_op(a.opcode))
		return 0;
	s = begin(SCRATCH_URING, c, EVENT_URING);
	if (!s)
		return 0;
	s->e.args[0] = LOAD(req, cqe.fd);
	nr = number_of_op(a.opcode, s, trusted, c->session);
	s->e.nr = nr;
	a.nr = nr;
	if (!(LOAD(req, flags) & REQ_F_CQE_SKIP)) {
		a.serial = __sync_fetch_and_add(&watch_asked_serial, 1) + 1;
		s->e.args[EVENT_ARG_URING_REQUEST] = a.serial;
		bpf_map_update_elem(&watch_asked, &key, &a, BPF_ANY);
	}
	finish(s, c->flags, nr == AS_CONNECT ? EVENT_CLASS_DENIED : EVENT_CLASS_FILE, false);
	return 0;
}

static __always_inline int done(void *request, int res)
{
	struct io_kiocb *req = as_type(request, struct io_kiocb);
	__u64 key = (__u64)request;
	struct asked *known = bpf_map_lookup_elem(&watch_asked, &key), a;
	struct watch_call *c;
	struct scratch *s;

	if (!known)
		return 0;
	a = *known;
	if (a.opcode != LOAD(req, opcode) || a.user_data != LOAD(req, cqe.user_data))
		return 0;
	bpf_map_delete_elem(&watch_asked, &key);
	/* of one of the requests that this thread has done, nobody knows which */
	if (!is_write_op(a.opcode))
		forget_addr();
	/* it may be done by whoever is there; then it is told as it was asked */
	c = find_call(CURRENT());
	if (!c || c->generation != a.generation)
		return 0;
	if (is_write_op(a.opcode)) {
		if (res > 0)
			count_write_file(c, (__u64)LOAD(req, file), a.nr, res);
		return 0;
	}
	s = begin(SCRATCH_URING, c, EVENT_URING_DONE);
	if (!s)
		return 0;
	s->e.nr = a.nr;
	s->e.ret = res;
	s->e.args[EVENT_ARG_URING_REQUEST] = a.serial;
	fill_done(s, c, req, a.opcode, res);
	finish(s, c->flags, a.nr == AS_CONNECT ? EVENT_CLASS_DENIED : EVENT_CLASS_FILE, false);
	return 0;
}

#endif
