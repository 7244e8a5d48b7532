// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/words.c - what the numbers of a system call are called in C.
 *
 * Tables only: an argument's name, the calls it is of, and its values. A value that is in no
 * table stays a number; of bits what is left over is told as one.
 */
#include "supervisor/words.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"

struct word {
	uint64_t value;
	const char *name;
};

#define W(name)             \
	{                   \
		name, #name \
	}

static const struct word opens[] = {
	W(O_CREAT),
	W(O_EXCL),
	W(O_NOCTTY),
	W(O_TRUNC),
	W(O_APPEND),
	W(O_NONBLOCK),
	{ 0x101000, "O_SYNC" },
	{ 0x1000, "O_DSYNC" },
	W(O_ASYNC),
	W(O_DIRECT),
	{ 0x8000, "O_LARGEFILE" },
	{ 0x410000, "O_TMPFILE" },
	W(O_DIRECTORY),
	W(O_NOFOLLOW),
	W(O_NOATIME),
	W(O_CLOEXEC),
	W(O_PATH),
};
static const struct word access_modes[] = { W(O_RDONLY), W(O_WRONLY), W(O_RDWR) };
static const struct word prots[] = { W(PROT_READ), W(PROT_WRITE), W(PROT_EXEC) };
static const struct word maps[] = {
	{ 0x3, "MAP_SHARED_VALIDATE" },
	W(MAP_SHARED),
	W(MAP_PRIVATE),
	W(MAP_FIXED),
	W(MAP_ANONYMOUS),
	W(MAP_GROWSDOWN),
	W(MAP_LOCKED),
	W(MAP_NORESERVE),
	W(MAP_POPULATE),
	W(MAP_NONBLOCK),
	W(MAP_STACK),
	W(MAP_HUGETLB),
	{ 0x100000, "MAP_FIXED_NOREPLACE" },
	{ 0x800, "MAP_DENYWRITE" },
};
static const struct word families[] = {
	W(AF_UNSPEC), W(AF_UNIX), W(AF_INET),  W(AF_INET6),      W(AF_NETLINK),
	W(AF_PACKET), W(AF_ALG),  W(AF_VSOCK), { 44, "AF_XDP" },
};
static const struct word socket_types[] = {
	W(SOCK_STREAM), W(SOCK_DGRAM), W(SOCK_RAW), W(SOCK_RDM), W(SOCK_SEQPACKET),
};
static const struct word socket_flags[] = { W(SOCK_NONBLOCK), W(SOCK_CLOEXEC) };
static const struct word levels[] = {
	W(SOL_SOCKET), { 0, "SOL_IP" }, { 6, "SOL_TCP" }, { 17, "SOL_UDP" }, { 41, "SOL_IPV6" },
};
static const struct word clones[] = {
	W(CLONE_VM),
	W(CLONE_FS),
	W(CLONE_FILES),
	W(CLONE_SIGHAND),
	W(CLONE_PIDFD),
	W(CLONE_PTRACE),
	W(CLONE_VFORK),
	W(CLONE_PARENT),
	W(CLONE_THREAD),
	W(CLONE_NEWNS),
	W(CLONE_SYSVSEM),
	W(CLONE_SETTLS),
	W(CLONE_PARENT_SETTID),
	W(CLONE_CHILD_CLEARTID),
	W(CLONE_UNTRACED),
	W(CLONE_CHILD_SETTID),
	W(CLONE_NEWCGROUP),
	W(CLONE_NEWUTS),
	W(CLONE_NEWIPC),
	W(CLONE_NEWUSER),
	W(CLONE_NEWPID),
	W(CLONE_NEWNET),
	W(CLONE_IO),
};
/* in the low byte: who is told of the end */
static const struct word exit_signals[] = { { 17, "SIGCHLD" } };
static const struct word prctls[] = {
	W(PR_SET_PDEATHSIG),    W(PR_GET_DUMPABLE),
	W(PR_SET_DUMPABLE),     W(PR_SET_KEEPCAPS),
	W(PR_SET_NAME),         W(PR_GET_NAME),
	W(PR_GET_SECCOMP),      W(PR_SET_SECCOMP),
	W(PR_CAPBSET_READ),     W(PR_CAPBSET_DROP),
	W(PR_SET_SECUREBITS),   W(PR_SET_TIMERSLACK),
	W(PR_SET_MM),           W(PR_SET_CHILD_SUBREAPER),
	W(PR_SET_NO_NEW_PRIVS), W(PR_GET_NO_NEW_PRIVS),
	W(PR_SET_THP_DISABLE),  W(PR_CAP_AMBIENT),
	W(PR_SET_PTRACER),      { 0x53564d41, "PR_SET_VMA" },
};
static const struct word seccomps[] = {
	W(SECCOMP_SET_MODE_STRICT),
	W(SECCOMP_SET_MODE_FILTER),
	W(SECCOMP_GET_ACTION_AVAIL),
	W(SECCOMP_GET_NOTIF_SIZES),
};
static const struct word fcntls[] = {
	W(F_DUPFD),         W(F_GETFD),      W(F_SETFD),      W(F_GETFL),     W(F_SETFL),
	W(F_GETLK),         W(F_SETLK),      W(F_SETLKW),     W(F_SETOWN),    W(F_GETOWN),
	W(F_DUPFD_CLOEXEC), W(F_SETPIPE_SZ), W(F_GETPIPE_SZ), W(F_ADD_SEALS), W(F_GET_SEALS),
	W(F_OFD_GETLK),     W(F_OFD_SETLK),  W(F_OFD_SETLKW),
};
static const struct word whences[] = {
	W(SEEK_SET), W(SEEK_CUR), W(SEEK_END), W(SEEK_DATA), W(SEEK_HOLE),
};
static const struct word advices[] = {
	W(MADV_NORMAL),   W(MADV_RANDOM), W(MADV_SEQUENTIAL), W(MADV_WILLNEED), W(MADV_DONTNEED),
	W(MADV_FREE),     W(MADV_REMOVE), W(MADV_DONTFORK),   W(MADV_HUGEPAGE), W(MADV_NOHUGEPAGE),
	W(MADV_DONTDUMP), W(MADV_COLD),   W(MADV_PAGEOUT),
};
static const struct word epoll_ops[] = { W(EPOLL_CTL_ADD), W(EPOLL_CTL_DEL), W(EPOLL_CTL_MOD) };
static const struct word accesses[] = { W(R_OK), W(W_OK), W(X_OK) };
static const struct word at_flags[] = {
	W(AT_SYMLINK_NOFOLLOW), W(AT_REMOVEDIR),  W(AT_SYMLINK_FOLLOW),
	W(AT_NO_AUTOMOUNT),     W(AT_EMPTY_PATH),
};
static const struct word access_at_flags[] = {
	W(AT_SYMLINK_NOFOLLOW),
	W(AT_EACCESS),
	W(AT_EMPTY_PATH),
};
static const struct word renames[] = {
	{ 1, "RENAME_NOREPLACE" },
	{ 2, "RENAME_EXCHANGE" },
	{ 4, "RENAME_WHITEOUT" },
};
static const struct word masks[] = { W(SIG_BLOCK), W(SIG_UNBLOCK), W(SIG_SETMASK) };
static const struct word waits[] = {
	W(WNOHANG), W(WUNTRACED), W(WCONTINUED), { 0x80000000, "__WCLONE" }
};
static const struct word memfds[] = {
	{ 1, "MFD_CLOEXEC" },     { 2, "MFD_ALLOW_SEALING" }, { 4, "MFD_HUGETLB" },
	{ 8, "MFD_NOEXEC_SEAL" }, { 16, "MFD_EXEC" },
};
static const struct word futexes[] = {
	W(FUTEX_WAIT),        W(FUTEX_WAKE),        W(FUTEX_REQUEUE),
	W(FUTEX_CMP_REQUEUE), W(FUTEX_WAKE_OP),     W(FUTEX_LOCK_PI),
	W(FUTEX_UNLOCK_PI),   W(FUTEX_WAIT_BITSET), W(FUTEX_WAKE_BITSET),
};
static const struct word futex_flags[] = { W(FUTEX_PRIVATE_FLAG), W(FUTEX_CLOCK_REALTIME) };
static const struct word mounts[] = {
	W(MS_RDONLY), W(MS_NOSUID), W(MS_NODEV),   W(MS_NOEXEC), W(MS_REMOUNT), W(MS_BIND),
	W(MS_MOVE),   W(MS_REC),    W(MS_PRIVATE), W(MS_SLAVE),  W(MS_SHARED),
};
static const struct word umounts[] = {
	W(MNT_FORCE),
	W(MNT_DETACH),
	W(MNT_EXPIRE),
	W(UMOUNT_NOFOLLOW),
};
static const struct word messages[] = {
	W(MSG_OOB),     W(MSG_PEEK),     W(MSG_DONTROUTE), W(MSG_TRUNC),        W(MSG_DONTWAIT),
	W(MSG_WAITALL), W(MSG_NOSIGNAL), W(MSG_MORE),      W(MSG_CMSG_CLOEXEC), W(MSG_FASTOPEN),
};
static const struct word closes[] = { W(FD_CLOEXEC) };
static const struct word allocations[] = {
	{ 1, "FALLOC_FL_KEEP_SIZE" },
	{ 2, "FALLOC_FL_PUNCH_HOLE" },
	{ 8, "FALLOC_FL_COLLAPSE_RANGE" },
	{ 16, "FALLOC_FL_ZERO_RANGE" },
};
static const struct word here[] = { { (uint32_t)AT_FDCWD, "AT_FDCWD" } };
static const struct word options[] = {
	W(SO_REUSEADDR), W(SO_TYPE),         W(SO_ERROR),         W(SO_BROADCAST),
	W(SO_SNDBUF),    W(SO_RCVBUF),       W(SO_KEEPALIVE),     W(SO_LINGER),
	W(SO_REUSEPORT), W(SO_PASSCRED),     W(SO_PEERCRED),      W(SO_RCVTIMEO),
	W(SO_SNDTIMEO),  W(SO_BINDTODEVICE), W(SO_ATTACH_FILTER), W(SO_DETACH_FILTER),
	W(SO_MARK),      W(SO_ATTACH_BPF),
};

