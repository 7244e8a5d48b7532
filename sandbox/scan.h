// SPDX-License-Identifier: Apache-2.0
/* sandbox/scan.h - the change list of a layer, and a writer for the workspace. */
#ifndef SANDBOX_SCAN_H
#define SANDBOX_SCAN_H

/*
 * scan_layer() - send every difference between a layer and the workspace
 *
 * Needs:	to run inside the session's user namespace
 * Leaves:	a struct sb_change for each on `sock`, SB_CHANGE_END last; the
 *		contents as fds (the layer's, then the workspace's)
 * Must not:	follow a symbolic link, cross a mount, or open a special file
 *
 * `upper` and `base` are directories. 0 or -errno (of the socket).
 */
int scan_layer(int sock, int upper, int base);

/*
 * apply_changes() - write what arrives on `sock` into the workspace
 *
 * Needs:	to run as the workspace's owner, without capabilities
 * Leaves:	each struct sb_change answered with its `error`
 * Must not:	step outside `workspace`, create anything but files, directories
 *		and links, or set a bit above 0777
 *
 * Returns at end of file. 0 or -errno (of the socket).
 */
int apply_changes(int sock, int workspace);

#endif
