// SPDX-License-Identifier: Apache-2.0
/* supervisor/trace.c - which system calls somebody wants to see whole, in strace's words. */
#include "supervisor/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/profile.h"

enum trace_class {
	TRACE_FILE = 1 << 0,
	TRACE_DESC = 1 << 1,
	TRACE_NETWORK = 1 << 2,
	TRACE_PROCESS = 1 << 3,
	TRACE_SIGNAL = 1 << 4,
	TRACE_IPC = 1 << 5,
	TRACE_MEMORY = 1 << 6,
	TRACE_CREDS = 1 << 7,
	TRACE_CLOCK = 1 << 8,
};

static const struct {
	const char *name;
	enum trace_class class;
} classes[] = {
	{ "file", TRACE_FILE },   { "desc", TRACE_DESC },       { "network", TRACE_NETWORK },
	{ "net", TRACE_NETWORK }, { "process", TRACE_PROCESS }, { "signal", TRACE_SIGNAL },
	{ "ipc", TRACE_IPC },     { "memory", TRACE_MEMORY },   { "creds", TRACE_CREDS },
	{ "clock", TRACE_CLOCK },
};

static const struct trace_row rows[] = {
#include "supervisor/trace_table.h"
};

/* A word longer than any name and any class. */
#define WORD_MAX 64

static const struct trace_row *by_number[WATCH_SYSCALLS];
static pthread_once_t filled = PTHREAD_ONCE_INIT;

static void fill(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int nr = profile_syscall_number(rows[i].name);

		if (nr >= 0 && nr < WATCH_SYSCALLS)
			by_number[nr] = &rows[i];
	}
}

const struct trace_row *trace_find(int nr)
{
	(void)pthread_once(&filled, fill);
	return nr >= 0 && nr < WATCH_SYSCALLS ? by_number[nr] : NULL;
}

void trace_fill(struct watch_shape shapes[WATCH_SYSCALLS])
{
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		const struct trace_row *row = trace_find(nr);
		struct watch_shape *s = &shapes[nr];

		if (!row || s->path || s->fd || s->flags || s->more)
			continue;
		s->path = row->shape.path;
		s->dir = row->shape.dir;
		s->path2 = row->shape.path2;
		s->dir2 = row->shape.dir2;
		s->fd = row->shape.fd;
	}
}

static void put(struct trace_set *set, int nr, bool on)
{
	uint64_t bit = 1ull << (nr & 63);

	if (on)
		set->bits[nr >> 6] |= bit;
	else
		set->bits[nr >> 6] &= ~bit;
}

static bool put_class(struct trace_set *set, const char *name, bool on)
{
	unsigned int class = 0;

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (strcmp(classes[i].name, name) == 0)
			class = classes[i].class;
	for (int nr = 0; class && nr < WATCH_SYSCALLS; nr++) {
		const struct trace_row *row = trace_find(nr);

		if (row && (row->classes & class))
			put(set, nr, on);
	}
	return class != 0;
}

static void put_all(struct trace_set *set, bool on)
{
	memset(set, on ? 0xff : 0, sizeof(*set));
}

static bool put_word(struct trace_set *set, const char *word, bool on)
{
	int nr;

	if (word[0] == '%')
		return put_class(set, word + 1, on);
	if (strcmp(word, "all") == 0 || strcmp(word, "none") == 0) {
		put_all(set, (word[0] == 'a') == on);
		return true;
	}
	nr = profile_syscall_number(word);
	if (nr >= 0 && nr < WATCH_SYSCALLS)
		put(set, nr, on);
	return nr >= 0;
}

static void explain(const char *word, struct text *why)
{
	text_add(why, "\"");
	text_add_safe(why, word, strlen(word));
	text_add(why, "\" is no system call and no class: names are those of strace, classes ");
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		text_printf(why, "%%%s, ", classes[i].name);
	text_add(why, "and there are all, none, and !WORD for \"without\"");
}

int trace_parse(const char *words, struct trace_set *ret, struct text *why)
{
	struct trace_set set = { 0 };
	bool is_first = true;

	for (const char *at = words;;) {
		size_t n = strcspn(at, ",");
		bool on = at[0] != '!';
		char word[WORD_MAX];

		if (n - !on >= sizeof(word) || n == (size_t)!on) {
			text_add(why, n == (size_t)!on ? "a word is missing between two commas"
						       : "a word is longer than any name");
			return -EINVAL;
		}
		memcpy(word, at + !on, n - !on);
		word[n - !on] = '\0';
		/* what begins with a "without" is without it of all */
		if (is_first && !on)
			put_all(&set, true);
		is_first = false;
		if (!put_word(&set, word, on)) {
			explain(word, why);
			return -EINVAL;
		}
		if (at[n] == '\0')
			break;
		at += n + 1;
	}
	*ret = set;
	return 0;
}

bool trace_is_empty(const struct trace_set *set)
{
	for (size_t i = 0; i < ARRAY_SIZE(set->bits); i++)
		if (set->bits[i])
			return false;
	return true;
}
