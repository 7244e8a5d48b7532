// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/leaf.c - the control group of one call, by the fds it was given.
 *
 * Where no groups can be made the pid namespace is in its place: the death of init is the
 * death of all, and a stop of all comes nearest to a freeze.
 *
 * The fds were opened by the keeper, with its privileges; writing cgroup.freeze
 * and cgroup.kill through them needs none, so neither waits for anybody.
 */
#include "supervisor/leaf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/host.h"
#include "supervisor/pids.h"
#include "supervisor/session.h"

/* A frozen or an empty cgroup is seen within this by reading in a circle: most
 * are, and poll(2) on cgroup.events is rate limited to 10 ms (SPAWN.md 4). */
#define SPIN_NS (300u * 1000)

static int ask(struct session *s, struct leaf_spare *ret)
{
	struct sb_request q = { .verb = SB_VERB_LEAF, .call = s->next_leaf };
	int fds[IO_FDS_MAX];
	unsigned int count = 0, next = 0;
	struct sb_reply reply;
	int r;

	r = session_ask(s, &q, NULL, 0, &reply, fds, &count);
	if (r < 0)
		return r;
	*ret = (struct leaf_spare){
		.number = s->next_leaf++,
		.cgroup_id = reply.cgroup_id,
		.in_force = reply.in_force,
	};
	for (int i = 0; i < SB_LEAF_FD_COUNT; i++)
		ret->fds[i] = (reply.leaf_fds & (1u << i)) && next < count ? fds[next++] : -1;
	return 0;
}

int leaf_ask(struct call *c)
{
	struct session *s = c->session;
	int r = s->leaf.number > 0 ? 0 : ask(s, &s->leaf);

	if (r < 0) {
		c->failed = (struct sb_failure){ SB_STAGE_LEAF, r };
		return r;
	}
	memcpy(c->leaf, s->leaf.fds, sizeof(c->leaf));
	c->leaf_number = s->leaf.number;
	c->cgroup_id = s->leaf.cgroup_id;
	c->in_force = s->leaf.in_force;
	s->leaf.number = 0;
	return 0;
}

void leaf_prepare(struct session *s)
{
	/* the call asks again, and is told why, when this fails */
	if (s->leaf.number == 0 && s->keeper >= 0)
		(void)ask(s, &s->leaf);
}

void leaf_spare_done(struct leaf_spare *l)
{
	for (int i = 0; i < SB_LEAF_FD_COUNT && l->number > 0; i++)
		fd_done(&l->fds[i]);
	l->number = 0;
}

