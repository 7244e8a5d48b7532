// SPDX-License-Identifier: Apache-2.0
/* tests/unit/influence.c - who wrote what, over renames, against a list that does it simply. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/influence.h"

#define STR(s) s, strlen(s)

Test(influence, a_file_is_its_last_writers_over_renames_of_what_is_above_it)
{
	struct influence b = { 0 };

	influence_set(&b, INFLUENCE_FILE, STR("/w/d/e/f"), 3);
	influence_set(&b, INFLUENCE_FILE, STR("/w/d/g"), 4);
	influence_rename(&b, STR("/w/d"), STR("/w/x/y"));
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/x/y/e/f")), 3);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/x/y/g")), 4);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/d/g")), 0);
	influence_rename(&b, STR("/w/new"), STR("/w/x/y/g"));
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/x/y/g")), 0);
	influence_done(&b);
	cr_assert(b.count == 0 && b.bytes == 0);
}

Test(influence, who_writes_last_is_who_wrote_it)
{
	struct influence b = { 0 };

	influence_set_real(&b, STR("/w/f"), 1, 10);
	influence_set_real(&b, STR("/w/f"), 2, 20);
	influence_wrote(&b, STR("/w/f"), 1, 15);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/f")), 2, "it is told late");
	influence_wrote(&b, STR("/w/f"), 1, 25);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/f")), 1);
	/* what the first has open still is another file by now */
	influence_set_real(&b, STR("/w/new"), 2, 22);
	influence_rename(&b, STR("/w/new"), STR("/w/f"));
	influence_touch(&b, STR("/w/f"), 30);
	influence_wrote(&b, STR("/w/f"), 1, 29);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/f")), 2);
	influence_wrote(&b, STR("/w/unknown"), 1, 40);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/unknown")), 0);
	influence_done(&b);
}

Test(influence, a_directory_that_was_put_there_is_above_all_in_it)
{
	struct influence b = { 0 };

	influence_set(&b, INFLUENCE_FILE, STR("/w/d"), 3);
	influence_set(&b, INFLUENCE_FILE, STR("/w/d/known"), 4);
	cr_assert_eq(influence_find_above(&b, STR("/w/d/e/f")), 3);
	cr_assert_eq(influence_find_above(&b, STR("/w/d")), 0, "not of itself");
	cr_assert_eq(influence_find_above(&b, STR("/w/other/f")), 0);
	influence_doubt(&b, STR("/w/d/known"));
	cr_assert(influence_is_doubted(&b, STR("/w/d/known")));
	influence_set(&b, INFLUENCE_FILE, STR("/w/d/known"), 5);
	cr_assert(!influence_is_doubted(&b, STR("/w/d/known")));
	influence_done(&b);
	cr_assert(b.count == 0 && b.bytes == 0);
}

Test(influence, two_that_are_exchanged_are)
{
	struct influence b = { 0 };

	influence_set(&b, INFLUENCE_FILE, STR("/w/a/one"), 1);
	influence_set(&b, INFLUENCE_FILE, STR("/w/b"), 2);
	influence_exchange(&b, STR("/w/a"), STR("/w/b"));
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/b/one")), 1);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/a")), 2);
	influence_exchange(&b, STR("/w/a"), STR("/w/unknown"));
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/unknown")), 2);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/w/a")), 0);
	influence_done(&b);
}

Test(influence, nothing_goes_into_itself)
{
	struct influence b = { 0 };

	influence_set(&b, INFLUENCE_FILE, STR("/w/a/f"), 1);
	influence_rename(&b, STR("/w/a"), STR("/w/a/b/c"));
	cr_assert(b.is_cut && influence_find(&b, INFLUENCE_FILE, STR("/w/a/b/c/f")) == 0);
	influence_set(&b, INFLUENCE_FILE, STR("/w/a/f"), 1);
	influence_rename(&b, STR("/w/a/f"), STR("/w/a"));
	influence_rename(&b, STR("/w/a"), STR("/w/a"));
	influence_exchange(&b, STR("/w"), STR("/w/a"));
	influence_done(&b);
	cr_assert_eq(b.count, 0);
}

