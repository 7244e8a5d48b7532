// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/monitor.c - the thread that drains the ring of the BPF programs.
 *
 * Only map fds are used here, which any process may that was handed them; how the
 * programs come into the kernel: monitor_load.c.
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

#include <errno.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/warden.h"
#include "supervisor/brake.h"
#include "supervisor/explain.h"
#include "supervisor/monitor_inner.h"
#include "supervisor/profile.h"
#include "supervisor/syscalls.h"

/* The reader wakes by itself this often; the programs wake it for what is
 * urgent (exec, exit, denials) or when 64 KiB wait. */
#define TURN_MS 20

/* Records taken in one go: then other things have their turn, however many wait. */
#define BATCH 4096
/* A lossless call is braked when this much waits, and let go when the ring is nearly
 * empty: half of 8 MiB is some milliseconds of the fastest flood, a freeze takes one. */
#define BRAKE_BYTES (4u << 20)
#define LET_GO_BYTES (512u << 10)
/* How often what waits is added up: in records. */
#define BRAKE_EVERY 64
/* What a full ring holds is read within this many times over, or its reader is stuck: a
 * call's end waits for it. */
#define STUCK_SECONDS 10
/* Pulses that may be missing, one a second: a disk that the log is on may stall for some
 * seconds, a stuck reader never comes. */
#define PULSES_MISSED 15
#define NAMES_LOOK_NS 1000000000ull
/* A quarter: one open in four that is of no interest. */
#define NAMES_FULL (WATCH_NAME_WORDS * 64 / 4)
/* Each call asks once a second: one answer is enough for all. */
#define LOOK_EVERY_NS 800000000ull

static uint64_t waiting(const struct monitor *m, uint32_t slot)
{
	uint64_t sent = __atomic_load_n(&m->stats[slot].sent, __ATOMIC_ACQUIRE);
	uint64_t taken = m->slots[slot].taken;

	return sent > taken ? sent - taken : 0;
}

/* The kernel side measures a call's share by it: not for each record, a line of the cache
 * that two processors write costs them both. */
static void publish_taken(struct monitor *m)
{
	/* not of a slot that nobody uses: who takes it next begins it without the lock */
	for (uint32_t i = 0; i < m->slots_used; i++)
		if (watched_is_live(&m->slots[i]))
			__atomic_store_n(&m->bpf->bss->watch_wishes[i].taken, m->slots[i].taken,
					 __ATOMIC_RELEASE);
}

/* Holds the lossless calls while much waits. */
static void brake_them(struct monitor *m)
{
	uint64_t sum = 0;

	publish_taken(m);
	for (uint32_t i = 0; i < m->slots_used; i++)
		if (watched_is_live(&m->slots[i]))
			sum += waiting(m, i);
	if (sum > LET_GO_BYTES && sum < BRAKE_BYTES)
		return;
	for (uint32_t i = 0; i < m->slots_used; i++) {
		struct watched *w = &m->slots[i];

		if (watched_is_live(w) && w->brake && (sum <= LET_GO_BYTES || waiting(m, i) > 0))
			brake_set(w->brake, sum >= BRAKE_BYTES);
	}
}

static void take_record(struct monitor *m, struct watched *w, const struct event *e, size_t size)
{
	w->taken += size;
	w->delivered++;
	if (e->kind == EVENT_EXEC)
		w->saw_exec = true;
	if (e->kind == EVENT_WRITE) {
		burst_begin(w, e);
		return;
	}
	if (e->kind == EVENT_URING) {
		asked_begin(w, e, size);
		return;
	}
	if (e->kind == EVENT_URING_DONE) {
		asked_done(w, e);
		return;
	}
	if (e->kind == EVENT_EXIT) {
		burst_end_process(m, w, e->host_pid);
		activity_end_process(m, w, e->host_pid);
	}
	decode_event(e, &w->to);
}

static int on_record(void *context, void *data, size_t size)
{
	struct monitor *m = context;
	const struct event *e = data;
	struct watched *w;

	if (!decode_is_sound(data, size))
		return 0;
	if (e->kind == EVENT_PULSE) {
		__atomic_store_n(&m->pulse_seen, e->seq, __ATOMIC_RELEASE);
		return 0;
	}
	w = &m->slots[e->slot];
	if (watched_is_live(w) && w->generation == e->generation)
		take_record(m, w, e, size);
	if (++m->batch % BRAKE_EVERY != 0)
		return 0;
	brake_them(m);
	return m->batch >= BATCH || __atomic_load_n(&m->wanting, __ATOMIC_ACQUIRE) > 0 ? -EAGAIN
										       : 0;
}

