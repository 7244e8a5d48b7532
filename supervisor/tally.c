// SPDX-License-Identifier: Apache-2.0
/* supervisor/tally.c - what one call did, added up for its report. */
#include "supervisor/tally.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/profile.h"

#define FIRST_PROCESSES 4

struct tally *tally_new(void)
{
	return calloc(1, sizeof(struct tally));
}

/* Room for one more: it doubles at each power of two. */
static bool grow(void **list, uint32_t count, size_t size)
{
	void *more;

	if (count & (count - 1))
		return true;
	more = realloc(*list, (count ? 2 * (size_t)count : 1) * size);
	if (!more)
		return false;
	*list = more;
	return true;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->process_count; i++) {
		text_done(&t->processes[i].exe);
		text_done(&t->processes[i].argv);
		text_done(&t->processes[i].syscalls);
	}
	free(t->processes);
	for (uint32_t i = 0; i < t->program_count; i++)
		free(t->programs[i].path);
	free(t->programs);
	for (uint32_t i = 0; i < t->read_count; i++)
		free(t->reads[i]);
	free(t->reads);
	free(t->process_cells);
	free(t->recents);
	text_done(&t->unfinished);
	free(t->paths);
	for (uint32_t i = 0; i < t->connection_count; i++)
		text_done(&t->connections[i].addr);
	for (uint32_t i = 0; i < t->denial_count; i++) {
		text_done(&t->denials[i].subject);
		text_done(&t->denials[i].suggest);
	}
	free(t->connections);
	free(t->denials);
	free(t);
}

void tally_add_argv(struct text *out, const char *argv, size_t len)
{
	text_add(out, "[");
	for (size_t i = 0; i < len;) {
		size_t n = strnlen(argv + i, len - i);

		if (i > 0)
			text_add(out, ",");
		text_add_json(out, argv + i, n);
		i += n + 1;
	}
	text_add(out, "]");
}

/* The first part of the machine's boot id (random(4)); read once, while it may be. */
static char boot[9] = "00000000";
static pthread_once_t boot_is_read = PTHREAD_ONCE_INIT;

static void read_boot(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (read(fd, boot, 8) != 8)
		memcpy(boot, "00000000", 8);
	(void)close(fd);
}

void tally_add_id(struct text *out, const struct tally_id *id)
{
	(void)pthread_once(&boot_is_read, read_boot);
	text_add(out, "\"");
	text_add(out, boot);
	text_add_number(out, ":", id->start_ns);
	text_add_number(out, ":", id->host_pid);
	text_add(out, "\"");
}

/* --- processes -------------------------------------------------------------------- */

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 31) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static struct tally_id id_of(const struct event *e)
{
	return (struct tally_id){ e->host_pid, e->start_ns };
}

static bool is_same(const struct tally_id *a, const struct tally_id *b)
{
	return a->host_pid == b->host_pid && a->start_ns == b->start_ns;
}

static uint32_t *cell_of(const struct tally *t, const struct tally_id *id)
{
	uint32_t at = (uint32_t)mix(id->start_ns ^ (uint64_t)id->host_pid << 40);

	while (t->process_cells[at & (t->process_room - 1)] != 0 &&
	       !is_same(&t->processes[t->process_cells[at & (t->process_room - 1)] - 1].id, id))
		at++;
	return &t->process_cells[at & (t->process_room - 1)];
}

static struct tally_process *find_process(const struct tally *t, const struct tally_id *id)
{
	uint32_t index = t->process_room ? *cell_of(t, id) : 0;

	return index ? &t->processes[index - 1] : NULL;
}

/* Half of the cells stay free. */
static bool grow_cells(struct tally *t)
{
	uint32_t room = t->process_room ? 2 * t->process_room : 4 * FIRST_PROCESSES;
	uint32_t *cells;

	if (2 * t->process_count < t->process_room)
		return true;
	cells = calloc(room, sizeof(*cells));
	if (!cells)
		return false;
	free(t->process_cells);
	t->process_cells = cells;
	t->process_room = room;
	for (uint32_t i = 0; i < t->process_count; i++)
		*cell_of(t, &t->processes[i].id) = i + 1;
	return true;
}

