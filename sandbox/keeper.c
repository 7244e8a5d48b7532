// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/keeper.c - the process that holds one session and clones its calls.
 *
 * It is a fork of the warden, with the warden's privileges, one thread and a
 * few pages. It sits in the session's network, ipc and uts namespaces and, on a
 * hybrid layout, in its v1 control groups, so that what it clones is born there.
 *
 * What it guarantees
 *	When the supervisor's end of the socket is gone, everything it started
 *	is killed, whatever the reason.
 *
 * Invariants it enforces itself, whoever asks: a filter always, no_new_privs
 * always, no id outside the session's range, no workspace outside the roots.
 */
#include "sandbox/keeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/cgroup.h"
#include "sandbox/ids.h"
#include "sandbox/jail.h"
#include "sandbox/landlock.h"
#include "sandbox/names.h"
#include "sandbox/network.h"
#include "sandbox/root.h"
#include "sandbox/show.h"
#include "sandbox/store.h"
#include "sandbox/sys.h"
#include "sandbox/warden.h"

/* Calls of one session at once: DESIGN.md asks for 64 running. */
#define KEEPER_CALLS 256
/* A group that is not empty by then holds tasks no signal reaches. */
#define KILL_WAIT_MS 5000

struct keeper_call {
	uint32_t number; /* 0: free */
	int leaf;
	int pidfd; /* -1: not started */
};

struct keeper {
	const struct sb_config *config;
	const struct sb_request *request;
	const struct sb_shown *shown;
	const struct sb_shown *masks; /* NULL: no pattern was asked for */
	struct store_record record;
	struct cgroup_session cgroup;
	struct jail_session jail;
	int range_lock;
	int store_lock;
	int dir;
	int self; /* pidfd of this process */
	struct sock_filter filter[SB_FILTER_MAX];
	struct keeper_call calls[KEEPER_CALLS];

	/* the top layer, while a call uses it */
	uint32_t layer; /* 0: none */
	int layer_ready; /* socket: the call that mounts it hands its mounts over */
	int layer_ns; /* mount namespace with it, -1: not taken yet */
	mode_t layer_mode; /* of its root, when it was made */
};

/* What the child that builds the root says of it. */
struct built {
	uint32_t stage;
	int32_t error;
	uint32_t landlock_abi;
	uint32_t reserved;
};

static bool request_is_sound(const struct sb_request *q, const char *session)
{
	return q->abi == SB_ABI && (q->flags & ~(uint32_t)SB_FLAGS_KNOWN) == 0 &&
	       memcmp(q->session, session, SB_ID_MAX) == 0;
}

