// SPDX-License-Identifier: Apache-2.0
/* sandbox/base/path.c - facts about paths, from their text alone. */
#include "sandbox/base/path.h"

#include <string.h>

bool path_link_leaves(const char *path, const char *target)
{
	bool descended = false;
	int depth = 0;

	if (target[0] == '/')
		return true;
	for (; *path; path++)
		depth += *path == '/';
	while (*target) {
		size_t n = strcspn(target, "/");
		bool is_up = n == 2 && target[0] == '.' && target[1] == '.';

		/* up from a name: the name may be a link, and lead anywhere */
		if (is_up && (descended || --depth < 0))
			return true;
		if (!is_up && n > 0 && !(n == 1 && target[0] == '.'))
			descended = true;
		target += n;
		target += *target == '/';
	}
	return false;
}

bool path_is_plain(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path == '/') {
		size_t n = strcspn(++path, "/");

		if (n == 0 || (n == 1 && path[0] == '.') ||
		    (n == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += n;
	}
	return true;
}

bool path_is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (n == 1)
		return true; /* "/" */
	return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}
