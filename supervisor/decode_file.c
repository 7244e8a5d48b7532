// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/decode_file.c - files: what was done to which, and whose work it was.
 *
 * A path of an open file is the kernel's own. Of a name that was given or taken away only the
 * tool's string is known: where it led may be another place, if a name in it is a link.
 */
#include "supervisor/decode_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "sandbox/base/fd.h"
#include "supervisor/policy.h"
#include "supervisor/words.h"

void decode_influence(const struct event *e, const struct decode_target *to, const char *how,
		      const struct text *what, uint32_t from, bool is_certain)
{
	struct text *t, *h;

	if (from == 0 || from == to->call.number ||
	    !tally_is_first(to->tally, what->at, what->len,
			    (uint64_t)from << 8 | (unsigned char)how[0]))
		return;
	t = decode_begin(e, to, "influence");
	text_printf(t, ",\"how\":\"%s\",\"from_call\":%u", how, from);
	decode_add_text(t, strcmp(how, "connect") == 0 && what->at[0] != '/' ? "addr" : "path",
			what);
	if (!is_certain)
		text_add(t, ",\"certain\":false");
	h = decode_human(to, STREAM_ALL, e, "influence");
	if (h) {
		text_printf(h, "%s of call %u: ", how, from);
		text_add_safe(h, what->at, what->len);
		text_add(h, is_certain ? "\n" : " (by its name)\n");
	}
	decode_end(to);
	to->tally->influences++;
}

static size_t last_name(const struct text *path)
{
	size_t at = path->len;

	while (at > 0 && path->at[at - 1] != '/')
		at--;
	return at;
}

static void look_where(const struct event *e, const struct decode_target *to,
		       const struct text *path)
{
	size_t len = path->len;

	if (e->args[EVENT_ARG_OPEN_PLACE] == EVENT_PLACE_KNOWN ||
	    !policy_find_path(to->view->policy, POLICY_READ, path->at))
		return;
	if (e->args[EVENT_ARG_OPEN_PLACE] == EVENT_PLACE_ABOVE) {
		len = last_name(path);
		len -= len > 1;
	}
	tally_read(to->tally, path->at, len);
}

void decode_look_up(const struct event *e, const struct decode_target *to, const char *how,
		    const struct text *path)
{
	size_t name = last_name(path);
	uint32_t from;

	if (!to->influence || path->len == name)
		return;
	from = influence_find(to->influence, INFLUENCE_FILE, path->at, path->len);
	if (from > 0) {
		decode_influence(e, to, how, path, from,
				 !influence_is_doubted(to->influence, path->at, path->len));
		return;
	}
	/* a directory above was put there; or something of this name where a link may have led */
	from = influence_find_above(to->influence, path->at, path->len);
	if (from == 0)
		from = influence_find(to->influence, INFLUENCE_NAME, path->at + name,
				      path->len - name);
	decode_influence(e, to, how, path, from, false);
}

static void add_open_flags(struct text *t, uint64_t flags)
{
	text_add(t, ",\"flags\":[");
	words_add_open_flags(t, flags);
	text_add(t, "]");
}

/* The mode is behind the flags, where they are an argument of their own. */
static void add_opened(struct text *t, const struct event *e, const struct syscall_row *row)
{
	bool has_mode = e->kind == EVENT_SYSCALL && strcmp(row->name, "openat2") != 0;

	add_open_flags(t, e->args[5]);
	if (has_mode && (e->args[5] & (O_CREAT | __O_TMPFILE)))
		text_printf(
			t, ",\"mode\":\"%04o\"",
			(unsigned int)e->args[row->shape.path + (strcmp(row->name, "creat") != 0)] &
				07777);
	if (e->ret >= 0 && e->kind == EVENT_SYSCALL && !(e->flags & EVENT_F_NOTIFY))
		text_add_signed(t, ",\"fd\":", e->ret);
}

static void add_details(struct text *t, const struct event *e, const struct syscall_row *row)
{
	bool by_fd = row->shape.flags & WATCH_FD;
	/* arguments behind the path, or behind the fd */
	unsigned int next = by_fd ? 1 : row->shape.path;

	if (strcmp(row->kind, "file.chmod") == 0 || strcmp(row->kind, "file.mkdir") == 0)
		text_printf(t, ",\"mode\":\"%04o\"", (unsigned int)e->args[next] & 07777);
	else if (strcmp(row->kind, "file.chown") == 0)
		text_printf(t, ",\"uid\":%d,\"gid\":%d", (int)e->args[next],
			    (int)e->args[next + 1]);
	else if (strcmp(row->kind, "file.truncate") == 0)
		text_printf(t, ",\"size\":%llu", (unsigned long long)e->args[1]);
	else if (row->shape.flags & WATCH_OPEN)
		add_opened(t, e, row);
}

