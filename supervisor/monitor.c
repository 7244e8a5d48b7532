// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/monitor.c - the BPF programs, and the thread that drains their ring.
 *
 * Loading needs privilege and happens before it is given up. Attaching is the
 * warden's: it turns program fds into link fds. After that only map fds are
 * used, which any process may that was handed them.
 *
 * What it guarantees
 *	For each call: delivered + lost == the kernel's own counter. A loss is
 *	told in the stream as soon as the ring has room again, with the range of
 *	kernel numbers it lies in.
 *
 * Order that matters: the slot is in the map before the call is cloned; the
 * ring is drained after the cgroup is empty and before the slot is given back.
 */
#include "supervisor/monitor.h"
#include "supervisor/explain.h"
#include "supervisor/profile.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "build/bpf/watch.skel.h"
#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/warden.h"
#include "supervisor/syscalls.h"

/* The reader wakes by itself this often; the programs wake it for what is
 * urgent (exec, exit, denials) or when 64 KiB wait. */
#define TURN_MS 20

struct watched {
	bool is_used;
	uint64_t generation;
	uint64_t cgroup_id;
	struct decode_target to;
	uint64_t delivered;
	uint64_t told_lost;
	uint64_t last_seq;
	bool saw_exec;
};

struct monitor {
	struct watch_bpf *bpf;
	struct ring_buffer *ring;
	struct watch_stats *stats; /* mapped: WATCH_SLOTS of them */
	int links[7];
	uint64_t generation;
	pthread_mutex_t lock; /* slots, and the two counters below */
	pthread_cond_t drained;
	uint64_t drains_wanted, drains_done;
	struct watched slots[WATCH_SLOTS];
	int wake;
	pthread_t thread;
	bool is_running;
	bool stop;
};

static int on_record(void *context, void *data, size_t size)
{
	struct monitor *m = context;
	const struct event *e = data;
	struct watched *w;

	if (!decode_is_sound(data, size))
		return 0;
	w = &m->slots[e->slot];
	if (!w->is_used || w->generation != e->generation)
		return 0;
	w->delivered++;
	if (e->seq > w->last_seq)
		w->last_seq = e->seq;
	if (e->kind == EVENT_EXEC)
		w->saw_exec = true;
	decode_event(e, &w->to);
	return 0;
}

static uint64_t dropped(const struct monitor *m, uint32_t slot)
{
	uint64_t sum = 0;

	for (int i = 0; i < EVENT_CLASS_COUNT; i++)
		sum += __atomic_load_n(&m->stats[slot].dropped[i], __ATOMIC_ACQUIRE);
	return sum;
}

static void tell_losses(struct monitor *m)
{
	for (uint32_t i = 0; i < WATCH_SLOTS; i++) {
		struct watched *w = &m->slots[i];
		struct text *t, *h;
		uint64_t now;

		if (!w->is_used)
			continue;
		now = dropped(m, i);
		if (now == w->told_lost)
			continue;
		t = stream_begin(w->to.stream, "lost", &w->to.call, 0);
		text_printf(
			t,
			",\"count\":%llu,\"total\":%llu,\"before_kernel_seq\":%llu,"
			"\"why\":\"ring full\"",
			(unsigned long long)(now - w->told_lost), (unsigned long long)now,
			(unsigned long long)__atomic_load_n(&m->stats[i].seq, __ATOMIC_ACQUIRE));
		h = stream_human(w->to.stream, STREAM_ALL);
		if (h)
			text_printf(h, "glovebox: lost          %llu events: ring full\n",
				    (unsigned long long)(now - w->told_lost));
		stream_end(w->to.stream);
		w->told_lost = now;
	}
}

static void flush_streams(struct monitor *m)
{
	for (uint32_t i = 0; i < WATCH_SLOTS; i++)
		if (m->slots[i].is_used)
			stream_flush(m->slots[i].to.stream);
}

