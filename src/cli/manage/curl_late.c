// SPDX-License-Identifier: Apache-2.0
/*
 * libcurl, loaded late (late.h): it brings some thirty libraries. The functions have libcurl's names and contracts, so nobody else sees a difference.
 */
#include <curl/curl.h>
#include <stdarg.h>

#include "late.h"

/* curl.h makes macros of these, which check the types of arguments for gcc. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

/* Debian has both builds: with OpenSSL and with GnuTLS. */
static LATE_LIBRARY(library, "manage", "to reach the management service", "required",
		    "libcurl.so.4", "libcurl-gnutls.so.4");

CURL *curl_easy_init(void)
{
	return LATE(&library, curl_easy_init)();
}

void curl_easy_cleanup(CURL *curl)
{
	LATE(&library, curl_easy_cleanup)(curl);
}

/* What follows @last: every option and every inquiry takes a pointer, a function, a long or a curl_off_t, one machine word. */
#define WORD_AFTER(last)                                                                           \
	({                                                                                         \
		va_list list_;                                                                     \
		va_start(list_, last);                                                             \
		void *word_ = va_arg(list_, void *);                                               \
		va_end(list_);                                                                     \
		word_;                                                                             \
	})

CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
	return LATE(&library, curl_easy_setopt)(curl, option, WORD_AFTER(option));
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
	return LATE(&library, curl_easy_getinfo)(curl, info, WORD_AFTER(info));
}

CURLcode curl_easy_perform(CURL *curl)
{
	return LATE(&library, curl_easy_perform)(curl);
}

CURLcode curl_easy_recv(CURL *curl, void *buffer, size_t bytes, size_t *got)
{
	return LATE(&library, curl_easy_recv)(curl, buffer, bytes, got);
}

CURLcode curl_easy_send(CURL *curl, const void *buffer, size_t bytes, size_t *sent)
{
	return LATE(&library, curl_easy_send)(curl, buffer, bytes, sent);
}

const char *curl_easy_strerror(CURLcode code)
{
	return LATE(&library, curl_easy_strerror)(code);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
	return LATE(&library, curl_slist_append)(list, text);
}

void curl_slist_free_all(struct curl_slist *list)
{
	LATE(&library, curl_slist_free_all)(list);
}
