// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/asking.h - a seccomp filter that asks, made of one that does not.
 *
 * Where no BPF program can watch, the filter tells the supervisor of what is worth an event
 * (seccomp_unotify(2)), and of what it refuses. The verdict stays the plain filter's, on the
 * same numbers: it is run here a second time. No memory of the tool has a part in it, so
 * nothing the tool changes afterwards changes it.
 */
#ifndef SUPERVISOR_ASKING_H
#define SUPERVISOR_ASKING_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

struct asking {
	struct sock_filter *plain; /* owned */
	size_t count;
	int fd; /* memfd of the filter that asks, sealed; owned */
};

/* Reads the plain filter and makes the other. 0, -E2BIG: the kernel takes no longer
 * programs, or -errno. */
int asking_make(int plain, struct asking **ret);
void asking_free(struct asking *a);

/* What the plain filter answers: a SECCOMP_RET_*. An instruction that no filter of ours
 * has is answered with EPERM. */
uint32_t asking_verdict(const struct asking *a, const struct seccomp_data *data);

#endif
