// SPDX-License-Identifier: Apache-2.0
/* supervisor/profile.h - which system calls a call may make. */
#ifndef SUPERVISOR_PROFILE_H
#define SUPERVISOR_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "supervisor/text.h"

/* One refusal, as it is compiled and as it is explained. */
struct profile_rule {
	const char *syscall;
	int error; /* errno the filter answers with */
	const char *why; /* one sentence, for the agent and the operator */
	/* the rule holds for some values of one argument only: */
	int arg; /* -1: for every call */
	uint64_t mask; /* 0: compare the whole argument */
	uint64_t value; /* (arg & mask) == value, or with `above`: arg > value */
	int match; /* enum profile_match */
	const char *what; /* the value in words: "AF_ALG" */
	const char *key; /* the policy's: "syscalls.default" */
	int nr; /* of this machine; -1: every other */
};

enum profile_match {
	PROFILE_EQUAL, /* arg == value, or (arg & mask) == value */
	PROFILE_ANY_BIT, /* arg & mask != 0 */
	PROFILE_NOT_LISTED, /* not one of the allowed ones: see the syscall */
};

/* Which system calls one session's policy allows. */
struct profile;
struct policy;
struct cJSON;

/* Of the lists and the profile of a policy. Gives it; profile_free() takes it. 0, -EINVAL
 * with *why, -ENOMEM. */
int profile_make(const struct policy *policy, struct profile **ret, struct text *why);
void profile_free(struct profile *p);

/* That of the built-in policy and its filter, made once; lives as long as the program.
 * 0 or -errno. Not for several threads. */
int profile_default(const struct profile **ret, int *ret_fd);

/* Whether a policy says nothing of its own about system calls. */
bool profile_is_default(const struct policy *policy);

/* Whether this is a seccomp profile of the container engines that can be carried out. 0
 * or -EINVAL with *why. */
int profile_check_json(const struct cJSON *json, struct text *why);

/* Compiles it into a sealed memfd of struct sock_filter: what is denied first, foreign
 * architectures and x32 killed, then a binary tree. Gives the fd. 0 or -errno. */
int profile_compile(const struct profile *p, int *ret_fd);

/* The rule that made `nr` fail with `error` on these arguments, or NULL when it
 * was not the profile. A call that is on no list has a rule, too. */
const struct profile_rule *profile_explain(const struct profile *p, int nr, int error,
					   const uint64_t args[6]);

/* What happens to `nr` at all: NULL: allowed; *ret_sometimes: only for some arguments. */
const struct profile_rule *profile_verdict(const struct profile *p, int nr, bool *ret_sometimes);

/* The errnos with which the profile may answer `nr`; 0 where there is none. */
void profile_errors(const struct profile *p, int nr, uint16_t *ret_error, uint16_t *ret_error2);

/* The name of a system call of this architecture; "syscall_N" when unknown. The
 * text is the caller's to keep: a table that lives as long as the program. */
const char *profile_syscall_name(int nr);

/* "ENOENT", also the kernel's own that strace shows ("ERESTARTSYS"); NULL: none. */
const char *profile_error_name(int64_t error);

/* Its number, or -1. */
int profile_syscall_number(const char *name);

/* Whether a ring can be made: what it is asked for passes no filter. */
bool profile_allows_uring(const struct profile *p);

#endif
