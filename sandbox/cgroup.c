// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/cgroup.c - control groups of sessions and calls, on both layouts.
 *
 * Pure v2:	<v2>/glovebox/<session>/<call>, limits on each leaf.
 * Hybrid:	the same tree without controllers, for identity, freeze and kill;
 *		limits on <v1 controller>/glovebox/<session>, which the keeper
 *		joins once, so that its clones are born there: joining costs an
 *		RCU grace period (5 ms), a birth nothing (SPAWN.md, finding 1).
 *
 * What it does not do: judge whether a missing controller matters. It says in
 * `in_force` what the kernel accepted; the tier is the supervisor's.
 */
#include "sandbox/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/sys.h"

#define CGROUP_TOP "glovebox"
#define CPU_PERIOD_US 100000u /* the kernel's default period */
/* Init lives in the leaf beside the tool, and the keeper in the v1 group: the
 * limit is the tool's, so both are added. */
#define PIDS_OURS 2u

static const char *const v1_names[CGROUP_V1_COUNT] = {
	[CGROUP_V1_MEMORY] = "memory",
	[CGROUP_V1_PIDS] = "pids",
	[CGROUP_V1_CPU] = "cpu",
};

static const uint32_t force_bits[CGROUP_V1_COUNT] = {
	[CGROUP_V1_MEMORY] = SB_FORCE_MEMORY,
	[CGROUP_V1_PIDS] = SB_FORCE_PIDS,
	[CGROUP_V1_CPU] = SB_FORCE_CPU,
};

static int open_hierarchy(const char *path, long magic, int *ret_fd)
{
	AUTO_FD fd = -1;
	struct statfs fs;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != magic)
		return -EOPNOTSUPP;
	*ret_fd = fd_take(&fd);
	return 0;
}

static const char *const mount_points[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

/* The v2 directory in which CGROUP_TOP is made; "": none was found to work. Constant after
 * cgroup_use(). */
static char base[SB_PATH_MAX];

static int open_v2(int *ret_fd)
{
	return base[0] ? open_hierarchy(base, CGROUP2_SUPER_MAGIC, ret_fd) : -EOPNOTSUPP;
}

static int make_dir(int parent, const char *name, bool may_exist, int *ret_fd)
{
	int fd;

	if (mkdirat(parent, name, 0755) < 0 && !(errno == EEXIST && may_exist))
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* One by one: a controller that is missing must not take the others along. */
static void enable_controllers(int dir)
{
	static const char *const words[] = { "+memory", "+pids", "+cpu" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		(void)io_write_file(dir, "cgroup.subtree_control", words[i]);
}

/* The last session to end removes the top group, perhaps just now. */
#define TOP_TRIES 16

static int make_session_dir(int root, const char *id, bool with_controllers, int *ret_fd)
{
	int r = -ENOENT;

	for (int i = 0; i < TOP_TRIES && r == -ENOENT; i++) {
		AUTO_FD top = -1;

		r = make_dir(root, CGROUP_TOP, true, &top);
		if (r < 0)
			continue;
		if (with_controllers)
			enable_controllers(top);
		r = make_dir(top, id, false, ret_fd);
	}
	return r;
}

/* --- which hierarchy ------------------------------------------------------------ */

/* A process is really born in a group that is really made, and the group killed: what the
 * mode bits say counts for nothing (a read-only mount, a group of threads, a clone that an
 * outer filter refuses). */
static int try_clone_into(int dir)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)dir,
	};
	int status = -1;
	pid_t pid = sys_clone3(&args);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -errno;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return -ECHILD;
	return io_write_file(dir, "cgroup.kill", "1");
}

static int try_groups(const char *path)
{
	AUTO_FD root = -1;
	AUTO_FD dir = -1;
	char name[32];
	int r;

	r = open_hierarchy(path, CGROUP2_SUPER_MAGIC, &root);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "probe-%d", getpid());
	r = make_session_dir(root, name, false, &dir);
	if (r < 0)
		return r;
	r = try_clone_into(dir);
	(void)snprintf(name, sizeof(name), CGROUP_TOP "/probe-%d", getpid());
	(void)unlinkat(root, name, AT_REMOVEDIR);
	(void)unlinkat(root, CGROUP_TOP, AT_REMOVEDIR); /* stays while others use it */
	return r;
}

/* Of this process in the v2 hierarchy: the line "0::/path" of cgroups(7). */
static int own_path(char ret[SB_PATH_MAX])
{
	char text[SB_PATH_MAX];
	const char *at;
	size_t n;
	int r;

	r = (int)io_read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));
	if (r < 0)
		return r;
	at = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!at)
		return -EOPNOTSUPP;
	at = strchr(at, '/');
	n = strcspn(at, "\n");
	/* "/.." is a group outside of what we see */
	if (strncmp(at, "/..", 3) == 0)
		return -EXDEV;
	memcpy(ret, at, n);
	ret[n] = '\0';
	return 0;
}

/* A group of whose children some have controllers holds no processes itself: where all in
 * it are ours, we go one down. */
