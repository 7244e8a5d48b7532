// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/manifest.h - what a tool is, how it is run, and all the tools there are.
 *
 * A manifest is a JSON file in a directory of tools; tools/README.md documents its
 * members. It is read once, at the start, while there still are privileges, from
 * directories that the machine's owner has named; agents never add any.
 */
#ifndef SUPERVISOR_MANIFEST_H
#define SUPERVISOR_MANIFEST_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "sandbox/wire.h"
#include "supervisor/text.h"

/* More tools than a model can choose among. */
#define TOOLS_MAX 256
/* Bytes of text in a result, when a manifest says nothing: what agents cut at, too. */
#define TOOL_TEXT_DEFAULT 30000u

/* What the supervisor does itself for a tool that runs no program. */
enum tool_method {
	TOOL_PROGRAM,
	TOOL_WAIT,
	TOOL_KILL,
	TOOL_WRITE,
	TOOL_CHANGES,
	TOOL_UNDO,

	TOOL_METHOD_COUNT,
};

/* Everything is borrowed from `json`, which the toolbox owns. */
struct tool {
	cJSON *json;
	const char *name;
	const cJSON *input; /* schema */
	enum tool_method method;
	/* TOOL_PROGRAM: words with {properties} in them, and the names of properties */
	const cJSON *argv;
	const char *cwd, *env, *text, *timeout, *background;
	bool has_json; /* the input is written to its standard input */
	bool keeps_input;
	uint64_t wall_ns; /* 0: the policy's */
	uint32_t text_max;
	uint32_t dir; /* of its program: SB_TOOLS_AT, ".1", ... */
};

struct toolbox {
	struct tool tools[TOOLS_MAX];
	size_t count;
	char *dirs[SB_TOOLS_MAX]; /* absolute; owned */
	size_t dir_count;
};

/* The directory of the built-in tools: "tools" beside this program, or
 * ../lib/glovebox/tools. NULL: it is not there. The caller frees. */
char *toolbox_find_own(void);

/* Reads every *.json of a directory. The first error ends it: 0, or -EINVAL with
 * `why`, which names the file. */
int toolbox_add(struct toolbox *b, const char *dir, struct text *why);

const struct tool *toolbox_find(const struct toolbox *b, const char *name);

/* For `why`: that there is no such tool, and the nearest one. */
void toolbox_explain(const struct toolbox *b, const char *name, struct text *why);

/* The tools as tools.list gives them: a JSON array. */
void toolbox_add_json(const struct toolbox *b, struct text *out);

/* What a call of it is made of: fills what its manifest says. `request` is empty.
 * The input must match the schema: 0, -ENOMEM, or -EINVAL with `why`. */
struct call_request;
int tool_expand(const struct tool *t, const cJSON *input, struct call_request *request,
		struct text *why);

/* Whether this input asks not to be waited for. */
bool tool_is_background(const struct tool *t, const cJSON *input);

void toolbox_done(struct toolbox *b);

#endif
