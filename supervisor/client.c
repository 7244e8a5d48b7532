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
#include "supervisor/command.h"
#include "supervisor/own.h"
#include "supervisor/place.h"
#include "supervisor/rpc.h"

/* A supervisor that does not answer by then is stuck; say so. */
#define ANSWER_MS 20000
/* The longest answer: a list of 200,000 changes. */
#define ANSWER_MAX (256u << 20)
#define INSTANCES_MAX 1024
/* Bytes of a tool's output in words. */
#define TOOL_TEXT 100000u

static int connect_to(const char *instance, const char *name, struct client *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *dirs[] = { place_run(), place_run_of_machine() };
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = -ENOENT;

	if (fd < 0)
		return -errno;
	/* one's own comes first */
	for (size_t i = 0; i < ARRAY_SIZE(dirs) && dirs[i] && r == -ENOENT; i++) {
		if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s/%s", dirs[i], instance,
			     name) >= (int)sizeof(addr.sun_path))
			return -ENAMETOOLONG;
		r = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	}
	if (r < 0)
		return r;
	*c = (struct client){ .fd = fd_take(&fd) };
	(void)snprintf(c->instance, sizeof(c->instance), "%s", instance);
	return 0;
}

void client_done(struct client *c)
{
	fd_done(&c->fd);
	text_done(&c->in);
}

int client_send(struct client *c, const char *method, const char *params)
{
	AUTO_TEXT t = { 0 };
	size_t done = 0;

	text_printf(&t, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"", method);
	if (params) {
		text_add(&t, ",\"params\":{");
		text_add(&t, params);
		text_add(&t, "}");
	}
	text_add(&t, "}\n");
	while (done < t.len) {
		ssize_t n = send(c->fd, t.at + done, t.len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

bool client_has_line(const struct client *c)
{
	return c->in.len > c->passed &&
	       memchr(c->in.at + c->passed, '\n', c->in.len - c->passed) != NULL;
}

int client_next(struct client *c, int timeout_ms, char **ret_line)
{
	char buf[65536];
	char *nl;

	if (c->passed > 0) {
		memmove(c->in.at, c->in.at + c->passed, c->in.len - c->passed);
		c->in.len -= c->passed;
		c->passed = 0;
	}
	while (!(nl = c->in.len > 0 ? memchr(c->in.at, '\n', c->in.len) : NULL)) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		int r = poll(&p, 1, timeout_ms);
		ssize_t n;

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -ETIMEDOUT;
		n = read(c->fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		text_add_n(&c->in, buf, (size_t)n);
		if (c->in.len > ANSWER_MAX || c->in.failed)
			return -EMSGSIZE;
	}
	*nl = '\0';
	c->passed = (size_t)(nl + 1 - c->in.at);
	*ret_line = c->in.at;
	return 0;
}

char *client_event(char *line)
{
	static const char key[] = ",\"event\":";
	char *at = strncmp(line, "{\"jsonrpc\":\"2.0\",\"method\":\"event\"", 33) == 0
			   ? strstr(line, key)
			   : NULL;
	size_t n = at ? strlen(at) : 0;

	if (!at || n < sizeof(key) + 2)
		return NULL;
	at[n - 2] = '\0'; /* the braces of params and message */
	return at + sizeof(key) - 1;
}

/* An answer is {"jsonrpc":"2.0","id":1,"result":...} or with "error": its members are
 * written in this order. */
static int take_answer(char *line, char **ret_result, struct text *why)
{
	static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":";
	cJSON *json;
	const cJSON *error, *message, *code;
	int number;

	if (strncmp(line, head, sizeof(head) - 1) == 0) {
		line[strlen(line) - 1] = '\0';
		*ret_result = line + sizeof(head) - 1;
		return 0;
	}
	json = cJSON_Parse(line);
	error = cJSON_GetObjectItemCaseSensitive(json, "error");
	message = cJSON_GetObjectItemCaseSensitive(error, "message");
	code = cJSON_GetObjectItemCaseSensitive(error, "code");
	number = cJSON_IsNumber(code) ? code->valueint : 0;
	if (cJSON_IsString(message))
		text_add_safe(why, message->valuestring, strlen(message->valuestring));
	else
		text_add(why, "the supervisor's answer makes no sense");
	cJSON_Delete(json);
	return number == RPC_NOT_FOUND                                     ? -ENOENT
	       : number == RPC_NOT_PERMITTED                               ? -EPERM
	       : number == RPC_INVALID_PARAMS || number == RPC_PARSE_ERROR ? -EINVAL
	       : number == RPC_WRONG_STATE || number == RPC_CONFLICT || number == RPC_BUSY ||
			       number == RPC_INCOMPLETE
		       ? -EPROTO
		       : -EIO;
}

int client_refused(char *line, struct text *why)
{
	char *result;

	return take_answer(line, &result, why);
}

int client_exchange(struct client *c, const char *method, const char *params, int timeout_ms,
		    char **ret_result, struct text *why)
{
	char *line;
	int r = client_send(c, method, params);

	while (r == 0) {
		r = client_next(c, timeout_ms, &line);
		if (r == 0 && !client_event(line))
			return take_answer(line, ret_result, why);
	}
	text_printf(why, "the supervisor %s cannot be reached: %s", c->instance, strerror(-r));
	return r == -EACCES ? r : -ENOTCONN;
}

/* --- which supervisor --------------------------------------------------------- */

struct instances {
	char *at[INSTANCES_MAX];
	size_t count;
};

static bool has_instance(const struct instances *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->at[i], name) == 0)
			return true;
	return false;
}

static void add_instances(const char *dir, struct instances *ret)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) && ret->count < INSTANCES_MAX) {
		char *name;

		if (e->d_name[0] == '.' || has_instance(ret, e->d_name))
			continue;
		name = strdup(e->d_name);
		if (!name)
			continue;
		ret->at[ret->count++] = name;
		if (strncmp(name, "s-", 2) != 0) {
			ret->at[ret->count - 1] = ret->at[0];
			ret->at[0] = name;
		}
	}
	if (d)
		(void)closedir(d);
}

