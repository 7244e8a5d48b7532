// SPDX-License-Identifier: Apache-2.0
/* tests/unit/asking.c - the filter that asks answers as the one that does not. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/asking.h"
#include "supervisor/policy.h"
#include "supervisor/profile.h"

static const uint64_t interesting[][6] = {
	{ 0 },
	{ CLONE_NEWUSER | 17 },
	{ 17 },
	{ AF_UNIX },
	{ AF_NETLINK },
	{ AF_ALG },
	{ 0, S_IFCHR | 0600, S_IFCHR | 0600 },
	{ 0, S_IFREG | 0600, S_IFREG | 0600 },
	{ 0, 0x5412 /* TIOCSTI */ },
	{ 0, 0x1000000005412 /* the kernel takes the low half */ },
	{ 0x20008 },
	{ 1 },
};

static struct asking *ask_by(const struct profile *p)
{
	struct asking *a = NULL;
	int fd;

	cr_assert_eq(profile_compile(p, &fd), 0);
	cr_assert_eq(asking_make(fd, &a), 0);
	(void)close(fd);
	return a;
}

static void compare(const struct profile *p)
{
	struct asking *a = ask_by(p);

	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		for (size_t i = 0; i < ARRAY_SIZE(interesting); i++) {
			struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
			uint64_t args[6];
			uint32_t verdict;
			int error;

			memcpy(args, interesting[i], sizeof(args));
			memcpy(d.args, args, sizeof(args));
			verdict = asking_verdict(a, &d);
			error = (int)(verdict & SECCOMP_RET_DATA);
			if ((verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO) {
				cr_assert(profile_explain(p, nr, error, args), "%s: %d",
					  profile_syscall_name(nr), error);
				continue;
			}
			cr_assert_eq(verdict, SECCOMP_RET_ALLOW);
			for (error = 1; error < 200; error++)
				cr_assert_null(profile_explain(p, nr, error, args), "%s",
					       profile_syscall_name(nr));
		}
	asking_free(a);
}

Test(asking, the_verdict_is_what_the_tables_say)
{
	const struct profile *p;
	int fd;

	cr_assert_eq(profile_default(&p, &fd), 0);
	compare(p);
}

Test(asking, also_of_a_policy_of_its_own)
{
	struct policy policy = { 0 };
	struct profile *p = NULL;
	AUTO_TEXT why = { 0 };
	cJSON *json = cJSON_Parse(
		"{\"syscalls\":{\"deny\":[\"mkdir\",\"openat\"],\"allow\":[\"ptrace\",\"mount\"]}}");
	struct policy_set none = { 0 };

	cr_assert_eq(policy_read_json(&policy, json, "test", &none, &why), 0, "%s", why.at);
	cr_assert_eq(profile_make(&policy, &p, &why), 0);
	compare(p);
	profile_free(p);
	policy_done(&policy);
	cJSON_Delete(json);
}

Test(asking, other_architectures_and_x32_are_killed)
{
	const struct profile *p;
	struct asking *a;
	int fd;

	cr_assert_eq(profile_default(&p, &fd), 0);
	a = ask_by(p);
	cr_assert_eq(asking_verdict(a, &(struct seccomp_data){ .nr = 20, .arch = AUDIT_ARCH_I386 }),
		     SECCOMP_RET_KILL_PROCESS);
	cr_assert_eq(asking_verdict(a, &(struct seccomp_data){ .nr = 0x40000001,
							       .arch = AUDIT_ARCH_X86_64 }),
		     SECCOMP_RET_KILL_PROCESS);
	asking_free(a);
}

Test(asking, what_it_does_not_know_is_refused)
{
	struct sock_filter strange[] = {
		BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter outside[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4096),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter endless[] = { BPF_STMT(BPF_JMP | BPF_JA, 100) };
	const struct asking all[] = { { strange, 2, -1 }, { outside, 2, -1 }, { endless, 1, -1 } };
	struct seccomp_data d = { .arch = AUDIT_ARCH_X86_64 };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_assert_eq(asking_verdict(&all[i], &d), SECCOMP_RET_ERRNO | EPERM);
}

Test(asking, the_kernel_takes_it)
{
	const struct profile *p;
	struct asking *a;
	int fd, status;
	pid_t pid;

	cr_assert_eq(profile_default(&p, &fd), 0);
	a = ask_by(p);
	pid = fork();
	if (pid == 0) {
		static struct sock_filter f[4096];
		ssize_t n = pread(a->fd, f, sizeof(f), 0);
		struct sock_fprog prog = { (unsigned short)((size_t)n / sizeof(f[0])), f };

		if (n <= 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &prog) < 0)
			_exit(1);
		_exit(0);
	}
	cr_assert(waitpid(pid, &status, 0) == pid && status == 0);
	asking_free(a);
}
