// SPDX-License-Identifier: Apache-2.0
/*
 * tests/mcp/fixtures.c - the tools, resources and prompts that the conformance suite
 * of the Model Context Protocol asks every server for.
 *
 * They are linked into `glovebox-mcp-fixtures` alone, and touch no supervisor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/mcp/mcp.h"

#define PNG \
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
#define WAV "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
#define STEP_US 50000

#define TEXT(s) "\"content\":[{\"type\":\"text\",\"text\":\"" s "\"}]"
#define ELICIT(message, properties, required)                                     \
	"\"message\":\"" message                                                  \
	"\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{" properties \
	"},\"required\":[" required "]}"
#define ASK_FORM(key, message, properties, required)                                              \
	"\"" key "\":{\"method\":\"elicitation/create\",\"params\":{" ELICIT(message, properties, \
									     required) "}}"
#define SAMPLE(key, text)                                                                \
	"\"" key "\":{\"method\":\"sampling/createMessage\",\"params\":{\"messages\":[{" \
	"\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"" text              \
	"\"}}],\"maxTokens\":100}}"
#define ROOTS(key) "\"" key "\":{\"method\":\"roots/list\",\"params\":{}}"

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *get_text(const cJSON *json, const char *key)
{
	const char *s = cJSON_GetStringValue(get(json, key));

	return s ? s : "";
}

/* --- state that a client carries -------------------------------------------------- */

static void add_state(const struct mcp *m, const char *what, struct text *t)
{
	text_add(t, ",\"requestState\":\"");
	mcp_add_state(m, what, t);
	text_add(t, "\"");
}

/* 1: it is this state; 0: there is none; -1: it was changed. */
static int check_state(const struct mcp_request *q, const char *what)
{
	char *is;
	int r;

	if (!get(q->params, "requestState"))
		return 0;
	is = mcp_read_state(q->peer->mcp, get_text(q->params, "requestState"));
	r = is && strcmp(is, what) == 0 ? 1 : -1;
	free(is);
	return r;
}

static void ask(struct mcp_request *q, const char *requests, const char *state)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "\"resultType\":\"input_required\",\"inputRequests\":{%s}", requests);
	if (state)
		add_state(q->peer->mcp, state, &t);
	mcp_result(q, t.at);
}

static const cJSON *response(const struct mcp_request *q, const char *key)
{
	const cJSON *v = get(get(q->params, "inputResponses"), key);

	return cJSON_IsObject(v) ? v : NULL;
}

/* --- tools with a plain answer ------------------------------------------------------- */

static const struct {
	const char *name, *result;
} plain[] = {
	{ "test_simple_text", TEXT("This is a simple text response for testing.") },
	{ "test_image_content",
	  "\"content\":[{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}]" },
	{ "test_audio_content",
	  "\"content\":[{\"type\":\"audio\",\"data\":\"" WAV "\",\"mimeType\":\"audio/wav\"}]" },
	{ "test_embedded_resource",
	  "\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"test://embedded-resource\","
	  "\"mimeType\":\"text/plain\",\"text\":\"This is an embedded resource content.\"}}]" },
	{ "test_multiple_content_types",
	  "\"content\":[{\"type\":\"text\",\"text\":\"Multiple content types test:\"},{\"type\":"
	  "\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"},{\"type\":\"resource\","
	  "\"resource\":{\"uri\":\"test://mixed-content-resource\",\"mimeType\":"
	  "\"application/json\",\"text\":\"{\\\"test\\\":\\\"data\\\",\\\"value\\\":123}\"}}]" },
	{ "test_error_handling",
	  TEXT("This tool intentionally returns an error for testing") ",\"isError\":true" },
	{ "json_schema_2020_12_tool", TEXT("ok") },
	{ "test_reconnection", TEXT("Reconnection test completed successfully") },
	{ "greet", TEXT("Hello!") },
	{ "multi_input", TEXT("ok") },
	{ "test_x_mcp_header", TEXT("ok") },
};

