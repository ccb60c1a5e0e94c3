// SPDX-License-Identifier: Apache-2.0
#include "device_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "path_check.h"
#include "vm.h"
#include "vmms.h"

bool device_request_begin(struct call *c, const char *kind, struct device_request *r)
{
	*r = (struct device_request){.call = c, .vm = vm_of_call(c), .op = {.kind = kind}};
	r->op.place = r->place;
	return r->vm != NULL && vm_op_allowed(c, r->vm, VM_OP_HARDWARE);
}

bool device_request_has_body(struct device_request *r)
{
	if (r->call->body != NULL) {
		return true;
	}
	call_refuse(r->call, API_INVALID, NULL,
		    "the request needs a body; expected what is to be added or changed");
	return false;
}

void device_request_give_up(struct device_request *r, enum api_error error, const char *text)
{
	json_decref(r->op.config);
	call_refuse(r->call, error, NULL, "%s", text);
}

bool device_request_check_paths(struct device_request *r)
{
	if (path_check_all(r->call, r->vm->configuration, r->op.config)) {
		return true;
	}
	json_decref(r->op.config);
	return false;
}

int device_request_find_drive(struct device_request *r)
{
	const char *text = r->call->parameters[1];
	struct vm_config_place place;
	char joined[64];

	/* The router cuts it at the colon. */
	snprintf(joined, sizeof(joined), "%.20s:%.20s", text, r->call->parameters[2]);
	if (!vm_config_place_parse(joined, &place)) {
		call_refuse(r->call, API_INVALID, NULL,
			    "'%s' is not a place; expected such as scsi0:1 or ide0:1", joined);
		return -1;
	}
	int index = vm_config_place_find(r->vm->configuration, r->op.kind, &place);

	if (index < 0) {
		call_refuse(r->call, API_NOT_FOUND, NULL, "%s has no %s at %s", vm_name(r->vm),
			    strcmp(r->op.kind, "dvds") == 0 ? "DVD drive" : "disk", joined);
	}
	return index;
}

int device_request_find_adapter(struct device_request *r)
{
	const char *text = r->call->parameters[1];
	char *end;
	long number = strtol(text, &end, 10);
	int index = end == text || *end != '\0'
			    ? -1
			    : vm_config_adapter_find(r->vm->configuration, number);

	if (index < 0) {
		call_refuse(r->call, API_NOT_FOUND, NULL, "%s has no network adapter %s",
			    vm_name(r->vm), text);
	}
	return index;
}
