// SPDX-License-Identifier: Apache-2.0
/* supervisor/block.h - argv, environment and directory of a call, in a memfd. */
#ifndef SUPERVISOR_BLOCK_H
#define SUPERVISOR_BLOCK_H

#include "supervisor/policy.h"

/* Makes the sealed memfd that the tool's own process reads (struct sb_block).
 * `env` ("NAME=VALUE", ends with NULL, or NULL) wins over the policy's. Gives the fd. 0, -E2BIG: longer than the kernel takes, or -errno. */
int block_make(const char *const *argv, const char *const *env, const struct policy *policy,
	       const char *cwd, int *ret_fd);

#endif
