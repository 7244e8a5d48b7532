// SPDX-License-Identifier: Apache-2.0
/* tests/unit/event_abi.c - C and the BPF object agree about every record. */
#include <bpf/btf.h>
#include <criterion/criterion.h>
#include <stddef.h>

#include "bpf/event.h"

#ifndef BPF_OBJECT
#define BPF_OBJECT "build/bpf/watch.bpf.o"
#endif

static struct btf *object(void)
{
	struct btf *btf = btf__parse_elf(BPF_OBJECT, NULL);

	cr_assert_not_null(btf, "%s has no BTF: run make first", BPF_OBJECT);
	return btf;
}

static void check_member(const struct btf *btf, const char *type, const char *member, size_t offset)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	const struct btf_type *t;

	cr_assert_gt(id, 0, "struct %s is not in the object", type);
	t = btf__type_by_id(btf, (__u32)id);
	for (__u32 i = 0; i < btf_vlen(t); i++)
		if (strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), member) == 0) {
			cr_assert_eq(btf_member_bit_offset(t, i), offset * 8, "%s.%s", type,
				     member);
			return;
		}
	cr_assert_fail("%s.%s is not in the object", type, member);
}

static void check_size(const struct btf *btf, const char *type, size_t size)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	cr_assert_gt(id, 0, "struct %s is not in the object", type);
	cr_assert_eq(btf__type_by_id(btf, (__u32)id)->size, size, "sizeof %s", type);
}

#define MEMBER(type, member) check_member(btf, #type, #member, offsetof(struct type, member))

Test(event_abi, offsets_in_c_equal_those_in_the_bpf_object)
{
	struct btf *btf = object();

	MEMBER(event, kind);
	MEMBER(event, flags);
	MEMBER(event, slot);
	MEMBER(event, generation);
	MEMBER(event, seq);
	MEMBER(event, when_ns);
	MEMBER(event, host_pid);
	MEMBER(event, pid);
	MEMBER(event, ppid);
	MEMBER(event, nr);
	MEMBER(event, ret);
	MEMBER(event, args);
	MEMBER(event, len);
	MEMBER(event, comm);
	MEMBER(event, data);
	MEMBER(event, start_ns);
	MEMBER(event, parent_start_ns);
	MEMBER(event, host_ppid);
	MEMBER(event, tid);
	MEMBER(watch_call, generation);
	MEMBER(watch_call, slot);
	MEMBER(watch_call, init_pid);
	MEMBER(watch_call, session);
	MEMBER(watch_call, flags);
	MEMBER(watch_process, recent);
	MEMBER(watch_process, counts);
	MEMBER(watch_process, pairs);
	MEMBER(watch_burst, bytes);
	MEMBER(watch_wish, trace);
	MEMBER(watch_stats, seq);
	MEMBER(watch_stats, dropped);
	MEMBER(watch_stats, errors_missed);
	MEMBER(watch_shape, flags);
	MEMBER(watch_shape, deny_errno);
	MEMBER(watch_shape, deny_errno2);
	MEMBER(watch_error_key, nr);
	MEMBER(watch_error_key, error);
	btf__free(btf);
}

Test(event_abi, sizes_in_c_equal_those_in_the_bpf_object)
{
	struct btf *btf = object();

	check_size(btf, "event", sizeof(struct event));
	check_size(btf, "watch_call", sizeof(struct watch_call));
	check_size(btf, "watch_stats", sizeof(struct watch_stats));
	check_size(btf, "watch_shape", sizeof(struct watch_shape));
	check_size(btf, "watch_counts", sizeof(struct watch_counts));
	check_size(btf, "watch_process", sizeof(struct watch_process));
	check_size(btf, "watch_burst", sizeof(struct watch_burst));
	check_size(btf, "watch_burst_key", sizeof(struct watch_burst_key));
	check_size(btf, "watch_wish", sizeof(struct watch_wish));
	check_size(btf, "watch_error_key", sizeof(struct watch_error_key));
	btf__free(btf);
}

Test(event_abi, the_head_has_no_hidden_padding)
{
	cr_assert_eq(EVENT_HEAD_SIZE,
		     2 + 2 + 4 + 3 * 8 + 4 * 4 + 8 + 6 * 8 + 4 * 2 + 16 + 2 * 8 + 2 * 4);
}
