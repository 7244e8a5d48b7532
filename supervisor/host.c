// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/host.c - all the sessions of one supervisor: made, opened, closed.
 *
 * The BPF programs are attached while at least one keeper runs. A session that is
 * only kept has no process and costs its struct.
 */
#include "supervisor/host.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/cgroup.h"
#include "sandbox/warden.h"
#include "supervisor/account.h"
#include "supervisor/leaf.h"
#include "supervisor/server.h"
#include "supervisor/user.h"

struct opening {
	host_opened_fn fn;
	void *context;
	bool is_new; /* it has never been open: nothing stays when that fails */
};

int host_init(struct host *h, sd_event *loop, int warden)
{
	memset(h, 0, sizeof(*h));
	h->loop = loop;
	h->warden = warden;
	h->differ.sock = -1;
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return h->wake < 0 ? -errno : 0;
}

bool host_find_groups(struct host *h)
{
	bool single = user_is_single();
	int r = cgroup_use(single);

	/* in a container the top may be read-only, and the group we are in ours */
	if (r < 0 && !single)
		r = cgroup_use(true);
	if (r < 0 && single)
		(void)snprintf(
			h->ungrouped_why, sizeof(h->ungrouped_why),
			"no control group is this user's (%s): systemd-run --user --scope -p "
			"Delegate=yes gives one",
			strerror(-r));
	else if (r < 0)
		(void)snprintf(h->ungrouped_why, sizeof(h->ungrouped_why),
			       "no control groups can be made (%s): a writable cgroup v2 hierarchy "
			       "must be mounted on /sys/fs/cgroup or /sys/fs/cgroup/unified",
			       strerror(-r));
	return r == 0;
}

void host_load_monitor(struct host *h)
{
	if (user_is_single() && notify_make(&h->notify) < 0)
		(void)snprintf(h->unwatched_why, sizeof(h->unwatched_why),
			       "eBPF needs root, and this kernel has no seccomp notification");
	else if (user_is_single())
		(void)snprintf(h->unwatched_why, sizeof(h->unwatched_why),
			       "eBPF needs root; seccomp notification sees a part");
	else if (h->ungrouped_why[0])
		(void)snprintf(h->unwatched_why, sizeof(h->unwatched_why),
			       "eBPF knows a call by its control group, and there is none");
	else if (monitor_load(&h->monitor, h->wants, h->unwatched_why, sizeof(h->unwatched_why)) <
		 0)
		h->monitor = NULL;
}

int host_start_monitor(struct host *h)
{
	if (h->monitor)
		return monitor_start(h->monitor);
	return h->notify ? notify_start(h->notify) : 0;
}

int host_add(struct host *h, struct session *s)
{
	if (h->count == HOST_SESSIONS)
		return -EUSERS;
	if (h->count == h->room) {
		size_t room = h->room ? 2 * h->room : 16;
		struct session **more = realloc(h->sessions, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		h->sessions = more;
		h->room = room;
	}
	h->sessions[h->count++] = s;
	s->host = h;
	s->loop = h->loop;
	s->warden = h->warden;
	s->stream->wake = h->wake;
	return 0;
}

static void forget(struct host *h, struct session *s)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->sessions[i] == s)
			h->sessions[i] = h->sessions[--h->count];
	if (h->server)
		server_session_gone(h->server, s);
	free(s->opening);
	session_done(s);
	if (!s->is_given_up)
		free(s);
}

struct session *host_find(struct host *h, const char *prefix, const uid_t *owner, bool *ret_many)
{
	size_t n = strcspn(prefix, ".");
	struct session *found = NULL;

	*ret_many = false;
	for (size_t i = 0; i < h->count && n > 0; i++) {
		const struct session *s = h->sessions[i];

		if (strncmp(s->id, prefix, n) != 0 || s->is_hidden || (owner && s->owner != *owner))
			continue;
		*ret_many = found != NULL;
		found = h->sessions[i];
		if (*ret_many)
			return NULL;
	}
	return found;
}

