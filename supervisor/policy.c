// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy.c - what a session may do, and its limits. */
#include "supervisor/policy.h"

#include <errno.h>
#include <string.h>

#include "sandbox/base/fd.h"

enum limit_kind { LIMIT_DURATION, LIMIT_SIZE, LIMIT_COUNT, LIMIT_MILLI };

static const struct {
	const char *name;
	enum limit_kind kind;
	size_t at;
	uint64_t min, max;
	const char *example;
} limit_rows[] = {
	{ "wall", LIMIT_DURATION, offsetof(struct policy, wall_ns), 1000000, UINT64_MAX / 4,
	  "10m" },
	{ "cpu", LIMIT_DURATION, offsetof(struct policy, cpu_ns), 1000000, UINT64_MAX / 4, "5m" },
	{ "cpus", LIMIT_MILLI, offsetof(struct policy, limits.cpu_milli), 10, SB_CPU_MILLI_MAX,
	  "1.5" },
	{ "memory", LIMIT_SIZE, offsetof(struct policy, limits.memory_bytes), SB_MEMORY_MIN,
	  1ull << 50, "2G" },
	{ "tmp", LIMIT_SIZE, offsetof(struct policy, limits.tmp_bytes), 65536, 1ull << 50, "512M" },
	{ "file", LIMIT_SIZE, offsetof(struct policy, limits.file_bytes), 1, 1ull << 60, "1G" },
	{ "output", LIMIT_SIZE, offsetof(struct policy, output_bytes), 1, 1ull << 60, "16M" },
	{ "output_rate", LIMIT_SIZE, offsetof(struct policy, output_rate), 1, 1ull << 60, "8M" },
	{ "log", LIMIT_SIZE, offsetof(struct policy, log_bytes), 65536, 1ull << 60, "1G" },
	{ "disk", LIMIT_SIZE, offsetof(struct policy, disk_bytes), 65536, 1ull << 60, "2G" },
	{ "files", LIMIT_COUNT, offsetof(struct policy, disk_files), 16, UINT32_MAX, "500000" },
	{ "pids", LIMIT_COUNT, offsetof(struct policy, limits.pids), 1, SB_PIDS_MAX, "256" },
	{ "open_files", LIMIT_COUNT, offsetof(struct policy, limits.open_files), 8, SB_NOFILE_MAX,
	  "1024" },
};

static int parse_limit(enum limit_kind kind, const char *value, uint64_t min, uint64_t max,
		       uint64_t *ret)
{
	uint32_t milli = 0;
	int r;

	switch (kind) {
	case LIMIT_DURATION:
		r = text_parse_duration(value, ret);
		break;
	case LIMIT_SIZE:
		r = text_parse_size(value, ret);
		break;
	case LIMIT_COUNT:
		return text_parse_count(value, min, max, ret);
	case LIMIT_MILLI:
		r = text_parse_milli(value, &milli);
		*ret = milli;
		break;
	default:
		return -EINVAL;
	}
	if (r == 0 && (*ret < min || *ret > max))
		return -ERANGE;
	return r;
}

