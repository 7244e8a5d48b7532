// SPDX-License-Identifier: Apache-2.0
/* supervisor/disk.h - the disk that a session's layers may take, and the machine's reserve. */
#ifndef SUPERVISOR_DISK_H
#define SUPERVISOR_DISK_H

#include <stdbool.h>

struct session;

/*
 * Looks while calls of the session run, and ends them with over_limit when its layers take
 * more than `disk` or hold more names than `files`, or when the machine's disk has less
 * than the reserve left, so that the log and what was committed always have room.
 *
 * No quota of the kernel is behind it (those need a file system that was made and mounted
 * for them): between two looks a call can write more. RLIMIT_FSIZE bounds one file at once.
 * 0 or -errno.
 */
int disk_watch(struct session *s);
void disk_stop(struct session *s);

/*
 * Bytes kept in each session's directory, to be given back when its own log or book finds
 * the disk full. The log finds it while the tool still writes, which may take what is given
 * back; so the book, which is written when a call has ended, has a reserve of its own.
 */
enum disk_reserve {
	DISK_RESERVE_LOG, /* the end of a log */
	DISK_RESERVE_BOOK, /* session.json, some reports, what was seen */
};
#define DISK_RESERVE_BYTES (1u << 20) /* of each */

/* Makes the files, unless they are there or there is no room: then nothing. */
void disk_make_reserve(int session_dir);

/* Gives one back. False: there was none, or `error` is not that of a full disk. */
bool disk_use_reserve(int session_dir, enum disk_reserve which, int error);

#endif
