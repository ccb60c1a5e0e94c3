// SPDX-License-Identifier: Apache-2.0
/* One request to the management service, over its Unix socket or, with VIRID_HOST, over TLS. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "manage.h"

#define ANSWER_MAX_BYTES ((size_t)256 << 20)
#define ANSWER_DEPTH_MAX 64u

struct answer {
	char *data;
	size_t bytes;
};

/* ---- Where the service is ---- */

static void default_socket(char *path, size_t size)
{
	const char *named = getenv("VIRID_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");

	if (named != NULL && named[0] != '\0') {
		snprintf(path, size, "%s", named);
	} else if (geteuid() == 0) {
		snprintf(path, size, "/run/virid/virid.sock");
	} else if (runtime != NULL && runtime[0] == '/') {
		snprintf(path, size, "%s/virid/virid.sock", runtime);
	} else {
		snprintf(path, size, "/tmp/virid-%u/virid.sock", (unsigned)geteuid());
	}
	if (named == NULL && geteuid() != 0 && access(path, F_OK) < 0 &&
	    access("/run/virid/virid.sock", W_OK) == 0) {
		snprintf(path, size, "/run/virid/virid.sock"); /* the host's, and we may */
	}
}

int manage_unreachable(const struct manage_call *c, const char *why)
{
	const char *host = getenv("VIRID_HOST");
	char path[4096];

	default_socket(path, sizeof(path));
	if (c->why != NULL) {
		snprintf(c->why, MANAGE_WHY_BYTES,
			 "The management service does not answer: %s. Is it started?", why);
	}
	if (c->quiet) {
		return MANAGE_UNREACHABLE;
	}
	if (host != NULL && host[0] != '\0') {
		complain("%s: the management service at %s does not answer: %s", c->shown_as, host,
			 why);
	} else {
		complain("%s: no management service at %s: %s; start it with 'systemctl start "
			 "virid-vmms', or 'virid-vmms' for "
			 "your own machines, or name its socket in VIRID_SOCKET",
			 c->shown_as, path, why);
	}
	return MANAGE_UNREACHABLE;
}

static void option_from(CURL *curl, CURLoption option, const char *variable)
{
	const char *value = getenv(variable);

	if (value != NULL && value[0] != '\0') {
		curl_easy_setopt(curl, option, value);
	}
}

void *manage_curl(const struct manage_call *c, char **ret_base)
{
	const char *host = getenv("VIRID_HOST");
	CURL *curl = curl_easy_init();
	char path[4096];

	CHECK(curl != NULL);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (host == NULL || host[0] == '\0') {
		default_socket(path, sizeof(path));
		if (strlen(path) >= 108) {
			complain("%s: %s is too long for the name of a socket", c->shown_as, path);
			curl_easy_cleanup(curl);
			return NULL;
		}
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
		*ret_base = strdup("http://virid/api/v1");
	} else {
		option_from(curl, CURLOPT_CAINFO, "VIRID_CA");
		option_from(curl, CURLOPT_SSLCERT, "VIRID_CERT");
		option_from(curl, CURLOPT_SSLKEY, "VIRID_KEY");
		option_from(curl, CURLOPT_USERPWD, "VIRID_USER");
		if (asprintf(ret_base, "%s%s/api/v1", strstr(host, "://") == NULL ? "https://" : "",
			     host) < 0) {
			abort();
		}
	}
	CHECK(*ret_base != NULL);
	return curl;
}

char *manage_escape(const char *text)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~:";
	char *escaped = malloc(strlen(text) * 3 + 1), *to = escaped;

	CHECK(escaped != NULL);
	for (; *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL) {
			*to++ = *text;
		} else {
			to += sprintf(to, "%%%02X", (unsigned char)*text);
		}
	}
	*to = '\0';
	return escaped;
}

/* ---- One request ---- */

static size_t on_data(char *data, size_t size, size_t count, void *ctx)
{
	struct answer *a = ctx;
	size_t bytes = size * count;

	if (bytes > ANSWER_MAX_BYTES - a->bytes) {
		return 0;
	}
	char *grown = realloc(a->data, a->bytes + bytes + 1);

	if (grown == NULL) {
		return 0;
	}
	memcpy(grown + a->bytes, data, bytes);
	a->data = grown;
	a->bytes += bytes;
	grown[a->bytes] = '\0';
	return bytes;
}

