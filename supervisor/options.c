// SPDX-License-Identifier: Apache-2.0
/* supervisor/options.c - the command line, from tables. */
#include "supervisor/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Rows of one command, for the nearest name. */
#define ROWS_MAX 64

static const struct option_row *find_row(const struct option_row *rows, const char *word,
					 const char **ret_value)
{
	size_t n = strcspn(word + 2, "=");

	*ret_value = NULL;
	if (word[1] != '-') {
		for (; rows->kind != OPTION_END; rows++)
			if (rows->letter && rows->letter == word[1] && word[2] == '\0')
				return rows;
		return NULL;
	}
	for (; rows->kind != OPTION_END; rows++)
		if (strncmp(rows->name, word + 2, n) == 0 && rows->name[n] == '\0') {
			if (word[2 + n] == '=')
				*ret_value = word + 3 + n;
			return rows;
		}
	return NULL;
}

static int fail_unknown(const struct option_row *rows, const char *word, struct text *why)
{
	const char *names[ROWS_MAX];
	const char *nearest;
	size_t n = 0;

	for (; rows->kind != OPTION_END && n < ROWS_MAX; rows++)
		names[n++] = rows->name;
	text_add(why, "unknown option \"");
	text_add_safe(why, word, strlen(word));
	text_add(why, "\"");
	nearest = text_nearest(word + strspn(word, "-"), names, n);
	if (nearest)
		text_printf(why, "; did you mean \"--%s\"?", nearest);
	else
		text_add(why, "; --help lists them");
	return -EINVAL;
}

static int store(const struct option_row *row, const char *value, void *into, struct text *why)
{
	char *at = (char *)into + row->at;
	struct option_list *list = (struct option_list *)at;

	switch (row->kind) {
	case OPTION_BOOL:
		*(bool *)at = true;
		return 0;
	case OPTION_COUNT:
		(*(unsigned int *)at)++;
		return 0;
	case OPTION_TEXT:
		*(const char **)at = value;
		return 0;
	case OPTION_LIST:
		if (list->count == OPTION_LIST_MAX) {
			text_printf(why, "--%s is given more than %d times", row->name,
				    OPTION_LIST_MAX);
			return -EINVAL;
		}
		list->at[list->count++] = value;
		return 0;
	case OPTION_END:
		break;
	}
	return -EINVAL;
}

static bool takes_value(const struct option_row *row)
{
	return row->kind == OPTION_TEXT || row->kind == OPTION_LIST;
}

int options_parse(const struct option_row *rows, char **argv, bool stop_at_word, void *into,
		  char ***ret_rest, struct text *why)
{
	char **words = argv + 1;
	char **in = argv + 1;

	while (*in) {
		const struct option_row *row;
		const char *value;
		int r;

		if (strcmp(*in, "--") == 0) {
			in++;
			break;
		}
		if ((*in)[0] != '-' || (*in)[1] == '\0') {
			if (stop_at_word)
				break;
			*words++ = *in++;
			continue;
		}
		row = find_row(rows, *in, &value);
		if (!row)
			return fail_unknown(rows, *in, why);
		if (value && !takes_value(row)) {
			text_printf(why, "--%s takes no value", row->name);
			return -EINVAL;
		}
		if (takes_value(row) && !value) {
			value = *++in;
			if (!value) {
				text_printf(why, "--%s needs a value: %s", row->name, row->value);
				return -EINVAL;
			}
		}
		in++;
		r = store(row, value, into, why);
		if (r < 0)
			return r;
	}
	while (*in)
		*words++ = *in++;
	*words = NULL;
	*ret_rest = argv + 1;
	return 0;
}

void options_help(const struct option_row *rows, struct text *out)
{
	for (; rows->kind != OPTION_END; rows++) {
		char name[64] = "";
		int n = 0;

		if (rows->letter)
			n = snprintf(name, sizeof(name), "-%c, ", rows->letter);
		(void)snprintf(name + n, sizeof(name) - (size_t)n, "--%s%s%s", rows->name,
			       rows->value ? " " : "", rows->value ? rows->value : "");
		text_printf(out, "  %-28s %s\n", name, rows->help);
	}
}
