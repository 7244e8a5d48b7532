// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy_doc.c - JSON with comments, and the line of every value. */
#include "supervisor/policy_doc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/rpc.h"

static size_t skip_string(const char *s, size_t n, size_t i)
{
	for (i++; i < n && s[i] != '"'; i++)
		if (s[i] == '\\')
			i++;
	return i < n ? i + 1 : n;
}

/* Comments become blanks, so that places stay what they are. */
static void blank_comments(char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		if (s[i] == '"') {
			i = skip_string(s, n, i);
		} else if (s[i] == '/' && i + 1 < n && s[i + 1] == '/') {
			while (i < n && s[i] != '\n')
				s[i++] = ' ';
		} else if (s[i] == '/' && i + 1 < n && s[i + 1] == '*') {
			char *end = memmem(s + i + 2, n - i - 2, "*/", 2);
			size_t stop = end ? (size_t)(end - s) + 2 : n;

			for (; i < stop; i++)
				if (s[i] != '\n')
					s[i] = ' ';
		} else {
			i++;
		}
	}
}

static unsigned int line_at(const char *s, size_t at)
{
	unsigned int line = 1;

	for (size_t i = 0; i < at; i++)
		line += s[i] == '\n';
	return line;
}

/* A value has its key's line. The order is cJSON's own: that of the text. */
static void find_lines(struct policy_doc *doc, const char *s, size_t n)
{
	unsigned int line = 1, key_line = 0;

	for (size_t i = 0; i < n;) {
		char c = s[i];
		size_t start = i;

		if (c == '"')
			i = skip_string(s, n, i);
		else if (c == '{' || c == '[' || isspace((unsigned char)c) || strchr("}],:", c))
			i++;
		else
			while (i < n && !isspace((unsigned char)s[i]) && !strchr("}],:", s[i]))
				i++;
		if (isspace((unsigned char)c) || strchr("}],:", c)) {
			line += c == '\n';
			continue;
		}
		if (c == '"') {
			size_t k = i;

			while (k < n && isspace((unsigned char)s[k]))
				k++;
			if (k < n && s[k] == ':') {
				key_line = line;
				continue;
			}
		}
		doc->lines[doc->line_count++] = key_line ? key_line : line;
		key_line = 0;
		for (size_t k = start; k < i; k++)
			line += s[k] == '\n';
	}
}

static const cJSON *find_duplicate(const cJSON *json)
{
	for (const cJSON *a = json->child; a; a = a->next) {
		const cJSON *found;

		for (const cJSON *b = a->next; b && cJSON_IsObject(json); b = b->next)
			if (strcmp(a->string, b->string) == 0)
				return b;
		found = find_duplicate(a);
		if (found)
			return found;
	}
	return NULL;
}

/* The commonest slip: a comma behind the last. NULL: there is none. */
static const char *find_trailing_comma(const char *s, size_t n)
{
	bool in_string = false;
	size_t comma = n;

	for (size_t i = 0; i < n; i++) {
		if (in_string) {
			i += s[i] == '\\';
			in_string = i < n && s[i] != '"';
			comma = n;
		} else if (s[i] == '"') {
			in_string = true;
			comma = n;
		} else if (s[i] == ',') {
			comma = i;
		} else if ((s[i] == '}' || s[i] == ']') && comma < n) {
			return s + comma;
		} else if (!strchr(" \t\r\n", s[i])) {
			comma = n;
		}
	}
	return NULL;
}

/* What is wrong with a text that is not JSON, or not as strict as ours. */
static void say_why_not(struct policy_doc *doc, const char *s, size_t n, struct text *strict,
			struct text *why)
{
	const char *end = NULL, *comma;
	const cJSON *twice;