enum how {
	ONE, /* a value has a name */
	BITS, /* each bit has */
	BOTH, /* the low part one name, the others bits */
};

struct words {
	const char *arg;
	const char *syscalls; /* between blanks; NULL: of any */
	enum how how;
	uint64_t low; /* BOTH: the bits of the part that has one name */
	const struct word *at, *bits;
	size_t count, bit_count;
};

#define LIST(list) list, ARRAY_SIZE(list)
#define ROW_ONE(arg, calls, list)                                   \
	{                                                           \
		arg, calls, ONE, 0, list, NULL, ARRAY_SIZE(list), 0 \
	}
#define ROW_BITS(arg, calls, list)                                   \
	{                                                            \
		arg, calls, BITS, 0, NULL, list, 0, ARRAY_SIZE(list) \
	}
#define ROW_BOTH(arg, calls, low, list, bits)                                         \
	{                                                                             \
		arg, calls, BOTH, low, list, bits, ARRAY_SIZE(list), ARRAY_SIZE(bits) \
	}

static const struct words rows[] = {
	ROW_BOTH("flags", " open openat mq_open open_by_handle_at ", O_ACCMODE, access_modes,
		 opens),
	ROW_BITS("flags", " pipe2 dup3 inotify_init1 userfaultfd eventfd2 timerfd_create ", opens),
	ROW_BITS("prot", NULL, prots),
	ROW_BITS("flags", " mmap ", maps),
	ROW_ONE("family", NULL, families),
	ROW_BOTH("type", " socket socketpair ", 0xf, socket_types, socket_flags),
	ROW_BITS("flags", " accept4 ", socket_flags),
	ROW_ONE("level", NULL, levels),
	ROW_ONE("optname", NULL, options),
	ROW_BOTH("clone_flags", NULL, 0xff, exit_signals, clones),
	ROW_BITS("flags", " clone unshare ", clones),
	ROW_BITS("unshare_flags", NULL, clones),
	ROW_BITS("nstype", NULL, clones),
	ROW_ONE("option", " prctl ", prctls),
	ROW_ONE("operation", " seccomp ", seccomps),
	ROW_ONE("op", " seccomp ", seccomps),
	ROW_ONE("cmd", " fcntl ", fcntls),
	ROW_ONE("whence", NULL, whences),
	ROW_ONE("behavior", NULL, advices),
	ROW_ONE("advice", " process_madvise ", advices),
	ROW_ONE("op", " epoll_ctl ", epoll_ops),
	ROW_BOTH("op", " futex ", 0x7f, futexes, futex_flags),
	ROW_BITS("mode", " access faccessat faccessat2 ", accesses),
	ROW_BITS("flags", " faccessat2 ", access_at_flags),
	ROW_BITS("flags",
		 " unlinkat linkat fchownat utimensat newfstatat execveat name_to_handle_at ",
		 at_flags),
	ROW_BITS("flag", " unlinkat newfstatat fchownat ", at_flags),
	ROW_BITS("at_flags", NULL, at_flags),
	ROW_BITS("flags", " renameat2 ", renames),
	ROW_ONE("how", " rt_sigprocmask ", masks),
	ROW_BITS("options", " wait4 waitid ", waits),
	ROW_BITS("flags", " memfd_create ", memfds),
	ROW_BITS("mountflags", NULL, mounts),
	ROW_BITS("flags", " mount ", mounts),
	ROW_BITS("flags", " umount2 ", umounts),
	ROW_BITS("flags", " sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg ", messages),
	ROW_BITS("mode", " fallocate ", allocations),
	ROW_BITS("arg", " fcntl_setfd ", closes),
	ROW_ONE("dfd", NULL, here),
};