/* --- tools that take time -------------------------------------------------------------- */

struct timed {
	struct mcp_request *q;
	sd_event_source *timer;
	int step;
	bool has_logs, has_progress, has_nothing;
};

static void timed_free(struct timed *w)
{
	(void)sd_event_source_disable_unref(w->timer);
	free(w);
}

static void on_timed_cancelled(struct mcp_request *q)
{
	timed_free(q->context);
}

static void tell_step(struct timed *w)
{
	static const char *const logs[] = { "\"Tool execution started\"",
					    "\"Tool processing data\"",
					    "\"Tool execution completed\"" };
	char *token = cJSON_PrintUnformatted(w->q->progress_token);
	AUTO_TEXT t = { 0 };

	if (w->has_logs)
		mcp_log(w->q, "info", "test", logs[w->step]);
	if (w->has_progress && token) {
		text_printf(&t, "\"progressToken\":%s,\"progress\":%d,\"total\":100", token,
			    w->step * 50);
		mcp_notify(w->q, "notifications/progress", t.at);
	}
	cJSON_free(token);
}

static int on_step(sd_event_source *s, uint64_t now, void *context)
{
	struct timed *w = context;
	struct mcp_request *q = w->q;

	(void)s;
	(void)now;
	if (w->step > 2) {
		q->on_cancel = NULL;
		timed_free(w);
		mcp_result(q, TEXT("Tool with steps completed"));
		return 0;
	}
	tell_step(w);
	w->step++;
	(void)sd_event_source_set_time_relative(w->timer, STEP_US);
	return sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static void serve_timed(struct mcp_request *q, bool has_logs, bool has_progress)
{
	struct timed *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	*w = (struct timed){ .q = q, .has_logs = has_logs, .has_progress = has_progress };
	q->context = w;
	q->on_cancel = on_timed_cancelled;
	if (sd_event_add_time_relative(q->peer->mcp->loop, &w->timer, CLOCK_MONOTONIC, 0, 1,
				       on_step, w) < 0)
		abort();
}

/* --- tools that ask the client, legacy ------------------------------------------------------ */

static void on_elicited(struct mcp_request *q, const cJSON *result)
{
	char *content = cJSON_PrintUnformatted(get(result, "content"));
	AUTO_TEXT said = { 0 };
	AUTO_TEXT t = { 0 };

	text_printf(&said, "User response: action=%s, content=%s", get_text(result, "action"),
		    content ? content : "{}");
	text_add(&t, "\"content\":[{\"type\":\"text\",\"text\":");
	text_add_json(&t, said.at, said.len);
	text_add(&t, "}]");
	cJSON_free(content);
	mcp_result(q, t.at);
}

static void on_sampled(struct mcp_request *q, const cJSON *result)
{
	AUTO_TEXT said = { 0 };
	AUTO_TEXT t = { 0 };

	text_printf(&said, "LLM response: %s", get_text(get(result, "content"), "text"));
	text_add(&t, "\"content\":[{\"type\":\"text\",\"text\":");
	text_add_json(&t, said.at, said.len);
	text_add(&t, "}]");
	mcp_result(q, t.at);
}

#define DEFAULTS                                                                                 \
	"\"name\":{\"type\":\"string\",\"default\":\"John Doe\"},\"age\":{\"type\":\"integer\"," \
	"\"default\":30},\"score\":{\"type\":\"number\",\"default\":95.5},\"status\":{\"type\":" \
	"\"string\",\"enum\":[\"active\",\"inactive\",\"pending\"],\"default\":\"active\"},"     \
	"\"verified\":{\"type\":\"boolean\",\"default\":true}"
#define ENUMS                                                                                       \
	"\"untitledSingle\":{\"type\":\"string\",\"enum\":[\"option1\",\"option2\",\"option3\"]},"  \
	"\"titledSingle\":{\"type\":\"string\",\"oneOf\":[{\"const\":\"value1\",\"title\":\"First " \
	"Option\"},{\"const\":\"value2\",\"title\":\"Second Option\"},{\"const\":\"value3\","       \
	"\"title\":\"Third Option\"}]},\"legacyEnum\":{\"type\":\"string\",\"enum\":[\"opt1\","     \
	"\"opt2\",\"opt3\"],\"enumNames\":[\"Option One\",\"Option Two\",\"Option Three\"]},"       \
	"\"untitledMulti\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":["           \
	"\"option1\",\"option2\",\"option3\"]}},\"titledMulti\":{\"type\":\"array\",\"items\":{"    \
	"\"anyOf\":[{\"const\":\"value1\",\"title\":\"First Choice\"},{\"const\":\"value2\","       \
	"\"title\":\"Second Choice\"},{\"const\":\"value3\",\"title\":\"Third Choice\"}]}}"

static bool serve_legacy_asking(struct mcp_request *q, const char *name)
{
	const cJSON *arguments = get(q->params, "arguments");
	bool samples = strcmp(name, "test_sampling") == 0;
	AUTO_TEXT t = { 0 };

	if (!samples && strncmp(name, "test_elicitation", 16) != 0)
		return false;
	if (q->is_modern || !mcp_client_has(q, samples ? "sampling" : "elicitation")) {
		mcp_result(q,
			   TEXT("the client has not declared what this needs") ",\"isError\":true");
		return true;
	}
	if (samples) {
		text_add(
			&t,
			"\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":");
		text_add_json(&t, get_text(arguments, "prompt"),
			      strlen(get_text(arguments, "prompt")));
		text_add(&t, "}}],\"maxTokens\":100");
	} else if (strcmp(name, "test_elicitation_sep1034_defaults") == 0) {
		text_add(&t, ELICIT("Please review", DEFAULTS, ""));
	} else if (strcmp(name, "test_elicitation_sep1330_enums") == 0) {
		text_add(&t, ELICIT("Please choose", ENUMS, ""));
	} else {
		text_add(&t, "\"message\":");
		text_add_json(&t, get_text(arguments, "message"),
			      strlen(get_text(arguments, "message")));
		text_add(&t,
			 ",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"username\":{"
			 "\"type\":\"string\",\"description\":\"User's response\"},\"email\":{"
			 "\"type\":\"string\",\"description\":\"User's email address\"}},"
			 "\"required\":[\"username\",\"email\"]}");
	}
	q->on_answer = samples ? on_sampled : on_elicited;
	mcp_ask(q, samples ? "sampling/createMessage" : "elicitation/create", t.at);
	return true;
}

/* --- tools that need input, modern --------------------------------------------------------------- */

#define NAME_FORM \
	ASK_FORM("user_name", "What is your name?", "\"name\":{\"type\":\"string\"}", "\"name\"")
#define CONFIRM_FORM \
	ASK_FORM("confirm", "Please confirm", "\"ok\":{\"type\":\"boolean\"}", "\"ok\"")

static void greet(struct mcp_request *q)
{
	const cJSON *r = response(q, "user_name");
	const char *name = cJSON_GetStringValue(get(get(r, "content"), "name"));
	AUTO_TEXT said = { 0 };
	AUTO_TEXT t = { 0 };

	if (!name || strcmp(get_text(r, "action"), "accept") != 0) {
		ask(q, NAME_FORM, NULL);
		return;
	}
	text_printf(&said, "Hello, %s!", name);
	text_add(&t, "\"content\":[{\"type\":\"text\",\"text\":");
	text_add_json(&t, said.at, said.len);
	text_add(&t, "}]");
	mcp_result(q, t.at);
}

static void say_raw(struct mcp_request *q, const char *head, const cJSON *what)
{
	char *s = cJSON_PrintUnformatted(what);
	AUTO_TEXT said = { 0 };
	AUTO_TEXT t = { 0 };

	text_printf(&said, "%s%s", head, s ? s : "");
	text_add(&t, "\"content\":[{\"type\":\"text\",\"text\":");
	text_add_json(&t, said.at, said.len);
	text_add(&t, "}]");
	cJSON_free(s);
	mcp_result(q, t.at);
}

static void sample(struct mcp_request *q)
{
	const cJSON *r = response(q, "capital_question");

	if (r)
		say_raw(q, "", get(get(r, "content"), "text"));
	else
		ask(q, SAMPLE("capital_question", "What is the capital of France?"), NULL);
}

static void roots(struct mcp_request *q)
{
	const cJSON *r = response(q, "client_roots");

	if (r)
		say_raw(q, "roots: ", get(r, "roots"));
	else
		ask(q, ROOTS("client_roots"), NULL);
}

static void with_state(struct mcp_request *q)
{
	int state = check_state(q, "confirm-1");

	if (state < 0)
		mcp_error(q, 400, MCP_INVALID_PARAMS, "requestState was changed", NULL);
	else if (state > 0 && response(q, "confirm"))
		mcp_result(q, TEXT("state-ok"));
	else
		ask(q, CONFIRM_FORM, "confirm-1");
}

static void several(struct mcp_request *q)
{
	int state = check_state(q, "several-1");

	if (state < 0)
		mcp_error(q, 400, MCP_INVALID_PARAMS, "requestState was changed", NULL);
	else if (state > 0 && response(q, "user_name") && response(q, "greeting") &&
		 response(q, "client_roots"))
		mcp_result(q, TEXT("all three came"));
	else
		ask(q,
		    NAME_FORM
		    "," SAMPLE("greeting", "Generate a greeting") "," ROOTS("client_roots"),
		    "several-1");
}

static void rounds(struct mcp_request *q)
{
	if (check_state(q, "round-2") > 0 && response(q, "step2"))
		mcp_result(q, TEXT("both rounds are done"));
	else if (check_state(q, "round-1") > 0 && response(q, "step1"))
		ask(q,
		    ASK_FORM("step2", "Step 2: What is your favorite color?",
			     "\"color\":{\"type\":\"string\"}", "\"color\""),
		    "round-2");
	else if (get(q->params, "requestState") && check_state(q, "round-1") <= 0 &&
		 check_state(q, "round-2") <= 0)
		mcp_error(q, 400, MCP_INVALID_PARAMS, "requestState was changed", NULL);
	else
		ask(q,
		    ASK_FORM("step1", "Step 1: What is your name?",
			     "\"name\":{\"type\":\"string\"}", "\"name\""),
		    "round-1");
}

static void by_capability(struct mcp_request *q)
{
	AUTO_TEXT t = { 0 };

	if (get(q->params, "inputResponses")) {
		mcp_result(q, TEXT("done"));
		return;
	}
	if (mcp_client_has(q, "elicitation"))
		text_add(&t, NAME_FORM ",");
	if (mcp_client_has(q, "sampling"))
		text_add(&t, SAMPLE("greeting", "Generate a greeting") ",");
	if (mcp_client_has(q, "roots"))
		text_add(&t, ROOTS("client_roots") ",");
	if (t.len == 0) {
		mcp_result(q, TEXT("the client can be asked nothing"));
		return;
	}
	t.at[--t.len] = '\0';
	ask(q, t.at, NULL);
}

static void need_sampling(struct mcp_request *q)
{
	if (mcp_client_has(q, "sampling"))
		mcp_result(q, TEXT("ok"));
	else
		mcp_error(q, 400, MCP_MISSING_CAPABILITY, "this tool needs sampling",
			  "{\"requiredCapabilities\":{\"sampling\":{}}}");
}

static void change_tools(struct mcp_request *q)
{
	mcp_tell(q->peer->mcp, "tools", NULL);
	mcp_result(q, TEXT("told"));
}

static void change_prompts(struct mcp_request *q)
{
	mcp_tell(q->peer->mcp, "prompts", NULL);
	mcp_result(q, TEXT("told"));
}

static void with_logging(struct mcp_request *q)
{
	serve_timed(q, true, false);
}

static void with_progress(struct mcp_request *q)
{
	serve_timed(q, false, true);
}

static const struct {
	const char *name;
	void (*serve)(struct mcp_request *q);
} served[] = {
	{ "test_tool_with_logging", with_logging },
	{ "test_logging_tool", with_logging },
	{ "test_tool_with_progress", with_progress },
	{ "test_missing_capability", need_sampling },
	{ "test_streaming_elicitation", greet },
	{ "test_trigger_tool_change", change_tools },
	{ "test_trigger_prompt_change", change_prompts },
	{ "test_input_required_result_elicitation", greet },
	{ "test_input_required_result_sampling", sample },
	{ "test_input_required_result_list_roots", roots },
	{ "test_input_required_result_request_state", with_state },
	{ "test_input_required_result_tampered_state", with_state },
	{ "test_input_required_result_multiple_inputs", several },
	{ "test_input_required_result_multi_round", rounds },
	{ "test_input_required_result_capabilities", by_capability },
};

static bool serve_tool(struct mcp_request *q)
{
	const char *name = get_text(q->params, "name");

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (strcmp(plain[i].name, name) == 0) {
			mcp_result(q, plain[i].result);
			return true;
		}
	for (size_t i = 0; i < ARRAY_SIZE(served); i++)
		if (strcmp(served[i].name, name) == 0) {
			served[i].serve(q);
			return true;
		}
	return serve_legacy_asking(q, name);
}

/* --- resources ------------------------------------------------------------------------------------- */

static bool serve_resource(struct mcp_request *q)
{
	static const char template[] = "test://template/";
	const char *uri = get_text(q->params, "uri");
	const char *tail = strncmp(uri, template, sizeof(template) - 1) == 0
				   ? strstr(uri + sizeof(template) - 1, "/data")
				   : NULL;
	const char *cache = q->is_modern ? ",\"ttlMs\":1000,\"cacheScope\":\"private\"" : "";
	AUTO_TEXT t = { 0 };

	if (strcmp(uri, "test://static-text") == 0) {
		text_add(
			&t,
			"\"contents\":[{\"uri\":\"test://static-text\",\"mimeType\":\"text/plain\","
			"\"text\":\"This is the content of the static text resource.\"}]");
	} else if (strcmp(uri, "test://static-binary") == 0) {
		text_add(
			&t,
			"\"contents\":[{\"uri\":\"test://static-binary\",\"mimeType\":\"image/png\","
			"\"blob\":\"" PNG "\"}]");
	} else if (strcmp(uri, "test://watched-resource") == 0 ||
		   strcmp(uri, "test://example-resource") == 0) {
		text_printf(
			&t,
			"\"contents\":[{\"uri\":\"%s\",\"mimeType\":\"text/plain\",\"text\":\"x\"}]",
			uri);
	} else if (tail && strcmp(tail, "/data") == 0) {
		AUTO_TEXT data = { 0 };
		int n = (int)(tail - uri - (long)sizeof(template) + 1);
		const char *id = uri + sizeof(template) - 1;

		text_printf(
			&data,
			"{\"id\":\"%.*s\",\"templateTest\":true,\"data\":\"Data for ID: %.*s\"}", n,
			id, n, id);
		text_add(&t, "\"contents\":[{\"uri\":");
		text_add_json(&t, uri, strlen(uri));
		text_add(&t, ",\"mimeType\":\"application/json\",\"text\":");
		text_add_json(&t, data.at, data.len);
		text_add(&t, "}]");
	} else {
		return false;
	}
	text_add(&t, cache);
	mcp_result(q, t.at);
	return true;
}

/* --- prompts ---------------------------------------------------------------------------------------- */

#define MESSAGE(content) "{\"role\":\"user\",\"content\":{" content "}}"
#define SAID(s) "\"type\":\"text\",\"text\":\"" s "\""

static void prompt_with(struct mcp_request *q, const char *said)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":");
	text_add_json(&t, said, strlen(said));
	text_add(&t, "}}]");
	mcp_result(q, t.at);
}

static bool serve_prompt(struct mcp_request *q)
{
	const cJSON *arguments = get(q->params, "arguments");
	const char *name = get_text(q->params, "name");
	AUTO_TEXT t = { 0 };

	if (strcmp(name, "test_simple_prompt") == 0) {
		mcp_result(q, "\"messages\":[" MESSAGE(
				      SAID("This is a simple prompt for testing.")) "]");
	} else if (strcmp(name, "test_prompt_with_arguments") == 0) {
		text_printf(&t, "Prompt with arguments: arg1='%s', arg2='%s'",
			    get_text(arguments, "arg1"), get_text(arguments, "arg2"));
		prompt_with(q, t.at);
	} else if (strcmp(name, "test_prompt_with_embedded_resource") == 0) {
		text_add(&t, "\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"resource\","
			     "\"resource\":{\"uri\":");
		text_add_json(&t, get_text(arguments, "resourceUri"),
			      strlen(get_text(arguments, "resourceUri")));
		text_add(&t,
			 ",\"mimeType\":\"text/plain\",\"text\":\"Embedded resource content for "
			 "testing.\"}}}," MESSAGE(
				 SAID("Please process the embedded resource above.")) "]");
		mcp_result(q, t.at);
	} else if (strcmp(name, "test_prompt_with_image") == 0) {
		mcp_result(
			q,
			"\"messages\":[" MESSAGE(
				"\"type\":\"image\",\"data\":\"" PNG
				"\",\"mimeType\":\"image/png\"") "," MESSAGE(SAID("Please analyze the image above.")) "]");
	} else if (strcmp(name, "test_input_required_result_prompt") == 0) {
		const cJSON *r = response(q, "user_context");

		if (r)
			prompt_with(q, get_text(get(r, "content"), "context"));
		else
			ask(q,
			    ASK_FORM("user_context", "What context should the prompt use?",
				     "\"context\":{\"type\":\"string\"}", "\"context\""),
			    NULL);
	} else {
		return false;
	}
	return true;
}

static const char prompts[] =
	"{\"name\":\"test_simple_prompt\",\"description\":\"A simple prompt\"},"
	"{\"name\":\"test_prompt_with_arguments\",\"description\":\"With arguments\",\"arguments\":[{"
	"\"name\":\"arg1\",\"description\":\"First test argument\",\"required\":true},{\"name\":"
	"\"arg2\",\"description\":\"Second test argument\",\"required\":true}]},"
	"{\"name\":\"test_prompt_with_embedded_resource\",\"description\":\"With a resource\","
	"\"arguments\":[{\"name\":\"resourceUri\",\"description\":\"Its URI\",\"required\":true}]},"
	"{\"name\":\"test_prompt_with_image\",\"description\":\"With an image\"},"
	"{\"name\":\"test_input_required_result_prompt\",\"description\":\"Asks for its context\"}";

static void list_prompts(struct mcp_request *q)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "\"prompts\":[%s]%s", prompts,
		    q->is_modern ? ",\"ttlMs\":300000,\"cacheScope\":\"private\"" : "");
	mcp_result(q, t.at);
}

