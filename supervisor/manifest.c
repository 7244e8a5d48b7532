// SPDX-License-Identifier: Apache-2.0
/* supervisor/manifest.c - what a tool is, how it is run, and all the tools there are. */
#include "supervisor/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/call.h"
#include "supervisor/rpc.h"
#include "supervisor/schema.h"

#define MANIFEST_MAX (256u << 10)
#define NAME_MAX_BYTES 64 /* the shortest limit of the clients there are */
#define TEXT_MIN 1000
#define TEXT_MAX_BYTES (1u << 20)

static const char *const method_names[TOOL_METHOD_COUNT] = {
	[TOOL_WAIT] = "wait",       [TOOL_KILL] = "kill", [TOOL_WRITE] = "write_stdin",
	[TOOL_CHANGES] = "changes", [TOOL_UNDO] = "undo",
};

/* What a manifest may say that it depends on. */
static const char *const policy_keys[] = { "files.read", "files.write", "files.commit", "network" };

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *get_text(const cJSON *json, const char *key)
{
	return cJSON_GetStringValue(get(json, key));
}

/* --- reading ------------------------------------------------------------------- */

static int fail(struct text *why, const char *what)
{
	text_add(why, what);
	return -EINVAL;
}

/* Each key is one of the list, and its nearest is named when it is not. */
static int check_keys(const cJSON *json, const char *const *known, size_t count, const char *where,
		      struct text *why)
{
	for (const cJSON *v = json->child; v; v = v->next) {
		const char *nearest;
		size_t i = 0;

		while (i < count && strcmp(known[i], v->string) != 0)
			i++;
		if (i < count)
			continue;
		nearest = text_nearest(v->string, known, count);
		text_printf(why, "there is no key \"%.100s\"%s", v->string, where);
		if (nearest)
			text_printf(why, "; did you mean \"%s\"?", nearest);
		return -EINVAL;
	}
	return 0;
}

static bool is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return n > 0 && n <= NAME_MAX_BYTES && s[n] == '\0';
}

static int read_texts(struct tool *t, struct text *why)
{
	static const char *const hints[] = { "readOnlyHint", "destructiveHint", "idempotentHint",
					     "openWorldHint", "title" };
	const cJSON *annotations = get(t->json, "annotations");
	const cJSON *needs = get(t->json, "needs");
	const cJSON *v;

	t->name = get_text(t->json, "name");
	if (!t->name || !is_name(t->name))
		return fail(why, "\"name\" is 1 to 64 letters, digits, - and _");
	if (!get_text(t->json, "title") || !get_text(t->json, "description"))
		return fail(why, "\"title\" and \"description\" are strings, and must be there");
	if (annotations && !cJSON_IsObject(annotations))
		return fail(why, "\"annotations\" is an object");
	if (annotations &&
	    check_keys(annotations, hints, ARRAY_SIZE(hints), " in \"annotations\"", why) < 0)
		return -EINVAL;
	for (v = annotations ? annotations->child : NULL; v; v = v->next)
		if (strcmp(v->string, "title") == 0 ? !cJSON_IsString(v) : !cJSON_IsBool(v))
			return fail(why, "in \"annotations\", hints are true or false");
	if (needs && !cJSON_IsArray(needs))
		return fail(why, "\"needs\" is a list of the policy's keys");
	cJSON_ArrayForEach (v, needs) {
		size_t i = 0;

		while (cJSON_IsString(v) && i < ARRAY_SIZE(policy_keys) &&
		       strcmp(policy_keys[i], v->valuestring) != 0)
			i++;
		if (!cJSON_IsString(v) || i == ARRAY_SIZE(policy_keys))
			return fail(why, "\"needs\" may hold files.read, files.write, "
					 "files.commit, network");
	}
	return 0;
}

static int read_schemas(struct tool *t, struct text *why)
{
	const cJSON *output = get(t->json, "output");
	const char *type;

	t->input = get(t->json, "input");
	type = get_text(t->input, "type");
	if (!type || strcmp(type, "object") != 0)
		return fail(why, "\"input\" is a schema with \"type\": \"object\"");
	if (schema_check(t->input, "input", why) < 0)
		return -EINVAL;
	type = get_text(output, "type");
	if (output && (!type || strcmp(type, "object") != 0))
		return fail(why, "\"output\" is a schema with \"type\": \"object\"");
	return output ? schema_check(output, "output", why) : 0;
}

