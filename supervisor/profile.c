// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/profile.c - which system calls a call may make.
 *
 * Allowed is what is listed. What is not, and has no rule of its own, answers
 * ENOSYS if it is newer than this list (so that a C library takes its old way)
 * and EPERM otherwise. The same tables are compiled into the filter, tell the
 * monitor which errno may be ours, and explain a refusal: they cannot disagree.
 */
#include "supervisor/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/event.h"
#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/engine.h"
#include "supervisor/policy.h"
#include "supervisor/profile_allowed.h"

/* clone(2) flags that make a namespace; CLONE_NEWTIME is not among them: its
 * bit is part of the exit signal here. */
#define CLONE_NEW_ANY                                                                  \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

/* The last call this list was checked against (Linux 6.12: mseal 462). */
#define NEWEST_KNOWN 462

#define X32_SYSCALL_BIT 0x40000000u
/* The head, a dozen instructions for each rule that looks at an argument, and three for
 * each whole call that a policy or an engine's profile makes one of. */
#define FRONT_MAX 2048

/* Socket families a tool may open: anything else answers EAFNOSUPPORT. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };

#define WHOLE(name, e, because)                                                                \
	{                                                                                      \
		.syscall = name, .error = e, .why = because, .arg = -1, .match = PROFILE_EQUAL \
	}

static const char mount_why[] = "mounts belong to the sandbox; a tool may not change them";
static const char module_why[] = "this reaches the machine's kernel itself";
static const char trace_why[] = "a tool may not look into or steer other processes";
static const char namespace_why[] = "new namespaces would give back what the sandbox took";
static const char device_why[] = "device nodes are the machine's";
static const char key_why[] = "kernel keyrings are shared with the machine";
static const char time_why[] = "the clock is the machine's";
static const char uring_why[] = "io_uring does what system calls do, past every filter";

static const struct profile_rule rules[] = {
	/* memory holds its flags, which no filter can read: libc then uses clone */
	WHOLE("clone3", ENOSYS, "its flags cannot be checked; C libraries use clone(2) instead"),
	{ "clone", EPERM, namespace_why, 0, CLONE_NEW_ANY, 0, PROFILE_ANY_BIT, "a namespace flag",
	  NULL, 0 },
	WHOLE("unshare", EPERM, namespace_why),
	WHOLE("setns", EPERM, namespace_why),
	WHOLE("chroot", EPERM, namespace_why),
	WHOLE("pivot_root", EPERM, mount_why),
	WHOLE("mount", EPERM, mount_why),
	WHOLE("umount2", EPERM, mount_why),
	WHOLE("open_tree", EPERM, mount_why),
	WHOLE("move_mount", EPERM, mount_why),
	WHOLE("fsopen", EPERM, mount_why),
	WHOLE("fsconfig", EPERM, mount_why),
	WHOLE("fsmount", EPERM, mount_why),
	WHOLE("fspick", EPERM, mount_why),
	WHOLE("mount_setattr", EPERM, mount_why),
	WHOLE("statmount", EPERM, mount_why),
	WHOLE("listmount", EPERM, mount_why),
	WHOLE("ptrace", EPERM, trace_why),
	WHOLE("process_vm_readv", EPERM, trace_why),
	WHOLE("process_vm_writev", EPERM, trace_why),
	WHOLE("process_madvise", EPERM, trace_why),
	WHOLE("process_mrelease", EPERM, trace_why),
	WHOLE("pidfd_getfd", EPERM, trace_why),
	WHOLE("kcmp", EPERM, trace_why),
	WHOLE("io_uring_setup", EPERM, uring_why),
	WHOLE("io_uring_enter", EPERM, uring_why),
	WHOLE("io_uring_register", EPERM, uring_why),
	WHOLE("bpf", EPERM, module_why),
	WHOLE("perf_event_open", EPERM, module_why),
	WHOLE("userfaultfd", EPERM, "it can stall a watcher in the middle of a read"),
	WHOLE("add_key", EPERM, key_why),
	WHOLE("request_key", EPERM, key_why),
	WHOLE("keyctl", EPERM, key_why),
	WHOLE("init_module", EPERM, module_why),
	WHOLE("finit_module", EPERM, module_why),
	WHOLE("delete_module", EPERM, module_why),
	WHOLE("kexec_load", EPERM, module_why),
	WHOLE("kexec_file_load", EPERM, module_why),
	WHOLE("reboot", EPERM, module_why),
	WHOLE("syslog", EPERM, module_why),
	WHOLE("acct", EPERM, module_why),
	WHOLE("swapon", EPERM, module_why),
	WHOLE("swapoff", EPERM, module_why),
	WHOLE("iopl", EPERM, module_why),
	WHOLE("ioperm", EPERM, module_why),
	WHOLE("modify_ldt", EPERM, module_why),
	WHOLE("quotactl", EPERM, module_why),
	WHOLE("quotactl_fd", EPERM, module_why),
	WHOLE("lookup_dcookie", EPERM, module_why),
	WHOLE("fanotify_init", EPERM, module_why),
	WHOLE("fanotify_mark", EPERM, module_why),
	WHOLE("name_to_handle_at", EPERM, "file handles go around path checks"),
	WHOLE("open_by_handle_at", EPERM, "file handles go around path checks"),
	WHOLE("settimeofday", EPERM, time_why),
	WHOLE("clock_settime", EPERM, time_why),
	WHOLE("clock_adjtime", EPERM, time_why),
	WHOLE("adjtimex", EPERM, time_why),
	WHOLE("sethostname", EPERM, "the host name is the session's"),
	WHOLE("setdomainname", EPERM, "the host name is the session's"),
	WHOLE("vhangup", EPERM, "the terminal is the session's"),
	WHOLE("memfd_secret", EPERM, "memory that no one can inspect"),
	WHOLE("mbind", EPERM, "memory placement is the machine's"),
	WHOLE("set_mempolicy", EPERM, "memory placement is the machine's"),
	WHOLE("get_mempolicy", EPERM, "memory placement is the machine's"),
	WHOLE("migrate_pages", EPERM, "memory placement is the machine's"),
	WHOLE("move_pages", EPERM, "memory placement is the machine's"),
	{ "mknod", EPERM, device_why, 1, 0xf000, S_IFCHR, PROFILE_EQUAL, "a character device", NULL,
	  0 },
	{ "mknod", EPERM, device_why, 1, 0xf000, S_IFBLK, PROFILE_EQUAL, "a block device", NULL,
	  0 },
	{ "mknodat", EPERM, device_why, 2, 0xf000, S_IFCHR, PROFILE_EQUAL, "a character device",
	  NULL, 0 },
	{ "mknodat", EPERM, device_why, 2, 0xf000, S_IFBLK, PROFILE_EQUAL, "a block device", NULL,
	  0 },
	{ "ioctl", EPERM, "it types into the terminal as if the user had", 1, 0xffffffff, TIOCSTI,
	  PROFILE_EQUAL, "TIOCSTI", NULL, 0 },
	{ "ioctl", EPERM, "it types into the terminal as if the user had", 1, 0xffffffff, TIOCLINUX,
	  PROFILE_EQUAL, "TIOCLINUX", NULL, 0 },
	{ "ioctl", EPERM, "it loads a line discipline into the machine's kernel", 1, 0xffffffff,
	  TIOCSETD, PROFILE_EQUAL, "TIOCSETD", NULL, 0 },
	{ "socket", EAFNOSUPPORT, "only unix, IPv4 and IPv6 sockets may be opened", 0, 0, 0,
	  PROFILE_NOT_LISTED, "another family", NULL, 0 },
	{ "personality", EPERM, "only the standard one may be set", 0, 0, 0, PROFILE_NOT_LISTED,
	  "another personality", NULL, 0 },
};

