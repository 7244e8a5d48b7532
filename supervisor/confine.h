// SPDX-License-Identifier: Apache-2.0
/* supervisor/confine.h - the supervisor gives its own privileges up. */
#ifndef SUPERVISOR_CONFINE_H
#define SUPERVISOR_CONFINE_H

/* Becomes the supervisor's own user, without capabilities, with no_new_privs;
 * checks the result. 0 or -errno. */
int confine_privileges(void);

/* Loads the supervisor's own list of system calls. No thread may exist yet. */
int confine_syscalls(void);

#endif
