// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/run.c - `glovebox run`: one session, one call, from start to end.
 *
 * Order that matters
 *	- The warden is forked first, while this process is small.
 *	- The session is asked for before the BPF programs are loaded: it is
 *	  built meanwhile.
 *	- Everything that needs privilege (files the user named, sockets, BPF) is
 *	  opened before it is given up; threads come after.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <termios.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/warden.h"
#include "supervisor/call.h"
#include "supervisor/command.h"
#include "supervisor/account.h"
#include "supervisor/confine.h"
#include "supervisor/host.h"
#include "supervisor/options.h"
#include "supervisor/place.h"
#include "supervisor/profile.h"
#include "supervisor/remote.h"
#include "supervisor/report.h"
#include "supervisor/seen.h"
#include "supervisor/server.h"
#include "supervisor/session.h"
#include "supervisor/shown.h"
#include "supervisor/user.h"

/* After the first Ctrl-C the tool has this long; then it is killed. */
#define GRACE_US (10u * 1000 * 1000)

struct options {
	bool help, quiet, tty, discard, as_root;
	unsigned int verbose;
	const char *workspace, *at, *events, *report, *status_fd, *require, *agent_call_id, *host,
		*policy;
	struct option_list limits, env;
	const char *trace;
	bool lossless;
};

