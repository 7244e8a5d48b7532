// SPDX-License-Identifier: Apache-2.0
/* supervisor/input.h - standard input of a call, from the protocol. */
#ifndef SUPERVISOR_INPUT_H
#define SUPERVISOR_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

/* Bytes that wait for a tool that does not read. */
#define INPUT_WAIT_MAX (4u << 20)

struct input;

/* Takes `to`, which must not block. 0 or -errno. */
int input_new(sd_event *loop, int to, bool is_tty, struct input **ret);

/* Adds bytes; then closes it when told to (a terminal gets its end-of-file key). 0,
 * -EPIPE (it is closed), -ENOBUFS (too much waits; nothing was added). */
int input_add(struct input *in, const char *data, size_t size, bool close);

/* The terminal, for its size. */
int input_fd(const struct input *in);

void input_free(struct input *in);

#endif
