// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/decode_part.c - what events are made of, and calls that are told whole.
 *
 * A record was filled by our own programs, but from what the tool gave: lengths are checked
 * before they are used, and every byte of a name is escaped on its way out.
 */
#include "supervisor/decode_inner.h"

#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/profile.h"
#include "supervisor/trace.h"
#include "supervisor/words.h"

bool decode_is_sound(const void *record, size_t size)
{
	const struct event *e = record;
	size_t sum = EVENT_HEAD_SIZE;

	if (size < EVENT_HEAD_SIZE || size > sizeof(struct event))
		return false;
	if (e->kind == EVENT_NONE || e->kind >= EVENT_KIND_COUNT || e->slot >= WATCH_SLOTS)
		return false;
	for (int i = 0; i < EVENT_SPAN_COUNT; i++)
		sum += e->len[i];
	return sum <= size;
}

/* They lie in the order of their enum. */
struct span decode_span(const struct event *e, enum event_span which)
{
	size_t off = 0;

	for (int i = 0; i < (int)which; i++)
		off += e->len[i];
	return (struct span){ e->data + off, e->len[which] };
}

void decode_join(struct text *out, struct span base, struct span path)
{
	if (path.len == 0 || path.at[0] != '/') {
		text_add_n(out, base.at, base.len);
		if (base.len == 0 || base.at[base.len - 1] != '/')
			text_add(out, "/");
	}
	for (size_t i = 0; i < path.len;) {
		size_t n = 0;

		while (i + n < path.len && path.at[i + n] != '/')
			n++;
		if (!(n == 0 && i > 0) && !(n == 1 && path.at[i] == '.')) {
			text_add_n(out, path.at + i, n);
			if (i + n < path.len)
				text_add(out, "/");
		}
		i += n + 1;
	}
	/* "dir/." and "dir/" name the directory */
	while (out->len > 1 && out->at[out->len - 1] == '/')
		out->at[--out->len] = '\0';
}

void decode_path_of(const struct event *e, bool second, struct text *out)
{
	struct span path = decode_span(e, second ? EVENT_SPAN_PATH2 : EVENT_SPAN_PATH);
	struct span base = decode_span(e, second ? EVENT_SPAN_BASE2 : EVENT_SPAN_BASE);

	/* a name that could not be read is not the directory it is relative to */
	if (path.len == 0 && (e->flags & EVENT_F_FAULT))
		return;
	if (e->flags & EVENT_F_KERNEL)
		text_add_n(out, path.at, path.len);
	else
		decode_join(out, base, path);
}

static void add_key(struct text *t, const char *key)
{
	text_add(t, ",\"");
	text_add(t, key);
	text_add(t, "\":");
}

void decode_end(const struct decode_target *to)
{
	if (to->tally->keeps_line)
		tally_unfinished(to->tally, &to->stream->line);
	to->tally->keeps_line = false;
	if (!stream_end_limited(to->stream, &to->tally->logged_bytes, to->log_bytes))
		to->tally->not_logged++;
}

void decode_add_text(struct text *t, const char *key, const struct text *value)
{
	add_key(t, key);
	text_add_json(t, value->at ? value->at : "", value->len);
}

struct text *decode_begin(const struct event *e, const struct decode_target *to, const char *kind)
{
	struct text *t = stream_begin(to->stream, kind, &to->call, e->when_ns);

