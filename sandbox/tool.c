// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/tool.c - from a clone of init to the tool: a table of stages.
 *
 * What it guarantees
 *	When the tool's first instruction runs, every stage has succeeded. A
 *	stage that fails writes {stage, errno} to a close-on-exec pipe and ends
 *	the child; nothing is skipped.
 *
 * Order that matters
 *	- The call's block (argv, environment, directory) is read only after the
 *	  privileges are gone: it is the one input of variable shape.
 *	- The filter is last: what the stages need is not what the tool may do.
 *	- {exec, 0} is written just before execve, so that end of file tells an
 *	  exec from a death on the way.
 */
#include "sandbox/jail.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/privs.h"
#include "sandbox/sys.h"

/* A pipe's worth: one core dump limit that is safe and not 0, since 0 makes a
 * piped core handler run all the same (core(5)). */
#define CORE_BYTES 1
#define MSGQUEUE_BYTES 819200 /* the kernel's default */

struct tool {
	const struct sb_plan *plan;
	int terminal;
	int rules;
	char **argv;
	char **envp;
	const char *cwd;
};

static int set_limit(int which, uint64_t value)
{
	struct rlimit have, l = { .rlim_cur = value, .rlim_max = value };

	/* less than was asked for is no less safe; more than the machine gives cannot be had */
	if (getrlimit((__rlimit_resource_t)which, &have) == 0 && have.rlim_max < value)
		l.rlim_cur = l.rlim_max = have.rlim_max;
	return setrlimit((__rlimit_resource_t)which, &l) < 0 ? -errno : 0;
}

static int set_limits(struct tool *t)
{
	const struct sb_limits *l = &t->plan->session->limits;
	int r;

	r = set_limit(RLIMIT_CORE, CORE_BYTES);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, l->open_files);
	if (r == 0 && l->file_bytes > 0)
		r = set_limit(RLIMIT_FSIZE, l->file_bytes);
	if (r == 0)
		r = set_limit(RLIMIT_MEMLOCK, l->mlock_bytes);
	if (r == 0)
		r = set_limit(RLIMIT_MSGQUEUE, MSGQUEUE_BYTES);
	/* the backstop where no pids controller is: counts the session's user */
	if (r == 0)
		r = set_limit(RLIMIT_NPROC, (uint64_t)l->pids + SB_NPROC_SLACK);
	(void)umask(022);
	return r;
}

/* What whoever started Glovebox ignored or blocked is not the tool's: the warden has
 * given it all back but SIGPIPE, at its start. */
static int reset_signals(struct tool *t)
{
	sigset_t none;

	(void)t;
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int drop_privileges(struct tool *t)
{
	uint32_t id = t->plan->session->flags & SB_FLAG_ROOT ? 0 : SB_AGENT_ID;
	int r;

	r = privs_become(id, id, t->plan->session->is_single);
	if (r < 0)
		return r;
	/* a change of ids clears it; init is the parent */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

static int join_keyring(struct tool *t)
{
	(void)t;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
		return errno == ENOSYS ? 0 : -errno; /* no keyrings: none to leak */
	return 0;
}

static int arrange_fds(struct tool *t)
{
	bool is_tty = t->plan->is_tty;

	if (setsid() < 0 && errno != EPERM)
		return -errno;
	if (is_tty && ioctl(t->terminal, TIOCSCTTY, 0) < 0)
		return -errno;
	/* their numbers may overlap with 0..2 only if the keeper's did: it opened
	 * its own first, so they never do */
	for (int i = 0; i < 3; i++)
		if (dup2(is_tty ? t->terminal : t->plan->stdio[i], i) < 0)
			return -errno;
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/* Points at `count` strings from *at on. NULL when they do not fit. */
static char **point_at(char **table, uint32_t count, char **at, const char *end)
{
	for (uint32_t i = 0; i < count; i++) {
		char *nul = memchr(*at, '\0', (size_t)(end - *at));

		if (!nul)
			return NULL;
		table[i] = *at;
		*at = nul + 1;
	}
	table[count] = NULL;
	return table;
}

static int read_block(struct tool *t)
{
	struct sb_block head;
	char **table, *at, *end;
	struct stat st;
	char *map;

	if (fstat(t->plan->block, &st) < 0)
		return -errno;
	if (pread(t->plan->block, &head, sizeof(head), 0) != sizeof(head))
		return -EBADMSG;
	if (head.abi != SB_ABI || head.bytes > SB_BLOCK_MAX || head.argc < 1 ||
	    head.argc > head.bytes || head.envc > head.bytes ||
	    (uint64_t)st.st_size != sizeof(head) + (uint64_t)head.bytes)
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, t->plan->block,
		   0);
	if (map == MAP_FAILED)
		return -errno;
	table = mmap(NULL, (head.argc + (size_t)head.envc + 2) * sizeof(*table),
		     PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED)
		return -errno;
	at = map + sizeof(head);
	end = map + st.st_size;
	t->cwd = at;
	at = memchr(at, '\0', (size_t)(end - at));
	if (!at++)
		return -EBADMSG;
	t->argv = point_at(table, head.argc, &at, end);
	t->envp = t->argv ? point_at(table + head.argc + 1, head.envc, &at, end) : NULL;
	return t->envp ? 0 : -EBADMSG;
}

static int enter_directory(struct tool *t)
{
	char where[SB_PATH_MAX];
	int r;

	r = read_block(t);
	if (r < 0)
		return r;
	if (chdir(t->cwd) < 0)
		return -errno;
	/* "(unreachable)/..." is how a directory outside the root shows itself
	 * (CVE-2024-21626) */
	if (syscall(SYS_getcwd, where, sizeof(where)) < 0)
		return -errno;
	return where[0] == '/' ? 0 : -EXDEV;
}

static int restrict_landlock(struct tool *t)
{
	if (t->rules < 0)
		return 0; /* the kernel has none; the reply of OPEN said so */
	return sys_landlock_restrict(t->rules) < 0 ? -errno : 0;
}

/*
 * The listener of a filter that asks must reach the supervisor before the tool makes a
 * call that waits for its answer. What sends it has no filter: a process cloned before,
 * with our memory and our fds, as a child of init. Should it fail, it closes the listener:
 * every call that asks then answers ENOSYS, and the exec with them.
 */
#define SENDER_STACK 16384

struct sender {
	const struct sb_plan *plan;
	volatile int listener; /* -1: not yet; -2: there will be none */
};

static int send_listener(void *context)
{
	struct sb_init_message m = { .kind = SB_INIT_LISTENER };
	struct sender *s = context;
	int fd;

	while ((fd = s->listener) == -1)
		(void)sched_yield();
	if (fd >= 0 && io_send(s->plan->init, &m, sizeof(m), &fd, 1) < 0)
		(void)close(fd);
	return 0;
}

static int load_asking_filter(struct tool *t)
{
	static char stack[SENDER_STACK] __attribute__((aligned(16)));
	static struct sender s;
	/* a call that the supervisor has been told of is not broken off by a signal, or it
	 * would be told twice (5.19) */
	unsigned int flags =
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long fd;

	s = (struct sender){ .plan = t->plan, .listener = -1 };
	if (clone(send_listener, stack + sizeof(stack),
		  CLONE_VM | CLONE_FILES | CLONE_PARENT | SIGCHLD, &s) < 0)
		return -errno;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &t->plan->session->filter);
	if (fd < 0 && errno == EINVAL)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			     &t->plan->session->filter);
	s.listener = fd < 0 ? -2 : (int)fd;
	return fd < 0 ? -errno : 0;
}

