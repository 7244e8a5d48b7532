// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/scope.c - a control group of the user's own, from his systemd.
 *
 * One method of its bus, StartTransientUnit (org.freedesktop.systemd1(5)), with the process
 * that asks as the only one in it. It is moved before the job is done, so the job's signal
 * is waited for, and no longer than a person would.
 */
#include "supervisor/scope.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/cgroup.h"

/* A manager that is busy starting answers within this; one that is stuck holds nobody up. */
#define ANSWER_US (5u * 1000 * 1000)

struct asked {
	char job[128];
	bool is_done;
};

static int on_job_removed(sd_bus_message *m, void *context, sd_bus_error *error)
{
	struct asked *a = context;
	const char *path;

	(void)error;
	if (sd_bus_message_read(m, "uoss", NULL, &path, NULL, NULL) >= 0 &&
	    strcmp(path, a->job) == 0)
		a->is_done = true;
	return 0;
}

static int ask(sd_bus *bus, struct asked *a)
{
	sd_bus_message *reply = NULL;
	const char *job = NULL;
	char name[64];
	int r;

	(void)snprintf(name, sizeof(name), "glovebox-%d.scope", getpid());
	r = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
			       "org.freedesktop.systemd1.Manager", "StartTransientUnit", NULL,
			       &reply, "ssa(sv)a(sa(sv))", name, "fail", 4, "Description", "s",
			       "Glovebox", "PIDs", "au", 1, (uint32_t)getpid(), "Delegate", "b", 1,
			       "CollectMode", "s", "inactive-or-failed", 0);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &job);
	if (r >= 0)
		(void)snprintf(a->job, sizeof(a->job), "%s", job);
	(void)sd_bus_message_unref(reply);
	return r;
}

void scope_enter(void)
{
	struct asked a = { 0 };
	sd_bus *bus = NULL;
	int r;

	if (cgroup_use(true) == 0 || sd_bus_open_user(&bus) < 0)
		return;
	(void)sd_bus_set_method_call_timeout(bus, ANSWER_US);
	r = sd_bus_match_signal(bus, NULL, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
				"org.freedesktop.systemd1.Manager", "JobRemoved", on_job_removed,
				&a);
	if (r >= 0)
		r = ask(bus, &a);
	while (r >= 0 && !a.is_done) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, ANSWER_US) > 0 ? 0 : -ETIMEDOUT;
	}
	(void)sd_bus_flush_close_unref(bus);
}
