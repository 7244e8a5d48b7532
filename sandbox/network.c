// SPDX-License-Identifier: Apache-2.0
/* sandbox/network.c - the network of a session: loopback, and nothing else. */
#include "sandbox/network.h"

#include <errno.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>

/* libnl has error numbers of its own; what they mean to us is "it failed". */
static int from_nl(int r)
{
	switch (-r) {
	case NLE_SUCCESS:
		return 0;
	case NLE_PERM:
		return -EPERM;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_NODEV:
	case NLE_OBJ_NOTFOUND:
		return -ENODEV;
	default:
		return -EIO;
	}
}

int network_up(void)
{
	struct rtnl_link *change = NULL;
	struct rtnl_link *lo = NULL;
	struct nl_sock *sock;
	int r;

	sock = nl_socket_alloc();
	if (!sock)
		return -ENOMEM;
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r == 0)
		r = rtnl_link_get_kernel(sock, 0, "lo", &lo);
	if (r == 0) {
		change = rtnl_link_alloc();
		if (!change)
			r = -NLE_NOMEM;
	}
	if (r == 0) {
		rtnl_link_set_flags(change, IFF_UP);
		r = rtnl_link_change(sock, lo, change, 0);
	}
	rtnl_link_put(change);
	rtnl_link_put(lo);
	nl_socket_free(sock);
	return from_nl(r);
}
