/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/process.h - what each process does, counted; and the names that were written.
 *
 * Every call is counted once: in the place of its process, or, when there was none, in
 * watch_counts. User space adds the two up.
 */
#ifndef BPF_PROCESS_H
#define BPF_PROCESS_H

#include "bpf/state.h"

/* Pairs are looked for in this many cells: beyond, in the table of the whole call. */
#define PAIR_PROBES 4
/* The end of a name stands for it: of files of one directory the ends differ. */
#define NAME_TAIL 16

/* Takes a place for a process that has none. Its index, or -1. */
__noinline int claim_process(__u64 tgid, __u32 slot, __u64 generation)
{
	__u32 first = ((__u32)tgid & (WATCH_PROCESSES / WATCH_WAYS - 1)) * WATCH_WAYS;
	struct watch_wish *wish = &watch_wishes[slot & (WATCH_SLOTS - 1)];

	if (wish->processes >= WATCH_PROCESSES_SHARE)
		return -1;
	for (__u32 way = 0; way < WATCH_WAYS; way++) {
		__u32 at = first + way;
		struct watch_process *p = bpf_map_lookup_elem(&watch_processes, &at);
		struct task_struct *leader = LOAD(CURRENT(), group_leader);

		if (!p || p->tgid || __sync_val_compare_and_swap(&p->tgid, 0, tgid))
			continue;
		p->slot = slot;
		p->start_ns = LOAD(leader, start_boottime);
		p->generation = generation;
		__sync_fetch_and_add(&wish->processes, 1);
		return at;
	}
	return -1;
}

static __always_inline bool is_place_of(const struct watch_process *p, __u32 tgid,
					const struct watch_call *c)
{
	return p && p->tgid == tgid && p->generation == c->generation && !p->ended;
}

static __always_inline struct watch_process *find_process(struct watch_call *c,
							  struct task_struct *task)
{
	__u32 tgid = LOAD(task, tgid);
	__u32 at = (tgid & (WATCH_PROCESSES / WATCH_WAYS - 1)) * WATCH_WAYS;
	struct watch_process *p = bpf_map_lookup_elem(&watch_processes, &at);
	int claimed;

	if (is_place_of(p, tgid, c))
		return p;
	at++;
	p = bpf_map_lookup_elem(&watch_processes, &at);
	if (is_place_of(p, tgid, c))
		return p;
	claimed = claim_process(tgid, c->slot, c->generation);
	if (claimed < 0)
		return 0;
	at = claimed;
	return bpf_map_lookup_elem(&watch_processes, &at);
}

static __always_inline bool count_pair(struct watch_process *p, __u32 nr, long ret)
{
	__u64 key = nr | (__u64)(__u32)-ret << 16;
	__u32 at = nr * 5 + (__u32)-ret;

	for (int i = 0; i < PAIR_PROBES; i++) {
		struct watch_pair *pair = &p->pairs[(at + i) & (WATCH_PAIRS - 1)];
		__u64 had = pair->key;

		if (!had)
			had = __sync_val_compare_and_swap(&pair->key, 0, key);
		if (had && had != key)
			continue;
		__sync_fetch_and_add(&pair->count, 1);
		return true;
	}
	__sync_fetch_and_add(&p->pairs_missed, 1);
	return false;
}

static __always_inline void count_error(struct watch_call *c, __u32 nr, long ret)
{
	struct watch_error_key key = { .slot = c->slot, .nr = nr, .error = -ret };
	__u64 one = 1, *n = bpf_map_lookup_elem(&watch_errors, &key);
	struct watch_stats *stats;

	if (n) {
		__sync_fetch_and_add(n, 1);
		return;
	}
	stats = bpf_map_lookup_elem(&watch_stats, &key.slot);
	if (!stats)
		return;
	if (stats->error_pairs < WATCH_ERRORS_SHARE &&
	    bpf_map_update_elem(&watch_errors, &key, &one, BPF_NOEXIST) == 0)
		__sync_fetch_and_add(&stats->error_pairs, 1);
	else
		__sync_fetch_and_add(&stats->errors_missed, 1);
}

