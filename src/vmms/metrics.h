/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics, in Prometheus' text format. Names are those of Hyper-V's counter sets, written as Prometheus has them: the set "Hyper-V Virtual Network
 * Adapter" with its counter "Bytes Received/sec" is hyperv_virtual_network_adapter_bytes_received_total.
 */
#ifndef VMMS_METRICS_H
#define VMMS_METRICS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hostcpu/text.h"

#define METRICS_FRESH_NS                                                                           \
	(UINT64_C(2) * 1000000000) /* what workers said is used again for so long */
#define METRICS_PATIENCE_NS (UINT64_C(1) * 1000000000) /* a worker that says nothing is left out */

struct call;

/* Text that grows. */
struct metrics_text {
	char *text;
	size_t bytes, capacity;
};

/* One VM as it is shown; everything borrowed. */
struct metrics_vm {
	const char *id, *name;
	const char *state;
	bool critical, running;
	uint64_t memory_bytes;
	const char *stats; /* what the worker says to "stats"; NULL: none */
	bool grouped;
	struct hostcpu_usage usage; /* of its group, if .grouped */
};

/* A line "name{labels} value"; @help (may be NULL) first begins the metric, of @type "counter" or "gauge". */
void metrics_begin(struct metrics_text *t, const char *name, const char *type, const char *help);
/* @labels are pairs of name and value, NULL at the end; values are escaped. */
__attribute__((sentinel)) void metrics_add(struct metrics_text *t, const char *name, double value,
					   ...);
/* All that is known about VMs. */
void metrics_vms(struct metrics_text *t, const struct metrics_vm *vms, size_t count);
/* All that is known about the service, for whoever asked. */
void metrics_service(struct metrics_text *t, struct call *c);

#endif
