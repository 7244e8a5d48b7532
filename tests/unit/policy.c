// SPDX-License-Identifier: Apache-2.0
/* tests/unit/policy.c - policies: patterns, lines, what extends what, engines' profiles. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "sandbox/base/fd.h"
#include "supervisor/policy.h"
#include "supervisor/policy_doc.h"
#include "supervisor/profile.h"

static int read_text(struct policy *p, const char *text, struct text *why)
{
	struct policy_doc doc;
	int r = policy_doc_read(&doc, "x.jsonc", text, strlen(text), why);

	*p = (struct policy){ 0 };
	if (r < 0)
		return r;
	r = policy_read(p, &doc, NULL, why);
	policy_doc_done(&doc);
	return r;
}

Test(policy, a_pattern_covers_names_and_what_is_below_them)
{
	static const struct {
		const char *pattern, *path;
		bool is_covered;
	} all[] = {
		{ ".env", ".env", true },
		{ ".env", "a/b/.env", true },
		{ ".env", ".env/x", true },
		{ ".env", ".environment", false },
		{ ".env", "x.env", false },
		{ "/.env", "a/.env", false },
		{ "/ci/*.yml", "ci/a.yml", true },
		{ "/ci/*.yml", "ci/a/b.yml", false },
		{ "/ci/**/*.yml", "ci/a/b/c.yml", true },
		{ "/ci/**/*.yml", "ci/a.yml", true },
		{ "**/*.pem", "a/b/c.pem", true },
		{ "**/*.pem", "c.pem", true },
		{ "**/*.pem", "c.pem.txt", false },
		{ "a/**", "a/b/c", true },
		{ "a?c", "abc", true },
		{ "a?c", "a/c", false },
		{ ".git/hooks", "sub/.GIT/Hooks/x", true },
		{ ".git/hooks", ".git/hook", false },
		{ "*", "anything", true },
		{ "a*b*c*d", "aXbXcXd", true },
		{ "a*b*c*d", "aXbXcX", false },
		{ "dir/", "dir/x", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_expect_eq(policy_glob(all[i].pattern, all[i].path), all[i].is_covered, "%s %s",
			     all[i].pattern, all[i].path);
}

Test(policy, no_pattern_takes_long)
{
	char pattern[POLICY_GLOB_MAX + 1] = "", path[4096];

	for (size_t i = 0; i + 3 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 3);
	memset(path, 'a', sizeof(path) - 2);
	path[sizeof(path) - 2] = 'b';
	path[sizeof(path) - 1] = '\0';
	cr_assert_not(policy_glob(pattern, path));
}

