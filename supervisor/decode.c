// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/decode.c - a record of the ring becomes an event.
 *
 * Runs in the monitor's thread, without privilege. The record was filled by our
 * own programs, but from what the tool gave: lengths are checked before they are
 * used, and every byte of a name is escaped on its way out.
 */
#include "supervisor/decode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "sandbox/base/fd.h"
#include "supervisor/profile.h"
#include "supervisor/syscalls.h"
#include "supervisor/trace.h"

struct span {
	const char *at;
	size_t len;
};

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

/* Spans lie in the order of their enum. */
static struct span get_span(const struct event *e, enum event_span which)
{
	size_t off = 0;

	for (int i = 0; i < (int)which; i++)
		off += e->len[i];
	return (struct span){ e->data + off, e->len[which] };
}

/* Joins and folds "//", "/./": the text of a path, not a walk along it. */
static void join_path(struct text *out, struct span base, struct span path)
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

static void path_of(const struct event *e, bool second, struct text *out)
{
	struct span path = get_span(e, second ? EVENT_SPAN_PATH2 : EVENT_SPAN_PATH);
	struct span base = get_span(e, second ? EVENT_SPAN_BASE2 : EVENT_SPAN_BASE);

	/* a name that could not be read is not the directory it is relative to */
	if (path.len == 0 && (e->flags & EVENT_F_FAULT))
		return;
	if (e->flags & EVENT_F_KERNEL)
		text_add_n(out, path.at, path.len);
	else
		join_path(out, base, path);
}

static void add_key(struct text *t, const char *key)
{
	text_add(t, ",\"");
	text_add(t, key);
	text_add(t, "\":");
}

static void add_json_text(struct text *t, const char *key, const struct text *value)
{
	add_key(t, key);
	text_add_json(t, value->at ? value->at : "", value->len);
}

static struct text *begin(const struct event *e, const struct decode_target *to, const char *kind)
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
	if (e->kind == EVENT_URING)
		text_add(t, ",\"source\":\"io_uring\",\"phase\":\"pre\"");
	if (e->flags & EVENT_F_NOTIFY)
		text_add(t, e->kind == EVENT_DENIED ? ",\"source\":\"notify\""
						    : ",\"source\":\"notify\",\"phase\":\"pre\"");
	return t;
}

/* Which of the calls that do the same it was. */
static void add_name(struct text *t, const char *syscall)
{
	text_add(t, ",\"syscall\":\"");
	text_add(t, syscall);
	text_add(t, "\"");
}

static void add_path_src(struct text *t, const struct event *e)
{
	text_add(t, e->flags & EVENT_F_PARTIAL  ? ",\"path_src\":\"partial\""
		    : e->flags & EVENT_F_KERNEL ? ",\"path_src\":\"kernel\""
						: ",\"path_src\":\"lexical\"");
}

static void add_error(struct text *t, int64_t ret)
{
	const char *name = ret < 0 ? profile_error_name(-ret) : NULL;

	if (name) {
		text_add(t, ",\"error\":\"");
		text_add(t, name);
		text_add(t, "\"");
	} else if (ret < 0)
		text_printf(t, ",\"error\":\"%lld\"", (long long)-ret);
}

static struct text *human(const struct decode_target *to, enum stream_level least,
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

static void human_path(const struct decode_target *to, const struct event *e, const char *kind,
		       const struct text *a, const struct text *b)
{
	struct text *h = human(to, STREAM_ALL, e, kind);

	if (!h)
		return;
	text_add_safe(h, a->at ? a->at : "", a->len);
	if (b && b->len > 0) {
		text_add(h, " -> ");
		text_add_safe(h, b->at, b->len);
	}
	text_add(h, "\n");
}

/* Emits a `denied` event; the human line only for the first of its kind. */
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
	struct text *t = begin(e, to, "denied");
	struct text *h = count > 1 ? NULL : human(to, STREAM_NORMAL, e, "denied");

	text_printf(t, ",\"layer\":\"%s\",\"syscall\":\"%s\"", d->layer, syscall);
	if (d->subject.len > 0)
		add_json_text(t,
			      strcmp(syscall, "connect") == 0 || strcmp(syscall, "sendto") == 0
				      ? "addr"
			      : d->subject.at[0] == '/' ? "path"
							: "argument",
			      &d->subject);
	if (e->kind != EVENT_EXIT)
		add_error(t, e->ret);
	text_printf(t, ",\"phase\":\"pre\",\"rule\":\"%s\",\"why\":", d->rule);
	text_add_json(t, d->why, strlen(d->why));
	add_json_text(t, "suggest", &d->suggest);
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
	stream_end(to->stream);
}