static struct tally_process *add_process(struct tally *t, const struct tally_process *p)
{
	if (t->process_count == TALLY_PROCESSES || !grow_cells(t)) {
		t->processes_cut++;
		return NULL;
	}
	if (t->process_count == 0 || (t->process_count >= FIRST_PROCESSES &&
				      (t->process_count & (t->process_count - 1)) == 0)) {
		size_t room = t->process_count ? 2 * (size_t)t->process_count : FIRST_PROCESSES;
		void *more = realloc(t->processes, room * sizeof(*p));

		if (!more) {
			t->processes_cut++;
			return NULL;
		}
		t->processes = more;
	}
	*cell_of(t, &p->id) = t->process_count + 1;
	t->processes[t->process_count] = *p;
	return &t->processes[t->process_count++];
}

/* What does not fit is dropped again, and marked. */
static void keep_text(struct tally *t, struct tally_process *p, struct text *text)
{
	if (t->text_bytes + text->len <= TALLY_TEXT) {
		t->text_bytes += text->len;
		return;
	}
	text_done(text);
	*text = (struct text){ 0 };
	p->is_cut = true;
}

void tally_fork(struct tally *t, const struct event *e)
{
	const struct tally_id id = { (uint32_t)e->args[EVENT_ARG_FORK_HOST_PID],
				     e->args[EVENT_ARG_FORK_START] };
	const struct tally_id self = id_of(e);
	const struct tally_process *parent;
	struct tally_process *p;

	t->made++;
	p = add_process(t, &(struct tally_process){
				   .pid = (uint32_t)e->args[EVENT_ARG_FORK_PID],
				   .ppid = e->pid,
				   .id = id,
				   .parent = self,
				   .exit_status = -1,
				   .inside = -1,
			   });
	/* it runs on in what its parent runs */
	parent = p ? find_process(t, &self) : NULL;
	if (parent && parent->exe.at)
		text_add_n(&p->exe, parent->exe.at, parent->exe.len);
	if (p)
		keep_text(t, p, &p->exe);
}

static void add_program(struct tally *t, const struct event *e, const char *exe, size_t len)
{
	const uint64_t ino = e->args[EVENT_ARG_EXEC_INO], dev = e->args[EVENT_ARG_EXEC_DEV];
	char *path;

	if (ino == 0 || !tally_is_first(t, exe, len, mix(ino) ^ (dev << 8 | 1)))
		return;
	path = t->program_count < TALLY_PROGRAMS &&
			       grow((void **)&t->programs, t->program_count, sizeof(*t->programs))
		       ? strndup(exe, len)
		       : NULL;
	if (!path) {
		t->programs_cut++;
		return;
	}
	t->programs[t->program_count++] =
		(struct tally_program){ .path = path, .dev = (uint32_t)dev, .ino = ino };
}

void tally_exec(struct tally *t, const struct event *e, const char *exe, size_t exe_len,
		const char *argv, size_t argv_len)
{
	const struct tally_id id = id_of(e);
	struct tally_process *p = find_process(t, &id);
	struct tally_process next = {
		.pid = e->pid,
		.ppid = e->ppid,
		.id = id,
		.parent = { e->host_ppid, e->parent_start_ns },
		.exit_status = -1,
		.inside = -1,
	};

	/* one that was forked is known, but where there was no room to know it */
	t->made += !p && t->processes_cut == 0;
	add_program(t, e, exe, exe_len);
	if (p && p->argv.len > 0) {
		/* a second program: an entry of its own, with the parent that made the process */
		next.parent = p->parent;
		next.ppid = p->ppid;
	}
	if (!p || p->argv.len > 0)
		p = add_process(t, &next);
	if (!p)
		return;
	text_done(&p->exe);
	p->exe = (struct text){ 0 };
	text_add_json(&p->exe, exe, exe_len);
	keep_text(t, p, &p->exe);
	tally_add_argv(&p->argv, argv, argv_len);
	keep_text(t, p, &p->argv);
	/* it is one that was executed, all the same */
	if (p->argv.len == 0)
		text_add(&p->argv, "null");
}

bool tally_parent(const struct tally *t, const struct event *e, struct tally_id *ret)
{
	const struct tally_id id = id_of(e);
	const struct tally_process *p = find_process(t, &id);

	*ret = p ? p->parent : (struct tally_id){ e->host_ppid, e->parent_start_ns };
	return ret->start_ns != 0;
}

static struct tally_recent *find_recent(struct tally *t, const struct tally_id *id)
{
	for (uint32_t i = 0; i < t->recent_count; i++)
		if (is_same(&t->recents[i].id, id))
			return &t->recents[i];
	return NULL;
}

