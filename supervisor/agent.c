// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/agent.c - `session`, `call`, `events`, `report`: a daemon's client.
 *
 * What came by the protocol is printed as it is (--json, events), so nothing that a
 * name or an output holds is lost on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/store.h"
#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/kept.h"
#include "supervisor/loop.h"
#include "supervisor/options.h"
#include "supervisor/place.h"
#include "supervisor/remote.h"
#include "supervisor/rpc.h"
#include "supervisor/user.h"

struct options {
	bool help, json, as_root, remove, background, follow, quiet, with_input;
	const char *at, *policy, *cwd, *agent_call_id, *step, *from, *trace;
	struct option_list limits, labels, env, kinds, paths;
};

static const struct option_row session_rows[] = {
	{ 0, "at", OPTION_TEXT, offsetof(struct options, at), "PATH",
	  "create: where the workspace is shown inside" },
	{ 'p', "policy", OPTION_TEXT, offsetof(struct options, policy), "NAME",
	  "create: a policy of the daemon" },
	{ 'l', "limit", OPTION_LIST, offsetof(struct options, limits), "NAME=VALUE",
	  "create: as for `run`" },
	{ 0, "label", OPTION_LIST, offsetof(struct options, labels), "NAME=VALUE",
	  "create: carried along" },
	{ 0, "root", OPTION_BOOL, offsetof(struct options, as_root), NULL,
	  "create: be root inside" },
	{ 0, "remove", OPTION_BOOL, offsetof(struct options, remove), NULL,
	  "close: and remove its files, changes that are not committed, too" },
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL, "one JSON object" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row call_rows[] = {
	{ 'C', "cwd", OPTION_TEXT, offsetof(struct options, cwd), "PATH",
	  "working directory, as the call sees it" },
	{ 'e', "env", OPTION_LIST, offsetof(struct options, env), "NAME=VALUE",
	  "set an environment variable" },
	{ 0, "agent-call-id", OPTION_TEXT, offsetof(struct options, agent_call_id), "ID",
	  "the agent's own name for this call" },
	{ 0, "step", OPTION_TEXT, offsetof(struct options, step), "TEXT",
	  "what the agent says it is doing" },
	{ 0, "trace", OPTION_TEXT, offsetof(struct options, trace), "SET",
	  "tell these system calls whole, in strace's words: %file,openat,!stat" },
	{ 'b', "background", OPTION_BOOL, offsetof(struct options, background), NULL,
	  "do not wait; what the command leaves running stays" },
	{ 'i', "stdin", OPTION_BOOL, offsetof(struct options, with_input), NULL,
	  "our standard input is the command's (else it has none)" },
	{ 'q', "quiet", OPTION_BOOL, offsetof(struct options, quiet), NULL,
	  "only the command's own output" },
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL,
	  "print the result as JSON, instead of the output" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row event_rows[] = {
	{ 'k', "kind", OPTION_LIST, offsetof(struct options, kinds), "GLOB",
	  "only these kinds, like \"file.*\"; repeat it for more" },
	{ 'p', "path", OPTION_LIST, offsetof(struct options, paths), "GLOB",
	  "only events of paths that match: /whole, or a name and what is in it" },
	{ 0, "from", OPTION_TEXT, offsetof(struct options, from), "SEQ",
	  "begin with this number (default: 1)" },
	{ 'f', "follow", OPTION_BOOL, offsetof(struct options, follow), NULL,
	  "wait for more, until interrupted" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row plain_rows[] = {
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static int help(const struct option_row *rows, const char *usage, const char *more)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "usage: glovebox %s\n\n%s", usage, more);
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

/* NAME=VALUE pairs as an object. */
static int add_pairs(struct text *t, const char *key, const struct option_list *list)
{
	if (list->count == 0)
		return 0;
	text_printf(t, ",\"%s\":{", key);
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->at[i], '=');

		if (!equals)
			return -EINVAL;
		text_add(t, i ? "," : "");
		text_add_json(t, list->at[i], (size_t)(equals - list->at[i]));
		text_add(t, ":");
		text_add_json(t, equals + 1, strlen(equals + 1));
	}
	text_add(t, "}");
	return 0;
}

/* --- session ---------------------------------------------------------------- */

struct listing {
	bool json;
	char (*seen)[SB_ID_MAX]; /* told by a supervisor: not from disk again */
	size_t count;
	bool first;
};

static void print_session(struct listing *l, const char *id, const char *state,
			  const char *workspace)
{
	AUTO_TEXT t = { 0 };

	if (l->json) {
		text_printf(&t, "%s{\"session\":\"%s\",\"state\":\"%s\",\"workspace\":",
			    l->first ? "" : ",", id, state);
		text_add_json(&t, workspace, strlen(workspace));
		text_add(&t, "}");
	} else {
		text_printf(&t, "%-14s %-8s ", id, state);
		text_add_safe(&t, workspace, strlen(workspace));
		text_add(&t, "\n");
	}
	l->first = false;
	(void)fputs(t.at, stdout);
}

static void add_sessions(const cJSON *result, void *context)
{
	struct listing *l = context;
	const cJSON *s;

	cJSON_ArrayForEach (s, cJSON_GetObjectItemCaseSensitive(result, "sessions")) {
		char(*more)[SB_ID_MAX] = realloc(l->seen, (l->count + 1) * sizeof(*more));

		if (!more)
			return;
		l->seen = more;
		(void)snprintf(more[l->count++], SB_ID_MAX, "%s", client_text_of(s, "session"));
		print_session(l, client_text_of(s, "session"), client_text_of(s, "state"),
			      client_text_of(s, "workspace"));
	}
}

/* From the records, which are root's and of fixed size. */
static void add_from_disk(const char *id, void *context)
{
	struct sb_config config = { .is_user = user_is_single(), .state_dir = place_state() };
	struct listing *l = context;
	struct store_record rec;
	AUTO_FD lock = -1;
	AUTO_FD dir = -1;

	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->seen[i], id) == 0)
			return;
	if (store_load(&config, id, &rec, &dir) < 0)
		return;
	print_session(l, id, store_lock(dir, &lock) == -EBUSY ? "in use" : "kept", rec.workspace);
}

