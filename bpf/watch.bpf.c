// SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0)
/*
 * bpf/watch.bpf.c - what the calls do, as the kernel saw it.
 *
 * What it guarantees
 *	Every system call of a watched call is counted. Every record begun has
 *	a sequence number taken before room is asked for, so records delivered
 *	plus records dropped equal watch_stats.seq, exactly.
 *
 * Exit first
 *	seccomp runs before the entry tracepoint: a denied call is seen only at
 *	sys_exit, with its number and the filter's errno (WATCHING.md 2.1). At
 *	exit a path argument is resident, because the kernel has just read it.
 *
 * Who pays
 *	A process without a seccomp filter pays one load. Others pay a hash
 *	lookup by cgroup id. Nothing is attached while no session is open.
 *
 * Scratch
 *	A record is built in a per-CPU buffer, one for each program, because a
 *	program may interrupt another but never itself.
 *
 * Not here: what a record means, and whose fault an error was.
 */
#include "bpf/kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/event.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Names and mounts on the way up: each step is a call that the verifier walks past, some
 * microseconds each. A deeper path is told as "partial". */
#define WALK_MAX 256
/* Data that may wait before the reader is woken: it wakes by itself every
 * 20 ms, and a wake-up for each record doubles its cost (WATCHING.md 2.2). */
#define WAKE_BYTES (64 * 1024)
#define NAME_LIMIT 256
/* The first four bytes of a path, as a little-endian number. */
#define HEAD(a, b, c) ((__u32)'/' | (__u32)(a) << 8 | (__u32)(b) << 16 | (__u32)(c) << 24)

/* The compiler drops a mask it can prove useless; the verifier cannot follow
 * that proof. After this the value is unknown to both. */
#define forget(x) asm volatile("" : "+r"(x))

/* A number from here on came through the x32 door; -1 (no call) plus one is 0. */
#define X32_BIT 0x40000000ul

enum scratch_use { SCRATCH_SYSCALL, SCRATCH_EXEC, SCRATCH_EXIT, SCRATCH_COUNT };

struct scratch {
	struct event e;
	char slack[EVENT_PATH_MAX]; /* a span may start at the last byte */
	char path[2 * EVENT_PATH_MAX]; /* a walk fills it from its middle back */
	__u64 walk_d, walk_mnt, root_d, root_mnt; /* where a walk is, and where it ends */
	__u32 off; /* in the map, so the verifier forgets it */
	__u32 pos;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} watch_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WATCH_SLOTS);
	__type(key, __u64); /* cgroup id */
	__type(value, struct watch_call);
} watch_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct watch_stats);
} watch_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct watch_counts);
} watch_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768); /* calls x (number, errno) pairs in use */
	__type(key, struct watch_error_key);
	__type(value, __u64);
} watch_errors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_COUNT);
	__type(key, __u32);
	__type(value, struct scratch);
} watch_scratch SEC(".maps");

/* The address of a connect or bind, as the kernel copied it: family, port
 * (network order), address. From the cgroup hook to sys_exit of the thread. */
struct kernel_addr {
	__u16 family;
	__u16 port;
	__u32 addr[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096); /* threads inside connect or bind at once */
	__type(key, __u64);
	__type(value, struct kernel_addr);
} watch_addrs SEC(".maps");

const volatile struct watch_shape watch_shapes[WATCH_SYSCALLS];

/* The errno with which the policy of some open session answers a call that the default
 * allows; 0: none does. Written by the supervisor; whose it was is decided there. */
__u16 watch_denied[WATCH_SYSCALLS];

/* The errnos with which a limit of ours answers; 0: none. Whose limit it was is decided
 * there, too. */
struct watch_limit watch_limits[WATCH_SYSCALLS];

/* Some open session hides names of its workspace, so a miss may be ours. */
__u8 watch_relative;

/*
 * What a number leads to may be loaded as it is where the kernel lets us say of what type it
 * is (bpf_rdonly_cast(), 6.2): a quarter of the cost of the helper that reads anything.
 * Also what the verifier would let us load directly is cast first: it looks for each load
 * from a pointer it trusts in a list of names, a millisecond each.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
const volatile bool watch_casts;

#define as_type(pointer, type)                                                          \
	((type *)(watch_casts ? bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)) \
			      : (pointer)))
#define LOAD(from, member)                                               \
	({                                                               \
		typeof((from)->member) v_;                               \
		if (watch_casts)                                         \
			v_ = (from)->member;                             \
		else                                                     \
			bpf_core_read(&v_, sizeof(v_), &(from)->member); \
		v_;                                                      \
	})

#define CURRENT() as_type((void *)bpf_get_current_task(), struct task_struct)

struct watch_near watch_near[WATCH_NEAR];

/* Of the current task. */
static __always_inline __u64 group_of(struct task_struct *task)
{
	struct css_set *set;
	struct cgroup *group;
	struct kernfs_node *node;

	if (!watch_casts)
		return bpf_get_current_cgroup_id();
	set = task->cgroups;
	group = set->dfl_cgrp;
	node = group->kn;
	return node->id;
}

