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

/* Names and addresses kept of one session; a build makes some thousand files. Beyond, new
 * ones are not followed, and influence_is_cut() says so. */
#define INFLUENCE_ENTRIES 65536
/* ... and of their names: usual ones have some fifty bytes, and a tool may choose 4,096. */
#define INFLUENCE_BYTES (4u << 20)

struct influence {
	struct influence_entry **cells;
	size_t room, count, bytes;
	bool is_cut;
};

/* `what` is any bytes: a path, or an address with its port. */
enum influence_kind { INFLUENCE_FILE = 'f', INFLUENCE_SOCKET = 's' };

void influence_set(struct influence *b, enum influence_kind kind, const char *what, size_t len,
		   uint32_t call);

/* The call, or 0: not known. */
uint32_t influence_find(const struct influence *b, enum influence_kind kind, const char *what,
			size_t len);

/* A file, or a directory and all in it, is called otherwise now. */
void influence_rename(struct influence *b, const char *from, size_t from_len, const char *to,
		      size_t to_len);

/* Nobody wrote it any more. */
void influence_remove(struct influence *b, enum influence_kind kind, const char *what, size_t len);

/* The processes of a call are gone, and with them their sockets. */
void influence_end_call(struct influence *b, uint32_t call);

/* Layers were taken away: what is known of files holds no more. */
void influence_forget_files(struct influence *b);

void influence_done(struct influence *b);

#endif