static __always_inline void count_without_process(struct watch_call *c, __u32 nr)
{
	__u32 slot = c->slot;
	struct watch_counts *counts = bpf_map_lookup_elem(&watch_counts, &slot);
	struct watch_stats *stats = bpf_map_lookup_elem(&watch_stats, &slot);

	if (counts)
		counts->count[nr & (WATCH_SYSCALLS - 1)]++;
	if (stats)
		__sync_fetch_and_add(&stats->unkept, 1);
}

static __always_inline void count_call(struct watch_call *c, struct task_struct *task, __u32 nr,
				       long ret)
{
	struct watch_process *p = find_process(c, task);
	bool failed = ret < 0 && ret >= -4095;
	struct signal_struct *signal;
	__u32 tid = 0;
	__u64 at;

	nr &= WATCH_SYSCALLS - 1;
	if (!p) {
		count_without_process(c, nr);
		if (failed)
			count_error(c, nr, ret);
		return;
	}
	signal = LOAD(task, signal);
	if (LOAD(signal, nr_threads) > 1) {
		at = __sync_fetch_and_add(&p->total, 1);
		__sync_fetch_and_add(&p->counts[nr], 1);
		tid = number_inside(LOAD(task, thread_pid));
	} else {
		at = p->total++;
		p->counts[nr]++;
	}
	p->recent[at & (WATCH_RECENT - 1)] = watch_recent(bpf_jiffies64(), nr, ret);
	p->recent_tid[at & (WATCH_RECENT - 1)] = tid;
	if (failed && !count_pair(p, nr, ret))
		count_error(c, nr, ret);
}

/* --- names that were written ------------------------------------------------------ */

/* `tail` holds the last bytes of the name, zeros after them. */
static __always_inline __u32 name_bit(__u32 session, const __u64 tail[2])
{
	__u64 h = (tail[0] ^ session) * 0x9e3779b97f4a7c15ull;

	h = (h ^ (h >> 29) ^ tail[1]) * 0xbf58476d1ce4e5b9ull;
	return (__u32)(h >> 32) & (WATCH_NAME_WORDS * 64 - 1);
}

static __always_inline __u32 bit_of_file(__u32 session, struct file *file)
{
	struct dentry *d = LOAD(file, f_path.dentry);
	__u32 len = LOAD(d, d_name.len);
	const unsigned char *name = LOAD(d, d_name.name);
	__u64 tail[2] = { 0, 0 };
	__u32 n = len < NAME_TAIL ? len : NAME_TAIL;

	forget(n);
	n &= 2 * NAME_TAIL - 1;
	if (n == 0 || n > NAME_TAIL)
		return 0;
	bpf_probe_read_kernel(tail, n, name + len - n);
	return name_bit(session, tail);
}

static __always_inline void mark_name(__u32 bit)
{
	__u64 *word = &watch_names[(bit >> 6) & (WATCH_NAME_WORDS - 1)];
	__u64 mask = 1ull << (bit & 63);

	if (!(*word & mask))
		__sync_fetch_and_or(word, mask);
}

static __always_inline bool is_written_name(__u32 bit)
{
	return watch_names[(bit >> 6) & (WATCH_NAME_WORDS - 1)] >> (bit & 63) & 1;
}

/* The last name of a path that ends at `end` of the record's data. */
__noinline int mark_path(struct scratch *s, __u32 start, __u32 len, __u32 session)
{
	__u64 tail[2] = { 0, 0 };

	if (!s)
		return 0;
	for (__u32 i = 0; i < NAME_TAIL; i++) {
		__u8 b;

		if (i >= len)
			break;
		b = s->e.data[(start + len - 1 - i) & (EVENT_DATA_MAX - 1)];
		if (b == '/')
			break;
		tail[1] = tail[1] << 8 | tail[0] >> 56;
		tail[0] = tail[0] << 8 | b;
	}
	mark_name(name_bit(session, tail));
	return 0;
}

#endif