static void tell_news(struct session *s)
{
	if (s->host && s->host->server)
		server_pump(s->host->server, s);
}

static struct session *new_session(struct host *h)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	session_init(s);
	s->stream = calloc(1, sizeof(*s->stream));
	if (!s->stream) {
		free(s);
		return NULL;
	}
	s->owns_stream = true;
	stream_init(s->stream, s->id, STREAM_QUIET);
	s->on_call_done = account_call;
	s->on_news = tell_news;
	s->unwatched_why = h->unwatched_why;
	s->notify = h->notify;
	s->asks = h->notify != NULL;
	return s;
}

/* --- open ---------------------------------------------------------------- */

static void say_not_attached(struct session *s, const char *what, int error)
{
	struct text *t = session_begin(s, "monitor.lost");

	text_printf(t, ",\"why\":\"%s: %s\",\"did\":\"nothing\"", what, strerror(-error));
	stream_end(s->stream);
}

void host_attach_more(struct host *h, struct session *s)
{
	int r;

	r = s->policy->compares ? monitor_compare(h->monitor, s->warden) : 0;
	if (r < 0)
		say_not_attached(s, "watch.compare: nothing can be attached before each call", r);
	r = profile_allows_uring(s->view.profile) ? monitor_uring(h->monitor, s->warden) : 0;
	if (r < 0)
		say_not_attached(
			s, "the policy allows io_uring, and what it is asked for cannot be seen",
			r);
}

static void attach(struct host *h, struct session *s)
{
	int r;

	h->keepers++;
	if (h->monitor && !h->is_attached) {
		r = monitor_attach(h->monitor, h->warden, s->cgroup);
		h->is_attached = r == 0;
		if (r < 0)
			(void)snprintf(h->unwatched_why, sizeof(h->unwatched_why),
				       "the kernel refused to attach: %s", strerror(-r));
	}
	fd_done(&s->cgroup);
	s->monitor = h->is_attached ? h->monitor : NULL;
	if (s->monitor)
		monitor_add_view(s->monitor, &s->view);
	if (s->monitor)
		host_attach_more(h, s);
}

static void detach(struct host *h)
{
	if (h->keepers > 0 && --h->keepers == 0 && h->is_attached) {
		monitor_detach(h->monitor);
		h->is_attached = false;
	}
}

bool host_is_enough(const struct host *h, const struct session *s, struct text *why)
{
	const char *tier = session_tier(s, s->monitor != NULL);

	if (session_tier_is_enough(tier, h->require))
		return true;
	text_printf(why, "--require %s: this machine gives less, \"%s\"", h->require, tier);
	if (!s->monitor && h->unwatched_why[0])
		text_printf(why, ": %s", h->unwatched_why);
	if (h->ungrouped_why[0])
		text_printf(why, ": %s", h->ungrouped_why);
	text_add(why, "; `glovebox doctor` tells what is missing");
	return false;
}

static void emit_opened(struct session *s, bool is_new)
{
	struct text *t = session_begin(s, is_new ? "session.created" : "session.opened");

	text_add(t, ",\"workspace\":");
	text_add_json(t, s->workspace, strlen(s->workspace));
	text_printf(t, ",\"range\":%u", s->range);
	if (s->labels) {
		text_add(t, ",\"labels\":");
		text_add(t, s->labels);
	}
	stream_end(s->stream);
	t = session_begin(s, "session.protection");
	text_add(t, ",\"protection\":");
	session_add_protection(s, s->monitor != NULL, t);
	stream_end(s->stream);
	stream_flush(s->stream);
}

static void fail_calls(struct session *s, const char *why)
{
	for (uint32_t i = s->call_count; i > 0; i--)
		if (call_may_launch(s->calls[i - 1]))
			call_deny(s->calls[i - 1], "supervisor", why);
}

