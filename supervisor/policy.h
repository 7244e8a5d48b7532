// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy.h - what a session may do, and its limits. */
#ifndef SUPERVISOR_POLICY_H
#define SUPERVISOR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/wire.h"
#include "supervisor/text.h"

/* Names an operator may pass or set, beyond the built-in list. */
#define POLICY_ENV_MAX 256

/* Rules that hold a call for a person. */
#define POLICY_ASK_MAX 64

/* Entries of one list: each is a mount, a rule or a pattern that somebody must read. */
#define POLICY_LIST_MAX 256
/* Characters of a pattern. */
#define POLICY_GLOB_MAX 255
/* "a extends b extends c": deeper is a mistake. */
#define POLICY_EXTENDS_MAX 8
/* Policies that one supervisor knows by name. */
#define POLICY_SET_MAX 64

/* One entry, and where it was written. All owned. */
struct policy_item {
	char *text;
	char *from; /* "ci.jsonc:12" */
};

struct policy_list {
	struct policy_item *at;
	size_t count;
};

void policy_list_done(struct policy_list *l);

enum policy_list_name {
	POLICY_READ, /* absolute: shown read-only */
	POLICY_HIDE, /* absolute, or of the workspace: not shown */
	POLICY_WRITE, /* globs of the workspace that may be committed; none: all */
	POLICY_PROTECT, /* globs of the workspace whose commit needs a word */
	POLICY_OVERLAY, /* absolute: shown with a private layer above, never committed */
	POLICY_EXEC_DENY, /* absolute: shown, and cannot be run */
	POLICY_SYSCALL_ALLOW,
	POLICY_SYSCALL_DENY,
	POLICY_LISTS,
};

/* A call is held when all that is given matches. Owned. */
struct policy_ask {
	char *tool; /* its name, or NULL */
	char *program; /* argv[0], as given or its last part, or NULL */
	char *argv; /* a glob over the words with blanks between, or NULL */
};

enum policy_commit {
	POLICY_COMMIT_OPERATOR, /* a person says so */
	POLICY_COMMIT_AGENT, /* the agent may, too */
	POLICY_COMMIT_AUTO, /* each call that exits by itself is committed */
};

/* Words of watch.trace: all names there are would be five times that; %file is one word. */
#define POLICY_TRACE_MAX 1024

/* Two million events, or four: what a flood of ten minutes would write is a hundred times
 * more. */
#define POLICY_LOG_BYTES (1ull << 30)

struct policy {
	struct sb_limits limits;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t output_bytes;
	uint64_t log_bytes; /* of a call's own events in the session's log; 0: POLICY_LOG_BYTES */
	uint64_t output_rate; /* bytes in a second, 0: none */
	uint64_t disk_bytes; /* of all layers of the session; looked at, see disk.h */
	uint32_t disk_files; /* names in them */
	bool as_root; /* inside, the user is root (0) */
	bool has_write; /* files.write is there: what it does not list is never committed */
	enum policy_commit commit;
	bool is_lossless; /* events: the tool is braked, rather than one lost */
	bool hashes; /* the report has the hash of each program that ran */
	bool compares; /* strings are read before each call, too */
	bool pauses_blind; /* when watching fails its calls are paused; else killed */
	char trace[POLICY_TRACE_MAX]; /* calls told whole: trace.h; "": none */
	uint64_t approval_ns; /* a held call waits this long; then the answer is no */
	struct policy_ask ask[POLICY_ASK_MAX];
	size_t ask_count;
	const char *env[POLICY_ENV_MAX]; /* "NAME" to pass or "NAME=VALUE" to set */
	bool env_is_own[POLICY_ENV_MAX]; /* copied: policy_done() frees it */
	size_t env_count;
	struct policy_list lists[POLICY_LISTS];
	char *tree; /* files.root: the directory that is shown as /, NULL: the machine's; owned */
	struct cJSON *profile; /* of syscalls, as container engines write it; NULL: ours; owned */
	char *profile_from; /* where that was written; owned */
};

/* Policies by name: what the owner of the machine gave the supervisor. */
struct policy_doc;
struct policy_set {
	struct policy_doc *docs[POLICY_SET_MAX]; /* owned */
	char *names[POLICY_SET_MAX]; /* owned */
	size_t count;
};

/* The built-in policy `default`. */
void policy_init(struct policy *p);

/* Sets one limit from "name=value". On failure *why says what is wrong and what
 * is accepted; 0 or -EINVAL. */
int policy_set_limit(struct policy *p, const char *assignment, struct text *why);

/* Adds "NAME" or "NAME=VALUE". 0 or -EINVAL with *why. */
int policy_add_env(struct policy *p, const char *item, struct text *why);