static int load_filter(struct keeper *k, int fd)
{
	struct stat st;

	if (fd < 0)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size % (off_t)sizeof(k->filter[0]) != 0 ||
	    (size_t)st.st_size > sizeof(k->filter))
		return -EINVAL;
	if (pread(fd, k->filter, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	k->jail.filter.len = (unsigned short)((size_t)st.st_size / sizeof(k->filter[0]));
	k->jail.filter.filter = k->filter;
	return 0;
}

static int make_record(struct keeper *k)
{
	const struct sb_request *q = k->request;
	struct store_record *rec = &k->record;
	AUTO_FD ws = -1;
	struct stat st;

	ws = sys_openat2(AT_FDCWD, q->workspace, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	if (ws < 0)
		return -errno;
	if (fstat(ws, &st) < 0)
		return -errno;
	/* whoever asked sees it through us, so it must be his */
	if (q->requester != 0 && st.st_uid != q->requester)
		return -EACCES;
	rec->abi = SB_ABI;
	rec->flags = q->flags & SB_FLAG_ROOT;
	rec->owner = st.st_uid;
	rec->group = st.st_gid;
	rec->device = st.st_dev;
	rec->inode = st.st_ino;
	memcpy(rec->at, q->at, sizeof(rec->at));
	memcpy(rec->workspace, q->workspace, sizeof(rec->workspace));
	return 0;
}

static int lock_known(struct keeper *k)
{
	if (k->config->is_user)
		return 0;
	return ids_lock_known(k->config->state_dir, k->record.range, &k->range_lock);
}

static int lock_range(struct keeper *k)
{
	k->record.range = IDS_SINGLE;
	if (k->config->is_user)
		return 0;
	return ids_lock_range(k->config->state_dir, k->request->session, &k->range_lock,
			      &k->record.range);
}

/* A new session, or one that is on disk, with its range. */
static int open_store(struct keeper *k, uint32_t *ret_stage)
{
	const struct sb_request *q = k->request;
	int r;

	*ret_stage = SB_STAGE_STORE;
	if (q->flags & SB_FLAG_KNOWN) {
		r = store_load(k->config, q->session, &k->record, &k->dir);
		if (r == 0)
			r = store_lock(k->dir, &k->store_lock);
		if (r == 0 && !warden_may_show(k->config, k->record.workspace))
			r = -EPERM;
		*ret_stage = SB_STAGE_RANGE;
		return r < 0 ? r : lock_known(k);
	}
	*ret_stage = SB_STAGE_WORKSPACE;
	r = make_record(k);
	if (r < 0)
		return r;
	*ret_stage = SB_STAGE_RANGE;
	r = lock_range(k);
	if (r < 0)
		return r;
	*ret_stage = SB_STAGE_STORE;
	r = store_create(k->config, q->session, &k->record, &k->dir);
	return r < 0 ? r : store_lock(k->dir, &k->store_lock);
}

static _Noreturn void build_in_child(const struct root_plan *plan, uint32_t id, int sock)
{
	struct built b = { .stage = SB_STAGE_NAMESPACES };
	char go;

	if (read(sock, &go, 1) != 1)
		_exit(127);
	if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0 ||
	    sethostname("glovebox", 8) < 0) {
		b.error = -errno;
	} else {
		b.error = root_build(plan, &b.stage);
		if (b.error == 0) {
			b.stage = SB_STAGE_NETWORK;
			b.error = network_up();
		}
		if (b.error == 0) {
			b.stage = SB_STAGE_RULES;
			b.error = landlock_abi(&b.landlock_abi);
		}
	}
	(void)io_send(sock, &b, sizeof(b), NULL, 0);
	(void)!read(sock, &go, 1); /* until the namespaces have been opened */
	_exit(0);
}

static int open_namespaces(struct keeper *k, pid_t pid)
{
	const struct {
		const char *name;
		int *fd;
	} all[] = {
		{ "user", &k->jail.userns }, { "mnt", &k->jail.mntns }, { "net", &k->jail.netns },
		{ "ipc", &k->jail.ipcns },   { "uts", &k->jail.utsns },
	};
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, all[i].name);
		*all[i].fd = open(path, O_RDONLY | O_CLOEXEC);
		if (*all[i].fd < 0)
			return -errno;
	}
	if (setns(k->jail.netns, CLONE_NEWNET) < 0 || setns(k->jail.ipcns, CLONE_NEWIPC) < 0 ||
	    setns(k->jail.utsns, CLONE_NEWUTS) < 0)
		return -errno;
	return 0;
}

static int build_root(struct keeper *k, const struct root_plan *plan, uint32_t *ret_stage)
{
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
		.exit_signal = SIGCHLD,
	};
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct built b;
	int pair[2];
	pid_t pid;
	int r;

	*ret_stage = SB_STAGE_NAMESPACES;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = sys_clone3(&args);
	if (pid == 0) {
		(void)close(pair[0]);
		build_in_child(plan, k->jail.root_id, pair[1]);
	}
	r = pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	if (r == 0)
		r = ids_map_session(pid, k->record.range, plan->inside);
	if (r == 0 && write(pair[0], "g", 1) != 1)
		r = -EPIPE;
	if (r == 0) {
		r = io_recv(pair[0], &b, sizeof(b), fds, &count);
		r = r == 1 ? b.error : r == 0 ? -ECHILD : r;
		if (r < 0)
			*ret_stage = b.stage < SB_STAGE_COUNT ? b.stage : SB_STAGE_NAMESPACES;
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
		k->jail.landlock_abi = b.landlock_abi;
	}
	if (r == 0)
		r = open_namespaces(k, pid);
	(void)close(pair[0]);
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	return r;
}

static int open_tools(const struct sb_config *config, struct root_plan *plan)
{
	int r = 0;

	for (size_t i = 0; i < SB_TOOLS_MAX; i++)
		plan->tools[i] = -1;
	for (size_t i = 0; r == 0 && i < SB_TOOLS_MAX; i++)
		if (config->tool_dirs[i] >= 0)
			r = root_show_tools(config->tool_dirs[i], &plan->tools[i]);
	return r;
}