static void *drain_loop(void *context)
{
	struct monitor *m = context;
	struct pollfd p[] = {
		{ .fd = ring_buffer__epoll_fd(m->ring), .events = POLLIN },
		{ .fd = m->wake, .events = POLLIN },
	};

	(void)pthread_mutex_lock(&m->lock);
	while (!m->stop) {
		uint64_t wanted;

		(void)pthread_mutex_unlock(&m->lock);
		(void)poll(p, ARRAY_SIZE(p), TURN_MS);
		if (p[1].revents) {
			uint64_t n;

			(void)!read(m->wake, &n, sizeof(n));
		}
		(void)pthread_mutex_lock(&m->lock);
		/* read before the ring: what was wanted by now is in it */
		wanted = m->drains_wanted;
		(void)ring_buffer__consume(m->ring);
		tell_losses(m);
		flush_streams(m);
		if (wanted != m->drains_done) {
			m->drains_done = wanted;
			(void)pthread_cond_broadcast(&m->drained);
		}
	}
	(void)pthread_mutex_unlock(&m->lock);
	return NULL;
}

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

static int load_programs(struct monitor *m, bool with_casts)
{
	watch_bpf__destroy(m->bpf);
	m->bpf = watch_bpf__open();
	if (!m->bpf)
		return -errno;
	m->bpf->rodata->watch_casts = with_casts;
	syscalls_fill((struct watch_shape *)m->bpf->rodata->watch_shapes);
	return watch_bpf__load(m->bpf);
}

int monitor_load(struct monitor **ret, char *why, size_t size)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(m->links); i++)
		m->links[i] = -1;
	m->wake = -1;
	(void)pthread_mutex_init(&m->lock, NULL);
	(void)pthread_cond_init(&m->drained, NULL);
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
	m->stats = mmap(NULL, WATCH_SLOTS * sizeof(*m->stats), PROT_READ, MAP_SHARED,
			bpf_map__fd(m->bpf->maps.watch_stats), 0);
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->ring = ring_buffer__new(bpf_map__fd(m->bpf->maps.watch_ring), on_record, m, NULL);
	if (m->stats == MAP_FAILED || m->wake < 0 || !m->ring) {
		r = errno ? -errno : -ENOMEM;
		m->stats = m->stats == MAP_FAILED ? NULL : m->stats;
		(void)snprintf(why, size, "the BPF maps cannot be mapped: %s", strerror(-r));
		monitor_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int monitor_attach(struct monitor *m, int warden, int cgroup)
{
	const struct {
		struct bpf_program *prog;
		uint32_t type;
	} all[] = {
		{ m->bpf->progs.on_sys_exit, 0 },
		{ m->bpf->progs.on_exec, 0 },
		{ m->bpf->progs.on_exit, 0 },
		{ m->bpf->progs.on_connect4, BPF_CGROUP_INET4_CONNECT },
		{ m->bpf->progs.on_connect6, BPF_CGROUP_INET6_CONNECT },
		{ m->bpf->progs.on_bind4, BPF_CGROUP_INET4_BIND },
		{ m->bpf->progs.on_bind6, BPF_CGROUP_INET6_BIND },
	};

	_Static_assert(ARRAY_SIZE(all) == ARRAY_SIZE(m->links), "a link for each program");
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct sb_request q = { .abi = SB_ABI,
					.verb = SB_VERB_ATTACH,
					.attach_type = all[i].type };
		int fds[2] = { bpf_program__fd(all[i].prog), cgroup };
		int got[IO_FDS_MAX];
		unsigned int count = 0;
		struct sb_reply reply;
		int r;

		r = warden_ask(warden, &q, fds, all[i].type ? 2 : 1, &reply, got, &count);
		if (r == 0)
			r = reply.error;
		if (r == 0 && count != 1)
			r = -EBADMSG;
		if (r < 0) {
			for (size_t j = 0; j < i; j++)
				fd_done(&m->links[j]);
			return r;
		}
		m->links[i] = got[0];
	}
	return 0;
}