static void make_room(const char *path)
{
	AUTO_FD root = -1;
	AUTO_FD dir = -1;
	char text[64], own[16];

	if (open_hierarchy(path, CGROUP2_SUPER_MAGIC, &root) < 0)
		return;
	(void)snprintf(own, sizeof(own), "%d\n", getpid());
	if (io_read_file(root, "cgroup.procs", text, sizeof(text)) <= 0 || strcmp(text, own) != 0)
		return;
	if (make_dir(root, CGROUP_TOP "-supervisor", true, &dir) == 0)
		(void)io_write_file(dir, "cgroup.procs", "0");
}

int cgroup_use(bool own)
{
	char path[SB_PATH_MAX] = "/", place[2 * SB_PATH_MAX];
	int r = own ? own_path(path) : 0;
	int worst = -EOPNOTSUPP;

	base[0] = '\0';
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(mount_points); i++) {
		int e;

		(void)snprintf(place, sizeof(place), "%s%s", mount_points[i], path[1] ? path : "");
		if (strlen(place) >= sizeof(base))
			continue;
		if (own)
			make_room(place);
		e = try_groups(place);
		if (e == 0) {
			memcpy(base, place, strlen(place) + 1);
			return 0;
		}
		worst = e == -EOPNOTSUPP || e == -ENOENT ? worst : e;
	}
	return r < 0 ? r : worst;
}

static int limit_v1(enum cgroup_v1 which, int dir, const struct sb_limits *l)
{
	char text[32];
	int r;

	switch (which) {
	case CGROUP_V1_MEMORY:
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)l->memory_bytes);
		r = io_write_file(dir, "memory.limit_in_bytes", text);
		if (r == 0) /* absent where swap is not accounted */
			(void)io_write_file(dir, "memory.memsw.limit_in_bytes", text);
		return r;
	case CGROUP_V1_PIDS:
		(void)snprintf(text, sizeof(text), "%u", l->pids + PIDS_OURS);
		return io_write_file(dir, "pids.max", text);
	case CGROUP_V1_CPU:
		(void)snprintf(text, sizeof(text), "%llu",
			       (unsigned long long)l->cpu_milli * CPU_PERIOD_US / 1000);
		return io_write_file(dir, "cpu.cfs_quota_us", text);
	case CGROUP_V1_COUNT:
		break;
	}
	return -EINVAL;
}

