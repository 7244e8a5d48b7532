// SPDX-License-Identifier: Apache-2.0
/* supervisor/schema.c - the part of JSON Schema that the manifests of tools use. */
#include "supervisor/schema.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "sandbox/base/fd.h"

/* Properties that are proposed when a name is unknown. */
#define NAMES_MAX 64

static const char *const types[] = { "object",  "array",   "string", "number",
				     "integer", "boolean", "null" };

enum word_kind { WORD_TEXT, WORD_ANY, WORD_NUMBER, WORD_BOOL, WORD_TEXTS, WORD_LIST, WORD_OWN };

static const struct {
	const char *name;
	enum word_kind kind;
} words[] = {
	{ "type", WORD_OWN },         { "properties", WORD_OWN },
	{ "items", WORD_OWN },        { "required", WORD_TEXTS },
	{ "enum", WORD_LIST },        { "additionalProperties", WORD_BOOL },
	{ "minimum", WORD_NUMBER },   { "maximum", WORD_NUMBER },
	{ "minLength", WORD_NUMBER }, { "maxLength", WORD_NUMBER },
	{ "minItems", WORD_NUMBER },  { "maxItems", WORD_NUMBER },
	{ "title", WORD_TEXT },       { "description", WORD_TEXT },
	{ "default", WORD_ANY },      { "examples", WORD_LIST },
	{ "$schema", WORD_TEXT },
};

static bool is_type(const cJSON *v)
{
	for (size_t i = 0; cJSON_IsString(v) && i < ARRAY_SIZE(types); i++)
		if (strcmp(v->valuestring, types[i]) == 0)
			return true;
	return false;
}

static bool all_strings(const cJSON *list)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, list)
		if (!cJSON_IsString(v))
			return false;
	return cJSON_IsArray(list);
}

static bool fits(enum word_kind kind, const cJSON *v)
{
	switch (kind) {
	case WORD_TEXT:
		return cJSON_IsString(v);
	case WORD_NUMBER:
		return cJSON_IsNumber(v);
	case WORD_BOOL:
		return cJSON_IsBool(v);
	case WORD_TEXTS:
		return all_strings(v);
	case WORD_LIST:
		return cJSON_IsArray(v);
	case WORD_ANY:
	case WORD_OWN:
		break;
	}
	return true;
}

static int check_type(const cJSON *type, const char *where, struct text *why)
{
	const cJSON *v;
	bool good = is_type(type) || (cJSON_IsArray(type) && cJSON_GetArraySize(type) > 0);

	if (cJSON_IsArray(type))
		cJSON_ArrayForEach (v, type)
			good &= is_type(v);
	if (good)
		return 0;
	text_printf(why,
		    "%s: \"type\" is one of object, array, string, number, integer, boolean, "
		    "null, or a list of them",
		    where);
	return -EINVAL;
}

static int check_properties(const cJSON *properties, const char *where, struct text *why)
{
	int r = 0;

	if (!cJSON_IsObject(properties)) {
		text_printf(why, "%s: \"properties\" is an object", where);
		return -EINVAL;
	}
	for (const cJSON *p = properties->child; p && r == 0; p = p->next) {
		AUTO_TEXT below = { 0 };

		text_printf(&below, "%s.%s", where, p->string);
		r = schema_check(p, below.at ? below.at : where, why);
	}
	return r;
}

static int check_word(const cJSON *v, const char *where, struct text *why)
{
	const char *names[ARRAY_SIZE(words)];
	const char *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		names[i] = words[i].name;
		if (strcmp(words[i].name, v->string) != 0)
			continue;
		if (strcmp(v->string, "type") == 0)
			return check_type(v, where, why);
		if (strcmp(v->string, "properties") == 0)
			return check_properties(v, where, why);
		if (strcmp(v->string, "items") == 0)
			return schema_check(v, where, why);
		if (fits(words[i].kind, v))
			return 0;
		text_printf(why, "%s: \"%s\" has the wrong type", where, v->string);
		return -EINVAL;
	}
	nearest = text_nearest(v->string, names, ARRAY_SIZE(words));
	text_printf(why, "%s: \"%.100s\" is no word of a schema that is enforced here", where,
		    v->string);
	if (nearest)
		text_printf(why, "; did you mean \"%s\"?", nearest);
	return -EINVAL;
}

int schema_check(const cJSON *schema, const char *where, struct text *why)
{
	int r = 0;

	if (!cJSON_IsObject(schema)) {
		text_printf(why, "%s: a schema is an object", where);
		return -EINVAL;
	}
	for (const cJSON *v = schema->child; v && r == 0; v = v->next)
		r = check_word(v, where, why);
	return r;
}

/* --- values ------------------------------------------------------------------- */

static bool has_type(const char *type, const cJSON *v)
{
	if (strcmp(type, "object") == 0)
		return cJSON_IsObject(v);
	if (strcmp(type, "array") == 0)
		return cJSON_IsArray(v);
	if (strcmp(type, "string") == 0)
		return cJSON_IsString(v);
	if (strcmp(type, "boolean") == 0)
		return cJSON_IsBool(v);
	if (strcmp(type, "null") == 0)
		return cJSON_IsNull(v);
	return cJSON_IsNumber(v) &&
	       (strcmp(type, "number") == 0 || floor(v->valuedouble) == v->valuedouble);
}

