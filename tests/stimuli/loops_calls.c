// SPDX-License-Identifier: Apache-2.0
/* tests/stimuli/loops_calls.c - one system call in a loop; ns of cpu for each. */
#include <fcntl.h>
#include <stdio.h>
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
	struct timespec a, b;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (int i = 0; i < ROUNDS; i++) {
		if (what[0] == 'g')
			(void)syscall(SYS_getppid);
		else if (what[0] == 'f')
			(void)fchmod(fd, 0755);
		else
			(void)chmod("does-not-exist", 0600);
	}
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	(void)printf("%.1f\n",
		     ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
			     ROUNDS);
	return 0;
}
