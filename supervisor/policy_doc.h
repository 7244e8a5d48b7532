// SPDX-License-Identifier: Apache-2.0
/*
 * supervisor/policy_doc.h - a policy as somebody wrote it: JSON with comments, of
 * which every value's line is known.
 */
#ifndef SUPERVISOR_POLICY_DOC_H
#define SUPERVISOR_POLICY_DOC_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "supervisor/text.h"

/* Of one file: a seccomp profile of the container engines has 30 KiB. */
#define POLICY_FILE_MAX (256u << 10)

struct policy_doc {
	char *name; /* for messages: the file's, or "default.jsonc"; owned */
	cJSON *json; /* owned */
	unsigned int *lines; /* of each value in the order of the text; NULL: unknown */
	size_t line_count;
};

/* Takes `text` apart. *why begins with the name and, where there is one, the line.
 * 0, -EINVAL, -ENOMEM; on failure there is nothing to free. */
int policy_doc_read(struct policy_doc *doc, const char *name, const char *text, size_t size,
		    struct text *why);

/* The same of a file; `flags` are added to those of its open(2). -ENOENT and -EACCES, too. */
int policy_doc_open(struct policy_doc *doc, const char *path, int flags, struct text *why);

/* The line on which `node` begins (of its key, where it has one); 0: unknown. */
unsigned int policy_doc_line(const struct policy_doc *doc, const cJSON *node);

/* "NAME:LINE: ", or "NAME: ". */
void policy_doc_say_where(const struct policy_doc *doc, const cJSON *node, struct text *out);

void policy_doc_done(struct policy_doc *doc);

#endif