static bool serve(struct mcp_request *q)
{
	if (strcmp(q->method, "tools/call") == 0)
		return serve_tool(q);
	if (strcmp(q->method, "resources/read") == 0)
		return serve_resource(q);
	if (strcmp(q->method, "prompts/get") == 0)
		return serve_prompt(q);
	if (strcmp(q->method, "prompts/list") == 0) {
		list_prompts(q);
		return true;
	}
	if (strcmp(q->method, "completion/complete") == 0) {
		mcp_result(q,
			   "\"completion\":{\"values\":[\"paris\",\"park\",\"party\"],\"total\":3,"
			   "\"hasMore\":false}");
		return true;
	}
	return false;
}

#define NO_INPUT "\"inputSchema\":{\"type\":\"object\",\"properties\":{}}"
#define TOOL(name) "{\"name\":\"" name "\",\"description\":\"A fixture of tests\"," NO_INPUT "},"
#define TOOL_WITH(name, key)                                                                       \
	"{\"name\":\"" name "\",\"description\":\"A fixture of tests\",\"inputSchema\":{\"type\":" \
	"\"object\",\"properties\":{\"" key "\":{\"type\":\"string\"}},\"required\":[\"" key       \
	"\"]}},"

static const struct mcp_fixtures fixtures = {
	.tools = TOOL("test_simple_text") TOOL("test_image_content") TOOL("test_audio_content") TOOL(
		"test_embedded_resource") TOOL("test_multiple_content_types") TOOL("test_tool_with_logging")
		TOOL("test_error_handling") TOOL("test_tool_with_progress") TOOL_WITH(
			"test_sampling",
			"prompt") TOOL_WITH("test_elicitation",
					    "message") TOOL("test_elicitation_sep1034_defaults")
			TOOL("test_elicitation_sep1330_enums") TOOL("test_reconnection") TOOL(
				"test_missing_capability") TOOL("test_streaming_elicitation") TOOL("test_logging_tool")
				TOOL("test_trigger_tool_change") TOOL("test_trigger_prompt_change") TOOL(
					"test_input_required_result_elicitation") TOOL("test_input_required_result_sampling")
					TOOL("test_input_required_result_list_roots") TOOL(
						"test_input_required_result_request_state")
						TOOL("test_input_required_result_tampered_state") TOOL(
							"test_input_required_result_multiple_inputs")
							TOOL("test_input_required_result_multi_round") TOOL(
								"test_input_required_result_capabilities")
								TOOL("greet") TOOL(
									"multi_input") "{\"name\":\"json_schema_2020_12_tool\",\"description\":\"Keywords of 2020-12\","
										       "\"inputSchema\":{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":"
										       "\"object\",\"$defs\":{\"address\":{\"$anchor\":\"addressDef\",\"type\":\"object\","
										       "\"properties\":{\"street\":{\"type\":\"string\"},\"city\":{\"type\":\"string\"}}}},"
										       "\"properties\":{\"name\":{\"type\":\"string\"},\"address\":{\"$ref\":\"#/$defs/address\"},"
										       "\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]},\"phone\":{"
										       "\"type\":\"string\"},\"email\":{\"type\":\"string\"}},\"allOf\":[{\"anyOf\":[{\"required\":["
										       "\"phone\"]},{\"required\":[\"email\"]}]}],\"if\":{\"properties\":{\"contactMethod\":{"
										       "\"const\":\"phone\"}},\"required\":[\"contactMethod\"]},\"then\":{\"required\":[\"phone\"]},"
										       "\"else\":{\"required\":[\"email\"]},\"additionalProperties\":false}},",
	.resources =
		"{\"uri\":\"test://static-text\",\"name\":\"static-text\",\"description\":\"Text\","
		"\"mimeType\":\"text/plain\"},{\"uri\":\"test://static-binary\",\"name\":"
		"\"static-binary\",\"description\":\"An image\",\"mimeType\":\"image/png\"},"
		"{\"uri\":\"test://watched-resource\",\"name\":\"watched-resource\","
		"\"description\":\"Changes\",\"mimeType\":\"text/plain\"},",
	.templates = "{\"uriTemplate\":\"test://template/{id}/data\",\"name\":\"template\","
		     "\"description\":\"With an id\",\"mimeType\":\"application/json\"},",
	.prompts = prompts,
	.serve = serve,
};

const struct mcp_fixtures *mcp_fixtures = &fixtures;
