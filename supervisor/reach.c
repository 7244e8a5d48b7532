// SPDX-License-Identifier: Apache-2.0
/* supervisor/reach.c - `ps`, `pause`, `resume`, `kill`: from another terminal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/options.h"
#include "supervisor/rpc.h"

struct options {
	bool help, json, all;
	const char *reason;
};

static const struct option_row list_rows[] = {
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL, "one JSON object" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row verb_rows[] = {
	{ 'm', "reason", OPTION_TEXT, offsetof(struct options, reason), "TEXT",
	  "why, for the record" },
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL,
	  "print the receipt as JSON" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row kill_rows[] = {
	{ 'm', "reason", OPTION_TEXT, offsetof(struct options, reason), "TEXT",
	  "why, for the record" },
	{ 'a', "all", OPTION_BOOL, offsetof(struct options, all), NULL,
	  "everything that runs, of every supervisor here" },
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL,
	  "print the receipt as JSON" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static int help(const struct option_row *rows, const char *usage)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "usage: glovebox %s\n\n", usage);
	if (strstr(usage, " ID"))
		text_add(&t, "ID is a call (s-4f7k2m9q1c.1), a session (all its calls), or a "
			     "beginning\n"
			     "that only one of them has.\n\n");
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return 0;
}

struct listing {
	bool json;
	cJSON *calls;
};

static void add_listing(const cJSON *result, void *context)
{
	struct listing *l = context;
	const cJSON *calls = cJSON_GetObjectItemCaseSensitive(result, "calls");
	const cJSON *c;

	cJSON_ArrayForEach (c, calls)
		(void)cJSON_AddItemToArray(l->calls, cJSON_Duplicate(c, true));
}

static const char *string_of(const cJSON *c, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(c, key);

	return cJSON_IsString(v) ? v->valuestring : "";
}

static double number_of(const cJSON *c, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(c, key);

	return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static void print_call(const cJSON *c)
{
	AUTO_TEXT t = { 0 };
	const cJSON *word;

	text_printf(&t, "%-16s %-9s %9.1fs  ", string_of(c, "id"), string_of(c, "state"),
		    number_of(c, "running_ns") / 1e9);
	cJSON_ArrayForEach (word, cJSON_GetObjectItemCaseSensitive(c, "argv")) {
		if (cJSON_IsString(word))
			text_add_safe(&t, word->valuestring, strlen(word->valuestring));
		text_add(&t, " ");
	}
	(void)puts(t.at);
}

int command_ps(char **argv)
{
	struct options opt = { 0 };
	struct listing l = { 0 };
	AUTO_TEXT why = { 0 };
	const cJSON *c;
	char **rest;
	int r;

	if (options_parse(list_rows, argv, false, &opt, &rest, &why) < 0 || rest[0])
		return command_fail(EXIT_USAGE, "%s", why.at ? why.at : "ps takes no arguments");
	if (opt.help)
		return help(list_rows, "ps [--json]");
	l.calls = cJSON_CreateArray();
	r = client_ask_all("call.list", add_listing, &l);
	if (r < 0) {
		cJSON_Delete(l.calls);
		return command_fail(r == -EACCES ? EXIT_NOT_PERMITTED : EXIT_FAILED,
				    "what runs here cannot be asked: %s%s", strerror(-r),
				    r == -EACCES ? " (operators are root and the group glovebox)"
						 : "");
	}
	if (opt.json) {
		char *text = cJSON_PrintUnformatted(l.calls);

		(void)printf("{\"schema\":1,\"calls\":%s}\n", text ? text : "[]");
		free(text);
	} else {
		(void)printf("%-16s %-9s %10s  %s\n", "ID", "STATE", "RUNNING", "COMMAND");
		cJSON_ArrayForEach (c, l.calls)
			print_call(c);
	}
	cJSON_Delete(l.calls);
	return EXIT_DONE;
}

static void print_receipt(const cJSON *result)
{
	const cJSON *receipt = cJSON_GetObjectItemCaseSensitive(result, "receipt");
	const char *state = string_of(result, "state");

	(void)printf("%s %s", string_of(result, "id"),
		     receipt && strcmp(state, "paused") != 0 ? "killed" : state);
	if (cJSON_HasObjectItem(receipt, "frozen"))
		(void)printf(": %s after %.3f ms",
			     cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(receipt, "best_effort"))
				     ? "stopped (best effort)"
				     : "frozen",
			     number_of(receipt, "ns") / 1e6);
	else if (receipt)
		(void)printf(": %.0f processes, empty after %.3f ms",
			     number_of(receipt, "processes"), number_of(receipt, "ns") / 1e6);
	(void)putchar('\n');
}

static void print_result(const cJSON *result, bool json)
{
	char *text = json ? cJSON_PrintUnformatted(result) : NULL;

	if (json)
		(void)puts(text ? text : "{}");
	else
		print_receipt(result);
	free(text);
}

static void print_each(const cJSON *result, void *context)
{
	print_result(result, *(bool *)context);
}

static int kill_all(const struct options *opt)
{
	int r = client_ask_all("host.kill", print_each, (void *)(uintptr_t)&opt->json);

	if (r < 0)
		return command_fail(client_status(r), "what runs here cannot be reached: %s",
				    strerror(-r));
	return r > 0 ? EXIT_DONE : command_fail(EXIT_NO_SUPERVISOR, "nothing runs here");
}

static int ask(char **argv, const char *method, const struct option_row *rows)
{
	struct options opt = { 0 };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	cJSON *result = NULL;
	char usage[64];
	char **rest;
	int r;

	(void)snprintf(usage, sizeof(usage), "%s ID", argv[0]);
	/* the beginning of an id is enough while it is the only one */
	if (options_parse(rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help(rows, usage);
	if (opt.all && !rest[0])
		return kill_all(&opt);
	if (!rest[0] || rest[1] || opt.all)
		return command_fail(EXIT_USAGE, "usage: glovebox %s; `glovebox ps` lists the ids",
				    usage);
	client_add_member(&params, "id", rest[0]);
	if (opt.reason)
		client_add_member(&params, "reason", opt.reason);
	r = client_ask(rest[0], method, params.at, &result, &why);
	if (r < 0)
		return command_fail(client_status(r), "%s", why.at ? why.at : strerror(-r));
	print_result(result, opt.json);
	cJSON_Delete(result);
	return EXIT_DONE;
}

int command_pause(char **argv)
{
	return ask(argv, "call.pause", verb_rows);
}

int command_resume(char **argv)
{
	return ask(argv, "call.resume", verb_rows);
}

int command_kill(char **argv)
{
	return ask(argv, "call.kill", kill_rows);
}
