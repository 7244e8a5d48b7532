// SPDX-License-Identifier: Apache-2.0
/* sandbox/scan.h - the change list of layers. */
#ifndef SANDBOX_SCAN_H
#define SANDBOX_SCAN_H

#include <stdint.h>

/*
 * scan_layers() - send every difference that some layers make
 *
 * Needs:	to run inside the session's user namespace
 * Leaves:	a struct sb_change for each on `sock`, SB_CHANGE_END last; contents
 *		and attributes as fds
 * Must not:	follow a symbolic link, cross a mount, or open a special file
 *
 * `uppers` are the roots of the layers, lowest first; `now` is the workspace with
 * them and all below, `base` without them. All are directories, borrowed. 0 or
 * -errno (of the socket).
 */
int scan_layers(int sock, const int *uppers, uint32_t count, int now, int base);

#endif
