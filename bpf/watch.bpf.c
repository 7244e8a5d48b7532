// SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0)
/*
 * bpf/watch.bpf.c - what the calls do, as the kernel saw it.
 *
 * What it guarantees
 *	Every system call of a watched call is counted. Every record begun has
 *	a sequence number taken before room is asked for, so records delivered
 *	plus records dropped equal watch_stats.seq, exactly.
 *
 * Exit first
 *	seccomp runs before the entry tracepoint: a denied call is seen only at
 *	sys_exit, with its number and the filter's errno (WATCHING.md 2.1). At
 *	exit a path argument is resident, because the kernel has just read it.
 *
 * Loss
 *	A record is given up before the ring is full when it is cheap (a file, a
 *	traced call) or its call has taken its share; denials and connections
 *	later, and executions, ends and forks only when there is no room at all.
 *
 * Who pays
 *	A process without a seccomp filter pays one load. Others pay a hash
 *	lookup by cgroup id. Nothing is attached while no session is open.
 *
 * Scratch
 *	A record is built in a per-CPU buffer, one for each program, because a
 *	program may interrupt another but never itself.
 *
 * Not here: what a record means, and whose fault an error was.
 */
#include "bpf/state.h"

#include "bpf/address.h"
#include "bpf/process.h"
#include "bpf/record.h"
#include "bpf/uring.h"
#include "bpf/write.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline void read_args(struct scratch *s, struct pt_regs *regs)
{
	s->e.args[0] = LOAD(regs, di);
	s->e.args[1] = LOAD(regs, si);
	s->e.args[2] = LOAD(regs, dx);
	s->e.args[3] = LOAD(regs, r10);
	s->e.args[4] = LOAD(regs, r8);
	s->e.args[5] = LOAD(regs, r9);
}

/* What the caller asked for; struct open_how may be gone from its page by now. */
static __always_inline __u64 open_flags(const volatile struct watch_shape *shape,
					struct pt_regs *regs, bool *ret_unread)
{
	__u64 flags = 0;

	if (shape->flags & WATCH_CREAT)
		return O_CREAT | O_TRUNC | 1;
	if (shape->flags & WATCH_OPEN_HOW) {
		*ret_unread =
			bpf_probe_read_user(&flags, sizeof(flags), (void *)LOAD(regs, dx)) != 0;
		return flags;
	}
	return shape->open_flags == 2 ? LOAD(regs, si) : LOAD(regs, dx);
}

static __always_inline __u64 shape_path(const volatile struct watch_shape *shape,
					struct pt_regs *regs)
{
	switch (shape->path) {
	case 1:
		return LOAD(regs, di);
	case 2:
		return LOAD(regs, si);
	default:
		return 0;
	}
}

/*
 * A name that is not there may be one that the sandbox hides, or an ordinary miss:
 * compilers make ten thousands. Hidden is only what is absolute and outside the
 * trees that every session shows or owns; user space looks closer.
 */
static __always_inline bool may_be_hidden(const volatile struct watch_shape *shape,
					  struct pt_regs *regs)
{
	__u32 head = 0;

	if (bpf_probe_read_user(&head, sizeof(head), (void *)shape_path(shape, regs)))
		return false;
	if ((head & 0xff) != '/')
		return watch_relative;
	return head != HEAD('u', 's', 'r') && head != HEAD('l', 'i', 'b') &&
	       head != HEAD('t', 'm', 'p') && head != HEAD('p', 'r', 'o') &&
	       head != HEAD('d', 'e', 'v') && head != HEAD('b', 'i', 'n') &&
	       head != HEAD('o', 'p', 't') && head != HEAD('s', 'b', 'i');
}

#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 1 /* and MAP_SHARED_VALIDATE, 3 */
#define MAP_ANONYMOUS 0x20

/* mmap(2), mprotect(2): the third argument is the protection, the fourth the flags. */
static __always_inline bool maps_code(const volatile struct watch_shape *shape,
				      struct pt_regs *regs)
{
	__u64 prot = LOAD(regs, dx), flags = LOAD(regs, r10), file;
	struct inode *inode;

