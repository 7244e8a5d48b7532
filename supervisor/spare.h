// SPDX-License-Identifier: Apache-2.0
/* supervisor/spare.h - a control group that waits for its call. */
#ifndef SUPERVISOR_SPARE_H
#define SUPERVISOR_SPARE_H

#include <stdint.h>

#include "sandbox/wire.h"

/* A control group that was made before anybody asked. */
struct leaf_spare {
	uint32_t number; /* 0: there is none */
	int fds[SB_LEAF_FD_COUNT];
	uint64_t cgroup_id;
	uint32_t in_force;
};

#endif
