// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/jail.c - one call: from the clone to its init.
 *
 * Runs in the child of the keeper, with the keeper's privileges at first. Only
 * async-signal-safe calls: no malloc, no log.
 *
 * Order that matters
 *	- /proc is mounted while still in the first user namespace: a new one
 *	  there is owned by it, so no process inside owns a sysctl.
 *	- The user namespace is joined before the mounts are copied, so that the
 *	  copy belongs to it.
 *	- The mounts are copied from the session, or from the call whose layer is
 *	  shared: two overlays on one upper directory are undefined.
 *	- The overlay works with the ids of whoever mounts it: the session's root.
 *	- PDEATHSIG is set after the ids change, which clears it, and the keeper
 *	  is looked at after that: it may have died in between.
 */
#include "sandbox/jail.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/landlock.h"
#include "sandbox/privs.h"
#include "sandbox/root.h"
#include "sandbox/sys.h"

_Noreturn void jail_fail(const struct sb_plan *plan, uint32_t stage, int error)
{
	struct sb_failure f = { .stage = stage, .error = error };

	(void)!write(plan->failure, &f, sizeof(f));
	_exit(127);
}

/* `sees_all`: for the supervisor; the tool's own shows it no more than its own. */
static int make_proc(bool sees_all, int *ret_proc)
{
	AUTO_FD fs = -1;
	int tree;

	fs = fsopen("proc", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	/* init is not the tool's to look at */
	if (fsconfig(fs, FSCONFIG_SET_STRING, "hidepid", sees_all ? "off" : "invisible", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	tree = fsmount(fs, FSMOUNT_CLOEXEC,
		       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			       MOUNT_ATTR_RDONLY);
	if (tree < 0)
		return -errno;
	*ret_proc = tree;
	return 0;
}

/* Where no control group tells what runs, or how much it takes, the supervisor looks at the pid namespace. */
static int show_processes(const struct sb_plan *plan)
{
	struct sb_init_message m = { .kind = SB_INIT_PROC };
	AUTO_FD proc = -1;
	int r = make_proc(true, &proc);

	return r < 0 ? r : io_send(plan->init, &m, sizeof(m), &proc, 1);
}

/* Network, ipc and uts are the keeper's own already. */
static int join_session(const struct sb_plan *plan)
{
	const struct jail_session *s = plan->session;
	int mntns = plan->shared >= 0 ? plan->shared : s->mntns;

	if (setns(s->userns, CLONE_NEWUSER) < 0 || setns(mntns, CLONE_NEWNS) < 0)
		return -errno;
	if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
		return -errno;
	/* what a later call of the session mounts does not appear here */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	return 0;
}

/* The other call's /proc goes, with its covers: ours comes in its place. */
static int share_layers(void)
{
	return umount2("/proc", MNT_DETACH) < 0 && errno != EINVAL ? -errno : 0;
}

/* The keeper hands our mounts to calls that begin while we run. */
static int show_layers(const struct sb_plan *plan, int proc)
{
	AUTO_FD ns = -1;
	char done = 1;
	int r;

	r = root_mount_layers(plan->session->at, plan->layers, plan->layer_count,
			      plan->session->is_masked);
	if (r < 0)
		return r;
	ns = openat(proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return ns < 0 ? -errno : io_send(plan->ready, &done, sizeof(done), &ns, 1);
}

static int become_nobody_outside(const struct sb_plan *plan)
{
	struct pollfd keeper = { .fd = plan->keeper, .events = POLLIN };
	uint32_t id = plan->session->root_id;

	if ((!plan->session->is_single && setgroups(0, NULL) < 0) || setresgid(id, id, id) < 0 ||
	    setresuid(id, id, id) < 0)
		return -errno;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	if (poll(&keeper, 1, 0) != 0)
		return -ECANCELED;
	return 0;
}

/* A terminal of the session's own devpts; the other end goes to the supervisor. */
static int open_terminal(const struct sb_plan *plan, int *ret_terminal)
{
	struct sb_init_message m = { .kind = SB_INIT_TERMINAL };
	AUTO_FD master = -1;
	struct winsize size = { .ws_row = plan->rows, .ws_col = plan->columns };
	int unlock = 0;
	int fd, r;

	master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		return -errno;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	/* before the tool can ask for it */
	if (plan->rows > 0 && plan->columns > 0 && ioctl(master, TIOCSWINSZ, &size) < 0)
		return -errno;
	fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = io_send(plan->init, &m, sizeof(m), &master, 1);
	if (r < 0) {
		fd_done(&fd);
		return r;
	}
	*ret_terminal = fd;
	return 0;
}

/* The tool's stages run in init's memory, which saves the copy of it; init goes on
 * when the tool has its own, by exec, or is gone. */
#define STAGES_STACK 65536

struct start {
	const struct sb_plan *plan;
	int terminal, rules;
};

static int run_stages(void *context)
{
	const struct start *s = context;

	jail_become_tool(s->plan, s->terminal, s->rules);
}

static pid_t start_tool(struct start *s)
{
	static char stack[STAGES_STACK] __attribute__((aligned(16)));
	pid_t pid = clone(run_stages, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, s);

	return pid < 0 ? -errno : pid;
}

_Noreturn static void become_child(const struct sb_plan *plan)
{
	int terminal = -1;
	int rules = -1;
	int proc = -1;
	pid_t tool;
	int r;

	r = make_proc(false, &proc);
	if (r == 0 && plan->is_shown)
		r = show_processes(plan);
	if (r < 0)
		jail_fail(plan, SB_STAGE_PROC, r);
	r = join_session(plan);
	if (r < 0)
		jail_fail(plan, SB_STAGE_JOIN, r);
	r = become_nobody_outside(plan);
	if (r < 0)
		jail_fail(plan, SB_STAGE_INIT, r);
	r = plan->shared >= 0 ? share_layers() : show_layers(plan, proc);
	if (r < 0)
		jail_fail(plan, SB_STAGE_LAYER, r);
	r = landlock_make_rules(plan->session->at, plan->session->shown,
				plan->session->landlock_abi, &rules);
	if (r < 0)
		jail_fail(plan, SB_STAGE_RULES, r);
	r = root_add_proc(proc);
	if (r < 0)
		jail_fail(plan, SB_STAGE_PROC, r);
	if (plan->is_tty) {
		r = open_terminal(plan, &terminal);
		if (r < 0)
			jail_fail(plan, SB_STAGE_TERMINAL, r);
	}
	r = privs_drop_bounding();
	if (r < 0)
		jail_fail(plan, SB_STAGE_INIT, r);
	tool = start_tool(&(struct start){ plan, terminal, rules });
	if (tool < 0)
		jail_fail(plan, SB_STAGE_INIT, tool);
	jail_become_init(plan, tool);
}

int jail_start(const struct sb_plan *plan, int *ret_pidfd, pid_t *ret_pid)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_PIDFD | CLONE_CLEAR_SIGHAND |
			 (plan->leaf >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = plan->leaf >= 0 ? (uint64_t)plan->leaf : 0,
	};
	pid_t pid;

	pid = sys_clone3(&args);
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_child(plan);
	*ret_pidfd = pidfd;
	*ret_pid = pid;
	return 0;
}
