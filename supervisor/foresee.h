// SPDX-License-Identifier: Apache-2.0
/* supervisor/foresee.h - what a system call will answer, where it is only seen before. */
#ifndef SUPERVISOR_FORESEE_H
#define SUPERVISOR_FORESEE_H

#include <stdbool.h>

#include "bpf/event.h"

/*
 * Fills in what is certain of a record that was made before the call: `ret` where a mount
 * or the network refuses it, EVENT_F_CREATED where an open will make the file, the name
 * that the path of a program leads to. `root` is that of the call, -1 while it is not
 * known. False: it is no event (nothing is opened for writing, or no such program).
 */
bool foresee(struct event *e, int root);

#endif
