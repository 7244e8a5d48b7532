// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy_json.c - a policy as JSON: read strictly, written whole. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/policy.h"

const char *const policy_commit_names[] = {
	[POLICY_COMMIT_OPERATOR] = "operator",
	[POLICY_COMMIT_AGENT] = "agent",
	[POLICY_COMMIT_AUTO] = "auto",
};

static int fail_key(const char *where, const char *key, const char *const *known, size_t count,
		    struct text *why)
{
	const char *nearest = text_nearest(key, known, count);

	text_printf(why, "%s has no \"", where);
	text_add_safe(why, key, strlen(key));
	text_add(why, "\"");
	if (nearest)
		text_printf(why, "; did you mean \"%s\"?", nearest);
	text_add(why, nearest ? " It has" : "; it has");
	for (size_t i = 0; i < count; i++)
		text_printf(why, " %s", known[i]);
	return -EINVAL;
}

static int check_keys(const cJSON *json, const char *where, const char *const *known, size_t count,
		      struct text *why)
{
	if (!cJSON_IsObject(json)) {
		text_printf(why, "%s must be an object", where);
		return -EINVAL;
	}
	for (const cJSON *p = json->child; p; p = p->next) {
		bool hit = false;

		for (size_t i = 0; i < count; i++)
			hit |= strcmp(p->string, known[i]) == 0;
		if (!hit)
			return fail_key(where, p->string, known, count, why);
	}
	return 0;
}

static int set_limit(struct policy *p, const cJSON *value, struct text *why)
{
	AUTO_TEXT words = { 0 };

	text_printf(&words, "%s=", value->string);
	if (cJSON_IsString(value))
		text_add(&words, value->valuestring);
	else if (cJSON_IsNumber(value))
		text_printf(&words, "%.15g", value->valuedouble);
	else {
		text_printf(why, "limit %s must be a string or a number", value->string);
		return -EINVAL;
	}
	return policy_set_limit(p, words.at, why);
}

static bool is_lower(const struct policy *a, const struct policy *b)
{
	const struct sb_limits *x = &a->limits, *y = &b->limits;

	return a->wall_ns <= b->wall_ns && a->cpu_ns <= b->cpu_ns &&
	       a->output_bytes <= b->output_bytes && x->memory_bytes <= y->memory_bytes &&
	       x->tmp_bytes <= y->tmp_bytes && x->pids <= y->pids && x->cpu_milli <= y->cpu_milli &&
	       x->open_files <= y->open_files &&
	       (y->file_bytes == 0 || (x->file_bytes > 0 && x->file_bytes <= y->file_bytes));
}

int policy_read_limits(struct policy *p, const cJSON *limits, bool only_lower, struct text *why)
{
	struct policy before = *p;
	int r = 0;

	if (!cJSON_IsObject(limits)) {
		text_add(why, "\"limits\" must be an object");
		return -EINVAL;
	}
	for (const cJSON *v = limits->child; v && r == 0; v = v->next) {
		r = set_limit(p, v, why);
		if (r == 0 && only_lower && !is_lower(p, &before)) {
			text_printf(why,
				    "limit %s is above the policy's: only an operator may raise it",
				    v->string);
			r = -EPERM;
		}
	}
	return r;
}

static int add_own_env(struct policy *p, const char *item, struct text *why)
{
	char *copy = strdup(item);
	int r = copy ? policy_add_env(p, copy, why) : -ENOMEM;

	if (r < 0)
		free(copy);
	else
		p->env_is_own[p->env_count - 1] = true;
	return r;
}

static int read_env(struct policy *p, const cJSON *env, struct text *why)
{
	static const char *const known[] = { "pass", "set" };
	const cJSON *pass = cJSON_GetObjectItemCaseSensitive(env, "pass");
	const cJSON *set = cJSON_GetObjectItemCaseSensitive(env, "set");
	const cJSON *v;
	int r = check_keys(env, "\"env\"", known, ARRAY_SIZE(known), why);

	if (r == 0 && ((pass && !cJSON_IsArray(pass)) || (set && !cJSON_IsObject(set)))) {
		text_add(why, "\"env\" is {\"pass\": [names], \"set\": {name: value}}");
		return -EINVAL;
	}
	cJSON_ArrayForEach (v, pass) {
		if (r == 0 && !cJSON_IsString(v)) {
			text_add(why, "\"env.pass\" holds names");
			r = -EINVAL;
		}
		if (r == 0)
			r = add_own_env(p, v->valuestring, why);
	}
	cJSON_ArrayForEach (v, set) {
		AUTO_TEXT item = { 0 };

		if (r == 0 && !cJSON_IsString(v)) {
			text_add(why, "\"env.set\" holds strings");
			r = -EINVAL;
		}
		if (r < 0)
			continue;
		text_printf(&item, "%s=%s", v->string, v->valuestring);
		r = add_own_env(p, item.at, why);
	}
	return r;
}

