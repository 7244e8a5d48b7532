// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/influence.c - which call of a session an other call's work came from.
 *
 * A tree of names: a node knows its parent and its own name, and is found in a table by the
 * two. So a directory that is renamed is one node that moves, whatever is below it: a tool
 * can choose what is renamed and how often.
 */
#include "supervisor/influence.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CELLS 64

struct influence_node {
	struct influence_node *next; /* in its cell */
	struct influence_node *parent; /* NULL: at the top */
	struct influence_node *first, *after, **at; /* children; siblings, and who leads to it */
	char *name;
	uint32_t len;
	uint32_t call; /* 0: only on the way to others */
	uint64_t when_ns; /* it was written, or opened for that; 0: not known */
	char kind;
	bool is_doubted; /* what is known of it may hold no more */
	bool is_real; /* the kernel has told a path with it: it is a directory */
};

static uint64_t hash(const struct influence_node *parent, char kind, const char *name, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ (unsigned char)kind ^ (uint64_t)(uintptr_t)parent;

	h *= 0x100000001b3ull;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

static struct influence_node **cell_of(const struct influence *b, const struct influence_node *n)
{
	return &b->cells[hash(n->parent, n->kind, n->name, n->len) & (b->room - 1)];
}

static struct influence_node *find_child(const struct influence *b,
					 const struct influence_node *parent, char kind,
					 const char *name, size_t len)
{
	struct influence_node *n;

	if (b->room == 0)
		return NULL;
	for (n = b->cells[hash(parent, kind, name, len) & (b->room - 1)]; n; n = n->next)
		if (n->parent == parent && n->kind == kind && n->len == len &&
		    memcmp(n->name, name, len) == 0)
			return n;
	return NULL;
}

/* The next name of a path; false: there is none. Of what is no path all is one name. */
static bool next_name(char kind, const char *what, size_t len, size_t *at, size_t *ret_len)
{
	if (kind != INFLUENCE_FILE) {
		*ret_len = *at == 0 ? len : 0;
		return *ret_len > 0;
	}
	while (*at < len && what[*at] == '/')
		++*at;
	for (*ret_len = 0; *at + *ret_len < len && what[*at + *ret_len] != '/';)
		++*ret_len;
	return *ret_len > 0;
}

static struct influence_node *find(const struct influence *b, char kind, const char *what,
				   size_t len)
{
	struct influence_node *n = NULL;
	size_t size;

	for (size_t at = 0; next_name(kind, what, len, &at, &size); at += size) {
		n = find_child(b, n, kind, what + at, size);
		if (!n)
			return NULL;
	}
	return n;
}

/* --- nodes ------------------------------------------------------------------------- */

static bool grow(struct influence *b)
{
	size_t room = b->room ? 2 * b->room : FIRST_CELLS, old_room = b->room;
	struct influence_node **old = b->cells;

	if (b->count < b->room)
		return true;
	b->cells = calloc(room, sizeof(*b->cells));
	if (!b->cells) {
		b->cells = old;
		return b->room > 0;
	}
	b->room = room;
	for (size_t i = 0; i < old_room; i++)
		for (struct influence_node *n = old[i], *next; n; n = next) {
			struct influence_node **cell = cell_of(b, n);

			next = n->next;
			n->next = *cell;
			*cell = n;
		}
	free(old);
	return true;
}

/* Into its cell, and among its parent's children. */
static void link_in(struct influence *b, struct influence_node *n)
{
	struct influence_node **cell = cell_of(b, n);

	n->next = *cell;
	*cell = n;
	if (!n->parent)
		return;
	n->after = n->parent->first;
	n->at = &n->parent->first;
	if (n->after)
		n->after->at = &n->after;
	n->parent->first = n;
}

static void link_out(struct influence *b, struct influence_node *n)
{
	struct influence_node **cell = cell_of(b, n);

	while (*cell != n)
		cell = &(*cell)->next;
	*cell = n->next;
	if (!n->parent)
		return;
	*n->at = n->after;
	if (n->after)
		n->after->at = n->at;
}

static struct influence_node *add_child(struct influence *b, struct influence_node *parent,
					char kind, const char *name, size_t len)
{
	struct influence_node *n;

	if (b->count >= INFLUENCE_ENTRIES || b->bytes + len > INFLUENCE_BYTES || !grow(b))
		return NULL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->name = malloc(len);
	if (!n->name) {
		free(n);
		return NULL;
	}
	memcpy(n->name, name, len);
	n->len = (uint32_t)len;
	n->kind = kind;
	n->parent = parent;
	link_in(b, n);
	b->count++;
	b->bytes += len;
	return n;
}

static void free_node(struct influence *b, struct influence_node *n)
{
	b->count--;
	b->bytes -= n->len;
	free(n->name);
	free(n);
}

/* Those above it that lead nowhere any more go, too. */
static void prune(struct influence *b, struct influence_node *n)
{
	while (n && !n->first && n->call == 0) {
		struct influence_node *parent = n->parent;

		link_out(b, n);
		free_node(b, n);
		n = parent;
	}
}

/* With all below it: the deepest first, so that nothing calls itself. */
static void drop_tree(struct influence *b, struct influence_node *top)
{
	struct influence_node *n = top;

	for (;;) {
		struct influence_node *parent;

		while (n->first)
			n = n->first;
		parent = n->parent;
		link_out(b, n);
		free_node(b, n);
		if (n == top) {
			prune(b, parent);
			return;
		}
		n = parent;
	}
}

/* The node of a path, and those on the way to it. NULL: there is no room. */
static struct influence_node *make(struct influence *b, char kind, const char *what, size_t len)
{
	struct influence_node *n = NULL, *child;
	unsigned int depth = 0;
	size_t size;

	for (size_t at = 0; next_name(kind, what, len, &at, &size); at += size) {
		child = find_child(b, n, kind, what + at, size);
		if (!child && depth < INFLUENCE_DEPTH)
			child = add_child(b, n, kind, what + at, size);
		if (!child || ++depth > INFLUENCE_DEPTH) {
			prune(b, n);
			b->is_cut = true;
			return NULL;
		}
		n = child;
	}
	return n;
}

/* --- what is asked ------------------------------------------------------------------- */

void influence_set(struct influence *b, enum influence_kind kind, const char *what, size_t len,
		   uint32_t call)
{
	struct influence_node *n = make(b, (char)kind, what, len);

	if (!n)
		return;
	n->call = call;
	n->is_doubted = false;
}

void influence_set_real(struct influence *b, const char *path, size_t len, uint32_t call,
			uint64_t when_ns)
{
	struct influence_node *n = make(b, INFLUENCE_FILE, path, len);

	if (!n)
		return;
	n->call = call;
	n->when_ns = when_ns;
	n->is_doubted = false;
	for (n = n->parent; n && !n->is_real; n = n->parent)
		n->is_real = true;
}

void influence_touch(struct influence *b, const char *path, size_t len, uint64_t when_ns)
{
	struct influence_node *n = find(b, INFLUENCE_FILE, path, len);

	if (n && n->when_ns < when_ns)
		n->when_ns = when_ns;
}

void influence_wrote(struct influence *b, const char *path, size_t len, uint32_t call,
		     uint64_t when_ns)
{
	struct influence_node *n = find(b, INFLUENCE_FILE, path, len);

	if (!n || n->call == 0 || n->when_ns >= when_ns)
		return;
	n->call = call;
	n->when_ns = when_ns;
}

bool influence_is_real(const struct influence *b, const char *path, size_t len)
{
	const struct influence_node *n;

	while (len > 0 && path[len - 1] != '/')
		len--;
	n = find(b, INFLUENCE_FILE, path, len);
	return n && n->is_real;
}

uint32_t influence_find(const struct influence *b, enum influence_kind kind, const char *what,
			size_t len)
{
	const struct influence_node *n = find(b, (char)kind, what, len);

	return n ? n->call : 0;
}

void influence_doubt(struct influence *b, const char *path, size_t len)
{
	struct influence_node *n = find(b, INFLUENCE_FILE, path, len);

	if (n)
		n->is_doubted = true;
}

bool influence_is_doubted(const struct influence *b, const char *path, size_t len)
{
	const struct influence_node *n = find(b, INFLUENCE_FILE, path, len);

	return n && n->is_doubted;
}

uint32_t influence_find_above(const struct influence *b, const char *path, size_t len)
{
	const struct influence_node *n = NULL;
	uint32_t call = 0;
	size_t size;

	for (size_t at = 0; next_name(INFLUENCE_FILE, path, len, &at, &size); at += size) {
		n = find_child(b, n, INFLUENCE_FILE, path + at, size);
		if (!n || at + size == len)
			break;
		if (n->call > 0)
			call = n->call;
	}
	return call;
}

void influence_remove(struct influence *b, enum influence_kind kind, const char *what, size_t len)
{
	struct influence_node *n = find(b, (char)kind, what, len);

	if (n)
		drop_tree(b, n);
}

static bool is_within(const char *path, size_t len, const char *top, size_t top_len)
{
	return len > top_len && path[top_len] == '/' && memcmp(path, top, top_len) == 0;
}

static struct influence_node *parent_of(struct influence *b, const char *path, size_t len,
					const char **ret_name, size_t *ret_len, bool *ret_ok)
{
	size_t at = len;
	struct influence_node *n;

	while (at > 0 && path[at - 1] != '/')
		at--;
	*ret_name = path + at;
	*ret_len = len - at;
	while (at > 0 && path[at - 1] == '/')
		at--;
	n = at > 0 ? make(b, INFLUENCE_FILE, path, at) : NULL;
	*ret_ok = *ret_len > 0 && (at == 0 || n);
	return n;
}

/* Takes a node from where it is, and puts it, with all below it, where `to` says. */
static void move(struct influence *b, struct influence_node *n, const char *to, size_t to_len)
{
	struct influence_node *from = n->parent, *parent;
	const char *name;
	size_t len;
	char *copy;
	bool ok;

	/* first, while what is above it cannot be pruned */
	parent = parent_of(b, to, to_len, &name, &len, &ok);
	copy = ok ? malloc(len) : NULL;
	if (!copy) {
		b->is_cut = true;
		drop_tree(b, n);
		prune(b, ok ? parent : NULL);
		return;
	}
	memcpy(copy, name, len);
	link_out(b, n);
	free(n->name);
	b->bytes = b->bytes - n->len + len;
	n->name = copy;
	n->len = (uint32_t)len;
	n->parent = parent;
	link_in(b, n);
	prune(b, from);
}

void influence_rename(struct influence *b, const char *from, size_t from_len, const char *to,
		      size_t to_len)
{
	struct influence_node *n = find(b, INFLUENCE_FILE, from, from_len);

	if (from_len == to_len && memcmp(from, to, to_len) == 0)
		return;
	/* what was there is gone: renaming replaces it */
	influence_remove(b, INFLUENCE_FILE, to, to_len);
	/* it may have been the last of what was above it */
	n = n ? find(b, INFLUENCE_FILE, from, from_len) : NULL;
	if (!n)
		return;
	/* no directory goes into itself: one of the two paths leads through a link */
	if (is_within(to, to_len, from, from_len)) {
		drop_tree(b, n);
		b->is_cut = true;
		return;
	}
	move(b, n, to, to_len);
}

void influence_exchange(struct influence *b, const char *one, size_t one_len, const char *two,
			size_t two_len)
{
	struct influence_node *a = find(b, INFLUENCE_FILE, one, one_len);
	struct influence_node *c = find(b, INFLUENCE_FILE, two, two_len);

	if (a == c)
		return;
	if (!a || !c) {
		influence_rename(b, a ? one : two, a ? one_len : two_len, a ? two : one,
				 a ? two_len : one_len);
		return;
	}
	if (is_within(two, two_len, one, one_len) || is_within(one, one_len, two, two_len)) {
		b->is_cut = true;
		return;
	}
	/* what they are called stays where it is: all else of the two is exchanged */
	link_out(b, a);
	link_out(b, c);
	{
		struct influence_node x = *a;

		a->parent = c->parent;
		a->name = c->name;
		a->len = c->len;
		c->parent = x.parent;
		c->name = x.name;
		c->len = x.len;
	}
	link_in(b, a);
	link_in(b, c);
}

static void drop_all(struct influence *b, char kind, uint32_t call)
{
	for (size_t i = 0; i < b->room; i++)
		for (struct influence_node *n = b->cells[i], *next; n; n = next) {
			next = n->next;
			if (n->kind != kind || n->parent || (call != 0 && n->call != call))
				continue;
			drop_tree(b, n);
			/* others of this cell may have been below it */
			next = b->cells[i];
		}
}

void influence_end_call(struct influence *b, uint32_t call)
{
	drop_all(b, INFLUENCE_SOCKET, call);
}

void influence_forget_files(struct influence *b)
{
	drop_all(b, INFLUENCE_FILE, 0);
	drop_all(b, INFLUENCE_NAME, 0);
}

void influence_done(struct influence *b)
{
	influence_forget_files(b);
	drop_all(b, INFLUENCE_SOCKET, 0);
	free(b->cells);
	*b = (struct influence){ 0 };
}