static void opened(struct session *s, int error, const char *why)
{
	struct opening *o = s->opening;
	host_opened_fn fn = o->fn;
	void *context = o->context;
	bool is_new = o->is_new;

	free(o);
	s->opening = NULL;
	s->is_hidden = error < 0 && is_new;
	if (error == 0) {
		(void)session_open_log(s);
		(void)session_save(s);
		emit_opened(s, is_new);
	} else {
		(void)session_close(s);
		(void)session_set_state(s, SESSION_KEPT);
		fail_calls(s, why);
	}
	if (fn)
		fn(s, error, why, context);
	if (error == 0)
		leaf_prepare(s);
	if (error == 0)
		host_launch_waiting(s);
	else if (is_new)
		forget(s->host, s);
}

static int on_keeper_gone(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct session *s = context;

	(void)fd;
	(void)events;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	/* its calls die with it, and each is told by its own init's end */
	(void)session_close(s);
	(void)session_set_state(s, SESSION_KEPT);
	detach(s->host);
	(void)session_begin(s, "session.lost");
	stream_end(s->stream);
	stream_flush(s->stream);
	return 0;
}

static int on_keeper(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct session *s = context;
	uint32_t stage = SB_STAGE_REQUEST;
	AUTO_TEXT why = { 0 };
	int r;

	(void)source;
	(void)fd;
	(void)events;
	r = session_finish_open(s, &stage);
	if (r == -EINPROGRESS)
		return 0; /* it tells the names in the workspace */
	s->on_keeper = sd_event_source_disable_unref(s->on_keeper);
	if (r == 0) {
		attach(s->host, s);
		r = sd_event_add_io(s->loop, &s->on_keeper, s->keeper, 0, on_keeper_gone, s);
	}
	if (r >= 0 && !host_is_enough(s->host, s, &why))
		r = -EPERM;
	if (r < 0 && why.len == 0)
		session_explain_open(stage, r, &why);
	opened(s, r < 0 ? r : 0, why.at ? why.at : "");
	return 0;
}

static int open_session(struct session *s, bool is_new, uid_t requester, host_opened_fn fn,
			void *context, struct text *why)
{
	struct opening *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	*o = (struct opening){ fn, context, is_new };
	s->opening = o;
	s->is_hidden = is_new;
	r = session_ask_open(s, requester, !is_new, why);
	if (r == 0)
		r = sd_event_add_io(s->loop, &s->on_keeper, s->keeper, EPOLLIN, on_keeper, s);
	if (r < 0) {
		(void)session_close(s);
		free(o);
		s->opening = NULL;
		return r;
	}
	return 0;
}

/* --- create -------------------------------------------------------------- */

static int choose_policy(struct host *h, const struct host_plan *plan, struct session *s,
			 struct text *why)
{
	const char *name = plan->policy ? plan->policy : "default";
	int r;

	s->policy = calloc(1, sizeof(*s->policy));
	if (!s->policy)
		return -ENOMEM;
	s->owns_policy = true;
	/* what is built in may be looser than what the owner made the default */
	if (!plan->is_operator && strcmp(name, "default") != 0 &&
	    !policy_set_has(&h->policies, name)) {
		text_add(why, "an agent may name a policy that this supervisor was started with "
			      "(--policy NAME=FILE), and \"");
		text_add_safe(why, name, strlen(name));
		text_add(why, "\" is none");
		return -EPERM;
	}
	r = plan->inline_policy ? policy_read_json(s->policy, plan->inline_policy, "policy_json",
						   &h->policies, why)
				: policy_read_named(s->policy, name, &h->policies, why);
	if (r < 0)
		return -EINVAL;
	if (r == 0 && plan->limits)
		r = policy_read_limits(s->policy, plan->limits, !plan->is_operator, why);
	s->policy->as_root |= plan->as_root;
	return r;
}

