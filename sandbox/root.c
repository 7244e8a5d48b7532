// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/root.c - the private root of a session, and its overlay.
 *
 * What it guarantees
 *	What is not listed does not exist. Every system directory is read-only,
 *	nosuid and nodev on every mount below it (AT_RECURSIVE; a kernel that
 *	cannot do that ends the session). Nothing mounted here reaches the host,
 *	and nothing the host mounts later appears here.
 *
 * Order that matters
 *	- The detached trees are attached before they are opened: an fd from
 *	  before the clone points into the other mount namespace.
 *	- The root turns read-only last.
 *	- The workspace and the layers are mounted below the session's /proc,
 *	  where the overlay of a call finds them; then the call's own /proc goes
 *	  on top. Nobody inside has the power to take that away.
 *	- The overlay is mounted in the call's copy, so it ends with the call:
 *	  to unmount one costs a grace period (600 us back to back).
 */
#include "sandbox/root.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/show.h"
#include "sandbox/sys.h"

#define HOME_DIR "home/agent"
#define ROOT_BYTES "4m" /* directories and three small files */
#define TMP_INODES "200000" /* names in one private tmpfs */
#define TTY_GROUP "5" /* `tty` in every distribution's passwd */

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
				  "agent:x:1000:1000:agent:/home/agent:/bin/sh\n"
				  "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
static const char group_text[] = "root:x:0:\ntty:x:5:\nagent:x:1000:\nnogroup:x:65534:\n";
static const char hosts_text[] = "127.0.0.1 localhost glovebox\n::1 localhost\n";

struct mount_option {
	const char *key;
	const char *value; /* NULL: a flag */
};

/* A detached mount of a new file system. */
static int make_mount(const char *type, const struct mount_option *options, unsigned int attrs,
		      int *ret_tree)
{
	AUTO_FD fs = -1;
	int tree;

	fs = fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	for (; options->key; options++) {
		unsigned int cmd = options->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

		if (fsconfig(fs, cmd, options->key, options->value, 0) < 0)
			return -errno;
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	tree = fsmount(fs, FSMOUNT_CLOEXEC, attrs);
	if (tree < 0)
		return -errno;
	*ret_tree = tree;
	return 0;
}

static int attach(int tree, int dir, const char *path)
{
	return move_mount(tree, "", dir, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_attrs(int tree, uint64_t attrs, unsigned int flags)
{
	struct mount_attr attr = { .attr_set = attrs, .propagation = MS_PRIVATE };

	return mount_setattr(tree, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static const struct {
	const char *name;
	unsigned int major, minor; /* devices.txt of the kernel */
} device_nodes[ROOT_NODES] = {
	{ "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

/* A place for it, and the machine's own to be bound there. */
static int open_node(int tree, size_t i, int *ret_node)
{
	AUTO_FD place =
		openat(tree, device_nodes[i].name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	AUTO_FD node = -1;
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/dev/%s", device_nodes[i].name);
	node = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (place < 0 || node < 0 || fstat(node, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(device_nodes[i].major, device_nodes[i].minor))
		return -ENXIO;
	*ret_node = fd_take(&node);
	return 0;
}

int root_make_devices(int *ret_tree, int *nodes)
{
	static const struct {
		const char *name, *to;
	} links[] = {
		{ "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
		{ "ptmx", "pts/ptmx" },
	};
	static const struct mount_option options[] = {
		{ "mode", "0755" },
		{ "size", "64k" },
		{ "nr_inodes", "64" },
		{ 0 },
	};
	AUTO_FD tree = -1;
	mode_t old;
	int r;

	r = make_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &tree);
	if (r < 0)
		return r;
	old = umask(0);
	for (size_t i = 0; i < ROOT_NODES && r == 0; i++)
		if (nodes)
			r = open_node(tree, i, &nodes[i]);
		else if (mknodat(tree, device_nodes[i].name, S_IFCHR | 0666,
				 makedev(device_nodes[i].major, device_nodes[i].minor)) < 0)
			r = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(links) && r == 0; i++)
		if (symlinkat(links[i].to, tree, links[i].name) < 0)
			r = -errno;
	if (r == 0 && (mkdirat(tree, "pts", 0755) < 0 || mkdirat(tree, "shm", 0755) < 0))
		r = -errno;
	(void)umask(old);
	if (r < 0)
		return r;
	*ret_tree = fd_take(&tree);
	return 0;
}

int root_map_workspace(int workspace, int userns, int *ret_tree)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    (userns >= 0 ? MOUNT_ATTR_IDMAP : 0),
		.propagation = MS_PRIVATE,
		.userns_fd = userns >= 0 ? (uint64_t)userns : 0,
	};
	/* mounts of the machine are locked to what they cover in a user's namespace */
	unsigned int all = userns >= 0 ? 0 : AT_RECURSIVE;
	AUTO_FD tree = -1;

	tree = open_tree(workspace, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | all);
	if (tree < 0)
		return -errno;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | all, &attr, sizeof(attr)) < 0)
		return -errno;
	*ret_tree = fd_take(&tree);
	return 0;
}

int root_show_tools(int dir, int *ret_tree)
{
	AUTO_FD tree = -1;
	int r;

	tree = open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return -errno;
	r = set_attrs(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0);
	if (r < 0)
		return r;
	*ret_tree = fd_take(&tree);
	return 0;
}

static int write_text(int root, const char *path, const char *text, size_t size)
{
	AUTO_FD fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	return fd < 0 ? -errno : io_write_all(fd, text, size);
}

static int make_users(int root)
{
	int r;

	r = write_text(root, "etc/passwd", passwd_text, sizeof(passwd_text) - 1);
	if (r == 0)
		r = write_text(root, "etc/group", group_text, sizeof(group_text) - 1);
	return r < 0 ? r : write_text(root, "etc/hosts", hosts_text, sizeof(hosts_text) - 1);
}

static int make_files(int root)
{
	static const char *const dirs[] = { "etc",  "dev",    "proc", "sys", "tmp", "run",
					    "home", HOME_DIR, "root", "var", "srv", "mnt" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(root, dirs[i], 0755) < 0)
			return -errno;
	if (symlinkat("/tmp", root, "var/tmp") < 0 || symlinkat("/run", root, "var/run") < 0)
		return -errno;
	return make_users(root);
}

/* /glovebox/tools, /glovebox/tools.1 and so on. */
static int add_tools(int root, const struct root_plan *plan)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < SB_TOOLS_MAX; i++) {
		char at[64] = SB_TOOLS_AT;

		if (plan->tools[i] < 0)
			continue;
		if (i > 0)
			(void)snprintf(at, sizeof(at), SB_TOOLS_AT ".%zu", i);
		r = show_make_path(root, at + 1, false);
		if (r == 0)
			r = show_attach(plan->tools[i], root, at + 1);
	}
	return r;
}

static int add_tmpfs(int root, const char *path, const struct root_plan *plan, const char *mode,
		     unsigned int attrs)
{
	char size[32], id[16];
	const struct mount_option options[] = {
		{ "size", size }, { "nr_inodes", TMP_INODES },
		{ "mode", mode }, { "uid", id },
		{ "gid", id },    { 0 },
	};
	AUTO_FD tree = -1;
	int r;

	(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)plan->limits->tmp_bytes);
	(void)snprintf(id, sizeof(id), "%u", plan->inside);
	r = make_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | attrs, &tree);
	return r < 0 ? r : attach(tree, root, path);
}

