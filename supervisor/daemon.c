// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/daemon.c - `glovebox daemon`: many agents, many sessions.
 *
 * Order that matters, as in `run`
 *	- The warden is forked first, while this process is small; the differ next.
 *	- Everything that needs privilege (policies, sockets, BPF, the list of
 *	  sessions on disk) is opened before it is given up; threads come after.
 *	- What an earlier daemon has left is settled before the doors open.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/warden.h"
#include "supervisor/command.h"
#include "supervisor/confine.h"
#include "supervisor/host.h"
#include "supervisor/options.h"
#include "supervisor/place.h"
#include "supervisor/profile.h"
#include "supervisor/server.h"
#include "supervisor/shown.h"
#include "supervisor/user.h"

#define INSTANCE_DEFAULT "daemon"
/* Calls are killed at the end, and their accounts written, within this. */
#define STOP_US (10u * 1000 * 1000)
#define STOP_LOOK_US 5000u

struct options {
	bool help, quiet;
	const char *name, *require, *owner;
	struct option_list roots, policies, tools;
};

static const struct option_row rows[] = {
	{ 'r', "root", OPTION_LIST, offsetof(struct options, roots), "DIR",
	  "workspaces may be this directory or lie below it; repeat it for more" },
	{ 'p', "policy", OPTION_LIST, offsetof(struct options, policies), "[NAME=]FILE",
	  "a policy that sessions may name; without NAME: the default one" },
	{ 't', "tools", OPTION_LIST, offsetof(struct options, tools), "DIR",
	  "a directory with manifests of more tools; repeat it for more" },
	{ 'n', "name", OPTION_TEXT, offsetof(struct options, name), "NAME",
	  "name of this instance, and of its directory (default: daemon)" },
	{ 0, "require", OPTION_TEXT, offsetof(struct options, require), "TIER",
	  "do not start when nothing can be watched: full" },
	{ 0, "owner-fd", OPTION_TEXT, offsetof(struct options, owner), "FD",
	  "end when this inherited file descriptor is at its end: who started us is gone" },
	{ 'q', "quiet", OPTION_BOOL, offsetof(struct options, quiet), NULL,
	  "say nothing but errors" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

struct daemon {
	struct options opt;
	struct sb_config config;
	char run_dir[PATH_MAX];
	char *roots[SB_ROOTS_MAX];
	struct host host;
	struct server *server;
	int agents, operators; /* listening */
	int owner; /* at its end we end; -1: none */
	pid_t warden_pid;
	sd_event *loop;
	sd_event_source *on_stop_look, *on_warden;
	uint64_t stop_ns;
	unsigned int stops;
	int status;
};

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "usage: glovebox daemon --root DIR [options]\n\n"
		     "Serves sessions to many agents, over agent.sock and operator.sock in\n"
		     "the run directory; runs in the foreground. PROTOCOL.md documents them.\n\n");
	options_help(rows, &t);
	text_add(&t, "\nUnder systemd: Type=notify, sockets named \"agent\" and \"operator\",\n"
		     "WatchdogSec=.\n\n"
		     "  glovebox daemon --root /srv --root /home\n"
		     "  glovebox daemon --root /srv --policy careful=/etc/glovebox/careful.json\n");
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

/* --- with privileges ----------------------------------------------------- */

static int check_roots(struct daemon *d, struct text *why)
{
	if (d->opt.roots.count == 0 || d->opt.roots.count >= SB_ROOTS_MAX) {
		text_printf(why,
			    "name the directories that workspaces may lie in with --root "
			    "(from 1 to %u), like --root /srv",
			    SB_ROOTS_MAX - 1);
		return -EINVAL;
	}
	for (size_t i = 0; i < d->opt.roots.count; i++) {
		struct stat st;

		d->roots[i] = realpath(d->opt.roots.at[i], NULL);
		if (!d->roots[i] || stat(d->roots[i], &st) < 0 || !S_ISDIR(st.st_mode)) {
			text_add(why, "--root ");
			text_add_safe(why, d->opt.roots.at[i], strlen(d->opt.roots.at[i]));
			text_printf(why, " is no directory: %s", strerror(errno ? errno : ENOTDIR));
			return -EINVAL;
		}
		d->config.roots[i] = d->roots[i];
	}
	return 0;
}

static int load_policy(struct daemon *d, const char *word, struct text *why)
{
	const char *equals = strchr(word, '=');
	AUTO_MEM char *name = equals ? strndup(word, (size_t)(equals - word)) : strdup("default");

	return name ? policy_set_add(&d->host.policies, name, equals ? equals + 1 : word, why)
		    : -ENOMEM;
}

static int allow_policy(struct daemon *d, const char *name, struct text *why)
{
	struct policy p;
	int r = policy_read_named(&p, name, &d->host.policies, why);

	if (r == 0)
		r = shown_allow(&d->config, &p, why);
	policy_done(&p);
	return r;
}

/* Before the warden is forked: it shows what these name, and nothing else. */
static int load_policies(struct daemon *d, struct text *why)
{
	const struct profile *profile;
	int filter, r = 0;

	for (size_t i = 0; r == 0 && i < d->opt.policies.count; i++)
		r = load_policy(d, d->opt.policies.at[i], why);
	if (r == 0)
		r = policy_set_check(&d->host.policies, why);
	for (size_t i = 0; r == 0 && policy_builtin_names[i]; i++)
		r = allow_policy(d, policy_builtin_names[i], why);
	for (size_t i = 0; r == 0 && i < d->host.policies.count; i++)
		r = allow_policy(d, d->host.policies.names[i], why);
	return r < 0 ? r : profile_default(&profile, &filter);
}

/* Sockets that systemd has opened, by their names. */
static void take_sockets(struct daemon *d)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
			continue;
		if (strcmp(names[i], "agent") == 0 && d->agents < 0)
			d->agents = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		else if (strcmp(names[i], "operator") == 0 && d->operators < 0)
			d->operators = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		(void)close(fd);
	}
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int listen_all(struct daemon *d, struct text *why)
{
	int r = 0;

	if (d->operators < 0)
		r = place_listen(d->run_dir, "operator.sock", PLACE_OPERATORS, &d->operators, why);
	if (r == 0 && d->agents < 0)
		r = place_listen(d->run_dir, "agent.sock", PLACE_AGENTS, &d->agents, why);
	if (r == 0 && (fcntl(d->agents, F_SETFL, O_NONBLOCK) < 0 ||
		       fcntl(d->operators, F_SETFL, O_NONBLOCK) < 0))
		r = -errno;
	return r;
}

