// SPDX-License-Identifier: Apache-2.0
/* sandbox/network.h - the network of a session: loopback, and nothing else. */
#ifndef SANDBOX_NETWORK_H
#define SANDBOX_NETWORK_H

/* Brings loopback up in the caller's network namespace. 0 or -errno. */
int network_up(void);

#endif
