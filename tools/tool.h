// SPDX-License-Identifier: Apache-2.0
/*
 * tools/tool.h - what the file tools share.
 *
 * They run inside the sandbox, as the agent's own user, on whatever files an agent
 * has made: nothing here may hang on a FIFO or a device, or end with half a file.
 * A tool gets its input as a JSON object on standard input, checked against its
 * manifest already. Text for the model goes to standard output; why it did not work
 * goes to standard error, with exit status 1.
 */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* A file that is edited or shown is held in memory. */
#define TOOL_FILE_MAX (64u << 20)
/* Names that a walk gives, and depth below where it begins. */
#define TOOL_WALK_MAX 1000000
#define TOOL_WALK_DEPTH 64

/* Says why, as one line. Always 1, to be returned. */
int tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Members of the input. `fallback` (may be NULL) when there is none. */
const char *tool_text(const json_t *input, const char *key, const char *fallback);
long tool_number(const json_t *input, const char *key, long fallback);
bool tool_flag(const json_t *input, const char *key);

/* Growing bytes. After a failed allocation the program ends: nothing is half done,
 * because files are put in place whole. */
struct bytes {
	char *at;
	size_t len, room;
};
void bytes_add(struct bytes *b, const char *data, size_t n);
void bytes_add_text(struct bytes *b, const char *text);
void bytes_done(struct bytes *b);

/* The content of a regular file, with a NUL behind it. 0 or -errno: -EISDIR, -EFBIG,
 * or -ENODEV when it is neither file nor directory. */
int tool_read(const char *path, struct bytes *ret);

/* Says why a path cannot be read, in words for a model. Always 1. */
int tool_fail_read(const char *path, int error);

/* Whether it looks like text: no NUL in it. */
bool tool_is_text(const struct bytes *b);

/*
 * A new content for a file, beside it under another name until it is put in place.
 * The mode of a file that is there is kept; links are followed, and what they point
 * at is what is replaced. Directories on the way are made.
 */
struct staged {
	char *path; /* where it goes; owned */
	char *beside; /* where it is; owned; NULL: nothing to put */
};
int tool_stage(const char *path, const char *data, size_t n, struct staged *ret);
/* 0 or -errno; on failure it is still staged. */
int tool_put(struct staged *s);
/* Frees; what was not put is removed. */
void tool_unstage(struct staged *s);

/* All of it at once. 0, or 1 after it has said why not. */
int tool_write(const char *path, const char *data, size_t n);

/* Line numbers from 1: where each line of a text begins. `count` is the number of
 * lines; a last line without a newline counts. The caller frees ret_at. */
size_t tool_lines(const struct bytes *b, const char ***ret_at);

/* Lines from..to as `cat -n` shows them; long ones are cut. */
void tool_print_numbered(const struct bytes *b, size_t from, size_t to);

/* Every file below `top`, in order of names; does not follow links, and does not go
 * into .git. `path` begins with `top`, unless that is ".". `fn` gives false to stop.
 * 0 or -errno of the top. */
typedef bool (*tool_walk_fn)(const char *path, mode_t mode, int depth, void *context);
int tool_walk(const char *top, int depth, tool_walk_fn fn, void *context);

/* Whether a path matches a glob with ** over directories, * and ? within a name,
 * and {a,b}. */
bool tool_glob(const char *pattern, const char *path);

/* The tools. Exit status. */
int tool_edit(const json_t *input);
int tool_patch(const json_t *input);
int tool_read_file(const json_t *input);
int tool_write_file(const json_t *input);
int tool_list_dir(const json_t *input);
int tool_glob_files(const json_t *input);
int tool_grep(const json_t *input);
int tool_bash(char **argv);

#endif