static __always_inline struct watch_call *find_call(void)
{
	struct task_struct *task = CURRENT();
	__u64 id = group_of(task);
	struct watch_near *near = &watch_near[watch_near_index(id)];
	struct watch_call *c =
		near->id == id ? &near->call : bpf_map_lookup_elem(&watch_calls, &id);

	if (!c || c->init_pid == LOAD(task, tgid))
		return 0;
	return c;
}

static __always_inline int pid_inside(struct task_struct *task)
{
	struct signal_struct *signal = LOAD(task, signal);
	struct pid *pid = LOAD(signal, pids[1]); /* PIDTYPE_TGID */
	unsigned int level = LOAD(pid, level);
	unsigned int size = bpf_core_type_size(struct upid);
	int nr = 0;

	if (!pid || !level)
		return 0;
	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (char *)pid + bpf_core_field_offset(struct pid, numbers) +
				      (__u64)level * size + bpf_core_field_offset(struct upid, nr));
	return nr;
}

/* Zeroes the head and takes the record's number. The data needs no zeroing:
 * only what a span covers is sent. */
static __always_inline struct scratch *begin(__u32 use, struct watch_call *c, __u16 kind)
{
	struct scratch *s = bpf_map_lookup_elem(&watch_scratch, &use);
	struct task_struct *task = CURRENT();
	struct watch_stats *stats;
	__u32 slot = c->slot;

	if (!s)
		return 0;
	stats = bpf_map_lookup_elem(&watch_stats, &slot);
	if (!stats)
		return 0;
	__builtin_memset(&s->e, 0, __builtin_offsetof(struct event, data));
	s->pos = 0;
	s->e.kind = kind;
	s->e.slot = slot;
	s->e.generation = c->generation;
	s->e.seq = __sync_fetch_and_add(&stats->seq, 1) + 1;
	s->e.when_ns = bpf_ktime_get_boot_ns();
	s->e.host_pid = LOAD(task, tgid);
	s->e.pid = pid_inside(task);
	s->e.ppid = pid_inside(LOAD(task, real_parent));
	s->e.nr = -1;
	/* one is ours; since 5.9 they are counted */
	if (bpf_core_field_exists(task->seccomp.filter_count) &&
	    LOAD(task, seccomp.filter_count.counter) > 1)
		s->e.flags |= EVENT_F_OWN_FILTER;
	bpf_get_current_comm(s->e.comm, sizeof(s->e.comm));
	return s;
}

static __always_inline void finish(struct scratch *s, __u32 class, bool urgent)
{
	__u64 flags = BPF_RB_NO_WAKEUP;
	__u32 slot = s->e.slot;
	struct watch_stats *stats;
	__u64 size = __builtin_offsetof(struct event, data) + (s->pos & (EVENT_DATA_MAX - 1));

	if (urgent || bpf_ringbuf_query(&watch_ring, BPF_RB_AVAIL_DATA) >= WAKE_BYTES)
		flags = BPF_RB_FORCE_WAKEUP;
	if (bpf_ringbuf_output(&watch_ring, &s->e, size, flags) == 0)
		return;
	stats = bpf_map_lookup_elem(&watch_stats, &slot);
	if (stats)
		__sync_fetch_and_add(&stats->dropped[class & (EVENT_CLASS_COUNT - 1)], 1);
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
	/* of no tree: a memfd, a pipe. Its name is all there is */
	return d == parent ? WALK_END : WALK_ON;
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
	if (pos > EVENT_DATA_MAX - EVENT_PATH_MAX)
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

static __always_inline struct file *file_of_fd(__s64 fd)
{
	struct files_struct *files = LOAD(CURRENT(), files);
	struct fdtable *fdt = LOAD(files, fdt);
	struct file *file = 0;
	struct file **table;

	if (fd < 0 || fd >= LOAD(fdt, max_fds))
		return 0;
	table = LOAD(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), table + fd);
	return file;
}

__noinline int add_fd_path(struct scratch *s, __s64 fd, __u32 span)
{
	struct file *file = file_of_fd(fd);

	if (s && file)
		add_path(s, (__u64)file + bpf_core_field_offset(struct file, f_path), span);
	return 0;
}

