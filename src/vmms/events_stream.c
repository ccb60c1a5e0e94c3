// SPDX-License-Identifier: Apache-2.0
#include "events_stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "call_stream.h"
#include "events.h"
#include "host/loop.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "roles.h"
#include "routes.h"
#include "vmms.h"

/* One client that watches. */
struct watcher {
	struct call *call;
	struct api *api;
	struct events *events;
	struct watcher *next;
	uint64_t position;	  /* of the next event */
	char vm_id[API_ID_BYTES]; /* empty: all */
	char *frame;		  /* being sent */
	size_t frame_bytes, frame_at;
	bool ending;
	struct events_watch watch;
	struct loop_timer heartbeat;
};

static void set_frame(struct watcher *w, char *text)
{
	free(w->frame);
	w->frame = text;
	w->frame_bytes = text == NULL ? 0 : strlen(text);
	w->frame_at = 0;
}

__attribute__((format(printf, 2, 3))) static void say(struct watcher *w, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
	}
	va_end(ap);
	set_frame(w, text);
}

static void arm(struct watcher *w)
{
	loop_timer_set(api_loop(w->api), &w->heartbeat, host_now_ns() + api_heartbeat_ns(w->api));
}

/* ---- What is sent ---- */

/* What is the host's is for who may read the host. */
static bool is_for(const struct watcher *w, const json_t *event)
{
	const char *vm = json_string_value(json_object_get(event, "vm"));

	if (w->vm_id[0] != '\0' && (vm == NULL || strcmp(vm, w->vm_id) != 0)) {
		return false;
	}
	return caller_may(w->call->caller, vm, RIGHT_READ);
}

static void frame_event(struct watcher *w, uint64_t id, json_t *event)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	char *data = json_dumps(event, JSON_COMPACT);

	if (data != NULL) {
		say(w, "id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)id,
		    type == NULL ? "message" : type, data);
	}
	free(data);
}

/* The client was too slow, or away for too long: it must look at everything anew. */
static void frame_gap(struct watcher *w, uint64_t first)
{
	say(w,
	    "id: %llu\nevent: gap\ndata: "
	    "{\"type\":\"gap\",\"from\":%llu,\"to\":%llu,\"message\":\"events "
	    "were lost; read the state of things again\"}\n\n",
	    (unsigned long long)first - 1, (unsigned long long)w->position,
	    (unsigned long long)first - 1);
	w->position = first;
}

/* Makes the next frame; false: there is none yet. */
static bool next_frame(struct watcher *w)
{
	uint64_t first = events_first(w->events);

	if (w->position < first) {
		frame_gap(w, first);
		return true;
	}
	while (w->position < events_next(w->events)) {
		uint64_t id = w->position++;
		json_t *event = events_get(w->events, id);

		if (event != NULL && is_for(w, event)) {
			frame_event(w, id, event);
			return true;
		}
	}
	return false;
}

static enum stream_pull pull(void *ctx, char *buf, size_t capacity, size_t *ret_bytes)
{
	struct watcher *w = ctx;

	if (w->frame_at == w->frame_bytes && !w->ending) {
		set_frame(w, NULL);
		if (!next_frame(w)) {
			return STREAM_EMPTY;
		}
	}
	if (w->frame_at == w->frame_bytes) {
		return STREAM_END;
	}
	size_t n = w->frame_bytes - w->frame_at;

	n = n < capacity ? n : capacity;
	memcpy(buf, w->frame + w->frame_at, n);
	w->frame_at += n;
	*ret_bytes = n;
	arm(w);
	return STREAM_DATA;
}

/* ---- When ---- */

static void on_event(void *ctx)
{
	struct watcher *w = ctx;

	call_stream_wake(w->call);
}

/* A comment: keeps what is between us awake, and finds out whether the client is. */
static void on_heartbeat(void *ctx)
{
	struct watcher *w = ctx;

	if (w->frame_at == w->frame_bytes) {
		say(w, ":\n\n");
	}
	arm(w);
	call_stream_wake(w->call);
}

static struct watcher **watchers_of(struct api *a)
{
	return (struct watcher **)&api_slot(a, API_SLOT_EVENTS)->data;
}

static void closed(void *ctx)
{
	struct watcher *w = ctx;
	struct watcher **link = watchers_of(w->api);

	while (*link != w) {
		link = &(*link)->next;
	}
	*link = w->next;
	events_unwatch(w->events, &w->watch);
	loop_timer_set(api_loop(w->api), &w->heartbeat, 0);
	free(w->frame);
	free(w);
}

void events_streams_end(struct api *a)
{
	for (struct watcher *w = *watchers_of(a); w != NULL; w = w->next) {
		w->ending = true;
		call_stream_wake(w->call);
	}
}

/* ---- Beginning ---- */

static bool on_vm(void *ctx, const char *id, const char *name)
{
	struct watcher *w = ctx;

	if (caller_may(w->call->caller, id, RIGHT_READ)) {
		snprintf(w->vm_id, sizeof(w->vm_id), "%s", id);
	}
	return w->vm_id[0] == '\0';
}

static bool choose_vm(struct watcher *w)
{
	const char *text = call_query(w->call, "vm");
	const struct api_hooks *hooks = api_hooks(w->api);

	if (text == NULL) {
		return true;
	}
	hooks->each_vm(w->call->vmms, text, on_vm, w);
	if (w->vm_id[0] == '\0') {
		call_refuse(w->call, API_NOT_FOUND, NULL,
			    "there is no VM with the name or id '%.500s'", text);
	}
	return w->vm_id[0] != '\0';
}

/* After the last event the client has seen; without one, what comes from now on. */
static bool choose_position(struct watcher *w)
{
	const char *text = call_last_event_id(w->call);
	char *end;

	w->position = events_next(w->events);
	if (text == NULL) {
		text = call_query(w->call, "after");
	}
	if (text == NULL) {
		return true;
	}
	errno = 0;
	unsigned long long id = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
		call_refuse(w->call, API_INVALID, NULL,
			    "Last-Event-ID: '%.100s' is not an event's number", text);
		return false;
	}
	/* a number of the future is another service's: from the beginning */
	w->position = id < w->position ? id + 1 : events_first(w->events);
	return true;
}

static void get_events(struct call *c)
{
	static const struct stream_source source = {pull, closed};
	struct watcher *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		call_refuse(c, API_FAILED, NULL, "out of memory");
		return;
	}
	w->call = c;
	w->api = call_api(c);
	w->events = c->vmms->events;
	say(w, "retry: 2000\n\n");
	if (!choose_vm(w) || !choose_position(w) ||
	    !call_stream(c, "text/event-stream", &source, w)) {
		free(w->frame);
		free(w);
		return;
	}
	w->next = *watchers_of(w->api);
	*watchers_of(w->api) = w;
	w->watch = (struct events_watch){.came = on_event, .ctx = w};
	w->heartbeat = (struct loop_timer){.fn = on_heartbeat, .ctx = w};
	events_watch(w->events, &w->watch);
	arm(w);
}

static const struct route routes[] = {
	{"GET", "/events", RIGHT_READ, false, get_events,
	 "What happens, as server-sent events (?vm=, ?after= or Last-Event-ID)", NULL,
	 "EventStream"},
};

const struct route_table event_routes = {routes, ARRAY_LEN(routes)};