int policy_set_limit(struct policy *p, const char *assignment, struct text *why)
{
	const char *names[ARRAY_SIZE(limit_rows)];
	const char *equals = strchr(assignment, '=');
	const char *nearest;
	char name[32] = "";

	for (size_t i = 0; !equals && i < ARRAY_SIZE(limit_rows); i++)
		if (strcmp(assignment, limit_rows[i].name) == 0) {
			text_printf(why, "limit %s needs a value; for example %s=%s", assignment,
				    assignment, limit_rows[i].example);
			return -EINVAL;
		}
	if (equals && (size_t)(equals - assignment) < sizeof(name))
		memcpy(name, assignment, (size_t)(equals - assignment));
	for (size_t i = 0; i < ARRAY_SIZE(limit_rows); i++) {
		uint64_t value = 0;
		int r;

		names[i] = limit_rows[i].name;
		if (strcmp(name, limit_rows[i].name) != 0)
			continue;
		r = parse_limit(limit_rows[i].kind, equals + 1, limit_rows[i].min,
				limit_rows[i].max, &value);
		if (r < 0) {
			text_add(why, "limit ");
			text_add_safe(why, assignment, strlen(assignment));
			text_printf(why,
				    r == -ERANGE ? ": the value is out of range; for example %s=%s"
						 : ": this is no value for it; for example %s=%s",
				    name, limit_rows[i].example);
			return -EINVAL;
		}
		if (limit_rows[i].kind == LIMIT_COUNT || limit_rows[i].kind == LIMIT_MILLI)
			*(uint32_t *)((char *)p + limit_rows[i].at) = (uint32_t)value;
		else
			*(uint64_t *)((char *)p + limit_rows[i].at) = value;
		return 0;
	}
	text_add(why, "there is no limit called \"");
	text_add_safe(why, name[0] ? name : assignment, strlen(name[0] ? name : assignment));
	text_add(why, "\"");
	nearest = text_nearest(name, names, ARRAY_SIZE(names));
	if (nearest)
		text_printf(why, "; did you mean \"%s\"?", nearest);
	text_add(why, nearest ? " They are" : ". They are");
	text_add(why, " written name=value:");
	for (size_t i = 0; i < ARRAY_SIZE(limit_rows); i++)
		text_printf(why, " %s", limit_rows[i].name);
	return -EINVAL;
}

int policy_add_env(struct policy *p, const char *item, struct text *why)
{
	if (item[0] == '\0' || item[0] == '=') {
		text_add(why, "--env takes NAME (pass it on) or NAME=VALUE (set it)");
		return -EINVAL;
	}
	if (p->env_count == POLICY_ENV_MAX) {
		text_printf(why, "more than %d variables", POLICY_ENV_MAX);
		return -EINVAL;
	}
	p->env[p->env_count++] = item;
	return 0;
}

static const char *find_env(char *const *environment, const char *name, size_t n)
{
	for (; *environment; environment++)
		if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
			return *environment;
	return NULL;
}

/* The first of a name wins, here and in getenv(3). */
static void add_env(struct text *out, uint32_t *count, const char *item)
{
	size_t n = strcspn(item, "=") + 1;

	for (size_t i = 0; i < out->len; i += strlen(out->at + i) + 1)
		if (strncmp(out->at + i, item, n) == 0)
			return;
	text_add_n(out, item, strlen(item) + 1);
	(*count)++;
}

int policy_build_env(const struct policy *p, const char *const *own, char *const *environment,
		     struct text *ret, uint32_t *ret_count)
{
	/* LC_* are passed by prefix below; everything else must be named */
	static const char *const passed[] = {
		"LANG", "LANGUAGE",          "TERM",     "COLORTERM", "NO_COLOR",
		"TZ",   "SOURCE_DATE_EPOCH", "MAKEFLAGS"
	};
	uint32_t count = 0;

	for (; own && *own; own++)
		add_env(ret, &count, *own);
	for (size_t i = 0; i < p->env_count; i++) {
		const char *item = p->env[i];
		const char *found =
			strchr(item, '=') ? item : find_env(environment, item, strlen(item));

		if (found)
			add_env(ret, &count, found);
	}
	add_env(ret, &count, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add_env(ret, &count, "HOME=/home/agent");
	add_env(ret, &count, p->as_root ? "USER=root" : "USER=agent");
	add_env(ret, &count, p->as_root ? "LOGNAME=root" : "LOGNAME=agent");
	add_env(ret, &count, "SHELL=/bin/sh");
	add_env(ret, &count, "TMPDIR=/tmp");
	add_env(ret, &count, "GLOVEBOX=1");
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		const char *found = find_env(environment, passed[i], strlen(passed[i]));

		if (found)
			add_env(ret, &count, found);
	}
	for (char *const *e = environment; *e; e++)
		if (strncmp(*e, "LC_", 3) == 0)
			add_env(ret, &count, *e);
	*ret_count = count;
	return ret->failed ? -ENOMEM : 0;
}
