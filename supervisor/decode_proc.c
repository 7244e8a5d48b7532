// SPDX-License-Identifier: Apache-2.0
/* supervisor/decode_proc.c - processes: begun, executed, ended, and signals between them. */
#include "supervisor/decode_inner.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "sandbox/base/fd.h"
#include "supervisor/policy.h"
#include "supervisor/profile.h"

static void add_parent(struct text *t, const struct event *e, const struct decode_target *to)
{
	struct tally_id parent;

	if (e->start_ns == 0 || !tally_parent(to->tally, e, &parent))
		return;
	text_add(t, ",\"parent_exec_id\":");
	tally_add_id(t, &parent);
}

/* Which file it is, and what of argv did not fit. */
static void add_exe_details(struct text *t, const struct event *e)
{
	/* the kernel's dev_t: 12 bits and 20 (include/linux/kdev_t.h) */
	unsigned int dev = (unsigned int)e->args[EVENT_ARG_EXEC_DEV];

	/* before the call, nobody knows */
	if (e->flags & EVENT_F_NOTIFY)
		return;
	if (e->args[EVENT_ARG_EXEC_INO] != 0)
		text_printf(t, ",\"exe_dev\":\"%u:%u\",\"exe_ino\":%llu", dev >> 20, dev & 0xfffff,
			    (unsigned long long)e->args[EVENT_ARG_EXEC_INO]);
	if (!(e->flags & EVENT_F_CUT))
		return;
	text_add(t, ",\"argv_cut\":true");
	if (e->args[EVENT_ARG_EXEC_HASH] != 0)
		text_printf(t, ",\"argv_bytes\":%llu,\"argv_hash\":\"fnv1a64w:%016llx\"",
			    (unsigned long long)e->args[EVENT_ARG_EXEC_LENGTH],
			    (unsigned long long)e->args[EVENT_ARG_EXEC_HASH]);
}

/* A program is found by names that may be links beside it: its directory is where it was. */
static void look_where(const struct decode_target *to, const struct text *path)
{
	const struct policy_item *shown =
		path->len > 0 ? policy_find_path(to->view->policy, POLICY_READ, path->at) : NULL;
	size_t len = path->len;

	if (!shown)
		return;
	while (len > 1 && path->at[len - 1] != '/')
		len--;
	if (strcmp(shown->text, path->at) == 0)
		tally_read(to->tally, path->at, path->len);
	else
		tally_read(to->tally, path->at, len > 1 ? len - 1 : len);
}

/* The words, quoted where they hold blanks; and the file, where the first word is not its name. */
static void human_exec(struct text *h, struct span exe, struct span argv)
{
	size_t first = strnlen(argv.at, argv.len);

	for (size_t i = 0; i < argv.len;) {
		size_t n = strnlen(argv.at + i, argv.len - i);
		bool is_quoted = n == 0 || memchr(argv.at + i, ' ', n);

		text_add(h, i > 0 ? " " : "");
		text_add(h, is_quoted ? "\"" : "");
		text_add_safe(h, argv.at + i, n);
		text_add(h, is_quoted ? "\"" : "");
		i += n + 1;
	}
	if (first != exe.len || memcmp(argv.at, exe.at, exe.len) != 0) {
		text_add(h, " (");
		text_add_safe(h, exe.at, exe.len);
		text_add(h, ")");
	}
	text_add(h, "\n");
}

void decode_exec(const struct event *e, const struct decode_target *to)
{
	struct span exe = decode_span(e, EVENT_SPAN_PATH);
	struct span cwd = decode_span(e, EVENT_SPAN_BASE);
	struct span argv = decode_span(e, EVENT_SPAN_PATH2);
	AUTO_TEXT path = { 0 };
	struct text *t = decode_begin(e, to, "proc.exec");
	struct text *h;

	text_add(t, ",\"exe\":");
	text_add_json(t, exe.at, exe.len);
	text_add(t, ",\"argv\":");
	tally_add_argv(t, argv.at, argv.len);
	text_add(t, ",\"cwd\":");
	text_add_json(t, cwd.at, cwd.len);
	add_parent(t, e, to);
	add_exe_details(t, e);
	tally_exec(to->tally, e, exe.at, exe.len, argv.at, argv.len);
	h = decode_human(to, STREAM_ALL, e, "proc.exec");
	if (h)
		human_exec(h, exe, argv);
	decode_end(to);
	text_add_n(&path, exe.at, exe.len);
	decode_look_up(e, to, "exec", &path);
	look_where(to, &path);
}

