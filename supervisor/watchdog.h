// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/watchdog.h - events are never silently absent.
 *
 * Once a second each call asks whether what it does still reaches us: the programs run, the
 * kernel side knows the call, the ring is read. When not, the policy's on_monitor_loss is
 * done (kill, or pause until an operator lets it go on), and it is said.
 */
#ifndef SUPERVISOR_WATCHDOG_H
#define SUPERVISOR_WATCHDOG_H

struct call;

void watchdog_look(struct call *c);

/* At the end of a call: delivered and lost are all there were, by the kernel's counter. */
void watchdog_check_totals(struct call *c);

#endif