static const struct option_row rows[] = {
	{ 'w', "workspace", OPTION_TEXT, offsetof(struct options, workspace), "DIR",
	  "the directory to work on (default: the current one)" },
	{ 'p', "policy", OPTION_TEXT, offsetof(struct options, policy), "NAME|FILE",
	  "what it may do: default, strict, open, or a file (default: default)" },
	{ 0, "at", OPTION_TEXT, offsetof(struct options, at), "PATH",
	  "where it is shown inside (default: its own path)" },
	{ 'l', "limit", OPTION_LIST, offsetof(struct options, limits), "NAME=VALUE",
	  "wall cpu cpus memory pids open_files output output_rate log tmp file disk files" },
	{ 'e', "env", OPTION_LIST, offsetof(struct options, env), "NAME[=VALUE]",
	  "pass or set an environment variable" },
	{ 0, "root", OPTION_BOOL, offsetof(struct options, as_root), NULL,
	  "be root inside (an unprivileged id outside)" },
	{ 't', "tty", OPTION_BOOL, offsetof(struct options, tty), NULL,
	  "give the command a terminal of its own" },
	{ 0, "events", OPTION_TEXT, offsetof(struct options, events), "FILE",
	  "write every event, one JSON object a line" },
	{ 0, "report", OPTION_TEXT, offsetof(struct options, report), "FILE",
	  "write the report, one JSON object" },
	{ 0, "trace", OPTION_TEXT, offsetof(struct options, trace), "SET",
	  "tell these system calls whole, in strace's words: %file,openat,!stat, all" },
	{ 0, "lossless", OPTION_BOOL, offsetof(struct options, lossless), NULL,
	  "brake the command rather than lose an event" },
	{ 0, "status-fd", OPTION_TEXT, offsetof(struct options, status_fd), "N",
	  "write how it ended to this fd, one JSON line" },
	{ 0, "require", OPTION_TEXT, offsetof(struct options, require), "TIER",
	  "fail with 125 when the protection is less: full, partial, user" },
	{ 0, "agent-call-id", OPTION_TEXT, offsetof(struct options, agent_call_id), "ID",
	  "the agent's own name for this call, kept in every event" },
	{ 0, "host", OPTION_TEXT, offsetof(struct options, host), "NAME",
	  "let this daemon do it (or GLOVEBOX_HOST; \"1\": the only one)" },
	{ 0, "discard", OPTION_BOOL, offsetof(struct options, discard), NULL,
	  "drop the changes at the end" },
	{ 'v', "verbose", OPTION_COUNT, offsetof(struct options, verbose), NULL,
	  "show every event on standard error" },
	{ 'q', "quiet", OPTION_BOOL, offsetof(struct options, quiet), NULL,
	  "say nothing but errors" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

struct run {
	struct options opt;
	struct policy policy;
	const char *const *argv;
	char workspace[PATH_MAX];
	char run_dir[PATH_MAX];
	struct sb_config config;
	int warden;
	pid_t warden_pid;
	int report_fd;
	int status_fd;
	int listener;
	sd_event *loop;
	struct stream stream;
	struct session session;
	struct host host;
	struct monitor *monitor;
	struct server *server;
	struct call *call;
	sd_event_source *on_grace, *on_warden;
	unsigned int interrupts;
	bool is_raw;
	struct termios saved;
	int status;
};

static int usage(struct text *why)
{
	return command_fail(RUN_FAILED, "%s", why->at ? why->at : "invalid");
}

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(&t,
		 "usage: glovebox run [options] [--] COMMAND [ARGUMENT...]\n\n"
		 "Runs a command in a sandbox, watches it, and keeps what it changes apart until\n"
		 "you commit it.\n\n");
	options_help(rows, &t);
	text_add(&t,
		 "\nExit status: the command's own; 124 out of time; 125 Glovebox failed; 126 not\n"
		 "executable; 127 not found; 128+n ended by signal n; 137 killed.\n\n"
		 "  glovebox run -- make -j2\n"
		 "  glovebox run --workspace ~/src/app --limit wall=2m -- npm test\n"
		 "  glovebox run --tty -- bash\n");
	(void)fputs(t.at, stdout);
	return 0;
}

/* --- before the privileges go -------------------------------------------- */

static int check_workspace(struct run *r, struct text *why)
{
	const char *given = r->opt.workspace ? r->opt.workspace : ".";
	struct stat st;

	if (!realpath(given, r->workspace)) {
		text_add(why, "the workspace \"");
		text_add_safe(why, given, strlen(given));
		text_printf(why, "\" cannot be used: %s; name a directory with --workspace",
			    strerror(errno));
		return -EINVAL;
	}
	if (stat(r->workspace, &st) < 0 || !S_ISDIR(st.st_mode)) {
		text_add(why, "the workspace \"");
		text_add_safe(why, given, strlen(given));
		text_add(why, "\" is not a directory; name one with --workspace");
		return -EINVAL;
	}
	if (strcmp(r->workspace, "/") == 0) {
		text_add(why, "the workspace cannot be \"/\": name the directory to work on with "
			      "--workspace");
		return -EINVAL;
	}
	if (path_is_below(place_state(), r->workspace) ||
	    path_is_below(place_run(), r->workspace)) {
		text_printf(
			why,
			"the workspace holds Glovebox's own files (%s): work on a directory below "
			"it, with --workspace, or keep them elsewhere, with GLOVEBOX_STATE and "
			"GLOVEBOX_RUN",
			path_is_below(place_state(), r->workspace) ? place_state() : place_run());
		return -EINVAL;
	}
	if (!r->opt.at)
		r->opt.at = r->workspace;
	if (policy_tighten_by(&r->policy, r->workspace, &r->session.workspace_policy, why) < 0)
		return -EINVAL;
	if (!path_is_plain(r->opt.at)) {
		text_add(why, "--at takes an absolute path without \"..\", like /workspace");
		return -EINVAL;
	}
	return 0;
}

static int check_trace(const struct run *r, struct text *why)
{
	struct trace_set set;
	AUTO_TEXT wrong = { 0 };

	if (strlen(r->opt.trace) >= sizeof(r->policy.trace)) {
		text_printf(why,
			    "--trace takes at most %zu characters: classes like %%file are short",
			    sizeof(r->policy.trace) - 1);
		return -EINVAL;
	}
	if (trace_parse(r->opt.trace, &set, &wrong) < 0) {
		text_printf(why, "--trace: %s", wrong.at ? wrong.at : "not understood");
		return -EINVAL;
	}
	return 0;
}

static int check_options(struct run *r, struct text *why)
{
	uint64_t fd = 0;
	int e = 0;

	e = policy_choose(&r->policy, r->opt.policy, why);
	r->policy.as_root |= r->opt.as_root;
	for (size_t i = 0; e == 0 && i < r->opt.limits.count; i++)
		e = policy_set_limit(&r->policy, r->opt.limits.at[i], why);
	for (size_t i = 0; e == 0 && i < r->opt.env.count; i++)
		e = policy_add_env(&r->policy, r->opt.env.at[i], why);
	if (e == 0 && r->opt.trace)
		e = check_trace(r, why);
	r->policy.is_lossless |= r->opt.lossless;
	if (e < 0)
		return e;
	if (r->opt.require && !session_is_tier(r->opt.require)) {
		text_add(why, "--require takes \"full\", \"partial\" or \"user\"");
		return -EINVAL;
	}
	if (r->opt.status_fd) {
		if (text_parse_count(r->opt.status_fd, 0, INT_MAX, &fd) < 0 ||
		    fcntl((int)fd, F_GETFD) < 0) {
			text_add(why, "--status-fd takes the number of an open file descriptor");
			return -EINVAL;
		}
		r->status_fd = (int)fd;
		(void)fcntl(r->status_fd, F_SETFD, FD_CLOEXEC);
	}
	if (r->opt.events && r->opt.report && strcmp(r->opt.events, r->opt.report) == 0) {
		text_add(why, "--events and --report name the same file");
		return -EINVAL;
	}
	if ((r->opt.events && strcmp(r->opt.events, "-") == 0) ||
	    (r->opt.report && strcmp(r->opt.report, "-") == 0)) {
		text_add(why, "standard output is the command's own: name a file, or /dev/fd/N");
		return -EINVAL;
	}
	if (r->opt.tty && !isatty(STDIN_FILENO)) {
		text_add(why, "--tty needs a terminal as standard input");
		return -EINVAL;
	}
	if (!r->argv[0] || r->argv[0][0] == '\0') {
		text_add(why,
			 "what shall be run? glovebox run [options] -- COMMAND; --help tells more");
		return -EINVAL;
	}
	if (r->opt.host && (r->opt.tty || r->opt.status_fd || r->opt.require)) {
		text_add(why, "--tty, --status-fd and --require are not for a daemon's run");
		return -EINVAL;
	}
	return check_workspace(r, why);
}

static int open_output(const char *path, int *ret_fd, struct text *why)
{
	*ret_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	if (*ret_fd >= 0)
		return 0;
	text_add(why, "cannot write \"");
	text_add_safe(why, path, strlen(path));
	text_printf(why, "\": %s", strerror(errno));
	return -EINVAL;
}

static int open_outputs(struct run *r, struct text *why)
{
	int e = 0;

	if (r->opt.events)
		e = open_output(r->opt.events, &r->stream.sinks[STREAM_FILE].fd, why);
	if (e == 0 && r->opt.report)
		e = open_output(r->opt.report, &r->report_fd, why);
	return e;
}

static int fail_open(uint32_t stage, int e, struct text *why)
{
	session_explain_open(stage, e, why);
	return e;
}

static int start_warden(struct run *r, struct text *why)
{
	int e;

	e = session_make_id(r->session.id);
	if (e == 0)
		e = place_prepare(r->session.id, r->run_dir, why);
	if (e < 0)
		return e;
	r->config = (struct sb_config){
		.is_user = user_is_single(),
		.has_groups = host_find_groups(&r->host),
		.state_dir = place_state(),
		.run_dir = r->run_dir,
		.staging = r->run_dir,
		.roots = { r->workspace },
	};
	e = shown_allow(&r->config, &r->policy, why);
	if (e == 0)
		e = warden_start(&r->config, &r->warden, &r->warden_pid);
	if (e < 0) {
		(void)rmdir(r->run_dir);
		text_printf(why, "cannot fork the warden: %s", strerror(-e));
	}
	return e;
}

static int ask_session(struct run *r, struct text *why)
{
	int e;

	r->session.loop = r->loop;
	r->session.warden = r->warden;
	r->session.workspace = strdup(r->workspace);
	r->session.at = strdup(r->opt.at);
	r->session.policy = &r->policy;
	r->session.stream = &r->stream;
	r->session.unwatched_why = r->host.unwatched_why;
	r->session.asks = r->host.notify != NULL;
	if (!r->session.workspace || !r->session.at)
		return -ENOMEM;
	e = session_ask_open(&r->session, 0, false, why);
	return e < 0 && why->len == 0 ? fail_open(SB_STAGE_REQUEST, e, why) : e;
}

/* Everything that needs privilege, and its end. */
static int prepare(struct run *r, struct text *why)
{
	int e;

	e = open_outputs(r, why);
	if (e == 0)
		e = start_warden(r, why);
	/* without root it takes no time, and whether the filter asks depends on it */
	if (e == 0 && user_is_single())
		host_load_monitor(&r->host);
	if (e == 0)
		e = ask_session(r, why);
	if (e < 0)
		return e;
	r->host.wants = (r->policy.compares ? MONITOR_COMPARES : 0) |
			(profile_allows_uring(r->session.view.profile) ? MONITOR_URING : 0);
	/* what it cannot watch the tier says, and --require refuses */
	if (!user_is_single())
		host_load_monitor(&r->host);
	r->monitor = r->host.monitor;
	e = place_listen(r->run_dir, "operator.sock", PLACE_OPERATORS, &r->listener, why);
	if (e < 0)
		return e;
	e = confine_privileges();
	if (e < 0)
		text_printf(why, "cannot give up privileges: %s", strerror(-e));
	return e;
}

/* --- without them -------------------------------------------------------- */

static int open_session(struct run *r, struct text *why)
{
	uint32_t stage = SB_STAGE_REQUEST;
	int e;

	do
		e = session_finish_open(&r->session, &stage);
	while (e == -EINPROGRESS);
	if (e < 0)
		return fail_open(stage, e, why);
	if (r->monitor) {
		e = monitor_attach(r->monitor, r->warden, r->session.cgroup);
		if (e < 0) {
			(void)snprintf(r->host.unwatched_why, sizeof(r->host.unwatched_why),
				       "the kernel refused to attach: %s", strerror(-e));
			monitor_free(r->monitor);
			r->monitor = r->host.monitor = NULL;
		}
	}
	r->session.monitor = r->monitor;
	if (r->monitor)
		monitor_add_view(r->monitor, &r->session.view);
	if (r->monitor)
		host_attach_more(&r->host, &r->session);
	r->host.require = r->opt.require;
	if (!host_is_enough(&r->host, &r->session, why))
		return -EPERM;
	(void)session_open_log(&r->session);
	(void)session_save(&r->session);
	return 0;
}

static void emit_session(struct run *r, const char *kind)
{
	struct text *t = stream_begin(&r->stream, kind, NULL, 0);

	if (strcmp(kind, "session.protection") == 0) {
		text_add(t, ",\"protection\":");
		session_add_protection(&r->session, r->monitor != NULL, t);
	} else if (strcmp(kind, "session.created") == 0) {
		text_add(t, ",\"workspace\":");
		text_add_json(t, r->workspace, strlen(r->workspace));
		text_printf(t, ",\"range\":%u", r->session.range);
	}
	stream_end(&r->stream);
}

static int on_grace(sd_event_source *s, uint64_t now, void *context)
{
	struct run *r = context;

	(void)s;
	(void)now;
	(void)call_kill(r->call, "operator (signal)", "it did not stop in time", NULL, NULL);
	return 0;
}

/* Once stops gracefully, twice kills. A frozen tool handles nothing, so it is
 * thawed first. */
static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *context)
{
	struct run *r = context;
	int sig = (int)si->ssi_signo;

	(void)s;
	if (sig == SIGWINCH) {
		struct winsize size;

		if (r->call && r->call->is_tty && r->call->in.to >= 0 &&
		    ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
			(void)ioctl(r->call->in.to, TIOCSWINSZ, &size);
		return 0;
	}
	if (!r->call || ++r->interrupts > 1) {
		if (r->call)
			(void)call_kill(r->call, "operator (signal)", "asked twice", NULL, NULL);
		return 0;
	}
	if (r->call->state == CALL_PAUSED || r->call->state == CALL_PAUSING)
		(void)call_resume(r->call, ~0u, "operator (signal)");
	(void)call_signal(r->call, sig == SIGHUP ? SIGTERM : sig);
	return sd_event_add_time_relative(r->loop, &r->on_grace, CLOCK_MONOTONIC, GRACE_US, 0,
					  on_grace, r);
}

static int on_warden(sd_event_source *s, int fd, uint32_t events, void *context)
{
	struct run *r = context;

	(void)fd;
	(void)events;
	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	(void)command_fail(0, "the warden is gone: ending the call");
	if (!r->call || call_kill(r->call, "supervisor", "the warden is gone", NULL, NULL) < 0)
		(void)sd_event_exit(r->loop, 0);
	return 0;
}

static void on_done(struct call *c, void *context)
{
	struct run *r = context;

	(void)c;
	(void)sd_event_exit(r->loop, 0);
}

static int watch_signals(struct run *r)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	int e = 0;

	for (size_t i = 0; e >= 0 && i < ARRAY_SIZE(all); i++)
		e = sd_event_add_signal(r->loop, NULL, all[i] | SD_EVENT_SIGNAL_PROCMASK, on_signal,
					r);
	if (e >= 0)
		e = sd_event_add_io(r->loop, &r->on_warden, r->warden, 0, on_warden, r);
	return e < 0 ? e : 0;
}