static uint64_t dropped(const struct monitor *m, uint32_t slot)
{
	uint64_t sum = 0;

	for (int i = 0; i < EVENT_CLASS_COUNT; i++)
		sum += __atomic_load_n(&m->stats[slot].dropped[i], __ATOMIC_ACQUIRE);
	return sum;
}

/* Of all that was lost until now, what it was about. */
static void add_lost_classes(const struct monitor *m, uint32_t slot, struct text *t)
{
	static const char *const names[EVENT_CLASS_COUNT] = {
		[EVENT_CLASS_TRACE] = "traced",  [EVENT_CLASS_FILE] = "file",
		[EVENT_CLASS_NET] = "net",       [EVENT_CLASS_PROC] = "proc",
		[EVENT_CLASS_DENIED] = "denied", [EVENT_CLASS_LIFE] = "life",
	};
	bool first = true;

	text_add(t, ",\"by_class\":{");
	for (int i = 0; i < EVENT_CLASS_COUNT; i++) {
		if (!names[i] || m->stats[slot].dropped[i] == 0)
			continue;
		text_printf(t, "%s\"%s\":%llu", first ? "" : ",", names[i],
			    (unsigned long long)m->stats[slot].dropped[i]);
		first = false;
	}
	text_add(t, "}");
}

static void tell_losses(struct monitor *m)
{
	for (uint32_t i = 0; i < WATCH_SLOTS; i++) {
		struct watched *w = &m->slots[i];
		struct text *t, *h;
		const char *why;
		uint64_t now;

		if (!watched_is_live(w))
			continue;
		now = dropped(m, i);
		if (now == w->told_lost)
			continue;
		why = m->stats[i].why[EVENT_LOSS_FULL] > 0 ? "ring full"
							   : "the call's share of the ring is full";
		t = stream_begin(w->to.stream, "lost", &w->to.call, 0);
		text_printf(t,
			    ",\"count\":%llu,\"total\":%llu,\"before_kernel_seq\":%llu,"
			    "\"why\":\"%s\"",
			    (unsigned long long)(now - w->told_lost), (unsigned long long)now,
			    (unsigned long long)__atomic_load_n(&m->stats[i].seq, __ATOMIC_ACQUIRE),
			    why);
		add_lost_classes(m, i, t);
		h = stream_human(w->to.stream, STREAM_ALL);
		if (h)
			text_printf(
				h,
				"glovebox: lost          %llu events: %s; --lossless loses none\n",
				(unsigned long long)(now - w->told_lost), why);
		stream_end(w->to.stream);
		w->told_lost = now;
	}
}

static void flush_streams(struct monitor *m)
{
	for (uint32_t i = 0; i < WATCH_SLOTS; i++)
		if (watched_is_live(&m->slots[i]))
			stream_flush(m->slots[i].to.stream);
}

/* A record that comes after this was said and before poll(2) looks waits for a turn. */
static void wait_for_records(struct monitor *m, struct pollfd p[2])
{
	bool is_behind = m->batch >= BRAKE_EVERY;

	if (!is_behind)
		__atomic_store_n(&m->bpf->bss->watch_reads, 0, __ATOMIC_SEQ_CST);
	(void)poll(p, 2, is_behind ? 0 : TURN_MS);
	__atomic_store_n(&m->bpf->bss->watch_reads, 1, __ATOMIC_SEQ_CST);
}

/* Names of all sessions share a table of bits. Where it is full of them each open for
 * reading is a record: it begins anew, and what was written before is not followed. */
static void look_at_names(struct monitor *m)
{
	uint64_t now = io_now_ns();
	uint32_t bits = 0;

	if (now - m->looked_at_names_ns < NAMES_LOOK_NS)
		return;
	m->looked_at_names_ns = now;
	for (uint32_t i = 0; i < WATCH_NAME_WORDS; i++)
		bits += (uint32_t)__builtin_popcountll(m->bpf->bss->watch_names[i]);
	if (bits < NAMES_FULL)
		return;
	memset(m->bpf->bss->watch_names, 0, sizeof(m->bpf->bss->watch_names));
	for (uint32_t i = 0; i < m->slots_used; i++)
		if (watched_is_live(&m->slots[i]) && m->slots[i].to.influence)
			m->slots[i].to.influence->is_cut = true;
}

