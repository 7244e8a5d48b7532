// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/policy_json.c - a policy as JSON: read strictly.
 *
 * Every reader stops at the first thing it does not understand and remembers which
 * value that was: the caller says on which line of which file it stands. Nothing that
 * is wrong in a policy is passed over, because a rule that is not read is not in force.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "sandbox/base/path.h"
#include "supervisor/policy.h"
#include "supervisor/policy_doc.h"
#include "supervisor/profile.h"
#include "supervisor/trace.h"

const char *const policy_commit_names[] = {
	[POLICY_COMMIT_OPERATOR] = "operator",
	[POLICY_COMMIT_AGENT] = "agent",
	[POLICY_COMMIT_AUTO] = "auto",
};

const char *const policy_list_names[POLICY_LISTS] = {
	[POLICY_READ] = "files.read",
	[POLICY_HIDE] = "files.hide",
	[POLICY_WRITE] = "files.write",
	[POLICY_PROTECT] = "files.protect",
	[POLICY_OVERLAY] = "files.overlay",
	[POLICY_EXEC_DENY] = "exec.deny",
	[POLICY_SYSCALL_ALLOW] = "syscalls.allow",
	[POLICY_SYSCALL_DENY] = "syscalls.deny",
};

struct reader {
	struct policy *p;
	const struct policy_doc *doc;
	struct text *why;
	const cJSON *bad; /* what was wrong */
	bool tighten; /* only what takes away is understood */
};

static int fail(struct reader *r, const cJSON *bad, const char *message)
{
	r->bad = bad;
	if (message)
		text_add(r->why, message);
	return -EINVAL;
}

static const cJSON *get(const cJSON *json, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(json, key);
}

static int fail_key(struct reader *r, const cJSON *bad, const char *where, const char *const *known,
		    size_t count)
{
	const char *nearest = text_nearest(bad->string, known, count);

	text_printf(r->why, "%s has no \"", where);
	text_add_safe(r->why, bad->string, strlen(bad->string));
	text_add(r->why, "\"");
	if (nearest)
		text_printf(r->why, "; did you mean \"%s\"?", nearest);
	text_add(r->why, nearest ? " It has" : "; it has");
	for (size_t i = 0; i < count; i++)
		text_printf(r->why, " %s", known[i]);
	return fail(r, bad, NULL);
}

static int check_keys(struct reader *r, const cJSON *json, const char *where,
		      const char *const *known, size_t count)
{
	if (!cJSON_IsObject(json)) {
		text_printf(r->why, "%s must be an object", where);
		return fail(r, json, NULL);
	}
	for (const cJSON *p = json->child; p; p = p->next) {
		bool hit = false;

		for (size_t i = 0; i < count; i++)
			hit |= strcmp(p->string, known[i]) == 0;
		if (!hit)
			return fail_key(r, p, where, known, count);
	}
	return 0;
}

/* A policy of the workspace names something that only its owner may give. */
static int check_gives(struct reader *r, const cJSON *value, const char *what)
{
	if (!r->tighten || !value)
		return 0;
	text_printf(r->why,
		    "\"%s\" gives more than the session has: a policy in a workspace may only "
		    "take away (limits, files.hide, files.protect, exec.deny, syscalls.deny, ask)",
		    what);
	return fail(r, value, NULL);
}

/* --- limits ------------------------------------------------------------------------ */

static int set_limit(struct policy *p, const cJSON *value, struct text *why)
{
	AUTO_TEXT words = { 0 };

	text_printf(&words, "%s=", value->string);
	if (cJSON_IsString(value))
		text_add(&words, value->valuestring);
	else if (cJSON_IsNumber(value))
		text_printf(&words, "%.15g", value->valuedouble);
	else {
		text_printf(why, "limit %s must be a string or a number", value->string);
		return -EINVAL;
	}
	return policy_set_limit(p, words.at, why);
}

/* Without a limit of its own a file may be as large as all layers. */
static uint64_t most_of_file(const struct policy *p)
{
	return p->limits.file_bytes > 0 ? p->limits.file_bytes : p->disk_bytes;
}

static uint64_t most_of_rate(const struct policy *p)
{
	return p->output_rate ? p->output_rate : UINT64_MAX;
}

static uint64_t most_of_log(const struct policy *p)
{
	return p->log_bytes ? p->log_bytes : POLICY_LOG_BYTES;
}

