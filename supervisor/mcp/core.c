// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/core.c - messages of the Model Context Protocol, and both of its eras.
 *
 * A request is modern when it says so: by its _meta, by a header that names no legacy
 * version, or by being server/discover. Then it is judged alone. Anything else belongs
 * to a peer that has begun with `initialize`.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/command.h"
#include "supervisor/mcp/mcp.h"
#include "supervisor/rpc.h"

#define SERVER_INFO \
	"{\"name\":\"glovebox\",\"title\":\"Glovebox\",\"version\":\"" GLOVEBOX_VERSION "\"}"
#define VERSIONS "[\"2026-07-28\",\"2025-11-25\",\"2025-06-18\"]"
#define INSTRUCTIONS                                                                            \
	"Tools run in a sandbox that watches them. Files they change are kept in layers: see "  \
	"list_changes and undo; a person commits them to the real directory. Each result ends " \
	"with a line of facts, and explains what the sandbox has denied and why. A call that "  \
	"takes long answers with a call_id: go on with wait."
#define LEGACY_LOG_DEFAULT 1 /* info */

static const char *const levels[] = { "debug", "info",     "notice", "warning",
				      "error", "critical", "alert",  "emergency" };
static const char *const legacy[] = { "2025-11-25", "2025-06-18", "2025-03-26" };

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *get_text(const cJSON *json, const char *key)
{
	return cJSON_GetStringValue(get(json, key));
}

static int level_of(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i], name) == 0)
			return (int)i;
	return -1;
}

static bool is_legacy_version(const char *version)
{
	for (size_t i = 0; version && i < ARRAY_SIZE(legacy); i++)
		if (strcmp(legacy[i], version) == 0)
			return true;
	return false;
}

/* --- what is sent --------------------------------------------------------------- */

static void add_item(struct text *t, const cJSON *v)
{
	char *s = v ? cJSON_PrintUnformatted(v) : NULL;

	text_add(t, s ? s : "null");
	cJSON_free(s);
}

static void request_free(struct mcp_request *q)
{
	for (struct mcp_request **p = &q->peer->requests; *p; p = &(*p)->next)
		if (*p == q) {
			*p = q->next;
			break;
		}
	if (q->channel)
		q->channel->request = NULL;
	cJSON_Delete(q->json);
	cJSON_Delete(q->listens);
	free(q);
}

static void send_last(struct mcp_request *q, struct text *t, int status)
{
	struct mcp_channel *c = q->channel;

	c->request = NULL;
	q->channel = NULL;
	request_free(q);
	c->send(c, t->at ? t->at : "{}", t->len, true, status);
}

void mcp_result(struct mcp_request *q, const char *members)
{
	AUTO_TEXT t = { 0 };
	bool has_type = strncmp(members, "\"resultType\"", 12) == 0;

	text_add(&t, "{\"jsonrpc\":\"2.0\",\"id\":");
	add_item(&t, q->id);
	text_add(&t, ",\"result\":{");
	if (q->is_modern && !has_type)
		text_printf(&t, "\"resultType\":\"complete\"%s", members[0] ? "," : "");
	text_add(&t, members);
	text_add(&t, "}}");
	send_last(q, &t, 0);
}

static void make_error(struct text *t, const cJSON *id, int code, const char *message,
		       const char *data)
{
	text_add(t, "{\"jsonrpc\":\"2.0\"");
	if (id) {
		text_add(t, ",\"id\":");
		add_item(t, id);
	}
	text_printf(t, ",\"error\":{\"code\":%d,\"message\":", code);
	text_add_json(t, message, strlen(message));
	if (data)
		text_printf(t, ",\"data\":%s", data);
	text_add(t, "}}");
}

void mcp_error(struct mcp_request *q, int status, int code, const char *message, const char *data)
{
	AUTO_TEXT t = { 0 };

	make_error(&t, q->id, code, message, data);
	send_last(q, &t, status);
}

static void send_notification(struct mcp_channel *c, const char *method, const char *params)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"", method);
	if (params)
		text_printf(&t, ",\"params\":{%s}", params);
	text_add(&t, "}");
	c->send(c, t.at, t.len, false, 0);
}

void mcp_notify(struct mcp_request *q, const char *method, const char *params)
{
	send_notification(q->channel, method, params);
}