static const struct profile_rule unlisted = {
	NULL,
	EPERM,
	"it is on no list of the profile",
	-1,
	0,
	0,
	PROFILE_EQUAL,
	NULL,
	"syscalls.default",
	-1,
};
static const struct profile_rule too_new = {
	NULL,
	ENOSYS,
	"it is newer than the profile",
	-1,
	0,
	0,
	PROFILE_EQUAL,
	NULL,
	"syscalls.default",
	-1,
};

/* PER_LINUX, PER_LINUX32 | UNAME26 and the query: what container engines allow. */
static const uint64_t personalities[] = { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff };

/* The names of this architecture's numbers; filled once. */
static char names[WATCH_SYSCALLS][40];
static pthread_once_t filled = PTHREAD_ONCE_INIT;

/* Denied whatever a profile of the container engines says: new namespaces, with which
 * come all capabilities inside them (an engine has other layers against that), and what
 * no filter can look into and no watcher sees. syscalls.allow takes one away, by name. */
static const char *const floor_names[] = {
	"clone3", "unshare", "setns", "io_uring_setup", "io_uring_enter", "io_uring_register"
};

/* Without these no tool starts, or none ends. */
static const char *const needed[] = { "execve", "exit", "exit_group", "rt_sigreturn" };

struct profile {
	struct profile_rule *rules; /* owned; their texts are not, but for those of a policy */
	size_t rule_count;
	int first[WATCH_SYSCALLS]; /* index of the first rule about it, -1: none */
	bool is_allowed[WATCH_SYSCALLS];
	bool is_forced[WATCH_SYSCALLS]; /* by syscalls.allow, over an engine's profile */
	struct engine *engine; /* NULL: ours; owned */
	struct profile_rule by_engine; /* what it refuses */
	char **texts; /* owned */
	size_t text_count;
};

