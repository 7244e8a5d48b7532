// SPDX-License-Identifier: Apache-2.0
/* supervisor/pids.c - the processes of one call, through a /proc of their own. */
#include "supervisor/pids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"

/* More than /proc/sys/kernel/pid_max allows is never seen in one namespace; a pids limit
 * stops long before. */
#define PIDS_MAX 32768u

/* What /proc/PID/stat says (proc(5)); its second field may hold anything. */
struct stat_line {
	uint32_t pid, ppid, threads;
	char state;
	uint64_t ticks; /* utime, stime, cutime, cstime together */
};

struct all {
	struct stat_line *at;
	size_t count, room;
};

static int read_stat(int dir, const char *path, struct stat_line *ret)
{
	unsigned long long utime, stime;
	long long cutime, cstime;
	char text[1024];
	const char *at;
	int r;

	r = (int)io_read_file(dir, path, text, sizeof(text));
	if (r < 0)
		return r;
	at = strrchr(text, ')');
	if (!at ||
	    sscanf(at + 1,
		   " %c %u %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %u",
		   &ret->state, &ret->ppid, &utime, &stime, &cutime, &cstime, &ret->threads) != 7)
		return -EBADMSG;
	ret->ticks = utime + stime + (uint64_t)cutime + (uint64_t)cstime;
	return 0;
}

static bool is_halted(char state)
{
	return state == 'T' || state == 't' || state == 'Z' || state == 'X';
}

/* The first thread may have ended, or have stopped before the others. */
static bool all_threads_halted(int proc, uint32_t pid)
{
	char path[64];
	AUTO_FD dir = -1;
	bool halted = true;
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%u/task", pid);
	dir = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = dir >= 0 ? fdopendir(dir) : NULL;
	if (!d)
		return errno == ENOENT;
	(void)fd_take(&dir);
	while (halted && (e = readdir(d))) {
		struct stat_line s;

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%.16s/stat", e->d_name);
		halted = read_stat(dirfd(d), path, &s) < 0 || is_halted(s.state);
	}
	(void)closedir(d);
	return halted;
}

/* Waits in vfork(2) for a child that is stopped: it runs when the child has. */
static bool waits_for_a_halted(const struct all *all, uint32_t pid)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->at[i].ppid == pid && (all->at[i].state == 'T' || all->at[i].state == 't'))
			return true;
	return false;
}

static uint64_t memory_of(int proc, uint32_t pid)
{
	unsigned long long resident, shared;
	char text[256], path[32];

	(void)snprintf(path, sizeof(path), "%u/statm", pid);
	if (io_read_file(proc, path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || shared > resident)
		return 0;
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t pids_memory(unsigned long pid)
{
	AUTO_FD proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return proc < 0 ? 0 : memory_of(proc, (uint32_t)pid);
}

static int add(struct all *all, const struct stat_line *s)
{
	if (all->count == all->room) {
		size_t room = all->room ? 2 * all->room : 64;
		struct stat_line *more =
			room > PIDS_MAX ? NULL : realloc(all->at, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		all->at = more;
		all->room = room;
	}
	all->at[all->count++] = *s;
	return 0;
}

static int list(int proc, struct all *all)
{
	AUTO_FD dir = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dir >= 0 ? fdopendir(dir) : NULL;
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	(void)fd_take(&dir);
	while (r == 0 && (e = readdir(d))) {
		struct stat_line s = { .pid = (uint32_t)strtoul(e->d_name, NULL, 10) };
		char path[32];

		if (s.pid == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%u/stat", s.pid);
		if (read_stat(proc, path, &s) == 0)
			r = add(all, &s);
	}
	(void)closedir(d);
	return r;
}

int pids_look(int proc, struct pids_look *ret)
{
	uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	struct all all = { 0 };
	int r = list(proc, &all);

	*ret = (struct pids_look){ 0 };
	for (size_t i = 0; r == 0 && i < all.count; i++) {
		const struct stat_line *s = &all.at[i];
		bool is_dead = (s->state == 'Z' || s->state == 'X') && s->threads <= 1;

		ret->cpu_ns += s->ticks * tick_ns;
		if (s->pid == 1 || is_dead)
			continue;
		ret->processes++;
		ret->memory_bytes += memory_of(proc, s->pid);
		if (is_halted(s->state) ? s->threads > 1 && !all_threads_halted(proc, s->pid)
					: s->state != 'D' || !waits_for_a_halted(&all, s->pid))
			ret->running++;
	}
	free(all.at);
	return r;
}
