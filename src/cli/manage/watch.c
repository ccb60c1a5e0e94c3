// SPDX-License-Identifier: Apache-2.0
/* `virid event watch`: server-sent events, one line each; goes on where it was when the connection breaks. */
#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manage.h"

#define LINE_MAX_BYTES 65536
#define EVENT_DEPTH_MAX 64u

struct watch {
	const struct manage_call *call;
	char line[LINE_MAX_BYTES];
	size_t used;
	char last_id[64];
	uint64_t left; /* events until the end; UINT64_MAX: no end */
	long http;
	CURL *curl;
};

static void print_event(const struct watch *w, const char *data)
{
	static const struct manage_column when = {"", "time", COLUMN_TIME};
	char time[64], unused[256];
	json_t *o = json_parse("", data, strlen(data), EVENT_DEPTH_MAX, unused, sizeof(unused));

	if (o == NULL) {
		return;
	}
	if (w->call->json) {
		char *line = json_line(o);

		puts(line);
		free(line);
	} else {
		table_cell(o, &when, time, sizeof(time));
		printf("%s  %-24s %-20s %s\n", time, member_text(o, "type"),
		       member_text(o, "vm_name"), member_text(o, "text"));
	}
	fflush(stdout);
	json_decref(o);
}

static void take_line(struct watch *w)
{
	w->line[w->used] = '\0';
	if (strncmp(w->line, "id:", 3) == 0) {
		snprintf(w->last_id, sizeof(w->last_id), "%s", w->line + 3 + (w->line[3] == ' '));
	} else if (strncmp(w->line, "data:", 5) == 0 && w->left != 0) {
		print_event(w, w->line + 5);
		w->left -= w->left != UINT64_MAX;
	}
	w->used = 0;
}

static size_t on_data(char *data, size_t size, size_t count, void *ctx)
{
	struct watch *w = ctx;

	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &w->http);
	if (w->http != 200) {
		return 0; /* the usual request says why */
	}
	for (size_t i = 0; i < size * count; i++) {
		if (data[i] == '\n') {
			take_line(w);
		} else if (data[i] != '\r' && w->used < LINE_MAX_BYTES - 1) {
			w->line[w->used++] = data[i];
		}
	}
	return w->left == 0 ? 0 : size * count;
}

/* One connection, until it breaks. */
static CURLcode listen_once(struct watch *w, const char *path)
{
	struct curl_slist *headers = NULL;
	char header[128], *base, *url;
	CURLcode r = CURLE_FAILED_INIT;

	w->curl = manage_curl(w->call, &base);
	if (w->curl == NULL) {
		return r;
	}
	if (asprintf(&url, "%s%s", base, path) < 0) {
		abort();
	}
	if (w->last_id[0] != '\0') {
		snprintf(header, sizeof(header), "Last-Event-ID: %s", w->last_id);
		headers = curl_slist_append(headers, header);
	}
	headers = curl_slist_append(headers, "Accept: text/event-stream");
	curl_easy_setopt(w->curl, CURLOPT_URL, url);
	curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, w);
	w->used = 0;
	w->http = 0;
	r = curl_easy_perform(w->curl);
	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &w->http);
	curl_easy_cleanup(w->curl);
	curl_slist_free_all(headers);
	free(url);
	free(base);
	return r;
}

int event_watch_run(struct manage_call *c)
{
	const char *vm = manage_value(c, "vm"), *count = manage_value(c, "count");
	struct watch *w = calloc(1, sizeof(*w));
	char *escaped = manage_escape(vm != NULL ? vm : ""), path[512];
	bool once = false;
	int status = CLI_OK;

	if (w == NULL) {
		abort();
	}
	*w = (struct watch){.call = c, .left = UINT64_MAX};
	snprintf(path, sizeof(path), "/events%s%s", vm != NULL ? "?vm=" : "", escaped);
	free(escaped);
	if (count != NULL && !parse_count(count, &w->left)) {
		free(w);
		return manage_usage(c, "--count: '%s' is not a number", count);
	}
	while (w->left != 0) {
		CURLcode r = listen_once(w, path);

		if (w->left == 0) {
			break;
		}
		if (w->http != 200 && w->http != 0) {
			json_t *answer = NULL;

			status = manage_request(c, "GET", path, NULL, &answer);
			json_decref(answer);
			break;
		}
		if (w->http == 0 && !once) {
			status = manage_unreachable(c, curl_easy_strerror(r));
			break;
		}
		once = true; /* it was there: a restart of the service is waited for */
		sleep(1);
	}
	free(w);
	return status;
}