	if (shape->more & WATCH_PROTECT)
		return prot & PROT_EXEC;
	if (prot & PROT_EXEC)
		return true;
	if (!(flags & MAP_SHARED) || (flags & MAP_ANONYMOUS))
		return false;
	file = file_of_fd((__s32)LOAD(regs, r8));
	if (!file)
		return prot & PROT_WRITE;
	inode = LOAD(FILE_AT(file), f_inode);
	if ((LOAD(inode, i_mode) & S_IFMT) != S_IFREG)
		return false;
	/* what is only read now may be written after an mprotect(2) */
	return (prot & PROT_WRITE) || (LOAD(FILE_AT(file), f_mode) & FMODE_WRITE);
}

static __always_inline bool is_traced(const struct watch_call *c, __u32 nr)
{
	return watch_wishes[c->slot & (WATCH_SLOTS - 1)].trace[(nr >> 6) & 7] >> (nr & 63) & 1;
}

/* Until its first program is executed it is our own code. */
static __always_inline bool is_begun(const struct watch_call *c)
{
	return watch_wishes[c->slot & (WATCH_SLOTS - 1)].begun == c->generation;
}

static __always_inline bool has_address(const void *msghdr)
{
	__u64 name = 0;

	bpf_probe_read_user(&name, sizeof(name), msghdr);
	return name != 0;
}

/* How a record of a call came about. */
struct decision {
	bool is_denied, is_read, is_write, is_unread, is_wanted, is_traced, is_killed;
	__u8 place; /* enum event_place */
	__u64 message; /* where its struct msghdr is; 0: where the arguments say */
	__u64 open_flags;
};

static __always_inline bool opened_is_wanted(struct watch_call *c,
					     const volatile struct watch_shape *shape,
					     struct pt_regs *regs, long ret, struct decision *d)
{
	__u64 file = ret >= 0 ? file_of_fd(ret) : 0;

	d->open_flags = open_flags(shape, regs, &d->is_unread);
	/* how it was opened is the kernel's to say */
	if (file)
		d->open_flags = (d->open_flags & ~(__u64)O_ACCMODE) | LOAD(FILE_AT(file), f_flags);
	d->is_write = d->is_unread || (d->open_flags & (O_ACCMODE | O_CREAT | O_TRUNC));
	if (d->is_write)
		return true;
	/* compilers look for a file in ten places */
	if (ret == -ENOENT)
		return may_be_hidden(shape, regs);
	if (ret < 0)
		return ret == -EACCES || ret == -EPERM || ret == -EROFS;
	d->is_read = file && is_written_name(bit_of_file(c->session, FILE_AT(file)));
	d->place = file ? new_place(c, FILE_AT(file)) : EVENT_PLACE_KNOWN;
	d->is_read |= d->place != EVENT_PLACE_KNOWN;
	return d->is_read;
}

/* Looking is told only where it may have been refused: a cover of ours, a hidden name, or
 * the file's own mode. */
static __always_inline bool probe_is_wanted(const volatile struct watch_shape *shape,
					    struct pt_regs *regs, long ret)
{
	return ret == -EACCES || (ret == -ENOENT && may_be_hidden(shape, regs));
}

/* Nothing came, or a signal did before it. */
static __always_inline bool is_no_answer(long ret)
{
	return ret == -EAGAIN || (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK);
}

/* What was it doing: the call that a signal which ends the process found it in. */
static __always_inline bool is_killed_in(long ret)
{
	struct signal_struct *signal;

	if (ret != -EINTR && !(ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK))
		return false;
	signal = LOAD(CURRENT(), signal);
	return (LOAD(signal, flags) & SIGNAL_GROUP_EXIT) &&
	       (LOAD(signal, group_exit_code) & DIED_OF_SIGNAL);
}

