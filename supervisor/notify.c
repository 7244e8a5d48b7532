// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/notify.c - the monitor where no BPF program can be loaded.
 *
 * What it guarantees
 *	A call that was asked about is answered as the plain filter says, from the numbers
 *	the kernel copied. If this thread is gone the listeners close, and every question is
 *	answered ENOSYS: nothing opens.
 *
 * Order that matters
 *	- What the tool's memory says is read while the tool waits, and believed only if it
 *	  still waits afterwards: else the pid may be another's.
 *	- The answer is given before the event is written: the tool does not wait for the
 *	  formatting.
 */
#include "supervisor/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/foresee.h"
#include "supervisor/profile.h"
#include "supervisor/syscalls.h"

/* Answers to one call before others have their turn. Each wakes a thread of the tool, which on
 * a busy machine may cost us a time slice: of 64, each question of another call waited for
 * a fifth of a second. */
#define BATCH 4
#define PAGE 4096u
/* Calls that run at once, of all sessions. */
#define SLOTS 1024
#define ARGS_MAX 512 /* words of an argv that are read: the rest is cut */

/* Since 6.6: the one that waits goes on at once, on the same cpu. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

struct watched {
	bool is_used;
	int listener; /* -1: not yet */
	struct decode_target to;
	const struct asking *asking;
	uint64_t events;
	const char *const *argv; /* of the tool; borrowed */
	pid_t tool; /* who asked first: our own process, before it is the tool */
	bool is_tool; /* it is now, and that is to be told */
	bool is_told;
	int root; /* of the call, -1: not known yet */
	bool reads_freely; /* what the policy hides is not where programs read all the time */
};

struct notify {
	int poll;
	int wake;
	/* Which slots are used, and which one the thread works on: that one is the thread's
	 * alone, without the lock, so that nobody waits for a flood in another's. */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	uint32_t busy; /* SLOTS: none */
	struct watched slots[SLOTS];
	pthread_t thread;
	bool is_running;
	volatile bool stop;
	/* of the thread alone */
	struct event event;
	struct seccomp_notif *question;
	struct seccomp_notif_resp *answer;
	struct seccomp_notif_sizes sizes;
};

/* --- what the tool's memory says --------------------------------------------------- */

/* One span behind another in the record, as the BPF programs lay them. */
struct filling {
	struct event *e;
	size_t used;
	pid_t tid;
};

