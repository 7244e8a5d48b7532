// SPDX-License-Identifier: Apache-2.0
/*
 * tools/grep.c - a search in files: ripgrep where there is one, else our own walk
 * with POSIX extended expressions. Which one it was stands in the answer when the
 * expression could not be understood.
 */
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/tool.h"

/* Lines in one answer when nobody says how many. */
#define LINES_DEFAULT 500
#define LINE_MAX_SHOWN "400"
#define WORDS 24

static const char *const ripgreps[] = { "/usr/bin/rg", "/usr/local/bin/rg", "/bin/rg" };

struct wanted {
	const char *pattern, *path, *glob, *mode;
	bool ignores_case;
	long context, limit;
};

/* --- ripgrep -------------------------------------------------------------------- */

/* Its output, through a pipe, cut after `limit` lines. Only fails to come back when
 * there is no ripgrep here. */
static int run_ripgrep(const struct wanted *w, const char *program)
{
	char *argv[WORDS], context[32];
	char *line = NULL;
	size_t room = 0, n = 0;
	long shown = 0;
	int pipefd[2], a = 0, status = 0;
	pid_t pid;
	FILE *out;

	argv[a++] = (char *)program;
	argv[a++] = "--color=never";
	argv[a++] = "--no-heading";
	argv[a++] = "--no-config";
	argv[a++] = "--sort=path";
	argv[a++] = "--max-columns=" LINE_MAX_SHOWN;
	argv[a++] = "--max-columns-preview";
	argv[a++] = strcmp(w->mode, "files_with_matches") == 0 ? "--files-with-matches"
		    : strcmp(w->mode, "count") == 0            ? "--count-matches"
							       : "--line-number";
	argv[a++] = "--with-filename";
	if (w->ignores_case)
		argv[a++] = "--ignore-case";
	if (w->context > 0) {
		(void)snprintf(context, sizeof(context), "--context=%ld", w->context);
		argv[a++] = context;
	}
	if (w->glob) {
		argv[a++] = "--glob";
		argv[a++] = (char *)w->glob;
	}
	argv[a++] = "--regexp";
	argv[a++] = (char *)w->pattern;
	argv[a++] = "--";
	argv[a++] = (char *)w->path;
	argv[a] = NULL;
	if (pipe(pipefd) < 0)
		return tool_fail("no pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return tool_fail("no process: %s", strerror(errno));
	if (pid == 0) {
		(void)dup2(pipefd[1], 1);
		(void)close(pipefd[0]);
		(void)close(pipefd[1]);
		(void)execv(program, argv);
		_exit(127);
	}
	(void)close(pipefd[1]);
	out = fdopen(pipefd[0], "r");
	while (out && getline(&line, &room, out) > 0) {
		if (n++ < (size_t)w->limit) {
			(void)fputs(strncmp(line, "./", 2) == 0 ? line + 2 : line, stdout);
			shown++;
		}
	}
	free(line);
	if (out)
		(void)fclose(out);
	(void)waitpid(pid, &status, 0);
	if (n > (size_t)shown)
		(void)printf("[%zu more lines: narrow the search, or raise head_limit]\n",
			     n - (size_t)shown);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1 && n == 0)
		(void)puts("No matches found");
	return WIFEXITED(status) && WEXITSTATUS(status) < 2 ? 0 : 1;
}

/* --- our own ----------------------------------------------------------------------- */

struct search {
	const struct wanted *w;
	size_t skip;
	regex_t re;
	size_t matches, more;
};

static void print_line(struct search *s, const char *path, size_t number, const char *line,
		       char mark)
{
	if (s->matches >= (size_t)s->w->limit) {
		s->more++;
		return;
	}
	(void)printf("%s%c%zu%c%.400s\n", path, mark, number, mark, line);
	s->matches++;
}

