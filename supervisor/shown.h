// SPDX-License-Identifier: Apache-2.0
/* supervisor/shown.h - a policy's files, as the warden takes them. */
#ifndef SUPERVISOR_SHOWN_H
#define SUPERVISOR_SHOWN_H

#include "sandbox/wire.h"
#include "supervisor/policy.h"

/* A sealed memfd of struct sb_shown. Gives the fd. 0, -E2BIG, -errno. */
int shown_make(const struct policy *p, int *ret_fd);

/* Adds what the policy may show to what the warden is allowed to. The texts are copied
 * and live as long as the program. 0, -ENOMEM, -E2BIG with *why. */
int shown_allow(struct sb_config *config, const struct policy *p, struct text *why);

#endif
