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

#define EVENT_ABI 2u /* bump when a field that is already here changes */

/* Calls watched at once: one slot each in the per-call tables (DESIGN.md asks
 * for 64 running, and 256 in the memory test). */
#define WATCH_SLOTS 256
/* Above the highest number of any kernel we know (6.18: 470), and a power of
 * two, so that the verifier sees an index bounded by a mask. */
#define WATCH_SYSCALLS 512
/* PATH_MAX of the kernel, NUL included. */
#define EVENT_PATH_MAX 4096
/* argv is sent up to here; of a longer one EVENT_F_CUT, its whole length and its hash tell. */
#define EVENT_ARGV_MAX 8192
/* ... and of a call that floods the ring no more than this. */
#define EVENT_ARGV_SHORT 256
/* Four spans of at most a page each, or two and argv. */
#define EVENT_DATA_MAX 16384

enum event_kind {
	EVENT_NONE = 0, /* never sent: a zeroed record is invalid */
	EVENT_EXEC = 1,
	EVENT_EXIT = 2,
	EVENT_SYSCALL = 3, /* a call of the reported set, as it returned */
	EVENT_DENIED = 4, /* returned the errno our filter answers with */
	EVENT_FORK = 5, /* a process or a thread was made; told by its parent */
	EVENT_WRITE = 6, /* the first write of a burst: struct watch_burst counts the others */
	EVENT_PULSE = 7, /* the supervisor's own: the way from the kernel to it is open */
	EVENT_URING = 8, /* asked of io_uring, as if it were `nr` */
	EVENT_URING_DONE = 9, /* what came of it, and the file that it was about */
	EVENT_KIND_COUNT = 10,
};

/* What a record is about: cheapest to lose first. */
enum event_class {
	EVENT_CLASS_TRACE = 0, /* only because it was asked for */
	EVENT_CLASS_FILE = 1,
	EVENT_CLASS_NET = 2,
	EVENT_CLASS_PROC = 3, /* signals, and what a process asks for itself */
	EVENT_CLASS_DENIED = 4, /* and connections */
	EVENT_CLASS_LIFE = 5, /* executed, ended, made: without them nothing else is understood */
	EVENT_CLASS_COUNT = 8, /* a power of two: it is a mask */
};

/* Why it was lost. */
enum event_loss { EVENT_LOSS_FULL, EVENT_LOSS_QUOTA, EVENT_LOSS_COUNT };

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
	EVENT_F_LATE = 1 << 8, /* io_uring: it was told already, without what came of it */
	EVENT_F_NOTIFY = 1 << 9, /* by seccomp, before the call: what it returns is not known */
	EVENT_F_TRACED = 1 << 10, /* somebody asked for this call */
	EVENT_F_TOCTOU = 1 << 11, /* the string or the address changed while the call ran */
	EVENT_F_READ = 1 << 12, /* an open for reading, of what another call may have written */
	EVENT_F_THREAD = 1 << 13, /* fork: a thread, not a process */
	EVENT_F_KILLED = 1 << 13, /* system call: a signal ends its process, which is in it */
	EVENT_F_TWICE = 1 << 14, /* its strings were read before the call, too */
	EVENT_F_ONLY_TRACED = 1 << 15, /* and it would not be here otherwise */
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
	__u64 args[6]; /* of kinds that are no system call: enum event_arg */
	__u16 len[EVENT_SPAN_COUNT];
	char comm[16];
	__u64 start_ns; /* when the process began, CLOCK_BOOTTIME: with host_pid its name */
	__u64 parent_start_ns;
	__u32 host_ppid;
	__u32 tid; /* in the call's pid namespace */
	char data[EVENT_DATA_MAX];
};

enum event_place {
	EVENT_PLACE_KNOWN = 0,
	EVENT_PLACE_ABOVE = 1, /* the directory that the file is in */
	EVENT_PLACE_ITSELF = 2, /* it is a directory, or what is mounted by itself */
};

/* What args[] holds where it is not a system call's. */
enum event_arg {
	EVENT_ARG_EXIT_UTIME = 0, /* ns */
	EVENT_ARG_EXIT_STIME = 1, /* ns */
	EVENT_ARG_EXIT_RSS = 2, /* pages, at its highest */
	EVENT_ARG_EXIT_INSIDE = 3, /* number + 1 of the call it died in, 0: none */

