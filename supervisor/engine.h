// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/engine.h - a seccomp profile in the format of the container engines.
 *
 * Both forms are read: the engines' own (includes, excludes, minKernel, archMap) and that
 * of the OCI runtime specification (architectures). Only for profile.c.
 */
#ifndef SUPERVISOR_ENGINE_H
#define SUPERVISOR_ENGINE_H

#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "supervisor/text.h"

struct engine;
struct cJSON;

/* Takes it apart for a process without capabilities on this kernel. 0 or -EINVAL. */
int engine_read(const struct cJSON *json, struct engine **ret, struct text *why);
void engine_free(struct engine *e);

uint32_t engine_default(const struct engine *e); /* SCMP_ACT_* */
int engine_add_rules(const struct engine *e, scmp_filter_ctx ctx);

/* The errno with which these arguments are refused; 0: they are not. */
int engine_refuses(const struct engine *e, int nr, const uint64_t args[6]);

/* Whether its verdict hangs on the arguments. */
bool engine_depends(const struct engine *e, int nr);

void engine_errors(const struct engine *e, int nr, uint16_t *ret_error, uint16_t *ret_error2);

#endif