void mcp_progress(struct mcp_request *q, const char *message)
{
	AUTO_TEXT t = { 0 };

	if (!q->progress_token)
		return;
	q->progress += 1;
	text_add(&t, "\"progressToken\":");
	add_item(&t, q->progress_token);
	text_printf(&t, ",\"progress\":%.0f,\"message\":", q->progress);
	text_add_json(&t, message, strlen(message));
	mcp_notify(q, "notifications/progress", t.at);
}

void mcp_log(struct mcp_request *q, const char *level, const char *logger, const char *data)
{
	AUTO_TEXT t = { 0 };

	if (q->log_level < 0 || level_of(level) < q->log_level)
		return;
	text_printf(&t, "\"level\":\"%s\",\"logger\":\"%s\",\"data\":%s", level, logger, data);
	mcp_notify(q, "notifications/message", t.at);
}

void mcp_ask(struct mcp_request *q, const char *method, const char *params)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "{\"jsonrpc\":\"2.0\",\"id\":\"ask-%u\",\"method\":\"%s\",\"params\":{%s}}",
		    ++q->peer->last_ask, method, params);
	q->listens = cJSON_CreateNumber(q->peer->last_ask); /* which answer is its own */
	q->channel->send(q->channel, t.at, t.len, false, 0);
}

bool mcp_client_has(const struct mcp_request *q, const char *capability)
{
	return cJSON_IsObject(get(q->capabilities, capability));
}

bool mcp_client_has_tasks(const struct mcp_request *q)
{
	return q->is_modern &&
	       cJSON_IsObject(get(get(q->capabilities, "extensions"), EXTENSION_TASKS));
}

bool mcp_client_prefers_structure(const struct mcp_request *q)
{
	/* seen with Claude Code 2.1 and Codex 0.169 */
	static const char *const clients[] = { "claude-code", "codex-mcp-client" };
	const char *name =
		q->is_modern ? get_text(get(q->meta, META_CLIENT), "name") : q->peer->client;

	for (size_t i = 0; name && i < ARRAY_SIZE(clients); i++)
		if (strcmp(clients[i], name) == 0)
			return true;
	return false;
}

static void sign(const struct mcp *m, const char *what, char ret[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	(void)HMAC(EVP_sha256(), m->secret, sizeof(m->secret), (const unsigned char *)what,
		   strlen(what), digest, &n);
	for (unsigned int i = 0; i < 32; i++)
		(void)snprintf(ret + (size_t)2 * i, 3, "%02x", digest[i]);
}

void mcp_add_state(const struct mcp *m, const char *what, struct text *t)
{
	char mac[65];

	sign(m, what, mac);
	text_printf(t, "%s:%s", what, mac);
}

char *mcp_read_state(const struct mcp *m, const char *state)
{
	const char *colon = state ? strrchr(state, ':') : NULL;
	char *what = colon ? strndup(state, (size_t)(colon - state)) : NULL;
	char mac[65];

	if (!what)
		return NULL;
	sign(m, what, mac);
	if (strlen(colon + 1) == 64 && CRYPTO_memcmp(colon + 1, mac, 64) == 0)
		return what;
	free(what);
	return NULL;
}

/* --- who listens -------------------------------------------------------------------- */

static bool holds(const cJSON *list, const char *uri)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, list)
		if (cJSON_IsString(v) && strcmp(v->valuestring, uri) == 0)
			return true;
	return false;
}

static void tell_listener(struct mcp_request *q, const char *list, const char *uri)
{
	const cJSON *uris = get(q->listens, "resourceSubscriptions");
	AUTO_TEXT method = { 0 };
	AUTO_TEXT flag = { 0 };
	AUTO_TEXT t = { 0 };

	text_printf(&flag, "%sListChanged", list);
	if (!q->is_modern || (uri ? !holds(uris, uri) : !cJSON_IsTrue(get(q->listens, flag.at))))
		return;
	text_add(&t, "\"_meta\":{\"" META_SUBSCRIPTION "\":");
	add_item(&t, q->id);
	text_add(&t, "}");
	if (uri) {
		text_add(&t, ",\"uri\":");
		text_add_json(&t, uri, strlen(uri));
	}
	text_printf(&method, "notifications/%s/%s", list, uri ? "updated" : "list_changed");
	mcp_notify(q, method.at, t.at);
}

