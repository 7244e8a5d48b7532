// SPDX-License-Identifier: Apache-2.0
/* loops_calls CALL [TIMES [wall]] - one system call in a loop; ns of cpu for each, or of wall clock. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 300000 };

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "getppid";
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	pid_t pid = getpid();
	long rounds = argc > 2 ? atol(argv[2]) : ROUNDS;
	clockid_t clock = argc > 3 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID;
	struct timespec a, b;

	(void)clock_gettime(clock, &a);
	for (long i = 0; i < rounds; i++) {
		if (what[0] == 'g')
			(void)syscall(SYS_getppid);
		else if (what[0] == 'k')
			(void)syscall(SYS_kill, pid, 0);
		else if (what[0] == 'f')
			(void)fchmod(fd, 0755);
		else
			(void)chmod("does-not-exist", 0600);
	}
	(void)clock_gettime(clock, &b);
	(void)printf("%.1f\n",
		     ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
			     (double)rounds);
	return 0;
}
