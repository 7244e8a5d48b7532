// SPDX-License-Identifier: Apache-2.0
/* supervisor/place.c - where things lie on this machine, or in a user's home. */
#include "supervisor/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/store.h"
#include "supervisor/user.h"

#define STATE_DIR "/var/lib/glovebox"
#define RUN_DIR "/run/glovebox"

/* The value of a variable that is an absolute path, or NULL. */
static const char *path_of(const char *variable)
{
	const char *dir = getenv(variable);

	return dir && dir[0] == '/' ? dir : NULL;
}

/* The XDG base directories. Without one for what runs, the sockets are beside the state;
 * without a home that is where it goes when the machine starts again. */
const char *place_state(void)
{
	static char path[PATH_MAX];
	const char *given = path_of("GLOVEBOX_STATE");

	if (given || !user_is_single())
		return given ? given : STATE_DIR;
	if (path_of("XDG_STATE_HOME"))
		(void)snprintf(path, sizeof(path), "%s/glovebox", path_of("XDG_STATE_HOME"));
	else if (path_of("HOME"))
		(void)snprintf(path, sizeof(path), "%s/.local/state/glovebox", path_of("HOME"));
	else
		(void)snprintf(path, sizeof(path), "/tmp/glovebox-%u", user_outside());
	return path;
}

const char *place_run(void)
{
	static char path[PATH_MAX];
	const char *given = path_of("GLOVEBOX_RUN");
	struct stat st;

	if (given || !user_is_single())
		return given ? given : RUN_DIR;
	if (path_of("XDG_RUNTIME_DIR") && stat(path_of("XDG_RUNTIME_DIR"), &st) == 0)
		(void)snprintf(path, sizeof(path), "%s/glovebox", path_of("XDG_RUNTIME_DIR"));
	else
		(void)snprintf(path, sizeof(path), "%s/run", place_state());
	return path;
}

const char *place_run_of_machine(void)
{
	return path_of("GLOVEBOX_RUN") || geteuid() == 0 ? NULL : RUN_DIR;
}

static int fail(struct text *why, const char *what, const char *path, int r)
{
	text_printf(why, "cannot %s ", what);
	text_add_safe(why, path, strlen(path));
	text_printf(why, ": %s", strerror(-r));
	return r;
}

/* Of root and writable by nobody else: what lies below is trusted. */
static int make_trusted(const char *path, mode_t mode, struct text *why)
{
	struct stat st;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return fail(why, "make", path, -errno);
	if (lstat(path, &st) < 0)
		return fail(why, "look at", path, -errno);
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022))
		return fail(why,
			    user_is_single() ? "trust (yours, and writable by nobody else)"
					     : "trust (root's, and writable by nobody else)",
			    path, -EPERM);
	return 0;
}

/* A home may have no ~/.local yet. */
static void make_parents(const char *path)
{
	char copy[PATH_MAX];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = strchr(copy + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(copy, 0700);
		*p = '/';
	}
}

int place_make(struct text *why)
{
	int r;

	if (user_is_single())
		make_parents(place_state());
	r = make_trusted(place_state(), user_is_single() ? 0700 : 0711, why);
	if (r == 0)
		r = make_trusted(place_run(), user_is_single() ? 0700 : 0755, why);
	if (r < 0)
		return r;
	/* roots are built on it by processes of the sessions' ids */
	if (!user_is_single() && chmod(place_run(), 0755) < 0)
		return fail(why, "open to all", place_run(), -errno);
	return 0;
}

int place_prepare(const char *id, char ret_dir[PATH_MAX], struct text *why)
{
	int r = place_make(why);

	if (r < 0)
		return r;
	if (snprintf(ret_dir, PATH_MAX, "%s/%s", place_run(), id) >= PATH_MAX)
		return fail(why, "use", place_run(), -ENAMETOOLONG);
	if (mkdir(ret_dir, 0711) < 0)
		return fail(why, "make", ret_dir, -errno);
	return 0;
}

int place_listen(const char *dir, const char *name, const char *group, int *ret_fd,
		 struct text *why)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const struct group *members = user_is_single() ? NULL : getgrnam(group);
	AUTO_FD fd = -1;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name) >=
	    (int)sizeof(addr.sun_path))
		return fail(why, "listen in", dir, -ENAMETOOLONG);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(why, "listen in", dir, -errno);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chown(addr.sun_path, 0, members ? members->gr_gid : 0) < 0 ||
	    chmod(addr.sun_path, members ? 0660 : 0600) < 0 || listen(fd, SOMAXCONN) < 0)
		return fail(why, "listen on", addr.sun_path, -errno);
	*ret_fd = fd_take(&fd);
	return 0;
}