void monitor_detach(struct monitor *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(m->links); i++)
		fd_done(&m->links[i]);
}

int monitor_start(struct monitor *m)
{
	int r = pthread_create(&m->thread, NULL, drain_loop, m);

	if (r != 0)
		return -r;
	m->is_running = true;
	return 0;
}

static void zero_counts(struct monitor *m, uint32_t slot)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	struct watch_counts *zero = calloc(cpus, sizeof(*zero));

	if (zero)
		(void)bpf_map_update_elem(bpf_map__fd(m->bpf->maps.watch_counts), &slot, zero,
					  BPF_ANY);
	free(zero);
}

/* Readers look at any moment: an id stands only over a call that is whole. */
static void near_clear(struct monitor *m, uint64_t cgroup_id)
{
	struct watch_near *n = &m->bpf->bss->watch_near[watch_near_index(cgroup_id)];

	if (n->id == cgroup_id)
		__atomic_store_n(&n->id, 0, __ATOMIC_SEQ_CST);
}

static void near_set(struct monitor *m, uint64_t cgroup_id, const struct watch_call *call)
{
	struct watch_near *n = &m->bpf->bss->watch_near[watch_near_index(cgroup_id)];

	near_clear(m, cgroup_id);
	if (n->id != 0)
		return;
	n->call = *call;
	__atomic_store_n(&n->id, cgroup_id, __ATOMIC_SEQ_CST);
}

int monitor_watch(struct monitor *m, uint64_t cgroup_id, const struct decode_target *to,
		  uint32_t *ret_slot)
{
	struct watch_stats none = { 0 };
	struct watch_call call = { 0 };
	uint32_t slot = 0;
	int r;

	(void)pthread_mutex_lock(&m->lock);
	while (slot < WATCH_SLOTS && m->slots[slot].is_used)
		slot++;
	if (slot == WATCH_SLOTS) {
		(void)pthread_mutex_unlock(&m->lock);
		return -EUSERS;
	}
	m->slots[slot] = (struct watched){
		.is_used = true,
		.generation = ++m->generation,
		.cgroup_id = cgroup_id,
		.to = *to,
	};
	call.generation = m->generation;
	call.slot = slot;
	(void)pthread_mutex_unlock(&m->lock);
	zero_counts(m, slot);
	r = bpf_map_update_elem(bpf_map__fd(m->bpf->maps.watch_stats), &slot, &none, BPF_ANY);
	if (r == 0)
		r = bpf_map_update_elem(bpf_map__fd(m->bpf->maps.watch_calls), &cgroup_id, &call,
					BPF_ANY);
	if (r < 0) {
		(void)pthread_mutex_lock(&m->lock);
		m->slots[slot].is_used = false;
		(void)pthread_mutex_unlock(&m->lock);
		return r;
	}
	*ret_slot = slot;
	return 0;
}

int monitor_set_init(struct monitor *m, uint32_t slot, uint32_t init_pid)
{
	struct watch_call call = {
		.generation = m->slots[slot].generation,
		.slot = slot,
		.init_pid = init_pid,
	};

	int r = bpf_map_update_elem(bpf_map__fd(m->bpf->maps.watch_calls),
				    &m->slots[slot].cgroup_id, &call, BPF_ANY);

	/* not before init is known: it is not the tool's */
	if (r == 0)
		near_set(m, m->slots[slot].cgroup_id, &call);
	return r;
}

void monitor_drain(struct monitor *m)
{
	uint64_t one = 1, mine;

	(void)pthread_mutex_lock(&m->lock);
	mine = ++m->drains_wanted;
	(void)!write(m->wake, &one, sizeof(one));
	while (m->drains_done < mine && m->is_running)
		(void)pthread_cond_wait(&m->drained, &m->lock);
	(void)pthread_mutex_unlock(&m->lock);
}