static int read_ask(struct policy *p, const cJSON *ask, struct text *why)
{
	static const char *const known[] = { "tool", "program", "argv" };
	const cJSON *rule;

	if (!cJSON_IsArray(ask)) {
		text_add(why, "\"ask\" is a list of rules");
		return -EINVAL;
	}
	cJSON_ArrayForEach (rule, ask) {
		struct policy_ask *a = &p->ask[p->ask_count];
		char **into[] = { &a->tool, &a->program, &a->argv };
		int r = check_keys(rule, "a rule of \"ask\"", known, ARRAY_SIZE(known), why);

		if (r < 0)
			return r;
		if (p->ask_count == POLICY_ASK_MAX || !rule->child) {
			text_add(why, rule->child ? "\"ask\" has too many rules"
						  : "a rule of \"ask\" must say something");
			return -EINVAL;
		}
		p->ask_count++;
		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			const cJSON *v = cJSON_GetObjectItemCaseSensitive(rule, known[i]);

			if (v && !cJSON_IsString(v)) {
				text_printf(why, "\"%s\" of a rule is a string", known[i]);
				return -EINVAL;
			}
			*into[i] = v ? strdup(v->valuestring) : NULL;
			if (v && !*into[i])
				return -ENOMEM;
		}
	}
	return 0;
}

static int read_files(struct policy *p, const cJSON *files, struct text *why)
{
	static const char *const known[] = { "commit" };
	const cJSON *commit = cJSON_GetObjectItemCaseSensitive(files, "commit");
	int r = check_keys(files, "\"files\"", known, ARRAY_SIZE(known), why);

	if (r < 0 || !commit)
		return r;
	for (int i = POLICY_COMMIT_OPERATOR; i <= POLICY_COMMIT_AUTO; i++)
		if (cJSON_IsString(commit) &&
		    strcmp(commit->valuestring, policy_commit_names[i]) == 0) {
			p->commit = (enum policy_commit)i;
			return 0;
		}
	text_add(why, "\"files.commit\" is \"operator\", \"agent\" or \"auto\"");
	return -EINVAL;
}

int policy_read_json(struct policy *p, const cJSON *json, struct text *why)
{
	static const char *const known[] = { "limits",           "env", "ask", "files",
					     "approval_timeout", "root" };
	const cJSON *limits = cJSON_GetObjectItemCaseSensitive(json, "limits");
	const cJSON *env = cJSON_GetObjectItemCaseSensitive(json, "env");
	const cJSON *ask = cJSON_GetObjectItemCaseSensitive(json, "ask");
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(json, "files");
	const cJSON *timeout = cJSON_GetObjectItemCaseSensitive(json, "approval_timeout");
	const cJSON *root = cJSON_GetObjectItemCaseSensitive(json, "root");
	int r = check_keys(json, "a policy", known, ARRAY_SIZE(known), why);

	if (r == 0 && limits)
		r = policy_read_limits(p, limits, false, why);
	if (r == 0 && env)
		r = read_env(p, env, why);
	if (r == 0 && ask)
		r = read_ask(p, ask, why);
	if (r == 0 && files)
		r = read_files(p, files, why);
	if (r == 0 && timeout &&
	    (!cJSON_IsString(timeout) ||
	     text_parse_duration(timeout->valuestring, &p->approval_ns) < 0 ||
	     p->approval_ns == 0)) {
		text_add(why, "\"approval_timeout\" is a time like \"5m\"");
		r = -EINVAL;
	}
	if (r == 0 && root && !cJSON_IsBool(root)) {
		text_add(why, "\"root\" is true or false");
		r = -EINVAL;
	}
	if (r == 0 && root)
		p->as_root = cJSON_IsTrue(root);
	return r;
}

