// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/session.h - an agent's working context, as the supervisor sees it.
 *
 *	kept -> opening -> open -> closed
 *	          |                  |
 *	          +-----> kept <-----+ (its files stay until they are removed)
 *
 * A kept session has no process; its layers and events are on disk. A call that is
 * asked for opens it again. A closed one takes no calls.
 */
#ifndef SUPERVISOR_SESSION_H
#define SUPERVISOR_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "sandbox/wire.h"
#include "supervisor/changes.h"
#include "supervisor/explain.h"
#include "supervisor/spare.h"
#include "supervisor/monitor.h"
#include "supervisor/policy.h"
#include "supervisor/stack.h"
#include "supervisor/stream.h"

/* Calls that have ended and are listed; of older ones the report stays. */
#define SESSION_PAST 32
/* Calls of one session at once, running, held or waiting: the keeper's number. */
#define SESSION_CALLS 256
/* Sentences of an operator that wait for the agent's next result. */
#define SESSION_STEERS 16
/* "Yes, for the session": different commands. */
#define SESSION_ALLOWED 256

enum session_state { SESSION_KEPT, SESSION_OPENING, SESSION_OPEN, SESSION_CLOSED };
extern const char *const session_state_names[];

struct call;
struct disk;
struct host;
typedef void (*session_call_fn)(struct call *c, void *context);

/* What is remembered of a call that has ended. */
struct session_past {
	uint32_t number;
	int outcome; /* enum call_outcome */
	int status; /* wait status */
	uint64_t started_real_ns, duration_ns;
	char what[96]; /* the beginning of its words */
};

struct session_steer {
	char *text, *by;
	uint64_t when_ns; /* CLOCK_REALTIME */
};

struct session {
	char id[SB_ID_MAX];
	struct host *host; /* borrowed; NULL in a command of its own */
	enum session_state state;
	sd_event *loop; /* borrowed */
	int warden; /* borrowed */
	int keeper;
	int dir; /* on disk */
	int cgroup; /* the directory all sessions' groups are in, for BPF links */
	char *workspace; /* on the machine; owned */
	char *at; /* as it is shown; owned */
	char *labels; /* JSON object, or NULL; owned */
	uid_t owner; /* whose agents may use it */
	uint64_t created_ns; /* CLOCK_REALTIME */
	struct policy *policy; /* borrowed by a command, else owned */
	const char *workspace_policy; /* of its own file: see policy_tighten_by(); a constant */
	bool owns_policy;
	struct stream *stream; /* likewise */
	bool owns_stream;
	struct monitor *monitor; /* borrowed, NULL: nothing is watched */
	const char *unwatched_why; /* when monitor is NULL; borrowed */
	uint32_t in_force; /* enum sb_in_force */
	struct masks *masks; /* while it opens: what patterns take away; owned */
	bool has_groups; /* its calls have control groups */
	bool asks; /* its filter asks the supervisor: asking.h */
	struct notify *notify; /* who answers; NULL: not yet, or it does not ask */
	struct asking *asking; /* the filter that asks; NULL: it does not. Owned */
	uint32_t landlock_abi;
	uint32_t range;
	struct explain_view view;
	struct influence influence; /* who wrote what, for the monitor's thread */
	struct disk *disk; /* while calls run, or NULL; owned */
	struct profile *profile; /* of a policy with system calls of its own, or NULL; owned */

	/* layers */
	struct stack stack;
	uint32_t spare_layer; /* made and untouched: the next call takes it; 0: none */
	uint32_t layer_users; /* calls that run in the top layer */
	struct leaf_spare leaf; /* the next call's */
	uint32_t next_leaf;
	unsigned int busy; /* work that no call may start during */
	unsigned int users; /* jobs that work on its files */
	bool is_hidden; /* it has never been open: nobody can name it */
	bool is_going; /* it is removed when the last job has ended */
	bool is_gone; /* its files are */
	bool is_given_up; /* a reader of events that is stuck may still use it: it is never freed */
	void (*on_gone)(int error, void *context); /* told then; or NULL */
	void *gone_context;