static void search_lines(struct search *s, const char *path, struct bytes *b)
{
	const char **at;
	size_t n = tool_lines(b, &at), count = 0, told = 0;

	for (size_t i = 0; i < n; i++) {
		char *end = i + 1 < n ? (char *)at[i + 1] - 1 : b->at + b->len;

		if (*end == '\n')
			*end = '\0';
		else if (i + 1 == n && end > at[i] && end[-1] == '\n')
			end[-1] = '\0';
	}
	for (size_t i = 0; i < n; i++) {
		size_t from, to;

		if (regexec(&s->re, at[i], 0, NULL, 0) != 0)
			continue;
		count++;
		if (strcmp(s->w->mode, "content") != 0)
			continue;
		from = i > (size_t)s->w->context ? i - (size_t)s->w->context : 0;
		to = i + (size_t)s->w->context;
		for (size_t k = from > told ? from : told; k < n && k <= to; k++)
			print_line(s, path, k + 1, at[k],
				   regexec(&s->re, at[k], 0, NULL, 0) == 0 ? ':' : '-');
		told = to + 1;
	}
	free(at);
	if (count == 0 || strcmp(s->w->mode, "content") == 0)
		return;
	if (s->matches++ >= (size_t)s->w->limit)
		s->more++;
	else if (strcmp(s->w->mode, "count") == 0)
		(void)printf("%s:%zu\n", path, count);
	else
		(void)puts(path);
}

static bool search_file(const char *path, mode_t mode, int depth, void *context)
{
	struct search *s = context;
	const char *below = path + s->skip;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	struct bytes b;

	(void)depth;
	if (!S_ISREG(mode))
		return true;
	if (s->w->glob && !tool_glob(s->w->glob, strchr(s->w->glob, '/') ? below : name))
		return true;
	if (tool_read(path, &b) < 0)
		return true;
	if (tool_is_text(&b))
		search_lines(s, path, &b);
	bytes_done(&b);
	return true;
}

static int run_own(const struct wanted *w)
{
	struct search s = { .w = w };
	struct stat st;
	char why[256];
	int r;

	r = regcomp(&s.re, w->pattern,
		    REG_EXTENDED | REG_NOSUB | (w->ignores_case ? REG_ICASE : 0));
	if (r != 0) {
		(void)regerror(r, &s.re, why, sizeof(why));
		return tool_fail("the pattern is no POSIX extended expression (there is no "
				 "ripgrep here): %s",
				 why);
	}
	if (strcmp(w->path, ".") != 0)
		s.skip = strlen(w->path) + (w->path[strlen(w->path) - 1] != '/');
	if (stat(w->path, &st) == 0 && S_ISREG(st.st_mode)) {
		s.skip = 0;
		(void)search_file(w->path, st.st_mode, 0, &s);
		r = 0;
	} else {
		r = tool_walk(w->path, TOOL_WALK_DEPTH, search_file, &s);
	}
	regfree(&s.re);
	if (r < 0)
		return tool_fail_read(w->path, r);
	if (s.matches == 0)
		(void)puts("No matches found");
	if (s.more > 0)
		(void)printf("[%zu more lines: narrow the search, or raise head_limit]\n", s.more);
	return 0;
}

int tool_grep(const json_t *input)
{
	struct wanted w = {
		.pattern = tool_text(input, "pattern", ""),
		.path = tool_text(input, "path", "."),
		.glob = tool_text(input, "glob", NULL),
		.mode = tool_text(input, "output_mode", "content"),
		.ignores_case = tool_flag(input, "ignore_case"),
		.context = tool_number(input, "context", 0),
		.limit = tool_number(input, "head_limit", LINES_DEFAULT),
	};

	if (w.path[0] == '\0')
		w.path = ".";
	if (access(w.path, F_OK) < 0)
		return tool_fail_read(w.path, -errno);
	(void)fflush(stdout);
	for (size_t i = 0; i < sizeof(ripgreps) / sizeof(ripgreps[0]); i++)
		if (access(ripgreps[i], X_OK) == 0)
			return run_ripgrep(&w, ripgreps[i]);
	return run_own(&w);
}