#define TOOLS_OF_MACHINE "/etc/glovebox/tools.d"

/* The built-in ones, those of the machine, those of the command line. */
static int load_tools(struct daemon *d, struct text *why)
{
	struct toolbox *b = &d->host.tools;
	AUTO_MEM char *own = toolbox_find_own();
	int r = 0;

	if (own)
		r = toolbox_add(b, own, why);
	else
		(void)command_fail(0, "warning: no built-in tools: there is no directory \"tools\" "
				      "beside this program, nor ../lib/glovebox/tools");
	if (r == 0 && access(TOOLS_OF_MACHINE, F_OK) == 0)
		r = toolbox_add(b, TOOLS_OF_MACHINE, why);
	for (size_t i = 0; r == 0 && i < d->opt.tools.count; i++)
		r = toolbox_add(b, d->opt.tools.at[i], why);
	for (size_t i = 0; r == 0 && i < b->dir_count; i++)
		d->config.tools[i] = b->dirs[i];
	return r;
}

static int start_warden(struct daemon *d, struct text *why)
{
	int r;

	r = place_prepare(d->opt.name, d->run_dir, why);
	if (r == -EEXIST) {
		/* of a daemon that was killed, or of one that runs */
		why->len = 0;
		r = place_adopt(d->opt.name, d->run_dir, why);
	}
	if (r < 0)
		return r;
	place_sweep(d->opt.name);
	d->config.is_user = user_is_single();
	d->config.has_groups = host_find_groups(&d->host);
	d->config.state_dir = place_state();
	d->config.run_dir = d->run_dir;
	d->config.staging = d->run_dir;
	r = warden_start(&d->config, &d->host.warden, &d->warden_pid);
	if (r < 0)
		text_printf(why, "cannot fork the warden: %s", strerror(-r));
	return r;
}

/* Sessions on disk. Their directories are opened while the way to them is open. */
struct found_one {
	char id[SB_ID_MAX];
	int dir;
};

struct found {
	struct found_one *at;
	size_t count;
};

static void add_found(const char *id, void *context)
{
	struct found *f = context;
	struct found_one *more = realloc(f->at, (f->count + 1) * sizeof(*more));

	if (!more)
		return;
	f->at = more;
	memcpy(more[f->count].id, id, SB_ID_MAX);
	if (place_open_session(id, &more[f->count].dir) == 0)
		f->count++;
}

