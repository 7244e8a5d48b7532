// SPDX-License-Identifier: Apache-2.0
/* sandbox/ids.h - ranges of user ids, and user namespaces that map them. */
#ifndef SANDBOX_IDS_H
#define SANDBOX_IDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Locks a free range for session `id` by an open file description lock on byte
 * `n` of `<state_dir>/ranges`: it is free again when the last holder of *ret_lock
 * is gone, however that happens. The session's name is written there, too: while
 * it is kept on disk its files have these ids, so nobody else gets them. Gives
 * the lock fd and the range's first id. 0, or -errno (-EUSERS: all are taken).
 */
int ids_lock_range(const char *state_dir, const char *id, int *ret_lock, uint32_t *ret_first);

/* Locks the range that a session on disk has. -EBUSY: it runs. */
int ids_lock_known(const char *state_dir, uint32_t first, int *ret_lock);

/*
 * The "range" of a session where all of Glovebox is one user in a namespace of that one
 * id: inside it is one id, too, and outside it is id 0 of Glovebox's own namespace.
 */
#define IDS_SINGLE 0u

/* Says that there is one id only: before the first session. Without it IDS_SINGLE is
 * refused, because there it would be the machine's root. */
void ids_use_single(void);

/* What the id `inside` a session is outside. */
uint32_t ids_outside(uint32_t first, uint32_t inside);

/* Writes the maps of the process `pid`: inside 0..65535 is `first` and up; or, with
 * IDS_SINGLE, `inside` alone. */
int ids_map_session(pid_t pid, uint32_t first, uint32_t inside);

/* A user namespace that shifts the owner of a workspace to the agent, and every
 * other id below 65,536 to the same number of the range; for MOUNT_ATTR_IDMAP.
 * `inside` is the id the owner gets. Gives an fd. 0 or -errno. */
int ids_open_shift(uint32_t first, uid_t owner, gid_t group, uint32_t inside, int *ret_fd);

/* A user namespace with the session's own map, in which 0 is mapped. Gives an fd. 0 or
 * -errno. */
int ids_open_session(uint32_t first, int *ret_fd);

#endif