static __always_inline bool wanted(struct watch_call *c, const volatile struct watch_shape *shape,
				   __u32 nr, struct pt_regs *regs, long ret, struct decision *d)
{
	d->is_denied = ret < 0 && ((shape->deny_errno &&
				    (ret == -(long)shape->deny_errno ||
				     (shape->deny_errno2 && ret == -(long)shape->deny_errno2))) ||
				   (watch_denied[nr] && ret == -(long)watch_denied[nr]) ||
				   ret == -(long)watch_limits[nr].error ||
				   ret == -(long)watch_limits[nr].error2);
	if (shape->more & WATCH_SEND)
		return LOAD(regs, r8) != 0;
	/* those that were sent are told one by one */
	if (shape->more & WATCH_MSG)
		return !((shape->more & WATCH_MMSG) && ret > 0) &&
		       has_address((void *)LOAD(regs, si));
	if (d->is_denied)
		return true;
	if ((shape->more & WATCH_FAILED) && ret >= 0)
		return false;
	if (shape->more & (WATCH_MAP | WATCH_PROTECT))
		return maps_code(shape, regs);
	if (shape->flags & WATCH_ANY)
		return true;
	if (shape->flags & WATCH_PROBE)
		return probe_is_wanted(shape, regs, ret);
	if (shape->flags & WATCH_OPEN)
		return opened_is_wanted(c, shape, regs, ret, d);
	return (shape->flags & WATCH_REPORT) && !((shape->more & WATCH_PEER) && is_no_answer(ret));
}

static __always_inline void fill_open(struct scratch *s, struct watch_call *c,
				      const volatile struct watch_shape *shape, long ret,
				      const struct decision *d)
{
	__u64 file = ret >= 0 ? file_of_fd(ret) : 0;

	if (file) {
		s->e.flags |= EVENT_F_KERNEL;
		if (LOAD(FILE_AT(file), f_mode) & FMODE_CREATED)
			s->e.flags |= EVENT_F_CREATED;
		if (d->is_read)
			s->e.flags |= EVENT_F_READ;
		if (d->is_unread)
			s->e.flags |= EVENT_F_FAULT;
		if (d->is_write)
			mark_name(bit_of_file(c->session, FILE_AT(file)));
		add_path(s, file + bpf_core_field_offset(struct file, f_path), EVENT_SPAN_PATH);
	} else {
		add_lexical(s, shape->path, shape->dir, EVENT_SPAN_PATH);
	}
	/* no open has a fifth and a sixth argument */
	s->e.args[EVENT_ARG_OPEN_PLACE] = d->place;
	s->e.args[5] = d->open_flags;
}

/* The strings are read again after the call: whether they are what they were. */
static __always_inline void compare_twice(struct scratch *s,
					  const volatile struct watch_shape *shape)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct twice *t = bpf_map_lookup_elem(&watch_twice, &id);

	if (!t || t->nr != (__u64)s->e.nr)
		return;
	hash_string(s, arg(s, shape->path));
	/* 0: it was not to be read then, before the kernel had looked at it */
	if (t->first && s->hash) {
		s->e.flags |= EVENT_F_TWICE;
		if (t->first != s->hash)
			s->e.flags |= EVENT_F_TOCTOU;
	}
	if (shape->path2) {
		hash_string(s, arg(s, shape->path2));
		if (t->second && s->hash && t->second != s->hash)
			s->e.flags |= EVENT_F_TOCTOU;
	}
	bpf_map_delete_elem(&watch_twice, &id);
}