static int add_devices(int root, const struct root_plan *plan)
{
	const struct mount_option options[] = {
		{ "newinstance", NULL },
		{ "ptmxmode", "0666" },
		{ "mode", "0620" },
		/* last: the group of terminals is no id of a user's namespace */
		{ plan->config->is_user ? NULL : "gid", TTY_GROUP },
		{ 0 },
	};
	AUTO_FD pts = -1;
	char path[32];
	int r;

	r = attach(plan->devices, root, "dev");
	for (size_t i = 0; r == 0 && i < ROOT_NODES; i++) {
		(void)snprintf(path, sizeof(path), "dev/%s", device_nodes[i].name);
		if (plan->nodes[i] >= 0)
			r = attach(plan->nodes[i], root, path);
	}
	if (r < 0)
		return r;
	r = make_mount("devpts", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &pts);
	if (r < 0)
		return r;
	r = attach(pts, root, "dev/pts");
	if (r < 0)
		return r;
	r = add_tmpfs(root, "dev/shm", plan, "1777", 0);
	if (r < 0)
		return r;
	return set_attrs(plan->devices, MOUNT_ATTR_RDONLY, 0);
}

/* A file system that cannot hold the upper directory makes an overlay that is
 * read-only, and says nothing. */
static int check_writable(const char *at)
{
	struct statvfs fs;

	if (statvfs(at, &fs) < 0)
		return -errno;
	return fs.f_flag & ST_RDONLY ? -EROFS : 0;
}

/* What the overlays of the calls are made of, and the place they will have. */
static int add_layers(int root, const struct root_plan *plan)
{
	int r;

	if (mkdirat(root, "proc/w", 0700) < 0 || mkdirat(root, "proc/l", 0700) < 0)
		return -errno;
	r = attach(plan->lower, root, "proc/w");
	if (r == 0)
		r = attach(plan->layers, root, "proc/l");
	if (r == 0)
		r = over_mount(root, plan->overs);
	/* that of the machine is everybody's: it is not shown */
	for (size_t i = 0; r == 0 && i < SB_OVERLAYS_MAX; i++)
		if (plan->overs[i].tree >= 0 && strcmp(plan->overs[i].path, "/var") == 0)
			r = add_tmpfs(root, "var/tmp", plan, "1777", 0);
	if (r == 0)
		r = show_cover(root, plan->config, plan->shown);
	return r < 0 ? r : show_make_path(root, plan->at + 1, false);
}

