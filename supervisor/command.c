// SPDX-License-Identifier: Apache-2.0
/* supervisor/command.c - what all commands share. */
#include "supervisor/command.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/text.h"

#define SAY_MS 2000
#define PIECE 4096 /* PIPE_BUF: taken at once by what poll(2) calls writable */

int command_fail(int status, const char *format, ...)
{
	AUTO_TEXT t = { 0 };
	AUTO_TEXT safe = { 0 };
	char line[4096];
	struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	text_add_safe(&safe, line, strlen(line));
	text_printf(&t, "glovebox: %s\n", safe.at ? safe.at : "");
	/* a reader that does not read must not keep us from ending */
	if (poll(&err, 1, SAY_MS) > 0)
		(void)!write(STDERR_FILENO, t.at, t.len > PIECE ? PIECE : t.len);
	return status;
}

int command_version(char **argv)
{
	(void)argv;
	(void)puts("glovebox " GLOVEBOX_VERSION);
	return EXIT_DONE;
}
