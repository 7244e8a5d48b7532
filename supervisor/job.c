// SPDX-License-Identifier: Apache-2.0
/* supervisor/job.c - work that reads files, away from the loop. */
#include "supervisor/job.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sandbox/base/fd.h"

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *queue, **queue_end;
	struct job *finished, **finished_end;
	const void *running[JOB_THREADS];
	pthread_t threads[JOB_THREADS];
	int started;
	bool stop;
	int wake;
	sd_event_source *source;
};

struct worker {
	struct jobs *all;
	int index;
};

static bool is_running(const struct jobs *all, const void *key)
{
	for (int i = 0; i < JOB_THREADS; i++)
		if (key && all->running[i] == key)
			return true;
	return false;
}

/* The first whose key nobody works on; jobs of one key stay in order. */
static struct job *take(struct jobs *all)
{
	for (struct job **p = &all->queue; *p; p = &(*p)->next) {
		struct job *j = *p;
		bool is_behind = is_running(all, j->key);

		for (const struct job *q = all->queue; q != j && !is_behind; q = q->next)
			is_behind = q->key == j->key;
		if (is_behind)
			continue;
		*p = j->next;
		if (!*p)
			all->queue_end = p;
		return j;
	}
	return NULL;
}

static void *work(void *context)
{
	struct worker *w = context;
	struct jobs *all = w->all;
	uint64_t one = 1;

	(void)pthread_mutex_lock(&all->lock);
	for (;;) {
		struct job *j = take(all);

		if (!j) {
			if (all->stop && !all->queue)
				break;
			(void)pthread_cond_wait(&all->more, &all->lock);
			continue;
		}
		all->running[w->index] = j->key;
		(void)pthread_mutex_unlock(&all->lock);
		j->work(j);
		(void)pthread_mutex_lock(&all->lock);
		all->running[w->index] = NULL;
		j->next = NULL;
		*all->finished_end = j;
		all->finished_end = &j->next;
		(void)!write(all->wake, &one, sizeof(one));
		(void)pthread_cond_broadcast(&all->more);
	}
	(void)pthread_mutex_unlock(&all->lock);
	free(w);
	return NULL;
}

static void finish(struct jobs *all)
{
	struct job *j;

	(void)pthread_mutex_lock(&all->lock);
	j = all->finished;
	all->finished = NULL;
	all->finished_end = &all->finished;
	(void)pthread_mutex_unlock(&all->lock);
	while (j) {
		struct job *next = j->next;

		j->done(j);
		j = next;
	}
}

static int on_wake(sd_event_source *s, int fd, uint32_t events, void *context)
{
	uint64_t n;

	(void)s;
	(void)events;
	(void)!read(fd, &n, sizeof(n));
	finish(context);
	return 0;
}

int jobs_start(struct jobs **ret, sd_event *loop)
{
	struct jobs *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return -ENOMEM;
	(void)pthread_mutex_init(&all->lock, NULL);
	(void)pthread_cond_init(&all->more, NULL);
	all->queue_end = &all->queue;
	all->finished_end = &all->finished;
	all->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = all->wake < 0 ? -errno
			  : sd_event_add_io(loop, &all->source, all->wake, EPOLLIN, on_wake, all);
	for (int i = 0; r >= 0 && i < JOB_THREADS; i++) {
		struct worker *w = calloc(1, sizeof(*w));

		if (w)
			*w = (struct worker){ all, i };
		r = w ? -pthread_create(&all->threads[i], NULL, work, w) : -ENOMEM;
		if (r < 0)
			free(w);
		else
			all->started++;
	}
	if (r < 0) {
		jobs_free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void jobs_add(struct jobs *all, struct job *j)
{
	(void)pthread_mutex_lock(&all->lock);
	j->next = NULL;
	*all->queue_end = j;
	all->queue_end = &j->next;
	(void)pthread_cond_broadcast(&all->more);
	(void)pthread_mutex_unlock(&all->lock);
}

void jobs_free(struct jobs *all)
{
	if (!all)
		return;
	(void)pthread_mutex_lock(&all->lock);
	all->stop = true;
	(void)pthread_cond_broadcast(&all->more);
	(void)pthread_mutex_unlock(&all->lock);
	for (int i = 0; i < all->started; i++)
		(void)pthread_join(all->threads[i], NULL);
	finish(all);
	all->source = sd_event_source_disable_unref(all->source);
	fd_done(&all->wake);
	(void)pthread_cond_destroy(&all->more);
	(void)pthread_mutex_destroy(&all->lock);
	free(all);
}
