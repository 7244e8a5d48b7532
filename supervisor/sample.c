// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/sample.c - what a call uses, once a second, as events.
 *
 * The files of its control group tell, where it has one and the controller; what no file
 * tells is not in the event. A paused call uses nothing new, so it is not told of.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/call_inner.h"
#include "supervisor/leaf.h"
#include "supervisor/session.h"
#include "supervisor/watchdog.h"

#define SAMPLE_US 1000000u

/* One file of the group; "" where there is none. */
static bool read_file(const struct call *c, const char *name, char *text, size_t size)
{
	text[0] = '\0';
	return c->leaf[SB_LEAF_DIR] >= 0 &&
	       io_read_file(c->leaf[SB_LEAF_DIR], name, text, size) > 0;
}

/* The sum of all "<key>=<number>", one for each device. */
static uint64_t sum_of(const char *text, const char *key)
{
	uint64_t sum = 0;

	for (const char *at = strstr(text, key); at; at = strstr(at + 1, key))
		sum += strtoull(at + strlen(key), NULL, 10);
	return sum;
}

static void add_io(const struct call *c, struct text *t)
{
	char text[4096];

	if (read_file(c, "io.stat", text, sizeof(text)))
		text_printf(t, ",\"io\":{\"read_bytes\":%llu,\"write_bytes\":%llu}",
			    (unsigned long long)sum_of(text, "rbytes="),
			    (unsigned long long)sum_of(text, "wbytes="));
}

/* Percent of the last ten seconds in which some task of it waited (PSI, 4.20). */
static void add_pressure(const struct call *c, struct text *t)
{
	static const char *const names[] = { "cpu", "memory", "io" };
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[256], file[32];
		const char *at;

		(void)snprintf(file, sizeof(file), "%s.pressure", names[i]);
		if (!read_file(c, file, text, sizeof(text)))
			continue;
		at = strstr(text, "some avg10=");
		if (!at)
			continue;
		at += strlen("some avg10=");
		text_printf(t, "%s\"%s\":%.*s", first ? ",\"pressure\":{" : ",", names[i],
			    (int)strspn(at, "0123456789."), at);
		first = false;
	}
	if (!first)
		text_add(t, "}");
}

static int on_sample(sd_event_source *s, uint64_t now, void *context)
{
	struct call *c = context;
	struct text *t;
	char text[64];

	(void)now;
	watchdog_look(c);
	if (!c->on_sample)
		return 0; /* it is being killed */
	if (c->state == CALL_RUNNING) {
		t = call_begin(c, "call.usage");
		text_printf(t, ",\"cpu_ns\":%llu,\"processes\":%u",
			    (unsigned long long)leaf_cpu_ns(c), leaf_processes(c));
		if (read_file(c, "memory.current", text, sizeof(text)))
			text_printf(t, ",\"memory_bytes\":%llu", strtoull(text, NULL, 10));
		else
			text_printf(t, ",\"memory_bytes\":%llu,\"memory_src\":\"processes\"",
				    (unsigned long long)leaf_memory_bytes(c));
		add_io(c, t);
		add_pressure(c, t);
		text_printf(t, ",\"output_bytes\":%llu", (unsigned long long)call_output_bytes(c));
		call_end(c);
	}
	(void)sd_event_source_set_time_relative(s, SAMPLE_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int call_sample(struct call *c)
{
	return sd_event_add_time_relative(c->session->loop, &c->on_sample, CLOCK_MONOTONIC,
					  SAMPLE_US, 50000, on_sample, c);
}