/* All of them; daemons first. */
static void list_instances(struct instances *ret)
{
	ret->count = 0;
	add_instances(place_run(), ret);
	if (place_run_of_machine())
		add_instances(place_run_of_machine(), ret);
}

static void free_instances(struct instances *all)
{
	while (all->count > 0)
		free(all->at[--all->count]);
}

static bool is_daemon(const char *instance)
{
	return strncmp(instance, "s-", 2) != 0;
}

/* Whether GLOVEBOX_HOST names one daemon. */
static bool is_one(const char *wanted)
{
	return wanted && wanted[0] && strcmp(wanted, "1") != 0;
}

/* Whether this supervisor knows the session of the id. */
static int has_id(struct client *c, const char *id)
{
	AUTO_TEXT params = { 0 };
	AUTO_TEXT why = { 0 };
	char *result;

	AUTO_TEXT session = { 0 };

	text_add_n(&session, id, strcspn(id, "."));
	client_add_member(&params, "id", session.at);
	return client_exchange(c, "session.show", params.at, ANSWER_MS, &result, &why);
}

static int fail_find(const char *id, size_t found, bool refused, struct text *why)
{
	if (refused && found == 0) {
		text_add(why, "the supervisors here are not yours to ask (operators are root and "
			      "the group glovebox)");
		return -EACCES;
	}
	if (id) {
		text_add(why, found ? "more than one begins with \""
				    : "no supervisor that runs here has \"");
		text_add_safe(why, id, strlen(id));
		text_add(why, "\"; `glovebox session list` shows what there is, and `glovebox "
			      "daemon` takes up what is kept");
	} else if (found == 0 && is_one(getenv("GLOVEBOX_HOST"))) {
		text_add(why, "no daemon runs here by the name that GLOVEBOX_HOST gives, \"");
		text_add_safe(why, getenv("GLOVEBOX_HOST"), strlen(getenv("GLOVEBOX_HOST")));
		text_add(why, "\"; names are those of the directories in ");
		text_add(why, place_run());
	} else {
		text_add(why, found ? "more than one daemon runs: name one with GLOVEBOX_HOST"
				    : "no daemon runs here: glovebox daemon --root DIR starts one");
	}
	return found ? -ENOTUNIQ : -ENOENT;
}

