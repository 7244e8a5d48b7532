// SPDX-License-Identifier: Apache-2.0
/* supervisor/report.h - what a caller gets at the end: one JSON object. */
#ifndef SUPERVISOR_REPORT_H
#define SUPERVISOR_REPORT_H

#include "supervisor/call.h"
#include "supervisor/changes.h"
#include "supervisor/session.h"

/* Writes the report of a finished call (DESIGN.md 4) into `out`. `changes` may be
 * NULL with `changes_error` set to -errno. */
void report_make(const struct call *c, const struct changes *changes, int changes_error,
		 struct text *out);

/* What call.wait hands over, without the texts of the output: outcome, changes (the
 * first of them), denials. */
void report_make_result(const struct call *c, const struct changes *changes, int changes_error,
			struct text *out);

/* The closing lines for a person: outcome, changes, denials, loss; with `all`
 * also the table of system calls. */
void report_say(const struct call *c, const struct changes *changes, bool all, struct text *out);

#endif