int leaf_clone(struct call *c, int init, int block, const int *stdio)
{
	struct sb_request q = {
		.verb = SB_VERB_START,
		.call = c->leaf_number,
		.flags = c->is_tty ? SB_FLAG_TTY : 0,
		.rows = c->request.rows,
		.columns = c->request.columns,
	};
	int fds[5] = { init, block };
	int got[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	if (!c->is_tty)
		memcpy(fds + 2, stdio, 3 * sizeof(int));
	c->started_ns = io_now_ns();
	c->started_real_ns = stream_now_real_ns();
	r = session_take_layer(c->session, c, &q);
	if (r < 0) {
		c->failed = (struct sb_failure){ SB_STAGE_LAYER, r };
		return r;
	}
	r = session_ask(c->session, &q, fds, c->is_tty ? 2 : 5, &reply, got, &count);
	if (r < 0) {
		c->failed = (struct sb_failure){ reply.stage, r };
		return r;
	}
	if (count != (leaf_has_group(c) ? 1u : 2u)) {
		for (unsigned int i = 0; i < count; i++)
			fd_done(&got[i]);
		return -EBADMSG;
	}
	c->failure = got[0];
	c->pidfd = count == 2 ? got[1] : -1;
	c->init_pid = reply.pid;
	(void)fcntl(c->failure, F_SETFL, O_NONBLOCK);
	return 0;
}

static bool retire(struct call *c)
{
	struct sb_request q = { .verb = SB_VERB_RETIRE, .call = c->leaf_number };
	struct sb_reply reply;
	int fds[IO_FDS_MAX];
	unsigned int count = 0;

	/* a leaf that cannot be removed is reported by the close of the session */
	return session_ask(c->session, &q, NULL, 0, &reply, fds, &count) == 0 && reply.is_untouched;
}

void leaf_retire(struct call *c)
{
	session_release_layer(c->session, retire(c));
	leaf_prepare(c->session);
}

void leaf_give_up(struct call *c)
{
	uint32_t gone = c->layer > 0 ? session_abandon_layer(c->session) : 0;

	if (c->leaf_number != 0)
		(void)retire(c);
	if (gone > 0 && c->session->host)
		host_drop_layers(c->session->host, c->session, &gone, 1);
	leaf_done(c);
}

void leaf_done(struct call *c)
{
	c->brake.fd = -1;
	for (int i = 0; i < SB_LEAF_FD_COUNT; i++)
		fd_done(&c->leaf[i]);
	fd_done(&c->proc);
	fd_done(&c->pidfd);
}

bool leaf_has_group(const struct call *c)
{
	return c->leaf[SB_LEAF_KILL] >= 0;
}

/* --- where there is a control group ------------------------------------------- */

static bool says(const struct call *c, enum sb_leaf_fd which, const char *what)
{
	char text[256];
	ssize_t n = pread(c->leaf[which], text, sizeof(text) - 1, 0);

	if (n < 0)
		return true; /* the directory is gone: nothing is in it */
	text[n] = '\0';
	return strstr(text, what) != NULL;
}

static int write_file(const struct call *c, enum sb_leaf_fd which, const char *text)
{
	ssize_t n = pwrite(c->leaf[which], text, strlen(text), 0);

	return n < 0 ? -errno : 0;
}

uint64_t leaf_number(const struct call *c, enum sb_leaf_fd which, const char *key)
{
	char text[1024];
	const char *at;
	ssize_t n;

	if (c->leaf[which] < 0)
		return 0;
	n = pread(c->leaf[which], text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static uint32_t group_processes(const struct call *c)
{
	char text[65536];
	uint32_t lines = 0;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(c->leaf[SB_LEAF_PROCS], text, sizeof(text), at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
		at += n;
	}
	return lines > 0 ? lines - 1 : 0;
}

/* --- where there is none: the pid namespace, by init and by its /proc ------------ */

static int tell_init(const struct call *c, uint32_t kind)
{
	struct sb_init_message m = { .kind = kind };
	int r = c->init < 0 ? -ESRCH : io_send(c->init, &m, sizeof(m), NULL, 0);

	/* it is dead, and so are the others */
	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

static bool init_is_dead(const struct call *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static struct pids_look look(const struct call *c)
{
	struct pids_look l = { 0 };

	if (c->proc >= 0)
		(void)pids_look(c->proc, &l);
	return l;
}

static int ask_kill(struct call *c)
{
	struct sb_request q = { .verb = SB_VERB_KILL, .call = c->leaf_number };
	struct sb_reply reply;
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	int r;

	r = session_ask(c->session, &q, NULL, 0, &reply, fds, &count);
	/* a keeper that is gone has taken its calls along: init dies with its parent; and init
	 * ends at the end of its socket, when nobody else can be asked */
	if (r < 0 && c->init >= 0)
		(void)shutdown(c->init, SHUT_RDWR);
	return 0;
}

/* --- both ------------------------------------------------------------------------ */

bool leaf_is_empty(const struct call *c)
{
	return leaf_has_group(c) ? says(c, SB_LEAF_EVENTS, "populated 0") : init_is_dead(c);
}

bool leaf_is_frozen(const struct call *c)
{
	struct pids_look l;

	if (leaf_has_group(c))
		return says(c, SB_LEAF_EVENTS, "frozen 1");
	return c->proc >= 0 && pids_look(c->proc, &l) == 0 && l.running == 0;
}

int leaf_freeze(struct call *c, bool freeze)
{
	if (c->brake.fd >= 0)
		return brake_pause(&c->brake, freeze);
	if (leaf_has_group(c))
		return write_file(c, SB_LEAF_FREEZE, freeze ? "1" : "0");
	return tell_init(c, freeze ? SB_INIT_STOP : SB_INIT_RESUME);
}

int leaf_kill(struct call *c)
{
	return leaf_has_group(c) ? write_file(c, SB_LEAF_KILL, "1") : ask_kill(c);
}

uint32_t leaf_processes(const struct call *c)
{
	return leaf_has_group(c) ? group_processes(c) : look(c).processes;
}

uint64_t leaf_cpu_ns(const struct call *c)
{
	uint64_t tool = (c->usage.utime_us + c->usage.stime_us) * 1000u;
	uint64_t all;

	if (leaf_has_group(c))
		return leaf_number(c, SB_LEAF_CPU, "usage_usec ") * 1000u;
	all = look(c).cpu_ns;
	return all > tool ? all : tool;
}

uint64_t leaf_memory_bytes(const struct call *c)
{
	char pids[65536];
	uint64_t sum = 0;
	ssize_t n;

	if (c->proc >= 0)
		return look(c).memory_bytes;
	n = pread(c->leaf[SB_LEAF_PROCS], pids, sizeof(pids) - 1, 0);
	pids[n > 0 ? n : 0] = '\0';
	for (char *at = pids; *at; at += strcspn(at, "\n"), at += *at == '\n')
		sum += pids_memory(strtoul(at, NULL, 10));
	return sum;
}

bool leaf_spin_until(const struct call *c, bool (*is)(const struct call *c))
{
	uint64_t until = io_now_ns() + SPIN_NS;

	do
		if (is(c))
			return true;
	while (io_now_ns() < until);
	return false;
}
