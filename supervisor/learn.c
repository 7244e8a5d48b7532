// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/learn.c - `glovebox policy learn`: the smallest policy for what was observed.
 *
 * It is made of reports: the system calls that were counted, and where was read and written.
 * What was refused is left out, and said: a tool can try anything. The same reports give the
 * same text.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/learn.h"
#include "supervisor/place.h"
#include "supervisor/policy.h"
#include "supervisor/profile.h"

/* A report is as large as its change list: 200,000 entries. */
#define REPORT_MAX (64u << 20)
/* Calls of a session that are asked for. */
#define CALLS_MAX 10000u
/* Different names of one kind that are kept: more than a policy may list. */
#define WORDS_MAX 1024
/* Of what is left out, that many are named: more are no help to a reader. */
#define LEFT_OUT_MAX 20

struct learned {
	uint64_t counts[WATCH_SYSCALLS], denied[WATCH_SYSCALLS];
	uint64_t refused[WATCH_SYSCALLS]; /* of counts: they returned what a filter answers */
	struct policy base; /* what the result extends */
	cJSON *read; /* array of paths: where it read of what `base` does not show */
	cJSON *entries; /* array of paths: those of the policies it ran under that these are of */
	cJSON *used; /* array of paths: where it read of what `base` shows */
	cJSON *written; /* array of globs of the workspace */
	cJSON *unnamed; /* of the workspace: changed, and of a name that no glob has */
	bool reads_cut, has_reads;
	cJSON *refused_paths, *reached; /* arrays: what it did not get to */
	unsigned int reports;
	char first[64], last[64]; /* names of calls, for the head */
};

/* Without these no tool starts, or none ends: what is ours before the exec, and what every
 * program may come to. */
static const char *const always[] = { "execve",          "exit",         "exit_group",
				      "restart_syscall", "rt_sigreturn", "write" };

static double number_of(const cJSON *json, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsNumber(v) && v->valuedouble > 0 ? v->valuedouble : 0;
}

/* Once each. What is beyond WORDS_MAX is dropped: has_too_many() is then true. */
static void add_word(cJSON *list, const char *word)
{
	const cJSON *v;
	unsigned int n = 0;

	cJSON_ArrayForEach (v, list)
		if (strcmp(v->valuestring, word) == 0 || ++n > WORDS_MAX)
			return;
	cJSON_AddItemToArray(list, cJSON_CreateString(word));
}

/* More than a policy takes. */
static bool has_too_many(const cJSON *list)
{
	return cJSON_GetArraySize(list) > POLICY_LIST_MAX;
}

static const cJSON *member(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

/* What was counted, what of it was refused as we know, and what may have been. */
static void add_counts(struct learned *l, const cJSON *syscalls)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, member(syscalls, "counts")) {
		int nr = profile_syscall_number(v->string);
		double eperm = number_of(member(member(syscalls, "errors"), v->string), "EPERM");
		double enosys = number_of(member(member(syscalls, "errors"), v->string), "ENOSYS");

		if (nr < 0 || nr >= WATCH_SYSCALLS || !cJSON_IsNumber(v))
			continue;
		l->counts[nr] += (uint64_t)v->valuedouble;
		/* where errors are missing, none of it is known to have worked */
		l->refused[nr] += number_of(syscalls, "errors_missed") > 0
					  ? (uint64_t)v->valuedouble
					  : (uint64_t)(eperm + enosys);
	}
	cJSON_ArrayForEach (v, member(syscalls, "denied")) {
		int nr = profile_syscall_number(v->string);

		if (nr >= 0 && nr < WATCH_SYSCALLS && cJSON_IsNumber(v))
			l->denied[nr] += (uint64_t)v->valuedouble;
	}
}

static void add_denials(struct learned *l, const cJSON *denials)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, denials) {
		const char *rule = client_text_of(v, "rule");
		const char *subject = client_text_of(v, "subject");

		/* trying is not using: a tool can try anything */
		if (subject[0] == '/')
			add_word(l->refused_paths, subject);
		else if (strncmp(rule, "network", 7) == 0 && subject[0])
			add_word(l->reached, subject);
	}
}

/* /usr/lib/python3.11/encodings is one of many that come and go with a version. */
#define DEPTH 3

/* The entry of the policy that it ran under, or the first names of the path: what of the two
 * is less. So nothing is shown that was not. */
