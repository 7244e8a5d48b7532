// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/book.c - session.json: what of a session outlives its supervisor.
 *
 * It is written beside its place and renamed, so a reader sees one version or the
 * other. It is ours alone: the warden has its own record, and reads none of this.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/call.h"
#include "supervisor/disk.h"
#include "supervisor/session.h"

/* Longer is damage: a policy of some kilobytes, 64 layers, their calls. */
#define BOOK_MAX (4u << 20)

static int write_file(int dir, const char *name, const struct text *t)
{
	AUTO_FD fd = -1;
	char temp[64];
	int r;

	if (t->failed)
		return -ENOMEM;
	(void)snprintf(temp, sizeof(temp), "%.48s.new", name);
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, t->at, t->len);
	if (r == 0 && renameat(dir, temp, dir, name) < 0)
		r = -errno;
	return r;
}

int session_write_file(int dir, const char *name, const struct text *t)
{
	int r = write_file(dir, name, t);

	return disk_use_reserve(dir, DISK_RESERVE_BOOK, r) ? write_file(dir, name, t) : r;
}

static void add_member(struct text *t, const char *key, const char *value)
{
	text_printf(t, ",\"%s\":", key);
	text_add_json(t, value, strlen(value));
}

static void add_stack(const struct stack *s, struct text *t)
{
	text_add(t, ",\"layers\":[");
	for (uint32_t i = 0; i < s->count; i++) {
		text_printf(t, "%s{\"layer\":%u,\"calls\":[", i ? "," : "", s->at[i].number);
		for (uint32_t j = 0; j < s->at[i].call_count; j++)
			text_printf(t, "%s%u", j ? "," : "", s->at[i].calls[j]);
		text_add(t, "]}");
	}
	text_printf(t, "],\"next_layer\":%u", s->next);
}

int session_save(const struct session *s)
{
	AUTO_TEXT t = { 0 };
	bool first = true;

	text_printf(&t, "{\"schema\":1,\"session\":\"%s\",\"state\":\"%s\",\"created\":\"", s->id,
		    s->state == SESSION_CLOSED ? "closed" : "open");
	text_add_time(&t, s->created_ns);
	text_printf(&t, "\",\"created_ns\":\"%llu\",\"owner\":%u",
		    (unsigned long long)s->created_ns, s->owner);
	add_member(&t, "workspace", s->workspace);
	add_member(&t, "at", s->at);
	if (s->labels) {
		text_add(&t, ",\"labels\":");
		text_add(&t, s->labels);
	}
	text_add(&t, ",\"policy\":");
	policy_add_json(s->policy, &t);
	add_stack(&s->stack, &t);
	text_printf(&t, ",\"next_call\":%u,\"committed_call\":%u,\"running\":[", s->next_call,
		    s->committed_call);
	for (uint32_t i = 0; i < s->call_count; i++) {
		if (s->calls[i]->state == CALL_DONE)
			continue;
		text_printf(&t, "%s%u", first ? "" : ",", s->calls[i]->number);
		first = false;
	}
	text_add(&t, "]}\n");
	return session_write_file(s->dir, "session.json", &t);
}

static cJSON *read_book(int dir)
{
	AUTO_FD fd = openat(dir, "session.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	AUTO_MEM char *all = malloc(BOOK_MAX);
	ssize_t n = fd >= 0 && all ? io_read_full(fd, all, BOOK_MAX) : -1;

	return n > 0 && n < (ssize_t)BOOK_MAX ? cJSON_ParseWithLength(all, (size_t)n) : NULL;
}

static const char *string_of(const cJSON *json, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

static uint32_t number_of(const cJSON *v)
{
	return cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble <= UINT32_MAX
		       ? (uint32_t)v->valuedouble
		       : 0;
}

static int restore_stack(struct stack *s, const cJSON *json)
{
	const cJSON *layer, *call;
	int r = 0;

	cJSON_ArrayForEach (layer, cJSON_GetObjectItemCaseSensitive(json, "layers")) {
		uint32_t n = number_of(cJSON_GetObjectItemCaseSensitive(layer, "layer"));

		s->next = n;
		if (r == 0)
			r = n > 0 ? stack_push(s) : -EBADMSG;
		cJSON_ArrayForEach (call, cJSON_GetObjectItemCaseSensitive(layer, "calls"))
			if (r == 0)
				r = stack_add_call(s, number_of(call));
	}
	s->next = number_of(cJSON_GetObjectItemCaseSensitive(json, "next_layer"));
	return r;
}

static int restore_policy(struct session *s, const cJSON *json)
{
	AUTO_TEXT why = { 0 };

	s->policy = calloc(1, sizeof(*s->policy));
	if (!s->policy)
		return -ENOMEM;
	s->owns_policy = true;
	return policy_read_json(s->policy, cJSON_GetObjectItemCaseSensitive(json, "policy"),
				"session.json", NULL, &why) < 0
		       ? -EBADMSG
		       : 0;
}

int session_restore(struct session *s, uint32_t *ret_running, uint32_t room, uint32_t *ret_count)
{
	cJSON *json = read_book(s->dir);
	const char *state = string_of(json, "state");
	const char *created = string_of(json, "created_ns");
	const char *workspace = string_of(json, "workspace");
	const char *at = string_of(json, "at");
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(json, "labels");
	const cJSON *call;
	int r = state && workspace && at ? 0 : -EBADMSG;

	*ret_count = 0;
	if (r == 0)
		r = restore_policy(s, json);
	if (r == 0)
		r = restore_stack(&s->stack, json);
	if (r == 0) {
		if (strcmp(state, "closed") == 0)
			r = session_set_state(s, SESSION_CLOSED);
		s->workspace = strdup(workspace);
		s->at = strdup(at);
		s->labels = cJSON_IsObject(labels) ? cJSON_PrintUnformatted(labels) : NULL;
		s->owner = number_of(cJSON_GetObjectItemCaseSensitive(json, "owner"));
		s->created_ns = created ? strtoull(created, NULL, 10) : 0;
		s->next_call = number_of(cJSON_GetObjectItemCaseSensitive(json, "next_call"));
		s->committed_call =
			number_of(cJSON_GetObjectItemCaseSensitive(json, "committed_call"));
		r = s->workspace && s->at && s->next_call > 0 ? 0 : -EBADMSG;
	}
	cJSON_ArrayForEach (call, cJSON_GetObjectItemCaseSensitive(json, "running"))
		if (r == 0 && *ret_count < room)
			ret_running[(*ret_count)++] = number_of(call);
	cJSON_Delete(json);
	return r;
}
