// SPDX-License-Identifier: Apache-2.0
/*
 * tools/probe.c - what `glovebox doctor` runs inside a throw-away call.
 *
 * It performs what the sandbox claims to stop, and says for each whether it was
 * stopped: "name<TAB>stopped|NOT STOPPED<TAB>detail". It is untrusted like any
 * tool: doctor believes its "NOT STOPPED", and checks "stopped" against what the
 * monitor saw.
 *
 *	probe			all of it, and a process left running
 *	probe memory		uses memory until it is stopped
 *	probe disk		fills the workspace until it is stopped
 *	probe wait		waits to be paused and killed
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than doctor's limit for the call, and not a bomb if there is none. */
#define FORKS 200
#define DISK_MIB 64
#define DISK_WAIT 10 /* seconds: the supervisor looks much more often */

static void say(const char *name, bool stopped, const char *detail)
{
	(void)printf("%s\t%s\t%s\n", name, stopped ? "stopped" : "NOT STOPPED", detail);
	(void)fflush(stdout);
}

static void say_errno(const char *name, long result)
{
	say(name, result < 0, result < 0 ? strerror(errno) : "it worked");
}

static void probe_files(void)
{
	say_errno("files.hidden", open("/etc/shadow", O_RDONLY));
	say_errno("files.readonly", open("/usr/glovebox-probe", O_WRONLY | O_CREAT, 0600));
	say_errno("files.knobs", open("/proc/sys/kernel/core_pattern", O_WRONLY));
	say_errno("files.devices", mknod("probe-device", S_IFCHR | 0600, makedev(1, 1)));
	say_errno("files.init", open("/proc/1/environ", O_RDONLY));
}

static void probe_calls(void)
{
	char stack[64];

	say_errno("calls.ptrace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
	say_errno("calls.userns", unshare(CLONE_NEWUSER));
	say_errno("calls.mount", mount("none", "/tmp", "tmpfs", 0, NULL));
	say_errno("calls.bpf", syscall(SYS_bpf, 0, stack, sizeof(stack)));
	say_errno("calls.io_uring", syscall(SYS_io_uring_setup, 1, stack));
	say_errno("calls.keyctl", syscall(SYS_keyctl, 0, -3, 0));
	say_errno("calls.clone3", syscall(SYS_clone3, stack, 64));
}

static void probe_foreign(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
#ifdef __x86_64__
		long nr = 20; /* getpid of i386 */

		__asm__ volatile("int $0x80" : "+a"(nr) : : "memory", "r8", "r9", "r10", "r11");
#endif
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	say("calls.foreign", WIFSIGNALED(status), WIFSIGNALED(status) ? "killed" : "it worked");
}

static bool status_says(const char *line)
{
	char text[8192];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, line) != NULL;
}

static void probe_privileges(void)
{
	say("privileges.none",
	    status_says("CapEff:\t0000000000000000") && status_says("CapBnd:\t0000000000000000") &&
		    status_says("CapAmb:\t0000000000000000"),
	    "capability sets");
	say("privileges.new", status_says("NoNewPrivs:\t1"), "no_new_privs");
	say("privileges.filter", status_says("Seccomp:\t2"), "seccomp");
}

static void probe_network(void)
{
	struct sockaddr_in out = { .sin_family = AF_INET, .sin_port = htons(443) };
	struct sockaddr_in lo = { .sin_family = AF_INET };
	socklen_t size = sizeof(lo);
	int a = socket(AF_INET, SOCK_STREAM, 0);
	int b = socket(AF_INET, SOCK_STREAM, 0);
	bool ok;

	out.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, documentation only */
	say_errno("network.outside", connect(a, (struct sockaddr *)&out, sizeof(out)));
	lo.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ok = bind(b, (struct sockaddr *)&lo, sizeof(lo)) == 0 && listen(b, 1) == 0 &&
	     getsockname(b, (struct sockaddr *)&lo, &size) == 0;
	(void)close(a);
	a = socket(AF_INET, SOCK_STREAM, 0);
	ok = ok && connect(a, (struct sockaddr *)&lo, sizeof(lo)) == 0;
	(void)printf("network.loopback\t%s\t%s\n", ok ? "works" : "NOT WORKING",
		     ok ? "" : strerror(errno));
	(void)close(a);
	(void)close(b);
}

static void probe_workspace(void)
{
	int fd = open("probe-made-this", O_WRONLY | O_CREAT | O_EXCL, 0644);
	bool ok = fd >= 0 && write(fd, "x\n", 2) == 2;

	(void)printf("workspace.write\t%s\t%s\n", ok ? "works" : "NOT WORKING",
		     ok ? "" : strerror(errno));
	(void)close(fd);
}

static void probe_pids(void)
{
	pid_t pids[FORKS];
	int n = 0;

	for (; n < FORKS; n++) {
		pids[n] = fork();
		if (pids[n] < 0)
			break;
		if (pids[n] == 0)
			for (;;)
				(void)pause();
	}
	say("limits.pids", n < FORKS, n < FORKS ? "fork refused" : "no limit met");
	for (int i = 0; i < n; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
}

static void leave_behind(void)
{
	if (fork() == 0) {
		(void)setsid();
		if (fork() == 0)
			for (;;)
				(void)pause();
		_exit(0);
	}
	(void)wait(NULL);
}

static int use_memory(void)
{
	/* 1 GiB in steps; doctor gives the call 64 MiB */
	for (int i = 0; i < 1024; i++) {
		char *p = malloc(1 << 20);

		if (p)
			memset(p, i + 1, 1 << 20);
	}
	return 0;
}

/* In files of their own, so that the limit of one file is not what stops it; it ends by
 * itself at eight times doctor's limit, and then waits to be looked at. */
static int use_disk(void)
{
	static char block[1 << 20];
	char name[32];

	for (int i = 0; i < DISK_MIB; i++) {
		int fd;

		(void)snprintf(name, sizeof(name), "fill.%d", i);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, block, sizeof(block)) != sizeof(block))
			return 1;
		(void)close(fd);
	}
	(void)sleep(DISK_WAIT);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "memory") == 0)
		return use_memory();
	if (argc > 1 && strcmp(argv[1], "disk") == 0)
		return use_disk();
	if (argc > 1 && strcmp(argv[1], "wait") == 0)
		for (;;)
			(void)pause();
	probe_files();
	probe_calls();
	probe_foreign();
	probe_privileges();
	probe_network();
	probe_workspace();
	probe_pids();
	leave_behind();
	return 0;
}