	text_add_number(t, ",\"pid\":", e->pid);
	text_add_number(t, ",\"ppid\":", e->ppid);
	text_add_number(t, ",\"host_pid\":", e->host_pid);
	text_add(t, ",\"comm\":");
	text_add_json(t, e->comm, strnlen(e->comm, sizeof(e->comm)));
	if (e->tid != 0 && e->tid != e->pid)
		text_add_number(t, ",\"tid\":", e->tid);
	if (e->start_ns != 0) {
		text_add(t, ",\"exec_id\":");
		tally_add_id(t, &(struct tally_id){ e->host_pid, e->start_ns });
	}
	/* a filter of its own may answer a call that never ran */
	if (e->flags & EVENT_F_OWN_FILTER)
		text_add(t, ",\"own_filter\":true");
	if (e->kind == EVENT_URING || e->kind == EVENT_URING_DONE)
		text_add(t, ",\"source\":\"io_uring\"");
	if (e->kind == EVENT_URING)
		text_add(t, ",\"phase\":\"pre\"");
	if (e->kind == EVENT_URING_DONE && (e->flags & EVENT_F_LATE))
		text_add(t, ",\"phase\":\"post\"");
	if (e->flags & EVENT_F_NOTIFY)
		text_add(t, e->kind == EVENT_DENIED ? ",\"source\":\"notify\""
						    : ",\"source\":\"notify\",\"phase\":\"pre\"");
	return t;
}

bool decode_is_unfinished(const struct event *e)
{
	return (e->kind == EVENT_SYSCALL || e->kind == EVENT_DENIED) && (e->flags & EVENT_F_KILLED);
}

/* Which of the calls that do the same it was. */
void decode_add_name(struct text *t, const char *syscall)
{
	text_add(t, ",\"syscall\":\"");
	text_add(t, syscall);
	text_add(t, "\"");
}

void decode_add_path_src(struct text *t, const struct event *e)
{
	text_add(t, e->flags & EVENT_F_PARTIAL  ? ",\"path_src\":\"partial\""
		    : e->flags & EVENT_F_KERNEL ? ",\"path_src\":\"kernel\""
						: ",\"path_src\":\"lexical\"");
}

void decode_add_error(struct text *t, int64_t ret)
{
	const char *name = ret < 0 ? profile_error_name(-ret) : NULL;

	if (name) {
		text_add(t, ",\"error\":\"");
		text_add(t, name);
		text_add(t, "\"");
	} else if (ret < 0)
		text_printf(t, ",\"error\":\"%lld\"", (long long)-ret);
}

struct text *decode_human(const struct decode_target *to, enum stream_level least,
			  const struct event *e, const char *kind)
{
	struct text *h = stream_human(to->stream, least);

	if (h) {
		text_printf(h, "glovebox: %-13s %5u ", kind, e->pid);
		text_add_safe(h, e->comm, strnlen(e->comm, sizeof(e->comm)));
		text_add(h, " ");
	}
	return h;
}

void decode_human_end(struct text *h, const struct event *e)
{
	const char *name = e->ret < 0 ? profile_error_name(-e->ret) : NULL;

	if (e->kind != EVENT_DENIED && e->ret < 0)
		text_printf(h, " failed: %s", name ? name : "?");
	text_add(h, "\n");
}

void decode_human_path(const struct decode_target *to, const struct event *e, const char *kind,
		       const struct text *a, const struct text *b)
{
	struct text *h = decode_human(to, STREAM_ALL, e, kind);

	if (!h)
		return;
	text_add_safe(h, a->at ? a->at : "", a->len);
	if (b && b->len > 0) {
		text_add(h, " -> ");
		text_add_safe(h, b->at, b->len);
	}
	decode_human_end(h, e);
}

/* The first, the tenth, the hundredth: a program that tries again and again does not
 * drown the others, and the number is told. */
static bool is_told(uint64_t count)
{
	while (count >= 10 && count % 10 == 0)
		count /= 10;
	return count <= 1;
}

