// SPDX-License-Identifier: Apache-2.0
/* supervisor/profile.h - which system calls a call may make. */
#ifndef SUPERVISOR_PROFILE_H
#define SUPERVISOR_PROFILE_H

#include <stddef.h>
#include <stdint.h>

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
};

enum profile_match {
	PROFILE_EQUAL, /* arg == value, or (arg & mask) == value */
	PROFILE_ANY_BIT, /* arg & mask != 0 */
	PROFILE_NOT_LISTED, /* not one of the allowed ones: see the syscall */
};

/* Compiles the default profile into a sealed memfd of struct sock_filter: allow
 * by list, kill foreign architectures and x32, binary-tree order. Gives the fd.
 * 0 or -errno. */
int profile_compile(int *ret_fd);

/* The rule that made `nr` fail with `error` on these arguments, or NULL when it
 * was not the profile. A call that is on no list has a rule, too. */
const struct profile_rule *profile_explain(int nr, int error, const uint64_t args[6]);

/* The errnos with which the profile may answer `nr`; 0 where there is none. */
void profile_errors(int nr, uint16_t *ret_error, uint16_t *ret_error2);

/* The name of a system call of this architecture; "syscall_N" when unknown. The
 * text is the caller's to keep: a table that lives as long as the program. */
const char *profile_syscall_name(int nr);

/* Its number, or -1. */
int profile_syscall_number(const char *name);

#endif