static int list_sessions(const struct options *opt)
{
	struct listing l = { .json = opt->json, .first = true };
	int r;

	if (opt->json)
		(void)fputs("{\"schema\":1,\"sessions\":[", stdout);
	else
		(void)puts("SESSION        STATE    WORKSPACE");
	r = client_ask_all("session.list", add_sessions, &l);
	place_each_session(add_from_disk, &l);
	if (opt->json)
		(void)puts("]}");
	free(l.seen);
	if (r == -EACCES)
		return command_fail(EXIT_NOT_PERMITTED,
				    "these are yours; those of the machine's supervisors are "
				    "root's: sudo glovebox session list");
	return EXIT_DONE;
}

static int finish(int r, const struct text *why, const cJSON *result, bool json, const char *key)
{
	char *text;

	if (r < 0)
		return command_fail(r == -ENOENT && !result ? EXIT_NO_SUPERVISOR : client_status(r),
				    "%s", why->at ? why->at : strerror(-r));
	text = json ? cJSON_PrintUnformatted(result) : NULL;
	(void)puts(json ? (text ? text : "{}") : client_text_of(result, key));
	free(text);
	return EXIT_DONE;
}

static int create_session(const struct options *opt, const char *workspace)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	char *real = realpath(workspace, NULL);
	cJSON *result = NULL;
	int status, r;

	if (!real && errno == ENOENT)
		return command_fail(EXIT_NOT_FOUND, "there is no directory \"%s\"", workspace);
	client_add_member(&params, "workspace", real ? real : workspace);
	free(real);
	if (opt->at)
		client_add_member(&params, "at", opt->at);
	if (opt->policy)
		client_add_member(&params, "policy", opt->policy);
	if (opt->as_root)
		text_add(&params, ",\"root\":true");
	if (add_pairs(&params, "limits", &opt->limits) < 0 ||
	    add_pairs(&params, "labels", &opt->labels) < 0)
		return command_fail(EXIT_USAGE, "--limit and --label take NAME=VALUE");
	r = client_ask(NULL, "session.create", params.at, &result, &why);
	status = finish(r, &why, result, opt->json, "session");
	cJSON_Delete(result);
	return status;
}