static void tell_denied(const struct event *e, const struct decode_target *to, const char *syscall,
			const struct denial *d, uint64_t count)
{
	struct text *t = decode_begin(e, to, "denied");
	struct text *h = count > 1 ? NULL : decode_human(to, STREAM_NORMAL, e, "denied");

	text_printf(t, ",\"layer\":\"%s\",\"syscall\":\"%s\"", d->layer, syscall);
	if (d->subject.len > 0)
		decode_add_text(t,
				strcmp(syscall, "connect") == 0 || strcmp(syscall, "sendto") == 0
					? "addr"
				: d->subject.at[0] == '/' ? "path"
							  : "argument",
				&d->subject);
	if (e->kind != EVENT_EXIT)
		decode_add_error(t, e->ret);
	text_printf(t, ",\"phase\":\"pre\",\"rule\":\"%s\",\"why\":", d->rule);
	text_add_json(t, d->why, strlen(d->why));
	decode_add_text(t, "suggest", &d->suggest);
	if (count > 0)
		text_printf(t, ",\"count\":%llu", (unsigned long long)count);
	if (h) {
		text_printf(h, "%s ", syscall);
		if (d->subject.len > 0) {
			text_add_safe(h, d->subject.at, d->subject.len);
			text_add(h, " ");
		}
		text_printf(h, "[%s] %s; to allow it: ", d->layer, d->why);
		text_add_safe(h, d->suggest.at, d->suggest.len);
		text_add(h, "\n");
	}
	decode_end(to);
}

void decode_denied(const struct event *e, const struct decode_target *to, const char *syscall,
		   struct denial *d)
{
	struct denial kept = { .layer = d->layer, .rule = d->rule, .why = d->why };
	uint64_t count;

	text_add_n(&kept.subject, d->subject.at ? d->subject.at : "", d->subject.len);
	text_add_n(&kept.suggest, d->suggest.at ? d->suggest.at : "", d->suggest.len);
	to->tally->denied++;
	if (strcmp(d->layer, "seccomp") == 0 && e->nr >= 0 && e->nr < WATCH_SYSCALLS)
		to->tally->denied_of[e->nr]++;
	count = tally_denied(to->tally, syscall, d);
	if (is_told(count))
		tell_denied(e, to, syscall, &kept, count);
	denial_done(&kept);
}

void decode_add_toctou(struct text *t, const struct event *e)
{
	if (decode_is_unfinished(e))
		text_add(t, ",\"unfinished\":true");
	if (e->flags & (EVENT_F_TWICE | EVENT_F_TOCTOU))
		text_printf(t, ",\"toctou\":%s", e->flags & EVENT_F_TOCTOU ? "true" : "false");
}

/* Walks over the named numbers of a call. False: there are no more. */
struct argument {
	const char *names; /* what is left of them */
	char name[32];
	unsigned int at; /* of the next */
	int64_t value;
};

static bool next_argument(const struct event *e, struct argument *a)
{
	while (a->names && *a->names && a->at < 6) {
		size_t n = strcspn(a->names, " ");
		bool is_told = !(n == 1 && a->names[0] == '-') && n < sizeof(a->name);

		if (is_told) {
			memcpy(a->name, a->names, n);
			a->name[n] = '\0';
		}
		a->names += n + (a->names[n] == ' ');
		a->value = (int64_t)e->args[a->at++];
		/* what the kernel takes as an int has nothing above it but its sign */
		if ((uint64_t)a->value >> 32 == 0 && (int32_t)a->value < 0)
			a->value = (int32_t)a->value;
		if (is_told)
			return true;
	}
	return false;
}

static void add_args(struct text *t, const struct event *e, const char *syscall, const char *names)
{
	struct argument a = { .names = names };
	AUTO_TEXT words = { 0 };
	bool is_first = true;

	text_add(t, ",\"args\":{");
	while (next_argument(e, &a)) {
		size_t before = words.len;

		text_add(t, is_first ? "\"" : ",\"");
		text_add(t, a.name);
		text_add_signed(t, "\":", a.value);
		is_first = false;
		text_add(&words, before ? ",\"" : "\"");
		text_add(&words, a.name);
		text_add(&words, "\":\"");
		if (words_add(&words, syscall, a.name, (uint64_t)a.value)) {
			text_add(&words, "\"");
		} else {
			words.len = before;
			if (words.at)
				words.at[before] = '\0';
		}
	}
	text_add(t, "}");
	if (words.len > 0) {
		text_add(t, ",\"words\":{");
		text_add_n(t, words.at, words.len);
		text_add(t, "}");
	}
}

