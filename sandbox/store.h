// SPDX-License-Identifier: Apache-2.0
/* sandbox/store.h - a session on disk, as the warden knows it. */
#ifndef SANDBOX_STORE_H
#define SANDBOX_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/wire.h"

/*
 * <state>/sessions/<id>/		root, group of the supervisor, 01770
 *	record				root, 0600: struct store_record
 *	layers/				the session's root, 0700
 *	layers/<n>/{upper,work}	the session's; upper is the agent's
 *	journal				of a commit that has not ended
 *	session.json, events/, ...	the supervisor's
 *
 * The sticky bit keeps the supervisor from replacing what is root's.
 */
struct store_record {
	uint32_t abi;
	uint32_t range; /* first id */
	uint32_t flags; /* enum sb_flag */
	uint32_t owner; /* of the workspace, when the session was made */
	uint32_t group;
	uint32_t reserved;
	uint64_t device; /* of the workspace: another directory under its */
	uint64_t inode; /* name is refused */
	char workspace[SB_PATH_MAX];
	char at[SB_PATH_MAX];
};

/* "s-" and ten of a-z0-9, and nothing else. */
bool store_id_is_sound(const char id[SB_ID_MAX]);

/* Opens the workspace of the record and checks that it is still the same. */
int store_open_workspace(const struct store_record *rec, int *ret_fd);

/* Makes the directories and the record. Gives the session's directory. */
int store_create(const struct sb_config *config, const char *id, struct store_record *rec,
		 int *ret_dir);

/* Opens a session that is there. */
int store_load(const struct sb_config *config, const char *id, struct store_record *ret_rec,
	       int *ret_dir);

/* Makes layer `number`, empty; its root takes the mode of `like` (a directory), or
 * of the workspace with -1. 0 or -errno. */
int store_make_layer(int dir, const struct store_record *rec, uint32_t number, int like);

/* Opens `what` ("upper", "work") of a layer. 0 or -errno. */
int store_open_layer(int dir, uint32_t number, const char *what, int *ret_fd);

/* Opens the journal of a commit for reading and writing; makes it when it is not
 * there. The writer of the workspace gets it, who may be anybody: 0600, root's, by
 * fd only. 0 or -errno. */
int store_open_journal(int dir, int *ret_fd);

/* Removes a layer and all in it. */
int store_drop_layer(int dir, uint32_t number);

/*
 * Holds the session on disk: whoever runs it, commits it or removes it. The lock
 * goes with the last copy of *ret_lock. -EBUSY: somebody else has it.
 */
int store_lock(int dir, int *ret_lock);

/* Removes what is called so, and all in it, following nothing. Nothing there is no error.
 * 0 or -errno. */
int store_remove_tree(int parent, const char *name);

/* Removes all of it. The caller holds its lock. */
int store_remove(const struct sb_config *config, const char *id);

#endif
