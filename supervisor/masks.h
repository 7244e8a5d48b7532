// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/masks.h - patterns of files.hide become names.
 *
 * A pattern is looked for in the names that the keeper tells of, when the session opens.
 * One whose last part is a plain name is taken away in every directory there is, whether
 * it exists there or not; another only where it was found.
 */
#ifndef SUPERVISOR_MASKS_H
#define SUPERVISOR_MASKS_H

#include "supervisor/policy.h"

struct masks;

/* Whether a policy needs them. */
bool masks_are_needed(const struct policy *p);

/* Starts with the workspace itself. 0 or -errno. masks_free() takes it. */
int masks_new(const struct policy *p, struct masks **ret);
void masks_free(struct masks *m);

/* Takes a memfd of names, as the wire has them. 0, -E2BIG: more than SB_MASKS_MAX match. */
int masks_add(struct masks *m, int names);

/* What was found, as a sealed memfd of struct sb_shown. 0 or -errno. */
int masks_make(const struct masks *m, int *ret_fd);

#endif
