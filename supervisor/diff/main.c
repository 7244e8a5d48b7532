// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/diff/main.c - glovebox-diff SOCKET SESSION: a unified diff.
 *
 * Started by `glovebox diff`, without privileges, with the warden's socket. It
 * is a program of its own so that the library that reads file contents is in
 * no other. Names are escaped, so that no file name can act on a terminal.
 */
#include <errno.h>
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/changes.h"

/* A file above this is named, and not shown: nobody reads such a diff. */
#define SHOW_MAX (8u << 20)

static char *read_whole(int fd, uint64_t size, size_t *ret_size)
{
	char *data = malloc(size + 1);
	size_t have = 0;

	while (data && fd >= 0 && have < size) {
		ssize_t n = pread(fd, data + have, size - have, (off_t)have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	*ret_size = have;
	return data;
}

/* Contents reach a terminal here: lines are shown with controls escaped, except
 * when the output is not a terminal (a patch must stay a patch). */
static int print_line(const git_diff_delta *d, const git_diff_hunk *h, const git_diff_line *l,
		      void *context)
{
	AUTO_TEXT t = { 0 };
	bool safe = *(bool *)context;
	size_t n = l->content_len;

	(void)d;
	(void)h;
	if (l->origin == GIT_DIFF_LINE_ADDITION || l->origin == GIT_DIFF_LINE_DELETION ||
	    l->origin == GIT_DIFF_LINE_CONTEXT)
		(void)putchar(l->origin);
	if (l->origin == GIT_DIFF_LINE_FILE_HDR || l->origin == GIT_DIFF_LINE_BINARY)
		return 0;
	if (!safe) {
		(void)fwrite(l->content, 1, n, stdout);
		return 0;
	}
	for (size_t i = 0; i < n;) {
		size_t part = strcspn(l->content + i, "\n\t");

		part = part > n - i ? n - i : part;
		text_add_safe(&t, l->content + i, part);
		i += part;
		if (i < n)
			text_add_n(&t, l->content + i++, 1);
	}
	if (t.at)
		(void)fwrite(t.at, 1, t.len, stdout);
	return 0;
}

static void print_head(const struct sb_change *raw, bool has_old, bool has_new)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, has_old ? "--- a/" : "--- /dev/null");
	if (has_old)
		text_add_safe(&t, raw->path, strlen(raw->path));
	text_add(&t, has_new ? "\n+++ b/" : "\n+++ /dev/null");
	if (has_new)
		text_add_safe(&t, raw->path, strlen(raw->path));
	(void)puts(t.at);
}

static void print_note(const struct sb_change *raw, const char *what, const char *more)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "%s ", what);
	text_add_safe(&t, raw->path, strlen(raw->path));
	if (more) {
		text_add(&t, " => ");
		text_add_safe(&t, more, strlen(more));
	}
	(void)puts(t.at);
}

static int show_file(const struct sb_change *raw, int old_fd, int new_fd, bool safe)
{
	size_t old_size = 0, new_size = 0;
	AUTO_MEM char *old_data = NULL;
	AUTO_MEM char *new_data = NULL;
	git_diff_options options;
	git_patch *patch = NULL;
	int r;

	if (raw->size > SHOW_MAX || raw->base_size > SHOW_MAX) {
		print_note(raw, "large file", NULL);
		return 0;
	}
	(void)git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	old_data = read_whole(old_fd, raw->base_size, &old_size);
	new_data = read_whole(new_fd, raw->size, &new_size);
	if (!old_data || !new_data)
		return -ENOMEM;
	r = git_patch_from_buffers(&patch, old_data, old_size, "a", new_data, new_size, "b",
				   &options);
	if (r < 0)
		return -EIO;
	if (old_size == new_size && memcmp(old_data, new_data, old_size) == 0) {
		if ((raw->mode & 07777) != (raw->base_mode & 07777) && raw->base_mode)
			print_note(raw, "mode changed", NULL);
		else if (!raw->base_mode)
			print_note(raw, "empty file", NULL);
	} else if (git_patch_get_delta(patch)->flags & GIT_DIFF_FLAG_BINARY) {
		print_note(raw, "binary file", NULL);
	} else {
		print_head(raw, old_fd >= 0, new_fd >= 0);
		(void)git_patch_print(patch, print_line, &safe);
	}
	git_patch_free(patch);
	return 0;
}

static int show(const struct sb_change *raw, int fd, int base_fd, void *context)
{
	bool safe = *(bool *)context;

	switch ((enum sb_change_kind)raw->kind) {
	case SB_CHANGE_FILE:
		return show_file(raw, base_fd, fd, safe);
	case SB_CHANGE_GONE:
		if (S_ISREG(raw->base_mode) && fd >= 0)
			return show_file(raw, fd, -1, safe);
		print_note(raw, "removed", NULL);
		return 0;
	case SB_CHANGE_DIR:
		print_note(raw, raw->base_mode ? "mode changed" : "directory", NULL);
		return 0;
	case SB_CHANGE_LINK:
		print_note(raw, "symlink", raw->target);
		return 0;
	case SB_CHANGE_SPECIAL:
		print_note(raw, "special file", NULL);
		return 0;
	case SB_CHANGE_UNREAD:
		print_note(raw, "unreadable", strerror(-raw->error));
		return 0;
	case SB_CHANGE_END:
		break;
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool safe = isatty(STDOUT_FILENO);
	int r;

	if (argc != 3) {
		(void)fputs("glovebox-diff is started by `glovebox diff SESSION`\n", stderr);
		return 2;
	}
	(void)git_libgit2_init();
	r = changes_walk(atoi(argv[1]), argv[2], 1, show, &safe);
	(void)git_libgit2_shutdown();
	if (r < 0) {
		(void)fprintf(stderr, "glovebox: the changes cannot be read: %s\n", strerror(-r));
		return 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
