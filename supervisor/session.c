// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/session.c - an agent's working context, as the supervisor sees it.
 *
 * It holds no privilege: it asks the warden for a keeper, and the keeper for
 * everything else. Opening is asked and answered in two steps, because other
 * work is done meanwhile.
 */
#include "supervisor/disk.h"
#include "supervisor/session.h"
#include "supervisor/shown.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/warden.h"
#include "supervisor/call.h"
#include "supervisor/leaf.h"
#include "supervisor/masks.h"
#include "supervisor/user.h"

const char *const session_state_names[] = {
	[SESSION_KEPT] = "kept",
	[SESSION_OPENING] = "opening",
	[SESSION_OPEN] = "open",
	[SESSION_CLOSED] = "closed",
};

#define TO(s) (1u << (s))
static const unsigned int moves[] = {
	[SESSION_KEPT] = TO(SESSION_OPENING) | TO(SESSION_CLOSED),
	[SESSION_OPENING] = TO(SESSION_OPEN) | TO(SESSION_KEPT) | TO(SESSION_CLOSED),
	[SESSION_OPEN] = TO(SESSION_KEPT) | TO(SESSION_CLOSED),
	[SESSION_CLOSED] = 0,
};

int session_set_state(struct session *s, enum session_state to)
{
	if (!(moves[s->state] & TO(to)))
		return -EPROTO;
	s->state = to;
	return 0;
}

int session_make_id(char ret[SB_ID_MAX])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char random[10];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	memset(ret, 0, SB_ID_MAX);
	ret[0] = 's';
	ret[1] = '-';
	for (size_t i = 0; i < sizeof(random); i++)
		ret[2 + i] = alphabet[random[i] % (sizeof(alphabet) - 1)];
	return 0;
}

void session_init(struct session *s)
{
	memset(s, 0, sizeof(*s));
	s->keeper = s->dir = s->cgroup = s->warden = -1;
	s->next_call = 1;
	s->next_leaf = 1;
	s->unwatched_why = "";
	s->workspace_policy = "none";
	s->created_ns = stream_now_real_ns();
}

static int send_open(struct session *s, struct sb_request *q, const int own[2])
{
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	r = warden_ask(s->warden, q, own, 2, &reply, fds, &count);
	if (r == 0)
		r = reply.error;
	if (r < 0)
		return r;
	if (count != 1)
		return -EBADMSG;
	s->keeper = fds[0];
	return session_set_state(s, SESSION_OPENING);
}

/* The filter of its calls: everybody's, or one of its own, which *ret_own then holds. */
static int choose_filter(struct session *s, int *ret_fd, int *ret_own, struct text *why)
{
	const struct profile *p;
	int r;

	if (profile_is_default(s->policy)) {
		r = profile_default(&p, ret_fd);
	} else {
		profile_free(s->profile);
		s->profile = NULL;
		r = profile_make(s->policy, &s->profile, why);
		if (r == 0)
			r = profile_compile(s->profile, ret_own);
		*ret_fd = *ret_own;
		p = s->profile;
	}
	asking_free(s->asking);
	s->asking = NULL;
	if (r == 0 && s->asks) {
		r = asking_make(*ret_fd, &s->asking);
		if (r == 0)
			*ret_fd = s->asking->fd;
	}
	if (r < 0) {
		if (why->len == 0)
			text_printf(why, "cannot compile the seccomp profile: %s", strerror(-r));
		return -EINVAL;
	}
	s->view = (struct explain_view){ .workspace = s->at, .policy = s->policy, .profile = p };
	return 0;
}

int session_ask_open(struct session *s, uid_t requester, bool is_known, struct text *why)
{
	struct sb_request q = {
		.abi = SB_ABI,
		.verb = SB_VERB_OPEN,
		.flags = (s->policy->as_root ? (uint32_t)SB_FLAG_ROOT : 0) |
			 (is_known ? (uint32_t)SB_FLAG_KNOWN : 0) |
			 (s->asks ? (uint32_t)SB_FLAG_NOTIFY : 0) |
			 (masks_are_needed(s->policy) ? (uint32_t)SB_FLAG_NAMES : 0),
		.requester = requester,
		.limits = s->policy->limits,
	};
	AUTO_FD own = -1;
	AUTO_FD shown = -1;
	int filter = -1;
	int r;

	if (user_is_single() && s->policy->lists[POLICY_OVERLAY].count > 0) {
		text_printf(why,
			    "%s: files.overlay needs root: its layers hold files of many users, "
			    "and without root there is one; take it out, or sudo glovebox ...",
			    s->policy->lists[POLICY_OVERLAY].at[0].from);
		return -EPERM;
	}
	if (strlen(s->at) >= sizeof(q.at) || strlen(s->workspace) >= sizeof(q.workspace))
		return -ENAMETOOLONG;
	memcpy(q.session, s->id, sizeof(q.session));
	memcpy(q.at, s->at, strlen(s->at));
	memcpy(q.workspace, s->workspace, strlen(s->workspace));
	/* one file alone is held by the kernel, at once; who needs larger ones with holes
	 * says so */
	if (q.limits.file_bytes == 0)
		q.limits.file_bytes = s->policy->disk_bytes;
	r = choose_filter(s, &filter, &own, why);
	/* without it no ring can be made, whatever the filter says */
	if (r == 0 && profile_allows_uring(s->view.profile))
		q.limits.mlock_bytes = SB_MLOCK_MAX;
	if (r == 0)
		r = shown_make(s->policy, &shown);
	return r < 0 ? r : send_open(s, &q, (const int[]){ filter, shown });
}

