// SPDX-License-Identifier: Apache-2.0
/* supervisor/judge.c - `approvals`, `approve`, `deny`, `steer`: a person's words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/options.h"

/* So much of a digest stands in a name; the whole of it is what is sent. */
#define DIGEST_SHOWN 12

struct options {
	bool help, json, for_session;
};

static const struct option_row list_rows[] = {
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL, "one JSON object" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row approve_rows[] = {
	{ 's', "session", OPTION_BOOL, offsetof(struct options, for_session), NULL,
	  "and do not ask again for the same command in this session" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row plain_rows[] = {
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static int help(const struct option_row *rows, const char *usage)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "usage: glovebox %s\n\n", usage);
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

static void add_text(struct text *t, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	text_printf(t, "  %-10s ", name);
	text_add_safe(t, value, strlen(value));
	text_add(t, "\n");
}

/* argv as a list: joined words would hide where one ends. */
static void add_words(struct text *t, const char *name, const cJSON *words)
{
	const cJSON *w;

	if (cJSON_GetArraySize(words) == 0)
		return;
	text_printf(t, "  %-10s", name);
	cJSON_ArrayForEach (w, words) {
		const char *value = cJSON_IsString(w) ? w->valuestring : "?";

		text_add(t, " [");
		text_add_safe(t, value, strlen(value));
		text_add(t, "]");
	}
	text_add(t, "\n");
}

static void print_approval(const cJSON *a)
{
	const cJSON *shown = cJSON_GetObjectItemCaseSensitive(a, "shown");
	const cJSON *left = cJSON_GetObjectItemCaseSensitive(a, "left_ns");
	const cJSON *input = cJSON_GetObjectItemCaseSensitive(shown, "stdin");
	const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(input, "bytes");
	AUTO_TEXT t = { 0 };

	text_printf(&t, "%s@%.*s  waits; %.0f s left\n", client_text_of(a, "id"), DIGEST_SHOWN,
		    client_text_of(a, "digest"),
		    cJSON_IsNumber(left) ? left->valuedouble / 1e9 : 0);
	add_words(&t, "argv", cJSON_GetObjectItemCaseSensitive(shown, "argv"));
	add_text(&t, "directory", client_text_of(shown, "cwd"));
	add_text(&t, "workspace", client_text_of(shown, "workspace"));
	add_words(&t, "env", cJSON_GetObjectItemCaseSensitive(shown, "env"));
	if (cJSON_IsNumber(bytes) && bytes->valuedouble > 0)
		text_printf(&t, "  %-10s %.0f bytes, sha256 %s\n", "stdin", bytes->valuedouble,
			    client_text_of(input, "sha256"));
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(shown, "background")))
		text_add(&t, "  background: what it leaves running stays\n");
	add_text(&t, "step", client_text_of(shown, "step"));
	add_text(&t, "rule", client_text_of(shown, "rule"));
	text_printf(&t, "  glovebox approve %s@%.*s   or: glovebox deny %s \"because ...\"\n",
		    client_text_of(a, "id"), DIGEST_SHOWN, client_text_of(a, "digest"),
		    client_text_of(a, "id"));
	(void)fputs(t.at, stdout);
}

struct listing {
	bool json;
	cJSON *all;
};

static void add_listing(const cJSON *result, void *context)
{
	struct listing *l = context;
	const cJSON *a;

	cJSON_ArrayForEach (a, cJSON_GetObjectItemCaseSensitive(result, "approvals"))
		(void)cJSON_AddItemToArray(l->all, cJSON_Duplicate(a, true));
}

static int list_all(struct listing *l)
{
	int r;

	l->all = cJSON_CreateArray();
	r = client_ask_all("approval.list", add_listing, l);
	if (r >= 0)
		return 0;
	cJSON_Delete(l->all);
	l->all = NULL;
	return command_fail(client_status(r), "what waits here cannot be asked: %s", strerror(-r));
}

int command_approvals(char **argv)
{
	struct options opt = { 0 };
	struct listing l = { 0 };
	AUTO_TEXT why = { 0 };
	const cJSON *a;
	char **rest;
	char *text;

	if (options_parse(list_rows, argv, false, &opt, &rest, &why) < 0 || rest[0])
		return command_fail(EXIT_USAGE, "%s",
				    why.at ? why.at : "approvals takes no arguments");
	if (opt.help)
		return help(list_rows, "approvals [--json]");
	if (list_all(&l) != 0)
		return EXIT_FAILED;
	if (opt.json) {
		text = cJSON_PrintUnformatted(l.all);
		(void)printf("{\"schema\":1,\"approvals\":%s}\n", text ? text : "[]");
		free(text);
	} else {
		cJSON_ArrayForEach (a, l.all)
			print_approval(a);
	}
	cJSON_Delete(l.all);
	return EXIT_DONE;
}

/* The whole digest of what was shown, from the piece of it in the name. */
static int find_digest(const char *name, char id[64], char digest[65], struct text *why)
{
	const char *at = strchr(name, '@');
	struct listing l = { 0 };
	const cJSON *a;
	int r = -ENOENT;

	if (!at || strlen(at + 1) < DIGEST_SHOWN || at - name >= 64) {
		text_add(why, "say what you approve, as `glovebox approvals` shows it: "
			      "glovebox approve CALL@DIGEST");
		return -EINVAL;
	}
	(void)snprintf(id, 64, "%.*s", (int)(at - name), name);
	if (list_all(&l) != 0)
		return -ENOTCONN;
	cJSON_ArrayForEach (a, l.all) {
		if (strcmp(client_text_of(a, "id"), id) != 0)
			continue;
		r = strncmp(client_text_of(a, "digest"), at + 1, strlen(at + 1)) == 0 ? 0 : -EPROTO;
		(void)snprintf(digest, 65, "%s", client_text_of(a, "digest"));
	}
	cJSON_Delete(l.all);
	if (r == -ENOENT)
		text_add(why, "that call does not wait; `glovebox approvals` lists what does");
	if (r == -EPROTO)
		text_add(why, "what waits there is something else: look again with `glovebox "
			      "approvals`");
	return r;
}

static int send_words(const char *id, const char *method, const struct text *params,
		      const char *done)
{
	AUTO_TEXT why = { 0 };
	cJSON *result = NULL;
	int r = client_ask(id, method, params->at, &result, &why);

	cJSON_Delete(result);
	if (r < 0)
		return command_fail(client_status(r), "%s", why.at ? why.at : strerror(-r));
	(void)printf("%s %s\n", id, done);
	return EXIT_DONE;
}

int command_approve(char **argv)
{
	struct options opt = { 0 };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	char id[64], digest[65];
	char **rest;
	int r;

	if (options_parse(approve_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help(approve_rows, "approve [--session] CALL@DIGEST");
	if (!rest[0] || rest[1])
		return command_fail(EXIT_USAGE, "usage: glovebox approve [--session] CALL@DIGEST");
	r = find_digest(rest[0], id, digest, &why);
	if (r < 0)
		return command_fail(client_status(r), "%s", why.at ? why.at : strerror(-r));
	client_add_member(&params, "id", id);
	client_add_member(&params, "digest", digest);
	client_add_member(&params, "scope", opt.for_session ? "session" : "once");
	return send_words(id, "approval.approve", &params, "approved");
}

/* Two words: what, and a sentence. */
static int say(char **argv, const char *usage, const char *method, const char *key, bool is_needed,
	       const char *done)
{
	struct options opt = { 0 };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	char **rest;

	if (options_parse(plain_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help(plain_rows, usage);
	if (!rest[0] || (is_needed && !rest[1]) || (rest[1] && rest[2]))
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	client_add_member(&params, "id", rest[0]);
	if (rest[1])
		client_add_member(&params, key, rest[1]);
	return send_words(rest[0], method, &params, done);
}

int command_deny(char **argv)
{
	return say(argv, "deny CALL [\"because ...\"]", "approval.deny", "reason", false, "denied");
}

int command_trace(char **argv)
{
	static const char usage[] = "trace CALL SET";
	static const char more[] =
		"What a running call is traced with, from now on: it replaces what there was. The\n"
		"system calls are told whole, as events (`glovebox events --follow`, or -v of its run).\n"
		"SET is a list in strace's words: %file,openat,!stat, all, none.\n\n";
	struct options opt = { 0 };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	cJSON *result = NULL;
	char **rest;
	int r;

	if (options_parse(plain_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help) {
		(void)printf("usage: glovebox %s\n\n%s", usage, more);
		return EXIT_DONE;
	}
	if (!rest[0] || !rest[1] || rest[2])
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	client_add_member(&params, "id", rest[0]);
	client_add_member(&params, "trace", rest[1]);
	r = client_ask(rest[0], "call.trace", params.at, &result, &why);
	if (r == 0)
		(void)printf(
			"%s: of %.0f kinds of system call each is told now\n",
			client_text_of(result, "call"),
			cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(result, "syscalls")));
	cJSON_Delete(result);
	return r == 0 ? EXIT_DONE
		      : command_fail(client_status(r), "%s", why.at ? why.at : strerror(-r));
}

int command_steer(char **argv)
{
	return say(argv, "steer SESSION \"a sentence for the agent\"", "steer", "text", true,
		   "is told");
}
