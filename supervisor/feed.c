// SPDX-License-Identifier: Apache-2.0
/* supervisor/feed.c - a subscriber and how far it has read. */
#include "supervisor/feed.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/server.h"

/* Read from the log at once. A longer line does not exist (text.c cuts none, but the
 * longest event holds some pages). */
#define CHUNK (256u * 1024)
/* Bytes that wait in the connection before the feed stops reading. */
#define FULL (512u * 1024)

struct feed {
	struct feed *next;
	struct session *session;
	uint32_t number;
	uint64_t offset; /* in the log */
	uint64_t next_seq; /* expected there; 0: not known yet */
	bool is_live; /* it has been at the end once: before that it catches up */
	struct feed_filter filter; /* strings owned */
};

static uint64_t log_size(const struct session *s)
{
	uint64_t n;

	(void)pthread_mutex_lock(&s->stream->lock);
	n = s->stream->log_bytes;
	(void)pthread_mutex_unlock(&s->stream->lock);
	return n;
}

static int log_fd(const struct session *s)
{
	return s->stream->sinks[STREAM_LOG].fd;
}

/* The number of the line that begins at or behind `offset`; *ret_offset is where.
 * 0: there is none. */
static uint64_t seq_behind(const struct session *s, uint64_t offset, uint64_t *ret_offset)
{
	char buf[65536 + 1];
	bool at_line = offset == 0;

	for (;;) {
		ssize_t n = pread(log_fd(s), buf, sizeof(buf) - 1, (off_t)offset);
		char *line = buf;

		if (n <= 0)
			return 0;
		buf[n] = '\0';
		if (!at_line) {
			line = strchr(buf, '\n');
			if (!line) {
				offset += (uint64_t)n;
				continue;
			}
			line++;
		}
		*ret_offset = offset + (uint64_t)(line - buf);
		if (line - buf > n - 64 && line != buf) { /* its number is behind the chunk */
			offset = *ret_offset;
			at_line = true;
			if (n < (ssize_t)sizeof(buf) - 1)
				return 0;
			continue;
		}
		return strncmp(line, "{\"seq\":", 7) == 0 ? strtoull(line + 7, NULL, 10) : 0;
	}
}

/* Numbers only grow along the log, so the place of one is found by halving. */
static uint64_t find_seq(const struct session *s, uint64_t seq)
{
	uint64_t low = 0, high = log_size(s);

	while (high - low > 4096) {
		uint64_t middle = low + (high - low) / 2, at = 0;
		uint64_t found = seq_behind(s, middle, &at);

		if (found == 0 || found >= seq)
			high = middle;
		else
			low = at;
	}
	/* the rest is read by the pump, which leaves out what is before */
	return low;
}

static int copy_strings(const char *const *from, uint32_t count, const char **to)
{
	for (uint32_t i = 0; i < count; i++) {
		to[i] = strdup(from[i]);
		if (!to[i])
			return -ENOMEM;
	}
	return 0;
}

static void feed_free(struct feed *f)
{
	for (uint32_t i = 0; i < f->filter.kind_count; i++)
		free((char *)(uintptr_t)f->filter.kinds[i]);
	for (uint32_t i = 0; i < f->filter.path_count; i++)
		free((char *)(uintptr_t)f->filter.paths[i]);
	free(f);
}