static void add_counts(struct monitor *m, uint32_t slot, uint64_t counts[WATCH_SYSCALLS])
{
	int cpus = libbpf_num_possible_cpus();
	struct watch_counts *all = calloc((size_t)cpus, sizeof(*all));

	if (all && bpf_map_lookup_elem(bpf_map__fd(m->bpf->maps.watch_counts), &slot, all) == 0)
		for (int cpu = 0; cpu < cpus; cpu++)
			for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
				counts[nr] += all[cpu].count[nr];
	free(all);
}

static void take_errors(struct monitor *m, uint32_t slot, struct monitor_totals *ret)
{
	int map = bpf_map__fd(m->bpf->maps.watch_errors);
	struct watch_error_key key, next;
	uint32_t room = 0;
	int r;

	r = bpf_map_get_next_key(map, NULL, &next);
	while (r == 0) {
		uint64_t n;

		key = next;
		r = bpf_map_get_next_key(map, &key, &next);
		if (key.slot != slot || bpf_map_lookup_elem(map, &key, &n) != 0)
			continue;
		if (ret->error_count == room) {
			struct monitor_error *more;

			room = room ? 2 * room : 64;
			more = realloc(ret->errors, room * sizeof(*more));
			if (!more)
				return;
			ret->errors = more;
		}
		ret->errors[ret->error_count++] =
			(struct monitor_error){ .nr = key.nr, .error = key.error, .count = n };
		(void)bpf_map_delete_elem(map, &key);
	}
}

void monitor_unwatch(struct monitor *m, uint32_t slot, struct monitor_totals *ret)
{
	struct watched *w = &m->slots[slot];

	memset(ret, 0, sizeof(*ret));
	ret->is_counted = true;
	near_clear(m, w->cgroup_id);
	(void)bpf_map_delete_elem(bpf_map__fd(m->bpf->maps.watch_calls), &w->cgroup_id);
	add_counts(m, slot, ret->counts);
	take_errors(m, slot, ret);
	(void)pthread_mutex_lock(&m->lock);
	ret->emitted = m->stats[slot].seq;
	ret->lost = dropped(m, slot);
	ret->errors_missed = m->stats[slot].errors_missed;
	ret->delivered = w->delivered;
	ret->saw_exec = w->saw_exec;
	w->is_used = false;
	(void)pthread_mutex_unlock(&m->lock);
}

void monitor_free(struct monitor *m)
{
	uint64_t one = 1;

	if (!m)
		return;
	if (m->is_running) {
		(void)pthread_mutex_lock(&m->lock);
		m->stop = true;
		(void)pthread_mutex_unlock(&m->lock);
		(void)!write(m->wake, &one, sizeof(one));
		(void)pthread_join(m->thread, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(m->links); i++)
		fd_done(&m->links[i]);
	ring_buffer__free(m->ring);
	if (m->stats)
		(void)munmap(m->stats, WATCH_SLOTS * sizeof(*m->stats));
	watch_bpf__destroy(m->bpf);
	fd_done(&m->wake);
	(void)pthread_cond_destroy(&m->drained);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}

void monitor_add_view(struct monitor *m, const struct explain_view *v)
{
	/* once set they stay: another session's record is looked at in vain, no more */
	if (policy_has_masks(v->policy))
		m->bpf->bss->watch_relative = 1;
	for (int nr = 0; nr < WATCH_SYSCALLS && !profile_is_default(v->policy); nr++) {
		uint16_t error, other;

		profile_errors(v->profile, nr, &error, &other);
		/* of two that differ the decoder hears one: the rule for all arguments */
		if (error > 0)
			m->bpf->bss->watch_denied[nr] = other ? other : error;
	}
	for (const char *const *c = explain_capability_calls; v->policy->as_root && *c; c++) {
		int nr = profile_syscall_number(*c);

		if (nr >= 0 && nr < WATCH_SYSCALLS && !syscalls_find(nr))
			m->bpf->bss->watch_denied[nr] = EPERM;
	}
}