static int fill(struct host *h, const struct host_plan *plan, struct session *s, struct text *why)
{
	int r;

	if (!path_is_plain(plan->workspace) || strcmp(plan->workspace, "/") == 0) {
		text_add(why, "\"workspace\" is an absolute path without \"..\" or a slash at its "
			      "end, and not \"/\"");
		return -EINVAL;
	}
	if (plan->at && !path_is_plain(plan->at)) {
		text_add(why, "\"at\" is an absolute path without \"..\", like /workspace");
		return -EINVAL;
	}
	r = choose_policy(h, plan, s, why);
	if (r == 0)
		r = policy_tighten_by(s->policy, plan->workspace, &s->workspace_policy, why);
	if (r < 0)
		return r;
	s->owner = plan->owner;
	s->workspace = strdup(plan->workspace);
	s->at = strdup(plan->at ? plan->at : plan->workspace);
	if (plan->labels)
		s->labels = cJSON_PrintUnformatted(plan->labels);
	return s->workspace && s->at && (s->labels || !plan->labels) ? session_make_id(s->id)
								     : -ENOMEM;
}

int host_create(struct host *h, const struct host_plan *plan, host_opened_fn fn, void *context,
		struct text *why)
{
	struct session *s = new_session(h);
	int r = s ? fill(h, plan, s, why) : -ENOMEM;

	if (r == 0) {
		r = host_add(h, s);
		if (r == -EUSERS)
			text_printf(why, "%d sessions are open or kept here; close some",
				    HOST_SESSIONS);
	}
	if (r < 0) {
		if (s)
			session_done(s);
		free(s);
		return r;
	}
	/* an operator may open anybody's directory */
	r = open_session(s, true, plan->is_operator ? 0 : plan->owner, fn, context, why);
	if (r < 0) {
		if (why->len == 0)
			session_explain_open(SB_STAGE_REQUEST, r, why);
		forget(h, s);
	}
	return r;
}

void host_restore(struct host *h, const char *id, int dir)
{
	uint32_t running[SESSION_CALLS];
	struct session *s = new_session(h);
	uint32_t count = 0;
	unsigned int what;

	if (!s) {
		fd_done(&dir);
		return;
	}
	(void)snprintf(s->id, sizeof(s->id), "%s", id);
	s->dir = dir;
	s->next_call = 0;
	if (session_restore(s, running, ARRAY_SIZE(running), &count) < 0 || host_add(h, s) < 0) {
		session_done(s);
		free(s);
		return;
	}
	if (session_open_log(s) == 0)
		stream_resume(s->stream);
	/* a commit that was killed is finished, or undone, before anything else */
	(void)commit_recover(h->warden, s->id, &what);
	/* it may have been made, and not been written down here; before the session is opened,
	 * which wants the same lock */
	if (s->stack.next > 0)
		changes_drop_layers(h->warden, s->id, &s->stack.next, 1);
	if (s->state == SESSION_CLOSED && count == 0)
		return;
	for (uint32_t i = 0; i < count; i++)
		account_lost(s, running[i]);
	(void)session_save(s);
}

/* --- calls ---------------------------------------------------------------- */

void host_launch_waiting(struct session *s)
{
	/* a layer is free when the calls that ended have given it back */
	for (uint32_t i = 0; i < s->call_count; i++)
		call_retire(s->calls[i]);
	/* a launch may end the call at once, and shorten the list */
	for (uint32_t i = 0;
	     i < s->call_count && s->state == SESSION_OPEN && !s->is_paused && s->busy == 0;) {
		struct call *c = s->calls[i];

		if (call_may_launch(c))
			(void)call_launch(c);
		if (i < s->call_count && s->calls[i] == c)
			i++;
	}
}

static bool is_allowed(const struct session *s, const char *digest)
{
	for (uint32_t i = 0; i < s->allowed_count; i++)
		if (strcmp(s->allowed[i], digest) == 0)
			return true;
	return false;
}

