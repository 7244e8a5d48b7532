// SPDX-License-Identifier: Apache-2.0
/* supervisor/report.c - what a caller gets at the end: one JSON object. */
#include "supervisor/report.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "sandbox/base/fd.h"
#include "supervisor/profile.h"
#include "supervisor/programs.h"

/* Rows of the table for people; the report has them all. */
#define TABLE_ROWS 24
/* Changes in the result that an agent is handed; changes.list has them all. */
#define RESULT_CHANGES 1000

static void add_string(struct text *t, const char *key, const char *value)
{
	text_printf(t, ",\"%s\":", key);
	if (value)
		text_add_json(t, value, strlen(value));
	else
		text_add(t, "null");
}

static void add_outcome(const struct call *c, struct text *t)
{
	text_printf(t, ",\"outcome\":\"%s\"", call_outcome_names[c->outcome]);
	if (c->outcome == CALL_EXITED)
		text_printf(t, ",\"exit_code\":%d", WEXITSTATUS(c->status));
	else
		text_add(t, ",\"exit_code\":null");
	if (c->is_ended && WIFSIGNALED(c->status)) {
		const char *name = sigabbrev_np(WTERMSIG(c->status));

		text_printf(t, ",\"signal\":\"SIG%s\"", name ? name : "?");
	} else {
		text_add(t, ",\"signal\":null");
	}
	add_string(t, "reason", c->reason[0] ? c->reason : NULL);
	if (c->outcome == CALL_FAILED_TO_START && c->failed.stage != SB_STAGE_NONE) {
		const char *name = strerrorname_np(-c->failed.error);

		add_string(t, "stage", sb_stage_names[c->failed.stage]);
		add_string(t, "errno", name ? name : "unknown");
	}
	if (c->outcome == CALL_KILLED)
		add_string(t, "by", c->by);
}

static void add_errors(const struct monitor_totals *m, struct text *t)
{
	bool first = true;

	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		bool open = false;

		for (uint32_t i = 0; i < m->error_count; i++) {
			const char *name;

			if (m->errors[i].nr != nr)
				continue;
			name = profile_error_name(m->errors[i].error);
			if (!open)
				text_printf(t, "%s\"%s\":{", first ? "" : ",",
					    profile_syscall_name(nr));
			text_printf(t, open ? ",\"%s%.0u\":%llu" : "\"%s%.0u\":%llu",
				    name ? name : "errno ", name ? 0u : m->errors[i].error,
				    (unsigned long long)m->errors[i].count);
			open = true;
			first = false;
		}
		if (open)
			text_add(t, "}");
	}
}

static void add_syscalls(const struct call *c, struct text *t)
{
	const struct monitor_totals *m = &c->totals;
	uint64_t total = 0;
	bool first = true;

	/* nobody counted: 0 would be a claim */
	if (!m->is_counted) {
		text_add(t, ",\"syscalls\":null");
		return;
	}
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		total += m->counts[nr];
	text_printf(t, ",\"syscalls\":{\"total\":%llu,\"counts\":{", (unsigned long long)total);
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		if (m->counts[nr] == 0)
			continue;
		text_printf(t, "%s\"%s\":%llu", first ? "" : ",", profile_syscall_name(nr),
			    (unsigned long long)m->counts[nr]);
		first = false;
	}
	text_add(t, "},\"errors\":{");
	add_errors(m, t);
	text_add(t, "},\"denied\":{");
	first = true;
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		if (c->tally->denied_of[nr] == 0)
			continue;
		text_printf(t, "%s\"%s\":%u", first ? "" : ",", profile_syscall_name(nr),
			    c->tally->denied_of[nr]);
		first = false;
	}
	text_add(t, "}");
	if (m->errors_missed > 0)
		text_printf(t, ",\"errors_missed\":%llu", (unsigned long long)m->errors_missed);
	text_add(t, "}");
}