static void fill_names(void)
{
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		if (name)
			(void)snprintf(names[nr], sizeof(names[nr]), "%s", name);
		else
			(void)snprintf(names[nr], sizeof(names[nr]), "syscall_%d", nr);
		free(name);
	}
}

/* Newer than libseccomp 2.5.4 knows, by number (they are the same on every
 * architecture from 424 on). */
static const struct {
	const char *name;
	int nr;
} newer[] = {
	{ "cachestat", 451 },
	{ "fchmodat2", 452 },
	{ "map_shadow_stack", 453 },
	{ "futex_wake", 454 },
	{ "futex_wait", 455 },
	{ "futex_requeue", 456 },
	{ "statmount", 457 },
	{ "listmount", 458 },
	{ "set_mempolicy_home_node", 450 },
	{ "futex_waitv", 449 },
	{ "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },
	{ "mseal", 462 },
	{ "setxattrat", 463 },
	{ "getxattrat", 464 },
	{ "listxattrat", 465 },
	{ "removexattrat", 466 },
	{ "open_tree_attr", 467 },
	{ "file_getattr", 468 },
	{ "file_setattr", 469 },
	{ "uretprobe", 335 },
};

int profile_syscall_number(const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(SCMP_ARCH_NATIVE, name);

	if (nr >= 0)
		return nr;
	for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
		if (strcmp(newer[i].name, name) == 0)
			return newer[i].nr;
	return -1;
}

const char *profile_syscall_name(int nr)
{
	(void)pthread_once(&filled, fill_names);
	if (nr < 0 || nr >= WATCH_SYSCALLS)
		return "unknown";
	if (strncmp(names[nr], "syscall_", 8) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(newer); i++)
			if (newer[i].nr == nr)
				return newer[i].name;
	return names[nr];
}

const char *profile_error_name(int64_t error)
{
	/* they never leave the kernel: a signal came, and the call begins again, or says EINTR */
	static const char *const restarts[] = {
		[0] = "ERESTARTSYS",
		[1] = "ERESTARTNOINTR",
		[2] = "ERESTARTNOHAND",
		[4] = "ERESTART_RESTARTBLOCK",
	};

	if (error <= 0 || error > 4095)
		return NULL;
	if (error >= 512 && error - 512 < (int64_t)ARRAY_SIZE(restarts) && restarts[error - 512])
		return restarts[error - 512];
	return strerrorname_np((int)error);
}

static bool is_conditional(const struct profile_rule *rule)
{
	return rule->arg >= 0;
}

static bool rule_matches(const struct profile_rule *rule, const uint64_t args[6])
{
	uint64_t a;

	if (!is_conditional(rule))
		return true;
	a = args[rule->arg];
	switch ((enum profile_match)rule->match) {
	case PROFILE_EQUAL:
		return (rule->mask ? a & rule->mask : a) == rule->value;
	case PROFILE_ANY_BIT:
		return (a & rule->mask) != 0;
	case PROFILE_NOT_LISTED:
		break;
	}
	if (strcmp(rule->syscall, "socket") == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(families); i++)
			if ((uint32_t)a == (uint32_t)families[i])
				return false;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(personalities); i++)
		if ((uint32_t)a == (uint32_t)personalities[i])
			return false;
	return true;
}