static bool is_lower(const struct policy *a, const struct policy *b)
{
	const struct sb_limits *x = &a->limits, *y = &b->limits;

	return a->wall_ns <= b->wall_ns && a->cpu_ns <= b->cpu_ns &&
	       a->output_bytes <= b->output_bytes && a->disk_bytes <= b->disk_bytes &&
	       a->disk_files <= b->disk_files && most_of_rate(a) <= most_of_rate(b) &&
	       most_of_log(a) <= most_of_log(b) && x->memory_bytes <= y->memory_bytes &&
	       x->tmp_bytes <= y->tmp_bytes && x->pids <= y->pids && x->cpu_milli <= y->cpu_milli &&
	       x->open_files <= y->open_files && most_of_file(a) <= most_of_file(b);
}

static int read_limits(struct policy *p, const cJSON *limits, bool only_lower, struct text *why,
		       const cJSON **ret_bad)
{
	struct policy before = *p;
	int r = 0;

	*ret_bad = limits;
	if (!cJSON_IsObject(limits)) {
		text_add(why, "\"limits\" must be an object");
		return -EINVAL;
	}
	for (const cJSON *v = limits->child; v && r == 0; v = v->next) {
		*ret_bad = v;
		r = set_limit(p, v, why);
		if (r == 0 && only_lower && !is_lower(p, &before)) {
			text_printf(why,
				    "limit %s is above the policy's: only an operator may raise it",
				    v->string);
			r = -EPERM;
		}
	}
	return r;
}

int policy_read_limits(struct policy *p, const cJSON *limits, bool only_lower, struct text *why)
{
	const cJSON *bad;

	return read_limits(p, limits, only_lower, why, &bad);
}

/* --- lists -------------------------------------------------------------------------- */

static int check_entry(struct reader *r, enum policy_list_name name, const cJSON *v)
{
	const char *s = v->valuestring;
	const char *names[WATCH_SYSCALLS];
	const char *nearest;

	switch (name) {
	case POLICY_SYSCALL_ALLOW:
	case POLICY_SYSCALL_DENY:
		if (profile_syscall_number(s) >= 0)
			return 0;
		for (int i = 0; i < WATCH_SYSCALLS; i++)
			names[i] = profile_syscall_name(i);
		nearest = text_nearest(s, names, WATCH_SYSCALLS);
		text_add(r->why, "there is no system call \"");
		text_add_safe(r->why, s, strlen(s));
		text_printf(r->why, nearest ? "\"; did you mean \"%s\"?" : "\" here", nearest);
		return fail(r, v, NULL);
	case POLICY_WRITE:
	case POLICY_PROTECT:
		if (s[0] && strlen(s) <= POLICY_GLOB_MAX && !strstr(s, ".."))
			return 0;
		return fail(r, v,
			    "a pattern is of the workspace: \".env\", \"/ci/**\", \"**/*.pem\"; "
			    "it has no \"..\" and at most 255 characters");
	case POLICY_HIDE:
		if (s[0] && s[0] != '/' && strlen(s) <= POLICY_GLOB_MAX && !strstr(s, ".."))
			return 0;
		break;
	default:
		break;
	}
	if (path_is_plain(s) && !strpbrk(s, "*?"))
		return 0;
	text_printf(r->why,
		    "an entry of %s is an absolute path without \"..\" and without wildcards",
		    policy_list_names[name]);
	return fail(r, v,
		    name == POLICY_HIDE ? ", or a name of the workspace like \".env\"" : NULL);
}

