// SPDX-License-Identifier: Apache-2.0
/* supervisor/asking.c - a seccomp filter that asks, made of one that does not. */
#include "supervisor/asking.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/wire.h"
#include "supervisor/profile.h"
#include "supervisor/syscalls.h"

/* The head, and two instructions for each call that is asked about. */
#define FRONT_MAX 512

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define ASK BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

/* What is reported when it begins, and every open: it may be of what the policy hides.
 * What only looks at names is not asked about, because each question is a round trip. */
static bool is_asked(int nr)
{
	const struct syscall_row *row = syscalls_find(nr);
	const char *name = profile_syscall_name(nr);

	if (strcmp(name, "execve") == 0 || strcmp(name, "execveat") == 0)
		return true;
	return row && strcmp(row->kind, "sys.call") != 0 &&
	       (row->shape.flags & SYSCALLS_REPORTED & ~WATCH_PROBE) &&
	       (!(row->shape.more & ~WATCH_RENAMES) || strcmp(name, "bind") == 0);
}

static size_t emit_front(struct sock_filter *f)
{
	size_t n = 0;

	f[n++] = (struct sock_filter)LOAD(arch);
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	n++; /* over all of it: below */
	f[n++] = (struct sock_filter)LOAD(nr);
	for (int nr = 0; nr < WATCH_SYSCALLS; nr++) {
		if (!is_asked(nr))
			continue;
		f[n++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1);
		f[n++] = (struct sock_filter)ASK;
	}
	f[2] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(n - 3));
	return n;
}

/* What every thread meets, and libc goes on from, is not worth a question. */
static bool is_refusal(const struct sock_filter *f)
{
	return f->code == (BPF_RET | BPF_K) &&
	       (f->k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO &&
	       (f->k & SECCOMP_RET_DATA) != ENOSYS;
}

static int seal(const struct sock_filter *f, size_t count, int *ret_fd)
{
	AUTO_FD fd = memfd_create("glovebox-asking", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : io_write_all(fd, f, count * sizeof(*f));

	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r == 0)
		*ret_fd = fd_take(&fd);
	return r;
}

static int read_plain(int fd, struct asking *a)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	a->count = (size_t)st.st_size / sizeof(*a->plain);
	a->plain = calloc(a->count + 1, sizeof(*a->plain));
	if (!a->plain)
		return -ENOMEM;
	return pread(fd, a->plain, (size_t)st.st_size, 0) == st.st_size ? 0 : -EIO;
}

int asking_make(int plain, struct asking **ret)
{
	static struct watch_shape shapes[WATCH_SYSCALLS];
	AUTO_MEM struct sock_filter *f = calloc(FRONT_MAX + SB_FILTER_MAX, sizeof(*f));
	struct asking *a = calloc(1, sizeof(*a));
	size_t front;
	int r;

	if (!f || !a) {
		free(a);
		return -ENOMEM;
	}
	a->fd = -1;
	syscalls_fill(shapes); /* the rows get their numbers */
	r = read_plain(plain, a);
	front = emit_front(f);
	if (r == 0 && front + a->count > SB_FILTER_MAX)
		r = -E2BIG;
	for (size_t i = 0; r == 0 && i < a->count; i++)
		f[front + i] = is_refusal(&a->plain[i]) ? (struct sock_filter)ASK : a->plain[i];
	if (r == 0)
		r = seal(f, front + a->count, &a->fd);
	if (r < 0)
		asking_free(a);
	else
		*ret = a;
	return r;
}

void asking_free(struct asking *a)
{
	if (!a)
		return;
	fd_done(&a->fd);
	free(a->plain);
	free(a);
}

/* True when the jump is taken. */
static bool compare(uint16_t op, uint32_t value, uint32_t k)
{
	switch (op) {
	case BPF_JEQ:
		return value == k;
	case BPF_JGT:
		return value > k;
	case BPF_JGE:
		return value >= k;
	default:
		return (value & k) != 0;
	}
}

uint32_t asking_verdict(const struct asking *a, const struct seccomp_data *data)
{
	const uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;
	uint32_t value = 0;

	/* jumps lead forward only: it ends */
	for (size_t at = 0; at < a->count; at++) {
		const struct sock_filter *f = &a->plain[at];

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f->k > sizeof(*data) - sizeof(value))
				return refuse;
			memcpy(&value, (const char *)data + f->k, sizeof(value));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			value &= f->k;
			break;
		case BPF_JMP | BPF_JA:
			at += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			at += compare(BPF_OP(f->code), value, f->k) ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			return refuse;
		}
	}
	return refuse;
}
