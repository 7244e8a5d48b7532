// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/engine.c - a seccomp profile in the format of the container engines.
 *
 * What a rule includes or excludes is decided once, for what a call is: this
 * architecture, this kernel, no capability. Two conditions on one argument are taken as
 * either, as the engines do (libseccomp holds one for each argument of a rule).
 */
#include "supervisor/engine.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bpf/event.h"
#include "sandbox/base/fd.h"
#include "supervisor/profile.h"

#define ARGS_MAX 6
#define ERRNO_NAMED_MAX 133 /* EHWPOISON, the last there is */
/* Rules after names and conditions are spread out; the engines' default has 400. */
#define RULES_MAX 4096

struct engine_rule {
	int nr;
	uint32_t action; /* SCMP_ACT_* */
	unsigned int arg_count;
	struct scmp_arg_cmp args[ARGS_MAX];
};

struct engine {
	uint32_t otherwise; /* SCMP_ACT_* */
	struct engine_rule *rules;
	size_t count;
};

struct source {
	struct engine *e;
	struct text *why;
};

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static int fail(struct source *s, const char *what, const char *value)
{
	text_add(s->why, "the seccomp profile: ");
	text_add(s->why, what);
	if (value) {
		text_add(s->why, " \"");
		text_add_safe(s->why, value, strlen(value));
		text_add(s->why, "\"");
	}
	return -EINVAL;
}

static int check_keys(struct source *s, const cJSON *json, const char *where,
		      const char *const *known, size_t count)
{
	for (const cJSON *v = json ? json->child : NULL; v; v = v->next) {
		bool hit = false;

		for (size_t i = 0; i < count; i++)
			hit |= strcmp(known[i], v->string) == 0;
		if (!hit) {
			AUTO_TEXT what = { 0 };

			text_printf(&what, "%s has no", where);
			return fail(s, what.at, v->string);
		}
	}
	return 0;
}

/* Some engines write its name beside, or instead of, its number. */
static int read_errno_name(struct source *s, const cJSON *v, int *ret)
{
	for (int i = 1; cJSON_IsString(v) && i <= ERRNO_NAMED_MAX; i++) {
		const char *name = strerrorname_np(i);

		if (name && strcmp(name, v->valuestring) == 0) {
			*ret = i;
			return 0;
		}
	}
	return fail(s, "this is no errno:", cJSON_IsString(v) ? v->valuestring : "?");
}

static int read_errno(struct source *s, const cJSON *v, const cJSON *name, int *ret)
{
	*ret = EPERM;
	if (!v && name)
		return read_errno_name(s, name, ret);
	if (!v)
		return 0;
	if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > 4095 ||
	    v->valuedouble != (int)v->valuedouble)
		return fail(s, "an errno is a number from 0 to 4095", NULL);
	*ret = v->valueint;
	return 0;
}