static int open_root(struct keeper *k, uint32_t *ret_stage)
{
	struct root_plan plan = {
		.config = k->config,
		.shown = k->shown,
		.limits = &k->jail.limits,
		.at = k->record.at,
		.inside = k->record.flags & SB_FLAG_ROOT ? 0 : SB_AGENT_ID,
		.nodes = { -1, -1, -1, -1, -1, -1 },
	};
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};
	static int shown[SB_SHOWN_MAX];
	struct over overs[SB_OVERLAYS_MAX];
	AUTO_FD devices = -1;
	AUTO_FD lower = -1;
	AUTO_FD layers = -1;
	AUTO_FD layers_dir = -1;
	AUTO_FD shift = -1;
	AUTO_FD ws = -1;
	int r;

	*ret_stage = SB_STAGE_WORKSPACE;
	r = store_open_workspace(&k->record, &ws);
	if (r == 0 && !k->jail.is_single)
		r = ids_open_shift(k->record.range, k->record.owner, k->record.group, plan.inside,
				   &shift);
	if (r == 0)
		r = root_map_workspace(ws, shift, &lower);
	if (r < 0)
		return r;
	*ret_stage = SB_STAGE_STORE;
	layers_dir = openat(k->dir, "layers", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (layers_dir < 0)
		return -errno;
	/* what is hidden now, and not what was the last time */
	r = show_clear_mask(layers_dir);
	if (r == 0)
		r = show_make_mask(layers_dir, ws, k->shown,
				   ids_outside(k->record.range, plan.inside), &k->jail.is_masked);
	if (r == 0 && k->masks)
		r = show_make_mask(layers_dir, ws, k->masks,
				   ids_outside(k->record.range, plan.inside), &k->jail.is_masked);
	if (r < 0)
		return r;
	layers = open_tree(layers_dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (layers < 0 || mount_setattr(layers, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	*ret_stage = SB_STAGE_DEVICES;
	r = root_make_devices(&devices, k->config->is_user ? plan.nodes : NULL);
	if (r < 0)
		return r;
	plan.devices = devices;
	plan.lower = lower;
	plan.layers = layers;
	*ret_stage = SB_STAGE_ROOT;
	plan.shown_fds = shown;
	plan.overs = overs;
	r = over_open(k->shown, layers_dir, k->record.range, overs);
	if (r == 0)
		r = show_open(k->shown, shown);
	if (r == 0)
		r = open_tools(k->config, &plan);
	if (r == 0)
		r = build_root(k, &plan, ret_stage);
	for (size_t i = 0; i < SB_SHOWN_MAX; i++)
		fd_done(&shown[i]);
	for (size_t i = 0; i < SB_OVERLAYS_MAX; i++)
		fd_done(&overs[i].tree);
	for (size_t i = 0; i < SB_TOOLS_MAX; i++)
		fd_done(&plan.tools[i]);
	for (size_t i = 0; i < ROOT_NODES; i++)
		fd_done(&plan.nodes[i]);
	return r;
}

/* The supervisor is told what names there are, and says which of them do not exist inside. */
static int ask_masks(struct keeper *k, int sock)
{
	struct sb_reply reply = {
		.abi = SB_ABI,
		.stage = SB_STAGE_WORKSPACE,
		.names = SB_NAMES_ALL,
	};
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	struct sb_request q;
	AUTO_FD ws = -1;
	int r;

	r = store_open_workspace(&k->record, &ws);
	if (r == 0)
		r = names_send(ws, k->record.owner, k->record.group, k->record.range == IDS_SINGLE,
			       sock);
	if (r == 0)
		r = io_send(sock, &reply, sizeof(reply), NULL, 0);
	if (r < 0)
		return r;
	r = io_recv(sock, &q, sizeof(q), fds, &count);
	if (r == 1 &&
	    (count != 1 || q.verb != SB_VERB_MASK || !request_is_sound(&q, k->request->session)))
		r = -EBADMSG;
	if (r == 1)
		r = show_load_masks(k->config, fds[0], &k->masks);
	else if (r == 0)
		r = -EPIPE;
	for (unsigned int i = 0; i < count; i++)
		fd_done(&fds[i]);
	return r;
}

static int open_session(struct keeper *k, int sock, int filter, int shown, uint32_t *ret_stage)
{
	int r;

	*ret_stage = SB_STAGE_FILTER;
	r = load_filter(k, filter);
	if (r < 0)
		return r;
	*ret_stage = SB_STAGE_REQUEST;
	r = show_load(k->config, shown, &k->shown);
	if (r < 0)
		return r;
	r = open_store(k, ret_stage);
	if (r < 0)
		return r;
	if (k->request->flags & SB_FLAG_NAMES) {
		*ret_stage = SB_STAGE_WORKSPACE;
		r = ask_masks(k, sock);
		if (r < 0)
			return r;
	}
	k->jail.at = k->record.at;
	k->jail.shown = k->shown;
	k->jail.flags = k->record.flags;
	k->jail.asks = k->request->flags & SB_FLAG_NOTIFY;
	k->jail.is_single = k->record.range == IDS_SINGLE;
	k->jail.root_id = k->jail.is_single && !(k->record.flags & SB_FLAG_ROOT) ? SB_AGENT_ID : 0;
	*ret_stage = SB_STAGE_CGROUP;
	if (k->config->has_groups) {
		r = cgroup_open_session(&k->cgroup, k->request->session, &k->jail.limits);
		if (r == 0)
			r = cgroup_join_v1(&k->cgroup);
	}
	if (r < 0)
		return r;
	return open_root(k, ret_stage);
}

static struct keeper_call *find_call(struct keeper *k, uint32_t number)
{
	for (size_t i = 0; i < KEEPER_CALLS; i++)
		if (k->calls[i].number == number)
			return &k->calls[i];
	return NULL;
}

static int watch_v1_oom(int memory, int control)
{
	char text[64];
	int fd;

	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%d %d", fd, control);
	if (io_write_file(memory, "cgroup.event_control", text) < 0)
		fd_done(&fd);
	return fd;
}

static void open_leaf_fds(struct keeper *k, int leaf, uint32_t in_force, int *fds)
{
	bool v2 = in_force & SB_FORCE_V2;
	int memory = v2 ? leaf : k->cgroup.v1[CGROUP_V1_MEMORY];
	int pids = v2 ? leaf : k->cgroup.v1[CGROUP_V1_PIDS];

	for (int i = 0; i < SB_LEAF_FD_COUNT; i++)
		fds[i] = -1;
	fds[SB_LEAF_KILL] = openat(leaf, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	fds[SB_LEAF_FREEZE] = openat(leaf, "cgroup.freeze", O_RDWR | O_CLOEXEC);
	fds[SB_LEAF_EVENTS] = openat(leaf, "cgroup.events", O_RDONLY | O_CLOEXEC);
	fds[SB_LEAF_PROCS] = openat(leaf, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	fds[SB_LEAF_DIR] = openat(leaf, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds[SB_LEAF_CPU] = openat(leaf, "cpu.stat", O_RDONLY | O_CLOEXEC);
	if (memory >= 0)
		fds[SB_LEAF_MEMORY] = openat(memory, v2 ? "memory.events" : "memory.oom_control",
					     O_RDONLY | O_CLOEXEC);
	if (pids >= 0)
		fds[SB_LEAF_PIDS] = openat(pids, "pids.events", O_RDONLY | O_CLOEXEC);
	if (!v2 && memory >= 0 && fds[SB_LEAF_MEMORY] >= 0)
		fds[SB_LEAF_OOM] = watch_v1_oom(memory, fds[SB_LEAF_MEMORY]);
}

static int serve_leaf(struct keeper *k, const struct sb_request *q, struct sb_reply *ret,
		      int *ret_fds, unsigned int *ret_count)
{
	struct keeper_call *c = find_call(k, 0);
	int fds[SB_LEAF_FD_COUNT];
	int r;

	ret->stage = SB_STAGE_LEAF;
	if (q->call == 0 || find_call(k, q->call))
		return -EINVAL;
	if (!c)
		return -EUSERS;
	c->leaf = -1;
	r = k->config->has_groups ? cgroup_make_leaf(&k->cgroup, q->call, &k->jail.limits, &c->leaf,
						     &ret->in_force)
				  : 0;
	if (r < 0)
		return r;
	c->number = q->call;
	c->pidfd = -1;
	if (c->leaf < 0)
		return 0;
	r = cgroup_id(c->leaf, &ret->cgroup_id);
	if (r < 0)
		return r;
	open_leaf_fds(k, c->leaf, ret->in_force, fds);
	if (fds[SB_LEAF_KILL] < 0 || fds[SB_LEAF_FREEZE] < 0 || fds[SB_LEAF_EVENTS] < 0 ||
	    fds[SB_LEAF_PROCS] < 0)
		return -EOPNOTSUPP; /* kernels before 5.14 have no cgroup.kill */
	for (int i = 0; i < SB_LEAF_FD_COUNT; i++) {
		if (fds[i] < 0)
			continue;
		ret->leaf_fds |= 1u << i;
		ret_fds[(*ret_count)++] = fds[i];
	}
	return 0;
}

/* --- the workspace and its layers --------------------------------------- */

/* A call that begins while another runs waits a moment, until that one has its
 * mounts; longer only when the machine stands still. */
#define LAYER_WAIT_MS 2000

static bool layers_are_sound(const struct sb_request *q)
{
	if (q->layer_count == 0 || q->layer_count > SB_LAYERS_MAX)
		return false;
	for (uint32_t i = 0; i < q->layer_count; i++)
		if (q->layers[i] == 0 || q->layers[i] > SB_LAYER_NUMBER_MAX)
			return false;
	return true;
}

static void forget_layer(struct keeper *k)
{
	fd_done(&k->layer_ready);
	fd_done(&k->layer_ns);
	k->layer = 0;
}

static int take_layer_ns(struct keeper *k)
{
	struct pollfd p = { .fd = k->layer_ready, .events = POLLIN };
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	char done;
	int r;

	if (k->layer_ns >= 0)
		return 0;
	if (poll(&p, 1, LAYER_WAIT_MS) <= 0)
		return -ETIMEDOUT;
	r = io_recv(k->layer_ready, &done, sizeof(done), fds, &count);
	if (r <= 0 || count != 1)
		return -ECANCELED; /* that call failed before it had them */
	k->layer_ns = fds[0];
	return 0;
}

/* Makes the top layer of the request, unless it is there and untouched. */
static int make_layer(struct keeper *k, const struct sb_request *q)
{
	uint32_t top = q->layers[q->layer_count - 1];
	AUTO_FD like = -1;
	AUTO_FD upper = -1;
	struct stat st;
	int r = 0;

	if (q->layer_count > 1)
		r = store_open_layer(k->dir, q->layers[q->layer_count - 2], "upper", &like);
	if (r == 0)
		r = store_make_layer(k->dir, &k->record, top, like);
	if (r == -EEXIST)
		r = 0;
	if (r == 0)
		r = store_open_layer(k->dir, top, "upper", &upper);
	if (r == 0 && fstat(upper, &st) < 0)
		r = -errno;
	if (r == 0)
		k->layer_mode = st.st_mode;
	return r;
}

/* *ret_ready is the call's end of the socket, to be closed after the clone. */
static int plan_layers(struct keeper *k, const struct sb_request *q, struct sb_plan *plan,
		       int *ret_ready)
{
	uint32_t top;
	int pair[2];
	int r;

	if (!layers_are_sound(q))
		return -EINVAL;
	top = q->layers[q->layer_count - 1];
	plan->shared = plan->ready = -1;
	plan->layers = q->layers;
	plan->layer_count = q->layer_count;
	if (!(q->flags & SB_FLAG_FRESH)) {
		if (k->layer != top)
			return -ESTALE;
		r = take_layer_ns(k);
		plan->shared = k->layer_ns;
		return r;
	}
	/* two overlays on one upper directory are undefined */
	if (k->layer != 0)
		return -EBUSY;
	r = make_layer(k, q);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	k->layer = top;
	k->layer_ready = pair[0];
	plan->ready = *ret_ready = pair[1];
	return 0;
}

/* Whether the calls that used it have left nothing in it, attributes included. */
static bool layer_is_untouched(struct keeper *k)
{
	AUTO_FD upper = -1;
	struct dirent *e;
	char names[1024];
	bool is_empty = true;
	struct stat st;
	ssize_t n;
	DIR *d;

	if (store_open_layer(k->dir, k->layer, "upper", &upper) < 0 || fstat(upper, &st) < 0 ||
	    st.st_mode != k->layer_mode)
		return false;
	n = flistxattr(upper, names, sizeof(names));
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		is_empty &= strncmp(names + i, "user.overlay.", 13) == 0;
	d = n >= 0 && is_empty ? fdopendir(upper) : NULL;
	if (!d)
		return false;
	upper = -1;
	while (is_empty && (e = readdir(d)))
		is_empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	(void)closedir(d);
	return is_empty;
}

static bool something_runs(const struct keeper *k)
{
	for (size_t i = 0; i < KEEPER_CALLS; i++)
		if (k->calls[i].number > 0 && k->calls[i].pidfd >= 0)
			return true;
	return false;
}

/* --- calls -------------------------------------------------------------- */

/* Fds of START: init's socket, block, and without a terminal stdio. */
static int serve_start(struct keeper *k, const struct sb_request *q, int *fds, unsigned int count,
		       struct sb_reply *ret, int *ret_fds, unsigned int *ret_count)
{
	struct keeper_call *c = q->call > 0 ? find_call(k, q->call) : NULL;
	struct sb_plan plan = {
		.session = &k->jail,
		.keeper = k->self,
		.is_tty = q->flags & SB_FLAG_TTY,
		.rows = q->rows,
		.columns = q->columns,
	};
	AUTO_FD ready = -1;
	pid_t pid = -1;
	int pipe_fds[2];
	int r;

	ret->stage = SB_STAGE_REQUEST;
	if (!c || c->pidfd >= 0 || count != (plan.is_tty ? 2u : 5u))
		return -EINVAL;
	ret->stage = SB_STAGE_LAYER;
	r = plan_layers(k, q, &plan, &ready);
	if (r < 0)
		return r;
	ret->stage = SB_STAGE_CLONE;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	plan.leaf = c->leaf;
	plan.is_shown = !(k->cgroup.in_force & SB_FORCE_MEMORY);
	plan.failure = pipe_fds[1];
	plan.init = fds[0];
	plan.block = fds[1];
	for (int i = 0; i < 3; i++)
		plan.stdio[i] = plan.is_tty ? -1 : fds[2 + i];
	r = jail_start(&plan, &c->pidfd, &pid);
	(void)close(pipe_fds[1]);
	if (r < 0) {
		(void)close(pipe_fds[0]);
		if (!something_runs(k))
			forget_layer(k);
		return r;
	}
	ret->pid = (uint32_t)pid;
	ret_fds[(*ret_count)++] = pipe_fds[0];
	/* without a control group its end is what tells that nothing is left */
	if (c->leaf < 0) {
		int copy = fcntl(c->pidfd, F_DUPFD_CLOEXEC, 3);

		if (copy < 0)
			return -errno;
		ret_fds[(*ret_count)++] = copy;
	}
	return 0;
}

/* Init's death is that of its pid namespace: it is over when all others are gone
 * (pid_namespaces(7)), stopped ones included. */
static int kill_init(const struct keeper_call *c)
{
	if (c->pidfd < 0)
		return 0;
	return syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH
		       ? -errno
		       : 0;
}

static int kill_and_wait(const struct keeper_call *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
	int r;

	if (c->leaf >= 0)
		return cgroup_kill_wait(c->leaf, KILL_WAIT_MS);
	r = kill_init(c);
	if (r == 0 && c->pidfd >= 0 && poll(&p, 1, KILL_WAIT_MS) == 0)
		r = -ETIMEDOUT;
	return r;
}

static int serve_kill(struct keeper *k, const struct sb_request *q, struct sb_reply *ret)
{
	struct keeper_call *c = q->call > 0 ? find_call(k, q->call) : NULL;

	ret->stage = SB_STAGE_LEAF;
	if (!c)
		return -ENOENT;
	return c->leaf >= 0 ? -EINVAL : kill_init(c);
}

static int retire(struct keeper *k, struct keeper_call *c)
{
	siginfo_t si;
	int r;

	r = kill_and_wait(c);
	if (r < 0)
		return r;
	if (c->pidfd >= 0)
		(void)waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED);
	if (c->leaf >= 0)
		r = cgroup_remove_leaf(&k->cgroup, c->number);
	fd_done(&c->pidfd);
	fd_done(&c->leaf);
	c->number = 0;
	return r;
}

static int serve_retire(struct keeper *k, const struct sb_request *q, struct sb_reply *ret)
{
	struct keeper_call *c = q->call > 0 ? find_call(k, q->call) : NULL;
	int r;

	ret->stage = SB_STAGE_LEAF;
	r = c ? retire(k, c) : -ENOENT;
	if (r == 0 && k->layer > 0 && !something_runs(k)) {
		ret->is_untouched = layer_is_untouched(k);
		forget_layer(k);
	}
	return r;
}

static int retire_all(struct keeper *k)
{
	int worst = 0;

	for (size_t i = 0; i < KEEPER_CALLS; i++)
		if (k->calls[i].number > 0) {
			int r = retire(k, &k->calls[i]);

			worst = r < 0 ? r : worst;
		}
	return worst;
}

/* False when there is nobody left to serve. */
static bool serve_one(struct keeper *k, int sock)
{
	struct sb_reply reply = { .abi = SB_ABI };
	int out[IO_FDS_MAX], in[IO_FDS_MAX];
	unsigned int out_count = 0, in_count = 0;
	struct sb_request q;
	bool more = true;
	int r;

	r = io_recv(sock, &q, sizeof(q), in, &in_count);
	if (r == 0 || (r < 0 && r != -EBADMSG))
		return false;
	if (r < 0 || !request_is_sound(&q, k->request->session)) {
		reply.stage = SB_STAGE_REQUEST;
		reply.error = -EBADMSG;
	} else if (q.verb == SB_VERB_LEAF) {
		reply.error = serve_leaf(k, &q, &reply, out, &out_count);
	} else if (q.verb == SB_VERB_START) {
		reply.error = serve_start(k, &q, in, in_count, &reply, out, &out_count);
	} else if (q.verb == SB_VERB_RETIRE) {
		reply.error = serve_retire(k, &q, &reply);
	} else if (q.verb == SB_VERB_KILL) {
		reply.error = serve_kill(k, &q, &reply);
	} else if (q.verb == SB_VERB_CLOSE) {
		reply.error = retire_all(k);
		more = false;
	} else {
		reply.stage = SB_STAGE_REQUEST;
		reply.error = -EOPNOTSUPP;
	}
	r = io_send(sock, &reply, sizeof(reply), out, out_count);
	for (unsigned int i = 0; i < in_count; i++)
		fd_done(&in[i]);
	for (unsigned int i = 0; i < out_count; i++)
		fd_done(&out[i]);
	return more && r == 0;
}

_Noreturn void keeper_main(const struct sb_config *config, const struct sb_request *request,
			   int sock, int filter, int shown)
{
	static struct keeper k;
	struct sb_reply reply = { .abi = SB_ABI };
	pid_t warden = getppid();
	AUTO_FD top = -1;
	int fds[2];

	k.config = config;
	k.request = request;
	k.cgroup = (struct cgroup_session)CGROUP_SESSION_NONE;
	k.jail.limits = request->limits;
	k.layer_ready = k.layer_ns = -1;
	k.range_lock = k.store_lock = k.dir = -1;
	k.self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	reply.error = k.self < 0 ? -errno : open_session(&k, sock, filter, shown, &reply.stage);
	fd_done(&filter);
	fd_done(&shown);
	reply.range = k.record.range;
	reply.in_force = k.cgroup.in_force;
	reply.landlock_abi = k.jail.landlock_abi;
	if (k.jail.landlock_abi > 0)
		reply.in_force |= SB_FORCE_LANDLOCK;
	if (k.jail.landlock_abi >= 6)
		reply.in_force |= SB_FORCE_LANDLOCK_SCOPE;
	fds[0] = k.dir;
	/* the one all sessions' groups are in: programs attached there serve all */
	top = k.cgroup.dir < 0 ? -1
			       : openat(k.cgroup.dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[1] = top;
	(void)io_send(sock, &reply, sizeof(reply), fds, reply.error < 0 ? 0 : top < 0 ? 1 : 2);
	fd_done(&top);
	if (reply.error == 0)
		while (serve_one(&k, sock))
			;
	(void)retire_all(&k);
	/* the warden removes groups and sockets when a keeper has ended; should it
	 * be gone itself, nobody else is left to */
	if (getppid() != warden && (!config->has_groups || cgroup_leave_v1(&k.cgroup) == 0)) {
		cgroup_session_done(&k.cgroup);
		if (config->has_groups)
			(void)cgroup_remove_session(request->session);
		if (config->run_dir)
			warden_remove_run_dir(config->run_dir);
	}
	/* a session that never was leaves nothing on disk */
	if (reply.error < 0 && k.dir >= 0)
		(void)store_remove(config, request->session);
	_exit(reply.error == 0 ? 0 : 1);
}
