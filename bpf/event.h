/* SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0) */
/*
 * bpf/event.h - the record contract between the BPF programs and user space.
 *
 * Rules
 *	- fixed widths, named padding, no pointers, no packed structs
 *	- numbers are append only; a field never changes its meaning
 *	- strings travel as a length in `len[]` and bytes in `data`, in the order
 *	  of enum event_span; nothing is NUL-terminated for the reader
 *	- a record is read only after its length was checked with event_is_sound()
 *
 * tests/unit/event_abi.c compares these offsets with the BTF of the BPF object.
 */
#ifndef BPF_EVENT_H
#define BPF_EVENT_H

#ifndef __bpf__
#include <stddef.h>
#include <linux/types.h>
#endif

#define EVENT_ABI 1u /* bump when a field that is already here changes */

/* Calls watched at once: one slot each in the per-call tables (DESIGN.md asks
 * for 64 running, and 256 in the memory test). */
#define WATCH_SLOTS 256
/* Above the highest number of any kernel we know (6.18: 470), and a power of
 * two, so that the verifier sees an index bounded by a mask. */
#define WATCH_SYSCALLS 512
/* PATH_MAX of the kernel, NUL included. */
#define EVENT_PATH_MAX 4096
/* argv is cut here; the flag EVENT_F_CUT says so. */
#define EVENT_ARGV_MAX 4096
/* Four spans of at most a page each. */
#define EVENT_DATA_MAX 16384

enum event_kind {
	EVENT_NONE = 0, /* never sent: a zeroed record is invalid */
	EVENT_EXEC = 1,
	EVENT_EXIT = 2,
	EVENT_SYSCALL = 3, /* a call of the reported set, as it returned */
	EVENT_DENIED = 4, /* returned the errno our filter answers with */
};

/* Why a record could be lost, cheapest to lose first. */
enum event_class {
	EVENT_CLASS_FILE = 0,
	EVENT_CLASS_NET = 1,
	EVENT_CLASS_PROC = 2,
	EVENT_CLASS_DENIED = 3,
	EVENT_CLASS_COUNT = 4,
};

enum event_flag {
	EVENT_F_CUT = 1 << 0, /* a span was longer than its limit */
	EVENT_F_FAULT = 1 << 1, /* a user string could not be read */
	EVENT_F_KERNEL = 1 << 2, /* span PATH is the kernel's own path */
	EVENT_F_CREATED = 1 << 3, /* the open made the file */
	EVENT_F_ADDR = 1 << 4, /* span PATH is a sockaddr */
	EVENT_F_ADDR_K = 1 << 5, /* ... as the kernel copied it */
	EVENT_F_PARTIAL = 1 << 6, /* path deeper than the walk's bound */
	EVENT_F_OWN_FILTER = 1 << 7, /* the tool loaded a filter: it may answer itself */
	EVENT_F_FOREIGN = 1 << 8, /* exit: inside an i386 or x32 call */
	EVENT_F_NOTIFY = 1 << 9, /* by seccomp, before the call: what it returns is not known */
};

enum event_span {
	EVENT_SPAN_PATH = 0, /* exec: the executable */
	EVENT_SPAN_BASE = 1, /* directory PATH is relative to; exec: cwd */
	EVENT_SPAN_PATH2 = 2, /* rename, link: the second; exec: argv */
	EVENT_SPAN_BASE2 = 3,
	EVENT_SPAN_COUNT = 4,
};

struct event {
	__u16 kind; /* enum event_kind */
	__u16 flags; /* enum event_flag */
	__u32 slot; /* which call: index into the per-call tables */
	__u64 generation; /* of the slot, so that a late record is known */
	__u64 seq; /* taken before the reservation; gaps are losses */
	__u64 when_ns; /* CLOCK_BOOTTIME */
	__u32 host_pid; /* thread group, initial pid namespace */
	__u32 pid; /* thread group, the call's pid namespace */
	__u32 ppid; /* parent, as the call sees it; 0 outside of it */
	__s32 nr; /* system call, -1 where there is none */
	__s64 ret; /* exit: the kernel's exit_code */
	__u64 args[6]; /* exit: utime_ns, stime_ns, maxrss_pages */
	__u16 len[EVENT_SPAN_COUNT];
	char comm[16];
	char data[EVENT_DATA_MAX];
};

#ifndef __bpf__
#define EVENT_HEAD_SIZE offsetof(struct event, data)
_Static_assert(EVENT_HEAD_SIZE == 128, "struct event changed size");
#endif

/* What the kernel side knows of a call, found by its cgroup id. */
struct watch_call {
	__u64 generation;
	__u32 slot;
	__u32 init_pid; /* host pid of the call's init: not the tool's */
};

/*
 * A table in front of the one by cgroup id, where an entry is found without a lookup: user
 * space fills it where nobody is, and what is not in it is looked up. `id` is written last,
 * and made 0 before anything else changes.
 */
#define WATCH_NEAR 1024
struct watch_near {
	__u64 id; /* of the cgroup; 0: nobody */
	struct watch_call call;
};

/* Knuth's multiplier: ids of groups are some dozens apart. */
static inline __u32 watch_near_index(__u64 id)
{
	return (__u32)((id * 2654435761u) >> 16) & (WATCH_NEAR - 1);
}

/* Written by the kernel side only; user space maps it. One per slot. */
struct watch_stats {
	__u64 seq; /* records begun */
	__u64 dropped[EVENT_CLASS_COUNT]; /* of those, not delivered */
	__u64 errors_missed; /* failing calls beyond watch_errors */
};

struct watch_counts {
	__u64 count[WATCH_SYSCALLS];
};

/* 0: none; a failing call never returned that. */
struct watch_limit {
	__u16 error, error2;
};

struct watch_error_key {
	__u32 slot;
	__u16 nr;
	__u16 error;
};

/* How a system call is reported. Filled by user space, by name, before load. */
enum watch_shape_flag {
	WATCH_REPORT = 1 << 0, /* report when it succeeds */
	WATCH_OPEN = 1 << 1, /* result is an fd: report when it may write */
	WATCH_OPEN_HOW = 1 << 2, /* flags are in a struct open_how */
	WATCH_SOCKADDR = 1 << 3, /* argument 1 is a sockaddr, 2 its length */
	WATCH_FD = 1 << 4, /* argument 0 is an fd: name its file */
	WATCH_ANY = 1 << 5, /* report whatever it returned */
	WATCH_CREAT = 1 << 6, /* creat(2): always for writing */
	WATCH_PROBE = 1 << 7, /* only failures that may be a denial */
};

enum watch_shape_more {
	WATCH_SEND = 1 << 0, /* argument 4 is a sockaddr, 5 its length */
	WATCH_FORGET = 1 << 1, /* it may have passed the address hook: no connect of it */
	WATCH_MAP = 1 << 2, /* only memory of a file that may be run, or written to it */
	WATCH_PROTECT = 1 << 3, /* only memory that may be run */
};

struct watch_shape {
	__u8 flags; /* enum watch_shape_flag */
	__u8 event_class; /* enum event_class */
	__u8 path; /* argument number + 1 of a path, 0: none */
	__u8 dir; /* argument number + 1 of its directory fd */
	__u8 path2;
	__u8 dir2;
	__u8 open_flags; /* argument number + 1 of open flags */
	__u8 more; /* enum watch_shape_more */
	__u16 deny_errno; /* errno our filter may answer with, 0: none */
	__u16 deny_errno2; /* a second one */
};

#endif
