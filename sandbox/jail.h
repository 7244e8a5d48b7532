// SPDX-License-Identifier: Apache-2.0
/* sandbox/jail.h - one call: from the clone to the tool, and its init. */
#ifndef SANDBOX_JAIL_H
#define SANDBOX_JAIL_H

#include <linux/filter.h>
#include <sys/types.h>

#include "sandbox/wire.h"

/* The namespaces of a session, kept alive by their fds. */
struct jail_session {
	int userns, mntns, netns, ipcns, utsns;
	const char *at; /* where the workspace is shown */
	const struct sb_shown *shown;
	uint32_t landlock_abi; /* 0 where the kernel has none */
	uint32_t flags; /* enum sb_flag */
	uint32_t root_id; /* who owns the session's user namespace, inside: 0 where it is mapped */
	bool is_single; /* its user is the only id that is mapped */
	bool asks; /* the filter has a listener */
	bool is_masked; /* some names of the workspace do not exist inside */
	struct sb_limits limits;
	struct sock_fprog filter;
};

/* Everything a call will be. Complete and checked before the clone, constant
 * after it. The child borrows it (a copy of the keeper's memory). */
struct sb_plan {
	const struct jail_session *session;
	int leaf; /* cgroup directory it is born in, -1: there is none */
	bool is_shown; /* its processes, to the supervisor: no group limits its memory */
	int keeper; /* pidfd of the process that clones */
	int failure; /* pipe for struct sb_failure, close on exec */
	int init; /* socket for struct sb_init_message */
	int block; /* memfd: struct sb_block and strings */
	int stdio[3]; /* not with SB_FLAG_TTY */
	bool is_tty;
	uint16_t rows, columns; /* of the terminal; 0: none is set */

	/* the workspace: of a call that shares its layers, or an overlay of our own */
	int shared; /* mount namespace of that call, -1: mount `layers` */
	int ready; /* socket: the mount namespace goes there when it is mounted */
	const uint32_t *layers;
	uint32_t layer_count;
};

/* Clones the init of a call, which becomes the tool's parent. Gives a pidfd and
 * the pid. 0 or -errno (of the clone; later failures arrive on plan->failure). */
int jail_start(const struct sb_plan *plan, int *ret_pidfd, pid_t *ret_pid);

/* The two halves, in files of their own. Both run in the child. */
_Noreturn void jail_become_init(const struct sb_plan *plan, pid_t tool);
_Noreturn void jail_become_tool(const struct sb_plan *plan, int terminal, int rules);

/* Says why and ends the child. */
_Noreturn void jail_fail(const struct sb_plan *plan, uint32_t stage, int error);

#endif
