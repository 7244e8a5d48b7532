// SPDX-License-Identifier: Apache-2.0
/* supervisor/decode_net.c - addresses, and who listens where another one connects. */
#include "supervisor/decode_inner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox/base/fd.h"

struct address {
	char text[INET6_ADDRSTRLEN + 1];
	uint16_t port;
	int family;
	bool is_loopback;
	struct text unix_path; /* absolute, or an abstract name */
};

static void address_done(struct address *a)
{
	text_done(&a->unix_path);
}

#define AUTO_ADDRESS __attribute__((cleanup(address_done))) struct address

static bool address_of(const struct event *e, struct address *ret)
{
	struct span s = decode_span(e, EVENT_SPAN_PATH);
	const unsigned char *p = (const unsigned char *)s.at;
	uint16_t family = 0;
	size_t addr_at;

	if (s.len < sizeof(family))
		return false;
	memcpy(&family, p, sizeof(family));
	ret->family = family;
	if (family == AF_UNIX) {
		struct span path = { s.at + 2, s.len - 2 };

		/* as it is matched: a path ends at its NUL, an abstract name does not */
		if (path.len > 0 && path.at[0])
			path.len = strnlen(path.at, path.len);
		if (path.len > 0 && path.at[0] && path.at[0] != '/' && e->len[EVENT_SPAN_BASE] > 0)
			decode_join(&ret->unix_path, decode_span(e, EVENT_SPAN_BASE), path);
		else
			text_add_n(&ret->unix_path, path.at, path.len);
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

/* An IPv4 address in an IPv6 one is that (RFC 4291, 2.5.5.2); who connects to none reaches this
 * host, as the kernel has it. */
static const char *reached(const struct address *a, bool is_to)
{
	static const char mapped[] = "::ffff:";

	if (is_to && strcmp(a->text, "0.0.0.0") == 0)
		return "127.0.0.1";
	if (is_to && strcmp(a->text, "::") == 0)
		return "::1";
	if (strncmp(a->text, mapped, strlen(mapped)) == 0 && strchr(a->text, '.'))
		return strcmp(a->text + strlen(mapped), "0.0.0.0") == 0 && is_to
			       ? "127.0.0.1"
			       : a->text + strlen(mapped);
	return a->text;
}

/* Who listens is told apart by what is connected to; "any" is every address of this host. */
static void name_socket(struct text *out, const struct address *a, bool any, bool is_to)
{
	if (a->family == AF_UNIX) {
		if (a->unix_path.at[0])
			text_add_folded(out, a->unix_path.at, a->unix_path.len);
		else
			text_add_n(out, a->unix_path.at, a->unix_path.len);
		return;
	}
	text_printf(out, "%s port %u", any ? "*" : reached(a, is_to), a->port);
}

static void follow_address(const struct event *e, const struct decode_target *to,
			   const struct syscall_row *row, const struct address *a)
{
	static const char *const anywhere[] = { "0.0.0.0", "::", "::ffff:0.0.0.0" };
	bool is_any = a->family != AF_UNIX &&
		      (strcmp(a->text, anywhere[0]) == 0 || strcmp(a->text, anywhere[1]) == 0 ||
		       strcmp(a->text, anywhere[2]) == 0);
	AUTO_TEXT name = { 0 };
	uint32_t from;

	if (a->family == AF_UNIX && a->unix_path.len == 0)
		return;
	if (strcmp(row->kind, "net.bind") == 0 || strcmp(row->kind, "net.listen") == 0) {
		name_socket(&name, a, is_any, false);
		influence_set(to->influence, INFLUENCE_SOCKET, name.at, name.len, to->call.number);
		return;
	}
	if (strcmp(row->kind, "net.accept") == 0)
		return;
	name_socket(&name, a, false, true);
	from = influence_find(to->influence, INFLUENCE_SOCKET, name.at, name.len);
	if (from == 0 && a->family != AF_UNIX) {
		AUTO_TEXT any = { 0 };

		name_socket(&any, a, true, true);
		from = influence_find(to->influence, INFLUENCE_SOCKET, any.at, any.len);
	}
	if (name.len > 0)
		decode_influence(e, to, "connect", &name, from, true);
}

void decode_address(const struct event *e, const struct decode_target *to,
		    const struct syscall_row *row)
{
	bool is_connect =
		strcmp(row->kind, "net.connect") == 0 || strcmp(row->kind, "net.send") == 0;
	const char *verdict = e->ret >= 0              ? "allowed"
			      : e->ret == -EINPROGRESS ? "in progress"
						       : "failed";
	struct denial d;
	AUTO_ADDRESS a = { 0 };
	struct text *t, *h;
	bool is_denied;

	if (!address_of(e, &a)) {
		decode_traced(e, to); /* it failed, so there is none */
		return;
	}
	/* an address that never passed the kernel's hook was not connected to */
	if (e->ret >= 0 && a.family != AF_UNIX && is_connect && !(e->flags & EVENT_F_ADDR_K))
		verdict = "unverified";
	if ((e->flags & EVENT_F_NOTIFY) || e->kind == EVENT_URING)
		verdict = "requested";
	else if (strcmp(row->kind, "net.send") == 0 && e->ret >= 0)
		verdict = "sent";
	if (strcmp(row->kind, "net.accept") == 0 && e->ret >= 0)
		verdict = "accepted";
	is_denied = e->ret < 0 && a.family != AF_UNIX &&
		    explain_address(a.text, a.port, a.is_loopback, (int)-e->ret, &d);
	if (is_denied)
		verdict = "denied";
	t = decode_begin(e, to, row->kind);
	decode_add_name(t, row->name);
	if (a.family == AF_UNIX) {
		text_add(t, ",\"family\":\"unix\",\"path\":");
		/* an abstract name begins with NUL and is not terminated */
		text_add_json(t, a.unix_path.at ? a.unix_path.at : "", a.unix_path.len);
		text_printf(t, ",\"addr_src\":\"%s\"",
			    e->flags & EVENT_F_ADDR_K ? "kernel" : "user");
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
	decode_add_error(t, e->ret);
	if (is_denied)
		text_printf(t, ",\"rule\":\"%s\"", d.rule);
	h = decode_human(to, STREAM_ALL, e, row->kind);
	if (h && a.family == AF_UNIX)
		text_add_safe(h, a.unix_path.at ? a.unix_path.at : "", a.unix_path.len);
	else if (h)
		text_printf(h, "%s port %u", a.text, a.port);
	if (h && e->ret >= 0)
		text_printf(h, " %s", verdict);
	if (h)
		decode_human_end(h, e);
	decode_end(to);
	if (is_denied)
		decode_denied(e, to, row->name, &d);
	else if (to->influence && (e->ret >= 0 || e->ret == -EINPROGRESS))
		follow_address(e, to, row, &a);
}
