// SPDX-License-Identifier: Apache-2.0
/* supervisor/loop.c - an agent's end of it: a session for one conversation. */
#include "supervisor/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/rpc.h"

/* While another program of the same agent opens it. */
#define BUSY_TRIES 200
#define BUSY_NS 20000000
#define ANSWER_MS 20000

const char *loop_key(void)
{
	static const char *const variables[] = { "GLOVEBOX_SESSION", "CLAUDE_CODE_SESSION_ID",
						 "CODEX_THREAD_ID" };

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		const char *v = getenv(variables[i]);

		if (v && v[0])
			return v;
	}
	return NULL;
}

static int connect_any(struct loop *l, const char *workspace, struct text *why)
{
	int r = client_connect_agent(&l->client, why);

	if (r != -ENOENT || getenv("GLOVEBOX_HOST"))
		return r;
	why->len = 0;
	r = own_start(&l->own, workspace, "loop", why);
	return r < 0 ? r : client_connect_instance(l->own.instance, "agent.sock", &l->client);
}

int loop_open(struct loop *l, const char *workspace, const char *key, struct text *why)
{
	const struct timespec nap = { .tv_nsec = BUSY_NS };
	AUTO_TEXT params = { 0 };
	cJSON *json;
	char *result;
	int r;

	*l = (struct loop){ .client = { .fd = -1 }, .own = OWN_NONE };
	r = connect_any(l, workspace, why);
	client_add_member(&params, "workspace", workspace);
	if (key)
		client_add_member(&params, "key", key);
	for (int i = 0; r == 0; i++) {
		r = client_exchange(&l->client, "session.create", params.at, ANSWER_MS, &result,
				    why);
		if (r != -EPROTO || i == BUSY_TRIES || !key)
			break;
		why->len = 0;
		r = 0;
		(void)nanosleep(&nap, NULL);
	}
	if (r < 0) {
		loop_close(l);
		return r;
	}
	json = cJSON_Parse(result);
	(void)snprintf(l->session, sizeof(l->session), "%s", client_text_of(json, "session"));
	cJSON_Delete(json);
	return 0;
}

void loop_end_session(struct loop *l)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	char *result;

	client_add_member(&params, "id", l->session);
	text_add(&params, ",\"remove\":true");
	if (client_exchange(&l->client, "session.close", params.at, ANSWER_MS, &result, &why) == 0)
		return;
	params.len = 0;
	client_add_member(&params, "id", l->session);
	(void)client_exchange(&l->client, "session.close", params.at, ANSWER_MS, &result, &why);
}

void loop_close(struct loop *l)
{
	client_done(&l->client);
	own_end(&l->own, true);
}

int loop_read_input(cJSON **ret, struct text *why)
{
	AUTO_MEM char *all = calloc(1, RPC_LINE_MAX + 1);
	ssize_t n = all ? io_read_full(STDIN_FILENO, all, RPC_LINE_MAX + 1) : -1;

	*ret = NULL;
	if (n < 0 || n > RPC_LINE_MAX) {
		text_add(why, n < 0 ? strerror(errno) : "the input is longer than 1 MiB");
		return -EINVAL;
	}
	text_add(why, "the input on standard input: ");
	if (rpc_read_json(all, (size_t)n, ret, why) < 0)
		return -EINVAL;
	if (!cJSON_IsObject(*ret)) {
		cJSON_Delete(*ret);
		*ret = NULL;
		text_add(why, "it is no JSON object");
		return -EINVAL;
	}
	why->len = 0;
	return 0;
}
