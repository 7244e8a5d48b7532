// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/doctor.c - `glovebox doctor`: try everything, then say what holds.
 *
 * It runs this very program, four times, in a place of its own: a call that
 * tries what must be stopped, one that uses too much memory, one that fills the disk,
 * and one that is paused and killed from outside. What it prints is what happened, not what a
 * version number or a configuration promises.
 *
 * Two halves: the first, as root, runs the calls and the BPF features and reads
 * nothing; the second gives its privileges up and reads what came out.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build/bpf/feature.skel.h"
#include "sandbox/base/fd.h"
#include "sandbox/base/io.h"
#include "supervisor/command.h"
#include "supervisor/confine.h"
#include "supervisor/options.h"
#include "supervisor/place.h"
#include "supervisor/user.h"

/* A call that has not come up after this many looks, 50 ms apart, will not. */
#define LOOKS 200
#define LOOK_MS 50
#define FILE_MAX (4u << 20)

struct options {
	bool help, json;
};

static const struct option_row rows[] = {
	{ 0, "json", OPTION_BOOL, offsetof(struct options, json), NULL, "one JSON object" },
	{ 'h', "help", OPTION_BOOL, offsetof(struct options, help), NULL, "this text" },
	{ .kind = OPTION_END },
};

/* The files the calls leave, in the doctor's own directory. */
enum paper {
	PAPER_PROBE,
	PAPER_REPORT,
	PAPER_MEMORY,
	PAPER_DISK,
	PAPER_PAUSE,
	PAPER_KILL,
	PAPER_ERRORS,
	PAPER_COUNT
};

static const char *const paper_names[PAPER_COUNT] = {
	[PAPER_PROBE] = "probe",   [PAPER_REPORT] = "report", [PAPER_MEMORY] = "memory",
	[PAPER_DISK] = "disk",     [PAPER_PAUSE] = "pause",   [PAPER_KILL] = "kill",
	[PAPER_ERRORS] = "errors",
};

struct doctor {
	struct options opt;
	char dir[PATH_MAX]; /* holds all of the below */
	char run[PATH_MAX];
	int at;
	bool lsm, fentry;
	struct text papers[PAPER_COUNT];
	struct text out;
	unsigned int bad, missing;
};

/* --- first half: as root, reading nothing -------------------------------- */

