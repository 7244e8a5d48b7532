// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/files.c - `changes`, `diff`, `commit`, `discard`, `rollback`, `undo`.
 *
 * A supervisor that has the session is asked. Otherwise, after a `run`, the same two
 * processes do the work here: a warden with the privileges, and this one, which
 * gives them up before it reads the first byte the agent wrote.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/warden.h"
#include "supervisor/changes.h"
#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/commit.h"
#include "supervisor/confine.h"
#include "supervisor/differ.h"
#include "supervisor/options.h"
#include "supervisor/place.h"
#include "supervisor/session.h"
#include "supervisor/user.h"

struct options {
	bool help, json, dry_run, with_protected, with_escapes, is_forced;
	const char *call;
	struct option_list paths, hunks;
};

static const struct option_row list_rows[] = {
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL, "one JSON object" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row plain_rows[] = {
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static const struct option_row commit_rows[] = {
	{ 'n', "dry-run", OPTION_BOOL, offsetof(struct options, dry_run), NULL,
	  "say what would be applied, and change nothing" },
	{ 'c', "call", OPTION_TEXT, offsetof(struct options, call), "N",
	  "only what call N changed; the same as SESSION.N" },
	{ 'p', "path", OPTION_LIST, offsetof(struct options, paths), "GLOB",
	  "only paths that match, or lie below; repeat it for more" },
	{ 0, "hunk", OPTION_LIST, offsetof(struct options, hunks), "FILE:N",
	  "only hunk N of FILE, as `diff` counts them from 1" },
	{ 0, "protected", OPTION_BOOL, offsetof(struct options, with_protected), NULL,
	  "also what something outside runs later: hooks, CI, start files" },
	{ 0, "escaping-links", OPTION_BOOL, offsetof(struct options, with_escapes), NULL,
	  "also symbolic links that lead out of the workspace" },
	{ 0, "force", OPTION_BOOL, offsetof(struct options, is_forced), NULL,
	  "overwrite what was changed in the workspace meanwhile" },
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL, "one JSON object" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

/* One session: a supervisor that has it, or a warden of our own. */
struct files {
	struct options opt;
	const char *name; /* as it was given */
	struct client client; /* fd -1: nobody has it */
	char id[SB_ID_MAX];
	uint32_t call; /* 0: all */
	struct sb_config config;
	int warden;
	pid_t warden_pid;
	struct session session; /* from disk */
	struct differ differ;
};

static int print_help(const struct option_row *rows, const char *usage)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "usage: glovebox %s\n\n", usage);
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

static int close_files(struct files *f, int status)
{
	client_done(&f->client);
	session_done(&f->session);
	differ_end(&f->differ);
	fd_done(&f->warden);
	if (f->warden_pid > 0)
		(void)waitpid(f->warden_pid, NULL, 0);
	return status;
}

/* Nobody has it: its files are looked at here. -1: go on. */
static int open_here(struct files *f, bool with_differ)
{
	uint32_t running[1], count;
	AUTO_TEXT why = { 0 };
	unsigned int what;
	int r;

	/* his own: they lie in his home */
	if (user_become_root(&why) < 0)
		return command_fail(EXIT_NOT_PERMITTED, "%s", why.at);
	r = place_find_session(f->name, f->id, &why);
	if (r < 0)
		return command_fail(EXIT_NOT_FOUND, "%s", why.at);
	f->config = (struct sb_config){ .is_user = user_is_single(),
					.state_dir = place_state(),
					.staging = place_run() };
	r = warden_start(&f->config, &f->warden, &f->warden_pid);
	/* the way to it may be root's alone */
	if (r == 0)
		r = place_open_session(f->id, &f->session.dir);
	if (r == 0 && with_differ)
		r = differ_start(&f->differ);
	if (r == 0)
		r = confine_privileges();
	if (r < 0)
		return command_fail(EXIT_FAILED, "cannot open %s: %s", f->id, strerror(-r));
	memcpy(f->session.id, f->id, sizeof(f->id));
	f->session.warden = f->warden;
	r = session_restore(&f->session, running, 0, &count);
	if (r == 0)
		r = commit_recover(f->warden, f->id, &what);
	/* while it runs its supervisor has the lock, and asks for no recovery */
	if (r < 0 && r != -EBUSY && r != -ESTALE)
		return command_fail(EXIT_FAILED, "%s cannot be read: %s", f->id, strerror(-r));
	if (r == 0 && what > 0)
		(void)command_fail(0, "a commit that was broken off has been %s",
				   what == 1 ? "finished" : "undone");
	return -1;
}

/* "s-....3": the call. */
static int split_name(struct files *f)
{
	const char *dot = strchr(f->name, '.');
	const char *number = f->opt.call ? f->opt.call : dot ? dot + 1 : NULL;
	uint64_t n = 0;

	if (number && text_parse_count(number, 1, UINT32_MAX, &n) < 0)
		return -EINVAL;
	f->call = (uint32_t)n;
	return 0;
}

/* -1: go on; otherwise the exit status. */
static int open_files(struct files *f, const struct option_row *rows, char **argv,
		      const char *usage, bool with_differ)
{
	AUTO_TEXT why = { 0 };
	char **rest;
	int r;

	f->warden = f->client.fd = f->differ.sock = -1;
	session_init(&f->session);
	if (options_parse(rows, argv, false, &f->opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (f->opt.help)
		return print_help(rows, usage);
	f->name = rest[0];
	if (!rest[0] || rest[1] || split_name(f) < 0)
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	r = client_connect(f->name, &f->client, &why);
	if (r == 0)
		return -1;
	if (r == -ENOENT)
		return open_here(f, with_differ);
	return command_fail(client_status(r), "%s", why.at);
}

static struct changes_of what_of(struct files *f, uint32_t numbers[SB_LAYERS_MAX])
{
	struct changes_of of = session_changes(&f->session, numbers);
	int index = f->call > 0 ? stack_find_call(&f->session.stack, f->call) : 0;

	/* a call whose layer was dropped has nothing: no layer at all is asked about */
	if (index < 0) {
		of.first = of.count;
	} else if (f->call > 0) {
		of.first = (uint32_t)index;
		of.count = of.first + 1;
	}
	return of;
}

static int fail_scan(int r)
{
	if (r == -ESTALE)
		return command_fail(
			EXIT_CONFLICT,
			"the workspace of this session has been replaced by another directory");
	if (r == -EBUSY)
		return command_fail(EXIT_CONFLICT,
				    "the session is still running, or being committed");
	if (r == -E2BIG)
		return command_fail(EXIT_FAILED, "more than %d changes: too many to list",
				    CHANGES_MAX);
	return command_fail(r == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED,
			    "the changes cannot be read: %s", strerror(-r));
}

/* --- asked of a supervisor ------------------------------------------------- */

/* The call's id when one was named. */
static void add_target(const struct files *f, struct text *params)
{
	AUTO_TEXT id = { 0 };

	text_add_n(&id, f->name, strcspn(f->name, "."));
	if (f->call > 0)
		text_printf(&id, ".%u", f->call);
	client_add_member(params, "id", id.at);
}

static int ask(struct files *f, const char *method, const char *params, char **ret)
{
	AUTO_TEXT why = { 0 };
	int r = client_exchange(&f->client, method, params, -1, ret, &why);

	return r == 0 ? EXIT_DONE : command_fail(client_status(r), "%s", why.at);
}

/* --- changes ----------------------------------------------------------------- */

static void print_changes(const struct changes *list, bool json, const char *id)
{
	AUTO_TEXT t = { 0 };

	if (json)
		text_printf(&t, "{\"schema\":1,\"session\":\"%s\",\"changes\":[", id);
	for (size_t i = 0; i < list->count; i++) {
		const struct change *c = &list->at[i];

		if (json) {
			text_add(&t, i ? "," : "");
			changes_add_json(c, ".", &t);
			continue;
		}
		text_printf(&t, "%-10s", change_type_names[c->type]);
		if (c->from) {
			text_add_safe(&t, c->from, strlen(c->from));
			text_add(&t, " -> ");
		}
		text_add_safe(&t, c->path, strlen(c->path));
		if (c->type == CHANGE_MODE)
			text_printf(&t, "  (%04o -> %04o)", c->base_mode & 07777, c->mode & 07777);
		if (c->target) {
			text_add(&t, " => ");
			text_add_safe(&t, c->target, strlen(c->target));
		}
		if (c->is_special)
			text_add(&t, "  (special file: never committed)");
		if (c->target && path_link_leaves(c->path, c->target))
			text_add(&t, "  (leads out: needs --escaping-links)");
		if (c->is_protected)
			text_add(&t, "  (protected: needs --protected)");
		text_add(&t, "\n");
	}
	if (json)
		text_add(&t, "]}\n");
	if (t.len > 0)
		(void)fwrite(t.at, 1, t.len, stdout);
}

/* A list that came by the protocol, for people. */
static void print_items(const char *result, const char *list, const char *word)
{
	cJSON *json = cJSON_Parse(result);
	const cJSON *item;

	if (!json) /* names that are no text: as they are */
		(void)puts(result);
	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(json, list)) {
		AUTO_TEXT t = { 0 };

		text_printf(&t, "%-10s", client_text_of(item, word));
		text_add_safe(&t, client_text_of(item, "path"),
			      strlen(client_text_of(item, "path")));
		if (client_text_of(item, "why")[0]) {
			text_add(&t, ": ");
			text_add_safe(&t, client_text_of(item, "why"),
				      strlen(client_text_of(item, "why")));
		}
		(void)puts(t.at);
	}
	cJSON_Delete(json);
}

int command_changes(char **argv)
{
	static struct files f;
	struct changes list;
	uint32_t numbers[SB_LAYERS_MAX];
	int status = open_files(&f, list_rows, argv, "changes [--json] SESSION[.CALL]", false);
	struct changes_of of;
	AUTO_TEXT params = { 0 };
	char *result;
	int r;

	if (status >= 0)
		return close_files(&f, status);
	if (f.client.fd >= 0) {
		add_target(&f, &params);
		status = ask(&f, "changes.list", params.at, &result);
		if (status == EXIT_DONE && f.opt.json)
			(void)puts(result);
		else if (status == EXIT_DONE)
			print_items(result, "changes", "change");
		return close_files(&f, status);
	}
	of = what_of(&f, numbers);
	r = changes_read(&of, &list);
	if (r < 0)
		return close_files(&f, fail_scan(r));
	print_changes(&list, f.opt.json, f.id);
	changes_done(&list);
	return close_files(&f, EXIT_DONE);
}

/* --- diff ---------------------------------------------------------------------- */

static int show(const struct sb_change *raw, const struct changes_fds *fds, void *context)
{
	struct files *f = context;
	AUTO_TEXT t = { 0 };
	int r = changes_show(&f->differ, raw, fds, isatty(STDOUT_FILENO), &t);

	if (t.len > 0)
		(void)fwrite(t.at, 1, t.len, stdout);
	return r;
}

static int print_diff(struct files *f)
{
	static const char key[] = "\"diff\":\"";
	AUTO_TEXT params = { 0 };
	AUTO_TEXT out = { 0 };
	char *result, *at;
	int status;

	add_target(f, &params);
	text_printf(&params, ",\"terminal\":%s", isatty(STDOUT_FILENO) ? "true" : "false");
	status = ask(f, "changes.diff", params.at, &result);
	at = status == EXIT_DONE ? strstr(result, key) : NULL;
	if (at) {
		at += sizeof(key) - 1;
		text_add_unescaped(&out, at, strlen(at) - 2);
		if (out.len > 0)
			(void)fwrite(out.at, 1, out.len, stdout);
		if (strstr(result, "\"cut\":true"))
			(void)command_fail(0, "the diff is longer, and was cut");
	}
	return status;
}

int command_diff(char **argv)
{
	static struct files f;
	uint32_t numbers[SB_LAYERS_MAX];
	int status = open_files(&f, plain_rows, argv, "diff SESSION[.CALL]", true);
	struct changes_of of;
	int r;

	if (status >= 0)
		return close_files(&f, status);
	if (f.client.fd >= 0)
		return close_files(&f, print_diff(&f));
	of = what_of(&f, numbers);
	r = changes_walk(&of, show, &f);
	return close_files(&f, r < 0 ? fail_scan(r) : EXIT_DONE);
}

/* --- commit ---------------------------------------------------------------------- */

static int make_hunks(int base, int now, const uint32_t *hunks, uint32_t count, void *context,
		      int *ret_fd)
{
	struct files *f = context;

	return differ_hunks(&f->differ, base, now, hunks, count, ret_fd);
}

static int fill_choice(struct files *f, struct commit_choice *c)
{
	*c = (struct commit_choice){
		.policy = f->session.policy,
		.call = f->call,
		.with_protected = f->opt.with_protected,
		.with_escapes = f->opt.with_escapes,
		.is_forced = f->opt.is_forced,
		.is_dry_run = f->opt.dry_run,
		.make_hunks = make_hunks,
		.hunks_context = f,
	};
	for (size_t i = 0; i < f->opt.paths.count; i++)
		c->paths[c->path_count++] = f->opt.paths.at[i];
	for (size_t i = 0; i < f->opt.hunks.count; i++) {
		char *word = (char *)(uintptr_t)f->opt.hunks.at[i]; /* of argv: ours to cut */
		char *colon = strrchr(word, ':');
		uint64_t n;

		if (!colon || colon == word || text_parse_count(colon + 1, 1, 1000000, &n) < 0)
			return -EINVAL;
		*colon = '\0';
		c->hunks[c->hunk_count++] = (struct commit_hunk){ word, (uint32_t)n };
	}
	return 0;
}

static int say_committed(const struct files *f, unsigned int applied, unsigned int refused,
			 unsigned int conflicts, const char *why, int error)
{
	if (conflicts > 0)
		return command_fail(EXIT_CONFLICT,
				    "%u conflicts; nothing was written (--force overwrites)",
				    conflicts);
	if (refused > 0)
		return command_fail(EXIT_NOT_PERMITTED,
				    "%u changes may not be committed; nothing was written",
				    refused);
	if (error < 0)
		return command_fail(error == -ENOENT ? EXIT_NOT_FOUND
				    : error == -EBUSY || error == -ESTALE || error == -EEXIST ||
						    error == -ERANGE
					    ? EXIT_CONFLICT
					    : EXIT_FAILED,
				    "nothing was written: %s", why);
	if (f->opt.json)
		return EXIT_DONE;
	(void)printf("%u changes %s\n", applied, f->opt.dry_run ? "would be applied" : "applied");
	return EXIT_DONE;
}

static unsigned int number_of(const cJSON *json, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsNumber(v) && v->valuedouble > 0 ? (unsigned int)v->valuedouble : 0;
}

static void add_list(struct text *params, const char *key, const struct option_list *list)
{
	if (list->count == 0)
		return;
	text_printf(params, ",\"%s\":[", key);
	for (size_t i = 0; i < list->count; i++) {
		text_add(params, i ? "," : "");
		text_add_json(params, list->at[i], strlen(list->at[i]));
	}
	text_add(params, "]");
}

static void print_applied(const struct commit_item *item)
{
	AUTO_TEXT t = { 0 };

	if (item->verdict != COMMIT_APPLIED)
		return;
	text_printf(&t, "%-10s", change_type_names[item->type]);
	text_add_safe(&t, item->path, strlen(item->path));
	(void)puts(t.at);
}

/* What a dry run would write goes to standard output, what is refused to error. */
static void print_verdicts(const cJSON *json, bool is_dry_run)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, cJSON_GetObjectItemCaseSensitive(json, "items")) {
		AUTO_TEXT t = { 0 };

		if (strcmp(client_text_of(item, "verdict"), "applied") == 0) {
			text_printf(&t, "%-10s", client_text_of(item, "change"));
			text_add_safe(&t, client_text_of(item, "path"),
				      strlen(client_text_of(item, "path")));
			if (is_dry_run)
				(void)puts(t.at);
			continue;
		}
		text_printf(&t, "%s ", client_text_of(item, "verdict"));
		text_add_safe(&t, client_text_of(item, "path"),
			      strlen(client_text_of(item, "path")));
		text_printf(&t, ": %s\n", client_text_of(item, "why"));
		(void)fputs(t.at, stderr);
	}
}

static int commit_there(struct files *f)
{
	AUTO_TEXT params = { 0 };
	char *result;
	cJSON *json;
	int status;

	add_target(f, &params);
	add_list(&params, "paths", &f->opt.paths);
	add_list(&params, "hunks", &f->opt.hunks);
	text_printf(&params, ",\"dry_run\":%s,\"protected\":%s,\"escaping_links\":%s,\"force\":%s",
		    f->opt.dry_run ? "true" : "false", f->opt.with_protected ? "true" : "false",
		    f->opt.with_escapes ? "true" : "false", f->opt.is_forced ? "true" : "false");
	status = ask(f, "commit", params.at, &result);
	if (status != EXIT_DONE)
		return status;
	json = cJSON_Parse(result);
	if (f->opt.json)
		(void)puts(result);
	else
		print_verdicts(json, f->opt.dry_run);
	status = say_committed(f, number_of(json, "applied"), number_of(json, "refused"),
			       number_of(json, "conflicts"), client_text_of(json, "why"),
			       client_text_of(json, "why")[0] ? -EIO : 0);
	cJSON_Delete(json);
	return status;
}

/* All is in the workspace now: the session goes on above it. */
static void forget_layers(struct files *f)
{
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of = session_changes(&f->session, numbers);
	AUTO_FD sock = -1;

	f->session.committed_call = f->session.next_call - 1;
	while (f->session.stack.count > 0)
		stack_remove(&f->session.stack, 0);
	if (session_save(&f->session) == 0 && changes_ask(&of, SB_VERB_DROP, &sock) == 0)
		changes_wait_end(&sock);
}

static int commit_here(struct files *f)
{
	static struct commit_choice choice;
	struct commit_result result;
	AUTO_TEXT lines = { 0 };
	AUTO_TEXT json = { 0 };
	int r, status;

	if (fill_choice(f, &choice) < 0)
		return command_fail(EXIT_USAGE, "--hunk takes FILE:N, like src/main.c:2");
	r = commit_run(f->warden, f->id, f->session.dir, &f->session.stack, &choice, &result);
	if (f->opt.json) {
		text_printf(&json, "{\"session\":\"%s\",\"dry_run\":%s,\"committed\":%s,", f->id,
			    f->opt.dry_run ? "true" : "false",
			    r == 0 && !f->opt.dry_run ? "true" : "false");
		commit_add_json(&result, f->session.at, &json);
		(void)printf("%s}\n", json.at);
	} else {
		commit_add_lines(&result, &lines);
		for (size_t i = 0; f->opt.dry_run && i < result.count; i++)
			print_applied(&result.items[i]);
		if (lines.len > 0)
			(void)fwrite(lines.at, 1, lines.len, stderr);
	}
	status = say_committed(f, result.applied, result.refused, result.conflicts, result.why, r);
	if (status == EXIT_DONE && !f->opt.dry_run && f->call == 0 && result.is_whole)
		forget_layers(f);
	if (status == EXIT_DONE && !f->opt.dry_run && !f->opt.json)
		(void)printf("the session stays until: glovebox discard %s\n", f->id);
	commit_result_done(&result);
	return status;
}

int command_commit(char **argv)
{
	static struct files f;
	int status = open_files(&f, commit_rows, argv, "commit [options] SESSION[.CALL]", true);

	if (status >= 0)
		return close_files(&f, status);
	return close_files(&f, f.client.fd >= 0 ? commit_there(&f) : commit_here(&f));
}

/* --- discard, rollback, undo ---------------------------------------------------- */

static int ask_simple(struct files *f, const char *method, const char *done)
{
	AUTO_TEXT params = { 0 };
	char *result;
	int status;

	add_target(f, &params);
	status = ask(f, method, params.at, &result);
	if (status == EXIT_DONE)
		(void)printf("%s %s\n", f->name, done);
	return status;
}

int command_discard(char **argv)
{
	static struct files f;
	int status = open_files(&f, plain_rows, argv, "discard SESSION", false);
	int r;

	if (status >= 0)
		return close_files(&f, status);
	if (f.client.fd >= 0)
		return close_files(&f, ask_simple(&f, "discard", "discarded"));
	r = changes_remove_session(f.warden, f.id);
	if (r < 0)
		return close_files(&f, r == -EBUSY ? fail_scan(r)
						   : command_fail(EXIT_FAILED,
								  "%s cannot be removed: %s", f.id,
								  strerror(-r)));
	(void)printf("%s discarded\n", f.id);
	return close_files(&f, EXIT_DONE);
}

static int ask_daemon(char **argv, const char *method, const char *usage, const char *done)
{
	static struct files f;
	int status = open_files(&f, plain_rows, argv, usage, false);

	if (status >= 0)
		return close_files(&f, status);
	if (f.client.fd < 0)
		return close_files(&f,
				   command_fail(EXIT_NO_SUPERVISOR,
						"no supervisor has this session: `glovebox "
						"daemon` takes it up; a `run` has one call, and "
						"`discard` drops it"));
	return close_files(&f, ask_simple(&f, method, done));
}

int command_rollback(char **argv)
{
	return ask_daemon(argv, "rollback", "rollback SESSION.CALL",
			  "is the last call whose changes stay");
}

int command_undo(char **argv)
{
	return ask_daemon(argv, "undo", "undo SESSION.CALL", "undone");
}
