// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/wire.h - what the supervisor may ask of the warden, and hears back.
 *
 * Every message is a struct of fixed size, compared with ==. It holds no
 * pointer and no number that is not checked against a limit before use. Paths
 * are NUL-terminated inside their arrays, which is checked, too. What is of
 * variable length (argv, environment) travels as a sealed memfd that only the
 * tool's own process reads, after it has lost its privileges.
 */
#ifndef SANDBOX_WIRE_H
#define SANDBOX_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#define SB_ABI 2u
#define SB_ID_MAX 16 /* "s-" and 10 characters, NUL, padding */
#define SB_PATH_MAX 4096 /* PATH_MAX */
#define SB_ERROR_MAX 4095 /* largest errno a kernel answers with */

/*
 * User ids. systemd lists 0x70000000 and up as nobody's (its container range
 * ends below); ids from 2^31 on break programs that keep them in an int.
 * Range 0 is Glovebox's own: its first id is the supervisor's.
 */
#define SB_RANGE_SIZE 65536u
#define SB_RANGE_FIRST 0x70000000u
#define SB_RANGE_COUNT 4096u
#define SB_SUPERVISOR_ID SB_RANGE_FIRST

#define SB_AGENT_ID 1000u /* the user `agent`, as the call sees it */

/* The rlimit on processes is this much above the control group's, which is met first and
 * then told. */
#define SB_NPROC_SLACK 16

/* Limits a request may ask for. */
#define SB_PIDS_MAX 32768u /* default kernel.pid_max */
#define SB_MLOCK_MAX (1u << 20) /* a ring of 4,096 entries; it may not pin the machine's memory */
#define SB_NOFILE_MAX 1048576u /* default fs.nr_open */
#define SB_MEMORY_MIN (4u << 20) /* below this not even sh starts */
#define SB_CPU_MILLI_MAX 1024000u /* 1,024 cpus */
#define SB_FILTER_MAX 4096u /* BPF_MAXINSNS */
#define SB_BLOCK_MAX (6u << 20) /* the kernel's own bound on argv + env */
#define SB_LAYERS_MAX 64u /* of one session; long before, they are squashed */
#define SB_LAYER_NUMBER_MAX 9999999u /* so that a page of mount options holds them */
#define SB_XATTRS_MAX 65536u /* of one file, packed; the kernel's own bound on one */

enum sb_verb {
	SB_VERB_NONE = 0,
	/* of the warden */
	SB_VERB_ATTACH, /* a program fd becomes a link fd */
	SB_VERB_OPEN, /* a session: namespaces, root; gives its keeper */
	SB_VERB_CLOSED, /* the keeper has ended: remove what it could not */
	SB_VERB_SCAN, /* what some of its layers change */
	SB_VERB_USAGE, /* how much of the disk they take: END with `size` and `inode` */
	SB_VERB_APPLY, /* a writer for its workspace, with a journal */
	SB_VERB_RECOVER, /* finish or undo what a journal holds */
	SB_VERB_SQUASH, /* the lower of two layers takes the upper one in */
	SB_VERB_DROP, /* layers nobody needs any more */
	SB_VERB_REMOVE, /* its files on disk */
	/* of a keeper */
	SB_VERB_LEAF, /* a cgroup for the next call */
	SB_VERB_START, /* a call */
	SB_VERB_RETIRE, /* the leaf of a call that has ended */
	SB_VERB_CLOSE, /* kill everything, take the session down */
	SB_VERB_MASK, /* while it opens: more names of the workspace that do not exist inside */
	SB_VERB_KILL, /* a call that has no control group: its init, and all with it */
	SB_VERB_COUNT,
};

/* Where starting failed. The first half belongs to the session, the second to
 * the call; the names in sb_stage_names[] are what a person reads. */