/* clone(2): what the new one shares with its parent. */
static void add_clone_flags(struct text *t, uint64_t flags)
{
	static const struct {
		uint64_t flag;
		const char *name;
	} names[] = {
		{ CLONE_VM, "CLONE_VM" },           { CLONE_FS, "CLONE_FS" },
		{ CLONE_FILES, "CLONE_FILES" },     { CLONE_SIGHAND, "CLONE_SIGHAND" },
		{ CLONE_VFORK, "CLONE_VFORK" },     { CLONE_PARENT, "CLONE_PARENT" },
		{ CLONE_THREAD, "CLONE_THREAD" },   { CLONE_NEWNS, "CLONE_NEWNS" },
		{ CLONE_NEWUSER, "CLONE_NEWUSER" }, { CLONE_NEWPID, "CLONE_NEWPID" },
		{ CLONE_NEWNET, "CLONE_NEWNET" },   { CLONE_UNTRACED, "CLONE_UNTRACED" },
	};
	bool first = true;

	text_add(t, ",\"flags\":[");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag) {
			text_printf(t, "%s\"%s\"", first ? "" : ",", names[i].name);
			first = false;
		}
	text_add(t, "]");
}

void decode_fork(const struct event *e, const struct decode_target *to)
{
	bool is_thread = e->flags & EVENT_F_THREAD;
	struct text *t = decode_begin(e, to, "proc.fork");
	struct text *h = decode_human(to, STREAM_ALL, e, "proc.fork");

	text_printf(t, ",\"thread\":%s,\"child_pid\":%u,\"child_tid\":%u,\"child_exec_id\":",
		    is_thread ? "true" : "false", (unsigned int)e->args[EVENT_ARG_FORK_PID],
		    (unsigned int)e->args[EVENT_ARG_FORK_TID]);
	tally_add_id(t, &(struct tally_id){ (uint32_t)e->args[EVENT_ARG_FORK_HOST_PID],
					    e->args[EVENT_ARG_FORK_START] });
	add_clone_flags(t, e->args[EVENT_ARG_FORK_FLAGS]);
	if (!is_thread)
		tally_fork(to->tally, e);
	if (h)
		text_printf(h, "%s %u\n", is_thread ? "thread" : "process",
			    (unsigned int)e->args[EVENT_ARG_FORK_TID]);
	decode_end(to);
}

void decode_exit(const struct event *e, const struct decode_target *to)
{
	int status = (int)e->ret, inside;
	struct text *t = decode_begin(e, to, "proc.exit");
	struct text *h = decode_human(to, STREAM_ALL, e, "proc.exit");

	if (WIFEXITED(status))
		text_printf(t, ",\"exit_code\":%d,\"signal\":null", WEXITSTATUS(status));
	else
		text_printf(t, ",\"exit_code\":null,\"signal\":\"SIG%s\"",
			    sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
	text_printf(t, ",\"utime_ns\":%llu,\"stime_ns\":%llu", (unsigned long long)e->args[0],
		    (unsigned long long)e->args[1]);
	inside = (int)e->args[EVENT_ARG_EXIT_INSIDE] - 1;
	/* of its own will it is always inside one */
	if (inside >= 0 && WIFSIGNALED(status))
		text_printf(t, ",\"inside\":\"%s\"", profile_syscall_name(inside));
	tally_exit(to->tally, e);
	if (h && WIFEXITED(status))
		text_printf(h, "exit %d\n", WEXITSTATUS(status));
	else if (h)
		text_printf(h, "SIG%s%s%s\n",
			    sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?",
			    inside >= 0 ? " inside " : "",
			    inside >= 0 ? profile_syscall_name(inside) : "");
	decode_end(to);
}

void decode_signal(const struct event *e, const struct decode_target *to,
		   const struct syscall_row *row)
{
	struct text *t = decode_begin(e, to, row->kind);
	/* tgkill and rt_tgsigqueueinfo name the thread second, the signal third */
	int sig =
		(int)e->args[strncmp(row->name, "tg", 2) == 0 || strncmp(row->name, "rt_tg", 5) == 0
				     ? 2
				     : 1];
	struct text *h = decode_human(to, STREAM_ALL, e, row->kind);

	text_add_signed(t, ",\"target\":", (int)e->args[0]);
	decode_add_name(t, row->name);
	if (strcmp(row->kind, "proc.signal") == 0)
		text_printf(t, ",\"signal\":\"SIG%s\"",
			    sigabbrev_np(sig) ? sigabbrev_np(sig) : "0");
	decode_add_error(t, e->ret);
	if (h && strcmp(row->kind, "proc.signal") == 0)
		text_printf(h, "SIG%s to %d", sigabbrev_np(sig) ? sigabbrev_np(sig) : "0",
			    (int)e->args[0]);
	else if (h)
		text_printf(h, "%s %d", row->name, (int)e->args[0]);
	if (h)
		decode_human_end(h, e);
	decode_end(to);
}

void decode_killed(const struct event *e, const struct decode_target *to)
{
	struct denial d = {
		.layer = "seccomp",
		.rule = "syscalls.architecture",
		.why = "the 32-bit and x32 doors into the kernel are closed: it was killed "
		       "(SIGSYS)",
	};

	text_add(&d.suggest, "run the 64-bit build of the program");
	decode_denied(e, to, "foreign", &d);
}
