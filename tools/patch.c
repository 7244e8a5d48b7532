// SPDX-License-Identifier: Apache-2.0
/*
 * tools/patch.c - apply_patch: the patch language of Codex, all or nothing.
 *
 *	*** Begin Patch
 *	*** Add File: path		followed by +lines
 *	*** Delete File: path
 *	*** Update File: path
 *	*** Move to: path		optional
 *	@@ a line that comes before	optional, repeated to go deeper
 *	 context, -old and +new lines
 *	*** End of File			optional: the hunk is at the end
 *	*** End Patch
 *
 * Everything is read, matched and written beside the files before the first of them
 * is put in place; when one cannot be, those before it are put back.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/tool.h"

#define FILES_MAX 1000

struct lines {
	char **at; /* owned */
	size_t count, room;
};

struct change {
	enum { ADD, DELETE, UPDATE } kind;
	char *path, *to; /* `to`: moved there, or NULL */
	struct bytes before, after; /* whole contents */
	bool was_there; /* ADD: it replaces a file */
	struct staged staged;
};

struct patch {
	struct lines text;
	size_t at; /* the line that is read */
	struct change files[FILES_MAX];
	size_t count;
};

static void *need(void *p)
{
	if (!p) {
		(void)tool_fail("out of memory");
		exit(1);
	}
	return p;
}

static void lines_add(struct lines *l, const char *s, size_t n)
{
	if (l->count == l->room) {
		l->room = l->room ? l->room * 2 : 64;
		l->at = need(realloc(l->at, l->room * sizeof(*l->at)));
	}
	l->at[l->count++] = need(strndup(s, n));
}

static void lines_done(struct lines *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->at[i]);
	free(l->at);
	*l = (struct lines){ 0 };
}

static void split(const char *s, size_t n, struct lines *ret)
{
	const char *end = s + n;

	while (s < end) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));

		lines_add(ret, s, (size_t)((nl ? nl : end) - s));
		s = nl ? nl + 1 : end;
	}
}

/* --- where lines are --------------------------------------------------------------- */

/* Punctuation that models write for the plain one. */
static size_t plain(const char *s, char *ret)
{
	static const struct {
		const char *from;
		char to;
	} table[] = {
		{ "\xe2\x80\x90", '-' },  { "\xe2\x80\x91", '-' },  { "\xe2\x80\x92", '-' },
		{ "\xe2\x80\x93", '-' },  { "\xe2\x80\x94", '-' },  { "\xe2\x80\x95", '-' },
		{ "\xe2\x88\x92", '-' },  { "\xe2\x80\x98", '\'' }, { "\xe2\x80\x99", '\'' },
		{ "\xe2\x80\x9a", '\'' }, { "\xe2\x80\x9b", '\'' }, { "\xe2\x80\x9c", '"' },
		{ "\xe2\x80\x9d", '"' },  { "\xe2\x80\x9e", '"' },  { "\xe2\x80\x9f", '"' },
		{ "\xe2\x80\xaf", ' ' },  { "\xe3\x80\x80", ' ' },  { "\xc2\xa0", ' ' },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(s, table[i].from, strlen(table[i].from)) == 0) {
			*ret = table[i].to;
			return strlen(table[i].from);
		}
	*ret = *s;
	return 1;
}

enum closeness { EXACT, NO_TAIL, TRIMMED, PLAIN, CLOSENESS_COUNT };

