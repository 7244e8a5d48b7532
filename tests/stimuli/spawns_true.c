// SPDX-License-Identifier: Apache-2.0
/* tests/stimuli/spawns_true.c - vfork, exec /bin/true, wait; N times; ms for each. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	static int i; /* vfork shares our stack */
	struct timespec a, b;

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (; i < n; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			(void)execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		(void)waitpid(pid, NULL, 0);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	(void)printf("%.4f\n",
		     ((double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6) /
			     n);
	return 0;
}
