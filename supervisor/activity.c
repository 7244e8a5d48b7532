// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/activity.c - what processes did, read from the places the kernel side filled.
 *
 * A place is given back only by setting its owner to 0, after all else: the kernel side
 * takes one whose owner is 0.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/io.h"
#include "supervisor/monitor_inner.h"

/* A process whose end was lost keeps its place no longer than this. */
#define LOOK_NS 250000000ull

static void add_error(struct watched *w, uint64_t key, uint64_t count)
{
	uint16_t nr = (uint16_t)(key & 0xffff), error = (uint16_t)(key >> 16);

	for (uint32_t i = 0; i < w->error_count; i++)
		if (w->errors[i].nr == nr && w->errors[i].error == error) {
			w->errors[i].count += count;
			return;
		}
	if (w->error_count == w->error_room) {
		uint32_t room = w->error_room ? 2 * w->error_room : 32;
		struct monitor_error *more = realloc(w->errors, room * sizeof(*more));

		if (!more)
			return;
		w->errors = more;
		w->error_room = room;
	}
	w->errors[w->error_count++] =
		(struct monitor_error){ .nr = nr, .error = error, .count = count };
}

/* Whose it was is written last: from then on the kernel side takes it. */
static void give_back(struct monitor *m, const struct watched *w, struct watch_process *p)
{
	memset((char *)p + sizeof(p->tgid), 0, sizeof(*p) - sizeof(p->tgid));
	__atomic_store_n(&p->tgid, 0, __ATOMIC_RELEASE);
	(void)__atomic_sub_fetch(&m->bpf->bss->watch_wishes[w - m->slots].processes, 1,
				 __ATOMIC_RELAXED);
}

static void take(struct monitor *m, struct watched *w, struct watch_process *p)
{
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++)
		w->counts[nr] += p->counts[nr];
	for (int i = 0; i < WATCH_PAIRS; i++)
		if (p->pairs[i].count > 0)
			add_error(w, p->pairs[i].key, p->pairs[i].count);
	tally_did(w->to.tally, p);
	give_back(m, w, p);
}

static bool is_of(const struct watched *w, const struct watch_process *p)
{
	return p->tgid != 0 && p->generation == w->generation;
}

void activity_end_process(struct monitor *m, struct watched *w, uint32_t host_pid)
{
	size_t first = (host_pid & (WATCH_PROCESSES / WATCH_WAYS - 1)) * WATCH_WAYS;

	for (size_t i = first; i < first + WATCH_WAYS; i++)
		if (m->processes[i].tgid == host_pid && is_of(w, &m->processes[i]))
			take(m, w, &m->processes[i]);
}

void activity_end_call(struct monitor *m, struct watched *w)
{
	for (size_t i = 0; i < WATCH_PROCESSES; i++)
		if (is_of(w, &m->processes[i]))
			take(m, w, &m->processes[i]);
}

void activity_drop_call(struct monitor *m, struct watched *w)
{
	for (size_t i = 0; i < WATCH_PROCESSES; i++)
		if (is_of(w, &m->processes[i]))
			give_back(m, w, &m->processes[i]);
}

void activity_look(struct monitor *m)
{
	uint64_t now = io_now_ns();

	if (now - m->looked_at_processes_ns < LOOK_NS)
		return;
	m->looked_at_processes_ns = now;
	for (size_t i = 0; i < WATCH_PROCESSES; i++) {
		struct watch_process *p = &m->processes[i];
		struct watched *w = &m->slots[p->slot % WATCH_SLOTS];

		if (p->tgid != 0 && __atomic_load_n(&p->ended, __ATOMIC_ACQUIRE) &&
		    watched_is_live(w) && is_of(w, p))
			take(m, w, p);
	}
}
