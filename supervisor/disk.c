// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/disk.c - the disk that a session's layers may take, and the machine's reserve.
 *
 * A look costs one statvfs(3): what the whole file system has lost since the layers were
 * last walked is the most that this session can have taken since. They are walked again
 * only when that could be too much, and every few seconds (others may have freed space
 * meanwhile). The walk is a child of the warden's, inside the session's user namespace.
 */
#include "supervisor/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/call_inner.h"
#include "supervisor/session.h"

#define LOOK_US 50000u
/* The layers are walked at least so often, and at most for a twentieth of the time. */
#define WALK_NS 2000000000ull
#define WALK_SHARE 20u
/* Kept free on the disk that holds sessions, for logs, journals and commits: so much, or
 * this part of a small disk. */
#define RESERVE_BYTES (256ull << 20)
#define RESERVE_PART 20u

struct disk {
	struct session *session;
	sd_event_source *look, *answer;
	int sock; /* a walk that goes on, -1: none */
	uint64_t asked_ns, walked_ns, took_ns; /* CLOCK_MONOTONIC */
	uint64_t used, files; /* by the last walk */
	uint64_t free, free_files; /* of the file system when it began */
};

static void end_all(struct session *s, const char *limit, const char *text)
{
	for (uint32_t i = 0; i < s->call_count; i++) {
		struct call *c = s->calls[i];

		if (c->state != CALL_RUNNING && c->state != CALL_STARTING &&
		    c->state != CALL_PAUSED)
			continue;
		call_emit_limit(c, limit, text);
		(void)call_end_by(c, CALL_OVER_LIMIT, text);
	}
}

static bool anything_runs(const struct session *s)
{
	for (uint32_t i = 0; i < s->call_count; i++)
		if (s->calls[i]->state != CALL_DONE && s->calls[i]->state != CALL_HELD)
			return true;
	return false;
}

static void stop_walk(struct disk *d)
{
	d->answer = sd_event_source_disable_unref(d->answer);
	fd_done(&d->sock);
}

static int on_walked(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct disk *d = context;
	const struct policy *p = d->session->policy;
	struct sb_change *c = calloc(1, sizeof(*c));
	int fds[IO_FDS_MAX];
	unsigned int count = 0;
	char text[160];
	int r;

	(void)source;
	(void)events;
	r = c ? io_recv(fd, c, sizeof(*c), fds, &count) : -ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		fd_done(&fds[i]);
	r = r == 1 ? c->error : r == 0 ? -EPIPE : r;
	stop_walk(d);
	d->walked_ns = io_now_ns();
	d->took_ns = d->walked_ns - d->asked_ns;
	if (r == 0) {
		d->used = c->size;
		d->files = c->inode;
	}
	free(c);
	if (r < 0) {
		/* what cannot be measured is not allowed to grow */
		(void)snprintf(text, sizeof(text),
			       "the session's layers cannot be measured: %s; discard what is in "
			       "them",
			       strerror(-r));
		end_all(d->session, "disk", text);
	} else if (d->used > p->disk_bytes) {
		(void)snprintf(text, sizeof(text),
			       "the session's layers take %llu MiB of the disk, more than %llu; "
			       "commit or discard, or --limit disk=... raises it",
			       (unsigned long long)(d->used >> 20),
			       (unsigned long long)(p->disk_bytes >> 20));
		end_all(d->session, "disk", text);
	} else if (d->files > p->disk_files) {
		(void)snprintf(text, sizeof(text),
			       "the session's layers hold more than %u files; commit or discard, "
			       "or --limit files=... raises it",
			       p->disk_files);
		end_all(d->session, "files", text);
	}
	return 0;
}

static void walk(struct disk *d, const struct statvfs *fs)
{
	uint32_t numbers[SB_LAYERS_MAX];
	struct changes_of of = session_changes(d->session, numbers);

	d->asked_ns = io_now_ns();
	d->free = (uint64_t)fs->f_bfree * fs->f_frsize;
	d->free_files = fs->f_ffree;
	of.limit = d->session->policy->disk_files;
	if (changes_ask(&of, SB_VERB_USAGE, &d->sock) < 0) {
		d->walked_ns = d->asked_ns;
		return;
	}
	if (sd_event_add_io(d->session->loop, &d->answer, d->sock, EPOLLIN, on_walked, d) < 0)
		stop_walk(d);
}

static bool should_walk(const struct disk *d, const struct statvfs *fs)
{
	const struct policy *p = d->session->policy;
	uint64_t now = io_now_ns();
	uint64_t free_now = (uint64_t)fs->f_bfree * fs->f_frsize;
	uint64_t lost = d->free > free_now ? d->free - free_now : 0;
	uint64_t made = d->free_files > fs->f_ffree ? d->free_files - fs->f_ffree : 0;

	if (now - d->walked_ns < WALK_SHARE * d->took_ns)
		return false;
	return d->walked_ns == 0 || now - d->walked_ns > WALK_NS ||
	       d->used + lost > p->disk_bytes || d->files + made > p->disk_files;
}

static bool is_nearly_full(const struct statvfs *fs)
{
	uint64_t total = (uint64_t)fs->f_blocks * fs->f_frsize;
	uint64_t reserve =
		total / RESERVE_PART < RESERVE_BYTES ? total / RESERVE_PART : RESERVE_BYTES;

	return (uint64_t)fs->f_bavail * fs->f_frsize < reserve;
}

static int on_look(sd_event_source *source, uint64_t now, void *context)
{
	struct disk *d = context;
	struct session *s = d->session;
	struct statvfs fs;

	(void)now;
	if (!anything_runs(s)) {
		disk_stop(s);
		return 0;
	}
	if (fstatvfs(s->dir, &fs) < 0)
		end_all(s, "disk", "the disk that holds the session does not answer");
	else if (is_nearly_full(&fs))
		end_all(s, "disk",
			"the machine's disk is nearly full: what is left is kept for logs "
			"and commits; make room, then discard or commit");
	else if (d->sock < 0 && should_walk(d, &fs))
		walk(d, &fs);
	(void)sd_event_source_set_time_relative(source, LOOK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int disk_watch(struct session *s)
{
	struct disk *d = s->disk;
	int r;

	if (d)
		return 0;
	disk_make_reserve(s->dir);
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	*d = (struct disk){ .session = s, .sock = -1 };
	r = sd_event_add_time_relative(s->loop, &d->look, CLOCK_MONOTONIC, LOOK_US, 1000, on_look,
				       d);
	if (r < 0) {
		free(d);
		return r;
	}
	s->disk = d;
	return 0;
}

void disk_stop(struct session *s)
{
	struct disk *d = s->disk;

	if (!d)
		return;
	stop_walk(d);
	(void)sd_event_source_disable_unref(d->look);
	free(d);
	s->disk = NULL;
}

static const char *const reserve_names[] = {
	[DISK_RESERVE_LOG] = "reserve",
	[DISK_RESERVE_BOOK] = "reserve.book",
};

void disk_make_reserve(int session_dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserve_names); i++) {
		AUTO_FD fd = openat(session_dir, reserve_names[i],
				    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

		/* half a reserve would be counted on as a whole one */
		if (fd >= 0 && fallocate(fd, 0, 0, DISK_RESERVE_BYTES) < 0)
			(void)unlinkat(session_dir, reserve_names[i], 0);
	}
}

bool disk_use_reserve(int session_dir, enum disk_reserve which, int error)
{
	return (error == -ENOSPC || error == -EDQUOT) &&
	       unlinkat(session_dir, reserve_names[which], 0) == 0;
}