static bool somebody_listens(const char *instance)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s/operator.sock",
			       place_run(), instance) >= (int)sizeof(addr.sun_path))
		return true;
	/* only a refusal proves that nobody does */
	return connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 ||
	       (errno != ECONNREFUSED && errno != ENOENT);
}

/* The warden of an instance that was killed ends what runs first; it has this long. */
#define ADOPT_MS 15000
#define ADOPT_STEP_MS 5

static int wait_free(const char *dir)
{
	for (int i = 0; i < ADOPT_MS / ADOPT_STEP_MS; i++) {
		AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return stat(dir, &st) < 0 ? -errno : 0;
		(void)poll(NULL, 0, ADOPT_STEP_MS);
	}
	return -EADDRINUSE;
}

int place_adopt(const char *id, char ret_dir[PATH_MAX], struct text *why)
{
	static const char *const names[] = { "operator.sock", "agent.sock" };
	char path[PATH_MAX];
	int r;

	if (somebody_listens(id)) {
		text_printf(why,
			    "an instance called \"%s\" runs already; --name gives this one "
			    "another name",
			    id);
		return -EADDRINUSE;
	}
	(void)snprintf(ret_dir, PATH_MAX, "%s/%s", place_run(), id);
	r = wait_free(ret_dir);
	if (r == -ENOENT) /* its warden has cleaned up just now */
		r = mkdir(ret_dir, 0711) < 0 ? -errno : 0;
	if (r < 0)
		return fail(why, "take over", ret_dir, r);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s/%s", place_run(), id, names[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return fail(why, "remove", path, -errno);
	}
	return 0;
}

void place_sweep(const char *own)
{
	struct dirent *e;
	DIR *d = opendir(place_run());

	while (d && (e = readdir(d))) {
		char path[PATH_MAX];
		struct stat st;

		/* an instance that is just starting has no socket yet: only those with one */
		if (e->d_name[0] == '.' || strcmp(e->d_name, own) == 0 ||
		    snprintf(path, sizeof(path), "%s/%s/operator.sock", place_run(), e->d_name) >=
			    PATH_MAX ||
		    lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || somebody_listens(e->d_name))
			continue;
		(void)unlink(path);
		(void)snprintf(path, sizeof(path), "%s/%s/agent.sock", place_run(), e->d_name);
		(void)unlink(path);
		(void)snprintf(path, sizeof(path), "%s/%s", place_run(), e->d_name);
		(void)rmdir(path);
	}
	if (d)
		(void)closedir(d);
}

void place_each_session(void (*fn)(const char *id, void *context), void *context)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/sessions", place_state());
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char id[SB_ID_MAX] = "";

		if (strlen(e->d_name) >= sizeof(id))
			continue;
		memcpy(id, e->d_name, strlen(e->d_name));
		if (store_id_is_sound(id))
			fn(id, context);
	}
	if (d)
		(void)closedir(d);
}

int place_open_session(const char *id, int *ret_fd)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/sessions/%s", place_state(), id) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int place_find_session(const char *prefix, char ret[SB_ID_MAX], struct text *why)
{
	size_t n = strcspn(prefix, ".");
	char path[PATH_MAX];
	unsigned int found = 0;
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/sessions", place_state());
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] != 's' || n == 0 || strlen(e->d_name) >= SB_ID_MAX ||
		    strncmp(e->d_name, prefix, n) != 0)
			continue;
		found++;
		memset(ret, 0, SB_ID_MAX);
		(void)snprintf(ret, SB_ID_MAX, "%.*s", SB_ID_MAX - 1, e->d_name);
	}
	if (d)
		(void)closedir(d);
	if (found == 1)
		return 0;
	if (found)
		text_printf(why, "%u sessions begin with \"", found);
	else
		text_add(why, "there is no session \"");
	text_add_safe(why, prefix, strlen(prefix));
	text_add(why, found ? "\"; give more of the id"
			    : "\"; a session without changes is removed when it ends");
	return found ? -ENOTUNIQ : -ENOENT;
}

int place_open_own_dir(int *ret_fd)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;
	int fd;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}
