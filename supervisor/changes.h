// SPDX-License-Identifier: Apache-2.0
/* supervisor/changes.h - what a layer changed: list it, show it, apply it. */
#ifndef SUPERVISOR_CHANGES_H
#define SUPERVISOR_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/wire.h"
#include "supervisor/differ.h"
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
	uint32_t from_mode; /* of what was there */
	int64_t from_ctime_s;
	uint32_t from_ctime_ns;
	char sha256[65]; /* of a regular file; "" otherwise */
	uint64_t base_size;
	int64_t base_ctime_s; /* when what is below was last touched */
	uint32_t base_ctime_ns;
	char *base_target; /* of a link that was there, or NULL */
	char base_sha256[65]; /* of a regular file that was there; "" otherwise */
	bool is_special; /* fifo, socket, device */
	bool is_protected; /* needs an explicit word */
	bool is_dropped; /* the half of a rename that is told by the other */
};

struct changes {
	struct change *at;
	size_t count;
};

/* Which layers of which session: the stack, lowest first, and the index of the
 * first one that is asked about. Borrows everything. */
struct changes_of {
	uint32_t limit; /* USAGE: names to count */
	const struct policy *policy; /* what it hides and protects; NULL: the default. Borrowed */
	int warden;
	const char *session;
	const uint32_t *layers;
	uint32_t count;
	uint32_t first;
};

/* The contents that come with a change; -1 where there is none. Borrowed. */
struct changes_fds {
	int now, base, xattrs;
};

/* What is called for each difference. A negative result ends the walk. */
typedef int (*changes_fn)(const struct sb_change *raw, const struct changes_fds *fds,
			  void *context);

/* Asks the warden for a scan and calls `fn` for each difference. 0 or -errno. */
int changes_walk(const struct changes_of *of, changes_fn fn, void *context);

/* The list, sorted by path, with hashes and renames. 0 or -errno. */
int changes_read(const struct changes_of *of, struct changes *ret);

/* Whether it is a difference at all, and of which kind: opening a file for writing
 * copies it up. Takes what it reads from *budget. */
bool changes_classify(const struct sb_change *raw, const struct changes_fds *fds, uint64_t *budget,
		      enum change_type *ret);

/* Bytes hashed or compared for one list. */
#define CHANGES_READ_BUDGET (4ull << 30)

/* The SHA-256 of a file, in hex. 0 or -errno. */
int changes_hash(int fd, char out[65]);

/* Sends one request with these layers to the warden; gives the child's socket. */
int changes_ask(const struct changes_of *of, enum sb_verb verb, int *ret_sock);

/* One change as a unified diff or a line that says what it is, with the number of
 * each hunk above it. 0 or -errno. */
int changes_show(const struct differ *d, const struct sb_change *raw, const struct changes_fds *fds,
		 bool is_safe, struct text *out);

/* Removes layers that nothing stands on; those that are not there are none. Blocks. */
void changes_drop_layers(int warden, const char *session, const uint32_t *numbers, uint32_t count);

/* Removes the files of a session that nobody runs. Blocks. 0, -EBUSY (it is in use) or
 * -errno. */
int changes_remove_session(int warden, const char *session);

/* Waits until the child behind a socket has ended, and closes it: until then it may hold
 * the session's lock. */
void changes_wait_end(int *sock);

/* "file", "dir", "symlink", and so on, of a mode. */
const char *changes_type_name(uint32_t mode);

/* One change as a JSON object; `root` is put in front of its path. */
void changes_add_json(const struct change *c, const char *root, struct text *out);

void changes_done(struct changes *c);

#endif
