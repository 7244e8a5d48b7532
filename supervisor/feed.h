// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/feed.h - a subscriber and how far it has read.
 *
 * A feed is a place in a session's log. Nothing is queued for it: what it has not
 * read lies on disk. One that falls too far behind is moved ahead and told the range
 * it has missed; from_seq brings it back.
 */
#ifndef SUPERVISOR_FEED_H
#define SUPERVISOR_FEED_H

#include "supervisor/session.h"

/* Behind by more, it is moved ahead. */
#define FEED_LAG_MAX (16u << 20)
#define FEED_FILTERS_MAX 32
/* Subscriptions of one connection. */
#define FEED_MAX 256

struct connection;
struct feed;

/* Empty lists let everything pass. Copied. */
struct feed_filter {
	uint32_t calls[FEED_FILTERS_MAX];
	uint32_t call_count;
	const char *kinds[FEED_FILTERS_MAX]; /* globs: "file.*" */
	uint32_t kind_count;
	const char *paths[FEED_FILTERS_MAX]; /* globs over the whole path */
	uint32_t path_count;
};

/* Whether a line of a log, without its newline, is one of those. */
bool feed_passes(const struct feed_filter *w, const char *line, size_t n);

/* Begins with event `from_seq`, or with 0 at the end of the log. Gives the number
 * of the subscription. 0 or -errno. */
int feed_add(struct connection *c, struct session *s, const struct feed_filter *filter,
	     uint64_t from_seq, uint32_t *ret_number);

/* 0 or -ENOENT. */
int feed_remove(struct feed **feeds, uint32_t number);

/* Sends what there is, as long as the connection takes it. */
void feed_pump_all(struct connection *c, struct feed *feeds);

void feed_pump_session(struct connection *c, struct feed *feeds, const struct session *s);

/* The session is gone: the last lines are sent first. */
void feed_forget_session(struct connection *c, struct feed **feeds, struct session *s);

void feed_free_all(struct feed **feeds);

#endif
