// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/seen.h - what the real side was when a session first changed it.
 *
 * Files in <session>/seen/: one for each call, of the paths it changed, and
 * "commits", of what our own commits have made there since. A line for each path:
 * mode, size, whether it moved under the call, hash, path, link target.
 */
#ifndef SUPERVISOR_SEEN_H
#define SUPERVISOR_SEEN_H

#include "supervisor/changes.h"

struct seen_entry {
	char *path;
	char *target; /* of a link; "" otherwise */
	uint32_t mode; /* 0: nothing was there */
	uint64_t size;
	bool is_moved; /* it changed while the call ran: what the call saw is not known */
	char sha256[65]; /* "": not known */
	uint64_t order; /* of loading: the first of a path counts, a commit more */
};

struct seen {
	struct seen_entry *at; /* sorted by path after seen_sort() */
	size_t count, room;
};

/* Writes what `list` says of the real side as the file of one call. `started_ns`
 * is CLOCK_REALTIME. 0 or -errno. */
int seen_write(int session_dir, uint32_t call, const struct changes *list, uint64_t started_ns);

/* Adds one path as a commit has left it: of a file with this size and content. 0 or
 * -errno. */
int seen_add_commit(struct text *lines, const struct sb_change *raw, uint64_t size,
		    const char *sha256);
int seen_write_commits(int session_dir, const struct text *lines);

/* Adds the file of a call, or with 0 that of the commits. No file is no error. */
int seen_load(struct seen *s, int session_dir, uint32_t call);
void seen_sort(struct seen *s);

const struct seen_entry *seen_find(const struct seen *s, const char *path);

/* The commits are of no use any more. */
void seen_forget_commits(int session_dir);

void seen_done(struct seen *s);

#endif
