// SPDX-License-Identifier: Apache-2.0
/* supervisor/options.h - the command line, from tables. */
#ifndef SUPERVISOR_OPTIONS_H
#define SUPERVISOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "supervisor/text.h"

enum option_kind {
	OPTION_BOOL, /* bool */
	OPTION_TEXT, /* const char * */
	OPTION_LIST, /* struct option_list, may be repeated */
	OPTION_COUNT, /* unsigned int: how often it was given */
	OPTION_END,
};

#define OPTION_LIST_MAX 256

struct option_list {
	const char *at[OPTION_LIST_MAX];
	size_t count;
};

/* One option: the parser, --help and the tests are made of the same rows. */
struct option_row {
	char letter; /* 0: none */
	const char *name;
	enum option_kind kind;
	size_t at; /* offset in the command's own struct */
	const char *value; /* its name in the help */
	const char *help;
};

/*
 * Parses argv[1..] into `into`. Stops at "--" or, with `stop_at_word`, at the
 * first word. *ret_rest is what is left. On failure `why` is one sentence.
 * 0, or -EINVAL.
 */
int options_parse(const struct option_row *rows, char **argv, bool stop_at_word, void *into,
		  char ***ret_rest, struct text *why);

/* The help of the rows, a line each. */
void options_help(const struct option_row *rows, struct text *out);

#endif
