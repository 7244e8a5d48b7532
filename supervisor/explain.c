// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/explain.c - whose "no" was it, and what would allow it.
 *
 * An error that is not ours is never claimed: ENOENT is ours only when the path
 * lies outside everything the session shows *and* the machine has it; EROFS
 * only on what we show read-only; an unreachable address only because the
 * session has no network. EACCES from a file's own mode is the file's.
 */
#include "supervisor/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"

void denial_done(struct denial *d)
{
	text_done(&d->subject);
	text_done(&d->suggest);
}

bool explain_syscall(const struct explain_view *v, int nr, int error, const uint64_t args[6],
		     struct denial *ret)
{
	const struct profile_rule *rule = profile_explain(v->profile, nr, error, args);

	if (!rule)
		return false;
	*ret = (struct denial){
		.layer = "seccomp",
		.rule = rule->key,
		.why = rule->why,
	};
	if (rule->what)
		text_add(&ret->subject, rule->what);
	if (strncmp(rule->key, "syscalls.deny", 13) == 0)
		text_printf(&ret->suggest, "take %s out of %s", profile_syscall_name(nr),
			    rule->key);
	else
		text_printf(&ret->suggest, "syscalls.allow: [\"%s\"]", profile_syscall_name(nr));
	return true;
}

const char *const explain_capability_calls[] = {
	"chown",    "lchown",   "fchown",    "fchownat",  "setuid",    "setgid",
	"setreuid", "setregid", "setresuid", "setresgid", "setgroups", NULL,
};

bool explain_capability(const struct explain_view *v, const char *name, int error,
			struct denial *ret)
{
	if (!v->policy->as_root || error != EPERM)
		return false;
	for (const char *const *c = explain_capability_calls; *c; c++) {
		if (strcmp(*c, name) != 0)
			continue;
		*ret = (struct denial){
			.layer = "capabilities",
			.rule = "root",
			.why = "root inside has no capability: it may not give files away or "
			       "become somebody else",
		};
		text_add(&ret->suggest, "nothing: no call has a capability");
		return true;
	}
	return false;
}

#define EACH_FD(x)                                                                                 \
	x("open"), x("openat"), x("openat2"), x("creat"), x("socket"), x("socketpair"), x("pipe"), \
		x("pipe2"), x("dup"), x("fcntl"), x("accept"), x("accept4"), x("eventfd2"),        \
		x("epoll_create1"), x("memfd_create"), x("timerfd_create"), x("signalfd4"),        \
		x("inotify_init1"), x("pidfd_open")
#define FULL_FD(name)        \
	{                    \
		name, EMFILE \
	}

const struct explain_limit_call explain_limit_calls[] = {
	{ "clone", EAGAIN },    { "fork", EAGAIN },
	{ "vfork", EAGAIN },    EACH_FD(FULL_FD),
	{ "write", ENOSPC },    { "write", EFBIG },
	{ "pwrite64", ENOSPC }, { "pwrite64", EFBIG },
	{ "writev", ENOSPC },   { "writev", EFBIG },
	{ "pwritev", ENOSPC },  { "pwritev", EFBIG },
	{ "ftruncate", EFBIG }, { "fallocate", ENOSPC },
	{ "fallocate", EFBIG }, { "truncate", EFBIG },
	{ "mlock", EPERM },     { "mlock2", EPERM },
	{ "mlockall", EPERM },  { NULL, 0 },
};

/* The soft limit of a process, from /proc/PID/limits (proc(5)); 0: it is gone. */
static uint64_t limit_of(uint32_t host_pid, const char *what)
{
	char path[64], text[4096];
	const char *at;

	(void)snprintf(path, sizeof(path), "/proc/%u/limits", host_pid);
	if (io_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, what);
	return at ? strtoull(at + strlen(what), NULL, 10) : 0;
}

static bool is_in_memory(const char *path)
{
	static const char *const tmpfs[] = { "/tmp", "/run", "/home/agent", "/dev/shm" };

	for (size_t i = 0; i < ARRAY_SIZE(tmpfs); i++)
		if (path_is_below(path, tmpfs[i]))
			return true;
	return false;
}

static void set_limit(struct denial *d, const char *rule, const char *why, const char *suggest)
{
	*d = (struct denial){ .layer = "limits", .rule = rule, .why = why };
	text_add(&d->suggest, suggest);
}

bool explain_limit(const struct explain_view *v, uint32_t host_pid, const char *name, int error,
		   const char *path, struct denial *ret)
{
	const struct policy *p = v->policy;
	uint64_t file = p->limits.file_bytes > 0 ? p->limits.file_bytes : p->disk_bytes;

	switch (error) {
	case EAGAIN:
		if (limit_of(host_pid, "Max processes") !=
		    (uint64_t)p->limits.pids + SB_NPROC_SLACK)
			return false;
		set_limit(ret, "limits.pids", "the call has as many processes as it may",
			  "limits.pids: a higher number");
		return true;
	case EMFILE:
		if (limit_of(host_pid, "Max open files") != p->limits.open_files)
			return false;
		set_limit(ret, "limits.open_files", "the process has as many open files as it may",
			  "limits.open_files: a higher number");
		return true;
	case EFBIG:
		if (limit_of(host_pid, "Max file size") != file)
			return false;
		set_limit(ret, "limits.file", "a file may not become larger",
			  "limits.file (or limits.disk): a larger size");
		break;
	case ENOSPC:
		if (!path || !is_in_memory(path))
			return false;
		set_limit(ret, "limits.tmp", "this directory is in memory, and full",
			  "limits.tmp: a larger size; or write to the workspace");
		break;
	case EPERM:
		if (strncmp(name, "mlock", 5) != 0)
			return false;
		set_limit(ret, "limits.memory", "memory may not be locked",
			  "nothing: it would be taken from everybody");
		return true;
	default:
		return false;
	}
	if (path)
		text_add(&ret->subject, path);
	return true;
}