/*
 * policy_read() - what `doc` says, upon what it extends ("default" when it does not say)
 *
 * Strict: an unknown key is an error that names the nearest known one, the file and the
 * line. `set` may be NULL. A relative file that it names is looked for beside it.
 * `p` is filled whole; also on failure it is to be given to policy_done(). 0 or -EINVAL.
 */
int policy_read(struct policy *p, const struct policy_doc *doc, const struct policy_set *set,
		struct text *why);

/* What `doc` itself says, upon `p`. Only for policy_named.c. */
int policy_read_members(struct policy *p, const struct policy_doc *doc, bool only_tighten,
			struct text *why);

/* The same of parsed JSON without a file: of a request, of a session's book. */
struct cJSON;
int policy_read_json(struct policy *p, const struct cJSON *json, const char *name,
		     const struct policy_set *set, struct text *why);

/* The policy called `name`, built in or of the set. -ENOENT: there is none. */
int policy_read_named(struct policy *p, const char *name, const struct policy_set *set,
		      struct text *why);

/* What a person names: a file when there is a "/" or a ".json" in it, else a policy that
 * is built in; NULL: "default". 0 or -EINVAL. */
int policy_choose(struct policy *p, const char *word, struct text *why);

/* A policy of the workspace's own: it may take away, and never give. 0 or -EINVAL. */
int policy_tighten(struct policy *p, const struct policy_doc *doc, struct text *why);

/* The same with the workspace's file POLICY_OF_WORKSPACE. *ret_state: "none", "in force",
 * or "unreadable" (the supervisor may not look into the workspace). */
#define POLICY_OF_WORKSPACE ".glovebox.jsonc"
int policy_tighten_by(struct policy *p, const char *workspace, const char **ret_state,
		      struct text *why);

/* Reads FILE and adds it as `name`. 0 or -EINVAL. */
int policy_set_add(struct policy_set *set, const char *name, const char *path, struct text *why);

/* Whether the owner gave one of this name. */
bool policy_set_has(const struct policy_set *set, const char *name);

/* Reads each of them, now that all are known. 0 or -EINVAL. */
int policy_set_check(const struct policy_set *set, struct text *why);
void policy_set_done(struct policy_set *set);

/* The text of a built-in policy, or NULL. */
const char *policy_builtin(const char *name, size_t *ret_size);
extern const char *const policy_builtin_names[]; /* ends with NULL */

/* Sets limits alone, from an object of them. With `only_lower` a value above the
 * present one is refused: that is an operator's to give. 0, -EINVAL, -EPERM. */
int policy_read_limits(struct policy *p, const struct cJSON *limits, bool only_lower,
		       struct text *why);

/* The whole policy as one JSON object that policy_read_json() reads again. */
void policy_add_json(const struct policy *p, struct text *out);

/* The rule that holds this call, or NULL. */
const struct policy_ask *policy_find_ask(const struct policy *p, const char *tool,
					 const char *const *argv);

/* The entry of a list that covers `path`: itself or a directory above it. */
const struct policy_item *policy_find_path(const struct policy *p, enum policy_list_name list,
					   const char *path);

/* The entry whose glob covers `path`, which is relative to the workspace. */
const struct policy_item *policy_find_glob(const struct policy *p, enum policy_list_name list,
					   const char *path);

/* The entry that hides `path` of the workspace: its own name, or a directory above. */
const struct policy_item *policy_find_hidden(const struct policy *p, const char *path);

/* Whether a glob covers a path or a directory above it. "*" and "?" do not match "/",
 * "**" does; a pattern that begins with "/" is of the workspace's top, any other of
 * each directory. The case of letters does not matter. */
bool policy_glob(const char *pattern, const char *path);

/* Of the workspace; `p` NULL: the default policy. Whether a commit of `path` needs a
 * word, whether it may be committed at all, whether what is there is not shown. */
bool policy_is_protected(const struct policy *p, const char *path);
bool policy_may_commit(const struct policy *p, const char *path);
bool policy_hides(const struct policy *p, const char *path);
bool policy_has_masks(const struct policy *p);

/* What a limit of a list is called, like "files.read". */
extern const char *const policy_list_names[POLICY_LISTS];

/* Frees what it holds. */
void policy_done(struct policy *p);

extern const char *const policy_commit_names[];

/* The environment of a call as "NAME=VALUE" strings with a NUL behind each, and
 * their number. `own` (of the call; may be NULL) comes first; the first of a name wins. 0 or -errno. */
int policy_build_env(const struct policy *p, const char *const *own, char *const *environment,
		     struct text *ret, uint32_t *ret_count);

#endif