static int match_type(const cJSON *type, const cJSON *value, const char *name, struct text *why)
{
	AUTO_TEXT list = { 0 };
	const cJSON *v;

	if (!type || (cJSON_IsString(type) && has_type(type->valuestring, value)))
		return 0;
	cJSON_ArrayForEach (v, type) {
		if (has_type(v->valuestring, value))
			return 0;
		text_printf(&list, "%s%s", list.len ? " or " : "", v->valuestring);
	}
	text_printf(why, "\"%s\" must be of type %s", name,
		    cJSON_IsString(type) ? type->valuestring : list.at);
	return -EINVAL;
}

static int match_enum(const cJSON *list, const cJSON *value, const char *name, struct text *why)
{
	AUTO_TEXT all = { 0 };
	const cJSON *v;

	if (!list)
		return 0;
	cJSON_ArrayForEach (v, list) {
		char *one;

		if (cJSON_Compare(v, value, true))
			return 0;
		one = cJSON_PrintUnformatted(v);
		text_printf(&all, "%s%s", all.len ? ", " : "", one ? one : "");
		cJSON_free(one);
	}
	text_printf(why, "\"%s\" must be one of: %s", name, all.at ? all.at : "nothing");
	return -EINVAL;
}

static int match_range(const cJSON *schema, const char *least, const char *most, double is,
		       const char *unit, const char *name, struct text *why)
{
	const cJSON *min = cJSON_GetObjectItemCaseSensitive(schema, least);
	const cJSON *max = cJSON_GetObjectItemCaseSensitive(schema, most);

	if (min && is < min->valuedouble) {
		text_printf(why, "\"%s\" must be at least %.15g%s", name, min->valuedouble, unit);
		return -EINVAL;
	}
	if (max && is > max->valuedouble) {
		text_printf(why, "\"%s\" must be at most %.15g%s", name, max->valuedouble, unit);
		return -EINVAL;
	}
	return 0;
}

static int fail_unknown(const cJSON *properties, const char *key, struct text *why)
{
	const char *names[NAMES_MAX] = { NULL };
	const char *nearest;
	size_t n = 0;

	for (const cJSON *p = properties ? properties->child : NULL; p && n < NAMES_MAX;
	     p = p->next)
		names[n++] = p->string;
	nearest = text_nearest(key, names, n);
	text_add(why, "there is no \"");
	text_add_safe(why, key, strlen(key));
	text_add(why, "\"");
	if (nearest)
		text_printf(why, "; did you mean \"%s\"?", nearest);
	text_add(why, n ? (nearest ? " It takes" : "; it takes") : "; it takes nothing");
	for (size_t i = 0; i < n; i++)
		text_printf(why, "%s %s", i ? "," : "", names[i]);
	return -EINVAL;
}

static int match_object(const cJSON *schema, const cJSON *value, const char *name, struct text *why)
{
	const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
	const cJSON *more = cJSON_GetObjectItemCaseSensitive(schema, "additionalProperties");
	const cJSON *v;

	for (v = value->child; v; v = v->next) {
		const cJSON *of = cJSON_GetObjectItemCaseSensitive(properties, v->string);

		if (!of && cJSON_IsFalse(more))
			return fail_unknown(properties, v->string, why);
		if (of && schema_match(of, v, v->string, why) < 0)
			return -EINVAL;
	}
	cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(schema, "required"))
		if (!cJSON_GetObjectItemCaseSensitive(value, v->valuestring)) {
			text_printf(why, "\"%s\" is missing", v->valuestring);
			if (name[0])
				text_printf(why, " in \"%s\"", name);
			return -EINVAL;
		}
	return 0;
}

int schema_match(const cJSON *schema, const cJSON *value, const char *name, struct text *why)
{
	const cJSON *v;
	int r;

	r = match_type(cJSON_GetObjectItemCaseSensitive(schema, "type"), value, name, why);
	if (r == 0)
		r = match_enum(cJSON_GetObjectItemCaseSensitive(schema, "enum"), value, name, why);
	if (r < 0)
		return r;
	if (cJSON_IsNumber(value))
		return match_range(schema, "minimum", "maximum", value->valuedouble, "", name, why);
	if (cJSON_IsString(value))
		return match_range(schema, "minLength", "maxLength",
				   (double)strlen(value->valuestring), " bytes long", name, why);
	if (cJSON_IsObject(value))
		return match_object(schema, value, name, why);
	if (!cJSON_IsArray(value))
		return 0;
	r = match_range(schema, "minItems", "maxItems", cJSON_GetArraySize(value), " entries long",
			name, why);
	schema = cJSON_GetObjectItemCaseSensitive(schema, "items");
	cJSON_ArrayForEach (v, value)
		if (r == 0 && schema)
			r = schema_match(schema, v, name, why);
	return r;
}