static int take_call(struct session *s, struct call_request *request, struct call **ret,
		     struct text *why)
{
	int r;

	if (s->state == SESSION_CLOSED) {
		text_add(why, "the session is closed");
		return -EPROTO;
	}
	if (s->call_count == SESSION_CALLS) {
		text_printf(why, "%d calls of this session run or wait; end some", SESSION_CALLS);
		return -EUSERS;
	}
	r = call_new(s, s->next_call, request, ret);
	if (r == 0) {
		s->next_call++;
		r = session_add_call(s, *ret);
	}
	return r;
}

int host_start_call(struct host *h, struct session *s, struct call_request *request,
		    struct call **ret, struct text *why)
{
	const struct policy_ask *ask;
	int r;

	ask = policy_find_ask(s->policy, request->tool, (const char *const *)request->argv);
	/* a kept session is opened by the first call that wants it */
	if (s->state == SESSION_KEPT && !s->opening) {
		r = open_session(s, false, 0, NULL, NULL, why);
		if (r < 0) {
			if (why->len == 0)
				session_explain_open(SB_STAGE_REQUEST, r, why);
			return r;
		}
	}
	r = take_call(s, request, ret, why);
	if (r < 0)
		return r;
	if (ask)
		r = call_hold(*ret, ask->argv      ? ask->argv
				    : ask->program ? ask->program
						   : ask->tool);
	if (ask && r == 0 && is_allowed(s, (*ret)->hold.command))
		r = host_approve(h, *ret, (*ret)->hold.digest, false, "an earlier approval");
	if (r < 0) {
		text_printf(why, "the call cannot be held: %s", strerror(-r));
		call_deny(*ret, "supervisor", why->at ? why->at : "");
		return r;
	}
	if (!ask)
		host_launch_waiting(s);
	return 0;
}

