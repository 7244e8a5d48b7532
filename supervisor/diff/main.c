// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/diff/main.c - glovebox-diff: compares files for the supervisor.
 *
 * Started without privileges, with a socket as standard input. It is a program of
 * its own so that the library that takes file contents apart is in no other. Each
 * request is served by a child with limits: a file that is made to cost, costs
 * that child.
 */
#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/differ.h"

/* A file above this is named, and not shown: nobody reads such a diff. */
#define SHOW_MAX (8u << 20)
#define CPU_SECONDS 10
#define MEMORY_MAX (1ul << 30)

struct output {
	struct text t;
	bool is_safe;
};

struct content {
	char *data;
	size_t size;
};

static int read_whole(int fd, struct content *ret)
{
	struct stat st = { 0 };

	*ret = (struct content){ 0 };
	if (fd >= 0 && fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > (off_t)SHOW_MAX)
		return -E2BIG;
	ret->data = calloc(1, (size_t)st.st_size + 1);
	while (ret->data && fd >= 0 && ret->size < (size_t)st.st_size) {
		ssize_t n = pread(fd, ret->data + ret->size, (size_t)st.st_size - ret->size,
				  (off_t)ret->size);

		if (n <= 0)
			break;
		ret->size += (size_t)n;
	}
	return ret->data ? 0 : -ENOMEM;
}

/* A patch must stay a patch; for a terminal controls are escaped. */
static void add_line(struct output *o, const char *content, size_t n)
{
	if (!o->is_safe) {
		text_add_n(&o->t, content, n);
		return;
	}
	for (size_t i = 0; i < n;) {
		size_t part = 0;

		while (i + part < n && content[i + part] != '\n' && content[i + part] != '\t')
			part++;
		text_add_safe(&o->t, content + i, part);
		i += part;
		if (i < n)
			text_add_n(&o->t, content + i++, 1);
	}
}

static int print_line(const git_diff_delta *d, const git_diff_hunk *h, const git_diff_line *l,
		      void *context)
{
	struct output *o = context;
	char origin = l->origin;

	(void)d;
	(void)h;
	if (origin == GIT_DIFF_LINE_FILE_HDR || origin == GIT_DIFF_LINE_BINARY)
		return 0;
	if (origin == GIT_DIFF_LINE_ADDITION || origin == GIT_DIFF_LINE_DELETION ||
	    origin == GIT_DIFF_LINE_CONTEXT)
		text_add_n(&o->t, &origin, 1);
	add_line(o, l->content, l->content_len);
	return 0;
}

static void add_head(struct output *o, const struct differ_request *q)
{
	text_add(&o->t, q->has_old ? "--- a/" : "--- /dev/null");
	if (q->has_old)
		text_add_safe(&o->t, q->path, strlen(q->path));
	text_add(&o->t, q->has_new ? "\n+++ b/" : "\n+++ /dev/null");
	if (q->has_new)
		text_add_safe(&o->t, q->path, strlen(q->path));
	text_add(&o->t, "\n");
}

static void add_note(struct output *o, const struct differ_request *q, const char *what)
{
	text_printf(&o->t, "%s ", what);
	text_add_safe(&o->t, q->path, strlen(q->path));
	text_add(&o->t, "\n");
}

static int make_patch(const struct content *a, const struct content *b, git_patch **ret)
{
	git_diff_options options;

	(void)git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	return git_patch_from_buffers(ret, a->data, a->size, "a", b->data, b->size, "b", &options) <
			       0
		       ? -EIO
		       : 0;
}

static int diff(const struct differ_request *q, int old, int now, struct output *o,
		uint32_t *ret_hunks)
{
	struct content a, b;
	git_patch *patch = NULL;
	int r;

	r = read_whole(old, &a);
	if (r == 0)
		r = read_whole(now, &b);
	if (r == -E2BIG) {
		add_note(o, q, "large file");
		return 0;
	}
	if (r == 0)
		r = make_patch(&a, &b, &patch);
	if (r < 0)
		return r;
	if (a.size == b.size && memcmp(a.data, b.data, a.size) == 0) {
		add_note(o, q, q->has_old && q->has_new ? "same content" : "empty file");
	} else if (git_patch_get_delta(patch)->flags & GIT_DIFF_FLAG_BINARY) {
		add_note(o, q, "binary file");
	} else {
		add_head(o, q);
		(void)git_patch_print(patch, print_line, o);
		*ret_hunks = (uint32_t)git_patch_num_hunks(patch);
	}
	git_patch_free(patch);
	return 0;
}

static bool is_chosen(const struct differ_request *q, size_t number)
{
	for (uint32_t i = 0; i < q->hunk_count && i < DIFFER_HUNKS_MAX; i++)
		if (q->hunks[i] == number)
			return true;
	return false;
}