int root_add_lowers(char *options, size_t size, const uint32_t *layers, uint32_t count,
		    const char *base)
{
	size_t n = strlen(options);

	for (uint32_t i = count; i > 0 && n < size; i--)
		n += (size_t)snprintf(options + n, size - n, "l/%u/upper:", layers[i - 1]);
	if (n < size)
		n += (size_t)snprintf(options + n, size - n, "%s", base);
	return n < size ? 0 : -E2BIG;
}

int root_mount_layers(const char *at, const uint32_t *layers, uint32_t count, bool is_masked)
{
	/* mount(2): fsconfig(2) takes no more than 256 bytes of a value */
	char options[4000] = "userxattr,lowerdir=";
	size_t n;
	int r;

	if (count == 0)
		return -EINVAL;
	r = root_add_lowers(options, sizeof(options), layers, count - 1,
			    is_masked ? "l/mask:w" : "w");
	if (r < 0)
		return r;
	n = strlen(options);
	n += (size_t)snprintf(options + n, sizeof(options) - n,
			      ",upperdir=l/%u/upper,workdir=l/%u/work", layers[count - 1],
			      layers[count - 1]);
	if (n >= sizeof(options))
		return -E2BIG;
	/* the paths of the options begin here */
	if (chdir("/proc") < 0)
		return -errno;
	if (mount("overlay", at, "overlay", MS_NOSUID | MS_NODEV, options) < 0)
		return -errno;
	if (chdir("/") < 0)
		return -errno;
	return check_writable(at);
}

static int pivot(int root)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (fchdir(root) < 0 || sys_pivot_root(".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int root_build(const struct root_plan *plan, uint32_t *ret_stage)
{
	static const struct mount_option options[] = {
		{ "mode", "0755" },
		{ "size", ROOT_BYTES },
		{ 0 },
	};
	AUTO_FD tree = -1;
	AUTO_FD root = -1;
	int r;

	*ret_stage = SB_STAGE_ROOT;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	r = make_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &tree);
	if (r == 0)
		r = attach(tree, AT_FDCWD, plan->config->staging);
	if (r < 0)
		return r;
	root = open(plan->config->staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (root < 0)
		return -errno;
	r = make_files(root);
	if (r == 0)
		r = add_tmpfs(root, "tmp", plan, "1777", 0);
	if (r == 0)
		r = add_tmpfs(root, "run", plan, "0755", MOUNT_ATTR_NOEXEC);
	if (r == 0)
		r = add_tmpfs(root, HOME_DIR, plan, "0700", 0);
	/* after those: what is shown may lie below them */
	if (r == 0)
		r = show_all(root, plan->shown, plan->shown_fds);
	if (r == 0)
		r = add_tools(root, plan);
	if (r < 0)
		return r;
	*ret_stage = SB_STAGE_DEVICES;
	r = add_devices(root, plan);
	if (r < 0)
		return r;
	*ret_stage = SB_STAGE_LAYER;
	r = add_layers(root, plan);
	if (r < 0)
		return r;
	*ret_stage = SB_STAGE_PIVOT;
	return pivot(root);
}

/* Read-only as a whole (sysctls, sysrq-trigger, core_pattern, oom_score_adj,
 * uid_map), and these cannot be read either. */
int root_add_proc(int proc)
{
	static const char *const files[] = {
		"/proc/kcore",         "/proc/keys",        "/proc/kallsyms",
		"/proc/timer_list",    "/proc/sched_debug", "/proc/sysrq-trigger",
		"/proc/latency_stats", "/proc/interrupts",  "/proc/kmsg",
		"/proc/kpagecount",    "/proc/kpageflags",  "/proc/kpagecgroup",
		"/proc/vmallocinfo",
	};
	static const char *const dirs[] = {
		"/proc/acpi", "/proc/asound", "/proc/scsi",
		"/proc/bus",  "/proc/irq",    "/proc/driver",
	};
	int r;

	r = attach(proc, AT_FDCWD, "/proc");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files) + ARRAY_SIZE(dirs); i++) {
		bool is_file = i < ARRAY_SIZE(files);
		const char *path = is_file ? files[i] : dirs[i - ARRAY_SIZE(files)];
		AUTO_FD cover = -1;

		/* what the session's root may not read, the tool may not either */
		if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) < 0)
			continue;
		cover = open_tree(AT_FDCWD, is_file ? "/dev/null" : "/sys",
				  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (cover < 0)
			return -errno;
		r = attach(cover, AT_FDCWD, path);
	}
	return r;
}
