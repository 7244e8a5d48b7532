// SPDX-License-Identifier: Apache-2.0
/* tests/jail/writer.c - the writer refuses what is never right, whoever asks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "sandbox/apply.h"
#include "sandbox/store.h"
#include "sandbox/wire.h"

static char root[] = "/tmp/glovebox-writer.XXXXXX";
static char workspace[64];

static void start(void)
{
	cr_assert_not_null(mkdtemp(root));
	(void)snprintf(workspace, sizeof(workspace), "%s/ws", root);
	cr_assert_eq(mkdir(workspace, 0755), 0);
}

static void stop(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	cr_assert_eq(system(command), 0);
}

static int start_writer(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	if (fork() == 0) {
		(void)close(pair[0]);
		_exit(apply_changes(pair[1], open(workspace, O_PATH | O_DIRECTORY), "s-writertest0",
				    memfd_create("journal", 0)) < 0);
	}
	(void)close(pair[1]);
	return pair[0];
}

static int ask(int sock, struct sb_change *c, int content)
{
	int fds[IO_FDS_MAX];
	unsigned int count;

	c->has_fd = content >= 0;
	cr_assert_eq(io_send(sock, c, sizeof(*c), &content, content >= 0), 0);
	cr_assert_eq(io_recv(sock, c, sizeof(*c), fds, &count), 1);
	return c->error;
}

/* One change, and its commit. */
static int apply(uint32_t kind, const char *path, uint32_t mode, const char *target)
{
	static struct sb_change c;
	int content = memfd_create("content", 0);
	int sock = start_writer();
	int r;

	memset(&c, 0, sizeof(c));
	c.kind = kind;
	c.mode = mode;
	(void)snprintf(c.path, sizeof(c.path), "%s", path);
	(void)snprintf(c.target, sizeof(c.target), "%s", target ? target : "");
	(void)!write(content, "new\n", 4);
	r = ask(sock, &c, kind == SB_CHANGE_FILE ? content : -1);
	if (r == 0) {
		memset(&c, 0, sizeof(c));
		c.kind = SB_CHANGE_COMMIT;
		r = ask(sock, &c, -1);
	}
	(void)close(content);
	(void)close(sock);
	(void)wait(NULL);
	return r;
}

static mode_t mode_of(const char *path)
{
	char full[128];
	struct stat st = { 0 };

	(void)snprintf(full, sizeof(full), "%s/ws/%s", root, path);
	(void)lstat(full, &st);
	return st.st_mode;
}

TestSuite(writer, .init = start, .fini = stop);

Test(writer, setuid_setgid_and_sticky_bits_are_dropped)
{
	cr_assert_eq(apply(SB_CHANGE_FILE, "tool", S_IFREG | 07755, NULL), 0);
	cr_assert_eq(mode_of("tool"), S_IFREG | 0755);
}

Test(writer, a_path_out_of_the_workspace_is_refused)
{
	cr_assert_lt(apply(SB_CHANGE_FILE, "../x", S_IFREG | 0644, NULL), 0);
	cr_assert_lt(apply(SB_CHANGE_FILE, "/etc/x", S_IFREG | 0644, NULL), 0);
	cr_assert_lt(apply(SB_CHANGE_FILE, "a/../../x", S_IFREG | 0644, NULL), 0);
	cr_assert_lt(apply(SB_CHANGE_FILE, "..", S_IFREG | 0644, NULL), 0);
	cr_assert_lt(apply(SB_CHANGE_FILE, "", S_IFREG | 0644, NULL), 0);
	cr_assert_eq(mode_of("../x"), 0u);
}

Test(writer, a_parent_that_is_a_symlink_is_not_followed)
{
	char link[128];

	(void)snprintf(link, sizeof(link), "%s/ws/out", root);
	cr_assert_eq(symlink("/tmp", link), 0);
	cr_assert_eq(apply(SB_CHANGE_FILE, "out/glovebox-escaped", S_IFREG | 0644, NULL), -ELOOP);
	cr_assert_neq(access("/tmp/glovebox-escaped", F_OK), 0);
}

Test(writer, a_target_that_is_a_symlink_is_replaced_not_followed)
{
	char link[128], victim[128];
	struct stat st;

	(void)snprintf(victim, sizeof(victim), "%s/victim", root);
	(void)snprintf(link, sizeof(link), "%s/ws/file", root);
	(void)close(open(victim, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(symlink(victim, link), 0);
	cr_assert_eq(apply(SB_CHANGE_FILE, "file", S_IFREG | 0644, NULL), 0);
	cr_assert(S_ISREG(mode_of("file")));
	cr_assert_eq(stat(victim, &st), 0);
	cr_assert_eq(st.st_size, 0);
}

Test(writer, a_link_that_leaves_is_refused)
{
	cr_assert_eq(apply(SB_CHANGE_LINK, "out", S_IFLNK | 0777, "/etc"), -EXDEV);
	cr_assert_eq(apply(SB_CHANGE_LINK, "in", S_IFLNK | 0777, "a/b"), 0);
}

Test(writer, special_files_and_unknown_kinds_are_refused)
{
	cr_assert_eq(apply(SB_CHANGE_SPECIAL, "fifo", S_IFIFO | 0644, NULL), -EPERM);
	cr_assert_eq(apply(99, "x", 0, NULL), -EPERM);
}

Test(writer, nothing_is_done_before_the_word_and_nothing_stays_without_it)
{
	static struct sb_change c = { .kind = SB_CHANGE_DIR, .mode = S_IFDIR | 0755, .path = "d" };
	int sock = start_writer();
	char path[128];

	cr_assert_eq(ask(sock, &c, -1), 0);
	cr_assert_eq(mode_of("d"), 0);
	(void)close(sock);
	(void)wait(NULL);
	cr_assert_eq(mode_of("d"), 0);
	(void)snprintf(path, sizeof(path), "%s/.glovebox-s-writertest", workspace);
	cr_assert_neq(access(path, F_OK), 0);
}

Test(writer, names_of_its_own_are_refused)
{
	cr_assert_eq(apply(SB_CHANGE_FILE, ".glovebox-s-abcdefghij/x", S_IFREG | 0644, NULL),
		     -EPERM);
}

Test(store, an_id_is_two_signs_and_ten_of_a_to_z_and_digits)
{
	cr_assert(store_id_is_sound("s-abcdefghij\0\0\0"));
	cr_assert_not(store_id_is_sound("s-abcdefghi/\0\0\0"));
	cr_assert_not(store_id_is_sound("s-../../../\0\0\0\0"));
	cr_assert_not(store_id_is_sound("s-abcdefghijk\0\0"));
	cr_assert_not(store_id_is_sound("s-ABCDEFGHIJ\0\0\0"));
}