/* An open may read what is there, before it is its own. */
static void follow_open(const struct event *e, const struct decode_target *to,
			const struct text *path)
{
	uint64_t flags = e->args[5];
	bool is_new = (e->flags & EVENT_F_CREATED) || (flags & O_TRUNC);

	if (!is_new && (flags & O_ACCMODE) != O_WRONLY)
		decode_look_up(e, to, "read", path);
	if (is_new || (flags & O_ACCMODE) != O_RDONLY)
		influence_set_real(to->influence, path->at, path->len, to->call.number, e->when_ns);
}

static bool has_dots(struct span path)
{
	for (size_t i = 0; i + 1 < path.len; i++)
		if (path.at[i] == '.' && path.at[i + 1] == '.' &&
		    (i == 0 || path.at[i - 1] == '/') &&
		    (i + 2 == path.len || path.at[i + 2] == '/'))
			return true;
	return false;
}

/* Whether a string of the tool's leads where it seems to: in the directory itself that it is
 * relative to, or in one that is known to be no link. */
static bool is_sure(const struct event *e, const struct decode_target *to, enum event_span span,
		    const struct text *path)
{
	struct span given = decode_span(e, span);

	if (has_dots(given))
		return false;
	return !memchr(given.at, '/', given.len) ||
	       influence_is_real(to->influence, path->at, path->len);
}

/* Something of this name is the call's, wherever it is. */
static void set_name(const struct decode_target *to, const struct text *path)
{
	size_t name = last_name(path);

	influence_set(to->influence, INFLUENCE_NAME, path->at + name, path->len - name,
		      to->call.number);
}

static void set_file(const struct decode_target *to, const struct text *path)
{
	influence_set(to->influence, INFLUENCE_FILE, path->at, path->len, to->call.number);
}

/* A string with ".." in it may have meant that, or something else of the name. */
static void set_doubtful(const struct decode_target *to, const struct text *path)
{
	influence_doubt(to->influence, path->at, path->len);
	set_name(to, path);
}

static void follow_two(const struct event *e, const struct decode_target *to,
		       const struct syscall_row *row, const struct text *path,
		       const struct text *path2)
{
	AUTO_TEXT one = { 0 };
	AUTO_TEXT two = { 0 };
	bool is_known;

	text_add_folded(&one, path->at, path->len);
	text_add_folded(&two, path2->at, path2->len);
	if (one.len == 0 || two.len == 0)
		return;
	if (has_dots(decode_span(e, EVENT_SPAN_PATH2))) {
		set_doubtful(to, &two);
		return;
	}
	if (has_dots(decode_span(e, EVENT_SPAN_PATH))) {
		/* whatever it was: this call has put it there */
		influence_doubt(to->influence, one.at, one.len);
		set_file(to, &two);
	} else if (strcmp(row->kind, "file.link") == 0) {
		set_file(to, &two);
	} else if (e->args[4] & RENAME_EXCHANGE && strcmp(row->name, "renameat2") == 0) {
		influence_exchange(to->influence, one.at, one.len, two.at, two.len);
	} else {
		is_known = influence_find(to->influence, INFLUENCE_FILE, one.at, one.len) > 0;
		influence_rename(to->influence, one.at, one.len, two.at, two.len);
		if (!is_known)
			set_file(to, &two);
	}
	influence_touch(to->influence, one.at, one.len, e->when_ns);
	influence_touch(to->influence, two.at, two.len, e->when_ns);
	if (!is_sure(e, to, EVENT_SPAN_PATH2, &two))
		set_name(to, &two);
}

/* Asked of io_uring, and nobody knows what came of it: it may have been done. */
static void follow_asked(const struct event *e, const struct decode_target *to,
			 const struct text *path, const struct text *path2)
{
	if (e->flags & EVENT_F_FAULT)
		return;
	set_name(to, path);
	if (path2 && path2->len > 0)
		set_name(to, path2);
}

