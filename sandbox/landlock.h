// SPDX-License-Identifier: Apache-2.0
/* sandbox/landlock.h - the second fence around the files of a session. */
#ifndef SANDBOX_LANDLOCK_H
#define SANDBOX_LANDLOCK_H

#include <stdint.h>

/*
 * Makes the session's rule set in its own root: read and execute everywhere,
 * write below the workspace and the private directories, no abstract sockets or
 * signals to the outside where the kernel knows how. Gives an fd, or -1 with
 * *ret_abi 0 when the kernel has no Landlock. 0 or -errno.
 */
int landlock_make_rules(const char *workspace, int *ret_rules, uint32_t *ret_abi);

#endif
