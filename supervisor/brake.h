// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/brake.h - a call is held while the reader of its events is behind.
 *
 * The monitor's thread brakes and lets go, the loop pauses and resumes: both write the same
 * cgroup.freeze. What is written is frozen when either wants it, under a lock of its own
 * that nothing slow is done under.
 */
#ifndef SUPERVISOR_BRAKE_H
#define SUPERVISOR_BRAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct brake {
	pthread_mutex_t lock;
	int fd; /* cgroup.freeze; borrowed; -1: there is none */
	bool is_paused; /* by the loop */
	bool is_braked; /* by the monitor */
	uint64_t count; /* times it was braked */
	uint64_t since_ns, braked_ns; /* CLOCK_MONOTONIC */
};

void brake_init(struct brake *b, int fd);
void brake_done(struct brake *b);

/* From the loop. 0 or -errno. */
int brake_pause(struct brake *b, bool pause);

/* From the monitor's thread. */
void brake_set(struct brake *b, bool brake);

#endif
