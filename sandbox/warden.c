// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/warden.c - the process with the privileges.
 *
 * One thread, no loop library, no allocation to speak of: it waits for one
 * request of fixed size, serves it from a table, and answers. It parses nothing
 * and knows no policy; what it may touch was put into struct sb_config before it
 * was forked, by whoever started Glovebox.
 *
 * What it guarantees
 *	When the supervisor is gone, however it went, every session's calls are
 *	killed and its control groups and sockets removed.
 */
#include "sandbox/warden.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sandbox/apply.h"
#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/base/path.h"
#include "sandbox/cgroup.h"
#include "sandbox/ids.h"
#include "sandbox/keeper.h"
#include "sandbox/privs.h"
#include "sandbox/store.h"
#include "sandbox/sys.h"
#include "sandbox/view.h"

/* One range of user ids each, and range 0 is ours. */
#define WARDEN_SESSIONS (SB_RANGE_COUNT - 1)

struct warden_session {
	char id[SB_ID_MAX]; /* "": free */
	pid_t keeper;
};

struct warden {
	const struct sb_config *config;
	int sock;
	struct warden_session sessions[WARDEN_SESSIONS];
};

struct answer {
	struct sb_reply reply;
	int fds[IO_FDS_MAX];
	unsigned int count;
};

static struct warden_session *find_session(struct warden *w, const char *id)
{
	for (size_t i = 0; i < WARDEN_SESSIONS; i++)
		if (strncmp(w->sessions[i].id, id, SB_ID_MAX) == 0)
			return &w->sessions[i];
	return NULL;
}

/* A program fd becomes a link fd; what the program watches is not known here. */
static int serve_attach(struct warden *w, const struct sb_request *q, const int *fds,
			unsigned int count, struct answer *a)
{
	int link;

	(void)w;
	if (count == 1 && q->attach_type == 0)
		link = bpf_raw_tracepoint_open(NULL, fds[0]);
	else if (count == 2)
		link = bpf_link_create(fds[0], fds[1], (enum bpf_attach_type)q->attach_type, NULL);
	else
		return -EINVAL;
	if (link < 0)
		return link;
	a->fds[a->count++] = link;
	return 0;
}

bool warden_may_show(const struct sb_config *config, const char *workspace)
{
	const char *own[] = { config->state_dir, config->run_dir, config->staging };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i] &&
		    (path_is_below(own[i], workspace) || path_is_below(workspace, own[i])))
			return false;
	for (size_t i = 0; i < SB_ROOTS_MAX && config->roots[i]; i++)
		if (path_is_below(workspace, config->roots[i]))
			return true;
	return false;
}

/* A workspace in the roots, shown at an absolute place that is not part of what
 * every root has. */
static int check_open(const struct warden *w, const struct sb_request *q)
{
	static const char *const taken[] = { "/proc", "/dev",  "/sys", "/etc",  "/usr",
					     "/bin",  "/sbin", "/lib", "/lib64" };
	const struct sb_limits *l = &q->limits;

	if (l->memory_bytes < SB_MEMORY_MIN || l->pids == 0 || l->pids > SB_PIDS_MAX ||
	    l->open_files < 8 || l->open_files > SB_NOFILE_MAX || l->cpu_milli == 0 ||
	    l->cpu_milli > SB_CPU_MILLI_MAX || l->tmp_bytes == 0 || l->mlock_bytes > SB_MLOCK_MAX)
		return -ERANGE;
	if (q->flags & SB_FLAG_KNOWN)
		return 0; /* its record says what it shows; the keeper asks again */
	if (q->workspace[SB_PATH_MAX - 1] || !path_is_plain(q->workspace) ||
	    q->at[SB_PATH_MAX - 1] || !path_is_plain(q->at))
		return -EINVAL;
	if (!warden_may_show(w->config, q->workspace))
		return -EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		size_t n = strlen(taken[i]);

		if (strcmp(q->at, taken[i]) == 0 ||
		    (i < 3 && strncmp(q->at, taken[i], n) == 0 && q->at[n] == '/'))
			return -EEXIST;
	}
	return 0;
}

