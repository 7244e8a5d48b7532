// SPDX-License-Identifier: Apache-2.0
/* supervisor/place.h - where things lie on this machine. */
#ifndef SUPERVISOR_PLACE_H
#define SUPERVISOR_PLACE_H

#include <limits.h>

#include "sandbox/wire.h"
#include "supervisor/text.h"

/* The directories, from GLOVEBOX_STATE and GLOVEBOX_RUN or the defaults. */
const char *place_state(void);
const char *place_run(void);

/* Makes both, and <run>/<id>, which becomes the supervisor's. `ret_dir` gets the
 * path. 0 or -errno with `why`. */
int place_prepare(const char *id, char ret_dir[PATH_MAX], struct text *why);

/* Makes operator.sock in `dir` and listens. Gives the fd. */
int place_listen(const char *dir, int *ret_fd, struct text *why);

/* The one session on disk whose id begins with `prefix` ("s-..." or a part of
 * it, a ".N" behind it is cut). 0, -ENOENT, -ENOTUNIQ. */
int place_find_session(const char *prefix, char ret[SB_ID_MAX], struct text *why);

/* The directory this program is in, opened. 0 or -errno. */
int place_open_own_dir(int *ret_fd);

#endif
