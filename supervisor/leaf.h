// SPDX-License-Identifier: Apache-2.0
/* supervisor/leaf.h - the control group of one call, by the fds it was given. */
#ifndef SUPERVISOR_LEAF_H
#define SUPERVISOR_LEAF_H

#include "supervisor/call.h"
#include "supervisor/spare.h"

/* Takes the session's spare leaf, or asks the keeper for one; fills c->leaf, cgroup_id
 * and in_force. 0 or -errno, with c->failed set. */
int leaf_ask(struct call *c);

/* Makes the spare one, while nobody waits. */
void leaf_prepare(struct session *s);
void leaf_spare_done(struct leaf_spare *l);

/* Has the call cloned into its leaf; fills c->failure and init_pid. `stdio` is not
 * used with a terminal. All fds are borrowed. 0 or -errno, with c->failed set. */
int leaf_clone(struct call *c, int init, int block, const int *stdio);

/* After a start that failed: gives back what leaf_ask() and leaf_clone() took. */
void leaf_give_up(struct call *c);

/* Gives the leaf back, empty. */
void leaf_retire(struct call *c);

/* Closes what it holds. */
void leaf_done(struct call *c);

/* Whether the call has a control group; without one a pause is a stop of all its
 * processes, and a kill that of its init. */
bool leaf_has_group(const struct call *c);

/* Nothing lives in it (populated 0), or nothing runs (frozen 1; all stopped). */
bool leaf_is_empty(const struct call *c);
bool leaf_is_frozen(const struct call *c);

/* Asks for it; what came of it tell the two above. 0 or -errno. */
int leaf_freeze(struct call *c, bool freeze);
int leaf_kill(struct call *c);

/* The number behind `key`, 0 where there is none. */
uint64_t leaf_number(const struct call *c, enum sb_leaf_fd which, const char *key);

/* Looks in a circle, for a moment, until it is so. */
bool leaf_spin_until(const struct call *c, bool (*is)(const struct call *c));

/* Processor time used in it, all processes together. */
uint64_t leaf_cpu_ns(const struct call *c);

/* Memory its processes take now, resident and of no file: for where no group tells. */
uint64_t leaf_memory_bytes(const struct call *c);

/* Processes in it, without init. */
uint32_t leaf_processes(const struct call *c);

#endif
