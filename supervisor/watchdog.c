// SPDX-License-Identifier: Apache-2.0
/* supervisor/watchdog.c - events are never silently absent. */
#include "supervisor/watchdog.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/call.h"
#include "supervisor/call_inner.h"
#include "supervisor/session.h"

#define BY "supervisor"

static void tell(struct call *c, const char *why, const char *did)
{
	struct text *t = call_begin(c, "monitor.lost");
	struct text *h;

	call_add_text(t, "why", why);
	call_add_text(t, "did", did);
	h = call_begin_human(c, "not watched");
	if (h)
		text_printf(h, " any more: %s; the policy's on_monitor_loss: %s\n", why, did);
	call_end(c);
}

void watchdog_look(struct call *c)
{
	bool pauses = c->session->policy->pauses_blind;
	char reason[192];
	const char *why;

	if (!c->monitor || c->is_blind || c->state == CALL_KILLING || c->state == CALL_DONE)
		return;
	why = monitor_failure(c->monitor);
	if (!why && !monitor_watches(c->monitor, c->slot))
		why = "the kernel side has lost the call: its entry in a map is gone";
	if (!why)
		return;
	c->is_blind = true;
	tell(c, why, pauses ? "pause" : "kill");
	(void)snprintf(reason, sizeof(reason), "it cannot be watched any more: %s", why);
	if (pauses && call_pause(c, CALL_PAUSE_BLIND, BY, NULL, NULL) == 0)
		return;
	(void)call_kill(c, BY, reason, NULL, NULL);
}

void watchdog_check_totals(struct call *c)
{
	struct monitor_totals *m = &c->totals;
	struct text *t;

	m->is_exact = m->delivered + m->lost == m->emitted && m->drain_error == 0;
	if (m->is_exact)
		return;
	t = call_begin(c, "lost");
	text_printf(t, ",\"count\":%llu,\"why\":\"%s\"",
		    (unsigned long long)(m->emitted - m->lost - m->delivered),
		    m->drain_error ? "nobody reads the ring" : "the totals do not agree");
	call_end(c);
	/* what nobody has seen is lost, whatever the reason */
	m->lost = m->emitted - m->delivered;
}