/* The directory a relative path starts from. */
__noinline int add_base(struct scratch *s, __s64 dir, __u32 span)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!s)
		return 0;
	if ((__s32)dir == AT_FDCWD) {
		struct fs_struct *fs = BPF_CORE_READ(task, fs);

		add_path(s, (__u64)fs + bpf_core_field_offset(struct fs_struct, pwd), span);
	} else {
		add_fd_path(s, (__s32)dir, span);
	}
	return 0;
}

static __always_inline __u64 arg(struct scratch *s, __u8 number)
{
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

static __always_inline void add_lexical(struct scratch *s, __u8 path, __u8 dir, __u32 span)
{
	__u32 before = s->pos & (EVENT_DATA_MAX - 1);

	add_user_string(s, arg(s, path), span);
	if (s->pos == before || s->e.data[before] != '/')
		add_base(s, arg(s, dir), span + 1);
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
	if (bpf_map_update_elem(&watch_errors, &key, &one, BPF_ANY) == 0)
		return;
	stats = bpf_map_lookup_elem(&watch_stats, &key.slot);
	if (stats)
		__sync_fetch_and_add(&stats->errors_missed, 1);
}

static __always_inline void read_args(struct scratch *s, struct pt_regs *regs)
{
	s->e.args[0] = LOAD(regs, di);
	s->e.args[1] = LOAD(regs, si);
	s->e.args[2] = LOAD(regs, dx);
	s->e.args[3] = LOAD(regs, r10);
	s->e.args[4] = LOAD(regs, r8);
	s->e.args[5] = LOAD(regs, r9);
}

static __always_inline void add_sockaddr(struct scratch *s, bool send)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct kernel_addr *k = bpf_map_lookup_elem(&watch_addrs, &id);
	__u64 from = send ? s->e.args[4] : s->e.args[1];
	__u32 len = send ? s->e.args[5] : s->e.args[2];
	__u16 family = 0;

	s->e.flags |= EVENT_F_ADDR;
	bpf_probe_read_user(&family, sizeof(family), (void *)from);
	/* of another family it belongs to an earlier call of this thread */
	if (k && k->family == family) {
		__builtin_memcpy(s->e.data, k, sizeof(*k));
		s->pos = sizeof(*k);
		s->e.len[EVENT_SPAN_PATH] = sizeof(*k);
		s->e.flags |= EVENT_F_ADDR_K;
	} else {
		/* sockaddr_storage is 128 bytes */
		add_user_bytes(s, from, len > 128 ? 128 : len, EVENT_SPAN_PATH);
	}
	if (k)
		bpf_map_delete_elem(&watch_addrs, &id);
}

/* An open is reported when it may write; `flags` only decide that, what was
 * opened comes from the kernel's own file. */
static __always_inline bool open_writes(const volatile struct watch_shape *shape,
					struct pt_regs *regs, __u64 *ret_flags)
{
	__u64 flags = 0;

	if (shape->flags & WATCH_CREAT) {
		flags = O_CREAT | O_TRUNC | 1;
	} else if (shape->flags & WATCH_OPEN_HOW) {
		bpf_probe_read_user(&flags, sizeof(flags), (void *)LOAD(regs, dx));
	} else if (shape->open_flags == 2) {
		flags = LOAD(regs, si);
	} else {
		flags = LOAD(regs, dx);
	}
	*ret_flags = flags;
	return (flags & O_ACCMODE) != 0 || (flags & (O_CREAT | O_TRUNC));
}

static __always_inline __u64 shape_path(const volatile struct watch_shape *shape,
					struct pt_regs *regs)
{
	switch (shape->path) {
	case 1:
		return LOAD(regs, di);
	case 2:
		return LOAD(regs, si);
	default:
		return 0;
	}
}

/*
 * A name that is not there may be one that the sandbox hides, or an ordinary miss:
 * compilers make ten thousands. Hidden is only what is absolute and outside the
 * trees that every session shows or owns; user space looks closer.
 */
static __always_inline bool may_be_hidden(const volatile struct watch_shape *shape,
					  struct pt_regs *regs)
{
	__u32 head = 0;

	if (bpf_probe_read_user(&head, sizeof(head), (void *)shape_path(shape, regs)))
		return false;
	if ((head & 0xff) != '/')
		return watch_relative;
	return head != HEAD('u', 's', 'r') && head != HEAD('l', 'i', 'b') &&
	       head != HEAD('t', 'm', 'p') && head != HEAD('p', 'r', 'o') &&
	       head != HEAD('d', 'e', 'v') && head != HEAD('b', 'i', 'n') &&
	       head != HEAD('o', 'p', 't') && head != HEAD('s', 'b', 'i');
}