static __always_inline void fill(struct scratch *s, struct watch_call *c,
				 const volatile struct watch_shape *shape, long ret,
				 const struct decision *d)
{
	if (watch_enters && shape->path)
		compare_twice(s, shape);
	if (shape->flags & WATCH_OPEN) {
		fill_open(s, c, shape, ret, d);
	} else if ((shape->more & WATCH_LOCAL) && ret >= 0) {
		add_socket(s, (__s32)s->e.args[0], false);
		add_base(s, AT_FDCWD, EVENT_SPAN_BASE);
	} else if ((shape->more & WATCH_PEER) && ret >= 0) {
		add_socket(s, ret, true);
	} else if (shape->flags & WATCH_SOCKADDR) {
		add_sockaddr(s, shape->more);
		s->e.args[EVENT_ARG_PEER] = 0;
		if (ret >= 0 && !(shape->more & (WATCH_SEND | WATCH_MSG)))
			add_unix_peer(s, (__s32)s->e.args[0]);
		if (*(__u16 *)s->e.data == AF_UNIX)
			add_base(s, AT_FDCWD, EVENT_SPAN_BASE);
	} else if (shape->fd) {
		s->e.flags |= EVENT_F_KERNEL;
		if (!(shape->more & WATCH_MAP) || !(s->e.args[3] & MAP_ANONYMOUS))
			add_fd_path(s, (__s32)arg(s, shape->fd), EVENT_SPAN_PATH);
	} else if ((shape->more & WATCH_CWD) && ret >= 0) {
		s->e.flags |= EVENT_F_KERNEL;
		add_base(s, AT_FDCWD, EVENT_SPAN_PATH);
	} else if ((shape->more & WATCH_FAILED) && ret >= 0) {
		/* traced: where the words of an execve(2) were is another program now */
	} else if (shape->path) {
		add_lexical(s, shape->path, shape->dir, EVENT_SPAN_PATH);
		if (shape->path2) {
			__u32 start;

			add_lexical(s, shape->path2, shape->dir2, EVENT_SPAN_PATH2);
			start = s->e.len[EVENT_SPAN_PATH] + s->e.len[EVENT_SPAN_BASE];
			if (ret >= 0)
				mark_path(s, start, s->e.len[EVENT_SPAN_PATH2], c->session);
		}
	}
}

static __always_inline struct pt_regs *current_regs(void)
{
	return as_type((void *)bpf_task_pt_regs(bpf_get_current_task_btf()), struct pt_regs);
}

__noinline int send_syscall(struct watch_call *c, __u32 nr, long ret, const struct decision *d)
{
	const volatile struct watch_shape *shape = &watch_shapes[nr & (WATCH_SYSCALLS - 1)];
	__u32 class = shape->event_class;
	struct scratch *s;

	if (!c || !d)
		return 0;
	s = begin(SCRATCH_SYSCALL, c, d->is_denied ? EVENT_DENIED : EVENT_SYSCALL);
	if (!s)
		return 0;
	if (d->is_traced)
		s->e.flags |= EVENT_F_TRACED;
	if (d->is_killed)
		s->e.flags |= EVENT_F_KILLED;
	if (d->is_denied) {
		class = EVENT_CLASS_DENIED;
	} else if (!d->is_wanted) {
		s->e.flags |= EVENT_F_ONLY_TRACED;
		class = d->is_killed ? EVENT_CLASS_LIFE : EVENT_CLASS_TRACE;
	}
	s->e.nr = nr;
	s->e.ret = ret;
	read_args(s, current_regs());
	if (d->message)
		s->e.args[1] = d->message;
	fill(s, c, shape, ret, d);
	finish(s, c->flags, class, d->is_denied);
	return 0;
}

/* sizeof(struct mmsghdr), and how many of them sendmmsg(2) takes (UIO_MAXIOV), in two loops:
 * each turn of one costs the verifier. */
#define MMSG_SIZE 64
#define MMSG_MAX 1024
#define MMSG_TURN 8

/* Of many messages each that has an address of its own is told. */
__noinline int send_some(struct watch_call *c, __u32 nr, long ret, __u64 first)
{
	if (!c)
		return 0;
	for (__u32 i = 0; i < MMSG_TURN; i++) {
		struct decision d = { .is_wanted = true, .message = first + i * MMSG_SIZE };

		if (i < ret && has_address((void *)d.message))
			send_syscall(c, nr, ret, &d);
	}
	return 0;
}

__noinline int send_messages(struct watch_call *c, __u32 nr, long ret)
{
	__u64 at = LOAD(current_regs(), si);

	for (__u32 i = 0; i < MMSG_MAX && i < ret; i += MMSG_TURN)
		send_some(c, nr, ret - i, at + i * MMSG_SIZE);
	return 0;
}

__noinline int report_syscall(struct watch_call *c, __u32 nr, long ret)
{
	struct pt_regs *regs = current_regs();
	const volatile struct watch_shape *shape = &watch_shapes[nr & (WATCH_SYSCALLS - 1)];
	struct decision d = { 0 };

	if (!c)
		return 0;
	nr &= WATCH_SYSCALLS - 1;
	d.is_killed = is_killed_in(ret);
	d.is_traced = d.is_killed || is_traced(c, nr);
	d.is_wanted = wanted(c, shape, nr, regs, ret, &d);
	if (d.is_wanted || d.is_traced)
		send_syscall(c, nr, ret, &d);
	/* not of a call that has no address, or none that was wanted: it may have passed the hook */
	if (shape->flags & WATCH_SOCKADDR)
		forget_addr();
	return 0;
}