	EVENT_ARG_EXEC_DEV = 0, /* of the program's file: kernel's dev_t */
	EVENT_ARG_EXEC_INO = 1,
	EVENT_ARG_EXEC_LENGTH = 2, /* bytes of argv, NULs included */
	EVENT_ARG_EXEC_HASH = 3, /* of all of argv when it was cut: watch_hash_words() */

	EVENT_ARG_FORK_HOST_PID = 0, /* thread group of the child */
	EVENT_ARG_FORK_PID = 1,
	EVENT_ARG_FORK_TID = 2,
	EVENT_ARG_FORK_START = 3,
	EVENT_ARG_FORK_FLAGS = 4, /* of clone(2) */

	EVENT_ARG_WRITE_BURST = 0, /* index of its struct watch_burst; EVENT_NO_BURST: none */
	EVENT_ARG_WRITE_BYTES = 1, /* of this write */
	EVENT_ARG_WRITE_DENTRY = 2, /* the rest of struct watch_burst_key */
	EVENT_ARG_WRITE_INODE = 3,
	EVENT_ARG_WRITE_NAME = 4,
	EVENT_ARG_WRITE_SLOT = 5,

	EVENT_ARG_OPEN_PLACE =
		4, /* enum event_place: the first time that something is read there */

	EVENT_ARG_URING_REQUEST = 4, /* of both the same number; 0: no answer will be known */
	EVENT_ARG_URING_FLAGS = 5, /* asked: of an open, or of a renaming */
	EVENT_ARG_URING_PLACE = 0, /* done: enum event_place */

	EVENT_ARG_PEER = 5, /* connect to a Unix socket: host pid of who listens, or 0 */
};
#define EVENT_NO_BURST (~0ull)

#ifndef __bpf__
#define EVENT_HEAD_SIZE offsetof(struct event, data)
_Static_assert(EVENT_HEAD_SIZE == 152, "struct event changed size");
#endif

/* The hash of argv: 64-bit FNV-1a over little-endian words of 8 bytes, the last one filled
 * up with zeros. */
#define WATCH_HASH_START 0xcbf29ce484222325ull
#define WATCH_HASH_PRIME 0x100000001b3ull
/* Pages that are hashed: what execve(2) takes at most, 6 MiB (fs/exec.c: three quarters of
 * _STK_LIM), and the words' last page. */
#define WATCH_HASH_PAGES 1537

enum watch_call_flag {
	WATCH_CALL_LOSSLESS = 1 << 0, /* it is braked, so nothing of it is given up early */
};

/* What the kernel side knows of a call, found by its cgroup id. */
struct watch_call {
	__u64 generation;
	__u32 slot;
	__u32 init_pid; /* host pid of the call's init: not the tool's */
	__u32 session; /* a number of its own: what it wrote is known by it */
	__u32 flags; /* enum watch_call_flag */
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
	__u64 why[EVENT_LOSS_COUNT]; /* the same ones */
	__u64 sent; /* bytes put into the ring */
	__u64 errors_missed; /* failing calls beyond watch_errors */
	__u64 error_pairs; /* what it has there */
	__u64 unkept; /* calls of processes that found no room in watch_processes */
};

/* What user space has taken out of the ring, and what it wants to see. The first changes all
 * the time and the others are read in each system call: they share no line of a cache. */
struct watch_wish {
	__u64 taken; /* bytes; written by user space, like `trace` */
	__u64 processes, bursts; /* places it has: the kernel side adds, user space takes off */
	__u64 renames; /* that succeeded: by the kernel side */
	__u64 reserved[4];
	__u64 begun; /* generation whose first program was executed: by the kernel side */
	__u64 trace[WATCH_SYSCALLS / 64]; /* a bit for each number that is traced */
	__u64 reserved2[7];
};

/*
 * What each process did last, and how often it did what. A process takes one of two places
 * at its first system call; user space reads it, and gives the place back, when it has
 * ended. Calls of a process without a place are counted for the whole call alone.
 */
#define WATCH_PROCESSES 1024 /* eight megabytes; 256 processes are a call's default limit */
#define WATCH_PROCESSES_SHARE (WATCH_PROCESSES / 2) /* of one call */
#define WATCH_WAYS 2
#define WATCH_RECENT 256
#define WATCH_PAIRS 32 /* different (number, errno) of one process; a build's have a dozen */
struct watch_pair {
	__u64 key; /* nr | error << 16; 0: free */
	__u64 count;
};
struct watch_process {
	__u64 tgid; /* 0: nobody. Written first by the kernel, last by user space */
	__u64 slot;
	__u64 generation;
	__u64 start_ns;
	__u64 ended; /* its last thread is gone: nothing is counted any more */
	__u64 total; /* calls; the last is recent[(total - 1) % WATCH_RECENT] */
	__u64 pairs_missed;
	__u64 recent[WATCH_RECENT]; /* watch_recent() */
	__u32 recent_tid[WATCH_RECENT]; /* in the call's pid namespace; 0: it was the only thread */
	__u64 counts[WATCH_SYSCALLS];
	struct watch_pair pairs[WATCH_PAIRS];
};

