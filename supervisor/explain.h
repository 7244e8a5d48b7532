// SPDX-License-Identifier: Apache-2.0
/* supervisor/explain.h - whose "no" was it, and what would allow it. */
#ifndef SUPERVISOR_EXPLAIN_H
#define SUPERVISOR_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/policy.h"
#include "supervisor/profile.h"
#include "supervisor/text.h"

/* What of a session decides what its calls may reach. Borrowed by explain_*. */
struct explain_view {
	const char *workspace; /* as it is shown inside */
	const struct policy *policy;
	const struct profile *profile;
};

struct denial {
	const char *layer; /* "seccomp", "files", "network", "capabilities", "limits" */
	const char *rule; /* the policy's key */
	const char *why; /* one sentence */
	struct text subject; /* path, address or argument: raw bytes; may be empty */
	struct text suggest; /* the smallest change of policy */
};

void denial_done(struct denial *d);

/* A system call that the filter answered. False: it was not the filter. */
bool explain_syscall(const struct explain_view *v, int nr, int error, const uint64_t args[6],
		     struct denial *ret);

/* A call by its name that failed for want of a capability, which only root inside would
 * expect: for anybody else the same error is an ordinary one. */
bool explain_capability(const struct explain_view *v, const char *name, int error,
			struct denial *ret);

/* The calls it is about; ends with NULL. */
extern const char *const explain_capability_calls[];

/*
 * A call that failed because a limit of the session was met. `host_pid` is looked at: a
 * limit that the tool lowered for itself is not ours. `path` is that of the fd, or NULL.
 */
bool explain_limit(const struct explain_view *v, uint32_t host_pid, const char *name, int error,
		   const char *path, struct denial *ret);

/* The calls and errnos it is about; `name` NULL ends. */
struct explain_limit_call {
	const char *name;
	int error;
};
extern const struct explain_limit_call explain_limit_calls[];

/* A path that could not be opened or changed. False: not our doing. `error` is
 * positive. Looks at the machine's own file system, without any privilege, to
 * tell a file that is hidden from one that does not exist. */
bool explain_path(const struct explain_view *v, const char *path, int error, struct denial *ret);

/* An address that could not be reached. */
bool explain_address(const char *addr, uint16_t port, bool is_loopback, int error,
		     struct denial *ret);

#endif
