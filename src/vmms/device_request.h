/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about one VM's disks, DVD drives and adapters: what adding, removing and changing them have in common. Loop thread. */
#ifndef VMMS_DEVICE_REQUEST_H
#define VMMS_DEVICE_REQUEST_H

#include <stdbool.h>

#include "api_error.h"
#include "call.h"
#include "op_device.h"

/* As far as it came. */
struct device_request {
	struct call *call;
	struct vm *vm;
	struct op_device op;
	char place[32];
};

/* What says false, or -1, has refused the call. @kind: "disks", "dvds" or "adapters". */
bool device_request_begin(struct call *c, const char *kind, struct device_request *r);
bool device_request_has_body(struct device_request *r);
/* The files that the new configuration names exist, or it is said how to make them; whoever may change the VM may not name every file. */
bool device_request_check_paths(struct device_request *r);
/* Where in the list the drive or adapter is that the call names. */
int device_request_find_drive(struct device_request *r);
int device_request_find_adapter(struct device_request *r);
/* Refuses the call, and lets go of the new configuration. */
void device_request_give_up(struct device_request *r, enum api_error error, const char *text);

/* handle_device_change.c: PATCH. */
void device_change_disk(struct call *c);
void device_change_dvd(struct call *c);
void device_change_adapter(struct call *c);

#endif
