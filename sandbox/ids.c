// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/ids.c - ranges of user ids, and user namespaces that map them.
 *
 * What it guarantees
 *	A session's ids belong to nobody else while it runs, never to host uid 0
 *	or any id below SB_RANGE_FIRST. The workspace's owner appears inside as
 *	the agent only through an id-mapped mount, never through the map of the
 *	session itself: a process inside is never a user of the machine.
 */
#include "sandbox/ids.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/store.h"
#include "sandbox/sys.h"
#include "sandbox/wire.h"

/* Set once, before the warden is forked. */
static bool is_single;

void ids_use_single(void)
{
	is_single = true;
}

uint32_t ids_outside(uint32_t first, uint32_t inside)
{
	return first == IDS_SINGLE ? 0 : first + inside;
}

static bool is_sound(uint32_t first)
{
	return first == IDS_SINGLE ? is_single : first >= SB_RANGE_FIRST + SB_RANGE_SIZE;
}

static int open_ranges(const char *state_dir, int *ret_dir, int *ret_fd)
{
	AUTO_FD dir = -1;
	int fd;

	dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = openat(dir, "ranges", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	*ret_dir = fd_take(&dir);
	*ret_fd = fd;
	return 0;
}

static int lock_byte(int fd, uint32_t n)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = n,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int unlock_byte(int fd, uint32_t n)
{
	struct flock lock = {
		.l_type = F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = n,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* Whether a session that is kept on disk has it. */
static bool is_kept(int dir, int fd, uint32_t n)
{
	char id[SB_ID_MAX] = "";
	char path[32];

	if (pread(fd, id, sizeof(id), (off_t)n * SB_ID_MAX) != sizeof(id) || !store_id_is_sound(id))
		return false;
	(void)snprintf(path, sizeof(path), "sessions/%.12s", id);
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static uint32_t hash_id(const char *id)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *id; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	return h;
}

int ids_lock_range(const char *state_dir, const char *id, int *ret_lock, uint32_t *ret_first)
{
	char name[SB_ID_MAX] = "";
	uint32_t hint = hash_id(id);
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	int r;

	r = open_ranges(state_dir, &dir, &fd);
	if (r < 0)
		return r;
	/* range 0 is Glovebox's own */
	for (uint32_t i = 0; i < SB_RANGE_COUNT - 1; i++) {
		uint32_t n = 1 + (hint + i) % (SB_RANGE_COUNT - 1);

		r = lock_byte(fd, n);
		if (r == -EBUSY)
			continue;
		if (r == 0 && is_kept(dir, fd, n)) {
			r = unlock_byte(fd, n);
			if (r == 0)
				continue;
		}
		(void)snprintf(name, sizeof(name), "%s", id);
		if (r == 0 && pwrite(fd, name, sizeof(name), (off_t)n * SB_ID_MAX) != sizeof(name))
			r = -EIO;
		if (r < 0)
			return r;
		*ret_lock = fd_take(&fd);
		*ret_first = SB_RANGE_FIRST + n * SB_RANGE_SIZE;
		return 0;
	}
	return -EUSERS;
}

int ids_lock_known(const char *state_dir, uint32_t first, int *ret_lock)
{
	AUTO_FD dir = -1;
	AUTO_FD fd = -1;
	int r;

	r = open_ranges(state_dir, &dir, &fd);
	if (r == 0)
		r = lock_byte(fd, (first - SB_RANGE_FIRST) / SB_RANGE_SIZE);
	if (r == 0)
		*ret_lock = fd_take(&fd);
	return r;
}

static int write_maps(pid_t pid, const char *uid_map, const char *gid_map)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	r = io_write_file(AT_FDCWD, path, uid_map);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	return io_write_file(AT_FDCWD, path, gid_map);
}

/* With one id the namespace has one, too: `alone`. */
static void session_map(char map[64], uint32_t first, uint32_t alone)
{
	if (first == IDS_SINGLE)
		(void)snprintf(map, 64, "%u 0 1\n", alone);
	else
		(void)snprintf(map, 64, "0 %u %u\n", first, SB_RANGE_SIZE);
}

int ids_map_session(pid_t pid, uint32_t first, uint32_t inside)
{
	char map[64];

	if (!is_sound(first))
		return -EPERM;
	session_map(map, first, inside);
	return write_maps(pid, map, map);
}

/*
 * Ids of the file system on the left, ids of the range on the right. The owner
 * and the agent's own number change places; everybody else keeps his number.
 */
static void shift_map(char *out, size_t size, uint32_t first, uint32_t owner, uint32_t inside)
{
	uint32_t a = owner < inside ? owner : inside;
	uint32_t b = owner < inside ? inside : owner;
	size_t n = 0;

	if (owner == inside) {
		(void)snprintf(out, size, "0 %u %u\n", first, SB_RANGE_SIZE);
		return;
	}
	if (owner >= SB_RANGE_SIZE) {
		/* an owner above the range has no number to give in exchange */
		n = (size_t)snprintf(out, size, "%u %u 1\n", owner, first + inside);
		if (inside > 0)
			n += (size_t)snprintf(out + n, size - n, "0 %u %u\n", first, inside);
		(void)snprintf(out + n, size - n, "%u %u %u\n", inside + 1, first + inside + 1,
			       SB_RANGE_SIZE - inside - 1);
		return;
	}
	if (a > 0)
		n += (size_t)snprintf(out + n, size - n, "0 %u %u\n", first, a);
	n += (size_t)snprintf(out + n, size - n, "%u %u 1\n", a, first + b);
	if (b > a + 1)
		n += (size_t)snprintf(out + n, size - n, "%u %u %u\n", a + 1, first + a + 1,
				      b - a - 1);
	n += (size_t)snprintf(out + n, size - n, "%u %u 1\n", b, first + a);
	if (b + 1 < SB_RANGE_SIZE)
		(void)snprintf(out + n, size - n, "%u %u %u\n", b + 1, first + b + 1,
			       SB_RANGE_SIZE - b - 1);
}

/* A namespace lives by its fd, so the process that made it may end at once. */
static int open_userns(const char *uid_map, const char *gid_map, int *ret_fd)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	pid_t parent = getpid();
	AUTO_FD ns = -1;
	char path[64];
	pid_t pid;
	int r;

	pid = sys_clone3(&args);
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		/* it holds copies of our fds: it must not outlive us */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(1);
		for (;;)
			(void)pause();
	}
	r = write_maps(pid, uid_map, gid_map);
	if (r == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		if (ns < 0)
			r = -errno;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (r < 0)
		return r;
	*ret_fd = fd_take(&ns);
	return 0;
}

int ids_open_shift(uint32_t first, uid_t owner, gid_t group, uint32_t inside, int *ret_fd)
{
	char uid_map[256], gid_map[256];

	shift_map(uid_map, sizeof(uid_map), first, owner, inside);
	shift_map(gid_map, sizeof(gid_map), first, group, inside);
	return open_userns(uid_map, gid_map, ret_fd);
}

int ids_open_session(uint32_t first, int *ret_fd)
{
	char map[64];

	if (!is_sound(first))
		return -EPERM;
	session_map(map, first, 0);
	return open_userns(map, map, ret_fd);
}
