// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/burst.c - writes to a file, added up to one event for each burst.
 *
 * The kernel side sends the first write of a burst, with the path, and counts the others
 * in a place of their own. Here that place is looked at: what stood still for a look is
 * over, what does not end is told each second. A place is given back only a look after
 * its key is gone, when no program can still be about to count in it. The key changes when
 * the call renames something: what is written then has its path asked for again.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/io.h"
#include "supervisor/monitor_inner.h"

/* How long a burst may pause. */
#define LOOK_NS 250000000ull
/* A burst that does not end is told each second: in looks. */
#define LOOKS_LONG 4

int burst_init(struct monitor *m)
{
	int map = bpf_map__fd(m->bpf->maps.watch_burst_free);

	for (uint32_t i = 0; i < WATCH_BURSTS; i++) {
		int r = bpf_map_update_elem(map, NULL, &i, BPF_ANY);

		if (r < 0)
			return r;
	}
	return 0;
}

static void give_back(struct monitor *m, uint32_t index)
{
	(void)bpf_map_update_elem(bpf_map__fd(m->bpf->maps.watch_burst_free), NULL, &index,
				  BPF_ANY);
}

static void tell(struct monitor *m, struct watched *w, struct burst *b)
{
	const struct watch_burst *at = &m->bursts[b->index];
	struct watch_burst now = { at->ops - b->told.ops, at->bytes - b->told.bytes,
				   b->told.ops ? b->told.last_ns : at->first_ns, at->last_ns };

	if (now.ops == 0)
		return;
	decode_write(&b->head, &w->to, &b->path, &now);
	b->told.ops += now.ops;
	b->told.bytes += now.bytes;
	b->told.last_ns = now.last_ns;
}

static void forget_key(struct monitor *m, struct burst *b)
{
	int map = bpf_map__fd(m->bpf->maps.watch_burst_index);
	uint32_t index;

	/* another may have begun in the meantime, under the same key */
	if (bpf_map_lookup_elem(map, &b->key, &index) == 0 && index == b->index)
		(void)bpf_map_delete_elem(map, &b->key);
	b->is_over = true;
}

static void drop(struct monitor *m, const struct watched *w, struct burst **at)
{
	struct burst *b = *at;

	*at = b->next;
	give_back(m, b->index);
	(void)__atomic_sub_fetch(&m->bpf->bss->watch_wishes[w - m->slots].bursts, 1,
				 __ATOMIC_RELAXED);
	text_done(&b->path);
	free(b);
}

static struct watch_burst_key key_of(const struct event *e)
{
	return (struct watch_burst_key){
		.dentry = e->args[EVENT_ARG_WRITE_DENTRY],
		.inode = e->args[EVENT_ARG_WRITE_INODE],
		.name = e->args[EVENT_ARG_WRITE_NAME],
		.tgid = e->host_pid,
		.slot = (uint32_t)e->args[EVENT_ARG_WRITE_SLOT],
	};
}

void burst_begin(struct watched *w, const struct event *e)
{
	uint64_t index = e->args[EVENT_ARG_WRITE_BURST];
	struct burst *b = index < WATCH_BURSTS ? calloc(1, sizeof(*b)) : NULL;
	struct watch_burst one = { 1, e->args[EVENT_ARG_WRITE_BYTES], e->when_ns, e->when_ns };
	struct text path = { 0 };

	decode_path(e, &path);
	if (!b) {
		/* of no burst; or no memory: then its place is never used again, for who may
		 * still count in it is not known */
		decode_write(e, &w->to, &path, &one);
		text_done(&path);
		return;
	}
	memcpy(&b->head, e, EVENT_HEAD_SIZE);
	b->path = path;
	b->index = (uint32_t)index;
	b->key = key_of(e);
	b->next = w->bursts;
	w->bursts = b;
}

void burst_end_process(struct monitor *m, struct watched *w, uint32_t host_pid)
{
	for (struct burst *b = w->bursts; b; b = b->next)
		if (b->head.host_pid == host_pid) {
			tell(m, w, b);
			if (!b->is_over)
				forget_key(m, b);
		}
}

static void look(struct monitor *m, struct watched *w)
{
	for (struct burst **at = &w->bursts; *at;) {
		struct burst *b = *at;
		uint64_t ops = m->bursts[b->index].ops;

		if (b->is_over) {
			tell(m, w, b);
			drop(m, w, at);
			continue;
		}
		if (ops == b->seen_ops) {
			tell(m, w, b);
			forget_key(m, b);
		} else if (++b->looks % LOOKS_LONG == 0) {
			tell(m, w, b);
		}
		b->seen_ops = ops;
		at = &b->next;
	}
}

void burst_look(struct monitor *m)
{
	uint64_t now = io_now_ns();

	if (now - m->looked_at_bursts_ns < LOOK_NS)
		return;
	m->looked_at_bursts_ns = now;
	for (uint32_t i = 0; i < WATCH_SLOTS; i++)
		if (watched_is_live(&m->slots[i]) && m->slots[i].bursts)
			look(m, &m->slots[i]);
}

void burst_end_call(struct monitor *m, struct watched *w)
{
	while (w->bursts) {
		tell(m, w, w->bursts);
		forget_key(m, w->bursts);
		drop(m, w, &w->bursts);
	}
}

void burst_drop_call(struct monitor *m, struct watched *w)
{
	while (w->bursts) {
		forget_key(m, w->bursts);
		drop(m, w, &w->bursts);
	}
}