enum sb_stage {
	SB_STAGE_NONE = 0,
	SB_STAGE_REQUEST, /* the request itself */
	SB_STAGE_RANGE, /* a free range of user ids */
	SB_STAGE_CGROUP, /* the session's control groups */
	SB_STAGE_STORE, /* its directory on disk */
	SB_STAGE_WORKSPACE, /* the id-mapped view of the workspace */
	SB_STAGE_NAMESPACES, /* user, mount, network, ipc, uts */
	SB_STAGE_NETWORK, /* loopback */
	SB_STAGE_ROOT, /* the private root */
	SB_STAGE_DEVICES,
	SB_STAGE_LAYER, /* the overlay */
	SB_STAGE_PIVOT,
	SB_STAGE_RULES, /* the Landlock rule set */
	SB_STAGE_LEAF, /* a cgroup for the call */
	SB_STAGE_CLONE,
	SB_STAGE_JOIN, /* the session's namespaces */
	SB_STAGE_PROC, /* its own /proc */
	SB_STAGE_INIT, /* pid 1: identity, dumpable, signals */
	SB_STAGE_TERMINAL,
	SB_STAGE_LIMITS,
	SB_STAGE_PRIVILEGES,
	SB_STAGE_KEYRING,
	SB_STAGE_FDS,
	SB_STAGE_DIRECTORY, /* the working directory */
	SB_STAGE_LANDLOCK,
	SB_STAGE_FILTER,
	SB_STAGE_EXEC,
	SB_STAGE_COUNT,
};

extern const char *const sb_stage_names[SB_STAGE_COUNT];

/* How a stage of the child failed; {SB_STAGE_EXEC, 0} says "about to exec". */
struct sb_failure {
	uint32_t stage; /* enum sb_stage */
	int32_t error; /* -errno */
};

enum sb_flag {
	SB_FLAG_TTY = 1 << 0, /* the call gets a terminal of its own */
	SB_FLAG_ROOT = 1 << 1, /* the user inside is root (0), not agent */
	SB_FLAG_KNOWN = 1 << 2, /* OPEN: the session is on disk already */
	SB_FLAG_FRESH = 1 << 3, /* START: make and mount the top layer; else share it */
	SB_FLAG_NAMES = 1 << 5, /* OPEN: first the names in the workspace, then SB_VERB_MASK */
	SB_FLAG_NOTIFY = 1 << 4, /* OPEN: the filter asks the supervisor, who gets a listener */
};
#define SB_FLAGS_KNOWN                                                                 \
	(SB_FLAG_TTY | SB_FLAG_ROOT | SB_FLAG_KNOWN | SB_FLAG_FRESH | SB_FLAG_NOTIFY | \
	 SB_FLAG_NAMES)

struct sb_limits {
	uint64_t memory_bytes;
	uint64_t file_bytes; /* RLIMIT_FSIZE, 0: none */
	uint64_t tmp_bytes; /* each private tmpfs */
	uint32_t pids;
	uint32_t cpu_milli; /* thousandths of a cpu */
	uint32_t open_files;
	uint32_t
		mlock_bytes; /* RLIMIT_MEMLOCK: what cannot be swapped, and the rings of io_uring */
};

struct sb_request {
	uint32_t abi; /* SB_ABI */
	uint32_t verb; /* enum sb_verb */
	uint32_t flags; /* enum sb_flag */
	uint32_t call; /* LEAF, START, RETIRE: number of the call; USAGE: names to count */
	uint32_t attach_type; /* ATTACH: 0 for a tracepoint, else enum bpf_attach_type */
	uint32_t requester; /* OPEN: uid whose workspace it must be; 0: anybody's */
	uint32_t layer_count; /* of `layers` */
	uint32_t layer_first; /* SCAN: index of the lowest one that is asked about */
	uint32_t layers[SB_LAYERS_MAX]; /* START, SCAN, SQUASH, DROP: numbers, lowest first */
	uint16_t rows, columns; /* START with a terminal: its size; 0: none is set */
	struct sb_limits limits;
	char session[SB_ID_MAX];
	char workspace[SB_PATH_MAX]; /* OPEN: on the machine */
	char at[SB_PATH_MAX]; /* OPEN: where it is shown */
};

/* What of the limits the kernel really enforces, in sb_reply.in_force. */
enum sb_in_force {
	SB_FORCE_MEMORY = 1 << 0,
	SB_FORCE_PIDS = 1 << 1,
	SB_FORCE_CPU = 1 << 2,
	SB_FORCE_V2 = 1 << 3, /* by v2 controllers, per call */
	SB_FORCE_V1 = 1 << 4, /* by v1 controllers, per session */
	SB_FORCE_LANDLOCK = 1 << 5,
	SB_FORCE_LANDLOCK_SCOPE = 1 << 6,
};