/* A keeper that does not answer by then is stuck; its session is given up, and
 * nobody else waits. */
#define KEEPER_SECONDS 10

/* Some names of the workspace, or the word that these were all. -EINPROGRESS. */
static int take_names(struct session *s, const struct sb_reply *reply, const int *fds,
		      unsigned int count)
{
	struct sb_request q = { .abi = SB_ABI, .verb = SB_VERB_MASK };
	AUTO_FD masks = -1;
	int r = s->masks ? 0 : masks_new(s->policy, &s->masks);

	if (r == 0 && reply->names == SB_NAMES_SOME)
		r = count == 1 ? masks_add(s->masks, fds[0]) : -EBADMSG;
	if (r < 0 || reply->names == SB_NAMES_SOME)
		return r < 0 ? r : -EINPROGRESS;
	memcpy(q.session, s->id, sizeof(q.session));
	r = masks_make(s->masks, &masks);
	if (r == 0)
		r = io_send(s->keeper, &q, sizeof(q), &masks, 1);
	return r < 0 ? r : -EINPROGRESS;
}

int session_finish_open(struct session *s, uint32_t *ret_stage)
{
	const struct timeval most = { .tv_sec = KEEPER_SECONDS };
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	*ret_stage = SB_STAGE_REQUEST;
	(void)setsockopt(s->keeper, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	r = io_recv(s->keeper, &reply, sizeof(reply), fds, &count);
	if (r <= 0)
		return r == 0 ? -EPIPE : r;
	*ret_stage = reply.stage;
	if (reply.error == 0 && reply.names) {
		r = take_names(s, &reply, fds, count);
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
		return r;
	}
	masks_free(s->masks);
	s->masks = NULL;
	if (reply.error < 0)
		return reply.error;
	if (count != 1 && count != 2)
		return -EBADMSG;
	fd_done(&s->dir);
	s->dir = fds[0];
	s->cgroup = count == 2 ? fds[1] : -1;
	s->has_groups = count == 2;
	s->in_force = reply.in_force;
	s->landlock_abi = reply.landlock_abi;
	s->range = reply.range;
	return session_set_state(s, SESSION_OPEN);
}

int session_open_log(struct session *s)
{
	struct stream_sink *log = &s->stream->sinks[STREAM_LOG];
	AUTO_FD dir = -1;
	struct stat st;

	if (log->fd >= 0)
		return 0;
	if (mkdirat(s->dir, "events", 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = openat(s->dir, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return -errno;
	log->fd =
		openat(dir, "1.jsonl", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log->fd < 0 || fstat(log->fd, &st) < 0)
		return -errno;
	log->reserve = fcntl(s->dir, F_DUPFD_CLOEXEC, 3);
	s->stream->log_bytes = (uint64_t)st.st_size;
	return 0;
}

int session_ask(struct session *s, struct sb_request *q, const int *fds, unsigned int count,
		struct sb_reply *ret, int *ret_fds, unsigned int *ret_count)
{
	int r;

	if (s->keeper < 0)
		return -ENOTCONN;
	q->abi = SB_ABI;
	memcpy(q->session, s->id, sizeof(q->session));
	memset(ret, 0, sizeof(*ret));
	r = warden_ask(s->keeper, q, fds, count, ret, ret_fds, ret_count);
	/* without its answer nothing is known of it: at end of file it kills all, and the
	 * loop hears the end, too */
	if (r < 0)
		(void)shutdown(s->keeper, SHUT_RDWR);
	return r < 0 ? r : ret->error;
}

/* --- layers ------------------------------------------------------------- */

int session_take_layer(struct session *s, struct call *c, struct sb_request *q)
{
	uint32_t next = s->stack.next;
	int r;

	if (s->layer_users == 0) {
		if (s->spare_layer > 0)
			s->stack.next = s->spare_layer;
		r = stack_push(&s->stack);
		if (s->spare_layer > 0)
			s->stack.next = next;
		if (r < 0)
			return r;
		s->spare_layer = 0;
		q->flags |= SB_FLAG_FRESH;
	}
	r = stack_add_call(&s->stack, c->number);
	if (r < 0)
		return r;
	c->layer = s->stack.at[s->stack.count - 1].number;
	for (uint32_t i = 0; s->layer_users > 0 && i < s->call_count; i++)
		if (s->calls[i]->layer == c->layer)
			s->calls[i]->shares_layer = c->shares_layer = true;
	s->layer_users++;
	stack_numbers(&s->stack, q->layers);
	q->layer_count = s->stack.count;
	return 0;
}

void session_release_layer(struct session *s, bool is_untouched)
{
	if (s->layer_users == 0 || --s->layer_users > 0 || !is_untouched || s->stack.count == 0)
		return;
	/* those calls changed nothing: the next takes the layer as it is */
	s->spare_layer = s->stack.at[s->stack.count - 1].number;
	stack_pop(&s->stack);
}

uint32_t session_abandon_layer(struct session *s)
{
	uint32_t number;

	if (s->layer_users == 0 || --s->layer_users > 0 || s->stack.count == 0)
		return 0;
	number = s->stack.at[s->stack.count - 1].number;
	stack_pop(&s->stack);
	return number;
}

struct changes_of session_changes(const struct session *s, uint32_t numbers[SB_LAYERS_MAX])
{
	stack_numbers(&s->stack, numbers);
	return (struct changes_of){
		.policy = s->policy,
		.warden = s->warden,
		.session = s->id,
		.layers = numbers,
		.count = s->stack.count,
	};
}

/* --- the end ------------------------------------------------------------ */

int session_close(struct session *s)
{
	struct sb_request q = { .verb = SB_VERB_CLOSE };
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r = 0;

	s->on_keeper = sd_event_source_disable_unref(s->on_keeper);
	leaf_spare_done(&s->leaf);
	if (s->keeper >= 0) {
		r = session_ask(s, &q, NULL, 0, &reply, fds, &count);
		fd_done(&s->keeper);
		q = (struct sb_request){ .abi = SB_ABI, .verb = SB_VERB_CLOSED };
		memcpy(q.session, s->id, sizeof(q.session));
		(void)warden_ask(s->warden, &q, NULL, 0, &reply, fds, &count);
	}
	return r;
}

/*
 * What is in force is what was done: a stage that fails ends the call, so a
 * call that ran had its namespaces, its root, its filter and its privileges
 * dropped. What a kernel may lack without a stage failing is counted here.
 */
const char *session_tier(const struct session *s, bool is_watched)
{
	const uint32_t limits = SB_FORCE_MEMORY | SB_FORCE_PIDS | SB_FORCE_CPU;
	bool full = is_watched && (s->in_force & limits) == limits && s->landlock_abi > 0;

	return user_is_single() ? "user" : full ? "full" : "partial";
}

/* Least first. */
static const char *const tiers[] = { "user", "partial", "full" };

static size_t rank(const char *tier)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(tiers) && strcmp(tiers[i], tier) != 0)
		i++;
	return i;
}

bool session_is_tier(const char *tier)
{
	return rank(tier) < ARRAY_SIZE(tiers);
}

bool session_tier_is_enough(const char *tier, const char *required)
{
	return !required || rank(tier) >= rank(required);
}

void session_add_protection(const struct session *s, bool is_watched, struct text *out)
{
	text_printf(out,
		    "{\"tier\":\"%s\",\"namespaces\":true,\"seccomp\":true,\"capabilities\":true",
		    session_tier(s, is_watched));
	text_printf(out, ",\"landlock_abi\":%u,\"watched\":%s,\"watched_by\":\"%s\"",
		    s->landlock_abi, is_watched ? "true" : "false",
		    is_watched ? "ebpf"
		    : s->asks  ? "notify"
			       : "nothing");
	text_printf(out, ",\"ids\":\"%s\",\"control\":\"%s\"",
		    user_is_single() ? "the user's own" : "a range of the session's own",
		    s->has_groups ? "cgroup" : "pid namespace");
	text_printf(
		out,
		",\"limits\":{\"memory\":%s,\"pids\":%s,\"cpu\":%s,\"by\":\"%s\",\"disk\":\"watched\",\"io\":\"none\"}",
		s->in_force & SB_FORCE_MEMORY ? "true" : "\"watched\"",
		s->in_force & SB_FORCE_PIDS ? "true" : "\"rlimit\"",
		s->in_force & SB_FORCE_CPU ? "true" : "false",
		s->in_force & SB_FORCE_V1   ? "cgroup v1"
		: s->in_force & SB_FORCE_V2 ? "cgroup v2"
					    : "rlimits and looking");
	if (!is_watched && s->unwatched_why[0]) {
		text_add(out, ",\"unwatched_because\":");
		text_add_json(out, s->unwatched_why, strlen(s->unwatched_why));
	}
	text_add(out, "}");
}

struct text *session_begin(struct session *s, const char *kind)
{
	return stream_begin(s->stream, kind, NULL, 0);
}

void session_explain_open(uint32_t stage, int e, struct text *why)
{
	const char *name = stage < SB_STAGE_COUNT ? sb_stage_names[stage] : "unknown";

	text_printf(why, "cannot start: stage \"%s\": %s", name, strerror(-e));
	if (e == -EOPNOTSUPP && stage == SB_STAGE_CGROUP)
		text_add(why, "; a cgroup v2 hierarchy must be mounted on /sys/fs/cgroup or "
			      "/sys/fs/cgroup/unified");
	else if (e == -EINVAL && stage == SB_STAGE_WORKSPACE)
		text_add(why, "; the workspace's file system cannot be id-mapped (ext4, xfs, btrfs "
			      "and, from Linux 6.3, tmpfs can)");
	else if (e == -EACCES && stage == SB_STAGE_WORKSPACE)
		text_add(why, "; the workspace must be owned by whoever asks for the session");
	else if (e == -ENOENT && stage == SB_STAGE_WORKSPACE)
		text_add(why, "; name a directory that exists, by its real path");
	else if (e == -EEXIST && stage == SB_STAGE_REQUEST)
		text_add(why, "; the workspace cannot stand where the system does: show it "
			      "elsewhere with --at");
	else if (e == -EXDEV && stage == SB_STAGE_REQUEST)
		text_add(why, "; files.read or files.root names what no policy does that this "
			      "supervisor was started with");
	else if (e == -EPERM && stage == SB_STAGE_REQUEST)
		text_add(why, "; the workspace must lie in one of the roots this supervisor was "
			      "started with, and hold nothing of Glovebox's own");
	else if (e == -E2BIG && stage == SB_STAGE_WORKSPACE)
		text_printf(
			why,
			"; the patterns of files.hide match more than %u names of the workspace: hide "
			"the directories that they are in",
			SB_MASKS_MAX);
	else if (e == -EBUSY)
		text_add(why, "; another supervisor runs this session");
	else
		text_add(why, "; `glovebox doctor` tells what this machine can do");
}

struct call *session_find_call(const struct session *s, uint32_t number)
{
	for (uint32_t i = 0; i < s->call_count; i++)
		if (s->calls[i]->number == number)
			return s->calls[i];
	return NULL;
}

int session_add_call(struct session *s, struct call *c)
{
	if (s->call_count == SESSION_CALLS)
		return -EUSERS;
	s->calls[s->call_count++] = c;
	return 0;
}

void session_drop_call(struct session *s, struct call *c)
{
	for (uint32_t i = 0; i < s->call_count; i++)
		if (s->calls[i] == c) {
			memmove(&s->calls[i], &s->calls[i + 1],
				(s->call_count - i - 1) * sizeof(s->calls[0]));
			s->call_count--;
			return;
		}
}

void session_forget_files(struct session *s)
{
	if (s->monitor)
		monitor_forget_files(s->monitor, &s->influence);
	else
		influence_forget_files(&s->influence);
}

void session_done(struct session *s)
{
	s->on_keeper = sd_event_source_disable_unref(s->on_keeper);
	for (uint32_t i = 0; i < s->call_count; i++)
		call_free(s->calls[i]);
	s->call_count = 0;
	for (uint32_t i = 0; i < s->steer_count; i++) {
		free(s->steers[i].text);
		free(s->steers[i].by);
	}
	s->steer_count = 0;
	stack_done(&s->stack);
	disk_stop(s);
	leaf_spare_done(&s->leaf);
	fd_done(&s->keeper);
	fd_done(&s->dir);
	fd_done(&s->cgroup);
	if (s->is_given_up)
		return;
	influence_done(&s->influence);
	if (s->owns_policy && s->policy) {
		policy_done(s->policy);
		free(s->policy);
	}
	if (s->owns_stream && s->stream) {
		stream_done(s->stream);
		free(s->stream);
	}
	profile_free(s->profile);
	asking_free(s->asking);
	s->asking = NULL;
	masks_free(s->masks);
	s->masks = NULL;
	s->profile = NULL;
	s->policy = NULL;
	s->stream = NULL;
	free(s->workspace);
	free(s->at);
	free(s->labels);
	free(s->allowed);
	s->allowed = NULL;
	s->workspace = s->at = s->labels = NULL;
}
