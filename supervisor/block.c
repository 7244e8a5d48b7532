// SPDX-License-Identifier: Apache-2.0
/* supervisor/block.c - argv, environment and directory of a call, in a memfd. */
#include "supervisor/block.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/wire.h"

int block_make(const char *const *argv, const char *const *own, const struct policy *policy,
	       const char *cwd, int *ret_fd)
{
	AUTO_FD fd = -1;
	AUTO_TEXT strings = { 0 };
	AUTO_TEXT env = { 0 };
	struct sb_block head = { .abi = SB_ABI };
	int r;

	text_add_n(&strings, cwd, strlen(cwd) + 1);
	for (const char *const *a = argv; *a; a++, head.argc++)
		text_add_n(&strings, *a, strlen(*a) + 1);
	r = policy_build_env(policy, own, environ, &env, &head.envc);
	if (r < 0)
		return r;
	text_add_n(&strings, env.at, env.len);
	if (strings.failed)
		return -ENOMEM;
	if (strings.len > SB_BLOCK_MAX)
		return -E2BIG;
	head.bytes = (uint32_t)strings.len;
	fd = memfd_create("glovebox-call", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, &head, sizeof(head));
	if (r == 0)
		r = io_write_all(fd, strings.at, strings.len);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}
