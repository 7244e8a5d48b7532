// SPDX-License-Identifier: Apache-2.0
/*
 * tools/edit.c - str_replace_based_edit_tool: view, create, str_replace, insert.
 *
 * Names, shapes and sentences are those that models were trained with.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/tool.h"

/* Lines shown around a change. */
#define AROUND 4
/* Directories are shown to this depth, and so many entries. */
#define VIEW_DEPTH 2
#define VIEW_ENTRIES 2000

/* --- view ------------------------------------------------------------------------ */

static bool print_below(const char *path, mode_t mode, int depth, void *context)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t *count = context;

	(void)depth;
	if (name[0] == '.')
		return true;
	if (++*count > VIEW_ENTRIES)
		return false;
	(void)printf("%s%s\n", path, S_ISDIR(mode) ? "/" : "");
	return true;
}

static int view_directory(const char *path)
{
	size_t count = 0;
	int r;

	(void)printf("Here're the files and directories up to %d levels deep in %s, excluding "
		     "hidden items:\n%s\n",
		     VIEW_DEPTH, path, path);
	r = tool_walk(path, VIEW_DEPTH, print_below, &count);
	if (r < 0)
		return tool_fail_read(path, r);
	if (count > VIEW_ENTRIES)
		(void)printf("[only the first %d: view a directory below]\n", VIEW_ENTRIES);
	return 0;
}

static int view(const char *path, const json_t *input)
{
	const json_t *range = json_object_get(input, "view_range");
	const char **at;
	struct bytes b;
	size_t lines;
	long from = 1, to = -1;
	int r = tool_read(path, &b);

	if (r == -EISDIR && range)
		return tool_fail("The `view_range` parameter is not allowed when `path` points to "
				 "a directory.");
	if (r == -EISDIR)
		return view_directory(path);
	if (r < 0)
		return tool_fail_read(path, r);
	if (!tool_is_text(&b)) {
		r = tool_fail("%s is binary (%zu bytes): it cannot be viewed", path, b.len);
		bytes_done(&b);
		return r;
	}
	lines = tool_lines(&b, &at);
	free(at);
	if (range) {
		from = (long)json_number_value(json_array_get(range, 0));
		to = (long)json_number_value(json_array_get(range, 1));
	}
	if (range && (json_array_size(range) != 2 || from < 1 || from > (long)lines ||
		      (to != -1 && to < from))) {
		r = tool_fail("Invalid `view_range`: it is [first, last] with lines from 1 to %zu, "
			      "and last may be -1 for the end.",
			      lines);
	} else {
		(void)printf("Here's the content of %s with line numbers%s:\n", path,
			     lines == 0 ? " (it is empty)" : "");
		tool_print_numbered(&b, (size_t)from, to == -1 ? lines : (size_t)to);
	}
	bytes_done(&b);
	return r;
}

/* --- change ------------------------------------------------------------------------ */

static int create(const char *path, const json_t *input)
{
	const json_t *text = json_object_get(input, "file_text");
	struct stat st;
	bool was_there = stat(path, &st) == 0;

	if (!json_is_string(text))
		return tool_fail("Parameter `file_text` is required for command: create");
	if (tool_write(path, json_string_value(text), json_string_length(text)) != 0)
		return 1;
	(void)printf("File %s successfully at: %s\n", was_there ? "overwritten" : "created", path);
	return 0;
}

static size_t line_of(const struct bytes *b, const char *at)
{
	size_t n = 1;

	for (const char *p = b->at; p < at; p++)
		n += *p == '\n';
	return n;
}

static int read_text(const char *path, struct bytes *ret)
{
	int r = tool_read(path, ret);

	if (r < 0)
		return tool_fail_read(path, r);
	if (tool_is_text(ret))
		return 0;
	bytes_done(ret);
	return tool_fail("%s is binary: it cannot be edited as text", path);
}

static int put(const char *path, const struct bytes *now, size_t first, size_t last)
{
	if (tool_write(path, now->at, now->len) != 0)
		return 1;
	(void)printf("The file %s has been edited. Here's the result of running `cat -n` on a "
		     "snippet of it:\n",
		     path);
	tool_print_numbered(now, first > AROUND ? first - AROUND : 1, last + AROUND);
	return 0;
}