static void add_processes(const struct tally *y, struct text *t)
{
	text_add(t, ",\"processes\":[");
	for (uint32_t i = 0; i < y->process_count; i++) {
		const struct tally_process *p = &y->processes[i];

		text_printf(t, "%s{\"pid\":%u,\"ppid\":%u,\"exe\":%s,\"argv\":%s", i ? "," : "",
			    p->pid, p->ppid, p->exe.at ? p->exe.at : "null",
			    p->argv.at ? p->argv.at : "[]");
		if (p->id.start_ns) {
			text_add(t, ",\"exec_id\":");
			tally_add_id(t, &p->id);
		}
		if (p->parent.start_ns) {
			text_add(t, ",\"parent_exec_id\":");
			tally_add_id(t, &p->parent);
		}
		if (p->argv.len == 0)
			text_add(t, ",\"forked\":true");
		if (p->is_cut)
			text_add(t, ",\"cut\":true");
		if (p->syscalls.len > 0) {
			text_add(t, ",\"syscalls\":");
			text_add_n(t, p->syscalls.at, p->syscalls.len);
		}
		if (p->exit_status == -1)
			text_add(t, ",\"exit_code\":null");
		else if (WIFEXITED(p->exit_status))
			text_printf(t, ",\"exit_code\":%d", WEXITSTATUS(p->exit_status));
		else
			text_printf(t, ",\"exit_code\":null,\"signal\":%d",
				    WTERMSIG(p->exit_status));
		if (p->inside >= 0 && WIFSIGNALED(p->exit_status))
			add_string(t, "inside", profile_syscall_name(p->inside));
		text_add(t, "}");
	}
	text_add(t, "]");
	if (y->processes_cut > 0)
		text_printf(t, ",\"processes_cut\":%u", y->processes_cut);
}

static void add_recent_call(uint64_t at, uint32_t tid, uint64_t last, double tick_ms,
			    struct text *t)
{
	int32_t ret = (int32_t)at;
	const char *name = ret < 0 ? profile_error_name(-(int64_t)ret) : NULL;
	uint64_t ticks = ((last >> 41) - (at >> 41)) & (WATCH_RECENT_TICKS - 1);

	text_printf(t, "{\"syscall\":\"%s\"", profile_syscall_name((int)(at >> 32 & 511)));
	if (tid > 0)
		text_printf(t, ",\"tid\":%u", tid);
	if (name)
		text_printf(t, ",\"error\":\"%s\"", name);
	else if ((uint32_t)at == WATCH_RECENT_LARGE)
		text_add(t, ",\"ret\":null");
	else
		text_printf(t, ",\"ret\":%d", ret);
	text_printf(t, ",\"ms_before\":%.0f}", (double)ticks * tick_ms);
}

/* What was it doing: the last calls of each process, of a call that did not end well. */
static void add_recent(const struct call *c, struct text *t)
{
	const struct tally *y = c->tally;
	struct timespec tick = { 0 };
	double tick_ms;

	if (c->outcome == CALL_EXITED && WEXITSTATUS(c->status) == 0)
		return;
	/* one step of the coarse clock is one of the kernel's ticks (clock_getres(2)) */
	(void)clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	tick_ms = (double)tick.tv_nsec / 1e6;
	text_add(t, ",\"unfinished\":[");
	text_add_n(t, y->unfinished.at ? y->unfinished.at : "", y->unfinished.len);
	text_add(t, "]");
	if (y->unfinished_cut > 0)
		text_printf(t, ",\"unfinished_cut\":%u", y->unfinished_cut);
	text_add(t, ",\"recent\":[");
	for (uint32_t i = 0; i < y->recent_count; i++) {
		const struct tally_recent *r = &y->recents[i];

		text_printf(t, "%s{\"pid\":%u,\"exec_id\":", i ? "," : "", r->pid);
		tally_add_id(t, &r->id);
		text_add(t, ",\"calls\":[");
		for (uint32_t k = 0; k < r->count; k++) {
			text_add(t, k ? "," : "");
			add_recent_call(r->at[k], r->tids[k], r->at[r->count - 1], tick_ms, t);
		}
		text_add(t, "]}");
	}
	text_add(t, "]");
}

static void add_denials(const struct tally *y, struct text *t)
{
	for (uint32_t i = 0; i < y->denial_count; i++) {
		const struct tally_denial *d = &y->denials[i];

		text_printf(
			t, "%s{\"layer\":\"%s\",\"syscall\":\"%s\",\"count\":%llu,\"rule\":\"%s\"",
			i ? "," : "", d->layer, d->syscall, (unsigned long long)d->count, d->rule);
		if (d->subject.len > 0) {
			text_add(t, ",\"subject\":");
			text_add_json(t, d->subject.at, d->subject.len);
		}
		add_string(t, "why", d->why);
		add_string(t, "suggest", d->suggest.at);
		text_add(t, "}");
	}
}

