/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/record.h - a record is begun, filled from what the kernel or the tool's memory
 * holds, and sent.
 */
#ifndef BPF_RECORD_H
#define BPF_RECORD_H

#include "bpf/state.h"

/* Zeroes the head and takes the record's number. The data needs no zeroing:
 * only what a span covers is sent. */
__noinline int begin_head(struct scratch *s, __u32 slot, __u64 generation, __u32 kind)
{
	struct task_struct *task = CURRENT(), *parent, *leader;
	struct watch_stats *stats;

	if (!s)
		return 0;
	stats = bpf_map_lookup_elem(&watch_stats, &slot);
	if (!stats)
		return 0;
	__builtin_memset(&s->e, 0, __builtin_offsetof(struct event, data));
	s->pos = 0;
	s->e.kind = kind;
	s->e.slot = slot;
	s->e.generation = generation;
	s->e.seq = __sync_fetch_and_add(&stats->seq, 1) + 1;
	s->e.when_ns = bpf_ktime_get_boot_ns();
	s->e.host_pid = LOAD(task, tgid);
	s->e.pid = pid_inside(task);
	/* the number of the first thread is the number of the process */
	s->e.tid = s->e.pid;
	if (LOAD(task, pid) != s->e.host_pid)
		s->e.tid = number_inside(LOAD(task, thread_pid));
	leader = LOAD(task, group_leader);
	s->e.start_ns = LOAD(leader, start_boottime);
	parent = LOAD(task, real_parent);
	s->e.ppid = pid_inside(parent);
	s->e.host_ppid = LOAD(parent, tgid);
	leader = LOAD(parent, group_leader);
	s->e.parent_start_ns = LOAD(leader, start_boottime);
	s->e.nr = -1;
	/* one is ours; since 5.9 they are counted */
	if (bpf_core_field_exists(task->seccomp.filter_count) &&
	    LOAD(task, seccomp.filter_count.counter) > 1)
		s->e.flags |= EVENT_F_OWN_FILTER;
	bpf_get_current_comm(s->e.comm, sizeof(s->e.comm));
	return 1;
}

static __always_inline struct scratch *begin(__u32 use, struct watch_call *c, __u16 kind)
{
	struct scratch *s = bpf_map_lookup_elem(&watch_scratch, &use);

	if (!s || !begin_head(s, c->slot, c->generation, kind))
		return 0;
	return s;
}

/* What a call has waiting in the ring. `taken` may be of a moment ago. */
static __always_inline __u64 waiting_of(const struct watch_stats *stats, __u32 slot)
{
	__u64 taken = watch_wishes[slot & (WATCH_SLOTS - 1)].taken;

	return stats->sent > taken ? stats->sent - taken : 0;
}

/* Whether it is given up before the ring is full, for the good of others. */
static __always_inline bool is_given_up(__u32 class, __u64 waiting, __u64 own, __u32 *ret_why)
{
	if (class >= EVENT_CLASS_LIFE)
		return false;
	*ret_why = EVENT_LOSS_QUOTA;
	if (own > (class <= EVENT_CLASS_PROC ? QUOTA_CHEAP : QUOTA_ANY))
		return true;
	*ret_why = EVENT_LOSS_FULL;
	if (class <= EVENT_CLASS_FILE)
		return waiting > FULL_FOR_FILES;
	return waiting > (class <= EVENT_CLASS_PROC ? FULL_FOR_NET : FULL_FOR_DENIED);
}

__noinline int look_for_room(void)
{
	for (__u32 i = 0; i < SLOW_LOOKS; i++)
		if (bpf_ringbuf_query(&watch_ring, BPF_RB_AVAIL_DATA) < SLOW_BYTES)
			return 1;
	return 0;
}

/* Two loops: each turn of one costs the verifier. */
__noinline int look_some(void)
{
	for (__u32 i = 0; i < SLOW_TURNS_ROOT; i++)
		if (look_for_room())
			return 1;
	return 0;
}

/* Its turn comes again when it has returned from the system call: by then it is frozen. */
static __always_inline void slow_down(void)
{
	for (__u32 i = 0; i < SLOW_TURNS_ROOT; i++)
		if (look_some())
			break;
}

