// SPDX-License-Identifier: Apache-2.0
/* supervisor/policy_tool.c - `glovebox policy`: check, show, explain, import (learn.c: learn). */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/path.h"
#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/learn.h"
#include "supervisor/options.h"
#include "supervisor/policy.h"
#include "supervisor/policy_doc.h"
#include "supervisor/profile.h"

struct options {
	bool help;
	const char *policy, *from;
};

static const struct option_row rows[] = {
	{ 'p', "policy", OPTION_TEXT, offsetof(struct options, policy), "NAME|FILE",
	  "explain by this one (default: default)" },
	{ 0, "from", OPTION_TEXT, offsetof(struct options, from), "KIND",
	  "import: whose file it is; known are srt and claude" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(
		&t,
		"usage: glovebox policy check FILE ...\n"
		"       glovebox policy show [NAME|FILE|SESSION]\n"
		"       glovebox policy explain [--policy NAME|FILE] PATH|HOST|SYSCALL ...\n"
		"       glovebox policy import --from srt|claude FILE\n"
		"       glovebox policy learn SESSION|REPORT ...\n\n"
		"What a session may do. `check` reads a file strictly and says what is wrong, with\n"
		"its line; `show` prints a policy whole, with all that it extends; `explain` says\n"
		"what would happen to a path (absolute, or of the workspace), a host or a system\n"
		"call, and which line decides it; `import` writes a policy from a neighbour's file\n"
		"and lists what could not be carried over; `learn` writes the smallest one for what\n"
		"the calls of a session, or of reports, were seen to do.\n\n");
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

/* --- check ------------------------------------------------------------------------- */

static void warn_opened(const struct policy *p)
{
	static const struct {
		const char *name, *why;
	} risks[] = {
		{ "clone3", "a filter cannot see its flags: new namespaces become possible" },
		{ "unshare", "a new user namespace gives its maker every capability inside it" },
		{ "io_uring_setup",
		  "what io_uring does passes no filter, and is seen when it is asked for, not what came of it" },
		{ "bpf", "it reaches the machine's kernel itself" },
		{ "userfaultfd", "it can hold the freezer, so that a pause never completes" },
	};
	const struct policy_list *l = &p->lists[POLICY_SYSCALL_ALLOW];

	for (size_t i = 0; i < l->count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(risks); k++)
			if (strcmp(l->at[i].text, risks[k].name) == 0)
				(void)command_fail(0, "warning: %s: %s: %s", l->at[i].from,
						   risks[k].name, risks[k].why);
}

static int check_one(const char *path)
{
	struct profile *profile = NULL;
	AUTO_TEXT why = { 0 };
	struct policy_doc doc;
	struct policy p = { 0 };
	int r = policy_doc_open(&doc, path, 0, &why);

	if (r == 0) {
		r = policy_read(&p, &doc, NULL, &why);
		if (r == 0)
			r = profile_make(&p, &profile, &why);
		policy_doc_done(&doc);
	}
	if (r == 0) {
		warn_opened(&p);
		(void)printf("%s: sound\n", path);
	}
	profile_free(profile);
	policy_done(&p);
	return r == 0 ? EXIT_DONE : command_fail(EXIT_FAILED, "%s", why.at ? why.at : strerror(-r));
}

static int check(char **paths)
{
	int status = EXIT_DONE;

	if (!paths[0])
		return command_fail(EXIT_USAGE, "check what? glovebox policy check FILE ...");
	for (; *paths; paths++)
		if (check_one(*paths) != EXIT_DONE)
			status = EXIT_FAILED;
	return status;
}

/* --- show ---------------------------------------------------------------------------- */

static int print_json(cJSON *json)
{
	char *s = json ? cJSON_Print(json) : NULL;

	cJSON_Delete(json);
	if (!s || puts(s) < 0)
		return command_fail(EXIT_FAILED, "no memory");
	cJSON_free(s);
	return EXIT_DONE;
}

static int show_session(const char *id)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	cJSON *result = NULL, *policy;
	int r;

	client_add_member(&params, "id", id);
	r = client_ask(id, "session.show", params.at, &result, &why);
	if (r < 0)
		return command_fail(client_status(r), "%s", why.at ? why.at : strerror(-r));
	policy = cJSON_DetachItemFromObjectCaseSensitive(result, "policy");
	cJSON_Delete(result);
	return print_json(policy);
}

static int show(const char *word)
{
	AUTO_TEXT why = { 0 };
	AUTO_TEXT t = { 0 };
	struct policy p;
	int r;

	if (word && strncmp(word, "s-", 2) == 0)
		return show_session(word);
	r = policy_choose(&p, word, &why);
	if (r == 0)
		policy_add_json(&p, &t);
	policy_done(&p);
	return r < 0 ? command_fail(EXIT_FAILED, "%s", why.at) : print_json(cJSON_Parse(t.at));
}

/* --- explain ---------------------------------------------------------------------------- */

static void say(const char *what, const char *verdict, const char *rule,
		const struct policy_item *item)
{
	AUTO_TEXT t = { 0 };

	text_add_safe(&t, what, strlen(what));
	text_printf(&t, ": %s", verdict);
	if (item) {
		text_printf(&t, "\n  decided by %s: %s \"", item->from, rule);
		text_add_safe(&t, item->text, strlen(item->text));
		text_add(&t, "\"");
	} else if (rule) {
		text_printf(&t, "\n  %s", rule);
	}
	(void)puts(t.at);
}

static void explain_absolute(const struct policy *p, const char *path)
{
	static const char *const own[] = { "/tmp", "/var/tmp", "/run", "/home/agent", "/dev/shm" };
	const struct policy_item *item;
	AUTO_TEXT add = { 0 };

	item = policy_find_path(p, POLICY_HIDE, path);
	if (item) {
		say(path, "hidden: it cannot be opened (EACCES), or is not there (ENOENT)",
		    "files.hide", item);
		return;
	}
	item = policy_find_path(p, POLICY_EXEC_DENY, path);
	if (item) {
		say(path, "shown, and cannot be run (EACCES)", "exec.deny", item);
		return;
	}
	item = policy_find_path(p, POLICY_READ, path);
	if (item) {
		say(path, "shown read-only (a write answers EROFS)", "files.read", item);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (path_is_below(path, own[i])) {
			say(path, "private to the session: it begins empty, and ends with it", NULL,
			    NULL);
			return;
		}
	if (path_is_below(path, "/proc") || path_is_below(path, "/dev")) {
		say(path, "the sandbox's own; read-only, and without the machine's", NULL, NULL);
		return;
	}
	text_add(&add, "nothing lists it; to show it: \"files\": {\"read\": [");
	text_add_json(&add, path, strlen(path));
	text_add(&add, "]}\n  (unless it is in the workspace: ask with a relative path)");
	say(path, "not there (ENOENT)", add.at, NULL);
}

static void explain_relative(const struct policy *p, const char *path)
{
	const struct policy_item *item;

	path += strncmp(path, "./", 2) == 0 ? 2 : 0;
	item = policy_find_hidden(p, path);
	if (item) {
		say(path, "in the workspace: not there, now or later (ENOENT)", "files.hide", item);
		return;
	}
	item = policy_find_glob(p, POLICY_PROTECT, path);
	if (item) {
		say(path, "in the workspace: read and written; a commit needs --protected",
		    "files.protect", item);
		return;
	}
	if (!policy_may_commit(p, path)) {
		say(path, "in the workspace: read and written inside; it is never committed",
		    "no entry of files.write covers it", NULL);
		return;
	}
	item = policy_find_glob(p, POLICY_WRITE, path);
	say(path,
	    p->commit == POLICY_COMMIT_OPERATOR
		    ? "in the workspace: read and written; an operator commits it"
	    : p->commit == POLICY_COMMIT_AGENT
		    ? "in the workspace: read and written; the agent may commit it"
		    : "in the workspace: read and written; committed when the call has ended well",
	    item ? "files.write" : "files.commit", item);
}

static int explain_call(const struct policy *p, const char *name)
{
	const struct profile_rule *rule;
	struct profile *profile = NULL;
	AUTO_TEXT why = { 0 };
	AUTO_TEXT key = { 0 };
	bool sometimes;
	int r = profile_make(p, &profile, &why);

	if (r < 0)
		return command_fail(EXIT_FAILED, "%s", why.at ? why.at : strerror(-r));
	rule = profile_verdict(profile, profile_syscall_number(name), &sometimes);
	if (rule) {
		text_printf(&key, "decided by %s: %s%s%s\n  to allow it: syscalls.allow: [\"%s\"]",
			    rule->key, rule->why, rule->what ? "; refused is " : "",
			    rule->what ? rule->what : "", name);
		say(name,
		    sometimes               ? "allowed, but not with every argument"
		    : rule->error == ENOSYS ? "answers ENOSYS, so that a library takes another way"
					    : "denied (EPERM)",
		    key.at, NULL);
	} else {
		say(name, "allowed", p->profile ? p->profile_from : "syscalls.default", NULL);
	}
	profile_free(profile);
	return EXIT_DONE;
}

static int explain_one(const struct policy *p, const char *what)
{
	if (what[0] == '/') {
		explain_absolute(p, what);
		return EXIT_DONE;
	}
	if (profile_syscall_number(what) >= 0)
		return explain_call(p, what);
	if (strcmp(what, "localhost") == 0 || strncmp(what, "127.", 4) == 0 ||
	    strcmp(what, "::1") == 0) {
		say(what, "reached: the session's own loopback, not the machine's", NULL, NULL);
		return EXIT_DONE;
	}
	/* a name with a dot may be a file or a host: both are told */
	if (!strchr(what, '/') && (strchr(what, '.') || strchr(what, ':')) && what[0] != '.')
		say(what, "as a host: not reached, the session has no network",
		    "network.mode: \"none\"", NULL);
	if (!strchr(what, ':'))
		explain_relative(p, what);
	return EXIT_DONE;
}

static int explain(const struct options *opt, char **words)
{
	AUTO_TEXT why = { 0 };
	struct policy p;
	int status = EXIT_DONE;

	if (!words[0])
		return command_fail(EXIT_USAGE, "explain what? a path, a host or a system call");
	if (policy_choose(&p, opt->policy, &why) < 0)
		status = command_fail(EXIT_FAILED, "%s", why.at);
	for (; status == EXIT_DONE && *words; words++)
		status = explain_one(&p, *words);
	policy_done(&p);
	return status;
}

/* --- import ------------------------------------------------------------------------------ */

static void not_carried(struct text *t, const char *key, const char *why)
{
	text_add(t, "  ");
	text_add_safe(t, key, strlen(key));
	text_printf(t, ": %s\n", why);
}

/* "~/x" is the person's home; "." is the workspace. */
static void add_path(cJSON *list, const char *s)
{
	AUTO_TEXT t = { 0 };
	const char *home = getenv("HOME");

	if (s[0] == '~' && (s[1] == '/' || !s[1]) && home)
		text_printf(&t, "%s%s", home, s + 1);
	else
		text_add(&t, strncmp(s, "./", 2) == 0 ? s + 2 : s);
	while (t.len > 1 && t.at[t.len - 1] == '/')
		t.at[--t.len] = '\0';
	if (t.at)
		cJSON_AddItemToArray(list, cJSON_CreateString(t.at));
}

static void import_files(const cJSON *in, cJSON *files, struct text *left)
{
	static const struct {
		const char *from, *to;
	} lists[] = { { "denyRead", "hide" }, { "allowRead", "read" }, { "denyWrite", "protect" } };
	const cJSON *v;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		cJSON *list = NULL;

		cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(in, lists[i].from)) {
			bool is_far = cJSON_IsString(v) && strchr("/~", v->valuestring[0]);

			if (!cJSON_IsString(v))
				continue;
			if (i == 2 && is_far) {
				not_carried(
					left, v->valuestring,
					"denyWrite outside the workspace: nothing is written there");
				continue;
			}
			if (is_far && strpbrk(v->valuestring, "*?")) {
				not_carried(left, v->valuestring,
					    "a path of the machine is listed without wildcards");
				continue;
			}
			if (!list)
				list = cJSON_AddArrayToObject(files, lists[i].to);
			add_path(list, v->valuestring);
		}
	}
	cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(in, "allowWrite"))
		if (cJSON_IsString(v) && strcmp(v->valuestring, ".") != 0)
			not_carried(left, v->valuestring,
				    "allowWrite: only the workspace, /tmp and $HOME are written");
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(in, "disabled")))
		not_carried(left, "filesystem.disabled", "the files are always a sandbox's");
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(in, "allowGitConfig")))
		not_carried(left, "filesystem.allowGitConfig", "say --protected at the commit");
}

