// SPDX-License-Identifier: Apache-2.0
/* supervisor/client.c - a command line's end of the protocol. */
#include "supervisor/client.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "supervisor/place.h"
#include "supervisor/rpc.h"

/* A supervisor that does not answer by then is stuck; say so. */
#define ANSWER_MS 10000

static int connect_to(const char *instance, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s/operator.sock", place_run(),
		     instance) >= (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	*ret_fd = fd_take(&fd);
	return 0;
}

static int read_line(int fd, struct text *line)
{
	char buf[4096];

	while (!line->at || !memchr(line->at, '\n', line->len)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, ANSWER_MS) <= 0)
			return -ETIMEDOUT;
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		text_add_n(line, buf, (size_t)n);
		if (line->len > 4 * RPC_LINE_MAX || line->failed)
			return -EMSGSIZE;
	}
	return 0;
}

static int exchange(const char *instance, const char *request, cJSON **ret)
{
	AUTO_TEXT line = { 0 };
	AUTO_FD fd = -1;
	int r;

	r = connect_to(instance, &fd);
	if (r == 0)
		r = send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 ? -errno : 0;
	if (r == 0)
		r = read_line(fd, &line);
	if (r < 0)
		return r;
	*ret = cJSON_ParseWithLength(line.at, line.len);
	return *ret ? 0 : -EBADMSG;
}

static DIR *open_run(void)
{
	return opendir(place_run());
}

int client_ask_all(const char *method, client_fn fn, void *context)
{
	AUTO_TEXT request = { 0 };
	struct dirent *e;
	int answered = 0, refused_us = 0;
	DIR *d = open_run();

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	text_printf(&request, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}\n", method);
	while ((e = readdir(d))) {
		cJSON *json = NULL;
		const cJSON *result;

		int r;

		if (e->d_name[0] == '.')
			continue;
		r = exchange(e->d_name, request.at, &json);
		refused_us += r == -EACCES;
		if (r < 0)
			continue;
		result = cJSON_GetObjectItemCaseSensitive(json, "result");
		if (result) {
			answered++;
			fn(result, context);
		}
		cJSON_Delete(json);
	}
	(void)closedir(d);
	/* "nothing runs" must not be said by somebody who may not look */
	return answered == 0 && refused_us > 0 ? -EACCES : answered;
}

/* The instance whose name begins like the id, without its ".N". */
static int find_instance(const char *id, char *ret, size_t size, struct text *why)
{
	size_t n = strcspn(id, ".");
	unsigned int found = 0;
	struct dirent *e;
	DIR *d = open_run();

	while (d && n > 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && strncmp(e->d_name, id, n) == 0) {
			found++;
			(void)snprintf(ret, size, "%s", e->d_name);
		}
	if (d)
		(void)closedir(d);
	if (found == 1)
		return 0;
	text_add(why, found ? "more than one begins with \"" : "nothing that runs is called \"");
	text_add_safe(why, id, strlen(id));
	text_add(why, "\"; `glovebox ps` lists what runs");
	return found ? -ENOTUNIQ : -ENOENT;
}

static int refused(const cJSON *json, struct text *why)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");

	if (cJSON_IsString(message))
		text_add_safe(why, message->valuestring, strlen(message->valuestring));
	else
		text_add(why, "the supervisor's answer makes no sense");
	return cJSON_IsNumber(code) && code->valueint == RPC_NOT_FOUND ? -ENOENT : -EPROTO;
}

int client_ask(const char *id, const char *method, const char *reason, cJSON **ret,
	       struct text *why)
{
	AUTO_TEXT request = { 0 };
	char instance[NAME_MAX + 1];
	cJSON *json = NULL;
	cJSON *result;
	int r;

	r = find_instance(id, instance, sizeof(instance), why);
	if (r < 0)
		return r;
	text_printf(&request,
		    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"id\":", method);
	text_add(&request, "\"");
	text_add(&request, instance);
	text_add(&request, strchr(id, '.') ? strchr(id, '.') : "");
	text_add(&request, "\"");
	if (reason) {
		text_add(&request, ",\"reason\":");
		text_add_json(&request, reason, strlen(reason));
	}
	text_add(&request, "}}\n");
	r = exchange(instance, request.at, &json);
	if (r < 0) {
		text_printf(why, "the supervisor of %s cannot be reached: %s", instance,
			    strerror(-r));
		return r == -EACCES ? r : -ENOTCONN;
	}
	result = cJSON_DetachItemFromObjectCaseSensitive(json, "result");
	r = result ? 0 : refused(json, why);
	cJSON_Delete(json);
	if (r == 0)
		*ret = result;
	return r;
}
