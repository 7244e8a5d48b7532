// SPDX-License-Identifier: Apache-2.0
/* supervisor/words.h - what the numbers of a system call are called in C. */
#ifndef SUPERVISOR_WORDS_H
#define SUPERVISOR_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/text.h"

/* Appends the name of an argument's value, as a C program or strace writes it:
 * "PROT_READ|PROT_EXEC". `arg` is the argument's name in syscalls.c or trace_table.h.
 * False: it has none, and nothing is added. */
bool words_add(struct text *t, const char *syscall, const char *arg, uint64_t value);

/* The flags of an open: each by itself, as JSON strings, without brackets. */
void words_add_open_flags(struct text *t, uint64_t flags);

#endif