int feed_add(struct connection *c, struct session *s, const struct feed_filter *filter,
	     uint64_t from_seq, uint32_t *ret_number)
{
	struct feed **feeds = connection_feeds(c);
	struct feed *f;
	uint32_t count = 0, number = 1;

	for (const struct feed *o = *feeds; o; o = o->next) {
		count++;
		number = o->number >= number ? o->number + 1 : number;
	}
	if (count >= FEED_MAX)
		return -EUSERS;
	if (log_fd(s) < 0)
		return -ENOTCONN;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->filter = *filter;
	memset(f->filter.kinds, 0, sizeof(f->filter.kinds));
	memset(f->filter.paths, 0, sizeof(f->filter.paths));
	if (copy_strings(filter->kinds, filter->kind_count, f->filter.kinds) < 0 ||
	    copy_strings(filter->paths, filter->path_count, f->filter.paths) < 0) {
		feed_free(f);
		return -ENOMEM;
	}
	stream_flush(s->stream);
	f->session = s;
	f->number = number;
	f->offset = from_seq > 0 ? find_seq(s, from_seq) : log_size(s);
	f->next_seq = from_seq;
	f->is_live = from_seq == 0;
	f->next = *feeds;
	*feeds = f;
	*ret_number = number;
	return 0;
}

/* Members are written in one order, and a quote inside a string has a backslash
 * before it: so this finds the member, and nothing inside a value. */
static const char *member(const char *line, size_t n, const char *what)
{
	return memmem(line, n, what, strlen(what));
}

/* A pattern that begins with a name is of each directory. What a tool wrote with ".." in it
 * is found by what it comes to, too. */
static bool path_matches(const char *glob, const char *path)
{
	AUTO_TEXT any = { 0 };
	AUTO_TEXT folded = { 0 };

	if (glob[0] != '/' && glob[0] != '*') {
		text_add(&any, "*/");
		text_add(&any, glob);
		glob = any.at ? any.at : glob;
	}
	if (fnmatch(glob, path, 0) == 0)
		return true;
	if (path[0] != '/' || !strstr(path, "/."))
		return false;
	text_add_folded(&folded, path, strlen(path));
	return folded.at && fnmatch(glob, folded.at, 0) == 0;
}

static bool any_matches(const char *const *globs, uint32_t count, const char *line, size_t n,
			const char *key, bool is_path)
{
	char value[4200];
	const char *at, *end;

	if (count == 0)
		return true;
	at = member(line, n, key);
	if (!at)
		return false;
	at += strlen(key);
	end = memchr(at, '"', n - (size_t)(at - line));
	if (!end || (size_t)(end - at) >= sizeof(value))
		return false;
	memcpy(value, at, (size_t)(end - at));
	value[end - at] = '\0';
	for (uint32_t i = 0; i < count; i++)
		if (is_path ? path_matches(globs[i], value) : fnmatch(globs[i], value, 0) == 0)
			return true;
	return false;
}

bool feed_passes(const struct feed_filter *w, const char *line, size_t n)
{
	bool hit = w->call_count == 0;
	const char *at;

	if (!hit) {
		at = member(line, n, ",\"call\":");
		for (uint32_t i = 0; at && i < w->call_count; i++)
			hit |= strtoul(at + 8, NULL, 10) == w->calls[i];
	}
	return hit && any_matches(w->kinds, w->kind_count, line, n, ",\"kind\":\"", false) &&
	       (any_matches(w->paths, w->path_count, line, n, "\"path\":\"", true) ||
		any_matches(w->paths, w->path_count, line, n, ",\"to\":\"", true) ||
		any_matches(w->paths, w->path_count, line, n, ",\"from\":\"", true));
}

static void add_event(const struct feed *f, const char *line, size_t n, struct text *out)
{
	text_printf(out,
		    "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"subscription\":%u,"
		    "\"event\":",
		    f->number);
	text_add_n(out, line, n);
	text_add(out, "}}\n");
}

static void add_lost(const struct feed *f, uint64_t from, uint64_t to, const char *why,
		     struct text *out)
{
	char line[256];
	int n = snprintf(line, sizeof(line),
			 "{\"session\":\"%s\",\"kind\":\"lost\",\"count\":%llu,\"from_seq\":%llu,"
			 "\"to_seq\":%llu,\"why\":\"%s\"}",
			 f->session->id, (unsigned long long)(to - from + 1),
			 (unsigned long long)from, (unsigned long long)to, why);

