// SPDX-License-Identifier: Apache-2.0
/* supervisor/trace.c - which system calls somebody wants to see whole, in strace's words. */
#include "supervisor/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
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

/* A word longer than any name and any class. */
#define WORD_MAX 64

/* Classes of few calls, as strace has them. */
static const struct {
	const char *name;
	const char *calls; /* one after the other, each with a blank behind it */
} lists[] = {
	{ "stat", "stat " },
	{ "lstat", "lstat " },
	{ "fstat", "fstat newfstatat statx " },
	{ "%stat", "stat lstat fstat newfstatat statx " },
	{ "statfs", "statfs " },
	{ "fstatfs", "fstatfs " },
	{ "%statfs", "statfs fstatfs ustat " },
	{ "pure", "getpid getppid gettid getuid geteuid getgid getegid getpgrp " },
};

static const struct trace_row rows[] = {
#include "supervisor/trace_table.h"
};

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

static bool put_list(struct trace_set *set, const char *name, bool on)
{
	const char *calls = NULL;
	char call[WORD_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (strcmp(lists[i].name, name) == 0)
			calls = lists[i].calls;
	for (const char *at = calls; at && *at; at = strchr(at, ' ') + 1) {
		(void)snprintf(call, sizeof(call), "%.*s", (int)strcspn(at, " "), at);
		put(set, profile_syscall_number(call), on);
	}
	return calls != NULL;
}

static void put_all(struct trace_set *set, bool on)
{
	memset(set, on ? 0xff : 0, sizeof(*set));
}

/* -1: it is no number that there is. */
static int number_of(const char *word)
{
	char *end;
	long nr = strtol(word, &end, 10);

	return word[0] >= '0' && word[0] <= '9' && !*end && nr < WATCH_SYSCALLS ? (int)nr : -1;
}

static bool put_word(struct trace_set *set, const char *word, bool on)
{
	int nr;

	/* strace's: no error where this machine has no such call */
	if (word[0] == '?' && word[1]) {
		(void)put_word(set, word + 1, on);
		return true;
	}
	if (word[0] == '%')
		return put_class(set, word + 1, on) || put_list(set, word + 1, on);
	if (strcmp(word, "all") == 0 || strcmp(word, "none") == 0) {
		put_all(set, (word[0] == 'a') == on);
		return true;
	}
	nr = profile_syscall_number(word);
	if (nr < 0)
		nr = number_of(word);
	if (nr >= 0 && nr < WATCH_SYSCALLS)
		put(set, nr, on);
	/* strace's older way to write a class */
	return nr >= 0 || put_class(set, word, on);
}

/* A name that was meant, or NULL. */
static const char *nearest(const char *word)
{
	const char *names[WATCH_SYSCALLS];
	size_t count = 0;

	for (size_t i = 0; word[0] == '%' && i < ARRAY_SIZE(classes); i++)
		names[count++] = classes[i].name;
	for (size_t i = 0; word[0] == '%' && i < ARRAY_SIZE(lists); i++)
		names[count++] = lists[i].name;
	if (word[0] == '%')
		return text_nearest(word + 1, names, count);
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		names[count++] = profile_syscall_name(nr);
	return text_nearest(word, names, count);
}

static void explain(const char *word, struct text *why)
{
	const char *meant = nearest(word);

	text_add(why, "\"");
	text_add_safe(why, word, strlen(word));
	text_add(why, "\" is no system call and no class");
	if (meant)
		text_printf(why, "; did you mean %s%s?", word[0] == '%' ? "%" : "", meant);
	text_add(why, meant ? " Names" : ". Names and classes are those of strace: ");
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		text_printf(why, "%%%s, ", classes[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		text_printf(why, "%%%s, ", lists[i].name);
	text_add(why, "all, none; !WORD leaves that word out");
}

/* The next word without the blanks around it. False: it is empty, or too long. */
static bool take_word(const char *at, size_t n, char word[WORD_MAX])
{
	while (n > 0 && *at == ' ') {
		at++;
		n--;
	}
	while (n > 0 && at[n - 1] == ' ')
		n--;
	if (n == 0 || n >= WORD_MAX)
		return false;
	memcpy(word, at, n);
	word[n] = '\0';
	return true;
}

int trace_parse(const char *words, struct trace_set *ret, struct text *why)
{
	static const char prefix[] = "trace=";
	struct trace_set set = { 0 };
	bool is_first = true;

	if (strncmp(words, prefix, sizeof(prefix) - 1) == 0)
		words += sizeof(prefix) - 1;
	for (const char *at = words;;) {
		size_t n;
		bool on = at[strspn(at, " ")] != '!';
		char word[WORD_MAX];

		at += strspn(at, " ") * (size_t)!on + (size_t)!on;
		n = strcspn(at, ",");
		if (!take_word(at, n, word)) {
			text_add(
				why,
				n >= WORD_MAX
					? "a word is longer than any name"
					: "a word is missing: it is a list like %file,openat,!stat");
			return -EINVAL;
		}
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

unsigned int trace_count(const struct trace_set *set)
{
	unsigned int n = 0;

	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		n += strncmp(profile_syscall_name(nr), "syscall_", 8) != 0 &&
		     (set->bits[nr >> 6] >> (nr & 63) & 1);
	return n;
}

bool trace_is_empty(const struct trace_set *set)
{
	for (size_t i = 0; i < ARRAY_SIZE(set->bits); i++)
		if (set->bits[i])
			return false;
	return true;
}
