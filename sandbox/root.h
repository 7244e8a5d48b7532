// SPDX-License-Identifier: Apache-2.0
/* sandbox/root.h - the private root of a session, and its overlay. */
#ifndef SANDBOX_ROOT_H
#define SANDBOX_ROOT_H

#include <stdbool.h>
#include <stddef.h>

#include "sandbox/over.h"
#include "sandbox/wire.h"

/* null, zero, full, random, urandom, tty */
#define ROOT_NODES 6

/* All a root is made of. Borrows everything. */
struct root_plan {
	const struct sb_config *config;
	const struct sb_shown *shown;
	const int *shown_fds; /* from show_open() */
	const struct over *overs; /* from over_open() */
	const struct sb_limits *limits;
	const char *at; /* where the workspace is shown: absolute, no links */
	uint32_t inside; /* id of the user inside */
	int devices; /* detached tree from root_make_devices() */
	int nodes[ROOT_NODES]; /* of the machine, to be bound; or -1: it has its own */
	int lower; /* detached, id-mapped view of the workspace */
	int layers; /* detached tree of the session's layers/ */
	int tools[SB_TOOLS_MAX]; /* detached, read-only, from root_show_tools(); or -1 */
};

/* Makes /dev as a detached tree, while there still is the privilege to make
 * device nodes. Its nodes are our own: nothing of the host's /dev is bound, so
 * nothing there can be swapped (CVE-2025-31133). A user cannot make any: with `nodes`
 * (ROOT_NODES of them, filled) those of the machine are opened, and each is checked to
 * be the device it is called. Gives the tree. 0 or -errno. */
int root_make_devices(int *ret_tree, int *nodes);

/* Shows `path` with the owner shifted into the range; with userns -1 as it is, with
 * what is mounted below it. Gives a detached tree. -EINVAL: the file system cannot be
 * id-mapped. 0 or -errno. */
int root_map_workspace(int workspace, int userns, int *ret_tree);

/* The directory as a detached tree: read-only, without set-user-ids and devices, and
 * without what is mounted below it. 0 or -errno. */
int root_show_tools(int dir, int *ret_tree);

/*
 * root_build() - give the session its own root
 *
 * Needs:	user and mount namespaces of our own, maps written
 * Leaves:	only what the plan lists; the old root detached; / read-only
 * Must not:	follow anything the workspace's owner controls
 *
 * *ret_stage names where it failed. 0 or -errno.
 */
int root_build(const struct root_plan *plan, uint32_t *ret_stage);

/*
 * root_mount_layers() - show the workspace below its layers
 *
 * Needs:	a private copy of the session's mounts, /proc not yet covered
 * Leaves:	an overlay at `at`; the last of `layers` takes the writes; what the mask
 *		names is not in it
 *
 * 0 or -errno (-EROFS: the file system of the state cannot hold a layer).
 */
int root_mount_layers(const char *at, const uint32_t *layers, uint32_t count, bool is_masked);

/* Appends "l/<n>/upper:" and so on, highest first, then `base`, to mount options.
 * 0, or -E2BIG when a page does not hold them. */
int root_add_lowers(char *options, size_t size, const uint32_t *layers, uint32_t count,
		    const char *base);

/* Puts `proc` at /proc and covers what must not be read. Runs in the call's
 * own copy of the session's mounts. 0 or -errno. */
int root_add_proc(int proc);

#endif
