// SPDX-License-Identifier: Apache-2.0
/*
 * flips_path TIMES - makes and removes directories whose name another thread changes all the time: what the kernel
 * took and what is read before and after are not always the same. Prints how often mkdir(2) succeeded.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "flip-a";
static atomic_bool stop;

static void *flip(void *context)
{
	volatile char *last = &path[sizeof(path) - 2];

	(void)context;
	while (!atomic_load(&stop))
		*last = *last == 'a' ? 'b' : 'a';
	return NULL;
}

int main(int argc, char **argv)
{
	long times = argc > 1 ? atol(argv[1]) : 1000, made = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, flip, NULL) != 0)
		return 1;
	for (long i = 0; i < times; i++) {
		made += mkdir(path, 0700) == 0;
		(void)rmdir("flip-a");
		(void)rmdir("flip-b");
	}
	atomic_store(&stop, 1);
	(void)pthread_join(thread, NULL);
	(void)printf("%ld\n", made);
	return 0;
}
