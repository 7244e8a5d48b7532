// SPDX-License-Identifier: Apache-2.0
/* tools/tool.c - what the file tools share: input, files put in place whole, walks. */
#include "tools/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A longer line is cut when it is shown: it is no text that anybody reads. */
#define LINE_SHOWN 2000

int tool_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return 1;
}

const char *tool_text(const json_t *input, const char *key, const char *fallback)
{
	const char *v = json_string_value(json_object_get(input, key));

	return v ? v : fallback;
}

long tool_number(const json_t *input, const char *key, long fallback)
{
	const json_t *v = json_object_get(input, key);

	return json_is_number(v) ? (long)json_number_value(v) : fallback;
}

bool tool_flag(const json_t *input, const char *key)
{
	return json_is_true(json_object_get(input, key));
}

void bytes_add(struct bytes *b, const char *data, size_t n)
{
	if (b->len + n + 1 > b->room) {
		size_t room = (b->len + n + 1) * 2;
		char *more = realloc(b->at, room);

		if (!more) {
			(void)tool_fail("out of memory");
			exit(1);
		}
		b->at = more;
		b->room = room;
	}
	memcpy(b->at + b->len, data, n);
	b->len += n;
	b->at[b->len] = '\0';
}

void bytes_add_text(struct bytes *b, const char *text)
{
	bytes_add(b, text, strlen(text));
}

void bytes_done(struct bytes *b)
{
	free(b->at);
	*b = (struct bytes){ 0 };
}

/* --- files -------------------------------------------------------------------- */

int tool_read(const char *path, struct bytes *ret)
{
	/* O_NONBLOCK: a FIFO nobody writes does not hold us */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char buf[65536];
	struct stat st;
	ssize_t n = 0;
	int r = 0;

	*ret = (struct bytes){ 0 };
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -ENODEV;
	bytes_add(ret, "", 0);
	while (r == 0 && (n = read(fd, buf, sizeof(buf))) > 0) {
		bytes_add(ret, buf, (size_t)n);
		if (ret->len > TOOL_FILE_MAX)
			r = -EFBIG;
	}
	if (r == 0 && n < 0)
		r = -errno;
	(void)close(fd);
	if (r < 0)
		bytes_done(ret);
	return r;
}

int tool_fail_read(const char *path, int error)
{
	char cwd[PATH_MAX];

	if (error == -EISDIR)
		return tool_fail("%s is a directory, not a file", path);
	if (error == -ENODEV)
		return tool_fail("%s is neither a file nor a directory", path);
	if (error == -EFBIG)
		return tool_fail("%s is larger than %u MiB: look at parts of it with a command",
				 path, TOOL_FILE_MAX >> 20);
	if (error == -ENOENT && path[0] != '/' && getcwd(cwd, sizeof(cwd)))
		return tool_fail("%s does not exist (looked in %s)", path, cwd);
	if (error == -ENOENT)
		return tool_fail("%s does not exist", path);
	return tool_fail("%s: %s", path, strerror(-error));
}

bool tool_is_text(const struct bytes *b)
{
	return memchr(b->at, '\0', b->len) == NULL;
}

static int make_parents(const char *path)
{
	char *copy = strdup(path);
	int r = copy ? 0 : -ENOMEM;

	for (char *p = copy ? strchr(copy + 1, '/') : NULL; p && r == 0; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, 0777) < 0 && errno != EEXIST)
			r = -errno;
		*p = '/';
	}
	free(copy);
	return r;
}

static int fill(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, data, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		data += w;
		n -= (size_t)w;
	}
	return 0;
}