static int read_action(struct source *s, const cJSON *v, const cJSON *number, const cJSON *word,
		       uint32_t *ret)
{
	static const struct {
		const char *name;
		uint32_t action;
	} actions[] = {
		{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
		{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
		{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
		{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	};
	int error, r;

	if (!cJSON_IsString(v))
		return fail(s, "each rule has an \"action\", and the whole a \"defaultAction\"",
			    NULL);
	r = read_errno(s, number, word, &error);
	if (r < 0)
		return r;
	if (strcmp(v->valuestring, "SCMP_ACT_ERRNO") == 0) {
		*ret = SCMP_ACT_ERRNO((uint16_t)error);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(actions[i].name, v->valuestring) == 0) {
			*ret = actions[i].action;
			return 0;
		}
	return fail(s, "this action cannot be carried out here:", v->valuestring);
}

static bool kernel_is_at_least(const char *version)
{
	struct utsname u;
	unsigned int a = 0, b = 0, x = 0, y = 0;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &a, &b) == 2 &&
	       sscanf(version, "%u.%u", &x, &y) == 2 && (a > x || (a == x && b >= y));
}

static bool holds_arch(const cJSON *list)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, list)
		if (cJSON_IsString(v) && strcmp(v->valuestring, "amd64") == 0)
			return true;
	return false;
}

/* Whether the conditions around a rule hold for a call. */
static int is_meant(struct source *s, const cJSON *rule, bool *ret)
{
	static const char *const known[] = { "caps", "arches", "minKernel" };
	const cJSON *in = get(rule, "includes"), *out = get(rule, "excludes");
	const cJSON *min = get(in, "minKernel"), *not_min = get(out, "minKernel");

	*ret = true;
	if ((in && !cJSON_IsObject(in)) || (out && !cJSON_IsObject(out)))
		return fail(s, "\"includes\" and \"excludes\" are objects", NULL);
	if (check_keys(s, in, "\"includes\"", known, ARRAY_SIZE(known)) < 0 ||
	    check_keys(s, out, "\"excludes\"", known, ARRAY_SIZE(known)) < 0)
		return -EINVAL;
	/* a call has no capability */
	if (cJSON_GetArraySize(get(in, "caps")) > 0)
		*ret = false;
	if (cJSON_GetArraySize(get(in, "arches")) > 0 && !holds_arch(get(in, "arches")))
		*ret = false;
	if (holds_arch(get(out, "arches")))
		*ret = false;
	if (cJSON_IsString(min) && !kernel_is_at_least(min->valuestring))
		*ret = false;
	if (cJSON_IsString(not_min) && kernel_is_at_least(not_min->valuestring))
		*ret = false;
	return 0;
}

static int read_arg(struct source *s, const cJSON *v, struct scmp_arg_cmp *ret)
{
	static const char *const known[] = { "index", "value", "valueTwo", "op" };
	static const struct {
		const char *name;
		enum scmp_compare op;
	} ops[] = {
		{ "SCMP_CMP_NE", SCMP_CMP_NE },
		{ "SCMP_CMP_LT", SCMP_CMP_LT },
		{ "SCMP_CMP_LE", SCMP_CMP_LE },
		{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
		{ "SCMP_CMP_GE", SCMP_CMP_GE },
		{ "SCMP_CMP_GT", SCMP_CMP_GT },
		{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	};
	const cJSON *index = get(v, "index"), *value = get(v, "value"), *two = get(v, "valueTwo");
	const cJSON *op = get(v, "op");

	if (check_keys(s, v, "a condition", known, ARRAY_SIZE(known)) < 0)
		return -EINVAL;
	if (!cJSON_IsNumber(index) || index->valuedouble < 0 || index->valuedouble >= ARGS_MAX ||
	    !cJSON_IsNumber(value) || value->valuedouble < 0 || (two && !cJSON_IsNumber(two)) ||
	    !cJSON_IsString(op))
		return fail(s,
			    "a condition has an \"index\" from 0 to 5, a \"value\" and an \"op\"",
			    NULL);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		uint64_t a = (uint64_t)value->valuedouble;
		uint64_t b = two ? (uint64_t)two->valuedouble : 0;

		if (strcmp(ops[i].name, op->valuestring) != 0)
			continue;
		/* with a mask the format's "value" is the mask */
		*ret = (struct scmp_arg_cmp){ (unsigned int)index->valueint, ops[i].op, a, b };
		return 0;
	}
	return fail(s, "there is no comparison", op->valuestring);
}

static int add_rule(struct source *s, const struct engine_rule *rule)
{
	struct engine *e = s->e;
	struct engine_rule *more;

	/* says nothing that the default does not say */
	if (rule->action == e->otherwise)
		return 0;
	if (e->count == RULES_MAX)
		return fail(s, "it has too many rules", NULL);
	more = realloc(e->rules, (e->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	e->rules = more;
	e->rules[e->count++] = *rule;
	return 0;
}

/* One name with all conditions; each by itself when two look at one argument. */
static int spread(struct source *s, struct engine_rule rule)
{
	bool twice = false;
	int r = 0;

	for (unsigned int i = 0; i < rule.arg_count; i++)
		for (unsigned int k = 0; k < i; k++)
			twice |= rule.args[i].arg == rule.args[k].arg;
	if (!twice)
		return add_rule(s, &rule);
	for (unsigned int i = 0; r == 0 && i < rule.arg_count; i++) {
		struct engine_rule one = { rule.nr, rule.action, 1, { rule.args[i] } };

		r = add_rule(s, &one);
	}
	return r;
}

static int add_name(struct source *s, const cJSON *name, struct engine_rule *rule)
{
	if (!cJSON_IsString(name))
		return fail(s, "\"names\" holds the names of system calls", NULL);
	/* one that this kernel or library does not know: as the engines do, nothing */
	rule->nr = profile_syscall_number(name->valuestring);
	return rule->nr < 0 || rule->nr >= WATCH_SYSCALLS ? 0 : spread(s, *rule);
}

static int read_rule(struct source *s, const cJSON *json)
{
	static const char *const known[] = { "names",    "name",     "action", "args",   "includes",
					     "excludes", "errnoRet", "errno",  "comment" };
	const cJSON *names = get(json, "names"), *args = get(json, "args");
	struct engine_rule rule = { 0 };
	const cJSON *v;
	bool meant = false;
	int r;

	if (!cJSON_IsObject(json))
		return fail(s, "a rule is an object", NULL);
	if (check_keys(s, json, "a rule", known, ARRAY_SIZE(known)) < 0)
		return -EINVAL;
	r = read_action(s, get(json, "action"), get(json, "errnoRet"), get(json, "errno"),
			&rule.action);
	if (r == 0)
		r = is_meant(s, json, &meant);
	if (r < 0 || !meant)
		return r;
	if ((names && !cJSON_IsArray(names)) || (!names && !get(json, "name")) ||
	    (args && !cJSON_IsArray(args) && !cJSON_IsNull(args)))
		return fail(s, "a rule has \"names\", and \"args\" is a list", NULL);
	cJSON_ArrayForEach (v, args) {
		if (r == 0 && rule.arg_count == ARGS_MAX)
			r = fail(s, "a rule has more than six conditions", NULL);
		if (r == 0)
			r = read_arg(s, v, &rule.args[rule.arg_count]);
		rule.arg_count += r == 0;
	}
	if (r == 0 && !names)
		return add_name(s, get(json, "name"), &rule);
	cJSON_ArrayForEach (v, names)
		if (r == 0)
			r = add_name(s, v, &rule);
	return r;
}

static int read_all(struct source *s, const cJSON *json)
{
	static const char *const known[] = { "defaultAction", "defaultErrnoRet", "defaultErrno",
					     "archMap",       "architectures",   "syscalls",
					     "flags",         "comment" };
	const cJSON *arches = get(json, "architectures"), *map = get(json, "archMap");
	const cJSON *v;
	bool is_ours = !arches && !map;
	int r = check_keys(s, json, "it", known, ARRAY_SIZE(known));

	if (r == 0)
		r = read_action(s, get(json, "defaultAction"), get(json, "defaultErrnoRet"),
				get(json, "defaultErrno"), &s->e->otherwise);
	if (r < 0)
		return r;
	/* others are killed here whatever it says: no number of theirs meets a rule of ours */
	cJSON_ArrayForEach (v, arches)
		is_ours |= cJSON_IsString(v) && strcmp(v->valuestring, "SCMP_ARCH_X86_64") == 0;
	cJSON_ArrayForEach (v, map) {
		const cJSON *arch = get(v, "architecture");

		is_ours |=
			cJSON_IsString(arch) && strcmp(arch->valuestring, "SCMP_ARCH_X86_64") == 0;
	}
	if (!is_ours)
		return fail(s, "it is for other architectures than SCMP_ARCH_X86_64", NULL);
	if (!cJSON_IsArray(get(json, "syscalls")))
		return fail(s, "\"syscalls\" is a list of rules", NULL);
	cJSON_ArrayForEach (v, get(json, "syscalls"))
		if (r == 0)
			r = read_rule(s, v);
	return r;
}

int engine_read(const cJSON *json, struct engine **ret, struct text *why)
{
	struct source s = { .e = calloc(1, sizeof(struct engine)), .why = why };
	int r = s.e ? read_all(&s, json) : -ENOMEM;

	if (r < 0) {
		engine_free(s.e);
		return r;
	}
	*ret = s.e;
	return 0;
}

void engine_free(struct engine *e)
{
	if (e)
		free(e->rules);
	free(e);
}

uint32_t engine_default(const struct engine *e)
{
	return e->otherwise;
}

int engine_add_rules(const struct engine *e, scmp_filter_ctx ctx)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct engine_rule *rule = &e->rules[i];
		int r = seccomp_rule_add_array(ctx, rule->action, rule->nr, rule->arg_count,
					       rule->args);

		/* the same rule twice is one */
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static bool holds(const struct scmp_arg_cmp *c, const uint64_t args[6])
{
	uint64_t a = args[c->arg];

	switch (c->op) {
	case SCMP_CMP_NE:
		return a != c->datum_a;
	case SCMP_CMP_LT:
		return a < c->datum_a;
	case SCMP_CMP_LE:
		return a <= c->datum_a;
	case SCMP_CMP_EQ:
		return a == c->datum_a;
	case SCMP_CMP_GE:
		return a >= c->datum_a;
	case SCMP_CMP_GT:
		return a > c->datum_a;
	case SCMP_CMP_MASKED_EQ:
		return (a & c->datum_a) == c->datum_b;
	default:
		return false;
	}
}

static int errno_of(uint32_t action)
{
	return (action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO
		       ? (int)(action & SECCOMP_RET_DATA)
		       : 0;
}

int engine_refuses(const struct engine *e, int nr, const uint64_t args[6])
{
	for (size_t i = 0; i < e->count; i++) {
		const struct engine_rule *rule = &e->rules[i];
		bool all = rule->nr == nr;

		for (unsigned int k = 0; all && k < rule->arg_count; k++)
			all = holds(&rule->args[k], args);
		if (all)
			return errno_of(rule->action);
	}
	return errno_of(e->otherwise);
}

bool engine_depends(const struct engine *e, int nr)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->rules[i].nr == nr && e->rules[i].arg_count > 0)
			return true;
	return false;
}

void engine_errors(const struct engine *e, int nr, uint16_t *ret_error, uint16_t *ret_error2)
{
	bool always = false;

	*ret_error = *ret_error2 = 0;
	for (size_t i = 0; i < e->count; i++) {
		if (e->rules[i].nr != nr)
			continue;
		always |= e->rules[i].arg_count == 0;
		if (errno_of(e->rules[i].action) && *ret_error == 0)
			*ret_error = (uint16_t)errno_of(e->rules[i].action);
	}
	if (!always)
		*(*ret_error ? ret_error2 : ret_error) = (uint16_t)errno_of(e->otherwise);
}
