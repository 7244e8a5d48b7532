// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/user.h - Glovebox without root.
 *
 * A user makes a user namespace in which he is root, and this program runs again in it, as
 * it would as root. What is less there is found by trying, and told in the tier: his is the
 * only id that is mapped, so that a call is he himself to the machine (with fewer rights);
 * nothing can be id-mapped; no BPF program can be loaded.
 */
#ifndef SUPERVISOR_USER_H
#define SUPERVISOR_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "supervisor/text.h"

/* Whether there is one user only: we are not root, or root of a namespace in which the
 * ranges of Glovebox have no ids. */
bool user_is_single(void);

/* His id, as the machine sees it. */
uid_t user_outside(void);

/* The words of main(), to be executed again: before any option is read. */
void user_keep_words(char **argv);

/*
 * Becomes root: of a namespace, when we are not root. First a control group of the user's
 * own is asked of systemd, where there is none. Does not return when this program is
 * executed again; 0 when there is nothing to do; -errno with `why`.
 *
 * Call before anything is opened that an exec closes, and before there are threads.
 */
int user_become_root(struct text *why);

#endif