static bool is_private(const struct explain_view *v, const char *path)
{
	static const char *const ours[] = { "/tmp",  "/run",     "/home/agent", "/dev",
					    "/proc", "/var/tmp", "/var/run" };

	if (path_is_below(path, v->workspace))
		return true;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (path_is_below(path, ours[i]))
			return true;
	return false;
}

/* What would allow it is not there to be suggested. */
static const char no_network[] = "nothing yet: this version has no network but loopback";

static void set_path(struct denial *d, const char *layer, const char *rule, const char *why,
		     const char *path)
{
	*d = (struct denial){ .layer = layer, .rule = rule, .why = why };
	text_add(&d->subject, path);
}

static bool explain_missing(const struct explain_view *v, const char *path, struct denial *ret)
{
	const struct policy_item *hidden;
	struct stat st;

	/* /proc and /dev of the machine are not what a tool asks for */
	if (is_private(v, path) || policy_find_path(v->policy, POLICY_READ, path) || path[0] != '/')
		return false;
	if (strcmp(path, "/etc/passwd") == 0 || strcmp(path, "/etc/group") == 0)
		return false;
	/* never mount anything only to explain */
	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return false;
	/* a call may have removed what is here; what was taken out is not for everybody */
	if (policy_find_path(v->policy, POLICY_OVERLAY, path)) {
		if (S_ISLNK(st.st_mode) || (st.st_mode & S_IROTH))
			return false;
		set_path(ret, "files", "files.overlay",
			 "not everybody on this machine may read it, so it is not shown", path);
		text_add(&ret->suggest, "nothing: this protects the machine");
		return true;
	}
	if (strcmp(path, "/etc/resolv.conf") == 0) {
		set_path(ret, "network", "network.mode",
			 "the session has no network, so it has no name server", path);
		text_add(&ret->suggest, no_network);
		return true;
	}
	hidden = policy_find_path(v->policy, POLICY_HIDE, path);
	if (hidden) {
		set_path(ret, "files", "files.hide", "the policy hides it", path);
		text_printf(&ret->suggest,
			    "take it out of files.hide (%s), and list it in files.read",
			    hidden->from);
		return true;
	}
	set_path(ret, "files", "files.read",
		 "this machine has it, but the sandbox shows only what is listed", path);
	text_add(&ret->suggest, "files.read: [");
	text_add_json(&ret->suggest, path, strlen(path));
	text_add(&ret->suggest, "]");
	return true;
}

/* Covered by something that cannot be opened or run. */
static bool explain_cover(const struct explain_view *v, const char *path, struct denial *ret)
{
	const struct policy_item *hidden = policy_find_path(v->policy, POLICY_HIDE, path);
	const struct policy_item *denied = policy_find_path(v->policy, POLICY_EXEC_DENY, path);

	if (!hidden && !denied)
		return false;
	set_path(ret, "files", hidden ? "files.hide" : "exec.deny",
		 hidden ? "the policy hides it" : "the policy does not let it be run", path);
	text_printf(&ret->suggest, "take it out of %s (%s)", ret->rule,
		    hidden ? hidden->from : denied->from);
	return true;
}

/* Masked in the workspace. That somebody makes it inside is another matter. */
static bool explain_masked(const struct explain_view *v, const char *path, struct denial *ret)
{
	const struct policy_item *hidden;
	size_t n = strlen(v->workspace);

	if (!path_is_below(path, v->workspace) || path[n] != '/')
		return false;
	hidden = policy_find_hidden(v->policy, path + n + 1);
	if (!hidden)
		return false;
	set_path(ret, "files", "files.hide", "the policy hides this name of the workspace", path);
	text_printf(&ret->suggest, "take it out of files.hide (%s)", hidden->from);
	return true;
}

bool explain_path(const struct explain_view *v, const char *path, int error, struct denial *ret)
{
	if (error == ENOENT && explain_masked(v, path, ret))
		return true;
	if (error == EACCES && path[0] == '/')
		return explain_cover(v, path, ret);
	if (error == ENOENT)
		return explain_missing(v, path, ret);
	if (error == EROFS && path_is_below(path, "/proc")) {
		set_path(ret, "files", "files.proc", "/proc is read-only inside", path);
		text_add(&ret->suggest, "nothing: this protects the machine");
		return true;
	}
	if (error == EROFS && !path_is_below(path, v->workspace)) {
		set_path(ret, "files", "files.read",
			 "only the workspace, /tmp, /run and $HOME may be written", path);
		text_add(&ret->suggest, "write below the workspace, or make it the workspace");
		return true;
	}
	return false;
}

bool explain_address(const char *addr, uint16_t port, bool is_loopback, int error,
		     struct denial *ret)
{
	/* what a namespace without a route answers; a refusal is the peer's */
	if (is_loopback || (error != ENETUNREACH && error != EPERM && error != EHOSTUNREACH))
		return false;
	*ret = (struct denial){
		.layer = "network",
		.rule = "network.mode",
		.why = "the session has no network but its own loopback",
	};
	text_printf(&ret->subject, strchr(addr, ':') ? "[%s]:%u" : "%s:%u", addr, port);
	text_add(&ret->suggest, no_network);
	return true;
}