static void take_turn(struct monitor *m)
{
	m->batch = 0;
	ring_take(&m->ring, on_record, m);
	brake_them(m);
	burst_look(m);
	activity_look(m);
	asked_look(m);
	look_at_names(m);
	tell_losses(m);
	flush_streams(m);
}

/* Somebody waits for what was in the ring at some moment: not for it to be empty, which a
 * flood never lets it be. */
static void tell_reached(struct monitor *m)
{
	uint64_t wanted = __atomic_load_n(&m->wanted, __ATOMIC_ACQUIRE), one = 1;

	if (wanted == 0 || m->ring.taken < wanted)
		return;
	__atomic_store_n(&m->wanted, 0, __ATOMIC_RELEASE);
	(void)!write(m->reached, &one, sizeof(one));
}

static void *drain_loop(void *context)
{
	struct monitor *m = context;
	struct pollfd p[] = {
		{ .fd = m->ring.fd, .events = POLLIN },
		{ .fd = m->wake, .events = POLLIN },
	};

	(void)pthread_setname_np(pthread_self(), "glovebox-watch");
	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE)) {
		wait_for_records(m, p);
		if (p[1].revents) {
			uint64_t n;

			(void)!read(m->wake, &n, sizeof(n));
		}
		/* whoever wants the lock is before us: a mutex knows no order */
		while (__atomic_load_n(&m->wanting, __ATOMIC_ACQUIRE) > 0)
			(void)sched_yield();
		(void)pthread_mutex_lock(&m->lock);
		take_turn(m);
		(void)pthread_mutex_unlock(&m->lock);
		tell_reached(m);
	}
	return NULL;
}

int monitor_start(struct monitor *m)
{
	int r = pthread_create(&m->thread, NULL, drain_loop, m);

	if (r != 0)
		return -r;
	m->is_running = true;
	return 0;
}

