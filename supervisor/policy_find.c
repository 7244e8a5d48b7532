// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy_find.c - what of a policy decides about a path or a command. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/path.h"
#include "supervisor/policy.h"

/*
 * A pattern is walked as a set of places in it, so that no pattern takes more than
 * length times length, whatever it is made of.
 */
struct places {
	bool at[POLICY_GLOB_MAX + 4]; /* two stars and a slash look three further */
};

/* What matches without a character: "*" and "**" nothing, and the slash behind "**". */
static void close_over(const char *pattern, struct places *p, bool is_start)
{
	for (size_t i = 0; pattern[i]; i++) {
		if (!p->at[i] || pattern[i] != '*')
			continue;
		p->at[i + 1] = true;
		if (pattern[i + 1] == '*' && pattern[i + 2] == '/' && is_start)
			p->at[i + 3] = true;
	}
}

static bool match_from(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);
	struct places now = { .at = { true } };

	close_over(pattern, &now, true);
	for (;; path++) {
		struct places next = { 0 };
		bool any = false;

		/* the whole pattern, and the name ends here: it or what is below it */
		if (now.at[n] && (*path == '\0' || *path == '/'))
			return true;
		if (*path == '\0')
			return false;
		for (size_t i = 0; i < n; i++) {
			bool is_double = pattern[i] == '*' && (pattern[i + 1] == '*' ||
							       (i > 0 && pattern[i - 1] == '*'));

			if (!now.at[i])
				continue;
			if (pattern[i] == '*')
				next.at[i] |= is_double || *path != '/';
			else if ((pattern[i] == '?' && *path != '/') ||
				 tolower((unsigned char)pattern[i]) ==
					 tolower((unsigned char)*path))
				next.at[i + 1] = true;
		}
		close_over(pattern, &next, *path == '/');
		for (size_t i = 0; i <= n; i++)
			any |= next.at[i];
		if (!any)
			return false;
		now = next;
	}
}

bool policy_glob(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);
	char own[POLICY_GLOB_MAX + 1];

	while (n > 0 && pattern[n - 1] == '/')
		n--;
	/* what ends in a slash and two stars means the directory, too */
	if (n > 3 && memcmp(pattern + n - 3, "/**", 3) == 0)
		n -= 3;
	if (n == 0 || n > POLICY_GLOB_MAX)
		return true; /* what cannot be looked at is covered */
	memcpy(own, pattern, n);
	own[n] = '\0';
	if (own[0] == '/')
		return match_from(own + 1, path);
	for (; path; path = strchr(path, '/') ? strchr(path, '/') + 1 : NULL)
		if (match_from(own, path))
			return true;
	return false;
}

const struct policy_item *policy_find_path(const struct policy *p, enum policy_list_name list,
					   const char *path)
{
	const struct policy_list *l = &p->lists[list];

	for (size_t i = 0; i < l->count; i++)
		if (path_is_below(path, l->at[i].text))
			return &l->at[i];
	return NULL;
}

const struct policy_item *policy_find_glob(const struct policy *p, enum policy_list_name list,
					   const char *path)
{
	const struct policy_list *l = &p->lists[list];

	for (size_t i = 0; i < l->count; i++)
		if (policy_glob(l->at[i].text, path))
			return &l->at[i];
	return NULL;
}

static struct policy default_policy;
static pthread_once_t default_once = PTHREAD_ONCE_INIT;

static void make_default(void)
{
	policy_init(&default_policy);
}

/* Lives as long as the program. */
static const struct policy *or_default(const struct policy *p)
{
	if (p)
		return p;
	(void)pthread_once(&default_once, make_default);
	return &default_policy;
}

bool policy_is_protected(const struct policy *p, const char *path)
{
	return policy_find_glob(or_default(p), POLICY_PROTECT, path) != NULL;
}

bool policy_may_commit(const struct policy *p, const char *path)
{
	p = or_default(p);
	return !p->has_write || policy_find_glob(p, POLICY_WRITE, path) != NULL;
}

const struct policy_item *policy_find_hidden(const struct policy *p, const char *path)
{
	const struct policy_list *l = &p->lists[POLICY_HIDE];

	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].text[0] != '/' &&
		    (strpbrk(l->at[i].text, "*?") ? policy_glob(l->at[i].text, path)
						  : path_is_below(path, l->at[i].text)))
			return &l->at[i];
	return NULL;
}

bool policy_hides(const struct policy *p, const char *path)
{
	return policy_find_hidden(or_default(p), path) != NULL;
}

bool policy_has_masks(const struct policy *p)
{
	const struct policy_list *l = &p->lists[POLICY_HIDE];

	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].text[0] != '/')
			return true;
	return false;
}

static bool program_is(const char *rule, const char *word)
{
	const char *slash = strrchr(word, '/');

	return strcmp(rule, word) == 0 || (slash && strcmp(rule, slash + 1) == 0);
}

const struct policy_ask *policy_find_ask(const struct policy *p, const char *tool,
					 const char *const *argv)
{
	AUTO_TEXT words = { 0 };

	for (const char *const *a = argv; *a; a++) {
		text_add(&words, a == argv ? "" : " ");
		text_add(&words, *a);
	}
	for (size_t i = 0; i < p->ask_count; i++) {
		const struct policy_ask *a = &p->ask[i];

		if (a->tool && fnmatch(a->tool, tool, 0) != 0)
			continue;
		if (a->program && !program_is(a->program, argv[0]))
			continue;
		/* what cannot be looked at is asked about */
		if (a->argv && !words.failed && fnmatch(a->argv, words.at, 0) != 0)
			continue;
		return a;
	}
	return NULL;
}

void policy_list_done(struct policy_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->at[i].text);
		free(l->at[i].from);
	}
	free(l->at);
}

void policy_done(struct policy *p)
{
	for (size_t i = 0; i < p->env_count; i++)
		if (p->env_is_own[i])
			free((char *)(uintptr_t)p->env[i]);
	for (size_t i = 0; i < p->ask_count; i++) {
		free(p->ask[i].tool);
		free(p->ask[i].program);
		free(p->ask[i].argv);
	}
	for (size_t i = 0; i < POLICY_LISTS; i++)
		policy_list_done(&p->lists[i]);
	free(p->tree);
	cJSON_Delete(p->profile);
	free(p->profile_from);
	*p = (struct policy){ 0 };
}