/* --- the programs ---------------------------------------------------------------- */

/* The supervisor asks whether what is seen here still reaches it. */
static __always_inline void answer_pulse(struct task_struct *task)
{
	__u32 use = SCRATCH_SYSCALL;
	struct scratch *s;

	if (!watch_pulse || LOAD(task, tgid) != watch_pulse_tgid)
		return;
	s = bpf_map_lookup_elem(&watch_scratch, &use);
	if (!s)
		return;
	__builtin_memset(&s->e, 0, __builtin_offsetof(struct event, data));
	s->e.kind = EVENT_PULSE;
	s->e.seq = watch_pulse;
	watch_pulse = 0;
	bpf_ringbuf_output(&watch_ring, &s->e, __builtin_offsetof(struct event, data),
			   BPF_RB_FORCE_WAKEUP);
}

/* After rt_sigreturn(2) the registers are those of what the signal interrupted, and say that
 * there is no call. So they do after one that a tracer of the tool's own cancelled. */
#define NR_RT_SIGRETURN 15
#define NR_EXIT 60
#define NR_EXIT_GROUP 231

/* Whether `nr` is a number of ours: the filter kills what enters through the i386 or the
 * x32 door; its numbers mean other calls, and the death is told by SIGSYS at exit. */
static __always_inline bool is_native(struct task_struct *task, __s64 nr)
{
	return nr >= 0 && !(nr & X32_BIT) && !(LOAD(task, thread_info.status) & TS_COMPAT);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *trusted, long ret)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	const volatile struct watch_shape *shape;
	struct pt_regs *regs;
	struct watch_call *c;
	__s64 nr;

	if (task->seccomp.mode != SECCOMP_MODE_FILTER)
		return 0;
	task = as_type((void *)task, struct task_struct);
	c = find_call(task);
	if (!c) {
		answer_pulse(task);
		return 0;
	}
	/* until then it is our own code */
	if (!is_begun(c))
		return 0;
	regs = as_type(trusted, struct pt_regs);
	nr = (__s64)LOAD(regs, orig_ax);
	if (nr == -1) {
		nr = NR_RT_SIGRETURN;
		ret = 0;
	}
	if (!is_native(task, nr))
		return 0;
	if (nr >= WATCH_SYSCALLS)
		nr = WATCH_SYSCALLS - 1;
	nr &= WATCH_SYSCALLS - 1;
	shape = &watch_shapes[nr];
	if (ret == 0 && (shape->more & WATCH_FORKS))
		return 0;
	count_call(c, task, nr, ret);
	if (ret > 0 && (shape->more & WATCH_WRITE))
		count_write(c, shape->fd == 3 ? LOAD(regs, dx) : LOAD(regs, di), nr, ret);
	if (ret == 0 && (shape->more & WATCH_RENAMES))
		__sync_fetch_and_add(&watch_wishes[c->slot & (WATCH_SLOTS - 1)].renames, 1);
	if (ret > 0 && (shape->more & WATCH_MMSG))
		send_messages(c, nr, ret);
	/* most calls are of no shape, and no limit and no policy answers them */
	if (shape->flags || shape->more || ret < 0 || is_traced(c, nr))
		report_syscall(c, nr, ret);
	return 0;
}

/* Attached only where somebody wants strings compared: every process of the machine pays. */
SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *trusted, long nr)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	const volatile struct watch_shape *shape;
	__u32 use = SCRATCH_ENTER;
	struct scratch *s;
	struct twice t = { .nr = nr };
	__u64 id = bpf_get_current_pid_tgid();

	if (task->seccomp.mode != SECCOMP_MODE_FILTER || nr < 0 || nr >= WATCH_SYSCALLS)
		return 0;
	shape = &watch_shapes[nr & (WATCH_SYSCALLS - 1)];
	task = as_type((void *)task, struct task_struct);
	if (!shape->path || !is_native(task, nr) || !find_call(task))
		return 0;
	s = bpf_map_lookup_elem(&watch_scratch, &use);
	if (!s)
		return 0;
	read_args(s, as_type(trusted, struct pt_regs));
	hash_string(s, arg(s, shape->path));
	t.first = s->hash;
	if (shape->path2) {
		hash_string(s, arg(s, shape->path2));
		t.second = s->hash;
	}
	bpf_map_update_elem(&watch_twice, &id, &t, BPF_ANY);
	return 0;
}