static void add_reach(const struct tally *y, struct text *t)
{
	text_add(t, ",\"connections\":[");
	for (uint32_t i = 0; i < y->connection_count; i++) {
		const struct tally_connection *n = &y->connections[i];

		text_printf(t, "%s{\"addr\":\"%s\",\"port\":%u,\"verdict\":\"%s\",\"count\":%llu}",
			    i ? "," : "", n->addr.at, n->port, n->verdict,
			    (unsigned long long)n->count);
	}
	text_add(t, "],\"denials\":[");
	add_denials(y, t);
	text_add(t, "]");
	if (y->denials_cut > 0)
		text_printf(t, ",\"denials_cut\":%u", y->denials_cut);
}

static void add_changes(const struct call *c, const struct changes *changes, int error, size_t most,
			struct text *t)
{
	if (!changes) {
		add_string(t, "changes_error", strerror(-error));
		text_add(t, ",\"changes\":null");
		return;
	}
	text_add(t, ",\"changes\":[");
	for (size_t i = 0; i < changes->count && i < most; i++) {
		if (i > 0)
			text_add(t, ",");
		changes_add_json(&changes->at[i], c->session->at, t);
	}
	text_add(t, "]");
	if (changes->count > most)
		text_printf(t, ",\"changes_cut\":%zu", changes->count - most);
}

static void add_kept(const struct call *c, struct text *t)
{
	static const char *const names[] = { "stdout", "stderr" };

	for (int i = 0; i < 2; i++) {
		struct output_totals o = output_totals(c->kept[i]);

		text_printf(t, "%s\"%s\":{\"bytes\":%llu,\"head\":%llu,\"tail\":%llu,\"cut\":%llu",
			    i ? "," : "", names[i], (unsigned long long)o.bytes,
			    (unsigned long long)o.head, (unsigned long long)o.tail,
			    (unsigned long long)(o.bytes - o.head - o.tail));
		if (o.error < 0)
			add_string(t, "error", strerror(-o.error));
		text_add(t, "}");
	}
}

void report_make_result(const struct call *c, const struct changes *changes, int changes_error,
			struct text *out)
{
	text_printf(out, "{\"id\":\"%s.%u\",\"session\":\"%s\",\"call\":%u,\"state\":\"done\"",
		    c->session->id, c->number, c->session->id, c->number);
	add_string(out, "agent_call_id", c->request.agent_call_id);
	add_outcome(c, out);
	text_printf(out, ",\"duration_ns\":%llu,\"killed_leftovers\":%u",
		    (unsigned long long)(c->ended_ns - c->started_ns), c->killed_leftovers);
	add_changes(c, changes, changes_error, RESULT_CHANGES, out);
	text_add(out, ",\"denials\":[");
	add_denials(c->tally, out);
	text_add(out, "],\"output\":{");
	add_kept(c, out);
	text_add(out, "}}");
}

/* A change that no event told of: a loss, or a way to write that none tells of. */
static size_t untold_changes(const struct call *c, const struct changes *changes)
{
	const char *root = c->session->at;
	size_t n = 0;

	for (size_t i = 0; changes && i < changes->count; i++) {
		const struct change *x = &changes->at[i];
		bool has_content = x->kind == SB_CHANGE_FILE && x->size > 0 &&
				   (x->type == CHANGE_ADDED || x->type == CHANGE_MODIFIED);
		AUTO_TEXT path = { 0 };

		text_printf(&path, "%s/%s", root, x->path);
		n += path.at && !tally_has_seen(c->tally, path.at, path.len, has_content);
	}
	return n;
}

