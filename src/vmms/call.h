/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of a client while it is being answered, and the table of what can be asked (Decision: docs/design/0007-management-service.md).
 * Everything here belongs to the loop thread; a handler does not block: what can goes to a job (job.h).
 *
 * A handler answers exactly once with one of call_ok ... call_refuse; it may do so later (a job's end) unless the client went away
 * meanwhile, which call_hold and its callback tell.
 */
#ifndef VMMS_CALL_H
#define VMMS_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct job;
struct vmms;

/* Who asks. */
struct caller {
	char name[64];	 /* "root", "CN=...": as the audit log shows it */
	bool host_admin; /* whoever runs the service, or has the role */
	bool owner;	 /* the service's user, or root: may do as itself what the service can */
	const struct caller_grants *grants; /* roles.h; NULL: none */
};

enum right {
	RIGHT_READ,    /* viewer */
	RIGHT_OPERATE, /* operator: states, console, checkpoints, media */
	RIGHT_CHANGE,  /* administrator of the VM (or the host) */
	RIGHT_HOST,    /* administrator of the host */
};

/* Stable words of the API; each has one HTTP status. */
enum api_error {
	API_INVALID,	   /* 400 "invalid": malformed, or a value out of range */
	API_DENIED,	   /* 403 "denied" */
	API_NOT_FOUND,	   /* 404 "not-found" */
	API_AMBIGUOUS,	   /* 409 "ambiguous": several have the name; "candidates" */
	API_CONFLICT,	   /* 409 "conflict": changed meanwhile; "revision" */
	API_WRONG_STATE,   /* 409 "wrong-state"; "state" */
	API_EXISTS,	   /* 409 "exists" */
	API_BUSY,	   /* 409 "busy": another operation goes on; "job" */
	API_TOO_NEW,	   /* 409 "too-new": written by a newer version */
	API_NO_SPACE,	   /* 507 "no-space" */
	API_NOT_SUPPORTED, /* 501 "not-supported": the guest or the host cannot */
	API_FAILED,	   /* 500 "failed": the host failed */
	API_NO_MEMORY,	   /* 507 "no-memory": the host has not enough for the VM */
	API_NO_PROCESSORS, /* 507 "no-processors": of its processors too much is reserved, or those are not there */
};

struct call {
	struct vmms *vmms;
	const struct caller *caller;
	const char *parameters[3]; /* what stood for {..} in the route's path, decoded, in order */
	json_t *body;		   /* an object, or NULL; borrowed */
	const char *if_match;	   /* revision the client knows, without quotes; NULL: any */
};

/* Value of a query parameter; NULL: not there. */
const char *call_query(const struct call *c, const char *name);

/* 200 and @body (taken over; NULL: 204 without one). */
void call_ok(struct call *c, json_t *body);
/* 201; @location is the new thing's path under /api/v1. */
void call_created(struct call *c, const char *location, json_t *body);
/* 202 with the job's description and Location. */
void call_job(struct call *c, const struct job *j);
/* An error; @extra (taken over, may be NULL) is merged into the "error" object. */
__attribute__((format(printf, 4, 5))) void call_refuse(struct call *c, enum api_error error,
						       json_t *extra, const char *fmt, ...);
/* The answer comes later: the call stays valid until it is answered; @gone (may be NULL) when the client hangs up first, then it is not answered. */
void call_hold(struct call *c, void (*gone)(void *ctx, struct call *c), void *ctx);

/* What can be asked. Tables of routes are constant arrays, one for each file of handlers, listed in routes.c. */
struct route {
	const char *method;
	const char *
		path; /* under /api/v1, such as "/vms/{vm}/start"; a {vm} is looked up for the rights check */
	enum right right;
	bool audited; /* changes something */
	void (*handle)(struct call *c);
	const char *summary; /* one line for OpenAPI */
	const char *body;    /* name of the request body's schema in openapi; NULL: none */
	const char *answer;  /* name of the answer's schema; NULL: none */
	bool beside; /* what goes on with the VM is not in its way, and does not make way for it */
};

#endif
