// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/differ.h - the process that reads file contents to compare them.
 *
 * glovebox-diff, started before the privileges go: the library that takes files
 * apart is in no other process, and each request is served by a child of its own,
 * with limits.
 */
#ifndef SUPERVISOR_DIFFER_H
#define SUPERVISOR_DIFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/text.h"

#define DIFFER_HUNKS_MAX 256
#define DIFFER_PATH_MAX 4096

enum differ_verb { DIFFER_DIFF = 1, DIFFER_HUNKS };

/* Fds that come along: old, new (where has_*), and the answer's memfd. */
struct differ_request {
	uint32_t verb; /* enum differ_verb */
	uint32_t has_old, has_new;
	uint32_t is_safe; /* for a terminal: controls are escaped */
	uint32_t hunk_count;
	uint32_t hunks[DIFFER_HUNKS_MAX]; /* from 1 */
	char path[DIFFER_PATH_MAX];
};

struct differ_reply {
	int32_t error; /* 0; -ERANGE no such hunk; -ENOTSUP no text; -E2BIG; or -errno */
	uint32_t hunks; /* how many there are */
};

struct differ {
	int sock; /* -1: there is none */
	pid_t pid;
};

/* Starts it; with privileges, which it gives up itself. 0 or -errno: then diffs are
 * refused, and nothing else. */
int differ_start(struct differ *d);

/* Appends the unified diff of one file to `out`. Fds are borrowed; -1: none. */
int differ_diff(const struct differ *d, const char *path, int old, int now, bool is_safe,
		struct text *out, uint32_t *ret_hunks);

/* The old content with some hunks of the new. Gives a memfd. */
int differ_hunks(const struct differ *d, int old, int now, const uint32_t *hunks, uint32_t count,
		 int *ret_fd);

void differ_end(struct differ *d);

#endif