static int connect_id(const struct instances *all, const char *id, struct client *ret,
		      struct text *why)
{
	size_t n = strcspn(id, "."), found = 0;
	bool refused = false;

	for (size_t i = 0; i < all->count && n > 0; i++) {
		struct client c;
		int r;

		if (!is_daemon(all->at[i]) && strncmp(all->at[i], id, n) != 0)
			continue;
		r = connect_to(all->at[i], "operator.sock", &c);
		refused |= r == -EACCES;
		if (r < 0)
			continue;
		if (is_daemon(all->at[i]) && has_id(&c, id) < 0) {
			client_done(&c);
			continue;
		}
		if (found++ == 0)
			*ret = c;
		else
			client_done(&c);
	}
	if (found > 1)
		client_done(ret);
	return found == 1 ? 0 : fail_find(id, found, refused, why);
}

static int connect_daemon(const struct instances *all, bool as_agent, struct client *ret,
			  struct text *why)
{
	const char *wanted = getenv("GLOVEBOX_HOST");
	bool refused = false;
	size_t found = 0;

	for (size_t i = 0; i < all->count; i++) {
		struct client c;
		int r;

		if (!is_daemon(all->at[i]) || (is_one(wanted) && strcmp(wanted, all->at[i]) != 0) ||
		    (!is_one(wanted) && strncmp(all->at[i], OWN_PREFIX, strlen(OWN_PREFIX)) == 0))
			continue;
		r = as_agent ? -EACCES : connect_to(all->at[i], "operator.sock", &c);
		if (r == -EACCES) /* not an operator: perhaps an agent */
			r = connect_to(all->at[i], "agent.sock", &c);
		refused |= r == -EACCES;
		if (r < 0)
			continue;
		if (found++ == 0)
			*ret = c;
		else
			client_done(&c);
	}
	if (found > 1)
		client_done(ret);
	return found == 1 ? 0 : fail_find(NULL, found, refused, why);
}

int client_connect(const char *id, struct client *ret, struct text *why)
{
	struct instances all;
	int r;

	*ret = (struct client){ .fd = -1 };
	list_instances(&all);
	r = id ? connect_id(&all, id, ret, why) : connect_daemon(&all, false, ret, why);
	free_instances(&all);
	return r;
}

int client_connect_agent(struct client *ret, struct text *why)
{
	struct instances all;
	int r;

	*ret = (struct client){ .fd = -1 };
	list_instances(&all);
	r = connect_daemon(&all, true, ret, why);
	free_instances(&all);
	return r;
}

int client_connect_instance(const char *instance, const char *name, struct client *ret)
{
	return connect_to(instance, name, ret);
}

int client_ask_all(const char *method, client_fn fn, void *context)
{
	struct instances all;
	int answered = 0;
	bool refused = false;

	list_instances(&all);
	for (size_t i = 0; i < all.count; i++) {
		AUTO_TEXT why = { 0 };
		struct client c;
		char *result;
		cJSON *json;
		int r = connect_to(all.at[i], "operator.sock", &c);

		refused |= r == -EACCES;
		if (r < 0)
			continue;
		if (client_exchange(&c, method, NULL, ANSWER_MS, &result, &why) == 0 &&
		    (json = cJSON_Parse(result))) {
			answered++;
			fn(json, context);
			cJSON_Delete(json);
		}
		client_done(&c);
	}
	free_instances(&all);
	/* "nothing runs" must not be said by somebody who may not look */
	return answered == 0 && refused ? -EACCES : answered;
}

const char *client_text_of(const cJSON *json, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsString(v) ? v->valuestring : "";
}

void client_add_member(struct text *t, const char *key, const char *value)
{
	text_printf(t, "%s\"%s\":", t->len ? "," : "", key);
	text_add_json(t, value, strlen(value));
}

int client_ask(const char *id, const char *method, const char *params, cJSON **ret,
	       struct text *why)
{
	struct client c;
	char *result;
	int r;

	r = client_connect(id, &c, why);
	if (r < 0)
		return r;
	/* a commit or a diff takes as long as it takes */
	r = client_exchange(&c, method, params, -1, &result, why);
	if (r == 0) {
		*ret = cJSON_Parse(result);
		if (!*ret)
			r = -EIO;
	}
	client_done(&c);
	return r;
}