static int fail_many(const char *old, const struct bytes *b)
{
	struct bytes lines = { 0 };
	const char *p = b->at;
	int r;

	bytes_add(&lines, "", 0);
	while ((p = strstr(p, old))) {
		char number[32];

		(void)snprintf(number, sizeof(number), "%s%zu", lines.len ? ", " : "",
			       line_of(b, p));
		bytes_add_text(&lines, number);
		p += strlen(old);
	}
	r = tool_fail("No replacement was performed. Multiple occurrences of old_str in lines: "
		      "[%s]. Please ensure it is unique.",
		      lines.at);
	bytes_done(&lines);
	return r;
}

static int replace(const char *path, const json_t *input)
{
	const char *old = tool_text(input, "old_str", "");
	const char *new = tool_text(input, "new_str", "");
	struct bytes b, now = { 0 };
	const char *at;
	size_t first, last;
	int r;

	if (old[0] == '\0')
		return tool_fail("Parameter `old_str` is required for command: str_replace, and "
				 "must not be empty");
	if (read_text(path, &b) != 0)
		return 1;
	at = strstr(b.at, old);
	if (!at || strstr(at + 1, old)) {
		r = at ? fail_many(old, &b)
		       : tool_fail("No replacement was performed, old_str did not appear verbatim "
				   "in %s.",
				   path);
		bytes_done(&b);
		return r;
	}
	bytes_add(&now, b.at, (size_t)(at - b.at));
	bytes_add_text(&now, new);
	bytes_add(&now, at + strlen(old), b.len - (size_t)(at - b.at) - strlen(old));
	first = line_of(&b, at);
	last = first;
	for (const char *p = new; *p; p++)
		last += *p == '\n';
	r = put(path, &now, first, last);
	bytes_done(&b);
	bytes_done(&now);
	return r;
}

static int insert(const char *path, const json_t *input)
{
	/* older documents call it new_str */
	const char *text = tool_text(input, "insert_text", tool_text(input, "new_str", NULL));
	long line = tool_number(input, "insert_line", -1);
	struct bytes b, now = { 0 };
	const char **at;
	size_t lines, n, added = 1;
	int r;

	if (!text)
		return tool_fail("Parameter `insert_text` is required for command: insert");
	if (read_text(path, &b) != 0)
		return 1;
	lines = tool_lines(&b, &at);
	if (line < 0 || (size_t)line > lines) {
		r = tool_fail("Invalid `insert_line` parameter: %ld. It should be within the range "
			      "of lines of the file: [0, %zu]",
			      line, lines);
	} else {
		size_t cut = (size_t)line < lines ? (size_t)(at[line] - b.at) : b.len;

		bytes_add(&now, b.at, cut);
		if (cut > 0 && b.at[cut - 1] != '\n')
			bytes_add_text(&now, "\n");
		bytes_add_text(&now, text);
		n = strlen(text);
		/* what follows begins a line of its own */
		if (cut < b.len && (n == 0 || text[n - 1] != '\n'))
			bytes_add_text(&now, "\n");
		bytes_add(&now, b.at + cut, b.len - cut);
		for (const char *p = text; *p; p++)
			added += *p == '\n' && p[1];
		r = put(path, &now, (size_t)line + 1, (size_t)line + added);
	}
	free(at);
	bytes_done(&b);
	bytes_done(&now);
	return r;
}

int tool_edit(const json_t *input)
{
	static const struct {
		const char *name;
		int (*run)(const char *path, const json_t *input);
	} commands[] = {
		{ "view", view },
		{ "create", create },
		{ "str_replace", replace },
		{ "insert", insert },
	};
	const char *command = tool_text(input, "command", "");
	const char *path = tool_text(input, "path", "");

	if (path[0] == '\0')
		return tool_fail("Parameter `path` is empty");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, command) == 0)
			return commands[i].run(path, input);
	return tool_fail("Unrecognized command %s. The allowed commands are: view, create, "
			 "str_replace, insert",
			 command);
}
