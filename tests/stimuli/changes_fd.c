// SPDX-License-Identifier: Apache-2.0
/* changes_fd - a thread writes to `evil` while another puts `innocent` under the same number. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int p[2], evil;

static void *write_it(void *unused)
{
	(void)splice(p[0], NULL, evil, NULL, 100, 0); /* waits for what comes */
	return unused;
}

/* The other thread is inside splice(2): the number, and no guess of how long that takes. */
static void wait_until_inside(void)
{
	char path[64], line[64];
	int nr = -1;

	while (nr != SYS_splice) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", getpid() + 1);
		f = fopen(path, "r");
		if (f && fgets(line, sizeof(line), f))
			(void)sscanf(line, "%d", &nr);
		if (f)
			(void)fclose(f);
	}
}

int main(void)
{
	pthread_t t;
	int innocent;

	if (pipe(p) < 0)
		return 1;
	evil = open("evil", O_WRONLY | O_CREAT, 0755);
	innocent = open("innocent", O_WRONLY | O_CREAT, 0644);
	(void)pthread_create(&t, NULL, write_it, NULL);
	wait_until_inside();
	(void)dup2(innocent, evil);
	if (write(p[1], "#!/bin/sh\n", 10) != 10)
		return 2;
	(void)pthread_join(t, NULL);
	return 0;
}
