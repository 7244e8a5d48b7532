// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/files.c - `changes`, `diff`, `commit`, `discard`: after a run.
 *
 * The same two processes as a run: a warden with the privileges, and this one,
 * which gives them up before it reads the first byte the agent wrote.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/store.h"
#include "sandbox/warden.h"
#include "supervisor/changes.h"
#include "supervisor/command.h"
#include "supervisor/confine.h"
#include "supervisor/options.h"
#include "supervisor/place.h"

struct options {
	bool help, json, dry_run, with_protected, with_escapes;
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
	{ 0, "protected", OPTION_BOOL, offsetof(struct options, with_protected), NULL,
	  "also what something outside runs later: hooks, CI, start files" },
	{ 0, "escaping-links", OPTION_BOOL, offsetof(struct options, with_escapes), NULL,
	  "also symbolic links that lead out of the workspace" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

/* A warden for one session on disk, and this process without privileges. */
struct files {
	struct options opt;
	char id[SB_ID_MAX];
	struct sb_config config;
	int warden;
	pid_t warden_pid;
	int own_dir;
};

static int print_help(const struct option_row *rows, const char *usage)
{
	AUTO_TEXT t = { 0 };

	text_printf(&t, "usage: glovebox %s\n\n", usage);
	options_help(rows, &t);
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

/* -1: go on; otherwise the exit status. */
static int open_files(struct files *f, const struct option_row *rows, char **argv,
		      const char *usage)
{
	AUTO_TEXT why = { 0 };
	char **rest;
	int r;

	f->warden = f->own_dir = -1;
	if (options_parse(rows, argv, false, &f->opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (f->opt.help)
		return print_help(rows, usage);
	if (!rest[0] || rest[1])
		return command_fail(EXIT_USAGE, "usage: glovebox %s", usage);
	if (geteuid() != 0)
		return command_fail(EXIT_NOT_PERMITTED,
				    "the sessions on this machine are root's: sudo glovebox %s",
				    usage);
	r = place_find_session(rest[0], f->id, &why);
	if (r < 0)
		return command_fail(EXIT_NOT_FOUND, "%s", why.at);
	(void)place_open_own_dir(&f->own_dir);
	f->config = (struct sb_config){ .state_dir = place_state(), .staging = place_run() };
	r = warden_start(&f->config, &f->warden, &f->warden_pid);
	if (r == 0)
		r = confine_privileges();
	if (r < 0)
		return command_fail(EXIT_FAILED, "cannot fork the warden: %s", strerror(-r));
	return -1;
}

static int close_files(struct files *f, int status)
{
	fd_done(&f->warden);
	fd_done(&f->own_dir);
	if (f->warden_pid > 0)
		(void)waitpid(f->warden_pid, NULL, 0);
	return status;
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

int command_changes(char **argv)
{
	struct files f = { 0 };
	struct changes list;
	int status = open_files(&f, list_rows, argv, "changes [--json] SESSION");
	int r;

	if (status >= 0)
		return close_files(&f, status);
	r = changes_read(f.warden, f.id, 1, &list);
	if (r < 0)
		return close_files(&f, fail_scan(r));
	print_changes(&list, f.opt.json, f.id);
	changes_done(&list);
	return close_files(&f, EXIT_DONE);
}

/* `session list`: from the records, which are root's and of fixed size. */
static void print_session(const char *id, bool json, bool first)
{
	struct sb_config config = { .state_dir = place_state() };
	struct store_record rec;
	AUTO_FD lock = -1;
	AUTO_FD dir = -1;
	AUTO_TEXT t = { 0 };
	const char *state;
	struct stat st;

	if (store_load(&config, id, &rec, &dir) < 0 || fstat(dir, &st) < 0)
		return;
	state = store_lock(dir, &lock) == -EBUSY ? "in use" : "kept";
	if (json) {
		text_printf(&t, "%s{\"session\":\"%s\",\"state\":\"%s\",\"modified\":\"",
			    first ? "" : ",", id, state);
		text_add_time(&t, (uint64_t)st.st_mtim.tv_sec * 1000000000u);
		text_add(&t, "\",\"workspace\":");
		text_add_json(&t, rec.workspace, strlen(rec.workspace));
		text_add(&t, "}");
	} else {
		text_printf(&t, "%-14s %-7s ", id, state);
		text_add_safe(&t, rec.workspace, strlen(rec.workspace));
		text_add(&t, "\n");
	}
	(void)fputs(t.at, stdout);
}

int command_session(char **argv)
{
	struct options opt = { 0 };
	AUTO_TEXT why = { 0 };
	char path[PATH_MAX];
	bool first = true;
	struct dirent *e;
	char **rest;
	DIR *d;

	if (options_parse(list_rows, argv, false, &opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (opt.help)
		return print_help(list_rows, "session list [--json]");
	if (!rest[0] || strcmp(rest[0], "list") != 0 || rest[1])
		return command_fail(EXIT_USAGE, "usage: glovebox session list [--json]");
	if (geteuid() != 0)
		return command_fail(
			EXIT_NOT_PERMITTED,
			"the sessions on this machine are root's: sudo glovebox session list");
	(void)snprintf(path, sizeof(path), "%s/sessions", place_state());
	d = opendir(path);
	(void)fputs(opt.json ? "{\"schema\":1,\"sessions\":["
			     : "SESSION        STATE   WORKSPACE\n",
		    stdout);
	while (d && (e = readdir(d))) {
		char id[SB_ID_MAX] = "";

		if (strlen(e->d_name) >= sizeof(id))
			continue;
		memcpy(id, e->d_name, strlen(e->d_name));
		if (!store_id_is_sound(id))
			continue;
		print_session(id, opt.json, first);
		first = false;
	}
	if (d)
		(void)closedir(d);
	if (opt.json)
		(void)fputs("]}\n", stdout);
	return EXIT_DONE;
}

/* The diff is made by a program of its own, which links the library for it. */
int command_diff(char **argv)
{
	struct files f = { 0 };
	int status = open_files(&f, plain_rows, argv, "diff SESSION");
	char sock[16];
	char *words[] = { "glovebox-diff", sock, f.id, NULL };
	AUTO_FD program = -1;

	if (status >= 0)
		return close_files(&f, status);
	program = openat(f.own_dir, "glovebox-diff", O_RDONLY | O_CLOEXEC);
	if (program < 0)
		return close_files(&f, command_fail(EXIT_FAILED,
						    "glovebox-diff is not beside this program: %s",
						    strerror(errno)));
	(void)fcntl(f.warden, F_SETFD, 0);
	(void)snprintf(sock, sizeof(sock), "%d", f.warden);
	(void)fexecve(program, words, environ);
	return close_files(&f, command_fail(EXIT_FAILED, "glovebox-diff cannot be executed: %s",
					    strerror(errno)));
}

int command_commit(char **argv)
{
	struct files f = { 0 };
	struct changes_applied done;
	struct changes_choice choice;
	int status = open_files(&f, commit_rows, argv,
				"commit [--dry-run] [--protected] [--escaping-links] SESSION");
	int r;

	if (status >= 0)
		return close_files(&f, status);
	choice = (struct changes_choice){
		.with_protected = f.opt.with_protected,
		.with_escapes = f.opt.with_escapes,
		.is_dry_run = f.opt.dry_run,
	};
	r = changes_apply(f.warden, f.id, 1, &choice, &done);
	if (done.log.len > 0)
		(void)fwrite(done.log.at, 1, done.log.len, stderr);
	if (r == -EPERM)
		status = command_fail(EXIT_NOT_PERMITTED,
				      "%u changes may not be committed; nothing was written",
				      done.refused);
	else if (r < 0)
		status = fail_scan(r);
	else if (done.failed > 0)
		status = command_fail(EXIT_CONFLICT, "%u changes applied, %u could not be",
				      done.applied, done.failed);
	else
		status = EXIT_DONE;
	if (status == EXIT_DONE)
		(void)printf("%u changes %s%s\n", done.applied,
			     f.opt.dry_run ? "would be applied"
					   : "applied; the session stays until: glovebox discard ",
			     f.opt.dry_run ? "" : f.id);
	text_done(&done.log);
	return close_files(&f, status);
}

int command_discard(char **argv)
{
	struct sb_request q = { .abi = SB_ABI, .verb = SB_VERB_REMOVE };
	struct files f = { 0 };
	int status = open_files(&f, plain_rows, argv, "discard SESSION");
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	if (status >= 0)
		return close_files(&f, status);
	memcpy(q.session, f.id, sizeof(q.session));
	r = warden_ask(f.warden, &q, NULL, 0, &reply, fds, &count);
	if (r == 0)
		r = reply.error;
	if (r < 0)
		return close_files(&f, r == -EBUSY ? fail_scan(r)
						   : command_fail(EXIT_FAILED,
								  "%s cannot be removed: %s", f.id,
								  strerror(-r)));
	(void)printf("%s discarded\n", f.id);
	return close_files(&f, EXIT_DONE);
}
