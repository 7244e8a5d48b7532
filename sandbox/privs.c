// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox/privs.c - giving privileges up, for good.
 *
 * Order that matters: the secure bits and the bounding set need CAP_SETPCAP, so
 * they go first; with the bits locked a change of ids no longer touches the
 * sets, so the ids may change before or after; the sets go last.
 *
 * capset(2) is called directly where libcap would allocate: this also runs
 * between clone and exec. libcap's constants are used, and the supervisor's
 * start-up check reads the result back through libcap.
 */
#include "sandbox/privs.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BITS                                                                                     \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                         \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

int privs_drop_bounding(void)
{
	int in;

	/* the first number the kernel does not know ends the list */
	for (int cap = 0; (in = prctl(PR_CAPBSET_READ, cap)) >= 0; cap++)
		if (in > 0 && prctl(PR_CAPBSET_DROP, cap) < 0)
			return -errno;
	return 0;
}

int privs_drop(uint64_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
		{ .effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32) },
	};
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (prctl(PR_SET_SECUREBITS, BITS) < 0)
		return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	r = privs_drop_bounding();
	if (r < 0)
		return r;
	if (syscall(SYS_capset, &head, data) < 0)
		return -errno;
	return 0;
}

int privs_become(uid_t uid, gid_t gid, bool keeps_groups)
{
	/* the bits first: without them the change of ids would take the rest */
	if (prctl(PR_SET_SECUREBITS, BITS) < 0)
		return -errno;
	if ((!keeps_groups && setgroups(0, NULL) < 0) || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	return privs_drop(0);
}