/* As strace would write it, but with the names of what it was given. */
static void human_args(struct text *h, const struct event *e, const char *syscall,
		       const char *names, bool is_first)
{
	struct argument a = { .names = names };

	while (next_argument(e, &a)) {
		text_add(h, is_first ? "" : ", ");
		text_add(h, a.name);
		text_add(h, "=");
		if (!words_add(h, syscall, a.name, (uint64_t)a.value))
			text_add_signed(h, "", a.value);
		is_first = false;
	}
}

static void human_call(const struct event *e, const struct decode_target *to, const char *name,
		       const char *args, const struct text *path, const struct text *path2)
{
	struct text *h = decode_human(to, STREAM_ALL, e, name);
	const struct text *both[] = { path, path2 };
	bool is_first = true;

	if (!h)
		return;
	text_add(h, "(");
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		if (both[i]->len == 0)
			continue;
		text_add(h, is_first ? "" : ", ");
		text_add_safe(h, both[i]->at, both[i]->len);
		is_first = false;
	}
	human_args(h, e, name, args, is_first);
	text_add(h, ")");
	if (decode_is_unfinished(e))
		text_add(h, " = ? (killed in it)\n");
	else if (e->ret < 0)
		text_printf(h, " = -1 %s\n",
			    profile_error_name(-e->ret) ? profile_error_name(-e->ret) : "?");
	else if (strcmp(name, "mmap") == 0 || strcmp(name, "brk") == 0 ||
		 strcmp(name, "mremap") == 0)
		text_printf(h, " = 0x%llx\n", (unsigned long long)e->ret);
	else if (syscalls_returns(e->nr))
		text_printf(h, " = %lld\n", (long long)e->ret);
	else
		text_add(h, " = ?\n");
}

/* The machine's own libraries are mapped by everything that runs: a person sees the others. */
static bool is_of_every_program(const struct event *e, const char *name, const struct text *path)
{
	return !(e->flags & EVENT_F_TRACED) && e->ret >= 0 && strcmp(name, "mmap") == 0 &&
	       path->len > 5 &&
	       (memcmp(path->at, "/usr/", 5) == 0 || memcmp(path->at, "/lib/", 5) == 0);
}

void decode_call(const struct event *e, const struct decode_target *to, const char *name,
		 const char *args, const struct text *path, const struct text *path2)
{
	struct text *t = decode_begin(e, to, "sys.call");

	decode_add_name(t, name);
	if (path->len > 0) {
		decode_add_text(t, "path", path);
		decode_add_path_src(t, e);
	}
	if (path2->len > 0)
		decode_add_text(t, "to", path2);
	if (e->flags & EVENT_F_FAULT)
		text_add(t, ",\"arg_fault\":true");
	decode_add_toctou(t, e);
	add_args(t, e, name, args);
	if (e->ret >= 0 && strcmp(name, "mmap") != 0 && syscalls_returns(e->nr))
		text_add_signed(t, ",\"ret\":", e->ret);
	decode_add_error(t, e->ret);
	/* what was executed has a line of its own */
	if (!is_of_every_program(e, name, path) &&
	    !(e->ret >= 0 && strncmp(name, "execve", 6) == 0))
		human_call(e, to, name, args, path, path2);
	decode_end(to);
}

void decode_call_paths(const struct event *e, struct text *path, struct text *path2)
{
	if (e->flags & EVENT_F_ADDR)
		return;
	if (e->len[EVENT_SPAN_PATH] > 0 || e->len[EVENT_SPAN_BASE] > 0)
		decode_path_of(e, false, path);
	if (e->len[EVENT_SPAN_PATH2] > 0 && !(e->flags & EVENT_F_KERNEL))
		decode_path_of(e, true, path2);
}

void decode_traced(const struct event *e, const struct decode_target *to)
{
	const struct trace_row *row = trace_find(e->nr);
	AUTO_TEXT path = { 0 };
	AUTO_TEXT path2 = { 0 };

	decode_call_paths(e, &path, &path2);
	decode_call(e, to, profile_syscall_name(e->nr), row ? row->args : "a1 a2 a3 a4 a5 a6",
		    &path, &path2);
}