const struct profile_rule *profile_explain(const struct profile *p, int nr, int error,
					   const uint64_t args[6])
{
	int refused;

	if (nr < 0 || nr >= WATCH_SYSCALLS)
		return error == ENOSYS ? &too_new : NULL;
	for (size_t i = p->first[nr] < 0 ? p->rule_count : (size_t)p->first[nr]; i < p->rule_count;
	     i++)
		if (p->rules[i].error == error && p->rules[i].nr == nr &&
		    rule_matches(&p->rules[i], args))
			return &p->rules[i];
	if (p->is_forced[nr])
		return NULL;
	if (p->engine) {
		refused = engine_refuses(p->engine, nr, args);
		return refused && refused == error ? &p->by_engine : NULL;
	}
	if (p->first[nr] >= 0 || p->is_allowed[nr])
		return NULL;
	if (nr > NEWEST_KNOWN)
		return error == ENOSYS ? &too_new : NULL;
	return error == EPERM ? &unlisted : NULL;
}

void profile_errors(const struct profile *p, int nr, uint16_t *ret_error, uint16_t *ret_error2)
{
	*ret_error = *ret_error2 = 0;
	if (nr < 0 || nr >= WATCH_SYSCALLS)
		return;
	/* every thread meets this one, and libc goes on: counted, not reported */
	if (p->first[nr] >= 0 && p->rules[p->first[nr]].error == ENOSYS)
		return;
	if (p->first[nr] >= 0)
		*ret_error = (uint16_t)p->rules[p->first[nr]].error;
	else if (p->engine && !p->is_forced[nr])
		engine_errors(p->engine, nr, ret_error, ret_error2);
	else if (!p->engine && !p->is_allowed[nr])
		*ret_error = nr > NEWEST_KNOWN ? ENOSYS : EPERM;
}

const struct profile_rule *profile_verdict(const struct profile *p, int nr, bool *ret_sometimes)
{
	static const uint64_t none[6];
	const struct profile_rule *first = nr >= 0 && nr < WATCH_SYSCALLS && p->first[nr] >= 0
						   ? &p->rules[p->first[nr]]
						   : NULL;

	*ret_sometimes = first && is_conditional(first);
	if (first || nr < 0 || nr >= WATCH_SYSCALLS)
		return first;
	if (p->is_forced[nr])
		return NULL;
	if (p->engine) {
		*ret_sometimes = engine_depends(p->engine, nr);
		return *ret_sometimes || engine_refuses(p->engine, nr, none) ? &p->by_engine : NULL;
	}
	if (p->is_allowed[nr])
		return NULL;
	return nr > NEWEST_KNOWN ? &too_new : &unlisted;
}

/*
 * The rules that look at an argument, as instructions in front of what
 * libseccomp makes: it compares whole 64-bit words where the kernel takes 32
 * (CVE-2019-10063), and cannot say "any but these". Only the low word counts,
 * as in the kernel.
 */
static size_t emit_rule(struct sock_filter *f, const struct profile_rule *rule, int nr)
{
	uint32_t refuse = SECCOMP_RET_ERRNO | ((uint32_t)rule->error & SECCOMP_RET_DATA);
	uint32_t arg = (uint32_t)offsetof(struct seccomp_data, args) + 8u * (uint32_t)rule->arg;
	struct sock_filter load_nr =
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	struct sock_filter load_arg = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arg);
	struct sock_filter ret = BPF_STMT(BPF_RET | BPF_K, refuse);
	size_t count = rule->match != PROFILE_NOT_LISTED      ? 1
		       : strcmp(rule->syscall, "socket") == 0 ? ARRAY_SIZE(families)
							      : ARRAY_SIZE(personalities);
	bool masked = rule->match == PROFILE_EQUAL && rule->mask != 0xffffffff;
	size_t n = 0;

	f[n++] = load_nr;
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0,
					      (uint8_t)(count + 2 + masked));
	f[n++] = load_arg;
	if (masked)
		f[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
						      (uint32_t)rule->mask);
	for (size_t i = 0; i < count; i++) {
		uint8_t over = (uint8_t)(count - i);

		if (rule->match == PROFILE_ANY_BIT)
			f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K,
							      (uint32_t)rule->mask, 0, 1);
		else if (rule->match == PROFILE_EQUAL)
			f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							      (uint32_t)rule->value, 0, 1);
		else
			f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							      count == ARRAY_SIZE(families)
								      ? (uint32_t)families[i]
								      : (uint32_t)personalities[i],
							      over, 0);
	}
	f[n++] = ret;
	return n;
}

