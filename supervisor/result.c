// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/result.c - what an agent's model gets to read of a call.
 *
 * The tool wrote the output, and may have written something that looks like our line
 * of facts; what is true stands in `structured`, where no tool can write.
 */
#include "supervisor/result.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/call.h"

/* Named in the line of facts; the rest is counted. */
#define NAMES_SHOWN 6
#define DENIALS_SHOWN 8
/* Changes in `structured`. */
#define CHANGES_SHOWN 100

struct shown {
	struct text text; /* as it is shown */
	uint64_t left_out;
};

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *get_text(const cJSON *json, const char *key)
{
	const char *s = cJSON_GetStringValue(get(json, key));

	return s ? s : "";
}

static double get_number(const cJSON *json, const char *key)
{
	const cJSON *v = get(json, key);

	return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static void add_valid(struct text *t, const char *s, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n;) {
		size_t len = text_utf8_length((const unsigned char *)s + i, n - i);

		if (len > 0 && s[i]) {
			i += len;
			continue;
		}
		text_add_n(t, s + from, i - from);
		text_add(t, "\xef\xbf\xbd");
		from = ++i;
	}
	text_add_n(t, s + from, n - from);
}

static void add_file(struct text *t, int fd, uint64_t at, size_t n)
{
	AUTO_MEM char *buf = malloc(n + 1);
	ssize_t got = buf ? pread(fd, buf, n, (off_t)at) : -1;

	if (got > 0)
		add_valid(t, buf, (size_t)got);
}

/* Of one stream: its file, which lacks `cut` bytes in the middle. */
static void show_stream(struct session *s, uint32_t call, const char *name, uint64_t from,
			uint64_t cut, size_t max, struct shown *ret)
{
	char path[48];
	AUTO_FD fd = -1;
	struct stat st;
	uint64_t size;

	output_path(call, name, path);
	fd = openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	size = (uint64_t)st.st_size > from ? (uint64_t)st.st_size - from : 0;
	if (size <= max && cut == 0) {
		add_file(&ret->text, fd, from, (size_t)size);
		return;
	}
	ret->left_out = cut + (size > max ? size - max : 0);
	add_file(&ret->text, fd, from, size > max ? max / 2 : (size_t)size / 2);
	text_printf(&ret->text, "\n[… %llu bytes left out …]\n", (unsigned long long)ret->left_out);
	max = size > max ? max - max / 2 : (size_t)(size - size / 2);
	add_file(&ret->text, fd, (uint64_t)st.st_size - max, max);
}

static void add_streams(const struct shown streams[2], struct text *t)
{
	for (int i = 0; i < 2; i++) {
		const struct text *one = &streams[i].text;

		if (one->len == 0)
			continue;
		if (i == 1 && streams[0].text.len > 0)
			text_add(t, "[stderr]\n");
		text_add_output(t, one->at, one->len);
		if (one->at[one->len - 1] != '\n')
			text_add(t, "\n");
	}
}

/* Relative to the workspace, as a model would write them. */
static void add_change_names(const struct session *s, const cJSON *changes, struct text *t)
{
	size_t above = strlen(s->at);
	const cJSON *v;
	int n = 0;

	cJSON_ArrayForEach (v, changes) {
		const char *path = get_text(v, "path");

		if (n++ == NAMES_SHOWN)
			break;
		if (strncmp(path, s->at, above) == 0 && path[above] == '/')
			path += above + 1;
		text_printf(t, "%s%s ", n > 1 ? ", " : ": ", get_text(v, "change"));
		text_add_safe(t, path, strlen(path));
	}
	if (cJSON_GetArraySize(changes) > NAMES_SHOWN)
		text_add(t, ", …");
}

/* [exit 0 · 1.2 s · 3 files changed: … · 2 denied] */
static void add_facts(const struct session *s, const cJSON *account, struct text *t)
{
	const char *outcome = get_text(account, "outcome");
	const char *reason = get_text(account, "reason");
	const cJSON *changes = get(account, "changes");
	int count = cJSON_GetArraySize(changes);
	double denied = 0;
	const cJSON *v;

	if (strcmp(outcome, "exited") == 0)
		text_printf(t, "[exit %.0f", get_number(account, "exit_code"));
	else if (strcmp(outcome, "signaled") == 0)
		text_printf(t, "[ended by %s", get_text(account, "signal"));
	else
		text_printf(t, "[%s", outcome);
	if (reason[0]) {
		text_add(t, ": ");
		text_add_safe(t, reason, strlen(reason));
	}
	if (strcmp(get_text(account, "stage"), "exec") == 0 &&
	    strcmp(get_text(account, "errno"), "ENOENT") == 0)
		text_add(t, ": no such program in the sandbox");
	if (get_text(account, "by")[0]) {
		text_add(t, " · by ");
		text_add_safe(t, get_text(account, "by"), strlen(get_text(account, "by")));
	}
	text_printf(t, " · %.2f s", get_number(account, "duration_ns") / 1e9);
	if (count > 0) {
		text_printf(t, " · %d file%s changed", count, count == 1 ? "" : "s");
		add_change_names(s, changes, t);
	}
	if (get_number(account, "killed_leftovers") > 0)
		text_printf(t, " · %.0f processes it left running were ended",
			    get_number(account, "killed_leftovers"));
	cJSON_ArrayForEach (v, get(account, "denials"))
		denied += get_number(v, "count");
	if (denied > 0)
		text_printf(t, " · denied %.0f time%s", denied, denied == 1 ? "" : "s");
	text_add(t, "]\n");
}

