// SPDX-License-Identifier: Apache-2.0
/* supervisor/kept.h - what is kept of a session that nobody runs, for commands. */
#ifndef SUPERVISOR_KEPT_H
#define SUPERVISOR_KEPT_H

#include <stdint.h>

#include "supervisor/options.h"
#include "supervisor/text.h"

/* Prints the report of a call, SESSION.CALL. 0 or -errno, with a sentence in `why`. */
int kept_print_report(const char *id, struct text *why);

/* Prints events from number `from` on, of kinds and paths that match (globs; none: all). 0 or
 * -errno, with a sentence in `why`. */
int kept_print_events(const char *id, uint64_t from, const struct option_list *kinds,
		      const struct option_list *paths, struct text *why);

#endif