/* In a child: the warden's socket goes, its number stays taken, so that no fd
 * of a call is ever 0, 1 or 2. */
static void leave_warden(struct warden *w)
{
	if (dup2(1, w->sock) < 0)
		_exit(1);
}

static int serve_open(struct warden *w, const struct sb_request *q, const int *fds,
		      unsigned int count, struct answer *a)
{
	static struct sb_request request;
	struct warden_session *s;
	int pair[2];
	pid_t pid;
	int r;

	a->reply.stage = SB_STAGE_REQUEST;
	r = check_open(w, q);
	if (r < 0)
		return r;
	if (count != 2 || find_session(w, q->session))
		return -EINVAL;
	s = find_session(w, "");
	if (!s)
		return -EUSERS;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	request = *q;
	pid = fork();
	if (pid == 0) {
		int filter = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
		int shown = fcntl(fds[1], F_DUPFD_CLOEXEC, 3);

		leave_warden(w);
		(void)close(pair[0]);
		keeper_main(w->config, &request, pair[1], filter, shown);
	}
	r = pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		return r;
	}
	memcpy(s->id, q->session, sizeof(s->id));
	s->keeper = pid;
	a->fds[a->count++] = pair[0];
	return 0;
}

static int end_session(const struct warden *w, struct warden_session *s)
{
	int r;

	if (s->keeper > 0)
		(void)waitpid(s->keeper, NULL, 0);
	r = w->config->has_groups ? cgroup_remove_session(s->id) : 0;
	memset(s, 0, sizeof(*s));
	return r;
}

static int serve_closed(struct warden *w, const struct sb_request *q, const int *fds,
			unsigned int count, struct answer *a)
{
	struct warden_session *s = find_session(w, q->session);

	(void)fds;
	(void)count;
	(void)a;
	return s ? end_session(w, s) : -ENOENT;
}

static _Noreturn void files_child(struct warden *w, const struct sb_request *q,
				  const struct store_record *rec, int dir, int journal, int lock,
				  int sock)
{
	struct sb_change failed = { .kind = SB_CHANGE_UNREAD };
	int r = -EINVAL;

	(void)signal(SIGPIPE, SIG_IGN);
	if (q->verb == SB_VERB_SCAN)
		r = view_scan(w->config, rec, dir, q, sock);
	else if (q->verb == SB_VERB_USAGE)
		r = view_usage(rec, dir, q, sock);
	else if (q->verb == SB_VERB_SQUASH)
		r = view_squash(rec, dir, q, sock);
	else if (q->verb == SB_VERB_DROP)
		r = view_drop(dir, q, sock);
	else if (q->verb == SB_VERB_REMOVE)
		r = view_remove(w->config, q->session, sock);
	else
		r = apply_start(rec, q->verb == SB_VERB_RECOVER, q->session, journal, sock);
	failed.error = r;
	if (r < 0)
		(void)io_send(sock, &failed, sizeof(failed), NULL, 0);
	/* before the socket: its end tells that the lock is free */
	fd_done(&lock);
	_exit(r < 0);
}

/* All are children with a socket to the supervisor, and end by themselves. */
static int serve_files(struct warden *w, const struct sb_request *q, const int *fds,
		       unsigned int count, struct answer *a)
{
	static struct store_record rec;
	bool writes = q->verb == SB_VERB_APPLY || q->verb == SB_VERB_RECOVER;
	AUTO_FD journal = -1;
	AUTO_FD dir = -1;
	AUTO_FD lock = -1;
	int pair[2];
	pid_t pid;
	int r;

	(void)fds;
	(void)count;
	a->reply.stage = SB_STAGE_STORE;
	if (q->layer_count > SB_LAYERS_MAX || q->layer_first > q->layer_count)
		return -EINVAL;
	r = store_load(w->config, q->session, &rec, &dir);
	/* what is read and written must not change meanwhile; the child keeps the
	 * lock. While a keeper of ours has it, the supervisor knows who does what. */
	if (r == 0 && q->verb != SB_VERB_SCAN && q->verb != SB_VERB_USAGE &&
	    !find_session(w, q->session))
		r = store_lock(dir, &lock);
	if (r == 0 && writes)
		r = store_open_journal(dir, &journal);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		leave_warden(w);
		(void)close(pair[0]);
		files_child(w, q, &rec, dir, journal, lock, pair[1]);
	}
	r = pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		return r;
	}
	a->reply.pid = (uint32_t)pid;
	a->reply.range = rec.range;
	a->fds[a->count++] = pair[0];
	return 0;
}