static int add_item(struct reader *r, enum policy_list_name name, const cJSON *v)
{
	struct policy_list *l = &r->p->lists[name];
	AUTO_TEXT from = { 0 };
	struct policy_item *more;

	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->at[i].text, v->valuestring) == 0)
			return 0;
	if (l->count == POLICY_LIST_MAX) {
		text_printf(r->why, "%s has more than %d entries", policy_list_names[name],
			    POLICY_LIST_MAX);
		return fail(r, v, NULL);
	}
	more = realloc(l->at, (l->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->at = more;
	policy_doc_say_where(r->doc, v, &from);
	if (from.len >= 2)
		from.at[from.len - 2] = '\0'; /* without its ": " */
	l->at[l->count] = (struct policy_item){ strdup(v->valuestring), strdup(from.at) };
	if (!l->at[l->count].text || !l->at[l->count].from)
		return -ENOMEM;
	l->count++;
	return 0;
}

static int read_list(struct reader *r, const cJSON *parent, const char *key,
		     enum policy_list_name name)
{
	const cJSON *list = get(parent, key);
	const cJSON *v;
	int e = 0;

	if (!list)
		return 0;
	if (!cJSON_IsArray(list)) {
		text_printf(r->why, "\"%s\" is a list", policy_list_names[name]);
		return fail(r, list, NULL);
	}
	cJSON_ArrayForEach (v, list) {
		if (e == 0 && !cJSON_IsString(v)) {
			text_printf(r->why, "\"%s\" holds strings", policy_list_names[name]);
			e = fail(r, v, NULL);
		}
		if (e == 0)
			e = check_entry(r, name, v);
		if (e == 0)
			e = add_item(r, name, v);
	}
	return e;
}

/* --- the members ----------------------------------------------------------------------- */

static int add_own_env(struct policy *p, const char *item, struct text *why)
{
	char *copy = strdup(item);
	int r = copy ? policy_add_env(p, copy, why) : -ENOMEM;

	if (r < 0)
		free(copy);
	else
		p->env_is_own[p->env_count - 1] = true;
	return r;
}

static int read_env(struct reader *r, const cJSON *env)
{
	static const char *const known[] = { "pass", "set" };
	const cJSON *pass = get(env, "pass"), *set = get(env, "set");
	const cJSON *v;
	int e = check_gives(r, env, "env");

	if (e == 0)
		e = check_keys(r, env, "\"env\"", known, ARRAY_SIZE(known));
	if (e == 0 && ((pass && !cJSON_IsArray(pass)) || (set && !cJSON_IsObject(set))))
		return fail(r, env, "\"env\" is {\"pass\": [names], \"set\": {name: value}}");
	cJSON_ArrayForEach (v, pass) {
		if (e == 0 && !cJSON_IsString(v))
			e = fail(r, v, "\"env.pass\" holds names");
		if (e == 0 && add_own_env(r->p, v->valuestring, r->why) < 0)
			e = fail(r, v, NULL);
	}
	cJSON_ArrayForEach (v, set) {
		AUTO_TEXT item = { 0 };

		if (e == 0 && !cJSON_IsString(v))
			e = fail(r, v, "\"env.set\" holds strings");
		if (e < 0)
			continue;
		text_printf(&item, "%s=%s", v->string, v->valuestring);
		if (add_own_env(r->p, item.at, r->why) < 0)
			e = fail(r, v, NULL);
	}
	return e;
}

static int read_ask(struct reader *r, const cJSON *ask)
{
	static const char *const known[] = { "tool", "program", "argv" };
	struct policy *p = r->p;
	const cJSON *rule;

	if (!cJSON_IsArray(ask))
		return fail(r, ask, "\"ask\" is a list of rules");
	cJSON_ArrayForEach (rule, ask) {
		struct policy_ask *a = &p->ask[p->ask_count];
		char **into[] = { &a->tool, &a->program, &a->argv };
		int e = check_keys(r, rule, "a rule of \"ask\"", known, ARRAY_SIZE(known));

		if (e < 0)
			return e;
		if (p->ask_count == POLICY_ASK_MAX || !rule->child)
			return fail(r, rule,
				    rule->child ? "\"ask\" has too many rules"
						: "a rule of \"ask\" must say something");
		p->ask_count++;
		for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
			const cJSON *v = get(rule, known[i]);

			if (v && !cJSON_IsString(v)) {
				text_printf(r->why, "\"%s\" of a rule is a string", known[i]);
				return fail(r, v, NULL);
			}
			*into[i] = v ? strdup(v->valuestring) : NULL;
			if (v && !*into[i])
				return -ENOMEM;
		}
	}
	return 0;
}

static int read_tree(struct reader *r, const cJSON *tree)
{
	if (!tree)
		return 0;
	if (!cJSON_IsString(tree) || !path_is_plain(tree->valuestring))
		return fail(r, tree,
			    "\"files.root\" is the absolute path of a directory that "
			    "holds a system's files, instead of the machine's");
	free(r->p->tree);
	r->p->tree = strdup(tree->valuestring);
	return r->p->tree ? 0 : -ENOMEM;
}

