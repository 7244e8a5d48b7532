// SPDX-License-Identifier: Apache-2.0
/* supervisor/params.c - parameters of a method, from a table. */
#include "supervisor/params.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Up to here a double holds every whole number. */
#define COUNT_MAX 9007199254740992.0
#define NAMES_MAX 32

static const char *const kind_names[] = {
	[PARAM_TEXT] = "a string",
	[PARAM_BOOL] = "true or false",
	[PARAM_COUNT] = "a whole number, not negative",
	[PARAM_OBJECT] = "an object",
	[PARAM_TEXTS] = "a list of strings",
	[PARAM_COUNTS] = "a list of whole numbers",
};

static bool is_count(const cJSON *v)
{
	return cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble <= COUNT_MAX &&
	       floor(v->valuedouble) == v->valuedouble;
}

static bool fits(enum param_kind kind, const cJSON *v)
{
	const cJSON *e;

	switch (kind) {
	case PARAM_TEXT:
		return cJSON_IsString(v);
	case PARAM_BOOL:
		return cJSON_IsBool(v);
	case PARAM_COUNT:
		return is_count(v);
	case PARAM_OBJECT:
		return cJSON_IsObject(v);
	case PARAM_TEXTS:
	case PARAM_COUNTS:
		if (!cJSON_IsArray(v))
			return false;
		cJSON_ArrayForEach (e, v)
			if (kind == PARAM_TEXTS ? !cJSON_IsString(e) : !is_count(e))
				return false;
		return true;
	case PARAM_END:
		break;
	}
	return false;
}

static void store(const struct param *p, const cJSON *v, void *into)
{
	char *at = (char *)into + p->at;

	if (p->kind == PARAM_TEXT)
		*(const char **)at = v->valuestring;
	else if (p->kind == PARAM_BOOL)
		*(bool *)at = cJSON_IsTrue(v);
	else if (p->kind == PARAM_COUNT)
		*(uint64_t *)at = (uint64_t)v->valuedouble;
	else
		*(const cJSON **)at = v;
}

static int fail_unknown(const char *name, const struct param *table, struct text *why)
{
	const char *names[NAMES_MAX];
	const char *nearest;
	size_t n = 0;

	for (; table->kind != PARAM_END && n < NAMES_MAX; table++)
		names[n++] = table->name;
	text_add(why, "there is no parameter \"");
	text_add_safe(why, name, strlen(name));
	text_add(why, "\"");
	nearest = text_nearest(name, names, n);
	if (nearest)
		text_printf(why, "; did you mean \"%s\"?", nearest);
	text_add(why, n ? (nearest ? " They are" : "; they are") : "; this method takes none");
	for (size_t i = 0; i < n; i++)
		text_printf(why, " %s", names[i]);
	return -EINVAL;
}

int params_read(const cJSON *params, const struct param *table, void *into, struct text *why)
{
	const struct param *p;

	for (const cJSON *v = params ? params->child : NULL; v; v = v->next) {
		for (p = table; p->kind != PARAM_END; p++)
			if (strcmp(p->name, v->string) == 0)
				break;
		if (p->kind == PARAM_END)
			return fail_unknown(v->string, table, why);
		if (!fits(p->kind, v)) {
			text_printf(why, "\"%s\" must be %s", p->name, kind_names[p->kind]);
			return -EINVAL;
		}
		store(p, v, into);
	}
	for (p = table; p->kind != PARAM_END; p++)
		if (p->is_needed && !cJSON_GetObjectItemCaseSensitive(params, p->name)) {
			text_printf(why, "\"%s\" is missing: %s", p->name, kind_names[p->kind]);
			return -EINVAL;
		}
	return 0;
}