/* The fds of a reply, in this order.
 * OPEN: keeper socket; later, from it: session directory, cgroup directory (for
 * BPF links) where there are control groups.
 * LEAF: those of enum sb_leaf_fd that sb_reply.leaf_fds names, in its order.
 * START: the read end of the failure pipe; without a control group init's pidfd. SCAN, APPLY: the child's socket. */
enum sb_leaf_fd {
	SB_LEAF_KILL,
	SB_LEAF_FREEZE,
	SB_LEAF_EVENTS,
	SB_LEAF_PROCS,
	SB_LEAF_CPU,
	SB_LEAF_MEMORY, /* memory.events, or v1 memory.oom_control */
	SB_LEAF_PIDS, /* pids.events */
	SB_LEAF_OOM, /* v1: an eventfd that counts */
	SB_LEAF_DIR, /* the group itself: what everybody may read there */
	SB_LEAF_FD_COUNT,
};

struct sb_reply {
	uint32_t abi;
	int32_t error; /* 0 or -errno */
	uint32_t stage; /* of the error */
	uint32_t in_force; /* enum sb_in_force */
	uint64_t cgroup_id; /* LEAF */
	uint32_t pid; /* START: init, as the machine sees it */
	uint32_t range; /* OPEN: first id of the session's range */
	uint32_t leaf_fds; /* LEAF: bit n: enum sb_leaf_fd n is among the fds */
	uint32_t landlock_abi; /* OPEN: 0 when the kernel has none */
	uint32_t is_untouched; /* RETIRE: nothing is in the top layer */
	uint32_t names; /* OPEN, enum sb_names; 0: it is open, or has failed */
};

/*
 * SB_FLAG_NAMES: before it is open a session tells what names its workspace has, for
 * patterns to be looked for in. Each reply of SB_NAMES_SOME comes with a memfd of paths,
 * relative, NUL-terminated, a directory before what is in it and with a slash at its
 * end, or two when its owner may not read it.
 * SB_NAMES_ALL is the last, without one: then SB_VERB_MASK is waited for, whose one fd is
 * like that of an OPEN, with MASK entries alone.
 */
enum sb_names {
	SB_NAMES_SOME = 1,
	SB_NAMES_ALL,
};
#define SB_NAMES_BYTES (1u << 18) /* of one memfd: some thousand names */
#define SB_MASKS_MAX 16384u /* names that patterns may take away */

/* Between init and the supervisor, over their own socket. */
enum sb_init_kind {
	SB_INIT_TERMINAL = 1, /* to the supervisor: the master comes with it */
	SB_INIT_STARTED, /* value: the tool's pid inside */
	SB_INIT_ENDED, /* value: wait status of the tool */
	SB_INIT_ALONE, /* after that: what it had left running has ended, too */
	SB_INIT_GO, /* to init: the monitor knows you */
	SB_INIT_SIGNAL, /* to init: send `value` to the tool */
	SB_INIT_PROC, /* where no group limits its memory: a /proc of the call comes with it */
	SB_INIT_LISTENER, /* SB_FLAG_NOTIFY: the filter's listener comes with it */
	SB_INIT_STOP, /* to init: stop all processes; keep them stopped */
	SB_INIT_RESUME, /* to init: let them run */
};

struct sb_init_message {
	uint32_t kind; /* enum sb_init_kind */
	int32_t value;
	uint64_t utime_us; /* ENDED: of the tool and what it waited for */
	uint64_t stime_us;
	uint64_t maxrss_bytes;
};

/* argv, environment and directory: what the memfd of a START begins with. Then
 * come cwd, argv and env, NUL-terminated, in this order. */
struct sb_block {
	uint32_t abi;
	uint32_t argc;
	uint32_t envc;
	uint32_t bytes; /* of all strings */
};

/* One change, from the scanner to the supervisor, and to the writer. */
enum sb_change_kind {
	SB_CHANGE_END = 0, /* the scan is complete */
	SB_CHANGE_FILE, /* a regular file; fd 0 holds its content */
	SB_CHANGE_DIR, /* a directory; `base_mode` 0 when it is new */
	SB_CHANGE_LINK, /* a symbolic link; `target` */
	SB_CHANGE_GONE, /* removed */
	SB_CHANGE_SPECIAL, /* fifo, socket, device: never applied */
	SB_CHANGE_UNREAD, /* exists, but could not be read: `error` */
	SB_CHANGE_SAME, /* writer: a second name of the file at `target` */
	SB_CHANGE_COMMIT, /* writer: do all that was sent, or nothing */
};

