// SPDX-License-Identifier: Apache-2.0
/* sandbox/view.h - layers, looked at and worked on from inside their namespace. */
#ifndef SANDBOX_VIEW_H
#define SANDBOX_VIEW_H

#include "sandbox/store.h"
#include "sandbox/wire.h"

/* All run in a child of the warden, which ends after them, and answer on `sock`
 * with messages of struct sb_change. 0 or -errno. */

/*
 * view_scan() - what the layers from `layer_first` on changed
 *
 * Mounts what the workspace is with all the layers of the request, and what it is
 * with those below `layer_first`, in the session's own user namespace, and
 * compares them where the layers have names.
 */
int view_scan(const struct sb_config *config, const struct store_record *rec, int dir,
	      const struct sb_request *q, int sock);

/* How much of the disk the layers of the request take. Answers with one END: `size` in
 * bytes, `inode` the number of names, of which it counts no more than q->call. */
int view_usage(const struct store_record *rec, int dir, const struct sb_request *q, int sock);

/*
 * view_squash() - the first of two layers takes the second one in
 *
 * Each step leaves what both show together unchanged, so it may be broken off
 * and begun again. At the end the second layer is empty. No call may run.
 */
int view_squash(const struct store_record *rec, int dir, const struct sb_request *q, int sock);

/* Removes layers that no stack names any more. */
int view_drop(int dir, const struct sb_request *q, int sock);

/* Removes the session's files, all of them. */
int view_remove(const struct sb_config *config, const char *session, int sock);

#endif
