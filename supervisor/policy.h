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

struct policy {
	struct sb_limits limits;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t output_bytes;
	bool as_root; /* inside, the user is root (0) */
	enum policy_commit commit;
	uint64_t approval_ns; /* a held call waits this long; then the answer is no */
	struct policy_ask ask[POLICY_ASK_MAX];
	size_t ask_count;
	const char *env[POLICY_ENV_MAX]; /* "NAME" to pass or "NAME=VALUE" to set */
	bool env_is_own[POLICY_ENV_MAX]; /* copied: policy_done() frees it */
	size_t env_count;
};

/* The defaults of DESIGN.md 11. */
void policy_init(struct policy *p);

/* Sets one limit from "name=value". On failure *why says what is wrong and what
 * is accepted; 0 or -EINVAL. */
int policy_set_limit(struct policy *p, const char *assignment, struct text *why);

/* Adds "NAME" or "NAME=VALUE". 0 or -EINVAL with *why. */
int policy_add_env(struct policy *p, const char *item, struct text *why);

/*
 * Sets what a policy file or the "policy" of a session says. Strict: an unknown key
 * is an error that names the nearest known one. Texts are copied. 0 or -EINVAL.
 */
struct cJSON;
int policy_read_json(struct policy *p, const struct cJSON *json, struct text *why);

/* Sets limits alone, from an object of them. With `only_lower` a value above the
 * present one is refused: that is an operator's to give. 0, -EINVAL, -EPERM. */
int policy_read_limits(struct policy *p, const struct cJSON *limits, bool only_lower,
		       struct text *why);

/* The whole policy as one JSON object that policy_read_json() reads again. */
void policy_add_json(const struct policy *p, struct text *out);

/* The rule that holds this call, or NULL. */
const struct policy_ask *policy_find_ask(const struct policy *p, const char *tool,
					 const char *const *argv);

/* Frees what policy_read_json() copied. */
void policy_done(struct policy *p);

extern const char *const policy_commit_names[];

/* Whether a commit of `path` needs an explicit word: what a later tool on the
 * host would run or obey. `path` is relative to the workspace. */
bool policy_is_protected(const char *path);

/* What every root shows, read-only; ends with NULL. */
extern const char *const policy_read[];

/* The environment of a call as "NAME=VALUE" strings with a NUL behind each, and
 * their number. `own` (of the call; may be NULL) comes first; the first of a name wins. 0 or -errno. */
int policy_build_env(const struct policy *p, const char *const *own, char *const *environment,
		     struct text *ret, uint32_t *ret_count);

#endif
