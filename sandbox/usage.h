// SPDX-License-Identifier: Apache-2.0
/* sandbox/usage.h - how much of the disk a session's layers take. */
#ifndef SANDBOX_USAGE_H
#define SANDBOX_USAGE_H

#include <stdint.h>

/* Adds up what is below `dir` (taken): blocks in bytes, a file of several names by its
 * share, and the number of names. Follows nothing, leaves the file system never. Stops
 * when it has counted `most` names. 0 or -errno (-EMFILE: deeper than there are fds). */
int usage_add(int dir, uint64_t most, uint64_t *bytes, uint64_t *files);

#endif