	add_event(f, line, (size_t)n, out);
}

/* One line of the log. */
static void take_line(struct feed *f, const char *line, size_t n, struct text *out)
{
	static const char told[] = ",\"session\":";
	uint64_t seq;
	bool is_told;
	char *end;

	if (n < 8 || strncmp(line, "{\"seq\":", 7) != 0)
		return; /* cut by a crash */
	seq = strtoull(line + 7, &end, 10);
	if (seq < f->next_seq)
		return;
	/* what is not in the log says so there, in front of the next that is: it has no time */
	is_told = strncmp(end, told, sizeof(told) - 1) == 0;
	if (f->next_seq > 0 && seq > f->next_seq && !is_told)
		add_lost(f, f->next_seq, seq - 1,
			 "the reader was too slow; from_seq brings it back", out);
	f->next_seq = is_told ? seq : seq + 1;
	if (feed_passes(&f->filter, line, n))
		add_event(f, line, n, out);
}

static void skip_ahead(struct feed *f, uint64_t size)
{
	uint64_t at = 0;

	if (!f->is_live || size - f->offset <= FEED_LAG_MAX)
		return;
	if (seq_behind(f->session, size - FEED_LAG_MAX / 16, &at) > 0)
		f->offset = at;
}

/* Others have their turn after so much. */
#define TURN_CHUNKS 4

static void come_again(const struct feed *f)
{
	uint64_t one = 1;

	(void)!write(f->session->stream->wake, &one, sizeof(one));
}

static void pump(struct connection *c, struct feed *f)
{
	AUTO_MEM char *buf = NULL;
	int turn = 0;

	while (connection_waiting(c) < FULL && log_fd(f->session) >= 0) {
		uint64_t size = log_size(f->session);
		AUTO_TEXT out = { 0 };
		size_t used = 0;
		ssize_t n;

		if (f->offset >= size) {
			f->is_live = true;
			return;
		}
		if (turn++ == TURN_CHUNKS) {
			come_again(f);
			return;
		}
		skip_ahead(f, size);
		if (!buf)
			buf = malloc(CHUNK);
		n = buf ? pread(log_fd(f->session), buf, CHUNK, (off_t)f->offset) : -1;
		if (n <= 0)
			return;
		for (;;) {
			char *nl = memchr(buf + used, '\n', (size_t)n - used);

			if (!nl)
				break;
			take_line(f, buf + used, (size_t)(nl - (buf + used)), &out);
			used = (size_t)(nl - buf) + 1;
		}
		if (used == 0) {
			/* not whole yet; one longer than the chunk is nobody's */
			if ((size_t)n < CHUNK)
				return;
			used = (size_t)n;
		}
		f->offset += used;
		connection_send(c, &out);
	}
}

void feed_pump_all(struct connection *c, struct feed *feeds)
{
	for (struct feed *f = feeds; f; f = f->next)
		pump(c, f);
}

void feed_pump_session(struct connection *c, struct feed *feeds, const struct session *s)
{
	for (struct feed *f = feeds; f; f = f->next)
		if (f->session == s)
			pump(c, f);
}

int feed_remove(struct feed **feeds, uint32_t number)
{
	for (struct feed **p = feeds; *p; p = &(*p)->next) {
		struct feed *f = *p;

		if (f->number != number)
			continue;
		*p = f->next;
		feed_free(f);
		return 0;
	}
	return -ENOENT;
}

void feed_forget_session(struct connection *c, struct feed **feeds, struct session *s)
{
	for (struct feed **p = feeds; *p;) {
		struct feed *f = *p;

		if (f->session != s) {
			p = &f->next;
			continue;
		}
		pump(c, f);
		*p = f->next;
		feed_free(f);
	}
}

void feed_free_all(struct feed **feeds)
{
	while (*feeds) {
		struct feed *f = *feeds;

		*feeds = f->next;
		feed_free(f);
	}
}