struct sb_change {
	uint32_t kind; /* enum sb_change_kind */
	uint32_t mode; /* st_mode of what is there now */
	uint32_t base_mode; /* st_mode of what the workspace had, 0: nothing */
	int32_t error; /* the writer's answer: 0 or -errno */
	uint32_t has_fd; /* the content comes along */
	uint32_t has_base_fd; /* after it, the content below */
	uint32_t has_xattrs; /* last, a memfd: struct sb_xattr, name, value, and so on */
	uint32_t xattrs_differ;
	uint32_t allow_escape; /* writer: a symlink may leave the workspace */
	uint32_t expect_base; /* writer: what is there must be what base_* says */
	uint32_t reserved2;
	uint32_t links; /* names of this file in its layer */
	uint64_t inode; /* there */
	uint64_t size;
	uint64_t base_size;
	int64_t mtime_s;
	int64_t base_mtime_s;
	uint32_t mtime_ns;
	uint32_t base_mtime_ns;
	int64_t base_ctime_s;
	uint32_t base_ctime_ns;
	uint32_t reserved;
	char path[SB_PATH_MAX]; /* relative to the workspace */
	char target[SB_PATH_MAX];
	char base_target[SB_PATH_MAX];
};

/*
 * What a session shows of the machine, and what it covers: the second fd of an OPEN, a
 * sealed memfd that holds struct sb_shown and `count` entries, and nothing behind them.
 * Every path is checked like one of a request.
 */
enum sb_shown_kind {
	SB_SHOWN_READ = 1, /* absolute: shown read-only, where the machine has it */
	SB_SHOWN_HIDE, /* absolute: covered, where it is shown */
	SB_SHOWN_NOEXEC, /* absolute: covered by a file that cannot be run */
	SB_SHOWN_MASK, /* below the workspace: not there, now or later */
	SB_SHOWN_TREE, /* absolute: READ paths are looked for below it; at most one */
	SB_SHOWN_OVERLAY, /* absolute: shown with a layer of the session above */
	SB_SHOWN_KINDS,
};

struct sb_shown_entry {
	uint32_t kind; /* enum sb_shown_kind */
	char path[SB_PATH_MAX];
};

struct sb_shown {
	uint32_t abi;
	uint32_t count;
	struct sb_shown_entry entries[];
};

/* Each is a mount of every session. */
#define SB_SHOWN_MAX 512u
#define SB_OVERLAYS_MAX 16u

/* One extended attribute: its name and its value follow, not NUL-terminated. */
struct sb_xattr {
	uint16_t name_len;
	uint16_t reserved;
	uint32_t value_len;
};

/* What the warden may touch: decided by whoever started it, before the fork. */
/* Paths that sessions may show: of all policies together. */
#define SB_READ_MAX 512
#define SB_ROOTS_MAX 32
/* Directories of tools: the built-in one, and what the machine's owner adds. */
#define SB_TOOLS_MAX 8
#define SB_TOOLS_AT "/glovebox/tools" /* the first; then ".1" and so on behind it */
struct sb_config {
	/* All of Glovebox is one user: in a user namespace of that one id, so that there are
	 * no ranges, no id-mapped mounts and no device nodes. The calls are that user, too. */
	bool is_user;
	bool has_groups; /* control groups can be made: cgroup_use() has made one */
	const char *state_dir; /* holds sessions/ */
	const char *run_dir; /* of this instance; removed at the end, NULL: none */
	const char *staging; /* an empty directory to build roots on */
	const char *roots[SB_ROOTS_MAX]; /* workspaces are these or below; NULL ends */
	/* What sessions may show read-only, and whose parts: NULL ends. */
	const char *read[SB_READ_MAX];
	const char *trees[SB_ROOTS_MAX]; /* directories a session may show as its / */
	const char *tools[SB_TOOLS_MAX]; /* shown read-only at SB_TOOLS_AT; NULL ends */
	/* The warden's own: what was opened at the start is what is shown, whatever a path
	 * has become. -1: it is not there. */
	int tool_dirs[SB_TOOLS_MAX];
};

#endif