/* The call is over: from here on a signal ends this process, and the warden
 * cleans up. The session and its layer stay. */
static void end_signals(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void make_raw(struct run *r)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &r->saved) < 0)
		return;
	raw = r->saved;
	cfmakeraw(&raw);
	r->is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void make_cooked(struct run *r)
{
	if (r->is_raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &r->saved);
	r->is_raw = false;
}

/* What a daemon has, for one session: the door, and threads for its files. */
static int host_start(struct run *r)
{
	int e;

	r->host.instance = r->session.id;
	r->host.is_one_session = true;
	r->host.warden = r->warden;
	e = jobs_start(&r->host.jobs, r->loop);
	if (e == 0)
		e = host_add(&r->host, &r->session);
	if (e == 0)
		e = server_start(&r->server, &r->host);
	if (e == 0) {
		e = server_add_door(r->server, r->listener, VERB_OPERATOR);
		r->listener = -1;
	}
	return e;
}

static char **copy_words(const char *const *words)
{
	size_t n = 0;
	char **copy;

	while (words[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(words[i]);
		if (!copy[i])
			return NULL;
	}
	return copy;
}

static int start_call(struct run *r)
{
	struct call_request request = {
		.tool = strdup("exec"),
		.argv = copy_words(r->argv),
		.agent_call_id = r->opt.agent_call_id ? strdup(r->opt.agent_call_id) : NULL,
		.trace = r->opt.trace ? strdup(r->opt.trace) : NULL,
		.is_tty = r->opt.tty,
		.io = CALL_IO_OWN,
	};
	int e;

	if (!request.tool || !request.argv)
		return -ENOMEM;
	e = call_new(&r->session, 1, &request, &r->call);
	if (e < 0)
		return e;
	r->session.next_call = 2;
	(void)session_add_call(&r->session, r->call);
	return call_launch(r->call);
}

static int run_call(struct run *r, struct text *why)
{
	int e;

	e = watch_signals(r);
	if (e == 0)
		e = confine_syscalls();
	if (e == 0)
		e = host_start_monitor(&r->host);
	r->session.notify = r->host.notify;
	if (e == 0)
		e = host_start(r);
	if (e < 0) {
		text_printf(why, "cannot set up the supervisor: %s", strerror(-e));
		return e;
	}
	emit_session(r, "session.created");
	emit_session(r, "session.protection");
	if (!r->monitor && !r->opt.quiet)
		(void)command_fail(0, "warning: %s: %s",
				   r->session.notify ? "not all is watched" : "nothing is watched",
				   r->host.unwatched_why);
	/* what was asked for by name is said also to who wants to hear nothing */
	if (!r->monitor &&
	    (r->policy.trace[0] || r->policy.is_lossless || r->policy.hashes || r->policy.compares))
		(void)command_fail(0,
				   "warning: tracing, lossless, watch.hash and watch.compare need "
				   "eBPF: nothing of it is done here");
	if (r->host.ungrouped_why[0] && !r->opt.quiet)
		(void)command_fail(0,
				   "warning: a pause is a stop (best effort), and memory is only "
				   "looked at: %s",
				   r->host.ungrouped_why);
	if (r->opt.tty)
		make_raw(r);
	r->session.on_call_done = on_done;
	r->session.context = r;
	e = start_call(r);
	if (e == 0)
		(void)sd_event_loop(r->loop);
	end_signals();
	make_cooked(r);
	return 0; /* how it went is the call's outcome */
}

/* --- the end ------------------------------------------------------------- */

static int exit_status(const struct call *c)
{
	switch (c->outcome) {
	case CALL_EXITED:
		return WEXITSTATUS(c->status);
	case CALL_SIGNALED:
		return RUN_SIGNAL + WTERMSIG(c->status);
	case CALL_TIMED_OUT:
		return RUN_TIMED_OUT;
	case CALL_KILLED:
	case CALL_OVER_LIMIT:
		return RUN_SIGNAL + SIGKILL;
	case CALL_DENIED:
		return RUN_NOT_EXECUTABLE;
	case CALL_FAILED_TO_START:
		if (c->failed.stage != SB_STAGE_EXEC)
			return RUN_FAILED;
		return c->failed.error == -ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
	case CALL_LOST:
	case CALL_OUTCOME_COUNT:
		break;
	}
	return RUN_FAILED;
}

static void write_status(struct run *r)
{
	AUTO_TEXT t = { 0 };
	const struct call *c = r->call;

	text_printf(&t, "{\"session\":\"%s\",\"call\":%u,\"outcome\":\"%s\"", r->session.id,
		    c ? c->number : 0, c ? call_outcome_names[c->outcome] : "failed_to_start");
	if (c && c->outcome == CALL_EXITED)
		text_printf(&t, ",\"exit_code\":%d", WEXITSTATUS(c->status));
	if (c && c->outcome == CALL_SIGNALED)
		text_printf(&t, ",\"signal\":%d", WTERMSIG(c->status));
	text_add(&t, "}\n");
	(void)io_write_all(r->status_fd, t.at, t.len);
}

static void say_start_failure(const struct call *c)
{
	int e = -c->failed.error;

	if (c->failed.stage == SB_STAGE_EXEC && e == ENOENT)
		(void)command_fail(0,
				   "\"%s\" was not found inside the sandbox: it must be below "
				   "/usr, /bin, /opt or the workspace",
				   c->argv[0]);
	else if (c->failed.stage == SB_STAGE_EXEC)
		(void)command_fail(0, "\"%s\" cannot be executed: %s", c->argv[0], strerror(e));
	else
		(void)command_fail(0, "cannot start: %s", c->reason);
}

static int list_changes(struct run *r, struct changes *ret)
{
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of = session_changes(&r->session, numbers);
	int e = changes_read(&of, ret);

	return e < 0 ? e : seen_write(r->session.dir, 1, ret, r->call->started_real_ns);
}

/* The account, while the keeper still holds the session. */
static void finish(struct run *r)
{
	struct changes changes = { 0 };
	AUTO_TEXT report = { 0 };
	AUTO_TEXT said = { 0 };
	struct call *c = r->call;
	const struct stream_call who = {
		.number = c->number,
		.agent_call_id = c->request.agent_call_id,
	};
	bool all = r->opt.verbose > 0;
	int e;

	if (c->outcome == CALL_FAILED_TO_START)
		say_start_failure(c);
	e = list_changes(r, &changes);
	if (e == 0)
		account_emit_changes(&r->stream, &who, r->session.at, &changes);
	else
		(void)command_fail(0, "the changes cannot be listed: %s", strerror(-e));
	emit_session(r, "session.closed");
	stream_flush(&r->stream);
	report_make(c, e == 0 ? &changes : NULL, e, &report);
	if (r->report_fd >= 0 && io_write_all(r->report_fd, report.at, report.len) < 0)
		(void)command_fail(0, "the report could not be written");
	if (r->stream.sinks[STREAM_FILE].error < 0)
		(void)command_fail(0, "the event file was given up: %s",
				   strerror(-r->stream.sinks[STREAM_FILE].error));
	if (mkdirat(r->session.dir, "report", 0700) == 0 || errno == EEXIST)
		(void)session_write_file(r->session.dir, "report/1.json", &report);
	(void)session_set_state(&r->session, SESSION_CLOSED);
	(void)session_save(&r->session);
	r->opt.discard |= e == 0 && changes.count == 0;
	if (!r->opt.quiet && c->outcome != CALL_FAILED_TO_START) {
		report_say(c, e == 0 ? &changes : NULL, all, &said);
		if (!r->opt.discard)
			text_printf(&said,
				    "glovebox: look: glovebox diff %s   keep: glovebox commit %s   "
				    "drop: glovebox discard %s\n",
				    r->session.id, r->session.id, r->session.id);
		stream_say(&r->stream, &said);
	}
	if (c->out.error < 0)
		(void)command_fail(0, "%llu bytes of the command's output could not be written: %s",
				   (unsigned long long)c->out.lost, strerror(-c->out.error));
	r->status = exit_status(c);
	changes_done(&changes);
}

static void take_down(struct run *r)
{
	jobs_free(r->host.jobs);
	r->host.jobs = NULL;
	server_free(r->server);
	fd_done(&r->listener);
	if (r->warden >= 0) {
		if (session_close(&r->session) < 0)
			(void)command_fail(0, "the session could not be closed cleanly");
		/* nothing was changed, or nobody wants it: nothing stays */
		if (r->session.dir >= 0 && (r->opt.discard || !r->call))
			(void)changes_remove_session(r->warden, r->session.id);
	}
	monitor_free(r->monitor);
	notify_free(r->host.notify);
	session_done(&r->session);
	free(r->host.sessions);
	fd_done(&r->host.wake);
	stream_done(&r->stream);
	r->on_grace = sd_event_source_disable_unref(r->on_grace);
	r->on_warden = sd_event_source_disable_unref(r->on_warden);
	fd_done(&r->warden);
	/* it removes sockets and groups: nothing is left behind when we return */
	if (r->warden_pid > 0)
		(void)waitpid(r->warden_pid, NULL, 0);
	fd_done(&r->report_fd);
	(void)sd_event_unref(r->loop);
}

/* By a daemon: this process is a client, whoever it belongs to. */
static int run_there(struct run *r, struct text *why)
{
	struct remote_plan plan;

	if (open_outputs(r, why) < 0)
		return usage(why);
	if (setenv("GLOVEBOX_HOST", r->opt.host, 1) < 0)
		return command_fail(RUN_FAILED, "out of memory");
	if (r->opt.lossless)
		return command_fail(RUN_FAILED, "--lossless is the daemon's to give: \"watch\": "
						"{\"mode\": \"lossless\"} in its policy");
	plan = (struct remote_plan){
		.workspace = r->workspace,
		.at = strcmp(r->opt.at, r->workspace) == 0 ? NULL : r->opt.at,
		.limits = &r->opt.limits,
		.env = &r->opt.env,
		.agent_call_id = r->opt.agent_call_id,
		.trace = r->opt.trace,
		.argv = r->argv,
		.as_root = r->opt.as_root,
		.discard = r->opt.discard,
		.quiet = r->opt.quiet,
		.events_fd = r->stream.sinks[STREAM_FILE].fd,
		.report_fd = r->report_fd,
	};
	return remote_run(&plan);
}

int command_run(char **argv)
{
	static struct run r;
	AUTO_TEXT why = { 0 };
	enum stream_level level;
	char **rest;
	int e;

	r.warden = r.report_fd = r.status_fd = r.listener = -1;
	session_init(&r.session);
	if (options_parse(rows, argv, true, &r.opt, &rest, &why) < 0)
		return usage(&why);
	if (r.opt.help)
		return help();
	r.argv = (const char *const *)rest;
	r.stream.sinks[STREAM_FILE].fd = -1;
	if (!r.opt.host && getenv("GLOVEBOX_HOST") && getenv("GLOVEBOX_HOST")[0])
		r.opt.host = getenv("GLOVEBOX_HOST");
	if (!r.opt.host && user_become_root(&why) < 0)
		return usage(&why);
	if (check_options(&r, &why) < 0)
		return usage(&why);
	if (r.opt.host)
		return run_there(&r, &why);
	level = r.opt.quiet ? STREAM_QUIET : r.opt.verbose ? STREAM_ALL : STREAM_NORMAL;
	stream_init(&r.stream, r.session.id, level);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(022);
	e = sd_event_new(&r.loop);
	if (e < 0)
		return command_fail(RUN_FAILED, "cannot make an event loop: %s", strerror(-e));
	e = host_init(&r.host, r.loop, -1);
	if (e == 0)
		e = prepare(&r, &why);
	if (e == 0)
		e = open_session(&r, &why);
	if (e == 0)
		e = run_call(&r, &why);
	if (e < 0 || !r.call) {
		r.status = command_fail(RUN_FAILED, "%s", why.at ? why.at : "cannot start");
	} else {
		finish(&r);
	}
	if (r.status_fd >= 0)
		write_status(&r);
	take_down(&r);
	return r.status;
}