void mcp_tell(struct mcp *m, const char *list, const char *uri)
{
	for (struct mcp_peer *p = m->peers; p; p = p->next) {
		AUTO_TEXT method = { 0 };
		AUTO_TEXT t = { 0 };

		for (struct mcp_request *q = p->requests; q; q = q->next)
			if (q->listens)
				tell_listener(q, list, uri);
		if (!p->standing || !p->is_known || (uri && !holds(p->subscriptions, uri)))
			continue;
		text_printf(&method, "notifications/%s/%s", list, uri ? "updated" : "list_changed");
		if (uri) {
			text_add(&t, "\"uri\":");
			text_add_json(&t, uri, strlen(uri));
		}
		send_notification(p->standing, method.at, t.at);
	}
}

static void on_listen_end(struct mcp_request *q)
{
	(void)q; /* request_free() does it all */
}

static void listen_to(struct mcp_request *q)
{
	const cJSON *wanted = get(q->params, "notifications");
	AUTO_TEXT t = { 0 };

	if (!cJSON_IsObject(wanted)) {
		mcp_error(q, 400, MCP_INVALID_PARAMS, "\"notifications\" must be an object", NULL);
		return;
	}
	q->listens = cJSON_Duplicate(wanted, true);
	q->on_cancel = on_listen_end;
	text_add(&t, "\"_meta\":{\"" META_SUBSCRIPTION "\":");
	add_item(&t, q->id);
	text_add(&t, "},\"notifications\":");
	add_item(&t, wanted);
	mcp_notify(q, "notifications/subscriptions/acknowledged", t.at);
}

/* --- methods of the protocol itself ---------------------------------------------------- */

/* What both eras say about this server. */
static void add_capabilities(struct text *t, bool is_modern)
{
	bool with_all = mcp_fixtures != NULL;

	text_add(t, "\"capabilities\":{\"tools\":{\"listChanged\":true},"
		    "\"resources\":{\"subscribe\":true,\"listChanged\":true},\"logging\":{}");
	if (with_all)
		text_add(t, ",\"prompts\":{\"listChanged\":true},\"completions\":{}");
	if (is_modern)
		text_add(t, ",\"extensions\":{\"" EXTENSION_TASKS "\":{}}");
	text_add(t, "},\"instructions\":");
	text_add_json(t, INSTRUCTIONS, strlen(INSTRUCTIONS));
}

static void discover(struct mcp_request *q)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "\"supportedVersions\":" VERSIONS ",");
	add_capabilities(&t, true);
	text_add(&t, ",\"ttlMs\":3600000,\"cacheScope\":\"private\",\"_meta\":{"
		     "\"io.modelcontextprotocol/serverInfo\":" SERVER_INFO "}");
	mcp_result(q, t.at);
}

static void initialize(struct mcp_request *q)
{
	const char *wants = get_text(q->params, "protocolVersion");
	const cJSON *capabilities = get(q->params, "capabilities");
	struct mcp_peer *p = q->peer;
	AUTO_TEXT t = { 0 };

	if (!wants || !cJSON_IsObject(capabilities)) {
		mcp_error(q, 400, MCP_INVALID_PARAMS,
			  "\"protocolVersion\" and \"capabilities\" must be there", NULL);
		return;
	}
	(void)snprintf(p->version, sizeof(p->version), "%s",
		       is_legacy_version(wants) ? wants : MCP_LEGACY_NEWEST);
	wants = get_text(get(q->params, "clientInfo"), "name");
	(void)snprintf(p->client, sizeof(p->client), "%s", wants ? wants : "");
	cJSON_Delete(p->capabilities);
	p->capabilities = cJSON_Duplicate(capabilities, true);
	p->is_known = true;
	text_printf(&t, "\"protocolVersion\":\"%s\",\"serverInfo\":" SERVER_INFO ",", p->version);
	add_capabilities(&t, false);
	mcp_result(q, t.at);
}

static void ping(struct mcp_request *q)
{
	mcp_result(q, "");
}

static void set_level(struct mcp_request *q)
{
	int level = level_of(get_text(q->params, "level"));

	if (level < 0) {
		mcp_error(q, 0, MCP_INVALID_PARAMS,
			  "\"level\" is debug, info, notice, warning, "
			  "error, critical, alert or emergency",
			  NULL);
		return;
	}
	q->peer->log_level = level;
	mcp_result(q, "");
}

/* More URIs than anybody looks at. */
#define SUBSCRIPTIONS_MAX 256