/* A property that "run" names must be there, and of a type that can be used so. */
static int read_property(const struct tool *t, const cJSON *run, const char *key, const char *type,
			 const char **ret, struct text *why)
{
	const cJSON *v = get(run, key);
	const cJSON *of = get(get(t->input, "properties"), cJSON_GetStringValue(v));
	const char *is = get_text(of, "type");

	if (!v)
		return 0;
	*ret = cJSON_GetStringValue(v);
	if (!*ret || !is || strcmp(is, type) != 0) {
		text_printf(why, "in \"run\", \"%s\" is the name of a property of type %s", key,
			    type);
		return -EINVAL;
	}
	return 0;
}

static int check_words(const struct tool *t, struct text *why)
{
	const cJSON *properties = get(t->input, "properties");
	const cJSON *v;

	if (!cJSON_IsArray(t->argv) || cJSON_GetArraySize(t->argv) == 0)
		return fail(why, "in \"run\", \"argv\" is a list of words");
	cJSON_ArrayForEach (v, t->argv) {
		const char *open = cJSON_IsString(v) ? strchr(v->valuestring, '{') : NULL;
		const char *close = open ? strchr(open, '}') : NULL;
		AUTO_TEXT name = { 0 };

		if (!cJSON_IsString(v) || v->valuestring[0] == '\0')
			return fail(why, "in \"run\", \"argv\" is a list of words");
		if (!close)
			continue;
		text_add_n(&name, open + 1, (size_t)(close - open - 1));
		if (name.len > 3 && strcmp(name.at + name.len - 3, "...") == 0)
			name.at[name.len - 3] = '\0';
		if (!get(properties, name.at ? name.at : "")) {
			text_printf(why, "in \"run\", {%s} is no property of \"input\"",
				    name.at ? name.at : "");
			return -EINVAL;
		}
	}
	return 0;
}

static int read_run(struct tool *t, struct text *why)
{
	static const char *const keys[] = { "argv",    "method",     "cwd",  "env",       "text",
					    "timeout", "background", "json", "keep_stdin" };
	const cJSON *run = get(t->json, "run");
	const char *method = get_text(run, "method");

	if (!cJSON_IsObject(run))
		return fail(why, "\"run\" is an object: how it is run");
	if (check_keys(run, keys, ARRAY_SIZE(keys), " in \"run\"", why) < 0)
		return -EINVAL;
	t->argv = get(run, "argv");
	for (int m = TOOL_PROGRAM + 1; method && m < TOOL_METHOD_COUNT; m++)
		if (strcmp(method_names[m], method) == 0)
			t->method = (enum tool_method)m;
	if (get(run, "method"))
		return t->method == TOOL_PROGRAM || t->argv
			       ? fail(why, "in \"run\", \"method\" is wait, kill, write_stdin, "
					   "changes or undo, and stands alone")
			       : 0;
	if ((get(run, "json") && !cJSON_IsBool(get(run, "json"))) ||
	    (get(run, "keep_stdin") && !cJSON_IsBool(get(run, "keep_stdin"))))
		return fail(why, "in \"run\", \"json\" and \"keep_stdin\" are true or false");
	t->has_json = cJSON_IsTrue(get(run, "json"));
	t->keeps_input = cJSON_IsTrue(get(run, "keep_stdin"));
	if (check_words(t, why) < 0 || read_property(t, run, "cwd", "string", &t->cwd, why) < 0 ||
	    read_property(t, run, "env", "object", &t->env, why) < 0 ||
	    read_property(t, run, "text", "string", &t->text, why) < 0 ||
	    read_property(t, run, "timeout", "integer", &t->timeout, why) < 0 ||
	    read_property(t, run, "background", "boolean", &t->background, why) < 0)
		return -EINVAL;
	return t->has_json && t->text ? fail(why, "in \"run\", \"json\" and \"text\" are both "
						  "its standard input: choose one")
				      : 0;
}