static const char *trim(const char *s, enum closeness how, size_t *ret_n)
{
	size_t n = strlen(s);

	while (how != EXACT && n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	while (how >= TRIMMED && n > 0 && isspace((unsigned char)*s)) {
		s++;
		n--;
	}
	*ret_n = n;
	return s;
}

static bool same(const char *a, const char *b, enum closeness how)
{
	size_t n, m;

	a = trim(a, how, &n);
	b = trim(b, how, &m);
	if (how != PLAIN)
		return n == m && memcmp(a, b, n) == 0;
	for (const char *a_end = a + n, *b_end = b + m; a < a_end || b < b_end;) {
		char x, y;

		if (a >= a_end || b >= b_end)
			return false;
		a += plain(a, &x);
		b += plain(b, &y);
		if (x != y)
			return false;
	}
	return true;
}

static bool match_at(const struct lines *in, size_t at, char *const *what, size_t n,
		     enum closeness how)
{
	for (size_t i = 0; i < n; i++)
		if (!same(in->at[at + i], what[i], how))
			return false;
	return true;
}

/* The first place from `from` on, the closest kind of match first; with `at_end` the
 * end is tried first. False: nowhere. */
static bool find(const struct lines *in, char *const *what, size_t n, size_t from, bool at_end,
		 size_t *ret)
{
	if (n > in->count)
		return false;
	for (int how = EXACT; how < CLOSENESS_COUNT; how++) {
		if (at_end && in->count - n >= from &&
		    match_at(in, in->count - n, what, n, (enum closeness)how)) {
			*ret = in->count - n;
			return true;
		}
		for (size_t i = from; i + n <= in->count; i++)
			if (match_at(in, i, what, n, (enum closeness)how)) {
				*ret = i;
				return true;
			}
	}
	return false;
}

/* --- one file ----------------------------------------------------------------------- */

struct hunk {
	struct lines old, new;
	bool at_end;
};

static const char *line_at(const struct patch *p)
{
	return p->at < p->text.count ? p->text.at[p->at] : "*** End Patch";
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool is_head(const char *s)
{
	return begins(s, "*** Add File: ") || begins(s, "*** Delete File: ") ||
	       begins(s, "*** Update File: ") || begins(s, "*** End Patch");
}

static int bad_line(const struct patch *p, const char *what)
{
	return tool_fail("apply_patch: line %zu: %s: \"%.200s\"", p->at + 1, what, line_at(p));
}

static int read_hunk(struct patch *p, struct hunk *h)
{
	bool any = false;

	for (; !is_head(line_at(p)) && !begins(line_at(p), "@@"); p->at++) {
		const char *s = line_at(p);

		if (strcmp(s, "*** End of File") == 0) {
			h->at_end = true;
			p->at++;
			break;
		}
		if (s[0] == '+') {
			lines_add(&h->new, s + 1, strlen(s + 1));
		} else if (s[0] == '-') {
			lines_add(&h->old, s + 1, strlen(s + 1));
		} else if (s[0] == ' ' || s[0] == '\0') {
			/* an empty line is context whose blank was lost */
			const char *text = s[0] ? s + 1 : s;

			lines_add(&h->old, text, strlen(text));
			lines_add(&h->new, text, strlen(text));
		} else {
			return bad_line(p, "a line of a hunk begins with a blank, + or -");
		}
		any = true;
	}
	return any ? 0 : bad_line(p, "a hunk has no lines");
}

static int fail_find(const struct change *c, const struct hunk *h)
{
	struct bytes wanted = { 0 };

	bytes_add(&wanted, "", 0);
	for (size_t i = 0; i < h->old.count; i++) {
		bytes_add_text(&wanted, "\n");
		bytes_add_text(&wanted, h->old.at[i]);
	}
	(void)tool_fail("apply_patch: these lines were not found in %s; nothing was changed:%s",
			c->path, wanted.at);
	bytes_done(&wanted);
	return 1;
}

/* Replaces lines of the content, from *at on. */
static int apply_hunk(const struct change *c, struct lines *content, const struct hunk *h,
		      size_t *at)
{
	struct lines now = { 0 };
	size_t n = h->old.count, where = content->count;

	if (n > 0 && !find(content, h->old.at, n, *at, h->at_end, &where)) {
		/* a last empty line may stand for the end of the text */
		if (h->old.at[n - 1][0] != '\0' || n == 1 ||
		    !find(content, h->old.at, n - 1, *at, h->at_end, &where))
			return fail_find(c, h);
		n--;
	}
	for (size_t i = 0; i < where; i++)
		lines_add(&now, content->at[i], strlen(content->at[i]));
	for (size_t i = 0; i < h->new.count; i++) {
		bool is_tail = n < h->old.count && i + 1 == h->new.count && !h->new.at[i][0];

		if (!is_tail)
			lines_add(&now, h->new.at[i], strlen(h->new.at[i]));
	}
	*at = now.count;
	for (size_t i = where + n; i < content->count; i++)
		lines_add(&now, content->at[i], strlen(content->at[i]));
	lines_done(content);
	*content = now;
	return 0;
}

static int read_hunks(struct patch *p, struct change *c, struct lines *content)
{
	size_t at = 0;
	bool any = false;

	while (!is_head(line_at(p))) {
		struct hunk h = { 0 };
		int r = 0;

		while (begins(line_at(p), "@@")) {
			char *where = p->text.at[p->at] + 2;

			where += *where == ' ';
			p->at++;
			if (*where && !find(content, &where, 1, at, false, &at))
				return tool_fail("apply_patch: the line after @@ was not found in "
						 "%s; nothing was changed: %s",
						 c->path, where);
			at += *where != '\0';
		}
		r = read_hunk(p, &h);
		if (r == 0)
			r = apply_hunk(c, content, &h, &at);
		lines_done(&h.old);
		lines_done(&h.new);
		if (r != 0)
			return r;
		any = true;
	}
	return any || c->to ? 0 : bad_line(p, "an Update has no hunks");
}

static int read_update(struct patch *p, struct change *c)
{
	struct lines content = { 0 };
	bool has_cr, has_end;
	int r;

	r = tool_read(c->path, &c->before);
	if (r < 0)
		return tool_fail_read(c->path, r);
	if (!tool_is_text(&c->before))
		return tool_fail("%s is binary: it cannot be patched", c->path);
	if (begins(line_at(p), "*** Move to: ")) {
		c->to = need(strdup(line_at(p) + strlen("*** Move to: ")));
		p->at++;
		if (c->to[0] == '\0')
			return bad_line(p, "Move to has no path");
	}
	has_cr = strstr(c->before.at, "\r\n") != NULL;
	has_end = c->before.len == 0 || c->before.at[c->before.len - 1] == '\n';
	split(c->before.at, c->before.len, &content);
	for (size_t i = 0; has_cr && i < content.count; i++) {
		size_t n = strlen(content.at[i]);

		if (n > 0 && content.at[i][n - 1] == '\r')
			content.at[i][n - 1] = '\0';
	}
	r = read_hunks(p, c, &content);
	bytes_add(&c->after, "", 0);
	for (size_t i = 0; i < content.count; i++) {
		bytes_add_text(&c->after, content.at[i]);
		if (i + 1 < content.count || has_end || c->before.len == 0)
			bytes_add_text(&c->after, has_cr ? "\r\n" : "\n");
	}
	lines_done(&content);
	return r;
}

static int read_add(struct patch *p, struct change *c)
{
	struct stat st;

	c->was_there = stat(c->path, &st) == 0;
	if (c->was_there) {
		int r = tool_read(c->path, &c->before);

		if (r < 0)
			return tool_fail_read(c->path, r);
	}
	bytes_add(&c->after, "", 0);
	for (; line_at(p)[0] == '+'; p->at++) {
		bytes_add_text(&c->after, line_at(p) + 1);
		bytes_add_text(&c->after, "\n");
	}
	return is_head(line_at(p)) ? 0 : bad_line(p, "a line of a new file begins with +");
}

static int read_delete(struct change *c)
{
	int r = tool_read(c->path, &c->before);

	return r < 0 ? tool_fail_read(c->path, r) : 0;
}

/* --- the whole ---------------------------------------------------------------------- */

static int read_file(struct patch *p)
{
	static const struct {
		const char *head;
		int kind;
	} heads[] = {
		{ "*** Add File: ", ADD },
		{ "*** Delete File: ", DELETE },
		{ "*** Update File: ", UPDATE },
	};
	struct change *c = &p->files[p->count];

	if (p->count == FILES_MAX)
		return tool_fail("apply_patch: more than %d files", FILES_MAX);
	for (size_t i = 0; i < 3; i++) {
		if (!begins(line_at(p), heads[i].head))
			continue;
		c->path = need(strdup(line_at(p) + strlen(heads[i].head)));
		c->kind = heads[i].kind;
		p->count++;
		for (size_t k = 0; k + 1 < p->count; k++)
			if (strcmp(p->files[k].path, c->path) == 0)
				return bad_line(p, "a file is named twice in one patch");
		p->at++;
		if (c->path[0] == '\0')
			return bad_line(p, "a file has no path");
		return c->kind == ADD      ? read_add(p, c)
		       : c->kind == DELETE ? read_delete(c)
					   : read_update(p, c);
	}
	return bad_line(p, "expected *** Add File:, *** Delete File: or *** Update File:");
}

static int read_patch(struct patch *p)
{
	size_t last = p->text.count;

	for (size_t i = 0; i < p->text.count; i++) {
		size_t n = strlen(p->text.at[i]);

		if (begins(p->text.at[i], "***"))
			while (n > 0 && isspace((unsigned char)p->text.at[i][n - 1]))
				p->text.at[i][--n] = '\0';
	}
	/* what stands around it (a here-document) is no part of it */
	while (p->at < last && strcmp(p->text.at[p->at], "*** Begin Patch") != 0)
		p->at++;
	while (last > 0 && strcmp(p->text.at[last - 1], "*** End Patch") != 0)
		last--;
	if (p->at >= last || last == 0)
		return tool_fail("apply_patch: a patch begins with \"*** Begin Patch\" and ends "
				 "with \"*** End Patch\", each on a line of its own");
	p->at++;
	while (p->at < last - 1) {
		int r = read_file(p);

		if (r != 0)
			return r;
		if (p->at > last - 1)
			return bad_line(p, "the patch goes on behind its end");
	}
	return p->count > 0 ? 0 : tool_fail("apply_patch: the patch changes no file");
}

static int stage_all(struct patch *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct change *c = &p->files[i];
		const char *path = c->to ? c->to : c->path;
		struct stat st;
		int r = 0;

		if (c->to && lstat(c->to, &st) == 0)
			r = -EEXIST;
		if (r == 0 && c->kind != DELETE)
			r = tool_stage(path, c->after.at, c->after.len, &c->staged);
		if (r < 0)
			return tool_fail("apply_patch: %s: %s; nothing was changed", path,
					 strerror(-r));
	}
	return 0;
}

static int put_one(struct change *c)
{
	int r = c->kind == DELETE ? 0 : tool_put(&c->staged);

	if (r == 0 && (c->kind == DELETE || c->to) && unlink(c->path) < 0)
		r = -errno;
	return r;
}

static void put_back(struct change *c)
{
	if (c->to || (c->kind == ADD && !c->was_there))
		(void)unlink(c->to ? c->to : c->path);
	if (c->kind != ADD || c->was_there)
		(void)tool_write(c->path, c->before.at, c->before.len);
}

static int put_all(struct patch *p)
{
	for (size_t i = 0; i < p->count; i++) {
		int r = put_one(&p->files[i]);

		if (r == 0)
			continue;
		(void)tool_fail("apply_patch: %s: %s; what was done before it is put back",
				p->files[i].path, strerror(-r));
		for (size_t k = i + 1; k > 0; k--)
			if (k <= i || !p->files[k - 1].staged.beside)
				put_back(&p->files[k - 1]);
		return 1;
	}
	return 0;
}

static void print_done(const struct patch *p)
{
	(void)puts("Success. Updated the following files:");
	for (size_t i = 0; i < p->count; i++) {
		const struct change *c = &p->files[i];

		(void)printf("%c %s\n",
			     c->kind == DELETE                 ? 'D'
			     : c->kind == ADD && !c->was_there ? 'A'
							       : 'M',
			     c->to ? c->to : c->path);
	}
}

int tool_patch(const json_t *input)
{
	static struct patch p;
	const char *text = tool_text(input, "input", "");
	int r;

	split(text, strlen(text), &p.text);
	r = read_patch(&p);
	if (r == 0)
		r = stage_all(&p);
	if (r == 0)
		r = put_all(&p);
	if (r == 0)
		print_done(&p);
	for (size_t i = 0; i < p.count; i++) {
		tool_unstage(&p.files[i].staged);
		free(p.files[i].path);
		free(p.files[i].to);
		bytes_done(&p.files[i].before);
		bytes_done(&p.files[i].after);
	}
	lines_done(&p.text);
	return r;
}