static void add_read(struct learned *l, const cJSON *shown, const char *path)
{
	size_t cut = strlen(path);
	int depth = 0;
	AUTO_TEXT word = { 0 };
	const cJSON *v;

	for (size_t i = 1; path[i]; i++)
		if (path[i] == '/' && ++depth == DEPTH) {
			cut = i;
			break;
		}
	if (!policy_find_path(&l->base, POLICY_READ, path)) {
		const char *entry = NULL;

		cJSON_ArrayForEach (v, shown)
			if (cJSON_IsString(v) && path_is_below(path, v->valuestring) &&
			    (!entry || strlen(v->valuestring) > strlen(entry)))
				entry = v->valuestring;
		/* a report that does not say why it could be read grants nothing */
		if (!entry) {
			add_word(l->refused_paths, path);
			return;
		}
		add_word(l->entries, entry);
		cut = strlen(entry) > cut ? strlen(entry) : cut;
	}
	text_add_n(&word, path, cut);
	add_word(policy_find_path(&l->base, POLICY_READ, path) ? l->used : l->read, word.at);
}

static void add_reads(struct learned *l, const cJSON *json)
{
	const cJSON *v;

	l->has_reads |= cJSON_IsArray(member(json, "reads"));
	l->reads_cut |= cJSON_IsTrue(member(json, "reads_cut"));
	cJSON_ArrayForEach (v, member(json, "reads"))
		if (cJSON_IsString(v) && v->valuestring[0] == '/' && v->valuestring[1])
			add_read(l, member(json, "shown"), v->valuestring);
}

/* Of what it changed: a file at the top by itself, all else by the directory at the top. */
static void add_changes(struct learned *l, const cJSON *json)
{
	const char *root = client_text_of(json, "workspace");
	size_t n = strlen(root);
	const cJSON *v;

	cJSON_ArrayForEach (v, member(json, "changes")) {
		const char *path = client_text_of(v, "path");
		AUTO_TEXT glob = { 0 };
		const char *slash;

		if (n == 0 || strncmp(path, root, n) != 0 || path[n] != '/')
			continue;
		slash = strchr(path + n + 1, '/');
		/* from the top: a name without that is one of every directory */
		text_add_n(&glob, path + n, slash ? (size_t)(slash - path) - n : strlen(path + n));
		/* a byte that is no UTF-8 became U+FFFD */
		add_word(strpbrk(glob.at, "*?[\\") || strstr(glob.at, "\xef\xbf\xbd") ? l->unnamed
										      : l->written,
			 glob.at);
	}
}

static int check_report(const cJSON *json, const char *name, struct text *why)
{
	if (!cJSON_IsObject(json) || !member(json, "outcome")) {
		text_printf(why, "%s is no report (--report FILE writes one)", name);
		return -EINVAL;
	}
	if (!cJSON_IsObject(member(member(json, "syscalls"), "counts"))) {
		text_printf(
			why,
			"%s: nobody counted its system calls (see its \"protection\"): run it where "
			"eBPF watches",
			name);
		return -EINVAL;
	}
	return 0;
}

/* `text` ends with a NUL, and is changed: the parser knows no lone surrogates. */
static int add_report(struct learned *l, char *text, const char *name, struct text *why)
{
	cJSON *json;
	int r;

	text_replace_lone(text);
	json = cJSON_Parse(text);
	r = check_report(json, name, why);
	if (r == 0) {
		add_counts(l, member(json, "syscalls"));
		add_denials(l, member(json, "denials"));
		add_reads(l, json);
		add_changes(l, json);
		(void)snprintf(l->last, sizeof(l->last), "%.40s.%.0f",
			       client_text_of(json, "session"), number_of(json, "call"));
		if (l->reports++ == 0)
			memcpy(l->first, l->last, sizeof(l->first));
	}
	cJSON_Delete(json);
	return r;
}

static int add_file(struct learned *l, int dir, const char *path, struct text *why)
{
	AUTO_FD fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	AUTO_MEM char *text = fd >= 0 ? malloc(REPORT_MAX + 1) : NULL;
	ssize_t n = text ? io_read_full(fd, text, REPORT_MAX) : -1;

	if (fd < 0)
		return -errno;
	if (n < 0 || n == (ssize_t)REPORT_MAX) {
		text_printf(why, "%s cannot be read", path);
		return -EINVAL;
	}
	text[n] = '\0';
	return add_report(l, text, path, why);
}

