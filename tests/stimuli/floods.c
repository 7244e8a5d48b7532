// SPDX-License-Identifier: Apache-2.0
/*
 * floods PROCESSES TIMES [deep] - many records at once: each process changes the mode of a file of its own TIMES times.
 *
 * "deep": the path of the file is four kilobytes long, so that a record is, too. Ends with 0 when every call
 * succeeded, so that whoever watches knows how many there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME 250
#define DEPTH 14 /* with the names above it just below PATH_MAX */

static int go_deep(void)
{
	char name[NAME + 1];

	memset(name, 'd', NAME);
	name[NAME] = '\0';
	for (int i = 0; i < DEPTH; i++)
		if ((mkdir(name, 0700) < 0 && errno != EEXIST) || chdir(name) < 0)
			return -1;
	return 0;
}

static int flood(int number, long times)
{
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "flood%d", number);
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return 1;
	for (long i = 0; i < times; i++)
		if (fchmod(fd, i & 1 ? 0600 : 0644) < 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	int processes = argc > 1 ? atoi(argv[1]) : 1, failed = 0, status;
	long times = argc > 2 ? atol(argv[2]) : 1000;

	if (argc > 3 && go_deep() < 0)
		return 2;
	for (int i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (pid == 0)
			_exit(flood(i, times));
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