/* How it was watched: what was lost and why, whether it was braked, and what is not known. */
static void add_watching(const struct call *c, const struct changes *changes, struct text *t)
{
	const struct monitor_totals *m = &c->totals;

	if (!m->is_counted)
		return;
	text_printf(t, ",\"exact\":%s,\"mode\":\"%s\"", m->is_exact ? "true" : "false",
		    c->session->policy->is_lossless ? "lossless" : "fast");
	if (m->lost > 0)
		text_printf(t, ",\"lost_full\":%llu,\"lost_quota\":%llu",
			    (unsigned long long)m->lost_why[EVENT_LOSS_FULL],
			    (unsigned long long)m->lost_why[EVENT_LOSS_QUOTA]);
	if (c->tally->not_logged > 0)
		text_printf(t, ",\"not_logged\":%llu", (unsigned long long)c->tally->not_logged);
	if (c->brake.count > 0)
		text_printf(t, ",\"brakes\":%llu,\"braked_ns\":%llu",
			    (unsigned long long)c->brake.count,
			    (unsigned long long)c->brake.braked_ns);
	if (m->unkept > 0)
		text_printf(t, ",\"calls_of_no_process\":%llu", (unsigned long long)m->unkept);
	/* of a layer that was shared the changes are the others', too */
	if (c->tally->paths_cut || c->shares_layer)
		text_add(t, ",\"changes_without_event\":null");
	else
		text_printf(t, ",\"changes_without_event\":%zu", untold_changes(c, changes));
	if (c->session->influence.is_cut)
		text_add(t, ",\"influences_cut\":true");
}

/* Where it read of what the policy shows, but for its own work. */
static void add_reads(const struct call *c, struct text *t)
{
	const struct policy_item *told[POLICY_LIST_MAX];
	const struct tally *y = c->tally;
	size_t count = 0;

	text_add(t, ",\"reads\":[");
	for (uint32_t i = 0; i < y->read_count; i++) {
		text_add(t, i ? "," : "");
		text_add_json(t, y->reads[i], strlen(y->reads[i]));
	}
	text_add(t, "]");
	if (y->reads_cut)
		text_add(t, ",\"reads_cut\":true");
	/* the entries of the policy that these are of */
	text_add(t, ",\"shown\":[");
	for (uint32_t i = 0; i < y->read_count; i++) {
		const struct policy_item *item =
			policy_find_path(c->session->view.policy, POLICY_READ, y->reads[i]);
		size_t k = 0;

		while (k < count && told[k] != item)
			k++;
		if (!item || k < count || count == ARRAY_SIZE(told))
			continue;
		told[count++] = item;
		text_add(t, count > 1 ? "," : "");
		text_add_json(t, item->text, strlen(item->text));
	}
	text_add(t, "]");
}

void report_make(const struct call *c, const struct changes *changes, int changes_error,
		 struct text *out)
{
	const struct session *s = c->session;

	text_printf(out, "{\"schema\":1,\"session\":\"%s\",\"call\":%u", s->id, c->number);
	add_string(out, "agent_call_id", c->request.agent_call_id);
	if (c->request.step)
		add_string(out, "step", c->request.step);
	add_string(out, "tool", c->request.tool);
	text_add(out, ",\"argv\":[");
	for (const char *const *a = c->argv; *a; a++) {
		text_add(out, a == c->argv ? "" : ",");
		text_add_json(out, *a, strlen(*a));
	}
	text_add(out, "]");
	add_string(out, "workspace", s->at);
	add_outcome(c, out);
	text_add(out, ",\"started\":\"");
	text_add_time(out, c->started_real_ns);
	text_printf(out, "\",\"duration_ns\":%llu,\"paused_ns\":%llu",
		    (unsigned long long)(c->ended_ns - c->started_ns),
		    (unsigned long long)c->paused_ns);
	text_printf(out,
		    ",\"usage\":{\"cpu_ns\":%llu,\"max_rss_bytes\":%llu,\"processes\":%llu,"
		    "\"output_bytes\":%llu,\"output_lost_bytes\":%llu}",
		    (unsigned long long)c->cpu_used_ns,
		    (unsigned long long)(c->usage.maxrss_bytes > c->tally->max_rss_bytes
						 ? c->usage.maxrss_bytes
						 : c->tally->max_rss_bytes),
		    (unsigned long long)c->tally->made, (unsigned long long)call_output_bytes(c),
		    (unsigned long long)(c->out.lost + c->err.lost));
	add_changes(c, changes, changes_error, SIZE_MAX, out);
	add_syscalls(c, out);
	add_processes(c->tally, out);
	add_recent(c, out);
	add_reads(c, out);
	if (s->policy->hashes)
		programs_add_json(c, changes, out);
	add_reach(c->tally, out);
	text_printf(out,
		    ",\"killed_leftovers\":%u,\"events\":{\"emitted\":%llu,\"delivered\":%llu,"
		    "\"lost\":%llu",
		    c->killed_leftovers, (unsigned long long)c->totals.emitted,
		    (unsigned long long)c->totals.delivered, (unsigned long long)c->totals.lost);
	add_watching(c, changes, out);
	text_add(out, "},\"protection\":");
	session_add_protection(s, c->totals.saw_exec, out);
	text_add(out, "}\n");
}