int tool_stage(const char *path, const char *data, size_t n, struct staged *ret)
{
	char *real = realpath(path, NULL); /* a link stays one: what it names is replaced */
	struct stat st;
	bool is_there;
	int fd, r;

	*ret = (struct staged){ .path = real ? real : strdup(path) };
	is_there = ret->path && stat(ret->path, &st) == 0;
	if (!ret->path || (is_there && !S_ISREG(st.st_mode)))
		return !ret->path ? -ENOMEM : S_ISDIR(st.st_mode) ? -EISDIR : -ENODEV;
	if (is_there && access(ret->path, W_OK) < 0)
		return -errno; /* a rename would go around its mode */
	r = is_there ? 0 : make_parents(ret->path);
	if (r < 0)
		return r;
	if (asprintf(&ret->beside, "%s.glovebox-XXXXXX", ret->path) < 0) {
		ret->beside = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(ret->beside, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		free(ret->beside);
		ret->beside = NULL;
		return r;
	}
	r = fill(fd, data, n);
	if (r == 0) {
		mode_t mask = umask(0);

		(void)umask(mask);
		if (fchmod(fd, is_there ? st.st_mode & 07777 : 0666 & ~mask) < 0)
			r = -errno;
	}
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int tool_put(struct staged *s)
{
	if (rename(s->beside, s->path) < 0)
		return -errno;
	free(s->beside);
	s->beside = NULL;
	return 0;
}

void tool_unstage(struct staged *s)
{
	if (s->beside)
		(void)unlink(s->beside);
	free(s->beside);
	free(s->path);
	*s = (struct staged){ 0 };
}

int tool_write(const char *path, const char *data, size_t n)
{
	struct staged s;
	int r = tool_stage(path, data, n, &s);

	if (r == 0)
		r = tool_put(&s);
	tool_unstage(&s);
	if (r == 0)
		return 0;
	if (r == -EISDIR || r == -ENODEV)
		return tool_fail_read(path, r);
	return tool_fail("%s was not written: %s", path, strerror(-r));
}

/* --- lines ---------------------------------------------------------------------- */

size_t tool_lines(const struct bytes *b, const char ***ret_at)
{
	const char **at = NULL;
	size_t n = 0, room = 0;

	for (const char *p = b->at; p < b->at + b->len;) {
		const char *nl = memchr(p, '\n', (size_t)(b->at + b->len - p));

		if (n + 1 >= room) {
			const char **more;

			room = room ? room * 2 : 256;
			more = realloc(at, room * sizeof(*more));
			if (!more) {
				(void)tool_fail("out of memory");
				exit(1);
			}
			at = more;
		}
		at[n++] = p;
		p = nl ? nl + 1 : b->at + b->len;
	}
	*ret_at = at;
	return n;
}

void tool_print_numbered(const struct bytes *b, size_t from, size_t to)
{
	const char **at;
	size_t n = tool_lines(b, &at);

	for (size_t i = from; i <= to && i <= n; i++) {
		const char *end = i < n ? at[i] : b->at + b->len;
		size_t len = (size_t)(end - at[i - 1]);

		if (len > 0 && at[i - 1][len - 1] == '\n')
			len--;
		(void)printf("%6zu\t", i);
		(void)fwrite(at[i - 1], 1, len > LINE_SHOWN ? LINE_SHOWN : len, stdout);
		if (len > LINE_SHOWN)
			(void)printf(" [%zu more bytes]", len - LINE_SHOWN);
		(void)putchar('\n');
	}
	free(at);
}

/* --- walk ----------------------------------------------------------------------- */

struct walk {
	tool_walk_fn fn;
	void *context;
	int depth;
	size_t count;
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static bool walk_into(struct walk *w, const char *dir, int depth)
{
	struct dirent **all;
	int n = scandir(dir, &all, not_dots, by_name);
	bool goes_on = true;

	for (int i = 0; i < n; i++) {
		char *path = NULL;
		struct stat st;

		if (goes_on &&
		    asprintf(&path, "%s%s%s", strcmp(dir, ".") == 0 ? "" : dir,
			     strcmp(dir, ".") == 0                   ? ""
			     : dir[0] && dir[strlen(dir) - 1] == '/' ? ""
								     : "/",
			     all[i]->d_name) > 0 &&
		    lstat(path, &st) == 0) {
			goes_on = ++w->count <= TOOL_WALK_MAX &&
				  w->fn(path, st.st_mode, depth, w->context);
			if (goes_on && S_ISDIR(st.st_mode) && depth < w->depth &&
			    strcmp(all[i]->d_name, ".git") != 0)
				goes_on = walk_into(w, path, depth + 1);
		}
		free(path);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	return goes_on;
}

int tool_walk(const char *top, int depth, tool_walk_fn fn, void *context)
{
	struct walk w = { fn, context, depth, 0 };
	struct stat st;

	if (stat(top, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (access(top, R_OK | X_OK) < 0)
		return -errno;
	(void)walk_into(&w, top, 1);
	return 0;
}

/* --- globs ------------------------------------------------------------------------ */

static bool match_one(const char *pattern, const char *name, size_t n)
{
	char copy[NAME_MAX + 1];

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, name, n);
	copy[n] = '\0';
	return fnmatch(pattern, copy, 0) == 0;
}

static bool match_parts(const char *pattern, const char *path)
{
	const char *slash = strchr(pattern, '/');
	size_t n = slash ? (size_t)(slash - pattern) : strlen(pattern);
	const char *end = path + strcspn(path, "/");
	char part[NAME_MAX + 1];

	if (n == 2 && pattern[0] == '*' && pattern[1] == '*') {
		if (!slash)
			return true;
		for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
			if (match_parts(slash + 1, p))
				return true;
		return false;
	}
	if (n >= sizeof(part))
		return false;
	memcpy(part, pattern, n);
	part[n] = '\0';
	if (!match_one(part, path, (size_t)(end - path)))
		return false;
	if (!slash || !*end)
		return !slash && !*end;
	return match_parts(slash + 1, end + 1);
}

/* {a,b} by trying each; the braces of one level. */
bool tool_glob(const char *pattern, const char *path)
{
	const char *open = strchr(pattern, '{');
	const char *close = open ? strchr(open, '}') : NULL;
	bool matches = false;

	while (strncmp(pattern, "./", 2) == 0)
		pattern += 2;
	if (!close)
		return match_parts(pattern, path);
	for (const char *p = open + 1; p <= close && !matches;) {
		size_t n = strcspn(p, ",}");
		char *one = NULL;

		if (asprintf(&one, "%.*s%.*s%s", (int)(open - pattern), pattern, (int)n, p,
			     close + 1) >= 0)
			matches = tool_glob(one, path);
		free(one);
		p += n + 1;
	}
	return matches;
}