static int keep_part(struct policy_list *kept, const struct policy_item *of, const char *path)
{
	struct policy_item *more = realloc(kept->at, (kept->count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	kept->at = more;
	more[kept->count] = (struct policy_item){ strdup(path), strdup(of->from) };
	if (!more[kept->count].text || !more[kept->count].from) {
		free(more[kept->count].text);
		free(more[kept->count].from);
		return -ENOMEM;
	}
	kept->count++;
	return 0;
}

/* What two lists of paths have in common: of a path and one below it, that one. */
static int keep_common(const struct policy_list *all, const cJSON *only, struct policy_list *kept)
{
	const cJSON *v;
	int e = 0;

	for (size_t i = 0; e == 0 && i < all->count; i++) {
		bool is_whole = false;

		cJSON_ArrayForEach (v, only)
			is_whole |= path_is_below(all->at[i].text, v->valuestring);
		if (is_whole)
			e = keep_part(kept, &all->at[i], all->at[i].text);
		cJSON_ArrayForEach (v, only)
			if (e == 0 && !is_whole && path_is_below(v->valuestring, all->at[i].text))
				e = keep_part(kept, &all->at[i], v->valuestring);
		if (kept->count > POLICY_LIST_MAX)
			return -E2BIG;
	}
	return e;
}

/* An entry that narrows nothing was meant to show something. */
static int check_shown(struct reader *r, const struct policy_list *all, const cJSON *v)
{
	for (size_t i = 0; i < all->count; i++)
		if (path_is_below(v->valuestring, all->at[i].text) ||
		    path_is_below(all->at[i].text, v->valuestring))
			return 0;
	text_add(r->why, "\"files.only\" names ");
	text_add_safe(r->why, v->valuestring, strlen(v->valuestring));
	text_add(r->why, ", which what it extends does not show: put it into \"files.read\"");
	return fail(r, v, NULL);
}

/* Of what the policy it extends shows, only these, or what is below them. */
static int read_only(struct reader *r, const cJSON *only)
{
	struct policy_list *all = &r->p->lists[POLICY_READ], kept = { 0 };
	const cJSON *v;
	int e = 0;

	if (!only)
		return 0;
	if (!cJSON_IsArray(only))
		return fail(r, only, "\"files.only\" is a list");
	cJSON_ArrayForEach (v, only) {
		if (e == 0 && !cJSON_IsString(v))
			e = fail(r, v, "\"files.only\" holds strings");
		if (e == 0)
			e = check_entry(r, POLICY_READ, v);
		if (e == 0)
			e = check_shown(r, all, v);
	}
	if (e == 0)
		e = keep_common(all, only, &kept);
	if (e < 0) {
		policy_list_done(&kept);
		return e == -E2BIG ? fail(r, only, "\"files.only\" makes too many entries") : e;
	}
	policy_list_done(all);
	*all = kept;
	return 0;
}

static int read_files(struct reader *r, const cJSON *files)
{
	static const char *const known[] = { "read",    "hide",   "write", "protect",
					     "overlay", "commit", "root",  "only" };
	static const char *const gives[] = { "read", "write", "overlay", "commit", "root" };
	const cJSON *commit = get(files, "commit");
	int e = check_keys(r, files, "\"files\"", known, ARRAY_SIZE(known));

	for (size_t i = 0; e == 0 && i < ARRAY_SIZE(gives); i++)
		e = check_gives(r, get(files, gives[i]), gives[i]);
	/* before its own, which come on top */
	if (e == 0)
		e = read_only(r, get(files, "only"));
	if (e == 0)
		e = read_list(r, files, "read", POLICY_READ);
	if (e == 0)
		e = read_list(r, files, "hide", POLICY_HIDE);
	if (e == 0)
		e = read_list(r, files, "write", POLICY_WRITE);
	if (e == 0 && get(files, "write"))
		r->p->has_write = true;
	if (e == 0)
		e = read_list(r, files, "protect", POLICY_PROTECT);
	if (e == 0)
		e = read_list(r, files, "overlay", POLICY_OVERLAY);
	if (e == 0)
		e = read_tree(r, get(files, "root"));
	if (e < 0 || !commit)
		return e;
	for (int i = POLICY_COMMIT_OPERATOR; i <= POLICY_COMMIT_AUTO; i++)
		if (cJSON_IsString(commit) &&
		    strcmp(commit->valuestring, policy_commit_names[i]) == 0) {
			r->p->commit = (enum policy_commit)i;
			return 0;
		}
	return fail(r, commit, "\"files.commit\" is \"operator\", \"agent\" or \"auto\"");
}

static int set_profile(struct reader *r, const cJSON *v, const struct policy_doc *doc)
{
	AUTO_TEXT from = { 0 };

	cJSON_Delete(r->p->profile);
	free(r->p->profile_from);
	policy_doc_say_where(doc, v, &from);
	if (from.len >= 2)
		from.at[from.len - 2] = '\0';
	r->p->profile = cJSON_Duplicate(v, true);
	r->p->profile_from = strdup(from.at);
	return r->p->profile && r->p->profile_from ? 0 : -ENOMEM;
}

/* A file beside the policy. Its own mistakes are named with its own lines. */
static int open_profile(struct reader *r, const cJSON *v)
{
	AUTO_MEM char *beside = strdup(r->doc->name);
	AUTO_TEXT path = { 0 };
	struct policy_doc doc;
	int e;

	if (v->valuestring[0] != '/' && beside)
		text_printf(&path, "%s/", dirname(beside));
	text_add(&path, v->valuestring);
	e = policy_doc_open(&doc, path.at, 0, r->why);
	if (e < 0)
		return fail(r, v, NULL);
	e = set_profile(r, doc.json, &doc);
	policy_doc_done(&doc);
	return e;
}

static int read_profile(struct reader *r, const cJSON *v)
{
	int e = check_gives(r, v, "syscalls.profile");

	if (!v || e < 0)
		return e;
	if (cJSON_IsString(v) && strcmp(v->valuestring, "default") == 0) {
		cJSON_Delete(r->p->profile);
		r->p->profile = NULL;
		return 0;
	}
	if (cJSON_IsString(v))
		e = open_profile(r, v);
	else if (cJSON_IsObject(v))
		e = set_profile(r, v, r->doc);
	else
		return fail(r, v,
			    "\"syscalls.profile\" is \"default\", or a file in the format that "
			    "container engines use for seccomp");
	if (e == 0 && profile_check_json(r->p->profile, r->why) < 0)
		return fail(r, v, NULL);
	return e;
}

static int read_syscalls(struct reader *r, const cJSON *syscalls)
{
	static const char *const known[] = { "profile", "allow", "deny" };
	int e = check_keys(r, syscalls, "\"syscalls\"", known, ARRAY_SIZE(known));

	if (e == 0)
		e = read_profile(r, get(syscalls, "profile"));
	if (e == 0)
		e = check_gives(r, get(syscalls, "allow"), "syscalls.allow");
	if (e == 0)
		e = read_list(r, syscalls, "allow", POLICY_SYSCALL_ALLOW);
	return e == 0 ? read_list(r, syscalls, "deny", POLICY_SYSCALL_DENY) : e;
}

static int read_exec(struct reader *r, const cJSON *exec)
{
	static const char *const known[] = { "deny" };
	int e = check_keys(r, exec, "\"exec\"", known, ARRAY_SIZE(known));

	return e == 0 ? read_list(r, exec, "deny", POLICY_EXEC_DENY) : e;
}

static int read_network(struct reader *r, const cJSON *network)
{
	static const char *const known[] = { "mode" };
	const cJSON *mode = get(network, "mode");
	int e = check_keys(r, network, "\"network\"", known, ARRAY_SIZE(known));

	if (e < 0 || !mode)
		return e;
	if (cJSON_IsString(mode) && strcmp(mode->valuestring, "none") == 0)
		return 0;
	return fail(r, mode, "\"network.mode\" is \"none\": this version opens no other network");
}

static int read_loss(struct reader *r, const cJSON *v)
{
	if (cJSON_IsString(v) && strcmp(v->valuestring, "kill") == 0)
		return 0;
	return fail(r, v, "\"on_supervisor_loss\" is \"kill\": nothing else is in force here");
}

static int read_monitor_loss(struct reader *r, const cJSON *v)
{
	int e = check_gives(r, v, "on_monitor_loss");

	if (e < 0)
		return e;
	if (!cJSON_IsString(v) ||
	    (strcmp(v->valuestring, "kill") != 0 && strcmp(v->valuestring, "pause") != 0))
		return fail(r, v,
			    "\"on_monitor_loss\" is \"kill\" or \"pause\": what happens to "
			    "calls that cannot be watched any more");
	r->p->pauses_blind = strcmp(v->valuestring, "pause") == 0;
	return 0;
}

static int read_trace(struct reader *r, const cJSON *v)
{
	struct trace_set set;
	AUTO_TEXT why = { 0 };

	if (!cJSON_IsString(v) || strlen(v->valuestring) >= sizeof(r->p->trace))
		return fail(r, v, "\"watch.trace\" is a text like \"%file,%network,!stat\"");
	if (trace_parse(v->valuestring, &set, &why) < 0)
		return fail(r, v, why.at ? why.at : "\"watch.trace\" is not understood");
	(void)snprintf(r->p->trace, sizeof(r->p->trace), "%s", v->valuestring);
	return 0;
}

static int read_watch(struct reader *r, const cJSON *watch)
{
	static const char *const known[] = { "mode", "trace", "compare", "hash" };
	const cJSON *mode = get(watch, "mode"), *trace = get(watch, "trace");
	const cJSON *compare = get(watch, "compare"), *hash = get(watch, "hash");
	int e = check_gives(r, watch, "watch");

	if (e == 0)
		e = check_keys(r, watch, "\"watch\"", known, ARRAY_SIZE(known));
	if (e < 0)
		return e;
	if (mode && (!cJSON_IsString(mode) || (strcmp(mode->valuestring, "fast") != 0 &&
					       strcmp(mode->valuestring, "lossless") != 0)))
		return fail(r, mode,
			    "\"watch.mode\" is \"fast\" (what does not fit is counted) or "
			    "\"lossless\" (the tool is braked)");
	if (mode)
		r->p->is_lossless = strcmp(mode->valuestring, "lossless") == 0;
	if (compare && !cJSON_IsBool(compare))
		return fail(r, compare,
			    "\"watch.compare\" is true or false: whether paths are read "
			    "before each call, too");
	if (compare)
		r->p->compares = cJSON_IsTrue(compare);
	if (hash && !cJSON_IsBool(hash))
		return fail(r, hash,
			    "\"watch.hash\" is true or false: whether the report has the "
			    "hash of each program that ran");
	if (hash)
		r->p->hashes = cJSON_IsTrue(hash);
	return trace ? read_trace(r, trace) : 0;
}

static int read_member_limits(struct reader *r, const cJSON *limits)
{
	return read_limits(r->p, limits, r->tighten, r->why, &r->bad) < 0 ? -EINVAL : 0;
}

static int read_timeout(struct reader *r, const cJSON *timeout)
{
	int e = check_gives(r, timeout, "approval_timeout");

	if (e == 0 && (!cJSON_IsString(timeout) ||
		       text_parse_duration(timeout->valuestring, &r->p->approval_ns) < 0 ||
		       r->p->approval_ns == 0))
		e = fail(r, timeout, "\"approval_timeout\" is a time like \"5m\"");
	return e;
}

static int read_root(struct reader *r, const cJSON *root)
{
	int e = check_gives(r, root, "root");

	if (e < 0)
		return e;
	if (!cJSON_IsBool(root))
		return fail(r, root, "\"root\" is true or false: whether the user inside is root");
	r->p->as_root = cJSON_IsTrue(root);
	return 0;
}

static int read_extends(struct reader *r, const cJSON *v)
{
	return check_gives(r, v, "extends"); /* done before: see policy_read() */
}

static int read_members(struct reader *r)
{
	static const struct {
		const char *key;
		int (*read)(struct reader *r, const cJSON *v);
	} members[] = {
		{ "extends", read_extends },
		{ "files", read_files },
		{ "network", read_network },
		{ "syscalls", read_syscalls },
		{ "exec", read_exec },
		{ "limits", read_member_limits },
		{ "env", read_env },
		{ "ask", read_ask },
		{ "approval_timeout", read_timeout },
		{ "root", read_root },
		{ "on_supervisor_loss", read_loss },
		{ "on_monitor_loss", read_monitor_loss },
		{ "watch", read_watch },
	};
	const char *known[ARRAY_SIZE(members)];
	int e;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		known[i] = members[i].key;
	e = check_keys(r, r->doc->json, "a policy", known, ARRAY_SIZE(known));
	for (size_t i = 0; e == 0 && i < ARRAY_SIZE(members); i++) {
		const cJSON *v = get(r->doc->json, members[i].key);

		if (v)
			e = members[i].read(r, v);
	}
	return e;
}

int policy_read_members(struct policy *p, const struct policy_doc *doc, bool only_tighten,
			struct text *why)
{
	AUTO_TEXT message = { 0 };
	struct reader r = { .p = p, .doc = doc, .why = &message, .tighten = only_tighten };
	int e = read_members(&r);

	if (e == -ENOMEM)
		text_add(&message, strerror(ENOMEM));
	if (e < 0) {
		policy_doc_say_where(doc, r.bad, why);
		text_add_n(why, message.at ? message.at : "", message.len);
		if (policy_doc_line(doc, r.bad) > 0 && r.bad->string &&
		    !strstr(message.at ? message.at : "", r.bad->string))
			text_printf(why, " (\"%s\")", r.bad->string);
	}
	return e;
}
