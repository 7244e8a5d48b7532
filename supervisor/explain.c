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
#include <string.h>
#include <sys/stat.h>

#include "supervisor/profile.h"

void denial_done(struct denial *d)
{
	text_done(&d->subject);
	text_done(&d->suggest);
}

bool explain_syscall(int nr, int error, const uint64_t args[6], struct denial *ret)
{
	const struct profile_rule *rule = profile_explain(nr, error, args);

	if (!rule)
		return false;
	*ret = (struct denial){
		.layer = "seccomp",
		.rule = "syscalls.default",
		.why = rule->why,
	};
	if (rule->what)
		text_add(&ret->subject, rule->what);
	text_printf(&ret->suggest, "syscalls.allow: [\"%s\"]", profile_syscall_name(nr));
	return true;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The listed entry that covers `path`, or NULL. */
static const char *find_listed(const struct explain_view *v, const char *path)
{
	for (const char *const *p = v->read; *p; p++)
		if (is_below(path, *p))
			return *p;
	return NULL;
}

static bool is_private(const struct explain_view *v, const char *path)
{
	static const char *const ours[] = { "/tmp",  "/run",     "/home/agent", "/dev",
					    "/proc", "/var/tmp", "/var/run" };

	if (is_below(path, v->workspace))
		return true;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (is_below(path, ours[i]))
			return true;
	return false;
}

static void set_path(struct denial *d, const char *layer, const char *rule, const char *why,
		     const char *path)
{
	*d = (struct denial){ .layer = layer, .rule = rule, .why = why };
	text_add(&d->subject, path);
}

static bool explain_missing(const struct explain_view *v, const char *path, struct denial *ret)
{
	struct stat st;

	/* /proc and /dev of the machine are not what a tool asks for */
	if (is_private(v, path) || find_listed(v, path) || path[0] != '/')
		return false;
	if (strcmp(path, "/etc/passwd") == 0 || strcmp(path, "/etc/group") == 0)
		return false;
	/* never mount anything only to explain */
	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return false;
	if (strcmp(path, "/etc/resolv.conf") == 0) {
		set_path(ret, "network", "network.mode",
			 "the session has no network, so it has no name server", path);
		text_add(&ret->suggest, "network.allow: [{\"host\": \"the one you need\"}]");
		return true;
	}
	set_path(ret, "files", "files.read",
		 "this machine has it, but the sandbox shows only what is listed", path);
	text_add(&ret->suggest, "files.read: [");
	text_add_json(&ret->suggest, path, strlen(path));
	text_add(&ret->suggest, "]");
	return true;
}

bool explain_path(const struct explain_view *v, const char *path, int error, struct denial *ret)
{
	if (error == ENOENT)
		return explain_missing(v, path, ret);
	if (error == EROFS && is_below(path, "/proc")) {
		set_path(ret, "files", "files.proc", "/proc is read-only inside", path);
		text_add(&ret->suggest, "nothing: this protects the machine");
		return true;
	}
	if (error == EROFS && !is_below(path, v->workspace)) {
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
	text_printf(&ret->suggest, "network.allow: [{\"cidr\": \"%s/%d\", \"ports\": [%u]}]", addr,
		    strchr(addr, ':') ? 128 : 32, port);
	return true;
}
