// SPDX-License-Identifier: Apache-2.0
/* supervisor/stack.c - the layers of a session, and which calls wrote them. */
#include "supervisor/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stack_push(struct stack *s)
{
	if (s->count == SB_LAYERS_MAX || s->next > SB_LAYER_NUMBER_MAX)
		return -ENOSPC;
	if (s->next == 0)
		s->next = 1;
	s->at[s->count++] = (struct stack_layer){ .number = s->next++ };
	return 0;
}

void stack_remove(struct stack *s, uint32_t index)
{
	free(s->at[index].calls);
	memmove(&s->at[index], &s->at[index + 1], (s->count - index - 1) * sizeof(s->at[0]));
	s->count--;
}

void stack_pop(struct stack *s)
{
	stack_remove(s, s->count - 1);
}

static int add_call(struct stack_layer *l, uint32_t call)
{
	uint32_t *more = realloc(l->calls, (l->call_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	l->calls = more;
	l->calls[l->call_count++] = call;
	return 0;
}

int stack_add_call(struct stack *s, uint32_t call)
{
	return add_call(&s->at[s->count - 1], call);
}

int stack_find_call(const struct stack *s, uint32_t call)
{
	for (uint32_t i = 0; i < s->count; i++)
		for (uint32_t j = 0; j < s->at[i].call_count; j++)
			if (s->at[i].calls[j] == call)
				return (int)i;
	return -1;
}

int stack_join_lowest(struct stack *s)
{
	for (uint32_t i = 0; i < s->at[1].call_count; i++)
		if (add_call(&s->at[0], s->at[1].calls[i]) < 0)
			return -ENOMEM;
	stack_remove(s, 1);
	return 0;
}

void stack_numbers(const struct stack *s, uint32_t ret[SB_LAYERS_MAX])
{
	for (uint32_t i = 0; i < s->count; i++)
		ret[i] = s->at[i].number;
}

int stack_copy(struct stack *ret, const struct stack *s)
{
	*ret = (struct stack){ .next = s->next };
	for (uint32_t i = 0; i < s->count; i++) {
		ret->at[ret->count++] = (struct stack_layer){ .number = s->at[i].number };
		for (uint32_t j = 0; j < s->at[i].call_count; j++)
			if (stack_add_call(ret, s->at[i].calls[j]) < 0) {
				stack_done(ret);
				return -ENOMEM;
			}
	}
	return 0;
}

void stack_done(struct stack *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		free(s->at[i].calls);
	s->count = 0;
}

void stack_add_calls(const struct stack_layer *l, struct text *out)
{
	for (uint32_t i = 0; i < l->call_count; i++)
		text_printf(out, "%s%u",
			    i == 0                   ? ""
			    : i + 1 == l->call_count ? " and "
						     : ", ",
			    l->calls[i]);
}