/* Whether it went. `of` are the flags of its call. */
__noinline int finish(struct scratch *s, __u32 of, __u32 class, bool urgent)
{
	__u64 flags = BPF_RB_NO_WAKEUP, size, waiting, own;
	__u32 slot, why = EVENT_LOSS_FULL;
	struct watch_stats *stats;

	if (!s)
		return false;
	size = __builtin_offsetof(struct event, data) + (s->pos & (EVENT_DATA_MAX - 1));
	waiting = bpf_ringbuf_query(&watch_ring, BPF_RB_AVAIL_DATA);
	slot = s->e.slot & (WATCH_SLOTS - 1);
	stats = bpf_map_lookup_elem(&watch_stats, &slot);
	if (!stats)
		return false;
	own = waiting_of(stats, slot);
	if ((urgent || waiting >= WAKE_BYTES) && !watch_reads)
		flags = BPF_RB_FORCE_WAKEUP;
	if ((of & WATCH_CALL_LOSSLESS) && waiting > SLOW_BYTES)
		slow_down();
	if (((of & WATCH_CALL_LOSSLESS) || !is_given_up(class, waiting, own, &why)) &&
	    bpf_ringbuf_output(&watch_ring, &s->e, size, flags) == 0) {
		__sync_fetch_and_add(&stats->sent, size);
		return true;
	}
	__sync_fetch_and_add(&stats->dropped[class & (EVENT_CLASS_COUNT - 1)], 1);
	__sync_fetch_and_add(&stats->why[why & (EVENT_LOSS_COUNT - 1)], 1);
	return false;
}

/*
 * The functions below are global, not static: the verifier then checks each of
 * them once, and not again for every path that leads to it (static, the object
 * took 580 ms to load; so, about 30).
 */

enum { WALK_ON = 0, WALK_END = 1 };

/* A step from a directory entry up. What changes on the way is in the scratch, as numbers. */
__noinline int walk_one(struct scratch *s)
{
	struct dentry *d, *parent;
	struct vfsmount *mnt;
	const unsigned char *name;
	__u32 off, len;

	if (!s || (s->walk_d == s->root_d && s->walk_mnt == s->root_mnt))
		return WALK_END;
	d = as_type((void *)s->walk_d, struct dentry);
	mnt = as_type((void *)s->walk_mnt, struct vfsmount);
	parent = LOAD(d, d_parent);
	if (d == LOAD(mnt, mnt_root)) {
		struct mount *m =
			as_type((void *)s->walk_mnt - bpf_core_field_offset(struct mount, mnt),
				struct mount);
		struct mount *up = LOAD(m, mnt_parent);

		if (up == m)
			return WALK_END;
		s->walk_d = (__u64)LOAD(m, mnt_mountpoint);
		s->walk_mnt = (__u64)up + bpf_core_field_offset(struct mount, mnt);
		return WALK_ON;
	}
	len = LOAD(d, d_name.len) & (NAME_LIMIT - 1);
	name = LOAD(d, d_name.name);
	off = s->off;
	if (off < len + 1 || off > EVENT_PATH_MAX) {
		s->e.flags |= EVENT_F_PARTIAL;
		return WALK_END;
	}
	off = (off - len - 1) & (EVENT_PATH_MAX - 1);
	s->path[off] = '/';
	if (len)
		bpf_probe_read_kernel(&s->path[(off + 1) & (2 * EVENT_PATH_MAX - 1)], len, name);
	s->off = off;
	s->walk_d = (__u64)parent;
	if (d != parent)
		return WALK_ON;
	/* of no tree: its name is all there is, of an eventfd "[eventfd]" */
	off = (off + 1) & (2 * EVENT_PATH_MAX - 1);
	if (len && s->path[off] == '[')
		s->off = off;
	return WALK_END;
}

/*
 * add_path() - append the absolute path of `p`, as the current task sees it
 *
 * The walk stops at the task's own root, so a path never shows what lies
 * outside the sandbox.
 */
__noinline int add_path(struct scratch *s, __u64 path, __u32 span)
{
	struct fs_struct *fs = LOAD(CURRENT(), fs);
	struct path *p = as_type((void *)path, struct path);
	__u32 n, len;

	if (!s || !p)
		return 0;
	s->walk_d = (__u64)LOAD(p, dentry);
	s->walk_mnt = (__u64)LOAD(p, mnt);
	s->root_d = (__u64)LOAD(fs, root.dentry);
	s->root_mnt = (__u64)LOAD(fs, root.mnt);
	s->off = EVENT_PATH_MAX;
	for (n = 0; n < WALK_MAX; n++)
		if (walk_one(s) == WALK_END)
			break;
	if (n == WALK_MAX)
		s->e.flags |= EVENT_F_PARTIAL;
	if (s->off == EVENT_PATH_MAX) {
		s->off = EVENT_PATH_MAX - 1;
		s->path[EVENT_PATH_MAX - 1] = '/';
	}
	len = (EVENT_PATH_MAX - s->off) & (EVENT_PATH_MAX - 1);
	n = s->pos;
	if (n > EVENT_DATA_MAX - EVENT_PATH_MAX)
		return 0;
	bpf_probe_read_kernel(&s->e.data[n & (EVENT_DATA_MAX - 1)], len,
			      &s->path[s->off & (EVENT_PATH_MAX - 1)]);
	s->pos = n + len;
	s->e.len[span & (EVENT_SPAN_COUNT - 1)] = len;
	return 0;
}

