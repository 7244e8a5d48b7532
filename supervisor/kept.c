// SPDX-License-Identifier: Apache-2.0
/* supervisor/kept.c - what is kept of a session that nobody runs, for commands. */
#include "supervisor/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/account.h"
#include "supervisor/feed.h"
#include "supervisor/place.h"

/* SESSION or SESSION.CALL: its directory, and the number or 0. */
static int find(const char *id, int *ret_dir, uint32_t *ret_number, struct text *why)
{
	AUTO_MEM char *session = strdup(id);
	char found[SB_ID_MAX];
	uint64_t number = 0;
	char *dot;
	int r;

	if (!session)
		return -ENOMEM;
	dot = strchr(session, '.');
	if (dot)
		*dot = '\0';
	if (dot && text_parse_count(dot + 1, 1, UINT32_MAX, &number) < 0) {
		why->len = 0;
		text_add(why, "a call is named SESSION.NUMBER, like s-4f7k2m9q1c.3");
		return -EINVAL;
	}
	/* what nobody runs may still be kept: only its own sentence counts */
	why->len = 0;
	r = place_find_session(session, found, why);
	if (r == 0)
		r = place_open_session(found, ret_dir);
	if (r == 0)
		*ret_number = (uint32_t)number;
	return r;
}

int kept_print_report(const char *id, struct text *why)
{
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	uint32_t number;
	char path[48];
	ssize_t got;
	int r;

	r = find(id, &dir, &number, why);
	if (r < 0)
		return r;
	account_path(number, false, path);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		r = -errno;
		text_printf(
			why,
			"the session is kept, and has no report of a call %u: it has not ended, or never was",
			number);
		return r;
	}
	do {
		char buf[16384];

		got = read(fd, buf, sizeof(buf));
		if (got > 0)
			(void)fwrite(buf, 1, (size_t)got, stdout);
	} while (got > 0 || (got < 0 && errno == EINTR));
	return got < 0 ? -errno : 0;
}

static int take_globs(const struct option_list *list, const char **to, uint32_t *ret_count)
{
	if (list->count > FEED_FILTERS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < list->count; i++)
		to[i] = list->at[i];
	*ret_count = (uint32_t)list->count;
	return 0;
}

static int print_lines(FILE *log, const struct feed_filter *filter, uint64_t from)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, log)) > 0) {
		unsigned long long seq = 0;

		(void)sscanf(line, "{\"seq\":%llu", &seq);
		n -= line[n - 1] == '\n';
		if (seq >= from && feed_passes(filter, line, (size_t)n) &&
		    (fwrite(line, 1, (size_t)n, stdout) < (size_t)n || putchar('\n') < 0))
			break;
	}
	free(line);
	return 0;
}

int kept_print_events(const char *id, uint64_t from, const struct option_list *kinds,
		      const struct option_list *paths, struct text *why)
{
	struct feed_filter filter = { 0 };
	uint32_t number;
	AUTO_FD dir = -1;
	FILE *log;
	int fd, r;

	r = take_globs(kinds, filter.kinds, &filter.kind_count);
	if (r == 0)
		r = take_globs(paths, filter.paths, &filter.path_count);
	if (r < 0) {
		why->len = 0;
		text_printf(why, "at most %d kinds and %d paths can be asked for", FEED_FILTERS_MAX,
			    FEED_FILTERS_MAX);
		return r;
	}
	r = find(id, &dir, &number, why);
	if (r < 0)
		return r;
	if (number > 0)
		filter.calls[filter.call_count++] = number;
	fd = openat(dir, "events/1.jsonl", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	log = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (!log) {
		r = -errno;
		text_add(why, "the session is kept, and has no events");
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	r = print_lines(log, &filter, from);
	(void)fclose(log);
	return r;
}
