/* SPDX-License-Identifier: Apache-2.0 */
/* The service without its options: opens the store, takes up VMs, serves, and lets go of them. */
#ifndef VMMS_SERVICE_H
#define VMMS_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

struct vmms;

struct service_config {
	const char *state;   /* folder */
	const char *runtime; /* folder */
	const char *kvm_device;
};

/* The core: everything but the API. One for each state folder at a time. False: @error. */
bool service_open(const struct service_config *config, struct vmms **ret, char *error, size_t size);
/* Takes VMs up again, and starts those that start with the machine. The loop need not run yet. */
void service_begin(struct vmms *v);
/* Ends what goes on in threads: after it nothing calls back any more. */
void service_stop_tasks(struct vmms *v);
/* Workers go on without us. */
void service_close(struct vmms *v);

#endif
