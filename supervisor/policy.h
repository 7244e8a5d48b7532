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

struct policy {
	struct sb_limits limits;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t output_bytes;
	bool as_root; /* inside, the user is root (0) */
	const char *env[POLICY_ENV_MAX]; /* "NAME" to pass or "NAME=VALUE" to set */
	size_t env_count;
};

/* The defaults of DESIGN.md 11. */
void policy_init(struct policy *p);

/* Sets one limit from "name=value". On failure *why says what is wrong and what
 * is accepted; 0 or -EINVAL. */
int policy_set_limit(struct policy *p, const char *assignment, struct text *why);

/* Adds "NAME" or "NAME=VALUE". 0 or -EINVAL with *why. */
int policy_add_env(struct policy *p, const char *item, struct text *why);

/* Whether a commit of `path` needs an explicit word: what a later tool on the
 * host would run or obey. `path` is relative to the workspace. */
bool policy_is_protected(const char *path);

/* What every root shows, read-only; ends with NULL. */
extern const char *const policy_read[];

/* The environment of a call as "NAME=VALUE" strings with a NUL behind each, and
 * their number. The first of a name wins. 0 or -errno. */
int policy_build_env(const struct policy *p, char *const *environment, struct text *ret,
		     uint32_t *ret_count);

#endif
