// SPDX-License-Identifier: Apache-2.0
/*
 * tools/main.c - the built-in tools, in one static program.
 *
 * Which one is told by the name it is started with; the names are links to it.
 */
#include <string.h>
#include <sys/stat.h>

#include "tools/tool.h"

static const struct {
	const char *name;
	int (*run)(const json_t *input);
} tools[] = {
	{ "str_replace_based_edit_tool", tool_edit },
	{ "apply_patch", tool_patch },
	{ "read_file", tool_read_file },
	{ "write_file", tool_write_file },
	{ "list_dir", tool_list_dir },
	{ "glob", tool_glob_files },
	{ "grep", tool_grep },
};

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
	json_error_t error;
	json_t *input;
	int status;

	if (strcmp(name, "bash") == 0)
		return tool_bash(argv);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
		if (strcmp(tools[i].name, name) != 0)
			continue;
		input = json_loadf(stdin, JSON_ALLOW_NUL, &error);
		if (!json_is_object(input))
			return tool_fail("the input on standard input is no JSON object: %s",
					 error.text);
		status = tools[i].run(input);
		if (fflush(stdout) != 0)
			status = tool_fail("the result could not be written");
		json_decref(input);
		return status;
	}
	return tool_fail("there is no tool \"%s\" in this program", name);
}
