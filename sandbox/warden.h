// SPDX-License-Identifier: Apache-2.0
/* sandbox/warden.h - the process with the privileges. */
#ifndef SANDBOX_WARDEN_H
#define SANDBOX_WARDEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "sandbox/wire.h"

/*
 * Forks the warden. Call it before anything large is mapped and before any
 * thread is made: small page tables keep its clones fast. Gives the supervisor's
 * end of the socket and the warden's pid, which the caller waits for at the end.
 * Keeps `config` (the child's copy, where it opens the tools). 0 or -errno.
 */
int warden_start(struct sb_config *config, int *ret_sock, pid_t *ret_pid);

/* One question and its answer, with fds both ways; the answer's become the
 * caller's. 0, or -errno of the socket (-EPIPE: nobody is there); what the
 * warden itself says is in ret->error. */
int warden_ask(int sock, const struct sb_request *q, const int *fds, unsigned int count,
	       struct sb_reply *ret, int *ret_fds, unsigned int *ret_count);

/* Whether a workspace lies in one of the roots, and neither holds nor lies in what
 * is Glovebox's own. Text only: the opening follows no link. */
bool warden_may_show(const struct sb_config *config, const char *workspace);

/* Removes the sockets of an instance and their directory. */
void warden_remove_run_dir(const char *path);

#endif