static int prepare(struct daemon *d, struct text *why)
{
	int r;

	r = load_tools(d, why);
	if (r == 0)
		r = load_policies(d, why);
	if (r == 0)
		r = start_warden(d, why);
	if (r == 0) {
		r = differ_start(&d->host.differ);
		if (r < 0)
			(void)command_fail(0, "warning: no diffs: glovebox-diff: %s", strerror(-r));
		r = 0;
	}
	d->host.wants = MONITOR_COMPARES | MONITOR_URING;
	if (r == 0)
		host_load_monitor(&d->host);
	/* what else is missing is known when a session is open: then that one is refused */
	if (r == 0 && d->opt.require &&
	    ((strcmp(d->opt.require, "full") == 0 && !d->host.monitor) ||
	     (strcmp(d->opt.require, "user") != 0 && user_is_single()))) {
		text_printf(why, "--require %s: this machine gives less: %s", d->opt.require,
			    d->host.unwatched_why);
		r = -EPERM;
	}
	d->host.require = d->opt.require;
	if (r == 0)
		r = listen_all(d, why);
	return r;
}

/* --- without them ---------------------------------------------------------- */

static bool is_ours(struct daemon *d, const char *id)
{
	struct changes_of none = { .warden = d->host.warden, .session = id };
	AUTO_FD sock = -1;

	/* nothing is dropped: the question is whether another supervisor holds it */
	if (changes_ask(&none, SB_VERB_DROP, &sock) < 0)
		return false;
	changes_wait_end(&sock);
	return true;
}

static void restore(struct daemon *d, struct found *found)
{
	for (size_t i = 0; i < found->count; i++) {
		if (is_ours(d, found->at[i].id))
			host_restore(&d->host, found->at[i].id, fd_take(&found->at[i].dir));
		else
			fd_done(&found->at[i].dir);
	}
}

static bool is_quiet(const struct host *h)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->sessions[i]->call_count > 0 || h->sessions[i]->users > 0)
			return false;
	return true;
}