/* A whole call, before an engine's own rules are asked. */
static size_t emit_whole(struct sock_filter *f, int nr, uint32_t verdict)
{
	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    offsetof(struct seccomp_data, nr));
	f[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
	f[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
	return 3;
}

/* Arch and x32 are checked by libseccomp's part, too; here so that no number of
 * another architecture meets a rule of this one. */
static size_t emit_front(const struct profile *p, struct sock_filter *f)
{
	static const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_SYSCALL_BIT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	size_t n = ARRAY_SIZE(head);

	memcpy(f, head, sizeof(head));
	for (size_t i = 0; i < p->rule_count; i++) {
		const struct profile_rule *rule = &p->rules[i];

		if (is_conditional(rule))
			n += emit_rule(f + n, rule, rule->nr);
		else if (p->engine)
			n += emit_whole(f + n, rule->nr,
					SECCOMP_RET_ERRNO |
						((uint32_t)rule->error & SECCOMP_RET_DATA));
	}
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		if (p->is_forced[nr])
			n += emit_whole(f + n, nr, SECCOMP_RET_ALLOW);
	must(n <= FRONT_MAX);
	return n;
}

static int add_rules(const struct profile *p, scmp_filter_ctx ctx)
{
	int r = 0;

	for (int nr = 0; r == 0 && nr < WATCH_SYSCALLS; nr++) {
		const struct profile_rule *rule = p->first[nr] < 0 ? NULL : &p->rules[p->first[nr]];

		if (rule && !is_conditional(rule)) {
			if (rule->error != EPERM)
				r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((uint16_t)rule->error), nr,
						     0);
		} else if (p->is_allowed[nr] || rule) {
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
		} else if (nr > NEWEST_KNOWN) {
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
		}
	}
	return r;
}

static int export_sealed(const struct profile *p, scmp_filter_ctx ctx, int *ret_fd)
{
	AUTO_FD fd = memfd_create("glovebox-filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	AUTO_MEM struct sock_filter *front = calloc(FRONT_MAX, sizeof(*front));
	int r;

	if (fd < 0 || !front)
		return fd < 0 ? -errno : -ENOMEM;
	r = io_write_all(fd, front, emit_front(p, front) * sizeof(front[0]));
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}

int profile_compile(const struct profile *p, int *ret_fd)
{
	scmp_filter_ctx ctx;
	int r;

	ctx = seccomp_init(p->engine ? engine_default(p->engine) : SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0) /* a binary tree: half the cost of the default order */
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = p->engine ? engine_add_rules(p->engine, ctx) : add_rules(p, ctx);
	if (r == 0)
		r = export_sealed(p, ctx, ret_fd);
	seccomp_release(ctx);
	return r;
}

/* --- made of a policy ---------------------------------------------------------------- */

static bool is_listed(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

static bool is_in(const struct policy_list *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->at[i].text, name) == 0)
			return true;
	return false;
}

static bool must_stay(const struct profile *p, const struct profile_rule *rule)
{
	return !p->engine || rule->arg >= 0 ||
	       is_listed(rule->syscall, floor_names, ARRAY_SIZE(floor_names));
}

/* A denied call has no other rule: the first word about it is the last. */
static int take_rules(struct profile *p, const struct policy *policy)
{
	const struct policy_list *allow = &policy->lists[POLICY_SYSCALL_ALLOW];
	const struct policy_list *deny = &policy->lists[POLICY_SYSCALL_DENY];

	p->rules = calloc(ARRAY_SIZE(rules) + deny->count, sizeof(*p->rules));
	p->texts = calloc(2 * deny->count + 1, sizeof(*p->texts));
	if (!p->rules || !p->texts)
		return -ENOMEM;
	for (size_t i = 0; i < deny->count; i++) {
		struct profile_rule *r = &p->rules[p->rule_count++];
		const char *name = profile_syscall_name(profile_syscall_number(deny->at[i].text));
		AUTO_TEXT key = { 0 };

		text_printf(&key, "syscalls.deny (%s)", deny->at[i].from);
		if (!key.at)
			return -ENOMEM;
		p->texts[p->text_count++] = key.at;
		*r = (struct profile_rule){
			.syscall = name,
			.error = EPERM,
			.why = "the policy of the session denies it",
			.arg = -1,
			.key = key.at,
			.nr = profile_syscall_number(deny->at[i].text),
		};
		key = (struct text){ 0 };
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (is_in(allow, rules[i].syscall) || is_in(deny, rules[i].syscall) ||
		    !must_stay(p, &rules[i]))
			continue;
		p->rules[p->rule_count] = rules[i];
		p->rules[p->rule_count].key = "syscalls.default";
		p->rules[p->rule_count++].nr = profile_syscall_number(rules[i].syscall);
	}
	return 0;
}