static pid_t start_self(struct doctor *d, const char *out, char *const *words)
{
	pid_t pid = fork();
	int to, err;

	if (pid != 0)
		return pid;
	to = openat(d->at, out ? out : "null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	err = openat(d->at, paper_names[PAPER_ERRORS], O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (to < 0 || err < 0 || dup2(to, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		_exit(RUN_FAILED);
	to = open("/dev/null", O_RDONLY);
	if (to < 0 || dup2(to, STDIN_FILENO) < 0)
		_exit(RUN_FAILED);
	(void)execv("/proc/self/exe", words);
	_exit(RUN_FAILED);
}

static int wait_for(pid_t pid)
{
	int status = -1;

	if (pid > 0)
		(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int copy_probe(struct doctor *d)
{
	AUTO_FD own = -1;
	AUTO_FD from = -1;
	AUTO_FD to = -1;
	int r;

	r = place_open_own_dir(&own);
	if (r < 0)
		return r;
	from = openat(own, "glovebox-probe", O_RDONLY | O_CLOEXEC);
	to = openat(d->at, "work/probe", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (from < 0 || to < 0)
		return -errno;
	while ((r = (int)sendfile(to, from, NULL, INT_MAX)) > 0)
		;
	return r < 0 ? -errno : 0;
}

static int make_place(struct doctor *d, struct text *why)
{
	char path[PATH_MAX + 16];

	if (place_make(why) < 0)
		return -EIO;
	/* short: the path of a socket holds 107 bytes (unix(7)) */
	(void)snprintf(d->run, sizeof(d->run), "%s-d.XXXXXX", place_run());
	if (!mkdtemp(d->run) || chmod(d->run, 0755) < 0) {
		text_printf(why, "cannot make a directory beside %s: %s", place_run(),
			    strerror(errno));
		return -EIO;
	}
	(void)snprintf(d->dir, sizeof(d->dir), "%s/doctor.XXXXXX", place_state());
	if (!mkdtemp(d->dir) || chmod(d->dir, 0711) < 0) {
		text_printf(why, "cannot make a place to work in %s: %s", place_state(),
			    strerror(errno));
		return -EIO;
	}
	d->at = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->at < 0 || mkdirat(d->at, "work", 0755) < 0 || copy_probe(d) < 0) {
		text_printf(why, "cannot prepare %s: %s (is glovebox-probe beside glovebox?)",
			    d->dir, strerror(errno));
		return -EIO;
	}
	/* instances of our own, so that "s-" names the only one */
	(void)setenv("GLOVEBOX_RUN", d->run, 1);
	(void)snprintf(path, sizeof(path), "%s/state", d->dir);
	(void)setenv("GLOVEBOX_STATE", path, 1);
	return 0;
}

static void run_calls(struct doctor *d)
{
	char work[PATH_MAX + 8], report[PATH_MAX + 8], memory[PATH_MAX + 8], disk[PATH_MAX + 8];
	char *probe[] = { "glovebox", "run",     "-q",       "--discard",   "--limit",
			  "pids=64",  "--limit", "wall=60s", "--workspace", work,
			  "--report", report,    "--",       "./probe",     NULL };
	char *hog[] = { "glovebox",    "run",        "-q",       "--discard",
			"--limit",     "memory=64M", "--limit",  "wall=60s",
			"--workspace", work,         "--report", memory,
			"--",          "./probe",    "memory",   NULL };
	char *filler[] = { "glovebox",    "run",     "-q",       "--discard",
			   "--limit",     "disk=8M", "--limit",  "wall=60s",
			   "--workspace", work,      "--report", disk,
			   "--",          "./probe", "disk",     NULL };
	char *waiter[] = { "glovebox",    "run", "-q", "--discard", "--limit", "wall=60s",
			   "--workspace", work,  "--", "./probe",   "wait",    NULL };
	char *pause[] = { "glovebox", "pause", "--json", "s-", NULL };
	char *kill[] = { "glovebox", "kill", "--json", "s-", NULL };
	pid_t pid;

	(void)snprintf(work, sizeof(work), "%s/work", d->dir);
	(void)snprintf(report, sizeof(report), "%s/report", d->dir);
	(void)snprintf(memory, sizeof(memory), "%s/memory", d->dir);
	(void)snprintf(disk, sizeof(disk), "%s/disk", d->dir);
	(void)wait_for(start_self(d, paper_names[PAPER_PROBE], probe));
	(void)wait_for(start_self(d, NULL, hog));
	(void)wait_for(start_self(d, NULL, filler));
	pid = start_self(d, NULL, waiter);
	for (int i = 0; i < LOOKS; i++) {
		if (wait_for(start_self(d, paper_names[PAPER_PAUSE], pause)) == 0)
			break;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return;
		(void)poll(NULL, 0, LOOK_MS);
	}
	(void)wait_for(start_self(d, paper_names[PAPER_KILL], kill));
	(void)wait_for(pid);
}

static int be_silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* One program alone: what one kernel refuses must not take the other along. */
static bool try_feature(bool lsm)
{
	struct feature_bpf *f = feature_bpf__open();
	struct bpf_link *link;
	bool fired = false;
	pid_t pid;

	if (!f)
		return false;
	(void)bpf_program__set_autoload(lsm ? f->progs.feature_fentry : f->progs.feature_lsm,
					false);
	if (feature_bpf__load(f) == 0) {
		link = bpf_program__attach(lsm ? f->progs.feature_lsm : f->progs.feature_fentry);
		if (link && libbpf_get_error(link) == 0) {
			int gate[2];

			if (pipe2(gate, O_CLOEXEC) < 0)
				return false;
			pid = fork();
			if (pid == 0) {
				char c;

				(void)!read(gate[0], &c, 1);
				(void)execl("/bin/true", "true", (char *)NULL);
				_exit(1);
			}
			f->bss->feature_pid = pid;
			(void)!write(gate[1], "g", 1);
			(void)wait_for(pid);
			(void)close(gate[0]);
			(void)close(gate[1]);
			fired = (lsm ? f->bss->lsm_fired : f->bss->fentry_fired) > 0;
			(void)bpf_link__destroy(link);
		}
	}
	feature_bpf__destroy(f);
	return fired;
}

/* --- second half: without privileges, reading ----------------------------- */

static void read_papers(struct doctor *d)
{
	for (int i = 0; i < PAPER_COUNT; i++) {
		AUTO_FD fd = openat(d->at, paper_names[i], O_RDONLY | O_CLOEXEC);
		AUTO_MEM char *data = malloc(FILE_MAX);
		ssize_t n = fd >= 0 && data ? io_read_full(fd, data, FILE_MAX) : 0;

		text_add(&d->papers[i], "");
		if (n > 0)
			text_add_n(&d->papers[i], data, (size_t)n);
	}
}

static void line(struct doctor *d, const char *name, const char *state, const char *detail)
{
	bool ok = strcmp(state, "ok") == 0;

	d->bad += strcmp(state, "FAIL") == 0;
	d->missing += strcmp(state, "missing") == 0;
	if (d->opt.json) {
		text_printf(&d->out, "%s{\"check\":\"%s\",\"state\":\"%s\",\"detail\":",
			    d->out.len ? "," : "", name, state);
		text_add_json(&d->out, detail, strlen(detail));
		text_add(&d->out, "}");
		return;
	}
	text_printf(&d->out, "%-8s %-20s ", ok ? "ok" : state, name);
	text_add_safe(&d->out, detail, strlen(detail));
	text_add(&d->out, "\n");
}

/* The probe's own lines. */
static void judge_probe(struct doctor *d)
{
	char *save = NULL;
	unsigned int seen = 0;

	for (char *l = strtok_r(d->papers[PAPER_PROBE].at, "\n", &save); l;
	     l = strtok_r(NULL, "\n", &save)) {
		char *state = strchr(l, '\t');
		char *detail = state ? strchr(state + 1, '\t') : NULL;

		if (!detail)
			continue;
		*state++ = '\0';
		*detail++ = '\0';
		seen++;
		line(d, l, strncmp(state, "NOT", 3) == 0 ? "FAIL" : "ok", detail);
	}
	if (seen == 0)
		line(d, "sandbox", "FAIL",
		     d->papers[PAPER_ERRORS].len ? d->papers[PAPER_ERRORS].at
						 : "no call could be started");
}

static double number(const cJSON *json, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static bool has_denial(const cJSON *report, const char *syscall)
{
	const cJSON *d;

	cJSON_ArrayForEach (d, cJSON_GetObjectItemCaseSensitive(report, "denials")) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(d, "syscall");

		if (cJSON_IsString(name) && strcmp(name->valuestring, syscall) == 0)
			return true;
	}
	return false;
}

static void judge_watching(struct doctor *d, const cJSON *report)
{
	const cJSON *events = cJSON_GetObjectItemCaseSensitive(report, "events");
	const cJSON *protection = cJSON_GetObjectItemCaseSensitive(report, "protection");
	const cJSON *why = cJSON_GetObjectItemCaseSensitive(protection, "unwatched_because");
	bool by_bpf = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(protection, "watched"));
	bool seen = number(events, "emitted") > 0;
	char text[160];

	if (!seen) {
		line(d, "watch.events", "missing",
		     cJSON_IsString(why) ? why->valuestring : "no event arrived");
		return;
	}
	(void)snprintf(text, sizeof(text), "%.0f emitted, %.0f delivered, %.0f lost",
		       number(events, "emitted"), number(events, "delivered"),
		       number(events, "lost"));
	line(d, "watch.events",
	     number(events, "emitted") == number(events, "delivered") + number(events, "lost")
		     ? "ok"
		     : "FAIL",
	     text);
	line(d, "watch.exec",
	     cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(report, "processes")) > 0 ? "ok"
											   : "FAIL",
	     by_bpf ? "sched_process_exec was seen to fire" : "seccomp asked before it");
	/* a process that is killed asks nobody */
	line(d, "watch.denials",
	     has_denial(report, "ptrace") && has_denial(report, "connect") &&
			     (!by_bpf || has_denial(report, "foreign"))
		     ? "ok"
		     : "FAIL",
	     by_bpf ? "the refusals above were seen by the kernel's side, too"
		    : "the refusals above were asked about");
	line(d, "watch.ebpf", by_bpf ? "ok" : "missing",
	     by_bpf                ? "every system call is counted"
	     : cJSON_IsString(why) ? why->valuestring
				   : "");
}

static void judge_report(struct doctor *d)
{
	cJSON *report =
		cJSON_ParseWithLength(d->papers[PAPER_REPORT].at, d->papers[PAPER_REPORT].len);
	const cJSON *protection = cJSON_GetObjectItemCaseSensitive(report, "protection");
	const cJSON *limits = cJSON_GetObjectItemCaseSensitive(protection, "limits");
	const cJSON *by = cJSON_GetObjectItemCaseSensitive(limits, "by");
	const cJSON *control = cJSON_GetObjectItemCaseSensitive(protection, "control");
	bool has_groups = cJSON_IsString(control) && strcmp(control->valuestring, "cgroup") == 0;
	int changes = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(report, "changes"));
	char text[128];

	judge_watching(d, report);
	line(d, "files.changes", changes == 1 ? "ok" : "FAIL",
	     "the layer lists the one file it made");
	line(d, "kill.leftovers", number(report, "killed_leftovers") >= 1 ? "ok" : "FAIL",
	     "a double-forked daemon did not survive");
	(void)snprintf(text, sizeof(text), "ABI %.0f", number(protection, "landlock_abi"));
	line(d, "files.landlock", number(protection, "landlock_abi") > 0 ? "ok" : "missing", text);
	line(d, "control.groups", has_groups ? "ok" : "missing",
	     has_groups ? "each call has a control group"
			: "a kill is that of the call's init, a pause a stop (best effort)");
	line(d, "limits.cpu",
	     cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(limits, "cpu")) ? "ok" : "missing",
	     cJSON_IsString(by) ? by->valuestring : "");
	cJSON_Delete(report);
}

