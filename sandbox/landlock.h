// SPDX-License-Identifier: Apache-2.0
/* sandbox/landlock.h - the second fence around the files of a session. */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stdint.h>

#include "sandbox/wire.h"

/*
 * Makes the rule set of a call in its own root: read and execute everywhere,
 * write below the workspace and the private directories, no abstract sockets or
 * signals to the outside where the kernel knows how. `abi` is what landlock_abi()
 * said. Gives an fd, or -1 when `abi` is 0. 0 or -errno.
 */
int landlock_make_rules(const char *workspace, const struct sb_shown *shown, uint32_t abi,
			int *ret_rules);

/* What this kernel has; 0: none. 0 or -errno. */
int landlock_abi(uint32_t *ret_abi);

#endif