static int check_deny(const struct policy *policy, struct text *why)
{
	const struct policy_list *deny = &policy->lists[POLICY_SYSCALL_DENY];

	for (size_t i = 0; i < deny->count; i++) {
		if (!is_listed(deny->at[i].text, needed, ARRAY_SIZE(needed)))
			continue;
		text_printf(why,
			    "%s: without the system call %s no tool can run: take it out of "
			    "syscalls.deny",
			    deny->at[i].from, deny->at[i].text);
		return -EINVAL;
	}
	return 0;
}

int profile_make(const struct policy *policy, struct profile **ret, struct text *why)
{
	const struct policy_list *allow = &policy->lists[POLICY_SYSCALL_ALLOW];
	struct profile *p = calloc(1, sizeof(*p));
	int r = p ? check_deny(policy, why) : -ENOMEM;

	(void)pthread_once(&filled, fill_names);
	if (r == 0 && policy->profile)
		r = engine_read(policy->profile, &p->engine, why);
	if (r == 0)
		r = take_rules(p, policy);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(p->first); i++)
		p->first[i] = -1;
	for (size_t i = r == 0 ? p->rule_count : 0; i-- > 0;)
		if (p->rules[i].nr >= 0 && p->rules[i].nr < WATCH_SYSCALLS)
			p->first[p->rules[i].nr] = (int)i;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(allowed); i++) {
		int nr = profile_syscall_number(allowed[i]);

		if (nr >= 0 && nr < WATCH_SYSCALLS)
			p->is_allowed[nr] = true;
	}
	for (size_t i = 0; r == 0 && i < allow->count; i++) {
		int nr = profile_syscall_number(allow->at[i].text);

		if (nr < 0 || nr >= WATCH_SYSCALLS ||
		    is_in(&policy->lists[POLICY_SYSCALL_DENY], allow->at[i].text))
			continue;
		p->is_allowed[nr] = true;
		p->is_forced[nr] = p->engine != NULL;
	}
	if (r == 0) {
		p->by_engine = unlisted;
		p->by_engine.why = "the seccomp profile of the policy does not allow it";
		p->by_engine.key = "syscalls.profile";
		*ret = p;
		return 0;
	}
	profile_free(p);
	return r;
}

bool profile_is_default(const struct policy *policy)
{
	return !policy->profile && policy->lists[POLICY_SYSCALL_ALLOW].count == 0 &&
	       policy->lists[POLICY_SYSCALL_DENY].count == 0;
}

int profile_default(const struct profile **ret, int *ret_fd)
{
	static const struct policy plain;
	static struct profile *made;
	static int fd = -1;
	AUTO_TEXT why = { 0 };
	int r = 0;

	if (!made)
		r = profile_make(&plain, &made, &why);
	if (r == 0 && fd < 0)
		r = profile_compile(made, &fd);
	if (r < 0)
		return r;
	*ret = made;
	*ret_fd = fd;
	return 0;
}

int profile_check_json(const struct cJSON *json, struct text *why)
{
	struct engine *e;
	int r = engine_read(json, &e, why);

	if (r == 0)
		engine_free(e);
	return r;
}

void profile_free(struct profile *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->text_count; i++)
		free(p->texts[i]);
	free(p->texts);
	free(p->rules);
	engine_free(p->engine);
	free(p);
}

bool profile_allows_uring(const struct profile *p)
{
	uint16_t error = 0, other = 0;

	profile_errors(p, profile_syscall_number("io_uring_setup"), &error, &other);
	return error == 0;
}