static int on_stop_look(sd_event_source *s, uint64_t now, void *context)
{
	struct daemon *d = context;

	(void)now;
	if (is_quiet(&d->host) || io_now_ns() - d->stop_ns > STOP_US * 1000ull)
		return sd_event_exit(d->loop, 0);
	(void)sd_event_source_set_time_relative(s, STOP_LOOK_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void stop(struct daemon *d, const char *why)
{
	struct call *all[SESSION_CALLS];

	if (d->stops++ > 0) {
		(void)sd_event_exit(d->loop, 0);
		return;
	}
	(void)sd_notify(0, "STOPPING=1");
	d->stop_ns = io_now_ns();
	for (size_t i = 0; i < d->host.count; i++) {
		struct session *s = d->host.sessions[i];
		uint32_t count = s->call_count;

		s->is_paused = true; /* nothing new */
		memcpy(all, s->calls, count * sizeof(*all));
		for (uint32_t k = 0; k < count; k++)
			if (call_is_living(all[k]))
				(void)call_kill(all[k], "supervisor", why, NULL, NULL);
	}
	(void)sd_event_add_time_relative(d->loop, &d->on_stop_look, CLOCK_MONOTONIC, 0, 1,
					 on_stop_look, d);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *context)
{
	(void)s;
	(void)si;
	stop(context, "the supervisor is stopping");
	return 0;
}

static int on_warden(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct daemon *d = context;

	(void)fd;
	(void)events;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	d->status = command_fail(EXIT_FAILED, "the warden is gone: ending all calls");
	stop(d, "the warden is gone");
	return 0;
}

static int on_owner(sd_event_source *s, int fd, uint32_t events, void *context)
{
	char byte;

	(void)events;
	if (read(fd, &byte, 1) != 0)
		return 0;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	stop(context, "who started the supervisor is gone");
	return 0;
}

static int watch(struct daemon *d)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
		r = sd_event_add_signal(d->loop, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK,
					on_signal, d);
	if (r >= 0)
		r = sd_event_add_io(d->loop, &d->on_warden, d->host.warden, 0, on_warden, d);
	if (r >= 0 && d->owner >= 0)
		r = sd_event_add_io(d->loop, NULL, d->owner, EPOLLIN, on_owner, d);
	if (r >= 0)
		r = sd_event_set_watchdog(d->loop, true);
	return r < 0 ? r : 0;
}

static int serve(struct daemon *d, struct found *found, struct text *why)
{
	int r;

	r = confine_privileges();
	if (r == 0)
		r = watch(d);
	if (r == 0)
		r = confine_syscalls();
	if (r == 0)
		r = host_start_monitor(&d->host);
	if (r == 0)
		r = jobs_start(&d->host.jobs, d->loop);
	if (r == 0)
		restore(d, found);
	if (r == 0)
		r = server_start(&d->server, &d->host);
	if (r == 0) {
		r = server_add_door(d->server, fd_take(&d->operators), VERB_OPERATOR);
		if (r == 0)
			r = server_add_door(d->server, fd_take(&d->agents), VERB_AGENT);
	}
	if (r < 0) {
		text_printf(why, "cannot set up the supervisor: %s", strerror(-r));
		return r;
	}
	if (!d->opt.quiet)
		(void)command_fail(0, "listening in %s; %zu sessions kept; %s%s", d->run_dir,
				   d->host.count,
				   d->host.monitor  ? "watching by eBPF"
				   : d->host.notify ? "not all is watched: "
						    : "nothing is watched: ",
				   d->host.monitor ? "" : d->host.unwatched_why);
	if (d->host.ungrouped_why[0] && !d->opt.quiet)
		(void)command_fail(0,
				   "warning: a pause is a stop (best effort), and memory is only "
				   "looked at: %s",
				   d->host.ungrouped_why);
	(void)sd_notify(0, "READY=1");
	(void)sd_event_loop(d->loop);
	return 0;
}

static void take_down(struct daemon *d)
{
	host_done(&d->host);
	server_free(d->server);
	fd_done(&d->agents);
	fd_done(&d->operators);
	d->on_warden = sd_event_source_disable_unref(d->on_warden);
	d->on_stop_look = sd_event_source_disable_unref(d->on_stop_look);
	fd_done(&d->host.warden);
	/* it removes sockets and groups: nothing is left behind when we return */
	if (d->warden_pid > 0)
		(void)waitpid(d->warden_pid, NULL, 0);
	toolbox_done(&d->host.tools);
	(void)sd_event_unref(d->loop);
}

static int check(struct daemon *d, char **rest, struct text *why)
{
	if (rest[0]) {
		text_add(why, "daemon takes no arguments; workspaces are named by sessions");
		return -EINVAL;
	}
	if (!d->opt.name)
		d->opt.name = INSTANCE_DEFAULT;
	if (strchr(d->opt.name, '/') || d->opt.name[0] == '.' || d->opt.name[0] == '\0' ||
	    strncmp(d->opt.name, "s-", 2) == 0 || strlen(d->opt.name) > 32) {
		text_add(why,
			 "--name is a plain word of at most 32 bytes, and not like a session's");
		return -EINVAL;
	}
	if (d->opt.owner) {
		uint64_t fd;

		if (text_parse_count(d->opt.owner, 3, 1023, &fd) < 0 ||
		    fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) {
			text_add(why, "--owner-fd is the number of an inherited file descriptor");
			return -EINVAL;
		}
		d->owner = (int)fd;
	}
	if (d->opt.require && !session_is_tier(d->opt.require)) {
		text_add(why, "--require takes \"full\", \"partial\" or \"user\"");
		return -EINVAL;
	}
	return check_roots(d, why);
}

static void raise_files(void)
{
	struct rlimit files;

	/* some fds for each session and call */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int command_daemon(char **argv)
{
	static struct daemon d;
	struct found found = { 0 };
	AUTO_TEXT why = { 0 };
	char **rest;
	int r;

	d.agents = d.operators = d.owner = -1;
	if (options_parse(rows, argv, false, &d.opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (d.opt.help)
		return help();
	if (user_become_root(&why) < 0)
		return command_fail(EXIT_NOT_PERMITTED, "%s", why.at);
	if (check(&d, rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(022);
	raise_files();
	take_sockets(&d);
	r = sd_event_new(&d.loop);
	if (r >= 0)
		r = host_init(&d.host, d.loop, -1);
	if (r < 0)
		return command_fail(EXIT_FAILED, "cannot make an event loop: %s", strerror(-r));
	d.host.instance = d.opt.name;
	r = prepare(&d, &why);
	place_each_session(add_found, &found);
	if (r == 0)
		r = serve(&d, &found, &why);
	if (r < 0)
		d.status = command_fail(EXIT_FAILED, "%s", why.at ? why.at : strerror(-r));
	take_down(&d);
	free(found.at);
	for (size_t i = 0; i < SB_ROOTS_MAX; i++)
		free(d.roots[i]);
	return d.status;
}
