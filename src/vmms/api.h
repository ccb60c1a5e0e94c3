/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service's API as a whole: who may call, what can be asked, who listens. Everything belongs to the loop thread.
 *
 * The core makes one with its hooks, then lets it listen. What a request's handler gets from it is in call.h.
 */
#ifndef VMMS_API_H
#define VMMS_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"

struct api;
struct audit;
struct http;
struct loop;
struct roles;
struct tasks;
struct vmms;

#define API_PREFIX "/api/v1"
#define API_ID_BYTES 40u /* a GUID's text and its end */

/* What the API needs to know from the core. Any of them may be NULL in tests. */
struct api_hooks {
	/* Calls @fn for each VM whose id or name is @text (NULL: for all), until it returns false. */
	void (*each_vm)(struct vmms *v, const char *text,
			bool (*fn)(void *ctx, const char *id, const char *name), void *ctx);
	/* Before a request that changes VM @vm_id is handled: true when it has to wait; then @go_on(@c) later, unless its client leaves. */
	bool (*yield)(struct call *c, const char *vm_id, void (*go_on)(struct call *c));
};

struct api_config {
	const char *roles_path; /* NULL: no roles, and none can be given */
	const char *audit_path; /* NULL: no audit log */
	struct tasks *tasks;	/* do what blocks; NULL: it is done at once */
	unsigned heartbeat_s;	/* between signs of life in streams; 0: 15 */
};

/* A list of routes, as each file of handlers has one. */
struct route_table {
	const struct route *routes;
	size_t count;
};

/*
 * @tables end with NULL; they, @hooks and @config's strings are borrowed for the API's life. @v is what handlers find in their call.
 * -errno, or -EINVAL with a sentence in @error (a file that cannot be read).
 */
int api_create(struct vmms *v, struct loop *loop, const struct api_hooks *hooks,
	       const struct api_config *config, const struct route_table *const *tables,
	       struct api **ret, char *error, size_t size);
/* Nobody listens any longer, and the tasks have ended; calls that were held are gone. */
void api_destroy(struct api *a);

struct vmms *api_vmms(const struct api *a);
struct loop *api_loop(const struct api *a);
const struct api_hooks *api_hooks(const struct api *a);
const struct route_table *const *api_tables(const struct api *a);
struct roles *api_roles(const struct api *a);
struct audit *api_audit(const struct api *a); /* NULL: none */
uint64_t api_heartbeat_ns(const struct api *a);
/* What a file of handlers keeps with the API; @destroy (may be NULL) is called at its end. */
enum api_slot { API_SLOT_EVENTS, API_SLOT_METRICS, API_SLOT_CONSOLES, API_SLOTS };
struct api_kept {
	void *data;
	void (*destroy)(void *data);
};
struct api_kept *api_slot(struct api *a, enum api_slot slot);
/* Destroys what is kept: before the connections are, which some of it holds. */
void api_drop_slots(struct api *a);
/* The front's counters are part of the metrics; NULL: there is none. */
void api_set_http(struct api *a, struct http *h);
const struct http *api_http(const struct api *a);
/* The API that @c came in by. */
struct api *call_api(const struct call *c);

/* All of the service's routes (routes.c). */
extern const struct route_table *const vmms_routes[];

#endif
