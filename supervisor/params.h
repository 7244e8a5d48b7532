// SPDX-License-Identifier: Apache-2.0
/* supervisor/params.h - parameters of a method, from a table. */
#ifndef SUPERVISOR_PARAMS_H
#define SUPERVISOR_PARAMS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/text.h"

enum param_kind {
	PARAM_TEXT, /* const char *, borrowed of the request */
	PARAM_BOOL, /* bool */
	PARAM_COUNT, /* uint64_t: a whole number from 0 to 2^53 */
	PARAM_OBJECT, /* const cJSON * */
	PARAM_TEXTS, /* const cJSON *: an array of strings */
	PARAM_COUNTS, /* const cJSON *: an array of whole numbers */
	PARAM_END,
};

struct param {
	const char *name;
	enum param_kind kind;
	bool is_needed;
	size_t at; /* offset in the method's own struct */
};

/* Fills `into`. A missing or unknown name, or a wrong type, is an error that says what
 * is accepted. 0 or -EINVAL. */
int params_read(const cJSON *params, const struct param *table, void *into, struct text *why);

#endif
