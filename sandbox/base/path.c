// SPDX-License-Identifier: Apache-2.0
/* sandbox/base/path.c - facts about paths, from their text alone. */
#include "sandbox/base/path.h"

#include <string.h>

bool path_link_leaves(const char *path, const char *target)
{
	int depth = 0;

	if (target[0] == '/')
		return true;
	for (; *path; path++)
		depth += *path == '/';
	while (*target) {
		size_t n = strcspn(target, "/");

		if (n == 2 && target[0] == '.' && target[1] == '.')
			depth--;
		else if (n > 0 && !(n == 1 && target[0] == '.'))
			depth++;
		if (depth < 0)
			return true;
		target += n;
		target += *target == '/';
	}
	return false;
}
