// SPDX-License-Identifier: Apache-2.0
/*
 * calls_each - makes every system call there is, and none takes effect: a filter answers all of them but the last.
 *
 * For strace, which looks before the filter: `strace -e trace=%file calls_each` prints what it takes for %file.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define LAST 460 /* above the highest that strace 6.1 knows */
/* Of these the kernel makes more of a wrong call than an error. */
#define SIGRETURN 15
#define URETPROBE 335

static long call(long nr, long arg)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(nr), "D"(arg), "S"(-1L), "d"(-1L)
			 : "rcx", "r11", "memory");
	return r;
}

int main(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 99),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 1;
	for (long nr = 0; nr < LAST; nr++)
		if (nr != SYS_exit_group && nr != SIGRETURN &&
		    (nr < URETPROBE || nr > URETPROBE + 1))
			(void)call(nr, -1);
	(void)call(SYS_exit_group, 0);
	return 0;
}
