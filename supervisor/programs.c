// SPDX-License-Identifier: Apache-2.0
/* supervisor/programs.c - which programs a call ran, by their content. */
#include "supervisor/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/session.h"

/* A larger one is not read: the largest program of a distribution has some hundred MiB. */
#define PROGRAM_BYTES_MAX (512ll << 20)

/* The kernel's dev_t (include/linux/kdev_t.h), as stat(2) gives it. */
static dev_t device_of(uint32_t dev)
{
	return makedev(dev >> 20, dev & 0xfffff);
}

/* The name comes from the call: nothing is opened before it is known what it is. An
 * overlay has a device of its own, so of a file of the workspace the inode must do. */
static const char *hash_file(const char *path, const struct tally_program *p, bool is_workspace,
			     char ret[65])
{
	AUTO_FD name = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	AUTO_FD fd = -1;
	char link[48];
	struct stat st;

	if (name < 0 || fstat(name, &st) < 0)
		return "this machine has no file there";
	if (!S_ISREG(st.st_mode) || st.st_ino != p->ino ||
	    (!is_workspace && st.st_dev != device_of(p->dev)))
		return "what this machine has there is another file";
	if (st.st_size > PROGRAM_BYTES_MAX)
		return "it is larger than 512 MiB";
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", name);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "it cannot be read";
	return changes_hash(fd, ret) < 0 ? "it cannot be read" : NULL;
}

static const struct change *find_change(const struct changes *changes, const char *path)
{
	for (size_t i = 0; changes && i < changes->count; i++)
		if (changes->at[i].sha256[0] && strcmp(changes->at[i].path, path) == 0)
			return &changes->at[i];
	return NULL;
}

static void add_one(const struct call *c, const struct changes *changes,
		    const struct tally_program *p, struct text *t)
{
	const struct session *s = c->session;
	size_t n = strlen(s->at);
	bool is_inside = strncmp(p->path, s->at, n) == 0 && p->path[n] == '/';
	const struct change *made = is_inside ? find_change(changes, p->path + n + 1) : NULL;
	AUTO_TEXT real = { 0 };
	char sha256[65] = "";
	const char *why = NULL;

	if (is_inside)
		text_printf(&real, "%s%s", s->workspace, p->path + n);
	else
		text_printf(&real, "%s%s", s->policy->tree ? s->policy->tree : "", p->path);
	if (made)
		memcpy(sha256, made->sha256, sizeof(sha256));
	else
		why = real.at ? hash_file(real.at, p, is_inside, sha256) : strerror(ENOMEM);
	text_add(t, "{\"path\":");
	text_add_json(t, p->path, strlen(p->path));
	text_printf(t, ",\"dev\":\"%u:%u\",\"ino\":%llu", p->dev >> 20, p->dev & 0xfffff,
		    (unsigned long long)p->ino);
	if (why)
		text_printf(t, ",\"sha256\":null,\"why\":\"%s\"}", why);
	else
		text_printf(t, ",\"sha256\":\"%s\",\"src\":\"%s\"}", sha256,
			    made        ? "change"
			    : is_inside ? "workspace"
					: "machine");
}

void programs_add_json(const struct call *c, const struct changes *changes, struct text *out)
{
	const struct tally *y = c->tally;

	text_add(out, ",\"programs\":[");
	for (uint32_t i = 0; i < y->program_count; i++) {
		text_add(out, i ? "," : "");
		add_one(c, changes, &y->programs[i], out);
	}
	text_add(out, "]");
	if (y->programs_cut > 0)
		text_printf(out, ",\"programs_cut\":%u", y->programs_cut);
}
