// SPDX-License-Identifier: Apache-2.0
/* supervisor/place.h - where things lie on this machine. */
#ifndef SUPERVISOR_PLACE_H
#define SUPERVISOR_PLACE_H

#include <limits.h>

#include "sandbox/wire.h"
#include "supervisor/text.h"

/* The directories, from GLOVEBOX_STATE and GLOVEBOX_RUN or the defaults: the machine's, or
 * the user's own where Glovebox runs without root (user.h). */
const char *place_state(void);
const char *place_run(void);

/* Where a user's clients look after his own: the sockets of the machine's supervisors; NULL
 * for root, who has no other. */
const char *place_run_of_machine(void);

/* Makes both. 0 or -errno with `why`. */
int place_make(struct text *why);

/* Makes both, and <run>/<id>, which becomes the supervisor's. `ret_dir` gets the
 * path. 0 or -errno with `why`. */
int place_prepare(const char *id, char ret_dir[PATH_MAX], struct text *why);

/* The directory of an instance that was killed. -EADDRINUSE: it runs. 0 or -errno with
 * `why`. */
int place_adopt(const char *id, char ret_dir[PATH_MAX], struct text *why);

/* Whose members may connect; optional: without the group it is root alone. */
#define PLACE_OPERATORS "glovebox"
#define PLACE_AGENTS "glovebox-agent"

/* Makes socket `name` in `dir` and listens: root's, of `group` (0660), or root's alone when there is none (0600). Gives the fd. */
int place_listen(const char *dir, const char *name, const char *group, int *ret_fd,
		 struct text *why);

/* Removes what instances that were killed have left in the run directory: sockets
 * nobody listens on. `own` stays. */
void place_sweep(const char *own);

/* Ids of the sessions on disk, one after the other; `fn` is called for each. */
void place_each_session(void (*fn)(const char *id, void *context), void *context);

/* Opens the directory of a session. 0 or -errno. */
int place_open_session(const char *id, int *ret_fd);

/* The one session on disk whose id begins with `prefix` ("s-..." or a part of
 * it, a ".N" behind it is cut). 0, -ENOENT, -ENOTUNIQ. */
int place_find_session(const char *prefix, char ret[SB_ID_MAX], struct text *why);

/* The directory this program is in, opened. 0 or -errno. */
int place_open_own_dir(int *ret_fd);

#endif