static int read_limits(struct tool *t, struct text *why)
{
	static const char *const keys[] = { "wall", "text" };
	const cJSON *limits = get(t->json, "limits");
	const cJSON *text = get(limits, "text");

	t->text_max = TOOL_TEXT_DEFAULT;
	if (!limits)
		return 0;
	if (!cJSON_IsObject(limits))
		return fail(why, "\"limits\" is an object");
	if (check_keys(limits, keys, ARRAY_SIZE(keys), " in \"limits\"", why) < 0)
		return -EINVAL;
	if (get(limits, "wall") &&
	    (!get_text(limits, "wall") ||
	     text_parse_duration(get_text(limits, "wall"), &t->wall_ns) < 0 || t->wall_ns == 0))
		return fail(why, "in \"limits\", \"wall\" is a duration like \"2m\"");
	if (text && (!cJSON_IsNumber(text) || text->valuedouble < TEXT_MIN ||
		     text->valuedouble > TEXT_MAX_BYTES))
		return fail(why, "in \"limits\", \"text\" is a number of bytes from 1000 to "
				 "1048576");
	if (text)
		t->text_max = (uint32_t)text->valuedouble;
	return 0;
}

static int read_manifest(struct tool *t, struct text *why)
{
	static const char *const keys[] = { "name",  "title",  "description",
					    "input", "output", "annotations",
					    "run",   "limits", "needs" };
	int r;

	if (!cJSON_IsObject(t->json))
		return fail(why, "a manifest is an object");
	r = check_keys(t->json, keys, ARRAY_SIZE(keys), "", why);
	if (r == 0)
		r = read_texts(t, why);
	if (r == 0)
		r = read_schemas(t, why);
	if (r == 0)
		r = read_run(t, why);
	return r == 0 ? read_limits(t, why) : r;
}

static int load(struct toolbox *b, int dir, const char *name, struct text *why)
{
	struct tool *t = &b->tools[b->count];
	AUTO_MEM char *all = calloc(1, MANIFEST_MAX);
	AUTO_FD fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd >= 0 && all ? io_read_full(fd, all, MANIFEST_MAX) : -1;
	AUTO_TEXT what = { 0 };
	int r;

	if (b->count == TOOLS_MAX)
		return fail(why, "more than 256 tools");
	if (n < 0 || n == MANIFEST_MAX)
		return fail(why, n < 0 ? strerror(errno) : "longer than 256 KiB");
	*t = (struct tool){ .dir = (uint32_t)b->dir_count };
	r = rpc_read_json(all, (size_t)n, &t->json, &what);
	if (r == 0)
		r = read_manifest(t, &what);
	if (r == 0 && toolbox_find(b, t->name)) {
		text_printf(&what, "there is a tool \"%s\" already", t->name);
		r = -EINVAL;
	}
	if (r < 0) {
		text_add(why, what.at ? what.at : "no JSON object");
		cJSON_Delete(t->json);
		return -EINVAL;
	}
	b->count++;
	return 0;
}

static int is_manifest(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && e->d_name[0] != '.' && strcmp(e->d_name + n - 5, ".json") == 0;
}

int toolbox_add(struct toolbox *b, const char *dir, struct text *why)
{
	AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **all = NULL;
	struct stat st;
	int r = 0, n;

	if (fd < 0 || fstat(fd, &st) < 0 || b->dir_count == SB_TOOLS_MAX) {
		text_printf(why, "the tools in \"%.200s\" cannot be read: %s", dir,
			    fd < 0 ? strerror(errno) : "too many directories of tools");
		return -EINVAL;
	}
	if (st.st_mode & S_IWOTH) {
		text_printf(why, "\"%.200s\" can be written by anybody: chmod o-w it", dir);
		return -EINVAL;
	}
	n = scandirat(fd, ".", &all, is_manifest, alphasort);
	for (int i = 0; i < n; i++) {
		AUTO_TEXT what = { 0 };

		if (r == 0 && load(b, fd, all[i]->d_name, &what) < 0) {
			text_printf(why, "the tool \"%.200s/%s\": %s", dir, all[i]->d_name,
				    what.at);
			r = -EINVAL;
		}
		free(all[i]);
	}
	free(all);
	b->dirs[b->dir_count] = r == 0 ? realpath(dir, NULL) : NULL;
	if (r == 0 && b->dirs[b->dir_count])
		b->dir_count++;
	return r;
}

char *toolbox_find_own(void)
{
	static const char *const places[] = { "tools", "../lib/glovebox/tools" };
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 32);
	char *slash, *found = NULL;

	if (n <= 0)
		return NULL;
	own[n] = '\0';
	slash = strrchr(own, '/');
	for (size_t i = 0; slash && !found && i < ARRAY_SIZE(places); i++) {
		memcpy(slash + 1, places[i], strlen(places[i]) + 1);
		found = realpath(own, NULL);
	}
	return found;
}