__noinline int add_user_string(struct scratch *s, __u64 from, __u32 span)
{
	__u32 pos;
	long len;

	if (!s)
		return 0;
	pos = s->pos;
	if (pos > EVENT_DATA_MAX - EVENT_PATH_MAX)
		return 0;
	len = bpf_probe_read_user_str(&s->e.data[pos & (EVENT_DATA_MAX - 1)], EVENT_PATH_MAX,
				      (void *)from);
	if (len <= 0) {
		s->e.flags |= EVENT_F_FAULT;
		return 0;
	}
	if (len == EVENT_PATH_MAX)
		s->e.flags |= EVENT_F_CUT;
	len = (len - 1) & (EVENT_PATH_MAX - 1);
	s->pos = pos + len;
	s->e.len[span & (EVENT_SPAN_COUNT - 1)] = len;
	return 0;
}

__noinline int add_user_bytes(struct scratch *s, __u64 from, __u32 len, __u32 span)
{
	__u32 pos;

	if (!s)
		return 0;
	pos = s->pos;
	if (pos > EVENT_DATA_MAX - EVENT_ARGV_MAX)
		return 0;
	if (len > EVENT_ARGV_MAX - 1) {
		len = EVENT_ARGV_MAX - 1;
		s->e.flags |= EVENT_F_CUT;
	}
	forget(len);
	len &= EVENT_ARGV_MAX - 1;
	if (bpf_probe_read_user(&s->e.data[pos & (EVENT_DATA_MAX - 1)], len, (void *)from)) {
		s->e.flags |= EVENT_F_FAULT;
		return 0;
	}
	s->pos = pos + len;
	s->e.len[span & (EVENT_SPAN_COUNT - 1)] = len;
	return 0;
}

/* As a number: a global function takes no pointer to a kernel object. */
#define FILE_AT(number) as_type((void *)(number), struct file)

static __always_inline __u64 file_of_fd(__s64 fd)
{
	struct files_struct *files = LOAD(CURRENT(), files);
	struct fdtable *fdt = LOAD(files, fdt);
	struct file *file = 0;
	struct file **table;

	if (fd < 0 || fd >= LOAD(fdt, max_fds))
		return 0;
	table = LOAD(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), table + fd);
	return (__u64)file;
}

/* The first time that the call reads something there. */
static __always_inline __u8 new_place(struct watch_call *c, struct file *file)
{
	struct dentry *d = LOAD(file, f_path.dentry);
	struct vfsmount *mnt = LOAD(file, f_path.mnt);
	struct inode *inode = LOAD(file, f_inode);
	struct place p = { .generation = c->generation };
	__u8 place = EVENT_PLACE_ITSELF, one = 1;

	if (d != LOAD(mnt, mnt_root) && (LOAD(inode, i_mode) & S_IFMT) != S_IFDIR) {
		d = LOAD(d, d_parent);
		place = EVENT_PLACE_ABOVE;
	}
	p.dentry = (__u64)d;
	if (bpf_map_lookup_elem(&watch_places, &p) ||
	    bpf_map_update_elem(&watch_places, &p, &one, BPF_ANY) < 0)
		return EVENT_PLACE_KNOWN;
	return place;
}

/* What has no name: a word that no path is, for none of them begins with a '/'. */
__noinline int add_word(struct scratch *s, __u64 word, __u32 len, __u32 span)
{
	__u32 pos;

	if (!s)
		return 0;
	pos = s->pos;
	if (pos > EVENT_DATA_MAX - EVENT_PATH_MAX || len > sizeof(word))
		return 0;
	*(__u64 *)&s->e.data[pos & (EVENT_DATA_MAX - 1)] = word;
	s->pos = pos + len;
	s->e.len[span & (EVENT_SPAN_COUNT - 1)] = len;
	return 0;
}

#define WORD_PIPE 0x65706970ull /* "pipe", the first letter lowest */
#define WORD_SOCKET 0x74656b636f73ull /* "socket" */

__noinline int add_fd_path(struct scratch *s, __s64 fd, __u32 span)
{
	__u64 file = file_of_fd(fd);
	struct inode *inode;
	struct dentry *d;
	__u32 type;

	if (!s || !file)
		return 0;
	inode = LOAD(FILE_AT(file), f_inode);
	type = LOAD(inode, i_mode) & S_IFMT;
	d = LOAD(FILE_AT(file), f_path.dentry);
	if (type == S_IFSOCK)
		return add_word(s, WORD_SOCKET, 6, span);
	/* one that was made by mkfifo(3) has a name */
	if (type == S_IFIFO && LOAD(d, d_name.len) == 0)
		return add_word(s, WORD_PIPE, 4, span);
	return add_path(s, file + bpf_core_field_offset(struct file, f_path), span);
}

