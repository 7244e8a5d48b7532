// SPDX-License-Identifier: Apache-2.0
/* supervisor/tally.h - what one call did, added up for its report. */
#ifndef SUPERVISOR_TALLY_H
#define SUPERVISOR_TALLY_H

#include <stdint.h>

#include "supervisor/explain.h"
#include "supervisor/text.h"

/* Entries kept of each list; the rest is counted. A build runs some thousand
 * processes; distinct denials and addresses are few unless somebody floods. */
#define TALLY_PROCESSES 8192
#define TALLY_CONNECTIONS 1024
#define TALLY_DENIALS 512

struct tally_process {
	uint32_t pid, ppid;
	struct text exe; /* JSON string */
	struct text argv; /* JSON array */
	int32_t exit_status; /* wait status, -1: not seen to end */
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
	uint64_t execs;
};

struct tally *tally_new(void);
void tally_free(struct tally *t);

void tally_exec(struct tally *t, uint32_t pid, uint32_t ppid, const char *exe, size_t exe_len,
		const char *argv, size_t argv_len);
void tally_exit(struct tally *t, uint32_t pid, int32_t status);
void tally_connect(struct tally *t, const char *addr, uint16_t port, const char *verdict);

/* Takes the texts of `d`. How many of its kind there were, with this one; 0: there are
 * too many kinds to tell. */
uint64_t tally_denied(struct tally *t, const char *syscall, struct denial *d);

/* argv with NULs between, as a JSON array. */
void tally_add_argv(struct text *out, const char *argv, size_t len);

#endif
