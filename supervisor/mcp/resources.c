// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/resources.c - what a client may read of its sessions and calls.
 *
 *	glovebox://SESSION/events	the last events, one JSON object a line
 *	glovebox://ID/changes		of a session, or of a call
 *	glovebox://ID/diff
 *	glovebox://ID/report		of a call; of a session: what is in force
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/mcp/mcp.h"
#include "supervisor/rpc.h"

#define SCHEME "glovebox://"
#define ID_MAX 64

static const struct kind {
	const char *name, *method, *mime, *title;
	const char *text; /* the member that is the text; NULL: the whole answer */
} kinds[] = {
	{ "events", "events.recent", "application/x-ndjson", "Events", "lines" },
	{ "changes", "changes.list", "application/json", "Changed files", NULL },
	{ "diff", "changes.diff", "text/x-diff", "Changes as a diff", "diff" },
	{ "report", "call.report", "application/json", "Report", NULL },
};

static const char *get_text(const cJSON *json, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

static void add_cache(const struct mcp_request *q, struct text *t)
{
	if (q->is_modern)
		text_add(t, ",\"ttlMs\":0,\"cacheScope\":\"private\"");
}

static void end_list(struct text *t)
{
	if (t->at[t->len - 1] == ',')
		t->len--;
	text_add(t, "]");
}

static void add_session(const char *id, void *context)
{
	struct text *t = context;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		text_printf(
			t,
			"{\"uri\":\"" SCHEME "%s/%s\",\"name\":\"%s-%s\",\"title\":\"%s of session "
			"%s\",\"mimeType\":\"%s\"},",
			id, kinds[i].name, id, kinds[i].name, kinds[i].title, id, kinds[i].mime);
}

void mcp_resources_list(struct mcp_request *q)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "\"resources\":[");
	if (mcp_fixtures)
		text_add(&t, mcp_fixtures->resources);
	mcp_each_session(q->peer->mcp, add_session, &t);
	end_list(&t);
	add_cache(q, &t);
	mcp_result(q, t.at);
}

void mcp_resources_templates(struct mcp_request *q)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "\"resourceTemplates\":[");
	if (mcp_fixtures)
		text_add(&t, mcp_fixtures->templates);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		text_printf(&t,
			    "{\"uriTemplate\":\"" SCHEME
			    "{id}/%s\",\"name\":\"%s\",\"title\":\"%s\","
			    "\"description\":\"Of a session, or of a call of "
			    "it.\",\"mimeType\":\"%s\"},",
			    kinds[i].name, kinds[i].name, kinds[i].title, kinds[i].mime);
	end_list(&t);
	add_cache(q, &t);
	mcp_result(q, t.at);
}

/* --- read -------------------------------------------------------------------------- */

struct reading {
	struct mcp_request *q;
	const struct kind *kind;
};

static void on_cancel(struct mcp_request *q)
{
	((struct reading *)q->context)->q = NULL;
}

static void not_found(struct mcp_request *q, const char *uri)
{
	AUTO_TEXT data = { 0 };

	text_add(&data, "{\"uri\":");
	text_add_json(&data, uri, strlen(uri));
	text_add(&data, "}");
	mcp_error(q, 0, q->is_modern ? MCP_INVALID_PARAMS : MCP_NOT_FOUND, "Resource not found",
		  data.at);
}

static void on_read(void *context, const cJSON *result, int code, const char *error)
{
	struct reading *r = context;
	const char *uri = r->q ? get_text(r->q->params, "uri") : NULL;
	const char *text = r->kind->text ? get_text(result, r->kind->text) : NULL;
	char *whole = result && !text ? cJSON_PrintUnformatted(result) : NULL;
	AUTO_TEXT t = { 0 };

	if (!r->q) {
		/* nobody wants it any more */
	} else if (!result && code == RPC_NOT_FOUND) {
		not_found(r->q, uri);
	} else if (!result) {
		mcp_error(r->q, 0, MCP_INTERNAL, error, NULL);
	} else {
		text_add(&t, "\"contents\":[{\"uri\":");
		text_add_json(&t, uri, strlen(uri));
		text_printf(&t, ",\"mimeType\":\"%s\",\"text\":", r->kind->mime);
		text = text ? text : whole ? whole : "";
		text_add_json(&t, text, strlen(text));
		text_add(&t, "}]");
		add_cache(r->q, &t);
		mcp_result(r->q, t.at);
	}
	cJSON_free(whole);
	free(r);
}

static void is_same(const char *id, void *context)
{
	const char **wanted = context;
	size_t n = strlen(id);

	if (*wanted && strncmp(*wanted, id, n) == 0 &&
	    ((*wanted)[n] == '\0' || (*wanted)[n] == '.'))
		*wanted = NULL;
}

/* Of this client's sessions only: another conversation's are not its to read. */
static bool is_ours(struct mcp *m, const char *id)
{
	const char *wanted = id;

	mcp_each_session(m, is_same, &wanted);
	return !wanted;
}

void mcp_resources_read(struct mcp_request *q)
{
	const char *uri = get_text(q->params, "uri");
	const struct kind *kind = NULL;
	struct reading *r;
	AUTO_TEXT params = { 0 };
	const char *slash;
	char id[ID_MAX];

	if (!uri) {
		mcp_error(q, 0, MCP_INVALID_PARAMS, "\"uri\" must be a string", NULL);
		return;
	}
	slash = strncmp(uri, SCHEME, strlen(SCHEME)) == 0 ? strchr(uri + strlen(SCHEME), '/')
							  : NULL;
	for (size_t i = 0; slash && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(slash + 1, kinds[i].name) == 0)
			kind = &kinds[i];
	if (kind)
		(void)snprintf(id, sizeof(id), "%.*s", (int)(slash - uri - (int)strlen(SCHEME)),
			       uri + strlen(SCHEME));
	if (!kind || !is_ours(q->peer->mcp, id)) {
		not_found(q, uri);
		return;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		mcp_error(q, 0, MCP_INTERNAL, "out of memory", NULL);
		return;
	}
	*r = (struct reading){ q, kind };
	q->context = r;
	q->on_cancel = on_cancel;
	text_add(&params, "\"id\":");
	text_add_json(&params, id, strlen(id));
	(void)link_ask(q->peer->mcp->link,
		       strcmp(kind->name, "report") == 0 && !strchr(id, '.') ? "session.show"
									     : kind->method,
		       params.at, on_read, r);
}