static bool read_memory(pid_t tid, uint64_t from, char *to, size_t size)
{
	struct iovec here = { to, size };
	struct iovec there = { (void *)(uintptr_t)from, size };

	return process_vm_readv(tid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* A string, by pages: it may end just before one that is not there. Gives its length, or
 * -1. */
static ssize_t read_string(pid_t tid, uint64_t from, char *to, size_t room)
{
	size_t got = 0;

	while (got < room) {
		size_t n = PAGE - (size_t)((from + got) % PAGE);
		char *end;

		n = n < room - got ? n : room - got;
		if (!read_memory(tid, from + got, to + got, n))
			return -1;
		end = memchr(to + got, '\0', n);
		if (end)
			return end - to;
		got += n;
	}
	return (ssize_t)room;
}

static size_t room_of(const struct filling *f)
{
	size_t left = EVENT_DATA_MAX - f->used;

	return left < EVENT_PATH_MAX ? left : EVENT_PATH_MAX;
}

static void took(struct filling *f, enum event_span which, ssize_t n)
{
	if (n < 0) {
		f->e->flags |= EVENT_F_FAULT;
		n = 0;
	}
	f->e->len[which] = (uint16_t)n;
	f->used += (size_t)n;
}

static void add_string(struct filling *f, enum event_span which, uint64_t from)
{
	took(f, which, read_string(f->tid, from, f->e->data + f->used, room_of(f)));
}

/* What an fd of the tool is, or with -1 its directory: the kernel's own name of it. */
static void add_link(struct filling *f, enum event_span which, int fd)
{
	char path[64];
	ssize_t n;

	if (fd < 0)
		(void)snprintf(path, sizeof(path), "/proc/%d/cwd", f->tid);
	else
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", f->tid, fd);
	n = readlink(path, f->e->data + f->used, room_of(f));
	took(f, which, n < 0 ? 0 : n);
}

static void add_base(struct filling *f, enum event_span path, enum event_span base, uint64_t dirfd,
		     bool has_dir)
{
	bool is_absolute = f->e->len[path] > 0 && f->e->data[f->used - f->e->len[path]] == '/';

	if (!is_absolute)
		add_link(f, base, has_dir && (int)dirfd != AT_FDCWD ? (int)dirfd : -1);
}

static void add_argv(struct filling *f, uint64_t from)
{
	size_t room = EVENT_ARGV_MAX, start = f->used;
	uint64_t at = 0;

	for (size_t i = 0; i < ARGS_MAX; i++) {
		ssize_t n;

		if (!read_memory(f->tid, from + i * sizeof(at), (char *)&at, sizeof(at)) || at == 0)
			break;
		if (room < 2) {
			f->e->flags |= EVENT_F_CUT;
			break;
		}
		n = read_string(f->tid, at, f->e->data + f->used, room - 1);
		if (n < 0)
			break;
		if ((size_t)n == room - 1)
			f->e->flags |= EVENT_F_CUT;
		f->used += (size_t)n;
		f->e->data[f->used++] = '\0';
		room -= (size_t)n + 1;
	}
	f->e->len[EVENT_SPAN_PATH2] = (uint16_t)(f->used - start);
}

static void fill_exec(struct filling *f, const struct seccomp_data *d)
{
	bool is_at = strcmp(profile_syscall_name(d->nr), "execveat") == 0;

	f->e->kind = EVENT_EXEC;
	add_string(f, EVENT_SPAN_PATH, d->args[is_at]);
	add_link(f, EVENT_SPAN_BASE, -1);
	add_argv(f, d->args[is_at + 1]);
	if (is_at && (int)d->args[0] >= 0)
		add_link(f, EVENT_SPAN_BASE2, (int)d->args[0]);
}

static void fill_address(struct filling *f, const struct seccomp_data *d)
{
	size_t size = (size_t)d->args[2];

	f->e->flags |= EVENT_F_ADDR;
	size = size < sizeof(struct sockaddr_storage) ? size : sizeof(struct sockaddr_storage);
	took(f, EVENT_SPAN_PATH,
	     read_memory(f->tid, d->args[1], f->e->data, size) ? (ssize_t)size : -1);
}

static void fill_paths(struct filling *f, const struct seccomp_data *d, const struct watch_shape *s)
{
	if (s->flags & WATCH_FD) {
		f->e->flags |= EVENT_F_KERNEL;
		add_link(f, EVENT_SPAN_PATH, (int)d->args[0]);
		return;
	}
	if (s->path) {
		add_string(f, EVENT_SPAN_PATH, d->args[s->path - 1]);
		add_base(f, EVENT_SPAN_PATH, EVENT_SPAN_BASE, s->dir ? d->args[s->dir - 1] : 0,
			 s->dir);
	}
	if (s->path2) {
		add_string(f, EVENT_SPAN_PATH2, d->args[s->path2 - 1]);
		add_base(f, EVENT_SPAN_PATH2, EVENT_SPAN_BASE2, s->dir2 ? d->args[s->dir2 - 1] : 0,
			 s->dir2);
	}
	if (s->flags & WATCH_OPEN)
		f->e->args[5] = s->flags & WATCH_CREAT ? O_WRONLY | O_CREAT | O_TRUNC
				: s->open_flags        ? d->args[s->open_flags - 1]
						       : 0;
}

/* --- who asks ------------------------------------------------------------------------ */

static uint32_t last_number(const char *line)
{
	const char *end = line + strcspn(line, "\n");

	while (end > line && end[-1] != '\t' && end[-1] != ' ')
		end--;
	return (uint32_t)strtoul(end, NULL, 10);
}

static bool find_line(const char *text, const char *key, const char **ret)
{
	const char *at = strstr(text, key);

	if (at)
		*ret = at + strlen(key);
	return at != NULL;
}

static void fill_who(struct event *e, pid_t tid)
{
	char path[64], text[4096];
	const char *at;

	e->host_pid = (uint32_t)tid;
	(void)snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (io_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return;
	/* the name is escaped there, and first: the others follow it */
	if (find_line(text, "Name:\t", &at)) {
		size_t n = strcspn(at, "\n");

		memcpy(e->comm, at, n < sizeof(e->comm) ? n : sizeof(e->comm));
	}
	if (find_line(text, "\nTgid:\t", &at))
		e->host_pid = (uint32_t)strtoul(at, NULL, 10);
	if (find_line(text, "\nNStgid:\t", &at))
		e->pid = last_number(at);
	if (!find_line(text, "\nPPid:\t", &at))
		return;
	(void)snprintf(path, sizeof(path), "/proc/%lu/status", strtoul(at, NULL, 10));
	if (e->pid > 1 && io_read_file(AT_FDCWD, path, text, sizeof(text)) >= 0 &&
	    find_line(text, "\nNStgid:\t", &at))
		e->ppid = last_number(at);
}

static void fill(struct event *e, const struct seccomp_notif *q, uint32_t verdict)
{
	const struct syscall_row *row = syscalls_find(q->data.nr);
	const char *name = profile_syscall_name(q->data.nr);
	struct filling f = { .e = e, .tid = (pid_t)q->pid };

	memset(e, 0, EVENT_HEAD_SIZE);
	e->kind = EVENT_SYSCALL;
	e->flags = EVENT_F_NOTIFY;
	e->when_ns = stream_now_boot_ns();
	e->nr = q->data.nr;
	memcpy(e->args, q->data.args, sizeof(e->args));
	fill_who(e, f.tid);
	if ((verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO) {
		e->kind = EVENT_DENIED;
		e->ret = -(int64_t)(verdict & SECCOMP_RET_DATA);
	} else if (strncmp(name, "execve", 6) == 0) {
		fill_exec(&f, &q->data);
	} else if (row && (row->shape.flags & WATCH_SOCKADDR)) {
		fill_address(&f, &q->data);
	} else if (row) {
		fill_paths(&f, &q->data, &row->shape);
	}
}

/* What has become of the process that we made the tool of: the kernel's own words. When it
 * has ended already, what it was to become. */
static void fill_tool(struct event *e, pid_t tid, const char *const *argv)
{
	struct filling f = { .e = e, .tid = tid };
	char path[64];
	ssize_t n;
	AUTO_FD fd = -1;

	memset(e, 0, EVENT_HEAD_SIZE);
	e->kind = EVENT_EXEC;
	e->flags = EVENT_F_NOTIFY;
	e->when_ns = stream_now_boot_ns();
	fill_who(e, tid);
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", tid);
	n = readlink(path, e->data, EVENT_PATH_MAX);
	if (n > 0) {
		took(&f, EVENT_SPAN_PATH, n);
		add_link(&f, EVENT_SPAN_BASE, -1);
	} else {
		n = snprintf(e->data, EVENT_PATH_MAX, "%s", argv[0]);
		took(&f, EVENT_SPAN_PATH, n < EVENT_PATH_MAX ? n : EVENT_PATH_MAX - 1);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : io_read_full(fd, e->data + f.used, EVENT_ARGV_MAX);
	for (size_t at = 0; n <= 0 && *argv; argv++) {
		size_t len = strlen(*argv) + 1;

		if (at + len > EVENT_ARGV_MAX) {
			e->flags |= EVENT_F_CUT;
			n = (ssize_t)at;
			break;
		}
		memcpy(e->data + f.used + at, *argv, len);
		at += len;
		if (!argv[1])
			n = (ssize_t)at;
	}
	took(&f, EVENT_SPAN_PATH2, n > 0 ? n : 0);
	if (n == EVENT_ARGV_MAX)
		e->flags |= EVENT_F_CUT;
}

/* --- the thread ------------------------------------------------------------------------ */

/* --- what needs no look ------------------------------------------------------------- */

/* Where programs read all the time. A policy that hides nothing there has nothing to
 * explain there, nor where the path is relative: the BPF programs pass over the same. */
static const char *const busy[] = {
	"/usr", "/lib", "/tmp", "/pro", "/dev", "/bin", "/opt", "/sbi"
};
#define BUSY_LEN 4

static bool is_busy(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(busy); i++)
		if (strncmp(path, busy[i], BUSY_LEN) == 0)
			return true;
	return path[0] != '/';
}

static bool hides_nothing_there(const struct policy *p)
{
	static const enum policy_list_name lists[] = { POLICY_HIDE, POLICY_EXEC_DENY };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t k = 0; k < p->lists[lists[i]].count; k++)
			if (is_busy(p->lists[lists[i]].at[k].text))
				return false;
	return true;
}

/* An open for reading that can be nothing but an ordinary one: answered at once. */
static bool is_ordinary(const struct watched *w, const struct seccomp_notif *q)
{
	const struct syscall_row *row = syscalls_find(q->data.nr);
	char head[BUSY_LEN + 1] = "";

	if (!w->reads_freely || !row || !(row->shape.flags & WATCH_OPEN) ||
	    !row->shape.open_flags ||
	    ((int)q->data.args[row->shape.open_flags - 1] & (O_ACCMODE | O_CREAT | O_TRUNC)))
		return false;
	return read_memory((pid_t)q->pid, q->data.args[row->shape.path - 1], head, BUSY_LEN) &&
	       is_busy(head);
}

/* Of a process that is the tool, or came of it: our own, before, may not be looked at. */
static int open_root(pid_t tid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/root", tid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* False when there is nothing more to answer. */
static bool serve_one(struct notify *n, struct watched *w)
{
	struct seccomp_notif *q = n->question;
	struct seccomp_notif_resp *a = n->answer;
	uint32_t verdict;
	bool waits, is_early, is_event;

	memset(q, 0, n->sizes.seccomp_notif);
	memset(a, 0, n->sizes.seccomp_notif_resp);
	if (ioctl(w->listener, SECCOMP_IOCTL_NOTIF_RECV, q) < 0)
		return errno == EINTR;
	verdict = asking_verdict(w->asking, &q->data);
	a->id = q->id;
	if ((verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW)
		a->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if ((verdict & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
		a->error = -(int)(verdict & SECCOMP_RET_DATA);
	else
		a->error = -EPERM;
	if (w->tool == 0)
		w->tool = (pid_t)q->pid;
	if (a->flags && is_ordinary(w, q)) {
		(void)ioctl(w->listener, SECCOMP_IOCTL_NOTIF_SEND, a);
		return true;
	}
	if (w->root < 0)
		w->root = open_root((pid_t)q->pid);
	fill(&n->event, q, verdict);
	/* whether a file is new is known before it is made, and only then */
	is_early = (int)n->event.args[5] & O_CREAT;
	is_event = is_early && foresee(&n->event, w->root);
	waits = ioctl(w->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &q->id) == 0;
	(void)ioctl(w->listener, SECCOMP_IOCTL_NOTIF_SEND, a);
	if (!is_early)
		is_event = waits && foresee(&n->event, w->root);
	if (waits && is_event) {
		w->events++;
		decode_event(&n->event, &w->to);
	}
	return true;
}

static bool is_waiting(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static void tell_tool(struct notify *n, struct watched *w)
{
	fill_tool(&n->event, w->tool, w->argv);
	w->events++;
	decode_event(&n->event, &w->to);
	w->is_told = true;
}

static bool begin_slot(struct notify *n, uint32_t slot)
{
	bool is_used;

	(void)pthread_mutex_lock(&n->lock);
	is_used = n->slots[slot].is_used;
	n->busy = is_used ? slot : SLOTS;
	(void)pthread_mutex_unlock(&n->lock);
	return is_used;
}

static void end_slot(struct notify *n)
{
	(void)pthread_mutex_lock(&n->lock);
	n->busy = SLOTS;
	(void)pthread_cond_broadcast(&n->idle);
	(void)pthread_mutex_unlock(&n->lock);
}

static void serve(struct notify *n, uint32_t slot, uint32_t events)
{
	struct watched *w = &n->slots[slot];

	if (!begin_slot(n, slot))
		return;
	if (w->is_tool && !w->is_told)
		tell_tool(n, w);
	for (int i = 0; i < BATCH && (events & EPOLLIN) && is_waiting(w->listener); i++)
		if (!serve_one(n, w))
			break;
	/* nobody has the filter any more */
	if (!(events & EPOLLIN) && (events & (EPOLLHUP | EPOLLERR)))
		(void)epoll_ctl(n->poll, EPOLL_CTL_DEL, w->listener, NULL);
	stream_flush(w->to.stream);
	end_slot(n);
}

/* Some slot has a tool that runs now. */
static void serve_all(struct notify *n)
{
	uint64_t count;

	(void)!read(n->wake, &count, sizeof(count));
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		if (__atomic_load_n(&n->slots[slot].is_tool, __ATOMIC_ACQUIRE) &&
		    !n->slots[slot].is_told)
			serve(n, slot, 0);
}

static void *loop(void *context)
{
	struct notify *n = context;
	struct epoll_event events[16];

	while (!n->stop) {
		int count = epoll_wait(n->poll, events, ARRAY_SIZE(events), -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.u32 < SLOTS)
				serve(n, events[i].data.u32, events[i].events);
			else
				serve_all(n);
		}
	}
	return NULL;
}

static int prepare(struct notify *n)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = SLOTS };

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &n->sizes) < 0)
		return -errno;
	n->question = calloc(1, n->sizes.seccomp_notif);
	n->answer = calloc(1, n->sizes.seccomp_notif_resp);
	n->poll = epoll_create1(EPOLL_CLOEXEC);
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!n->question || !n->answer)
		return -ENOMEM;
	if (n->poll < 0 || n->wake < 0 || epoll_ctl(n->poll, EPOLL_CTL_ADD, n->wake, &e) < 0)
		return -errno;
	return 0;
}

int notify_make(struct notify **ret)
{
	struct notify *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->poll = n->wake = -1;
	n->busy = SLOTS;
	(void)pthread_mutex_init(&n->lock, NULL);
	(void)pthread_cond_init(&n->idle, NULL);
	r = prepare(n);
	if (r < 0)
		notify_free(n);
	else
		*ret = n;
	return r;
}

int notify_start(struct notify *n)
{
	int r = -pthread_create(&n->thread, NULL, loop, n);

	n->is_running = r == 0;
	return r;
}

int notify_watch(struct notify *n, const struct decode_target *to, const struct asking *asking,
		 const char *const *argv, uint32_t *ret_slot)
{
	uint32_t slot = 0;
	int r = 0;

	(void)pthread_mutex_lock(&n->lock);
	while (slot < SLOTS && n->slots[slot].is_used)
		slot++;
	if (slot == SLOTS)
		r = -EUSERS;
	else
		n->slots[slot] = (struct watched){
			.is_used = true,
			.listener = -1,
			.root = -1,
			.to = *to,
			.asking = asking,
			.argv = argv,
			.reads_freely = hides_nothing_there(to->view->policy),
		};
	(void)pthread_mutex_unlock(&n->lock);
	*ret_slot = slot;
	return r;
}

int notify_listen(struct notify *n, uint32_t slot, int listener)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = slot };
	int r = 0;

	(void)pthread_mutex_lock(&n->lock);
	if (n->slots[slot].listener >= 0)
		r = -EEXIST;
	else
		n->slots[slot].listener = listener;
	(void)pthread_mutex_unlock(&n->lock);
	if (r < 0) {
		fd_done(&listener);
		return r;
	}
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return epoll_ctl(n->poll, EPOLL_CTL_ADD, listener, &e) < 0 ? -errno : 0;
}

