// SPDX-License-Identifier: Apache-2.0
/* sandbox/base/path.h - facts about paths, from their text alone. */
#ifndef SANDBOX_BASE_PATH_H
#define SANDBOX_BASE_PATH_H

#include <stdbool.h>

/* Whether a symbolic link at `path` (relative to a root) with this target leads
 * out of the root, if no other link is on the way. */
bool path_link_leaves(const char *path, const char *target);

#endif
