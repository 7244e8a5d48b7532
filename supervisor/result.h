// SPDX-License-Identifier: Apache-2.0
/* supervisor/result.h - what an agent's model gets to read of a call. */
#ifndef SUPERVISOR_RESULT_H
#define SUPERVISOR_RESULT_H

#include <stddef.h>
#include <stdint.h>

#include "supervisor/session.h"
#include "supervisor/text.h"

/*
 * Appends ,"text":…,"is_error":…,"structured":{…}: the output with its head and tail,
 * a line of facts, what was denied and why; and the same as JSON. Everything in it is
 * valid UTF-8 without lone surrogates, because clients exist that hang up otherwise.
 *
 * `account` is the account of a call that has ended (NUL-terminated; it is changed),
 * or NULL: it still runs. Output before `from` (bytes of standard output) is left
 * away; at most `max` bytes of output are shown.
 */
void result_add(struct session *s, uint32_t call, char *account, uint64_t from, size_t max,
		struct text *out);

#endif
