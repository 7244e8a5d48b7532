// SPDX-License-Identifier: Apache-2.0
/* supervisor/methods.h - the methods of the protocol, a function each. */
#ifndef SUPERVISOR_METHODS_H
#define SUPERVISOR_METHODS_H

#include "supervisor/params.h"
#include "supervisor/server.h"

/* Looks the method up and serves it. The role was checked. */
void methods_serve(struct asked *q);

/* Reads the parameters; false: the error was sent. */
bool methods_params(struct asked *q, const struct param *table, void *into);

/* A living call as JSON. */
void methods_add_call(struct text *t, const struct call *c);

/* Maps -errno of a verb to an error, and sends it. */
void methods_fail(struct asked *q, int error, const char *why);

/* methods_session.c */
void method_info(struct asked *q);
void method_session_create(struct asked *q);
void method_session_list(struct asked *q);
void method_session_show(struct asked *q);
void method_session_close(struct asked *q);
void method_subscribe(struct asked *q);
void method_unsubscribe(struct asked *q);
void method_recent(struct asked *q);

/* methods_call.c */
void method_call_start(struct asked *q);
void method_call_list(struct asked *q);
void method_call_wait(struct asked *q);
void method_call_report(struct asked *q);
void method_call_output(struct asked *q);
void method_call_input(struct asked *q);
void method_call_resize(struct asked *q);
void method_call_trace(struct asked *q);
void method_call_signal(struct asked *q);
void method_call_cancel(struct asked *q);

/* methods_tool.c */
void method_tools(struct asked *q);
void method_notes(struct asked *q);

/* A tool that runs no program; answers. `input` matches its schema. */
struct tool;
void method_tool(struct asked *q, const struct tool *t, const cJSON *input);

/* methods_control.c */
void method_pause(struct asked *q);
void method_resume(struct asked *q);
void method_kill(struct asked *q);
void method_kill_all(struct asked *q);
void method_approvals(struct asked *q);
void method_approve(struct asked *q);
void method_deny(struct asked *q);
void method_steer(struct asked *q);

/* methods_files.c */
void method_changes_list(struct asked *q);
void method_changes_diff(struct asked *q);
void method_commit(struct asked *q);
void method_discard(struct asked *q);
void method_rollback(struct asked *q);
void method_undo(struct asked *q);

#endif