#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 1 /* and MAP_SHARED_VALIDATE, 3 */
#define MAP_ANONYMOUS 0x20

/* mmap(2), mprotect(2): the third argument is the protection, the fourth the flags. */
static __always_inline bool maps_code(const volatile struct watch_shape *shape,
				      struct pt_regs *regs)
{
	__u64 prot = LOAD(regs, dx), flags = LOAD(regs, r10);

	if (shape->more & WATCH_PROTECT)
		return prot & PROT_EXEC;
	if (prot & PROT_EXEC)
		return true;
	return (prot & PROT_WRITE) && (flags & MAP_SHARED) && !(flags & MAP_ANONYMOUS);
}

static __always_inline bool wanted(const volatile struct watch_shape *shape, __u32 nr,
				   struct pt_regs *regs, long ret, bool *ret_denied,
				   __u64 *ret_flags)
{
	*ret_denied = ret < 0 && ((shape->deny_errno &&
				   (ret == -(long)shape->deny_errno ||
				    (shape->deny_errno2 && ret == -(long)shape->deny_errno2))) ||
				  (watch_denied[nr] && ret == -(long)watch_denied[nr]) ||
				  ret == -(long)watch_limits[nr].error ||
				  ret == -(long)watch_limits[nr].error2);
	if (shape->more & WATCH_SEND)
		return LOAD(regs, r8) != 0;
	if (*ret_denied)
		return true;
	if (shape->more & (WATCH_MAP | WATCH_PROTECT))
		return maps_code(shape, regs);
	if (shape->flags & WATCH_ANY)
		return true;
	if (!(shape->flags & (WATCH_REPORT | WATCH_OPEN | WATCH_PROBE)))
		return false;
	if (ret == -ENOENT)
		return (shape->flags & (WATCH_OPEN | WATCH_PROBE)) && may_be_hidden(shape, regs);
	if (shape->flags & WATCH_PROBE)
		return ret == -EACCES; /* a cover of ours, or the file's own mode */
	if (shape->flags & WATCH_OPEN) {
		bool writes = open_writes(shape, regs, ret_flags);

		if (ret >= 0)
			return writes;
		return ret == -EACCES || ret == -EPERM || ret == -EROFS;
	}
	return ret >= 0 || ret == -EACCES || ret == -EPERM || ret == -EROFS;
}

static __always_inline void fill_open(struct scratch *s, const volatile struct watch_shape *shape,
				      long ret, __u64 flags)
{
	struct file *file = ret >= 0 ? file_of_fd(ret) : 0;

	if (file) {
		s->e.flags |= EVENT_F_KERNEL;
		if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
			s->e.flags |= EVENT_F_CREATED;
		add_path(s, (__u64)file + bpf_core_field_offset(struct file, f_path),
			 EVENT_SPAN_PATH);
	} else {
		add_lexical(s, shape->path, shape->dir, EVENT_SPAN_PATH);
	}
	s->e.args[5] = flags; /* no open has a sixth argument */
}