static bool is_of(const struct words *row, const char *syscall)
{
	size_t n = strlen(syscall);
	const char *at = row->syscalls;

	if (!at)
		return true;
	while ((at = strstr(at, syscall)) != NULL) {
		if (at[-1] == ' ' && at[n] == ' ')
			return true;
		at += n;
	}
	return false;
}

static const char *name_of(const struct word *list, size_t count, uint64_t value)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].value == value)
			return list[i].name;
	return NULL;
}

static bool add_bits(struct text *t, const struct words *row, uint64_t value, bool is_first)
{
	for (size_t i = 0; i < row->bit_count; i++) {
		const struct word *w = &row->bits[i];

		if (w->value == 0 || (value & w->value) != w->value)
			continue;
		text_add(t, is_first ? "" : "|");
		text_add(t, w->name);
		value &= ~w->value;
		is_first = false;
	}
	if (value != 0 || is_first) {
		text_add(t, is_first ? "" : "|");
		if (value == 0)
			text_add(t, "0");
		else
			text_printf(t, "0x%llx", (unsigned long long)value);
	}
	return true;
}

/* Numbers that are one thing, whatever the call. */
static bool add_known(struct text *t, const char *arg, uint64_t value)
{
	if (strcmp(arg, "sig") == 0 && value < 65) {
		const char *name = sigabbrev_np((int)value);

		if (name)
			text_printf(t, "SIG%s", name);
		return name != NULL;
	}
	return false;
}