const struct tool *toolbox_find(const struct toolbox *b, const char *name)
{
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->tools[i].name, name) == 0)
			return &b->tools[i];
	return NULL;
}

void toolbox_explain(const struct toolbox *b, const char *name, struct text *why)
{
	const char *names[TOOLS_MAX];
	const char *nearest;

	for (size_t i = 0; i < b->count; i++)
		names[i] = b->tools[i].name;
	nearest = text_nearest(name, names, b->count);
	text_add(why, "there is no tool \"");
	text_add_safe(why, name, strlen(name));
	text_add(why, "\"");
	if (nearest)
		text_printf(why, "; did you mean \"%s\"?", nearest);
	else
		text_add(why, b->count ? "; tools.list names them"
				       : ": the directory of tools was not found at the start");
}

void toolbox_done(struct toolbox *b)
{
	for (size_t i = 0; i < b->count; i++)
		cJSON_Delete(b->tools[i].json);
	for (size_t i = 0; i < b->dir_count; i++)
		free(b->dirs[i]);
	*b = (struct toolbox){ 0 };
}

/* --- as JSON -------------------------------------------------------------------- */

/* What every tool that runs a program gives back. */
static const char call_schema[] =
	"{\"type\":\"object\",\"properties\":{"
	"\"call_id\":{\"type\":\"string\"},"
	"\"state\":{\"type\":\"string\",\"description\":\"done, or what it waits for\"},"
	"\"outcome\":{\"type\":[\"string\",\"null\"]},"
	"\"exit_code\":{\"type\":[\"integer\",\"null\"]},"
	"\"signal\":{\"type\":[\"string\",\"null\"]},"
	"\"reason\":{\"type\":[\"string\",\"null\"]},"
	"\"duration_ms\":{\"type\":\"number\"},"
	"\"stdout\":{\"type\":\"string\"},\"stderr\":{\"type\":\"string\"},"
	"\"left_out\":{\"type\":\"integer\",\"description\":\"bytes of output not shown\"},"
	"\"changes\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
	"\"change_count\":{\"type\":\"integer\"},"
	"\"denials\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
	"\"killed_leftovers\":{\"type\":\"integer\"}},"
	"\"required\":[\"call_id\",\"state\",\"stdout\",\"stderr\"]}";

static void add_json(struct text *out, const char *key, const cJSON *v)
{
	char *s = v ? cJSON_PrintUnformatted(v) : NULL;

	if (s)
		text_printf(out, ",\"%s\":%s", key, s);
	cJSON_free(s);
}

void toolbox_add_json(const struct toolbox *b, struct text *out)
{
	text_add(out, "[");
	for (size_t i = 0; i < b->count; i++) {
		const struct tool *t = &b->tools[i];
		bool is_call = t->method == TOOL_PROGRAM || t->method == TOOL_WAIT ||
			       t->method == TOOL_WRITE;

		text_printf(out, "%s{\"name\":\"%s\"", i ? "," : "", t->name);
		add_json(out, "title", get(t->json, "title"));
		add_json(out, "description", get(t->json, "description"));
		add_json(out, "inputSchema", t->input);
		if (get(t->json, "output"))
			add_json(out, "outputSchema", get(t->json, "output"));
		else if (is_call)
			text_printf(out, ",\"outputSchema\":%s", call_schema);
		add_json(out, "annotations", get(t->json, "annotations"));
		add_json(out, "needs", get(t->json, "needs"));
		text_printf(out, ",\"runs\":%s,\"text\":%u}",
			    t->method == TOOL_PROGRAM ? "true" : "false", t->text_max);
	}
	text_add(out, "]");
}

/* --- a call of it ------------------------------------------------------------------ */

static void add_value(struct text *word, const cJSON *v)
{
	char *s = cJSON_IsString(v) ? NULL : cJSON_PrintUnformatted(v);

	text_add(word, cJSON_IsString(v) ? v->valuestring : s ? s : "");
	cJSON_free(s);
}

struct words {
	char **at;
	size_t count, room;
	bool failed;
};

static void add_word(struct words *w, const char *s)
{
	if (w->count + 2 > w->room) {
		char **more = realloc(w->at, (w->room + 64) * sizeof(*more));

		w->failed |= !more;
		if (!more)
			return;
		w->at = more;
		w->room += 64;
	}
	w->at[w->count] = strdup(s);
	w->failed |= !w->at[w->count];
	if (w->at[w->count])
		w->at[++w->count] = NULL;
}

