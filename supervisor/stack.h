// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/stack.h - the layers of a session, and which calls wrote them.
 *
 * The lowest lies on the workspace. The top one takes writes while a call runs.
 */
#ifndef SUPERVISOR_STACK_H
#define SUPERVISOR_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/wire.h"
#include "supervisor/text.h"

/* Above this the two lowest become one: a lookup in the workspace asks each. */
#define STACK_SQUASH 16

struct stack_layer {
	uint32_t number; /* of its directory */
	uint32_t *calls; /* who wrote it, ascending; owned */
	uint32_t call_count;
};

struct stack {
	struct stack_layer at[SB_LAYERS_MAX];
	uint32_t count;
	uint32_t next; /* number of the next one */
};

/* A new layer on top. 0, -ENOSPC (squash first) or -errno. */
int stack_push(struct stack *s);

/* The top one goes (its directory does not). */
void stack_pop(struct stack *s);

/* Takes layer `index` out; those above move down. */
void stack_remove(struct stack *s, uint32_t index);

/* A call writes the top layer. 0 or -ENOMEM. */
int stack_add_call(struct stack *s, uint32_t call);

/* Index of the layer a call wrote. -1: none (it changed nothing, or its layer was
 * committed, dropped or undone). */
int stack_find_call(const struct stack *s, uint32_t call);

/* The two lowest have become the lowest. 0 or -ENOMEM. */
int stack_join_lowest(struct stack *s);

/* The numbers alone, lowest first. */
void stack_numbers(const struct stack *s, uint32_t ret[SB_LAYERS_MAX]);

/* Copies deeply. 0 or -ENOMEM. */
int stack_copy(struct stack *ret, const struct stack *s);

void stack_done(struct stack *s);

/* "3, 5 and 6", for messages. */
void stack_add_calls(const struct stack_layer *l, struct text *out);

#endif
