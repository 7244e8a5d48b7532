// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/tasks.c - the extension for calls that go on after their answer.
 *
 * A task is a call of the supervisor, by the same id; nothing of it is kept here but
 * that it was given out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "supervisor/mcp/calls_inner.h"

/* Finished tasks that are remembered, of one session. */
#define TASKS_MAX 256
#define TASK_TTL "3600000"
#define TASK_POLL "500"

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *get_text(const cJSON *json, const char *key)
{
	return cJSON_GetStringValue(get(json, key));
}

static void add_task(const struct mcp_call *c, const char *status, const char *message,
		     struct text *t)
{
	AUTO_TEXT now = { 0 };
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	text_add_time(&now, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	text_printf(t, "\"taskId\":\"%s\",\"status\":\"%s\"", c->id, status);
	if (message)
		text_printf(t, ",\"statusMessage\":\"%s\"", message);
	text_printf(t,
		    ",\"createdAt\":\"%s\",\"lastUpdatedAt\":\"%s\",\"ttlMs\":" TASK_TTL
		    ",\"pollIntervalMs\":" TASK_POLL,
		    c->created, now.at);
}

/* The oldest that is over makes room. */
static void limit_tasks(struct mcp_session *s)
{
	struct mcp_call *oldest = NULL;
	size_t n = 0;

	for (struct mcp_call *c = s->calls; c; c = c->next)
		if (c->is_task) {
			oldest = c; /* new ones are put in front */
			n++;
		}
	if (n > TASKS_MAX)
		call_forget(oldest);
}

void task_answer(struct mcp_call *c, const char *state)
{
	struct mcp_request *q = c->q;
	AUTO_TEXT t = { 0 };

	c->q = NULL;
	c->is_task = true;
	text_add(&t, "\"resultType\":\"task\",");
	add_task(c, "working", state, &t);
	limit_tasks(c->session);
	mcp_result(q, t.at);
}

/* --- tasks ---------------------------------------------------------------------------------- */

static struct mcp_call *find_task(struct mcp *m, const char *id)
{
	for (struct mcp_session *s = m->sessions; s; s = s->next)
		for (struct mcp_call *c = s->calls; c; c = c->next)
			if (c->is_task && id && strcmp(c->id, id) == 0)
				return c;
	return NULL;
}

static struct mcp_call *need_task(struct mcp_request *q)
{
	struct mcp_call *c = find_task(q->peer->mcp, get_text(q->params, "taskId"));

	if (!c)
		mcp_error(q, 0, MCP_INVALID_PARAMS, "there is no such task", NULL);
	return c;
}

/* A request that looks at a task, while the supervisor is asked. */
struct look {
	struct mcp_request *q;
	char id[ID_MAX];
};

static void on_look_cancelled(struct mcp_request *q)
{
	((struct look *)q->context)->q = NULL;
}

static void on_looked(void *context, const cJSON *result, int code, const char *error)
{
	struct look *look = context;
	const char *state = get_text(get(result, "structured"), "state");
	const char *outcome = get_text(get(result, "structured"), "outcome");
	struct mcp_call *c = look->q ? find_task(look->q->peer->mcp, look->id) : NULL;
	AUTO_TEXT t = { 0 };

	(void)code;
	if (!look->q) {
		free(look);
		return;
	}
	if (!result || !c || !state) {
		mcp_error(look->q, 0, MCP_INVALID_PARAMS, result ? "there is no such task" : error,
			  NULL);
	} else if (strcmp(state, "done") != 0) {
		add_task(c, "working", state, &t);
		mcp_result(look->q, t.at);
	} else if (c->is_cancelled || (outcome && strcmp(outcome, "killed") == 0)) {
		add_task(c, "cancelled", NULL, &t);
		mcp_result(look->q, t.at);
	} else {
		add_task(c, "completed", NULL, &t);
		text_add(&t, ",\"result\":{\"resultType\":\"complete\",");
		call_make_result(look->q, c, result, &t);
		text_add(&t, "}");
		mcp_result(look->q, t.at);
	}
	free(look);
}

void mcp_tasks_get(struct mcp_request *q)
{
	struct mcp_call *c = need_task(q);
	struct look *look = c ? calloc(1, sizeof(*look)) : NULL;
	AUTO_TEXT params = { 0 };

	if (!look)
		return;
	look->q = q;
	memcpy(look->id, c->id, sizeof(look->id));
	q->context = look;
	q->on_cancel = on_look_cancelled;
	text_printf(&params, "\"id\":\"%s\",\"text\":%u,\"timeout_ms\":1", c->id, c->text);
	(void)link_ask(q->peer->mcp->link, "call.wait", params.at, on_looked, look);
}

/* Nothing of ours waits for a client's input. */
void mcp_tasks_update(struct mcp_request *q)
{
	if (need_task(q))
		mcp_result(q, "");
}

void mcp_tasks_cancel(struct mcp_request *q)
{
	struct mcp_call *c = need_task(q);

	if (!c)
		return;
	c->is_cancelled = true;
	call_end(q->peer->mcp, c->id, "cancelled by the client");
	mcp_result(q, "");
}
