// SPDX-License-Identifier: Apache-2.0
/* tests/stimuli/foreign_calls.c - enters the kernel through a foreign door. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "x32") == 0) {
		(void)printf("%ld\n", syscall(0x40000000 + SYS_getpid));
	} else {
		long nr = 20; /* getpid of i386 */

		__asm__ volatile("int $0x80" : "+a"(nr) : : "memory", "r8", "r9", "r10", "r11");
		(void)printf("%ld\n", nr);
	}
	return 0;
}
