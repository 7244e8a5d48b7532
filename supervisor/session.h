// SPDX-License-Identifier: Apache-2.0
/* supervisor/session.h - an agent's working context, as the supervisor sees it. */
#ifndef SUPERVISOR_SESSION_H
#define SUPERVISOR_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "sandbox/wire.h"
#include "supervisor/changes.h"
#include "supervisor/monitor.h"
#include "supervisor/policy.h"
#include "supervisor/stream.h"

/* Calls kept in memory for `ps` and the report. */
#define SESSION_CALLS 256

struct call;
typedef void (*session_call_fn)(struct call *c, void *context);

struct session {
	char id[SB_ID_MAX];
	sd_event *loop; /* borrowed */
	int warden; /* borrowed */
	int keeper;
	int dir; /* on disk */
	int cgroup; /* directory, for BPF links */
	const char *workspace; /* on the machine; borrowed */
	const char *at; /* as it is shown; borrowed */
	const struct policy *policy; /* borrowed */
	struct stream *stream; /* borrowed */
	struct monitor *monitor; /* borrowed, NULL: nothing is watched */
	char unwatched_why[256]; /* when monitor is NULL */
	uint32_t in_force; /* enum sb_in_force */
	uint32_t landlock_abi;
	uint32_t range;
	struct explain_view view;
	struct call *calls[SESSION_CALLS];
	uint32_t call_count;
	session_call_fn on_call_done;
	void *context;
};

/* A fresh id: "s-" and ten characters. */
int session_make_id(char ret[SB_ID_MAX]);

/* Asks for the session; the answer comes later, so that there is time to load
 * programs meanwhile. `filter` is borrowed. 0 or -errno. */
int session_ask_open(struct session *s, int filter);

/* Waits for the answer. On failure *ret_stage is where. 0 or -errno. */
int session_finish_open(struct session *s, uint32_t *ret_stage);

/* One question to the keeper. 0, -errno of the keeper's answer or of the way. */
int session_ask(struct session *s, struct sb_request *q, const int *fds, unsigned int count,
		struct sb_reply *ret, int *ret_fds, unsigned int *ret_count);

/* The change list of the top layer. 0 or -errno. */
int session_scan(struct session *s, struct changes *ret);

/* Kills what runs and takes it down; its files stay. */
int session_close(struct session *s);

/* "full", "partial" or "none", and the layers it is made of, as JSON members. */
const char *session_tier(const struct session *s, bool is_watched);
void session_add_protection(const struct session *s, bool is_watched, struct text *out);

void session_done(struct session *s);

#endif
