// SPDX-License-Identifier: Apache-2.0
/* supervisor/tally.h - what one call did, added up for its report. */
#ifndef SUPERVISOR_TALLY_H
#define SUPERVISOR_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "supervisor/explain.h"
#include "supervisor/text.h"

/* Entries kept of each list; the rest is counted. A build runs some thousand
 * processes; distinct denials and addresses are few unless somebody floods. */
#define TALLY_PROCESSES 8192
#define TALLY_CONNECTIONS 1024
#define TALLY_DENIALS 512
#define TALLY_PROGRAMS 1024
/* Words and counts of all processes together: what a report of 16 MiB has room for, however
 * long they are. Beyond, they are in the events only. */
#define TALLY_TEXT (8u << 20)
/* Processes whose last system calls are kept, two kilobytes each: those that ended last,
 * and before all others those that failed. */
#define TALLY_RECENTS 64
/* Calls that were not finished: of as many threads, and of paths of usual length. */
#define TALLY_UNFINISHED 256
#define TALLY_UNFINISHED_BYTES (256u << 10)
/* Paths that events told of, by their hash: 8 bytes each. Beyond, whether each change had
 * an event is not known. */
#define TALLY_PATHS (1u << 20)

/* A process, the same over exec: pids are used again. */
struct tally_id {
	uint32_t host_pid;
	uint64_t start_ns; /* CLOCK_BOOTTIME; 0: not known */
};

struct tally_process {
	uint32_t pid, ppid;
	struct tally_id id, parent;
	struct text exe; /* JSON string */
	struct text argv; /* JSON array; empty: it was forked, and ran on what it was */
	struct text syscalls; /* JSON object, when it has ended */
	int32_t exit_status; /* wait status, -1: not seen to end */
	int32_t inside; /* system call it was ended in, -1: none */
	bool is_cut; /* its words, or its counts, found no room */
};

/* What a process did last. */
struct tally_recent {
	struct tally_id id;
	uint32_t pid;
	int32_t exit_status;
	uint32_t count;
	uint64_t order;
	uint64_t at[WATCH_RECENT]; /* watch_recent(), oldest first */
	uint32_t tids[WATCH_RECENT]; /* of each; 0: its process had one thread */
};

/* A program that ran. */
struct tally_program {
	char *path; /* as the call sees it; owned */
	uint32_t dev; /* the kernel's dev_t */
	uint64_t ino;
};

struct tally_connection {
	struct text addr;
	uint16_t port;
	const char *verdict; /* "connected", "denied", "failed" */
	uint64_t count;
};

struct tally_denial {
	const char *layer, *rule, *why;
	const char *syscall;
	struct text subject, suggest;
	uint64_t count;
};

/* Filled by the monitor's thread, read by the loop's after the last record. */
struct tally {
	struct tally_process *processes;
	uint32_t process_count, processes_cut;
	struct tally_connection *connections;
	uint32_t connection_count, connections_cut;
	struct tally_denial *denials;
	uint32_t denial_count, denials_cut;
	uint64_t made; /* processes */
	uint32_t denied_of[WATCH_SYSCALLS]; /* by seccomp, by number: of `denials` some are cut */
	char **reads; /* where it read of what the policy shows */
	uint32_t read_count;
	size_t read_bytes;
	bool reads_cut;
	uint64_t logged_bytes, not_logged; /* of its events in the log; events that are not */
	uint64_t max_rss_bytes; /* of one process */
	uint32_t *process_cells; /* hash by id: index + 1 of the last entry */
	uint32_t process_room;
	size_t text_bytes; /* of TALLY_TEXT */
	bool keeps_line; /* the event that is being told is one of `unfinished` */
	struct text unfinished; /* events, with commas between: calls that a signal ended */
	uint32_t unfinished_count, unfinished_cut;
	struct tally_recent *recents;
	uint32_t recent_count;
	uint64_t recent_order;
	uint64_t *paths; /* hash set; 0 is free */
	uint32_t path_count, path_room;
	bool paths_cut;
	struct tally_program *programs; /* different ones */
	uint32_t program_count, programs_cut;
	uint64_t influences;
	uint64_t denied; /* all, told or not */
};

struct tally *tally_new(void);
void tally_free(struct tally *t);

/* A process was made; it may never execute a program of its own. */
void tally_fork(struct tally *t, const struct event *e);

void tally_exec(struct tally *t, const struct event *e, const char *exe, size_t exe_len,
		const char *argv, size_t argv_len);

/* The parent that made it, which may be gone since; false: not known. */
bool tally_parent(const struct tally *t, const struct event *e, struct tally_id *ret);

void tally_exit(struct tally *t, const struct event *e);

/* A call that its process was killed in: its event, but for the last brace. */
void tally_unfinished(struct tally *t, const struct text *event);

/* What it did: its calls, counted, and the last of them. */
void tally_did(struct tally *t, const struct watch_process *p);

/* What an event told of a path. */
enum tally_saw {
	TALLY_NAME = 0,
	TALLY_CONTENT = 2, /* it was written */
	TALLY_READ = 4, /* something was read there: tally_read() */
	TALLY_MOVED = 3, /* it was something else's name, and so it is with all below it */
};
void tally_saw(struct tally *t, enum tally_saw what, const char *path, size_t len);

/* Whether events told of a change of it; `content`: one of what is in it. */
bool tally_has_seen(const struct tally *t, const char *path, size_t len, bool content);

/* It read there. `path` is of what the policy shows; each place is kept once. */
void tally_read(struct tally *t, const char *path, size_t len);

/* Whether it is the first time for these numbers: of what is told once. */
bool tally_is_first(struct tally *t, const char *what, size_t len, uint64_t number);

void tally_connect(struct tally *t, const char *addr, uint16_t port, const char *verdict);

/* Takes the texts of `d`. How many of its kind there were, with this one; 0: there are
 * too many kinds to tell. */
uint64_t tally_denied(struct tally *t, const char *syscall, struct denial *d);

/* A process by its name: "BOOT:NANOSECONDS:PID", all of the machine. */
void tally_add_id(struct text *out, const struct tally_id *id);

/* argv with NULs between, as a JSON array. */
void tally_add_argv(struct text *out, const char *argv, size_t len);

#endif