static void judge_limit(struct doctor *d, enum paper paper, const char *name, const char *held_text)
{
	cJSON *report = cJSON_ParseWithLength(d->papers[paper].at, d->papers[paper].len);
	const cJSON *outcome = cJSON_GetObjectItemCaseSensitive(report, "outcome");
	bool held = cJSON_IsString(outcome) && strcmp(outcome->valuestring, "over_limit") == 0;

	line(d, name, held ? "ok" : "missing",
	     held ? held_text : "a call used more than its limit");
	cJSON_Delete(report);
}

static void judge_receipt(struct doctor *d, enum paper paper, const char *name, const char *key,
			  double want)
{
	cJSON *json = cJSON_ParseWithLength(d->papers[paper].at, d->papers[paper].len);
	const cJSON *receipt = cJSON_GetObjectItemCaseSensitive(json, "receipt");
	char text[64];

	(void)snprintf(text, sizeof(text), "%s %.0f after %.3f ms", key, want,
		       number(receipt, "ns") / 1e6);
	line(d, name, receipt && number(receipt, key) == want ? "ok" : "FAIL",
	     receipt ? text : "no receipt");
	cJSON_Delete(json);
}

static int judge(struct doctor *d)
{
	const char *tier;

	read_papers(d);
	judge_probe(d);
	judge_report(d);
	judge_limit(d, PAPER_MEMORY, "limits.memory", "1 GiB in a call of 64 MiB ended it");
	judge_limit(d, PAPER_DISK, "limits.disk", "64 MiB in a session of 8 MiB ended it");
	judge_receipt(d, PAPER_PAUSE, "control.pause", "frozen", 1);
	judge_receipt(d, PAPER_KILL, "control.kill", "populated", 0);
	tier = d->bad ? "none" : user_is_single() ? "user" : d->missing ? "partial" : "full";
	/* upgrades, no part of the tier: kernels without them are served as well */
	line(d, "kernel.bpf_lsm", d->lsm ? "ok" : "absent",
	     d->lsm ? "was seen to fire" : "not on this kernel; nothing depends on it");
	line(d, "kernel.fentry", d->fentry ? "ok" : "absent",
	     d->fentry ? "was seen to fire" : "not on this kernel; nothing depends on it");
	if (d->opt.json)
		(void)printf("{\"schema\":1,\"tier\":\"%s\",\"checks\":[%s]}\n", tier, d->out.at);
	else
		(void)printf("%stier: %s\n", d->out.at, tier);
	(void)fflush(stdout);
	return d->bad ? EXIT_FAILED : EXIT_DONE;
}