static void subscribe(struct mcp_request *q)
{
	const char *uri = get_text(q->params, "uri");
	struct mcp_peer *p = q->peer;

	if (!uri) {
		mcp_error(q, 0, MCP_INVALID_PARAMS, "\"uri\" must be a string", NULL);
		return;
	}
	if (!p->subscriptions)
		p->subscriptions = cJSON_CreateArray();
	if (!holds(p->subscriptions, uri) &&
	    cJSON_GetArraySize(p->subscriptions) < SUBSCRIPTIONS_MAX)
		cJSON_AddItemToArray(p->subscriptions, cJSON_CreateString(uri));
	mcp_result(q, "");
}

static void unsubscribe(struct mcp_request *q)
{
	const char *uri = get_text(q->params, "uri");
	cJSON *list = q->peer->subscriptions;

	for (int i = cJSON_GetArraySize(list); uri && i > 0; i--)
		if (strcmp(cJSON_GetArrayItem(list, i - 1)->valuestring, uri) == 0)
			cJSON_DeleteItemFromArray(list, i - 1);
	mcp_result(q, "");
}

/* --- which method ----------------------------------------------------------------------- */

enum era { BOTH, ONLY_LEGACY, ONLY_MODERN };

static const struct {
	const char *name;
	void (*serve)(struct mcp_request *q);
	enum era era;
	const char *header; /* modern HTTP: the parameter that Mcp-Name repeats */
	bool needs_tasks;
} methods[] = {
	{ "server/discover", discover, ONLY_MODERN, NULL, false },
	{ "subscriptions/listen", listen_to, ONLY_MODERN, NULL, false },
	{ "initialize", initialize, ONLY_LEGACY, NULL, false },
	{ "ping", ping, ONLY_LEGACY, NULL, false },
	{ "logging/setLevel", set_level, ONLY_LEGACY, NULL, false },
	{ "resources/subscribe", subscribe, ONLY_LEGACY, NULL, false },
	{ "resources/unsubscribe", unsubscribe, ONLY_LEGACY, NULL, false },
	{ "tools/list", mcp_tools_list, BOTH, NULL, false },
	{ "tools/call", mcp_tools_call, BOTH, "name", false },
	{ "resources/list", mcp_resources_list, BOTH, NULL, false },
	{ "resources/templates/list", mcp_resources_templates, BOTH, NULL, false },
	{ "resources/read", mcp_resources_read, BOTH, "uri", false },
	{ "tasks/get", mcp_tasks_get, ONLY_MODERN, "taskId", true },
	{ "tasks/update", mcp_tasks_update, ONLY_MODERN, "taskId", true },
	{ "tasks/cancel", mcp_tasks_cancel, ONLY_MODERN, "taskId", true },
	/* only of fixtures */
	{ "prompts/list", NULL, BOTH, NULL, false },
	{ "prompts/get", NULL, BOTH, "name", false },
	{ "completion/complete", NULL, BOTH, NULL, false },
};

static int find_method(const struct mcp_request *q)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, q->method) == 0 &&
		    methods[i].era != (q->is_modern ? ONLY_LEGACY : ONLY_MODERN) &&
		    (methods[i].serve || mcp_fixtures))
			return (int)i;
	return -1;
}

static const char *header_of(const struct mcp_request *q, const char *name)
{
	return q->channel->header ? q->channel->header(q->channel, name) : NULL;
}

static void fail_header(struct mcp_request *q, const char *name, const char *what)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "the header %s %s", name, what);
	mcp_error(q, 400, MCP_HEADER_MISMATCH, t.at, NULL);
}

/* A value that no header can hold comes as =?base64?...?=. */
static bool header_equals(const char *header, const char *value)
{
	static const char head[] = "=?base64?";
	size_t n = strlen(header), in = n - (sizeof(head) - 1) - 2;
	AUTO_MEM unsigned char *raw = NULL;
	int got;

	if (n < sizeof(head) + 1 || strncmp(header, head, sizeof(head) - 1) != 0 ||
	    strcmp(header + n - 2, "?=") != 0)
		return strcmp(header, value) == 0;
	raw = calloc(1, in + 4);
	got = raw && in % 4 == 0
		      ? EVP_DecodeBlock(raw, (const unsigned char *)header + sizeof(head) - 1,
					(int)in)
		      : -1;
	for (size_t i = n - 3; got > 0 && header[i] == '='; i--)
		got--;
	return got >= 0 && (size_t)got == strlen(value) && memcmp(raw, value, (size_t)got) == 0;
}

