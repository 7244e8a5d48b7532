// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy_write.c - a policy as JSON: written whole, to be read again. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/policy.h"

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

static void add_list(const struct policy *p, enum policy_list_name name, const char *key,
		     struct text *out)
{
	const struct policy_list *l = &p->lists[name];

	text_printf(out, "%s\"%s\":[", out->at[out->len - 1] == '{' ? "" : ",", key);
	for (size_t i = 0; i < l->count; i++) {
		text_add(out, i ? "," : "");
		text_add_json(out, l->at[i].text, strlen(l->at[i].text));
	}
	text_add(out, "]");
}

static void add_files(const struct policy *p, struct text *out)
{
	text_add(out, ",\"files\":{");
	add_list(p, POLICY_READ, "read", out);
	add_list(p, POLICY_HIDE, "hide", out);
	if (p->has_write)
		add_list(p, POLICY_WRITE, "write", out);
	add_list(p, POLICY_PROTECT, "protect", out);
	add_list(p, POLICY_OVERLAY, "overlay", out);
	if (p->tree) {
		text_add(out, ",\"root\":");
		text_add_json(out, p->tree, strlen(p->tree));
	}
	text_printf(out, ",\"commit\":\"%s\"}", policy_commit_names[p->commit]);
}

static void add_syscalls(const struct policy *p, struct text *out)
{
	char *profile = p->profile ? cJSON_PrintUnformatted(p->profile) : NULL;

	text_printf(out, ",\"syscalls\":{\"profile\":%s", profile ? profile : "\"default\"");
	free(profile);
	add_list(p, POLICY_SYSCALL_ALLOW, "allow", out);
	add_list(p, POLICY_SYSCALL_DENY, "deny", out);
	text_add(out, "}");
}

void policy_add_json(const struct policy *p, struct text *out)
{
	const struct sb_limits *l = &p->limits;
	bool first = true;

	text_printf(
		out,
		"{\"extends\":\"none\",\"limits\":{\"wall\":\"%llums\",\"cpu\":\"%llums\",\"cpus\":\"%u.%03u\","
		"\"memory\":\"%llu\",\"tmp\":\"%llu\",\"output\":\"%llu\",\"pids\":%u,"
		"\"open_files\":%u",
		(unsigned long long)(p->wall_ns / 1000000u),
		(unsigned long long)(p->cpu_ns / 1000000u), l->cpu_milli / 1000,
		l->cpu_milli % 1000, (unsigned long long)l->memory_bytes,
		(unsigned long long)l->tmp_bytes, (unsigned long long)p->output_bytes, l->pids,
		l->open_files);
	text_printf(out, ",\"disk\":\"%llu\",\"files\":%u", (unsigned long long)p->disk_bytes,
		    p->disk_files);
	if (p->log_bytes > 0)
		text_printf(out, ",\"log\":\"%llu\"", (unsigned long long)p->log_bytes);
	if (p->output_rate > 0)
		text_printf(out, ",\"output_rate\":\"%llu\"", (unsigned long long)p->output_rate);
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
	add_files(p, out);
	add_syscalls(p, out);
	text_add(out, ",\"exec\":{");
	add_list(p, POLICY_EXEC_DENY, "deny", out);
	text_printf(out, "},\"watch\":{\"mode\":\"%s\",\"compare\":%s,\"hash\":%s",
		    p->is_lossless ? "lossless" : "fast", p->compares ? "true" : "false",
		    p->hashes ? "true" : "false");
	if (p->trace[0]) {
		text_add(out, ",\"trace\":");
		text_add_json(out, p->trace, strlen(p->trace));
	}
	text_printf(out, "},\"on_monitor_loss\":\"%s\"", p->pauses_blind ? "pause" : "kill");
	text_printf(out,
		    ",\"network\":{\"mode\":\"none\"},\"approval_timeout\":\"%llums\",\"root\":%s}",
		    (unsigned long long)(p->approval_ns / 1000000u), p->as_root ? "true" : "false");
}