	/* calls */
	uint32_t next_call;
	uint32_t committed_call; /* the last whose layer went to the workspace */
	struct call *calls[SESSION_CALLS]; /* living, or their account not yet written */
	uint32_t call_count;
	struct session_past past[SESSION_PAST];
	uint64_t past_count; /* all that ended; the last SESSION_PAST are there */
	bool is_paused; /* new calls wait, too */
	char (*allowed)[65]; /* digests approved for the session; owned */
	uint32_t allowed_count;
	struct session_steer steers[SESSION_STEERS];
	uint32_t steer_count;

	session_call_fn on_call_done;
	void (*on_news)(struct session *s); /* its log has something that is waited for; or NULL */
	void *context;
	void *opening; /* of the host: who waits for it */
	sd_event_source *on_keeper;
};

/* A fresh id: "s-" and ten characters. */
int session_make_id(char ret[SB_ID_MAX]);

/* The one setter. -EPROTO: the move is not legal. */
int session_set_state(struct session *s, enum session_state to);

/* Layers were taken away: who wrote what holds no more. */
void session_forget_files(struct session *s);

/* Everything to "none". */
void session_init(struct session *s);

/* Asks for its keeper; the answer comes later, so that there is time for other
 * things meanwhile. `requester` is the uid that must own the workspace, 0: anybody. 0 or
 * -errno; -EINVAL with *why: the policy cannot be carried out. */
int session_ask_open(struct session *s, uid_t requester, bool is_known, struct text *why);

/* Takes the answer. On failure *ret_stage is where. 0 or -errno. */
int session_finish_open(struct session *s, uint32_t *ret_stage);

/* Opens its log, to be written at the end and read anywhere. 0 or -errno. */
int session_open_log(struct session *s);

/* One question to the keeper. 0, -errno of the keeper's answer or of the way. */
int session_ask(struct session *s, struct sb_request *q, const int *fds, unsigned int count,
		struct sb_reply *ret, int *ret_fds, unsigned int *ret_count);

/* The layer that `c` writes: its own when nothing else runs, else shared. Fills the
 * request. 0 or -errno. */
int session_take_layer(struct session *s, struct call *c, struct sb_request *q);
void session_release_layer(struct session *s, bool is_untouched);

/* After a start that failed: whether its layer was ever made is not known, so it goes.
 * Gives its number, to be dropped, or 0: others use it. */
uint32_t session_abandon_layer(struct session *s);

/* Layers from the one of `call` on (0: all), for changes_*. `numbers` holds them. */
struct changes_of session_changes(const struct session *s, uint32_t numbers[SB_LAYERS_MAX]);

/* Kills what runs and takes it down; its files stay. */
int session_close(struct session *s);

/* "full", "partial" or "none", and the layers it is made of, as JSON members. */
const char *session_tier(const struct session *s, bool is_watched);

/* Whether a tier is no less than the one asked for (NULL: any will do). */
bool session_tier_is_enough(const char *tier, const char *required);

/* Whether it is one of the words for --require: full, partial, user. */
bool session_is_tier(const char *tier);
void session_add_protection(const struct session *s, bool is_watched, struct text *out);

/* An event of the session itself: add members, then stream_end(s->stream). */
struct text *session_begin(struct session *s, const char *kind);

/* A sentence for a person about why it could not be opened. */
void session_explain_open(uint32_t stage, int error, struct text *why);

struct call *session_find_call(const struct session *s, uint32_t number);
int session_add_call(struct session *s, struct call *c);
void session_drop_call(struct session *s, struct call *c);

/* What a stuck reader may still use stays: then the session itself must stay, too. */
void session_done(struct session *s);

/* book.c: session.json, written whole and put in place. */
int session_save(const struct session *s);

/* Reads it; the directory is open. *ret_running are calls that ran then. 0 or
 * -errno. */
int session_restore(struct session *s, uint32_t *ret_running, uint32_t room, uint32_t *ret_count);

/* Writes a file of the session's directory, whole. 0 or -errno. */
int session_write_file(int dir, const char *name, const struct text *t);

#endif
