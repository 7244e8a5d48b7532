/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/address.h - addresses of sockets: the kernel's copy where there is one.
 *
 * The tool's memory may hold another one by the time a call returns. A hook of the control
 * group sees what the kernel copied of an IPv4 or IPv6 address before it is used; it is kept
 * for the thread until the call returns. What a socket has become is asked of the socket.
 */
#ifndef BPF_ADDRESS_H
#define BPF_ADDRESS_H

#include "bpf/record.h"

#define UNIX_NAME_MAX 111 /* sizeof(struct sockaddr_un), and a NUL where it is full */

/* Of many messages only the last one's is known. A send may connect (MSG_FASTOPEN). */
static __always_inline bool is_hook_of(__u32 hook, __u16 more)
{
	if (more & WATCH_LOCAL)
		return hook == ADDR_HOOK_BIND;
	if (more & WATCH_MMSG)
		return false;
	return hook == ADDR_HOOK_CONNECT ||
	       (hook == ADDR_HOOK_SEND && (more & (WATCH_SEND | WATCH_MSG)));
}

/* The address that a connect(2) or a send, or a bind(2) that failed, was given: the kernel's
 * copy where a hook saw it, whatever the tool's memory holds by now. */
static __always_inline void add_sockaddr(struct scratch *s, __u16 more)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct kernel_addr *k = bpf_map_lookup_elem(&watch_addrs, &id);
	__u64 from = s->e.args[1];
	__u32 len = s->e.args[2];
	struct kernel_addr now = { 0 };

	if (more & WATCH_SEND) {
		from = s->e.args[4];
		len = s->e.args[5];
	} else if (more & WATCH_MSG) {
		/* struct msghdr begins with the address and its length */
		bpf_probe_read_user(&len, sizeof(len), (void *)from + 8);
		bpf_probe_read_user(&from, sizeof(from), (void *)from);
	}
	s->e.flags |= EVENT_F_ADDR;
	if (!k || !is_hook_of(k->hook, more)) {
		/* sockaddr_storage is 128 bytes */
		add_user_bytes(s, from, len > 128 ? 128 : len, EVENT_SPAN_PATH);
		return;
	}
	/* family, port and address: what lies first in both; of IPv6 the flow label between */
	if (!bpf_probe_read_user(&now, 8, (void *)from) &&
	    (now.family != k->family || now.port != k->port ||
	     (k->family == AF_INET && now.addr[0] != k->addr[0])))
		s->e.flags |= EVENT_F_TOCTOU;
	__builtin_memcpy(s->e.data, k, KERNEL_ADDR_SENT);
	s->pos = KERNEL_ADDR_SENT;
	s->e.len[EVENT_SPAN_PATH] = KERNEL_ADDR_SENT;
	s->e.flags |= EVENT_F_ADDR_K;
}

/* It was for this call: the next one of the thread has its own. */
static __always_inline void forget_addr(void)
{
	__u64 id = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&watch_addrs, &id);
}