/* What the account of the call, and the book of its session, know of it. */
static void follow_file(const struct event *e, const struct decode_target *to,
			const struct syscall_row *row, const struct text *path,
			const struct text *path2)
{
	bool is_named = path->len > 0, has_two = path2 && path2->len > 0;
	bool is_truncate = strcmp(row->kind, "file.truncate") == 0;

	if (is_named)
		tally_saw(to->tally, TALLY_NAME, path->at, path->len);
	if (is_named && is_truncate)
		tally_saw(to->tally, TALLY_CONTENT, path->at, path->len);
	if (has_two)
		tally_saw(to->tally, TALLY_MOVED, path2->at, path2->len);
	/* an exchange is a renaming of both */
	if (has_two && strcmp(row->name, "renameat2") == 0)
		tally_saw(to->tally, TALLY_MOVED, path->at, path->len);
	if (!to->influence || !is_named)
		return;
	if (e->kind == EVENT_URING) {
		follow_asked(e, to, path, path2);
	} else if (row->shape.flags & WATCH_OPEN) {
		follow_open(e, to, path);
	} else if (has_two) {
		follow_two(e, to, row, path, path2);
	} else if (strcmp(row->kind, "file.unlink") == 0) {
		AUTO_TEXT gone = { 0 };

		text_add_folded(&gone, path->at, path->len);
		if (has_dots(decode_span(e, EVENT_SPAN_PATH)))
			influence_doubt(to->influence, gone.at, gone.len);
		else if (gone.len > 0)
			influence_remove(to->influence, INFLUENCE_FILE, gone.at, gone.len);
	}
}

/* An open that would not have changed anything. */
static bool is_look(const struct event *e, const struct syscall_row *row)
{
	return (row->shape.flags & WATCH_OPEN) && !(e->args[5] & (O_ACCMODE | O_CREAT | O_TRUNC));
}

static void human_file(const struct decode_target *to, const struct event *e,
		       const struct syscall_row *row, const char *kind, const struct text *path,
		       const struct text *path2)
{
	bool by_fd = row->shape.flags & WATCH_FD;
	unsigned int next = by_fd ? 1 : row->shape.path;
	AUTO_TEXT more = { 0 };
	AUTO_TEXT whole = { 0 };

	if (strcmp(kind, "file.chmod") == 0)
		text_printf(&more, " to %04o", (unsigned int)e->args[next] & 07777);
	else if (strcmp(kind, "file.chown") == 0)
		text_printf(&more, " to %d:%d", (int)e->args[next], (int)e->args[next + 1]);
	else if (strcmp(kind, "file.truncate") == 0)
		text_printf(&more, " to %llu bytes", (unsigned long long)e->args[1]);
	else if (strcmp(row->name, "rmdir") == 0)
		text_add(&more, " (a directory)");
	text_add_n(&whole, path->at ? path->at : "", path->len);
	text_add_n(&whole, more.at ? more.at : "", more.len);
	decode_human_path(to, e, kind, &whole, path2);
}

void decode_file(const struct event *e, const struct decode_target *to,
		 const struct syscall_row *row)
{
	const char *kind = e->flags & EVENT_F_CREATED ? "file.create" : row->kind;
	bool is_asked = e->kind == EVENT_URING || e->kind == EVENT_URING_DONE;
	bool is_link = strcmp(row->kind, "file.symlink") == 0;
	AUTO_TEXT path = { 0 };
	AUTO_TEXT path2 = { 0 };
	struct denial d;
	struct text *t;

	decode_path_of(e, false, &path);
	if (row->shape.path2 && is_link) {
		struct span target = decode_span(e, EVENT_SPAN_PATH2);

		text_add_n(&path2, target.at, target.len);
	} else if (row->shape.path2) {
		decode_path_of(e, true, &path2);
	}
	if (e->ret < 0 && path.at &&
	    (explain_capability(to->view, row->name, (int)-e->ret, &d) ||
	     explain_path(to->view, path.at, (int)-e->ret, &d) ||
	     (row->shape.path2 && !is_link && path2.at &&
	      explain_path(to->view, path2.at, (int)-e->ret, &d)))) {
		decode_denied(e, to, row->name, &d);
		return;
	}
	if ((e->flags & EVENT_F_READ) || (is_asked && e->ret >= 0 && is_look(e, row))) {
		decode_look_up(e, to, "read", &path);
		if (path.len > 0)
			look_where(e, to, &path);
		return;
	}
	/* as of a system call: what was refused is told, not what was looked for */
	if (is_asked && is_look(e, row) && e->ret != -EACCES && e->ret != -EPERM &&
	    e->ret != -EROFS)
		return;
	if ((row->shape.flags & WATCH_PROBE) || (e->ret == -ENOENT && is_look(e, row)))
		return; /* an ordinary miss: compilers make thousands */
	if (e->ret >= 0)
		follow_file(e, to, row, &path, is_link ? NULL : &path2);
	t = decode_begin(e, to, kind);
	decode_add_name(t, row->name);
	decode_add_text(t, "path", &path);
	if (row->shape.path2)
		decode_add_text(t, is_link ? "target" : "to", &path2);
	decode_add_path_src(t, e);
	if (e->flags & EVENT_F_FAULT)
		text_add(t, ",\"arg_fault\":true");
	decode_add_toctou(t, e);
	add_details(t, e, row);
	decode_add_error(t, e->ret);
	human_file(to, e, row, kind, &path, row->shape.path2 ? &path2 : NULL);
	decode_end(to);
}

