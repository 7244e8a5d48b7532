// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy_named.c - policies by name, and what one extends. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/policy.h"
#include "supervisor/policy_doc.h"
#include "supervisor/profile.h"

/* The files of supervisor/policies/, as they are. */
#define EMBED(name)                                                 \
	__asm__(".section .rodata\n"                                \
		".global policy_text_" #name "\n"                   \
		".global policy_end_" #name "\n"                    \
		"policy_text_" #name ":\n"                          \
		".incbin \"supervisor/policies/" #name ".jsonc\"\n" \
		"policy_end_" #name ":\n"                           \
		".byte 0\n"                                         \
		".previous\n");                                     \
	extern const char policy_text_##name[], policy_end_##name[]

EMBED(default);
EMBED(strict);
EMBED(open);

const char *const policy_builtin_names[] = { "default", "strict", "open", NULL };

const char *policy_builtin(const char *name, size_t *ret_size)
{
	const struct {
		const char *name, *text, *end;
	} all[] = {
		{ "default", policy_text_default, policy_end_default },
		{ "strict", policy_text_strict, policy_end_strict },
		{ "open", policy_text_open, policy_end_open },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(all[i].name, name) != 0)
			continue;
		*ret_size = (size_t)(all[i].end - all[i].text);
		return all[i].text;
	}
	return NULL;
}

/* The way from a policy to what it extends. A name that is on it already means what is
 * built in: so a file may add to the policy whose name it takes. */
struct chain {
	const struct policy_set *set;
	const char *names[POLICY_EXTENDS_MAX];
	size_t count;
};

static int read_chain(struct policy *p, const struct policy_doc *doc, struct chain *c,
		      struct text *why);

static int read_builtin(struct policy *p, const char *name, struct chain *c, struct text *why)
{
	AUTO_TEXT file = { 0 };
	struct policy_doc doc;
	size_t size;
	const char *text = policy_builtin(name, &size);
	int r;

	if (!text)
		return -ENOENT;
	text_printf(&file, "%s.jsonc", name);
	r = policy_doc_read(&doc, file.at, text, size, why);
	if (r < 0)
		return r;
	r = read_chain(p, &doc, c, why);
	policy_doc_done(&doc);
	return r;
}

static int read_named(struct policy *p, const char *name, struct chain *c, struct text *why)
{
	const struct policy_doc *doc = NULL;
	int r;

	if (c->count == POLICY_EXTENDS_MAX) {
		text_printf(why, "policies extend each other more than %d deep",
			    POLICY_EXTENDS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; c->set && i < c->set->count; i++)
		if (strcmp(c->set->names[i], name) == 0)
			doc = c->set->docs[i];
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->names[i], name) == 0)
			doc = NULL;
	c->names[c->count++] = name;
	r = doc ? read_chain(p, doc, c, why) : read_builtin(p, name, c, why);
	c->count--;
	return r;
}

static void say_known(const char *name, const struct policy_set *set, struct text *why)
{
	const char *known[POLICY_SET_MAX + 3];
	const char *nearest;
	size_t n = 0;

	for (size_t i = 0; policy_builtin_names[i]; i++)
		known[n++] = policy_builtin_names[i];
	for (size_t i = 0; set && i < set->count; i++)
		known[n++] = set->names[i];
	nearest = text_nearest(name, known, n);
	text_add(why, "there is no policy \"");
	text_add_safe(why, name, strlen(name));
	text_add(why, "\"");
	if (nearest)
		text_printf(why, "; did you mean \"%s\"?", nearest);
	text_add(why, nearest ? " Known are" : " here; known are");
	for (size_t i = 0; i < n; i++)
		text_printf(why, " %s", known[i]);
}

static int read_chain(struct policy *p, const struct policy_doc *doc, struct chain *c,
		      struct text *why)
{
	const cJSON *extends = cJSON_GetObjectItemCaseSensitive(doc->json, "extends");
	const char *base = cJSON_IsString(extends) ? extends->valuestring : "default";
	AUTO_TEXT inner = { 0 };
	int r = 0;

	if (extends && !cJSON_IsString(extends)) {
		policy_doc_say_where(doc, extends, why);
		text_add(why, "\"extends\" is the name of a policy");
		return -EINVAL;
	}
	if (strcmp(base, "none") != 0)
		r = read_named(p, base, c, &inner);
	if (r == -ENOENT) {
		policy_doc_say_where(doc, extends, why);
		say_known(base, c->set, why);
		return -EINVAL;
	}
	if (inner.len > 0)
		text_add(why, inner.at);
	return r < 0 ? r : policy_read_members(p, doc, false, why);
}