	doc->json = cJSON_ParseWithLengthOpts(s, n, &end, false);
	twice = doc->json ? find_duplicate(doc->json) : NULL;
	comma = doc->json ? NULL : find_trailing_comma(s, n);
	if (comma) {
		text_printf(why, "%s:%u: a comma with nothing behind it: take it out", doc->name,
			    line_at(s, (size_t)(comma - s)));
	} else if (!doc->json) {
		text_printf(why, "%s:%u: this is not JSON (with comments), near \"", doc->name,
			    line_at(s, end ? (size_t)(end - s) : n));
		text_add_safe(why, end,
			      end ? strnlen(end, strcspn(end, "\n") < 30 ? strcspn(end, "\n") : 30)
				  : 0);
		text_add(why, "\"");
	} else if (twice) {
		policy_doc_say_where(doc, twice, why);
		text_add(why, "the key \"");
		text_add_safe(why, twice->string, strlen(twice->string));
		text_add(why, "\" is given twice");
	} else {
		text_printf(why, "%s: %s", doc->name, strict->at);
	}
}

int policy_doc_read(struct policy_doc *doc, const char *name, const char *text, size_t size,
		    struct text *why)
{
	AUTO_MEM char *copy = strndup(text, size);
	AUTO_TEXT strict = { 0 };
	int r = 0;

	*doc = (struct policy_doc){ .name = strdup(name), .lines = calloc(size + 1, sizeof(int)) };
	if (!copy || !doc->name || !doc->lines || strlen(copy) != size) {
		text_printf(why, "%s: %s", name,
			    copy && strlen(copy) != size ? "it holds a NUL, so it is no text"
							 : strerror(ENOMEM));
		policy_doc_done(doc);
		return copy ? -EINVAL : -ENOMEM;
	}
	blank_comments(copy, size);
	find_lines(doc, copy, size);
	if (rpc_read_json(copy, size, &doc->json, &strict) < 0) {
		say_why_not(doc, copy, size, &strict, why);
		r = -EINVAL;
	} else if (!cJSON_IsObject(doc->json)) {
		text_printf(why, "%s: a policy is one JSON object", name);
		r = -EINVAL;
	}
	if (r < 0)
		policy_doc_done(doc);
	return r;
}

int policy_doc_open(struct policy_doc *doc, const char *path, int flags, struct text *why)
{
	AUTO_MEM char *all = malloc(POLICY_FILE_MAX + 1);
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
	ssize_t n = fd >= 0 && all ? io_read_full(fd, all, POLICY_FILE_MAX + 1) : -errno;

	*doc = (struct policy_doc){ 0 };
	if (n < 0 || n > (ssize_t)POLICY_FILE_MAX) {
		text_add(why, "the policy \"");
		text_add_safe(why, path, strlen(path));
		text_add(why, "\" cannot be read: ");
		if (n < 0)
			text_add(why, strerror((int)-n));
		else
			text_printf(why, "it has more than %u KiB", POLICY_FILE_MAX >> 10);
		return n == -ENOENT || n == -EACCES ? (int)n : -EINVAL;
	}
	return policy_doc_read(doc, path, all, (size_t)n, why);
}

/* Counts in the order of the text; true when `node` was met. */
static bool count_to(const cJSON *at, const cJSON *node, size_t *n)
{
	if (at == node)
		return true;
	(*n)++;
	for (const cJSON *c = at->child; c; c = c->next)
		if (count_to(c, node, n))
			return true;
	return false;
}

unsigned int policy_doc_line(const struct policy_doc *doc, const cJSON *node)
{
	size_t n = 0;

	if (!doc->lines || !node || !count_to(doc->json, node, &n) || n >= doc->line_count)
		return 0;
	return doc->lines[n];
}

void policy_doc_say_where(const struct policy_doc *doc, const cJSON *node, struct text *out)
{
	unsigned int line = policy_doc_line(doc, node);

	text_add_safe(out, doc->name, strlen(doc->name));
	if (line > 0)
		text_printf(out, ":%u", line);
	text_add(out, ": ");
}

void policy_doc_done(struct policy_doc *doc)
{
	free(doc->name);
	cJSON_Delete(doc->json);
	free(doc->lines);
	*doc = (struct policy_doc){ 0 };
}