static void emit_denied(const struct event *e, const struct decode_target *to, const char *syscall,
			struct denial *d)
{
	struct denial kept = { .layer = d->layer, .rule = d->rule, .why = d->why };
	uint64_t count;

	text_add_n(&kept.subject, d->subject.at ? d->subject.at : "", d->subject.len);
	text_add_n(&kept.suggest, d->suggest.at ? d->suggest.at : "", d->suggest.len);
	to->tally->denied++;
	count = tally_denied(to->tally, syscall, d);
	if (is_told(count))
		tell_denied(e, to, syscall, &kept, count);
	denial_done(&kept);
}

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

static void tell_influence(const struct event *e, const struct decode_target *to, const char *how,
			   const char *what, size_t len, uint32_t from)
{
	struct text *t, *h;

	if (from == 0 || from == to->call.number ||
	    !tally_is_first(to->tally, what, len, (uint64_t)from << 8 | (unsigned char)how[0]))
		return;
	t = begin(e, to, "influence");
	text_printf(t, ",\"how\":\"%s\",\"from_call\":%u,\"%s\":", how, from,
		    strcmp(how, "connect") == 0 && what[0] != '/' ? "addr" : "path");
	text_add_json(t, what, len);
	h = human(to, STREAM_ALL, e, "influence");
	if (h) {
		text_printf(h, "%s of call %u: ", how, from);
		text_add_safe(h, what, len);
		text_add(h, "\n");
	}
	stream_end(to->stream);
	to->tally->influences++;
}

static void look_up_file(const struct event *e, const struct decode_target *to, const char *how,
			 const char *path, size_t len)
{
	if (to->influence)
		tell_influence(e, to, how, path, len,
			       influence_find(to->influence, INFLUENCE_FILE, path, len));
}