SEC("tp_btf/io_uring_submit_req") /* since 6.4 */
int BPF_PROG(on_uring, struct io_kiocb *req)
{
	return submitted(req);
}

SEC("tp_btf/io_uring_submit_sqe") /* 6.0 to 6.3; before, its arguments were others */
int BPF_PROG(on_uring_old, struct io_kiocb *req)
{
	return submitted(req);
}

SEC("tp_btf/io_uring_complete") /* since 6.16 or so: its answer is one argument */
int BPF_PROG(on_uring_done, void *ctx_, void *req, struct io_uring_cqe *answer)
{
	struct io_uring_cqe *cqe = as_type(answer, struct io_uring_cqe);

	return done(req, LOAD(cqe, res));
}

SEC("tp_btf/io_uring_complete") /* before: its members are */
int BPF_PROG(on_uring_done_old, void *ctx_, void *req, __u64 user_data, int res)
{
	return done(req, res);
}

SEC("tp_btf/task_newtask")
int BPF_PROG(on_fork, struct task_struct *trusted, unsigned long clone_flags)
{
	struct watch_call *c = find_call(CURRENT());
	struct task_struct *child = as_type(trusted, struct task_struct), *leader;
	struct scratch *s;

	if (!c)
		return 0;
	s = begin(SCRATCH_FORK, c, EVENT_FORK);
	if (!s)
		return 0;
	leader = LOAD(child, group_leader);
	s->e.args[EVENT_ARG_FORK_HOST_PID] = LOAD(child, tgid);
	s->e.args[EVENT_ARG_FORK_PID] = pid_inside(child);
	s->e.args[EVENT_ARG_FORK_TID] = number_inside(LOAD(child, thread_pid));
	s->e.args[EVENT_ARG_FORK_START] = LOAD(leader, start_boottime);
	s->e.args[EVENT_ARG_FORK_FLAGS] = clone_flags;
	if (clone_flags & CLONE_THREAD)
		s->e.flags |= EVENT_F_THREAD;
	finish(s, c->flags, EVENT_CLASS_LIFE, false);
	return 0;
}

static __always_inline void add_exe(struct scratch *s, __u64 exe)
{
	struct inode *inode = LOAD(FILE_AT(exe), f_inode);
	struct super_block *sb = LOAD(inode, i_sb);

	s->e.args[EVENT_ARG_EXEC_DEV] = LOAD(sb, s_dev);
	s->e.args[EVENT_ARG_EXEC_INO] = LOAD(inode, i_ino);
	add_path(s, exe + bpf_core_field_offset(struct file, f_path), EVENT_SPAN_PATH);
}

/* How much of argv is sent: little of it, where a call has much waiting, so that long words
 * do not cost it the processes themselves. */
