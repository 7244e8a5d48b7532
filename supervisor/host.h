// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/host.h - all the sessions of one supervisor.
 *
 * The daemon has many, `glovebox run` has one. Everything here runs in the loop;
 * what reads files is handed to job.c.
 */
#ifndef SUPERVISOR_HOST_H
#define SUPERVISOR_HOST_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "supervisor/call.h"
#include "supervisor/commit.h"
#include "supervisor/differ.h"
#include "supervisor/job.h"
#include "supervisor/manifest.h"
#include "supervisor/session.h"

/* Sessions in memory. Each has a range of ids of its own, of which there are 4,095. */
#define HOST_SESSIONS 4000

struct server;

struct host {
	const char *instance; /* its name, for people; borrowed */
	sd_event *loop;
	int warden;
	struct monitor *monitor; /* NULL: nothing is watched */
	char unwatched_why[256];
	char ungrouped_why[256]; /* "": there are control groups */
	const char *require; /* the least tier, NULL: any; borrowed */
	struct notify *notify; /* for the sessions of a user without root; NULL: none */
	bool is_attached;
	unsigned int wants; /* set of enum monitor_want: what its sessions may ask for */
	uint32_t keepers; /* that run */
	int wake; /* eventfd: logs have grown */
	struct session **sessions;
	size_t count, room;
	struct policy_set policies; /* what the machine's owner gave; `default` may be among them */
	struct jobs *jobs;
	struct differ differ;
	struct toolbox tools;
	struct server *server; /* NULL while there is none */
	bool is_one_session; /* `glovebox run`: it ends with its call */
};

/* What a session is made of. Borrowed. */
struct host_plan {
	const char *workspace, *at; /* `at` NULL: its own path */
	const char *policy; /* name, or NULL: "default" */
	const struct cJSON *inline_policy; /* an operator's own; or NULL */
	const struct cJSON *limits, *labels; /* or NULL */
	bool as_root, is_operator;
	uid_t owner;
};

/* The rest of a reply that is owed; host.c only keeps it until there is an answer. */
typedef void (*host_opened_fn)(struct session *s, int error, const char *why, void *context);

int host_init(struct host *h, sd_event *loop, int warden);

/* Whether control groups can be made; else why not is kept. Before the warden is forked. */
bool host_find_groups(struct host *h);

/* Whether an open session is protected as `require` wants it; else `why`. */
bool host_is_enough(const struct host *h, const struct session *s, struct text *why);

/* Loads the BPF programs where they can be used; else why not is kept. With privilege. */
void host_load_monitor(struct host *h);

/* Attaches what this session needs beyond what all have; when that fails its log says so. */
void host_attach_more(struct host *h, struct session *s);

/* Starts the thread that watches. After the privileges are gone. 0 or -errno. */
int host_start_monitor(struct host *h);

void host_done(struct host *h);

/* Adds one that was made elsewhere. 0 or -errno. */
int host_add(struct host *h, struct session *s);

/* Makes a session; `fn` is told when it is open, or why it is not. 0, or -errno with
 * `why` (then `fn` is not called). */
int host_create(struct host *h, const struct host_plan *plan, host_opened_fn fn, void *context,
		struct text *why);

/* Takes sessions up again that an earlier supervisor has left on disk. Calls that ran
 * then are recorded as lost. */
void host_restore(struct host *h, const char *id, int dir);

/* The session whose id begins so, among those of `owner`, or with NULL of all. NULL:
 * none, or more than one (*ret_many). */
struct session *host_find(struct host *h, const char *prefix, const uid_t *owner, bool *ret_many);

/* A call: taken, held or started, as the policy has it. 0 or -errno with `why`. */
int host_start_call(struct host *h, struct session *s, struct call_request *request,
		    struct call **ret, struct text *why);

/* A person's yes, and a person's no. 0, -EPROTO, or -ESTALE: the digest is another. */
int host_approve(struct host *h, struct call *c, const char *digest, bool for_session,
		 const char *by);
int host_deny(struct host *h, struct call *c, const char *by, const char *reason);

/* Starts what waits for its session: it is open, not paused, not busy. */
void host_launch_waiting(struct session *s);

/* Takes it down; its files stay. 0, -EBUSY (it is just being opened) or -errno. */
int host_close(struct host *h, struct session *s, const char *by);

/* After host_close(): its files go, when nothing works on them any more; `fn` is told. */
void host_remove(struct host *h, struct session *s, void (*fn)(int error, void *context),
		 void *context);

/* Work on the files of a session, away from the loop. `work` blocks; no call of the
 * session starts meanwhile when `is_exclusive`. `done` frees `f`. */
struct host_files {
	struct job job;
	struct host *host;
	struct session *session;
	char id[SB_ID_MAX];
	int dir; /* borrowed of the session */
	int warden;
	const struct policy *policy; /* the session's */
	struct stack stack; /* a copy */
	bool is_exclusive;
	int error;
	void *context;
	void (*then)(struct host_files *f); /* in the loop, before it is freed */
};

/* 0 or -errno. */
int host_files_start(struct host *h, struct session *s, struct host_files *f, bool is_exclusive,
		     void (*work)(struct job *j), void (*then)(struct host_files *f));

/* Layers nobody needs any more are removed from disk, by and by. */
void host_drop_layers(struct host *h, struct session *s, const uint32_t *numbers, uint32_t count);

#endif