/* Of a session: those that are kept, or that its supervisor gives. */
static int add_kept(struct learned *l, const char *name, struct text *why)
{
	char id[SB_ID_MAX], path[64];
	AUTO_FD dir = -1;
	int r = place_find_session(name, id, why);

	if (r == 0)
		r = place_open_session(id, &dir);
	for (unsigned int n = 1; r == 0 && n < CALLS_MAX; n++) {
		int e;

		(void)snprintf(path, sizeof(path), "report/%u.json", n);
		e = add_file(l, dir, path, why);
		if (e == -ENOENT)
			break;
		r = e;
	}
	return r;
}

static int add_asked(struct learned *l, struct client *c, const char *name, struct text *why)
{
	int r = 0;

	for (unsigned int n = 1; r == 0 && n < CALLS_MAX; n++) {
		AUTO_TEXT params = { 0 };
		AUTO_TEXT id = { 0 };
		AUTO_TEXT none = { 0 };
		char *result;

		text_printf(&id, "%.*s.%u", (int)strcspn(name, "."), name, n);
		client_add_member(&params, "id", id.at);
		/* the last number is the first that there is no report of */
		if (client_exchange(c, "call.report", params.at, -1, &result, &none) < 0)
			break;
		r = add_report(l, result, id.at, why);
	}
	return r;
}

static int add_one(struct learned *l, const char *name, struct text *why)
{
	struct client c = { .fd = -1 };
	AUTO_TEXT none = { 0 };
	int r;

	if (strncmp(name, "s-", 2) != 0) {
		r = add_file(l, AT_FDCWD, name, why);
		if (r < 0 && why->len == 0) {
			text_add_safe(why, name, strlen(name));
			text_printf(why, ": %s; give reports, or a session", strerror(-r));
		}
		return r;
	}
	r = client_connect(name, &c, &none);
	r = r == 0 ? add_asked(l, &c, name, why) : add_kept(l, name, why);
	client_done(&c);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What the default refuses is never granted for having been tried: denials may be missing,
 * the counts are not. */
static bool is_used(const struct learned *l, int nr)
{
	const struct profile *p;
	bool sometimes = false;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		if (nr == profile_syscall_number(always[i]))
			return true;
	if (profile_default(&p, &fd) == 0 && profile_verdict(p, nr, &sometimes) && !sometimes)
		return l->counts[nr] > l->refused[nr];
	return l->counts[nr] > l->denied[nr];
}

/* Sorted, four to a line. */
static void print_names(const char **names, size_t count, const char *indent)
{
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		AUTO_TEXT t = { 0 };

		text_add_json(&t, names[i], strlen(names[i]));
		(void)printf("%s%s%s", i % 4 == 0 ? indent : " ", t.at, i + 1 < count ? "," : "");
		if (i % 4 == 3 || i + 1 == count)
			(void)putchar('\n');
	}
}

/* In comments: a name of the tool's is written as JSON has it, without a line's end. */
static void print_left_out(const char *why, const char *what, const cJSON *list)
{
	const cJSON *v;
	int n = 0;

	cJSON_ArrayForEach (v, list) {
		AUTO_TEXT name = { 0 };

		if (n++ >= LEFT_OUT_MAX)
			continue;
		text_add_json(&name, v->valuestring, strlen(v->valuestring));
		(void)printf("// %s, and left out: %s%s\n", why, what, name.at);
	}
	if (n > LEFT_OUT_MAX)
		(void)printf("// %s, and left out: %d more\n", why, n - LEFT_OUT_MAX);
}

/* What leads to programs and libraries by another name: no reading of theirs is seen. */
static const char *const links[] = { "/bin",
				     "/sbin",
				     "/lib",
				     "/lib32",
				     "/lib64",
				     "/libx32",
				     "/usr/lib64",
				     "/etc/alternatives",
				     "/etc/ld.so.cache",
				     "/etc/localtime",
				     "/etc/os-release" };

/* A directory that is listed has what is below it. */
static bool is_covered(const cJSON *list, const char *path)
{
	const cJSON *v;

	cJSON_ArrayForEach (v, list)
		if (strcmp(v->valuestring, path) != 0 && path_is_below(path, v->valuestring))
			return true;
	return false;
}

static void print_list(const char *key, const cJSON *list, bool is_last)
{
	size_t count = 0, all = (size_t)cJSON_GetArraySize(list);
	const char **names = calloc(all + 1, sizeof(*names));
	const cJSON *v;

	cJSON_ArrayForEach (v, list)
		if (names && !is_covered(list, v->valuestring))
			names[count++] = v->valuestring;
	(void)printf("    \"%s\": [\n", key);
	if (names)
		print_names(names, count, "      ");
	(void)printf("    ]%s\n", is_last ? "" : ",");
	free(names);
}

