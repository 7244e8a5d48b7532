// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/mcp/main.c - `glovebox-mcp`: the tools of Glovebox for any MCP client.
 *
 * It is an agent like any other to the supervisor, whoever starts it. Nothing is
 * connected or started before a client asks for tools: clients start a server only to
 * look at it. As root it gives its privileges up as soon as it is connected.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/client.h"
#include "supervisor/command.h"
#include "supervisor/confine.h"
#include "supervisor/mcp/mcp.h"
#include "supervisor/options.h"
#include "supervisor/own.h"

/* Codex gives a call up after 300 s, whatever is said meanwhile. */
#define HOLD_DEFAULT "230s"
/* Clients that know tasks get one after this. */
#define TASK_MS 2000
/* At the end, for closing sessions. Clients kill after some seconds. */
#define CLOSE_US (1000u * 1000)
#define TOOLS_MS 20000
#define TOKEN_BYTES 24

struct options {
	bool help, no_token, version, ask_client;
	const char *http, *token_file, *workspace, *policy, *hold;
	struct option_list hosts, origins;
};

static const struct option_row rows[] = {
	{ 'w', "workspace", OPTION_TEXT, offsetof(struct options, workspace), "DIR",
	  "what the tools work on (default: the current directory)" },
	{ 'p', "policy", OPTION_TEXT, offsetof(struct options, policy), "NAME",
	  "a policy that the supervisor knows" },
	{ 0, "hold", OPTION_TEXT, offsetof(struct options, hold), "TIME",
	  "a call that runs longer is answered with its call_id (default: 230s)" },
	{ 0, "ask-client", OPTION_BOOL, offsetof(struct options, ask_client), NULL,
	  "the client's user may approve what is held, too (needs an operator's rights)" },
	{ 0, "http", OPTION_TEXT, offsetof(struct options, http), "ADDRESS:PORT",
	  "serve Streamable HTTP at /mcp, instead of standard input and output" },
	{ 0, "token-file", OPTION_TEXT, offsetof(struct options, token_file), "FILE",
	  "the bearer token of HTTP (default: a new one, printed at the start)" },
	{ 0, "no-token", OPTION_BOOL, offsetof(struct options, no_token), NULL,
	  "ask for none; only on a loopback address" },
	{ 0, "allow-host", OPTION_LIST, offsetof(struct options, hosts), "HOST",
	  "a Host that HTTP requests may name, besides loopback's" },
	{ 0, "allow-origin", OPTION_LIST, offsetof(struct options, origins), "ORIGIN",
	  "a web page's origin that may connect, like https://app.example" },
	{ 0, "version", OPTION_BOOL, offsetof(struct options, version), NULL, "print it" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

static struct {
	struct mcp mcp;
	struct options opt;
	char workspace[PATH_MAX];
	struct own own; /* the daemon that we have started */
	bool is_ending;
	struct client operators; /* with --ask-client */
	char token[256];
} self = { .own = OWN_NONE, .operators = { .fd = -1 } };

static int help(void)
{
	AUTO_TEXT t = { 0 };

	text_add(&t, "usage: glovebox-mcp [options]\n\n"
		     "Serves the tools of Glovebox to a client of the Model Context Protocol:\n"
		     "a client of the daemon that runs (GLOVEBOX_HOST names one of several), or,\n"
		     "as root where none runs, with a supervisor of its own.\n\n");
	options_help(rows, &t);
	text_add(&t, "\n  claude mcp add glovebox -- glovebox-mcp\n"
		     "  glovebox-mcp --http 127.0.0.1:3000\n");
	(void)fputs(t.at, stdout);
	return EXIT_DONE;
}

/* --- the connection ---------------------------------------------------------------------- */

static int on_daemon_says(sd_event_source *s, int fd, uint32_t events, void *context)
{
	char buf[1024];
	ssize_t n = read(fd, buf, sizeof(buf));

	(void)events;
	(void)context;
	if (n > 0)
		(void)io_write_all(STDERR_FILENO, buf, (size_t)n);
	else
		(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	return 0;
}

static void on_event(void *context, const cJSON *event)
{
	mcp_on_event(context, event);
}

static void on_link_end(void *context)
{
	struct mcp *m = context;

	(void)command_fail(0, "the supervisor has ended");
	m->on_over(m);
}

static int fetch_tools(struct mcp *m, struct client *c, struct text *why)
{
	cJSON *json;
	char *result;
	int r;

	r = client_exchange(c, "tools.list", NULL, TOOLS_MS, &result, why);
	if (r < 0)
		return r;
	json = cJSON_Parse(result);
	m->tools = cJSON_DetachItemFromObjectCaseSensitive(json, "tools");
	cJSON_Delete(json);
	return m->tools ? 0 : -EPROTO;
}

static int decide(const char *call, const char *digest, bool is_yes, const char *note,
		  struct text *why)
{
	AUTO_TEXT params = { 0 };
	char *result;

	client_add_member(&params, "id", call);
	if (is_yes)
		client_add_member(&params, "digest", digest);
	else
		client_add_member(&params, "reason", note[0] ? note : "the client's user said no");
	return client_exchange(&self.operators, is_yes ? "approval.approve" : "approval.deny",
			       params.at, TOOLS_MS, &result, why);
}

/* An approval is an operator's: whoever may not be one cannot pass it on. */
static int connect_operator(struct mcp *m, const char *instance, struct text *why)
{
	int r = client_connect_instance(instance, "operator.sock", &self.operators);

	if (r < 0)
		text_printf(
			why,
			"--ask-client needs an operator's rights (root, or the group glovebox): %s",
			strerror(-r));
	else
		m->decide = decide;
	return r;
}

static int connect_now(struct mcp *m, struct text *why)
{
	struct link_watch watch = { on_event, on_link_end, m };
	struct client c;
	int r;

	r = client_connect_agent(&c, why);
	if (r == -ENOENT && !getenv("GLOVEBOX_HOST")) {
		why->len = 0;
		r = own_start(&self.own, self.workspace, "mcp", why);
		if (r == 0)
			r = client_connect_instance(self.own.instance, "agent.sock", &c);
		if (r == 0)
			r = sd_event_add_io(m->loop, NULL, self.own.err, EPOLLIN, on_daemon_says,
					    NULL);
	}
	if (r < 0)
		return r;
	r = self.opt.ask_client ? connect_operator(m, c.instance, why) : 0;
	if (r == 0)
		r = fetch_tools(m, &c, why);
	if (r == 0 && geteuid() == 0)
		r = confine_privileges();
	if (r == 0)
		r = link_new(m->loop, c.fd, &watch, &m->link);
	if (r == 0)
		c.fd = -1;
	if (r < 0 && why->len == 0)
		text_printf(why, "cannot use the supervisor: %s", strerror(-r));
	client_done(&c);
	return r;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void quit(struct mcp *m)
{
	stdio_flush();
	(void)sd_event_exit(m->loop, 0);
}

static int on_late(sd_event_source *s, uint64_t now, void *context)
{
	(void)s;
	(void)now;
	quit(context);
	return 0;
}

static void on_over(struct mcp *m)
{
	if (self.is_ending) {
		quit(m);
		return;
	}
	self.is_ending = true;
	for (struct mcp_peer *p = m->peers; p; p = p->next)
		while (p->requests)
			mcp_cancel(p->requests);
	(void)sd_event_add_time_relative(m->loop, NULL, CLOCK_MONOTONIC, CLOSE_US, 1000, on_late,
					 m);
	mcp_close_sessions(m, NULL, quit);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *context)
{
	(void)s;
	(void)si;
	on_over(context);
	return 0;
}

/* --- the beginning ------------------------------------------------------------------------------ */

static int read_token(struct text *why)
{
	unsigned char raw[TOKEN_BYTES];
	AUTO_FD fd = -1;
	ssize_t n;

	if (self.opt.no_token)
		return 0;
	if (self.opt.token_file) {
		fd = open(self.opt.token_file, O_RDONLY | O_CLOEXEC);
		n = fd >= 0 ? read(fd, self.token, sizeof(self.token) - 1) : -1;
		while (n > 0 && strchr(" \t\r\n", self.token[n - 1]))
			self.token[--n] = '\0';
		if (n >= 16)
			return 0;
		text_printf(why, "--token-file %.200s: %s", self.opt.token_file,
			    n < 0 ? strerror(errno) : "a token has at least 16 characters");
		return -EINVAL;
	}
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -errno;
	for (size_t i = 0; i < sizeof(raw); i++)
		(void)snprintf(self.token + 2 * i, 3, "%02x", raw[i]);
	(void)fprintf(stderr, "glovebox-mcp: token %s\n", self.token);
	return 0;
}

static int check(struct text *why)
{
	struct mcp_options *o = &self.mcp.options;
	uint64_t hold;

	if (!realpath(self.opt.workspace ? self.opt.workspace : ".", self.workspace)) {
		text_printf(why, "the workspace \"%.200s\": %s",
			    self.opt.workspace ? self.opt.workspace : ".", strerror(errno));
		return -EINVAL;
	}
	if (text_parse_duration(self.opt.hold ? self.opt.hold : HOLD_DEFAULT, &hold) < 0 ||
	    hold == 0) {
		text_add(why, "--hold takes a duration like 200s");
		return -EINVAL;
	}
	if (!self.opt.http && (self.opt.token_file || self.opt.no_token || self.opt.hosts.count ||
			       self.opt.origins.count)) {
		text_add(
			why,
			"--token-file, --no-token, --allow-host and --allow-origin go with --http");
		return -EINVAL;
	}
	*o = (struct mcp_options){ .workspace = self.workspace,
				   .hold_ms = hold / 1000000u,
				   .task_ms = TASK_MS,
				   .policy = self.opt.policy };
	if (o->hold_ms == 0)
		o->hold_ms = 1;
	return 0;
}

static int serve(struct text *why)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct http_options http = { .listen = self.opt.http,
				     .token = self.opt.no_token ? NULL : self.token,
				     .hosts = &self.opt.hosts,
				     .origins = &self.opt.origins };
	struct mcp *m = &self.mcp;
	int r = sd_event_new(&m->loop);

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
		r = sd_event_add_signal(m->loop, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK,
					on_signal, m);
	if (r >= 0 && getrandom(m->secret, sizeof(m->secret), 0) < 0)
		r = -errno;
	if (r >= 0 && self.opt.http) {
		r = read_token(why);
		if (r == 0)
			r = http_start(m, &http, why);
		/* who serves a network has no privileges when the first byte comes */
		if (r == 0 && !mcp_fixtures)
			r = connect_now(m, why);
	} else if (r >= 0) {
		r = stdio_start(m);
	}
	if (r < 0)
		return r;
	return sd_event_loop(m->loop);
}

int main(int argc, char **argv)
{
	AUTO_TEXT why = { 0 };
	char **rest;
	int r;

	(void)argc;
	if (options_parse(rows, argv, false, &self.opt, &rest, &why) < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	if (self.opt.help)
		return help();
	if (self.opt.version)
		return command_version((char *[]){ "version", NULL });
	if (rest[0])
		return command_fail(EXIT_USAGE, "glovebox-mcp takes no arguments; see --help");
	(void)signal(SIGPIPE, SIG_IGN);
	self.mcp.connect = connect_now;
	self.mcp.on_over = on_over;
	r = check(&why);
	if (r < 0)
		return command_fail(EXIT_USAGE, "%s", why.at);
	r = serve(&why);
	if (r < 0)
		r = command_fail(EXIT_FAILED, "%s", why.at && why.len ? why.at : strerror(-r));
	http_stop();
	client_done(&self.operators);
	link_free(self.mcp.link);
	/* a client does not wait: it ends all that runs, and itself, behind us */
	own_end(&self.own, false);
	return r < 0 ? EXIT_FAILED : r;
}