/* A place among the last, given up by the oldest that ended well, or by the oldest. */
static struct tally_recent *take_recent(struct tally *t)
{
	struct tally_recent *oldest = NULL;

	if (!t->recents)
		t->recents = calloc(TALLY_RECENTS, sizeof(*t->recents));
	if (!t->recents)
		return NULL;
	if (t->recent_count < TALLY_RECENTS)
		return &t->recents[t->recent_count++];
	for (uint32_t i = 0; i < t->recent_count; i++) {
		struct tally_recent *r = &t->recents[i];
		bool well = r->exit_status == 0;

		if (!oldest || (well && oldest->exit_status != 0) ||
		    (well == (oldest->exit_status == 0) && r->order < oldest->order))
			oldest = r;
	}
	return oldest;
}

void tally_exit(struct tally *t, const struct event *e)
{
	const struct tally_id id = id_of(e);
	struct tally_process *p = find_process(t, &id);
	struct tally_recent *r = find_recent(t, &id);
	uint64_t rss = e->args[EVENT_ARG_EXIT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE);

	if (rss > t->max_rss_bytes)
		t->max_rss_bytes = rss;
	if (p && p->exit_status == -1) {
		p->exit_status = (int32_t)e->ret;
		p->inside = (int32_t)e->args[EVENT_ARG_EXIT_INSIDE] - 1;
	}
	if (r)
		r->exit_status = (int32_t)e->ret;
}

void tally_unfinished(struct tally *t, const struct text *event)
{
	if (event->failed || t->unfinished_count >= TALLY_UNFINISHED ||
	    t->unfinished.len + event->len > TALLY_UNFINISHED_BYTES) {
		t->unfinished_cut++;
		return;
	}
	text_add(&t->unfinished, t->unfinished_count++ ? "," : "");
	text_add_n(&t->unfinished, event->at, event->len);
	text_add(&t->unfinished, "}");
}

static void add_counts(struct text *out, const struct watch_process *p)
{
	bool first = true;

	text_printf(out, "{\"total\":%llu,\"counts\":{", (unsigned long long)p->total);
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		if (p->counts[nr] == 0)
			continue;
		text_printf(out, "%s\"%s\":%llu", first ? "" : ",", profile_syscall_name(nr),
			    (unsigned long long)p->counts[nr]);
		first = false;
	}
	text_add(out, "},\"errors\":[");
	first = true;
	for (int i = 0; i < WATCH_PAIRS; i++) {
		const struct watch_pair *pair = &p->pairs[i];
		const char *name = profile_error_name((int64_t)(pair->key >> 16));

		if (pair->count == 0)
			continue;
		text_printf(out, "%s{\"syscall\":\"%s\",\"error\":\"%s\",\"count\":%llu}",
			    first ? "" : ",", profile_syscall_name((int)(pair->key & 0xffff)),
			    name ? name : "unknown", (unsigned long long)pair->count);
		first = false;
	}
	text_add(out, "]");
	if (p->pairs_missed > 0)
		text_printf(out, ",\"errors_missed\":%llu", (unsigned long long)p->pairs_missed);
	text_add(out, "}");
}

void tally_did(struct tally *t, const struct watch_process *p)
{
	const struct tally_id id = { (uint32_t)p->tgid, p->start_ns };
	struct tally_process *known = find_process(t, &id);
	struct tally_recent *r;

	if (known && known->syscalls.len == 0) {
		add_counts(&known->syscalls, p);
		keep_text(t, known, &known->syscalls);
	}
	r = take_recent(t);
	if (!r)
		return;
	*r = (struct tally_recent){
		.id = id,
		.pid = known ? known->pid : 0,
		.exit_status = known ? known->exit_status : -1,
		.count = p->total < WATCH_RECENT ? (uint32_t)p->total : WATCH_RECENT,
		.order = ++t->recent_order,
	};
	for (uint32_t i = 0; i < r->count; i++) {
		uint64_t at = (p->total - r->count + i) & (WATCH_RECENT - 1);

		r->at[i] = p->recent[at];
		r->tids[i] = p->recent_tid[at];
	}
}

/* --- what was told ---------------------------------------------------------------- */

static uint64_t hash_of(const char *what, size_t len, uint64_t number)
{
	uint64_t h = 0xcbf29ce484222325ull ^ mix(number);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)what[i]) * 0x100000001b3ull;
	h = mix(h);
	return h ? h : 1;
}