static __always_inline struct sock *sock_of_fd(__s64 fd)
{
	__u64 file = file_of_fd(fd);
	struct inode *inode;
	struct socket *socket;

	if (!file)
		return 0;
	inode = LOAD(FILE_AT(file), f_inode);
	if ((LOAD(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = as_type(LOAD(FILE_AT(file), private_data), struct socket);
	return LOAD(socket, sk);
}

/* A name that is a relative path was looked up from the working directory. */
static __always_inline void add_unix_name(struct scratch *s, struct sock *sk)
{
	struct unix_sock *u = as_type((void *)sk, struct unix_sock);
	struct unix_address *a;
	__u32 len;

	if (!bpf_core_type_exists(struct unix_sock))
		return;
	a = LOAD(u, addr);
	if (!a)
		return;
	len = LOAD(a, len);
	if (len > UNIX_NAME_MAX)
		return;
	bpf_probe_read_kernel(s->e.data, len,
			      (char *)a + bpf_core_field_offset(struct unix_address, name));
	s->pos = len;
	s->e.len[EVENT_SPAN_PATH] = len;
	s->e.flags |= EVENT_F_ADDR | EVENT_F_ADDR_K;
}

static __always_inline bool is_relative_name(struct sock *sk)
{
	struct unix_sock *u = as_type((void *)sk, struct unix_sock);
	struct unix_address *a = LOAD(u, addr);
	char first = 0;

	if (a)
		bpf_probe_read_kernel(&first, 1,
				      (char *)a + bpf_core_field_offset(struct unix_address, name) +
					      sizeof(__u16));
	return first != '/' && first != 0;
}

/* Of a socket: its own address, or the other end's; as struct kernel_addr. */
__noinline int add_socket(struct scratch *s, __s64 fd, bool peer)
{
	struct kernel_addr k = { 0 };
	struct sock *sk = sock_of_fd(fd);

	if (!s || !sk)
		return 0;
	s->e.flags |= EVENT_F_ADDR | EVENT_F_ADDR_K;
	k.family = LOAD(sk, __sk_common.skc_family);
	if (k.family == AF_UNIX) {
		/* who connects has seldom a name: the family is all there is then */
		*(__u16 *)s->e.data = AF_UNIX;
		s->pos = s->e.len[EVENT_SPAN_PATH] = sizeof(__u16);
		if (!peer)
			add_unix_name(s, sk);
		return 0;
	}
	if (k.family == AF_INET)
		k.addr[0] = peer ? LOAD(sk, __sk_common.skc_daddr)
				 : LOAD(sk, __sk_common.skc_rcv_saddr);
	if (k.family == AF_INET6)
		bpf_probe_read_kernel(
			k.addr, sizeof(k.addr),
			(char *)sk +
				(peer ? bpf_core_field_offset(struct sock, __sk_common.skc_v6_daddr)
				      : bpf_core_field_offset(struct sock,
							      __sk_common.skc_v6_rcv_saddr)));
	if (k.family == AF_INET || k.family == AF_INET6)
		k.port = peer ? LOAD(sk, __sk_common.skc_dport)
			      : __builtin_bswap16(LOAD(sk, __sk_common.skc_num));
	__builtin_memcpy(s->e.data, &k, KERNEL_ADDR_SENT);
	s->pos = KERNEL_ADDR_SENT;
	s->e.len[EVENT_SPAN_PATH] = KERNEL_ADDR_SENT;
	return 0;
}

/* Of a Unix socket that was connected: where to, and who listens there (unix(7),
 * SO_PEERCRED). */
__noinline int add_unix_peer(struct scratch *s, __s64 fd)
{
	struct sock *sk = sock_of_fd(fd), *peer = 0;
	struct unix_sock *u;
	struct pid *pid;
	int nr = 0;

	if (!s || !sk || LOAD(sk, __sk_common.skc_family) != AF_UNIX)
		return 0;
	u = as_type((void *)sk, struct unix_sock);
	if (bpf_core_type_exists(struct unix_sock))
		peer = LOAD(u, peer);
	/* a relative one is from where the other was when it was bound */
	if (peer && !is_relative_name(peer))
		add_unix_name(s, peer);
	pid = LOAD(sk, sk_peer_pid);
	if (pid)
		bpf_probe_read_kernel(&nr, sizeof(nr),
				      (char *)pid + bpf_core_field_offset(struct pid, numbers) +
					      bpf_core_field_offset(struct upid, nr));
	s->e.args[EVENT_ARG_PEER] = nr;
	return 0;
}

static __always_inline int keep_addr(struct bpf_sock_addr *ctx, bool v6, __u32 hook)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct kernel_addr a = { .family = ctx->family, .port = ctx->user_port, .hook = hook };

	if (v6) {
		a.addr[0] = ctx->user_ip6[0];
		a.addr[1] = ctx->user_ip6[1];
		a.addr[2] = ctx->user_ip6[2];
		a.addr[3] = ctx->user_ip6[3];
	} else {
		a.addr[0] = ctx->user_ip4;
	}
	bpf_map_update_elem(&watch_addrs, &id, &a, BPF_ANY);
	return 1; /* allow: the session's own network is the fence */
}

#endif