int client_tool(struct client *c, const char *session, const char *tool, const char *input,
		const char *agent_call_id, cJSON **ret, struct text *why)
{
	AUTO_TEXT params = { 0 };
	char *result;
	int r;

	client_add_member(&params, "session", session);
	client_add_member(&params, "tool", tool);
	if (agent_call_id && agent_call_id[0])
		client_add_member(&params, "agent_call_id", agent_call_id);
	text_printf(&params, ",\"input\":%s", input);
	r = client_exchange(c, "call.start", params.at, ANSWER_MS, &result, why);
	while (r == 0) {
		cJSON *json;

		text_replace_lone(result);
		json = cJSON_Parse(result);
		if (!json || cJSON_GetObjectItemCaseSensitive(json, "text")) {
			*ret = json;
			return json ? 0 : -EIO;
		}
		params.len = 0;
		client_add_member(&params, "id", client_text_of(json, "id"));
		text_printf(&params, ",\"text\":%u", TOOL_TEXT);
		cJSON_Delete(json);
		r = client_exchange(c, "call.wait", params.at, -1, &result, why);
	}
	return r;
}

int client_status(int error)
{
	switch (-error) {
	case 0:
		return EXIT_DONE;
	case ENOENT:
	case ENOTUNIQ:
		return EXIT_NOT_FOUND;
	case EINVAL:
		return EXIT_USAGE;
	case EACCES:
	case EPERM:
		return EXIT_NOT_PERMITTED;
	case EPROTO:
		return EXIT_CONFLICT;
	case ENOTCONN:
		return EXIT_NO_SUPERVISOR;
	default:
		return EXIT_FAILED;
	}
}

/* --- events of a call ------------------------------------------------------- */

/* Output of an event goes where the tool wrote it. */
void client_print_output(const char *event)
{
	static const char key[] = ",\"text\":\"";
	const char *at = strstr(event, ",\"kind\":\"call.output\"");
	AUTO_TEXT t = { 0 };
	FILE *out;

	if (!at)
		return;
	out = strstr(at, ",\"stream\":\"stderr\"") ? stderr : stdout;
	at = strstr(at, key);
	if (!at)
		return;
	at += sizeof(key) - 1;
	text_add_unescaped(&t, at, strlen(at) - 2);
	(void)fwrite(t.at, 1, t.len, out);
	(void)fflush(out);
}

/* The program itself was not there, or is none: as a shell says it. */
static int exec_status(const cJSON *json)
{
	bool is_missing = strcmp(client_text_of(json, "errno"), "ENOENT") == 0;

	(void)command_fail(0, "%s",
			   is_missing ? "the program was not found inside the sandbox: it must be "
					"below /usr, /bin, /opt or the workspace"
				      : "the program cannot be executed inside the sandbox");
	return is_missing ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

int client_call_status(const char *done)
{
	cJSON *json = cJSON_Parse(done);
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(json, "exit_code");
	const char *outcome = client_text_of(json, "outcome");
	int status = RUN_FAILED;

	if (strcmp(outcome, "exited") == 0 && cJSON_IsNumber(code))
		status = code->valueint;
	else if (strcmp(outcome, "timed_out") == 0)
		status = RUN_TIMED_OUT;
	else if (strcmp(outcome, "denied") == 0)
		status = RUN_NOT_EXECUTABLE;
	else if (strcmp(outcome, "signaled") == 0 || strcmp(outcome, "killed") == 0 ||
		 strcmp(outcome, "over_limit") == 0)
		status = RUN_SIGNAL + 9;
	else if (strcmp(client_text_of(json, "stage"), "exec") == 0)
		status = exec_status(json);
	if (strcmp(outcome, "exited") != 0) {
		AUTO_TEXT t = { 0 };

		text_add_safe(&t, client_text_of(json, "reason"),
			      strlen(client_text_of(json, "reason")));
		(void)command_fail(0, "%s%s%s", outcome, t.len ? ": " : "", t.at ? t.at : "");
	}
	cJSON_Delete(json);
	return status;
}