bool words_add(struct text *t, const char *syscall, const char *arg, uint64_t value)
{
	/* what the kernel takes as an int may have anything above it */
	uint64_t low = (uint32_t)value;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct words *row = &rows[i];
		const char *name;

		if (strcmp(row->arg, arg) != 0 || !is_of(row, syscall))
			continue;
		if (row->how == BITS)
			return add_bits(t, row, low, true);
		name = name_of(row->at, row->count, row->how == BOTH ? low & row->low : low);
		if (row->how == ONE) {
			if (name)
				text_add(t, name);
			return name != NULL;
		}
		if (name)
			text_add(t, name);
		else if (low & row->low)
			text_printf(t, "%llu", (unsigned long long)(low & row->low));
		else
			return add_bits(t, row, low, true);
		return (low & ~row->low) == 0 || add_bits(t, row, low & ~row->low, false);
	}
	return add_known(t, arg, value);
}

void words_add_open_flags(struct text *t, uint64_t flags)
{
	const char *mode = name_of(access_modes, ARRAY_SIZE(access_modes), flags & O_ACCMODE);

	text_printf(t, "\"%s\"", mode ? mode : "O_ACCMODE");
	flags &= ~(uint64_t)O_ACCMODE;
	/* the kernel sets it for every 64-bit program */
	flags &= ~0x8000ull;
	for (size_t i = 0; i < ARRAY_SIZE(opens); i++)
		if (opens[i].value && (flags & opens[i].value) == opens[i].value) {
			text_printf(t, ",\"%s\"", opens[i].name);
			flags &= ~opens[i].value;
		}
	if (flags)
		text_printf(t, ",\"0x%llx\"", (unsigned long long)flags);
}
