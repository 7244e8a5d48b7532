// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/pids.h - the processes of one call, through a /proc of their own.
 *
 * For where no control group tells: the pid namespace is the call. What a look says was
 * true when each process was looked at, not of all of them at once.
 */
#ifndef SUPERVISOR_PIDS_H
#define SUPERVISOR_PIDS_H

#include <stdbool.h>
#include <stdint.h>

struct pids_look {
	uint32_t processes; /* alive, without init */
	uint32_t running; /* of those, not stopped: what a pause has not reached */
	uint64_t cpu_ns; /* of all that live, and of what they have waited for */
	uint64_t memory_bytes; /* resident and of no file; what two share counts twice */
};

/* Memory of one, by the machine's own number and /proc; 0: it is gone. */
uint64_t pids_memory(unsigned long pid);

/* Looks at all of them. `proc` is the directory. 0 or -errno. */
int pids_look(int proc, struct pids_look *ret);

#endif
