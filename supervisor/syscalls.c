// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/syscalls.c - which system calls are reported as events, and how.
 *
 * The BPF programs know shapes, not names: a call is added here, in one row.
 */
#include "supervisor/syscalls.h"

#include <stddef.h>

#include "sandbox/base/fd.h"
#include "supervisor/profile.h"

#define FILE_CLASS .event_class = EVENT_CLASS_FILE
#define PATH1(k)                                             \
	{                                                    \
		.flags = WATCH_REPORT, FILE_CLASS, .path = 1 \
	}
#define PATH_AT                                                        \
	{                                                              \
		.flags = WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2 \
	}
/* Looking is no event of its own, but what it does not find may be a denial. */
#define PROBE(...)                                            \
	{                                                     \
		.flags = WATCH_PROBE, FILE_CLASS, __VA_ARGS__ \
	}
#define BY_FD                                                \
	{                                                    \
		.flags = WATCH_REPORT | WATCH_FD, FILE_CLASS \
	}
/* No event of its own; but which file is full is said. */
#define FULL_FD                               \
	{                                     \
		.flags = WATCH_FD, FILE_CLASS \
	}
#define SIGNAL                                                         \
	{                                                              \
		.flags = WATCH_REPORT, .event_class = EVENT_CLASS_PROC \
	}
#define ADDRESS                                                                     \
	{                                                                           \
		.flags = WATCH_ANY | WATCH_SOCKADDR, .event_class = EVENT_CLASS_NET \
	}

static const struct syscall_row rows[] = {
	{ "open", "file.open", { WATCH_OPEN, FILE_CLASS, .path = 1, .open_flags = 2 } },
	{ "openat", "file.open", { WATCH_OPEN, FILE_CLASS, .dir = 1, .path = 2, .open_flags = 3 } },
	{ "openat2",
	  "file.open",
	  { WATCH_OPEN | WATCH_OPEN_HOW, FILE_CLASS, .dir = 1, .path = 2 } },
	{ "creat", "file.open", { WATCH_OPEN | WATCH_CREAT, FILE_CLASS, .path = 1 } },
	{ "rename", "file.rename", { WATCH_REPORT, FILE_CLASS, .path = 1, .path2 = 2 } },
	{ "renameat",
	  "file.rename",
	  { WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2, .dir2 = 3, .path2 = 4 } },
	{ "renameat2",
	  "file.rename",
	  { WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2, .dir2 = 3, .path2 = 4 } },
	{ "link", "file.link", { WATCH_REPORT, FILE_CLASS, .path = 1, .path2 = 2 } },
	{ "linkat",
	  "file.link",
	  { WATCH_REPORT, FILE_CLASS, .dir = 1, .path = 2, .dir2 = 3, .path2 = 4 } },
	/* the link is the path; its target is only text */
	{ "symlink", "file.symlink", { WATCH_REPORT, FILE_CLASS, .path = 2, .path2 = 1 } },
	{ "symlinkat",
	  "file.symlink",
	  { WATCH_REPORT, FILE_CLASS, .dir = 2, .path = 3, .path2 = 1 } },
	{ "unlink", "file.unlink", PATH1() },
	{ "unlinkat", "file.unlink", PATH_AT },
	{ "rmdir", "file.unlink", PATH1() },
	{ "mkdir", "file.mkdir", PATH1() },
	{ "mkdirat", "file.mkdir", PATH_AT },
	{ "mknod", "file.create", PATH1() },
	{ "mknodat", "file.create", PATH_AT },
	{ "chmod", "file.chmod", PATH1() },
	{ "fchmodat", "file.chmod", PATH_AT },
	{ "fchmodat2", "file.chmod", PATH_AT },
	{ "fchmod", "file.chmod", BY_FD },
	{ "chown", "file.chown", PATH1() },
	{ "lchown", "file.chown", PATH1() },
	{ "fchownat", "file.chown", PATH_AT },
	{ "fchown", "file.chown", BY_FD },
	{ "truncate", "file.truncate", PATH1() },
	{ "ftruncate", "file.truncate", BY_FD },
	{ "write", "file.write", FULL_FD },
	{ "pwrite64", "file.write", FULL_FD },
	{ "writev", "file.write", FULL_FD },
	{ "pwritev", "file.write", FULL_FD },
	{ "fallocate", "file.write", FULL_FD },
	{ "stat", "file.look", PROBE(.path = 1) },
	{ "lstat", "file.look", PROBE(.path = 1) },
	{ "newfstatat", "file.look", PROBE(.dir = 1, .path = 2) },
	{ "statx", "file.look", PROBE(.dir = 1, .path = 2) },
	{ "access", "file.look", PROBE(.path = 1) },
	{ "faccessat", "file.look", PROBE(.dir = 1, .path = 2) },
	{ "faccessat2", "file.look", PROBE(.dir = 1, .path = 2) },
	{ "readlink", "file.look", PROBE(.path = 1) },
	{ "chdir", "file.look", PROBE(.path = 1) },
	{ "execve", "file.look", PROBE(.path = 1) },
	{ "connect", "net.connect", ADDRESS },
	{ "bind", "net.bind", ADDRESS },
	{ "sendto",
	  "net.send",
	  { .flags = WATCH_SOCKADDR,
	    .event_class = EVENT_CLASS_NET,
	    .more = WATCH_SEND | WATCH_FORGET } },
	{ "sendmsg", "net.send", { .event_class = EVENT_CLASS_NET, .more = WATCH_FORGET } },
	{ "sendmmsg", "net.send", { .event_class = EVENT_CLASS_NET, .more = WATCH_FORGET } },
	{ "kill", "proc.signal", SIGNAL },
	{ "tkill", "proc.signal", SIGNAL },
	{ "tgkill", "proc.signal", SIGNAL },
	{ "rt_sigqueueinfo", "proc.signal", SIGNAL },
	{ "rt_tgsigqueueinfo", "proc.signal", SIGNAL },
	{ "pidfd_send_signal", "proc.signal", SIGNAL },
	{ "ptrace", "proc.ptrace", SIGNAL },
};

static int numbers[ARRAY_SIZE(rows)];

void syscalls_fill(struct watch_shape shapes[WATCH_SYSCALLS])
{
	const struct profile *p;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		numbers[i] = profile_syscall_number(rows[i].name);
		if (numbers[i] >= 0 && numbers[i] < WATCH_SYSCALLS)
			shapes[numbers[i]] = rows[i].shape;
	}
	for (int nr = 0; nr < WATCH_SYSCALLS && profile_default(&p, &fd) == 0; nr++)
		profile_errors(p, nr, &shapes[nr].deny_errno, &shapes[nr].deny_errno2);
}

const struct syscall_row *syscalls_find(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (numbers[i] == nr)
			return &rows[i];
	return NULL;
}
