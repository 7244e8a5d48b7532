// SPDX-License-Identifier: Apache-2.0
/* sandbox/base/path.h - facts about paths, from their text alone. */
#ifndef SANDBOX_BASE_PATH_H
#define SANDBOX_BASE_PATH_H

#include <stdbool.h>

/*
 * Whether a symbolic link at `path` (relative to a root, through real directories
 * only) may lead out of the root. A target goes up first and down after that, or
 * it is refused: what stays within the root by this rule does so through any
 * chain of links that each keep it.
 */
bool path_link_leaves(const char *path, const char *target);

/* Whether it is an absolute path of plain names: no "..", ".", "//" and no slash at
 * the end. "/" itself is not. */
bool path_is_plain(const char *path);

/* Whether `path` is `top` or below it; "/" has everything below it. */
bool path_is_below(const char *path, const char *top);

#endif
