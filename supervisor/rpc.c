// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/rpc.c - JSON-RPC 2.0, one message a line.
 *
 * cJSON does the parsing; what it lets pass and we do not is checked around it:
 * depth, UTF-8, a key given twice (two readers would take two meanings), a NUL
 * inside, anything behind the value.
 */
#include "supervisor/rpc.h"

#include <stdlib.h>
#include <string.h>

/* cJSON would end the string there, and go on with half of it. */
static bool has_escaped_nul(const char *s, size_t n)
{
	for (size_t i = 0; i + 1 < n; i++) {
		if (s[i] != '\\')
			continue;
		if (n - i >= 6 && memcmp(s + i, "\\u0000", 6) == 0)
			return true;
		i++;
	}
	return false;
}

static bool is_too_deep(const char *s, size_t n)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		if (in_string) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				in_string = false;
		} else if (s[i] == '"') {
			in_string = true;
		} else if (s[i] == '{' || s[i] == '[') {
			if (++depth > RPC_DEPTH_MAX)
				return true;
		} else if (s[i] == '}' || s[i] == ']') {
			depth--;
		}
	}
	return false;
}

/* Keys are compared with each other only inside one object; an object of a
 * request is small, and a line is at most RPC_LINE_MAX. */
#define KEYS_MAX 256

static bool has_duplicate(const cJSON *json)
{
	int n = 0;

	for (const cJSON *a = json->child; a; a = a->next) {
		if (cJSON_IsObject(json)) {
			if (++n > KEYS_MAX)
				return true;
			for (const cJSON *b = a->next; b; b = b->next)
				if (strcmp(a->string, b->string) == 0)
					return true;
		}
		if (has_duplicate(a))
			return true;
	}
	return false;
}

static int check_shape(struct rpc_request *q, struct text *why)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(q->json, "jsonrpc");
	const cJSON *method = cJSON_GetObjectItemCaseSensitive(q->json, "method");
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(q->json, "id");
	const cJSON *params = cJSON_GetObjectItemCaseSensitive(q->json, "params");

	if (!cJSON_IsObject(q->json)) {
		text_add(why, "a message is one JSON object");
		return RPC_INVALID_REQUEST;
	}
	if (id && !cJSON_IsString(id) && !cJSON_IsNumber(id) && !cJSON_IsNull(id)) {
		text_add(why, "\"id\" is a string or a number");
		return RPC_INVALID_REQUEST;
	}
	q->id = id;
	if (!cJSON_IsString(version) || strcmp(version->valuestring, "2.0") != 0) {
		text_add(why, "\"jsonrpc\" must be \"2.0\"");
		return RPC_INVALID_REQUEST;
	}
	if (!cJSON_IsString(method)) {
		text_add(why, "\"method\" must be a string");
		return RPC_INVALID_REQUEST;
	}
	if (params && !cJSON_IsObject(params)) {
		text_add(why, "\"params\" must be an object");
		return RPC_INVALID_PARAMS;
	}
	q->method = method->valuestring;
	q->params = params;
	return 0;
}

int rpc_read_json(const char *line, size_t size, cJSON **ret, struct text *why)
{
	const char *end = NULL;

	*ret = NULL;
	if (!text_is_utf8(line, size) || memchr(line, '\0', size)) {
		text_add(why, "the line is not valid UTF-8");
		return RPC_PARSE_ERROR;
	}
	if (has_escaped_nul(line, size)) {
		text_add(why, "a string holds \\u0000");
		return RPC_PARSE_ERROR;
	}
	if (is_too_deep(line, size)) {
		text_printf(why, "nested deeper than %d", RPC_DEPTH_MAX);
		return RPC_PARSE_ERROR;
	}
	*ret = cJSON_ParseWithLengthOpts(line, size, &end, false);
	if (!*ret) {
		text_printf(why, "not JSON, at byte %zu", end ? (size_t)(end - line) : size);
		return RPC_PARSE_ERROR;
	}
	while (end < line + size && strchr(" \t\r\n", *end))
		end++;
	if (end == line + size && !has_duplicate(*ret))
		return 0;
	text_add(why, end < line + size ? "something follows the JSON value"
					: "an object has a key twice, or too many keys");
	cJSON_Delete(*ret);
	*ret = NULL;
	return RPC_PARSE_ERROR;
}

int rpc_parse(const char *line, size_t size, struct rpc_request *q, struct text *why)
{
	int r;

	*q = (struct rpc_request){ 0 };
	r = rpc_read_json(line, size, &q->json, why);
	return r < 0 ? r : check_shape(q, why);
}

void rpc_request_done(struct rpc_request *q)
{
	cJSON_Delete(q->json);
	*q = (struct rpc_request){ 0 };
}

static void add_head(struct text *out, const cJSON *id)
{
	char *text = id ? cJSON_PrintUnformatted(id) : NULL;

	text_printf(out, "{\"jsonrpc\":\"2.0\",\"id\":%s", text ? text : "null");
	free(text);
}

void rpc_add_result(struct text *out, const cJSON *id, const char *result)
{
	add_head(out, id);
	text_add(out, ",\"result\":");
	text_add(out, result);
	text_add(out, "}\n");
}

void rpc_add_error(struct text *out, const cJSON *id, int code, const char *message)
{
	add_head(out, id);
	text_printf(out, ",\"error\":{\"code\":%d,\"message\":", code);
	text_add_json(out, message, strlen(message));
	text_add(out, "}}\n");
}