/* An empty policy shows nothing and forbids nothing; what it needs to be one is here. */
static void start_empty(struct policy *p)
{
	*p = (struct policy){
		.limits = {
			.memory_bytes = 2ull << 30,
			.tmp_bytes = 512ull << 20,
			.pids = 256,
			.cpu_milli = 2000,
			.open_files = 1024,
		},
		.wall_ns = 600ull * 1000000000u,
		.cpu_ns = 300ull * 1000000000u,
		.output_bytes = 16ull << 20,
		.disk_bytes = 2ull << 30,
		.disk_files = 500000,
		.approval_ns = 300ull * 1000000000u,
	};
}

int policy_read(struct policy *p, const struct policy_doc *doc, const struct policy_set *set,
		struct text *why)
{
	struct chain c = { .set = set };

	start_empty(p);
	for (size_t i = 0; set && i < set->count; i++)
		if (set->docs[i] == doc)
			c.names[c.count++] = set->names[i];
	return read_chain(p, doc, &c, why);
}

int policy_read_json(struct policy *p, const cJSON *json, const char *name,
		     const struct policy_set *set, struct text *why)
{
	const struct policy_doc doc = {
		.name = (char *)(uintptr_t)name,
		.json = (cJSON *)(uintptr_t)json,
	};

	return policy_read(p, &doc, set, why);
}

int policy_read_named(struct policy *p, const char *name, const struct policy_set *set,
		      struct text *why)
{
	struct chain c = { .set = set };
	int r;

	start_empty(p);
	r = read_named(p, name, &c, why);
	if (r == -ENOENT)
		say_known(name, set, why);
	return r;
}

void policy_init(struct policy *p)
{
	AUTO_TEXT why = { 0 };

	/* it is part of the program: the unit tests read it, too */
	must(policy_read_named(p, "default", NULL, &why) == 0);
}

int policy_choose(struct policy *p, const char *word, struct text *why)
{
	struct policy_doc doc;
	int r;

	*p = (struct policy){ 0 };
	if (!word || (!strchr(word, '/') && !strstr(word, ".json")))
		return policy_read_named(p, word ? word : "default", NULL, why) < 0 ? -EINVAL : 0;
	if (policy_doc_open(&doc, word, 0, why) < 0)
		return -EINVAL;
	r = policy_read(p, &doc, NULL, why);
	policy_doc_done(&doc);
	return r;
}

int policy_tighten(struct policy *p, const struct policy_doc *doc, struct text *why)
{
	return policy_read_members(p, doc, true, why);
}

int policy_tighten_by(struct policy *p, const char *workspace, const char **ret_state,
		      struct text *why)
{
	AUTO_TEXT path = { 0 };
	AUTO_TEXT unreadable = { 0 };
	struct policy_doc doc;
	int r;

	*ret_state = "none";
	text_printf(&path, "%s/" POLICY_OF_WORKSPACE, workspace);
	/* whoever wrote it may be anybody: nothing is followed, so that no message tells
	 * what is in a file that is not his */
	r = policy_doc_open(&doc, path.at, O_NOFOLLOW, &unreadable);
	if (r == -EACCES)
		*ret_state = "unreadable";
	if (r == -EACCES || r == -ENOENT)
		return 0;
	if (r < 0) {
		text_add(why, unreadable.at);
		return -EINVAL;
	}
	r = policy_tighten(p, &doc, why);
	policy_doc_done(&doc);
	*ret_state = "in force";
	return r < 0 ? -EINVAL : 0;
}

int policy_set_add(struct policy_set *set, const char *name, const char *path, struct text *why)
{
	struct policy_doc *doc = calloc(1, sizeof(*doc));
	char *copy = strdup(name);
	int r = doc && copy ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < set->count; i++)
		if (strcmp(set->names[i], name) == 0) {
			text_printf(why, "two policies are called \"%.100s\"", name);
			r = -EINVAL;
		}
	if (r == 0 && (set->count == POLICY_SET_MAX || !name[0] || strcmp(name, "none") == 0)) {
		text_printf(why,
			    set->count == POLICY_SET_MAX
				    ? "more than %d policies"
				    : "a policy cannot be called \"\" or \"none\"",
			    POLICY_SET_MAX);
		r = -EINVAL;
	}
	if (r == 0)
		r = policy_doc_open(doc, path, 0, why);
	if (r < 0) {
		free(doc);
		free(copy);
		return r;
	}
	set->docs[set->count] = doc;
	set->names[set->count++] = copy;
	return 0;
}

bool policy_set_has(const struct policy_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->names[i], name) == 0)
			return true;
	return false;
}

int policy_set_check(const struct policy_set *set, struct text *why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < set->count; i++) {
		struct profile *profile = NULL;
		struct policy p;

		r = policy_read(&p, set->docs[i], set, why);
		if (r == 0)
			r = profile_make(&p, &profile, why);
		profile_free(profile);
		policy_done(&p);
	}
	return r;
}

void policy_set_done(struct policy_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		policy_doc_done(set->docs[i]);
		free(set->docs[i]);
		free(set->names[i]);
	}
	set->count = 0;
}