static int load_filter(struct tool *t)
{
	if (t->plan->session->asks)
		return load_asking_filter(t);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &t->plan->session->filter) < 0)
		return -errno;
	return 0;
}

static const char *find_path(char *const *envp)
{
	for (; *envp; envp++)
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

/* execvp(3), without its allocations. EACCES is remembered, as there. */
static int search_and_exec(struct tool *t)
{
	const char *name = t->argv[0];
	size_t len = strlen(name);
	char path[SB_PATH_MAX];
	int r = -ENOENT;

	if (strchr(name, '/') || len == 0) {
		(void)execve(name, t->argv, t->envp);
		return -errno;
	}
	for (const char *p = find_path(t->envp); *p; p += *p == ':') {
		size_t n = strcspn(p, ":");

		if (n > 0 && n + len + 2 <= sizeof(path)) {
			memcpy(path, p, n);
			path[n] = '/';
			memcpy(path + n + 1, name, len + 1);
			(void)execve(path, t->argv, t->envp);
			if (errno == EACCES)
				r = -EACCES;
			else if (errno != ENOENT && errno != ENOTDIR)
				return -errno;
		}
		p += n;
	}
	return r;
}

static int exec_tool(struct tool *t)
{
	struct sb_failure ready = { .stage = SB_STAGE_EXEC, .error = 0 };

	if (write(t->plan->failure, &ready, sizeof(ready)) != sizeof(ready))
		return -EPIPE;
	return search_and_exec(t);
}

static const struct {
	uint32_t stage;
	int (*run)(struct tool *t);
} stages[] = {
	{ SB_STAGE_LIMITS, set_limits },
	{ SB_STAGE_LIMITS, reset_signals },
	{ SB_STAGE_PRIVILEGES, drop_privileges },
	{ SB_STAGE_KEYRING, join_keyring },
	{ SB_STAGE_FDS, arrange_fds },
	{ SB_STAGE_DIRECTORY, enter_directory },
	{ SB_STAGE_LANDLOCK, restrict_landlock },
	{ SB_STAGE_FILTER, load_filter },
	{ SB_STAGE_EXEC, exec_tool },
};

static int run_stage(struct tool *t, size_t i)
{
	return stages[i].run(t);
}

#ifdef SB_WEAKENED
/* For the escape suite: a stage that is left out must be found broken, and one that fails
 * must end the call. tests/escape/ builds this; no build of a user has it. */
static int run_stage_weakened(struct tool *t, size_t i)
{
	const char *left_out = getenv("GLOVEBOX_LEAVE_OUT"), *broken = getenv("GLOVEBOX_BREAK");
	const char *name = sb_stage_names[stages[i].stage];

	if (broken && strcmp(broken, name) == 0)
		return -EIO;
	return left_out && strcmp(left_out, name) == 0 ? 0 : run_stage(t, i);
}
#define run_stage run_stage_weakened
#endif

_Noreturn void jail_become_tool(const struct sb_plan *plan, int terminal, int rules)
{
	struct tool t = { .plan = plan, .terminal = terminal, .rules = rules };

	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		int r = run_stage(&t, i);

		if (r < 0)
			jail_fail(plan, stages[i].stage, r);
	}
	_exit(127);
}