/* Lines of the old content up to line `to` (from 1, not included). */
static const char *copy_lines(const struct content *a, const char *at, size_t *line, size_t to,
			      struct output *o)
{
	const char *end = a->data + a->size;

	for (; *line < to && at < end; (*line)++) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = nl ? (size_t)(nl + 1 - at) : (size_t)(end - at);

		text_add_n(&o->t, at, n);
		at += n;
	}
	return at;
}

/* One hunk: its own lines when it is chosen, what was there otherwise. */
static int add_hunk(git_patch *patch, size_t index, bool chosen, struct output *o)
{
	int lines = git_patch_num_lines_in_hunk(patch, index);

	for (int i = 0; i < lines; i++) {
		const git_diff_line *l;

		if (git_patch_get_line_in_hunk(&l, patch, index, (size_t)i) < 0)
			return -EIO;
		if (l->origin == GIT_DIFF_LINE_CONTEXT ||
		    l->origin == (chosen ? GIT_DIFF_LINE_ADDITION : GIT_DIFF_LINE_DELETION))
			text_add_n(&o->t, l->content, l->content_len);
	}
	return 0;
}

static int apply_hunks(const struct differ_request *q, git_patch *patch, const struct content *a,
		       struct output *o)
{
	size_t count = git_patch_num_hunks(patch);
	const char *at = a->data;
	size_t line = 1;
	int r = 0;

	for (uint32_t i = 0; i < q->hunk_count; i++)
		if (q->hunks[i] == 0 || q->hunks[i] > count)
			return -ERANGE;
	for (size_t i = 0; r == 0 && i < count; i++) {
		const git_diff_hunk *h;
		size_t lines, start;

		if (git_patch_get_hunk(&h, &lines, patch, i) < 0)
			return -EIO;
		/* a hunk that only adds begins behind its old line */
		start = (size_t)h->old_start + (h->old_lines == 0);
		at = copy_lines(a, at, &line, start, o);
		r = add_hunk(patch, i, is_chosen(q, i + 1), o);
		/* and its old lines are passed over */
		for (int n = 0; n < h->old_lines; n++) {
			const char *nl = memchr(at, '\n', (size_t)(a->data + a->size - at));

			at = nl ? nl + 1 : a->data + a->size;
			line++;
		}
	}
	text_add_n(&o->t, at, (size_t)(a->data + a->size - at));
	return r;
}

static int hunks(const struct differ_request *q, int old, int now, struct output *o,
		 uint32_t *ret_hunks)
{
	struct content a, b;
	git_patch *patch = NULL;
	int r;

	r = read_whole(old, &a);
	if (r == 0)
		r = read_whole(now, &b);
	if (r == 0)
		r = make_patch(&a, &b, &patch);
	if (r < 0)
		return r;
	*ret_hunks = (uint32_t)git_patch_num_hunks(patch);
	if (git_patch_get_delta(patch)->flags & GIT_DIFF_FLAG_BINARY)
		r = -ENOTSUP;
	else
		r = apply_hunks(q, patch, &a, o);
	git_patch_free(patch);
	return r;
}

static void serve(const struct differ_request *q, const int *fds, unsigned int count)
{
	const struct rlimit cpu = { CPU_SECONDS, CPU_SECONDS };
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };
	unsigned int next = 0;
	int old = q->has_old && next < count ? fds[next++] : -1;
	int now = q->has_new && next < count ? fds[next++] : -1;
	int answer = next < count ? fds[next] : -1;
	struct differ_reply reply = { .error = -EINVAL };
	struct output o = { .is_safe = q->is_safe };

	(void)setrlimit(RLIMIT_CPU, &cpu);
	(void)setrlimit(RLIMIT_AS, &memory);
	(void)git_libgit2_init();
	if (answer >= 0 && q->path[DIFFER_PATH_MAX - 1] == '\0')
		reply.error = q->verb == DIFFER_HUNKS ? hunks(q, old, now, &o, &reply.hunks)
						      : diff(q, old, now, &o, &reply.hunks);
	if (reply.error == 0 && o.t.failed)
		reply.error = -ENOMEM;
	if (reply.error == 0 && o.t.len > 0)
		reply.error = io_write_all(answer, o.t.at, o.t.len);
	(void)io_send(0, &reply, sizeof(reply), NULL, 0);
}

int main(void)
{
	struct differ_request q;
	int fds[IO_FDS_MAX];
	unsigned int count;

	if (isatty(0)) {
		(void)fputs("glovebox-diff is started by glovebox\n", stderr);
		return 2;
	}
	while (io_recv(0, &q, sizeof(q), fds, &count) == 1) {
		struct differ_reply reply = { .error = -EOVERFLOW };
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			serve(&q, fds, count);
			_exit(0);
		}
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
		/* one that was ended by a limit has not answered */
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 0)
			(void)io_send(0, &reply, sizeof(reply), NULL, 0);
	}
	return 0;
}