static void import_rest(const cJSON *in, cJSON *files, struct text *left)
{
	const cJSON *credentials = cJSON_GetObjectItemCaseSensitive(in, "credentials");
	const cJSON *v;
	cJSON *hide = cJSON_GetObjectItemCaseSensitive(files, "hide");

	cJSON_ArrayForEach (v, cJSON_GetObjectItemCaseSensitive(credentials, "files")) {
		const cJSON *path = cJSON_GetObjectItemCaseSensitive(v, "path");

		if (!cJSON_IsString(path))
			continue;
		if (!hide)
			hide = cJSON_AddArrayToObject(files, "hide");
		add_path(hide, path->valuestring);
	}
	for (v = in->child; v; v = v->next) {
		if (strcmp(v->string, "filesystem") == 0)
			continue;
		if (strcmp(v->string, "network") == 0)
			not_carried(
				left, v->string,
				"a session has no network in this version (network.mode: none)");
		else if (strcmp(v->string, "credentials") == 0)
			not_carried(left, "credentials.envVars, masks",
				    "no variable is passed on unless env.pass names it");
		else
			not_carried(left, v->string, "there is nothing like it here");
	}
}

static int import(const struct options *opt, char **words)
{
	AUTO_TEXT why = { 0 };
	AUTO_TEXT left = { 0 };
	struct policy_doc doc;
	const cJSON *from;
	cJSON *out, *files;

	if (!opt->from || (strcmp(opt->from, "srt") != 0 && strcmp(opt->from, "claude") != 0))
		return command_fail(EXIT_USAGE,
				    "say whose file it is: --from srt, or --from claude");
	if (!words[0] || words[1])
		return command_fail(EXIT_USAGE,
				    "usage: glovebox policy import --from srt|claude FILE");
	if (policy_doc_open(&doc, words[0], 0, &why) < 0)
		return command_fail(EXIT_FAILED, "%s", why.at);
	out = cJSON_CreateObject();
	cJSON_AddStringToObject(out, "extends", "default");
	files = cJSON_AddObjectToObject(out, "files");
	/* Claude Code's settings hold the same among others */
	from = strcmp(opt->from, "srt") == 0
		       ? doc.json
		       : cJSON_GetObjectItemCaseSensitive(doc.json, "sandbox");
	if (cJSON_IsObject(from)) {
		import_files(cJSON_GetObjectItemCaseSensitive(from, "filesystem"), files, &left);
		import_rest(from, files, &left);
	} else {
		not_carried(&left, "sandbox", "the file has no such object");
	}
	policy_doc_done(&doc);
	if (left.len > 0)
		(void)fprintf(stderr, "glovebox: not carried over:\n%s", left.at);
	return print_json(out);
}

int command_policy(char **argv)
{
	struct options opt = { 0 };
	AUTO_TEXT why = { 0 };
	char **rest;

	if (options_parse(rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help || !rest[0])
		return opt.help ? help() : (help(), EXIT_USAGE);
	if (strcmp(rest[0], "check") == 0)
		return check(rest + 1);
	if (strcmp(rest[0], "show") == 0 && (!rest[1] || !rest[2]))
		return show(rest[1]);
	if (strcmp(rest[0], "explain") == 0)
		return explain(&opt, rest + 1);
	if (strcmp(rest[0], "import") == 0)
		return import(&opt, rest + 1);
	if (strcmp(rest[0], "learn") == 0)
		return learn_policy(rest + 1);
	return command_fail(EXIT_USAGE,
			    "policy knows check, show, explain, import and learn, not \"%.60s\"",
			    rest[0]);
}