int command_session(char **argv)
{
	static const char usage[] = "session list | create DIR | show ID | close ID";
	struct options opt = { 0 };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	cJSON *result = NULL;
	char **rest;
	int r, status;

	if (options_parse(session_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help(session_rows, usage,
			    "`list` shows what supervisors have and what is kept on disk; the "
			    "others need a daemon.\n\n");
	if (rest[0] && !rest[1] && strcmp(rest[0], "list") == 0)
		return list_sessions(&opt);
	if (!rest[0] || !rest[1] || rest[2])
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	if (strcmp(rest[0], "create") == 0)
		return create_session(&opt, rest[1]);
	client_add_member(&params, "id", rest[1]);
	if (strcmp(rest[0], "show") == 0) {
		opt.json = true;
		r = client_ask(rest[1], "session.show", params.at, &result, &why);
	} else if (strcmp(rest[0], "close") == 0) {
		text_printf(&params, ",\"remove\":%s", opt.remove ? "true" : "false");
		r = client_ask(rest[1], "session.close", params.at, &result, &why);
	} else {
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	}
	status = r < 0 ? command_fail(client_status(r), "%s", why.at)
		       : finish(r, &why, result, opt.json, "state");
	cJSON_Delete(result);
	return status;
}

/* --- call --------------------------------------------------------------------- */

static void add_words(struct text *t, const char *key, char *const *words)
{
	text_printf(t, ",\"%s\":[", key);
	for (size_t i = 0; words[i]; i++) {
		text_add(t, i ? "," : "");
		text_add_json(t, words[i], strlen(words[i]));
	}
	text_add(t, "]");
}

static int start(struct client *c, const char *session, const struct text *params, char id[64],
		 struct text *why)
{
	AUTO_TEXT subscribe = { 0 };
	char *result;
	cJSON *json;
	int r;

	client_add_member(&subscribe, "session", session);
	r = client_exchange(c, "events.subscribe", subscribe.at, 20000, &result, why);
	if (r == 0)
		r = client_exchange(c, "call.start", params->at, 20000, &result, why);
	if (r < 0)
		return r;
	json = cJSON_Parse(result);
	(void)snprintf(id, 64, "%s", client_text_of(json, "id"));
	cJSON_Delete(json);
	return strchr(id, '.') ? 0 : -EIO;
}

static int wait_json(struct client *c, const char *id, struct text *why)
{
	AUTO_TEXT params = { 0 };
	char *result;
	int r;

	client_add_member(&params, "id", id);
	r = client_exchange(c, "call.wait", params.at, -1, &result, why);
	if (r == 0)
		(void)puts(result);
	return r;
}

/* SESSION TOOL JSON: two words, and the second one is an object, or "-" for standard
 * input. Behind "--" it is a command, whatever it looks like. */
static bool names_tool(char *const *rest)
{
	return rest[0] && rest[1] && !rest[2] && (rest[1][0] == '{' || strcmp(rest[1], "-") == 0);
}

static bool has_dashes(char *const *argv)
{
	for (; *argv; argv++)
		if (strcmp(*argv, "--") == 0)
			return true;
	return false;
}

static int call_tool(const char *session, const struct options *opt, char *const *rest)
{
	AUTO_TEXT why = { 0 };
	cJSON *input = NULL, *result = NULL;
	char *text = NULL;
	struct client c;
	int r = 0, status;

	if (strcmp(rest[1], "-") == 0)
		r = loop_read_input(&input, &why);
	else if (rpc_read_json(rest[1], strlen(rest[1]), &input, &why) < 0)
		r = -EINVAL;
	if (r < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	r = client_connect(session, &c, &why);
	text = cJSON_PrintUnformatted(input);
	if (r == 0 && text)
		r = client_tool(&c, session, rest[0], text, opt->agent_call_id, &result, &why);
	client_done(&c);
	cJSON_free(text);
	cJSON_Delete(input);
	if (r < 0)
		return command_fail(client_status(r), "%s", why.at);
	text = opt->json ? cJSON_PrintUnformatted(result) : NULL;
	(void)fputs(opt->json ? text : client_text_of(result, "text"), stdout);
	if (opt->json)
		(void)putchar('\n');
	status = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "is_error")) ? EXIT_FAILED
										    : EXIT_DONE;
	cJSON_free(text);
	cJSON_Delete(result);
	return status;
}

int command_call(char **argv)
{
	static const char usage[] =
		"call SESSION TOOL JSON | call SESSION [options] [--] COMMAND...";
	struct options opt = { 0 };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	struct client c;
	const char *session = NULL;
	char **rest;
	char id[64];
	bool is_command = has_dashes(argv);
	int r, status = EXIT_DONE;

	/* the session stands before the options, or behind them */
	if (argv[1] && argv[1][0] != '-')
		session = *++argv;
	if (options_parse(call_rows, argv, true, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help(call_rows, usage,
			    "Calls a tool of a session (JSON \"-\": standard input), or runs a "
			    "command in it;\n`glovebox session create DIR` makes one. Exit "
			    "status: as for `run`, of a tool 0 or 1.\n\n");
	if (!session && rest[0])
		session = *rest++;
	if (session && rest[0] && strcmp(rest[0], "--") == 0)
		rest++;
	if (!session || !rest[0])
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	if (!is_command && names_tool(rest))
		return call_tool(session, &opt, rest);
	client_add_member(&params, "session", session);
	add_words(&params, "argv", rest);
	if (opt.cwd)
		client_add_member(&params, "cwd", opt.cwd);
	if (opt.agent_call_id)
		client_add_member(&params, "agent_call_id", opt.agent_call_id);
	if (opt.trace)
		client_add_member(&params, "trace", opt.trace);
	if (opt.step)
		client_add_member(&params, "step", opt.step);
	if (opt.background)
		text_add(&params, ",\"background\":true");
	if (opt.with_input)
		text_add(&params, ",\"keep_stdin\":true");
	if (opt.with_input && (opt.background || opt.json))
		return command_fail(EXIT_USAGE,
				    "--stdin goes with neither --background nor --json");
	if (add_pairs(&params, "env", &opt.env) < 0)
		return command_fail(EXIT_USAGE, "--env takes NAME=VALUE here");
	r = client_connect(session, &c, &why);
	if (r == 0)
		r = start(&c, session, &params, id, &why);
	if (r == 0 && opt.background)
		(void)puts(id);
	else if (r == 0 && opt.json)
		r = wait_json(&c, id, &why);
	else if (r == 0)
		status = remote_follow(&c, id, opt.with_input,
				       opt.quiet ? REMOTE_NOTHING : REMOTE_PERSON, &why);
	client_done(&c);
	if (r < 0 || (why.len > 0 && status == RUN_FAILED))
		return command_fail(r < 0 ? client_status(r) : status, "%s", why.at);
	return status;
}

/* --- events, report ------------------------------------------------------------- */

static void add_list(struct text *t, const char *key, const struct option_list *list)
{
	if (list->count == 0)
		return;
	text_printf(t, ",\"%s\":[", key);
	for (size_t i = 0; i < list->count; i++) {
		text_add(t, i ? "," : "");
		text_add_json(t, list->at[i], strlen(list->at[i]));
	}
	text_add(t, "]");
}

/* Silence as long as this means that all there was has come. */
#define LAST_MS 300

int command_events(char **argv)
{
	static const char usage[] = "events [options] SESSION[.CALL]";
	struct options opt = { .from = "1" };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	struct client c;
	uint64_t from;
	char **rest;
	char *line;
	int r;

	if (options_parse(event_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help(event_rows, usage, "Prints events, one JSON object a line.\n\n");
	if (!rest[0] || rest[1] || text_parse_count(opt.from, 0, UINT64_MAX / 2, &from) < 0)
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	client_add_member(&params, "session", rest[0]);
	add_list(&params, "kinds", &opt.kinds);
	add_list(&params, "paths", &opt.paths);
	text_printf(&params, ",\"from_seq\":%llu", (unsigned long long)from);
	r = client_connect(rest[0], &c, &why);
	if (r == -ENOENT && !opt.follow) {
		r = kept_print_events(rest[0], from, &opt.kinds, &opt.paths, &why);
		return r == 0 ? EXIT_DONE : command_fail(client_status(r), "%s", why.at);
	}
	if (r == 0)
		r = client_send(&c, "events.subscribe", params.at);
	while (r == 0) {
		char *event;

		r = client_next(&c, opt.follow ? -1 : LAST_MS, &line);
		if (r < 0)
			break;
		event = client_event(line);
		if (event && (puts(event) < 0 || (opt.follow && fflush(stdout) < 0)))
			break;
		if (!event)
			r = client_refused(line, &why);
	}
	client_done(&c);
	if (r < 0 && r != -ETIMEDOUT && r != -EPIPE)
		return command_fail(client_status(r), "%s", why.at ? why.at : strerror(-r));
	return EXIT_DONE;
}

int command_report(char **argv)
{
	struct options opt = { 0 };
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	struct client c;
	char *result;
	char **rest;
	int r;

	if (options_parse(plain_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return help(plain_rows, "report SESSION.CALL",
			    "Prints the report of a call, one JSON object: pipe it to jq or "
			    "\"python3 -m json.tool\".\n\n");
	if (!rest[0] || rest[1] || !strchr(rest[0], '.'))
		return command_fail(EXIT_USAGE, "usage: glovebox report SESSION.CALL");
	client_add_member(&params, "id", rest[0]);
	r = client_connect(rest[0], &c, &why);
	if (r == 0)
		r = client_exchange(&c, "call.report", params.at, -1, &result, &why);
	if (r == 0)
		(void)puts(result);
	client_done(&c);
	if (r == -ENOENT)
		r = kept_print_report(rest[0], &why);
	return r == 0 ? EXIT_DONE : command_fail(client_status(r), "%s", why.at);
}
