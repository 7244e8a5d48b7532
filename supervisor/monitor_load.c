// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/monitor_load.c - the BPF programs come into the kernel, and are attached.
 *
 * Loading needs privilege and happens before it is given up; which of two forms of a program
 * this kernel takes is found by loading it. Attaching is the warden's, which turns program
 * fds into link fds and does not know what they watch.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/warden.h"
#include "supervisor/explain.h"
#include "supervisor/monitor_inner.h"
#include "supervisor/profile.h"
#include "supervisor/syscalls.h"

static int say_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0; /* the errno is enough, and a verifier log is for developers */
}

static void watch_limits(struct monitor *m)
{
	for (const struct explain_limit_call *c = explain_limit_calls; c->name; c++) {
		int nr = profile_syscall_number(c->name);
		struct watch_limit *l = &m->bpf->bss->watch_limits[nr < 0 ? 0 : nr];

		if (nr >= 0 && nr < WATCH_SYSCALLS)
			*(l->error ? &l->error2 : &l->error) = (uint16_t)c->error;
	}
}

/* Which tracepoint this kernel has; what it gives is in its BTF, but for the oldest. */
static enum monitor_uring find_uring(void)
{
	struct utsname u;

	if (libbpf_find_vmlinux_btf_id("io_uring_submit_req", BPF_TRACE_RAW_TP) > 0)
		return URING_REQ;
	if (uname(&u) == 0 && strtol(u.release, NULL, 10) >= 6 &&
	    libbpf_find_vmlinux_btf_id("io_uring_submit_sqe", BPF_TRACE_RAW_TP) > 0)
		return URING_SQE;
	return URING_NONE;
}

/* How many arguments the tracepoint of an answer has: the ring, the request and the answer, or
 * the answer's members. Read only where rings are allowed: it takes a hundredth of a second. */
static bool uring_answers_whole(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *t = NULL;
	bool is_whole = false;
	int id = btf ? btf__find_by_name_kind(btf, "btf_trace_io_uring_complete", BTF_KIND_TYPEDEF)
		     : -1;

	if (id > 0)
		t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type);
	if (t && btf_is_ptr(t))
		t = btf__type_by_id(btf, t->type);
	if (t && btf_is_func_proto(t))
		is_whole = btf_vlen(t) == 4; /* and what the attached one was given */
	btf__free(btf);
	return is_whole;
}

static int load_programs(struct monitor *m, bool with_casts)
{
	watch_bpf__destroy(m->bpf);
	m->bpf = watch_bpf__open();
	if (!m->bpf)
		return -errno;
	m->bpf->rodata->watch_casts = with_casts;
	(void)bpf_program__set_autoload(m->bpf->progs.on_sys_enter, m->enters);
	(void)bpf_program__set_autoload(m->bpf->progs.on_uring, m->uring == URING_REQ);
	(void)bpf_program__set_autoload(m->bpf->progs.on_uring_old, m->uring == URING_SQE);
	(void)bpf_program__set_autoload(m->bpf->progs.on_uring_done,
					m->uring != URING_NONE && m->uring_answers_whole);
	(void)bpf_program__set_autoload(m->bpf->progs.on_uring_done_old,
					m->uring != URING_NONE && !m->uring_answers_whole);
	syscalls_fill((struct watch_shape *)m->bpf->rodata->watch_shapes);
	return watch_bpf__load(m->bpf);
}

