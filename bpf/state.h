/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/state.h - what the programs share among them and with user space: the maps, and
 * how a call and a process are found.
 */
#ifndef BPF_STATE_H
#define BPF_STATE_H

#include "bpf/kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/event.h"

/* Names and mounts on the way up: each step is a call that the verifier walks past, some
 * microseconds each. A deeper path is told as "partial". */
#define WALK_MAX 256
/* Data that may wait before the reader is woken: it wakes by itself every
 * 20 ms, and a wake-up for each record doubles its cost (WATCHING.md 2.2). */
#define WAKE_BYTES (64 * 1024)
#define RING_BYTES (8 * 1024 * 1024)
/* What is cheap to lose makes room in time for what is not. */
#define FULL_FOR_FILES (RING_BYTES / 4 * 3)
#define FULL_FOR_NET (RING_BYTES / 8 * 7)
#define FULL_FOR_DENIED (RING_BYTES / 16 * 15)
/* Here a lossless call is slowed down, until the reader has braked it or caught up: a freeze
 * takes a millisecond, and a flood fills what is left in less. */
#define SLOW_BYTES (RING_BYTES / 8 * 5)
#define SLOW_LOOKS 64 /* in one function that is verified */
#define SLOW_TURNS_ROOT 16 /* 256 of those, some 200 us: with preemption off, so no more */
/* What one call may have waiting, so that its flood is not another's loss; of what it lives by
 * and dies of, as much as there is room for. */
#define QUOTA_CHEAP (RING_BYTES / 4)
#define QUOTA_ANY (RING_BYTES / 2)
#define NAME_LIMIT 256
/* The first four bytes of a path, as a little-endian number. */
#define HEAD(a, b, c) ((__u32)'/' | (__u32)(a) << 8 | (__u32)(b) << 16 | (__u32)(c) << 24)

/* The compiler drops a mask it can prove useless; the verifier cannot follow
 * that proof. After this the value is unknown to both. */
#define forget(x) asm volatile("" : "+r"(x))

/* A number from here on came through the x32 door; -1 (no call) plus one is 0. */
#define X32_BIT 0x40000000ul

enum scratch_use {
	SCRATCH_SYSCALL,
	SCRATCH_EXEC,
	SCRATCH_EXIT,
	SCRATCH_FORK,
	SCRATCH_ENTER,
	SCRATCH_URING,
	SCRATCH_COUNT
};

struct scratch {
	struct event e;
	/* a walk fills it from its middle back; and to the verifier a span of `e` may begin at
	 * its last byte, and reach in here */
	char path[2 * EVENT_PATH_MAX];
	__u64 walk_d, walk_mnt, root_d, root_mnt; /* where a walk is, and where it ends */
	__u64 hash, hash_at, hash_left; /* of hash_page() */
	__u32 off; /* in the map, so the verifier forgets it */
	__u32 pos;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
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
	__uint(max_entries, WATCH_ERRORS);
	__type(key, struct watch_error_key);
	__type(value, __u64);
} watch_errors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WATCH_PROCESSES);
	__type(key, __u32);
	__type(value, struct watch_process);
} watch_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, WATCH_BURSTS);
	__type(key, __u32);
	__type(value, struct watch_burst);
} watch_bursts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WATCH_BURSTS);
	__type(key, struct watch_burst_key);
	__type(value, __u32); /* index of its watch_burst */
} watch_burst_index SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, WATCH_BURSTS);
	__type(value, __u32); /* of a watch_burst that nobody uses */
} watch_burst_free SEC(".maps");

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
	__u32 hook; /* enum addr_hook: what it was given to */
};
#define KERNEL_ADDR_SENT 20 /* without `hook` */

enum addr_hook { ADDR_HOOK_CONNECT = 1, ADDR_HOOK_BIND = 2, ADDR_HOOK_SEND = 3 };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096); /* threads inside connect or bind at once */
	__type(key, __u64);
	__type(value, struct kernel_addr);
} watch_addrs SEC(".maps");

/* The strings of a call as they were before it, by thread. */
struct twice {
	__u64 nr, first, second;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096); /* threads inside a call with a path at once */
	__type(key, __u64);
	__type(value, struct twice);
} watch_twice SEC(".maps");

/* Where a call has read already: a directory, or a file that is shown by itself. Those that
 * were longest not met are told again. */
struct place {
	__u64 generation, dentry;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192); /* directories of some builds at once */
	__type(key, struct place);
	__type(value, __u8);
} watch_places SEC(".maps");

/* What was asked of io_uring and is not done yet, by request. */
struct asked {
	__u64 generation;
	__u64 serial; /* the kernel uses the memory of a request again at once */
	__u64 user_data;
	__u32 nr;
	__u32 opcode;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096); /* requests in flight; an older one's end is not told */
	__type(key, __u64);
	__type(value, struct asked);
} watch_asked SEC(".maps");

/* Of the last request that is told. */
__u64 watch_asked_serial;

const volatile struct watch_shape watch_shapes[WATCH_SYSCALLS];

struct watch_wish watch_wishes[WATCH_SLOTS];
__u64 watch_names[WATCH_NAME_WORDS];

/* The reader of the ring is at work: to wake it costs as much as a record. */
__u8 watch_reads;

/* on_sys_enter is attached. */
__u8 watch_enters;

/* Of the supervisor; and the number of the pulse it waits for, 0: none. */
__u32 watch_pulse_tgid;
__u64 watch_pulse;

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

/* As the call sees it. */
static __always_inline int number_inside(struct pid *pid)
{
	unsigned int level = LOAD(pid, level);
	struct upid *own;

	if (!pid || !level)
		return 0;
	own = as_type((char *)pid + bpf_core_field_offset(struct pid, numbers) +
			      (__u64)level * bpf_core_type_size(struct upid),
		      struct upid);
	return LOAD(own, nr);
}

static __always_inline int pid_inside(struct task_struct *task)
{
	struct signal_struct *signal = LOAD(task, signal);

	return number_inside(LOAD(signal, pids[1])); /* PIDTYPE_TGID */
}

/* In a function of its own: it is asked for a millisecond of each call. */
__noinline int is_first_inside_now(void)
{
	return pid_inside(CURRENT()) == 1;
}

/* Of the current task, which the caller has. */
static __always_inline struct watch_call *find_call(struct task_struct *task)
{
	__u64 id = group_of(task);
	struct watch_near *near = &watch_near[watch_near_index(id)];
	struct watch_call *c =
		near->id == id ? &near->call : bpf_map_lookup_elem(&watch_calls, &id);

	if (!c || c->init_pid == LOAD(task, tgid))
		return 0;
	/* in its first moments init has no number there yet, and is known by the other one */
	if (!c->init_pid && is_first_inside_now())
		return 0;
	return c;
}

#endif