/* The directory a relative path starts from. */
__noinline int add_base(struct scratch *s, __s64 dir, __u32 span)
{
	if (!s)
		return 0;
	if ((__s32)dir == AT_FDCWD) {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();
		struct fs_struct *fs = BPF_CORE_READ(task, fs);

		add_path(s, (__u64)fs + bpf_core_field_offset(struct fs_struct, pwd), span);
	} else {
		add_fd_path(s, (__s32)dir, span);
	}
	return 0;
}

/* A function of its own: what it returns is any number to the verifier, which need not follow
 * seven ways from each place that asks. */
__noinline __u64 arg(struct scratch *s, __u8 number)
{
	if (!s)
		return 0;
	switch (number) {
	case 1:
		return s->e.args[0];
	case 2:
		return s->e.args[1];
	case 3:
		return s->e.args[2];
	case 4:
		return s->e.args[3];
	case 5:
		return s->e.args[4];
	case 6:
		return s->e.args[5];
	default:
		return (__u64)AT_FDCWD;
	}
}

static __always_inline int add_lexical(struct scratch *s, __u8 path, __u8 dir, __u32 span)
{
	__u32 before;

	if (!s)
		return 0;
	before = s->pos & (EVENT_DATA_MAX - 1);
	/* no name at all is none that could not be read: utimensat(2) means the fd */
	if (!arg(s, path)) {
		if (dir && (__s32)arg(s, dir) != AT_FDCWD)
			add_fd_path(s, (__s32)arg(s, dir), span);
		return 0;
	}
	add_user_string(s, arg(s, path), span);
	if (s->pos == before || s->e.data[before] != '/')
		add_base(s, arg(s, dir), span + 1);
	return 0;
}

/* Words of s->path that the verifier sees hashed in one go. */
#define HASH_WORDS 32

__noinline int hash_words(struct scratch *s, __u32 first, __u32 len)
{
	if (!s)
		return WALK_END;
	for (__u32 i = 0; i < HASH_WORDS; i++) {
		__u32 at = (first + i) * 8;

		if (at >= len)
			return WALK_END;
		s->hash = (s->hash ^ *(__u64 *)&s->path[at & (EVENT_PATH_MAX - 8)]) *
			  WATCH_HASH_PRIME;
	}
	return WALK_ON;
}

/* The first `len` bytes of s->path, at most a page. */
static __always_inline void hash_filled(struct scratch *s, __u32 len)
{
	for (__u32 i = 0; i < 8; i++)
		s->path[(len + i) & (2 * EVENT_PATH_MAX - 1)] = 0;
	for (__u32 i = 0; i < EVENT_PATH_MAX / 8; i += HASH_WORDS)
		if (hash_words(s, i, len) == WALK_END)
			break;
}

/* One page, or what is left, into s->hash. What is left is in the scratch. */
__noinline int hash_page(struct scratch *s)
{
	__u32 len;

	if (!s || s->hash_left == 0)
		return WALK_END;
	len = s->hash_left > EVENT_PATH_MAX ? EVENT_PATH_MAX : (__u32)s->hash_left;
	forget(len);
	if (len > EVENT_PATH_MAX)
		return WALK_END;
	if (bpf_probe_read_user(s->path, len, (void *)s->hash_at)) {
		s->e.flags |= EVENT_F_FAULT;
		return WALK_END;
	}
	s->hash_at += len;
	s->hash_left -= len;
	hash_filled(s, len);
	return WALK_ON;
}

/* Pages that the verifier sees in one go. */
#define HASH_TURN 32

__noinline int hash_pages(struct scratch *s)
{
	for (__u32 n = 0; n < HASH_TURN; n++)
		if (hash_page(s) == WALK_END)
			return WALK_END;
	return WALK_ON;
}

/* Of `len` bytes of the tool's memory: event.h says how. */
__noinline int hash_user(struct scratch *s, __u64 from, __u64 len)
{
	if (!s)
		return 0;
	s->hash = WATCH_HASH_START;
	s->hash_at = from;
	s->hash_left = len;
	for (__u32 n = 0; n < WATCH_HASH_PAGES; n += HASH_TURN)
		if (hash_pages(s) == WALK_END)
			break;
	return 0;
}

/* Of a string of the tool's memory; 0: it could not be read. */
__noinline int hash_string(struct scratch *s, __u64 from)
{
	long len;

	if (!s)
		return 0;
	s->hash = 0;
	len = bpf_probe_read_user_str(s->path, EVENT_PATH_MAX, (void *)from);
	if (len <= 0)
		return 0;
	s->hash = WATCH_HASH_START;
	hash_filled(s, len);
	return 0;
}

#endif