/* NULL: it cannot be mapped. */
static void *map_array(const struct bpf_map *map, size_t size, bool writes)
{
	void *at = mmap(NULL, size, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED,
			bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static int map_all(struct monitor *m)
{
	int r;

	m->stats = map_array(m->bpf->maps.watch_stats, WATCH_SLOTS * sizeof(*m->stats), false);
	m->processes = map_array(m->bpf->maps.watch_processes,
				 WATCH_PROCESSES * sizeof(*m->processes), true);
	m->bursts = map_array(m->bpf->maps.watch_bursts, WATCH_BURSTS * sizeof(*m->bursts), false);
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->reached = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!m->stats || !m->processes || !m->bursts || m->wake < 0 || m->reached < 0)
		return errno ? -errno : -ENOMEM;
	r = ring_open(&m->ring, bpf_map__fd(m->bpf->maps.watch_ring),
		      bpf_map__max_entries(m->bpf->maps.watch_ring));
	return r < 0 ? r : burst_init(m);
}

int monitor_load(struct monitor **ret, unsigned int wants, char *why, size_t size)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(m->links); i++)
		m->links[i] = -1;
	m->wake = m->reached = -1;
	m->enters = wants & MONITOR_COMPARES;
	m->uring = wants & MONITOR_URING ? find_uring() : URING_NONE;
	m->uring_answers_whole = m->uring != URING_NONE && uring_answers_whole();
	(void)pthread_mutex_init(&m->lock, NULL);
	(void)libbpf_set_print(say_libbpf);
	/* what the kernel takes is found by loading it: its version proves nothing */
	r = load_programs(m, true);
	if (r < 0)
		r = load_programs(m, false);
	if (r < 0) {
		(void)snprintf(why, size, "the kernel refused the BPF programs: %s", strerror(-r));
		monitor_free(m);
		return r;
	}
	watch_limits(m);
	r = map_all(m);
	if (r < 0) {
		(void)snprintf(why, size, "the BPF maps cannot be mapped: %s", strerror(-r));
		monitor_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

/* Has the warden turn a program into a link. */
static int attach_one(int warden, const struct bpf_program *prog, uint32_t type, int cgroup,
		      int *ret_link)
{
	struct sb_request q = { .abi = SB_ABI, .verb = SB_VERB_ATTACH, .attach_type = type };
	int fds[2] = { bpf_program__fd(prog), cgroup };
	int got[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_reply reply;
	int r;

	r = warden_ask(warden, &q, fds, type ? 2 : 1, &reply, got, &count);
	if (r == 0)
		r = reply.error;
	if (r == 0 && count != 1)
		r = -EBADMSG;
	if (r == 0)
		*ret_link = got[0];
	return r;
}

int monitor_attach(struct monitor *m, int warden, int cgroup)
{
	const struct {
		struct bpf_program *prog;
		uint32_t type;
	} all[] = {
		{ m->bpf->progs.on_sys_exit, 0 },
		{ m->bpf->progs.on_fork, 0 },
		{ m->bpf->progs.on_exec, 0 },
		{ m->bpf->progs.on_exit, 0 },
		{ m->bpf->progs.on_connect4, BPF_CGROUP_INET4_CONNECT },
		{ m->bpf->progs.on_connect6, BPF_CGROUP_INET6_CONNECT },
		{ m->bpf->progs.on_bind4, BPF_CGROUP_INET4_BIND },
		{ m->bpf->progs.on_bind6, BPF_CGROUP_INET6_BIND },
		{ m->bpf->progs.on_sendmsg4, BPF_CGROUP_UDP4_SENDMSG },
		{ m->bpf->progs.on_sendmsg6, BPF_CGROUP_UDP6_SENDMSG },
	};

	_Static_assert(ARRAY_SIZE(all) + 3 <= ARRAY_SIZE(m->links), "a link for each, and three");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int r = attach_one(warden, all[i].prog, all[i].type, cgroup, &m->links[i]);

		if (r < 0) {
			monitor_detach(m);
			return r;
		}
	}
	return 0;
}

int monitor_uring(struct monitor *m, int warden)
{
	int *links = &m->links[MONITOR_LINKS - 3];
	int r;

	if (m->uring == URING_NONE)
		return -EOPNOTSUPP;
	if (links[0] >= 0)
		return 0;
	/* the answers first: none of them is missed */
	r = attach_one(warden,
		       m->uring_answers_whole ? m->bpf->progs.on_uring_done
					      : m->bpf->progs.on_uring_done_old,
		       0, -1, &links[1]);
	if (r == 0)
		r = attach_one(warden,
			       m->uring == URING_REQ ? m->bpf->progs.on_uring
						     : m->bpf->progs.on_uring_old,
			       0, -1, &links[0]);
	if (r < 0)
		fd_done(&links[1]);
	return r;
}

int monitor_compare(struct monitor *m, int warden)
{
	int *link = &m->links[MONITOR_LINKS - 1];
	int r;

	if (!m->enters)
		return -EOPNOTSUPP;
	r = *link >= 0 ? 0 : attach_one(warden, m->bpf->progs.on_sys_enter, 0, -1, link);
	if (r == 0)
		m->bpf->bss->watch_enters = 1;
	return r;
}

void monitor_detach(struct monitor *m)
{
	m->bpf->bss->watch_enters = 0;
	for (size_t i = 0; i < ARRAY_SIZE(m->links); i++)
		fd_done(&m->links[i]);
}
