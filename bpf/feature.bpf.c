// SPDX-License-Identifier: (GPL-2.0 OR Apache-2.0)
/*
 * bpf/feature.bpf.c - two programs that do nothing but fire, for `doctor`.
 *
 * Loading and attaching prove nothing: on a kernel whose lsm= list lacks bpf, an
 * LSM program loads, attaches, and is never called. So these count.
 */
#include "bpf/kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int feature_pid; /* whose calls count */
unsigned long long lsm_fired;
unsigned long long fentry_fired;

SEC("lsm/bprm_check_security")
int BPF_PROG(feature_lsm, struct linux_binprm *bprm, int ret)
{
	if (bpf_get_current_pid_tgid() >> 32 == feature_pid)
		__sync_fetch_and_add(&lsm_fired, 1);
	return ret;
}

SEC("fentry/security_file_open")
int BPF_PROG(feature_fentry, struct file *file)
{
	if (bpf_get_current_pid_tgid() >> 32 == feature_pid)
		__sync_fetch_and_add(&fentry_fired, 1);
	return 0;
}