static __always_inline void report_syscall(struct watch_call *c, struct pt_regs *regs, __u32 nr,
					   long ret)
{
	const volatile struct watch_shape *shape = &watch_shapes[nr];
	struct scratch *s;
	bool denied;
	__u64 flags = 0;

	if (!wanted(shape, nr, regs, ret, &denied, &flags)) {
		if (shape->more & WATCH_FORGET) {
			__u64 id = bpf_get_current_pid_tgid();

			bpf_map_delete_elem(&watch_addrs, &id);
		}
		return;
	}
	s = begin(SCRATCH_SYSCALL, c, denied ? EVENT_DENIED : EVENT_SYSCALL);
	if (!s)
		return;
	s->e.nr = nr;
	s->e.ret = ret;
	read_args(s, regs);
	if (shape->flags & WATCH_OPEN) {
		fill_open(s, shape, ret, flags);
	} else if (shape->flags & WATCH_SOCKADDR) {
		add_sockaddr(s, shape->more & WATCH_SEND);
	} else if (shape->flags & WATCH_FD) {
		s->e.flags |= EVENT_F_KERNEL;
		add_fd_path(s, (__s32)s->e.args[0], EVENT_SPAN_PATH);
	} else if (shape->more & WATCH_MAP) {
		s->e.flags |= EVENT_F_KERNEL;
		if (!(s->e.args[3] & MAP_ANONYMOUS))
			add_fd_path(s, (__s32)s->e.args[4], EVENT_SPAN_PATH);
	} else if (shape->path) {
		add_lexical(s, shape->path, shape->dir, EVENT_SPAN_PATH);
		if (shape->path2)
			add_lexical(s, shape->path2, shape->dir2, EVENT_SPAN_PATH2);
	}
	finish(s, denied ? EVENT_CLASS_DENIED : shape->event_class, denied);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *trusted, long ret)
{
	struct pt_regs *regs = as_type(trusted, struct pt_regs);
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct watch_counts *counts;
	struct watch_call *c;
	__s64 nr;
	__u32 slot;

	if (task->seccomp.mode != SECCOMP_MODE_FILTER)
		return 0;
	c = find_call();
	if (!c)
		return 0;
	nr = (__s64)LOAD(regs, orig_ax);
	if (nr < 0)
		return 0;
	/* the filter kills what enters through the i386 or the x32 door; its
	 * numbers mean other calls, and the death is told by SIGSYS at exit */
	if ((task->thread_info.status & TS_COMPAT) || (nr & 0x40000000))
		return 0;
	if (nr >= WATCH_SYSCALLS)
		nr = WATCH_SYSCALLS - 1;
	slot = c->slot;
	counts = bpf_map_lookup_elem(&watch_counts, &slot);
	if (!counts)
		return 0;
	nr &= WATCH_SYSCALLS - 1;
	counts->count[nr]++;
	if (ret < 0 && ret >= -4095)
		count_error(c, nr, ret);
	report_syscall(c, regs, nr, ret);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct watch_call *c = find_call();
	struct mm_struct *mm;
	struct file *exe;
	struct fs_struct *fs;
	struct scratch *s;
	__u64 start, end;

	if (!c)
		return 0;
	s = begin(SCRATCH_EXEC, c, EVENT_EXEC);
	if (!s)
		return 0;
	mm = BPF_CORE_READ(task, mm);
	exe = BPF_CORE_READ(mm, exe_file);
	fs = BPF_CORE_READ(task, fs);
	start = BPF_CORE_READ(mm, arg_start);
	end = BPF_CORE_READ(mm, arg_end);
	s->e.flags |= EVENT_F_KERNEL;
	if (exe)
		add_path(s, (__u64)exe + bpf_core_field_offset(struct file, f_path),
			 EVENT_SPAN_PATH);
	add_path(s, (__u64)fs + bpf_core_field_offset(struct fs_struct, pwd), EVENT_SPAN_BASE);
	if (end > start)
		add_user_bytes(s, start,
			       end - start > EVENT_ARGV_MAX ? EVENT_ARGV_MAX : (__u32)(end - start),
			       EVENT_SPAN_PATH2);
	finish(s, EVENT_CLASS_PROC, true);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct watch_call *c = find_call();
	struct signal_struct *sig;
	struct pt_regs *regs;
	struct scratch *s;

	/* the last thread of the group speaks for it */
	if (!c || BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	s = begin(SCRATCH_EXIT, c, EVENT_EXIT);
	if (!s)
		return 0;
	/* killed inside a call: the marks of its door are still there */
	regs = as_type((void *)bpf_task_pt_regs(bpf_get_current_task_btf()), struct pt_regs);
	if ((BPF_CORE_READ(task, thread_info.status) & TS_COMPAT) ||
	    (LOAD(regs, orig_ax) + 1 > X32_BIT))
		s->e.flags |= EVENT_F_FOREIGN;
	sig = BPF_CORE_READ(task, signal);
	s->e.ret = BPF_CORE_READ(task, exit_code);
	s->e.args[0] = BPF_CORE_READ(task, utime) + BPF_CORE_READ(sig, utime);
	s->e.args[1] = BPF_CORE_READ(task, stime) + BPF_CORE_READ(sig, stime);
	s->e.args[2] = BPF_CORE_READ(task, mm, hiwater_rss);
	finish(s, EVENT_CLASS_PROC, true);
	return 0;
}

static __always_inline int keep_addr(struct bpf_sock_addr *ctx, bool v6)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct kernel_addr a = { .family = ctx->family, .port = ctx->user_port };

	if (v6) {
		a.addr[0] = ctx->user_ip6[0];
		a.addr[1] = ctx->user_ip6[1];
		a.addr[2] = ctx->user_ip6[2];
		a.addr[3] = ctx->user_ip6[3];
	} else {
		a.addr[0] = ctx->user_ip4;
	}
	bpf_map_update_elem(&watch_addrs, &id, &a, BPF_ANY);
	return 1; /* allow: the session's own network is the fence */
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, false);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, true);
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, false);
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, true);
}
