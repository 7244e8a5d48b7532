// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/session.c - an agent's working context, as the supervisor sees it.
 *
 * It holds no privilege: it asks the warden for a keeper, and the keeper for
 * everything else. Opening is asked and answered in two steps, because loading
 * the BPF programs takes longer than building the session.
 */
#include "supervisor/session.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/warden.h"
#include "supervisor/call.h"

#define LAYER_FIRST 1

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

int session_ask_open(struct session *s, int filter)
{
	struct sb_request q = {
		.abi = SB_ABI,
		.verb = SB_VERB_OPEN,
		.layer = LAYER_FIRST,
		.flags = s->policy->as_root ? SB_FLAG_ROOT : 0,
		.limits = s->policy->limits,
	};
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	if (strlen(s->at) >= sizeof(q.at))
		return -ENAMETOOLONG;
	memcpy(q.session, s->id, sizeof(q.session));
	memcpy(q.at, s->at, strlen(s->at));
	r = warden_ask(s->warden, &q, &filter, 1, &reply, fds, &count);
	if (r == 0)
		r = reply.error;
	if (r < 0)
		return r;
	if (count != 1)
		return -EBADMSG;
	s->keeper = fds[0];
	return 0;
}

int session_finish_open(struct session *s, uint32_t *ret_stage)
{
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	*ret_stage = SB_STAGE_REQUEST;
	r = io_recv(s->keeper, &reply, sizeof(reply), fds, &count);
	if (r <= 0)
		return r == 0 ? -EPIPE : r;
	*ret_stage = reply.stage;
	if (reply.error < 0)
		return reply.error;
	if (count != 2)
		return -EBADMSG;
	s->dir = fds[0];
	s->cgroup = fds[1];
	s->in_force = reply.in_force;
	s->landlock_abi = reply.landlock_abi;
	s->range = reply.range;
	s->view = (struct explain_view){ .workspace = s->at, .read = policy_read };
	return 0;
}

int session_ask(struct session *s, struct sb_request *q, const int *fds, unsigned int count,
		struct sb_reply *ret, int *ret_fds, unsigned int *ret_count)
{
	int r;

	q->abi = SB_ABI;
	memcpy(q->session, s->id, sizeof(q->session));
	memset(ret, 0, sizeof(*ret));
	r = warden_ask(s->keeper, q, fds, count, ret, ret_fds, ret_count);
	return r < 0 ? r : ret->error;
}

int session_scan(struct session *s, struct changes *ret)
{
	return changes_read(s->warden, s->id, LAYER_FIRST, ret);
}

int session_close(struct session *s)
{
	struct sb_request q = { .verb = SB_VERB_CLOSE };
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r = 0;

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

	return full ? "full" : "partial";
}

void session_add_protection(const struct session *s, bool is_watched, struct text *out)
{
	text_printf(out,
		    "{\"tier\":\"%s\",\"namespaces\":true,\"seccomp\":true,\"capabilities\":true",
		    session_tier(s, is_watched));
	text_printf(out, ",\"landlock_abi\":%u,\"watched\":%s", s->landlock_abi,
		    is_watched ? "true" : "false");
	text_printf(out, ",\"limits\":{\"memory\":%s,\"pids\":%s,\"cpu\":%s,\"by\":\"%s\"}",
		    s->in_force & SB_FORCE_MEMORY ? "true" : "false",
		    s->in_force & SB_FORCE_PIDS ? "true" : "false",
		    s->in_force & SB_FORCE_CPU ? "true" : "false",
		    s->in_force & SB_FORCE_V1   ? "cgroup v1"
		    : s->in_force & SB_FORCE_V2 ? "cgroup v2"
						: "nothing");
	if (!is_watched && s->unwatched_why[0]) {
		text_add(out, ",\"unwatched_because\":");
		text_add_json(out, s->unwatched_why, strlen(s->unwatched_why));
	}
	text_add(out, "}");
}

void session_done(struct session *s)
{
	for (uint32_t i = 0; i < s->call_count; i++)
		call_free(s->calls[i]);
	s->call_count = 0;
	fd_done(&s->keeper);
	fd_done(&s->dir);
	fd_done(&s->cgroup);
}