static const struct {
	int (*serve)(struct warden *w, const struct sb_request *q, const int *fds,
		     unsigned int count, struct answer *a);
	bool needs_id;
} verbs[SB_VERB_COUNT] = {
	[SB_VERB_ATTACH] = { serve_attach, false }, [SB_VERB_OPEN] = { serve_open, true },
	[SB_VERB_CLOSED] = { serve_closed, true },  [SB_VERB_SCAN] = { serve_files, true },
	[SB_VERB_USAGE] = { serve_files, true },    [SB_VERB_APPLY] = { serve_files, true },
	[SB_VERB_RECOVER] = { serve_files, true },  [SB_VERB_SQUASH] = { serve_files, true },
	[SB_VERB_DROP] = { serve_files, true },     [SB_VERB_REMOVE] = { serve_files, true },
};

static int serve(struct warden *w, const struct sb_request *q, const int *fds, unsigned int count,
		 struct answer *a)
{
	a->reply.stage = SB_STAGE_REQUEST;
	if (q->abi != SB_ABI || q->verb >= SB_VERB_COUNT || !verbs[q->verb].serve ||
	    (q->flags & ~(uint32_t)SB_FLAGS_KNOWN) != 0)
		return -EBADMSG;
	if (verbs[q->verb].needs_id && !store_id_is_sound(q->session))
		return -EINVAL;
	return verbs[q->verb].serve(w, q, fds, count, a);
}

static void reap_helpers(struct warden *w)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < WARDEN_SESSIONS; i++)
			if (w->sessions[i].keeper == pid)
				w->sessions[i].keeper = 0; /* CLOSED comes, and need not wait */
}

void warden_remove_run_dir(const char *path)
{
	AUTO_FD dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir >= 0) {
		(void)unlinkat(dir, "operator.sock", 0);
		(void)unlinkat(dir, "agent.sock", 0);
	}
	(void)rmdir(path);
}

/* No privilege that the work of sandbox/ does not need. */
static int keep_needed(void)
{
	static const int needed[] = {
		CAP_SYS_ADMIN,  CAP_SETUID,     CAP_SETGID,       CAP_SETPCAP,
		CAP_KILL,       CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
		CAP_FOWNER,     CAP_FSETID,     CAP_MKNOD,        CAP_NET_ADMIN,
		CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_SYS_RESOURCE, CAP_BPF,
		CAP_PERFMON,    CAP_SETFCAP,
	};
	cap_t caps = cap_init();
	cap_t have = cap_get_proc();
	int r = caps && have ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(needed); i++) {
		cap_flag_value_t v = CAP_CLEAR;

		(void)cap_get_flag(have, needed[i], CAP_PERMITTED, &v);
		if (v == CAP_SET &&
		    (cap_set_flag(caps, CAP_PERMITTED, 1, &needed[i], CAP_SET) < 0 ||
		     cap_set_flag(caps, CAP_EFFECTIVE, 1, &needed[i], CAP_SET) < 0))
			r = -errno;
	}
	if (r == 0 && cap_set_proc(caps) < 0)
		r = -errno;
	(void)cap_free(caps);
	(void)cap_free(have);
	return r;
}

