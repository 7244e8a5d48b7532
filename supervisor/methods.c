// SPDX-License-Identifier: Apache-2.0
/* supervisor/methods.c - the table of methods, and what they share. */
#include "supervisor/methods.h"

#include <errno.h>
#include <string.h>

#include "sandbox/base/io.h"

static void (*const serve[VERB_COUNT])(struct asked *q) = {
	[VERB_INFO] = method_info,
	[VERB_SESSION_CREATE] = method_session_create,
	[VERB_SESSION_LIST] = method_session_list,
	[VERB_SESSION_SHOW] = method_session_show,
	[VERB_SESSION_CLOSE] = method_session_close,
	[VERB_CALL_START] = method_call_start,
	[VERB_LIST] = method_call_list,
	[VERB_CALL_WAIT] = method_call_wait,
	[VERB_CALL_REPORT] = method_call_report,
	[VERB_CALL_OUTPUT] = method_call_output,
	[VERB_CALL_INPUT] = method_call_input,
	[VERB_CALL_RESIZE] = method_call_resize,
	[VERB_CALL_SIGNAL] = method_call_signal,
	[VERB_CALL_CANCEL] = method_call_cancel,
	[VERB_SUBSCRIBE] = method_subscribe,
	[VERB_UNSUBSCRIBE] = method_unsubscribe,
	[VERB_RECENT] = method_recent,
	[VERB_CHANGES_LIST] = method_changes_list,
	[VERB_CHANGES_DIFF] = method_changes_diff,
	[VERB_COMMIT] = method_commit,
	[VERB_NOTES] = method_notes,
	[VERB_TOOLS] = method_tools,
	[VERB_PAUSE] = method_pause,
	[VERB_RESUME] = method_resume,
	[VERB_KILL] = method_kill,
	[VERB_KILL_ALL] = method_kill_all,
	[VERB_APPROVALS] = method_approvals,
	[VERB_APPROVE] = method_approve,
	[VERB_DENY] = method_deny,
	[VERB_STEER] = method_steer,
	[VERB_DISCARD] = method_discard,
	[VERB_ROLLBACK] = method_rollback,
	[VERB_UNDO] = method_undo,
	[VERB_TRACE] = method_call_trace,
};

void methods_serve(struct asked *q)
{
	serve[q->verb](q);
}

bool methods_params(struct asked *q, const struct param *table, void *into)
{
	AUTO_TEXT why = { 0 };

	if (params_read(q->params, table, into, &why) == 0)
		return true;
	server_error(q, RPC_INVALID_PARAMS, "%s", why.at ? why.at : "invalid");
	return false;
}

void methods_add_call(struct text *t, const struct call *call)
{
	uint64_t now = call->ended_ns ? call->ended_ns : io_now_ns();
	uint64_t since = call->started_ns ? call->started_ns : now;

	text_printf(t, "{\"id\":\"%s.%u\",\"session\":\"%s\",\"call\":%u,\"state\":\"%s\"",
		    call->session->id, call->number, call->session->id, call->number,
		    call_state_names[call->state]);
	if (call->request.agent_call_id) {
		text_add(t, ",\"agent_call_id\":");
		text_add_json(t, call->request.agent_call_id, strlen(call->request.agent_call_id));
	}
	if (call->request.step) {
		text_add(t, ",\"step\":");
		text_add_json(t, call->request.step, strlen(call->request.step));
	}
	text_add(t, ",\"argv\":[");
	for (const char *const *a = call->argv; *a; a++) {
		text_add(t, a == call->argv ? "" : ",");
		text_add_json(t, *a, strlen(*a));
	}
	text_add(t, "],\"workspace\":");
	text_add_json(t, call->session->workspace, strlen(call->session->workspace));
	text_printf(t, ",\"running_ns\":%llu,\"paused_ns\":%llu,\"host_pid\":%u}",
		    (unsigned long long)(now - since),
		    (unsigned long long)(call->paused_ns +
					 (call->paused_since_ns ? now - call->paused_since_ns : 0)),
		    call->init_pid);
}

void methods_fail(struct asked *q, int error, const char *why)
{
	int code = error == -EINVAL || error == -ERANGE   ? RPC_INVALID_PARAMS
		   : error == -EPERM || error == -EACCES  ? RPC_NOT_PERMITTED
		   : error == -EUSERS || error == -EBUSY  ? RPC_BUSY
		   : error == -ENOENT                     ? RPC_NOT_FOUND
		   : error == -EPROTO                     ? RPC_WRONG_STATE
		   : error == -EEXIST || error == -ESTALE ? RPC_CONFLICT
							  : RPC_INTERNAL;

	server_error(q, code, "%s", why && why[0] ? why : strerror(-error));
}
