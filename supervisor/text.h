// SPDX-License-Identifier: Apache-2.0
/* supervisor/text.h - growing text, escaping, and values a person writes. */
#ifndef SUPERVISOR_TEXT_H
#define SUPERVISOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that grows. Zero-initialised is empty; text_done() frees. A failed
 * allocation is remembered in `failed` and makes every later append a no-op. */
struct text {
	char *at;
	size_t len;
	size_t room;
	bool failed;
};

void text_done(struct text *t);
void text_add(struct text *t, const char *s);
void text_add_n(struct text *t, const char *s, size_t n);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `before`, and a number behind it: what text_printf() would take four times as long for. */
void text_add_number(struct text *t, const char *before, uint64_t n);
void text_add_signed(struct text *t, const char *before, int64_t n);

/* Bytes as a JSON string, with quotes. Control characters are escaped; what is
 * not valid UTF-8 becomes \udcXX for each byte, as Python's surrogateescape does,
 * so that every path can be told from every other. */
void text_add_json(struct text *t, const char *s, size_t n);

/* The bytes of a JSON string, without its quotes, as text_add_json() wrote them; a
 * lone \udcXX is the byte XX. */
void text_add_unescaped(struct text *t, const char *s, size_t n);

/* In JSON text: each lone \\udcXX becomes U+FFFD, for readers who refuse the former. */
void text_replace_lone(char *json);

/* Bytes for a terminal: anything that is not printable is shown as \xXX, so that
 * no name or argument can move the cursor or forge a line. */
void text_add_safe(struct text *t, const char *s, size_t n);

/* A tool's output for a model: what begins like a line of ours (a person's note, an
 * explained denial) loses its bracket, so that a tool cannot forge one. */
void text_add_output(struct text *t, const char *s, size_t n);

/* An RFC 3339 time in UTC with nanoseconds. */
void text_add_time(struct text *t, uint64_t realtime_ns);

#define AUTO_TEXT __attribute__((cleanup(text_done))) struct text

/* "90", "90s", "10m", "1h", "250ms" to nanoseconds. 0 or -EINVAL, -ERANGE. */
int text_parse_duration(const char *s, uint64_t *ret_ns);

/* "4096", "64K", "2G" (powers of 1,024) to bytes. 0 or -EINVAL, -ERANGE. */
int text_parse_size(const char *s, uint64_t *ret_bytes);

/* A whole number from `min` to `max`. 0 or -EINVAL, -ERANGE. */
int text_parse_count(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* "2", "0.5" to thousandths. 0 or -EINVAL, -ERANGE. */
int text_parse_milli(const char *s, uint32_t *ret);

/* Whether all of it is valid UTF-8 (no overlong forms, no surrogates). */
bool text_is_utf8(const char *s, size_t n);

/* Bytes of the UTF-8 sequence at `s`, 0 when it is not one. */
size_t text_utf8_length(const unsigned char *s, size_t n);

/* The candidate nearest to `word` (edit distance at most 2), or NULL. */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

/* An absolute path without "." and "..", as if no name in it were a link. */
void text_add_folded(struct text *out, const char *path, size_t len);

#endif