static void open_v1(struct cgroup_session *s, const char *id, const struct sb_limits *limits)
{
	for (int i = 0; i < CGROUP_V1_COUNT; i++) {
		AUTO_FD root = -1;
		char path[64];

		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", v1_names[i]);
		if (open_hierarchy(path, CGROUP_SUPER_MAGIC, &root) < 0 ||
		    make_session_dir(root, id, false, &s->v1[i]) < 0)
			continue;
		if (limit_v1((enum cgroup_v1)i, s->v1[i], limits) == 0)
			s->in_force |= force_bits[i] | SB_FORCE_V1;
	}
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
		if ((p == text || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
			return true;
	return false;
}

int cgroup_open_session(struct cgroup_session *ret, const char *id, const struct sb_limits *limits)
{
	struct cgroup_session s = CGROUP_SESSION_NONE;
	AUTO_FD root = -1;
	char controllers[256];
	int r;

	r = open_v2(&root);
	if (r < 0)
		return r;
	enable_controllers(root);
	r = make_session_dir(root, id, true, &s.dir);
	if (r < 0)
		return r;
	enable_controllers(s.dir);
	r = (int)io_read_file(s.dir, "cgroup.subtree_control", controllers, sizeof(controllers));
	if (r < 0) {
		cgroup_session_done(&s);
		return r;
	}
	for (int i = 0; i < CGROUP_V1_COUNT; i++)
		if (has_word(controllers, v1_names[i]))
			s.in_force |= force_bits[i] | SB_FORCE_V2;
	/* a mixture (a v2 hierarchy with some of them) is limited by v2 alone */
	if (!(s.in_force & SB_FORCE_V2))
		open_v1(&s, id, limits);
	*ret = s;
	return 0;
}

int cgroup_join_v1(const struct cgroup_session *s)
{
	for (int i = 0; i < CGROUP_V1_COUNT; i++) {
		int r;

		if (s->v1[i] < 0)
			continue;
		r = io_write_file(s->v1[i], "cgroup.procs", "0");
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_leave_v1(const struct cgroup_session *s)
{
	for (int i = 0; i < CGROUP_V1_COUNT; i++) {
		char path[64];
		int r;

		if (s->v1[i] < 0)
			continue;

		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", v1_names[i]);
		r = io_write_file(AT_FDCWD, path, "0");
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* What the session's group said it could limit must be limited, or the call does
 * not start. */
static int limit_v2(int dir, const struct sb_limits *l, uint32_t in_force)
{
	char text[64];
	int r = 0;

	if (!(in_force & SB_FORCE_V2))
		return 0;
	if (in_force & SB_FORCE_MEMORY) {
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)l->memory_bytes);
		r = io_write_file(dir, "memory.max", text);
		(void)io_write_file(dir, "memory.swap.max", "0"); /* no swap: no file */
		(void)io_write_file(dir, "memory.oom.group", "1"); /* since 4.19 */
	}
	if (r == 0 && (in_force & SB_FORCE_PIDS)) {
		(void)snprintf(text, sizeof(text), "%u", l->pids + 1);
		r = io_write_file(dir, "pids.max", text);
	}
	if (r == 0 && (in_force & SB_FORCE_CPU)) {
		(void)snprintf(text, sizeof(text), "%llu %u",
			       (unsigned long long)l->cpu_milli * CPU_PERIOD_US / 1000,
			       CPU_PERIOD_US);
		r = io_write_file(dir, "cpu.max", text);
	}
	(void)io_write_file(dir, "cgroup.max.descendants", "0");
	return r;
}

int cgroup_make_leaf(const struct cgroup_session *s, uint32_t number,
		     const struct sb_limits *limits, int *ret_dir, uint32_t *in_force)
{
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "%u", number);
	r = make_dir(s->dir, name, false, ret_dir);
	if (r < 0)
		return r;
	*in_force |= s->in_force;
	return limit_v2(*ret_dir, limits, s->in_force);
}

int cgroup_id(int dir, uint64_t *ret_id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(uint64_t)];
	} h;
	int mount_id;

	h.handle.handle_bytes = sizeof(uint64_t);
	if (name_to_handle_at(dir, "", &h.handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	memcpy(ret_id, h.handle.f_handle, sizeof(*ret_id));
	return 0;
}

static bool is_populated(int dir)
{
	char events[128];

	if (io_read_file(dir, "cgroup.events", events, sizeof(events)) < 0)
		return false;
	return strstr(events, "populated 1") != NULL;
}

int cgroup_kill_wait(int dir, unsigned int timeout_ms)
{
	uint64_t end = io_now_ns() + (uint64_t)timeout_ms * 1000000u;
	int r;

	r = io_write_file(dir, "cgroup.kill", "1");
	if (r < 0)
		return r;
	while (is_populated(dir)) {
		if (io_now_ns() > end)
			return -ETIMEDOUT;
		/* poll on cgroup.events is rate limited (SPAWN.md, finding 4) */
		(void)poll(NULL, 0, 1);
	}
	return 0;
}

int cgroup_remove_leaf(const struct cgroup_session *s, uint32_t number)
{
	char name[16];
	AUTO_FD copy = -1;
	struct dirent *e;
	DIR *d;

	if (number > 0) {
		(void)snprintf(name, sizeof(name), "%u", number);
		return unlinkat(s->dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
	}
	copy = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	d = fdopendir(copy);
	if (!d)
		return -errno;
	copy = -1;
	while ((e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			(void)unlinkat(s->dir, e->d_name, AT_REMOVEDIR);
	(void)closedir(d);
	return 0;
}

static void remove_below(const char *hierarchy, long magic, const char *id)
{
	AUTO_FD root = -1;
	char path[64];

	if (open_hierarchy(hierarchy, magic, &root) < 0)
		return;
	(void)snprintf(path, sizeof(path), CGROUP_TOP "/%s", id);
	/* a group is busy for a moment after its last task has gone */
	for (int i = 0; i < 200 && unlinkat(root, path, AT_REMOVEDIR) < 0 && errno == EBUSY; i++)
		(void)poll(NULL, 0, 5);
	(void)unlinkat(root, CGROUP_TOP, AT_REMOVEDIR); /* stays while others use it */
}

int cgroup_remove_session(const char *id)
{
	struct cgroup_session s = CGROUP_SESSION_NONE;
	AUTO_FD root = -1;
	char path[64];
	int r;

	r = open_v2(&root);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), CGROUP_TOP "/%s", id);
	s.dir = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s.dir >= 0) {
		(void)cgroup_kill_wait(s.dir, 5000);
		(void)cgroup_remove_leaf(&s, 0);
	}
	cgroup_session_done(&s);
	remove_below(base, CGROUP2_SUPER_MAGIC, id);
	for (int i = 0; i < CGROUP_V1_COUNT; i++) {
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", v1_names[i]);
		remove_below(path, CGROUP_SUPER_MAGIC, id);
	}
	return 0;
}

void cgroup_each_session(void (*fn)(const char *id, void *context), void *context)
{
	AUTO_FD root = -1;
	AUTO_FD top = -1;
	struct dirent *e;
	DIR *d;

	if (open_v2(&root) < 0)
		return;
	top = openat(root, CGROUP_TOP, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	d = top >= 0 ? fdopendir(top) : NULL;
	if (!d)
		return;
	(void)fd_take(&top);
	while ((e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] == 's')
			fn(e->d_name, context);
	(void)closedir(d);
}

void cgroup_session_done(struct cgroup_session *s)
{
	fd_done(&s->dir);
	for (int i = 0; i < CGROUP_V1_COUNT; i++)
		fd_done(&s->v1[i]);
}
