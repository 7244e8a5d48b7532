// SPDX-License-Identifier: Apache-2.0
/* sandbox/keeper.h - the process that holds one session and clones its calls. */
#ifndef SANDBOX_KEEPER_H
#define SANDBOX_KEEPER_H

#include "sandbox/wire.h"

/*
 * Builds the session that `request` asks for, answers on `sock`, then serves
 * LEAF, START, RETIRE and CLOSE until end of file. Takes `sock`, `filter` and `shown`.
 * Kills whatever runs before it returns. Runs in a process of its own.
 */
_Noreturn void keeper_main(const struct sb_config *config, const struct sb_request *request,
			   int sock, int filter, int shown);

#endif
