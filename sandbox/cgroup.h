// SPDX-License-Identifier: Apache-2.0
/* sandbox/cgroup.h - control groups of sessions and calls, on both layouts. */
#ifndef SANDBOX_CGROUP_H
#define SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/wire.h"

enum cgroup_v1 { CGROUP_V1_MEMORY, CGROUP_V1_PIDS, CGROUP_V1_CPU, CGROUP_V1_COUNT };

/* The groups of one session. Owned by its keeper; all fds or -1. */
struct cgroup_session {
	int dir; /* v2: holds one leaf for each call */
	int v1[CGROUP_V1_COUNT]; /* v1: the session's own, with its limits */
	uint32_t in_force; /* enum sb_in_force */
};

#define CGROUP_SESSION_NONE                     \
	{                                       \
		.dir = -1, .v1 = { -1, -1, -1 } \
	}

/*
 * Finds where groups can be made, by making one and starting a process in it: below the
 * root of the v2 hierarchy, or with `own` below the group of this process. Call before the
 * warden is forked, while there is one thread; without it there are no groups. With `own`
 * it may move this process one group down. 0, or -errno of the last that was tried
 * (-EOPNOTSUPP: no v2 hierarchy is mounted).
 */
int cgroup_use(bool own);

/* Makes the session's groups and puts its limits where v1 keeps them.
 * -EOPNOTSUPP: this machine has no v2 hierarchy. 0 or -errno. */
int cgroup_open_session(struct cgroup_session *ret, const char *id, const struct sb_limits *limits);

/* Moves the caller into the v1 groups, so that what it clones is limited. */
int cgroup_join_v1(const struct cgroup_session *s);

/* Moves the caller back to the v1 roots, so that its groups can be removed. */
int cgroup_leave_v1(const struct cgroup_session *s);

/* Makes the leaf of call `number` with its limits. Gives the directory; the
 * limits in force are added to *in_force. A leaf is never used twice: a clone
 * into a group that was killed once dies at birth (SPAWN.md, finding 2). */
int cgroup_make_leaf(const struct cgroup_session *s, uint32_t number,
		     const struct sb_limits *limits, int *ret_dir, uint32_t *in_force);

/* The id that BPF programs see, from the directory's file handle. */
int cgroup_id(int dir, uint64_t *ret_id);

/* Kills everything below and waits until it is gone. 0, or -ETIMEDOUT. */
int cgroup_kill_wait(int dir, unsigned int timeout_ms);

/* Removes the leaf, or with number 0 whatever leaves are left. */
int cgroup_remove_leaf(const struct cgroup_session *s, uint32_t number);

/* Calls `fn` for each session that has groups on this machine. */
void cgroup_each_session(void (*fn)(const char *id, void *context), void *context);

/* Removes the session's groups; v1 ones only when the keeper has ended. */
int cgroup_remove_session(const char *id);

/* Closes the fds. */
void cgroup_session_done(struct cgroup_session *s);

#endif
