// SPDX-License-Identifier: Apache-2.0
/* sandbox/privs.h - giving privileges up, for good. */
#ifndef SANDBOX_PRIVS_H
#define SANDBOX_PRIVS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Locks the secure bits, empties the bounding set, sets no_new_privs and leaves
 * only the capabilities in the mask `keep` (bit n is capability n), in the
 * permitted and effective sets. Async-signal-safe. 0 or -errno.
 */
int privs_drop(uint64_t keep);

/* Becomes another user for good, then drops everything. `keeps_groups`: the user namespace
 * denies setgroups(2), as one made without privilege does. 0 or -errno. */
int privs_become(uid_t uid, gid_t gid, bool keeps_groups);

/* Empties the bounding set alone: what comes after finds it so, and saves the time.
 * 0 or -errno. */
int privs_drop_bounding(void);

#endif
