// SPDX-License-Identifier: Apache-2.0
/* tools/files.c - read_file, write_file, list_dir, glob. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/tool.h"

/* Lines in one answer when nobody says how many. */
#define LINES_DEFAULT 2000
#define ENTRIES_MAX 2000

int tool_read_file(const json_t *input)
{
	const char *path = tool_text(input, "path", "");
	long offset = tool_number(input, "offset", 1);
	long limit = tool_number(input, "limit", LINES_DEFAULT);
	const char **at;
	struct bytes b;
	size_t lines, from, to;
	int r = tool_read(path, &b);

	if (r < 0)
		return tool_fail_read(path, r);
	if (!tool_is_text(&b)) {
		(void)printf("%s is binary: %zu bytes\n", path, b.len);
		bytes_done(&b);
		return 0;
	}
	lines = tool_lines(&b, &at);
	free(at);
	from = (size_t)(offset < 1 ? 1 : offset);
	to = from + (size_t)(limit < 1 ? 1 : limit) - 1;
	if (lines == 0)
		(void)printf("%s is empty\n", path);
	else if (from > lines)
		r = tool_fail("%s has only %zu lines", path, lines);
	tool_print_numbered(&b, from, to);
	if (to < lines)
		(void)printf("[%zu more lines; go on with offset %zu]\n", lines - to, to + 1);
	bytes_done(&b);
	return r;
}

int tool_write_file(const json_t *input)
{
	const char *path = tool_text(input, "path", "");
	const json_t *content = json_object_get(input, "content");
	size_t n = json_string_length(content);
	struct stat st;
	bool was_there = stat(path, &st) == 0;

	if (path[0] == '\0')
		return tool_fail("path is empty");
	if (tool_write(path, json_string_value(content), n) != 0)
		return 1;
	(void)printf("%s %s: %zu bytes\n", was_there ? "Overwrote" : "Created", path, n);
	return 0;
}

struct listing {
	const char *top;
	size_t count;
	bool has_hidden; /* shows names that begin with a dot */
};

static bool print_entry(const char *path, mode_t mode, int depth, void *context)
{
	struct listing *l = context;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	if (l->count++ >= ENTRIES_MAX)
		return false;
	(void)printf("%*s%s%s\n", 2 * (depth - 1), "", name,
		     S_ISDIR(mode)    ? "/"
		     : S_ISLNK(mode)  ? "@"
		     : S_ISFIFO(mode) ? "|"
		     : S_ISSOCK(mode) ? "="
		     : mode & 0111    ? "*"
				      : "");
	return true;
}

int tool_list_dir(const json_t *input)
{
	const char *path = tool_text(input, "path", ".");
	long depth = tool_number(input, "depth", 1);
	struct listing l = { .top = path };
	int r;

	depth = depth < 1 ? 1 : depth > TOOL_WALK_DEPTH ? TOOL_WALK_DEPTH : depth;
	r = tool_walk(path, (int)depth, print_entry, &l);
	if (r == -ENOTDIR)
		return tool_fail("%s is a file, not a directory", path);
	if (r < 0)
		return tool_fail_read(path, r);
	if (l.count == 0)
		(void)printf("%s is empty\n", path);
	if (l.count > ENTRIES_MAX)
		(void)printf("[only the first %d entries: list a directory below]\n", ENTRIES_MAX);
	return 0;
}

/* --- glob ------------------------------------------------------------------------ */

struct found {
	struct timespec when;
	char *path;
};

struct globbing {
	const char *pattern;
	size_t skip; /* of a path: the directory it is matched below */
	struct found *at;
	size_t count;
};

static bool take_match(const char *path, mode_t mode, int depth, void *context)
{
	struct globbing *g = context;
	struct found *more;
	struct stat st;

	(void)depth;
	if (S_ISDIR(mode) || !tool_glob(g->pattern, path + g->skip) || lstat(path, &st) < 0)
		return true;
	more = realloc(g->at, (g->count + 1) * sizeof(*more));
	if (!more)
		return false;
	g->at = more;
	more[g->count] = (struct found){ st.st_mtim, strdup(path) };
	return more[g->count++].path != NULL;
}

static int newest_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->when.tv_sec != y->when.tv_sec)
		return x->when.tv_sec < y->when.tv_sec ? 1 : -1;
	if (x->when.tv_nsec != y->when.tv_nsec)
		return x->when.tv_nsec < y->when.tv_nsec ? 1 : -1;
	return strcmp(x->path, y->path);
}

int tool_glob_files(const json_t *input)
{
	const char *path = tool_text(input, "path", ".");
	struct globbing g = { .pattern = tool_text(input, "pattern", "") };
	int r;

	if (strcmp(path, ".") != 0)
		g.skip = strlen(path) + (path[0] && path[strlen(path) - 1] != '/');
	if (g.pattern[0] == '/')
		return tool_fail("pattern is relative; give the directory as path");
	r = tool_walk(path, TOOL_WALK_DEPTH, take_match, &g);
	if (r < 0)
		return r == -ENOTDIR ? tool_fail("%s is a file, not a directory", path)
				     : tool_fail_read(path, r);
	if (g.count > 0)
		qsort(g.at, g.count, sizeof(*g.at), newest_first);
	else
		(void)printf("No files match %s\n", g.pattern);
	for (size_t i = 0; i < g.count; i++) {
		if (i < ENTRIES_MAX)
			(void)puts(g.at[i].path);
		free(g.at[i].path);
	}
	if (g.count > ENTRIES_MAX)
		(void)printf("[%zu more: narrow the pattern]\n", g.count - ENTRIES_MAX);
	free(g.at);
	return 0;
}
