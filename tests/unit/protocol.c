// SPDX-License-Identifier: Apache-2.0
/* tests/unit/protocol.c - parameters, policies and stacks, from their tables. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "supervisor/params.h"
#include "supervisor/policy.h"
#include "supervisor/stack.h"
#include "supervisor/text.h"

struct into {
	const char *name;
	uint64_t count;
	bool flag;
	const cJSON *words;
};

static const struct param table[] = {
	{ "name", PARAM_TEXT, true, offsetof(struct into, name) },
	{ "count", PARAM_COUNT, false, offsetof(struct into, count) },
	{ "flag", PARAM_BOOL, false, offsetof(struct into, flag) },
	{ "words", PARAM_TEXTS, false, offsetof(struct into, words) },
	{ .kind = PARAM_END },
};

static int read_params(const char *json, struct into *p, struct text *why)
{
	cJSON *parsed = cJSON_Parse(json);
	int r;

	cr_assert_not_null(parsed);
	*p = (struct into){ 0 };
	why->len = 0;
	r = params_read(parsed, table, p, why);
	cJSON_Delete(parsed);
	return r;
}

Test(params, right_ones_are_taken)
{
	struct into p;
	AUTO_TEXT why = { 0 };

	cr_assert_eq(read_params("{\"name\":\"n\",\"count\":7,\"flag\":true,\"words\":[\"a\"]}", &p,
				 &why),
		     0);
	cr_assert_eq(p.count, 7);
	cr_assert(p.flag);
}

Test(params, wrong_ones_are_named_with_what_is_accepted)
{
	static const struct {
		const char *json, *says;
	} all[] = {
		{ "{}", "\"name\" is missing" },
		{ "{\"name\":7}", "\"name\" must be a string" },
		{ "{\"name\":\"n\",\"count\":-1}", "\"count\" must be a whole number" },
		{ "{\"name\":\"n\",\"count\":1.5}", "\"count\" must be a whole number" },
		{ "{\"name\":\"n\",\"count\":1e300}", "\"count\" must be a whole number" },
		{ "{\"name\":\"n\",\"words\":[1]}", "\"words\" must be a list of strings" },
		{ "{\"name\":\"n\",\"flags\":true}", "did you mean \"flag\"?" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct into p;
		AUTO_TEXT why = { 0 };

		cr_assert_eq(read_params(all[i].json, &p, &why), -EINVAL, "%s", all[i].json);
		cr_assert(strstr(why.at, all[i].says), "%s: %s", all[i].json, why.at);
	}
}

static int read_policy(struct policy *p, const char *json, struct text *why)
{
	cJSON *parsed = cJSON_Parse(json);
	int r;

	r = policy_read_json(p, parsed, "a test", NULL, why);
	cJSON_Delete(parsed);
	return r;
}

Test(policy, a_policy_written_is_read_again_the_same)
{
	static const char json[] =
		"{\"limits\":{\"wall\":\"90s\",\"cpus\":1.5,\"pids\":77,\"file\":\"1M\"},"
		"\"env\":{\"pass\":[\"LANG\"],\"set\":{\"A\":\"b=c\"}},"
		"\"ask\":[{\"program\":\"git\",\"argv\":\"git push*\"},{\"tool\":\"x\"}],"
		"\"files\":{\"commit\":\"auto\"},\"approval_timeout\":\"2m\",\"root\":true}";
	struct policy a, b;
	AUTO_TEXT why = { 0 };
	AUTO_TEXT one = { 0 };
	AUTO_TEXT two = { 0 };

	cr_assert_eq(read_policy(&a, json, &why), 0, "%s", why.at);
	policy_add_json(&a, &one);
	cr_assert_eq(read_policy(&b, one.at, &why), 0, "%s", why.at);
	policy_add_json(&b, &two);
	cr_assert_str_eq(one.at, two.at);
	cr_assert_eq(b.limits.pids, 77);
	cr_assert_eq(b.limits.cpu_milli, 1500);
	cr_assert_eq(b.commit, POLICY_COMMIT_AUTO);
	cr_assert(b.as_root);
	policy_done(&a);
	policy_done(&b);
}

Test(policy, what_is_unknown_or_of_the_wrong_kind_is_an_error)
{
	static const char *const all[] = {
		"{\"limit\":{}}",
		"{\"limits\":{\"wal\":\"1s\"}}",
		"{\"limits\":[]}",
		"{\"ask\":{}}",
		"{\"ask\":[{}]}",
		"{\"ask\":[{\"prog\":\"x\"}]}",
		"{\"ask\":[{\"tool\":1}]}",
		"{\"files\":{\"commit\":\"everybody\"}}",
		"{\"approval_timeout\":\"0s\"}",
		"{\"env\":{\"set\":[]}}",
		"{\"env\":{\"set\":{\"A\":1}}}",
		"{\"root\":\"yes\"}",
		"[]",
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct policy p;
		AUTO_TEXT why = { 0 };

		cr_assert_lt(read_policy(&p, all[i], &why), 0, "%s", all[i]);
		cr_assert_gt(why.len, 0, "%s", all[i]);
		policy_done(&p);
	}
}

Test(policy, an_agent_may_lower_a_limit_and_not_raise_one)
{
	cJSON *lower = cJSON_Parse("{\"wall\":\"1m\",\"pids\":10}");
	cJSON *higher = cJSON_Parse("{\"memory\":\"64G\"}");
	struct policy p;
	AUTO_TEXT why = { 0 };

	policy_init(&p);
	cr_assert_eq(policy_read_limits(&p, lower, true, &why), 0);
	cr_assert_eq(policy_read_limits(&p, higher, true, &why), -EPERM);
	cr_assert_eq(policy_read_limits(&p, higher, false, &why), 0);
	policy_done(&p);
	cJSON_Delete(lower);
	cJSON_Delete(higher);
}

Test(policy, a_rule_of_ask_matches_all_it_says)
{
	static const char *const push[] = { "/usr/bin/git", "push", "-f", NULL };
	static const char *const status[] = { "git", "status", NULL };
	struct policy p;
	AUTO_TEXT why = { 0 };

	cr_assert_eq(
		read_policy(&p, "{\"ask\":[{\"program\":\"git\",\"argv\":\"*git push*\"}]}", &why),
		0);
	cr_assert_not_null(policy_find_ask(&p, "exec", push));
	cr_assert_null(policy_find_ask(&p, "exec", status));
	policy_done(&p);
}

Test(stack, calls_are_found_in_their_layers_and_layers_join)
{
	struct stack s = { 0 }, copy;

	for (uint32_t call = 1; call <= 3; call++) {
		cr_assert_eq(stack_push(&s), 0);
		cr_assert_eq(stack_add_call(&s, call), 0);
	}
	cr_assert_eq(stack_find_call(&s, 2), 1);
	cr_assert_eq(stack_copy(&copy, &s), 0);
	cr_assert_eq(stack_join_lowest(&s), 0);
	cr_assert_eq(s.count, 2);
	cr_assert_eq(stack_find_call(&s, 2), 0);
	cr_assert_eq(stack_find_call(&s, 3), 1);
	cr_assert_eq(s.at[1].number, 3);
	cr_assert_eq(stack_find_call(&copy, 2), 1);
	stack_done(&s);
	stack_done(&copy);
}

Test(stack, it_has_an_end_and_numbers_are_never_given_twice)
{
	struct stack s = { 0 };

	for (uint32_t i = 0; i < SB_LAYERS_MAX; i++)
		cr_assert_eq(stack_push(&s), 0);
	cr_assert_eq(stack_push(&s), -ENOSPC);
	stack_pop(&s);
	cr_assert_eq(stack_push(&s), 0);
	cr_assert_eq(s.at[s.count - 1].number, SB_LAYERS_MAX + 1);
	stack_done(&s);
}

Test(text, every_byte_comes_back_from_its_json)
{
	AUTO_TEXT json = { 0 };
	AUTO_TEXT back = { 0 };
	char all[256 + 8];

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	memcpy(all + 256, "\xf0\x9f\x98\x80\xc3\xa9\\\"", 8);
	text_add_json(&json, all, sizeof(all));
	text_add_unescaped(&back, json.at + 1, json.len - 2);
	cr_assert_eq(back.len, sizeof(all));
	cr_assert_eq(memcmp(back.at, all, sizeof(all)), 0);
}
