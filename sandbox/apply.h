// SPDX-License-Identifier: Apache-2.0
/* sandbox/apply.h - a writer for the workspace: all of it, or nothing. */
#ifndef SANDBOX_APPLY_H
#define SANDBOX_APPLY_H

#include <stdbool.h>

#include "sandbox/store.h"

/* Opens the workspace, becomes its owner, without capabilities, and applies or
 * recovers. `journal` is borrowed. 0 or -errno. */
int apply_start(const struct store_record *rec, bool recover, const char *session, int journal,
		int sock);

/*
 * apply_changes() - write what arrives on `sock` into the workspace
 *
 * Needs:	to run as the workspace's owner, without capabilities; an empty
 *		journal, or -EUCLEAN
 * Leaves:	each struct sb_change answered with its `error`; after
 *		SB_CHANGE_COMMIT all of them are done, or none
 * Must not:	step outside `workspace`, create anything but files, directories
 *		and links, or set a bit above 0777
 *
 * Returns at end of file. 0 or -errno (of the socket).
 */
int apply_changes(int sock, int workspace, const char *session, int journal);

/* What a writer that was killed has left: done when its journal says that it was
 * decided, undone otherwise. Answers with SB_CHANGE_END, whose `size` is 0 (there
 * was nothing), 1 (done) or 2 (undone). 0 or -errno. */
int apply_recover(int sock, int workspace, const char *session, int journal);

#endif
