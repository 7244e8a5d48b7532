// SPDX-License-Identifier: Apache-2.0
/* supervisor/changes.h - what a layer changed: list it, show it, apply it. */
#ifndef SUPERVISOR_CHANGES_H
#define SUPERVISOR_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/wire.h"
#include "supervisor/text.h"

/* Changes held in memory, about 200 bytes each; a layer with more is refused with
 * a clear error rather than half listed. */
#define CHANGES_MAX 200000

enum change_type {
	CHANGE_ADDED,
	CHANGE_MODIFIED,
	CHANGE_DELETED,
	CHANGE_RENAMED,
	CHANGE_MODE, /* same content: mode or time only */
	CHANGE_TYPE, /* became another kind of thing */
	CHANGE_UNREADABLE,

	CHANGE_TYPE_COUNT,
};

extern const char *const change_type_names[CHANGE_TYPE_COUNT];

struct change {
	enum change_type type;
	uint32_t kind; /* enum sb_change_kind of what is there now */
	uint32_t mode, base_mode;
	uint64_t size;
	int64_t mtime_s;
	uint32_t mtime_ns;
	int error; /* UNREADABLE: -errno */
	char *path; /* relative to the workspace; any bytes */
	char *target; /* of a link, or NULL */
	char *from; /* RENAMED: where it was */
	char sha256[65]; /* of a regular file; "" otherwise */
	bool is_special; /* fifo, socket, device */
	bool is_protected; /* needs an explicit word */
	bool is_dropped; /* the half of a rename that is told by the other */
};

struct changes {
	struct change *at;
	size_t count;
};

/* What is called with both contents of a file, for a diff or a commit. `fd` and
 * `base_fd` are borrowed, -1 where there is none. A negative result ends it. */
typedef int (*changes_fn)(const struct sb_change *raw, int fd, int base_fd, void *context);

/* Asks the warden for a scan of the session's layer and calls `fn` for each
 * difference. 0 or -errno. */
int changes_walk(int warden, const char *session, uint32_t layer, changes_fn fn, void *context);

/* The list, sorted by path, with hashes and renames. 0 or -errno. */
int changes_read(int warden, const char *session, uint32_t layer, struct changes *ret);

/* One change as a JSON object; `root` is put in front of its path. */
void changes_add_json(const struct change *c, const char *root, struct text *out);

void changes_done(struct changes *c);

/* How a commit went. */
struct changes_applied {
	uint32_t applied;
	uint32_t refused; /* special files, escaping links, protected paths */
	uint32_t failed;
	struct text log; /* a line for each that was not applied */
};

struct changes_choice {
	bool with_protected; /* an operator's explicit word */
	bool with_escapes; /* symlinks that leave the workspace */
	bool is_dry_run;
};

/* Applies the layer to the workspace, as its owner. Nothing is written when
 * something selected must be refused. 0, -EPERM (refused), or -errno. */
int changes_apply(int warden, const char *session, uint32_t layer,
		  const struct changes_choice *choice, struct changes_applied *ret);

#endif