static uint64_t *path_cell(const struct tally *t, uint64_t h)
{
	uint32_t at = (uint32_t)h;

	while (t->paths[at & (t->path_room - 1)] && t->paths[at & (t->path_room - 1)] != h)
		at++;
	return &t->paths[at & (t->path_room - 1)];
}

static bool grow_paths(struct tally *t)
{
	uint32_t old_room = t->path_room, room = old_room ? 2 * old_room : 64;
	uint64_t *old = t->paths;

	if (2 * t->path_count < t->path_room)
		return true;
	if (t->path_count >= TALLY_PATHS)
		return false;
	t->paths = calloc(room, sizeof(*t->paths));
	if (!t->paths) {
		t->paths = old;
		return false;
	}
	t->path_room = room;
	for (uint32_t i = 0; i < old_room; i++)
		if (old[i])
			*path_cell(t, old[i]) = old[i];
	free(old);
	return true;
}

bool tally_is_first(struct tally *t, const char *what, size_t len, uint64_t number)
{
	uint64_t h = hash_of(what, len, number), *cell;

	if (!grow_paths(t)) {
		t->paths_cut = true;
		return true;
	}
	cell = path_cell(t, h);
	if (*cell == h)
		return false;
	*cell = h;
	t->path_count++;
	return true;
}

void tally_saw(struct tally *t, enum tally_saw what, const char *path, size_t len)
{
	(void)tally_is_first(t, path, len, what);
}

/* Places that are kept, and bytes of their names: a build reads in some hundred. */
#define READS_MAX 2048
#define READS_BYTES (256u << 10)

void tally_read(struct tally *t, const char *path, size_t len)
{
	char *copy;

	if (!tally_is_first(t, path, len, TALLY_READ))
		return;
	copy = t->read_count < READS_MAX && t->read_bytes + len <= READS_BYTES &&
			       grow((void **)&t->reads, t->read_count, sizeof(*t->reads))
		       ? strndup(path, len)
		       : NULL;
	if (!copy) {
		t->reads_cut = true;
		return;
	}
	t->reads[t->read_count++] = copy;
	t->read_bytes += len;
}

static bool has(const struct tally *t, enum tally_saw what, const char *path, size_t len)
{
	return t->path_room && *path_cell(t, hash_of(path, len, what)) != 0;
}

bool tally_has_seen(const struct tally *t, const char *path, size_t len, bool content)
{
	if (t->paths_cut)
		return true;
	if (has(t, TALLY_NAME, path, len) && (!content || has(t, TALLY_CONTENT, path, len)))
		return true;
	for (; len > 0; len--)
		if (path[len] == '/' || path[len] == '\0')
			if (has(t, TALLY_MOVED, path, len))
				return true;
	return false;
}

/* --- connections and denials -------------------------------------------------------- */

void tally_connect(struct tally *t, const char *addr, uint16_t port, const char *verdict)
{
	struct tally_connection *c;

	for (uint32_t i = 0; i < t->connection_count; i++) {
		c = &t->connections[i];
		if (c->port == port && strcmp(c->verdict, verdict) == 0 && c->addr.at &&
		    strcmp(c->addr.at, addr) == 0) {
			c->count++;
			return;
		}
	}
	if (t->connection_count == TALLY_CONNECTIONS ||
	    !grow((void **)&t->connections, t->connection_count, sizeof(*c))) {
		t->connections_cut++;
		return;
	}
	c = &t->connections[t->connection_count++];
	*c = (struct tally_connection){ .port = port, .verdict = verdict, .count = 1 };
	text_add(&c->addr, addr);
}

static bool same_text(const struct text *a, const struct text *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->at, b->at, a->len) == 0);
}

uint64_t tally_denied(struct tally *t, const char *syscall, struct denial *d)
{
	struct tally_denial *n;

	for (uint32_t i = 0; i < t->denial_count; i++) {
		n = &t->denials[i];
		if (n->syscall == syscall && n->why == d->why &&
		    same_text(&n->subject, &d->subject)) {
			n->count++;
			denial_done(d);
			return n->count;
		}
	}
	if (t->denial_count == TALLY_DENIALS ||
	    !grow((void **)&t->denials, t->denial_count, sizeof(*n))) {
		t->denials_cut++;
		denial_done(d);
		return 0;
	}
	n = &t->denials[t->denial_count++];
	*n = (struct tally_denial){
		.layer = d->layer,
		.rule = d->rule,
		.why = d->why,
		.syscall = syscall,
		.subject = d->subject,
		.suggest = d->suggest,
		.count = 1,
	};
	return 1;
}