static void remove_place(const char *dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/rm", "rm", "-rf", "--", dir, (char *)NULL);
		_exit(1);
	}
	(void)wait_for(pid);
}

int command_doctor(char **argv)
{
	static struct doctor d;
	AUTO_TEXT why = { 0 };
	char **rest;
	int status;
	pid_t pid;

	if (options_parse(rows, argv, false, &d.opt, &rest, &why) < 0 || rest[0])
		return command_fail(EXIT_USAGE, "%s",
				    why.at ? why.at : "doctor takes no arguments");
	if (d.opt.help) {
		options_help(rows, &d.out);
		(void)printf("usage: glovebox doctor [--json]\n\n%s", d.out.at);
		return EXIT_DONE;
	}
	if (user_become_root(&why) < 0)
		return command_fail(EXIT_NOT_PERMITTED, "%s", why.at);
	if (make_place(&d, &why) < 0) {
		if (d.run[0])
			remove_place(d.run);
		return command_fail(EXIT_FAILED, "%s", why.at);
	}
	run_calls(&d);
	(void)libbpf_set_print(be_silent);
	d.lsm = !user_is_single() && try_feature(true);
	d.fentry = !user_is_single() && try_feature(false);
	for (int i = 0; i < PAPER_COUNT; i++) /* for the second half to read */
		if (fchmodat(d.at, paper_names[i], 0644, 0) < 0 && errno != ENOENT)
			return command_fail(EXIT_FAILED, "cannot read what the calls left");
	pid = fork();
	if (pid == 0)
		_exit(confine_privileges() == 0 ? judge(&d) : EXIT_FAILED);
	status = wait_for(pid);
	remove_place(d.dir);
	remove_place(d.run);
	return status < 0 ? EXIT_FAILED : status;
}