static void print_files(struct learned *l)
{
	bool read = cJSON_GetArraySize(l->read) > 0, only;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (policy_find_path(&l->base, POLICY_READ, links[i]))
			add_word(l->used, links[i]);
	l->reads_cut |= has_too_many(l->used);
	only = l->has_reads && !l->reads_cut;
	if (l->reads_cut)
		(void)puts(
			"  // it read in more places than were kept: all stay that the default shows");
	(void)puts("  \"files\": {");
	if (only)
		print_list("only", l->used, false);
	if (read)
		print_list("read", has_too_many(l->read) ? l->entries : l->read, false);
	/* nothing at all, where nothing was changed */
	if (has_too_many(l->written))
		(void)puts("    // it changed more names than a policy may list\n"
			   "    \"write\": [\"**\"]");
	else
		print_list("write", l->written, true);
	(void)puts("  },");
}

static void print_syscalls(const struct learned *l)
{
	const char *names[WATCH_SYSCALLS];
	size_t count = 0;

	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		if (is_used(l, nr))
			names[count++] = profile_syscall_name(nr);
	(void)puts(
		"  \"syscalls\": {\n    \"profile\": {\n      \"defaultAction\": \"SCMP_ACT_ERRNO\",\n"
		"      \"syscalls\": [{\n        \"action\": \"SCMP_ACT_ALLOW\",\n        \"names\": [");
	print_names(names, count, "          ");
	(void)puts("        ]\n      }]\n    }\n  }\n}");
}

static void print(struct learned *l)
{
	(void)printf(
		"// learned from %u call%s (%s%s%s): what was observed, and no more. A call that\n"
		"// does something else may need more: learn from all that it does.\n{\n"
		"  \"extends\": \"default\",\n",
		l->reports, l->reports == 1 ? "" : "s", l->first, l->reports == 1 ? "" : " to ",
		l->reports == 1 ? "" : l->last);
	print_files(l);
	print_syscalls(l);
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		if (l->counts[nr] > 0 && !is_used(l, nr))
			(void)printf("// denied, and left out: %s (%llu)\n",
				     profile_syscall_name(nr), (unsigned long long)l->counts[nr]);
	print_left_out("denied", "", l->refused_paths);
	print_left_out("denied", "the address ", l->reached);
	print_left_out("changed under a name that no pattern has", "", l->unnamed);
}

static void free_learned(struct learned *l)
{
	policy_done(&l->base);
	cJSON_Delete(l->read);
	cJSON_Delete(l->entries);
	cJSON_Delete(l->reached);
	cJSON_Delete(l->refused_paths);
	cJSON_Delete(l->used);
	cJSON_Delete(l->written);
	cJSON_Delete(l->unnamed);
	free(l);
}

static struct learned *new_learned(void)
{
	struct learned *l = calloc(1, sizeof(*l));
	AUTO_TEXT none = { 0 };

	if (!l)
		return NULL;
	l->read = cJSON_CreateArray();
	l->entries = cJSON_CreateArray();
	l->reached = cJSON_CreateArray();
	l->refused_paths = cJSON_CreateArray();
	l->used = cJSON_CreateArray();
	l->written = cJSON_CreateArray();
	l->unnamed = cJSON_CreateArray();
	if (policy_read_named(&l->base, "default", NULL, &none) < 0) {
		free_learned(l);
		return NULL;
	}
	return l;
}

int learn_policy(char **words)
{
	AUTO_TEXT why = { 0 };
	struct learned *l;
	int r = 0;

	if (!words[0])
		return command_fail(EXIT_USAGE, "usage: glovebox policy learn SESSION|REPORT ...");
	l = new_learned();
	if (!l)
		return command_fail(EXIT_FAILED, "out of memory");
	for (size_t i = 0; r == 0 && words[i]; i++)
		r = add_one(l, words[i], &why);
	if (r == 0 && l->reports == 0) {
		text_add(&why, "there is no report of a call that has ended");
		r = -ENOENT;
	}
	if (r == 0)
		print(l);
	free_learned(l);
	return r < 0 ? command_fail(r == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, "%s",
				    why.at ? why.at : strerror(-r))
		     : EXIT_DONE;
}
