// SPDX-License-Identifier: Apache-2.0
/* tests/unit/pids.c - processes as a /proc tells of them: a made-up one. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/pids.h"

static char place[] = "/tmp/glovebox-pids-XXXXXX";
static int proc = -1;

static void write_at(const char *path, const char *text)
{
	int fd = openat(proc, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	(void)close(fd);
}

/* The 52 fields are more than is read; what is between has other numbers on purpose. */
static void stat_at(const char *path, int pid, const char *comm, char state, int ppid, int threads)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "%d (%s) %c %d 4 5 6 -1 4194304 10 11 12 13 100 20 3 4 20 0 %d 0 99 1 2 3\n",
		       pid, comm, state, ppid, threads);
	write_at(path, text);
}

static void process(int pid, const char *comm, char state, int ppid, int threads)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d", pid);
	(void)mkdirat(proc, path, 0700);
	(void)snprintf(path, sizeof(path), "%d/task", pid);
	(void)mkdirat(proc, path, 0700);
	(void)snprintf(path, sizeof(path), "%d/stat", pid);
	stat_at(path, pid, comm, state, ppid, threads);
	(void)snprintf(path, sizeof(path), "%d/statm", pid);
	write_at(path, "1000 300 100 1 0 1 0\n");
}

static void thread(int pid, int tid, char state)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/task/%d", pid, tid);
	(void)mkdirat(proc, path, 0700);
	(void)snprintf(path, sizeof(path), "%d/task/%d/stat", pid, tid);
	stat_at(path, tid, "t", state, 1, 2);
}

static void make(void)
{
	cr_assert(mkdtemp(place));
	proc = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(proc >= 0);
	process(1, "init", 'S', 0, 1);
}

static void clean(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", place);
	cr_assert(system(command) == 0);
}

TestSuite(pids, .init = make, .fini = clean);

static struct pids_look look(void)
{
	struct pids_look l;

	cr_assert_eq(pids_look(proc, &l), 0);
	return l;
}

Test(pids, a_name_may_hold_anything)
{
	process(7, ") R 9 (x\n) T 1", 'R', 1, 1);
	cr_assert_eq(look().processes, 1u);
	cr_assert_eq(look().running, 1u);
}

Test(pids, init_and_the_dead_are_not_counted_but_their_time_is)
{
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);

	process(7, "z", 'Z', 1, 1);
	cr_assert_eq(look().processes, 0u);
	cr_assert_eq(look().running, 0u);
	cr_assert_eq(look().cpu_ns, 2 * 127 * tick);
	cr_assert_eq(look().memory_bytes, 0u);
	process(8, "a", 'S', 1, 1);
	cr_assert_eq(look().memory_bytes, 200u * (uint64_t)sysconf(_SC_PAGESIZE));
}

Test(pids, stopped_and_traced_do_not_run)
{
	process(7, "a", 'T', 1, 1);
	process(8, "b", 't', 7, 1);
	cr_assert_eq(look().processes, 2u);
	cr_assert_eq(look().running, 0u);
	process(9, "c", 'S', 7, 1); /* asleep is not stopped */
	cr_assert_eq(look().running, 1u);
}

Test(pids, one_thread_that_runs_is_a_process_that_runs)
{
	process(7, "a", 'T', 1, 2);
	thread(7, 7, 'T');
	thread(7, 8, 'R');
	cr_assert_eq(look().running, 1u);
	thread(7, 8, 'T');
	cr_assert_eq(look().running, 0u);
}

Test(pids, a_dead_first_thread_hides_nobody)
{
	process(7, "a", 'Z', 1, 2);
	thread(7, 7, 'Z');
	thread(7, 8, 'R');
	cr_assert_eq(look().processes, 1u);
	cr_assert_eq(look().running, 1u);
}

Test(pids, who_waits_for_a_stopped_child_in_vfork_does_not_run)
{
	process(7, "a", 'D', 1, 1);
	cr_assert_eq(look().running, 1u); /* it may be anything */
	process(8, "b", 'T', 7, 1);
	cr_assert_eq(look().running, 0u);
}