/* Groups of sessions that nobody holds: somebody killed warden and keeper both. */
static void sweep_one(const char *id, void *context)
{
	struct warden *w = context;
	char name[SB_ID_MAX] = "";
	struct store_record rec;
	AUTO_FD lock = -1;
	AUTO_FD dir = -1;

	if (strlen(id) >= sizeof(name))
		return;
	memcpy(name, id, strlen(id));
	if (store_id_is_sound(name) && store_load(w->config, name, &rec, &dir) == 0 &&
	    store_lock(dir, &lock) == 0)
		(void)cgroup_remove_session(name);
}

static void sweep(struct warden *w)
{
	if (w->config->run_dir && w->config->has_groups)
		cgroup_each_session(sweep_one, w);
}

static int hold_run_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

/* A call lowers its own limits from ours, without the right to raise them; and the
 * scanner holds a fd for each level. Where it is refused, what there is must do. */
static void raise_limits(void)
{
	struct rlimit files = { SB_NOFILE_MAX, SB_NOFILE_MAX };
	struct rlimit processes = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)setrlimit(RLIMIT_NPROC, &processes);
}

static _Noreturn void warden_main(struct warden *w)
{
	struct sb_request q;
	int fds[IO_FDS_MAX];
	unsigned int count;
	int r;

	(void)prctl(PR_SET_NAME, "glovebox-warden");
	/* a terminal's Ctrl-C is the supervisor's to answer */
	(void)setsid();
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL); /* refused for KILL, STOP and libc's own */
	(void)signal(SIGPIPE, SIG_IGN);
	raise_limits();
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    keep_needed() < 0)
		_exit(1);
	/* whoever takes the place over waits until we and our keepers are gone */
	if (w->config->run_dir && hold_run_dir(w->config->run_dir) < 0)
		_exit(1);
	sweep(w);
	for (;;) {
		struct answer a = { .reply = { .abi = SB_ABI } };

		r = io_recv(w->sock, &q, sizeof(q), fds, &count);
		if (r == 0 || (r < 0 && r != -EBADMSG))
			break;
		if (r == -EBADMSG)
			count = 0;
		a.reply.error = r < 0 ? r : serve(w, &q, fds, count, &a);
		for (unsigned int i = 0; i < count; i++)
			fd_done(&fds[i]);
		r = io_send(w->sock, &a.reply, sizeof(a.reply), a.fds, a.count);
		for (unsigned int i = 0; i < a.count; i++)
			fd_done(&a.fds[i]);
		reap_helpers(w);
		if (r < 0)
			break;
	}
	for (size_t i = 0; i < WARDEN_SESSIONS; i++)
		if (w->sessions[i].id[0])
			(void)end_session(w, &w->sessions[i]);
	if (w->config->run_dir)
		warden_remove_run_dir(w->config->run_dir);
	_exit(0);
}

/* Opened once: a path that is exchanged later shows nothing else. */
static void open_tools(struct sb_config *config)
{
	for (size_t i = 0; i < SB_TOOLS_MAX; i++)
		config->tool_dirs[i] =
			config->tools[i] ? open(config->tools[i], O_PATH | O_DIRECTORY | O_CLOEXEC)
					 : -1;
}

int warden_start(struct sb_config *config, int *ret_sock, pid_t *ret_pid)
{
	static struct warden w;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int r = -errno;

		(void)close(pair[0]);
		(void)close(pair[1]);
		return r;
	}
	if (pid == 0) {
		if (config->is_user)
			ids_use_single();
		w.config = config;
		w.sock = pair[1];
		/* stdio and everything else of the caller stays with the caller */
		if (dup2(w.sock, 0) < 0)
			_exit(1);
		w.sock = 0;
		(void)syscall(SYS_close_range, 1, ~0U, 0);
		/* 0 is the socket; 1 and 2 must not be given to anything else */
		if (open("/dev/null", O_RDWR) != 1 || open("/dev/null", O_RDWR) != 2)
			_exit(1);
		(void)fcntl(w.sock, F_SETFD, FD_CLOEXEC);
		open_tools(config);
		warden_main(&w);
	}
	(void)close(pair[1]);
	*ret_sock = pair[0];
	*ret_pid = pid;
	return 0;
}