struct row {
	int nr;
	uint64_t count;
};

static int by_count(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->count < y->count ? 1 : x->count > y->count ? -1 : x->nr - y->nr;
}

static void say_syscalls(const struct call *c, struct text *t)
{
	struct row rows[WATCH_SYSCALLS];
	size_t n = 0;

	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		if (c->totals.counts[nr] > 0)
			rows[n++] = (struct row){ nr, c->totals.counts[nr] };
	qsort(rows, n, sizeof(rows[0]), by_count);
	text_add(t, "glovebox: system calls      calls   errors  name\n");
	for (size_t i = 0; i < n && i < TABLE_ROWS; i++) {
		uint64_t errors = 0;

		for (uint32_t j = 0; j < c->totals.error_count; j++)
			if (c->totals.errors[j].nr == rows[i].nr)
				errors += c->totals.errors[j].count;
		text_printf(t, "glovebox:              %10llu %8llu  %s\n",
			    (unsigned long long)rows[i].count, (unsigned long long)errors,
			    profile_syscall_name(rows[i].nr));
	}
	if (n > TABLE_ROWS)
		text_printf(t, "glovebox:              and %zu others; --report has them all\n",
			    n - TABLE_ROWS);
}

static void say_outcome(const struct call *c, struct text *t)
{
	text_printf(t, "glovebox: %s.%u ", c->session->id, c->number);
	if (c->outcome == CALL_EXITED)
		text_printf(t, "exited %d", WEXITSTATUS(c->status));
	else if (c->outcome == CALL_SIGNALED)
		text_printf(t, "ended by SIG%s", sigabbrev_np(WTERMSIG(c->status)));
	else
		text_add(t, call_outcome_names[c->outcome]);
	if (c->reason[0]) {
		text_add(t, " (");
		text_add_safe(t, c->reason, strlen(c->reason));
		text_add(t, ")");
	}
	text_printf(t, " after %.3f s", (double)(c->ended_ns - c->started_ns) / 1e9);
	if (c->paused_ns > 0)
		text_printf(t, ", %.3f s of it paused", (double)c->paused_ns / 1e9);
}

static void say_number(struct text *t, uint64_t n, const char *one, const char *many)
{
	text_printf(t, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

void report_say(const struct call *c, const struct changes *changes, bool all, struct text *out)
{
	const struct tally *y = c->tally;
	uint64_t denials = 0;

	for (uint32_t i = 0; i < y->denial_count; i++)
		denials += y->denials[i].count;
	say_outcome(c, out);
	if (c->totals.is_counted || c->session->asks) {
		text_add(out, "; ");
		say_number(out, y->made, "process", "processes");
	} else {
		text_add(out, "; not watched");
	}
	text_add(out, ", ");
	if (changes)
		say_number(out, changes->count, "change", "changes");
	else
		text_add(out, "changes that could not be listed");
	if (c->totals.is_counted || c->session->asks) {
		text_add(out, ", ");
		say_number(out, denials, "denial", "denials");
	}
	text_printf(out, denials > y->denial_count ? " (%u different)\n" : "\n", y->denial_count);
	if (all && c->totals.is_counted && c->totals.emitted > 0)
		say_syscalls(c, out);
	if (all || c->totals.lost > 0)
		text_printf(
			out,
			c->totals.is_counted
				? "glovebox: records: %llu taken in the kernel, %llu delivered, %llu lost\n"
				: "glovebox: records: %llu taken, %llu delivered, %llu lost\n",
			(unsigned long long)c->totals.emitted,
			(unsigned long long)c->totals.delivered,
			(unsigned long long)c->totals.lost);
}
