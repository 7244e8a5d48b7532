// SPDX-License-Identifier: Apache-2.0
/* supervisor/control.h - operator.sock: where people reach in. */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <systemd/sd-event.h>

#include "supervisor/session.h"

struct control;

/* Serves `listener` (taken) for one session. 0 or -errno. */
int control_start(struct control **ret, sd_event *loop, int listener, struct session *s);

/* Sends what is waiting, as far as it goes at once, and closes. NULL is nothing. */
void control_free(struct control *c);

#endif