static void add_ask(const struct policy *p, struct text *out)
{
	text_add(out, ",\"ask\":[");
	for (size_t i = 0; i < p->ask_count; i++) {
		const struct policy_ask *a = &p->ask[i];
		const char *const keys[] = { "tool", "program", "argv" };
		const char *const values[] = { a->tool, a->program, a->argv };
		bool first = true;

		text_add(out, i ? ",{" : "{");
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			if (!values[k])
				continue;
			text_printf(out, "%s\"%s\":", first ? "" : ",", keys[k]);
			text_add_json(out, values[k], strlen(values[k]));
			first = false;
		}
		text_add(out, "}");
	}
	text_add(out, "]");
}

void policy_add_json(const struct policy *p, struct text *out)
{
	const struct sb_limits *l = &p->limits;
	bool first = true;

	text_printf(out,
		    "{\"limits\":{\"wall\":\"%llums\",\"cpu\":\"%llums\",\"cpus\":\"%u.%03u\","
		    "\"memory\":\"%llu\",\"tmp\":\"%llu\",\"output\":\"%llu\",\"pids\":%u,"
		    "\"open_files\":%u",
		    (unsigned long long)(p->wall_ns / 1000000u),
		    (unsigned long long)(p->cpu_ns / 1000000u), l->cpu_milli / 1000,
		    l->cpu_milli % 1000, (unsigned long long)l->memory_bytes,
		    (unsigned long long)l->tmp_bytes, (unsigned long long)p->output_bytes, l->pids,
		    l->open_files);
	if (l->file_bytes > 0)
		text_printf(out, ",\"file\":\"%llu\"", (unsigned long long)l->file_bytes);
	text_add(out, "},\"env\":{\"pass\":[");
	for (size_t i = 0; i < p->env_count; i++) {
		if (strchr(p->env[i], '='))
			continue;
		text_add(out, first ? "" : ",");
		text_add_json(out, p->env[i], strlen(p->env[i]));
		first = false;
	}
	text_add(out, "],\"set\":{");
	first = true;
	for (size_t i = 0; i < p->env_count; i++) {
		const char *equals = strchr(p->env[i], '=');

		if (!equals)
			continue;
		text_add(out, first ? "" : ",");
		text_add_json(out, p->env[i], (size_t)(equals - p->env[i]));
		text_add(out, ":");
		text_add_json(out, equals + 1, strlen(equals + 1));
		first = false;
	}
	text_add(out, "}}");
	add_ask(p, out);
	text_printf(out,
		    ",\"files\":{\"commit\":\"%s\"},\"approval_timeout\":\"%llums\",\"root\":%s}",
		    policy_commit_names[p->commit], (unsigned long long)(p->approval_ns / 1000000u),
		    p->as_root ? "true" : "false");
}

static bool program_is(const char *rule, const char *word)
{
	const char *slash = strrchr(word, '/');

	return strcmp(rule, word) == 0 || (slash && strcmp(rule, slash + 1) == 0);
}

const struct policy_ask *policy_find_ask(const struct policy *p, const char *tool,
					 const char *const *argv)
{
	AUTO_TEXT words = { 0 };

	for (const char *const *a = argv; *a; a++) {
		text_add(&words, a == argv ? "" : " ");
		text_add(&words, *a);
	}
	for (size_t i = 0; i < p->ask_count; i++) {
		const struct policy_ask *a = &p->ask[i];

		if (a->tool && fnmatch(a->tool, tool, 0) != 0)
			continue;
		if (a->program && !program_is(a->program, argv[0]))
			continue;
		/* what cannot be looked at is asked about */
		if (a->argv && !words.failed && fnmatch(a->argv, words.at, 0) != 0)
			continue;
		return a;
	}
	return NULL;
}

void policy_done(struct policy *p)
{
	for (size_t i = 0; i < p->env_count; i++)
		if (p->env_is_own[i])
			free((char *)(uintptr_t)p->env[i]);
	for (size_t i = 0; i < p->ask_count; i++) {
		free(p->ask[i].tool);
		free(p->ask[i].program);
		free(p->ask[i].argv);
	}
	p->env_count = p->ask_count = 0;
}
