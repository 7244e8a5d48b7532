// SPDX-License-Identifier: Apache-2.0
/* sandbox/over.h - system directories with a private layer above, so that package managers work. */
#ifndef SANDBOX_OVER_H
#define SANDBOX_OVER_H

#include <stdint.h>

#include "sandbox/wire.h"

/* One, between the keeper that opens it and the child that mounts it. */
struct over {
	const char *path;
	int tree; /* detached, id-mapped: uid 0 of the machine is root inside; -1: not there */
};

/* Opens every OVERLAY entry and makes its layer below `layers` (the session's layers/).
 * What not everybody on the machine may read is taken out of it: root inside would be
 * allowed to. `range` is the session's first id. 0 or -errno (-EINVAL: the file system
 * cannot be id-mapped; -E2BIG: too many). On failure some may be open. */
int over_open(const struct sb_shown *shown, int layers, uint32_t range,
	      struct over ret[SB_OVERLAYS_MAX]);

/* Mounts them in the root that is built; layers/ is at proc/l there. 0 or -errno. */
int over_mount(int root, const struct over all[SB_OVERLAYS_MAX]);

/* The directory of number `i` below layers/. */
void over_name(char out[16], unsigned int i);

#endif
