// SPDX-License-Identifier: Apache-2.0
/* tests/unit/schema.c - schemas of tools: what they refuse, and in which words. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <string.h>

#include "supervisor/rpc.h"
#include "supervisor/schema.h"

static const char schema_text[] = "{\"type\":\"object\",\"properties\":{"
				  "\"path\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":4},"
				  "\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9},"
				  "\"mode\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]},"
				  "\"either\":{\"type\":[\"string\",\"null\"]},"
				  "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},"
				  "\"minItems\":2,\"maxItems\":3},"
				  "\"more\":{\"type\":\"object\",\"required\":[\"x\"]}},"
				  "\"required\":[\"path\"],\"additionalProperties\":false}";

static void check(const char *value, const char *says)
{
	cJSON *schema = cJSON_Parse(schema_text), *v = cJSON_Parse(value);
	AUTO_TEXT why = { 0 };
	int r;

	cr_assert(schema && v);
	cr_assert_eq(schema_check(schema, "input", &why), 0);
	r = schema_match(schema, v, "", &why);
	cr_assert_eq(r == 0, says == NULL, "%s: %s", value, why.at ? why.at : "accepted");
	if (says)
		cr_assert_not_null(strstr(why.at, says), "%s: %s", value, why.at);
	cJSON_Delete(schema);
	cJSON_Delete(v);
}

Test(schema, values_are_checked_and_the_error_names_them)
{
	check("{\"path\":\"x\",\"count\":9,\"mode\":\"b\",\"either\":null,\"list\":[true,false]}",
	      NULL);
	check("{}", "\"path\" is missing");
	check("{\"path\":7}", "\"path\" must be of type string");
	check("{\"path\":\"\"}", "at least 1 bytes");
	check("{\"path\":\"12345\"}", "at most 4 bytes");
	check("{\"path\":\"x\",\"count\":0}", "at least 1");
	check("{\"path\":\"x\",\"count\":1.5}", "integer");
	check("{\"path\":\"x\",\"mode\":\"c\"}", "one of: \"a\", \"b\"");
	check("{\"path\":\"x\",\"either\":1}", "string or null");
	check("{\"path\":\"x\",\"list\":[true]}", "at least 2 entries");
	check("{\"path\":\"x\",\"list\":[true,1]}", "boolean");
	check("{\"path\":\"x\",\"more\":{}}", "\"x\" is missing in \"more\"");
	check("{\"path\":\"x\",\"cuont\":1}", "did you mean \"count\"?");
	check("[]", "object");
}

Test(schema, a_schema_with_words_we_do_not_enforce_is_refused)
{
	static const char *const wrong[][2] = {
		{ "{\"type\":\"object\",\"properties\":{\"a\":{\"pattern\":\"x\"}}}", "input.a" },
		{ "{\"type\":\"strnig\"}", "type" },
		{ "{\"requierd\":[]}", "did you mean \"required\"?" },
		{ "{\"required\":[1]}", "wrong type" },
		{ "{\"additionalProperties\":{}}", "wrong type" },
		{ "{\"items\":[]}", "a schema is an object" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cJSON *schema = cJSON_Parse(wrong[i][0]);
		AUTO_TEXT why = { 0 };

		cr_assert(schema_check(schema, "input", &why) < 0, "%s", wrong[i][0]);
		cr_assert_not_null(strstr(why.at, wrong[i][1]), "%s", why.at);
		cJSON_Delete(schema);
	}
}

Test(schema, json_that_two_readers_would_take_differently_is_refused)
{
	static const char *const wrong[] = {
		"{\"a\":1,\"a\":2}", "{\"a\":\"x\\u0000y\"}", "{} {}", "{\"a\":\"\xff\"}", "",
	};
	AUTO_TEXT why = { 0 };
	cJSON *json;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert(rpc_read_json(wrong[i], strlen(wrong[i]), &json, &why) < 0 && !json, "%s",
			  wrong[i]);
	cr_assert_eq(rpc_read_json("{\"a\":\"\\\\u0000\"}\n", 15, &json, &why), 0, "%s", why.at);
	cJSON_Delete(json);
}