static __always_inline __u32 argv_room(const struct watch_call *c)
{
	__u32 slot = c->slot;
	struct watch_stats *stats = bpf_map_lookup_elem(&watch_stats, &slot);

	if (stats && !(c->flags & WATCH_CALL_LOSSLESS) && waiting_of(stats, slot) > QUOTA_CHEAP)
		return EVENT_ARGV_SHORT;
	return EVENT_ARGV_MAX - 1;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	struct task_struct *task = CURRENT();
	struct watch_call *c = find_call(task);
	struct mm_struct *mm;
	__u64 exe;
	struct fs_struct *fs;
	struct scratch *s;
	__u64 start, length;
	__u32 room;

	if (!c)
		return 0;
	if (!is_begun(c))
		watch_wishes[c->slot & (WATCH_SLOTS - 1)].begun = c->generation;
	room = argv_room(c);
	s = begin(SCRATCH_EXEC, c, EVENT_EXEC);
	if (!s)
		return 0;
	mm = BPF_CORE_READ(task, mm);
	exe = (__u64)BPF_CORE_READ(mm, exe_file);
	fs = BPF_CORE_READ(task, fs);
	start = BPF_CORE_READ(mm, arg_start);
	length = BPF_CORE_READ(mm, arg_end) - start;
	s->e.flags |= EVENT_F_KERNEL;
	s->e.args[EVENT_ARG_EXEC_LENGTH] = length;
	if (exe)
		add_exe(s, exe);
	add_path(s, (__u64)fs + bpf_core_field_offset(struct fs_struct, pwd), EVENT_SPAN_BASE);
	if (length > room) {
		hash_user(s, start, length);
		s->e.args[EVENT_ARG_EXEC_HASH] = s->hash_left ? 0 : s->hash;
		s->e.flags |= EVENT_F_CUT;
	}
	if (length > 0)
		add_user_bytes(s, start, length > room ? room : (__u32)length, EVENT_SPAN_PATH2);
	finish(s, c->flags, EVENT_CLASS_LIFE, true);
	return 0;
}

static __always_inline void trace_end(struct watch_call *c, __u32 nr, struct pt_regs *regs)
{
	struct scratch *s = begin(SCRATCH_EXIT, c, EVENT_SYSCALL);

	if (!s)
		return;
	s->e.nr = nr;
	s->e.flags |= EVENT_F_TRACED | EVENT_F_ONLY_TRACED;
	s->e.args[0] = LOAD(regs, di);
	finish(s, c->flags, EVENT_CLASS_TRACE, false);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	struct task_struct *task = CURRENT();
	struct watch_call *c = find_call(task);
	struct watch_process *place;
	struct signal_struct *sig;
	struct pt_regs *regs;
	struct mm_struct *mm;
	struct scratch *s;
	__u64 inside;

	if (!c)
		return 0;
	regs = current_regs();
	inside = LOAD(regs, orig_ax) + 1;
	/* these never return: each thread that ended by its own will is in one of them */
	if ((inside == NR_EXIT + 1 || inside == NR_EXIT_GROUP + 1) && is_begun(c) &&
	    is_native(task, inside - 1)) {
		count_call(c, task, inside - 1, 0);
		if (is_traced(c, inside - 1))
			trace_end(c, inside - 1, regs);
	}
	sig = LOAD(task, signal);
	/* the last thread of the group speaks for it; two that end at once may both be the last */
	if (LOAD(sig, live.counter) != 0)
		return 0;
	place = find_process(c, task);
	if (place && __sync_val_compare_and_swap(&place->ended, 0, 1))
		return 0;
	s = begin(SCRATCH_EXIT, c, EVENT_EXIT);
	if (!s)
		return 0;
	/* killed inside a call: the marks of its door are still there */
	if ((LOAD(task, thread_info.status) & TS_COMPAT) || inside > X32_BIT)
		s->e.flags |= EVENT_F_FOREIGN;
	else if (inside <= WATCH_SYSCALLS)
		s->e.args[EVENT_ARG_EXIT_INSIDE] = inside;
	mm = LOAD(task, mm);
	s->e.ret = LOAD(task, exit_code);
	s->e.args[EVENT_ARG_EXIT_UTIME] = LOAD(task, utime) + LOAD(sig, utime);
	s->e.args[EVENT_ARG_EXIT_STIME] = LOAD(task, stime) + LOAD(sig, stime);
	s->e.args[EVENT_ARG_EXIT_RSS] = LOAD(sig, maxrss);
	if (mm && LOAD(mm, hiwater_rss) > s->e.args[EVENT_ARG_EXIT_RSS])
		s->e.args[EVENT_ARG_EXIT_RSS] = LOAD(mm, hiwater_rss);
	finish(s, c->flags, EVENT_CLASS_LIFE, true);
	return 0;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, false, ADDR_HOOK_CONNECT);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, true, ADDR_HOOK_CONNECT);
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, false, ADDR_HOOK_BIND);
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, true, ADDR_HOOK_BIND);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, false, ADDR_HOOK_SEND);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return keep_addr(ctx, true, ADDR_HOOK_SEND);
}