Test(policy, what_is_wrong_is_named_with_its_line)
{
	static const struct {
		const char *text, *says;
	} all[] = {
		{ "{\n\"fils\": {}}",
		  "x.jsonc:2: a policy has no \"fils\"; did you mean \"files\"?" },
		{ "{ // c\n/* \n */ \"files\": {\n\"reed\": []}}",
		  "x.jsonc:4: \"files\" has no \"reed\"" },
		{ "{\"files\":{\"read\":[\"/a\",\n\"b\"]}}", "x.jsonc:2: an entry of files.read" },
		{ "{\"files\":{\"read\":[\"/a/../b\"]}}", "x.jsonc:1: an entry of files.read" },
		{ "{\"files\":{\"protect\":[\"../x\"]}}", "x.jsonc:1: a pattern is" },
		{ "{\"syscalls\":{\"deny\":[\n\n\"opennat\"]}}",
		  "x.jsonc:3: there is no system call \"opennat\"; did you mean \"openat\"?" },
		{ "{\"limits\":\n{\"pids\":0}}", "x.jsonc:2: limit pids=0" },
		{ "{\"network\":{\"mode\":\"host\"}}", "x.jsonc:1: \"network.mode\"" },
		{ "{\"extends\":\n\"nobody\"}", "x.jsonc:1: there is no policy \"nobody\"" },
		{ "{\"extends\": 1}", "x.jsonc:1: \"extends\"" },
		{ "{\"a\":1,\n\"a\":2}", "x.jsonc:2: the key \"a\" is given twice" },
		{ "{\n\n\"a\" 1}", "x.jsonc:3: this is not JSON" },
		{ "{\"files\": {\"hide\": [\"a,]\",\n/* , */ \"b\"\n, ]}}",
		  "x.jsonc:3: a comma with nothing" },
		{ "{\"limits\": {\"pids\": 3, }\n}", "x.jsonc:1: a comma with nothing" },
		{ "[]", "x.jsonc: a policy is one JSON object" },
		{ "{\"exec\":{\"deny\":[\"sudo\"]}}", "x.jsonc:1: an entry of exec.deny" },
		{ "{\"on_supervisor_loss\":\"freeze\"}", "x.jsonc:1: \"on_supervisor_loss\"" },
		{ "{\"syscalls\":{\"profile\":\"/nowhere/p.json\"}}", "No such file" },
		{ "", "x.jsonc" },
		{ "/* open", "x.jsonc" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		AUTO_TEXT why = { 0 };
		struct policy p;

		cr_expect_eq(read_text(&p, all[i].text, &why), -EINVAL, "%s", all[i].text);
		cr_expect(why.at && strstr(why.at, all[i].says), "%s: %s", all[i].text, why.at);
		policy_done(&p);
	}
}

Test(policy, built_in_ones_are_sound_and_say_where_they_come_from)
{
	for (size_t i = 0; policy_builtin_names[i]; i++) {
		AUTO_TEXT why = { 0 };
		struct profile *profile;
		struct policy p;

		cr_assert_eq(policy_read_named(&p, policy_builtin_names[i], NULL, &why), 0, "%s",
			     why.at);
		cr_assert_eq(profile_make(&p, &profile, &why), 0, "%s", why.at);
		cr_assert_not_null(policy_find_path(&p, POLICY_READ, "/usr/bin/sh"));
		cr_assert_null(policy_find_path(&p, POLICY_READ, "/root/.ssh"));
		cr_assert(policy_is_protected(&p, ".git/hooks/pre-commit"));
		profile_free(profile);
		policy_done(&p);
	}
}

Test(policy, lists_add_to_what_is_extended)
{
	AUTO_TEXT why = { 0 };
	struct policy p;

	cr_assert_eq(
		read_text(&p, "{\"files\":{\n\"read\":[\"/srv/x\"],\"write\":[\"src/**\"]}}", &why),
		0, "%s", why.at);
	cr_assert_str_eq(policy_find_path(&p, POLICY_READ, "/srv/x/y")->from, "x.jsonc:2");
	cr_assert_not_null(policy_find_path(&p, POLICY_READ, "/usr"));
	cr_assert(policy_may_commit(&p, "src/a/b") && !policy_may_commit(&p, "lib/a"));
	policy_done(&p);
	cr_assert_eq(read_text(&p, "{\"extends\":\"none\",\"files\":{\"read\":[\"/bin\"]}}", &why),
		     0);
	cr_assert_null(policy_find_path(&p, POLICY_READ, "/usr"));
	policy_done(&p);
}

Test(policy, a_workspace_only_takes_away)
{
	static const char *const gives[] = {
		"{\"files\":{\"read\":[\"/srv\"]}}",       "{\"files\":{\"commit\":\"auto\"}}",
		"{\"syscalls\":{\"allow\":[\"ptrace\"]}}", "{\"limits\":{\"pids\":5000}}",
		"{\"env\":{\"pass\":[\"TOKEN\"]}}",        "{\"root\":true}",
		"{\"approval_timeout\":\"1h\"}",           "{\"extends\":\"open\"}",
		"{\"files\":{\"root\":\"/x\"}}",           "{\"files\":{\"write\":[\"**\"]}}",
		"{\"syscalls\":{\"profile\":\"p\"}}",
	};
	static const char takes[] =
		"{\"files\":{\"hide\":[\".env\"],\"protect\":[\"x\"]},"
		"\"limits\":{\"pids\":5},\"syscalls\":{\"deny\":[\"mkdir\"]},"
		"\"exec\":{\"deny\":[\"/usr/bin/ssh\"]},\"ask\":[{\"tool\":\"bash\"}]}";
	struct policy_doc doc;
	AUTO_TEXT why = { 0 };
	struct policy p;

	policy_init(&p);
	for (size_t i = 0; i < ARRAY_SIZE(gives); i++) {
		AUTO_TEXT no = { 0 };

		cr_assert_eq(policy_doc_read(&doc, "w", gives[i], strlen(gives[i]), &no), 0);
		cr_expect_lt(policy_tighten(&p, &doc, &no), 0, "%s", gives[i]);
		policy_doc_done(&doc);
	}
	cr_assert_eq(policy_doc_read(&doc, "w", takes, strlen(takes), &why), 0);
	cr_assert_eq(policy_tighten(&p, &doc, &why), 0, "%s", why.at);
	policy_doc_done(&doc);
	cr_assert(policy_hides(&p, ".env") && p.limits.pids == 5);
	policy_done(&p);
}

static struct profile *make(const char *text)
{
	struct profile *profile = NULL;
	AUTO_TEXT why = { 0 };
	struct policy p;

	cr_assert_eq(read_text(&p, text, &why), 0, "%s", why.at);
	cr_assert_eq(profile_make(&p, &profile, &why), 0, "%s", why.at);
	policy_done(&p);
	return profile;
}

Test(profile, a_profile_of_the_engines_is_carried_out_and_explained)
{
	static const char text[] =
		"{\"syscalls\":{\"profile\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,"
		"\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[]}],\"syscalls\":["
		"{\"names\":[\"read\",\"socket\",\"clone3\",\"io_uring_setup\",\"not_yet_known\"],\"action\":\"SCMP_ACT_ALLOW\"},"
		"{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":8,\"op\":\"SCMP_CMP_EQ\"}]},"
		"{\"names\":[\"mount\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
		"{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"4.8\"}},"
		"{\"names\":[\"kcmp\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"99.1\"}},"
		"{\"names\":[\"chown\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":13}]},"
		"\"allow\":[\"mkdir\"]}}";
	struct profile *p = make(text);
	const struct {
		const char *name;
		int error;
		uint64_t arg;
		bool is_ours;
	} all[] = {
		{ "read", EPERM, 0, false },          { "write", ENOSYS, 0, true },
		{ "write", EPERM, 0, false },         { "mount", ENOSYS, 0, true },
		{ "ptrace", EPERM, 0, false },        { "kcmp", ENOSYS, 0, true },
		{ "chown", EACCES, 0, true },         { "clone3", ENOSYS, 0, true },
		{ "io_uring_setup", EPERM, 0, true }, { "mkdir", ENOSYS, 0, false },
		{ "personality", ENOSYS, 0, false },  { "socket", EAFNOSUPPORT, 38, true },
	};
	int fd = -1;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		const uint64_t args[6] = { all[i].arg };

		cr_expect_eq(profile_explain(p, profile_syscall_number(all[i].name), all[i].error,
					     args) != NULL,
			     all[i].is_ours, "%s %d", all[i].name, all[i].error);
	}
	cr_assert_eq(profile_compile(p, &fd), 0);
	fd_done(&fd);
	profile_free(p);
}

Test(profile, what_an_engine_profile_asks_that_cannot_be_done_is_an_error)
{
	static const char *const all[] = {
		"{}",
		"{\"defaultAction\":\"SCMP_ACT_NOTIFY\",\"syscalls\":[]}",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\"}",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{}]}",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_TRACE\"}]}",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[],\"architectures\":[\"SCMP_ARCH_AARCH64\"]}",
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[],\"listenerPath\":\"/x\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		cJSON *json = cJSON_Parse(all[i]);
		AUTO_TEXT why = { 0 };

		cr_assert_not_null(json, "%s", all[i]);
		cr_expect_eq(profile_check_json(json, &why), -EINVAL, "%s", all[i]);
		cJSON_Delete(json);
	}
}

Test(profile, no_policy_denies_what_every_tool_needs)
{
	struct profile *profile = NULL;
	AUTO_TEXT why = { 0 };
	struct policy p;

	cr_assert_eq(read_text(&p, "{\"syscalls\":{\"deny\":[\"execve\"]}}", &why), 0);
	cr_assert_eq(profile_make(&p, &profile, &why), -EINVAL);
	cr_assert(strstr(why.at, "execve") && !profile);
	policy_done(&p);
}