static int remember(struct session *s, const char *digest)
{
	char(*more)[65];

	if (s->allowed_count == SESSION_ALLOWED)
		return -ENOSPC;
	more = realloc(s->allowed, (s->allowed_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->allowed = more;
	memcpy(more[s->allowed_count++], digest, 65);
	return 0;
}

int host_approve(struct host *h, struct call *c, const char *digest, bool for_session,
		 const char *by)
{
	int r;

	(void)h;
	if (c->state != CALL_HELD)
		return -EPROTO;
	if (strcmp(digest, c->hold.digest) != 0)
		return -ESTALE;
	if (for_session) {
		r = remember(c->session, c->hold.command);
		if (r < 0)
			return r;
	}
	r = call_release(c, by, for_session);
	if (r == 0)
		host_launch_waiting(c->session);
	return r;
}

int host_deny(struct host *h, struct call *c, const char *by, const char *reason)
{
	(void)h;
	if (c->state != CALL_HELD)
		return -EPROTO;
	call_deny(c, by, reason);
	return 0;
}

/* --- files ----------------------------------------------------------------- */

static void remove_work(struct job *j)
{
	struct host_files *f = (struct host_files *)j;
	unsigned int what;

	/* what a killed commit has left in the workspace is settled first: the journal
	 * goes with the session */
	f->error = commit_recover(f->warden, f->id, &what);
	if (f->error == 0 || f->error == -ESTALE)
		f->error = changes_remove_session(f->warden, f->id);
}

static void remove_then(struct host_files *f)
{
	struct session *s = f->session;

	if (s->on_gone)
		s->on_gone(f->error, s->gone_context);
	s->on_gone = NULL;
	/* what could not be removed stays, closed */
	s->is_gone = f->error == 0;
	s->is_going = false;
}

/* Closed for good, and nobody works on it any more. */
static void go(struct session *s)
{
	struct host_files *f = calloc(1, sizeof(*f));

	if (f && host_files_start(s->host, s, f, true, remove_work, remove_then) == 0)
		return;
	free(f);
	if (s->on_gone)
		s->on_gone(-ENOMEM, s->gone_context);
	s->on_gone = NULL;
	s->is_going = false;
}

static void files_done(struct job *j)
{
	struct host_files *f = (struct host_files *)j;
	struct session *s = f->session;

	if (f->is_exclusive)
		s->busy--;
	s->users--;
	if (f->then)
		f->then(f);
	stack_done(&f->stack);
	free(f);
	if (s->is_gone && s->users == 0)
		forget(s->host, s);
	else if (s->is_going && s->users == 0 && s->call_count == 0)
		go(s);
	else {
		if (s->busy == 0 && s->host->server)
			server_unpark(s->host->server, s);
		host_launch_waiting(s);
	}
}

int host_files_start(struct host *h, struct session *s, struct host_files *f, bool is_exclusive,
		     void (*work)(struct job *j), void (*then)(struct host_files *f))
{
	int r = stack_copy(&f->stack, &s->stack);

	if (r < 0)
		return r;
	f->job = (struct job){ .work = work, .done = files_done, .key = s };
	f->host = h;
	f->session = s;
	memcpy(f->id, s->id, sizeof(f->id));
	f->dir = s->dir;
	f->warden = h->warden;
	f->policy = s->policy;
	f->is_exclusive = is_exclusive;
	f->then = then;
	s->busy += is_exclusive;
	s->users++;
	jobs_add(h->jobs, &f->job);
	return 0;
}

struct drop {
	struct host_files f;
	uint32_t numbers[SB_LAYERS_MAX];
	uint32_t count;
};

static void drop_work(struct job *j)
{
	struct drop *d = (struct drop *)j;

	changes_drop_layers(d->f.warden, d->f.id, d->numbers, d->count);
}

void host_drop_layers(struct host *h, struct session *s, const uint32_t *numbers, uint32_t count)
{
	struct drop *d = count > 0 ? calloc(1, sizeof(*d)) : NULL;

	if (!d)
		return; /* they take room, and nothing else */
	memcpy(d->numbers, numbers, count * sizeof(*numbers));
	d->count = count;
	if (host_files_start(h, s, &d->f, false, drop_work, NULL) < 0)
		free(d);
}

/* --- close ------------------------------------------------------------------ */

int host_close(struct host *h, struct session *s, const char *by)
{
	struct text *t;
	int r = 0;

	if (s->opening)
		return -EBUSY;
	for (uint32_t i = s->call_count; i > 0; i--)
		if (call_is_living(s->calls[i - 1]))
			(void)call_kill(s->calls[i - 1], by, "its session is closed", NULL, NULL);
	if (s->keeper >= 0) {
		r = session_close(s);
		detach(h);
	}
	s->monitor = NULL;
	if (s->state != SESSION_CLOSED) {
		(void)session_set_state(s, SESSION_CLOSED);
		t = session_begin(s, "session.closed");
		text_add(t, ",\"by\":");
		text_add_json(t, by, strlen(by));
		stream_end(s->stream);
		stream_flush(s->stream);
		(void)session_save(s);
	}
	return r;
}

void host_remove(struct host *h, struct session *s, void (*fn)(int error, void *context),
		 void *context)
{
	(void)h;
	s->on_gone = fn;
	s->gone_context = context;
	s->is_going = true;
	if (s->users == 0 && s->call_count == 0)
		go(s);
}

void host_done(struct host *h)
{
	jobs_free(h->jobs);
	h->jobs = NULL;
	while (h->count > 0) {
		struct session *s = h->sessions[h->count - 1];

		(void)session_save(s);
		(void)session_close(s);
		forget(h, s);
	}
	free(h->sessions);
	policy_set_done(&h->policies);
	monitor_free(h->monitor);
	notify_free(h->notify);
	differ_end(&h->differ);
	fd_done(&h->wake);
}
