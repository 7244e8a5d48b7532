// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/influence.h - which call of a session an other call's work came from.
 *
 * A book of one session: who wrote a file last, by its path as the calls see it, and who
 * listens on which address. Kept in memory only: what calls before a restart of the
 * supervisor wrote is not in it. Not locked: the monitor's lock is around it.
 */
#ifndef SUPERVISOR_INFLUENCE_H
#define SUPERVISOR_INFLUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names and addresses kept of one session, directories on the way to them included; a build
 * makes some thousand files. Beyond, new ones are not followed, and `is_cut` says so. */
#define INFLUENCE_ENTRIES 65536
/* ... and of their names: usual ones have some ten bytes, and a tool may choose 255. */
#define INFLUENCE_BYTES (4u << 20)
/* Names in one path: as many as the kernel side tells. */
#define INFLUENCE_DEPTH 256

struct influence {
	struct influence_node **cells;
	size_t room, count, bytes;
	uint64_t epoch; /* of the monitor's table of names, when one was entered first */
	bool is_cut; /* something is not followed */
};

enum influence_kind {
	INFLUENCE_FILE = 'f', /* `what` is an absolute path */
	INFLUENCE_SOCKET = 's', /* an address with its port, or a Unix socket's name */
	INFLUENCE_NAME = 'n', /* the last name of a path that may have led elsewhere */
};

void influence_set(struct influence *b, enum influence_kind kind, const char *what, size_t len,
		   uint32_t call);

/* The same of a file whose path is the kernel's own: the directories in it are no links. */
void influence_set_real(struct influence *b, const char *path, size_t len, uint32_t call,
			uint64_t when_ns);

/* Something was put at this path at `when_ns`: what was written before was written to another
 * file. */
void influence_touch(struct influence *b, const char *path, size_t len, uint64_t when_ns);

/* It was written at `when_ns` through a descriptor that may be old: if it is another call's by
 * now, and was made so before, it is this call's again. CLOCK_BOOTTIME, as of records. */
void influence_wrote(struct influence *b, const char *path, size_t len, uint32_t call,
		     uint64_t when_ns);

/* Whether the directory that a path is in is known to be one, and no link to another. */
bool influence_is_real(const struct influence *b, const char *path, size_t len);

/* The call, or 0: not known. */
uint32_t influence_find(const struct influence *b, enum influence_kind kind, const char *what,
			size_t len);

/* What is known of a path may hold no more: something was done by a string that may have meant
 * it. Until it is written again. */
void influence_doubt(struct influence *b, const char *path, size_t len);
bool influence_is_doubted(const struct influence *b, const char *path, size_t len);

/* Who put a directory there that the path is below, and that came from where nothing is
 * known of; 0: nobody. */
uint32_t influence_find_above(const struct influence *b, const char *path, size_t len);

/* A file, or a directory and all in it, is called otherwise now. At most as much work as its
 * path is long, and as what was at the new name is large. */
void influence_rename(struct influence *b, const char *from, size_t from_len, const char *to,
		      size_t to_len);

/* The two have changed their names (renameat2(2), RENAME_EXCHANGE). */
void influence_exchange(struct influence *b, const char *one, size_t one_len, const char *two,
			size_t two_len);

/* Nobody wrote it any more, nor what is below it. */
void influence_remove(struct influence *b, enum influence_kind kind, const char *what, size_t len);

/* The processes of a call are gone, and with them their sockets. */
void influence_end_call(struct influence *b, uint32_t call);

/* Layers were taken away: what is known of files holds no more. */
void influence_forget_files(struct influence *b);

void influence_done(struct influence *b);

#endif
