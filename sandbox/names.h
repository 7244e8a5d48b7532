// SPDX-License-Identifier: Apache-2.0
/* sandbox/names.h - the names in a workspace, for patterns to be looked for in. */
#ifndef SANDBOX_NAMES_H
#define SANDBOX_NAMES_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Sends all names below `workspace` over `sock`, in replies of SB_NAMES_SOME, from a child
 * that is the workspace's owner and no more; waits for it. A directory that he may
 * not read is told as such; other file systems are passed over. 0 or -errno.
 */
int names_send(int workspace, uid_t owner, gid_t group, bool keeps_groups, int sock);

#endif
