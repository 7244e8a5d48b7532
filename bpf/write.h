/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/write.h - writes to regular files, added up for each file and burst.
 *
 * The first of a burst is a record; the others are counted in a place that user space reads
 * and gives back. Which file it was is asked of the descriptor as the call returns.
 */
#ifndef BPF_WRITE_H
#define BPF_WRITE_H

#include "bpf/record.h"

static __always_inline void begin_burst(struct watch_call *c, __u64 file,
					struct watch_burst_key *key, __u32 nr, long bytes)
{
	struct watch_wish *wish = &watch_wishes[c->slot & (WATCH_SLOTS - 1)];
	__u64 now = bpf_ktime_get_boot_ns();
	struct watch_burst *b = 0;
	struct scratch *s;
	__u32 at;

	if (wish->bursts < WATCH_BURSTS_SHARE && bpf_map_pop_elem(&watch_burst_free, &at) == 0)
		b = bpf_map_lookup_elem(&watch_bursts, &at);
	s = begin(SCRATCH_SYSCALL, c, EVENT_WRITE);
	if (!s)
		return;
	s->e.nr = nr;
	s->e.ret = bytes;
	s->e.flags |= EVENT_F_KERNEL;
	s->e.args[EVENT_ARG_WRITE_BURST] = EVENT_NO_BURST;
	s->e.args[EVENT_ARG_WRITE_BYTES] = bytes;
	s->e.args[EVENT_ARG_WRITE_DENTRY] = key->dentry;
	s->e.args[EVENT_ARG_WRITE_INODE] = key->inode;
	s->e.args[EVENT_ARG_WRITE_NAME] = key->name;
	s->e.args[EVENT_ARG_WRITE_SLOT] = key->slot;
	if (b) {
		b->ops = 1;
		b->bytes = bytes;
		b->first_ns = b->last_ns = now;
		if (bpf_map_update_elem(&watch_burst_index, key, &at, BPF_ANY) == 0) {
			s->e.args[EVENT_ARG_WRITE_BURST] = at;
			__sync_fetch_and_add(&wish->bursts, 1);
		} else {
			bpf_map_push_elem(&watch_burst_free, &at, BPF_ANY);
		}
	}
	add_path(s, file + bpf_core_field_offset(struct file, f_path), EVENT_SPAN_PATH);
	/* lost: user space does not know of it, so the next write begins again */
	if (!finish(s, c->flags, EVENT_CLASS_FILE, false) &&
	    s->e.args[EVENT_ARG_WRITE_BURST] != EVENT_NO_BURST) {
		bpf_map_delete_elem(&watch_burst_index, key);
		bpf_map_push_elem(&watch_burst_free, &at, BPF_ANY);
		__sync_fetch_and_sub(&wish->bursts, 1);
	}
}

__noinline int count_write_file(struct watch_call *c, __u64 file, __u32 nr, long bytes)
{
	struct watch_burst_key key = { 0 };
	struct watch_burst *b;
	struct dentry *dentry;
	struct inode *inode;
	__u32 *at;

	if (!c || !file)
		return 0;
	key.slot = c->slot | (__u32)watch_wishes[c->slot & (WATCH_SLOTS - 1)].renames << 8;
	inode = LOAD(FILE_AT(file), f_inode);
	if ((LOAD(inode, i_mode) & S_IFMT) != S_IFREG)
		return 0;
	dentry = LOAD(FILE_AT(file), f_path.dentry);
	key.dentry = (__u64)dentry;
	key.inode = (__u64)inode;
	key.name = (__u64)LOAD(dentry, d_name.hash) << 32 | LOAD(dentry, d_name.len);
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	at = bpf_map_lookup_elem(&watch_burst_index, &key);
	if (!at) {
		begin_burst(c, file, &key, nr, bytes);
		return 0;
	}
	b = bpf_map_lookup_elem(&watch_bursts, at);
	if (!b)
		return 0;
	__sync_fetch_and_add(&b->ops, 1);
	__sync_fetch_and_add(&b->bytes, bytes);
	b->last_ns = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline void count_write(struct watch_call *c, __u64 fd, __u32 nr, long bytes)
{
	count_write_file(c, file_of_fd((__s32)fd), nr, bytes);
}

#endif