/* "--key={name}" with the property in it; without it the word is left out. "{name...}"
 * is one word for each entry of a list. */
static void expand_word(struct words *w, const char *pattern, const cJSON *input)
{
	const char *open = strchr(pattern, '{');
	const char *close = open ? strchr(open, '}') : NULL;
	AUTO_TEXT name = { 0 };
	AUTO_TEXT word = { 0 };
	const cJSON *v, *e;

	if (!close) {
		add_word(w, pattern);
		return;
	}
	text_add_n(&name, open + 1, (size_t)(close - open - 1));
	if (name.len > 3 && strcmp(name.at + name.len - 3, "...") == 0) {
		name.at[name.len - 3] = '\0';
		cJSON_ArrayForEach (e, get(input, name.at))
			add_word(w, cJSON_IsString(e) ? e->valuestring : "");
		return;
	}
	v = get(input, name.at);
	if (!v)
		return;
	text_add_n(&word, pattern, (size_t)(open - pattern));
	add_value(&word, v);
	text_add(&word, close + 1);
	w->failed |= word.failed;
	add_word(w, word.at ? word.at : "");
}

static int expand_argv(const struct tool *t, const cJSON *input, struct call_request *request)
{
	struct words w = { 0 };
	const cJSON *v;

	cJSON_ArrayForEach (v, t->argv) {
		const char *s = v->valuestring;
		AUTO_TEXT own = { 0 };

		/* "./name" is a program beside the manifest */
		if (w.count == 0 && strncmp(s, "./", 2) == 0) {
			text_add(&own, SB_TOOLS_AT);
			if (t->dir > 0)
				text_printf(&own, ".%u", t->dir);
			text_add(&own, s + 1);
			s = own.at;
		}
		expand_word(&w, s ? s : "", input);
	}
	request->argv = w.at;
	return w.failed ? -ENOMEM : 0;
}

static int expand_env(const struct tool *t, const cJSON *input, struct call_request *request,
		      struct text *why)
{
	const cJSON *env = t->env ? get(input, t->env) : NULL;
	struct words w = { 0 };

	for (const cJSON *v = env ? env->child : NULL; v; v = v->next) {
		AUTO_TEXT item = { 0 };

		if (!cJSON_IsString(v) || v->string[0] == '\0' || strchr(v->string, '=')) {
			text_printf(why, "\"%s\" holds names and strings", t->env);
			request->env = w.at;
			return -EINVAL;
		}
		text_printf(&item, "%s=%s", v->string, v->valuestring);
		add_word(&w, item.at ? item.at : "");
	}
	request->env = w.at;
	return w.failed ? -ENOMEM : 0;
}

bool tool_is_background(const struct tool *t, const cJSON *input)
{
	return t->background && cJSON_IsTrue(get(input, t->background));
}

int tool_expand(const struct tool *t, const cJSON *input, struct call_request *request,
		struct text *why)
{
	const cJSON *timeout = t->timeout ? get(input, t->timeout) : NULL;
	const char *cwd = t->cwd ? get_text(input, t->cwd) : NULL;
	int r;

	if (schema_match(t->input, input, "", why) < 0)
		return -EINVAL;
	r = expand_argv(t, input, request);
	if (r == 0)
		r = expand_env(t, input, request, why);
	if (r < 0)
		return r;
	if (!request->argv || request->argv[0][0] == '\0') {
		text_add(why, "it names no program");
		return -EINVAL;
	}
	request->tool = strdup(t->name);
	request->cwd = cwd ? strdup(cwd) : NULL;
	if (!request->tool || (cwd && !request->cwd))
		return -ENOMEM;
	request->wall_ns = t->wall_ns;
	if (timeout && timeout->valuedouble > 0 && timeout->valuedouble < 1e12)
		request->wall_ns = (uint64_t)timeout->valuedouble * 1000000u;
	request->is_background = tool_is_background(t, input);
	request->keeps_input = t->keeps_input && request->is_background;
	if (t->has_json) {
		char *s = cJSON_PrintUnformatted(input);

		text_add(&request->input, s ? s : "{}");
		request->input.failed |= !s;
		cJSON_free(s);
	} else if (t->text && get_text(input, t->text)) {
		text_add(&request->input, get_text(input, t->text));
	}
	return request->input.failed ? -ENOMEM : 0;
}