Test(influence, sockets_go_with_their_call_and_files_do_not)
{
	struct influence b = { 0 };

	influence_set(&b, INFLUENCE_SOCKET, STR("127.0.0.1 port 80"), 1);
	influence_set(&b, INFLUENCE_SOCKET, STR("/tmp/sock"), 2);
	influence_set(&b, INFLUENCE_FILE, STR("/tmp/sock"), 1);
	influence_end_call(&b, 1);
	cr_assert_eq(influence_find(&b, INFLUENCE_SOCKET, STR("127.0.0.1 port 80")), 0);
	cr_assert_eq(influence_find(&b, INFLUENCE_SOCKET, STR("/tmp/sock")), 2);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/tmp/sock")), 1);
	influence_forget_files(&b);
	cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR("/tmp/sock")), 0);
	influence_done(&b);
}

Test(influence, names_without_end_are_cut_and_given_back)
{
	struct influence b = { 0 };
	char path[600];

	for (int i = 0; i < 2 * INFLUENCE_ENTRIES; i++) {
		(void)snprintf(path, sizeof(path), "/%0200d/%d", i, i);
		influence_set(&b, INFLUENCE_FILE, STR(path), 1);
		cr_assert(b.count <= INFLUENCE_ENTRIES && b.bytes <= INFLUENCE_BYTES);
	}
	cr_assert(b.is_cut);
	memset(path, 'a', sizeof(path));
	for (size_t i = 0; i < sizeof(path); i += 2)
		path[i] = '/';
	influence_forget_files(&b);
	influence_set(&b, INFLUENCE_FILE, path, sizeof(path), 1);
	cr_assert_eq(b.count, 0);
	influence_done(&b);
}

/* --- against a list ---------------------------------------------------------------------- */

#define LIST 512

struct entry {
	char path[64];
	unsigned int call;
};

static struct entry list[LIST];
static size_t count;

static bool is_at_or_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static void list_drop(const char *top)
{
	for (size_t i = 0; i < count;)
		if (is_at_or_below(list[i].path, top))
			list[i] = list[--count];
		else
			i++;
}

static void list_set(const char *path, unsigned int call)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].path, path) == 0) {
			list[i].call = call;
			return;
		}
	(void)snprintf(list[count].path, sizeof(list[count].path), "%s", path);
	list[count++].call = call;
}

static void list_rename(const char *from, const char *to)
{
	if (strcmp(from, to) == 0)
		return;
	list_drop(to);
	for (size_t i = 0; i < count; i++)
		if (is_at_or_below(list[i].path, from)) {
			char rest[64];

			(void)snprintf(rest, sizeof(rest), "%s", list[i].path + strlen(from));
			(void)snprintf(list[i].path, sizeof(list[i].path), "%s%s", to, rest);
		}
}

/* Three names deep at most, of three each: what is renamed is often there. */
static void pick(char path[64])
{
	int depth = 1 + rand() % 3;

	path[0] = '\0';
	for (int i = 0; i < depth; i++)
		(void)snprintf(path + strlen(path), 64 - strlen(path), "/%c", 'a' + rand() % 3);
}

Test(influence, a_hundred_thousand_random_things_are_as_in_a_list)
{
	struct influence b = { 0 };

	srand(20261128);
	for (int round = 0; round < 100000; round++) {
		char one[64], two[64];
		int what = rand() % 8;

		pick(one);
		pick(two);
		if (what < 4) {
			influence_set(&b, INFLUENCE_FILE, STR(one), (uint32_t)round + 1);
			list_set(one, (unsigned int)round + 1);
		} else if (what < 7 && !is_at_or_below(two, one)) {
			influence_rename(&b, STR(one), STR(two));
			list_rename(one, two);
		} else if (what == 7) {
			influence_remove(&b, INFLUENCE_FILE, STR(one));
			list_drop(one);
		}
		for (size_t i = 0; i < count; i++) {
			cr_assert(strlen(list[i].path) < 40);
			cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR(list[i].path)),
				     list[i].call, "round %d: %s", round, list[i].path);
		}
		pick(one);
		for (size_t i = 0; i <= count; i++)
			if (i == count)
				cr_assert_eq(influence_find(&b, INFLUENCE_FILE, STR(one)), 0);
			else if (strcmp(list[i].path, one) == 0)
				break;
		/* paths grow with each rename: begin anew before they are too long */
		if (round % 50 == 0) {
			influence_forget_files(&b);
			count = 0;
			cr_assert_eq(b.count, 0);
		}
	}
	influence_done(&b);
}