void notify_tool_runs(struct notify *n, uint32_t slot)
{
	struct watched *w = &n->slots[slot];

	uint64_t one = 1;

	__atomic_store_n(&w->is_tool, true, __ATOMIC_RELEASE);
	(void)!write(n->wake, &one, sizeof(one));
}

uint64_t notify_unwatch(struct notify *n, uint32_t slot)
{
	struct watched *w = &n->slots[slot];
	uint64_t events;

	(void)pthread_mutex_lock(&n->lock);
	while (n->is_running && (n->busy == slot || (w->is_tool && !w->is_told)))
		(void)pthread_cond_wait(&n->idle, &n->lock);
	events = w->events;
	fd_done(&w->listener);
	fd_done(&w->root);
	w->is_used = false;
	(void)pthread_mutex_unlock(&n->lock);
	return events;
}

void notify_free(struct notify *n)
{
	uint64_t one = 1;

	if (!n)
		return;
	if (n->is_running) {
		n->stop = true;
		(void)!write(n->wake, &one, sizeof(one));
		(void)pthread_join(n->thread, NULL);
		n->is_running = false;
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		if (n->slots[i].is_used)
			(void)notify_unwatch(n, i);
	fd_done(&n->poll);
	fd_done(&n->wake);
	free(n->question);
	free(n->answer);
	(void)pthread_cond_destroy(&n->idle);
	(void)pthread_mutex_destroy(&n->lock);
	free(n);
}
