// SPDX-License-Identifier: Apache-2.0
/*
 * tools/fetch.c - fetch_url, by libcurl: a program of its own, because it is not static.
 *
 * It has the network of the session and nothing more. When there is none, it says so,
 * and whose decision that is.
 */
#include <curl/curl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/tool.h"

#define BYTES_DEFAULT 1000000
#define REDIRECTS_MAX 10L
#define CONNECT_SECONDS 20L
#define SECONDS_MAX 100L /* below the limit of its manifest: it can say why */

struct answer {
	struct bytes body;
	size_t max;
	bool is_cut;
};

static size_t take(char *data, size_t size, size_t count, void *context)
{
	struct answer *a = context;
	size_t n = size * count, room = a->max - a->body.len;

	bytes_add(&a->body, data, n < room ? n : room);
	if (n <= room)
		return n;
	a->is_cut = true;
	return 0; /* enough */
}

/* Whether anything but the session's own loopback is there. */
static bool has_network(void)
{
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (struct ifaddrs *i = all; i; i = i->ifa_next)
		found |= !(i->ifa_flags & IFF_LOOPBACK) && (i->ifa_flags & IFF_UP);
	freeifaddrs(all);
	return found;
}

static int fail_fetch(CURL *curl, CURLcode code, const char *detail, const char *url)
{
	char *at = NULL;

	(void)curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &at);
	(void)tool_fail("%s: %s", at && at[0] ? at : url,
			detail[0] ? detail : curl_easy_strerror(code));
	if ((code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT) && !has_network())
		return tool_fail("The sandbox has no network: its policy says network.mode "
				 "\"none\", so only servers of this session on 127.0.0.1 can be "
				 "reached. A person can change the policy; trying again does not "
				 "help.");
	return 1;
}

static int set_headers(CURL *curl, const json_t *input, struct curl_slist **ret)
{
	json_t *headers = json_object_get(input, "headers");
	const char *name;
	json_t *v;

	json_object_foreach (headers, name, v) {
		char *line = NULL;
		struct curl_slist *more;

		if (!json_is_string(v) || strpbrk(name, "\r\n:") ||
		    strpbrk(json_string_value(v), "\r\n"))
			return tool_fail("headers holds names and strings, each on one line");
		if (asprintf(&line, "%s: %s", name, json_string_value(v)) < 0)
			return tool_fail("out of memory");
		more = curl_slist_append(*ret, line);
		free(line);
		if (!more)
			return tool_fail("out of memory");
		*ret = more;
	}
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *ret);
	return 0;
}

static void print_answer(CURL *curl, const struct answer *a)
{
	const char *type = NULL;
	char *at = NULL;
	long status = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
	(void)curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &at);
	(void)printf("HTTP %ld · %s · %zu bytes%s · %s\n\n", status, type ? type : "no type",
		     a->body.len, a->is_cut ? " (cut)" : "", at ? at : "");
	if (a->body.len > 0 && !tool_is_text(&a->body))
		(void)puts("[binary: not shown]");
	else if (a->body.len > 0)
		(void)fwrite(a->body.at, 1, a->body.len, stdout);
}

static int fetch(CURL *curl, const json_t *input)
{
	const char *url = tool_text(input, "url", ""), *method = tool_text(input, "method", "GET");
	const char *body = tool_text(input, "body", NULL);
	struct answer a = { .max = (size_t)tool_number(input, "max_bytes", BYTES_DEFAULT) };
	struct curl_slist *headers = NULL;
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode code;
	int r;

	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return tool_fail("%.200s: only http:// and https:// are fetched", url);
	bytes_add(&a.body, "", 0);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, SECONDS_MAX);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "glovebox-fetch");
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	if (strcmp(method, "HEAD") == 0)
		(void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (strcmp(method, "GET") != 0)
		(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	if (body)
		(void)curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body);
	r = set_headers(curl, input, &headers);
	if (r == 0) {
		code = curl_easy_perform(curl);
		if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && a.is_cut))
			print_answer(curl, &a);
		else
			r = fail_fetch(curl, code, detail, url);
	}
	curl_slist_free_all(headers);
	bytes_done(&a.body);
	return r;
}

int main(void)
{
	json_error_t error;
	json_t *input = json_loadf(stdin, 0, &error);
	CURL *curl;
	int status;

	if (!json_is_object(input))
		return tool_fail("the input on standard input is no JSON object: %s", error.text);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return tool_fail("libcurl does not start");
	curl = curl_easy_init();
	status = curl ? fetch(curl, input) : tool_fail("libcurl does not start");
	if (fflush(stdout) != 0)
		status = tool_fail("the result could not be written");
	curl_easy_cleanup(curl);
	json_decref(input);
	return status;
}
