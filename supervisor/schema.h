// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/schema.h - the part of JSON Schema that the manifests of tools use.
 *
 * A schema with a word that is not enforced here is refused when it is loaded: an
 * author is never told less than what holds.
 */
#ifndef SUPERVISOR_SCHEMA_H
#define SUPERVISOR_SCHEMA_H

#include <cjson/cJSON.h>

#include "supervisor/text.h"

/* Whether every word of a schema is known and well formed: type, properties, required,
 * additionalProperties (a boolean), items, enum, minimum, maximum, minLength, maxLength
 * (both in bytes), minItems, maxItems; and the words for people title, description,
 * default, examples, $schema. `where` names it in `why`. 0 or -EINVAL. */
int schema_check(const cJSON *schema, const char *where, struct text *why);

/* Whether a value is as the schema says; `name` is what it is called in `why`. 0 or
 * -EINVAL. */
int schema_match(const cJSON *schema, const cJSON *value, const char *name, struct text *why);

#endif
