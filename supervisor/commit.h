// SPDX-License-Identifier: Apache-2.0
/* supervisor/commit.h - selected changes go to the real workspace, or none does. */
#ifndef SUPERVISOR_COMMIT_H
#define SUPERVISOR_COMMIT_H

#include "supervisor/changes.h"
#include "supervisor/stack.h"

/* Paths and hunks named in one commit. */
#define COMMIT_WORDS_MAX 256

/* Gives the content of a file with only some of its hunks, as a new fd. The two
 * fds are borrowed. 0, -ERANGE (no such hunk), -ENOTSUP (no text), or -errno. */
typedef int (*commit_hunks_fn)(int base, int now, const uint32_t *hunks, uint32_t count,
			       void *context, int *ret_fd);

struct commit_hunk {
	const char *path; /* borrowed */
	uint32_t number; /* from 1 */
};

struct commit_choice {
	uint32_t call; /* only what this one changed; 0: all */
	const char *paths[COMMIT_WORDS_MAX]; /* globs; none: all */
	uint32_t path_count;
	struct commit_hunk hunks[COMMIT_WORDS_MAX];
	uint32_t hunk_count;
	const struct policy *policy; /* borrowed; NULL: the default */
	bool with_protected; /* an operator's explicit word */
	bool with_escapes; /* symlinks that leave the workspace */
	bool is_forced; /* overwrites what changed meanwhile */
	bool is_dry_run;
	commit_hunks_fn make_hunks;
	void *hunks_context;
};

enum commit_verdict { COMMIT_APPLIED, COMMIT_REFUSED, COMMIT_CONFLICT, COMMIT_FAILED };
extern const char *const commit_verdict_names[];

struct commit_item {
	enum commit_verdict verdict;
	char *path;
	char *why; /* of a no; NULL otherwise */
	enum change_type type;
};

struct commit_result {
	struct commit_item *items;
	size_t count;
	uint32_t applied, refused, conflicts, failed;
	bool is_whole; /* everything was selected: of the stack, or of its lowest layer */
	char why[256]; /* of a failure of the whole */
};

/*
 * Applies what was chosen of the stack to the workspace. Blocks, so it runs in a
 * worker or a command of its own. 0; -EPERM (something selected is refused),
 * -EEXIST (conflicts), -ENOENT (nothing matches a word), or -errno; whatever it
 * is, either all was applied or nothing. The result is filled in every case.
 */
int commit_run(int warden, const char *session, int session_dir, const struct stack *stack,
	       const struct commit_choice *choice, struct commit_result *ret);

/* Finishes or undoes what a killed commit has left. *ret_what: 0 nothing, 1 done,
 * 2 undone. 0 or -errno. */
int commit_recover(int warden, const char *session, unsigned int *ret_what);

/* The result as JSON members, and for people. */
void commit_add_json(const struct commit_result *r, const char *root, struct text *out);
void commit_add_lines(const struct commit_result *r, struct text *out);

void commit_result_done(struct commit_result *r);

#endif
