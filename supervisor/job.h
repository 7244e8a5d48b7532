// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/job.h - work that reads files, away from the loop.
 *
 * Scans, hashes and commits take as long as they take; a person's verb does not
 * wait for them. Jobs of one session run one after the other.
 */
#ifndef SUPERVISOR_JOB_H
#define SUPERVISOR_JOB_H

#include <systemd/sd-event.h>

/* Threads. Two, so that one long scan does not hold up all the others. */
#define JOB_THREADS 2

struct jobs;

struct job {
	void (*work)(struct job *j); /* in a thread */
	void (*done)(struct job *j); /* in the loop; frees it */
	const void *key; /* those with the same key never run at once */
	struct job *next;
};

/* Starts the threads. Call after the privileges are gone. 0 or -errno. */
int jobs_start(struct jobs **ret, sd_event *loop);

/* Queues it; `done` is called from the loop. */
void jobs_add(struct jobs *all, struct job *j);

/* Waits for what runs and is queued, calls every `done`, and ends the threads. */
void jobs_free(struct jobs *all);

#endif
