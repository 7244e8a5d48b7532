// SPDX-License-Identifier: Apache-2.0
/* sandbox/show.h - what of the machine a session's root shows, and what it covers. */
#ifndef SANDBOX_SHOW_H
#define SANDBOX_SHOW_H

#include "sandbox/wire.h"

/* Maps and checks what came as the second fd of an OPEN: every path plain, every shown
 * one among those the configuration names (-EXDEV). Lives as long as the process. 0 or
 * -errno. */
int show_load(const struct sb_config *config, int fd, const struct sb_shown **ret);

/* The same of what comes with SB_VERB_MASK: MASK entries and no others. 0 or -errno. */
int show_load_masks(const struct sb_config *config, int fd, const struct sb_shown **ret);

/* Opens all READ paths, while there is the right to go anywhere: a detached, read-only
 * tree each, the link itself where it is one, -1 where this machine has nothing. On
 * failure some are open, too. 0 or -errno. */
int show_open(const struct sb_shown *shown, int fds[SB_SHOWN_MAX]);

/* Attaches them below `root`. 0 or -errno. */
int show_all(int root, const struct sb_shown *shown, const int fds[SB_SHOWN_MAX]);

/* Covers what is not to be seen or run, after everything else is in place: the policy's
 * entries, and Glovebox's own directories wherever they would show. 0 or -errno. */
int show_cover(int root, const struct sb_config *config, const struct sb_shown *shown);

/* Puts a tree at a path of the root that is built: links in it mean this root. */
int show_attach(int tree, int root, const char *path);

/* mkdir -p below `root`; the last component may be made a file. 0 or -errno. */
int show_make_path(int root, const char *path, bool is_file);

/* Removes the one that an earlier opening of the session made. 0 or -errno. */
int show_clear_mask(int layers);

/* Makes the layer below all others, in which masked names do not exist. `layers` is the
 * session's layers/, `workspace` the real directory; `owner` owns what is made.
 * *ret_any is set when there is one. 0 or -errno. */
int show_make_mask(int layers, int workspace, const struct sb_shown *shown, uint32_t owner,
		   bool *ret_any);

#endif