static void human_write(const struct decode_target *to, const struct event *e,
			const struct text *path, const char *what)
{
	struct text *h = decode_human(to, STREAM_ALL, e, "file.write");

	if (!h)
		return;
	text_add_safe(h, path->at ? path->at : "", path->len);
	text_add(h, what);
	text_add(h, "\n");
}

/* Calls by which a file changes, that have no kind of their own. */
static void saw_call(const struct event *e, const struct decode_target *to,
		     const struct syscall_row *row, const struct text *path)
{
	tally_saw(to->tally, TALLY_NAME, path->at, path->len);
	if (strcmp(row->name, "fallocate") == 0 ||
	    (strcmp(row->name, "mmap") == 0 && (e->args[3] & MAP_SHARED)))
		tally_saw(to->tally, TALLY_CONTENT, path->at, path->len);
}

/* A mapping that is written through: no write will tell of it. */
static bool is_mapped_write(const struct event *e, const struct syscall_row *row)
{
	return e->ret >= 0 && strcmp(row->name, "mmap") == 0 && !(e->args[2] & PROT_EXEC);
}

void decode_sys_call(const struct event *e, const struct decode_target *to,
		     const struct syscall_row *row)
{
	AUTO_TEXT path = { 0 };
	AUTO_TEXT path2 = { 0 };
	struct denial d;

	if (!syscalls_is_told(row, e->args, e->ret))
		return;
	decode_call_paths(e, &path, &path2);
	if (e->ret < 0 && (explain_capability(to->view, row->name, (int)-e->ret, &d) ||
			   (row->shape.path && path.len > 0 &&
			    explain_path(to->view, path.at, (int)-e->ret, &d)))) {
		decode_denied(e, to, row->name, &d);
		return;
	}
	if (is_mapped_write(e, row) && path.len > 0) {
		struct text *t = decode_begin(e, to, "file.write");

		decode_add_text(t, "path", &path);
		text_add(t, ",\"path_src\":\"kernel\",\"mmap\":true");
		human_write(to, e, &path, " (mapped)");
		decode_end(to);
		tally_saw(to->tally, TALLY_CONTENT, path.at, path.len);
		return;
	}
	if (e->ret >= 0 && path.len > 0)
		saw_call(e, to, row, &path);
	decode_call(e, to, row->name, row->args, &path, &path2);
}

void decode_path(const struct event *e, struct text *ret)
{
	decode_path_of(e, false, ret);
}

void decode_write(const struct event *e, const struct decode_target *to, const struct text *path,
		  const struct watch_burst *b)
{
	struct event last = { 0 };
	char bytes[48];
	struct text *t;

	memcpy(&last, e, EVENT_HEAD_SIZE);
	last.when_ns = b->last_ns;
	t = decode_begin(&last, to, "file.write");
	decode_add_text(t, "path", path);
	decode_add_path_src(t, e);
	text_add_number(t, ",\"ops\":", b->ops);
	text_add_number(t, ",\"bytes\":", b->bytes);
	text_add_number(t, ",\"duration_ns\":", b->last_ns - b->first_ns);
	(void)snprintf(bytes, sizeof(bytes), " %llu bytes", (unsigned long long)b->bytes);
	human_write(to, e, path, bytes);
	decode_end(to);
	if (path->len > 0)
		tally_saw(to->tally, TALLY_CONTENT, path->at, path->len);
	if (to->influence && path->len > 0 && path->at[0] == '/')
		influence_wrote(to->influence, path->at, path->len, to->call.number, b->last_ns);
}
