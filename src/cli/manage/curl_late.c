// SPDX-License-Identifier: Apache-2.0
/*
 * libcurl, loaded when the management service is first asked for something. It brings some thirty libraries with it, and starting a machine without
 * the service needs none of them: they would be most of the time that `virid run` takes to begin, and of the memory that it keeps.
 *
 * The functions have libcurl's names and contracts, so nobody else sees a difference. Those that return nothing and are called only with what
 * libcurl has made are not reached before it is there.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>

#include "lib/bits.h"
#include "manage.h"

/* curl.h makes macros of these, which check the types of arguments for gcc. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

/* Debian has both builds: with OpenSSL and with GnuTLS. */
static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

static void *library(void)
{
	static _Thread_local void *loaded;

	for (size_t i = 0; loaded == NULL && i < ARRAY_LEN(names); i++) {
		loaded = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	}
	if (loaded == NULL) {
		complain("libcurl is not installed (%s): it is needed to reach the management "
			 "service",
			 dlerror());
		exit(CLI_FAILED);
	}
	return loaded;
}

static void *function(const char *name)
{
	void *f = dlsym(library(), name);

	if (f == NULL) {
		complain("libcurl has no %s: expected version 7.85 or newer", name);
		exit(CLI_FAILED);
	}
	return f;
}

#define LATE(name) ((__typeof__(&(name)))function(#name))

CURL *curl_easy_init(void)
{
	return LATE(curl_easy_init)();
}

void curl_easy_cleanup(CURL *curl)
{
	LATE(curl_easy_cleanup)(curl);
}

/* Each option takes a pointer, a function, a long or a curl_off_t: one machine word. */
CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
	va_list list;

	va_start(list, option);
	void *word = va_arg(list, void *);

	va_end(list);
	return LATE(curl_easy_setopt)(curl, option, word);
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
	va_list list;

	va_start(list, info);
	void *where = va_arg(list, void *);

	va_end(list);
	return LATE(curl_easy_getinfo)(curl, info, where);
}

CURLcode curl_easy_perform(CURL *curl)
{
	return LATE(curl_easy_perform)(curl);
}

CURLcode curl_easy_recv(CURL *curl, void *buffer, size_t bytes, size_t *got)
{
	return LATE(curl_easy_recv)(curl, buffer, bytes, got);
}

CURLcode curl_easy_send(CURL *curl, const void *buffer, size_t bytes, size_t *sent)
{
	return LATE(curl_easy_send)(curl, buffer, bytes, sent);
}

const char *curl_easy_strerror(CURLcode code)
{
	return LATE(curl_easy_strerror)(code);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
	return LATE(curl_slist_append)(list, text);
}

void curl_slist_free_all(struct curl_slist *list)
{
	LATE(curl_slist_free_all)(list);
}
