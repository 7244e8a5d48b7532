// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/journal.h - the steps of a commit, on disk before the first is taken.
 *
 * Everything new is made beside its place first, in a directory of its own at the
 * top of the workspace. Then one word in the journal decides. After that each
 * step is a rename, which can be told to be done or not from what lies in that
 * directory, so it can be taken again, or taken back.
 */
#ifndef SANDBOX_JOURNAL_H
#define SANDBOX_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/wire.h"

enum step_kind {
	STEP_PLACE = 1, /* staged -> path, where nothing is */
	STEP_SWAP, /* staged <-> path */
	STEP_TAKE, /* path -> staged: a file, or a directory that is empty by then */
	STEP_MODE, /* of a directory */
	STEP_XATTRS, /* of a directory; the old ones are kept on the staged one */
};

struct step {
	uint32_t kind; /* enum step_kind */
	uint32_t index; /* name of what is staged */
	uint32_t mode, old_mode;
	uint64_t new_inode; /* SWAP, PLACE: what was staged */
	uint64_t new_size;
	int64_t new_mtime_s;
	uint32_t new_mtime_ns;
	uint32_t reserved;
	uint64_t old_inode; /* SWAP, TAKE: what is expected at the path */
	uint64_t old_size;
	int64_t old_mtime_s;
	uint32_t old_mtime_ns;
	uint32_t path_len; /* on disk the path follows, without NUL */
	char *path; /* owned */
};

struct journal {
	int fd; /* borrowed */
	int workspace; /* borrowed */
	int staging; /* -1: none yet */
	char name[32]; /* of the staging directory */
	struct step *steps;
	uint32_t count;
	const char *failed; /* path of the step that could not be taken, or NULL */
};

/* Names beginning with this are ours, and no commit writes them. */
#define JOURNAL_PREFIX ".glovebox-"

/* Begins an empty one; makes the staging directory. -EUCLEAN: another commit of
 * this session was broken off. 0 or -errno. */
int journal_begin(struct journal *j, int fd, int workspace, const char *session);

/* Adds a step (its path is copied). 0 or -errno. */
int journal_add(struct journal *j, const struct step *s, const char *path);

/* Decides, and takes all the steps, or takes them back. 0 or -errno. */
int journal_run(struct journal *j);

/* Drops what is staged, and empties the file. 0 or -errno. */
int journal_end(struct journal *j);

/* Reads what somebody left: *ret_was_decided tells which way to go. 0; -ENOENT:
 * there is nothing; -EBADMSG. */
int journal_load(struct journal *j, int fd, int workspace, const char *session,
		 bool *ret_was_decided);

void journal_done(struct journal *j);

/* Opens the directory a path is in, beneath the workspace and through no link;
 * *ret_name points into `path`, which is cut in two. 0 or -errno. */
int journal_open_parent(int workspace, char *path, int *ret_dir, const char **ret_name);

/* What one directory's user attributes are, the other's become. 0 or -errno. */
int journal_copy_xattrs(int from, int to);

/* "n<index>" */
void journal_staged_name(uint32_t index, char ret[16]);

#endif