int manage_status_of(const char *code)
{
	static const struct {
		const char *code;
		int status;
	} codes[] = {{"not-found", MANAGE_NOT_FOUND}, {"ambiguous", MANAGE_CONFLICT},
		     {"conflict", MANAGE_CONFLICT},   {"wrong-state", MANAGE_CONFLICT},
		     {"exists", MANAGE_CONFLICT},     {"busy", MANAGE_CONFLICT},
		     {"denied", MANAGE_DENIED},	      {"invalid", CLI_USAGE}};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (strcmp(codes[i].code, code) == 0) {
			return codes[i].status;
		}
	}
	return CLI_FAILED;
}

/* Names that are not unique: which there are. */
static void print_candidates(json_t *error)
{
	json_t *list = member_get(error, "candidates");
	char text[512];

	if (!json_is_array(list)) {
		return;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *o = json_array_get(list, i);

		if (json_is_object(o)) {
			fprintf(stderr, "  %s  %s  %s\n", member_text(o, "id"),
				member_text(o, "name"), member_text(o, "state"));
		} else {
			fprintf(stderr, "  %s\n", json_show(o, "-", text, sizeof(text)));
		}
	}
}

/* What an {"error": ...} object, of a request or a job, means for us. */
static int refuse(const struct manage_call *c, json_t *whole, long http)
{
	json_t *error = member_get(whole, "error");

	if (c->why != NULL) {
		snprintf(c->why, MANAGE_WHY_BYTES, "The service refused that: %s",
			 error == NULL ? "without a reason" : member_text(error, "message"));
	}
	if (error == NULL && c->quiet) {
		return CLI_FAILED;
	}
	if (error == NULL) {
		complain("%s: the service answered with HTTP status %ld and no reason", c->shown_as,
			 http);
		return http == 401 || http == 403 ? MANAGE_DENIED : CLI_FAILED;
	}
	if (!c->quiet) {
		complain("%s: %s", c->shown_as, member_text(error, "message"));
		print_candidates(error);
	}
	if (c->json) {
		manage_print(whole);
	}
	return manage_status_of(member_text(error, "code"));
}

static json_t *parse(const struct answer *a)
{
	char unused[256];

	return json_parse("", a->data, a->bytes, ANSWER_DEPTH_MAX, unused, sizeof(unused));
}

static int understand(const struct manage_call *c, const struct answer *a, long http, json_t **ret)
{
	json_t *o = a->bytes == 0 ? NULL : parse(a);
	int status = CLI_OK;

	if (http >= 200 && http < 300) {
		if (a->bytes != 0 && o == NULL) {
			complain("%s: the service's answer is not JSON", c->shown_as);
			return CLI_FAILED;
		}
		*ret = o;
		return CLI_OK;
	}
	status = refuse(c, o, http);
	json_decref(o);
	return status;
}

int manage_request(const struct manage_call *c, const char *method, const char *path, json_t *body,
		   json_t **ret)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct answer answer = {0};
	char *base, *url, error[CURL_ERROR_SIZE] = "";
	CURL *curl = manage_curl(c, &base);
	long http = 0;
	int status;

	if (curl == NULL) {
		curl_slist_free_all(headers);
		return CLI_USAGE;
	}
	if (asprintf(&url, "%s%s", base, path) < 0) {
		abort();
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	if (body != NULL) {
		char *text = json_line(body);

		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, text);
		free(text);
	}
	CURLcode r = curl_easy_perform(curl);

	if (r != CURLE_OK) {
		long reason = 0;

		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &reason);
		status = manage_unreachable(
			c, r == CURLE_COULDNT_CONNECT && reason != 0
				   ? strerror((int)reason)
				   : (error[0] != '\0' ? error : curl_easy_strerror(r)));
	} else {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
		status = understand(c, &answer, http, ret);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	free(answer.data);
	free(base);
	free(url);
	return status;
}

/* "/vms/{0}/start" with the operands in place; operand @each stands for {0}. Allocated. */
static char *fill_path(const struct manage_call *c, size_t each)
{
	char *path = NULL;
	size_t size;
	FILE *f = open_memstream(&path, &size);

	CHECK(f != NULL);
	for (const char *at = c->verb->path; *at != '\0'; at++) {
		if (*at != '{') {
			fputc(*at, f);
			continue;
		}
		size_t n = (size_t)(at[1] - '0');
		const char *operand = n == 0 ? c->operands[each] : c->operands[n];

		CHECK(n < c->operand_count);
		char *escaped = manage_escape(operand);

		fputs(escaped, f);
		free(escaped);
		at += 2;
	}
	fputs(c->query, f);
	fclose(f);
	return path;
}

int manage_send(struct manage_call *c, size_t operand, json_t **ret)
{
	char *path = fill_path(c, operand);
	int status = manage_request(c, c->verb->method, path, c->body, ret);

	free(path);
	return status;
}
