// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/decode.c - a record of the ring becomes an event.
 *
 * Runs in the monitor's thread, without privilege. Which part of the decoder a record is for
 * is decided here; what its event is made of: decode_part.c.
 */
#include "supervisor/decode_inner.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "supervisor/profile.h"

static bool is_limit(const struct event *e, const struct decode_target *to, struct denial *ret)
{
	AUTO_TEXT path = { 0 };

	if (e->flags & EVENT_F_KERNEL)
		decode_path_of(e, false, &path);
	return explain_limit(to->view, e->host_pid, profile_syscall_name(e->nr), (int)-e->ret,
			     path.at, ret);
}

/* A call of the set, by what its row says. */
static void emit_row(const struct event *e, const struct decode_target *to,
		     const struct syscall_row *row)
{
	if (strncmp(row->kind, "net.", 4) == 0)
		decode_address(e, to, row);
	else if (strncmp(row->kind, "file.", 5) == 0)
		decode_file(e, to, row);
	else if (strcmp(row->kind, "sys.call") == 0)
		decode_sys_call(e, to, row);
	else
		decode_signal(e, to, row);
}

/* What is a denial of ours; told as such. */
static bool emit_as_denied(const struct event *e, const struct decode_target *to)
{
	struct denial d;
	uint64_t args[6];

	if (e->kind != EVENT_DENIED)
		return false;
	memcpy(args, e->args, sizeof(args));
	if (!explain_syscall(to->view, e->nr, (int)-e->ret, args, &d) &&
	    !explain_capability(to->view, profile_syscall_name(e->nr), (int)-e->ret, &d) &&
	    !is_limit(e, to, &d))
		return false;
	decode_denied(e, to, profile_syscall_name(e->nr), &d);
	return true;
}

static void emit_syscall(const struct event *e, const struct decode_target *to)
{
	const struct syscall_row *row = syscalls_find(e->nr);
	bool is_traced = e->flags & EVENT_F_TRACED;
	uint64_t denials = to->tally->denied;

	to->tally->keeps_line = decode_is_unfinished(e);
	/* else the kernel answered so, not the filter: an ordinary failure; and some are looked
	 * at for their denials alone */
	if (!emit_as_denied(e, to) && row &&
	    (is_traced ? syscalls_is_event(row, e)
		       : e->kind != EVENT_DENIED || (row->shape.flags & SYSCALLS_REPORTED))) {
		emit_row(e, to, row);
		/* a denial says why, and not each time; who traces wants the call, too */
		is_traced = is_traced && to->tally->denied != denials;
	} else if (is_traced && (e->flags & EVENT_F_READ)) {
		emit_row(e, to, row);
	}
	if (is_traced)
		decode_traced(e, to);
	to->tally->keeps_line = false;
}

void decode_event(const struct event *e, const struct decode_target *to)
{
	switch ((enum event_kind)e->kind) {
	case EVENT_EXEC:
		decode_exec(e, to);
		return;
	case EVENT_FORK:
		decode_fork(e, to);
		return;
	case EVENT_EXIT:
		decode_exit(e, to);
		if (WIFSIGNALED((int)e->ret) && WTERMSIG((int)e->ret) == SIGSYS &&
		    (e->flags & EVENT_F_FOREIGN))
			decode_killed(e, to);
		return;
	case EVENT_DENIED:
	case EVENT_SYSCALL:
		emit_syscall(e, to);
		return;
	case EVENT_URING:
	case EVENT_URING_DONE:
		if (syscalls_find(e->nr))
			emit_row(e, to, syscalls_find(e->nr));
		return;
	case EVENT_NONE:
	case EVENT_WRITE:
	case EVENT_PULSE:
	case EVENT_KIND_COUNT:
		return;
	}
}
