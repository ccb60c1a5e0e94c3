// SPDX-License-Identifier: Apache-2.0
/* `virid vm console`: this terminal and the machine's serial console, over an upgraded connection. */
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manage.h"

#define ESCAPE_BYTE 0x1d /* Ctrl-] */
#define HEAD_MAX 8192

static bool send_all(CURL *curl, const char *data, size_t bytes, curl_socket_t s)
{
	while (bytes != 0) {
		size_t n = 0;
		CURLcode r = curl_easy_send(curl, data, bytes, &n);
		struct pollfd p = {.fd = s, .events = POLLOUT};

		if (r == CURLE_AGAIN) {
			poll(&p, 1, -1);
		} else if (r != CURLE_OK) {
			return false;
		}
		data += n;
		bytes -= n;
	}
	return true;
}

static bool write_all(const char *data, size_t bytes)
{
	while (bytes != 0) {
		ssize_t n = write(STDOUT_FILENO, data, bytes);

		if (n < 0 && errno != EINTR) {
			return false;
		}
		data += n > 0 ? n : 0;
		bytes -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* Reads up to the empty line behind the head; what came behind that is in @head from *ret_rest on. The HTTP status, or 0. */
static int read_head(CURL *curl, curl_socket_t s, char head[HEAD_MAX + 1], size_t *ret_bytes,
		     size_t *ret_rest)
{
	size_t used = 0;

	while (used < HEAD_MAX) {
		struct pollfd p = {.fd = s, .events = POLLIN};
		size_t n = 0;
		CURLcode r = curl_easy_recv(curl, head + used, HEAD_MAX - used, &n);

		if (r == CURLE_AGAIN) {
			poll(&p, 1, -1);
			continue;
		}
		if (r != CURLE_OK || n == 0) {
			return 0;
		}
		used += n;
		head[used] = '\0';
		char *end = strstr(head, "\r\n\r\n");
		int status;

		if (end != NULL && sscanf(head, "HTTP/1.1 %d", &status) == 1) {
			*ret_bytes = used;
			*ret_rest = (size_t)(end + 4 - head);
			return status;
		}
	}
	return 0;
}

/* Terminal to machine. False: the person leaves, or it is over. */
static bool pass_typed(CURL *curl, curl_socket_t s, bool escape, bool *open)
{
	char data[4096];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n <= 0) {
		*open = false; /* a script: what it wrote is sent, the rest is watched */
		return n == 0 || errno == EINTR || errno == EAGAIN;
	}
	char *leave = escape ? memchr(data, ESCAPE_BYTE, (size_t)n) : NULL;
	size_t bytes = leave != NULL ? (size_t)(leave - data) : (size_t)n;

	return send_all(curl, data, bytes, s) && leave == NULL;
}

/* Machine to terminal. False: it is over. */
static bool pass_shown(CURL *curl)
{
	char data[16384];
	size_t n = 0;

	for (;;) {
		CURLcode r = curl_easy_recv(curl, data, sizeof(data), &n);

		if (r == CURLE_AGAIN) {
			return true;
		}
		if (r != CURLE_OK || n == 0 || !write_all(data, n)) {
			return false;
		}
	}
}

static void talk(CURL *curl, curl_socket_t s)
{
	bool escape = terminal_raw(), typing = true;

	if (escape) {
		fputs("connected; Ctrl-] leaves\r\n", stderr);
	}
	for (bool on = true; on;) {
		struct pollfd p[2] = {{.fd = s, .events = POLLIN},
				      {.fd = typing ? STDIN_FILENO : -1, .events = POLLIN}};

		if (poll(p, 2, -1) < 0 && errno != EINTR) {
			break;
		}
		on = pass_shown(curl);
		if (on && p[1].revents != 0) {
			on = pass_typed(curl, s, escape, &typing);
		}
	}
	terminal_restore();
	if (escape) {
		fputs("\r\n", stderr);
	}
}

/* The usual request, for the error that it gives. */
static int refused(struct manage_call *c, const char *path)
{
	json_t *answer = NULL;
	int status = manage_request(c, "GET", path, NULL, &answer);

	json_decref(answer);
	return status == CLI_OK ? CLI_FAILED : status;
}

static int converse(struct manage_call *c, CURL *curl, const char *path)
{
	char head[HEAD_MAX + 1], request[1024];
	size_t bytes, rest;
	curl_socket_t s;

	curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
	CURLcode r = curl_easy_perform(curl);

	if (r != CURLE_OK) {
		return manage_unreachable(c, curl_easy_strerror(r));
	}
	curl_easy_getinfo(curl, CURLINFO_ACTIVESOCKET, &s);
	int n = snprintf(request, sizeof(request),
			 "GET /api/v1%s HTTP/1.1\r\nHost: virid\r\nConnection: Upgrade\r\n"
			 "Upgrade: virid-console\r\n\r\n",
			 path);

	if (n >= (int)sizeof(request) || !send_all(curl, request, (size_t)n, s) ||
	    read_head(curl, s, head, &bytes, &rest) != 101) {
		return refused(c, path);
	}
	write_all(head + rest, bytes - rest);
	talk(curl, s);
	return CLI_OK;
}

int vm_console_run(struct manage_call *c)
{
	char *base, *url, *name = manage_escape(c->operands[0]), path[512];
	CURL *curl = manage_curl(c, &base);
	int status = CLI_USAGE;

	snprintf(path, sizeof(path), "/vms/%s/console", name);
	free(name);
	if (curl == NULL) {
		return status;
	}
	if (asprintf(&url, "%s%s", base, path) < 0) {
		abort();
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	status = converse(c, curl, path);
	curl_easy_cleanup(curl);
	free(url);
	free(base);
	return status;
}