static void add_denials(const cJSON *denials, struct text *t)
{
	const cJSON *v;
	int n = 0;

	cJSON_ArrayForEach (v, denials) {
		const char *subject = get_text(v, "subject");

		if (n++ == DENIALS_SHOWN) {
			text_printf(t, "[… and %d more kinds of denials]\n",
				    cJSON_GetArraySize(denials) - DENIALS_SHOWN);
			break;
		}
		text_printf(t, "[denied by the sandbox: %s ", get_text(v, "syscall"));
		text_add_safe(t, subject, strlen(subject));
		text_printf(t, "%s· %s", subject[0] ? " " : "", get_text(v, "why"));
		if (get_text(v, "suggest")[0])
			text_printf(t, " · a person may allow it: %s", get_text(v, "suggest"));
		text_add(t, "]\n");
	}
}

static void add_string(struct text *t, const char *key, const char *value)
{
	text_printf(t, ",\"%s\":", key);
	text_add_json(t, value, strlen(value));
}

static void add_item(struct text *t, const cJSON *account, const char *key)
{
	const cJSON *v = get(account, key);
	char *s = v ? cJSON_PrintUnformatted(v) : NULL;

	text_printf(t, ",\"%s\":%s", key, s ? s : "null");
	cJSON_free(s);
}

static void add_changes(const cJSON *changes, struct text *t)
{
	const cJSON *v;
	int n = 0;

	text_printf(t, ",\"change_count\":%d,\"changes\":[", cJSON_GetArraySize(changes));
	cJSON_ArrayForEach (v, changes) {
		const char *path = get_text(v, "path");

		if (n++ == CHANGES_SHOWN)
			break;
		text_printf(t, "%s{\"change\":\"%s\",\"path\":", n > 1 ? "," : "",
			    get_text(v, "change"));
		text_add_json(t, path, strlen(path));
		text_add(t, "}");
	}
	text_add(t, "]");
}

static void add_structured(const struct session *s, uint32_t call, const char *state,
			   const cJSON *account, const struct shown streams[2], struct text *t)
{
	text_printf(t, ",\"structured\":{\"call_id\":\"%s.%u\",\"state\":\"%s\"", s->id, call,
		    state);
	if (account) {
		add_item(t, account, "outcome");
		add_item(t, account, "exit_code");
		add_item(t, account, "signal");
		add_item(t, account, "reason");
		text_printf(t, ",\"duration_ms\":%.3f", get_number(account, "duration_ns") / 1e6);
	}
	add_string(t, "stdout", streams[0].text.at ? streams[0].text.at : "");
	add_string(t, "stderr", streams[1].text.at ? streams[1].text.at : "");
	text_printf(t, ",\"left_out\":%llu",
		    (unsigned long long)(streams[0].left_out + streams[1].left_out));
	if (account) {
		add_changes(get(account, "changes"), t);
		add_item(t, account, "denials");
		add_item(t, account, "killed_leftovers");
	}
	text_add(t, "}");
}

/* What it waits for, in words. */
static void add_living(const struct session *s, const struct call *c, struct text *t)
{
	uint64_t now = io_now_ns();

	if (c->state == CALL_HELD)
		text_add(t, "[waiting for a person's approval");
	else if (c->state == CALL_PAUSED || c->state == CALL_PAUSING)
		text_add(t, "[paused by an operator");
	else if (c->started_ns == 0)
		text_add(t, "[waiting to start");
	else
		text_printf(t, "[still running, %.1f s so far",
			    (double)(now - c->started_ns) / 1e9);
	text_printf(t, " · call_id %s.%u: `wait` waits for its end, `kill` ends it%s]\n", s->id,
		    c->number, c->request.keeps_input ? ", `write_stdin` types into it" : "");
}

void result_add(struct session *s, uint32_t call, char *account, uint64_t from, size_t max,
		struct text *out)
{
	const struct call *c = account ? NULL : session_find_call(s, call);
	struct shown streams[2] = { 0 };
	static const char *const names[] = { "stdout", "stderr" };
	AUTO_TEXT text = { 0 };
	cJSON *json = NULL;
	bool is_error = false;

	if (account) {
		text_replace_lone(account);
		json = cJSON_Parse(account);
		is_error = strcmp(get_text(json, "outcome"), "exited") != 0 ||
			   get_number(json, "exit_code") != 0;
	}
	for (int i = 0; i < 2; i++) {
		const cJSON *kept = get(get(json, "output"), names[i]);

		show_stream(s, call, names[i], i == 0 ? from : 0, (uint64_t)get_number(kept, "cut"),
			    max / 2, &streams[i]);
	}
	add_streams(streams, &text);
	if (json) {
		add_facts(s, json, &text);
		add_denials(get(json, "denials"), &text);
	} else if (c) {
		add_living(s, c, &text);
	}
	text_add(out, ",\"text\":");
	text_add_json(out, text.at ? text.at : "", text.len);
	text_printf(out, ",\"is_error\":%s", is_error ? "true" : "false");
	add_structured(s, call, c ? call_state_names[c->state] : "done", json, streams, out);
	text_done(&streams[0].text);
	text_done(&streams[1].text);
	cJSON_Delete(json);
}
