// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/programs.h - which programs a call ran, by their content.
 *
 * For a policy with watch.hash. The file that ran is found again on the machine and must be
 * the same one (device and inode); what the call itself wrote has the hash
 * it had at the end, and is said to.
 * Reads files: for a job, not for the loop.
 */
#ifndef SUPERVISOR_PROGRAMS_H
#define SUPERVISOR_PROGRAMS_H

#include "supervisor/call.h"
#include "supervisor/changes.h"

/* Adds ,"programs":[...] to a report. `changes` may be NULL. */
void programs_add_json(const struct call *c, const struct changes *changes, struct text *out);

#endif
