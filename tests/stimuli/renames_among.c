// SPDX-License-Identifier: Apache-2.0
/* renames_among N - links N names, then renames one file back and forth until it is killed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000;
	char name[32];

	(void)close(open("a", O_WRONLY | O_CREAT, 0644));
	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "n%x", i);
		if (link("a", name) < 0)
			return 1;
	}
	(void)close(open("q", O_WRONLY | O_CREAT, 0644));
	for (;;) {
		if (rename("q", "r") < 0 || rename("r", "q") < 0)
			return 2;
	}
}