/* The loop waits once for a reader that is stuck: a person may want to stop something. */
static bool lock_in_time(struct monitor *m)
{
	struct timespec until;
	int r;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	if (!m->is_stuck)
		until.tv_sec += STUCK_SECONDS;
	(void)__atomic_add_fetch(&m->wanting, 1, __ATOMIC_SEQ_CST);
	r = pthread_mutex_timedlock(&m->lock, &until);
	(void)__atomic_sub_fetch(&m->wanting, 1, __ATOMIC_SEQ_CST);
	m->is_stuck = r != 0;
	return r == 0;
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

static int put_call(struct monitor *m, const struct watched *w)
{
	return bpf_map_update_elem(bpf_map__fd(m->bpf->maps.watch_calls), &w->cgroup_id, &w->call,
				   BPF_ANY);
}

/* Its reader has been heard of: what was given up is in nobody's hands any more. */
static void take_back(struct monitor *m)
{
	if (!m->has_given_up || m->is_stuck || !lock_in_time(m))
		return;
	for (uint32_t i = 0; i < m->slots_used; i++) {
		struct watched *w = &m->slots[i];

		if (!w->is_used || !w->is_given_up)
			continue;
		asked_end_call(w, false);
		burst_drop_call(m, w);
		activity_drop_call(m, w);
		free(w->errors);
		w->errors = NULL;
		__atomic_store_n(&w->is_used, false, __ATOMIC_RELEASE);
	}
	m->has_given_up = false;
	(void)pthread_mutex_unlock(&m->lock);
}

int monitor_watch(struct monitor *m, const struct monitor_plan *plan, uint32_t *ret_slot)
{
	struct watch_stats none = { 0 };
	struct watched *w;
	uint32_t slot = 0;
	int r;

	take_back(m);
	while (slot < WATCH_SLOTS && m->slots[slot].is_used)
		slot++;
	if (slot == WATCH_SLOTS)
		return -EUSERS;
	/* no lock: only this thread takes slots and gives them back, and the reader, which may
	 * be stuck with the lock, looks at none that is not in use */
	w = &m->slots[slot];
	*w = (struct watched){
		.generation = ++m->generation,
		.cgroup_id = plan->cgroup_id,
		.to = plan->to,
		.brake = plan->brake,
	};
	w->call = (struct watch_call){
		.generation = w->generation,
		.slot = slot,
		.session = plan->session,
		.flags = plan->brake ? WATCH_CALL_LOSSLESS : 0,
	};
	zero_counts(m, slot);
	r = bpf_map_update_elem(bpf_map__fd(m->bpf->maps.watch_stats), &slot, &none, BPF_ANY);
	m->bpf->bss->watch_wishes[slot] = (struct watch_wish){ 0 };
	monitor_trace(m, slot, plan->trace);
	if (r == 0)
		r = put_call(m, w);
	if (r < 0)
		return r;
	__atomic_store_n(&w->is_used, true, __ATOMIC_RELEASE);
	if (slot >= m->slots_used)
		__atomic_store_n(&m->slots_used, slot + 1, __ATOMIC_RELEASE);
	*ret_slot = slot;
	return 0;
}

void monitor_trace(struct monitor *m, uint32_t slot, const struct trace_set *trace)
{
	static const struct trace_set none;
	const struct trace_set *t = trace ? trace : &none;

	for (size_t i = 0; i < WATCH_SYSCALLS / 64; i++)
		__atomic_store_n(&m->bpf->bss->watch_wishes[slot].trace[i], t->bits[i],
				 __ATOMIC_RELAXED);
}

int monitor_set_init(struct monitor *m, uint32_t slot, uint32_t init_pid)
{
	struct watched *w = &m->slots[slot];
	int r;

	w->call.init_pid = init_pid;
	r = put_call(m, w);
	/* not before init is known: it is not the tool's */
	if (r == 0)
		near_set(m, w->cgroup_id, &w->call);
	return r;
}

int monitor_drain(struct monitor *m)
{
	uint64_t wanted = ring_produced(&m->ring), one = 1, n;
	uint64_t end = io_now_ns() + (m->is_stuck ? 0 : STUCK_SECONDS * 1000000000ull);
	struct pollfd p = { .fd = m->reached, .events = POLLIN };

	if (!m->is_running)
		return 0;
	__atomic_store_n(&m->wanted, wanted, __ATOMIC_SEQ_CST);
	(void)!write(m->wake, &one, sizeof(one));
	while (__atomic_load_n(&m->ring.taken, __ATOMIC_ACQUIRE) < wanted) {
		uint64_t now = io_now_ns();

		if (now >= end) {
			m->is_stuck = true;
			return -ETIMEDOUT;
		}
		if (poll(&p, 1, (int)((end - now) / 1000000) + 1) > 0)
			(void)!read(m->reached, &n, sizeof(n));
	}
	return 0;
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

/* Those of processes, which are there already, and those that found no room there. */
static void add_error(struct watched *w, const struct watch_error_key *key, uint64_t count)
{
	if (w->error_count == w->error_room) {
		uint32_t room = w->error_room ? 2 * w->error_room : 64;
		struct monitor_error *more = realloc(w->errors, room * sizeof(*more));

		if (!more)
			return;
		w->errors = more;
		w->error_room = room;
	}
	w->errors[w->error_count++] =
		(struct monitor_error){ .nr = key->nr, .error = key->error, .count = count };
}

static void take_errors(struct monitor *m, uint32_t slot)
{
	int map = bpf_map__fd(m->bpf->maps.watch_errors);
	struct watched *w = &m->slots[slot];
	struct watch_error_key key, next;
	uint32_t known = w->error_count;
	int r;

	r = bpf_map_get_next_key(map, NULL, &next);
	while (r == 0) {
		uint32_t at = 0;
		uint64_t n;

		key = next;
		r = bpf_map_get_next_key(map, &key, &next);
		if (key.slot != slot || bpf_map_lookup_elem(map, &key, &n) != 0)
			continue;
		while (at < known &&
		       (w->errors[at].nr != key.nr || w->errors[at].error != key.error))
			at++;
		if (at < known)
			w->errors[at].count += n;
		else
			add_error(w, &key, n);
		(void)bpf_map_delete_elem(map, &key);
	}
}

void monitor_unwatch(struct monitor *m, uint32_t slot, struct monitor_totals *ret)
{
	struct watched *w = &m->slots[slot];
	const struct watch_stats *s = &m->stats[slot];
	int drain_error = ret->drain_error;

	memset(ret, 0, sizeof(*ret));
	ret->drain_error = drain_error;
	ret->is_counted = true;
	near_clear(m, w->cgroup_id);
	(void)bpf_map_delete_elem(bpf_map__fd(m->bpf->maps.watch_calls), &w->cgroup_id);
	if (!lock_in_time(m)) {
		/* its reader is stuck with the lock, maybe in the middle of this call */
		__atomic_store_n(&w->is_given_up, true, __ATOMIC_RELEASE);
		m->has_given_up = true;
		ret->is_given_up = true;
		ret->drain_error = -ETIMEDOUT;
		ret->emitted = s->seq;
		ret->lost = dropped(m, slot);
		ret->delivered = w->delivered;
		return;
	}
	asked_end_call(w, true);
	burst_end_call(m, w);
	activity_end_call(m, w);
	if (w->to.influence)
		influence_end_call(w->to.influence, w->to.call.number);
	take_errors(m, slot);
	memcpy(ret->counts, w->counts, sizeof(ret->counts));
	add_counts(m, slot, ret->counts);
	ret->errors = w->errors;
	ret->error_count = w->error_count;
	ret->emitted = s->seq;
	ret->lost = dropped(m, slot);
	for (int i = 0; i < EVENT_LOSS_COUNT; i++)
		ret->lost_why[i] = s->why[i];
	ret->errors_missed = s->errors_missed;
	ret->unkept = s->unkept;
	ret->delivered = w->delivered;
	ret->saw_exec = w->saw_exec;
	w->errors = NULL;
	w->is_used = false;
	(void)pthread_mutex_unlock(&m->lock);
}

void monitor_forget_files(struct monitor *m, struct influence *b)
{
	if (!lock_in_time(m))
		return; /* its calls are killed for it, and no other is started */
	influence_forget_files(b);
	(void)pthread_mutex_unlock(&m->lock);
}

/* --- whether it still works --------------------------------------------------------- */

static bool is_link_of_group_alive(int fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
	       (info.type != BPF_LINK_TYPE_CGROUP || info.cgroup.cgroup_id != 0);
}

/* The kernel side answers at the end of a system call of ours, before it returns. */
static bool send_pulse(struct monitor *m)
{
	m->bpf->bss->watch_pulse_tgid = (uint32_t)getpid();
	__atomic_store_n(&m->bpf->bss->watch_pulse, ++m->pulse, __ATOMIC_SEQ_CST);
	(void)syscall(SYS_getppid);
	return __atomic_load_n(&m->bpf->bss->watch_pulse, __ATOMIC_SEQ_CST) == 0;
}

static const char *look_for_failure(struct monitor *m)
{
	/* a process without a filter is not looked at */
	if (prctl(PR_GET_SECCOMP) != SECCOMP_MODE_FILTER)
		return NULL;
	if (__atomic_load_n(&m->pulse_seen, __ATOMIC_ACQUIRE) == m->pulse) {
		m->pulse_misses = 0;
		m->is_stuck = false;
	} else if (++m->pulse_misses >= PULSES_MISSED)
		return "the events are not read any more: the reader of the ring is stuck";
	/* one that waits is not overtaken */
	if (m->pulse_misses == 0 && !send_pulse(m))
		return "the programs in the kernel do not run any more: they were detached";
	for (size_t i = 0; i < ARRAY_SIZE(m->links); i++)
		if (m->links[i] >= 0 && !is_link_of_group_alive(m->links[i]))
			return "a program of the control group was detached";
	return NULL;
}

const char *monitor_failure(struct monitor *m)
{
	uint64_t now = io_now_ns();

	/* what is detached stays so; a reader that goes on has lost nothing */
	if (now - m->looked_ns >= LOOK_EVERY_NS) {
		m->looked_ns = now;
		m->failure = look_for_failure(m);
	}
	return m->failure;
}

bool monitor_watches(struct monitor *m, uint32_t slot)
{
	const struct watched *w = &m->slots[slot];
	struct watch_call call;

	return bpf_map_lookup_elem(bpf_map__fd(m->bpf->maps.watch_calls), &w->cgroup_id, &call) ==
		       0 &&
	       memcmp(&call, &w->call, sizeof(call)) == 0;
}

void monitor_free(struct monitor *m)
{
	uint64_t one = 1;

	if (!m)
		return;
	if (m->is_running) {
		if (!lock_in_time(m))
			return; /* its reader still uses it, and ends with the process */
		__atomic_store_n(&m->stop, true, __ATOMIC_RELEASE);
		(void)pthread_mutex_unlock(&m->lock);
		(void)!write(m->wake, &one, sizeof(one));
		(void)pthread_join(m->thread, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(m->links); i++)
		fd_done(&m->links[i]);
	ring_done(&m->ring);
	if (m->stats)
		(void)munmap(m->stats, WATCH_SLOTS * sizeof(*m->stats));
	if (m->processes)
		(void)munmap(m->processes, WATCH_PROCESSES * sizeof(*m->processes));
	if (m->bursts)
		(void)munmap(m->bursts, WATCH_BURSTS * sizeof(*m->bursts));
	watch_bpf__destroy(m->bpf);
	fd_done(&m->wake);
	fd_done(&m->reached);
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
