// SPDX-License-Identifier: Apache-2.0
/* supervisor/text.c - growing text, escaping, and values a person writes. */
#include "supervisor/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "sandbox/base/fd.h"

#define FIRST_ROOM 256

static bool make_room(struct text *t, size_t more)
{
	size_t want = t->room ? t->room : FIRST_ROOM;
	char *p;

	if (t->failed)
		return false;
	if (t->len + more < t->room)
		return true;
	while (want <= t->len + more)
		want *= 2;
	p = realloc(t->at, want);
	if (!p) {
		t->failed = true;
		return false;
	}
	t->at = p;
	t->room = want;
	return true;
}

void text_done(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}

void text_add_n(struct text *t, const char *s, size_t n)
{
	if (!make_room(t, n + 1))
		return;
	if (n > 0)
		memcpy(t->at + t->len, s, n);
	t->len += n;
	t->at[t->len] = '\0';
}

void text_add(struct text *t, const char *s)
{
	text_add_n(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	if (!make_room(t, FIRST_ROOM))
		return;
	va_start(ap, format);
	n = vsnprintf(t->at + t->len, t->room - t->len, format, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= t->room - t->len) {
		if (!make_room(t, (size_t)n + 1))
			return;
		va_start(ap, format);
		(void)vsnprintf(t->at + t->len, t->room - t->len, format, ap);
		va_end(ap);
	}
	t->len += (size_t)n;
}

/* Digits of 2^64, and a sign. */
#define NUMBER_MAX 21

static void add_number(struct text *t, const char *before, uint64_t n, bool is_negative)
{
	char digits[NUMBER_MAX];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	if (is_negative)
		digits[--at] = '-';
	text_add(t, before);
	text_add_n(t, digits + at, sizeof(digits) - at);
}

void text_add_number(struct text *t, const char *before, uint64_t n)
{
	add_number(t, before, n, false);
}

void text_add_signed(struct text *t, const char *before, int64_t n)
{
	add_number(t, before, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, n < 0);
}

size_t text_utf8_length(const unsigned char *s, size_t n)
{
	uint32_t c;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > n)
		return 0;
	c = s[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10ffff)) ||
	    (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return len;
}

bool text_is_utf8(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;

	for (size_t i = 0; i < n;) {
		size_t len = text_utf8_length(p + i, n - i);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

void text_add_json(struct text *t, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;

	text_add_n(t, "\"", 1);
	for (size_t i = 0; i < n;) {
		size_t plain = 0;

		while (i + plain < n && p[i + plain] >= 0x20 && p[i + plain] < 0x7f &&
		       p[i + plain] != '"' && p[i + plain] != '\\')
			plain++;
		if (plain > 0) {
			text_add_n(t, s + i, plain);
			i += plain;
			continue;
		}
		if (p[i] == '"' || p[i] == '\\') {
			text_printf(t, "\\%c", p[i]);
			i++;
		} else if (p[i] < 0x20 || p[i] == 0x7f) {
			text_printf(t, "\\u%04x", p[i]);
			i++;
		} else {
			size_t len = text_utf8_length(p + i, n - i);

			if (len == 0) {
				text_printf(t, "\\udc%02x", p[i]);
				len = 1;
			} else {
				text_add_n(t, s + i, len);
			}
			i += len;
		}
	}
	text_add_n(t, "\"", 1);
}

/* C1 controls and the characters that reorder or hide text are as able to
 * deceive a reader as an escape sequence. */
static bool is_safe_sequence(const unsigned char *p, size_t len)
{
	if (len == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return false;
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] >= 0x8b && p[2] <= 0x8f))
		return false;
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] >= 0xa8 && p[2] <= 0xae))
		return false;
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa0)
		return false;
	return !(len == 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf);
}

void text_replace_lone(char *json)
{
	for (char *p = json; *p; p++) {
		if (p[0] != '\\')
			continue;
		if (strncmp(p, "\\udc", 4) == 0 && p[4] && p[5])
			memcpy(p, "\\ufffd", 6);
		if (*++p == '\0')
			break;
	}
}

void text_add_output(struct text *t, const char *s, size_t n)
{
	static const char *const ours[] = { "operator note", "denied by the sandbox" };
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; s[i] == '[' && k < ARRAY_SIZE(ours); k++) {
			size_t len = strlen(ours[k]);

			if (n - i - 1 < len || strncasecmp(s + i + 1, ours[k], len) != 0)
				continue;
			text_add_n(t, s + from, i - from);
			text_add(t, "(");
			from = i + 1;
		}
	}
	text_add_n(t, s + from, n - from);
}

void text_add_safe(struct text *t, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;

	for (size_t i = 0; i < n;) {
		size_t len = text_utf8_length(p + i, n - i);

		if (len == 0 || (len == 1 && (p[i] < 0x20 || p[i] == 0x7f)) ||
		    !is_safe_sequence(p + i, len)) {
			text_printf(t, "\\x%02x", p[i]);
			i++;
			continue;
		}
		text_add_n(t, s + i, len);
		i += len;
	}
}

/* "2026-11-22T17:00:00." */
#define SECOND_LEN 20
#define NS_DIGITS 9

void text_add_time(struct text *t, uint64_t realtime_ns)
{
	/* the second of the last one: thousands of events lie in one */
	static _Thread_local time_t second = -1;
	static _Thread_local char shown[64];
	time_t s = (time_t)(realtime_ns / 1000000000u);
	uint32_t ns = (uint32_t)(realtime_ns % 1000000000u);
	char rest[NS_DIGITS + 1];

	if (s != second) {
		struct tm tm;

		(void)gmtime_r(&s, &tm);
		(void)snprintf(shown, sizeof(shown), "%04d-%02d-%02dT%02d:%02d:%02d.",
			       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			       tm.tm_sec);
		second = s;
	}
	for (int i = NS_DIGITS - 1; i >= 0; i--) {
		rest[i] = (char)('0' + ns % 10);
		ns /= 10;
	}
	rest[NS_DIGITS] = 'Z';
	text_add_n(t, shown, SECOND_LEN);
	text_add_n(t, rest, sizeof(rest));
}