/* In this order: clients and the suite tell mistakes apart by it. False: answered. */
static bool check_modern(struct mcp_request *q)
{
	const char *header = header_of(q, "MCP-Protocol-Version");
	const char *version = get_text(q->meta, META_VERSION);
	AUTO_TEXT data = { 0 };

	if (q->channel->header && !header) {
		fail_header(q, "MCP-Protocol-Version", "is missing");
		return false;
	}
	if (!version || !cJSON_IsObject(q->capabilities)) {
		mcp_error(q, 400, MCP_INVALID_PARAMS,
			  "params._meta must have \"" META_VERSION "\" and \"" META_CAPABILITIES
			  "\"",
			  NULL);
		return false;
	}
	if (header && strcmp(header, version) != 0) {
		fail_header(q, "MCP-Protocol-Version", "says another version than _meta");
		return false;
	}
	if (strcmp(version, MCP_MODERN_VERSION) != 0) {
		text_add(&data, "{\"supported\":" VERSIONS ",\"requested\":");
		text_add_json(&data, version, strlen(version));
		text_add(&data, "}");
		mcp_error(q, 400, MCP_BAD_VERSION, "Unsupported protocol version", data.at);
		return false;
	}
	header = header_of(q, "Mcp-Method");
	if (q->channel->header && (!header || strcmp(header, q->method) != 0)) {
		fail_header(q, "Mcp-Method", header ? "says another method" : "is missing");
		return false;
	}
	return true;
}

static bool check_name(struct mcp_request *q, int method)
{
	const char *header = header_of(q, "Mcp-Name");
	const char *value =
		methods[method].header ? get_text(q->params, methods[method].header) : NULL;

	if (methods[method].needs_tasks && !mcp_client_has_tasks(q)) {
		mcp_error(q, 400, MCP_MISSING_CAPABILITY,
			  "tasks are an extension that this client "
			  "has not declared",
			  "{\"requiredCapabilities\":{\"extensions\":{\"" EXTENSION_TASKS
			  "\":{}}}}");
		return false;
	}
	if (!q->channel->header || !methods[method].header)
		return true;
	if (!header || !value || !header_equals(header, value)) {
		fail_header(q, "Mcp-Name", header ? "says another name" : "is missing");
		return false;
	}
	return true;
}

static void dispatch(struct mcp_request *q)
{
	int method;

	if (q->is_modern && !check_modern(q))
		return;
	method = find_method(q);
	if (method < 0) {
		AUTO_TEXT t = { 0 };

		text_add(&t, "Method not found: ");
		text_add_safe(&t, q->method, strlen(q->method));
		mcp_error(q, q->is_modern ? 404 : 0, MCP_UNKNOWN_METHOD, t.at, NULL);
		return;
	}
	if (q->is_modern && !check_name(q, method))
		return;
	if (mcp_fixtures && mcp_fixtures->serve(q))
		return;
	if (methods[method].serve)
		methods[method].serve(q);
	else
		mcp_error(q, 0, MCP_INVALID_PARAMS, "there is none of this name", NULL);
}

/* --- what is received --------------------------------------------------------------------- */

void mcp_cancel(struct mcp_request *q)
{
	struct mcp_channel *c = q->channel;

	c->request = NULL;
	q->channel = NULL;
	q->is_over = true;
	if (q->on_cancel)
		q->on_cancel(q);
	request_free(q);
	if (c->drop)
		c->drop(c);
}

static struct mcp_request *find_request(struct mcp_peer *p, const cJSON *id)
{
	for (struct mcp_request *q = p->requests; q; q = q->next)
		if (id && cJSON_Compare(q->id, id, true))
			return q;
	return NULL;
}

static void on_notification(struct mcp_peer *p, const cJSON *json, const char *method)
{
	struct mcp_request *q;

	if (strcmp(method, "notifications/cancelled") != 0)
		return;
	q = find_request(p, get(get(json, "params"), "requestId"));
	if (q)
		mcp_cancel(q);
}