static void emit_exec(const struct event *e, const struct decode_target *to)
{
	struct span exe = get_span(e, EVENT_SPAN_PATH);
	struct span cwd = get_span(e, EVENT_SPAN_BASE);
	struct span argv = get_span(e, EVENT_SPAN_PATH2);
	struct text *t = begin(e, to, "proc.exec");
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
	h = human(to, STREAM_ALL, e, "proc.exec");
	if (h) {
		for (size_t i = 0; i < argv.len;) {
			size_t n = strnlen(argv.at + i, argv.len - i);

			text_add_safe(h, argv.at + i, n);
			text_add(h, " ");
			i += n + 1;
		}
		text_add(h, "\n");
	}
	stream_end(to->stream);
	look_up_file(e, to, "exec", exe.at, exe.len);
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

static void emit_fork(const struct event *e, const struct decode_target *to)
{
	bool is_thread = e->flags & EVENT_F_THREAD;
	struct text *t = begin(e, to, "proc.fork");
	struct text *h = human(to, STREAM_ALL, e, "proc.fork");

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
	stream_end(to->stream);
}

static void emit_exit(const struct event *e, const struct decode_target *to)
{
	int status = (int)e->ret, inside;
	struct text *t = begin(e, to, "proc.exit");
	struct text *h = human(to, STREAM_ALL, e, "proc.exit");

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
	if (h)
		text_printf(h, WIFEXITED(status) ? "exit %d\n" : "signal %d\n",
			    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	stream_end(to->stream);
}

static void add_toctou(struct text *t, const struct event *e)
{
	if (e->flags & (EVENT_F_TWICE | EVENT_F_TOCTOU))
		text_printf(t, ",\"toctou\":%s", e->flags & EVENT_F_TOCTOU ? "true" : "false");
}

/* The named numbers of a call: ints as ints, what does not fit one as it is. */
static void add_args(struct text *t, const struct event *e, const char *names)
{
	bool first = true;

	text_add(t, ",\"args\":{");
	for (unsigned int i = 0; names && *names && i < 6; i++) {
		size_t n = strcspn(names, " ");
		int64_t value = (int64_t)e->args[i];

		/* what the kernel takes as an int has nothing above it but its sign */
		if ((uint64_t)value >> 32 == 0 && (int32_t)value < 0)
			value = (int32_t)value;
		if (!(n == 1 && names[0] == '-')) {
			text_add(t, first ? "\"" : ",\"");
			text_add_n(t, names, n);
			text_add_signed(t, "\":", value);
		}
		first = first && n == 1 && names[0] == '-';
		names += n + (names[n] == ' ');
	}
	text_add(t, "}");
}

/* `name` and `args` are those of its row, or of the table of all calls. */
static void tell_call(const struct event *e, const struct decode_target *to, const char *name,
		      const char *args, const struct text *path, const struct text *path2)
{
	struct text *t = begin(e, to, "sys.call");
	struct text *h;

	add_name(t, name);
	if (path->len > 0) {
		add_json_text(t, "path", path);
		add_path_src(t, e);
	}
	if (path2->len > 0)
		add_json_text(t, "to", path2);
	if (e->flags & EVENT_F_FAULT)
		text_add(t, ",\"arg_fault\":true");
	add_toctou(t, e);
	add_args(t, e, args);
	if (e->ret >= 0 && strcmp(name, "mmap") != 0)
		text_add_signed(t, ",\"ret\":", e->ret);
	add_error(t, e->ret);
	h = human(to, STREAM_ALL, e, name);
	if (h) {
		text_add_safe(h, path->at ? path->at : "", path->len);
		text_add(h, e->ret < 0 ? " failed\n" : "\n");
	}
	stream_end(to->stream);
}

static void call_paths(const struct event *e, struct text *path, struct text *path2)
{
	if (e->flags & EVENT_F_ADDR)
		return;
	if (e->len[EVENT_SPAN_PATH] > 0 || e->len[EVENT_SPAN_BASE] > 0)
		path_of(e, false, path);
	if (e->len[EVENT_SPAN_PATH2] > 0 && !(e->flags & EVENT_F_KERNEL))
		path_of(e, true, path2);
}

/* Somebody asked for this one: told as it is, whatever it is. */
static void emit_traced(const struct event *e, const struct decode_target *to)
{
	const struct trace_row *row = trace_find(e->nr);
	AUTO_TEXT path = { 0 };
	AUTO_TEXT path2 = { 0 };

	call_paths(e, &path, &path2);
	tell_call(e, to, profile_syscall_name(e->nr), row ? row->args : "a1 a2 a3 a4 a5 a6", &path,
		  &path2);
}

struct address {
	char text[INET6_ADDRSTRLEN + 1];
	uint16_t port;
	int family;
	bool is_loopback;
	struct span unix_path;
};

static bool address_of(const struct event *e, struct address *ret)
{
	struct span s = get_span(e, EVENT_SPAN_PATH);
	const unsigned char *p = (const unsigned char *)s.at;
	uint16_t family = 0;
	size_t addr_at;

	memset(ret, 0, sizeof(*ret));
	if (s.len < sizeof(family))
		return false;
	memcpy(&family, p, sizeof(family));
	ret->family = family;
	if (family == AF_UNIX) {
		ret->unix_path = (struct span){ s.at + 2, s.len - 2 };
		/* as it is matched: a path ends at its NUL, an abstract name does not */
		if (ret->unix_path.len > 0 && ret->unix_path.at[0])
			ret->unix_path.len = strnlen(ret->unix_path.at, ret->unix_path.len);
		return true;
	}
	if (family != AF_INET && family != AF_INET6)
		return false;
	/* the kernel's copy holds the address right behind the port; a user's
	 * sockaddr_in6 has the flow label between */
	addr_at = family == AF_INET6 && !(e->flags & EVENT_F_ADDR_K) ? 8 : 4;
	if (s.len < addr_at + (family == AF_INET ? 4u : 16u))
		return false;
	memcpy(&ret->port, p + 2, sizeof(ret->port));
	ret->port = ntohs(ret->port);
	(void)inet_ntop(family, p + addr_at, ret->text, sizeof(ret->text));
	ret->is_loopback = family == AF_INET ? p[addr_at] == 127 : strcmp(ret->text, "::1") == 0;
	return true;
}

/* Who listens is told apart by what is connected to; "any" is every address of this host. */
static void name_socket(struct text *out, const struct address *a, bool any)
{
	if (a->family == AF_UNIX) {
		text_add_n(out, a->unix_path.at, a->unix_path.len);
		return;
	}
	text_printf(out, "%s port %u", any ? "*" : a->text, a->port);
}

static void follow_address(const struct event *e, const struct decode_target *to,
			   const struct syscall_row *row, const struct address *a)
{
	static const char *const anywhere[] = { "0.0.0.0", "::" };
	bool is_any = a->family != AF_UNIX &&
		      (strcmp(a->text, anywhere[0]) == 0 || strcmp(a->text, anywhere[1]) == 0);
	AUTO_TEXT name = { 0 };
	uint32_t from;

	if (a->family == AF_UNIX && a->unix_path.len == 0)
		return;
	if (strcmp(row->kind, "net.bind") == 0 || strcmp(row->kind, "net.listen") == 0) {
		name_socket(&name, a, is_any);
		influence_set(to->influence, INFLUENCE_SOCKET, name.at, name.len, to->call.number);
		return;
	}
	if (strcmp(row->kind, "net.accept") == 0)
		return;
	name_socket(&name, a, false);
	from = influence_find(to->influence, INFLUENCE_SOCKET, name.at, name.len);
	if (from == 0 && a->family != AF_UNIX) {
		AUTO_TEXT any = { 0 };

		name_socket(&any, a, true);
		from = influence_find(to->influence, INFLUENCE_SOCKET, any.at, any.len);
	}
	if (name.at)
		tell_influence(e, to, "connect", name.at, name.len, from);
}

static void emit_address(const struct event *e, const struct decode_target *to,
			 const struct syscall_row *row)
{
	bool is_connect =
		strcmp(row->kind, "net.connect") == 0 || strcmp(row->kind, "net.send") == 0;
	const char *verdict = e->ret >= 0              ? "allowed"
			      : e->ret == -EINPROGRESS ? "in progress"
						       : "failed";
	struct denial d;
	struct address a;
	struct text *t, *h;
	bool is_denied;

	if (!address_of(e, &a)) {
		emit_traced(e, to); /* it failed, so there is none */
		return;
	}
	/* an address that never passed the kernel's hook was not connected to */
	if (e->ret >= 0 && a.family != AF_UNIX && is_connect && !(e->flags & EVENT_F_ADDR_K))
		verdict = strcmp(row->kind, "net.send") == 0 ? "sent" : "unverified";
	if ((e->flags & EVENT_F_NOTIFY) || e->kind == EVENT_URING)
		verdict = "requested";
	if (strcmp(row->kind, "net.accept") == 0 && e->ret >= 0)
		verdict = "accepted";
	is_denied = e->ret < 0 && a.family != AF_UNIX &&
		    explain_address(a.text, a.port, a.is_loopback, (int)-e->ret, &d);
	if (is_denied)
		verdict = "denied";
	t = begin(e, to, row->kind);
	add_name(t, row->name);
	if (a.family == AF_UNIX) {
		text_add(t, ",\"family\":\"unix\",\"path\":");
		/* an abstract name begins with NUL and is not terminated */
		text_add_json(t, a.unix_path.at, a.unix_path.len);
	} else {
		text_printf(t, ",\"family\":\"%s\",\"addr\":\"%s\",\"port\":%u,\"addr_src\":\"%s\"",
			    a.family == AF_INET ? "inet" : "inet6", a.text, a.port,
			    e->flags & EVENT_F_ADDR_K ? "kernel" : "user");
		if (is_connect)
			tally_connect(to->tally, a.text, a.port, verdict);
	}
	text_printf(t, ",\"verdict\":\"%s\"", verdict);
	if (e->flags & EVENT_F_TOCTOU)
		text_add(t, ",\"toctou\":true");
	add_error(t, e->ret);
	if (is_denied)
		text_printf(t, ",\"rule\":\"%s\"", d.rule);
	h = human(to, STREAM_ALL, e, row->kind);
	if (h && a.family == AF_UNIX)
		text_add_safe(h, a.unix_path.at, strnlen(a.unix_path.at, a.unix_path.len));
	else if (h)
		text_printf(h, "%s port %u", a.text, a.port);
	if (h)
		text_printf(h, " %s\n", verdict);
	stream_end(to->stream);
	if (is_denied)
		emit_denied(e, to, row->name, &d);
	else if (to->influence && (e->ret >= 0 || e->ret == -EINPROGRESS))
		follow_address(e, to, row, &a);
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
		text_add_number(t, ",\"flags\":", e->args[5]);
}

/* What the account of the call, and the book of its session, know of it. */
static void follow_file(const struct decode_target *to, const struct syscall_row *row,
			const struct text *path, const struct text *path2)
{
	bool is_named = path->len > 0, has_two = path2 && path2->len > 0;

	if (is_named)
		tally_saw(to->tally, path->at, path->len);
	if (has_two)
		tally_saw(to->tally, path2->at, path2->len);
	if (!to->influence || !is_named)
		return;
	if (row->shape.flags & WATCH_OPEN)
		influence_set(to->influence, INFLUENCE_FILE, path->at, path->len, to->call.number);
	else if (strcmp(row->kind, "file.rename") == 0 && has_two)
		influence_rename(to->influence, path->at, path->len, path2->at, path2->len);
	else if (strcmp(row->kind, "file.link") == 0 && has_two)
		influence_set(to->influence, INFLUENCE_FILE, path2->at, path2->len,
			      to->call.number);
	else if (strcmp(row->kind, "file.unlink") == 0)
		influence_remove(to->influence, INFLUENCE_FILE, path->at, path->len);
}

/* An open that would not have changed anything. */
static bool is_look(const struct event *e, const struct syscall_row *row)
{
	return (row->shape.flags & WATCH_OPEN) && !(e->args[5] & (O_ACCMODE | O_CREAT | O_TRUNC));
}

static void emit_file(const struct event *e, const struct decode_target *to,
		      const struct syscall_row *row)
{
	const char *kind = e->flags & EVENT_F_CREATED ? "file.create" : row->kind;
	bool is_link = strcmp(row->kind, "file.symlink") == 0;
	AUTO_TEXT path = { 0 };
	AUTO_TEXT path2 = { 0 };
	struct denial d;
	struct text *t;

	path_of(e, false, &path);
	if (row->shape.path2 && is_link) {
		struct span target = get_span(e, EVENT_SPAN_PATH2);

		text_add_n(&path2, target.at, target.len);
	} else if (row->shape.path2) {
		path_of(e, true, &path2);
	}
	if (e->ret < 0 && path.at &&
	    (explain_capability(to->view, row->name, (int)-e->ret, &d) ||
	     explain_path(to->view, path.at, (int)-e->ret, &d) ||
	     (row->shape.path2 && !is_link && path2.at &&
	      explain_path(to->view, path2.at, (int)-e->ret, &d)))) {
		emit_denied(e, to, row->name, &d);
		return;
	}
	if (e->flags & EVENT_F_READ) {
		look_up_file(e, to, "read", path.at ? path.at : "", path.len);
		return;
	}
	if ((row->shape.flags & WATCH_PROBE) || (e->ret == -ENOENT && is_look(e, row)))
		return; /* an ordinary miss: compilers make thousands */
	if (e->ret >= 0)
		follow_file(to, row, &path, is_link ? NULL : &path2);
	t = begin(e, to, kind);
	add_name(t, row->name);
	add_json_text(t, "path", &path);
	if (row->shape.path2)
		add_json_text(t, is_link ? "target" : "to", &path2);
	add_path_src(t, e);
	if (e->flags & EVENT_F_FAULT)
		text_add(t, ",\"arg_fault\":true");
	add_toctou(t, e);
	add_details(t, e, row);
	add_error(t, e->ret);
	human_path(to, e, kind, &path, row->shape.path2 ? &path2 : NULL);
	stream_end(to->stream);
}

static void emit_signal(const struct event *e, const struct decode_target *to,
			const struct syscall_row *row)
{
	struct text *t = begin(e, to, row->kind);
	/* tgkill and rt_tgsigqueueinfo name the thread second, the signal third */
	int sig =
		(int)e->args[strncmp(row->name, "tg", 2) == 0 || strncmp(row->name, "rt_tg", 5) == 0
				     ? 2
				     : 1];
	struct text *h = human(to, STREAM_ALL, e, row->kind);

	text_add_signed(t, ",\"target\":", (int)e->args[0]);
	add_name(t, row->name);
	if (strcmp(row->kind, "proc.signal") == 0)
		text_printf(t, ",\"signal\":\"SIG%s\"",
			    sigabbrev_np(sig) ? sigabbrev_np(sig) : "0");
	add_error(t, e->ret);
	if (h)
		text_printf(h, "%s %d\n", row->name, (int)e->args[0]);
	stream_end(to->stream);
}

/* A mapping that is written through: no write will tell of it. */
static bool is_mapped_write(const struct event *e, const struct syscall_row *row)
{
	return e->ret >= 0 && strcmp(row->name, "mmap") == 0 && !(e->args[2] & PROT_EXEC);
}

static void emit_call(const struct event *e, const struct decode_target *to,
		      const struct syscall_row *row)
{
	AUTO_TEXT path = { 0 };
	AUTO_TEXT path2 = { 0 };
	struct denial d;

	if (!syscalls_is_told(row, e->args, e->ret))
		return;
	call_paths(e, &path, &path2);
	if (e->ret < 0 && (explain_capability(to->view, row->name, (int)-e->ret, &d) ||
			   (row->shape.path && path.len > 0 &&
			    explain_path(to->view, path.at, (int)-e->ret, &d)))) {
		emit_denied(e, to, row->name, &d);
		return;
	}
	if (is_mapped_write(e, row) && path.len > 0) {
		struct text *t = begin(e, to, "file.write");

		add_json_text(t, "path", &path);
		text_add(t, ",\"path_src\":\"kernel\",\"mmap\":true");
		human_path(to, e, "file.write", &path, NULL);
		stream_end(to->stream);
		return;
	}
	tell_call(e, to, row->name, row->args, &path, &path2);
}

void decode_path(const struct event *e, struct text *ret)
{
	path_of(e, false, ret);
}

void decode_write(const struct event *e, const struct decode_target *to, const struct text *path,
		  const struct watch_burst *b)
{
	struct event last = { 0 };
	struct text *t;

	memcpy(&last, e, EVENT_HEAD_SIZE);
	last.when_ns = b->last_ns;
	t = begin(&last, to, "file.write");
	add_json_text(t, "path", path);
	add_path_src(t, e);
	text_add_number(t, ",\"ops\":", b->ops);
	text_add_number(t, ",\"bytes\":", b->bytes);
	text_add_number(t, ",\"duration_ns\":", b->last_ns - b->first_ns);
	human_path(to, e, "file.write", path, NULL);
	stream_end(to->stream);
}

/* It died of SIGSYS inside a foreign call: that is our filter. */
static void emit_killed(const struct event *e, const struct decode_target *to)
{
	struct denial d = {
		.layer = "seccomp",
		.rule = "syscalls.architecture",
		.why = "the 32-bit and x32 doors into the kernel are closed: it was killed "
		       "(SIGSYS)",
	};

	text_add(&d.suggest, "run the 64-bit build of the program");
	emit_denied(e, to, "foreign", &d);
}

static bool is_limit(const struct event *e, const struct decode_target *to, struct denial *ret)
{
	AUTO_TEXT path = { 0 };

	if (e->flags & EVENT_F_KERNEL)
		path_of(e, false, &path);
	return explain_limit(to->view, e->host_pid, profile_syscall_name(e->nr), (int)-e->ret,
			     path.at, ret);
}

/* A call of the set, by what its row says. */
static void emit_row(const struct event *e, const struct decode_target *to,
		     const struct syscall_row *row)
{
	if (strncmp(row->kind, "net.", 4) == 0)
		emit_address(e, to, row);
	else if (strncmp(row->kind, "file.", 5) == 0)
		emit_file(e, to, row);
	else if (strcmp(row->kind, "sys.call") == 0)
		emit_call(e, to, row);
	else
		emit_signal(e, to, row);
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
	emit_denied(e, to, profile_syscall_name(e->nr), &d);
	return true;
}

static void emit_syscall(const struct event *e, const struct decode_target *to)
{
	const struct syscall_row *row = syscalls_find(e->nr);
	bool is_traced = e->flags & EVENT_F_TRACED;
	uint64_t denials = to->tally->denied;

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
		emit_traced(e, to);
}

void decode_event(const struct event *e, const struct decode_target *to)
{
	switch ((enum event_kind)e->kind) {
	case EVENT_EXEC:
		emit_exec(e, to);
		return;
	case EVENT_FORK:
		emit_fork(e, to);
		return;
	case EVENT_EXIT:
		emit_exit(e, to);
		if (WIFSIGNALED((int)e->ret) && WTERMSIG((int)e->ret) == SIGSYS &&
		    (e->flags & EVENT_F_FOREIGN))
			emit_killed(e, to);
		return;
	case EVENT_DENIED:
	case EVENT_SYSCALL:
		emit_syscall(e, to);
		return;
	case EVENT_URING:
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
