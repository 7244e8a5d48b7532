// SPDX-License-Identifier: Apache-2.0
/* supervisor/influence.c - which call of a session an other call's work came from. */
#include "supervisor/influence.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CELLS 64

struct influence_entry {
	struct influence_entry *next;
	uint32_t call;
	uint32_t len;
	char kind;
	char what[];
};

static uint64_t hash(char kind, const char *what, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ (unsigned char)kind;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)what[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

static struct influence_entry **find(const struct influence *b, char kind, const char *what,
				     size_t len)
{
	struct influence_entry **at;

	if (b->room == 0)
		return NULL;
	for (at = &b->cells[hash(kind, what, len) & (b->room - 1)]; *at; at = &(*at)->next)
		if ((*at)->kind == kind && (*at)->len == len && memcmp((*at)->what, what, len) == 0)
			return at;
	return NULL;
}

static void link_in(struct influence *b, struct influence_entry *e)
{
	struct influence_entry **cell = &b->cells[hash(e->kind, e->what, e->len) & (b->room - 1)];

	e->next = *cell;
	*cell = e;
}

static bool grow(struct influence *b)
{
	size_t room = b->room ? 2 * b->room : FIRST_CELLS;
	struct influence_entry **old = b->cells;
	size_t old_room = b->room;

	if (b->count < b->room)
		return true;
	b->cells = calloc(room, sizeof(struct influence_entry *));
	if (!b->cells) {
		b->cells = old;
		return b->room > 0;
	}
	b->room = room;
	for (size_t i = 0; i < old_room; i++)
		for (struct influence_entry *e = old[i], *next; e; e = next) {
			next = e->next;
			link_in(b, e);
		}
	free(old);
	return true;
}

void influence_set(struct influence *b, enum influence_kind kind, const char *what, size_t len,
		   uint32_t call)
{
	struct influence_entry **at = find(b, (char)kind, what, len);
	struct influence_entry *e;

	if (at) {
		(*at)->call = call;
		return;
	}
	e = b->count < INFLUENCE_ENTRIES && b->bytes + len <= INFLUENCE_BYTES && grow(b)
		    ? malloc(sizeof(*e) + len)
		    : NULL;
	if (!e) {
		b->is_cut = true;
		return;
	}
	*e = (struct influence_entry){ .call = call, .len = (uint32_t)len, .kind = (char)kind };
	memcpy(e->what, what, len);
	link_in(b, e);
	b->count++;
	b->bytes += len;
}

uint32_t influence_find(const struct influence *b, enum influence_kind kind, const char *what,
			size_t len)
{
	struct influence_entry **at = find(b, (char)kind, what, len);

	return at ? (*at)->call : 0;
}

static void drop(struct influence *b, struct influence_entry **at)
{
	struct influence_entry *e = *at;

	*at = e->next;
	b->count--;
	b->bytes -= e->len;
	free(e);
}

void influence_remove(struct influence *b, enum influence_kind kind, const char *what, size_t len)
{
	struct influence_entry **at = find(b, (char)kind, what, len);

	if (at)
		drop(b, at);
}

static bool is_below(const struct influence_entry *e, const char *path, size_t len)
{
	return e->kind == INFLUENCE_FILE && e->len > len && e->what[len] == '/' &&
	       memcmp(e->what, path, len) == 0;
}

/* Takes the entries out that `is` picks. */
static struct influence_entry *take_below(struct influence *b, const char *path, size_t len)
{
	struct influence_entry *taken = NULL;

	for (size_t i = 0; i < b->room; i++)
		for (struct influence_entry **at = &b->cells[i]; *at;) {
			struct influence_entry *e = *at;

			if (!is_below(e, path, len)) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			e->next = taken;
			taken = e;
			b->count--;
			b->bytes -= e->len;
		}
	return taken;
}

void influence_rename(struct influence *b, const char *from, size_t from_len, const char *to,
		      size_t to_len)
{
	uint32_t call = influence_find(b, INFLUENCE_FILE, from, from_len);

	influence_remove(b, INFLUENCE_FILE, from, from_len);
	if (call > 0)
		influence_set(b, INFLUENCE_FILE, to, to_len, call);
	else
		influence_remove(b, INFLUENCE_FILE, to, to_len);
	for (struct influence_entry *e = take_below(b, from, from_len), *next; e; e = next) {
		size_t rest = e->len - from_len;
		char *path = malloc(to_len + rest);

		next = e->next;
		if (path) {
			memcpy(path, to, to_len);
			memcpy(path + to_len, e->what + from_len, rest);
			influence_set(b, INFLUENCE_FILE, path, to_len + rest, e->call);
		} else {
			b->is_cut = true;
		}
		free(path);
		free(e);
	}
}

static void drop_all(struct influence *b, char kind, uint32_t call)
{
	for (size_t i = 0; i < b->room; i++)
		for (struct influence_entry **at = &b->cells[i]; *at;)
			if ((*at)->kind == kind && (call == 0 || (*at)->call == call))
				drop(b, at);
			else
				at = &(*at)->next;
}

void influence_end_call(struct influence *b, uint32_t call)
{
	drop_all(b, INFLUENCE_SOCKET, call);
}

void influence_forget_files(struct influence *b)
{
	drop_all(b, INFLUENCE_FILE, 0);
}

void influence_done(struct influence *b)
{
	drop_all(b, INFLUENCE_FILE, 0);
	drop_all(b, INFLUENCE_SOCKET, 0);
	free(b->cells);
	*b = (struct influence){ 0 };
}