/* 23 bits of the kernel's ticks (nine hours at 250 a second), 9 of number, 32 of result:
 * reading a clock would double the cost of a counted call. */
#define WATCH_RECENT_TICKS (1u << 23)
/* In place of a result that is no error and needs more bits: an address. */
#define WATCH_RECENT_LARGE 0x80000000u
static inline __u64 watch_recent(__u64 ticks, __u32 nr, __s64 ret)
{
	__u32 kept = ret >= -4095 && ret <= 0x7fffffff ? (__u32)ret : WATCH_RECENT_LARGE;

	return ticks << 41 | (__u64)(nr & (WATCH_SYSCALLS - 1)) << 32 | kept;
}

/* Writes to one file by one process, until it is quiet. Counted by the kernel side only,
 * and given back by user space a good while after nobody can find it any more. */
#define WATCH_BURSTS 1024 /* files that are written at once; beyond, each write is told */
#define WATCH_BURSTS_SHARE (WATCH_BURSTS / 4) /* of one call */
struct watch_burst {
	__u64 ops, bytes;
	__u64 first_ns, last_ns; /* CLOCK_BOOTTIME */
};

struct watch_burst_key {
	__u64 dentry, inode, name; /* where the kernel holds it, and the hash of its name */
	__u32 tgid;
	__u32 slot; /* WATCH_SLOTS are its low 8 bits; above, how often its call has renamed */
};

/* A bit for each name that a call of a session has written: an open for reading of one that
 * is not here is of no interest. Names of many sessions share it. */
#define WATCH_NAME_WORDS 8192

struct watch_counts {
	__u64 count[WATCH_SYSCALLS];
};

/* 0: none; a failing call never returned that. */
struct watch_limit {
	__u16 error, error2;
};

/* Different (number, errno) of calls, where their processes have no place for them; the tool
 * may choose both, so a call has a share. */
#define WATCH_ERRORS 32768
#define WATCH_ERRORS_SHARE 1024

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
	WATCH_FD = 1 << 4, /* it is about the file of `fd` */
	WATCH_ANY = 1 << 5, /* report whatever it returned */
	WATCH_CREAT = 1 << 6, /* creat(2): always for writing */
	WATCH_PROBE = 1 << 7, /* only failures that may be a denial */
};

enum watch_shape_more {
	WATCH_SEND = 1 << 0, /* argument 4 is a sockaddr, 5 its length */
	WATCH_MAP = 1 << 2, /* only memory of a file that may be run, or written to it */
	WATCH_PROTECT = 1 << 3, /* only memory that may be run */
	WATCH_FAILED = 1 << 4, /* only when it failed: success is told by another record */
	WATCH_WRITE = 1 << 5, /* writes to the file of `fd` */
	WATCH_LOCAL = 1 << 6, /* succeeded: the socket's own address, as the kernel has it */
	WATCH_PEER = 1 << 7, /* result is a socket: who is at its other end */
	WATCH_MSG = 1 << 8, /* argument 1 is a struct msghdr with the address */
	WATCH_FORKS = 1 << 9, /* it returns twice, with 0 in the child: once is counted */
	WATCH_CWD = 1 << 10, /* succeeded: the path is the directory it went to */
	WATCH_RENAMES = 1 << 1, /* what is open may be called otherwise from now on */
	WATCH_MMSG = 1 << 11, /* with WATCH_MSG: an array of them, argument 2 long */
};

struct watch_shape {
	__u8 flags; /* enum watch_shape_flag */
	__u8 event_class; /* enum event_class */
	__u8 path; /* argument number + 1 of a path, 0: none */
	__u8 dir; /* argument number + 1 of its directory fd */
	__u8 path2; /* likewise, the second */
	__u8 dir2;
	__u8 open_flags; /* argument number + 1 of open flags */
	__u8 fd; /* argument number + 1 of an fd, 0: none */
	__u16 more; /* enum watch_shape_more */
	__u16 deny_errno; /* errno our filter may answer with, 0: none */
	__u16 deny_errno2; /* a second one */
};

#endif