static int parse_number(const char *s, uint64_t *ret, const char **ret_end)
{
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	if (errno)
		return -errno;
	*ret_end = end;
	return 0;
}

static int scale(uint64_t n, uint64_t by, uint64_t *ret)
{
	return __builtin_mul_overflow(n, by, ret) ? -ERANGE : 0;
}

int text_parse_duration(const char *s, uint64_t *ret_ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {
		{ "", 1000000000u },   { "s", 1000000000u },    { "ms", 1000000u },
		{ "m", 60000000000u }, { "h", 3600000000000u }, { "d", 86400000000000u },
	};
	const char *end = s;
	uint64_t n;
	int r;

	r = parse_number(s, &n, &end);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0)
			return scale(n, units[i].ns, ret_ns);
	return -EINVAL;
}

int text_parse_size(const char *s, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *end = s, *unit;
	uint64_t n;
	int r;

	r = parse_number(s, &n, &end);
	if (r < 0)
		return r;
	if (*end == '\0')
		return scale(n, 1, ret_bytes);
	unit = strchr(units, *end >= 'a' && *end <= 'z' ? *end - 'a' + 'A' : *end);
	if (!unit || end[1] != '\0')
		return -EINVAL;
	return scale(n, 1ull << (10 * (unit - units + 1)), ret_bytes);
}

int text_parse_count(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	const char *end = s;
	uint64_t n;
	int r;

	r = parse_number(s, &n, &end);
	if (r < 0)
		return r;
	if (*end != '\0')
		return -EINVAL;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

int text_parse_milli(const char *s, uint32_t *ret)
{
	uint64_t whole = 0, part = 0;
	const char *end = s;
	int digits = 0;
	int r;

	r = parse_number(s, &whole, &end);
	if (r < 0)
		return r;
	if (*end == '.') {
		for (end++; *end >= '0' && *end <= '9' && digits < 3; end++, digits++)
			part = part * 10 + (uint64_t)(*end - '0');
		if (digits == 0)
			return -EINVAL;
	}
	if (*end != '\0')
		return -EINVAL;
	for (; digits > 0 && digits < 3; digits++)
		part *= 10;
	if (whole > 1000000 || whole * 1000 + part == 0)
		return -ERANGE;
	*ret = (uint32_t)(whole * 1000 + part);
	return 0;
}

/* Levenshtein over two rows; words are short. */
static unsigned int distance(const char *a, const char *b)
{
	enum { LONGEST = 63 };
	size_t na = strlen(a), nb = strlen(b);
	unsigned int row[LONGEST + 1];

	if (na > LONGEST || nb > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	unsigned int best_distance = 3;

	for (size_t i = 0; i < count; i++) {
		unsigned int d = distance(word, candidates[i]);

		if (d < best_distance) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}

static void add_code_point(struct text *t, unsigned int c)
{
	char out[4];
	size_t n = 0;

	if (c >= 0xdc80 && c <= 0xdcff) {
		out[n++] = (char)(c - 0xdc00);
	} else if (c < 0x80) {
		out[n++] = (char)c;
	} else if (c < 0x800) {
		out[n++] = (char)(0xc0 | (c >> 6));
		out[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		out[n++] = (char)(0xe0 | (c >> 12));
		out[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
		out[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		out[n++] = (char)(0xf0 | (c >> 18));
		out[n++] = (char)(0x80 | ((c >> 12) & 0x3f));
		out[n++] = (char)(0x80 | ((c >> 6) & 0x3f));
		out[n++] = (char)(0x80 | (c & 0x3f));
	}
	text_add_n(t, out, n);
}

static unsigned int read_hex4(const char *s)
{
	char digits[5] = { s[0], s[1], s[2], s[3], '\0' };

	return (unsigned int)strtoul(digits, NULL, 16);
}

void text_add_unescaped(struct text *t, const char *s, size_t n)
{
	static const char from[] = "bfnrt\"\\/", to[] = "\b\f\n\r\t\"\\/";

	for (size_t i = 0; i < n; i++) {
		const char *simple;

		if (s[i] != '\\' || i + 1 == n) {
			text_add_n(t, s + i, 1);
			continue;
		}
		i++;
		simple = strchr(from, s[i]);
		if (s[i] == 'u' && i + 4 < n) {
			unsigned int c = read_hex4(s + i + 1);

			i += 4;
			if (c >= 0xd800 && c < 0xdc00 && i + 6 < n && s[i + 1] == '\\') {
				c = 0x10000 + ((c - 0xd800) << 10) +
				    (read_hex4(s + i + 3) - 0xdc00);
				i += 6;
			}
			add_code_point(t, c);
		} else if (simple && *simple) {
			text_add_n(t, &to[simple - from], 1);
		}
	}
}

void text_add_folded(struct text *out, const char *path, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = 0;

		while (i + n < len && path[i + n] != '/')
			n++;
		if (n == 2 && memcmp(path + i, "..", 2) == 0) {
			while (out->len > 0 && out->at[out->len - 1] != '/')
				out->len--;
			out->len -= out->len > 0;
		} else if (n > 0 && !(n == 1 && path[i] == '.')) {
			text_add(out, "/");
			text_add_n(out, path + i, n);
		}
		i += n + 1;
	}
}