/* Ours have ids like "ask-3". */
static void on_answer(struct mcp_peer *p, const cJSON *json)
{
	const char *id = get_text(json, "id");
	double number = id && strncmp(id, "ask-", 4) == 0 ? strtod(id + 4, NULL) : 0;

	for (struct mcp_request *q = p->requests; q; q = q->next)
		if (q->on_answer && cJSON_IsNumber(q->listens) &&
		    q->listens->valuedouble == number) {
			cJSON_Delete(q->listens);
			q->listens = NULL;
			q->on_answer(q, get(json, "result"));
			return;
		}
}

static void bad_message(struct mcp_channel *c, const cJSON *id, int code, const char *why)
{
	AUTO_TEXT t = { 0 };

	make_error(&t, id, code, why, NULL);
	c->send(c, t.at, t.len, true, 400);
}

static bool is_modern(const struct mcp_request *q)
{
	const char *header = header_of(q, "MCP-Protocol-Version");

	return get(q->meta, META_VERSION) || strcmp(q->method, "server/discover") == 0 ||
	       (header && !is_legacy_version(header));
}

static void fill_request(struct mcp_request *q)
{
	const cJSON *token;

	q->id = get(q->json, "id");
	q->method = get_text(q->json, "method");
	q->params = get(q->json, "params");
	q->meta = get(q->params, "_meta");
	token = get(q->meta, "progressToken");
	q->progress_token = cJSON_IsString(token) || cJSON_IsNumber(token) ? token : NULL;
	q->is_modern = is_modern(q);
	q->capabilities = q->is_modern ? get(q->meta, META_CAPABILITIES) : q->peer->capabilities;
	q->log_level =
		q->is_modern ? level_of(get_text(q->meta, META_LOG_LEVEL)) : q->peer->log_level;
}

enum mcp_received mcp_receive(struct mcp_peer *peer, struct mcp_channel *channel, const char *json,
			      size_t n)
{
	struct mcp_request *q;
	AUTO_TEXT why = { 0 };
	const cJSON *id, *params;
	const char *method;
	cJSON *parsed;

	if (rpc_read_json(json, n, &parsed, &why) < 0) {
		bad_message(channel, NULL, MCP_PARSE_ERROR, why.at);
		return MCP_BAD;
	}
	id = get(parsed, "id");
	method = get_text(parsed, "method");
	params = get(parsed, "params");
	if (!cJSON_IsObject(parsed) || !get_text(parsed, "jsonrpc") ||
	    strcmp(get_text(parsed, "jsonrpc"), "2.0") != 0 ||
	    (id && !cJSON_IsString(id) && !cJSON_IsNumber(id)) ||
	    (params && !cJSON_IsObject(params)) ||
	    (!method && !(id && (get(parsed, "result") || get(parsed, "error"))))) {
		bad_message(channel, cJSON_IsString(id) || cJSON_IsNumber(id) ? id : NULL,
			    MCP_INVALID_REQUEST, "a message is one JSON-RPC 2.0 object");
		cJSON_Delete(parsed);
		return MCP_BAD;
	}
	if (!method || !id) {
		if (method)
			on_notification(peer, parsed, method);
		else
			on_answer(peer, parsed);
		cJSON_Delete(parsed);
		return method ? MCP_NOTIFICATION : MCP_ANSWER;
	}
	q = calloc(1, sizeof(*q));
	if (!q || find_request(peer, id)) {
		bad_message(channel, id, q ? MCP_INVALID_REQUEST : MCP_INTERNAL,
			    q ? "a request with this id is being served" : "out of memory");
		free(q);
		cJSON_Delete(parsed);
		return MCP_BAD;
	}
	*q = (struct mcp_request){
		.next = peer->requests, .peer = peer, .channel = channel, .json = parsed
	};
	peer->requests = q;
	channel->request = q;
	fill_request(q);
	dispatch(q);
	return MCP_REQUEST;
}

struct mcp_peer *mcp_peer_new(struct mcp *m)
{
	struct mcp_peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct mcp_peer){ .mcp = m, .next = m->peers, .log_level = LEGACY_LOG_DEFAULT };
	m->peers = p;
	return p;
}

void mcp_peer_free(struct mcp_peer *p)
{
	if (!p)
		return;
	while (p->requests)
		mcp_cancel(p->requests);
	for (struct mcp_peer **at = &p->mcp->peers; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	cJSON_Delete(p->capabilities);
	cJSON_Delete(p->subscriptions);
	free(p);
}
